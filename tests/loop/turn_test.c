/*
 * The turn: what an iteration does and in which order, when it may skip the poll, and what the counters say of it.
 */
#include <pthread.h>
#include <string.h>

#include "tests/loop/spy.h"

static char order[64];

static int note(void *arg)
{
    strcat(order, arg);
    return 0;
}

static int leave(void *arg)
{
    (void)note(arg);
    return WEFT_EEXIT;
}

static int fail(void *arg)
{
    (void)arg;
    return -EIO;
}

/* ---- the end of the turn ----------------------------------------------------------------------------------------------------------- */

struct end {
    struct weft_work work; /* first */
    const char *word;
    struct weft_loop *loop;
    struct end *other; /* what its run does to it depends on its function */
};

static int end_note(struct weft_work *work)
{
    strcat(order, ((struct end *)work)->word);
    return 0;
}

static int end_remove_other(struct weft_work *work)
{
    struct end *end = (struct end *)work;
    CHECK(loop_turn_end_remove(end->loop, &end->other->work));
    CHECK(!loop_turn_end_remove(end->loop, &end->other->work));
    memset(end->other, 0xee, sizeof(*end->other)); /* its memory is its owner's again */
    return end_note(work);
}

static int end_add_other(struct weft_work *work)
{
    struct end *end = (struct end *)work;
    loop_at_turn_end(end->loop, &end->other->work);
    return end_note(work);
}

Test(turn, runs_what_waits_for_its_end_once_and_behind_the_snapshot, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct end end = {.work.run = end_note, .word = "e"};
    loop_at_turn_end(loop, &end.work);
    CHECK(loop_has_work(loop));
    CHECK_EQ(weft_loop_call_soon(loop, note, "1", NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_soon(loop, note, "2", NULL, NULL), 0);
    CHECK_EQ(spy_turns(loop, 2), 0);
    CHECK_STR(order, "12e");
    CHECK(!loop_turn_end_remove(loop, &end.work));
    CHECK(!loop_has_work(loop));
    spy_drop(loop);
}

Test(turn, runs_its_end_even_if_the_snapshot_was_left, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct end end = {.work.run = end_note, .word = "e"};
    loop_at_turn_end(loop, &end.work);
    CHECK_EQ(weft_loop_call_soon(loop, leave, "x", NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_soon(loop, note, "r", NULL, NULL), 0);
    CHECK_EQ(spy_turns(loop, 1), WEFT_EEXIT);
    CHECK_STR(order, "xe");
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "xer");
    spy_drop(loop);
}

Test(turn, lets_one_end_take_back_another, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct end second = {.work.run = end_note, .word = "2"};
    struct end first = {.work.run = end_remove_other, .word = "1", .loop = loop, .other = &second};
    struct end third = {.work.run = end_note, .word = "3"};
    loop_at_turn_end(loop, &first.work);
    loop_at_turn_end(loop, &second.work);
    loop_at_turn_end(loop, &third.work);
    CHECK_EQ(spy_turns(loop, 2), 0);
    CHECK_STR(order, "13");
    spy_drop(loop);
}

Test(turn, keeps_what_its_end_adds_for_the_next_one, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct end second = {.work.run = end_note, .word = "2"};
    struct end first = {.work.run = end_add_other, .word = "1", .loop = loop, .other = &second};
    loop_at_turn_end(loop, &first.work);
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "1");
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "12");
    spy_drop(loop);
}

/* ---- the poll that may be skipped ---------------------------------------------------------------------------------------------------- */

static int again(void *arg)
{
    return weft_loop_call_soon(arg, again, arg, NULL, NULL);
}

Test(turn, polls_after_61_works_at_the_latest, .timeout = 5)
{
    struct weft_loop *loop = spy_loop();
    CHECK_EQ(weft_loop_call_soon(loop, again, loop, NULL, NULL), 0);
    CHECK_EQ(spy_turns(loop, 610), 0);
    CHECK(spy.wait_count >= 10); /* more if the machine was slow */
    CHECK_EQ(spy.timeout_ns, 0);
    spy_drop(loop);
}

Test(turn, skips_by_count_alone_in_virtual_time, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_loop_counters counters;
    CHECK_EQ(weft_loop_call_soon(loop, again, loop, NULL, NULL), 0);
    CHECK_EQ(spy_turns(loop, 610), 0);
    CHECK_EQ(weft_loop_get_counters(loop, &counters), 0);
    CHECK_EQ(counters.turns, 610);
    CHECK_EQ(counters.polls, 10);
    spy_drop(loop);
}

static int spend_time(void *arg)
{
    uint64_t end_ns = weft_loop_time(arg) + 200000;
    while (weft_loop_time(arg) < end_ns)
        weft_atomic_pause();
    return weft_loop_call_soon(arg, spend_time, arg, NULL, NULL);
}

Test(turn, polls_after_a_long_callback, .timeout = 5)
{
    struct weft_loop *loop = spy_loop();
    CHECK_EQ(weft_loop_call_soon(loop, spend_time, loop, NULL, NULL), 0);
    CHECK_EQ(loop_enter(loop), 0);
    for (uint64_t turns = 1; turns <= 5; turns++) {
        CHECK_EQ(loop_turn(loop, false), 0);
        CHECK_EQ(spy.wait_count, turns);
    }
    loop_leave(loop);
    spy_drop(loop);
}

Test(turn, always_polls_in_debug_mode, .timeout = 5)
{
    struct weft_loop *loop = spy_loop();
    CHECK_EQ(weft_loop_set_debug(loop, true), 0);
    CHECK_EQ(weft_loop_call_soon(loop, again, loop, NULL, NULL), 0);
    CHECK_EQ(spy_turns(loop, 100), 0);
    CHECK_EQ(spy.wait_count, 100);
    spy_drop(loop);
}

Test(turn, ends_the_run_when_the_poller_is_broken, .timeout = 5)
{
    struct weft_loop *loop = spy_loop();
    spy.wait_status = -EBADF;
    CHECK_EQ(weft_loop_run_forever(loop), -EBADF);
    CHECK(!weft_loop_is_running(loop));
    spy.wait_status = 0;
    CHECK_EQ(weft_loop_stop(loop), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    spy_drop(loop);
}

/* ---- counters ------------------------------------------------------------------------------------------------------------------------ */

static void *post(void *arg)
{
    CHECK_EQ(weft_loop_call_soon_threadsafe(arg, note, "p", NULL, NULL), 0);
    return NULL;
}

Test(turn, is_counted, .timeout = 5)
{
    struct weft_loop *loop = spy_loop();
    struct weft_loop_counters counters;
    pthread_t thread;
    CHECK_EQ(weft_loop_call_soon(loop, note, "s", NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_soon(loop, fail, NULL, NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "t", NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, post, loop), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "spt");
    CHECK_EQ(weft_loop_get_counters(loop, &counters), 0);
    CHECK_EQ(counters.turns, 1);
    CHECK_EQ(counters.callbacks, 4); /* the due timers are one work */
    CHECK_EQ(counters.timers, 1);
    CHECK_EQ(counters.polls, 1);
    CHECK_EQ(counters.parks, 0);
    CHECK_EQ(counters.wakes, 0); /* it did not sleep */
    CHECK_EQ(counters.posts, 1);
    CHECK_EQ(counters.exceptions, 1);
    CHECK_EQ(weft_loop_get_counters(NULL, &counters), -EINVAL);
    CHECK_EQ(weft_loop_get_counters(loop, NULL), -EINVAL);
    spy_drop(loop);
}

static bool is_parked(void *arg)
{
    return inbox_is_parked(&((struct weft_loop *)arg)->worker.inbox);
}

static void *post_and_stop(void *arg)
{
    while (!is_parked(arg))
        weft_atomic_pause();
    CHECK_EQ(weft_loop_stop(arg), 0);
    return NULL;
}

Test(turn, counts_its_sleep_and_who_ended_it, .timeout = 5)
{
    struct weft_loop *loop = spy_loop();
    struct weft_loop_counters counters;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, post_and_stop, loop), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_EQ(spy.timeout_ns, -1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(weft_loop_get_counters(loop, &counters), 0);
    CHECK_EQ(counters.parks, 1);
    CHECK_EQ(counters.wakes, 1);
    CHECK_EQ(counters.posts, 1);
    spy_drop(loop);
}
