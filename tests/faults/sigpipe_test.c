/*
 * No write raises SIGPIPE, whatever the peer has done and whatever the process's disposition is: here it is the default, which ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/test.h"

#include "lib/loop/loop.h"
#include "weft/fiber.h"
#include "weft/future.h"
#include "weft/operation.h"
#include "weft/runtime.h"
#include "weft/status.h"
#include "weft/stream.h"

enum { LARGE = 300 * 1024 };

static char bytes[LARGE];

static void run_with_sigpipe(weft_fiber_fn *body)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_coro *coro;
    sigset_t pipe_only;
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &pipe_only, NULL), 0);
    options.loops = 1;
    CHECK_EQ(weft_fiber_new(body, NULL, NULL, &coro), 0);
    CHECK_EQ(weft_run(coro, &options, NULL), 0);
    sigset_t pending;
    CHECK_EQ(sigpending(&pending), 0);
    CHECK(!sigismember(&pending, SIGPIPE));
}

static struct weft_stream *stream_to(int *peer_out)
{
    struct weft_stream *stream;
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(weft_stream_from_socket(weft_get_running_loop(), fds[0], &stream), 0);
    *peer_out = fds[1];
    return stream;
}

static void end(struct weft_stream *stream)
{
    (void)weft_stream_close(stream);
    (void)weft_stream_wait_closed(stream);
    weft_stream_unref(stream);
}

/* The kernel takes the bytes for as long as it has not told us; then it says EPIPE or ECONNRESET. */
static int write_to_nobody(void *arg, void **result_out)
{
    static const size_t lens[] = {1, 20000, LARGE};
    (void)arg, (void)result_out;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        int peer;
        struct weft_stream *stream = stream_to(&peer);
        close(peer);
        for (int again = 0; again < 3; again++) {
            CHECK_EQ(weft_stream_write(stream, bytes, lens[i]), 0);
            (void)weft_stream_drain(stream);
            (void)weft_yield();
        }
        end(stream);
    }
    return 0;
}

Test(sigpipe, is_not_raised_by_writes_to_a_peer_that_is_gone, .timeout = 20)
{
    run_with_sigpipe(write_to_nobody);
}

/* What waits to be sent is sent while the peer goes. */
static int go_in_the_middle(void *arg, void **result_out)
{
    int peer;
    struct weft_stream *stream = stream_to(&peer);
    struct iovec pieces[40];
    (void)arg, (void)result_out;
    for (int i = 0; i < 40; i++)
        pieces[i] = (struct iovec){bytes, LARGE / 40};
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_stream_writev(stream, pieces, 40), 0);
    CHECK(weft_transport_get_write_buffer_size(weft_stream_get_transport(stream)) > 0);
    char some[100];
    CHECK(read(peer, some, sizeof(some)) > 0);
    close(peer);
    int status = weft_stream_drain(stream);
    CHECK(status < 0);
    end(stream);
    return 0;
}

Test(sigpipe, is_not_raised_by_what_is_sent_as_the_peer_goes, .timeout = 20)
{
    run_with_sigpipe(go_in_the_middle);
}

static int write_after_the_end(void *arg, void **result_out)
{
    int peer;
    struct weft_stream *stream = stream_to(&peer);
    (void)arg, (void)result_out;
    CHECK_EQ(weft_stream_write(stream, "last", 4), 0);
    CHECK_EQ(weft_stream_write_eof(stream), 0);
    CHECK_EQ(weft_stream_write(stream, "late", 4), -EPIPE);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_stream_write(stream, "late", 4), -EPIPE);
    close(peer);
    (void)weft_yield();
    CHECK_EQ(weft_stream_write(stream, "late", 4), -EPIPE);
    end(stream);
    return 0;
}

Test(sigpipe, is_not_raised_by_a_write_after_the_own_end, .timeout = 20)
{
    run_with_sigpipe(write_after_the_end);
}

/* The other side of shutdown(SHUT_RD): the peer reads no more, but has not closed. */
static int write_to_deaf(void *arg, void **result_out)
{
    int peer;
    struct weft_stream *stream = stream_to(&peer);
    (void)arg, (void)result_out;
    CHECK_EQ(shutdown(peer, SHUT_RD), 0);
    for (int i = 0; i < 3; i++) {
        (void)weft_stream_write(stream, bytes, 100);
        (void)weft_yield();
    }
    end(stream);
    close(peer);
    return 0;
}

Test(sigpipe, is_not_raised_by_writes_to_a_peer_that_reads_no_more, .timeout = 20)
{
    run_with_sigpipe(write_to_deaf);
}

/* ---- operations: a pipe has no flag for it -------------------------------------------------------------------------------------------- */

static int operation_done(struct weft_operation *operation, int result, unsigned flags)
{
    (void)operation, (void)result, (void)flags;
    return 0;
}

static int send_once(struct weft_file *file)
{
    struct weft_operation operation;
    weft_operation_send(&operation, file, "x", 1, operation_done);
    return loop_submit(weft_get_running_loop(), &operation);
}

static int send_pieces(struct weft_file *file)
{
    struct weft_operation operation;
    struct iovec pieces[2] = {{"x", 1}, {"y", 1}};
    weft_operation_sendv(&operation, file, pieces, 2, operation_done);
    return loop_submit(weft_get_running_loop(), &operation);
}

static int send_message(struct weft_file *file)
{
    struct weft_operation operation;
    struct iovec piece = {"x", 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    weft_operation_sendmsg(&operation, file, &message, operation_done);
    return loop_submit(weft_get_running_loop(), &operation);
}

static void file_close(struct weft_file *file)
{
    struct weft_operation operation;
    weft_operation_close(&operation, file, operation_done);
    CHECK_EQ(loop_submit(weft_get_running_loop(), &operation), 0);
}

static int operate_on_broken(void *arg, void **result_out)
{
    struct weft_file file;
    int fds[2];
    (void)arg, (void)result_out;
    CHECK_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    weft_file_init(&file, fds[1], WEFT_FILE_PIPE);
    close(fds[0]);
    CHECK_EQ(send_once(&file), -EPIPE);
    CHECK_EQ(send_pieces(&file), -EPIPE);
    file_close(&file);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0); /* blocking: no operation may lean on that */
    weft_file_init(&file, fds[1], WEFT_FILE_STREAM);
    close(fds[0]);
    CHECK_EQ(send_once(&file), -EPIPE);
    CHECK_EQ(send_pieces(&file), -EPIPE);
    CHECK_EQ(send_message(&file), -EPIPE);
    file_close(&file);
    return 0;
}

Test(sigpipe, is_not_raised_by_operations_on_broken_pipes_and_sockets, .timeout = 20)
{
    run_with_sigpipe(operate_on_broken);
}

/* One that was pending before, and blocked, is somebody else's, and stays. */
static int operate_beside_a_pending_one(void *arg, void **result_out)
{
    struct weft_file file;
    sigset_t pipe_only, before, pending;
    int fds[2];
    (void)arg, (void)result_out;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &pipe_only, &before), 0);
    CHECK_EQ(raise(SIGPIPE), 0);
    CHECK_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    weft_file_init(&file, fds[1], WEFT_FILE_PIPE);
    close(fds[0]);
    CHECK_EQ(send_once(&file), -EPIPE);
    file_close(&file);
    CHECK_EQ(sigpending(&pending), 0);
    CHECK(sigismember(&pending, SIGPIPE));
    int number;
    CHECK_EQ(sigwait(&pipe_only, &number), 0);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    return 0;
}

Test(sigpipe, that_was_pending_before_is_left_alone, .timeout = 20)
{
    run_with_sigpipe(operate_beside_a_pending_one);
}
