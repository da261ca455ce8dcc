/*
 * What once went wrong between the rooms: runs that were left early, messages of cancellations, reports, loops closed in odd places.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/task/task.h"
#include "tests/support/oom.h"
#include "tests/task/scene.h"
#include "weft/context.h"
#include "weft/gather.h"

static int body_fatal(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return WEFT_EEXIT;
}

static int body_three_yields(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = 0;
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_yield();
    return status;
}

static int body_await(void *arg, void **result_out)
{
    return weft_await(arg, result_out);
}

/* ---- run until complete ------------------------------------------------------------------------------------------------------------- */

Test(run, left_by_a_fatal_status_does_not_stop_the_next_one, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run(loop, body_fatal, NULL, NULL), WEFT_EEXIT);
    CHECK_EQ(scene_run(loop, body_three_yields, NULL, NULL), 0);
    scene_drop(loop);
}

static int complete_and_stop(void *arg)
{
    struct weft_future *future = arg;
    CHECK_EQ(weft_loop_stop(weft_future_get_loop(future)), 0);
    return weft_future_set_result(future, NULL);
}

Test(run, that_was_stopped_beside_its_end_does_not_stop_the_next_one, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    CHECK_EQ(weft_loop_call_soon(loop, complete_and_stop, future, NULL, NULL), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, future, NULL), 0);
    CHECK_EQ(scene_run(loop, body_three_yields, NULL, NULL), 0);
    weft_future_unref(future);
    scene_drop(loop);
}

Test(run, of_a_future_that_carries_a_fatal_status_ends, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    CHECK_EQ(weft_future_set_exception(future, WEFT_EINTERRUPT), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, future, NULL), WEFT_EINTERRUPT);
    weft_future_unref(future);
    scene_drop(loop);
}

Test(run, leaves_nothing_when_there_is_no_memory, .timeout = 5)
{
    oom_install();
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    CHECK_EQ(weft_future_set_result(future, "value"), 0);
    void *value = NULL;
    for (uint64_t nth = 1;; nth++) {
        int64_t before = oom_live();
        oom_start(nth);
        int status = weft_loop_run_until_complete(loop, future, &value);
        if (!oom_stop())
            break;
        CHECK_EQ(status, -ENOMEM);
        CHECK(value == NULL);
        CHECK_EQ(oom_live(), before);
    }
    CHECK_STR(value, "value");
    weft_future_unref(future);
    scene_drop(loop);
    CHECK_EQ(oom_live(), 0);
}

/* ---- the message of a cancellation ----------------------------------------------------------------------------------------------------- */

/* The message that a task which waits for `future` ends with, once `message` was asked for. */
static const char *message_at_the_end(struct weft_loop *loop, struct weft_task *task)
{
    scene_turn(loop);
    scene_turn(loop);
    CHECK(weft_future_cancelled(&task->future));
    return weft_future_cancel_message(&task->future);
}

Test(message, is_the_first_of_two_requests, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    struct weft_task *task = scene_spawn(loop, body_await, future);
    scene_turn(loop);
    CHECK(weft_task_cancel(task, "first"));
    CHECK(weft_task_cancel(task, "second"));
    CHECK_STR(message_at_the_end(loop, task), "first");
    weft_task_unref(task);
    weft_future_unref(future);
    scene_drop(loop);
}

Test(message, is_the_first_of_two_requests_that_come_with_the_result, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    struct weft_task *task = scene_spawn(loop, body_await, future);
    scene_turn(loop);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    CHECK(weft_task_cancel(task, "first"));
    CHECK(weft_task_cancel(task, "second"));
    CHECK_STR(message_at_the_end(loop, task), "first");
    weft_task_unref(task);
    weft_future_unref(future);
    scene_drop(loop);
}

Test(message, is_that_of_the_future_if_somebody_else_cancelled_it, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    struct weft_task *task = scene_spawn(loop, body_await, future);
    scene_turn(loop);
    CHECK(weft_future_cancel(future, "the future's"));
    CHECK(weft_task_cancel(task, "the task's"));
    CHECK_STR(message_at_the_end(loop, task), "the future's");
    CHECK_EQ(weft_task_cancelling(task), 1);
    weft_task_unref(task);
    weft_future_unref(future);
    scene_drop(loop);
}

/* ---- reports --------------------------------------------------------------------------------------------------------------------------- */

static int report_count;

/* Holds what it is told of for a moment, as code that it calls may. */
static int hold_and_drop(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    int status = 0;
    (void)loop, (void)arg;
    CHECK(exception->future != NULL);
    weft_future_unref(weft_future_ref(exception->future));
    if (weft_future_done(exception->future))
        CHECK_EQ(weft_future_exception(exception->future, &status), 0);
    CHECK_EQ(status, exception->status);
    report_count++;
    return 0;
}

Test(report, of_what_is_about_to_go_may_be_held_for_the_call, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(weft_loop_set_exception_handler(loop, hold_and_drop, NULL), 0);
    struct weft_future *future = scene_future(loop), *pending = scene_future(loop);
    CHECK_EQ(weft_future_set_exception(future, -EIO), 0);
    weft_future_unref(future);
    CHECK_EQ(report_count, 1);
    CHECK_EQ(weft_loop_create_fiber(loop, body_await, pending, NULL), 0);
    scene_turn(loop);
    scene_drop(loop);
    CHECK_EQ(report_count, 2);
    weft_future_unref(pending);
}

/* ---- closing a loop in another one's fiber ------------------------------------------------------------------------------------------------ */

/* Frames of some depth, so that a tool whose idea of the stack is wrong notices. */
static int descend(int depth)
{
    volatile char block[256];
    memset((void *)(uintptr_t)block, depth, sizeof(block));
    return depth == 0 ? block[7] : descend(depth - 1) + block[9] - depth;
}

static int body_close(void *arg, void **result_out)
{
    (void)result_out;
    CHECK_EQ(descend(20), 0);
    CHECK_EQ(weft_loop_close(arg), 0);
    CHECK_EQ(descend(20), 0);
    int status = weft_yield();
    CHECK_EQ(descend(20), 0);
    return status;
}

static int body_waits_deep(void *arg, void **result_out)
{
    CHECK_EQ(descend(10), 0);
    int status = weft_await(arg, result_out);
    CHECK_EQ(status, WEFT_ECLOSED);
    CHECK_EQ(descend(10), 0);
    return status;
}

Test(close, may_happen_in_a_fiber_of_another_loop, .timeout = 5)
{
    struct weft_loop *loop = scene_epoll_loop(), *other = scene_epoll_loop();
    struct weft_future *future = scene_future(other);
    struct weft_task *task = scene_spawn(other, body_waits_deep, future);
    scene_turn(other);
    CHECK_EQ(scene_run(loop, body_close, other, NULL), 0);
    weft_task_unref(task);
    CHECK_EQ(scene_reports(), 1); /* it was destroyed pending */
    weft_future_unref(future);
    weft_loop_unref(other);
    scene_drop(loop);
}

static void *run_a_sleep(void *arg)
{
    CHECK_EQ(scene_run(arg, body_three_yields, NULL, NULL), 0);
    return NULL;
}

Test(close, comes_after_runs_in_threads_that_are_gone, .timeout = 5)
{
    struct weft_loop *loop = scene_epoll_loop();
    for (size_t i = 0; i < 6; i++) { /* stacks of different sizes, at the same address now and then */
        pthread_t thread;
        pthread_attr_t attr;
        CHECK_EQ(pthread_attr_init(&attr), 0);
        CHECK_EQ(pthread_attr_setstacksize(&attr, (size_t)1 << (18 + i % 3)), 0);
        CHECK_EQ(pthread_create(&thread, &attr, run_a_sleep, loop), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        (void)pthread_attr_destroy(&attr);
    }
    scene_drop(loop);
}

/* ---- sleeps, contexts -------------------------------------------------------------------------------------------------------------------- */

Test(sleep, is_cancelled_when_its_loop_closes_so_that_a_gathering_is_let_go, .timeout = 5)
{
    oom_install();
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *sleeps[2], *both;
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_loop_sleep(loop, SECOND, &sleeps[i]), 0);
    CHECK_EQ(weft_gather(loop, sleeps, 2, 0, &both), 0);
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK(weft_future_cancelled(sleeps[0]) && weft_future_cancelled(sleeps[1]));
    CHECK(!weft_future_done(both));
    weft_future_unref(both);
    for (int i = 0; i < 2; i++)
        weft_future_unref(sleeps[i]);
    weft_loop_unref(loop);
    CHECK_EQ(oom_live(), 0);
}

Test(sleep, of_a_closed_loop_ends_the_wait_of_a_task_of_another, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop(), *other = scene_sim_loop();
    struct weft_future *future;
    CHECK_EQ(weft_loop_sleep(other, SECOND, &future), 0);
    struct weft_task *task = scene_spawn(loop, body_await, future);
    scene_turn(loop);
    scene_drop(other);
    scene_turn(loop);
    CHECK(weft_future_cancelled(&task->future));
    weft_task_unref(task);
    weft_future_unref(future);
    scene_drop(loop);
}

static const struct weft_context_var colour = WEFT_CONTEXT_VAR("colour", "none");

static int body_sets_its_first_variable(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    struct weft_task *self = scene_task_here();
    CHECK(weft_task_get_context(self) == NULL);
    CHECK_EQ(weft_context_var_set(&colour, "red", NULL), 0);
    CHECK_STR(weft_context_get(weft_task_get_context(self), &colour, "none"), "red");
    int status = weft_yield();
    CHECK_STR(weft_context_get(weft_task_get_context(self), &colour, "none"), "red");
    return status;
}

Test(context, of_a_task_is_found_while_the_task_runs, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *task = scene_spawn(loop, body_sets_its_first_variable, NULL);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    CHECK_STR(weft_context_get(weft_task_get_context(task), &colour, "none"), "red");
    CHECK_STR(weft_context_var_get(&colour), "none");
    weft_task_unref(task);
    scene_drop(loop);
}

static int body_fail(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return -EIO;
}

/* Waits for the task of which it is told only after it has begun, so that it is the first to run. */
static int body_await_other(void *arg, void **result_out)
{
    struct weft_task **other = arg;
    return weft_await(&(*other)->future, result_out);
}

Test(cancel, that_comes_after_the_failure_it_meets_counts_as_asking_for_it, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *failing = NULL;
    struct weft_task *waiting = scene_spawn(loop, body_await_other, &failing);
    failing = scene_spawn(loop, body_fail, NULL);
    scene_turn(loop); /* the first hangs on the second, which fails: the wake-up is queued */
    CHECK(weft_future_done(&failing->future));
    CHECK(weft_task_cancel(waiting, NULL));
    CHECK_EQ(weft_loop_run_until_complete(loop, &waiting->future, NULL), -ECANCELED);
    weft_task_unref(waiting);
    weft_task_unref(failing);
    CHECK_EQ(scene_reports(), 0);
    scene_drop(loop);
}

/* ---- entering ----------------------------------------------------------------------------------------------------------------------- */

static int enter_foreign(void *arg)
{
    struct weft_loop *here = weft_get_running_loop();
    CHECK_EQ(weft_enter_task(here, arg), WEFT_EFORBIDDEN);
    CHECK_EQ(weft_swap_current_task(here, arg, NULL), WEFT_EFORBIDDEN);
    CHECK_EQ(weft_loop_current_task_id(here), 0);
    return weft_loop_stop(here);
}

Test(enter, ENT_9_a_task_that_another_loop_steps_is_refused, .timeout = 5)
{
    struct weft_loop *home = scene_sim_loop(), *other = scene_sim_loop();
    struct weft_task *task = scene_spawn(home, body_three_yields, NULL);
    CHECK_EQ(weft_loop_call_soon(other, enter_foreign, task, NULL, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(other), 0);
    CHECK_EQ(weft_loop_run_until_complete(home, &task->future, NULL), 0);
    weft_task_unref(task);
    scene_drop(other);
    scene_drop(home);
}

/* ---- a wait that ends by another status than that of its future ------------------------------------------------------------------- */

Test(future, whose_waiter_is_told_of_a_cancellation_instead_counts_as_asked_for, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *part = scene_future(loop), *all;
    CHECK_EQ(weft_gather(loop, &part, 1, 0, &all), 0);
    struct weft_task *task = scene_spawn(loop, body_await, all);
    scene_turn(loop);
    CHECK(weft_task_cancel(task, NULL));
    CHECK(weft_task_cancel(task, NULL)); /* the part is cancelled already, so this one is the task's own */
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), -ECANCELED);
    weft_task_unref(task);
    weft_future_unref(all);
    weft_future_unref(part);
    CHECK_EQ(scene_reports(), 0);
    scene_drop(loop);
}
