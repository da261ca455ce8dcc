/*
 * Starvation: a computation does not keep its loop from callbacks and timers, and a runtime with nothing to do takes no processor.
 *
 * No test here asserts how long something took: what would starve would never come.
 */
#include "tests/runtime/fixture.h"
#include "tests/support/wait.h"

#include "weft/job.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { LOOPS = 2, ROUNDS = 5, IDLE_NS_MAX = 10000000 };

/* ---- computing ---------------------------------------------------------------------------------------------------------------- */

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    long left = WEFT_JOIN(fib);
    return left + right;
}

/* A fiber that computes, and never waits, until its own loop has done what others want of it. */
struct computation {
    struct weft_loop *loop;
    uint32_t has_begun; /* atomic */
    uint32_t served;    /* atomic */
};

static int compute_until_served(void *arg, void **result_out)
{
    struct computation *computation = arg;
    (void)result_out;
    long result = 0;
    weft_atomic_store_relaxed(&computation->has_begun, 1);
    while (weft_atomic_load_relaxed(&computation->served) < ROUNDS)
        CHECK_EQ(WEFT_RUN(fib, 16, &result), 0);
    CHECK_EQ(result, 987);
    return 0;
}

static bool has_begun(void *arg)
{
    struct computation *computation = arg;
    return weft_atomic_load_relaxed(&computation->has_begun) != 0;
}

/* Each timer arms the next one. */
static int serve(void *arg)
{
    struct computation *computation = arg;
    uint32_t served = weft_atomic_load_relaxed(&computation->served) + 1;
    weft_atomic_store_relaxed(&computation->served, served);
    return served < ROUNDS ? weft_loop_call_later(computation->loop, 1000000, serve, computation, NULL) : 0;
}

static void compute_on_all(struct weft_runtime *runtime)
{
    struct computation computations[LOOPS];
    struct weft_task *tasks[LOOPS];
    CHECK_EQ(weft_runtime_start(runtime), 0);
    for (uint32_t i = 0; i < LOOPS; i++) {
        computations[i] = (struct computation){.loop = weft_runtime_loop(runtime, i)};
        tasks[i] = fixture_spawn(computations[i].loop, compute_until_served, &computations[i]);
    }
    for (uint32_t i = 0; i < LOOPS; i++) {
        CHECK(wait_until(has_begun, &computations[i], DEADLINE_MS));
        CHECK_EQ(weft_loop_call_soon_threadsafe(computations[i].loop, serve, &computations[i], NULL, NULL), 0);
    }
    for (uint32_t i = 0; i < LOOPS; i++) {
        CHECK_EQ(weft_future_wait(&tasks[i]->future, 6 * DEADLINE_MS * INT64_C(1000000), NULL), 0);
        weft_task_unref(tasks[i]);
    }
}

Test(starvation, does_not_befall_callbacks_and_timers_while_all_loops_compute, .timeout = 40)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    compute_on_all(runtime);
    fixture_end(runtime);
}

static int refuse_monitor(struct thread *thread, const char *name, thread_fn *fn, void *arg)
{
    return strcmp(name, "weft-monitor") == 0 ? -EAGAIN : executor_driver_threads.start(thread, name, fn, arg);
}

Test(starvation, does_not_befall_them_without_a_monitor_either, .timeout = 40)
{
    struct executor_driver threads = executor_driver_threads;
    struct runtime_driver driver = runtime_driver_threads;
    struct weft_runtime_options options = fixture_options(LOOPS);
    struct weft_runtime *runtime;
    threads.start = refuse_monitor;
    driver.threads = &threads;
    CHECK_EQ(runtime_create(&options, &driver, &runtime), 0);
    compute_on_all(runtime);
    CHECK(!runtime->monitor.has_thread);
    fixture_end(runtime);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* A monitor that is there and asks nobody for anything. */
static int stall_monitor(struct thread *thread, const char *name, thread_fn *fn, void *arg)
{
    bool is_monitor = strcmp(name, "weft-monitor") == 0;
    return executor_driver_threads.start(thread, name, is_monitor ? do_nothing : fn, is_monitor ? NULL : arg);
}

Test(starvation, does_not_befall_them_while_the_monitor_gets_no_processor, .timeout = 40)
{
    struct executor_driver threads = executor_driver_threads;
    struct runtime_driver driver = runtime_driver_threads;
    struct weft_runtime_options options = fixture_options(LOOPS);
    struct weft_runtime *runtime;
    threads.start = stall_monitor;
    driver.threads = &threads;
    CHECK_EQ(runtime_create(&options, &driver, &runtime), 0);
    compute_on_all(runtime);
    fixture_end(runtime);
}

/* ---- idle --------------------------------------------------------------------------------------------------------------------- */

static uint64_t cpu_ns(void)
{
    struct rusage usage;
    CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    int64_t seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    return (uint64_t)(seconds * SECOND_NS + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * INT64_C(1000));
}

static bool are_loops_parked(void *arg)
{
    struct weft_runtime *runtime = arg;
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        if (!inbox_is_parked(&runtime->loops[i].loop->worker.inbox))
            return false;
    return true;
}

/* The share is the process's own, however busy the machine is. All threads count, the monitor's on its way to sleep included. */
Test(starvation, takes_no_processor_when_idle, .timeout = 60)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    compute_on_all(runtime);
    CHECK(wait_until(are_loops_parked, runtime, DEADLINE_MS));
    uint64_t before_ns = cpu_ns();
    struct timespec second = {.tv_sec = 1};
    CHECK_EQ(nanosleep(&second, NULL), 0);
    CHECK(cpu_ns() - before_ns < IDLE_NS_MAX);
    fixture_end(runtime);
}
