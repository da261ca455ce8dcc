/*
 * ADD-11: how a stream, and a transport, is reached from a task on another loop. Alone the same fibers are of the stream's own loop.
 */
#include <string.h>

#include "tests/conformance/conformance.h"
#include "tests/conformance/wire.h"
#include "tests/examples/custom_loop.h"
#include "weft/atomic.h"
#include "weft/fiber.h"
#include "weft/server.h"
#include "weft/step.h"
#include "weft/stream.h"
#include "weft/transport.h"

enum { LINES = 10 };

/* A stream of the loop under test, and the wire behind it. */
struct town {
    struct fixture *fixture;
    struct weft_server *server;
    struct weft_stream *stream;
    struct weft_future *gate; /* the stream is kept open until it is done */
    struct wire wire;
    uint32_t is_open;
};

static int keep_open(struct weft_stream *stream, void *arg)
{
    struct town *town = arg;
    CHECK(weft_get_running_loop() == town->fixture->loop);
    town->stream = stream;
    flag_set(&town->is_open);
    return weft_await(town->gate, NULL);
}

static void town_open(struct town *town, struct fixture *fixture)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    *town = (struct town){.fixture = fixture, .gate = future_new(fixture->loop)};
    wire_listen(fixture, &options);
    CHECK_EQ(weft_loop_start_stream_server(fixture->loop, keep_open, town, &options, &town->server), 0);
    wire_dial(fixture, town->server, &town->wire);
    run_until(fixture->loop, flag_is_set, &town->is_open);
}

static bool is_ended(void *wire)
{
    return ((struct wire *)wire)->is_ended;
}

static void town_close(struct town *town)
{
    CHECK_EQ(weft_future_set_result(town->gate, NULL), 0);
    run_until(town->fixture->loop, is_ended, &town->wire);
    wire_close(&town->wire);
    CHECK_EQ(weft_server_close(town->server), 0);
    weft_server_unref(town->server);
    weft_future_unref(town->gate);
}

static struct weft_task *start(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_coro *coro;
    struct weft_task *task;
    CHECK_EQ(weft_fiber_new(fn, arg, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop, coro, NULL, &task), 0);
    return task;
}

/*
 * Who tries from another loop what is refused there. The loop under test must be found running meanwhile, so it stays in the callback
 * that starts the attempt.
 */
struct attempt {
    struct fixture *fixture;
    struct weft_coro *coro;
    struct weft_task *task;
    uint32_t is_over; /* a flag */
};

static int host_attempt(void *arg)
{
    struct attempt *attempt = arg;
    CHECK_EQ(weft_loop_create_task_threadsafe(house_loop(attempt->fixture, 1), attempt->coro, NULL, &attempt->task), 0);
    if (has_thieves(attempt->fixture))
        await_others(attempt->fixture, flag_is_set, &attempt->is_over);
    return 0;
}

/* Give what the task came to. */
static int run_attempt(struct attempt *attempt)
{
    call_soon(attempt->fixture->loop, host_attempt, attempt);
    run_once(attempt->fixture->loop);
    return run_task(attempt->fixture->loop, attempt->task);
}

/* ---- fibers go there ------------------------------------------------------------------------------------------------------------------ */

/* Answer one line; `home` is where this fiber is pinned, or NULL. */
static void answer(struct town *town, struct weft_loop *home)
{
    char line[8];
    struct weft_task *task = current_task();
    CHECK_EQ(weft_stream_readline(town->stream, line, sizeof(line)), 5);
    CHECK(memcmp(line, "ping\n", 5) == 0);
    CHECK(home == NULL || weft_get_running_loop() == home);
    CHECK_EQ(weft_stream_write(town->stream, "pong\n", 5), 0);
    CHECK(home == NULL || weft_get_running_loop() == home);
    CHECK_EQ(weft_stream_drain(town->stream), 0);
    CHECK(home == NULL || weft_get_running_loop() == home);
    CHECK(!weft_stream_at_eof(town->stream));
    CHECK(home == NULL || weft_get_running_loop() == home);
    CHECK(current_task() == task);
}

static int answer_from_home(void *arg, void **result_out)
{
    struct weft_loop *home = weft_get_running_loop();
    CHECK(weft_future_get_loop(&current_task()->future) == home);
    (void)result_out;
    for (int i = 0; i < LINES; i++)
        answer(arg, home);
    return 0;
}

static int answer_from_anywhere(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < LINES; i++) {
        answer(arg, NULL);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static bool has_all_answers(void *wire)
{
    return ((struct wire *)wire)->received_bytes == 5 * LINES;
}

/* One after the other from each loop. */
static void play_answers(struct fixture *fixture, bool is_pinned)
{
    for (int place = 0; place < house_count(fixture); place++) {
        struct town town;
        struct weft_task *task;
        town_open(&town, fixture);
        if (is_pinned)
            task = start(house_loop(fixture, place), answer_from_home, &town);
        else
            CHECK_EQ(weft_loop_spawn_fiber(house_loop(fixture, place), answer_from_anywhere, &town, &task), 0);
        run_once(fixture->loop);
        for (int i = 0; i < LINES; i++)
            wire_send(&town.wire, "ping\n");
        CHECK_EQ(run_task(fixture->loop, task), 0);
        run_until(fixture->loop, has_all_answers, &town.wire);
        CHECK(strstr(town.wire.last, "pong\n") != NULL);
        town_close(&town);
    }
}

Rule(ADD_11, a_pinned_fiber_of_another_loop_is_taken_to_the_stream_and_back)
{
    play_answers(fixture, true);
}

Rule(ADD_11, a_stealable_fiber_is_taken_to_the_stream)
{
    play_answers(fixture, false);
}

static int read_a_byte(void *arg, void **result_out)
{
    struct town *town = arg;
    struct weft_loop *home = weft_get_running_loop();
    char byte;
    (void)result_out;
    int status = weft_stream_read(town->stream, &byte, 1);
    CHECK(weft_get_running_loop() == home);
    CHECK_EQ(weft_yield(), 0);
    CHECK(status < 0 || (status == 1 && byte == 'x'));
    return status < 0 ? status : 0;
}

Rule(ADD_11, a_wait_at_the_stream_is_cancelled_and_ends_at_home_without_loss)
{
    struct town town;
    town_open(&town, fixture);
    struct weft_task *task = start(house_loop(fixture, 1), read_a_byte, &town);
    run_once(loop);
    run_once(loop);
    CHECK(weft_task_cancel(task, NULL)); /* on its way, there, or not begun: then it ends so as well */
    CHECK_EQ(run_task(loop, task), -ECANCELED);
    wire_send(&town.wire, "x");
    CHECK_EQ(run_task(loop, start(house_loop(fixture, 1), read_a_byte, &town)), 0);
    town_close(&town);
}

static int use_from_another_house(void *arg, void **result_out)
{
    struct weft_stream *stream = ((struct town *)arg)->stream;
    char byte;
    (void)result_out;
    CHECK_EQ(weft_stream_read(stream, &byte, 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_stream_write(stream, "no", 2), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_stream_drain(stream), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_stream_close(stream), WEFT_EWRONGTHREAD);
    return 0;
}

Rule(ADD_11, a_fiber_of_a_loop_that_shares_no_runtime_is_refused)
{
    struct town town;
    struct weft_loop *other = loop_new(fixture);
    town_open(&town, fixture);
    CHECK_EQ(run_task(other, start(other, use_from_another_house, &town)), 0);
    CHECK_EQ(town.wire.received_bytes, 0);
    loop_drop(other);
    town_close(&town);
}

/* ---- step tasks create a task there ----------------------------------------------------------------------------------------------------- */

static int say(void *arg, void **result_out)
{
    struct town *town = arg;
    (void)result_out;
    CHECK(weft_get_running_loop() == town->fixture->loop);
    return weft_stream_write(town->stream, "said\n", 5);
}

struct errand {
    struct town *town;
    struct attempt *attempt;
    struct weft_loop *home;
    struct weft_task *task;
};

static int have_it_said(struct weft_step *step, void *state, int status)
{
    struct errand *errand = state;
    WEFT_STEP_BEGIN(step, status);
    errand->home = weft_get_running_loop();
    if (errand->home != errand->town->fixture->loop)
        CHECK_EQ(weft_stream_write(errand->town->stream, "no\n", 3), WEFT_EWRONGTHREAD);
    flag_set(&errand->attempt->is_over);
    errand->task = start(errand->town->fixture->loop, say, errand->town);
    WEFT_STEP_AWAIT(step, &errand->task->future, status);
    CHECK_EQ(status, 0);
    CHECK(weft_get_running_loop() == errand->home);
    weft_task_unref(errand->task);
    WEFT_STEP_END(step, NULL);
}

static bool has_heard_once(void *wire)
{
    return ((struct wire *)wire)->received_bytes == 5;
}

Rule(ADD_11, a_step_task_creates_a_task_there_and_awaits_it)
{
    struct town town;
    struct attempt attempt = {.fixture = fixture};
    struct errand *errand;
    town_open(&town, fixture);
    CHECK_EQ(weft_step_new(have_it_said, NULL, sizeof(*errand), &attempt.coro, (void **)&errand), 0);
    *errand = (struct errand){.town = &town, .attempt = &attempt};
    CHECK_EQ(run_attempt(&attempt), 0);
    run_until(loop, has_heard_once, &town.wire);
    CHECK_STR(town.wire.last, "said\n");
    town_close(&town);
}

/* ---- callbacks of protocols ------------------------------------------------------------------------------------------------------------- */

/* A protocol that looks where it is called. What it counts is its loop's. */
struct listener {
    struct weft_protocol protocol;
    struct weft_loop *loop;
    struct weft_transport *transport;
    struct wire wire;
    struct attempt attempt;
    int made_count, received_count, pause_count, resume_count, eof_count, lost_count;
};

static struct listener *listener_at_home(struct weft_protocol *protocol)
{
    struct listener *listener = weft_container_of(protocol, struct listener, protocol);
    CHECK(weft_get_running_loop() == listener->loop);
    return listener;
}

static int listener_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    (void)transport;
    listener_at_home(protocol)->made_count++;
    return 0;
}

static int listener_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    (void)data, (void)len;
    listener_at_home(protocol)->received_count++;
    return 0;
}

static int listener_pause(struct weft_protocol *protocol)
{
    listener_at_home(protocol)->pause_count++;
    return 0;
}

static int listener_resume(struct weft_protocol *protocol)
{
    listener_at_home(protocol)->resume_count++;
    return 0;
}

static int listener_eof(struct weft_protocol *protocol)
{
    listener_at_home(protocol)->eof_count++;
    return 0;
}

static int listener_lost(struct weft_protocol *protocol, int status)
{
    (void)status;
    listener_at_home(protocol)->lost_count++;
    return 0;
}

static const struct weft_protocol_ops listener_ops = {
    .size = sizeof(listener_ops),
    .connection_made = listener_made,
    .data_received = listener_received,
    .eof_received = listener_eof,
    .connection_lost = listener_lost,
    .pause_writing = listener_pause,
    .resume_writing = listener_resume,
};

static bool is_made(void *listener)
{
    return ((struct listener *)listener)->made_count == 1;
}

static bool is_resumed(void *listener)
{
    return ((struct listener *)listener)->resume_count == 1;
}

static bool has_received(void *listener)
{
    return ((struct listener *)listener)->received_count > 0;
}

static bool is_lost(void *listener)
{
    return ((struct listener *)listener)->lost_count == 1;
}

/* More than the kernel and the transport together like to hold. */
static int write_too_much(void *arg, void **result_out)
{
    static const char bytes[1 << 16];
    struct listener *listener = arg;
    (void)result_out;
    for (int i = 0; i < 1000 && listener->pause_count == 0; i++)
        CHECK_EQ(weft_transport_write(listener->transport, bytes, sizeof(bytes)), 0);
    CHECK_EQ(listener->pause_count, 1);
    return 0;
}

/* From another loop nothing is done, and no callback called; a task at the transport's loop does it. */
static int write_from_afar(void *arg, void **result_out)
{
    struct listener *listener = arg;
    struct weft_loop *home = weft_get_running_loop();
    (void)result_out;
    if (home != listener->loop) {
        CHECK_EQ(weft_transport_write(listener->transport, "no", 2), WEFT_EWRONGTHREAD);
        CHECK_EQ(weft_transport_pause_reading(listener->transport), WEFT_EWRONGTHREAD);
        CHECK_EQ(weft_transport_close(listener->transport), WEFT_EWRONGTHREAD);
        CHECK_EQ(weft_transport_abort(listener->transport), WEFT_EWRONGTHREAD);
    }
    flag_set(&listener->attempt.is_over);
    struct weft_task *task = start(listener->loop, write_too_much, listener);
    int status = weft_await(&task->future, NULL);
    CHECK(weft_get_running_loop() == home);
    weft_task_unref(task);
    return status;
}

Rule(ADD_11, protocols_are_called_on_the_loop_of_their_transport)
{
    struct listener listener = {.protocol = {.ops = &listener_ops}, .loop = loop, .attempt = {.fixture = fixture}};
    wire_open_paused(fixture, &listener.wire);
    const struct weft_make_socket args = {.size = sizeof(args), .protocol = &listener.protocol, .fd = listener.wire.near_fd};
    CHECK_EQ(weft_loop_make_socket(loop, &args, &listener.transport), 0);
    run_until(loop, is_made, &listener);
    CHECK_EQ(weft_fiber_new(write_from_afar, &listener, NULL, &listener.attempt.coro), 0);
    CHECK_EQ(run_attempt(&listener.attempt), 0);
    wire_resume(&listener.wire);
    run_until(loop, is_resumed, &listener);
    wire_send(&listener.wire, "data");
    run_until(loop, has_received, &listener);
    wire_finish(&listener.wire);
    run_until(loop, is_lost, &listener);
    run_once(loop);
    CHECK_EQ(listener.eof_count, 1);
    CHECK_EQ(listener.pause_count, 1);
    wire_close(&listener.wire);
}
