/*
 * Scenarios of streams: a server and a client in one, on simulated sockets and on the kernel's.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/test.h"
#include "tests/sweep/net.h"
#include "tests/sweep/sweep.h"

/* A peer that went away is no failure of the one who serves it. */
static int ended(int status)
{
    return status == -ENOMEM ? status : 0;
}

static int echo(struct weft_stream *stream, void *arg)
{
    char buf[64];
    int count;
    (void)arg;
    while ((count = weft_stream_read(stream, buf, sizeof(buf))) > 0) {
        int status = weft_stream_write(stream, buf, (size_t)count);
        if (status == 0)
            status = weft_stream_drain(stream);
        if (status < 0)
            return ended(status);
    }
    return ended(count);
}

/* Serve with `serve`, and run `client` over a connection to it. */
static int with_server(struct stage *stage, weft_stream_client_fn *serve, int (*client)(struct stage *stage, struct weft_stream *stream))
{
    struct weft_server_options options = net_server_options();
    struct weft_connection_options to = net_connection_options();
    struct weft_server *server;
    struct weft_stream *stream;
    int status = weft_loop_start_stream_server(stage->loop, serve, stage, &options, &server);
    if (status < 0)
        return status;
    status = weft_stream_open(&to, &stream);
    if (status == 0)
        status = net_end_stream(stream, client(stage, stream));
    return net_end_server(stage, server, status);
}

static int ask(struct stage *stage, struct weft_stream *stream)
{
    char heard[8];
    (void)stage;
    int status = weft_stream_write(stream, "hello", 5);
    if (status == 0)
        status = weft_stream_drain(stream);
    if (status == 0)
        status = weft_stream_read_exactly(stream, heard, 5, NULL);
    CHECK(status < 0 || memcmp(heard, "hello", 5) == 0);
    return status;
}

static int echo_once(void *arg, void **result_out)
{
    (void)result_out;
    return with_server(arg, echo, ask);
}

/* ---- lines ----------------------------------------------------------------------------------------------------------------------- */

static int say_lines(struct weft_stream *stream, void *arg)
{
    static const char *const pieces[] = {"one\ntw", "o\nthr", "ee;1234", "rest"};
    (void)arg;
    for (int i = 0; i < 4; i++) {
        int status = weft_stream_write(stream, pieces[i], strlen(pieces[i]));
        if (status == 0)
            status = weft_sleep(10);
        if (status < 0)
            return status == -ECANCELED ? status : ended(status);
    }
    return ended(weft_stream_write_eof(stream));
}

/* A line of at least `len` bytes, or the end came early. */
static int hear_line(struct weft_stream *stream, int len)
{
    char buf[16];
    int count = weft_stream_readline(stream, buf, sizeof(buf));
    return count >= 0 && count < len ? WEFT_EEOF : count;
}

static int hear_lines(struct stage *stage, struct weft_stream *stream)
{
    char buf[16];
    size_t count;
    (void)stage;
    int status = weft_stream_set_limit(stream, 10);
    if (status == 0)
        status = hear_line(stream, 4);
    if (status >= 0)
        status = hear_line(stream, 4);
    if (status >= 0)
        status = weft_stream_read_until(stream, ";", 1, buf, sizeof(buf));
    if (status >= 0)
        status = weft_stream_read_exactly(stream, buf, 4, NULL);
    if (status >= 0 && (status = weft_stream_read_exactly(stream, buf, 5, &count)) == WEFT_EEOF)
        status = 0;
    CHECK(status < 0 || count == 4);
    return status;
}

static int lines(void *arg, void **result_out)
{
    (void)result_out;
    return with_server(arg, say_lines, hear_lines);
}

/* ---- much ------------------------------------------------------------------------------------------------------------------------ */

enum { PIECE = 60000, PIECES = 6 };

/* Reads late, so that the other has to wait. */
static int swallow(struct weft_stream *stream, void *arg)
{
    static char buf[PIECE];
    int count;
    (void)arg;
    do {
        int status = weft_sleep(10 * MICROSECOND);
        if (status < 0)
            return status == -ECANCELED ? status : ended(status);
        count = weft_stream_read(stream, buf, sizeof(buf));
    } while (count > 0);
    return ended(count);
}

static int pour(struct stage *stage, struct weft_stream *stream)
{
    static char piece[PIECE];
    int status = 0;
    (void)stage;
    for (int i = 0; i < PIECES && status == 0; i++) {
        status = weft_stream_write(stream, piece, sizeof(piece));
        if (status == 0)
            status = weft_stream_drain(stream);
    }
    return status;
}

static int flood(void *arg, void **result_out)
{
    (void)result_out;
    return with_server(arg, swallow, pour);
}

/* ---- two readers ----------------------------------------------------------------------------------------------------------------- */

static int read_one(void *arg, void **result_out)
{
    char buf[1];
    (void)result_out;
    int status = weft_stream_read(arg, buf, 1);
    return status < 0 ? status : 0;
}

/* One task reads; a second is refused; the first is cancelled, and loses no byte. */
static int share(struct stage *stage, struct weft_stream *stream)
{
    struct weft_future *reading;
    int status = stage_fiber(stage, read_one, stream, &reading);
    if (status < 0)
        return status;
    status = weft_yield();
    if (status == 0 && !weft_future_done(reading))
        CHECK_EQ(read_one(stream, NULL), -EBUSY);
    (void)weft_future_cancel(reading, NULL);
    status = net_wait_surely(reading, status);
    return status < 0 ? status : ask(stage, stream);
}

static int two_readers(void *arg, void **result_out)
{
    (void)result_out;
    return with_server(arg, echo, share);
}

/* ---- from another loop ----------------------------------------------------------------------------------------------------------- */

struct visit {
    struct stage *stage;
    struct weft_stream *stream;
};

static int visit(void *arg, void **result_out)
{
    struct visit *visit = arg;
    (void)result_out;
    return ask(visit->stage, visit->stream);
}

static int use_elsewhere(struct stage *stage, struct weft_stream *stream)
{
    static struct visit what;
    struct weft_coro *coro;
    struct weft_task *task;
    what = (struct visit){stage, stream};
    int status = weft_fiber_new(visit, &what, NULL, &coro);
    if (status == 0)
        status = weft_loop_create_task_threadsafe(stage->other, coro, NULL, &task);
    if (status < 0)
        return status;
    stage_keep(stage, &task->future);
    status = weft_await(&task->future, NULL);
    return status < 0 ? net_wait_surely(&task->future, status) : status;
}

static int from_another_loop(void *arg, void **result_out)
{
    (void)result_out;
    return with_server(arg, echo, use_elsewhere);
}

/* ---- a socket of one's own ------------------------------------------------------------------------------------------------------- */

static int over_pair(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_stream *stream;
    int fds[2];
    char buf[4];
    (void)result_out;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    int status = weft_stream_from_socket(stage->loop, fds[0], &stream);
    if (status < 0) {
        close(fds[0]);
        close(fds[1]);
        return status;
    }
    CHECK_EQ(write(fds[1], "abc", 3), 3);
    status = weft_stream_read_exactly(stream, buf, 3, NULL);
    close(fds[1]);
    if (status == 0)
        status = weft_stream_read(stream, buf, 1);
    return net_end_stream(stream, status);
}

/* A connection that the server could not make, or make go on, ends for its client. */
#define BROKEN                                                                                                                             \
    {                                                                                                                                      \
        WEFT_EEOF, -ECONNRESET, -EPIPE, WEFT_ELOST, WEFT_ECLOSING                                                                          \
    }

static const struct scenario scenarios[] = {
    {.name = "stream_echo", .kind = ON_SIM, .body = echo_once, .statuses = BROKEN},
    {.name = "stream_echo_epoll", .kind = ON_EPOLL, .body = echo_once, .statuses = BROKEN},
    {.name = "stream_lines", .kind = ON_SIM, .body = lines, .statuses = BROKEN},
    {.name = "stream_lines_epoll", .kind = ON_EPOLL, .body = lines, .statuses = BROKEN, .flags = HAS_THREADS},
    {.name = "stream_flood", .kind = ON_SIM, .body = flood, .statuses = BROKEN},
    {.name = "stream_flood_epoll", .kind = ON_EPOLL, .body = flood, .statuses = BROKEN, .flags = HAS_THREADS},
    {.name = "stream_two_readers", .kind = ON_SIM, .body = two_readers, .statuses = BROKEN},
    {.name = "stream_from_another_loop", .kind = ON_TWO, .body = from_another_loop, .statuses = BROKEN},
    {.name = "stream_of_spawned", .kind = ON_TWO, .body = from_another_loop, .flags = MAIN_IS_SPAWNED, .statuses = BROKEN},
    {.name = "stream_over_pair", .kind = ON_EPOLL, .body = over_pair},
};

ROOM(stream_scenarios, scenarios);
