/*
 * How much stealable work one call runs, and that what is in the injector has its turn.
 */
#include "tests/sched/crew.h"

#include "lib/base/clock.h"
#include "weft/status.h"

enum { FOR_EVER = 1 << 30, BUDGET_WORKS = 61, FLOOD = RING_CAPACITY };

static struct item items[FLOOD], late;

static void setup(void)
{
    crew_setup(2, NULL);
    item_init(&late, 0);
    for (int i = 0; i < FLOOD; i++)
        item_init(&items[i], FOR_EVER);
}

static void flood(int count)
{
    for (int i = 0; i < count; i++)
        push_from(0, &items[i]);
}

/* Let a flood run out. */
static void dry_up(void)
{
    for (int i = 0; i < FLOOD; i++)
        items[i].left = 0;
    while (worker_has_stealable(&sleepers[0].worker) || !injector_is_empty(&crew->injector))
        CHECK_EQ(run_stealable(0), 0);
}

Test(budget, ends_a_run_of_works_that_make_themselves_ready, .init = setup, .fini = crew_teardown)
{
    flood(1);
    CHECK_EQ(run_stealable(0), 0);
    CHECK_EQ(items[0].run_count, BUDGET_WORKS);
    CHECK_EQ(run_stealable(0), 0);
    CHECK_EQ(items[0].run_count, 2 * BUDGET_WORKS);
    dry_up();
}

Test(budget, runs_in_turn_what_makes_itself_ready, .init = setup, .fini = crew_teardown)
{
    flood(3); /* there is no slot for the newest: two that make each other ready do not keep the third from its turn */
    for (int i = 0; i < 3; i++)
        CHECK_EQ(run_stealable(0), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(items[i].run_count, BUDGET_WORKS);
    dry_up();
}

static int fail(struct weft_work *work)
{
    (void)work;
    return WEFT_EEXIT;
}

Test(budget, a_fatal_status_ends_it_and_keeps_the_rest, .init = setup, .fini = crew_teardown)
{
    items[0].work.run = fail;
    items[1].left = 0;
    flood(2);
    CHECK_EQ(run_stealable(0), WEFT_EEXIT);
    CHECK_EQ(items[1].run_count, 0);
    CHECK_EQ(run_stealable(0), 0);
    CHECK_EQ(items[1].run_count, 1);
}

Test(budget, a_full_ring_that_never_empties_does_not_starve_the_injector, .init = setup, .fini = crew_teardown)
{
    flood(FLOOD);
    push_outside(&late);
    for (int i = 0; i < 16 && late.run_count == 0; i++)
        CHECK_EQ(run_stealable(0), 0);
    CHECK_EQ(late.run_count, 1);
    dry_up();
}

static int be_slow(struct weft_work *work)
{
    struct item *item = (struct item *)work;
    uint64_t start = clock_ticks();
    while (clock_ticks() - start < clock_ticks_in(200000)) {
    }
    item->run_count++;
    if (item->left-- > 0)
        work_ready_stealable(item->home, work);
    return 0;
}

Test(budget, slow_works_do_not_starve_the_injector, .init = setup, .fini = crew_teardown)
{
    sleepers[0].worker.is_virtual = false;
    items[0].work.run = be_slow;
    flood(1);
    push_outside(&late);
    for (int i = 0; i < 64 && late.run_count == 0; i++) {
        CHECK_EQ(run_stealable(0), 0);
        CHECK(items[0].run_count <= i + 1); /* one uses up the time */
    }
    CHECK_EQ(late.run_count, 1);
    dry_up();
}
