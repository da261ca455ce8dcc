/*
 * Fork and join on one loop: results, the order and the place of joins, a full stack, bad use, no memory.
 */
#include "weft/job.h"

#include <signal.h>

#include "tests/support/oom.h"
#include "tests/task/scene.h"
#include "weft/step.h"

/* ---- typed ------------------------------------------------------------------------------------------------------------------------ */

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    long left = WEFT_JOIN(fib);
    return left + right;
}

static int fib_fiber(void *arg, void **result_out)
{
    long result = 0;
    (void)result_out;
    CHECK_EQ(WEFT_RUN(fib, *(int *)arg, &result), 0);
    CHECK_EQ(result, 10946);
    return 0;
}

Test(job, computes_what_a_function_would, .timeout = 10)
{
    int n = 21;
    CHECK_EQ(scene_run_job(fib_fiber, &n), 0);
}

Test(job, runs_on_a_loop_of_the_kernel_too, .timeout = 10)
{
    struct weft_loop *loop = scene_epoll_loop();
    int n = 21;
    CHECK_EQ(scene_run_job_on(loop, fib_fiber, &n), 0);
    scene_drop(loop);
}

/* The joined place is free again for what the call forks, whichever a compiler looks at first. */
WEFT_JOB(long, fib_of_fib, int, n)
{
    WEFT_FORK(fib, n);
    WEFT_FORK(fib, (int)WEFT_CALL(fib, (int)WEFT_JOIN(fib)));
    return WEFT_CALL(fib, (int)WEFT_JOIN(fib) % 10);
}

static int fib_of_fib_fiber(void *arg, void **result_out)
{
    long result = 0;
    (void)arg, (void)result_out;
    CHECK_EQ(WEFT_RUN(fib_of_fib, 6, &result), 0); /* 6, 8, 21, 10946, 6, 8 */
    CHECK_EQ(result, 8);
    return 0;
}

Test(job, joins_in_an_argument, .timeout = 10)
{
    CHECK_EQ(scene_run_job(fib_of_fib_fiber, NULL), 0);
}

struct range {
    const int *from;
    const int *to;
    int factor;
};

struct sums {
    int64_t sum;
    int64_t count;
};

WEFT_JOB(struct sums, add, struct range, range)
{
    if (range.to - range.from == 1)
        return (struct sums){(int64_t)*range.from * range.factor, 1};
    const int *middle = range.from + (range.to - range.from) / 2;
    struct range low = {range.from, middle, range.factor}, high = {middle, range.to, range.factor};
    WEFT_FORK(add, low);
    struct sums right = WEFT_CALL(add, high);
    struct sums left = WEFT_JOIN(add);
    return (struct sums){left.sum + right.sum, left.count + right.count};
}

static int add_fiber(void *arg, void **result_out)
{
    int numbers[1000];
    struct sums sums;
    (void)arg, (void)result_out;
    for (int i = 0; i < 1000; i++)
        numbers[i] = i;
    CHECK_EQ(WEFT_RUN(add, ((struct range){numbers, numbers + 1000, 3}), &sums), 0);
    CHECK_EQ(sums.sum, 3 * 499500);
    CHECK_EQ(sums.count, 1000);
    return 0;
}

Test(job, takes_and_gives_structs, .timeout = 10)
{
    CHECK_EQ(scene_run_job(add_fiber, NULL), 0);
}

WEFT_JOB(int, count_down, int, left)
{
    if (left == 0)
        return 0;
    WEFT_FORK(count_down, left - 1);
    return WEFT_JOIN(count_down) + 1;
}

WEFT_JOB(long, fork_many, int, count)
{
    long sum = 0;
    for (int i = 0; i < count; i++)
        WEFT_FORK(fib, i % 5);
    for (int i = count - 1; i >= 0; i--)
        sum += (i % 7) * WEFT_JOIN(fib);
    return sum;
}

/* Each result is weighed by its place, so that no two may be exchanged. */
static long fork_many_expected(int count)
{
    static const long numbers[] = {0, 1, 1, 2, 3};
    long sum = 0;
    for (int i = 0; i < count; i++)
        sum += (i % 7) * numbers[i % 5];
    return sum;
}

static int fork_many_fiber(void *arg, void **result_out)
{
    long result = 0;
    (void)arg, (void)result_out;
    CHECK_EQ(WEFT_RUN(fork_many, 100000, &result), 0);
    CHECK_EQ(result, fork_many_expected(100000));
    CHECK_EQ(WEFT_RUN(fork_many, 100, &result), 0);
    CHECK_EQ(result, fork_many_expected(100));
    return 0;
}

Test(job, runs_at_once_what_the_stack_has_no_room_for, .timeout = 10)
{
    CHECK_EQ(scene_run_job(fork_many_fiber, NULL), 0);
}

static int count_down_fiber(void *arg, void **result_out)
{
    int result = 0;
    (void)arg, (void)result_out;
    CHECK_EQ(WEFT_RUN(count_down, 20000, &result), 0);
    CHECK_EQ(result, 20000);
    return 0;
}

Test(job, joins_from_a_deep_recursion, .timeout = 10)
{
    CHECK_EQ(scene_run_job(count_down_fiber, NULL), 0);
}

/* Each level keeps a fork open while it goes deeper, until the stack is full and beyond. */
WEFT_JOB(int, deepen, int, left)
{
    if (left == 0)
        return 0;
    WEFT_FORK(fib, 5);
    int below = WEFT_CALL(deepen, left - 1);
    return WEFT_JOIN(fib) == 5 ? below + 1 : -1;
}

static int deepen_fiber(void *arg, void **result_out)
{
    int result = 0;
    (void)arg, (void)result_out;
    CHECK_EQ(WEFT_RUN(deepen, 10000, &result), 0);
    CHECK_EQ(result, 10000);
    return 0;
}

Test(job, fills_its_stack_by_recursion, .timeout = 10)
{
    CHECK_EQ(scene_run_job(deepen_fiber, NULL), 0);
}

/* ---- any function ----------------------------------------------------------------------------------------------------------------- */

static int twice(void *arg)
{
    return *(int *)arg * 2;
}

static int tree(void *arg)
{
    int depth = *(int *)arg - 1;
    struct weft_fork fork;
    if (depth < 0)
        return 1;
    CHECK_EQ(weft_fork(&fork, tree, &depth), 0);
    int right = tree(&depth);
    return weft_join(&fork) + right;
}

static int tree_fiber(void *arg, void **result_out)
{
    (void)result_out;
    CHECK_EQ(tree(arg), 1024);
    return 0;
}

Test(job, forks_any_function, .timeout = 10)
{
    int depth = 10;
    CHECK_EQ(scene_run_job(tree_fiber, &depth), 0);
}

static int many_any_fiber(void *arg, void **result_out)
{
    static struct weft_fork forks[100000];
    static int numbers[100000];
    (void)arg, (void)result_out;
    for (int i = 0; i < 100000; i++) {
        numbers[i] = i;
        CHECK_EQ(weft_fork(&forks[i], twice, &numbers[i]), 0);
    }
    CHECK_EQ(weft_join(&forks[99998]), WEFT_EJOINORDER);
    CHECK_EQ(weft_join(&forks[0]), WEFT_EJOINORDER);
    for (int i = 99999; i >= 0; i--)
        CHECK_EQ(weft_join(&forks[i]), 2 * i);
    return 0;
}

Test(job, forks_more_functions_than_fit, .timeout = 10)
{
    CHECK_EQ(scene_run_job(many_any_fiber, NULL), 0);
}

/* ---- closures ------------------------------------------------------------------------------------------------------------------------ */

static int closure_tree(struct weft_job_stack *stack, void *arg)
{
    int depth = *(int *)arg - 1;
    if (depth < 0)
        return 1;
    weft_closure_fork(stack, closure_tree, &depth);
    int right = closure_tree(stack, &depth);
    return weft_closure_join(stack) + right;
}

static int closure_index(struct weft_job_stack *stack, void *arg)
{
    (void)stack;
    return *(int *)arg;
}

static int closures_many(struct weft_job_stack *stack, void *arg)
{
    static int numbers[10000];
    for (int i = 0; i < 10000; i++) {
        numbers[i] = i;
        weft_closure_fork(stack, closure_index, &numbers[i]);
    }
    for (int i = 10000; i-- > 0;)
        CHECK_EQ(weft_closure_join(stack), i);
    return *(int *)arg;
}

static int closure_fiber(void *arg, void **result_out)
{
    int depth = 10, result = 0;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_closure_run(closure_tree, &depth, &result), 0);
    CHECK_EQ(result, 1024);
    CHECK_EQ(weft_closure_run(closures_many, &depth, &result), 0);
    CHECK_EQ(result, 10);
    return 0;
}

Test(job, forks_closures_more_than_fit, .timeout = 10)
{
    CHECK_EQ(scene_run_job(closure_fiber, NULL), 0);
}

/* A typed job that forks any function between its own forks. */
WEFT_JOB(long, mixed, int, n)
{
    struct weft_fork fork;
    int number = n;
    WEFT_FORK(fib, 5);
    CHECK_EQ(weft_fork(&fork, twice, &number), 0);
    int any = weft_join(&fork);
    WEFT_FORK(fib, 6);
    long called = WEFT_CALL(fib, 7);
    long second = WEFT_JOIN(fib);
    long first = WEFT_JOIN(fib);
    return first * 1000000 + any * 10000 + second * 100 + called;
}

static int mixed_fiber(void *arg, void **result_out)
{
    long result = 0;
    (void)arg, (void)result_out;
    CHECK_EQ(WEFT_RUN(mixed, 4, &result), 0);
    CHECK_EQ(result, 5080813);
    return 0;
}

Test(job, mixes_typed_jobs_and_any_function, .timeout = 10)
{
    CHECK_EQ(scene_run_job(mixed_fiber, NULL), 0);
}

/* ---- bad use ------------------------------------------------------------------------------------------------------------------------ */

static int refusals(void *arg, void **result_out)
{
    struct weft_fork first, second, never = {.state = 0};
    struct weft_job_stack *stack;
    int number = 4;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_fork(NULL, twice, &number), -EINVAL);
    CHECK_EQ(weft_fork(&first, NULL, &number), -EINVAL);
    CHECK_EQ(weft_join(NULL), -EINVAL);
    CHECK_EQ(weft_join(&never), WEFT_EINVALIDSTATE);
    CHECK_EQ(weft_fork(&first, twice, &number), 0);
    CHECK_EQ(weft_fork(&second, twice, &number), 0);
    CHECK_EQ(weft_join(&first), WEFT_EJOINORDER);
    CHECK_EQ(weft_join(&second), 8);
    CHECK_EQ(weft_join(&second), WEFT_EINVALIDSTATE);
    CHECK_EQ(weft_join(&first), 8);
    CHECK_EQ(weft_join(&first), WEFT_EINVALIDSTATE);
    CHECK_EQ(weft_job_stack_here(WEFT_JOB_LAYOUT + 1, &stack), WEFT_EPROTOCOL);
    CHECK_EQ(weft_job_stack_here(WEFT_JOB_LAYOUT, NULL), -EINVAL);
    return 0;
}

Test(job, refuses_bad_use, .timeout = 10)
{
    CHECK_EQ(scene_run_job(refusals, NULL), 0);
}

static int join_it(void *arg, void **result_out)
{
    (void)result_out;
    return weft_join(arg);
}

static int join_elsewhere(void *arg, void **result_out)
{
    struct weft_fork fork;
    int number = 21;
    (void)result_out;
    CHECK_EQ(weft_fork(&fork, twice, &number), 0);
    struct weft_task *task = scene_spawn_eagerly(arg, join_it, &fork);
    CHECK_EQ(weft_await(&task->future, NULL), WEFT_EOTHERFIBER);
    weft_task_unref(task);
    CHECK_EQ(weft_join(&fork), 42);
    return 0;
}

Test(job, is_joined_by_its_own_fiber_only, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run_job_on(loop, join_elsewhere, loop), 0);
    scene_drop(loop);
}

static int callback_status;

static int fork_in_callback(void *arg)
{
    struct weft_fork fork = {.state = 0};
    long result = 77;
    (void)arg;
    CHECK_EQ(WEFT_RUN(fib, 3, &result), WEFT_ENOFIBER);
    CHECK_EQ(result, 77);
    callback_status = weft_fork(&fork, twice, NULL);
    return 0;
}

Test(job, needs_a_fiber, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    (void)fork_in_callback(NULL); /* a plain thread */
    CHECK_EQ(callback_status, WEFT_ENOFIBER);
    callback_status = 0;
    CHECK_EQ(weft_loop_call_soon(loop, fork_in_callback, NULL, NULL, NULL), 0);
    scene_turn(loop);
    CHECK_EQ(callback_status, WEFT_ENOFIBER);
    scene_drop(loop);
}

/* ---- running out of memory ---------------------------------------------------------------------------------------------------------- */

static int fork_without_memory(void *arg, void **result_out)
{
    struct weft_fork fork = {.state = 0};
    int number = 1;
    int *refusals = arg;
    (void)result_out;
    for (uint64_t n = 1;; n++) {
        oom_start(n);
        int status = weft_fork(&fork, twice, &number);
        if (!oom_stop()) {
            CHECK_EQ(status, 0);
            break;
        }
        CHECK_EQ(status, -ENOMEM);
        CHECK_EQ(weft_join(&fork), WEFT_EINVALIDSTATE);
        ++*refusals;
    }
    CHECK_EQ(weft_join(&fork), 2);
    return 0;
}

Test(job, says_that_there_is_no_memory, .timeout = 10)
{
    int refused = 0;
    oom_install();
    CHECK_EQ(scene_run_job(fork_without_memory, &refused), 0);
    CHECK_EQ(refused, 2);
}

/* An assist item that finds no memory for a child leaves the job to its owner. */
static int sleep_without_memory(void *arg, void **result_out)
{
    struct weft_fork fork;
    int number = 1;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_fork(&fork, twice, &number), 0);
    oom_start_from(1);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_sleep(0), 0);
    struct weft_future *future = arg;
    CHECK_EQ(weft_await(future, NULL), 0);
    (void)oom_stop();
    CHECK_EQ(weft_join(&fork), 2);
    return 0;
}

static int complete(void *future)
{
    return weft_future_set_result(future, NULL);
}

Test(job, is_run_by_its_owner_if_a_thief_has_no_memory, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    oom_install();
    CHECK_EQ(weft_loop_call_later(loop, MILLISECOND, complete, future, NULL), 0);
    CHECK_EQ(scene_run_job_on(loop, sleep_without_memory, future), 0);
    weft_future_unref(future);
    scene_drop(loop);
}

/* ---- where no fiber runs ------------------------------------------------------------------------------------------------------------ */

static struct weft_task *started;

static int start_in_callback(void *loop)
{
    static int n = 21;
    return weft_job_start(loop, fib_fiber, &n, &started);
}

Test(job, is_started_from_a_callback, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(weft_loop_call_soon(loop, start_in_callback, loop, NULL, NULL), 0);
    scene_turn(loop);
    CHECK_EQ(weft_loop_run_until_complete(loop, &started->future, NULL), 0);
    weft_task_unref(started);
    scene_drop(loop);
}

static int step_start(struct weft_step *step, void *state, int status)
{
    WEFT_STEP_BEGIN(step, status);
    CHECK_EQ(start_in_callback(weft_get_running_loop()), 0);
    (void)state;
    WEFT_STEP_AWAIT(step, &started->future, status);
    CHECK_EQ(status, 0);
    WEFT_STEP_END(step, NULL);
}

Test(job, is_started_by_a_step_task, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_coro *coro;
    struct weft_task *task;
    CHECK_EQ(weft_step_new(step_start, NULL, 0, &coro, NULL), 0);
    CHECK_EQ(weft_loop_create_task(loop, coro, NULL, &task), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    weft_task_unref(task);
    weft_task_unref(started);
    scene_drop(loop);
}

Test(job, is_started_from_a_plain_thread, .timeout = 10)
{
    struct scene_thread thread;
    scene_thread_start(&thread);
    CHECK_EQ(start_in_callback(thread.loop), 0);
    CHECK_EQ(weft_future_wait(&started->future, 5 * SECOND, NULL), 0);
    weft_task_unref(started);
    scene_thread_stop(&thread);
}

Test(job, is_not_started_on_a_closed_loop, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK_EQ(weft_job_start(loop, fib_fiber, NULL, NULL), WEFT_ECLOSED);
    CHECK_EQ(weft_job_start(NULL, fib_fiber, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_job_start(loop, NULL, NULL, NULL), -EINVAL);
    weft_loop_unref(loop);
}

/* ---- what debug builds catch -------------------------------------------------------------------------------------------------------- */

#if !defined(NDEBUG)

WEFT_JOB(long, leaves_one_open, int, n)
{
    WEFT_FORK(fib, n);
    return n;
}

static int open_fiber(void *arg, void **result_out)
{
    long result = 0;
    (void)arg, (void)result_out;
    return WEFT_RUN(leaves_one_open, 3, &result);
}

Test(job, asserts_that_a_body_joins_its_forks, .timeout = 10, .signal = SIGABRT)
{
    (void)scene_run_job(open_fiber, NULL);
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int forks_only(void *arg)
{
    static struct weft_fork left_open; /* not in the frame, so that the assertion is what ends this */
    return weft_fork(&left_open, do_nothing, arg);
}

static int forks_only_fiber(void *arg, void **result_out)
{
    struct weft_fork fork;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_fork(&fork, forks_only, "never"), 0);
    return weft_join(&fork);
}

Test(job, asserts_that_a_function_joins_its_forks, .timeout = 10, .signal = SIGABRT)
{
    (void)scene_run_job(forks_only_fiber, NULL);
}

WEFT_JOB(long, forks_over_a_function, int, n)
{
    static struct weft_fork left_open;
    CHECK_EQ(weft_fork(&left_open, do_nothing, NULL), 0);
    WEFT_FORK(fib, n);
    return WEFT_JOIN(fib);
}

static int forks_over_a_function_fiber(void *arg, void **result_out)
{
    long result = 0;
    (void)arg, (void)result_out;
    return WEFT_RUN(forks_over_a_function, 3, &result);
}

Test(job, asserts_that_a_function_is_joined_before_the_body_forks, .timeout = 10, .signal = SIGABRT)
{
    (void)scene_run_job(forks_over_a_function_fiber, NULL);
}

static int closure_leaves_one_open(struct weft_job_stack *stack, void *arg)
{
    weft_closure_fork(stack, closure_index, arg);
    return 0;
}

static int open_closure_fiber(void *arg, void **result_out)
{
    int result = 0;
    (void)arg, (void)result_out;
    return weft_closure_run(closure_leaves_one_open, &result, &result);
}

Test(job, asserts_that_a_closure_joins_its_forks, .timeout = 10, .signal = SIGABRT)
{
    (void)scene_run_job(open_closure_fiber, NULL);
}

WEFT_JOB(long, joins_another, int, n)
{
    WEFT_FORK(fib, n);
    return WEFT_JOIN(joins_another);
}

static int joins_another_fiber(void *arg, void **result_out)
{
    long result = 0;
    (void)arg, (void)result_out;
    return WEFT_RUN(joins_another, 3, &result);
}

Test(job, asserts_that_a_join_is_of_the_job_forked, .timeout = 10, .signal = SIGABRT)
{
    (void)scene_run_job(joins_another_fiber, NULL);
}

#endif
