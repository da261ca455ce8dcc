/*
 * Visits (ADD-11): a stream is used by fibers of other loops, which go to its loop for each call; a pinned one is back when the call returns.
 *
 * The loops have threads of their own. The test's thread is the peer, with plain blocking sockets, and waits for tasks.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/support/test.h"
#include "tests/support/wait.h"
#include "weft/atomic.h"
#include "weft/fiber.h"
#include "weft/group.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/status.h"
#include "weft/step.h"
#include "weft/stream.h"
#include "weft/task.h"
#include "weft/work.h"

enum { LINES = 200, PATIENCE_S = 20 };

#define PATIENCE_NS (PATIENCE_S * INT64_C(1000000000))

/* A stream of loop 1, and the other end of it. */
struct town {
    struct weft_runtime *runtime;
    struct weft_stream *stream;
    int fd;
    uint32_t waiting; /* atomic: fibers that are about to wait */
    uint64_t lines;
};

static struct town town;

static struct weft_loop *loop_of(uint32_t index)
{
    return weft_runtime_loop(town.runtime, index);
}

/* A connected pair; the first end is for weft, and what goes wrong with the second ends after some seconds. */
static void make_pair(int *fds)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
}

static void town_prepare(uint32_t loops)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    int fds[2];
    options.loops = loops;
    memset(&town, 0, sizeof(town));
    make_pair(fds);
    town.fd = fds[1];
    CHECK_EQ(weft_runtime_create(&options, &town.runtime), 0);
    CHECK_EQ(weft_stream_from_socket(loop_of(1), fds[0], &town.stream), 0);
}

static void town_open(uint32_t loops)
{
    town_prepare(loops);
    CHECK_EQ(weft_runtime_start(town.runtime), 0);
}

static void town_close(void)
{
    CHECK_EQ(weft_runtime_stop(town.runtime), 0);
    weft_stream_unref(town.stream);
    CHECK_EQ(weft_runtime_shutdown(town.runtime, PATIENCE_NS), 0);
    weft_runtime_destroy(town.runtime);
    if (town.fd >= 0)
        close(town.fd);
}

static struct weft_task *start_pinned(uint32_t index, weft_fiber_fn *fn, void *arg)
{
    struct weft_coro *coro;
    struct weft_task *task;
    CHECK_EQ(weft_fiber_new(fn, arg, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop_of(index), coro, NULL, &task), 0);
    return task;
}

static struct weft_task *start_stealable(uint32_t index, weft_fiber_fn *fn, void *arg)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_spawn_fiber(loop_of(index), fn, arg, &task), 0);
    return task;
}

static int finish(struct weft_task *task)
{
    int status = weft_future_wait(&task->future, PATIENCE_NS, NULL);
    CHECK(status != -ETIMEDOUT);
    weft_task_unref(task);
    return status;
}

/* ---- echoes ---- */

/* Send lines from the test's thread, and get each back. */
static void converse(int fd)
{
    char line[] = "a line\n", back[sizeof(line)];
    for (int i = 0; i < LINES; i++) {
        line[0] = (char)('a' + i % 26);
        CHECK_EQ(send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL), sizeof(line) - 1);
        CHECK_EQ(recv(fd, back, sizeof(line) - 1, MSG_WAITALL), sizeof(line) - 1);
        CHECK(memcmp(line, back, sizeof(line) - 1) == 0);
    }
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
}

/* Echo lines until the end; `home` is where this code may be, or NULL for anywhere. */
static int echo(struct weft_stream *stream, struct weft_loop *home)
{
    char line[64];
    int count;
    while ((count = weft_stream_readline(stream, line, sizeof(line))) > 0) {
        CHECK(home == NULL || weft_get_running_loop() == home);
        int status = weft_stream_write(stream, line, (size_t)count);
        CHECK(home == NULL || weft_get_running_loop() == home);
        if (status == 0)
            status = weft_stream_drain(stream);
        if (status < 0)
            return status;
        town.lines++;
    }
    CHECK(count < 0 || weft_stream_at_eof(stream));
    return count;
}

static int echo_pinned(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    struct weft_task *before, *after;
    struct weft_loop *home = weft_get_running_loop();
    CHECK_EQ(weft_current_task(&before), 0);
    int status = echo(town.stream, home);
    CHECK_EQ(weft_current_task(&after), 0);
    CHECK(before == after);
    CHECK_EQ(weft_stream_close(town.stream), 0);
    CHECK_EQ(weft_stream_wait_closed(town.stream), 0);
    CHECK(weft_get_running_loop() == home);
    return status;
}

static int echo_anywhere(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    int status = echo(town.stream, NULL);
    CHECK_EQ(weft_stream_close(town.stream), 0);
    CHECK_EQ(weft_stream_wait_closed(town.stream), 0);
    return status;
}

static void run_echo(uint32_t loops, struct weft_task *(*start)(uint32_t, weft_fiber_fn *, void *), weft_fiber_fn *fn)
{
    town_open(loops);
    struct weft_task *task = start(0, fn, NULL);
    converse(town.fd);
    CHECK_EQ(finish(task), 0);
    CHECK_EQ(town.lines, LINES);
    town_close();
}

Test(visit, brings_a_pinned_fiber_back_after_each_call, .timeout = 60)
{
    run_echo(2, start_pinned, echo_pinned);
}

Test(visit, brings_a_pinned_fiber_back_among_four_loops, .timeout = 60)
{
    run_echo(4, start_pinned, echo_pinned);
}

Test(visit, takes_a_stealable_fiber_to_the_stream, .timeout = 60)
{
    run_echo(2, start_stealable, echo_anywhere);
}

Test(visit, takes_a_stealable_fiber_to_the_stream_among_four_loops, .timeout = 60)
{
    run_echo(4, start_stealable, echo_anywhere);
}

/* A group holds a stealable fiber on the loop where it was entered: from the stream it comes back there, as a pinned one does. */
static int echo_in_group(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    struct weft_group group = WEFT_GROUP_INIT;
    int status = weft_group_enter(&group);
    if (status < 0)
        return status;
    status = echo(town.stream, weft_get_running_loop());
    status = weft_group_exit(&group, status);
    weft_stream_close(town.stream);
    return status;
}

Test(visit, brings_a_stealable_fiber_back_to_its_group, .timeout = 60)
{
    run_echo(2, start_stealable, echo_in_group);
}

/* `arg` is a descriptor: all of the stream's life is looked after from another loop. */
static int make_and_use(void *arg, void **result_out)
{
    struct weft_stream *stream;
    struct weft_loop *home = weft_get_running_loop();
    char line[8];
    (void)result_out;
    CHECK_EQ(weft_stream_from_socket(loop_of(1), *(int *)arg, &stream), 0);
    CHECK_EQ(weft_stream_set_limit(stream, 4), 0);
    CHECK(weft_stream_ref(stream) == stream);
    CHECK_EQ(weft_stream_readline(stream, line, sizeof(line)), WEFT_ELIMIT);
    CHECK_EQ(weft_stream_write(stream, "long\n", 5), 0);
    CHECK_EQ(weft_stream_write_eof(stream), 0);
    CHECK(weft_get_running_loop() == home);
    weft_stream_unref(stream);
    CHECK_EQ(weft_stream_read_exactly(stream, line, 7, NULL), 0);
    weft_stream_unref(stream);
    CHECK(weft_get_running_loop() == home);
    return 0;
}

Test(visit, makes_a_stream_for_another_loop, .timeout = 60)
{
    int fds[2];
    char back[5];
    town_open(2);
    make_pair(fds);
    CHECK_EQ(send(fds[1], "longer\n", 7, MSG_NOSIGNAL), 7);
    struct weft_task *task = start_pinned(0, make_and_use, &fds[0]);
    CHECK_EQ(recv(fds[1], back, sizeof(back), MSG_WAITALL), sizeof(back));
    CHECK_EQ(finish(task), 0);
    CHECK_EQ(recv(fds[1], back, sizeof(back), 0), 0);
    close(fds[1]);
    town_close();
}

/* ---- many at once ---- */

enum { STREAMS = 24 };

struct lane {
    struct weft_stream *stream;
    struct weft_loop *home; /* of the pinned fiber that uses it; NULL: a stealable one */
    int fd;
};

static int run_lane(void *arg, void **result_out)
{
    struct lane *lane = arg;
    char byte;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < LINES && status == 0; i++) {
        status = weft_stream_read_exactly(lane->stream, &byte, 1, NULL);
        CHECK(lane->home == NULL || weft_get_running_loop() == lane->home);
        if (status == 0)
            status = weft_stream_write(lane->stream, &byte, 1);
        if (status == 0 && i % 16 == 0)
            status = weft_yield();
        CHECK(lane->home == NULL || weft_get_running_loop() == lane->home);
    }
    weft_stream_unref(lane->stream);
    return status;
}

Test(visit, serves_many_fibers_of_all_loops_at_once, .timeout = 60)
{
    struct lane lanes[STREAMS];
    struct weft_task *tasks[STREAMS];
    char bytes[LINES], back[LINES];
    memset(bytes, 'x', sizeof(bytes));
    town_prepare(4);
    for (uint32_t i = 0; i < STREAMS; i++) {
        int fds[2];
        make_pair(fds);
        lanes[i] = (struct lane){.home = i % 2 == 0 ? loop_of(i / 2 % 4) : NULL, .fd = fds[1]};
        CHECK_EQ(weft_stream_from_socket(loop_of(i / 8), fds[0], &lanes[i].stream), 0);
    }
    CHECK_EQ(weft_runtime_start(town.runtime), 0);
    for (uint32_t i = 0; i < STREAMS; i++)
        tasks[i] = (lanes[i].home != NULL ? start_pinned : start_stealable)(i / 2 % 4, run_lane, &lanes[i]);
    for (uint32_t i = 0; i < STREAMS; i++)
        CHECK_EQ(send(lanes[i].fd, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
    for (uint32_t i = 0; i < STREAMS; i++) {
        CHECK_EQ(recv(lanes[i].fd, back, sizeof(back), MSG_WAITALL), sizeof(back));
        CHECK_EQ(recv(lanes[i].fd, back, 1, 0), 0); /* the last reference went: the end */
        CHECK_EQ(finish(tasks[i]), 0);
        close(lanes[i].fd);
    }
    town_close();
}

/* ---- a stealable fiber's own connections ---- */

static int serve(struct weft_stream *stream, void *arg)
{
    (void)arg;
    CHECK(weft_get_running_loop() == loop_of(2));
    char buf[64];
    int count;
    while ((count = weft_stream_read(stream, buf, sizeof(buf))) > 0 && (count = weft_stream_write(stream, buf, (size_t)count)) >= 0)
        continue;
    return count;
}

static int dial(void *arg, void **result_out)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_stream *stream;
    char back[6];
    (void)result_out;
    options.host = "127.0.0.1";
    options.port = *(uint16_t *)arg;
    int status = weft_stream_open(&options, &stream);
    if (status < 0)
        return status;
    for (int i = 0; i < 10 && status == 0; i++) {
        status = weft_stream_write(stream, "hello\n", 6);
        if (status == 0)
            status = weft_stream_read_exactly(stream, back, 6, NULL);
        if (status == 0)
            status = weft_yield();
    }
    weft_stream_unref(stream);
    return status;
}

Test(visit, lets_stealable_fibers_open_streams, .timeout = 60)
{
    enum { COUNT = 40 };
    struct weft_task *tasks[COUNT];
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    town_prepare(4);
    options.host = "127.0.0.1";
    CHECK_EQ(weft_loop_start_stream_server(loop_of(2), serve, NULL, &options, &server), 0);
    uint16_t port = (uint16_t)weft_server_get_port(server);
    CHECK_EQ(weft_runtime_start(town.runtime), 0);
    for (uint32_t i = 0; i < COUNT; i++)
        tasks[i] = start_stealable(i % 4, dial, &port);
    for (uint32_t i = 0; i < COUNT; i++)
        CHECK_EQ(finish(tasks[i]), 0);
    weft_server_unref(server);
    town_close();
}

/* ---- those without a fiber ---- */

static int say(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    CHECK(weft_get_running_loop() == loop_of(1));
    int status = weft_stream_write(town.stream, "said\n", 5);
    CHECK(weft_get_running_loop() == loop_of(1));
    return status;
}

struct post {
    struct weft_task *task;
    int refused;
};

/* A step task does what ADD-11 says: it posts the operation to the stream's loop and awaits it. */
static int post_it(struct weft_step *step, void *state, int status)
{
    struct post *post = state;
    WEFT_STEP_BEGIN(step, status);
    CHECK_EQ(weft_stream_write(town.stream, "no\n", 3), WEFT_EWRONGTHREAD);
    post->task = start_pinned(1, say, NULL);
    WEFT_STEP_AWAIT(step, &post->task->future, status);
    CHECK_EQ(status, 0);
    CHECK(weft_get_running_loop() == loop_of(0));
    weft_task_unref(post->task);
    WEFT_STEP_END(step, NULL);
}

Test(visit, is_not_for_step_tasks_which_post_a_task_and_await_it, .timeout = 60)
{
    char back[5];
    struct weft_coro *coro;
    struct weft_task *task;
    struct post *post;
    town_open(2);
    CHECK_EQ(weft_step_new(post_it, NULL, sizeof(*post), &coro, (void **)&post), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop_of(0), coro, NULL, &task), 0);
    CHECK_EQ(recv(town.fd, back, sizeof(back), MSG_WAITALL), sizeof(back));
    CHECK(memcmp(back, "said\n", 5) == 0);
    CHECK_EQ(finish(task), 0);
    town_close();
}

static int read_from_afar(void *arg, void **result_out)
{
    char byte;
    (void)result_out;
    return weft_stream_read(arg, &byte, 1);
}

Test(visit, stays_within_the_runtime, .timeout = 60)
{
    struct weft_coro *coro;
    town_open(2);
    CHECK_EQ(weft_fiber_new(read_from_afar, town.stream, NULL, &coro), 0);
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = 2;
    CHECK_EQ(weft_run(coro, &options, NULL), WEFT_EWRONGTHREAD);
    town_close();
}

/* ---- callbacks ---- */

/* A protocol on loop 1 that echoes, and looks where it is. */
struct parrot {
    struct weft_protocol protocol;
    struct weft_transport *transport;
    uint32_t calls; /* of it; loop 1 writes */
};

static struct parrot parrot;

static int parrot_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    CHECK(weft_get_running_loop() == loop_of(1));
    weft_container_of(protocol, struct parrot, protocol)->transport = transport;
    return 0;
}

static int parrot_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    struct parrot *self = weft_container_of(protocol, struct parrot, protocol);
    CHECK(weft_get_running_loop() == loop_of(1));
    weft_atomic_store_relaxed(&self->calls, self->calls + 1);
    return weft_transport_write(self->transport, data, len);
}

static int parrot_lost(struct weft_protocol *protocol, int status)
{
    (void)protocol;
    (void)status;
    CHECK(weft_get_running_loop() == loop_of(1));
    return 0;
}

static const struct weft_protocol_ops parrot_ops = {
    .size = sizeof(parrot_ops),
    .connection_made = parrot_made,
    .data_received = parrot_received,
    .connection_lost = parrot_lost,
};

static int parrot_new(void *arg, struct weft_protocol **protocol_out)
{
    (void)arg;
    parrot.protocol.ops = &parrot_ops;
    *protocol_out = &parrot.protocol;
    return 0;
}

static int talk_to_parrot(void *arg, void **result_out)
{
    char back[4];
    int status = 0;
    (void)result_out;
    for (int i = 0; i < LINES && status == 0; i++) {
        status = weft_stream_write(arg, "poll", 4);
        if (status == 0)
            status = weft_stream_read_exactly(arg, back, 4, NULL);
    }
    weft_stream_unref(arg);
    return status;
}

/* The stream is of loop 0, its peer's transport of loop 1, and the fiber of loop 1 or of none. */
static void run_parrot(struct weft_task *(*start)(uint32_t, weft_fiber_fn *, void *))
{
    struct weft_stream *stream;
    struct weft_future *made;
    int fds[2];
    parrot = (struct parrot){0};
    town_prepare(2);
    make_pair(fds);
    CHECK_EQ(weft_stream_from_socket(loop_of(0), fds[0], &stream), 0);
    CHECK_EQ(weft_loop_connect_accepted_socket(loop_of(1), parrot_new, NULL, fds[1], &made), 0);
    weft_future_unref(made);
    CHECK_EQ(weft_runtime_start(town.runtime), 0);
    CHECK_EQ(finish(start(1, talk_to_parrot, stream)), 0);
    CHECK(weft_atomic_load_relaxed(&parrot.calls) >= LINES);
    town_close();
}

Test(visit, leaves_callbacks_on_the_loop_of_their_transport, .timeout = 60)
{
    run_parrot(start_pinned);
}

Test(visit, leaves_callbacks_there_also_under_a_stealable_fiber, .timeout = 60)
{
    run_parrot(start_stealable);
}

/* ---- the ends of waits ---- */

static int wait_for_a_byte(void *arg, void **result_out)
{
    char byte;
    struct weft_loop *here = weft_get_running_loop();
    (void)result_out;
    weft_atomic_add_relaxed(&town.waiting, 1u);
    int status = weft_stream_read(town.stream, &byte, 1);
    CHECK(arg == NULL || here == weft_get_running_loop());
    CHECK(status != 0);
    return status;
}

static bool is_one_waiting(void *arg)
{
    (void)arg;
    return weft_atomic_load_relaxed(&town.waiting) > 0;
}

static void run_cancel(struct weft_task *task)
{
    CHECK(wait_until(is_one_waiting, NULL, PATIENCE_S * 1000));
    weft_task_cancel(task, NULL);
    CHECK_EQ(finish(task), -ECANCELED);
    CHECK_EQ(send(town.fd, "stays", 5, MSG_NOSIGNAL), 5);
    CHECK_EQ(finish(start_pinned(0, wait_for_a_byte, &town)), 0); /* nothing is busy, and no byte is lost */
}

Test(visit, ends_by_a_cancel_and_loses_no_byte, .timeout = 60)
{
    town_open(2);
    run_cancel(start_pinned(0, wait_for_a_byte, &town));
    town_close();
}

Test(visit, of_a_stealable_fiber_ends_by_a_cancel, .timeout = 60)
{
    town_open(2);
    run_cancel(start_stealable(0, wait_for_a_byte, NULL));
    town_close();
}

/* The cancel comes anywhere: before the first step, on the way there, in the wait, on the way back. */
Test(visit, survives_a_cancel_at_any_moment, .timeout = 60)
{
    town_open(2);
    for (int i = 0; i < 500; i++) {
        struct weft_task *task = i % 2 == 0 ? start_pinned(0, wait_for_a_byte, &town) : start_stealable(0, wait_for_a_byte, NULL);
        for (volatile int spin = 0; spin < i * 40; spin++)
            continue;
        if (i % 3 == 0)
            CHECK_EQ(send(town.fd, "x", 1, MSG_NOSIGNAL), 1);
        weft_task_cancel(task, NULL);
        int status = finish(task);
        CHECK(status == -ECANCELED || status >= 0);
    }
    town_close();
}

static int wait_until_closed(void *arg, void **result_out)
{
    (void)result_out;
    char byte;
    weft_atomic_add_relaxed(&town.waiting, 1u);
    *(int *)arg = weft_stream_read(town.stream, &byte, 1);
    return 0;
}

/* Loops close over fibers that wait elsewhere: their waits return, and what they hold goes. */
static void run_abandon(uint32_t home, struct weft_task *(*start)(uint32_t, weft_fiber_fn *, void *))
{
    int status = 0;
    town_open(2);
    struct weft_task *task = start(home, wait_until_closed, &status);
    CHECK(wait_until(is_one_waiting, NULL, PATIENCE_S * 1000));
    CHECK_EQ(weft_runtime_stop(town.runtime), 0);
    weft_runtime_destroy(town.runtime);
    weft_stream_unref(town.stream);
    CHECK_EQ(status, WEFT_ECLOSED);
    weft_task_unref(task);
    close(town.fd);
}

static int ignore(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)exception, (void)arg;
    return 0;
}

Test(visit, ends_where_loops_close, .timeout = 60)
{
    weft_set_report_sink(ignore, NULL);
    run_abandon(0, start_pinned);
}

Test(visit, of_a_stealable_fiber_ends_where_loops_close, .timeout = 60)
{
    weft_set_report_sink(ignore, NULL);
    run_abandon(0, start_stealable);
}

Test(visit, ends_with_the_shutdown, .timeout = 60)
{
    int status = 0;
    town_open(2);
    struct weft_task *task = start_pinned(0, wait_until_closed, &status);
    CHECK(wait_until(is_one_waiting, NULL, PATIENCE_S * 1000));
    CHECK_EQ(weft_runtime_shutdown(town.runtime, PATIENCE_NS), 0);
    CHECK_EQ(status, -ECANCELED);
    weft_task_unref(task);
    weft_stream_unref(town.stream);
    weft_runtime_destroy(town.runtime);
    close(town.fd);
}
