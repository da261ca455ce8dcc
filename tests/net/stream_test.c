/*
 * Streams: what fibers read and write, how waits end, and the server that starts a fiber for each connection.
 */
#include "weft/stream.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "tests/net/scene.h"
#include "weft/fiber.h"
#include "weft/memory.h"

/* One stream over a socket pair, and the fibers that a test starts on it. */
struct stage {
    struct scene scene;
    struct weft_stream *stream;
    int fd;
    char buf[200000];
    size_t count;
    int result;
    int ended;
};

static void stage_open(struct stage *stage)
{
    int fds[2];
    memset(stage, 0, sizeof(*stage));
    scene_open(&stage->scene);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    stage->fd = fds[1];
    CHECK_EQ(weft_stream_from_socket(stage->scene.loop, fds[0], &stage->stream), 0);
}

static void stage_close(struct stage *stage)
{
    weft_stream_unref(stage->stream);
    if (stage->fd >= 0)
        close(stage->fd);
    scene_close(&stage->scene);
}

static struct weft_task *start(struct stage *stage, weft_fiber_fn *fn)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_fiber(stage->scene.loop, fn, stage, &task), 0);
    return task;
}

static void finish(struct stage *stage, struct weft_task *task)
{
    RUN_UNTIL(&stage->scene, weft_future_done(&task->future));
    (void)weft_future_result(&task->future, NULL);
    weft_task_unref(task);
}

static void run(struct stage *stage, weft_fiber_fn *fn)
{
    finish(stage, start(stage, fn));
}

static struct stage *stage;

static void feed(const char *text)
{
    plain_write(stage->fd, text);
}

static void feed_many(size_t bytes)
{
    char block[4096];
    memset(block, 'x', sizeof(block));
    while (bytes > 0) {
        ssize_t count = send(stage->fd, block, bytes < sizeof(block) ? bytes : sizeof(block), MSG_DONTWAIT);
        bytes -= count > 0 ? (size_t)count : 0;
        scene_turn(&stage->scene);
    }
}

static void end(void)
{
    close(stage->fd);
    stage->fd = -1;
}

static int read_some(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    stage->result = weft_stream_read(stage->stream, stage->buf, sizeof(stage->buf));
    stage->ended++;
    return 0;
}

static int read_five(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    stage->count = 77;
    stage->result = weft_stream_read_exactly(stage->stream, stage->buf, 5, &stage->count);
    stage->ended++;
    return 0;
}

static int read_lots(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    stage->result = weft_stream_read_exactly(stage->stream, stage->buf, sizeof(stage->buf), &stage->count);
    return 0;
}

static int read_line(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    stage->result = weft_stream_readline(stage->stream, stage->buf, 100);
    return 0;
}

static int read_until_crlf(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    stage->result = weft_stream_read_until(stage->stream, "\r\n", 2, stage->buf, sizeof(stage->buf));
    return 0;
}

static int drain(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    stage->result = weft_stream_drain(stage->stream);
    stage->ended++;
    return 0;
}

static int wait_closed(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    stage->result = weft_stream_wait_closed(stage->stream);
    return 0;
}

#define STAGE                                                                                                                              \
    stage = malloc(sizeof(*stage));                                                                                                        \
    stage_open(stage)

#define STRIKE                                                                                                                             \
    stage_close(stage);                                                                                                                    \
    free(stage)

Test(stream, a_read_waits_for_bytes_and_takes_what_is_there, .timeout = 5)
{
    STAGE;
    struct weft_task *task = start(stage, read_some);
    scene_settle(&stage->scene);
    CHECK_EQ(stage->ended, 0);
    feed("hello");
    finish(stage, task);
    CHECK_EQ(stage->result, 5);
    CHECK_EQ(memcmp(stage->buf, "hello", 5), 0);
    CHECK(!weft_stream_at_eof(stage->stream));
    end();
    run(stage, read_some);
    CHECK_EQ(stage->result, 0);
    CHECK(weft_stream_at_eof(stage->stream));
    STRIKE;
}

/* A coroutine of somebody's own that hands on what the fiber in it wants. */
struct wrapper {
    struct weft_coro coro; /* first */
    struct weft_coro *fiber;
};

static int wrapper_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    struct weft_coro *fiber = ((struct wrapper *)coro)->fiber;
    int how = fiber->ops->send(fiber, status, suspend_out);
    CHECK(how != WEFT_CORO_AWAIT || suspend_out->future != NULL);
    return how;
}

static void wrapper_close(struct weft_coro *coro)
{
    struct weft_coro *fiber = ((struct wrapper *)coro)->fiber;
    fiber->ops->close(fiber);
}

Test(stream, a_fiber_in_a_coroutine_of_somebodys_own_awaits_a_future, .timeout = 5)
{
    STAGE;
    static const struct weft_coro_ops ops = {.size = sizeof(ops), .send = wrapper_send, .close = wrapper_close};
    struct wrapper wrapper = {.coro = {&ops}};
    struct weft_task *task;
    CHECK_EQ(weft_fiber_new(read_some, stage, NULL, &wrapper.fiber), 0);
    CHECK_EQ(weft_loop_create_task(stage->scene.loop, &wrapper.coro, NULL, &task), 0);
    scene_settle(&stage->scene);
    CHECK_EQ(stage->ended, 0);
    feed("hello");
    finish(stage, task);
    CHECK_EQ(stage->result, 5);
    STRIKE;
}

Test(stream, bytes_before_the_end_are_read_first, .timeout = 5)
{
    STAGE;
    feed("last");
    end();
    scene_settle(&stage->scene);
    CHECK(!weft_stream_at_eof(stage->stream));
    run(stage, read_some);
    CHECK_EQ(stage->result, 4);
    run(stage, read_some);
    CHECK_EQ(stage->result, 0);
    STRIKE;
}

Test(stream, a_cancelled_read_loses_no_byte, .timeout = 5)
{
    STAGE;
    struct weft_task *task = start(stage, read_five);
    scene_settle(&stage->scene);
    feed("abc");
    scene_settle(&stage->scene);
    CHECK(weft_task_cancel(task, NULL));
    finish(stage, task);
    CHECK_EQ(stage->result, -ECANCELED);
    CHECK_EQ(stage->count, 77);
    feed("de");
    run(stage, read_five);
    CHECK_EQ(stage->result, 0);
    CHECK_EQ(stage->count, 5);
    CHECK_EQ(memcmp(stage->buf, "abcde", 5), 0);
    task = start(stage, read_some);
    scene_settle(&stage->scene);
    feed("f");
    CHECK(weft_task_cancel(task, NULL)); /* the byte and the cancel race */
    finish(stage, task);
    if (stage->result == -ECANCELED)
        run(stage, read_some);
    CHECK_EQ(stage->result, 1);
    STRIKE;
}

static uint64_t bytes_read(void)
{
    struct weft_transport_counters counters;
    CHECK_EQ(weft_loop_get_transport_counters(stage->scene.loop, &counters), 0);
    return counters.bytes_read;
}

/* A reader that is cancelled when the bytes are there already, and it has not run since. */
static void cancel_behind(const char *text)
{
    uint64_t before = bytes_read();
    struct weft_task *task = start(stage, read_some);
    scene_settle(&stage->scene);
    feed(text);
    RUN_UNTIL(&stage->scene, bytes_read() > before);
    CHECK(weft_task_cancel(task, NULL));
    finish(stage, task);
}

Test(stream, a_read_that_is_cancelled_behind_its_bytes_leaves_them, .timeout = 5)
{
    STAGE;
    cancel_behind("abc");
    CHECK_EQ(stage->result, -ECANCELED);
    feed("de");
    run(stage, read_five);
    CHECK_EQ(stage->result, 0);
    CHECK_EQ(memcmp(stage->buf, "abcde", 5), 0);
    STRIKE;
}

static int read_then_pause(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int count = weft_stream_read(stage->stream, stage->buf, sizeof(stage->buf));
    oom_stop();
    stage->result = count < 0 ? count : weft_yield();
    stage->count = (size_t)count;
    return 0;
}

Test(stream, a_read_that_is_cancelled_behind_its_bytes_without_memory_gets_them_first, .timeout = 5)
{
    STAGE;
    uint64_t before = bytes_read();
    struct weft_task *task = start(stage, read_then_pause);
    scene_settle(&stage->scene);
    feed("abc");
    RUN_UNTIL(&stage->scene, bytes_read() > before);
    CHECK(weft_task_cancel(task, NULL));
    oom_start(1);
    finish(stage, task);
    CHECK_EQ(stage->count, 3);
    CHECK_EQ(memcmp(stage->buf, "abc", 3), 0);
    CHECK_EQ(stage->result, -ECANCELED);
    STRIKE;
}

Test(stream, an_end_too_early_gives_what_there_was, .timeout = 5)
{
    STAGE;
    feed("abc");
    end();
    run(stage, read_five);
    CHECK_EQ(stage->result, WEFT_EEOF);
    CHECK_EQ(stage->count, 3);
    CHECK_EQ(memcmp(stage->buf, "abc", 3), 0);
    CHECK(weft_stream_at_eof(stage->stream));
    STRIKE;
}

Test(stream, only_one_task_reads_at_a_time, .timeout = 5)
{
    STAGE;
    struct weft_task *task = start(stage, read_some);
    scene_settle(&stage->scene);
    run(stage, read_some);
    CHECK_EQ(stage->result, -EBUSY);
    feed("x");
    finish(stage, task);
    CHECK_EQ(stage->result, 1);
    STRIKE;
}

Test(stream, lines_are_read_one_by_one_and_the_last_may_lack_its_end, .timeout = 5)
{
    STAGE;
    feed("one\n\ntw");
    run(stage, read_line);
    CHECK_EQ(stage->result, 4);
    run(stage, read_line);
    CHECK_EQ(stage->result, 1);
    struct weft_task *task = start(stage, read_line);
    scene_settle(&stage->scene);
    feed("o\nend");
    finish(stage, task);
    CHECK_EQ(stage->result, 4);
    CHECK_EQ(memcmp(stage->buf, "two\n", 4), 0);
    end();
    run(stage, read_line);
    CHECK_EQ(stage->result, 3);
    run(stage, read_line);
    CHECK_EQ(stage->result, 0);
    STRIKE;
}

Test(stream, a_separator_may_come_in_two_pieces, .timeout = 5)
{
    STAGE;
    struct weft_task *task = start(stage, read_until_crlf);
    scene_settle(&stage->scene);
    feed("header\r");
    scene_settle(&stage->scene);
    feed("\nrest");
    finish(stage, task);
    CHECK_EQ(stage->result, 8);
    end();
    run(stage, read_until_crlf);
    CHECK_EQ(stage->result, WEFT_EEOF);
    run(stage, read_some);
    CHECK_EQ(stage->result, 4); /* nothing was lost */
    STRIKE;
}

Test(stream, a_record_beyond_the_limit_is_refused_and_stays, .timeout = 5)
{
    STAGE;
    CHECK_EQ(weft_stream_set_limit(stage->stream, 0), -EINVAL);
    CHECK_EQ(weft_stream_set_limit(stage->stream, 10), 0);
    feed("0123456789\r\n");
    run(stage, read_until_crlf);
    CHECK_EQ(stage->result, 12);
    feed("0123456789a\r\n");
    run(stage, read_until_crlf);
    CHECK_EQ(stage->result, WEFT_ELIMIT);
    feed("bcdefghijk");
    scene_settle(&stage->scene);
    run(stage, read_until_crlf);
    CHECK_EQ(stage->result, WEFT_ELIMIT);
    run(stage, read_some);
    CHECK(stage->result >= 13);
    STRIKE;
}

Test(stream, a_line_longer_than_the_buffer_is_refused_and_stays, .timeout = 5)
{
    STAGE;
    feed_many(150);
    feed("\n");
    run(stage, read_line);
    CHECK_EQ(stage->result, WEFT_ELIMIT);
    run(stage, read_some);
    CHECK_EQ(stage->result, 151);
    STRIKE;
}

Test(stream, a_peer_that_sends_more_than_twice_the_limit_is_paused, .timeout = 10)
{
    STAGE;
    CHECK_EQ(weft_stream_set_limit(stage->stream, 1000), 0);
    scene_settle(&stage->scene);
    feed_many(3000);
    scene_settle(&stage->scene);
    CHECK(!weft_transport_is_reading(weft_stream_get_transport(stage->stream)));
    run(stage, read_some);
    CHECK(stage->result >= 2000);
    CHECK(weft_transport_is_reading(weft_stream_get_transport(stage->stream)));
    STRIKE;
}

Test(stream, more_than_the_limit_can_be_read_at_once, .timeout = 10)
{
    STAGE;
    CHECK_EQ(weft_stream_set_limit(stage->stream, 1000), 0);
    struct weft_task *task = start(stage, read_lots);
    feed_many(sizeof(stage->buf));
    finish(stage, task);
    CHECK_EQ(stage->result, 0);
    CHECK_EQ(stage->count, sizeof(stage->buf));
    STRIKE;
}

Test(stream, drain_waits_only_while_paused, .timeout = 5)
{
    static char block[1 << 20];
    STAGE;
    run(stage, drain);
    CHECK_EQ(stage->result, 0);
    CHECK_EQ(weft_stream_write(stage->stream, block, sizeof(block)), 0);
    struct weft_task *first = start(stage, drain), *second = start(stage, drain);
    scene_settle(&stage->scene);
    CHECK_EQ(stage->ended, 1);
    CHECK(weft_task_cancel(first, NULL));
    finish(stage, first);
    CHECK_EQ(stage->result, -ECANCELED);
    scene_settle(&stage->scene);
    CHECK_EQ(stage->ended, 2); /* one's cancel is not the other's */
    while (!weft_future_done(&second->future)) {
        (void)plain_read(stage->fd, block, sizeof(block));
        scene_turn(&stage->scene);
    }
    finish(stage, second);
    CHECK_EQ(stage->result, 0);
    STRIKE;
}

Test(stream, a_lost_connection_wakes_all_who_wait, .timeout = 5)
{
    static char block[1 << 20];
    STAGE;
    CHECK_EQ(weft_stream_write(stage->stream, block, sizeof(block)), 0);
    struct weft_task *reader = start(stage, read_some), *drainer = start(stage, drain);
    scene_settle(&stage->scene);
    CHECK_EQ(weft_transport_abort(weft_stream_get_transport(stage->stream)), 0);
    finish(stage, reader);
    CHECK_EQ(stage->ended, 2);
    finish(stage, drainer);
    CHECK_EQ(stage->result, WEFT_ELOST);
    run(stage, read_some);
    CHECK_EQ(stage->result, 0);
    CHECK_EQ(weft_stream_write(stage->stream, "x", 1), 0);
    STRIKE;
}

Test(stream, what_broke_the_connection_is_told_after_the_bytes, .timeout = 5)
{
    STAGE;
    feed("x");
    scene_settle(&stage->scene);
    CHECK_EQ(weft_transport_pause_reading(weft_stream_get_transport(stage->stream)), 0);
    end();
    CHECK_EQ(weft_stream_write(stage->stream, "y", 1), 0);
    scene_settle(&stage->scene);
    run(stage, read_some);
    CHECK_EQ(stage->result, 1);
    run(stage, read_some);
    CHECK_EQ(stage->result, -EPIPE);
    run(stage, read_five);
    CHECK_EQ(stage->result, -EPIPE);
    run(stage, wait_closed);
    CHECK_EQ(stage->result, -EPIPE);
    STRIKE;
}

Test(stream, half_close_and_close_send_what_was_written, .timeout = 5)
{
    STAGE;
    char buf[16];
    CHECK_EQ(weft_stream_write(stage->stream, "bye", 3), 0);
    CHECK_EQ(weft_stream_write_eof(stage->stream), 0);
    CHECK_EQ(weft_stream_write(stage->stream, "x", 1), -EPIPE);
    scene_settle(&stage->scene);
    CHECK_EQ(plain_read(stage->fd, buf, sizeof(buf)), 3);
    CHECK_EQ(plain_read_status(stage->fd), 0);
    CHECK_EQ(weft_stream_close(stage->stream), 0);
    CHECK_EQ(weft_stream_close(stage->stream), 0);
    run(stage, wait_closed);
    CHECK_EQ(stage->result, 0);
    STRIKE;
}

Test(stream, the_last_reference_closes, .timeout = 5)
{
    STAGE;
    CHECK_EQ(weft_stream_write(stage->stream, "bye", 3), 0);
    weft_stream_unref(stage->stream);
    stage->stream = NULL;
    scene_settle(&stage->scene);
    char buf[16];
    CHECK_EQ(plain_read(stage->fd, buf, sizeof(buf)), 3);
    CHECK_EQ(plain_read_status(stage->fd), 0);
    STRIKE;
}

/* Memory that is freed is overwritten, for who looks at it nevertheless. */
static struct weft_memory tidy;

static void spoiling_free(void *ptr)
{
    if (ptr != NULL)
        memset(ptr, 0xdb, malloc_usable_size(ptr));
    tidy.free(ptr);
}

static int wait_while_all_others_let_go(weft_fiber_fn *fn)
{
    STAGE;
    tidy = memory_get();
    struct weft_memory spoiling = tidy;
    spoiling.free = spoiling_free;
    CHECK_EQ(weft_memory_set(&spoiling), 0);
    struct weft_task *task = start(stage, fn);
    scene_settle(&stage->scene);
    CHECK_EQ(weft_transport_abort(weft_stream_get_transport(stage->stream)), 0);
    weft_stream_unref(stage->stream);
    stage->stream = NULL;
    finish(stage, task);
    int result = stage->result;
    CHECK_EQ(weft_memory_set(&tidy), 0);
    STRIKE;
    return result;
}

Test(stream, a_call_that_waits_keeps_its_stream, .timeout = 5)
{
    CHECK_EQ(wait_while_all_others_let_go(read_some), 0);
    CHECK_EQ(wait_while_all_others_let_go(read_five), WEFT_EEOF);
    CHECK_EQ(wait_while_all_others_let_go(wait_closed), 0);
}

Test(stream, waits_need_a_fiber_and_sound_arguments, .timeout = 5)
{
    STAGE;
    char byte;
    CHECK_EQ(weft_stream_read(stage->stream, &byte, 1), WEFT_ENOFIBER);
    CHECK_EQ(weft_stream_wait_closed(stage->stream), WEFT_ENOFIBER);
    CHECK_EQ(weft_stream_read(NULL, &byte, 1), -EINVAL);
    CHECK_EQ(weft_stream_read(stage->stream, NULL, 1), -EINVAL);
    CHECK_EQ(weft_stream_read(stage->stream, NULL, 0), 0);
    CHECK_EQ(weft_stream_read_until(stage->stream, "", 0, &byte, 1), -EINVAL);
    CHECK_EQ(weft_stream_drain(NULL), -EINVAL);
    CHECK_EQ(weft_stream_write(NULL, "x", 1), -EINVAL);
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_stream *stream;
    CHECK_EQ(weft_stream_open(&options, &stream), WEFT_ENOFIBER);
    STRIKE;
}

Test(stream, a_loop_that_closes_lets_its_readers_return, .timeout = 5)
{
    STAGE;
    struct weft_task *task = start(stage, read_some);
    scene_settle(&stage->scene);
    weft_task_unref(task);
    weft_stream_unref(stage->stream);
    stage->stream = NULL;
    STRIKE;
}

/* ---- servers and clients ---- */

static int echo(struct weft_stream *stream, void *arg)
{
    char buf[4096];
    int count;
    (void)arg;
    while ((count = weft_stream_read(stream, buf, sizeof(buf))) > 0) {
        int status = weft_stream_write(stream, buf, (size_t)count);
        if (status == 0)
            status = weft_stream_drain(stream);
        if (status < 0)
            return status;
    }
    return count;
}

static int fail(struct weft_stream *stream, void *arg)
{
    (void)stream, (void)arg;
    return -EPROTO;
}

struct client {
    struct weft_server *server;
    uint16_t port;
    int result;
    char buf[16];
};

static int talk(void *arg, void **result_out)
{
    struct client *client = arg;
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_stream *stream;
    (void)result_out;
    options.host = "127.0.0.1";
    options.port = client->port;
    client->result = weft_stream_open(&options, &stream);
    if (client->result < 0)
        return 0;
    CHECK_EQ(weft_stream_write(stream, "hello", 5), 0);
    client->result = weft_stream_read_exactly(stream, client->buf, 5, NULL);
    CHECK_EQ(weft_stream_close(stream), 0);
    int status = weft_stream_wait_closed(stream);
    CHECK(status == 0 || status == -ECONNRESET); /* a server that goes with bytes unread resets */
    weft_stream_unref(stream);
    return 0;
}

static struct weft_server *stream_serve_local(struct scene *scene, weft_stream_client_fn *fn)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    options.host = "127.0.0.1";
    CHECK_EQ(weft_loop_start_stream_server(scene->loop, fn, NULL, &options, &server), 0);
    return server;
}

static void run_client(struct scene *scene, struct client *client)
{
    if (weft_server_is_serving(client->server))
        client->port = (uint16_t)weft_server_get_port(client->server);
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_fiber(scene->loop, talk, client, &task), 0);
    RUN_UNTIL(scene, weft_future_done(&task->future));
    CHECK_EQ(weft_future_result(&task->future, NULL), 0);
    weft_task_unref(task);
}

Test(stream, a_server_runs_a_fiber_for_each_connection, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct client client = {.server = stream_serve_local(&scene, echo)};
    for (int i = 0; i < 3; i++) {
        run_client(&scene, &client);
        CHECK_EQ(client.result, 0);
        CHECK_EQ(memcmp(client.buf, "hello", 5), 0);
    }
    CHECK_EQ(weft_server_close(client.server), 0);
    scene_settle(&scene);
    CHECK_EQ(weft_server_connection_count(client.server), 0);
    weft_server_unref(client.server);
    CHECK_EQ(scene.reports, 0);
    scene_close(&scene);
}

Test(stream, a_client_function_that_fails_is_reported_and_its_stream_closed, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct client client = {.server = stream_serve_local(&scene, fail)};
    run_client(&scene, &client);
    CHECK_EQ(client.result == WEFT_EEOF || client.result == -ECONNRESET, 1);
    CHECK_EQ(scene.reports, 1);
    CHECK_EQ(scene.report_status, -EPROTO);
    weft_server_unref(client.server);
    scene_close(&scene);
}

Test(stream, a_refused_open_tells_why, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct client client = {.server = stream_serve_local(&scene, echo)};
    client.port = (uint16_t)weft_server_get_port(client.server);
    CHECK_EQ(weft_server_close(client.server), 0);
    scene_settle(&scene);
    run_client(&scene, &client);
    CHECK_EQ(client.result, -ECONNREFUSED);
    weft_server_unref(client.server);
    scene_close(&scene);
}

Test(stream, a_loop_may_close_with_fibers_in_every_state, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server *server = stream_serve_local(&scene, echo);
    int waiting = plain_connect(weft_server_get_port(server));
    scene_settle(&scene);
    CHECK_EQ(weft_server_connection_count(server), 1);
    int fresh = plain_connect(weft_server_get_port(server));
    while (weft_server_connection_count(server) < 2)
        scene_turn(&scene);
    weft_server_unref(server);
    scene_close(&scene);
    close(waiting);
    close(fresh);
}

Test(stream, every_allocation_of_an_echo_may_fail, .timeout = 30)
{
    for (uint64_t n = 1;; n++) {
        struct scene scene;
        scene_open(&scene);
        struct weft_server *server = stream_serve_local(&scene, echo);
        scene_settle(&scene);
        int fd = plain_connect(weft_server_get_port(server));
        plain_write(fd, "hello");
        oom_start(n);
        int status;
        do
            scene_turn(&scene);
        while ((status = plain_read_status(fd)) == -EAGAIN && scene.reports == 0);
        bool was_refused = oom_stop();
        scene_settle(&scene);
        CHECK(status == 1 || was_refused);
        close(fd);
        scene_settle(&scene);
        weft_server_unref(server);
        scene_close(&scene);
        if (!was_refused)
            break;
    }
}
