/*
 * Task groups, sentence by sentence (TG-1, TG-2).
 *
 * A case is one function that runs as a fiber, on virtual time; what its members do is written with sleeps, so that the order of things
 * is the order of their times.
 */
#include "tests/task/members.h"

static struct member fast = {MILLISECOND, "fast", 0};
static struct member failing_too = {10 * MILLISECOND, "too", -EPIPE};
static struct member fatal = {10 * MILLISECOND, "fatal", WEFT_EEXIT};

static int cancelling_here(void)
{
    return weft_task_cancelling(scene_task_here());
}

/* ---- entering and creating -------------------------------------------------------------------------------------------------------- */

static int enter_in_callback(void *arg)
{
    struct weft_group group = WEFT_GROUP_INIT;
    (void)arg;
    CHECK_EQ(weft_group_enter(&group), WEFT_ENOTASK);
    note("callback");
    return 0;
}

Test(group, needs_a_current_task, .timeout = 5)
{
    struct weft_group group = WEFT_GROUP_INIT;
    CHECK_EQ(weft_group_enter(&group), WEFT_ENOLOOP);
    CHECK_EQ(weft_group_enter(NULL), -EINVAL);
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(weft_loop_call_soon(loop, enter_in_callback, NULL, NULL, NULL), 0);
    scene_turn(loop);
    CHECK_STR(notes(), "callback");
    scene_drop(loop);
}

static int wait_for_members(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    add(&group, &slow);
    add(&group, &fast);
    note("body");
    CHECK_EQ(weft_group_exit(&group, 0), 0);
    note("left");
    return 0;
}

Test(group, waits_for_its_tasks, .timeout = 5)
{
    CHECK_EQ(in_fiber(wait_for_members, NULL), 0);
    CHECK_STR(notes(), "body fast slow left");
}

static int leave_empty(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    CHECK_EQ(weft_group_exit(&group, 0), 0);
    CHECK_EQ(weft_group_exit(&group, 0), WEFT_EGROUPSTATE);
    CHECK_EQ(weft_group_exit(NULL, 0), -EINVAL);
    return 0;
}

Test(group, without_tasks_is_left_at_once_and_once, .timeout = 5)
{
    CHECK_EQ(in_fiber(leave_empty, NULL), 0);
}

static int closed_count;

static int close_counted(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    (void)coro, (void)status, (void)suspend_out;
    CHECK(!"a refused coroutine was run");
    return 0;
}

static void count_close(struct weft_coro *coro)
{
    (void)coro;
    closed_count++;
}

static const struct weft_coro_ops counted_ops = {.size = sizeof(counted_ops), .send = close_counted, .close = count_close};

/* Creating must be refused, and the coroutine closed. */
static void is_refused(struct weft_group *group)
{
    struct weft_coro coro = {&counted_ops};
    int before = closed_count;
    CHECK_EQ(weft_group_create_task(group, &coro, NULL, NULL), WEFT_EGROUPSTATE);
    CHECK_EQ(closed_count, before + 1);
}

static int create_while_aborting(void *arg, void **result_out)
{
    (void)result_out;
    CHECK_EQ(weft_sleep(3600 * SECOND), -ECANCELED); /* the group ends */
    is_refused(arg);
    note("refused");
    return 0;
}

static int create_at_every_time(void *arg, void **result_out)
{
    struct weft_group group = WEFT_GROUP_INIT;
    (void)arg, (void)result_out;
    is_refused(&group);
    enter(&group);
    CHECK_EQ(weft_group_spawn_fiber(&group, create_while_aborting, &group, NULL), 0);
    add(&group, &failing);
    CHECK_EQ(weft_group_exit(&group, 0), WEFT_EGROUP);
    is_refused(&group);
    weft_group_fini(&group);
    return 0;
}

Test(group, takes_tasks_only_while_it_is_open, .timeout = 5)
{
    CHECK_EQ(in_fiber(create_at_every_time, NULL), 0);
    CHECK_STR(notes(), "failing refused");
    CHECK_EQ(closed_count, 3);
}

static int member_adds_member(void *arg, void **result_out)
{
    (void)result_out;
    CHECK_EQ(weft_yield(), 0);
    add(arg, &fast); /* the body is waiting in exit by now */
    note("added");
    return 0;
}

static int let_members_add(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    CHECK_EQ(weft_group_spawn_fiber(&group, member_adds_member, &group, NULL), 0);
    CHECK_EQ(weft_group_exit(&group, 0), 0);
    note("left");
    return 0;
}

Test(group, waits_for_tasks_that_its_tasks_add, .timeout = 5)
{
    CHECK_EQ(in_fiber(let_members_add, NULL), 0);
    CHECK_STR(notes(), "added fast left");
}

/* ---- failures --------------------------------------------------------------------------------------------------------------------- */

static int fail_while_the_body_waits(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    add(&group, &failing);
    add(&group, &slow);
    int status = weft_sleep(3600 * SECOND);
    CHECK_EQ(status, -ECANCELED);
    CHECK_EQ(cancelling_here(), 1);
    note("body");
    CHECK_EQ(weft_group_exit(&group, status), WEFT_EGROUP);
    CHECK_EQ(cancelling_here(), 0);
    CHECK_EQ(weft_group_failure(&group, 0), -EIO);
    CHECK_EQ(weft_group_failure(&group, 1), 0);
    weft_group_fini(&group);
    CHECK_EQ(weft_group_failure(&group, 0), 0);
    CHECK_EQ(weft_yield(), 0); /* no cancellation is left over */
    return 0;
}

Test(group, cancels_all_and_the_body_when_a_task_fails, .timeout = 5)
{
    CHECK_EQ(in_fiber(fail_while_the_body_waits, NULL), 0);
    CHECK_STR(notes(), "failing cancelled body");
}

static int fail_while_leaving(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    add(&group, &slow);
    add(&group, &failing);
    CHECK_EQ(weft_group_exit(&group, 0), WEFT_EGROUP);
    CHECK_EQ(cancelling_here(), 0);
    CHECK_EQ(weft_group_failure(&group, 0), -EIO);
    weft_group_fini(&group);
    CHECK_EQ(weft_yield(), 0);
    return 0;
}

Test(group, cancels_all_when_a_task_fails_while_it_is_left, .timeout = 5)
{
    CHECK_EQ(in_fiber(fail_while_leaving, NULL), 0);
    CHECK_STR(notes(), "failing cancelled");
}

static int fail_together(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    add(&group, &failing);
    add(&group, &failing_too);
    CHECK_EQ(weft_group_exit(&group, 0), WEFT_EGROUP);
    CHECK_EQ(weft_group_failure(&group, 0), -EIO);
    CHECK_EQ(weft_group_failure(&group, 1), -EPIPE);
    CHECK_EQ(weft_group_failure(&group, 2), 0);
    weft_group_fini(&group);
    return 0;
}

Test(group, tells_all_failures_in_order, .timeout = 5)
{
    CHECK_EQ(in_fiber(fail_together, NULL), 0);
}

static int body_fails(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    add(&group, &slow);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_group_exit(&group, -EBADF), WEFT_EGROUP);
    CHECK_EQ(weft_group_failure(&group, 0), -EBADF);
    CHECK_EQ(weft_group_failure(&group, 1), 0);
    weft_group_fini(&group);
    CHECK_EQ(cancelling_here(), 0);
    return 0;
}

Test(group, cancels_all_when_the_body_fails, .timeout = 5)
{
    CHECK_EQ(in_fiber(body_fails, NULL), 0);
    CHECK_STR(notes(), "cancelled");
}

static int cancelled_member_is_no_failure(void *arg, void **result_out)
{
    struct weft_group group;
    struct weft_task *task;
    (void)arg, (void)result_out;
    enter(&group);
    add(&group, &fast);
    CHECK_EQ(weft_group_spawn_fiber(&group, member, &slow, &task), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK(weft_task_cancel(task, NULL));
    weft_task_unref(task);
    CHECK_EQ(weft_group_exit(&group, 0), 0);
    return 0;
}

Test(group, takes_no_notice_of_a_task_that_is_cancelled, .timeout = 5)
{
    CHECK_EQ(in_fiber(cancelled_member_is_no_failure, NULL), 0);
    CHECK_STR(notes(), "cancelled fast");
}

static int body_swallows(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    add(&group, &failing);
    CHECK_EQ(weft_sleep(3600 * SECOND), -ECANCELED);
    CHECK_EQ(weft_group_exit(&group, 0), WEFT_EGROUP); /* as if nothing had been */
    weft_group_fini(&group);
    CHECK_EQ(cancelling_here(), 0);
    return 0;
}

Test(group, raises_failures_though_the_body_took_no_notice, .timeout = 5)
{
    CHECK_EQ(in_fiber(body_swallows, NULL), 0);
}

/* ---- fatal ones ------------------------------------------------------------------------------------------------------------------- */

struct outcome {
    int status;
    int body_status;
};

static int fatal_member(void *arg, void **result_out)
{
    struct weft_group group;
    struct outcome *outcome = arg;
    (void)result_out;
    enter(&group);
    add(&group, &fatal);
    add(&group, &failing_too);
    add(&group, &slow);
    outcome->status = weft_group_exit(&group, outcome->body_status);
    return 0;
}

Test(group, raises_a_fatal_status_bare, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct outcome outcome = {0, 0};
    struct weft_task *task = scene_spawn(loop, fatal_member, &outcome);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), WEFT_EEXIT); /* it leaves the loop first of all */
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    CHECK_EQ(outcome.status, WEFT_EEXIT);
    CHECK_STR(notes(), "fatal too cancelled");
    weft_task_unref(task);
    scene_drop(loop);
}

Test(group, raises_the_bodys_fatal_status_bare, .timeout = 5)
{
    struct outcome outcome = {0, WEFT_EINTERRUPT};
    CHECK_EQ(in_fiber(fatal_member, &outcome), 0);
    CHECK_EQ(outcome.status, WEFT_EINTERRUPT);
    CHECK_STR(notes(), "");
}

/* ---- cancellation from outside ---------------------------------------------------------------------------------------------------- */

static int group_of_two(void *arg, void **result_out)
{
    struct weft_group group;
    struct outcome *outcome = arg;
    (void)result_out;
    enter(&group);
    add(&group, &slow);
    add(&group, &slow);
    int status = outcome->body_status ? weft_sleep(3600 * SECOND) : 0;
    outcome->status = weft_group_exit(&group, status);
    return outcome->status;
}

static void cancel_outside(bool is_in_body)
{
    struct weft_loop *loop = scene_sim_loop();
    struct outcome outcome = {0, is_in_body};
    struct weft_task *task = scene_spawn(loop, group_of_two, &outcome);
    scene_pass(loop, MILLISECOND);
    CHECK(weft_task_cancel(task, NULL));
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), -ECANCELED);
    CHECK_EQ(outcome.status, -ECANCELED);
    CHECK_EQ(weft_task_cancelling(task), 1);
    CHECK_STR(notes(), "cancelled cancelled");
    weft_task_unref(task);
    scene_drop(loop);
}

Test(group, is_cancelled_with_its_task_in_the_body, .timeout = 5)
{
    cancel_outside(true);
}

Test(group, is_cancelled_with_its_task_while_it_is_left, .timeout = 5)
{
    cancel_outside(false);
}

/* A member that takes its time after it was cancelled, so that the group drains for a while. */
static int linger(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    (void)weft_sleep(3600 * SECOND);
    (void)weft_sleep(SECOND);
    return 0;
}

static int fail_and_linger(void *arg, void **result_out)
{
    struct weft_group group;
    struct outcome *outcome = arg;
    (void)result_out;
    enter(&group);
    CHECK_EQ(weft_group_spawn_fiber(&group, linger, NULL, NULL), 0);
    CHECK_EQ(weft_yield(), 0);
    if (outcome->body_status < 0)
        CHECK_EQ(weft_group_cancel(&group), 0);
    else
        add(&group, &failing);
    outcome->status = weft_group_exit(&group, 0);
    weft_group_fini(&group);
    int next = weft_yield();
    note(next == -ECANCELED ? "raised next" : "nothing next");
    return next;
}

/* The group drains because of a failure or a cancel of its own when its task is cancelled from outside. */
static struct outcome cancel_while_draining(bool is_group_cancelled)
{
    struct weft_loop *loop = scene_sim_loop();
    struct outcome outcome = {0, is_group_cancelled ? -1 : 0};
    struct weft_task *task = scene_spawn(loop, fail_and_linger, &outcome);
    scene_pass(loop, 500 * MILLISECOND);
    CHECK(weft_task_cancel(task, NULL));
    (void)weft_loop_run_until_complete(loop, &task->future, NULL);
    CHECK_EQ(weft_task_cancelling(task), 1);
    weft_task_unref(task);
    scene_drop(loop);
    return outcome;
}

Test(group, keeps_a_cancellation_that_comes_while_it_drains_behind_its_failures, .timeout = 5)
{
    CHECK_EQ(cancel_while_draining(false).status, WEFT_EGROUP);
    CHECK_STR(notes(), "failing raised next");
}

Test(group, keeps_a_cancellation_that_comes_while_it_drains, .timeout = 5)
{
    CHECK_EQ(cancel_while_draining(true).status, -ECANCELED);
    CHECK_STR(notes(), "nothing next"); /* it was raised */
}

/* ---- cancel ----------------------------------------------------------------------------------------------------------------------- */

static int cancel_in_body(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    add(&group, &slow);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_group_cancel(&group), 0);
    CHECK_EQ(weft_group_cancel(&group), 0); /* idempotent */
    is_refused(&group);
    CHECK_EQ(weft_group_exit(&group, 0), 0);
    CHECK_EQ(cancelling_here(), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_group_cancel(&group), WEFT_EGROUPSTATE);
    return 0;
}

Test(group, cancelled_by_its_body_raises_nothing, .timeout = 5)
{
    CHECK_EQ(in_fiber(cancel_in_body, NULL), 0);
    CHECK_STR(notes(), "cancelled");
}

static int cancel_in_body_and_wait(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    CHECK_EQ(weft_group_cancel(&group), 0);
    int status = weft_sleep(3600 * SECOND);
    CHECK_EQ(status, -ECANCELED); /* the body is cancelled too */
    CHECK_EQ(weft_group_exit(&group, status), 0);
    CHECK_EQ(cancelling_here(), 0);
    return 0;
}

Test(group, cancelled_by_its_body_cancels_its_body, .timeout = 5)
{
    CHECK_EQ(in_fiber(cancel_in_body_and_wait, NULL), 0);
}

static int cancel_group(void *arg, void **result_out)
{
    (void)result_out;
    CHECK_EQ(weft_sleep(MILLISECOND), 0);
    CHECK_EQ(weft_group_cancel(arg), 0);
    note("asked");
    return weft_sleep(SECOND); /* it is a member itself */
}

static int cancelled_by_member(void *arg, void **result_out)
{
    struct weft_group group;
    (void)result_out;
    enter(&group);
    add(&group, &slow);
    CHECK_EQ(weft_group_spawn_fiber(&group, cancel_group, &group, NULL), 0);
    int status = arg ? weft_sleep(3600 * SECOND) : 0;
    CHECK_EQ(status, arg ? -ECANCELED : 0);
    CHECK_EQ(weft_group_exit(&group, status), 0);
    CHECK_EQ(cancelling_here(), 0);
    CHECK_EQ(weft_yield(), 0);
    return 0;
}

Test(group, cancelled_by_a_task_raises_nothing, .timeout = 5)
{
    CHECK_EQ(in_fiber(cancelled_by_member, NULL), 0);
    CHECK_STR(notes(), "asked cancelled");
    CHECK_EQ(in_fiber(cancelled_by_member, &fast), 0);
    CHECK_STR(notes(), "asked cancelled");
}

static int cancel_before_enter(void *arg, void **result_out)
{
    struct weft_group group = WEFT_GROUP_INIT;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_group_cancel(&group), 0);
    CHECK_EQ(weft_group_cancel(&group), 0);
    CHECK_EQ(weft_group_enter(&group), 0);
    is_refused(&group);
    int status = weft_sleep(3600 * SECOND);
    CHECK_EQ(status, -ECANCELED);
    CHECK_EQ(weft_group_exit(&group, status), 0);
    CHECK_EQ(cancelling_here(), 0);
    CHECK_EQ(weft_group_enter(&group), 0); /* again: that was then */
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_group_exit(&group, 0), 0);
    return 0;
}

Test(group, cancelled_before_it_is_entered_is_cancelled_as_it_is, .timeout = 5)
{
    CHECK_EQ(in_fiber(cancel_before_enter, NULL), 0);
    CHECK_EQ(weft_group_cancel(NULL), -EINVAL);
}

static int cancel_with_failure(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    add(&group, &failing);
    CHECK_EQ(weft_group_spawn_fiber(&group, linger, NULL, NULL), 0);
    CHECK_EQ(weft_yield(), 0);                 /* so that the member's timer was armed first, */
    CHECK_EQ(weft_sleep(10 * MILLISECOND), 0); /* and now it has failed, and nobody knows yet */
    CHECK_EQ(weft_group_cancel(&group), 0);
    CHECK_EQ(weft_group_exit(&group, 0), WEFT_EGROUP);
    CHECK_EQ(weft_group_failure(&group, 0), -EIO);
    weft_group_fini(&group);
    CHECK_EQ(cancelling_here(), 0);
    return 0;
}

Test(group, cancelled_raises_what_failed_all_the_same, .timeout = 5)
{
    CHECK_EQ(in_fiber(cancel_with_failure, NULL), 0);
}

/* ---- eager members ---------------------------------------------------------------------------------------------------------------- */

static void add_eagerly(struct weft_group *group, weft_fiber_fn *fn, void *arg)
{
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    struct weft_coro *coro;
    options.flags = WEFT_TASK_EAGER_START;
    CHECK_EQ(weft_fiber_new(fn, arg, NULL, &coro), 0);
    CHECK_EQ(weft_group_create_task(group, coro, &options, NULL), 0);
}

static int cancel_group_at_once(void *arg, void **result_out)
{
    (void)result_out;
    CHECK_EQ(weft_group_cancel(arg), 0);
    note(weft_sleep(3600 * SECOND) == -ECANCELED ? "cancelled" : "slept");
    return 0;
}

static int eager_canceller(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    add_eagerly(&group, cancel_group_at_once, &group);
    CHECK_EQ(weft_group_exit(&group, 0), 0);
    return 0;
}

Test(group, cancels_an_eager_task_that_cancelled_it_before_it_was_added, .timeout = 5)
{
    CHECK_EQ(in_fiber(eager_canceller, NULL), 0);
    CHECK_STR(notes(), "cancelled");
}

/* What is left of a pile of eager tasks, each of which adds the next before it fails. */
struct pile {
    struct weft_group *group;
    int depth;
};

static int add_one_and_fail(void *arg, void **result_out)
{
    struct pile *pile = arg;
    (void)result_out;
    if (--pile->depth > 0)
        add_eagerly(pile->group, add_one_and_fail, pile);
    return -EIO;
}

static int pile_up(void *arg, void **result_out)
{
    struct weft_group group;
    struct pile pile = {&group, 40};
    (void)arg, (void)result_out;
    enter(&group);
    add_eagerly(&group, add_one_and_fail, &pile);
    note("at once"); /* the failures are told by the queue, not here */
    CHECK_EQ(weft_group_exit(&group, 0), WEFT_EGROUP);
    CHECK_EQ(weft_group_failure(&group, 39), -EIO);
    CHECK_EQ(weft_group_failure(&group, 40), 0);
    weft_group_fini(&group);
    return 0;
}

Test(group, has_room_for_the_failures_of_eager_tasks_that_add_each_other, .timeout = 5)
{
    CHECK_EQ(in_fiber(pile_up, NULL), 0);
    CHECK_STR(notes(), "at once");
}

/* ---- nested ----------------------------------------------------------------------------------------------------------------------- */

static int inner_group(void *arg, void **result_out)
{
    struct weft_group group;
    (void)result_out;
    enter(&group);
    add(&group, arg);
    add(&group, &slow);
    int status = weft_group_exit(&group, 0);
    note(status == WEFT_EGROUP ? "inner failed" : status < 0 ? "inner cancelled" : "inner done");
    weft_group_fini(&group);
    return status;
}

static int outer_group(void *arg, void **result_out)
{
    struct member **members = arg;
    struct weft_group group;
    (void)result_out;
    enter(&group);
    CHECK_EQ(weft_group_spawn_fiber(&group, inner_group, members[0], NULL), 0);
    add(&group, members[1]);
    int status = weft_group_exit(&group, 0);
    CHECK_EQ(cancelling_here(), 0);
    int failure = weft_group_failure(&group, 0);
    weft_group_fini(&group);
    return status < 0 ? failure : 0;
}

Test(group, inside_another_fails_as_one_task_of_it, .timeout = 5)
{
    struct member *members[] = {&failing, &slow};
    CHECK_EQ(in_fiber(outer_group, members), WEFT_EGROUP);
    CHECK_STR(notes(), "failing cancelled inner failed cancelled");
}

Test(group, inside_another_is_cancelled_with_it, .timeout = 5)
{
    struct member *members[] = {&slow, &failing};
    CHECK_EQ(in_fiber(outer_group, members), -EIO);
    CHECK_STR(notes(), "failing cancelled cancelled inner cancelled");
}

static int nested_in_one_task(void *arg, void **result_out)
{
    struct weft_group outer, inner;
    (void)arg, (void)result_out;
    enter(&outer);
    add(&outer, &failing);
    enter(&inner);
    add(&inner, &slow);
    int status = weft_group_exit(&inner, 0);
    CHECK_EQ(status, -ECANCELED); /* to the inner one, the outer's request comes from outside */
    CHECK_EQ(cancelling_here(), 1);
    CHECK_EQ(weft_group_exit(&outer, status), WEFT_EGROUP);
    weft_group_fini(&outer);
    CHECK_EQ(cancelling_here(), 0);
    return 0;
}

Test(group, inside_another_in_one_task_lets_its_cancellation_through, .timeout = 5)
{
    CHECK_EQ(in_fiber(nested_in_one_task, NULL), 0);
}
