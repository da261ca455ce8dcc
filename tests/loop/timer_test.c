/*
 * Timers of a loop: when they fire, what stops them, and what becomes of them when the loop does not go on.
 */
#include "weft/timer.h"

#include <pthread.h>
#include <string.h>

#include "tests/loop/spy.h"

static char order[64];

static int note(void *arg)
{
    strcat(order, arg);
    return 0;
}

static int fail(void *arg)
{
    (void)note(arg);
    return -EIO;
}

static int leave(void *arg)
{
    (void)note(arg);
    return WEFT_EEXIT;
}

static int stop_timer(void *arg)
{
    CHECK(weft_timer_stop(arg));
    CHECK(!weft_timer_stop(arg));
    return note("s");
}

static int arm_again(void *arg)
{
    struct weft_timer *timer = arg;
    CHECK_EQ(weft_timer_start(timer, 0), 0);
    return note("a");
}

/* Nothing is due yet when the next one is armed. */
static int arm_at_once(void *arg)
{
    struct weft_loop *loop = arg;
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "t", NULL), 0);
    CHECK_EQ(weft_loop_call_soon(loop, note, "n", NULL, NULL), 0);
    return note("b");
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

Test(timer, without_delay_fires_in_the_next_iteration_while_polls_are_skipped, .timeout = 5)
{
    struct weft_loop *loop = spy_loop();
    CHECK_EQ(loop_enter(loop), 0);
    CHECK_EQ(weft_loop_call_soon(loop, do_nothing, NULL, NULL, NULL), 0);
    CHECK_EQ(loop_turn(loop, false), 0);
    CHECK_EQ(weft_loop_call_soon(loop, arm_at_once, loop, NULL, NULL), 0);
    CHECK_EQ(loop_turn(loop, false), 0);
    CHECK_STR(order, "b");
    CHECK_EQ(loop_turn(loop, false), 0);
    CHECK_STR(order, "bnt");
    loop_leave(loop);
    spy_drop(loop);
}

Test(timer, armed_again_by_itself_waits_for_the_next_iteration, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_timer timer;
    weft_timer_init(&timer, loop, arm_again, &timer);
    CHECK_EQ(weft_timer_start(&timer, -5), 0);
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "a");
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "aa");
    CHECK(weft_timer_stop(&timer));
    spy_drop(loop);
}

Test(timer, takes_every_time_there_is, .timeout = 5)
{
    struct weft_loop *loop = spy_loop();
    struct weft_timer zero, past, last, never;
    weft_timer_init(&zero, loop, note, "0");
    weft_timer_init(&past, loop, note, "p");
    weft_timer_init(&last, loop, note, "l");
    weft_timer_init(&never, loop, note, "n");
    CHECK_EQ(weft_timer_start_at(&never, UINT64_MAX), 0);
    CHECK_EQ(weft_timer_start(&last, INT64_MAX), 0);
    CHECK_EQ(weft_timer_start_at(&past, 1), 0);
    CHECK_EQ(weft_timer_start_at(&zero, 0), 0);
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "0p");
    CHECK_EQ(loop_next_timer_ns(loop), last.when_ns);
    CHECK(weft_timer_stop(&last));
    CHECK_EQ(loop_next_timer_ns(loop), UINT64_MAX);
    CHECK(weft_timer_stop(&never));
    spy_drop(loop);
}

Test(timer, that_is_due_is_stopped_by_one_before_it, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_timer first, second, third;
    weft_timer_init(&second, loop, note, "2");
    weft_timer_init(&first, loop, stop_timer, &second);
    weft_timer_init(&third, loop, note, "3");
    CHECK_EQ(weft_timer_start_at(&first, 0), 0);
    CHECK_EQ(weft_timer_start_at(&second, 0), 0);
    CHECK_EQ(weft_timer_start_at(&third, 0), 0);
    CHECK_EQ(spy_turns(loop, 2), 0);
    CHECK_STR(order, "s3");
    spy_drop(loop);
}

static int move_away(void *arg)
{
    CHECK_EQ(weft_timer_start(arg, 10), 0);
    return note("m");
}

Test(timer, that_is_due_is_moved_by_one_before_it, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_timer first, second;
    weft_timer_init(&second, loop, note, "2");
    weft_timer_init(&first, loop, move_away, &second);
    CHECK_EQ(weft_timer_start_at(&first, 0), 0);
    CHECK_EQ(weft_timer_start_at(&second, 0), 0);
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "m");
    CHECK(weft_timer_stop(&second));
    spy_drop(loop);
}

Test(timer, that_fails_is_reported_and_the_others_fire, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    CHECK_EQ(weft_loop_call_at(loop, 0, fail, "f", NULL), 0);
    CHECK_EQ(weft_loop_call_at(loop, 0, note, "g", NULL), 0);
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "fg");
    CHECK_EQ(spy_reports(), 1);
    spy_drop(loop);
}

Test(timer, behind_a_fatal_one_fires_in_the_next_run, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    CHECK_EQ(weft_loop_call_at(loop, 0, leave, "x", NULL), 0);
    CHECK_EQ(weft_loop_call_at(loop, 0, note, "y", NULL), 0);
    CHECK_EQ(spy_turns(loop, 1), WEFT_EEXIT);
    CHECK_STR(order, "x");
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "xy");
    spy_drop(loop);
}

static int abandon_count;

static void count_abandon(struct weft_timer *timer)
{
    CHECK(!weft_timer_stop(timer));
    abandon_count++;
}

Test(timer, is_abandoned_once_when_its_loop_closes_whether_due_or_not, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_timer due, later;
    weft_timer_init(&due, loop, note, "d");
    weft_timer_init(&later, loop, note, "l");
    due.abandon = later.abandon = count_abandon;
    CHECK_EQ(weft_loop_call_soon(loop, leave, "x", NULL, NULL), 0);
    CHECK_EQ(weft_timer_start_at(&due, 0), 0);
    CHECK_EQ(weft_timer_start(&later, 1000), 0);
    CHECK_EQ(weft_loop_call_at(loop, 0, note, "d", NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, 1000, note, "l", NULL), 0);
    CHECK_EQ(spy_turns(loop, 1), WEFT_EEXIT);
    CHECK(due.slot != 0);
    spy_drop(loop);
    CHECK_EQ(abandon_count, 2);
    CHECK_STR(order, "x");
}

Test(timer, of_a_closed_loop_is_refused, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_timer timer;
    weft_timer_init(&timer, loop, note, "t");
    CHECK_EQ(weft_timer_start(&timer, 5), 0);
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK(!weft_timer_stop(&timer));
    CHECK_EQ(weft_timer_start(&timer, 5), WEFT_ECLOSED);
    CHECK_EQ(weft_timer_start_at(&timer, 5), WEFT_ECLOSED);
    weft_loop_unref(loop);
}

static void *start_from_elsewhere(void *arg)
{
    CHECK_EQ(weft_timer_start(arg, 5), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_timer_start_at(arg, 5), WEFT_EWRONGTHREAD);
    return NULL;
}

Test(timer, of_a_loop_that_runs_elsewhere_is_refused, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_timer timer;
    pthread_t thread;
    weft_timer_init(&timer, loop, note, "t");
    CHECK_EQ(loop_enter(loop), 0);
    CHECK_EQ(pthread_create(&thread, NULL, start_from_elsewhere, &timer), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    loop_leave(loop);
    CHECK(!weft_timer_stop(&timer));
    spy_drop(loop);
}

Test(timer, stays_armed_when_there_is_no_memory_for_another, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_timer timers[17];
    for (int i = 0; i < 17; i++)
        weft_timer_init(&timers[i], loop, note, "t");
    for (int i = 0; i < 16; i++)
        CHECK_EQ(weft_timer_start(&timers[i], 5), 0);
    oom_start(1);
    CHECK_EQ(weft_timer_start(&timers[16], 5), -ENOMEM);
    CHECK_EQ(weft_timer_start(&timers[3], 7), 0);
    CHECK(oom_stop() || true);
    CHECK(!weft_timer_stop(&timers[16]));
    for (int i = 0; i < 16; i++)
        CHECK(weft_timer_stop(&timers[i]));
    spy_drop(loop);
}
