/*
 * Scenes of bare operations: what no transport does. Messages over a socket pair, and pipes, which have no flags to tell them what not to
 * do.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/loop/loop.h"
#include "tests/faults/scene.h"
#include "tests/faults/shim.h"
#include "weft/operation.h"

/* One operation, waited for. */
struct deed {
    struct weft_operation operation;
    bool is_done;
    int result;
};

static int deed_done(struct weft_operation *operation, int result, unsigned flags)
{
    struct deed *deed = weft_container_of(operation, struct deed, operation);
    (void)flags;
    deed->result = result;
    deed->is_done = true;
    return 0;
}

static bool is_deed_done(void *arg)
{
    return ((const struct deed *)arg)->is_done;
}

static int deed_do(struct deed *deed)
{
    deed->is_done = false;
    int result = loop_submit(weft_get_running_loop(), &deed->operation);
    if (result != -EINPROGRESS)
        return result;
    CHECK(scene_wait(is_deed_done, deed));
    return deed->result;
}

static void deed_close(struct weft_file *file)
{
    struct deed deed;
    weft_operation_close(&deed.operation, file, deed_done);
    CHECK_EQ(deed_do(&deed), 0);
}

/* ---- messages ------------------------------------------------------------------------------------------------------------------- */

static int message_send(struct weft_file *file, char *text, size_t len)
{
    struct deed deed;
    struct iovec piece = {text, len};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    weft_operation_sendmsg(&deed.operation, file, &message, deed_done);
    return deed_do(&deed);
}

static int message_recv(struct weft_file *file, char *text, size_t len)
{
    struct deed deed;
    struct iovec piece = {text, len};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    weft_operation_recvmsg(&deed.operation, file, &message, deed_done);
    return deed_do(&deed);
}

static void files_open(int fds[2], enum weft_file_kind kind, struct weft_file files_out[2])
{
    weft_file_init(&files_out[0], fds[0], kind);
    weft_file_init(&files_out[1], fds[1], kind);
}

/* A message that was not sent is not waited for; one that was not received is taken by the next. */
static int messages(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        struct weft_file files[2];
        char text[5] = "";
        int fds[2];
        CHECK_EQ(peer_pair(fds), 0);
        files_open(fds, WEFT_FILE_STREAM, files);
        int sent = message_send(&files[0], "ping", 4);
        tally_note(arg, sent);
        if (sent >= 0) {
            int received = message_recv(&files[1], text, 4);
            tally_note(arg, received);
            CHECK(received < 0 || strcmp(text, "ping") == 0);
        }
        deed_close(&files[0]);
        deed_close(&files[1]);
    }
    return 0;
}

void scene_messages(struct tally *tally)
{
    scene_in_runtime(tally, 1, messages);
}

/* ---- pipes ---------------------------------------------------------------------------------------------------------------------- */

static int pipe_send(struct weft_file *file, const char *text)
{
    struct deed deed;
    weft_operation_send(&deed.operation, file, text, strlen(text), deed_done);
    return deed_do(&deed);
}

static int pipe_recv(struct weft_file *file, char *text, size_t len)
{
    struct deed deed;
    weft_operation_recv(&deed.operation, file, text, len, deed_done);
    return deed_do(&deed);
}

static void pipe_open(struct weft_file files_out[2])
{
    int fds[2];
    CHECK_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    files_open(fds, WEFT_FILE_PIPE, files_out);
}

static int pipes(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        struct weft_file files[2];
        char text[5] = "";
        pipe_open(files);
        int sent = pipe_send(&files[1], "ping");
        tally_note(arg, sent);
        if (sent >= 0) {
            int received = pipe_recv(&files[0], text, 4);
            tally_note(arg, received);
            CHECK(received < 0 || strcmp(text, "ping") == 0);
        }
        deed_close(&files[0]);
        deed_close(&files[1]);
    }
    return 0;
}

void scene_pipes(struct tally *tally)
{
    scene_in_runtime(tally, 1, pipes);
}

/* Nobody reads any more, and SIGPIPE would end the process. */
static int broken_pipes(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        struct weft_file files[2];
        pipe_open(files);
        deed_close(&files[0]);
        int status = pipe_send(&files[1], "ping");
        tally_note(arg, status == -EPIPE ? 0 : status < 0 ? status : WEFT_ELOST);
        deed_close(&files[1]);
    }
    return 0;
}

void scene_broken_pipes(struct tally *tally)
{
    scene_in_runtime(tally, 1, broken_pipes);
}
