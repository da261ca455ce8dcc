/*
 * No descriptor of the library's goes to another program: a child is executed while a runtime lives with all it can have open, and lists
 * what it has got.
 *
 * The child is a shell that reads its own /proc/…/fd; what this process had open before the runtime was made is its harness's, and does
 * not count.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

#include "lib/loop/loop.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/future.h"
#include "weft/operation.h"
#include "weft/resolve.h"
#include "weft/runtime.h"
#include "weft/server.h"
#include "weft/stream.h"

enum { FDS_MAX = 1024 };

static bool was_open[FDS_MAX];

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void remember_open(void)
{
    for (int fd = 0; fd < FDS_MAX; fd++)
        was_open[fd] = is_open(fd);
}

static int opened_count(void)
{
    int count = 0;
    for (int fd = 0; fd < FDS_MAX; fd++)
        count += is_open(fd) && !was_open[fd];
    return count;
}

/* Each descriptor that the child has beside the harness's, in its own words. */
static void list_in_child(char *text, int len)
{
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)dup2(fds[1], 1);
        (void)execl("/bin/sh", "sh", "-c", "for fd in /proc/$$/fd/*; do echo \"${fd##*/} $(readlink \"$fd\")\"; done", (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    int used = 0;
    ssize_t count;
    while ((count = read(fds[0], text + used, (size_t)(len - 1 - used))) > 0)
        used += (int)count;
    text[used] = '\0';
    close(fds[0]);
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void check_child_got_none(void)
{
    char text[4096];
    list_in_child(text, sizeof(text));
    int seen = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), seen++) {
        int fd = atoi(line);
        bool is_ours =
            strstr(line, "socket:") != NULL || strstr(line, "anon_inode:") != NULL; /* the library makes no pipes; the shell does */
        if (is_ours && fd > 2 && fd < FDS_MAX && !was_open[fd])
            test_fail(__FILE__, __LINE__, "a child has inherited descriptor %s", line);
    }
    CHECK(seen >= 3);
}

/* ---- a runtime with all that it can have open ---------------------------------------------------------------------------------------- */

struct stage {
    struct weft_server *servers[3];
    struct weft_stream *streams[3];
    int given[2]; /* a socket pair, inheritable: one end is given to the library */
    int passed[2];
    char path[64];
};

static int hold(struct weft_stream *stream, void *arg)
{
    char byte;
    (void)arg;
    return weft_stream_read(stream, &byte, 1);
}

static void serve_and_connect(struct stage *stage, int index, struct weft_server_options *server,
                              struct weft_connection_options *connection)
{
    CHECK_EQ(weft_loop_start_stream_server(weft_get_running_loop(), hold, NULL, server, &stage->servers[index]), 0);
    if (connection->path == NULL)
        connection->port = (uint16_t)weft_server_get_port(stage->servers[index]);
    CHECK_EQ(weft_stream_open(connection, &stage->streams[index]), 0);
}

static void open_servers(struct stage *stage)
{
    struct weft_server_options server = WEFT_SERVER_OPTIONS;
    struct weft_connection_options connection = WEFT_CONNECTION_OPTIONS;
    server.host = connection.host = "127.0.0.1";
    serve_and_connect(stage, 0, &server, &connection);
    server = (struct weft_server_options)WEFT_SERVER_OPTIONS;
    connection = (struct weft_connection_options)WEFT_CONNECTION_OPTIONS;
    server.path = connection.path = stage->path;
    serve_and_connect(stage, 1, &server, &connection);
    server = (struct weft_server_options)WEFT_SERVER_OPTIONS;
    connection = (struct weft_connection_options)WEFT_CONNECTION_OPTIONS;
    connection.host = "localhost"; /* through the executor and the resolver */
    connection.family = AF_INET;
    server.fd = socket(AF_INET, SOCK_STREAM, 0); /* inheritable until the server has it */
    CHECK(server.fd >= 0);
    serve_and_connect(stage, 2, &server, &connection);
}

static int message_done(struct weft_operation *operation, int result, unsigned flags)
{
    (void)operation, (void)result, (void)flags;
    return 0;
}

static void send_descriptor(int to, int fd)
{
    char byte = 'x';
    struct iovec piece = {&byte, 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = ""};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
    CHECK_EQ(sendmsg(to, &message, 0), 1);
}

/* A descriptor that comes in a message. */
static int receive_descriptor(int from)
{
    struct weft_operation operation;
    struct weft_file file;
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    weft_file_init(&file, from, WEFT_FILE_STREAM);
    weft_operation_recvmsg(&operation, &file, &message, message_done);
    CHECK_EQ(loop_submit(weft_get_running_loop(), &operation), 1);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    CHECK(header != NULL);
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

static int play(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_stream *given;
    (void)result_out;
    open_servers(stage);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, stage->given), 0);
    CHECK_EQ(weft_stream_from_socket(weft_get_running_loop(), stage->given[0], &given), 0);
    CHECK_EQ(fcntl(stage->given[1], F_SETFD, FD_CLOEXEC), 0); /* the test's own end */
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage->passed), 0);
    send_descriptor(stage->passed[0], stage->passed[0]);
    int received = receive_descriptor(stage->passed[1]);
    CHECK_EQ(weft_sleep(1000000), 0); /* the servers have accepted */
    CHECK_EQ(weft_server_connection_count(stage->servers[0]), 1);
    CHECK(opened_count() >= 3 * 3 + 2 + 2 + 1 + 4);
    check_child_got_none();
    close(received);
    close(stage->passed[0]);
    close(stage->passed[1]);
    close(stage->given[1]);
    CHECK_EQ(weft_stream_close(given), 0);
    weft_stream_unref(given);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_stream_close(stage->streams[i]), 0);
        weft_stream_unref(stage->streams[i]);
        CHECK_EQ(weft_server_close(stage->servers[i]), 0);
        weft_server_unref(stage->servers[i]);
    }
    return 0;
}

Test(inheritance, leaves_no_descriptor_of_a_runtimes_to_a_child, .timeout = 30)
{
    struct stage stage = {.path = ""};
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_coro *coro;
    char folder[] = "/tmp/weft-inherit-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(stage.path, sizeof(stage.path), "%s/socket", folder);
    remember_open();
    options.loops = 2;
    CHECK_EQ(weft_fiber_new(play, &stage, NULL, &coro), 0);
    CHECK_EQ(weft_run(coro, &options, NULL), 0);
    CHECK_EQ(rmdir(folder), 0); /* the path went with its server */
}
