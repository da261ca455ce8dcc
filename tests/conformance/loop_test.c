/*
 * The rules of the contract: what a loop runs, when, and in which order.
 */
#include <string.h>

#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"
#include "weft/atomic.h"
#include "weft/runtime.h"

#define SECOND_NS INT64_C(1000000000)
#define HOUR_NS   (3600 * SECOND_NS)

/* ---- LOOP-1: first in, first out --------------------------------------------------------------------------------------------- */

static int note_and_queue(void *loop)
{
    note("first");
    call_soon(loop, note, "new");
    return 0;
}

Rule(LOOP_1, call_soon_is_fifo_and_new_callbacks_wait)
{
    call_soon(loop, note_and_queue, loop);
    call_soon(loop, note, "second");
    call_soon(loop, note, "third");
    run_once(loop);
    CHECK_STR(notes(), "first second third");
    run_once(loop);
    CHECK_STR(notes(), "new");
}

Rule(LOOP_1, a_callback_never_runs_inside_call_soon)
{
    call_soon(loop, note, "run");
    CHECK_STR(notes(), "");
    run_once(loop);
    CHECK_STR(notes(), "run");
    run_once(loop);
    CHECK_STR(notes(), "");
}

Rule(LOOP_1, cancelled_handles_count_as_part_of_the_snapshot)
{
    struct weft_handle *handles[2];
    call_soon(loop, note_and_queue, loop);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_loop_call_soon(loop, note, "never", NULL, &handles[i]), 0);
        CHECK(weft_handle_cancel(handles[i]));
        weft_handle_unref(handles[i]);
    }
    run_once(loop);
    CHECK_STR(notes(), "first");
}

/* ---- LOOP-2, LOOP-3: the order of an iteration ------------------------------------------------------------------------------- */

Rule(LOOP_2, an_iteration_with_something_ready_does_not_sleep)
{
    uint64_t before_ns = weft_loop_time(loop);
    CHECK_EQ(weft_loop_call_later(loop, HOUR_NS, note, "never", NULL), 0);
    call_soon(loop, stop_loop, loop);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK(weft_loop_time(loop) - before_ns < (uint64_t)HOUR_NS / 2);
    CHECK_STR(notes(), "");
}

Rule(LOOP_2, an_idle_iteration_sleeps_until_the_first_timer)
{
    uint64_t before_ns = weft_loop_time(loop);
    CHECK_EQ(weft_loop_call_later(loop, HOUR_NS, note, "never", NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, 2000000, stop_loop, loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    uint64_t slept_ns = weft_loop_time(loop) - before_ns;
    CHECK(slept_ns >= 2000000);
    CHECK(slept_ns < (uint64_t)HOUR_NS / 2);
}

Rule(LOOP_2, cancelled_timers_are_dropped_and_leave_the_others_in_order)
{
    enum { COUNT = 300 };
    struct weft_handle *handles[COUNT];
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(weft_loop_call_later(loop, HOUR_NS + i, note, "never", &handles[i]), 0);
    uint64_t now_ns = weft_loop_time(loop);
    CHECK_EQ(weft_loop_call_at(loop, now_ns + 2000, note, "second", NULL), 0);
    CHECK_EQ(weft_loop_call_at(loop, now_ns + 1000, note, "first", NULL), 0);
    CHECK_EQ(weft_loop_call_at(loop, now_ns + 3000, stop_loop, loop, NULL), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK(weft_handle_cancel(handles[i]));
        weft_handle_unref(handles[i]);
    }
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_STR(notes(), "first second");
}

Rule(LOOP_2, a_cancelled_head_does_not_wake_the_loop_in_its_place)
{
    struct weft_handle *head;
    uint64_t before_ns = weft_loop_time(loop);
    CHECK_EQ(weft_loop_call_later(loop, 100000, note, "never", &head), 0);
    CHECK_EQ(weft_loop_call_later(loop, 2000000, stop_loop, loop, NULL), 0);
    CHECK(weft_handle_cancel(head));
    weft_handle_unref(head);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK(weft_loop_time(loop) - before_ns >= 2000000);
    CHECK_STR(notes(), "");
}

Rule(LOOP_2, the_farthest_timer_neither_overflows_nor_runs)
{
    uint64_t before_ns = weft_loop_time(loop);
    CHECK_EQ(weft_loop_call_later(loop, INT64_MAX, note, "never", NULL), 0);
    CHECK_EQ(weft_loop_call_at(loop, UINT64_MAX, note, "never", NULL), 0);
    run_once(loop);
    run_once(loop);
    CHECK(weft_loop_time(loop) - before_ns < (uint64_t)HOUR_NS);
    CHECK_STR(notes(), "");
}

Rule(LOOP_3, due_timers_come_after_what_was_queued_before)
{
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "timer", NULL), 0);
    call_soon(loop, note, "queued");
    run_once(loop);
    CHECK_STR(notes(), "queued timer");
}

/* ---- LOOP-4: cancelling a handle --------------------------------------------------------------------------------------------- */

Rule(LOOP_4, a_cancelled_handle_never_runs_and_cancelling_twice_is_harmless)
{
    struct weft_handle *soon, *later;
    CHECK_EQ(weft_loop_call_soon(loop, note, "never", NULL, &soon), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "never", &later), 0);
    CHECK(!weft_handle_cancelled(soon));
    CHECK(weft_handle_cancel(soon));
    CHECK(weft_handle_cancel(later));
    CHECK(weft_handle_cancelled(soon));
    CHECK(weft_handle_cancelled(later));
    CHECK(!weft_handle_cancel(soon));
    CHECK(!weft_handle_cancel(later));
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "");
    weft_handle_unref(soon);
    weft_handle_unref(later);
}

Rule(LOOP_4, cancelling_after_the_run_prevents_nothing)
{
    struct weft_handle *handle;
    CHECK_EQ(weft_loop_call_soon(loop, note, "run", NULL, &handle), 0);
    run_once(loop);
    CHECK(!weft_handle_cancel(handle));
    CHECK(!weft_handle_cancelled(handle));
    CHECK_STR(notes(), "run");
    weft_handle_unref(handle);
}

static int cancel_handle(void *handle)
{
    CHECK(weft_handle_cancel(handle));
    return 0;
}

static int cancel_slot(void *slot)
{
    return cancel_handle(*(struct weft_handle **)slot);
}

Rule(LOOP_4, a_callback_cancels_one_of_the_same_snapshot)
{
    struct weft_handle *soon, *timer;
    call_soon(loop, cancel_slot, &soon);
    call_soon(loop, cancel_slot, &timer);
    CHECK_EQ(weft_loop_call_soon(loop, note, "never", NULL, &soon), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "never", &timer), 0);
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "");
    weft_handle_unref(soon);
    weft_handle_unref(timer);
}

static int released_count;

static void count_released(void *value)
{
    (void)value;
    released_count++;
}

static const struct weft_context_var owned_var = WEFT_CONTEXT_VAR_OWNED("owned", NULL, count_released);

Rule(LOOP_4, cancelling_lets_go_what_the_handle_held)
{
    struct weft_handle *handle;
    struct weft_context *context = weft_context_empty();
    CHECK_EQ(weft_context_set(context, &owned_var, "value"), 0);
    CHECK_EQ(weft_loop_call_soon(loop, note, "never", context, &handle), 0);
    weft_context_unref(context);
    CHECK_EQ(released_count, 0);
    CHECK(weft_handle_cancel(handle));
    CHECK_EQ(released_count, 1);
    weft_handle_unref(handle);
}

/* ---- LOOP-5: what callbacks raise -------------------------------------------------------------------------------------------- */

static int fail(void *unused)
{
    (void)unused;
    note("fail");
    return -EIO;
}

static int fail_fatally(void *unused)
{
    (void)unused;
    note("fatal");
    return WEFT_EEXIT;
}

Rule(LOOP_5, a_failing_callback_is_reported_and_the_next_one_runs)
{
    struct weft_handle *handle;
    CHECK_EQ(weft_loop_call_soon(loop, fail, NULL, NULL, &handle), 0);
    call_soon(loop, note, "next");
    run_once(loop);
    CHECK_STR(notes(), "fail next");
    CHECK_EQ(reports_take(), 1);
    CHECK_EQ(report_last().status, -EIO);
    CHECK(report_last().handle == handle);
    weft_handle_unref(handle);
}

Rule(LOOP_5, a_failing_timer_is_reported_with_its_handle)
{
    struct weft_handle *handle;
    CHECK_EQ(weft_loop_call_later(loop, 0, fail, NULL, &handle), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "next", NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "fail next");
    CHECK_EQ(reports_take(), 1);
    CHECK_EQ(report_last().status, -EIO);
    CHECK(report_last().handle == handle);
    weft_handle_unref(handle);
}

Rule(LOOP_5, a_fatal_status_leaves_the_loop_and_the_rest_stays_queued)
{
    call_soon(loop, note_and_queue, loop);
    call_soon(loop, fail_fatally, NULL);
    call_soon(loop, note, "rest");
    CHECK_EQ(weft_loop_run_forever(loop), WEFT_EEXIT);
    CHECK_STR(notes(), "first fatal");
    CHECK(!weft_loop_is_running(loop));
    run_once(loop);
    CHECK_STR(notes(), "rest new");
    CHECK_EQ(reports_take(), 0);
}

Rule(LOOP_5, a_fatal_timer_leaves_the_loop_and_the_other_due_timers_stay)
{
    CHECK_EQ(weft_loop_call_later(loop, 0, fail_fatally, NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "rest", NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), WEFT_EEXIT);
    CHECK_STR(notes(), "fatal");
    run_once(loop);
    CHECK_STR(notes(), "rest");
}

/* ---- LOOP-6: stop ------------------------------------------------------------------------------------------------------------ */

Rule(LOOP_6, stop_before_the_run_gives_exactly_one_iteration)
{
    CHECK_EQ(weft_loop_stop(loop), 0);
    call_soon(loop, note_and_queue, loop);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_STR(notes(), "first");
    call_soon(loop, stop_loop, loop);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_STR(notes(), "new");
}

Rule(LOOP_6, stop_before_the_run_does_not_sleep)
{
    uint64_t before_ns = weft_loop_time(loop);
    CHECK_EQ(weft_loop_call_later(loop, HOUR_NS, note, "never", NULL), 0);
    run_once(loop);
    CHECK(weft_loop_time(loop) - before_ns < (uint64_t)HOUR_NS / 2);
}

static int stop_and_queue(void *loop)
{
    call_soon(loop, note, "new");
    return weft_loop_stop(loop);
}

Rule(LOOP_6, stop_in_a_callback_lets_the_snapshot_end_and_no_more)
{
    call_soon(loop, note, "before");
    call_soon(loop, stop_and_queue, loop);
    call_soon(loop, note, "after");
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_STR(notes(), "before after");
    run_once(loop);
    CHECK_STR(notes(), "new");
}

Rule(LOOP_6, stopping_twice_stops_once)
{
    call_soon(loop, stop_loop, loop);
    call_soon(loop, stop_loop, loop);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_EQ(weft_loop_call_later(loop, 1000, note, "slept", NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, 2000, stop_loop, loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_STR(notes(), "slept");
}

static void stop_from_elsewhere(void *loop)
{
    CHECK_EQ(weft_loop_stop(loop), 0);
}

static int stop_in_other_thread(void *loop)
{
    in_other_thread(stop_from_elsewhere, loop);
    return 0;
}

Rule(LOOP_6, another_thread_stops_a_running_loop)
{
    call_soon(loop, stop_in_other_thread, loop);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    call_soon(loop, note, "again");
    run_once(loop);
    CHECK_STR(notes(), "again");
}

/* ---- LOOP-7: what is refused ------------------------------------------------------------------------------------------------- */

static int run_again(void *loop)
{
    CHECK(weft_loop_is_running(loop));
    CHECK(weft_get_running_loop() == loop);
    CHECK_EQ(weft_loop_run_forever(loop), WEFT_ERUNNING);
    CHECK_EQ(weft_loop_close(loop), weft_runtime_of(loop) == NULL ? WEFT_ERUNNING : WEFT_EFORBIDDEN);
    CHECK(weft_loop_is_running(loop));
    return note("checked");
}

Rule(LOOP_7, a_running_loop_can_neither_be_run_nor_closed)
{
    CHECK(!weft_loop_is_running(loop));
    CHECK(weft_get_running_loop() == NULL);
    call_soon(loop, run_again, loop);
    call_soon(loop, note, "next");
    run_once(loop);
    CHECK_STR(notes(), "checked next");
    CHECK(weft_get_running_loop() == NULL);
}

static void run_elsewhere(void *loop)
{
    CHECK_EQ(weft_loop_run_forever(loop), WEFT_ERUNNING);
    CHECK_EQ(weft_loop_close(loop), weft_runtime_of(loop) == NULL ? WEFT_ERUNNING : WEFT_EFORBIDDEN);
}

static int run_in_other_thread(void *loop)
{
    in_other_thread(run_elsewhere, loop);
    return note("checked");
}

Rule(LOOP_7, a_loop_that_runs_in_one_thread_is_refused_to_another)
{
    call_soon(loop, run_in_other_thread, loop);
    run_once(loop);
    CHECK_STR(notes(), "checked");
}

static int run_other(void *other)
{
    CHECK_EQ(weft_loop_run_forever(other), WEFT_EOTHERLOOP);
    return note("checked");
}

Rule(LOOP_7, a_second_loop_does_not_run_in_the_same_thread)
{
    struct weft_loop *other = loop_new(fixture);
    call_soon(other, note, "other");
    call_soon(loop, run_other, other);
    run_once(loop);
    CHECK_STR(notes(), "checked");
    run_once(other);
    CHECK_STR(notes(), "other");
    loop_drop(other);
}

static int timer_never(void *unused)
{
    (void)unused;
    return note("never");
}

Rule(LOOP_7, a_closed_loop_refuses_everything_that_schedules)
{
    struct weft_timer timer;
    struct weft_handle *untouched = NULL;
    weft_timer_init(&timer, loop, timer_never, NULL);
    CHECK(!weft_loop_is_closed(loop));
    rule_close(fixture);
    CHECK(weft_loop_is_closed(loop));
    CHECK_EQ(weft_loop_call_soon(loop, note, "never", NULL, &untouched), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, note, "never", NULL, &untouched), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_call_later(loop, 1, note, "never", &untouched), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_call_at(loop, 1, note, "never", &untouched), WEFT_ECLOSED);
    CHECK(untouched == NULL);
    CHECK_EQ(weft_timer_start(&timer, 1), WEFT_ECLOSED);
    CHECK_EQ(weft_timer_start_at(&timer, 1), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_run_forever(loop), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_stop(loop), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_set_task_factory(loop, NULL, NULL), WEFT_ECLOSED);
    rule_close(fixture);
    CHECK_STR(notes(), "");
}

Rule(LOOP_7, close_drops_what_is_queued_unrun)
{
    struct weft_handle *handle;
    struct weft_timer timer;
    weft_timer_init(&timer, loop, note, "never");
    CHECK_EQ(weft_timer_start(&timer, 1000), 0);
    CHECK_EQ(weft_loop_call_soon(loop, note, "never", NULL, &handle), 0);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, note, "never", NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "never", NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, HOUR_NS, note, "never", NULL), 0);
    rule_close(fixture);
    CHECK_STR(notes(), "");
    weft_handle_unref(handle);
}

/* ---- LOOP-8: run_until_complete ---------------------------------------------------------------------------------------------- */

Rule(LOOP_8, run_until_complete_that_is_stopped_early_says_so)
{
    struct weft_future *future = future_new(loop);
    void *value = "untouched";
    call_soon(loop, stop_loop, loop);
    CHECK_EQ(weft_loop_run_until_complete(loop, future, &value), WEFT_ESTOPPED);
    CHECK_STR(value, "untouched");
    CHECK_EQ(weft_future_set_result(future, "late"), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, future, &value), 0);
    CHECK_STR(value, "late");
    weft_future_unref(future);
}

Rule(LOOP_8, run_until_complete_tells_what_the_future_came_to)
{
    void *value = NULL;
    struct weft_future *result = future_new(loop);
    call_soon(loop, resolve, result);
    CHECK_EQ(weft_loop_run_until_complete(loop, result, &value), 0);
    struct weft_future *failed = future_new(loop);
    CHECK_EQ(weft_future_set_exception(failed, -EIO), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, failed, &value), -EIO);
    struct weft_future *cancelled = future_new(loop);
    CHECK(weft_future_cancel(cancelled, NULL));
    CHECK_EQ(weft_loop_run_until_complete(loop, cancelled, &value), -ECANCELED);
    weft_future_unref(result);
    weft_future_unref(failed);
    weft_future_unref(cancelled);
}

Rule(LOOP_8, run_until_complete_refuses_a_future_of_another_loop)
{
    struct weft_loop *other = loop_new(fixture);
    struct weft_future *future = future_new(other);
    CHECK_EQ(weft_loop_run_until_complete(loop, future, NULL), -EINVAL);
    weft_future_unref(future);
    loop_drop(other);
}

Rule(LOOP_8, run_until_complete_is_left_by_a_fatal_status)
{
    struct weft_future *future = future_new(loop);
    call_soon(loop, fail_fatally, NULL);
    CHECK_EQ(weft_loop_run_until_complete(loop, future, NULL), WEFT_EEXIT);
    run_once(loop);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_EQ(weft_loop_call_later(loop, 1000, note, "not stopped by the old one", NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, 2000, stop_loop, loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_STR(notes(), "fatal not stopped by the old one");
    weft_future_unref(future);
}

/* ---- LOOP-9: timers ---------------------------------------------------------------------------------------------------------- */

Rule(LOOP_9, a_delay_of_zero_or_less_is_due_at_once)
{
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "zero", NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, -HOUR_NS, note, "negative", NULL), 0);
    CHECK_EQ(weft_loop_call_at(loop, 0, note, "past", NULL), 0);
    CHECK_STR(notes(), "");
    run_once(loop);
    const char *got = notes();
    CHECK(strstr(got, "zero") && strstr(got, "negative") && strstr(got, "past"));
}

Rule(LOOP_9, timers_run_in_the_order_of_their_times)
{
    uint64_t now_ns = weft_loop_time(loop);
    static const char *const words[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    static const int order[] = {3, 7, 0, 5, 1, 6, 2, 4};
    for (int i = 0; i < 8; i++)
        CHECK_EQ(weft_loop_call_at(loop, now_ns + 1000 * (uint64_t)order[i], note, (void *)words[order[i]], NULL), 0);
    CHECK_EQ(weft_loop_call_at(loop, now_ns + 9000, stop_loop, loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_STR(notes(), "0 1 2 3 4 5 6 7");
}

Rule(LOOP_9, a_timer_is_never_early)
{
    struct weft_handle *handle;
    CHECK_EQ(weft_loop_call_later(loop, 1500000, stop_loop, loop, &handle), 0);
    uint64_t when_ns = weft_handle_when(handle);
    CHECK(when_ns >= 1500000);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK(weft_loop_time(loop) >= when_ns);
    weft_handle_unref(handle);
}

static int rearm(void *arg)
{
    struct weft_timer *timer = arg;
    note("tick");
    return weft_timer_start(timer, 0);
}

Rule(LOOP_9, a_timer_armed_by_itself_for_now_waits_for_the_next_iteration)
{
    struct weft_timer timer;
    weft_timer_init(&timer, loop, rearm, &timer);
    CHECK_EQ(weft_timer_start(&timer, 0), 0);
    run_once(loop);
    CHECK_STR(notes(), "tick");
    run_once(loop);
    CHECK_STR(notes(), "tick");
    CHECK(weft_timer_stop(&timer));
    CHECK(!weft_timer_stop(&timer));
    run_once(loop);
    CHECK_STR(notes(), "");
}

Rule(LOOP_9, arming_an_armed_timer_moves_it)
{
    struct weft_timer timer;
    weft_timer_init(&timer, loop, note, "moved");
    CHECK_EQ(weft_timer_start(&timer, 0), 0);
    CHECK_EQ(weft_timer_start(&timer, HOUR_NS), 0);
    run_once(loop);
    CHECK_STR(notes(), "");
    CHECK_EQ(weft_timer_start(&timer, 0), 0);
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "moved");
}
