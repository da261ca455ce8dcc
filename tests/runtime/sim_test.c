/*
 * The sim driver: many loops on one thread, in virtual time, the same way for the same seed.
 */
#include "tests/runtime/fixture.h"

#include "lib/poll/sim.h"
#include "weft/executor.h"
#include "weft/stream.h"

#include <errno.h>
#include <string.h>

enum { LOOPS = 4, TASKS = 12, STEPS = 20, TRACE_MAX = TASKS * STEPS * 2 };

#define HOUR_NS (3600 * SECOND_NS)

static struct weft_runtime *create(uint32_t loops, uint64_t seed)
{
    struct weft_runtime_options options = fixture_options(loops);
    options.driver = WEFT_DRIVER_SIM;
    options.seed = seed;
    return fixture_create(&options);
}

/* ---- traces ------------------------------------------------------------------------------------------------------------------- */

/* What happened, in order: who, on which loop, when. No addresses. */
struct event {
    uint64_t when_ns;
    uint32_t who;
    uint32_t loop;
};

struct trace {
    struct event events[TRACE_MAX];
    uint32_t count;
};

struct walker {
    struct trace *trace;
    uint32_t number;
};

static void note(struct walker *walker)
{
    struct weft_loop *loop = weft_get_running_loop();
    CHECK(walker->trace->count < TRACE_MAX);
    walker->trace->events[walker->trace->count++] = (struct event){weft_loop_time(loop), walker->number, weft_loop_index(loop)};
}

static int tell(void *arg, void **result_out)
{
    (void)result_out;
    note(arg);
    return 0;
}

/* Do all that a task can: yield, sleep, have a job done, await a task on another loop. */
static int step(struct walker *walker, uint32_t i)
{
    struct weft_loop *loop = weft_get_running_loop();
    struct weft_runtime *runtime = weft_runtime_of(loop);
    uint32_t next = (weft_loop_index(loop) + 1) % weft_runtime_loop_count(runtime);
    if (i % 4 == 0)
        return weft_yield();
    if (i % 4 == 1)
        return weft_sleep(((walker->number * 7 + i) % 5) * 1000);
    if (i % 4 == 2) {
        struct weft_future *future;
        CHECK_EQ(weft_loop_run_in_executor(loop, tell, walker, &future), 0);
        int status = weft_await(future, NULL);
        weft_future_unref(future);
        return status;
    }
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, next), tell, walker);
    int status = weft_await(&task->future, NULL);
    weft_task_unref(task);
    return status;
}

static int walk(void *arg, void **result_out)
{
    struct walker *walker = arg;
    int status = 0;
    (void)result_out;
    for (uint32_t i = 0; i < STEPS && status == 0; i++) {
        note(walker);
        status = step(walker, i);
    }
    return status;
}

struct crowd {
    struct walker walkers[TASKS];
    struct weft_task *tasks[TASKS];
};

static int await_all(void *arg, void **result_out)
{
    struct crowd *crowd = arg;
    int status = 0;
    (void)result_out;
    for (uint32_t i = 0; i < TASKS && status == 0; i++)
        status = weft_await(&crowd->tasks[i]->future, NULL);
    return status;
}

static void trace_run(uint64_t seed, struct trace *trace)
{
    struct crowd crowd;
    struct weft_runtime *runtime = create(LOOPS, seed);
    trace->count = 0;
    for (uint32_t i = 0; i < TASKS; i++) {
        crowd.walkers[i] = (struct walker){trace, i};
        crowd.tasks[i] = fixture_spawn(weft_runtime_loop(runtime, i % LOOPS), walk, &crowd.walkers[i]);
    }
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(await_all, &crowd), NULL), 0);
    for (uint32_t i = 0; i < TASKS; i++)
        weft_task_unref(crowd.tasks[i]);
    fixture_end(runtime);
}

static bool is_same(const struct trace *one, const struct trace *other)
{
    return one->count == other->count && memcmp(one->events, other->events, one->count * sizeof(*one->events)) == 0;
}

Test(sim, does_the_same_for_the_same_seed, .timeout = 30)
{
    static struct trace first, second;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        trace_run(seed, &first);
        trace_run(seed, &second);
        CHECK_EQ(first.count, TASKS * STEPS * 3 / 2);
        CHECK(is_same(&first, &second));
    }
}

Test(sim, does_it_in_another_order_for_another_seed, .timeout = 30)
{
    static struct trace first, second;
    trace_run(1, &first);
    int differing = 0;
    for (uint64_t seed = 2; seed <= 6; seed++) {
        trace_run(seed, &second);
        differing += !is_same(&first, &second);
    }
    CHECK(differing > 0);
}

/* ---- time --------------------------------------------------------------------------------------------------------------------- */

static int sleep_an_hour(void *arg, void **result_out)
{
    uint64_t *elapsed_ns = arg;
    struct weft_loop *loop = weft_get_running_loop();
    uint64_t start_ns = weft_loop_time(loop);
    (void)result_out;
    int status = weft_sleep(HOUR_NS);
    *elapsed_ns = weft_loop_time(loop) - start_ns;
    return status;
}

Test(sim, lets_an_hour_pass_in_no_time_and_to_the_nanosecond, .timeout = 5)
{
    struct weft_runtime *runtime = create(LOOPS, 1);
    uint64_t elapsed_ns = 0;
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(sleep_an_hour, &elapsed_ns), NULL), 0);
    CHECK_EQ(elapsed_ns, HOUR_NS);
    CHECK_EQ(sim_world_now(runtime_world(runtime)), SIM_START_NS + (uint64_t)HOUR_NS);
    fixture_end(runtime);
}

static int spin_until(void *arg, void **result_out)
{
    struct weft_task *task = arg;
    int status = 0;
    (void)result_out;
    while (status == 0 && !weft_future_done(&task->future))
        status = weft_yield();
    return status;
}

Test(sim, lets_time_pass_even_if_a_task_never_rests, .timeout = 10)
{
    struct weft_runtime *runtime = create(2, 1);
    uint64_t elapsed_ns = 0;
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, 1), sleep_an_hour, &elapsed_ns);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(spin_until, task), NULL), 0);
    weft_task_unref(task);
    fixture_end(runtime);
}

static int wait_for_arg(void *arg, void **result_out)
{
    return weft_await(arg, result_out);
}

Test(sim, says_when_nothing_can_happen_any_more, .timeout = 5)
{
    struct weft_runtime *runtime = create(2, 1);
    struct weft_future *future;
    CHECK_EQ(weft_loop_create_future(weft_runtime_loop(runtime, 1), &future), 0);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(wait_for_arg, future), NULL), -EDEADLK);
    fixture_end(runtime);
    CHECK(weft_future_cancelled(future)); /* the shutdown cancelled main, and so what it waited for */
    weft_future_unref(future);
}

/* ---- the end ------------------------------------------------------------------------------------------------------------------ */

static int never_end(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    int status;
    while ((status = weft_sleep(HOUR_NS)) == 0 || status == -ECANCELED)
        continue;
    return status;
}

Test(sim, shuts_down_in_virtual_time, .timeout = 10)
{
    int64_t live = fixture_count_memory();
    struct weft_runtime_options options = fixture_options(LOOPS);
    options.driver = WEFT_DRIVER_SIM;
    options.drain_ns = 10 * HOUR_NS;
    options.cancel_ns = 20 * HOUR_NS;
    struct weft_runtime *runtime = fixture_create(&options);
    for (uint32_t i = 0; i < LOOPS; i++)
        fixture_spawn_and_forget(weft_runtime_loop(runtime, i), never_end, NULL);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fixture_nothing, NULL), NULL), 0);
    CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), -ETIMEDOUT);
    CHECK_EQ(sim_world_now(runtime_world(runtime)), SIM_START_NS + (uint64_t)(30 * HOUR_NS));
    CHECK_EQ(weft_runtime_shutdown(runtime, 1), -ETIMEDOUT);
    weft_runtime_destroy(runtime);
    CHECK_EQ(oom_live(), live);
}

Test(sim, survives_running_out_of_memory_at_each_allocation, .timeout = 20)
{
    int64_t live = fixture_count_memory();
    struct weft_runtime_options options = fixture_options(2);
    options.driver = WEFT_DRIVER_SIM;
    for (uint64_t n = 1;; n++) {
        struct weft_coro *coro = fixture_fiber(fixture_nothing, NULL);
        oom_start(n);
        int status = weft_run(coro, &options, NULL);
        bool was_refused = oom_stop();
        CHECK(status == 0 || status == -ENOMEM);
        CHECK_EQ(oom_live(), live);
        if (!was_refused)
            break;
    }
}

/* ---- servers, without a host ----------------------------------------------------------------------------------------------------- */

static int say_hello(struct weft_stream *stream, void *arg)
{
    (void)arg;
    return weft_stream_write(stream, "hello", 5);
}

/* Serve at what the options say, and connect to it as they do. */
static int hear_hello(void *arg, void **result_out)
{
    struct weft_server_options *options = arg;
    struct weft_connection_options to = WEFT_CONNECTION_OPTIONS;
    struct weft_server *server;
    struct weft_stream *stream;
    char heard[8] = "";
    (void)result_out;
    CHECK_EQ(weft_loop_start_stream_server(weft_get_running_loop(), say_hello, NULL, options, &server), 0);
    to.host = options->host;
    to.path = options->path;
    to.port = to.path == NULL ? (uint16_t)weft_server_get_port(server) : 0;
    CHECK_EQ(weft_stream_open(&to, &stream), 0);
    CHECK_EQ(weft_stream_read(stream, heard, sizeof(heard)), 5);
    CHECK_STR(heard, "hello");
    CHECK_EQ(weft_stream_close(stream), 0);
    weft_stream_unref(stream);
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
    return 0;
}

static void check_hello(struct weft_server_options server)
{
    struct weft_runtime_options options = fixture_options(2);
    options.driver = WEFT_DRIVER_SIM;
    CHECK_EQ(weft_run(fixture_fiber(hear_hello, &server), &options, NULL), 0);
}

Test(sim, serves_on_loopback_by_address_and_port, .timeout = 5)
{
    struct weft_server_options server = WEFT_SERVER_OPTIONS;
    server.host = "127.0.0.1";
    check_hello(server);
    server.port = 8080;
    check_hello(server);
}

Test(sim, serves_at_a_path_that_no_file_system_sees, .timeout = 5)
{
    struct weft_server_options server = WEFT_SERVER_OPTIONS;
    server.path = "/nowhere/at/all";
    check_hello(server);
    server.path = "@abstract";
    check_hello(server);
}

/* ---- a world of one's own ----------------------------------------------------------------------------------------------------- */

Test(sim, lives_in_the_world_that_it_is_given, .timeout = 5)
{
    struct weft_sim *world = sim_world_create(NULL);
    struct weft_poller_options in_world = WEFT_POLLER_OPTIONS_INIT;
    struct weft_runtime_options options = fixture_options(2);
    uint64_t elapsed_ns = 0;
    in_world.world = world;
    options.driver = WEFT_DRIVER_SIM;
    struct weft_loop_options loop_options = WEFT_LOOP_OPTIONS;
    loop_options.poller = &in_world;
    options.loop_options = &loop_options;
    struct weft_runtime *runtime = fixture_create(&options);
    CHECK(runtime_world(runtime) == world);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(sleep_an_hour, &elapsed_ns), NULL), 0);
    fixture_end(runtime);
    CHECK_EQ(sim_world_now(world), SIM_START_NS + (uint64_t)HOUR_NS);
    sim_world_destroy(world);
}
