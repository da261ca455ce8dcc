/*
 * The rules of the contract that speak of threads, contexts and the exception handler.
 */
#include <pthread.h>
#include <string.h>

#include "tests/conformance/actor.h"
#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"
#include "weft/atomic.h"

/* ---- LOOP-10: the order of posts ---------------------------------------------------------------------------------------------- */

enum { POSTS = 500 };

struct producer {
    struct weft_loop *loop;
    int numbers[POSTS];
};

static int expected_number;

static int take_number(void *number)
{
    CHECK_EQ(*(int *)number, expected_number);
    expected_number++;
    return 0;
}

static void produce(void *arg)
{
    struct producer *producer = arg;
    for (int i = 0; i < POSTS; i++) {
        producer->numbers[i] = i;
        CHECK_EQ(weft_loop_call_soon_threadsafe(producer->loop, take_number, &producer->numbers[i], NULL, NULL), 0);
    }
}

static int note_after_the_posts(void *unused)
{
    (void)unused;
    CHECK_EQ(expected_number, POSTS);
    return note("local");
}

static int produce_and_queue(void *arg)
{
    struct producer *producer = arg;
    in_other_thread(produce, producer);
    call_soon(producer->loop, note_after_the_posts, NULL);
    return 0;
}

Rule(LOOP_10, posts_of_one_thread_keep_their_order_before_a_later_local_call)
{
    static struct producer producer;
    producer.loop = loop;
    in_other_thread(produce, &producer);
    call_soon(loop, note_after_the_posts, NULL);
    run_once(loop);
    CHECK_STR(notes(), "local");
}

Rule(LOOP_10, posts_to_a_running_loop_are_before_what_it_queues_after_them)
{
    static struct producer producer;
    producer.loop = loop;
    call_soon(loop, produce_and_queue, &producer);
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "local");
}

static bool all_taken(void *unused)
{
    (void)unused;
    return expected_number == POSTS;
}

static void *produce_meanwhile(void *producer)
{
    produce(producer);
    return NULL;
}

Rule(LOOP_10, posts_keep_their_order_while_the_loop_runs)
{
    static struct producer producer;
    producer.loop = loop;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, produce_meanwhile, &producer), 0);
    run_until(loop, all_taken, NULL);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *stop_meanwhile(void *loop)
{
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, stop_loop, loop, NULL, NULL), 0);
    return NULL;
}

Rule(LOOP_10, a_post_wakes_a_sleeping_loop)
{
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, stop_meanwhile, loop), 0);
        CHECK_EQ(weft_loop_run_forever(loop), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
}

/* ---- LOOP-11: cancelling from elsewhere ---------------------------------------------------------------------------------------- */

static void cancel_elsewhere(void *handle)
{
    CHECK(weft_handle_cancel(handle));
    CHECK(weft_handle_cancelled(handle));
    CHECK(!weft_handle_cancel(handle));
}

Rule(LOOP_11, a_threadsafe_handle_is_cancelled_from_another_thread)
{
    struct weft_handle *handle;
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, note, "never", NULL, &handle), 0);
    in_other_thread(cancel_elsewhere, handle);
    run_once(loop);
    CHECK_STR(notes(), "");
    weft_handle_unref(handle);
}

struct contest {
    struct weft_handle *handles[POSTS];
    uint32_t runs[POSTS];
    uint32_t cancels[POSTS];
    uint32_t is_over;
};

static int count_run(void *run)
{
    (void)weft_atomic_add_relaxed((uint32_t *)run, 1);
    return 0;
}

static void *cancel_all(void *arg)
{
    struct contest *contest = arg;
    for (int i = 0; i < POSTS; i++)
        contest->cancels[i] = weft_handle_cancel(contest->handles[i]);
    /* Pairs with the acquire in contest_is_over(). */
    weft_atomic_store_release(&contest->is_over, 1);
    return NULL;
}

static bool contest_is_over(void *arg)
{
    /* Pairs with the release in cancel_all(). */
    return weft_atomic_load_acquire(&((struct contest *)arg)->is_over);
}

Rule(LOOP_11, of_cancel_and_run_exactly_one_wins)
{
    static struct contest contest;
    for (int i = 0; i < POSTS; i++)
        CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_run, &contest.runs[i], NULL, &contest.handles[i]), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, cancel_all, &contest), 0);
    run_until(loop, contest_is_over, &contest);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    run_once(loop);
    for (int i = 0; i < POSTS; i++) {
        CHECK_EQ(contest.runs[i] + contest.cancels[i], 1);
        CHECK_EQ(weft_handle_cancelled(contest.handles[i]), contest.cancels[i]);
        weft_handle_unref(contest.handles[i]);
    }
}

/* ---- LOOP-12: the wrong thread, and slow callbacks ------------------------------------------------------------------------------ */

static void prepare(void *loop)
{
    CHECK_EQ(weft_loop_call_soon(loop, note, "prepared", NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "timer", NULL), 0);
}

Rule(LOOP_12, a_loop_that_does_not_run_is_prepared_by_any_thread)
{
    in_other_thread(prepare, loop);
    run_once(loop);
    CHECK_STR(notes(), "prepared timer");
}

Rule(LOOP_12, debug_mode_reports_a_slow_callback_with_its_duration)
{
    CHECK(!weft_loop_get_debug(loop));
    CHECK_EQ(weft_loop_set_debug(loop, true), 0);
    CHECK(weft_loop_get_debug(loop));
    CHECK_EQ(weft_loop_set_slow_callback_duration(loop, 0), 0);
    call_soon(loop, note, "slow");
    run_once(loop);
    CHECK(reports_take() >= 1);
    CHECK_EQ(report_last().status, 0);
    CHECK(report_last().duration_ns < 1000000000);
    CHECK_EQ(weft_loop_set_debug(loop, false), 0);
    call_soon(loop, note, "slow");
    run_once(loop);
    CHECK_EQ(reports_take(), 0);
}

Rule(LOOP_12, a_quick_callback_is_not_reported)
{
    CHECK_EQ(weft_loop_set_debug(loop, true), 0);
    CHECK_EQ(weft_loop_set_slow_callback_duration(loop, UINT64_MAX), 0);
    call_soon(loop, note, "quick");
    run_once(loop);
    CHECK_STR(notes(), "quick");
}

/* ---- LOOP-13: contexts ---------------------------------------------------------------------------------------------------------- */

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

Rule(LOOP_13, a_callback_runs_in_a_copy_of_the_context_that_scheduled_it)
{
    struct weft_context_token token;
    call_soon(loop, note_colour, NULL);
    CHECK_EQ(weft_context_var_set(&colour, "red", &token), 0);
    call_soon(loop, note_colour, NULL);
    CHECK_EQ(weft_loop_call_later(loop, 0, note_colour, NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, note_colour, NULL, NULL, NULL), 0);
    CHECK_EQ(weft_context_var_reset(&token), 0);
    run_once(loop);
    run_once(loop);
    const char *got = notes();
    CHECK(!strcmp(got, "none red red red"));
}

Rule(LOOP_13, what_a_callback_sets_in_its_copy_nobody_else_sees)
{
    call_soon(loop, set_colour, "blue");
    call_soon(loop, note_colour, NULL);
    run_once(loop);
    CHECK_STR(notes(), "none");
    CHECK_STR(weft_context_var_get(&colour), "none");
}

Rule(LOOP_13, a_callback_runs_in_the_context_that_is_given)
{
    struct weft_context *context = weft_context_empty();
    CHECK_EQ(weft_context_set(context, &colour, "green"), 0);
    CHECK_EQ(weft_loop_call_soon(loop, note_colour, NULL, context, NULL), 0);
    CHECK_EQ(weft_loop_call_soon(loop, set_colour, "violet", context, NULL), 0);
    CHECK_EQ(weft_loop_call_soon(loop, note_colour, NULL, context, NULL), 0);
    call_soon(loop, note_colour, NULL);
    run_once(loop);
    CHECK_STR(notes(), "green violet none");
    CHECK_STR(weft_context_get(context, &colour, NULL), "violet");
    weft_context_unref(context);
}

/* ---- LOOP-14: the exception handler --------------------------------------------------------------------------------------------- */

static int fail(void *unused)
{
    (void)unused;
    return -EIO;
}

static int handler_note_colour(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)exception, (void)arg;
    return note(weft_context_var_get(&colour));
}

Rule(LOOP_14, the_handler_runs_in_the_context_of_the_failing_handle)
{
    struct weft_context *context = weft_context_empty();
    CHECK_EQ(weft_context_set(context, &colour, "green"), 0);
    CHECK_EQ(weft_loop_set_exception_handler(loop, handler_note_colour, NULL), 0);
    CHECK(weft_loop_get_exception_handler(loop) == handler_note_colour);
    CHECK_EQ(weft_loop_call_soon(loop, fail, NULL, context, NULL), 0);
    weft_context_unref(context);
    run_once(loop);
    CHECK_STR(notes(), "green");
}

static int done_failing(struct weft_future *future, void *unused)
{
    (void)future, (void)unused;
    return -EIO;
}

Rule(LOOP_14, the_handler_runs_in_the_context_of_the_failing_done_callback)
{
    struct weft_future *future = future_new(loop);
    struct weft_context *context = weft_context_empty();
    CHECK_EQ(weft_context_set(context, &colour, "green"), 0);
    CHECK_EQ(weft_loop_set_exception_handler(loop, handler_note_colour, NULL), 0);
    CHECK_EQ(weft_future_add_done_callback(future, done_failing, NULL, context), 0);
    weft_context_unref(context);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "green");
    weft_future_unref(future);
}

TaskRule(LOOP_14, the_handler_runs_in_the_context_of_the_task)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, CALL(set_colour, "blue"), RAISE(-EIO)));
    CHECK_EQ(weft_loop_set_exception_handler(loop, handler_note_colour, NULL), 0);
    run_once(loop);
    weft_task_unref(task);
    CHECK_STR(notes(), "blue");
    CHECK_STR(weft_context_var_get(&colour), "none");
}

static int handler_failing(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)exception;
    note(arg);
    return -ENOTTY;
}

static int sunk_status;

static int sink(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop;
    note(arg);
    sunk_status = exception->status;
    return -EPIPE;
}

Rule(LOOP_14, a_handler_that_fails_is_followed_by_the_default_one_which_may_fail_too)
{
    struct weft_loop_counters before, after;
    weft_set_report_sink(sink, "sink");
    CHECK_EQ(weft_loop_get_counters(loop, &before), 0);
    CHECK_EQ(weft_loop_set_exception_handler(loop, handler_failing, "handler"), 0);
    call_soon(loop, fail, NULL);
    call_soon(loop, note, "next");
    run_once(loop);
    CHECK_STR(notes(), "handler sink next");
    CHECK_EQ(sunk_status, -ENOTTY);
    CHECK_EQ(weft_loop_get_counters(loop, &after), 0);
    CHECK_EQ(after.exceptions - before.exceptions, 1);
    weft_set_report_sink(NULL, NULL);
}

Rule(LOOP_14, without_a_handler_the_default_one_hands_over_to_the_sink)
{
    weft_set_report_sink(sink, "sink");
    CHECK_EQ(weft_loop_set_exception_handler(loop, NULL, NULL), 0);
    CHECK(weft_loop_get_exception_handler(loop) == NULL);
    call_soon(loop, fail, NULL);
    run_once(loop);
    CHECK_STR(notes(), "sink");
    CHECK_EQ(sunk_status, -EIO);
    weft_set_report_sink(NULL, NULL);
}
