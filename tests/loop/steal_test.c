/*
 * Stealable work in a loop's turn: two loops of one crew, turned by hand. Where it runs, what it keeps from running (nothing), and that a
 * turn which ends early leaves nobody counted as searching or asleep.
 */
#include <string.h>

#include "lib/sched/crew.h"
#include "tests/loop/spy.h"
#include "weft/timer.h"

#define SPIN_MAX_NS UINT64_C(60000000000) /* whatever happens meanwhile */

enum { FOR_EVER = 1 << 30, BUDGET_WORKS = 61, FLOOD = 8, ROUNDS = 200 };

struct item {
    struct weft_work work; /* first */
    struct worker *home;
    int left;
    int run_count;
};

static struct crew *crew;
static struct weft_loop *loops[2];
static struct item items[FLOOD], late;
static char order[64];

static int run_item(struct weft_work *work)
{
    struct item *item = (struct item *)work;
    item->run_count++;
    if (item->left-- > 0)
        work_ready_stealable(item->home, work);
    return 0;
}

static void item_init(struct item *item, int left)
{
    *item = (struct item){.work = {NULL, run_item}, .home = &loops[0]->worker, .left = left};
}

static void setup(void)
{
    spy_count_memory();
    crew = crew_create(2, NULL);
    for (int i = 0; i < 2; i++) {
        loops[i] = spy_loop();
        crew_join(crew, &loops[i]->worker, (uint64_t)i);
    }
    crew_unref(crew);
    item_init(&late, 0);
    for (int i = 0; i < FLOOD; i++)
        item_init(&items[i], FOR_EVER);
}

static void drop(void)
{
    CHECK_EQ(crew->idle, 0);
    CHECK(!loops[0]->worker.is_searching && !loops[1]->worker.is_searching);
    crew_dissolve(crew);
    for (int i = 0; i < 2; i++)
        spy_drop(loops[i]);
}

/* Make `item` ready as `loop` does, or, without one, as a thread outside. */
static void push_from(struct weft_loop *loop, struct item *item)
{
    worker_set_current(loop == NULL ? NULL : &loop->worker);
    work_ready_stealable(item->home, &item->work);
    worker_set_current(NULL);
}

static void dry_up(void)
{
    for (int i = 0; i < FLOOD; i++)
        items[i].left = 0;
    while (loop_has_work(loops[0]))
        CHECK_EQ(spy_turns(loops[0], 1), 0);
}

/* ---- where it runs ---------------------------------------------------------------------------------------------------------------- */

static int note_stealable(struct weft_work *work)
{
    (void)work;
    order[strlen(order)] = 's';
    return 0;
}

static int note_pinned(void *unused)
{
    (void)unused;
    order[strlen(order)] = 'p';
    return 0;
}

static int note_and_push(void *unused)
{
    (void)note_pinned(unused);
    work_ready_stealable(items[1].home, &items[1].work);
    return weft_loop_call_soon(loops[0], note_pinned, NULL, NULL, NULL);
}

/* How much runs in one turn is also a matter of time: where code is emulated its first run alone takes longer than a turn gives. */
Test(steal, stealable_work_runs_after_the_whole_snapshot, .timeout = 5, .disabled = TEST_EMULATED)
{
    setup();
    items[0].work.run = items[1].work.run = note_stealable;
    push_from(loops[0], &items[0]);
    CHECK_EQ(weft_loop_call_soon(loops[0], note_and_push, NULL, NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_soon(loops[0], note_pinned, NULL, NULL, NULL), 0);
    CHECK_EQ(spy_turns(loops[0], 1), 0);
    CHECK_STR(order, "ppss");
    CHECK_EQ(spy_turns(loops[0], 1), 0);
    CHECK_STR(order, "ppssp");
    drop();
}

Test(steal, a_loop_without_work_takes_another_loops, .timeout = 5, .disabled = TEST_EMULATED)
{
    setup();
    for (int i = 0; i < 4; i++) {
        items[i].left = 0;
        push_from(loops[0], &items[i]);
    }
    CHECK_EQ(spy_turns(loops[1], 1), 0);
    CHECK_EQ(loops[1]->worker.run_count, 2); /* the older half */
    CHECK_EQ(items[0].run_count + items[1].run_count, 2);
    CHECK_EQ(spy_turns(loops[1], 3), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(items[i].run_count, 1);
    drop();
}

Test(steal, a_loop_with_work_of_its_own_does_not_search, .timeout = 5)
{
    setup();
    push_from(loops[0], &late);
    CHECK_EQ(weft_loop_call_soon(loops[1], note_pinned, NULL, NULL, NULL), 0);
    CHECK_EQ(spy_turns(loops[1], 1), 0);
    CHECK_EQ(late.run_count, 0);
    CHECK_EQ(loops[1]->worker.search_count, 0);
    CHECK_EQ(spy_turns(loops[1], 1), 0);
    CHECK_EQ(late.run_count, 1);
    drop();
}

Test(steal, what_comes_from_outside_runs_on_whichever_loop_turns, .timeout = 5)
{
    setup();
    push_from(NULL, &late);
    CHECK_EQ(spy_turns(loops[1], 1), 0);
    CHECK_EQ(late.run_count, 1);
    drop();
}

/* ---- nobody starves --------------------------------------------------------------------------------------------------------------- */

static int again_count;

static int call_again(void *loop)
{
    if (++again_count >= ROUNDS)
        return 0;
    return weft_loop_call_soon(loop, call_again, loop, NULL, NULL);
}

Test(steal, a_flood_does_not_starve_callbacks, .timeout = 10)
{
    setup();
    for (int i = 0; i < FLOOD; i++)
        push_from(loops[0], &items[i]);
    CHECK_EQ(weft_loop_call_soon(loops[0], call_again, loops[0], NULL, NULL), 0);
    CHECK_EQ(spy_turns(loops[0], ROUNDS), 0); /* one in each turn, as without the flood */
    CHECK_EQ(again_count, ROUNDS);
    CHECK(loops[0]->worker.run_count <= ROUNDS * (1 + BUDGET_WORKS));
    dry_up();
    drop();
}

static int fire_again(void *timer)
{
    return ++again_count >= ROUNDS ? 0 : weft_timer_start(timer, 1);
}

Test(steal, a_flood_does_not_starve_timers, .timeout = 10)
{
    setup();
    struct weft_timer timer;
    for (int i = 0; i < FLOOD; i++)
        push_from(loops[0], &items[i]);
    weft_timer_init(&timer, loops[0], fire_again, &timer);
    CHECK_EQ(weft_timer_start(&timer, 1), 0);
    for (int i = 0; i < 4 * ROUNDS && again_count < ROUNDS; i++)
        CHECK_EQ(spy_turns(loops[0], 1), 0);
    CHECK_EQ(again_count, ROUNDS);
    dry_up();
    drop();
}

Test(steal, a_flood_does_not_keep_the_poller_from_its_turn, .timeout = 10)
{
    setup();
    for (int i = 0; i < FLOOD; i++)
        push_from(loops[0], &items[i]);
    CHECK_EQ(loop_enter(loops[0]), 0);
    spy.wait_count = 0;
    for (int i = 0; i < ROUNDS; i++)
        CHECK_EQ(loop_turn(loops[0], true), 0);
    loop_leave(loops[0]);
    CHECK(spy.wait_count >= loops[0]->worker.run_count / (2 * BUDGET_WORKS));
    CHECK_EQ(spy.timeout_ns, 0);
    dry_up();
    drop();
}

static bool is_over;

static int call_for_ever(void *loop)
{
    return is_over ? 0 : weft_loop_call_soon(loop, call_for_ever, loop, NULL, NULL);
}

static void starve_not(bool is_outside)
{
    setup();
    CHECK_EQ(weft_loop_call_soon(loops[0], call_for_ever, loops[0], NULL, NULL), 0);
    CHECK_EQ(spy_turns(loops[0], 3), 0);
    push_from(is_outside ? NULL : loops[0], &late);
    CHECK_EQ(spy_turns(loops[0], 1), 0);
    CHECK_EQ(late.run_count, 1);
    is_over = true;
    CHECK_EQ(spy_turns(loops[0], 1), 0);
    drop();
}

Test(steal, callbacks_for_ever_do_not_starve_the_ring, .timeout = 5)
{
    starve_not(false);
}

Test(steal, callbacks_for_ever_do_not_starve_the_injector, .timeout = 5)
{
    starve_not(true);
}

/* There is no slot for the newest: who is made ready goes behind all others, so no cap on ping-pong needs to be counted. */
static int make_ready(struct weft_work *work)
{
    struct item *item = (struct item *)work;
    struct item *other = item == &items[0] ? &items[1] : &items[0];
    item->run_count++;
    if (item->left-- > 0)
        work_ready_stealable(other->home, &other->work);
    return 0;
}

Test(steal, two_that_make_each_other_ready_do_not_starve_a_third, .timeout = 5, .disabled = TEST_EMULATED)
{
    setup();
    items[0].work.run = items[1].work.run = make_ready;
    push_from(loops[0], &items[0]);
    push_from(loops[0], &late);
    CHECK_EQ(spy_turns(loops[0], 1), 0);
    CHECK_EQ(late.run_count, 1);
    items[0].left = items[1].left = 0;
    CHECK_EQ(spy_turns(loops[0], 1), 0);
    drop();
}

/* ---- early ends ------------------------------------------------------------------------------------------------------------------- */

static int turn_to_sleep(struct weft_loop *loop)
{
    CHECK_EQ(loop_enter(loop), 0);
    int status = loop_turn(loop, true);
    loop_leave(loop);
    return status;
}

Test(steal, a_poller_that_fails_asleep_leaves_nobody_parked, .timeout = 5)
{
    setup();
    spy.wait_status = -EIO;
    CHECK_EQ(turn_to_sleep(loops[0]), -EIO);
    CHECK_EQ(crew->idle, 0);
    CHECK_EQ(loops[0]->counters.parks, 1);
    drop();
}

Test(steal, a_poller_that_fails_in_a_search_leaves_nobody_searching, .timeout = 5)
{
    setup();
    push_from(loops[1], &late);
    CHECK(crew_search_begin(&loops[0]->worker));
    spy.wait_status = -EIO;
    loop_set_spin(loops[0], 1000, false);
    (void)turn_to_sleep(loops[0]);
    CHECK_EQ(crew->idle, 0);
    spy.wait_status = 0;
    while (late.run_count == 0)
        CHECK_EQ(spy_turns(loops[1], 1), 0);
    drop();
}

/* As if the other loop got it while this one spins, and has asked its poller. */
static void give_late(struct weft_loop *unused)
{
    (void)unused;
    spy.on_now = NULL;
    CHECK(ring_push(&loops[1]->worker.ring, &late.work));
}

Test(steal, a_spin_that_steals_grows, .timeout = 5)
{
    setup();
    loop_set_spin(loops[0], SPIN_MAX_NS, false);
    loops[0]->spin_ns = SPIN_MAX_NS / 4;
    spy.on_now = give_late;
    CHECK_EQ(turn_to_sleep(loops[0]), 0);
    CHECK_EQ(late.run_count, 1);
    CHECK_EQ(loops[0]->spin_ns, SPIN_MAX_NS / 2);
    drop();
}

static int fail(void *unused)
{
    (void)unused;
    return WEFT_EEXIT;
}

Test(steal, a_loop_that_a_callback_ends_leaves_its_ring_to_others, .timeout = 5)
{
    setup();
    push_from(loops[0], &late);
    CHECK_EQ(weft_loop_call_soon(loops[0], fail, NULL, NULL, NULL), 0);
    CHECK_EQ(turn_to_sleep(loops[0]), WEFT_EEXIT);
    CHECK_EQ(crew->idle, 0);
    CHECK_EQ(late.run_count, 0);
    CHECK_EQ(spy_turns(loops[1], 1), 0);
    CHECK_EQ(late.run_count, 1);
    drop();
}

Test(steal, a_loop_that_stops_neither_sleeps_nor_searches, .timeout = 5)
{
    setup();
    push_from(loops[1], &late);
    CHECK_EQ(loop_enter(loops[0]), 0);
    CHECK_EQ(weft_loop_stop(loops[0]), 0);
    CHECK_EQ(loop_turn(loops[0], true), 0);
    loop_leave(loops[0]);
    CHECK_EQ(late.run_count, 0);
    CHECK_EQ(loops[0]->counters.parks, 0);
    CHECK_EQ(spy_turns(loops[1], 1), 0);
    drop();
}

Test(steal, what_is_left_as_the_loops_close_comes_home, .timeout = 5)
{
    setup();
    for (int i = 0; i < FLOOD; i++)
        items[i].left = 1; /* sends itself home, and has run then */
    for (int i = 0; i < FLOOD; i++)
        push_from(i % 3 == 2 ? NULL : loops[i % 3], &items[i]);
    drop();
    for (int i = 0; i < FLOOD; i++)
        CHECK_EQ(items[i].run_count, 2);
}

/* ---- counting --------------------------------------------------------------------------------------------------------------------- */

Test(steal, a_loop_that_has_nothing_to_do_neither_searches_nor_summons, .timeout = 5)
{
    setup();
    struct weft_timer timer;
    weft_timer_init(&timer, loops[0], note_pinned, NULL);
    CHECK_EQ(loop_enter(loops[0]), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(weft_timer_start(&timer, 1000), 0);
        for (order[0] = 0; order[0] == 0;)
            CHECK_EQ(loop_turn(loops[0], true), 0);
    }
    loop_leave(loops[0]);
    CHECK_EQ(loops[0]->worker.search_count, 0);
    CHECK_EQ(loops[0]->worker.summon_count + loops[1]->worker.summon_count, 0);
    drop();
}
