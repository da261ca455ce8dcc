/*
 * The rules of the contract, on how tasks run and end; their cancellation has a file of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/actor.h"
#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"

/* ---- TASK-1, TASK-2: the first step, and one step at a time ---------------------------------------------------------------------- */

TaskRule(TASK_1, the_first_step_is_queued_and_the_creator_goes_on)
{
    call_soon(loop, note, "before");
    struct weft_task *first = actor_start(fixture, ACTOR(fixture, SAY("first")));
    struct weft_task *second = actor_start(fixture, ACTOR(fixture, SAY("second")));
    call_soon(loop, note, "after");
    CHECK_STR(notes(), "");
    CHECK(is_in_all_tasks(loop, first));
    CHECK(is_in_all_tasks(loop, second));
    run_once(loop);
    CHECK_STR(notes(), "before first second after");
    CHECK_EQ(task_count(loop), 0);
    weft_task_unref(first);
    weft_task_unref(second);
}

struct start {
    struct fixture *fixture;
    struct actor *actor;
    struct weft_task *task;
    uint32_t flags;
};

static int start_task(void *arg)
{
    struct start *start = arg;
    start->task = actor_start_on(start->fixture, start->fixture->loop, start->actor, start->flags);
    return note("created");
}

TaskRule(TASK_1, a_task_made_by_a_task_starts_in_the_next_iteration)
{
    struct start start = {.fixture = fixture, .actor = ACTOR(fixture, SAY("inner"))};
    struct weft_task *outer = actor_start(fixture, ACTOR(fixture, CALL(start_task, &start), SAY("outer")));
    run_once(loop);
    CHECK_STR(notes(), "created outer");
    run_once(loop);
    CHECK_STR(notes(), "inner");
    weft_task_unref(outer);
    weft_task_unref(start.task);
}

TaskRule(TASK_2, a_wake_up_and_a_cancel_give_one_step)
{
    struct weft_future *future = future_new(loop), *next = future_new(loop);
    struct actor *actor = ACTOR(fixture, TRY_AWAIT(future), SAY("step"), TRY_AWAIT(next), SAY("never"));
    struct weft_task *task = actor_start(fixture, actor);
    run_once(loop);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    CHECK(weft_task_cancel(task, NULL));
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "step");
    CHECK(!weft_future_done(&task->future));
    weft_task_unref(task);
    weft_future_unref(future);
    rule_close(fixture);
    weft_future_unref(next);     /* who waits borrows it */
    CHECK_EQ(reports_take(), 1); /* TASK-17 */
}

TaskRule(TASK_3, nobody_completes_a_task_from_outside)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, RETURN("own")));
    void *value = NULL;
    CHECK_EQ(weft_future_set_result(&task->future, "other"), WEFT_EFORBIDDEN);
    CHECK_EQ(weft_future_set_exception(&task->future, -EIO), WEFT_EFORBIDDEN);
    CHECK(!weft_future_done(&task->future));
    run_once(loop);
    CHECK_EQ(weft_future_result(&task->future, &value), 0);
    CHECK_STR(value, "own");
    weft_task_unref(task);
}

TaskRule(TASK_3, a_task_ends_with_what_its_coroutine_raises)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, RAISE(-EIO)));
    int status = 0;
    run_once(loop);
    CHECK(!weft_future_cancelled(&task->future));
    CHECK_EQ(weft_future_exception(&task->future, &status), 0);
    CHECK_EQ(status, -EIO);
    weft_task_unref(task);
}

TaskRule(TASK_3, an_exception_of_a_task_that_nobody_asked_for_is_reported)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, RAISE(-EIO)));
    run_once(loop);
    CHECK_EQ(reports_take(), 0);
    weft_task_unref(task);
    CHECK_EQ(reports_take(), 1);
    CHECK_EQ(report_last().status, -EIO);
}

/* ---- TASK-13: what must not be yielded ------------------------------------------------------------------------------------------- */

TaskRule(TASK_13, awaiting_itself_is_raised_at_the_wait)
{
    struct actor *actor = ACTOR(fixture, SAY("start"), TRY_AWAIT(NULL), SAY("raised"));
    struct weft_task *task = actor_start(fixture, actor);
    actor->acts[1].future = &task->future;
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "start raised");
    CHECK_EQ(actor->caught, WEFT_EAWAITSELF);
    CHECK_EQ(weft_future_result(&task->future, NULL), 0);
    weft_task_unref(task);
}

struct bad_coro {
    struct weft_coro coro;
    int state; /* what send returns at first */
    int status;
    int send_count, close_count;
};

static int bad_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    struct bad_coro *bad = (struct bad_coro *)coro;
    bad->status = status;
    *suspend_out = (struct weft_suspend){.future = NULL};
    return bad->send_count++ == 0 ? bad->state : status;
}

static void bad_close(struct weft_coro *coro)
{
    ((struct bad_coro *)coro)->close_count++;
}

static const struct weft_coro_ops bad_ops = {.size = sizeof(bad_ops), .send = bad_send, .close = bad_close};

Rule(TASK_13, yielding_what_is_not_awaitable_is_raised_in_the_next_iteration)
{
    const int states[] = {WEFT_CORO_AWAIT, 77};
    for (int i = 0; i < 2; i++) {
        struct bad_coro bad = {.coro = {&bad_ops}, .state = states[i]};
        struct weft_task *task;
        CHECK_EQ(weft_loop_create_task(loop, &bad.coro, NULL, &task), 0);
        run_once(loop);
        CHECK_EQ(bad.send_count, 1);
        run_once(loop);
        CHECK_EQ(bad.send_count, 2);
        CHECK_EQ(bad.status, WEFT_EBADYIELD);
        CHECK_EQ(bad.close_count, 1);
        CHECK_EQ(weft_future_result(&task->future, NULL), WEFT_EBADYIELD);
        weft_task_unref(task);
    }
}

Rule(TASK_13, a_coroutine_without_send_or_without_size_is_refused)
{
    static const struct weft_coro_ops no_send = {.size = sizeof(no_send), .close = bad_close};
    static const struct weft_coro_ops no_size = {.send = bad_send, .close = bad_close};
    const struct weft_coro_ops *const tables[] = {&no_send, &no_size};
    for (int i = 0; i < 2; i++) {
        struct bad_coro bad = {.coro = {tables[i]}};
        CHECK(weft_loop_create_task(loop, &bad.coro, NULL, NULL) < 0);
        CHECK_EQ(task_count(loop), 0);
    }
}

/* ---- TASK-14, TASK-15: callbacks and waiters ------------------------------------------------------------------------------------- */

TaskRule(TASK_14, who_awaits_a_task_that_just_ended_does_not_wait_for_its_callbacks)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, SAY("run")));
    CHECK_EQ(weft_future_add_done_callback(&task->future, note_done, "cb1", NULL), 0);
    CHECK_EQ(weft_future_add_done_callback(&task->future, note_done, "cb2", NULL), 0);
    struct weft_task *awaiter = actor_start(fixture, ACTOR(fixture, AWAIT(&task->future), SAY("awaiter")));
    run_once(loop);
    CHECK_STR(notes(), "run awaiter");
    run_once(loop);
    CHECK_STR(notes(), "cb1 cb2");
    weft_task_unref(awaiter);
    weft_task_unref(task);
}

TaskRule(TASK_15, all_waiters_resume_in_one_iteration_in_the_order_of_their_waits)
{
    enum { COUNT = 5 };
    static char words[COUNT][2] = {"0", "1", "2", "3", "4"};
    struct weft_future *future = future_new(loop);
    struct weft_task *tasks[COUNT];
    for (int i = 0; i < COUNT; i++)
        tasks[i] = actor_start(fixture, ACTOR(fixture, AWAIT(future), SAY(words[i])));
    run_once(loop);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "0 1 2 3 4");
    for (int i = 0; i < COUNT; i++)
        weft_task_unref(tasks[i]);
    weft_future_unref(future);
}

TaskRule(TASK_15, callbacks_and_waiters_share_one_order)
{
    struct weft_future *future = future_new(loop);
    CHECK_EQ(weft_future_add_done_callback(future, note_done, "cb1", NULL), 0);
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, AWAIT(future), SAY("task")));
    run_once(loop);
    CHECK_EQ(weft_future_add_done_callback(future, note_done, "cb2", NULL), 0);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "cb1 task cb2");
    weft_task_unref(task);
    weft_future_unref(future);
}

/* ---- TASK-16, TASK-17: leaving the loop, being left ------------------------------------------------------------------------------ */

TaskRule(TASK_16, a_fatal_status_is_stored_and_leaves_the_loop)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, SAY("exit"), RAISE(WEFT_EEXIT)));
    call_soon(loop, note, "rest");
    CHECK_EQ(weft_loop_run_forever(loop), WEFT_EEXIT);
    CHECK_STR(notes(), "exit");
    CHECK(weft_future_done(&task->future));
    CHECK_EQ(weft_future_result(&task->future, NULL), WEFT_EEXIT);
    CHECK_EQ(task_count(loop), 0);
    run_once(loop);
    CHECK_STR(notes(), "rest");
    weft_task_unref(task);
}

TaskRule(TASK_16, run_until_complete_returns_the_fatal_status_of_its_task)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, YIELD(), RAISE(WEFT_EINTERRUPT)));
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), WEFT_EINTERRUPT);
    CHECK_EQ(weft_future_result(&task->future, NULL), WEFT_EINTERRUPT);
    weft_task_unref(task);
}

TaskRule(TASK_17, a_task_that_is_dropped_while_pending_is_reported)
{
    struct weft_future *never = future_new(loop);
    weft_task_unref(actor_start(fixture, ACTOR(fixture, AWAIT(never), SAY("never"))));
    run_once(loop);
    CHECK_EQ(reports_take(), 0);
    rule_close(fixture);
    CHECK_EQ(reports_take(), 1);
    CHECK_STR(notes(), "");
    weft_future_unref(never);
}

TaskRule(TASK_17, a_task_that_somebody_holds_is_reported_when_he_lets_go)
{
    struct weft_future *never = future_new(loop);
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, AWAIT(never)));
    const struct weft_task *gone = task;
    run_once(loop);
    rule_close(fixture);
    CHECK_EQ(reports_take(), 0);
    CHECK(weft_future_done(&task->future)); /* nobody on another loop shall wait for it in vain */
    weft_task_unref(task);
    CHECK_EQ(reports_take(), 1);
    CHECK(report_last().task == gone);
    weft_future_unref(never);
}

TaskRule(TASK_17, a_task_that_its_closed_loop_let_go_tells_who_asks)
{
    struct weft_future *never = future_new(loop);
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, AWAIT(never)));
    run_once(loop);
    rule_close(fixture);
    CHECK_EQ(weft_future_result(&task->future, NULL), WEFT_ECLOSED);
    weft_task_unref(task);
    CHECK_EQ(reports_take(), 0);
    weft_future_unref(never);
}

TaskRule(TASK_17, a_task_that_never_began_is_dropped_with_its_coroutine)
{
    struct actor *actor = ACTOR(fixture, SAY("never"));
    weft_task_unref(actor_start(fixture, actor));
    rule_close(fixture);
    CHECK_EQ(reports_take(), 1);
    CHECK_STR(notes(), "");
    CHECK(fixture->coro_kind == CORO_FIBER || actor->drop_count == 1);
}

TaskRule(TASK_17, the_report_can_be_switched_off)
{
    struct weft_future *never = future_new(loop);
    struct actor *actor = ACTOR(fixture, AWAIT(never));
    weft_task_unref(actor_start_on(fixture, loop, actor, WEFT_TASK_NO_DESTROY_PENDING));
    run_once(loop);
    rule_close(fixture);
    CHECK_EQ(reports_take(), 0);
    weft_future_unref(never);
}

/* ---- TASK-18: contexts ----------------------------------------------------------------------------------------------------------- */

static const struct weft_context_var colour = WEFT_CONTEXT_VAR("colour", "none");

static int note_colour(void *unused)
{
    (void)unused;
    return note(weft_context_var_get(&colour));
}

static int set_colour(void *value)
{
    return weft_context_var_set(&colour, value, NULL);
}

TaskRule(TASK_18, a_task_runs_in_a_copy_of_its_creators_context)
{
    struct weft_context_token token;
    CHECK_EQ(weft_context_var_set(&colour, "red", &token), 0);
    struct weft_task *task =
        actor_start(fixture, ACTOR(fixture, CALL(note_colour, NULL), CALL(set_colour, "blue"), YIELD(), CALL(note_colour, NULL)));
    CHECK_EQ(weft_context_var_reset(&token), 0);
    run_once(loop);
    CHECK_STR(notes(), "red");
    CHECK_STR(weft_context_var_get(&colour), "none");
    call_soon(loop, note_colour, NULL);
    run_once(loop);
    CHECK_STR(notes(), "blue none");
    CHECK_STR(weft_context_get(weft_task_get_context(task), &colour, NULL), "blue");
    weft_task_unref(task);
}

TaskRule(TASK_18, a_given_context_is_used_itself)
{
    struct weft_context *context = weft_context_empty();
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    options.context = context;
    struct weft_task *task;
    struct actor *actor = ACTOR(fixture, CALL(set_colour, "green"), YIELD(), CALL(note_colour, NULL));
    CHECK_EQ(weft_loop_create_task(loop, actor_coro(fixture, actor), &options, &task), 0);
    CHECK(weft_task_get_context(task) == context);
    run_once(loop);
    CHECK_STR(weft_context_get(context, &colour, NULL), "green");
    CHECK_EQ(weft_context_set(context, &colour, "violet"), 0);
    run_once(loop);
    CHECK_STR(notes(), "violet");
    weft_task_unref(task);
    weft_context_unref(context);
}

/* ---- TASK-19: eager start -------------------------------------------------------------------------------------------------------- */

static int note_current_name(void *unused)
{
    char name[32];
    (void)unused;
    CHECK(weft_task_get_name(current_task(), name, sizeof(name)) < sizeof(name));
    return note(name);
}

static int note_and_compare_current(void *outer_slot)
{
    CHECK(current_task() == *(struct weft_task **)outer_slot);
    return note("outer");
}

TaskRule(TASK_19, an_eager_task_runs_its_first_step_inside_the_creation)
{
    struct weft_task *outer;
    struct start start = {.fixture = fixture, .flags = WEFT_TASK_EAGER_START};
    start.actor = ACTOR(fixture, SAY("eager"), RETURN("value"));
    outer = actor_start(fixture, ACTOR(fixture, CALL(start_task, &start), CALL(note_and_compare_current, &outer)));
    run_once(loop);
    CHECK_STR(notes(), "eager created outer");
    void *value = NULL;
    CHECK_EQ(weft_future_result(&start.task->future, &value), 0);
    CHECK_STR(value, "value");
    weft_task_unref(outer);
    weft_task_unref(start.task);
}

static int check_current_is_new(void *outer_slot)
{
    CHECK(current_task() != NULL);
    CHECK(current_task() != *(struct weft_task **)outer_slot);
    CHECK(!is_in_all_tasks(NULL, current_task()));
    return note("swapped");
}

TaskRule(TASK_19, the_current_task_is_swapped_for_the_eager_step)
{
    struct weft_task *outer;
    struct start start = {.fixture = fixture, .flags = WEFT_TASK_EAGER_START};
    start.actor = ACTOR(fixture, CALL(check_current_is_new, &outer));
    outer = actor_start(fixture, ACTOR(fixture, CALL(start_task, &start), CALL(note_and_compare_current, &outer)));
    run_once(loop);
    CHECK_STR(notes(), "swapped created outer");
    weft_task_unref(outer);
    weft_task_unref(start.task);
}

static int check_only_registered(void *outer_slot)
{
    struct weft_loop *loop = weft_get_running_loop();
    CHECK_EQ(task_count(loop), 1);
    CHECK(is_in_all_tasks(loop, *(struct weft_task **)outer_slot));
    return 0;
}

TaskRule(TASK_19, an_eager_task_that_ends_is_never_registered)
{
    struct weft_task *outer;
    struct start start = {.fixture = fixture, .flags = WEFT_TASK_EAGER_START};
    start.actor = ACTOR(fixture, CALL(check_only_registered, &outer));
    outer = actor_start(fixture, ACTOR(fixture, CALL(start_task, &start), CALL(check_only_registered, &outer)));
    run_once(loop);
    CHECK_STR(notes(), "created");
    weft_task_unref(outer);
    weft_task_unref(start.task);
}

TaskRule(TASK_19, an_eager_task_that_blocks_is_registered_and_goes_on_as_others)
{
    struct weft_future *future = future_new(loop);
    struct start start = {.fixture = fixture, .flags = WEFT_TASK_EAGER_START};
    start.actor = ACTOR(fixture, SAY("eager"), AWAIT(future), SAY("resumed"));
    call_soon(loop, start_task, &start);
    run_once(loop);
    CHECK_STR(notes(), "eager created");
    CHECK(!weft_future_done(&start.task->future));
    CHECK(is_in_all_tasks(loop, start.task));
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "resumed");
    CHECK(weft_future_done(&start.task->future));
    weft_task_unref(start.task);
    weft_future_unref(future);
}

TaskRule(TASK_19, an_exception_of_the_eager_step_is_stored)
{
    struct start start = {.fixture = fixture, .flags = WEFT_TASK_EAGER_START};
    start.actor = ACTOR(fixture, RAISE(-EIO));
    call_soon(loop, start_task, &start);
    run_once(loop);
    CHECK_STR(notes(), "created");
    CHECK_EQ(weft_future_result(&start.task->future, NULL), -EIO);
    weft_task_unref(start.task);
}

TaskRule(TASK_19, a_self_cancel_in_the_eager_step_comes_at_the_next_suspension)
{
    struct weft_future *future = future_new(loop);
    struct start start = {.fixture = fixture, .flags = WEFT_TASK_EAGER_START};
    start.actor = ACTOR(fixture, CALL(cancel_current, NULL), SAY("on"), AWAIT(future), SAY("never"));
    call_soon(loop, start_task, &start);
    run_once(loop);
    CHECK_STR(notes(), "on created");
    run_once(loop);
    run_once(loop);
    CHECK(weft_future_cancelled(&start.task->future));
    CHECK(weft_future_cancelled(future));
    CHECK_STR(notes(), "");
    weft_task_unref(start.task);
    weft_future_unref(future);
}

TaskRule(TASK_19, eager_start_is_ignored_while_the_loop_does_not_run)
{
    struct weft_task *task = actor_start_on(fixture, loop, ACTOR(fixture, SAY("run")), WEFT_TASK_EAGER_START);
    CHECK_STR(notes(), "");
    CHECK(is_in_all_tasks(loop, task));
    run_once(loop);
    CHECK_STR(notes(), "run");
    weft_task_unref(task);
}

/* ---- TASK-20, TASK-21 ------------------------------------------------------------------------------------------------------------ */

TaskRule(TASK_20, tasks_are_numbered_from_a_counter_of_the_process)
{
    char first_name[32], second_name[32];
    struct weft_loop *other = loop_new(fixture);
    struct weft_task *first = actor_start(fixture, ACTOR(fixture, SAY("a")));
    struct weft_task *second = actor_start_on(fixture, other, ACTOR(fixture, SAY("b")), 0);
    size_t first_bytes = weft_task_get_name(first, first_name, sizeof(first_name));
    size_t second_bytes = weft_task_get_name(second, second_name, sizeof(second_name));
    CHECK_EQ(first_bytes, strlen(first_name));
    CHECK_EQ(second_bytes, strlen(second_name));
    CHECK(!strncmp(first_name, "Task-", 5) && !strncmp(second_name, "Task-", 5));
    CHECK_EQ(atol(second_name + 5), atol(first_name + 5) + 1);
    run_once(loop);
    run_once(other);
    weft_task_unref(first);
    weft_task_unref(second);
    loop_drop(other);
}

TaskRule(TASK_20, a_task_may_have_a_name_and_another_one_later)
{
    char buf[8] = "untouch";
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    char given[] = "worker";
    options.name = given;
    struct weft_task *task;
    struct actor *actor = ACTOR(fixture, CALL(note_current_name, NULL));
    CHECK_EQ(weft_loop_create_task(loop, actor_coro(fixture, actor), &options, &task), 0);
    given[0] = 'X'; /* it was copied */
    CHECK_EQ(weft_task_get_name(task, buf, sizeof(buf)), 6);
    CHECK_STR(buf, "worker");
    CHECK_EQ(weft_task_set_name(task, "renamed to something long"), 0);
    CHECK_EQ(weft_task_get_name(task, buf, sizeof(buf)), 25);
    CHECK_STR(buf, "renamed");
    CHECK_EQ(weft_task_get_name(task, NULL, 0), 25);
    CHECK_EQ(weft_task_set_name(task, "12"), 0);
    run_once(loop);
    CHECK_STR(notes(), "12");
    weft_task_unref(task);
}

TaskRule(TASK_21, two_tasks_that_yield_alternate_strictly)
{
    struct weft_task *left = actor_start(fixture, ACTOR(fixture, SAY("l0"), YIELD(), SAY("l1"), YIELD(), SAY("l2")));
    struct weft_task *right = actor_start(fixture, ACTOR(fixture, SAY("r0"), YIELD(), SAY("r1"), YIELD(), SAY("r2")));
    run_once(loop);
    CHECK_STR(notes(), "l0 r0");
    run_once(loop);
    CHECK_STR(notes(), "l1 r1");
    run_once(loop);
    CHECK_STR(notes(), "l2 r2");
    weft_task_unref(left);
    weft_task_unref(right);
}

TaskRule(TASK_21, a_yield_is_exactly_one_iteration)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, SAY("0"), YIELD(), SAY("1")));
    call_soon(loop, note, "queued");
    run_once(loop);
    CHECK_STR(notes(), "0 queued");
    call_soon(loop, note, "later");
    run_once(loop);
    CHECK_STR(notes(), "1 later");
    weft_task_unref(task);
}
