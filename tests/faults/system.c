/*
 * Scenes of what lies below I/O: loops and their threads, sleeping and waking, stacks, the executor, signals, processors.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/cpu.h"
#include "lib/base/random.h"
#include "lib/base/thread.h"
#include "lib/loop/loop.h"
#include "tests/faults/scene.h"
#include "tests/faults/shim.h"
#include "tests/support/wait.h"
#include "weft/context.h"
#include "weft/executor.h"
#include "weft/future.h"
#include "weft/job.h"
#include "weft/loop.h"
#include "weft/resolve.h"
#include "weft/task.h"

#if !defined(MADV_GUARD_INSTALL)
#define MADV_GUARD_INSTALL 102
#endif

#define US_NS INT64_C(1000)

enum { CROWD = 260 }; /* a slab has 256 stacks */

static int nothing(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------- */

static void create_again_and_again(struct tally *tally, uint32_t flags)
{
    struct weft_runtime_options options = scene_options(2);
    options.flags = flags;
    for (int i = 0; i < ROUNDS; i++) {
        struct weft_runtime *runtime = NULL;
        int status = weft_runtime_create(&options, &runtime);
        tally_note(tally, status);
        weft_runtime_destroy(runtime);
    }
    scene_end_anew(tally);
}

void scene_loops(struct tally *tally)
{
    create_again_and_again(tally, 0);
}

void scene_handlers(struct tally *tally)
{
    create_again_and_again(tally, WEFT_RUNTIME_HANDLE_STACK_OVERFLOW);
}

/* A pinned task on the other loop, awaited. */
static int visit(void *arg, void **result_out)
{
    struct weft_runtime *runtime = weft_runtime_of(weft_get_running_loop());
    struct weft_loop *other = weft_runtime_loop(runtime, weft_runtime_loop_count(runtime) - 1);
    struct weft_coro *coro;
    struct weft_task *task;
    (void)result_out, (void)arg;
    CHECK_EQ(weft_fiber_new(nothing, NULL, NULL, &coro), 0);
    int status = weft_loop_create_task_threadsafe(other, coro, NULL, &task);
    if (status < 0)
        return status;
    status = weft_await(&task->future, NULL);
    weft_task_unref(task);
    return status;
}

static void run_again_and_again(struct tally *tally, uint32_t flags)
{
    struct weft_runtime_options options = scene_options(2);
    struct weft_runtime *runtime;
    options.flags = flags;
    int status = scene_runtime(tally, &options, &runtime);
    tally_note(tally, status);
    if (status < 0) {
        scene_end_anew(tally);
        return;
    }
    for (int i = 0; i < ROUNDS; i++)
        scene_run(tally, runtime, visit);
    scene_end(tally, runtime);
}

void scene_runs(struct tally *tally)
{
    run_again_and_again(tally, WEFT_RUNTIME_HANDLE_SIGINT);
}

void scene_places(struct tally *tally)
{
    tally_note(tally, cpu_current());
    tally_note(tally, cpu_current());
    run_again_and_again(tally, WEFT_RUNTIME_PIN_THREADS);
}

/* With the handler of stack overflows, for which each thread gets a signal stack. */
void scene_covered(struct tally *tally)
{
    run_again_and_again(tally, WEFT_RUNTIME_HANDLE_STACK_OVERFLOW);
}

/* ---- sleeping and waking ------------------------------------------------------------------------------------------------------------ */

static int sleep_a_little(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = 0;
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_sleep(100 * US_NS);
    return status;
}

static void turn_again_and_again(struct tally *tally, int64_t spin_max_ns)
{
    struct weft_runtime_options options = scene_options(1);
    struct weft_runtime *runtime;
    options.spin_max_ns = spin_max_ns;
    CHECK_EQ(scene_runtime(tally, &options, &runtime), 0);
    for (int i = 0; i < ROUNDS; i++)
        scene_run(tally, runtime, sleep_a_little);
    scene_end(tally, runtime);
}

void scene_turns(struct tally *tally)
{
    turn_again_and_again(tally, -1);
}

void scene_spins(struct tally *tally)
{
    turn_again_and_again(tally, 50 * US_NS);
}

/* The other loop is asleep each time. */
static int wake(void *arg, void **result_out)
{
    for (int i = 0; i < ROUNDS; i++) {
        (void)weft_sleep(200 * US_NS);
        tally_note(arg, visit(NULL, result_out));
    }
    return 0;
}

void scene_wakes(struct tally *tally)
{
    scene_in_runtime(tally, 2, wake);
}

static bool is_parked(void *arg)
{
    return inbox_is_parked(&((const struct weft_loop *)arg)->worker.inbox);
}

/* This thread runs no loop: it waits for tasks of those that do, and for one that does not end. */
static void wait_outside(struct tally *tally, struct weft_runtime *runtime, weft_fiber_fn *fn, int64_t timeout_ns)
{
    struct weft_coro *coro;
    struct weft_task *task;
    CHECK(wait_until(is_parked, weft_runtime_loop(runtime, 0), 5000));
    CHECK_EQ(weft_fiber_new(fn, NULL, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(weft_runtime_loop(runtime, 0), coro, NULL, &task), 0);
    int status = weft_future_wait(&task->future, timeout_ns, NULL);
    tally_note(tally, timeout_ns > 0 && status == -ETIMEDOUT ? 0 : status);
    weft_task_unref(task);
}

static int sleep_long(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return weft_sleep(60000000 * US_NS);
}

static void wait_again_and_again(struct tally *tally, weft_fiber_fn *fn, int64_t timeout_ns)
{
    struct weft_runtime_options options = scene_options(2);
    struct weft_runtime *runtime;
    CHECK_EQ(scene_runtime(tally, &options, &runtime), 0);
    int status = weft_runtime_start(runtime);
    tally_note(tally, status);
    for (int i = 0; status == 0 && i < ROUNDS; i++)
        wait_outside(tally, runtime, fn, timeout_ns);
    (void)weft_runtime_stop(runtime);
    scene_end(tally, runtime);
}

void scene_parks(struct tally *tally)
{
    wait_again_and_again(tally, sleep_a_little, -1);
}

void scene_deadlines(struct tally *tally)
{
    wait_again_and_again(tally, sleep_long, 300 * US_NS);
}

/* ---- stacks ------------------------------------------------------------------------------------------------------------------------ */

static int yield(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return weft_yield();
}

/* As many fibers at once as need two slabs, and one of each other class. */
static int stacks(void *arg, void **result_out)
{
    static struct weft_task *tasks[CROWD];
    (void)result_out;
    for (int i = 0; i < CROWD; i++) {
        struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
        struct weft_coro *coro;
        options.stack = i < 2 ? WEFT_STACK_LARGE : i < 4 ? WEFT_STACK_MEDIUM : WEFT_STACK_SMALL;
        CHECK_EQ(weft_fiber_new(yield, NULL, &options, &coro), 0);
        CHECK_EQ(weft_loop_create_task(weft_get_running_loop(), coro, NULL, &tasks[i]), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        tally_note(arg, weft_await(&tasks[i]->future, NULL));
        weft_task_unref(tasks[i]);
    }
    return 0;
}

void scene_stacks(struct tally *tally)
{
    for (int i = 0; i < 2; i++) {
        struct weft_runtime_options options = scene_options(1);
        struct weft_runtime *runtime;
        CHECK_EQ(scene_runtime(tally, &options, &runtime), 0);
        scene_run(tally, runtime, stacks);
        CHECK_EQ(weft_runtime_shutdown(runtime, -1), 0);
        weft_runtime_destroy(runtime);
    }
    scene_end_anew(tally);
}

/* On a kernel that has no lightweight guards. */
void scene_old_stacks(struct tally *tally)
{
    shim_assume(SHIM_madvise, MADV_GUARD_INSTALL, EINVAL);
    scene_stacks(tally);
    shim_assume(SHIM_madvise, MADV_GUARD_INSTALL, 0);
}

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    long left = WEFT_JOIN(fib);
    return left + right;
}

static int compute(void *arg, void **result_out)
{
    (void)arg;
    *result_out = NULL;
    long value = 0;
    int status = WEFT_RUN(fib, 12, &value);
    CHECK(status < 0 || value == 144);
    return status;
}

/* Each fiber is done before the next begins, so that the second borrows what the first had, if it had any. */
static int job_stacks(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        struct weft_task *task;
        int status = weft_job_start(weft_get_running_loop(), compute, NULL, &task);
        if (status == 0) {
            status = weft_await(&task->future, NULL);
            weft_task_unref(task);
        }
        tally_note(arg, status);
    }
    return 0;
}

void scene_job_stacks(struct tally *tally)
{
    scene_in_runtime(tally, 1, job_stacks);
}

/* ---- the executor ------------------------------------------------------------------------------------------------------------------ */

static int look_ups(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        struct weft_future *future;
        int status = weft_loop_getaddrinfo(weft_get_running_loop(), "localhost", NULL, NULL, &future);
        if (status == 0) {
            status = weft_await(future, NULL);
            weft_future_unref(future);
        }
        tally_note(arg, status);
    }
    return 0;
}

void scene_look_ups(struct tally *tally)
{
    scene_in_runtime(tally, 1, look_ups);
}

static int do_a_job(void)
{
    struct weft_executor *executor;
    struct weft_future *future;
    int status = weft_executor_create(NULL, &executor);
    if (status < 0)
        return status;
    status = weft_executor_submit(executor, weft_get_running_loop(), nothing, NULL, &future);
    if (status == 0) {
        status = weft_await(future, NULL);
        weft_future_unref(future);
    }
    CHECK_EQ(weft_executor_shutdown(executor, -1), 0);
    weft_executor_unref(executor);
    return status;
}

/* An executor of its own for each job, and so a thread. */
static int jobs(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < ROUNDS; i++)
        tally_note(arg, do_a_job());
    return 0;
}

void scene_jobs(struct tally *tally)
{
    scene_in_runtime(tally, 1, jobs);
}

/* ---- threads, signals, the rest -------------------------------------------------------------------------------------------------------- */

static void thread_nothing(void *arg)
{
    (void)arg;
}

void scene_threads(struct tally *tally)
{
    struct thread_options options = {.name = "weft-faults", .stack_bytes = 128 * 1024};
    for (int i = 0; i < ROUNDS; i++) {
        struct thread thread;
        int status = thread_start(&thread, &options, thread_nothing, NULL);
        tally_note(tally, status);
        if (status == 0)
            thread_join(&thread);
    }
    scene_end_anew(tally);
}

static int interrupt(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    CHECK_EQ(kill(getpid(), SIGINT), 0);
    return weft_sleep(2000 * US_NS);
}

/* Where the handler could not be put in place the program's own disposition holds. */
void scene_interrupts(struct tally *tally)
{
    struct weft_runtime_options options = scene_options(1);
    struct weft_runtime *runtime;
    struct weft_coro *coro;
    (void)signal(SIGINT, SIG_IGN);
    options.flags = WEFT_RUNTIME_HANDLE_SIGINT;
    CHECK_EQ(scene_runtime(tally, &options, &runtime), 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(weft_fiber_new(interrupt, NULL, NULL, &coro), 0);
        int status = weft_runtime_run(runtime, coro, NULL);
        tally_note(tally, status == WEFT_EINTERRUPT ? 0 : status);
    }
    scene_end(tally, runtime);
}

void scene_seeds(struct tally *tally)
{
    uint64_t before = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t seed = random_seed_os();
        tally_note(tally, seed != before ? 0 : -EINVAL);
        before = seed;
    }
    scene_end_anew(tally);
}

static const struct weft_context_var variable = WEFT_CONTEXT_VAR("variable", NULL);

static void set_in_thread(void *arg)
{
    tally_note(arg, weft_context_var_set(&variable, arg, NULL));
}

/* In threads that have no context yet. */
void scene_variables(struct tally *tally)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct thread thread;
        CHECK_EQ(thread_start(&thread, NULL, set_in_thread, tally), 0);
        thread_join(&thread);
    }
    scene_end_anew(tally);
}
