/*
 * Monitor: what it tells of callbacks that do not return, what it asks of fibers that compute, and when it sleeps.
 */
#include "tests/runtime/fixture.h"
#include "tests/support/wait.h"

#include "lib/base/clock.h"
#include "weft/job.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>

enum { LOOPS = 2, REPORTS = 3, SHORT_NS = 1000000 };

static uint64_t ticks(struct weft_runtime *runtime)
{
    return weft_atomic_load_relaxed(&runtime->monitor.tick_count);
}

static bool is_watch_asleep(void *arg)
{
    struct weft_runtime *runtime = arg;
    return weft_atomic_load_relaxed(&runtime->monitor.watch.depth) == WATCH_ASLEEP;
}

/* ---- stalls ------------------------------------------------------------------------------------------------------------------- */

/* What the handler has heard; everything is written before `count`. */
struct heard {
    uint32_t count;       /* atomic */
    struct weft_loop *of; /* hear of this one only; NULL: of any */
    struct weft_loop *loop;
    struct weft_task *task; /* to compare only */
    uint64_t durations_ns[REPORTS];
    uint64_t at_ns[REPORTS];
    char message[64];
    bool is_elsewhere;
};

static int hear(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    struct heard *heard = arg;
    uint32_t count = weft_atomic_load_relaxed(&heard->count);
    if (count == REPORTS || (heard->of != NULL && loop != heard->of)) /* one that the machine keeps waiting is not meant */
        return 0;
    heard->loop = loop;
    heard->task = exception->task;
    heard->durations_ns[count] = exception->duration_ns;
    heard->at_ns[count] = clock_monotonic_ns();
    heard->is_elsewhere = weft_get_running_loop() == NULL;
    strncpy(heard->message, exception->message, sizeof(heard->message) - 1);
    weft_atomic_store_release(&heard->count, count + 1); /* Pairs with the acquire in stall(). */
    return 0;
}

/* A callback that does not return before the monitor has told of it. */
static int stall(void *arg)
{
    struct heard *heard = arg;
    while (weft_atomic_load_acquire(&heard->count) < REPORTS) /* Pairs with the release in hear(). */
        sched_yield();
    return 0;
}

static int stall_as_task(void *arg, void **result_out)
{
    (void)result_out;
    return stall(arg);
}

static bool is_heard(void *arg)
{
    struct heard *heard = arg;
    return weft_atomic_load_acquire(&heard->count) >= REPORTS; /* Pairs with the release in hear(). */
}

static struct weft_runtime *make_hearing(struct heard *heard, int64_t stall_ns)
{
    struct weft_runtime_options options = fixture_options(LOOPS);
    options.stall_ns = stall_ns;
    struct weft_runtime *runtime = fixture_create(&options);
    for (uint32_t i = 0; i < LOOPS; i++)
        CHECK_EQ(weft_loop_set_exception_handler(weft_runtime_loop(runtime, i), hear, heard), 0);
    return runtime;
}

Test(monitor, reports_a_callback_that_does_not_return_and_again_each_time_it_has_doubled, .timeout = 20)
{
    struct heard heard = {0};
    struct weft_runtime *runtime = make_hearing(&heard, SHORT_NS);
    struct weft_loop *loop = heard.of = weft_runtime_loop(runtime, 1);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    CHECK(wait_until(is_watch_asleep, runtime, DEADLINE_MS)); /* what the loop slept before is no stall */
    uint64_t begun_ns = clock_monotonic_ns();
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, stall, &heard, NULL, NULL), 0);
    CHECK(wait_until(is_heard, &heard, 4 * DEADLINE_MS));
    CHECK(heard.loop == loop);
    CHECK(heard.task == NULL);
    CHECK(heard.is_elsewhere);
    CHECK_STR(heard.message, "a callback has not returned");
    for (int i = 0; i < REPORTS; i++) {
        CHECK(heard.durations_ns[i] >= (uint64_t)SHORT_NS << i);
        CHECK(heard.durations_ns[i] <= heard.at_ns[i] - begun_ns);
    }
    fixture_end(runtime);
}

Test(monitor, names_the_task_that_does_not_return, .timeout = 20)
{
    struct heard heard = {0};
    struct weft_runtime *runtime = make_hearing(&heard, SHORT_NS);
    heard.of = weft_runtime_loop(runtime, 0);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    CHECK(wait_until(is_watch_asleep, runtime, DEADLINE_MS));
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, 0), stall_as_task, &heard);
    CHECK(wait_until(is_heard, &heard, 4 * DEADLINE_MS));
    CHECK(heard.loop == weft_runtime_loop(runtime, 0));
    CHECK(heard.task == task);
    weft_task_unref(task);
    fixture_end(runtime);
}

static int stall_in_main(void *arg, void **result_out)
{
    *result_out = NULL;
    return stall(arg);
}

Test(monitor, looks_after_the_calling_threads_loop_too, .timeout = 20)
{
    struct heard heard = {0};
    struct weft_runtime *runtime = make_hearing(&heard, SHORT_NS);
    heard.of = weft_runtime_loop(runtime, 0);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(stall_in_main, &heard), NULL), 0);
    CHECK(heard.loop == weft_runtime_loop(runtime, 0));
    fixture_end(runtime);
}

/* Does not return before the monitor has looked so often that it would have told. */
static int outlast_looks(void *arg, void **result_out)
{
    struct weft_runtime *runtime = arg;
    uint64_t end = ticks(runtime) + 15;
    (void)result_out;
    while (ticks(runtime) < end)
        sched_yield();
    return 0;
}

Test(monitor, reports_nothing_if_it_shall_not, .timeout = 10)
{
    struct heard heard = {0};
    struct weft_runtime *runtime = make_hearing(&heard, -1);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(outlast_looks, runtime), NULL), 0);
    CHECK_EQ(heard.count, 0);
    fixture_end(runtime);
}

Test(monitor, blames_no_loop_that_does_not_run, .timeout = 10)
{
    struct heard heard = {0};
    struct weft_runtime_options options = fixture_options(1);
    options.stall_ns = 1;
    struct weft_runtime *runtime = fixture_create(&options);
    CHECK_EQ(weft_loop_set_exception_handler(weft_runtime_loop(runtime, 0), hear, &heard), 0);
    CHECK_EQ(runtime_start(runtime, false), 0);
    CHECK(wait_until(is_watch_asleep, runtime, DEADLINE_MS));
    CHECK_EQ(runtime_stop(runtime), 0);
    CHECK_EQ(heard.count, 0);
    fixture_end(runtime);
}

/* ---- sleep -------------------------------------------------------------------------------------------------------------------- */

struct look {
    struct weft_runtime *runtime;
    uint64_t after;
};

static bool has_looked(void *arg)
{
    struct look *look = arg;
    return ticks(look->runtime) > look->after;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

Test(monitor, sleeps_while_all_loops_do_and_wakes_up_with_any, .timeout = 20)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(wait_until(is_watch_asleep, runtime, DEADLINE_MS));
        struct look look = {runtime, ticks(runtime)};
        CHECK_EQ(weft_loop_call_soon_threadsafe(weft_runtime_loop(runtime, i % LOOPS), nothing, NULL, NULL, NULL), 0);
        CHECK(wait_until(has_looked, &look, DEADLINE_MS));
    }
    fixture_end(runtime);
}

enum { ROUNDS = 20000 };

/* One worker and one watcher, reduced to their words. In each round the worker leaves its park once, and stays awake until that is noticed. */
struct pair {
    struct inbox inbox;
    struct watch watch;
    uint32_t parked;  /* atomic: rounds in which the worker has parked */
    uint32_t noticed; /* atomic: rounds in which the watcher has seen it awake */
};

static void *park_and_unpark(void *arg)
{
    struct pair *pair = arg;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        CHECK(inbox_park(&pair->inbox));
        weft_atomic_store_relaxed(&pair->parked, round);
        for (uint32_t spins = round % 64; spins > 0; spins--)
            weft_atomic_pause();
        (void)inbox_unpark(&pair->inbox);
        watch_unparked(&pair->watch);
        while (weft_atomic_load_relaxed(&pair->noticed) < round)
            sched_yield();
    }
    return NULL;
}

Test(monitor, is_told_of_each_park_that_ends_while_it_falls_asleep, .timeout = 60)
{
    struct pair pair = {.watch = {.depth = WATCH_NEAR}};
    pthread_t thread;
    inbox_init(&pair.inbox);
    parker_init(&pair.watch.parker);
    CHECK_EQ(pthread_create(&thread, NULL, park_and_unpark, &pair), 0);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        while (weft_atomic_load_relaxed(&pair.parked) < round)
            sched_yield();
        weft_atomic_store_relaxed(&pair.watch.depth, WATCH_ASLEEP);
        if (inbox_confirm_parked(&pair.inbox))
            (void)parker_park(&pair.watch.parker, CLOCK_NEVER_NS); /* a wake-up that is lost ends the test */
        weft_atomic_store_relaxed(&pair.watch.depth, WATCH_NEAR);
        weft_atomic_store_relaxed(&pair.noticed, round);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- computations ------------------------------------------------------------------------------------------------------------- */

enum { ASKED_TIMES = 10 };

/* A fiber that computes, as far as the monitor can see, and is asked to come to its poller again and again. */
static int compute(void *arg, void **result_out)
{
    struct worker *worker = &weft_get_running_loop()->worker;
    struct weft_job_stack *jobs = arg;
    (void)result_out;
    worker_set_jobs(worker, jobs);
    for (int i = 0; i < ASKED_TIMES; i++) {
        weft_atomic_store_relaxed(&jobs->limit, jobs->end);
        while (weft_atomic_load_relaxed(&jobs->limit) != NULL)
            weft_atomic_pause();
    }
    worker_set_jobs(worker, NULL);
    return 0;
}

Test(monitor, asks_a_computation_for_its_loop_again_and_again, .timeout = 20)
{
    struct weft_job slot;
    struct weft_job_stack jobs = {.slots = &slot, .end = &slot, .limit = &slot};
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(compute, &jobs), NULL), 0);
    fixture_end(runtime);
}

Test(monitor, is_called_by_a_computation_that_begins_while_it_sleeps, .timeout = 20)
{
    struct weft_job slot;
    struct weft_job_stack jobs = {.slots = &slot, .end = &slot, .limit = &slot};
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    CHECK(wait_until(is_watch_asleep, runtime, DEADLINE_MS));
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, 1), compute, &jobs);
    CHECK_EQ(weft_future_wait(&task->future, 4 * DEADLINE_MS * INT64_C(1000000), NULL), 0);
    weft_task_unref(task);
    fixture_end(runtime);
}

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    return WEFT_JOIN(fib) + right;
}

enum { STEADY_POLLS = 100 };

/* Compute until so many polls of this loop have come with less than a quarter as many looks of the monitor. */
static int compute_steadily(void *arg, void **result_out)
{
    struct weft_runtime *runtime = arg;
    const uint64_t *polls = &weft_get_running_loop()->counters.polls;
    (void)result_out;
    for (;;) {
        uint64_t ticks_before = ticks(runtime), polls_before = weft_atomic_load_relaxed(polls);
        while (weft_atomic_load_relaxed(polls) < polls_before + STEADY_POLLS) {
            long sum;
            CHECK_EQ(WEFT_RUN(fib, 18, &sum), 0);
        }
        if (ticks(runtime) - ticks_before < STEADY_POLLS / 4)
            return 0;
    }
}

Test(monitor, leaves_a_computation_alone_that_polls_unasked, .timeout = 60)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(compute_steadily, runtime), NULL), 0);
    fixture_end(runtime);
}

/* ---- its thread --------------------------------------------------------------------------------------------------------------- */

static uint32_t starts, joins;
static bool is_monitor_refused;

static int count_start(struct thread *thread, const char *name, thread_fn *fn, void *arg)
{
    if (is_monitor_refused && strcmp(name, "weft-monitor") == 0)
        return -EAGAIN;
    starts++;
    return executor_driver_threads.start(thread, name, fn, arg);
}

static void count_join(struct thread *thread)
{
    joins++;
    executor_driver_threads.join(thread);
}

/* One run on `base` with its threads counted; true if there was a monitor. */
static bool run_counted(const struct runtime_driver *base, uint32_t loops)
{
    struct executor_driver threads = {.start = count_start, .join = count_join};
    struct runtime_driver driver = *base;
    struct weft_runtime_options options = fixture_options(loops);
    struct weft_runtime *runtime;
    driver.threads = &threads;
    starts = joins = 0;
    CHECK_EQ(runtime_create(&options, &driver, &runtime), 0);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fixture_nothing, NULL), NULL), 0);
    uint32_t started = starts;
    CHECK_EQ(starts, joins);
    CHECK(!runtime->monitor.has_thread);
    fixture_end(runtime);
    CHECK_EQ(starts, joins);
    return started == loops;
}

Test(monitor, ends_with_each_run, .timeout = 10)
{
    is_monitor_refused = false;
    CHECK(run_counted(&runtime_driver_threads, LOOPS));
}

Test(monitor, is_done_without_if_there_is_no_thread_for_it, .timeout = 10)
{
    is_monitor_refused = true;
    CHECK(!run_counted(&runtime_driver_threads, LOOPS));
}

Test(monitor, is_not_of_the_simulator, .timeout = 10)
{
    is_monitor_refused = false;
    CHECK(!run_counted(&runtime_driver_sim, LOOPS));
    CHECK_EQ(starts, 0);
}

/* ---- its option --------------------------------------------------------------------------------------------------------------- */

Test(monitor, takes_the_default_from_options_that_are_older, .timeout = 10)
{
    struct weft_runtime_options options = fixture_options(1);
    options.size = offsetof(struct weft_runtime_options, stall_ns);
    options.stall_ns = 7; /* beyond what the caller knows */
    struct weft_runtime *runtime = fixture_create(&options);
    CHECK_EQ(runtime->monitor.stall_ns, SECOND_NS);
    CHECK_EQ(runtime->options.size, sizeof(options));
    fixture_end(runtime);
}

Test(monitor, takes_options_that_are_newer, .timeout = 10)
{
    struct {
        struct weft_runtime_options options;
        uint64_t later[4];
    } newer = {.options = fixture_options(1), .later = {1, 2, 3, 4}};
    newer.options.size = sizeof(newer);
    newer.options.stall_ns = 7;
    struct weft_runtime *runtime = fixture_create(&newer.options);
    CHECK_EQ(runtime->monitor.stall_ns, 7);
    fixture_end(runtime);
}

Test(monitor, refuses_options_without_what_they_always_had, .timeout = 5)
{
    struct weft_runtime_options options = fixture_options(1);
    struct weft_runtime *runtime;
    options.size = offsetof(struct weft_runtime_options, stall_ns) - 1;
    CHECK_EQ(weft_runtime_create(&options, &runtime), -EINVAL);
}
