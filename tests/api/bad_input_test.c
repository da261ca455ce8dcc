/*
 * Bad input to loops, futures, tasks, contexts, executors and runtimes. What is asked of every call is said in bad_input.h; a coroutine
 * that a refused call was given is closed by it.
 */
#include <errno.h>
#include <stdint.h>

#include "tests/api/bad_input.h"
#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "weft/context.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/gather.h"
#include "weft/group.h"
#include "weft/lock.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/status.h"
#include "weft/step.h"
#include "weft/task.h"
#include "weft/timer.h"

static int run_work(struct weft_work *unused)
{
    (void)unused;
    return 0;
}

static struct weft_work work = {NULL, run_work};

static int callback(void *arg)
{
    (void)arg;
    return 0;
}

static int on_done(struct weft_future *future, void *arg)
{
    (void)future;
    (void)arg;
    return 0;
}

static int body(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return 0;
}

static int step(struct weft_step *step, void *state, int status)
{
    (void)state;
    return status < 0 ? status : weft_step_return(step, NULL);
}

static void run_fiber(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_fiber(loop, fn, arg, &task), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    weft_task_unref(task);
}

static int64_t live_at_first; /* the registry's memory is the process's */

/* A loop that has run a task, so that what a room makes at its first use is not taken for a leak of the call that comes first. */
static struct weft_loop *new_loop(void)
{
    struct weft_loop *loop;
    oom_install();
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(weft_loop_new(NULL, 0, &loop), 0);
        run_fiber(loop, body, NULL);
        if (round > 0)
            break;
        CHECK_EQ(weft_loop_close(loop), 0);
        weft_loop_unref(loop);
        live_at_first = oom_live();
    }
    return loop;
}

static struct weft_coro *coro(void)
{
    struct weft_coro *coro;
    CHECK_EQ(weft_step_new(step, NULL, 8, &coro, NULL), 0);
    return coro;
}

static void drop_loop(struct weft_loop *loop)
{
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
    CHECK_EQ(oom_live(), live_at_first);
}

/* ---- loop, timer -------------------------------------------------------------------------------------------------------------- */

Test(bad_input, no_loop, .timeout = 5)
{
    struct weft_loop_counters counters;
    oom_install();
    REFUSES(weft_loop_run_forever(NULL));
    REFUSES(weft_loop_stop(NULL));
    REFUSES(weft_loop_close(NULL));
    REFUSES(weft_loop_call_soon(NULL, callback, NULL, NULL, NULL));
    REFUSES(weft_loop_call_soon_threadsafe(NULL, callback, NULL, NULL, NULL));
    REFUSES(weft_loop_post(NULL, &work));
    REFUSES(weft_loop_call_later(NULL, 0, callback, NULL, NULL));
    REFUSES(weft_loop_call_at(NULL, 0, callback, NULL, NULL));
    REFUSES(weft_loop_set_exception_handler(NULL, NULL, NULL));
    REFUSES(weft_loop_set_debug(NULL, true));
    REFUSES(weft_loop_set_slow_callback_duration(NULL, 1));
    REFUSES(weft_loop_set_posts_max(NULL, 1));
    REFUSES(weft_loop_get_counters(NULL, &counters));
    DENIES(weft_loop_ref(NULL));
    DENIES(weft_loop_user(NULL));
    DENIES(weft_loop_kind(NULL));
    DENIES(weft_loop_transport_ops(NULL));
    DENIES(weft_loop_is_running(NULL));
    DENIES(weft_loop_is_closed(NULL));
    DENIES(weft_loop_time(NULL));
    DENIES(weft_loop_get_exception_handler(NULL));
    DENIES(weft_loop_get_debug(NULL));
    DENIES(weft_loop_index(NULL));
    DENIES(weft_runtime_of(NULL));
    IGNORES(weft_loop_unref(NULL));
    IGNORES(weft_loop_call_exception_handler(NULL, NULL));
    IGNORES(weft_loop_default_exception_handler(NULL, NULL));
}

Test(bad_input, nothing_to_call_or_to_fill, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    struct weft_loop_options options = WEFT_LOOP_OPTIONS;
    REFUSES(weft_loop_new(NULL, 0, NULL));
    REFUSES(weft_loop_new(NULL, SIZE_MAX, &loop));
    REFUSES(weft_loop_new_options(NULL, &options, NULL));
    REFUSES(weft_loop_call_soon(loop, NULL, NULL, NULL, NULL));
    REFUSES(weft_loop_call_soon_threadsafe(loop, NULL, NULL, NULL, NULL));
    REFUSES(weft_loop_post(loop, NULL));
    REFUSES(weft_loop_post(loop, &(struct weft_work){NULL, NULL}));
    REFUSES(weft_loop_call_later(loop, 0, NULL, NULL, NULL));
    REFUSES(weft_loop_call_at(loop, 0, NULL, NULL, NULL));
    REFUSES(weft_loop_get_counters(loop, NULL));
    REFUSES(weft_loop_set_posts_max(loop, 0));
    IGNORES(weft_loop_call_exception_handler(loop, NULL));
    drop_loop(loop);
}

Test(bad_input, loop_that_is_closed, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    struct weft_future *future;
    struct weft_task *task = NULL;
    struct weft_timer timer;
    weft_timer_init(&timer, loop, callback, NULL);
    CHECK_EQ(weft_loop_create_future(loop, &future), 0);
    CHECK_EQ(weft_loop_close(loop), 0);
    SAYS(WEFT_ECLOSED, weft_loop_run_forever(loop));
    SAYS(WEFT_ECLOSED, weft_loop_stop(loop));
    SAYS(WEFT_ECLOSED, weft_loop_call_soon(loop, callback, NULL, NULL, NULL));
    SAYS(WEFT_ECLOSED, weft_loop_call_soon_threadsafe(loop, callback, NULL, NULL, NULL));
    SAYS(WEFT_ECLOSED, weft_loop_post(loop, &work));
    SAYS(WEFT_ECLOSED, weft_loop_call_later(loop, 0, callback, NULL, NULL));
    SAYS(WEFT_ECLOSED, weft_loop_call_at(loop, 0, callback, NULL, NULL));
    SAYS(WEFT_ECLOSED, weft_timer_start(&timer, 0));
    SAYS(WEFT_ECLOSED, weft_loop_create_task(loop, coro(), NULL, &task));
    SAYS(WEFT_ECLOSED, weft_loop_create_task_threadsafe(loop, coro(), NULL, &task));
    SAYS(WEFT_ECLOSED, weft_loop_create_fiber(loop, body, NULL, &task));
    SAYS(WEFT_ECLOSED, weft_loop_spawn(loop, coro(), NULL, &task));
    SAYS(WEFT_ECLOSED, weft_loop_spawn_fiber(loop, body, NULL, &task));
    SAYS(WEFT_ECLOSED, weft_loop_set_task_factory(loop, NULL, NULL));
    SAYS(WEFT_ECLOSED, weft_loop_run_until_complete(loop, future, NULL));
    SAYS(WEFT_ECLOSED, weft_loop_run_in_executor(loop, body, NULL, NULL));
    SAYS(WEFT_ENOTRUNNINGLOOP, weft_swap_current_task(loop, NULL, &task));
    CHECK(task == NULL && !weft_loop_is_running(loop));
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    weft_future_unref(future);
    drop_loop(loop);
}

Test(bad_input, no_handle_and_no_timer, .timeout = 5)
{
    oom_install();
    DENIES(weft_handle_cancel(NULL));
    DENIES(weft_handle_cancelled(NULL));
    DENIES(weft_handle_when(NULL));
    DENIES(weft_handle_ref(NULL));
    IGNORES(weft_handle_unref(NULL));
    REFUSES(weft_timer_start(NULL, 0));
    REFUSES(weft_timer_start_at(NULL, 0));
    DENIES(weft_timer_stop(NULL));
}

/* ---- future, gather ----------------------------------------------------------------------------------------------------------- */

Test(bad_input, no_future, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    int status;
    REFUSES(weft_future_init(NULL, loop, NULL));
    REFUSES(weft_future_set_result(NULL, NULL));
    REFUSES(weft_future_set_exception(NULL, -EIO));
    REFUSES(weft_future_result(NULL, NULL));
    REFUSES(weft_future_exception(NULL, &status));
    REFUSES(weft_future_add_done_callback(NULL, on_done, NULL, NULL));
    REFUSES(weft_future_chain(NULL, NULL));
    REFUSES(weft_future_wait(NULL, 0, NULL));
    REFUSES(weft_await(NULL, NULL));
    REFUSES(weft_await_flags(NULL, 0, NULL));
    REFUSES(weft_wait_for(NULL, 0, NULL));
    REFUSES(weft_loop_run_until_complete(loop, NULL, NULL));
    DENIES(weft_future_ref(NULL));
    DENIES(weft_future_promise(NULL));
    DENIES(weft_future_cancel(NULL, NULL));
    DENIES(weft_future_done(NULL));
    DENIES(weft_future_cancelled(NULL));
    DENIES(weft_future_cancel_message(NULL));
    DENIES(weft_future_get_loop(NULL));
    DENIES(weft_future_remove_done_callback(NULL, on_done, NULL));
    IGNORES(weft_future_fini(NULL));
    IGNORES(weft_future_unref(NULL));
    IGNORES(weft_future_unpromise(NULL));
    drop_loop(loop);
}

Test(bad_input, half_of_what_a_future_needs, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    struct weft_future *future, zero = {0}, *holes[2];
    CHECK_EQ(weft_loop_create_future(loop, &future), 0);
    holes[0] = future;
    holes[1] = NULL;
    REFUSES(weft_loop_create_future(NULL, &holes[1]));
    REFUSES(weft_loop_create_future(loop, NULL));
    REFUSES(weft_loop_sleep(NULL, 0, &holes[1]));
    REFUSES(weft_loop_sleep(loop, 0, NULL));
    REFUSES(weft_future_init(&zero, NULL, NULL));
    REFUSES(weft_future_add_done_callback(future, NULL, NULL, NULL));
    REFUSES(weft_future_set_exception(future, 0));
    REFUSES(weft_future_set_exception(future, 1));
    REFUSES(weft_future_chain(future, NULL));
    REFUSES(weft_future_chain(NULL, future));
    REFUSES(weft_loop_run_until_complete(NULL, future, NULL));
    REFUSES(weft_gather(NULL, &future, 1, 0, &holes[1]));
    REFUSES(weft_gather(loop, NULL, 1, 0, &holes[1]));
    REFUSES(weft_gather(loop, holes, 2, 0, &holes[1]));
    REFUSES(weft_gather(loop, holes, 1, ~0u, &holes[1]));
    REFUSES(weft_gather(loop, holes, 1, 0, NULL));
    CHECK(!weft_future_done(future) && holes[1] == NULL);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    SAYS(WEFT_EINVALIDSTATE, weft_future_set_result(future, NULL));
    SAYS(WEFT_EINVALIDSTATE, weft_future_set_exception(future, -EIO));
    DENIES(weft_future_cancel(future, NULL));
    weft_future_unref(future);
    drop_loop(loop);
}

/* ---- task, step, fiber, group --------------------------------------------------------------------------------------------------- */

Test(bad_input, no_task, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    static const struct weft_task_ops ops = {.size = sizeof(ops)};
    struct weft_task *task;
    size_t count;
    REFUSES(weft_task_set_name(NULL, "name"));
    REFUSES(weft_task_init(NULL, loop, &ops, NULL));
    REFUSES(weft_task_finish(NULL, 0, NULL));
    REFUSES(weft_register_task(NULL));
    REFUSES(weft_enter_task(loop, NULL));
    REFUSES(weft_leave_task(loop, NULL));
    REFUSES(weft_swap_current_task(NULL, NULL, &task));
    REFUSES(weft_swap_current_task(loop, NULL, NULL));
    REFUSES(weft_current_task(NULL));
    REFUSES(weft_all_tasks(loop, NULL, &count));
    REFUSES(weft_all_tasks(loop, &(struct weft_task **){NULL}, NULL));
    DENIES(weft_task_ref(NULL));
    DENIES(weft_task_cancel(NULL, NULL));
    DENIES(weft_task_cancelling(NULL));
    DENIES(weft_task_uncancel(NULL));
    DENIES(weft_task_get_coro(NULL));
    DENIES(weft_task_get_context(NULL));
    DENIES(weft_task_get_name(NULL, NULL, 0));
    DENIES(weft_task_ran_on(NULL));
    DENIES(weft_task_parent_id(NULL));
    DENIES(weft_loop_current_task_id(NULL));
    DENIES(weft_loop_get_task_factory(NULL));
    DENIES(weft_task_from_id(0));
    IGNORES(weft_task_unref(NULL));
    IGNORES(weft_unregister_task(NULL));
    IGNORES(weft_all_tasks_free(NULL, 0));
    drop_loop(loop);
}

Test(bad_input, half_of_what_a_task_needs, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    static const struct weft_task_ops ops = {.size = sizeof(ops)};
    struct weft_task *task = NULL, zero = {0};
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    options.flags = ~0u;
    REFUSES(weft_loop_create_task(loop, coro(), &options, &task));
    REFUSES(weft_loop_create_task(NULL, coro(), NULL, &task));
    REFUSES(weft_loop_create_task(loop, NULL, NULL, &task));
    REFUSES(weft_loop_create_task_threadsafe(NULL, coro(), NULL, &task));
    REFUSES(weft_loop_create_task_threadsafe(loop, NULL, NULL, &task));
    REFUSES(weft_loop_spawn(loop, coro(), &options, &task));
    REFUSES(weft_loop_spawn(NULL, coro(), NULL, &task));
    REFUSES(weft_loop_spawn(loop, NULL, NULL, &task));
    REFUSES(weft_task_new(NULL, coro(), NULL, &task));
    REFUSES(weft_task_new(loop, NULL, NULL, &task));
    REFUSES(weft_loop_set_task_factory(NULL, NULL, NULL));
    REFUSES(weft_loop_create_fiber(NULL, body, NULL, &task));
    REFUSES(weft_loop_create_fiber(loop, NULL, NULL, &task));
    REFUSES(weft_loop_spawn_fiber(NULL, body, NULL, &task));
    REFUSES(weft_loop_spawn_fiber(loop, NULL, NULL, &task));
    REFUSES(weft_task_init(&zero, NULL, &ops, NULL));
    REFUSES(weft_task_init(&zero, loop, NULL, NULL));
    REFUSES(weft_enter_task(NULL, &zero));
    REFUSES(weft_leave_task(NULL, &zero));
    CHECK(task == NULL);
    CHECK_EQ(weft_loop_create_task(loop, coro(), NULL, &task), 0);
    REFUSES(weft_task_set_name(task, NULL));
    SAYS(WEFT_EFORBIDDEN, weft_future_set_result(&task->future, NULL));
    SAYS(WEFT_EFORBIDDEN, weft_future_set_exception(&task->future, -EIO));
    DENIES(weft_task_get_name(task, NULL, 8));
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    weft_task_unref(task);
    drop_loop(loop);
}

Test(bad_input, no_body, .timeout = 5)
{
    struct weft_coro *made = NULL;
    struct weft_future *future = NULL;
    oom_install();
    REFUSES(weft_fiber_new(NULL, NULL, NULL, &made));
    REFUSES(weft_fiber_new(body, NULL, NULL, NULL));
    REFUSES(weft_step_new(NULL, NULL, 8, &made, NULL));
    REFUSES(weft_step_new(step, NULL, 8, NULL, NULL));
    REFUSES(weft_step_new(step, NULL, SIZE_MAX, &made, NULL));
    REFUSES(weft_step_await(NULL, future, 0));
    REFUSES(weft_step_return(NULL, NULL));
    CHECK_EQ(weft_step_yield(NULL), WEFT_CORO_YIELD);
    CHECK(made == NULL);
}

/* The loop keeps the memory of a step and of a fiber for the next ones, which is not to be counted as left by these. */
static void let_loop_keep_blocks(void)
{
    struct weft_coro *one = coro(), *other;
    CHECK_EQ(weft_fiber_new(body, NULL, NULL, &other), 0);
    one->ops->close(one);
    other->ops->close(other);
}

static int group_body(void *arg, void **result_out)
{
    struct weft_group group = WEFT_GROUP_INIT;
    (void)arg;
    (void)result_out;
    let_loop_keep_blocks();
    REFUSES(weft_group_enter(NULL));
    REFUSES(weft_group_create_task(NULL, coro(), NULL, NULL));
    REFUSES(weft_group_spawn_fiber(NULL, body, NULL, NULL));
    REFUSES(weft_group_cancel(NULL));
    REFUSES(weft_group_exit(NULL, 0));
    DENIES(weft_group_failure(NULL, 0));
    IGNORES(weft_group_fini(NULL));
    SAYS(WEFT_EGROUPSTATE, weft_group_create_task(&group, coro(), NULL, NULL));
    SAYS(WEFT_EGROUPSTATE, weft_group_exit(&group, 0));
    CHECK_EQ(weft_group_enter(&group), 0);
    REFUSES(weft_group_create_task(&group, NULL, NULL, NULL));
    REFUSES(weft_group_spawn_fiber(&group, NULL, NULL, NULL));
    CHECK_EQ(weft_group_exit(&group, 0), 0);
    SAYS(WEFT_EGROUPSTATE, weft_group_create_task(&group, coro(), NULL, NULL));
    REFUSES(weft_await(NULL, NULL));
    REFUSES(weft_wait_for(NULL, 0, NULL));
    return 0;
}

Test(bad_input, no_group, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    run_fiber(loop, group_body, NULL);
    drop_loop(loop);
}

/* ---- context ------------------------------------------------------------------------------------------------------------------ */

Test(bad_input, no_context_and_no_variable, .timeout = 5)
{
    static const struct weft_context_var var = WEFT_CONTEXT_VAR("var", NULL);
    struct weft_context_token token = {0};
    oom_install();
    struct weft_context *context = weft_context_empty();
    REFUSES(weft_context_set(NULL, &var, NULL));
    REFUSES(weft_context_set(context, NULL, NULL));
    REFUSES(weft_context_run(context, NULL, NULL));
    REFUSES(weft_context_var_set(NULL, NULL, &token));
    REFUSES(weft_context_var_reset(NULL));
    SAYS(-EALREADY, weft_context_var_reset(&token));
    DENIES(weft_context_ref(NULL));
    DENIES(weft_context_get(NULL, &var, NULL));
    DENIES(weft_context_get(context, NULL, NULL));
    DENIES(weft_context_contains(NULL, &var));
    DENIES(weft_context_contains(context, NULL));
    DENIES(weft_context_count(NULL));
    DENIES(weft_context_var_get(NULL));
    IGNORES(weft_context_unref(NULL));
    IGNORES(weft_context_unref(weft_context_copy(NULL)));
    IGNORES(weft_context_token_drop(NULL));
    weft_context_unref(context);
    CHECK_EQ(oom_live(), 0);
}

/* ---- executor, runtime -------------------------------------------------------------------------------------------------------- */

Test(bad_input, no_executor, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    struct weft_executor *executor;
    struct weft_executor_counters counters;
    CHECK_EQ(weft_executor_create(NULL, &executor), 0);
    REFUSES(weft_executor_create(NULL, NULL));
    REFUSES(weft_executor_submit(NULL, loop, body, NULL, NULL));
    REFUSES(weft_executor_submit(executor, NULL, body, NULL, NULL));
    REFUSES(weft_executor_submit(executor, loop, NULL, NULL, NULL));
    REFUSES(weft_executor_shutdown(NULL, 0));
    REFUSES(weft_executor_get_counters(NULL, &counters));
    REFUSES(weft_executor_get_counters(executor, NULL));
    REFUSES(weft_loop_run_in_executor(NULL, body, NULL, NULL));
    REFUSES(weft_loop_set_default_executor(NULL, executor));
    REFUSES(weft_loop_shutdown_default_executor(NULL, 0));
    DENIES(weft_executor_ref(NULL));
    IGNORES(weft_executor_unref(NULL));
    CHECK_EQ(weft_executor_shutdown(executor, -1), 0);
    weft_executor_unref(executor);
    drop_loop(loop);
}

Test(bad_input, no_runtime, .timeout = 5)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    struct weft_loop_counters counters;
    options.loops = 2;
    oom_install();
    CHECK_EQ(weft_runtime_create(&options, &runtime), 0);
    REFUSES(weft_runtime_create(&options, NULL));
    options.flags = ~0u;
    REFUSES(weft_runtime_create(&options, &runtime));
    options.flags = 0;
    REFUSES(weft_runtime_run(NULL, coro(), NULL));
    REFUSES(weft_runtime_run(runtime, NULL, NULL));
    REFUSES(weft_runtime_start(NULL));
    REFUSES(weft_runtime_stop(NULL));
    REFUSES(weft_runtime_shutdown(NULL, 0));
    REFUSES(weft_runtime_get_counters(NULL, 0, &counters));
    REFUSES(weft_runtime_get_counters(runtime, 2, &counters));
    REFUSES(weft_runtime_get_counters(runtime, 0, NULL));
    REFUSES(weft_run(NULL, NULL, NULL));
    DENIES(weft_runtime_loop_count(NULL));
    DENIES(weft_runtime_loop(NULL, 0));
    DENIES(weft_runtime_loop(runtime, 2));
    DENIES(weft_runtime_executor(NULL));
    IGNORES(weft_runtime_destroy(NULL));
    options.main_loop = 2;
    REFUSES(weft_runtime_create(&options, &runtime));
    weft_runtime_destroy(runtime);
    CHECK_EQ(oom_live(), 0);
}

Test(bad_input, an_overflow_handler_without_a_function_writes_a_line, .timeout = 5)
{
    CHECK_EQ(weft_stack_overflow_install(NULL, NULL), 0);
    weft_stack_overflow_remove();
    IGNORES(weft_stack_overflow_remove());
}

/* ---- lock ----------------------------------------------------------------------------------------------------------------------- */

static int acquire_nothing(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    REFUSES(weft_lock_acquire(NULL));
    return 0;
}

Test(bad_input, no_lock, .timeout = 5)
{
    struct weft_loop *loop = new_loop();
    struct weft_future *turn = NULL;
    struct weft_lock *lock;
    CHECK_EQ(weft_lock_new(&lock), 0);
    REFUSES(weft_lock_new(NULL));
    REFUSES(weft_lock_release(NULL));
    REFUSES(weft_lock_give_up(NULL));
    REFUSES(weft_lock_acquire_future(NULL, loop, &turn));
    REFUSES(weft_lock_acquire_future(lock, NULL, &turn));
    REFUSES(weft_lock_acquire_future(lock, loop, NULL));
    DENIES(weft_lock_ref(NULL));
    DENIES(weft_lock_locked(NULL));
    IGNORES(weft_lock_unref(NULL));
    SAYS(WEFT_ENOTLOCKED, weft_lock_release(lock));
    CHECK(turn == NULL && !weft_lock_locked(lock));
    run_fiber(loop, acquire_nothing, NULL);
    weft_lock_unref(lock);
    drop_loop(loop);
}
