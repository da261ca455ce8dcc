/*
 * The rules of the contract: futures.
 */
#include "tests/conformance/actor.h"
#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"
#include "weft/coro.h"

/* ---- FUT-1 to FUT-4: the four states ------------------------------------------------------------------------------------------- */

Rule(FUT_1, a_new_future_is_pending_and_has_no_outcome)
{
    struct weft_future *future = future_new(loop);
    void *value = "untouched";
    int status = 42;
    CHECK(!weft_future_done(future));
    CHECK(!weft_future_cancelled(future));
    CHECK(weft_future_get_loop(future) == loop);
    CHECK_EQ(weft_future_result(future, &value), WEFT_EINVALIDSTATE);
    CHECK_EQ(weft_future_exception(future, &status), WEFT_EINVALIDSTATE);
    CHECK_STR(value, "untouched");
    CHECK_EQ(status, 42);
    weft_future_unref(future);
}

Rule(FUT_2, a_result_is_final)
{
    struct weft_future *future = future_new(loop);
    void *value = NULL;
    int status = 42;
    CHECK_EQ(weft_future_set_result(future, "first"), 0);
    CHECK(weft_future_done(future));
    CHECK_EQ(weft_future_set_result(future, "second"), WEFT_EINVALIDSTATE);
    CHECK_EQ(weft_future_set_exception(future, -EIO), WEFT_EINVALIDSTATE);
    CHECK(!weft_future_cancel(future, "late"));
    CHECK(!weft_future_cancelled(future));
    CHECK_EQ(weft_future_result(future, &value), 0);
    CHECK_STR(value, "first");
    CHECK_EQ(weft_future_exception(future, &status), 0);
    CHECK_EQ(status, 0);
    weft_future_unref(future);
}

Rule(FUT_2, an_exception_is_final)
{
    struct weft_future *future = future_new(loop);
    int status = 42;
    CHECK_EQ(weft_future_set_exception(future, -EIO), 0);
    CHECK(weft_future_done(future));
    CHECK_EQ(weft_future_set_result(future, "second"), WEFT_EINVALIDSTATE);
    CHECK_EQ(weft_future_set_exception(future, -EPIPE), WEFT_EINVALIDSTATE);
    CHECK_EQ(weft_future_exception(future, &status), 0);
    CHECK_EQ(status, -EIO);
    CHECK_EQ(weft_future_result(future, NULL), -EIO);
    weft_future_unref(future);
}

Rule(FUT_2, cancel_takes_effect_immediately_and_once)
{
    struct weft_future *future = future_new(loop);
    CHECK(weft_future_cancel(future, "first"));
    CHECK(weft_future_done(future));
    CHECK(weft_future_cancelled(future));
    CHECK(!weft_future_cancel(future, "second"));
    CHECK_EQ(weft_future_set_result(future, "late"), WEFT_EINVALIDSTATE);
    CHECK_EQ(weft_future_set_exception(future, -EIO), WEFT_EINVALIDSTATE);
    weft_future_unref(future);
}

Rule(FUT_3, a_cancelled_future_raises_from_result_and_from_exception)
{
    struct weft_future *future = future_new(loop);
    void *value = "untouched";
    int status = 42;
    CHECK(weft_future_cancel_message(future) == NULL);
    CHECK(weft_future_cancel(future, "hey"));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_future_result(future, &value), -ECANCELED);
        CHECK_EQ(weft_future_exception(future, &status), -ECANCELED);
        CHECK_STR(weft_future_cancel_message(future), "hey");
    }
    CHECK_STR(value, "untouched");
    CHECK_EQ(status, 42);
    weft_future_unref(future);
}

Rule(FUT_4, an_exception_must_be_a_failure)
{
    struct weft_future *future = future_new(loop);
    CHECK_EQ(weft_future_set_exception(future, 0), -EINVAL);
    CHECK_EQ(weft_future_set_exception(future, 1), -EINVAL);
    CHECK(!weft_future_done(future));
    weft_future_unref(future);
}

Rule(FUT_4, an_exception_that_says_cancelled_finishes_and_does_not_cancel)
{
    struct weft_future *future = future_new(loop);
    int status = 42;
    CHECK_EQ(weft_future_set_exception(future, -ECANCELED), 0);
    CHECK(weft_future_done(future));
    CHECK(!weft_future_cancelled(future));
    CHECK_EQ(weft_future_result(future, NULL), -ECANCELED);
    CHECK_EQ(weft_future_exception(future, &status), 0);
    CHECK_EQ(status, -ECANCELED);
    weft_future_unref(future);
}

/* ---- FUT-5 to FUT-9: callbacks -------------------------------------------------------------------------------------------------- */

static void add(struct weft_future *future, weft_future_callback_fn *fn, void *arg)
{
    CHECK_EQ(weft_future_add_done_callback(future, fn, arg, NULL), 0);
}

Rule(FUT_5, callbacks_are_queued_at_completion_in_the_order_of_registration)
{
    struct weft_future *future = future_new(loop);
    add(future, note_done, "first");
    add(future, note_done, "second");
    call_soon(loop, note, "before");
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    call_soon(loop, note, "after");
    CHECK_STR(notes(), "");
    run_once(loop);
    CHECK_STR(notes(), "before first second after");
    run_once(loop);
    CHECK_STR(notes(), "");
    weft_future_unref(future);
}

Rule(FUT_5, callbacks_are_queued_by_every_way_to_complete)
{
    struct weft_future *failed = future_new(loop);
    struct weft_future *cancelled = future_new(loop);
    add(failed, note_done, "failed");
    add(cancelled, note_done, "cancelled");
    CHECK_EQ(weft_future_set_exception(failed, -EIO), 0);
    CHECK(weft_future_cancel(cancelled, NULL));
    CHECK_STR(notes(), "");
    run_once(loop);
    CHECK_STR(notes(), "failed cancelled");
    CHECK_EQ(weft_future_result(failed, NULL), -EIO);
    weft_future_unref(failed);
    weft_future_unref(cancelled);
}

static int done_fatally(struct weft_future *future, void *arg)
{
    (void)future;
    note(arg);
    return WEFT_EEXIT;
}

Rule(FUT_5, each_callback_is_a_queue_entry_of_its_own)
{
    struct weft_future *future = future_new(loop);
    add(future, done_fatally, "fatal");
    add(future, note_done, "rest");
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), WEFT_EEXIT);
    CHECK_STR(notes(), "fatal");
    run_once(loop);
    CHECK_STR(notes(), "rest");
    weft_future_unref(future);
}

static int done_unref(struct weft_future *future, void *arg)
{
    weft_future_unref(future);
    return note(arg);
}

Rule(FUT_5, the_future_lives_until_its_last_callback_has_returned)
{
    struct weft_future *future = future_new(loop);
    add(future, done_unref, "dropped");
    add(future, note_done, "still done");
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "dropped still done");
}

Rule(FUT_6, a_callback_added_to_a_done_future_is_queued_at_once)
{
    struct weft_future *future = future_new(loop);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    call_soon(loop, note, "before");
    add(future, note_done, "callback");
    call_soon(loop, note, "after");
    CHECK_STR(notes(), "");
    run_once(loop);
    CHECK_STR(notes(), "before callback after");
    weft_future_unref(future);
}

static int add_one_more(struct weft_future *future, void *arg)
{
    note(arg);
    add(future, note_done, "more");
    return 0;
}

Rule(FUT_6, a_callback_added_by_a_callback_runs_in_the_next_iteration)
{
    struct weft_future *future = future_new(loop);
    add(future, add_one_more, "first");
    add(future, note_done, "second");
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "first second");
    run_once(loop);
    CHECK_STR(notes(), "more");
    weft_future_unref(future);
}

Rule(FUT_7, remove_takes_out_all_equal_entries_and_counts_them)
{
    static char twice[] = "twice", other[] = "other";
    struct weft_future *future = future_new(loop);
    CHECK_EQ(weft_future_remove_done_callback(future, note_done, twice), 0);
    add(future, note_done, twice);
    add(future, note_done, other);
    add(future, note_done, twice);
    add(future, add_one_more, twice);
    CHECK_EQ(weft_future_remove_done_callback(future, note_done, twice), 2);
    CHECK_EQ(weft_future_remove_done_callback(future, note_done, twice), 0);
    CHECK_EQ(weft_future_remove_done_callback(future, add_one_more, twice), 1);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "other");
    weft_future_unref(future);
}

Rule(FUT_7, the_same_callback_added_twice_runs_twice)
{
    static char word[] = "again";
    struct weft_future *future = future_new(loop);
    add(future, note_done, word);
    add(future, note_done, word);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "again again");
    weft_future_unref(future);
}

Rule(FUT_7, what_completion_has_queued_is_not_removable)
{
    static char word[] = "queued";
    struct weft_future *future = future_new(loop);
    add(future, note_done, word);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    CHECK_EQ(weft_future_remove_done_callback(future, note_done, word), 0);
    add(future, note_done, word);
    CHECK_EQ(weft_future_remove_done_callback(future, note_done, word), 0);
    run_once(loop);
    CHECK_STR(notes(), "queued queued");
    weft_future_unref(future);
}

static int done_failing(struct weft_future *future, void *arg)
{
    (void)future;
    note(arg);
    return -EPIPE;
}

Rule(FUT_8, a_failing_callback_does_not_stop_the_next_ones)
{
    struct weft_future *future = future_new(loop);
    add(future, done_failing, "first");
    add(future, done_failing, "second");
    add(future, note_done, "third");
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "first second third");
    CHECK_EQ(reports_take(), 2);
    CHECK_EQ(report_last().status, -EPIPE);
    weft_future_unref(future);
}

static const struct weft_context_var colour = WEFT_CONTEXT_VAR("colour", "none");

static int done_note_colour(struct weft_future *future, void *unused)
{
    (void)future, (void)unused;
    return note(weft_context_var_get(&colour));
}

Rule(FUT_9, a_callback_sees_the_context_of_its_registration)
{
    struct weft_future *future = future_new(loop);
    struct weft_context_token token;
    CHECK_EQ(weft_context_var_set(&colour, "red", &token), 0);
    add(future, done_note_colour, NULL);
    CHECK_EQ(weft_context_var_reset(&token), 0);
    CHECK_EQ(weft_context_var_set(&colour, "blue", &token), 0);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "red");
    CHECK_EQ(weft_context_var_reset(&token), 0);
    weft_future_unref(future);
}

Rule(FUT_9, a_callback_runs_in_the_context_that_is_given)
{
    struct weft_future *future = future_new(loop);
    struct weft_context *context = weft_context_empty();
    CHECK_EQ(weft_context_set(context, &colour, "green"), 0);
    CHECK_EQ(weft_future_add_done_callback(future, done_note_colour, NULL, context), 0);
    CHECK_EQ(weft_context_set(context, &colour, "violet"), 0);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "violet");
    weft_context_unref(context);
    weft_future_unref(future);
}

/* ---- FUT-10, FUT-11: the ends of a life ----------------------------------------------------------------------------------------- */

Rule(FUT_10, an_exception_that_nobody_asked_for_is_reported)
{
    struct weft_future *future = future_new(loop);
    const struct weft_future *gone = future;
    CHECK_EQ(weft_future_set_exception(future, -EIO), 0);
    CHECK_EQ(reports_take(), 0);
    weft_future_unref(future);
    CHECK_EQ(reports_take(), 1);
    CHECK_EQ(report_last().status, -EIO);
    CHECK(report_last().future == gone);
}

static void ask_result(struct weft_future *future)
{
    CHECK_EQ(weft_future_result(future, NULL), -EIO);
}

static void ask_exception(struct weft_future *future)
{
    int status;
    CHECK_EQ(weft_future_exception(future, &status), 0);
}

static void ask_by_a_vain_cancel(struct weft_future *future)
{
    CHECK(!weft_future_cancel(future, NULL));
}

Rule(FUT_10, whoever_asks_in_whatever_way_silences_the_report)
{
    void (*const asks[])(struct weft_future *) = {ask_result, ask_exception, ask_by_a_vain_cancel};
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        struct weft_future *future = future_new(loop);
        CHECK_EQ(weft_future_set_exception(future, -EIO), 0);
        asks[i](future);
        weft_future_unref(future);
        CHECK_EQ(reports_take(), 0);
    }
}

TaskRule(FUT_10, awaiting_silences_the_report)
{
    struct weft_future *future = future_new(loop);
    struct actor *actor = ACTOR(fixture, TRY_AWAIT(future));
    struct weft_task *task = actor_start(fixture, actor);
    run_once(loop);
    CHECK_EQ(weft_future_set_exception(future, -EIO), 0);
    run_once(loop);
    CHECK_EQ(actor->caught, -EIO);
    CHECK_EQ(weft_future_result(&task->future, NULL), 0);
    weft_task_unref(task);
    weft_future_unref(future);
    CHECK_EQ(reports_take(), 0);
}

Rule(FUT_10, looking_whether_it_is_done_silences_nothing)
{
    struct weft_future *future = future_new(loop);
    add(future, note_done, "looked");
    CHECK_EQ(weft_future_set_exception(future, -EIO), 0);
    CHECK(weft_future_done(future) && !weft_future_cancelled(future));
    run_once(loop);
    weft_future_unref(future);
    CHECK_EQ(reports_take(), 1);
}

Rule(FUT_10, results_and_cancellations_are_never_reported)
{
    struct weft_future *result = future_new(loop);
    struct weft_future *cancelled = future_new(loop);
    struct weft_future *pending = future_new(loop);
    CHECK_EQ(weft_future_set_result(result, "unseen"), 0);
    CHECK(weft_future_cancel(cancelled, NULL));
    weft_future_unref(result);
    weft_future_unref(cancelled);
    weft_future_unref(pending);
    CHECK_EQ(reports_take(), 0);
}

Rule(FUT_11, initialising_twice_is_refused)
{
    struct weft_future future = {0};
    CHECK_EQ(weft_future_init(&future, loop, NULL), 0);
    CHECK_EQ(weft_future_init(&future, loop, NULL), WEFT_EINVALIDSTATE);
    CHECK(!weft_future_done(&future));
    CHECK_EQ(weft_future_set_result(&future, "embedded"), 0);
    CHECK_EQ(weft_future_init(&future, loop, NULL), WEFT_EINVALIDSTATE);
    CHECK(weft_future_done(&future));
    weft_future_fini(&future);
}

/* ---- FUT-12, FUT-14: awaiting --------------------------------------------------------------------------------------------------- */

TaskRule(FUT_12, awaiting_a_done_future_lets_no_iteration_pass)
{
    struct weft_future *done = future_new(loop);
    CHECK_EQ(weft_future_set_result(done, "value"), 0);
    struct actor *actor = ACTOR(fixture, SAY("start"), AWAIT(done), SAY("go"), AWAIT(done), SAY("on"));
    struct weft_task *task = actor_start(fixture, actor);
    call_soon(loop, note, "other");
    run_once(loop);
    CHECK_STR(notes(), "start go on other");
    CHECK(weft_future_done(&task->future));
    CHECK_STR(actor->value, "value");
    weft_task_unref(task);
    weft_future_unref(done);
}

TaskRule(FUT_12, awaiting_a_done_failure_raises_it_in_the_same_iteration)
{
    struct weft_future *failed = future_new(loop);
    CHECK_EQ(weft_future_set_exception(failed, -EIO), 0);
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, AWAIT(failed), SAY("never")));
    run_once(loop);
    CHECK_EQ(weft_future_result(&task->future, NULL), -EIO);
    CHECK_STR(notes(), "");
    weft_task_unref(task);
    weft_future_unref(failed);
}

static int resolve_and_queue(void *arg)
{
    struct weft_future *future = arg;
    struct weft_loop *loop = weft_future_get_loop(future);
    call_soon(loop, note, "before");
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    call_soon(loop, note, "after");
    return 0;
}

TaskRule(FUT_14, the_waiter_resumes_where_the_completion_queued_it)
{
    struct weft_future *future = future_new(loop);
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, AWAIT(future), SAY("resumed")));
    run_once(loop);
    call_soon(loop, resolve_and_queue, future);
    run_once(loop);
    CHECK_STR(notes(), "");
    run_once(loop);
    CHECK_STR(notes(), "before resumed after");
    weft_task_unref(task);
    weft_future_unref(future);
}

/* ---- FUT-13: chains ------------------------------------------------------------------------------------------------------------- */

Rule(FUT_13, a_chain_carries_the_outcome_of_the_source)
{
    void *value = NULL;
    struct weft_future *sources[3], *destinations[3];
    for (int i = 0; i < 3; i++) {
        sources[i] = future_new(loop);
        destinations[i] = future_new(loop);
        CHECK_EQ(weft_future_chain(sources[i], destinations[i]), 0);
    }
    CHECK_EQ(weft_future_set_result(sources[0], "value"), 0);
    CHECK_EQ(weft_future_set_exception(sources[1], -EIO), 0);
    CHECK(weft_future_cancel(sources[2], "why"));
    for (int i = 0; i < 3; i++)
        run_until_done(loop, destinations[i]);
    CHECK_EQ(weft_future_result(destinations[0], &value), 0);
    CHECK_STR(value, "value");
    CHECK_EQ(weft_future_result(destinations[1], NULL), -EIO);
    CHECK(weft_future_cancelled(destinations[2]));
    for (int i = 0; i < 3; i++) {
        weft_future_unref(sources[i]);
        weft_future_unref(destinations[i]);
    }
    CHECK_EQ(reports_take(), 0);
}

Rule(FUT_13, cancelling_the_destination_cancels_the_source)
{
    struct weft_future *source = future_new(loop);
    struct weft_future *destination = future_new(loop);
    CHECK_EQ(weft_future_chain(source, destination), 0);
    CHECK(weft_future_cancel(destination, "why"));
    run_until_done(loop, source);
    CHECK(weft_future_cancelled(source));
    run_once(loop);
    weft_future_unref(source);
    weft_future_unref(destination);
}

Rule(FUT_13, a_destination_that_is_done_keeps_its_outcome)
{
    void *value = NULL;
    struct weft_future *source = future_new(loop);
    struct weft_future *destination = future_new(loop);
    CHECK_EQ(weft_future_chain(source, destination), 0);
    CHECK_EQ(weft_future_set_result(destination, "own"), 0);
    CHECK_EQ(weft_future_set_result(source, "other"), 0);
    run_once(loop);
    run_once(loop);
    CHECK_EQ(weft_future_result(destination, &value), 0);
    CHECK_STR(value, "own");
    weft_future_unref(source);
    weft_future_unref(destination);
}

Rule(FUT_13, a_chain_crosses_loops_in_both_directions)
{
    void *value = NULL;
    struct weft_loop *other = loop_new(fixture);
    struct weft_future *there = future_new(other), *here = future_new(loop);
    struct weft_future *cancelled_here = future_new(loop), *source_there = future_new(other);
    CHECK_EQ(weft_future_chain(there, here), 0);
    CHECK_EQ(weft_future_chain(source_there, cancelled_here), 0);
    CHECK_EQ(weft_future_set_result(there, "from there"), 0);
    CHECK(weft_future_cancel(cancelled_here, NULL));
    for (int i = 0; i < 3; i++) {
        run_once(other);
        run_once(loop);
    }
    CHECK_EQ(weft_future_result(here, &value), 0);
    CHECK_STR(value, "from there");
    CHECK(weft_future_cancelled(source_there));
    weft_future_unref(there);
    weft_future_unref(here);
    weft_future_unref(cancelled_here);
    weft_future_unref(source_there);
    loop_drop(other);
}

Rule(FUT_13, a_chain_to_a_closed_loop_is_dropped_silently)
{
    struct weft_loop *other = loop_new(fixture);
    struct weft_future *source = future_new(loop);
    struct weft_future *destination = future_new(other);
    CHECK_EQ(weft_future_chain(source, destination), 0);
    CHECK_EQ(weft_loop_close(other), 0);
    CHECK_EQ(weft_future_set_result(source, "too late"), 0);
    run_once(loop);
    run_once(loop);
    CHECK_EQ(reports_take(), 0);
    weft_future_unref(source);
    weft_future_unref(destination);
    weft_loop_unref(other);
}
