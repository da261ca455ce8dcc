/*
 * A worker that wakes by itself just as it is summoned: between the look that finds it parked and the step that takes it.
 */
#include "tests/sched/crew.h"

#include "tests/support/intruder.h"

#if INTRUDER_WORKS

static struct item item;

static void setup_2(void)
{
    crew_setup(2, NULL);
    item_init(&item, 0);
}

static void run_the_item(void)
{
    CHECK(crew_search_begin(&sleepers[0].worker));
    CHECK(crew_steal(&sleepers[0].worker));
    crew_search_end(&sleepers[0].worker);
    CHECK_EQ(run_stealable(0), 0);
    CHECK_EQ(item.run_count, 1);
}

static void wake_the_first(void)
{
    CHECK(!sleeper_unpark(0));
}

Test(between, who_wakes_by_itself_in_time_is_not_summoned, .init = setup_2, .fini = crew_teardown, .timeout = 5)
{
    CHECK(sleeper_park(0));
    intruder_watch(&sleepers[0].worker.idle_state, 1, wake_the_first);
    push_outside(&item);
    CHECK_EQ(intruder_leave(), 1);
    CHECK_EQ(wakes(), 0);
    CHECK_EQ(parked_count(), 0);
    CHECK_EQ(searching_count(), 0);
    run_the_item();
}

Test(between, another_is_summoned_for_one_that_woke_by_itself, .init = setup_2, .fini = crew_teardown, .timeout = 5)
{
    CHECK(sleeper_park(0));
    CHECK(sleeper_park(1));
    intruder_watch(&sleepers[0].worker.idle_state, 1, wake_the_first);
    push_outside(&item);
    CHECK_EQ(intruder_leave(), 1);
    CHECK_EQ(sleepers[0].wake_count, 0);
    CHECK_EQ(sleepers[1].wake_count, 1);
    CHECK(sleeper_unpark(1));
    crew_search_end(&sleepers[1].worker);
    run_the_item();
}

#endif
