/*
 * The spin before the sleep: it ends with what comes, it adapts, and it keeps nobody from being polled.
 */
#include "tests/loop/spy.h"

enum { SPIN_MAX_NS = 40000, TURNS = 610 };

static int run_count;

static int count_run(struct weft_work *work)
{
    (void)work;
    run_count++;
    return 0;
}

static struct weft_work posted_work = {NULL, count_run};
static bool is_posted;

/* As if another thread answered within the spin, every time: the loop has found its inbox empty and asks for the time. */
static void post_in_time(struct weft_loop *loop)
{
    if (!inbox_is_empty(&loop->worker.inbox))
        return;
    (void)inbox_push(&loop->worker.inbox, &posted_work, &posted_work);
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
    loop_set_spin(loop, SPIN_MAX_NS);
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

/* Not where code is emulated, which takes longer than these two spins last. */
Test(spin, grows_on_a_hit_to_its_maximum_and_shrinks_on_a_miss, .timeout = 10, .disabled = TEST_EMULATED)
{
    struct weft_loop *loop = spy_loop();
    struct weft_loop_counters counters;
    loop_set_spin(loop, SPIN_MAX_NS);
    CHECK_EQ(loop_enter(loop), 0);
    CHECK_EQ(weft_loop_call_later(loop, 1, (weft_callback_fn *)NULL, NULL, NULL), -EINVAL);
    struct weft_timer timer;
    weft_timer_init(&timer, loop, do_nothing, NULL);
    for (int i = 0; i < 3; i++) {
        uint64_t before_ns = loop->spin_ns;
        CHECK_EQ(weft_timer_start(&timer, 1000000), 0);
        CHECK_EQ(loop_turn(loop, false), 0); /* no spin without a sleep */
        CHECK_EQ(loop->spin_ns, before_ns);
        CHECK(weft_timer_stop(&timer));
    }
    loop->spin_ns = SPIN_MAX_NS / 4;
    spy.on_now = post_in_time;
    CHECK_EQ(loop_turn(loop, true), 0);
    CHECK_EQ(loop->spin_ns, SPIN_MAX_NS / 2);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(loop_turn(loop, true), 0);
    CHECK_EQ(loop->spin_ns, SPIN_MAX_NS);
    spy.on_now = NULL;
    CHECK_EQ(loop_turn(loop, false), 0);
    CHECK_EQ(weft_loop_get_counters(loop, &counters), 0);
    CHECK_EQ(counters.spins, 4);
    CHECK_EQ(counters.parks, 0);
    loop_leave(loop);
    spy_drop(loop);
}

Test(spin, that_finds_nothing_ends_in_a_sleep, .timeout = 10, .disabled = TEST_EMULATED)
{
    struct weft_loop *loop = spy_loop();
    struct weft_loop_counters counters;
    loop_set_spin(loop, SPIN_MAX_NS);
    CHECK_EQ(weft_loop_call_later(loop, 5000000, do_nothing, NULL, NULL), 0);
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
