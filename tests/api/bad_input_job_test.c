/*
 * Bad input to jobs and to stealable tasks. What is asked of every call is said in bad_input.h; beyond that nothing is lost: a coroutine
 * that was refused has been closed, and forks that a bad join left alone are joined afterwards.
 */
#include <errno.h>
#include <stdint.h>

#include "tests/api/bad_input.h"
#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "weft/fiber.h"
#include "weft/job.h"
#include "weft/loop.h"
#include "weft/status.h"
#include "weft/task.h"

WEFT_JOB(int, add_one, int, number)
{
    return number + 1;
}

static int twice(void *arg)
{
    return *(int *)arg * 2;
}

static int body(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return 0;
}

static int warm_up(void *arg, void **result_out)
{
    int three = 0;
    (void)arg;
    (void)result_out;
    CHECK_EQ(WEFT_RUN(add_one, 2, &three), 0);
    CHECK_EQ(three, 3);
    return 0;
}

static void run_job(struct weft_loop *loop, weft_fiber_fn *fn)
{
    struct weft_task *task;
    CHECK_EQ(weft_job_start(loop, fn, loop, &task), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    weft_task_unref(task);
}

/* A loop that has run a job, so that what a room makes at its first use is not taken for a leak of the call that comes first. */
static struct weft_loop *new_loop(void)
{
    struct weft_loop *loop;
    oom_install();
    CHECK_EQ(weft_loop_new(NULL, 0, &loop), 0);
    run_job(loop, warm_up);
    return loop;
}

static void drop_loop(struct weft_loop *loop)
{
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

/* Run `fn` in a fiber, with its loop for an argument. */
static void run(weft_fiber_fn *fn)
{
    struct weft_loop *loop = new_loop();
    run_job(loop, fn);
    drop_loop(loop);
}

/* ---- making them ---------------------------------------------------------------------------------------------------------------- */

static int closed_count;

static int never_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    (void)coro;
    (void)status;
    (void)suspend_out;
    test_fail(__FILE__, __LINE__, "a coroutine that was refused is run");
}

static void count_close(struct weft_coro *coro)
{
    (void)coro;
    closed_count++;
}

static const struct weft_coro_ops coro_ops = {.size = sizeof(coro_ops), .send = never_send, .close = count_close};

Test(bad_input_job, closes_each_coroutine_that_it_does_not_spawn, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    struct weft_coro coro = {&coro_ops};
    struct weft_task *task = NULL;
    struct weft_task_options flags = WEFT_TASK_OPTIONS, size = WEFT_TASK_OPTIONS;
    flags.flags = ~0u;
    size.size = 1;
    SAYS(-EINVAL, weft_loop_spawn(NULL, &coro, NULL, &task));
    SAYS(-EINVAL, weft_loop_spawn(loop, &coro, &flags, &task));
    SAYS(-EINVAL, weft_loop_spawn(loop, &coro, &size, &task));
    CHECK_EQ(closed_count, 3);
    SAYS(-EINVAL, weft_loop_spawn(loop, NULL, NULL, &task));
    CHECK_EQ(weft_loop_close(loop), 0);
    SAYS(WEFT_ECLOSED, weft_loop_spawn(loop, &coro, NULL, &task));
    CHECK_EQ(closed_count, 4);
    CHECK(task == NULL);
    weft_loop_unref(loop);
}

Test(bad_input_job, spawns_no_coroutine_without_slots, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    const struct weft_coro_ops short_ops = {.size = 1}, empty_ops = {.size = sizeof(empty_ops)};
    struct weft_coro none = {NULL}, too_short = {&short_ops}, empty = {&empty_ops};
    struct weft_task *task = NULL;
    SAYS(WEFT_EPROTOCOL, weft_loop_spawn(loop, &none, NULL, &task));
    SAYS(WEFT_EPROTOCOL, weft_loop_spawn(loop, &too_short, NULL, &task));
    SAYS(WEFT_EPROTOCOL, weft_loop_spawn(loop, &empty, NULL, &task));
    CHECK(task == NULL);
    drop_loop(loop);
}

Test(bad_input_job, starts_nothing_without_a_body_or_a_loop, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    struct weft_task *task = NULL;
    SAYS(-EINVAL, weft_job_start(NULL, body, NULL, &task));
    SAYS(-EINVAL, weft_job_start(loop, NULL, NULL, &task));
    SAYS(-EINVAL, weft_loop_spawn_fiber(NULL, body, NULL, &task));
    SAYS(-EINVAL, weft_loop_spawn_fiber(loop, NULL, NULL, &task));
    CHECK_EQ(weft_loop_close(loop), 0);
    SAYS(WEFT_ECLOSED, weft_job_start(loop, body, NULL, &task));
    SAYS(WEFT_ECLOSED, weft_loop_spawn_fiber(loop, body, NULL, &task));
    CHECK(task == NULL);
    weft_loop_unref(loop);
}

/* ---- without a fiber ------------------------------------------------------------------------------------------------------------ */

static int fork_without_a_fiber(void *arg)
{
    struct weft_fork fork = {.state = 0};
    struct weft_job_stack *stack = NULL;
    int number = 4;
    int *times = arg;
    SAYS(WEFT_ENOFIBER, weft_fork(&fork, twice, &number));
    SAYS(WEFT_ENOFIBER, weft_join(&fork));
    SAYS(WEFT_ENOFIBER, weft_job_stack_here(WEFT_JOB_LAYOUT, &stack));
    SAYS(WEFT_ENOFIBER, WEFT_RUN(add_one, 1, &number));
    CHECK(stack == NULL);
    CHECK_EQ(number, 4);
    ++*times;
    return 0;
}

static int stop(void *loop)
{
    return weft_loop_stop(loop);
}

Test(bad_input_job, forks_in_no_thread_and_no_callback, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    int times = 0;
    CHECK_EQ(fork_without_a_fiber(&times), 0);
    CHECK_EQ(weft_loop_call_soon(loop, fork_without_a_fiber, &times, NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_soon(loop, stop, loop, NULL, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_EQ(times, 2);
    drop_loop(loop);
}

/* ---- in a fiber ----------------------------------------------------------------------------------------------------------------- */

static int fork_nothing(void *arg, void **result_out)
{
    struct weft_fork fork = {.state = 0};
    int number = 4;
    (void)arg;
    (void)result_out;
    SAYS(-EINVAL, weft_fork(NULL, twice, &number));
    SAYS(-EINVAL, weft_fork(&fork, NULL, &number));
    SAYS(-EINVAL, weft_join(NULL));
    SAYS(WEFT_EINVALIDSTATE, weft_join(&fork));
    return 0;
}

Test(bad_input_job, forks_and_joins_nothing, .timeout = 5)
{
    run(fork_nothing);
}

static int join_in_bad_order(void *arg, void **result_out)
{
    struct weft_fork first, second;
    int one = 1, two = 2, three = 0;
    (void)arg;
    (void)result_out;
    CHECK_EQ(weft_fork(&first, twice, &one), 0);
    CHECK_EQ(weft_fork(&second, twice, &two), 0);
    SAYS(WEFT_EJOINORDER, weft_join(&first));
    CHECK_EQ(WEFT_RUN(add_one, 2, &three), 0); /* jobs work beside forks that wait for a better join */
    CHECK_EQ(three, 3);
    CHECK_EQ(weft_join(&second), 4);
    SAYS(WEFT_EINVALIDSTATE, weft_join(&second));
    CHECK_EQ(weft_join(&first), 2);
    SAYS(WEFT_EINVALIDSTATE, weft_join(&first));
    return 0;
}

Test(bad_input_job, joins_the_newest_first_and_once, .timeout = 5)
{
    run(join_in_bad_order);
}

/* A fork that others try to join, and what they were told. */
struct foreign {
    struct weft_fork fork;
    struct weft_future *told;
    int count;
};

static int join_in_callback(void *arg)
{
    struct foreign *foreign = arg;
    SAYS(WEFT_ENOFIBER, weft_join(&foreign->fork));
    foreign->count++;
    return weft_future_set_result(foreign->told, NULL);
}

/* Once without forks of its own, and once with one. */
static int join_in_fiber(void *arg, void **result_out)
{
    struct foreign *foreign = arg;
    struct weft_fork own;
    int number = 5;
    (void)result_out;
    SAYS(WEFT_EOTHERFIBER, weft_join(&foreign->fork));
    CHECK_EQ(weft_fork(&own, twice, &number), 0);
    SAYS(WEFT_EOTHERFIBER, weft_join(&foreign->fork));
    CHECK_EQ(weft_join(&own), 10);
    foreign->count++;
    return 0;
}

static int let_others_join(void *loop, void **result_out)
{
    struct foreign foreign = {.count = 0};
    struct weft_task *task;
    int number = 21;
    (void)result_out;
    CHECK_EQ(weft_fork(&foreign.fork, twice, &number), 0);
    CHECK_EQ(weft_loop_create_future(loop, &foreign.told), 0);
    CHECK_EQ(weft_loop_call_soon(loop, join_in_callback, &foreign, NULL, NULL), 0);
    CHECK_EQ(weft_await(foreign.told, NULL), 0);
    CHECK_EQ(weft_loop_create_fiber(loop, join_in_fiber, &foreign, &task), 0);
    CHECK_EQ(weft_await(&task->future, NULL), 0);
    CHECK_EQ(foreign.count, 2);
    CHECK_EQ(weft_join(&foreign.fork), 42);
    SAYS(WEFT_EINVALIDSTATE, weft_join(&foreign.fork));
    weft_task_unref(task);
    weft_future_unref(foreign.told);
    return 0;
}

Test(bad_input_job, is_joined_where_it_was_forked, .timeout = 5)
{
    run(let_others_join);
}

static struct weft_fork stale;

static int leave_open(void *number, void **result_out)
{
    (void)result_out;
    return weft_fork(&stale, twice, number);
}

static int join_what_was_left(void *number, void **result_out)
{
    struct weft_fork own;
    (void)result_out;
    CHECK_EQ(weft_fork(&own, twice, number), 0);
    SAYS(WEFT_EJOINORDER, weft_join(&stale)); /* the same stack, the same slot, and another fork */
    CHECK_EQ(weft_join(&own), 8);
    return 0;
}

static int ignore_report(struct weft_loop *loop, const struct weft_exception *exception, void *count)
{
    (void)loop;
    CHECK_EQ(exception->status, WEFT_EUNJOINED);
    ++*(int *)count;
    return 0;
}

static int run_in_turn(struct weft_loop *loop, weft_fiber_fn *fn, int *number)
{
    struct weft_task *task;
    CHECK_EQ(weft_job_start(loop, fn, number, &task), 0);
    int status = weft_loop_run_until_complete(loop, &task->future, NULL);
    weft_task_unref(task);
    return status;
}

Test(bad_input_job, joins_no_fork_that_a_fiber_before_has_left, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    int number = 4, reports = 0;
    CHECK_EQ(weft_loop_set_exception_handler(loop, ignore_report, &reports), 0);
    CHECK_EQ(run_in_turn(loop, leave_open, &number), 0);
    CHECK_EQ(reports, 1);
    CHECK_EQ(run_in_turn(loop, join_what_was_left, &number), 0);
    drop_loop(loop);
}

/* ---- for the macros ------------------------------------------------------------------------------------------------------------- */

static int ask_for_no_stack(void *arg, void **result_out)
{
    struct weft_job_stack *stack = NULL;
    (void)arg;
    (void)result_out;
    SAYS(WEFT_EPROTOCOL, weft_job_stack_here(WEFT_JOB_LAYOUT + 1, &stack));
    SAYS(WEFT_EPROTOCOL, weft_job_stack_here(0, &stack));
    SAYS(-EINVAL, weft_job_stack_here(WEFT_JOB_LAYOUT, NULL));
    SAYS(-EINVAL, WEFT_RUN(add_one, 1, NULL));
    CHECK(stack == NULL);
    return 0;
}

Test(bad_input_job, gives_no_stack_to_another_layout, .timeout = 5)
{
    run(ask_for_no_stack);
}

static int doubled(struct weft_job_stack *stack, void *arg)
{
    (void)stack;
    return *(int *)arg * 2;
}

static int use_no_stack(void *arg, void **result_out)
{
    struct weft_fork fork;
    struct weft_job job;
    struct weft_job_stack *stack;
    int number = 4;
    int result = 7;
    (void)arg;
    (void)result_out;
    CHECK_EQ(weft_fork(&fork, twice, &number), 0);
    CHECK_EQ(weft_job_stack_here(WEFT_JOB_LAYOUT, &stack), 0);
    IGNORES(weft_job_fork(NULL, weft_closure_stolen, &number, sizeof(number)));
    IGNORES(weft_job_fork(stack, NULL, &number, sizeof(number)));
    IGNORES(weft_job_fork(stack, weft_closure_stolen, NULL, sizeof(number)));
    IGNORES(weft_job_fork(stack, weft_closure_stolen, &number, WEFT_JOB_ARGUMENT_BYTES + 1));
    DENIES(weft_job_join(NULL));
    IGNORES(weft_closure_stolen(NULL, &job));
    IGNORES(weft_closure_stolen(stack, NULL));
    CHECK_EQ(weft_closure_run(NULL, &number, &result), -EINVAL);
    CHECK_EQ(weft_closure_run(doubled, &number, NULL), -EINVAL);
    CHECK_EQ(result, 7);
    CHECK_EQ(weft_join(&fork), 8); /* the fiber's own stack is as it was */
    return 0;
}

Test(bad_input_job, does_nothing_to_no_stack, .timeout = 5)
{
    run(use_no_stack);
    DENIES(weft_job_join(NULL)); /* nor without a fiber */
    int number = 4, result;
    CHECK_EQ(weft_closure_run(doubled, &number, &result), WEFT_ENOFIBER);
}
