/*
 * The rules of the contract, on the cancellation of tasks (TASK-4 to TASK-12).
 */
#include <string.h>

#include "tests/conformance/actor.h"
#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"

/* ---- TASK-4, TASK-5: asking ------------------------------------------------------------------------------------------------------ */

TaskRule(TASK_4, cancel_of_an_ended_task_does_nothing)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, RETURN("value")));
    run_once(loop);
    CHECK(!weft_task_cancel(task, NULL));
    CHECK_EQ(weft_task_cancelling(task), 0);
    CHECK(!weft_future_cancelled(&task->future));
    weft_task_unref(task);
}

TaskRule(TASK_4, cancel_counts_each_call_and_cancels_what_is_awaited)
{
    struct weft_future *future = future_new(loop);
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, AWAIT(future), SAY("never")));
    run_once(loop);
    CHECK_EQ(weft_task_cancelling(task), 0);
    CHECK(weft_task_cancel(task, "why"));
    CHECK_EQ(weft_task_cancelling(task), 1);
    CHECK(weft_future_cancelled(future));
    CHECK_STR(weft_future_cancel_message(future), "why");
    CHECK(weft_task_cancel(task, "again"));
    CHECK_EQ(weft_task_cancelling(task), 2);
    CHECK(!weft_future_done(&task->future));
    run_once(loop);
    CHECK(weft_future_cancelled(&task->future));
    CHECK_EQ(weft_future_result(&task->future, NULL), -ECANCELED);
    CHECK_STR(notes(), "");
    weft_task_unref(task);
    weft_future_unref(future);
}

TaskRule(TASK_4, cancel_of_the_future_that_a_task_is_asks_the_task)
{
    struct weft_future *future = future_new(loop);
    struct actor *actor = ACTOR(fixture, TRY_AWAIT(future), RETURN("swallowed"));
    struct weft_task *task = actor_start(fixture, actor);
    void *value = NULL;
    run_once(loop);
    CHECK(weft_future_cancel(&task->future, "why"));
    CHECK(!weft_future_done(&task->future));
    CHECK_EQ(weft_task_cancelling(task), 1);
    run_once(loop);
    CHECK_EQ(actor->caught, -ECANCELED);
    CHECK_EQ(weft_future_result(&task->future, &value), 0);
    CHECK_STR(value, "swallowed");
    weft_task_unref(task);
    weft_future_unref(future);
}

TaskRule(TASK_4, a_task_that_is_queued_gets_the_cancel_at_its_next_step)
{
    struct actor *actor = ACTOR(fixture, SAY("0"), TRY_YIELD(), SAY("1"));
    struct weft_task *task = actor_start(fixture, actor);
    run_once(loop);
    CHECK(weft_task_cancel(task, NULL));
    run_once(loop);
    CHECK_STR(notes(), "0 1");
    CHECK_EQ(actor->caught, -ECANCELED);
    CHECK_EQ(weft_future_result(&task->future, NULL), 0);
    weft_task_unref(task);
}

TaskRule(TASK_5, cancel_before_the_first_step_keeps_the_body_from_running)
{
    struct actor *actor = ACTOR(fixture, SAY("never"));
    struct weft_task *task = actor_start(fixture, actor);
    CHECK(weft_task_cancel(task, "early"));
    CHECK(!weft_future_done(&task->future));
    run_once(loop);
    CHECK_STR(notes(), "");
    CHECK(weft_future_cancelled(&task->future));
    CHECK_EQ(weft_future_result(&task->future, NULL), -ECANCELED);
    CHECK_EQ(weft_task_cancelling(task), 1);
    CHECK(fixture->coro_kind == CORO_FIBER || actor->drop_count == 1);
    weft_task_unref(task);
}

/* ---- TASK-6, TASK-7: several requests, and taking them back ----------------------------------------------------------------------- */

TaskRule(TASK_6, requests_before_the_delivery_are_delivered_once_with_the_first_message)
{
    struct weft_future *first = future_new(loop), *second = future_new(loop);
    struct actor *actor = ACTOR(fixture, TRY_AWAIT(first), SAY("once"), TRY_AWAIT(second), SAY("twice"), RETURN("value"));
    struct weft_task *task = actor_start(fixture, actor);
    void *value = NULL;
    run_once(loop);
    CHECK(weft_task_cancel(task, "message 1"));
    CHECK(weft_task_cancel(task, "message 2"));
    CHECK_EQ(weft_task_cancelling(task), 2);
    CHECK_STR(weft_future_cancel_message(first), "message 1");
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "once");
    CHECK_EQ(actor->caught_count, 1);
    CHECK(!weft_future_done(second));
    CHECK(weft_task_cancel(task, "message 3"));
    run_once(loop);
    CHECK_STR(notes(), "twice");
    CHECK_EQ(actor->caught_count, 2);
    CHECK_STR(weft_future_cancel_message(second), "message 3");
    CHECK(!weft_future_cancelled(&task->future));
    CHECK_EQ(weft_future_result(&task->future, &value), 0);
    CHECK_STR(value, "value");
    CHECK_EQ(weft_task_cancelling(task), 3);
    weft_task_unref(task);
    weft_future_unref(first);
    weft_future_unref(second);
}

TaskRule(TASK_7, uncancel_counts_down_to_zero_and_no_further)
{
    struct weft_future *future = future_new(loop);
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, TRY_AWAIT(future)));
    CHECK_EQ(weft_task_uncancel(task), 0);
    run_once(loop);
    CHECK(weft_task_cancel(task, NULL));
    CHECK(weft_task_cancel(task, NULL));
    CHECK_EQ(weft_task_uncancel(task), 1);
    CHECK_EQ(weft_task_uncancel(task), 0);
    CHECK_EQ(weft_task_uncancel(task), 0);
    CHECK_EQ(weft_task_cancelling(task), 0);
    run_once(loop);
    weft_task_unref(task);
    weft_future_unref(future);
}

TaskRule(TASK_7, a_request_taken_back_before_its_delivery_is_dropped)
{
    struct actor *actor = ACTOR(fixture, SAY("body"), RETURN("value"));
    struct weft_task *task = actor_start(fixture, actor);
    CHECK(weft_task_cancel(task, NULL));
    CHECK_EQ(weft_task_uncancel(task), 0);
    run_once(loop);
    CHECK_STR(notes(), "body");
    CHECK_EQ(weft_future_result(&task->future, NULL), 0);
    weft_task_unref(task);
}

TaskRule(TASK_7, one_of_two_requests_taken_back_leaves_the_other)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, SAY("never")));
    CHECK(weft_task_cancel(task, NULL));
    CHECK(weft_task_cancel(task, NULL));
    CHECK_EQ(weft_task_uncancel(task), 1);
    run_once(loop);
    CHECK_STR(notes(), "");
    CHECK(weft_future_cancelled(&task->future));
    weft_task_unref(task);
}

/* ---- TASK-8 to TASK-12: who else hears of it --------------------------------------------------------------------------------------- */

TaskRule(TASK_8, a_cancel_between_the_result_and_the_wake_up_wins)
{
    struct weft_future *future = future_new(loop);
    struct actor *actor = ACTOR(fixture, TRY_AWAIT(future));
    struct weft_task *task = actor_start(fixture, actor);
    void *value = NULL;
    run_once(loop);
    CHECK_EQ(weft_future_set_result(future, "lost to the task"), 0);
    CHECK(weft_task_cancel(task, NULL));
    run_once(loop);
    CHECK_EQ(actor->caught, -ECANCELED);
    CHECK_EQ(weft_future_result(future, &value), 0);
    CHECK_STR(value, "lost to the task");
    weft_task_unref(task);
    weft_future_unref(future);
}

TaskRule(TASK_9, a_task_that_cancels_itself_and_returns_is_cancelled)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, CALL(cancel_current, NULL), SAY("on"), RETURN("lost")));
    run_once(loop);
    CHECK_STR(notes(), "on");
    CHECK(weft_future_cancelled(&task->future));
    weft_task_unref(task);
}

TaskRule(TASK_9, a_task_that_cancels_itself_and_raises_has_what_it_raised)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, CALL(cancel_current, NULL), RAISE(-EDOM)));
    run_once(loop);
    CHECK(!weft_future_cancelled(&task->future));
    CHECK_EQ(weft_future_result(&task->future, NULL), -EDOM);
    weft_task_unref(task);
}

TaskRule(TASK_9, a_task_that_cancels_itself_and_awaits_cancels_what_it_awaits)
{
    struct weft_future *future = future_new(loop);
    struct actor *actor = ACTOR(fixture, CALL(cancel_current, NULL), TRY_AWAIT(future), SAY("delivered"));
    struct weft_task *task = actor_start(fixture, actor);
    run_once(loop);
    CHECK(weft_future_cancelled(future));
    CHECK_STR(notes(), "");
    run_once(loop);
    CHECK_STR(notes(), "delivered");
    CHECK_EQ(actor->caught, -ECANCELED);
    CHECK_EQ(weft_future_result(&task->future, NULL), 0);
    weft_task_unref(task);
    weft_future_unref(future);
}

TaskRule(TASK_9, a_self_cancel_passes_awaits_that_do_not_suspend)
{
    struct weft_future *done = future_new(loop), *pending = future_new(loop);
    CHECK_EQ(weft_future_set_result(done, NULL), 0);
    struct actor *actor = ACTOR(fixture, CALL(cancel_current, NULL), AWAIT(done), SAY("passed"), AWAIT(pending), SAY("never"));
    struct weft_task *task = actor_start(fixture, actor);
    run_once(loop);
    CHECK_STR(notes(), "passed");
    run_once(loop);
    CHECK(weft_future_cancelled(pending));
    CHECK(weft_future_cancelled(&task->future));
    CHECK_STR(notes(), "");
    weft_task_unref(task);
    weft_future_unref(done);
    weft_future_unref(pending);
}

TaskRule(TASK_10, a_future_that_others_cancel_cancels_its_waiter_without_a_request)
{
    struct weft_future *future = future_new(loop);
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, AWAIT(future), SAY("never")));
    run_once(loop);
    CHECK(weft_future_cancel(future, "others"));
    run_once(loop);
    CHECK(weft_future_cancelled(&task->future));
    CHECK_EQ(weft_task_cancelling(task), 0);
    CHECK_STR(notes(), "");
    weft_task_unref(task);
    weft_future_unref(future);
}

TaskRule(TASK_11, cancelling_one_waiter_cancels_the_future_and_so_the_others)
{
    struct weft_future *future = future_new(loop);
    struct weft_task *asked = actor_start(fixture, ACTOR(fixture, AWAIT(future)));
    struct weft_task *other = actor_start(fixture, ACTOR(fixture, AWAIT(future)));
    run_once(loop);
    CHECK(weft_task_cancel(asked, NULL));
    CHECK(weft_future_cancelled(future));
    run_once(loop);
    CHECK(weft_future_cancelled(&asked->future));
    CHECK(weft_future_cancelled(&other->future));
    CHECK_EQ(weft_task_cancelling(asked), 1);
    CHECK_EQ(weft_task_cancelling(other), 0);
    weft_task_unref(asked);
    weft_task_unref(other);
    weft_future_unref(future);
}

TaskRule(TASK_12, an_outer_task_gets_the_value_of_an_inner_one_that_swallows)
{
    struct weft_future *future = future_new(loop);
    struct weft_task *inner = actor_start(fixture, ACTOR(fixture, TRY_AWAIT(future), RETURN("swallowed")));
    struct actor *outer_actor = ACTOR(fixture, AWAIT(&inner->future), SAY("outer"));
    struct weft_task *outer = actor_start(fixture, outer_actor);
    run_once(loop);
    CHECK(weft_task_cancel(outer, NULL));
    CHECK_EQ(weft_task_cancelling(inner), 1);
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "outer");
    CHECK_STR(outer_actor->value, "swallowed");
    CHECK(!weft_future_cancelled(&outer->future));
    CHECK_EQ(weft_task_cancelling(outer), 1);
    weft_task_unref(inner);
    weft_task_unref(outer);
    weft_future_unref(future);
}

TaskRule(TASK_12, a_chain_of_tasks_is_cancelled_from_its_inner_end)
{
    struct weft_future *future = future_new(loop);
    struct weft_task *inner = actor_start(fixture, ACTOR(fixture, TRY_AWAIT(future), SAY("inner"), RAISE(-ECANCELED)));
    struct weft_task *middle = actor_start(fixture, ACTOR(fixture, TRY_AWAIT(&inner->future), SAY("middle"), RAISE(-ECANCELED)));
    struct weft_task *outer = actor_start(fixture, ACTOR(fixture, TRY_AWAIT(&middle->future), SAY("outer"), RAISE(-ECANCELED)));
    run_once(loop);
    CHECK(weft_task_cancel(outer, NULL));
    CHECK_STR(notes(), "");
    for (int i = 0; i < 3; i++)
        run_once(loop);
    CHECK_STR(notes(), "inner middle outer");
    CHECK(weft_future_cancelled(&inner->future));
    CHECK(weft_future_cancelled(&middle->future));
    CHECK(weft_future_cancelled(&outer->future));
    weft_task_unref(inner);
    weft_task_unref(middle);
    weft_task_unref(outer);
    weft_future_unref(future);
}
