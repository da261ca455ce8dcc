/*
 * The spin before the sleep: it ends with what comes, it adapts, and it keeps nobody from being polled.
 */
#include "tests/loop/spy.h"

enum { SPIN_MAX_NS = 40000, TURNS = 610 };

#define SPIN_LONG_NS UINT64_C(60000000000) /* whatever happens meanwhile */

static int run_count;

static int count_run(struct weft_work *work)
{
    (void)work;
    run_count++;
    return 0;
}

static struct weft_work posted_work = {NULL, count_run}, io_work = {NULL, count_run};
static bool is_posted;

/* As if another thread answered in time, every time: the loop has found its inbox empty and asks for the time, in a spin or to sleep. */
static void post_in_time(struct weft_loop *loop)
{
    if (!inbox_is_empty(&loop->worker.inbox))
        return;
    if (inbox_push(&loop->worker.inbox, &posted_work, &posted_work) == INBOX_PUSHED_WAKE)
        worker_wake(&loop->worker);
    is_posted = true;
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

Test(spin, on_answers_that_always_come_in_time_still_polls, .timeout = 10)
{
    struct weft_loop *loop = spy_loop();
    loop_set_spin(loop, SPIN_MAX_NS, false);
    CHECK_EQ(loop_enter(loop), 0);
    CHECK_EQ(loop_turn(loop, false), 0);
    spy.wait_count = 0;
    spy.on_now = post_in_time;
    for (int i = 0; i < TURNS; i++)
        CHECK_EQ(loop_turn(loop, true), 0);
    spy.on_now = NULL;
    CHECK_EQ(loop_turn(loop, false), 0); /* what was posted last */
    loop_leave(loop);
    CHECK(is_posted);
    CHECK(run_count >= TURNS - 1);
    CHECK(spy.wait_count >= TURNS / 61);
    spy_drop(loop);
}

Test(spin, grows_on_a_hit_to_its_maximum, .timeout = 10)
{
    struct weft_loop *loop = spy_loop();
    struct weft_loop_counters counters;
    loop_set_spin(loop, SPIN_LONG_NS, false);
    CHECK_EQ(loop_enter(loop), 0);
    CHECK_EQ(weft_loop_call_later(loop, 1, (weft_callback_fn *)NULL, NULL, NULL), -EINVAL);
    struct weft_timer timer;
    weft_timer_init(&timer, loop, do_nothing, NULL);
    for (int i = 0; i < 3; i++) {
        uint64_t before_ns = loop->spin_ns;
        CHECK_EQ(weft_timer_start(&timer, SPIN_LONG_NS), 0);
        CHECK_EQ(loop_turn(loop, false), 0); /* no spin without a sleep */
        CHECK_EQ(loop->spin_ns, before_ns);
        CHECK(weft_timer_stop(&timer));
    }
    loop->spin_ns = SPIN_LONG_NS / 4;
    spy.on_now = post_in_time;
    CHECK_EQ(loop_turn(loop, true), 0);
    CHECK_EQ(loop->spin_ns, SPIN_LONG_NS / 2);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(loop_turn(loop, true), 0);
    CHECK_EQ(loop->spin_ns, SPIN_LONG_NS);
    spy.on_now = NULL;
    CHECK_EQ(loop_turn(loop, false), 0);
    CHECK_EQ(weft_loop_get_counters(loop, &counters), 0);
    CHECK_EQ(counters.spins, 4);
    CHECK_EQ(counters.parks, 0);
    loop_leave(loop);
    spy_drop(loop);
}

/* Not where code is emulated, which takes longer than this spin lasts. */
Test(spin, that_finds_nothing_ends_in_a_sleep, .timeout = 10, .disabled = TEST_EMULATED)
{
    struct weft_loop *loop = spy_loop();
    struct weft_loop_counters counters;
    loop_set_spin(loop, SPIN_MAX_NS, false);
    CHECK_EQ(weft_loop_call_later(loop, 50000000, do_nothing, NULL, NULL), 0);
    CHECK_EQ(loop_enter(loop), 0);
    CHECK_EQ(loop_turn(loop, true), 0);
    loop_leave(loop);
    CHECK_EQ(weft_loop_get_counters(loop, &counters), 0);
    CHECK_EQ(counters.parks, 1);
    CHECK_EQ(counters.spins, 0);
    CHECK(spy.timeout_ns > 0);
    CHECK_EQ(loop->spin_ns, SPIN_MAX_NS - SPIN_MAX_NS / 16);
    spy_drop(loop);
}

/* ---- what a spin is for ---- */

static struct weft_loop *enter_spinning(uint64_t spin_max_ns, bool spins_for_io)
{
    struct weft_loop *loop = spy_loop();
    loop_set_spin(loop, spin_max_ns, spins_for_io);
    CHECK_EQ(loop_enter(loop), 0);
    CHECK_EQ(loop_turn(loop, false), 0);
    return loop;
}

static void leave_and_drop(struct weft_loop *loop)
{
    spy.on_now = NULL;
    spy.io = NULL;
    CHECK_EQ(loop_turn(loop, false), 0); /* what was posted last */
    loop_leave(loop);
    spy_drop(loop);
}

/* A turn that finds nothing to do: what its spin is in the end, if it was `spin_ns`. */
static uint64_t spin_after_turn(struct weft_loop *loop, uint64_t spin_ns)
{
    loop->spin_ns = spin_ns;
    CHECK_EQ(loop_turn(loop, true), 0);
    return loop->spin_ns;
}

Test(spin, shrinks_to_none_where_io_alone_ends_it, .timeout = 10)
{
    struct weft_loop *loop = enter_spinning(SPIN_MAX_NS, false);
    spy.io = &io_work;
    CHECK_EQ(spin_after_turn(loop, SPIN_MAX_NS), SPIN_MAX_NS - SPIN_MAX_NS / 16);
    for (int i = 0; i < TURNS; i++)
        CHECK_EQ(loop_turn(loop, true), 0);
    CHECK_EQ(loop->spin_ns, 0);
    leave_and_drop(loop);
}

Test(spin, that_has_shrunk_to_none_leaves_one_wait_that_sleeps, .timeout = 10)
{
    struct weft_loop *loop = enter_spinning(SPIN_MAX_NS, false);
    spy.io = &io_work;
    spy.wait_count = 0;
    for (int i = 0; i < TURNS; i++)
        CHECK_EQ(spin_after_turn(loop, 0), 0);
    CHECK_EQ(spy.wait_count, TURNS);
    CHECK_EQ(spy.timeout_ns, -1);
    CHECK_EQ(run_count, TURNS);
    leave_and_drop(loop);
}

Test(spin, for_io_grows_by_io_that_ends_it_or_a_sleep, .timeout = 10)
{
    struct weft_loop *loop = enter_spinning(SPIN_LONG_NS, true);
    spy.io = &io_work;
    CHECK_EQ(spin_after_turn(loop, SPIN_LONG_NS / 4), SPIN_LONG_NS / 2);
    CHECK(spin_after_turn(loop, 0) > 0);
    leave_and_drop(loop);
}

Test(spin, comes_back_when_a_post_ends_a_sleep_within_the_longest, .timeout = 10)
{
    struct weft_loop *loop = enter_spinning(SPIN_LONG_NS, false);
    spy.on_now = post_in_time;
    CHECK(spin_after_turn(loop, 0) > 0);
    loop->spin_max_ns = 1; /* shorter than any sleep */
    CHECK_EQ(spin_after_turn(loop, 0), 0);
    CHECK_EQ(run_count, 2);
    leave_and_drop(loop);
}

static void post_to_sleeper(struct weft_loop *loop)
{
    if (inbox_is_parked(&loop->worker.inbox))
        post_in_time(loop);
}

Test(spin, comes_back_whole_where_each_answer_comes_too_late_for_a_short_one, .timeout = 10)
{
    struct weft_loop *loop = enter_spinning(SPIN_LONG_NS, false);
    loop->spin_ns = 0;
    spy.on_now = post_to_sleeper;
    for (int i = 0; i < 8; i++)
        CHECK_EQ(loop_turn(loop, true), 0);
    CHECK(loop->spin_ns > 100000); /* nearly doubled each time */
    leave_and_drop(loop);
}
