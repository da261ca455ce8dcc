/*
 * Stolen jobs: on runtimes of two and four loops, results, identity, cancellation, ends. That a job is stolen is made certain: who forks it
 * goes on only once it has been begun by another loop, within a deadline.
 */
#include "weft/job.h"
#include "weft/memory.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/task/fiber.h"
#include "tests/runtime/fixture.h"
#include "tests/support/wait.h"
#include "weft/context.h"

static int run_on(uint32_t loops, weft_fiber_fn *fn, void *arg)
{
    struct weft_runtime *runtime = fixture_loops(loops);
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    options.stack = WEFT_STACK_LARGE;
    CHECK_EQ(weft_fiber_new(fn, arg, &options, &coro), 0);
    int status = weft_runtime_run(runtime, coro, NULL);
    fixture_end(runtime);
    return status;
}

static bool is_set(void *flag)
{
    return weft_atomic_load_acquire((uint32_t *)flag) != 0; /* Pairs with the release in set(). */
}

static void set(uint32_t *flag)
{
    weft_atomic_store_release(flag, 1); /* Pairs with the acquire in is_set(). */
}

static struct weft_task *task_here(void)
{
    struct weft_task *task;
    CHECK_EQ(weft_current_task(&task), 0);
    return task;
}

/* ---- made certain ------------------------------------------------------------------------------------------------------------------- */

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    long left = WEFT_JOIN(fib);
    return left + right;
}

/* A job that others see begin, and what it sees. */
struct seen {
    int (*body)(struct seen *seen);
    void *arg;
    uint32_t is_begun;
    uint32_t go;
    struct weft_loop *loop;
    struct weft_task *task; /* a reference */
    uint64_t parent_id;
    uint64_t id;
    struct weft_context *context;
    uint32_t runs;
};

static int seen_job(void *arg)
{
    struct seen *seen = arg;
    seen->loop = weft_get_running_loop();
    seen->task = weft_task_ref(task_here());
    seen->parent_id = weft_task_parent_id(seen->task);
    seen->id = seen->task->id;
    seen->context = weft_context_current();
    (void)weft_atomic_add_relaxed(&seen->runs, 1);
    set(&seen->is_begun);
    return seen->body == NULL ? 42 : seen->body(seen);
}

/* Fork on until another loop has begun the job: each fork is a place where this fiber can be asked for what it has. */
static void fork_seen(struct weft_fork *fork, struct seen *seen)
{
    uint64_t deadline_ns = weft_loop_time(weft_get_running_loop()) + 10 * SECOND_NS;
    long sum = 0;
    CHECK_EQ(weft_fork(fork, seen_job, seen), 0);
    while (!is_set(&seen->is_begun)) {
        CHECK_EQ(WEFT_RUN(fib, 10, &sum), 0);
        CHECK(weft_loop_time(weft_get_running_loop()) < deadline_ns);
    }
}

/* ---- results ------------------------------------------------------------------------------------------------------------------------ */

static int fib_fiber(void *arg, void **result_out)
{
    long result = 0;
    (void)arg, (void)result_out;
    CHECK_EQ(WEFT_RUN(fib, 24, &result), 0);
    CHECK_EQ(result, 46368);
    return 0;
}

Test(job_steal, computes_what_a_function_would, .timeout = 30)
{
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(run_on(2, fib_fiber, NULL), 0);
        CHECK_EQ(run_on(4, fib_fiber, NULL), 0);
    }
}

static int fib_is_shared(void *arg, void **result_out)
{
    struct weft_loop_counters counters;
    int status = fib_fiber(arg, result_out);
    CHECK_EQ(weft_runtime_get_counters(weft_runtime_of(weft_get_running_loop()), WEFT_RUNTIME_ALL, &counters), 0);
    CHECK(counters.stolen_jobs > 10);
    return status;
}

Test(job_steal, shares_a_computation_in_virtual_time_too, .timeout = 30)
{
    struct weft_runtime_options options = fixture_options(4);
    struct weft_fiber_options fiber_options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    options.driver = WEFT_DRIVER_SIM;
    fiber_options.stack = WEFT_STACK_LARGE;
    CHECK_EQ(weft_fiber_new(fib_is_shared, NULL, &fiber_options, &coro), 0);
    CHECK_EQ(weft_run(coro, &options, NULL), 0);
}

/* ---- without memory for what did not fit ---------------------------------------------------------------------------------------------- */

static struct weft_loop *owner_loop;
static bool was_wide;

/* On the loop of its owner it is small; on a thief's it has, once, more forks than its job stack holds. */
WEFT_JOB(long, wide_if_stolen, int, n)
{
    int width = weft_get_running_loop() == owner_loop || n > 0 || was_wide ? 2 : 5000;
    was_wide = was_wide || width > 2;
    for (int i = 0; i < width && n >= 0; i++)
        WEFT_FORK(wide_if_stolen, n > 0 ? n - 1 : -1);
    for (int i = 0; i < width && n >= 0; i++)
        (void)WEFT_JOIN(wide_if_stolen);
    return 1;
}

static void *no_realloc(void *ptr, size_t bytes)
{
    (void)ptr, (void)bytes;
    return NULL;
}

static int lost_by_a_thief(void *arg, void **result_out)
{
    static const struct weft_memory poor = {sizeof(poor), malloc, calloc, no_realloc, aligned_alloc, free};
    long result = 7;
    (void)arg, (void)result_out;
    owner_loop = weft_get_running_loop();
    CHECK_EQ(weft_memory_set(&poor), 0);
    CHECK_EQ(WEFT_RUN(wide_if_stolen, 14, &result), -ENOMEM);
    CHECK_EQ(weft_memory_set(NULL), 0);
    CHECK_EQ(result, 7);
    CHECK_EQ(WEFT_RUN(wide_if_stolen, 0, &result), 0);
    CHECK_EQ(result, 1);
    return 0;
}

Test(job_steal, tells_the_owner_that_a_thief_lost_a_result, .timeout = 30)
{
    struct weft_runtime_options options = fixture_options(4);
    struct weft_fiber_options fiber_options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    options.driver = WEFT_DRIVER_SIM;
    fiber_options.stack = WEFT_STACK_LARGE;
    CHECK_EQ(weft_fiber_new(lost_by_a_thief, NULL, &fiber_options, &coro), 0);
    CHECK_EQ(weft_run(coro, &options, NULL), 0);
}

/* Each leaf of a tree, by its number: run exactly once. */
enum { LEAVES = 1 << 14 };
static uint8_t leaf_runs[LEAVES];

struct span {
    int from;
    int to;
};

WEFT_JOB(int, mark, struct span, span)
{
    if (span.to - span.from == 1) {
        leaf_runs[span.from]++;
        return 1;
    }
    int middle = (span.from + span.to) / 2;
    WEFT_FORK(mark, ((struct span){span.from, middle}));
    int right = WEFT_CALL(mark, ((struct span){middle, span.to}));
    int left = WEFT_JOIN(mark);
    if ((span.from & 255) == 0)
        (void)weft_yield();
    return left + right;
}

static int mark_fiber(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (int round = 1; round <= 20; round++) {
        int count = 0;
        CHECK_EQ(WEFT_RUN(mark, ((struct span){0, LEAVES}), &count), 0);
        CHECK_EQ(count, LEAVES);
        for (int i = 0; i < LEAVES; i++)
            CHECK_EQ(leaf_runs[i], round);
    }
    return 0;
}

Test(job_steal, runs_each_job_once, .timeout = 30)
{
    CHECK_EQ(run_on(4, mark_fiber, NULL), 0);
}

/* The same under the driver that gives all loops one thread, where what is stolen depends on the seed. */
Test(job_steal, runs_each_job_once_in_virtual_time, .timeout = 30)
{
    struct weft_runtime_options options = fixture_options(3);
    options.driver = WEFT_DRIVER_SIM;
    options.seed = 7;
    struct weft_runtime *runtime = fixture_create(&options);
    struct weft_fiber_options fiber_options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    fiber_options.stack = WEFT_STACK_LARGE;
    CHECK_EQ(weft_fiber_new(mark_fiber, NULL, &fiber_options, &coro), 0);
    CHECK_EQ(weft_runtime_run(runtime, coro, NULL), 0);
    fixture_end(runtime);
}

/* ---- who runs it -------------------------------------------------------------------------------------------------------------------- */

static int sees_a_child(void *arg, void **result_out)
{
    static const struct weft_context_var variable = WEFT_CONTEXT_VAR("variable", NULL);
    struct weft_fork fork;
    struct seen seen = {.body = NULL};
    struct weft_loop *home = weft_get_running_loop();
    (void)arg, (void)result_out;
    CHECK_EQ(weft_context_var_set(&variable, &seen, NULL), 0);
    do { /* the home may have been the quickest, in a turn of its own */
        weft_task_unref(seen.task);
        seen = (struct seen){.body = NULL};
        fork_seen(&fork, &seen);
        CHECK_EQ(weft_join(&fork), 42);
        CHECK(weft_get_running_loop() == home); /* a pinned caller goes on at home */
    } while (seen.loop == home);
    CHECK(seen.task != task_here());
    CHECK_EQ(seen.parent_id, task_here()->id);
    CHECK_EQ(seen.id, 0); /* not registered: it has not blocked */
    CHECK(seen.context == weft_context_current());
    CHECK_EQ(seen.runs, 1);
    weft_task_unref(seen.task);
    return 0;
}

Test(job_steal, runs_as_a_child_of_its_caller, .timeout = 30)
{
    CHECK_EQ(run_on(2, sees_a_child, NULL), 0);
}

/* ---- a thief that blocks ------------------------------------------------------------------------------------------------------------- */

static int sleeps(struct seen *seen)
{
    CHECK(weft_task_parent_id(task_here()) == seen->parent_id);
    int status = weft_sleep(5000000);
    CHECK(weft_atomic_load_relaxed(&task_here()->id) != 0); /* registered by now */
    return status < 0 ? status : 43;
}

static int joins_a_sleeper(void *arg, void **result_out)
{
    struct weft_fork fork;
    struct seen seen = {.body = sleeps};
    struct weft_loop *home = weft_get_running_loop();
    (void)arg, (void)result_out;
    fork_seen(&fork, &seen);
    CHECK_EQ(weft_join(&fork), 43);
    CHECK(weft_get_running_loop() == home);
    weft_task_unref(seen.task);
    return 0;
}

Test(job_steal, is_waited_for_while_its_thief_sleeps, .timeout = 30)
{
    CHECK_EQ(run_on(2, joins_a_sleeper, NULL), 0);
}

/* ---- cancelling ----------------------------------------------------------------------------------------------------------------------- */

static int sleeps_long(struct seen *seen)
{
    (void)seen;
    int status = weft_sleep(3600 * SECOND_NS);
    CHECK_EQ(weft_yield(), 0); /* told once */
    return status;
}

static int is_cancelled_at_join(void *arg, void **result_out)
{
    struct weft_fork fork;
    struct seen *seen = arg;
    (void)result_out;
    fork_seen(&fork, seen);
    set(&seen->go);
    CHECK_EQ(weft_join(&fork), -ECANCELED);
    CHECK_EQ(weft_task_cancelling(task_here()), 1);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK_EQ(weft_yield(), 0);
    weft_task_unref(seen->task);
    return 0;
}

static int cancels_the_joiner(void *arg, void **result_out)
{
    struct seen seen = {.body = sleeps_long};
    struct weft_task *task;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_job_start(weft_get_running_loop(), is_cancelled_at_join, &seen, &task), 0);
    while (!is_set(&seen.go))
        CHECK_EQ(weft_sleep(100000), 0);
    CHECK(weft_task_cancel(task, NULL));
    CHECK_EQ(weft_await(&task->future, NULL), 0);
    weft_task_unref(task);
    return 0;
}

Test(job_steal, is_reached_by_a_cancel_of_its_owner, .timeout = 30)
{
    for (int i = 0; i < 20; i++)
        CHECK_EQ(run_on(3, cancels_the_joiner, NULL), 0);
}

/* ---- no memory ------------------------------------------------------------------------------------------------------------------------ */

static int fib_without_memory(void *arg, void **result_out)
{
    long result = 0;
    (void)arg, (void)result_out;
    CHECK_EQ(WEFT_RUN(fib, 3, &result), 0);
    oom_start_from(1);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(WEFT_RUN(fib, 22, &result), 0);
        CHECK_EQ(result, 17711);
    }
    (void)oom_stop();
    return 0;
}

Test(job_steal, is_run_by_its_owner_if_a_thief_has_no_memory, .timeout = 30)
{
    oom_install();
    CHECK_EQ(run_on(4, fib_without_memory, NULL), 0);
}

/* Memory comes and goes while thieves are at it. */
static int fib_with_little_memory(void *arg, void **result_out)
{
    long result = 0;
    (void)arg, (void)result_out;
    for (uint64_t n = 1; n < 60; n++) {
        oom_start(n % 9 + 1);
        int status = WEFT_RUN(fib, 18, &result);
        (void)oom_stop();
        CHECK(status == 0 || (status == -ENOMEM && n < 5));
        CHECK(status < 0 || result == 2584);
    }
    return 0;
}

Test(job_steal, survives_any_lack_of_memory, .timeout = 30)
{
    oom_install();
    CHECK_EQ(run_on(4, fib_with_little_memory, NULL), 0);
}

/* ---- ends ------------------------------------------------------------------------------------------------------------------------------ */

static int joins_until_the_end(void *arg, void **result_out)
{
    struct weft_fork fork;
    struct seen *seen = arg;
    (void)result_out;
    fork_seen(&fork, seen);
    set(&seen->go);
    int status = weft_join(&fork);
    CHECK(status == WEFT_ECLOSED || status == -ECANCELED);
    weft_task_unref(seen->task);
    seen->runs++;
    return 0;
}

static int sleeps_for_ever(struct seen *seen)
{
    (void)seen;
    return weft_sleep(3600 * SECOND_NS);
}

static int leaves_jobs_blocked(void *arg, void **result_out)
{
    (void)result_out;
    struct seen *seen = arg;
    CHECK_EQ(weft_job_start(weft_get_running_loop(), joins_until_the_end, seen, NULL), 0);
    while (!is_set(&seen->go))
        CHECK_EQ(weft_sleep(100000), 0);
    return 0;
}

/* The runtime goes while a thief sleeps in a stolen job and its owner waits for it, at home or on another loop. */
static void destroy_while_blocked(bool with_shutdown)
{
    struct seen seen = {.body = sleeps_for_ever};
    struct weft_runtime *runtime = fixture_loops(3);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(leaves_jobs_blocked, &seen), NULL), 0);
    if (with_shutdown)
        CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), 0);
    weft_runtime_destroy(runtime);
    CHECK_EQ(seen.runs, 2);
}

Test(job_steal, is_unwound_before_its_owner_as_the_runtime_goes, .timeout = 30)
{
    for (int i = 0; i < 20; i++)
        destroy_while_blocked(false);
}

Test(job_steal, ends_as_the_runtime_is_shut_down, .timeout = 30)
{
    for (int i = 0; i < 20; i++)
        destroy_while_blocked(true);
}

/* A tree of jobs that sleep, all open as the runtime goes. */
WEFT_JOB(int, sleepers, int, depth)
{
    if (depth == 0)
        return weft_sleep(3600 * SECOND_NS) < 0 ? 1 : 0;
    WEFT_FORK(sleepers, depth - 1);
    (void)weft_yield();
    int right = WEFT_CALL(sleepers, depth - 1);
    int left = WEFT_JOIN(sleepers);
    return left + right;
}

static int sleepers_fiber(void *arg, void **result_out)
{
    int count = 0;
    (void)result_out;
    CHECK_EQ(WEFT_RUN(sleepers, 5, &count), 0);
    CHECK_EQ(count, 32);
    *(int *)arg += 1;
    return 0;
}

static int start_sleepers(void *arg, void **result_out)
{
    (void)result_out;
    CHECK_EQ(weft_job_start(weft_get_running_loop(), sleepers_fiber, arg, NULL), 0);
    return weft_sleep(3000000);
}

Test(job_steal, is_unwound_with_all_its_descendants, .timeout = 30)
{
    for (int i = 0; i < 10; i++) {
        int ended = 0;
        struct weft_runtime *runtime = fixture_loops(4);
        CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(start_sleepers, &ended), NULL), 0);
        weft_runtime_destroy(runtime);
        CHECK_EQ(ended, 1);
    }
}

/* Forks go on while the runtime shuts down under them. */
static int forks_for_ever(void *arg, void **result_out)
{
    long result = 0;
    (void)result_out;
    int status = 0;
    while (status >= 0) {
        CHECK_EQ(WEFT_RUN(fib, 15, &result), 0);
        CHECK_EQ(result, 610);
        weft_atomic_store_relaxed((uint32_t *)arg, 1);
        status = weft_yield();
    }
    CHECK_EQ(WEFT_RUN(fib, 15, &result), 0);
    CHECK_EQ(result, 610);
    return status;
}

static int start_forking(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_job_start(weft_get_running_loop(), forks_for_ever, arg, NULL), 0);
    while (weft_atomic_load_relaxed((uint32_t *)arg) == 0)
        CHECK_EQ(weft_sleep(100000), 0);
    return 0;
}

Test(job_steal, goes_on_while_its_loop_shuts_down, .timeout = 30)
{
    for (int i = 0; i < 10; i++) {
        uint32_t has_begun = 0;
        struct weft_runtime *runtime = fixture_loops(4);
        CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(start_forking, &has_begun), NULL), 0);
        if (i % 2 == 0)
            CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), 0);
        weft_runtime_destroy(runtime);
    }
}
