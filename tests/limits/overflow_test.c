/*
 * Stacks that are too small, in every way that we could think of. Each shape runs in a child: one on a fiber's stack must be told, with the
 * name of its task and the size of its stack, and then end the process as if nobody had handled the signal; one on a thread's stack must
 * end it without a word of ours. How the handler shares the signals with others is in overflow_chain_test.c.
 */
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/limits/overflow.h"
#include "weft/future.h"
#include "weft/job.h"
#include "weft/step.h"

/* ---- in a fiber: by what it does ----------------------------------------------------------------------------------------------------- */

static int recurse_shape(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return overflow_recurse(1);
}

OVERFLOW_NOINLINE static int odd(int depth);

OVERFLOW_NOINLINE static int even(int depth)
{
    volatile char frame[40];
    frame[depth & 31] = (char)depth;
    return odd(depth + 1) + frame[depth & 31];
}

OVERFLOW_NOINLINE static int odd(int depth)
{
    volatile char frame[80];
    frame[depth & 63] = (char)depth;
    return depth < 0 ? 0 : even(depth + 1) + frame[depth & 63];
}

static int mutual_shape(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return even(1);
}

static int alloca_shape(void *arg, void **result_out)
{
    volatile char *newest = NULL;
    (void)arg, (void)result_out;
    for (int i = 0; i < 1 << 20; i++) {
        newest = alloca(4096);
        newest[0] = 1;
    }
    return newest[0];
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wvla"
OVERFLOW_NOINLINE static int grow(int bytes)
{
    volatile char array[bytes];
    array[0] = (char)bytes;
    return grow(bytes * 2) + array[0];
}
#pragma GCC diagnostic pop

static int vla_shape(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return grow(512);
}

/* Far larger than the guard: it is built with -fstack-clash-protection, which touches each page on the way. */
OVERFLOW_NOINLINE static int big_frame(int seed)
{
    char array[512 << 10];
    OVERFLOW_USE(array);
    return array[seed];
}

static int big_frame_shape(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return big_frame(3);
}

/* A last call that needs a little more than there is, and first touches what lies lowest. */
OVERFLOW_NOINLINE static int leaf(int seed)
{
    char array[60 << 10];
    array[seed] = (char)seed;
    OVERFLOW_USE(array);
    return array[seed];
}

static int leaf_shape(void *arg, void **result_out)
{
    char used[16 << 10];
    (void)arg, (void)result_out;
    OVERFLOW_USE(used);
    return leaf(0) + used[0];
}

/* No compiler shall know that what they write is never read. */
static void *(*volatile fill)(void *, int, size_t) = memset;
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

static int memset_shape(void *arg, void **result_out)
{
    char array[256] = {0};
    char *volatile start = array;
    (void)arg, (void)result_out;
    fill(start - (90 << 10), 1, 100 << 10);
    return array[0];
}

/* Up, over everything that lies above, into the guard of the next stack. `arg` is a future that the neighbour waits for. */
static int memcpy_shape(void *arg, void **result_out)
{
    static char source[256 << 10];
    char array[256] = {0};
    char *volatile start = array;
    struct weft_future *never;
    (void)arg, (void)result_out;
    CHILD_CHECK(weft_loop_create_future(weft_get_running_loop(), &never) == 0);
    CHILD_CHECK(weft_loop_create_fiber(weft_get_running_loop(), overflow_wait, never, NULL) == 0);
    CHILD_CHECK(weft_yield() == 0 && weft_yield() == 0);
    copy(start, source, sizeof(source));
    return array[0];
}

OVERFLOW_NOINLINE static int print_deeper(int depth)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%.17g %s %d", (double)depth / 3, "deep", depth);
    return print_deeper(depth + 1) + ((volatile char *)text)[0];
}

static int printf_shape(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return print_deeper(1);
}

static int compare(const void *a, const void *b)
{
    int values[16];
    for (int i = 0; i < 16; i++)
        values[i] = (*(const int *)a + i) % 7;
    qsort(values, 16, sizeof(values[0]), compare);
    return values[0] - *(const int *)b;
}

static int qsort_shape(void *arg, void **result_out)
{
    int values[4] = {3, 1, 2, 0};
    (void)arg, (void)result_out;
    qsort(values, 4, sizeof(values[0]), compare);
    return values[0];
}

static void recurse_in_handler(int number)
{
    (void)overflow_recurse(number);
}

static int handler_shape(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    CHILD_CHECK(signal(SIGUSR1, recurse_in_handler) != SIG_ERR);
    (void)raise(SIGUSR1);
    return 0;
}

static void do_nothing(int number)
{
    (void)number;
}

/* Frames of a few bytes, a signal on each: it is the signal's frame, of a kilobyte and more, that finds no room. */
OVERFLOW_NOINLINE static int raise_deeper(int depth)
{
    volatile char frame[8];
    frame[depth & 7] = (char)depth;
    (void)raise(SIGUSR1);
    return raise_deeper(depth + 1) + frame[depth & 7];
}

static int frame_shape(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    CHILD_CHECK(signal(SIGUSR1, do_nothing) != SIG_ERR);
    return raise_deeper(1);
}

#define FIBER_SHAPE(name, shape, class, bytes)                                                                                             \
    static void name##_child(void *arg)                                                                                                    \
    {                                                                                                                                      \
        (void)arg;                                                                                                                         \
        overflow_run(1, class, shape);                                                                                                     \
    }                                                                                                                                      \
    Test(overflow, name, .timeout = 60)                                                                                                    \
    {                                                                                                                                      \
        struct child_end end = child_run(name##_child, NULL);                                                                              \
        overflow_check_told(&end, bytes);                                                                                                  \
    }

FIBER_SHAPE(recursion, recurse_shape, WEFT_STACK_SMALL, 64 << 10)
FIBER_SHAPE(recursion_on_a_medium_stack, recurse_shape, WEFT_STACK_MEDIUM, 1 << 20)
FIBER_SHAPE(recursion_on_a_large_stack, recurse_shape, WEFT_STACK_LARGE, 8 << 20)
FIBER_SHAPE(mutual_recursion, mutual_shape, WEFT_STACK_SMALL, 64 << 10)
FIBER_SHAPE(alloca_in_a_loop, alloca_shape, WEFT_STACK_MEDIUM, 1 << 20)
FIBER_SHAPE(arrays_of_variable_length, vla_shape, WEFT_STACK_SMALL, 64 << 10)
FIBER_SHAPE(one_frame_of_half_a_megabyte, big_frame_shape, WEFT_STACK_SMALL, 64 << 10)
FIBER_SHAPE(a_leaf_that_needs_a_little_more, leaf_shape, WEFT_STACK_SMALL, 64 << 10)
FIBER_SHAPE(memset_that_begins_below, memset_shape, WEFT_STACK_SMALL, 64 << 10)
FIBER_SHAPE(printf_at_the_end_of_a_deep_stack, printf_shape, WEFT_STACK_SMALL, 64 << 10)
FIBER_SHAPE(qsort_within_its_own_comparison, qsort_shape, WEFT_STACK_SMALL, 64 << 10)
FIBER_SHAPE(recursion_in_a_signal_handler, handler_shape, WEFT_STACK_SMALL, 64 << 10)
FIBER_SHAPE(no_room_for_the_frame_of_a_signal, frame_shape, WEFT_STACK_SMALL, 64 << 10)

static void memcpy_child(void *arg)
{
    (void)arg;
    overflow_run(1, WEFT_STACK_SMALL, memcpy_shape);
}

Test(overflow, memcpy_that_ends_in_the_neighbours_guard, .timeout = 60)
{
    struct child_end end = child_run(memcpy_child, NULL);
    child_check_signal(&end, SIGSEGV);
    CHECK_EQ(child_count(&end, "\"" OVERFLOW_NAME "\": 0x"), 1);
    CHECK_EQ(child_count(&end, " lies above its stack of 65536 bytes\n"), 1);
}

/* ---- in a fiber: by where it is ------------------------------------------------------------------------------------------------------- */

/* Main is named otherwise, and waits for the one that overflows. */
static int wait_for_child(weft_fiber_fn *fn, struct weft_loop *loop, bool is_stealable)
{
    struct weft_coro *coro;
    struct weft_task *task;
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    options.name = OVERFLOW_NAME;
    int status = weft_fiber_new(fn, NULL, NULL, &coro);
    if (status == 0 && is_stealable)
        status = weft_loop_spawn(loop, coro, &options, &task);
    else if (status == 0)
        status = weft_loop_create_task_threadsafe(loop, coro, &options, &task);
    CHILD_CHECK(status == 0);
    return weft_await(&task->future, NULL);
}

static int nested_main(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return wait_for_child(recurse_shape, weft_get_running_loop(), false);
}

static int second_loop_main(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return wait_for_child(recurse_shape, weft_runtime_loop(overflow_runtime, 1), false);
}

static int yield_and_recurse(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (int i = 0; i < 100; i++)
        (void)weft_yield();
    return overflow_recurse(1);
}

static int migrating_main(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return wait_for_child(yield_and_recurse, weft_get_running_loop(), true);
}

/* The first loop's thread computes in a fiber of its own for as long as the process lives. */
static int compute(void *arg, void **result_out)
{
    (void)result_out;
    weft_atomic_store_relaxed((uint32_t *)arg, 1);
    for (volatile unsigned turns = 0;; turns++)
        ;
    return 0;
}

static int beside_another_main(void *arg, void **result_out)
{
    static uint32_t is_computing;
    (void)arg, (void)result_out;
    struct weft_coro *coro;
    CHILD_CHECK(weft_fiber_new(compute, &is_computing, NULL, &coro) == 0);
    CHILD_CHECK(weft_loop_create_task_threadsafe(weft_runtime_loop(overflow_runtime, 1), coro, NULL, NULL) == 0);
    while (weft_atomic_load_relaxed(&is_computing) == 0)
        (void)weft_yield();
    return wait_for_child(recurse_shape, weft_get_running_loop(), false);
}

/* Its wait returns as the loop closes over it, and then it overflows. */
static int recurse_as_it_ends(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    (void)weft_sleep(INT64_C(3600000000000));
    return overflow_recurse(1);
}

static int leave_one_behind(void *arg, void **result_out)
{
    struct weft_coro *coro;
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    options.name = OVERFLOW_NAME;
    (void)arg, (void)result_out;
    CHILD_CHECK(weft_fiber_new(recurse_as_it_ends, NULL, NULL, &coro) == 0);
    CHILD_CHECK(weft_loop_create_task(weft_get_running_loop(), coro, &options, NULL) == 0);
    return weft_yield();
}

static int inline_job(void *arg)
{
    (void)arg;
    return overflow_recurse(1);
}

static int inline_job_main(void *arg, void **result_out)
{
    struct weft_fork fork;
    (void)arg, (void)result_out;
    CHILD_CHECK(weft_fork(&fork, inline_job, NULL) == 0);
    return weft_join(&fork);
}

static int stolen_job(void *arg)
{
    (void)weft_task_set_name(overflow_task_here(), OVERFLOW_NAME);
    return weft_get_running_loop() == arg ? 0 : overflow_recurse(1);
}

WEFT_JOB(int, forks, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(forks, n - 1);
    int right = WEFT_CALL(forks, n - 2);
    return WEFT_JOIN(forks) + right;
}

/* Forks until another loop has come for the oldest one. */
static int stolen_job_main(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (;;) {
        struct weft_fork fork;
        int sum;
        CHILD_CHECK(weft_fork(&fork, stolen_job, weft_get_running_loop()) == 0);
        CHILD_CHECK(forks_run(15, &sum) == 0);
        (void)weft_join(&fork);
    }
}

#define PLACE_SHAPE(name, loops, main, bytes)                                                                                              \
    static void name##_child(void *arg)                                                                                                    \
    {                                                                                                                                      \
        (void)arg;                                                                                                                         \
        overflow_run_named(loops, WEFT_STACK_SMALL, main, "main");                                                                         \
    }                                                                                                                                      \
    Test(overflow, name, .timeout = 60)                                                                                                    \
    {                                                                                                                                      \
        struct child_end end = child_run(name##_child, NULL);                                                                              \
        overflow_check_told(&end, bytes);                                                                                                  \
    }

PLACE_SHAPE(in_a_task_that_another_one_awaits, 1, nested_main, 64 << 10)
PLACE_SHAPE(in_a_fiber_of_the_second_loop, 2, second_loop_main, 64 << 10)
PLACE_SHAPE(in_a_stealable_fiber_that_has_yielded, 2, migrating_main, 64 << 10)
PLACE_SHAPE(while_another_fiber_runs, 2, beside_another_main, 64 << 10)
PLACE_SHAPE(in_a_fiber_whose_loop_closes, 1, leave_one_behind, 64 << 10)
PLACE_SHAPE(in_a_stolen_job, 2, stolen_job_main, 8 << 20)

static void inline_job_child(void *arg)
{
    (void)arg;
    overflow_run(1, WEFT_STACK_SMALL, inline_job_main);
}

Test(overflow, in_a_job_that_nobody_stole, .timeout = 60)
{
    struct child_end end = child_run(inline_job_child, NULL);
    overflow_check_told(&end, 64 << 10);
}

static void sim_child(void *arg)
{
    struct weft_runtime_options options = overflow_options(2);
    (void)arg;
    options.driver = WEFT_DRIVER_SIM;
    overflow_run_options(&options, WEFT_STACK_SMALL, second_loop_main, "main");
}

Test(overflow, in_the_simulator, .timeout = 60)
{
    struct child_end end = child_run(sim_child, NULL);
    overflow_check_told(&end, 64 << 10);
}

/* Without a runtime, by the call of its own. */
static void lone_loop_child(void *arg)
{
    struct weft_loop *loop;
    struct weft_task *task;
    (void)arg;
    CHILD_CHECK(weft_loop_new(NULL, 0, &loop) == 0);
    CHILD_CHECK(weft_loop_create_fiber(loop, overflow_nothing, NULL, &task) == 0);
    CHILD_CHECK(weft_loop_run_until_complete(loop, &task->future, NULL) == 0); /* the thread is known before the handler is there */
    CHILD_CHECK(weft_stack_overflow_install(NULL, NULL) == 0);
    CHILD_CHECK(weft_loop_create_fiber(loop, recurse_shape, NULL, &task) == 0);
    CHILD_CHECK(weft_task_set_name(task, OVERFLOW_NAME) == 0);
    (void)weft_loop_run_until_complete(loop, &task->future, NULL);
}

Test(overflow, on_a_loop_without_a_runtime_that_ran_before, .timeout = 60)
{
    struct child_end end = child_run(lone_loop_child, NULL);
    overflow_check_told(&end, 64 << 10);
}

/* Two threads one after the other, which have the same pthread_t as a rule. */
struct one_of_two {
    struct weft_loop *loop;
    weft_fiber_fn *fn;
};

static void *run_one_of_two(void *arg)
{
    const struct one_of_two *one = arg;
    struct weft_task *task;
    CHILD_CHECK(weft_loop_create_fiber(one->loop, one->fn, NULL, &task) == 0);
    CHILD_CHECK(weft_task_set_name(task, OVERFLOW_NAME) == 0);
    CHILD_CHECK(weft_loop_run_until_complete(one->loop, &task->future, NULL) == 0);
    weft_task_unref(task);
    return NULL;
}

static void two_threads_child(void *arg)
{
    struct weft_loop *loop;
    (void)arg;
    CHILD_CHECK(weft_stack_overflow_install(NULL, NULL) == 0);
    CHILD_CHECK(weft_loop_new(NULL, 0, &loop) == 0);
    for (int i = 0; i < 2; i++) {
        struct one_of_two one = {loop, i == 0 ? overflow_nothing : recurse_shape};
        pthread_t thread;
        CHILD_CHECK(pthread_create(&thread, NULL, run_one_of_two, &one) == 0);
        CHILD_CHECK(pthread_join(thread, NULL) == 0);
    }
}

Test(overflow, in_a_thread_that_comes_after_one_that_is_known, .timeout = 60)
{
    struct child_end end = child_run(two_threads_child, NULL);
    overflow_check_told(&end, 64 << 10);
}

/* ---- on a thread's stack: not ours ----------------------------------------------------------------------------------------------------- */

static int recurse_callback(void *arg)
{
    (void)arg;
    return overflow_recurse(1);
}

static int callback_main(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    CHILD_CHECK(weft_loop_call_soon(weft_get_running_loop(), recurse_callback, NULL, NULL, NULL) == 0);
    return weft_sleep(INT64_C(3600000000000));
}

static int recurse_step(struct weft_step *step, void *state, int status)
{
    (void)step, (void)state, (void)status;
    return overflow_recurse(1);
}

static int step_main(void *arg, void **result_out)
{
    struct weft_coro *coro;
    (void)arg, (void)result_out;
    CHILD_CHECK(weft_step_new(recurse_step, NULL, 0, &coro, NULL) == 0);
    CHILD_CHECK(weft_loop_create_task(weft_get_running_loop(), coro, NULL, NULL) == 0);
    return weft_sleep(INT64_C(3600000000000));
}

static int recurse_done(struct weft_future *future, void *arg)
{
    (void)future, (void)arg;
    return overflow_recurse(1);
}

static int done_main(void *arg, void **result_out)
{
    struct weft_future *future;
    (void)arg, (void)result_out;
    CHILD_CHECK(weft_loop_create_future(weft_get_running_loop(), &future) == 0);
    CHILD_CHECK(weft_future_add_done_callback(future, recurse_done, NULL, NULL) == 0);
    CHILD_CHECK(weft_future_set_result(future, NULL) == 0);
    return weft_sleep(INT64_C(3600000000000));
}

static int recurse_on_executor(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return overflow_recurse(1);
}

static int executor_main(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    CHILD_CHECK(weft_executor_submit(weft_runtime_executor(overflow_runtime), weft_get_running_loop(), recurse_on_executor, NULL, NULL) ==
                0);
    return weft_sleep(INT64_C(3600000000000));
}

/* A wild pointer is no overflow, be it in a fiber. */
static int wild_shape(void *arg, void **result_out)
{
    volatile char *volatile nowhere = (char *)16;
    (void)arg, (void)result_out;
    return nowhere[0];
}

#define FOREIGN_SHAPE(name, main)                                                                                                          \
    static void name##_child(void *arg)                                                                                                    \
    {                                                                                                                                      \
        (void)arg;                                                                                                                         \
        overflow_run(1, WEFT_STACK_SMALL, main);                                                                                           \
    }                                                                                                                                      \
    Test(overflow, name, .timeout = 60)                                                                                                    \
    {                                                                                                                                      \
        struct child_end end = child_run(name##_child, NULL);                                                                              \
        overflow_check_untold(&end);                                                                                                       \
    }

FOREIGN_SHAPE(in_a_callback_on_the_threads_stack, callback_main)
FOREIGN_SHAPE(in_a_step_on_the_threads_stack, step_main)
FOREIGN_SHAPE(in_a_done_callback_on_the_threads_stack, done_main)
FOREIGN_SHAPE(in_a_job_of_the_executor, executor_main)
FOREIGN_SHAPE(a_wild_pointer_in_a_fiber, wild_shape)
