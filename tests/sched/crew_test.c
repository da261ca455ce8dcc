/*
 * Searching, parking and summoning, step by step in one thread: who is woken, by whom, and who is not.
 */
#include "tests/sched/crew.h"

#include "weft/job_stack.h"

enum { ITEMS = 600 };

static struct item items[ITEMS];

static void setup(uint32_t count)
{
    crew_setup(count, NULL);
    for (int i = 0; i < ITEMS; i++)
        item_init(&items[i], 0);
}

static void setup_2(void)
{
    setup(2);
}

static void setup_4(void)
{
    setup(4);
}

static void park(uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++)
        CHECK(sleeper_park(i));
}

/* All wake by themselves. */
static void unpark(uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++)
        CHECK(!sleeper_unpark(i));
}

static uint32_t summoned(void)
{
    for (uint32_t i = 0; i < crew->count; i++)
        if (sleepers[i].worker.summon_count > 0)
            return i;
    CHECK(!"summoned");
    return 0;
}

/* ---- summoning ------------------------------------------------------------------------------------------------------------------- */

Test(crew, a_push_wakes_exactly_one_that_is_parked, .init = setup_4, .fini = crew_teardown)
{
    park(0, 3);
    CHECK_EQ(parked_count(), 4);
    push_outside(&items[0]);
    CHECK_EQ(wakes(), 1);
    CHECK_EQ(parked_count(), 3);
    CHECK_EQ(searching_count(), 1);
    push_outside(&items[1]); /* there is one who searches */
    CHECK_EQ(wakes(), 1);
    CHECK(sleeper_unpark(0));
    CHECK(worker_search(&sleepers[0].worker));
    CHECK_EQ(run_stealable(0), 0);
    CHECK_EQ(items[0].run_count + items[1].run_count, 2);
    CHECK(sleeper_unpark(1)); /* as the search ended there was more than one */
    crew_search_end(&sleepers[1].worker);
    unpark(2, 3);
}

Test(crew, a_push_of_a_worker_wakes_one_that_steals_it, .init = setup_2, .fini = crew_teardown)
{
    park(1, 1);
    push_from(0, &items[0]);
    push_from(0, &items[1]);
    CHECK_EQ(wakes(), 1);
    CHECK(sleeper_unpark(1));
    CHECK(worker_search(&sleepers[1].worker));
    CHECK_EQ(run_stealable(1), 0);
    CHECK_EQ(items[0].run_count, 1);
    CHECK_EQ(sleepers[1].worker.steal_count, 1);
    CHECK_EQ(sleepers[1].worker.summon_count, 1);
    CHECK_EQ(run_stealable(0), 0);
    CHECK_EQ(items[1].run_count, 1);
}

Test(crew, a_push_wakes_nobody_for_what_its_loop_runs_next, .init = setup_2, .fini = crew_teardown)
{
    park(1, 1);
    push_from(0, &items[0]);
    CHECK_EQ(wakes(), 0);
    CHECK_EQ(run_stealable(0), 0);
    CHECK_EQ(items[0].run_count, 1);
    unpark(1, 1);
}

Test(crew, a_push_wakes_one_if_its_loop_has_other_things_to_do, .init = setup_2, .fini = crew_teardown)
{
    park(1, 1);
    worker_push(&sleepers[0].worker, &items[1].work);
    push_from(0, &items[0]);
    CHECK_EQ(wakes(), 1);
    CHECK(sleeper_unpark(1));
    CHECK(worker_search(&sleepers[1].worker));
    CHECK_EQ(run_stealable(1), 0);
    CHECK_EQ(items[0].run_count, 1);
    CHECK_EQ(worker_run(&sleepers[0].worker), 0);
}

Test(crew, a_push_wakes_nobody_where_all_are_awake, .init = setup_4, .fini = crew_teardown)
{
    push_outside(&items[0]);
    CHECK_EQ(wakes(), 0);
    CHECK_EQ(run_stealable(3), 0);
    CHECK_EQ(items[0].run_count, 1);
}

Test(crew, nobody_is_woken_while_one_searches, .init = setup_4, .fini = crew_teardown)
{
    CHECK(crew_search_begin(&sleepers[0].worker));
    park(1, 3);
    push_outside(&items[0]);
    CHECK_EQ(wakes(), 0);
    CHECK(worker_search(&sleepers[0].worker));
    CHECK_EQ(run_stealable(0), 0);
    unpark(1, 3);
}

Test(crew, a_searcher_that_leaves_without_the_work_wakes_another, .init = setup_4, .fini = crew_teardown)
{
    CHECK(crew_search_begin(&sleepers[0].worker));
    park(1, 3);
    push_outside(&items[0]);
    crew_search_end(&sleepers[0].worker);
    CHECK_EQ(wakes(), 1);
    uint32_t index = summoned();
    CHECK(sleeper_unpark(index));
    CHECK(worker_search(&sleepers[index].worker));
    CHECK_EQ(run_stealable(index), 0);
    for (uint32_t i = 1; i < 4; i++)
        CHECK(i == index || !sleeper_unpark(i));
}

Test(crew, a_searcher_that_is_not_the_last_wakes_nobody, .init = setup_4, .fini = crew_teardown)
{
    CHECK(crew_search_begin(&sleepers[0].worker));
    CHECK(crew_search_begin(&sleepers[1].worker));
    park(2, 3);
    push_outside(&items[0]);
    crew_search_end(&sleepers[0].worker);
    CHECK_EQ(wakes(), 0);
    CHECK(worker_search(&sleepers[1].worker));
    CHECK_EQ(wakes(), 0);
    CHECK_EQ(run_stealable(1), 0);
    unpark(2, 3);
}

Test(crew, who_finds_the_only_work_wakes_nobody, .init = setup_4, .fini = crew_teardown)
{
    park(0, 3);
    for (int i = 0; i < 100; i++) { /* as a server does that hands out one task after the other */
        push_outside(&items[i]);
        CHECK(sleeper_unpark(0));
        CHECK(worker_search(&sleepers[0].worker));
        CHECK_EQ(run_stealable(0), 0);
        CHECK(sleeper_park(0));
    }
    CHECK_EQ(wakes(), 100);
    unpark(0, 3);
}

Test(crew, who_steals_the_only_work_wakes_nobody, .init = setup_4, .fini = crew_teardown)
{
    park(1, 3);
    push_from(0, &items[0]);
    worker_call_on_ring(&sleepers[0].worker);
    CHECK(sleeper_unpark(1));
    CHECK(worker_search(&sleepers[1].worker));
    CHECK_EQ(wakes(), 1);
    CHECK_EQ(run_stealable(1), 0);
    unpark(2, 3);
}

Test(crew, who_finds_more_than_one_wakes_another, .init = setup_4, .fini = crew_teardown)
{
    CHECK(crew_search_begin(&sleepers[1].worker));
    park(2, 3);
    for (int i = 0; i < 4; i++)
        push_from(0, &items[i]);
    CHECK(worker_search(&sleepers[1].worker));
    CHECK_EQ(sleepers[1].worker.steal_count, 2);
    CHECK_EQ(wakes(), 1);
    CHECK(sleeper_unpark(2));
    CHECK(worker_search(&sleepers[2].worker));
    CHECK(sleeper_unpark(3));
    crew_search_end(&sleepers[3].worker);
    for (uint32_t i = 0; i < 4; i++)
        CHECK_EQ(run_stealable(i), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(items[i].run_count, 1);
}

Test(crew, a_summons_that_comes_too_late_is_a_search_all_the_same, .init = setup_2, .fini = crew_teardown)
{
    park(1, 1);
    push_outside(&items[0]);
    CHECK_EQ(run_stealable(0), 0);
    CHECK(sleeper_unpark(1));
    CHECK(!worker_search(&sleepers[1].worker));
    CHECK_EQ(searching_count(), 1);
    crew_search_end(&sleepers[1].worker);
}

Test(crew, a_summons_owes_no_second_wake_to_one_that_is_woken_already, .init = setup_2, .fini = crew_teardown)
{
    park(1, 1);
    CHECK(inbox_poke(&sleepers[1].worker.inbox)); /* whose caller has not come to waking it yet */
    push_outside(&items[0]);
    CHECK_EQ(wakes(), 0);
    worker_wake(&sleepers[1].worker);
    CHECK(sleeper_unpark(1));
    CHECK(worker_search(&sleepers[1].worker));
    crew_search_end(&sleepers[1].worker);
    CHECK_EQ(run_stealable(1), 0);
    CHECK_EQ(items[0].run_count, 1);
}

/* ---- searching -------------------------------------------------------------------------------------------------------------------- */

Test(crew, at_most_half_of_the_workers_search)
{
    static const uint32_t most[] = {0, 0, 1, 1, 2, 2, 3, 3, 4};
    for (uint32_t count = 1; count <= WORKERS_MAX; count++) {
        setup(count);
        uint32_t begun = 0;
        for (uint32_t i = 0; i < count; i++)
            begun += crew_search_begin(&sleepers[i].worker);
        CHECK_EQ(begun, most[count]);
        CHECK_EQ(searching_count(), begun);
        for (uint32_t i = 0; i < count; i++)
            crew_search_end(&sleepers[i].worker);
        crew_teardown();
    }
}

Test(crew, a_search_is_counted_once_however_often_it_is_begun, .init = setup_4, .fini = crew_teardown)
{
    CHECK(crew_search_begin(&sleepers[0].worker));
    CHECK(crew_search_begin(&sleepers[0].worker));
    CHECK_EQ(searching_count(), 1);
    CHECK_EQ(sleepers[0].worker.search_count, 1);
    crew_search_end(&sleepers[0].worker);
    crew_search_end(&sleepers[0].worker);
    CHECK_EQ(searching_count(), 0);
}

Test(crew, a_search_is_not_announced_where_nothing_can_be_found, .init = setup_4, .fini = crew_teardown)
{
    CHECK(!worker_search(&sleepers[0].worker));
    CHECK_EQ(sleepers[0].worker.search_count, 0);
    CHECK_EQ(searching_count(), 0);
}

Test(crew, a_thief_looks_first_where_it_was_told_and_only_once, .init = setup_4, .fini = crew_teardown)
{
    for (int i = 0; i < 100; i++) {
        push_from(1, &items[2 * i]);
        push_from(2, &items[2 * i + 1]);
        sleepers[0].worker.steal_first = 2;
        CHECK(worker_search(&sleepers[0].worker));
        CHECK_EQ(ring_count(&sleepers[2].worker.ring), 0);
        CHECK_EQ(ring_count(&sleepers[1].worker.ring), 1);
        CHECK_EQ(sleepers[0].worker.steal_first, UINT32_MAX);
        for (uint32_t j = 0; j < 2; j++)
            CHECK_EQ(run_stealable(j), 0);
    }
}

/* ---- parking ---------------------------------------------------------------------------------------------------------------------- */

Test(crew, a_worker_does_not_park_while_the_injector_has_work, .init = setup_2, .fini = crew_teardown)
{
    push_outside(&items[0]);
    CHECK(!sleeper_park(1));
    CHECK_EQ(parked_count(), 0);
    CHECK_EQ(wakes(), 0);
    CHECK_EQ(run_stealable(1), 0);
    CHECK(sleeper_park(1));
    CHECK(!sleeper_unpark(1));
}

Test(crew, a_worker_does_not_park_while_another_has_work, .init = setup_2, .fini = crew_teardown)
{
    push_from(0, &items[0]);
    CHECK(!sleeper_park(1));
    CHECK_EQ(parked_count(), 0);
    CHECK_EQ(run_stealable(0), 0);
}

Test(crew, a_worker_that_parks_ends_its_search, .init = setup_2, .fini = crew_teardown)
{
    CHECK(crew_search_begin(&sleepers[1].worker));
    park(1, 1);
    CHECK_EQ(searching_count(), 0);
    CHECK_EQ(parked_count(), 1);
    unpark(1, 1);
}

Test(crew, a_worker_leaves_work_to_another_that_searches, .init = setup_4, .fini = crew_teardown)
{
    CHECK(crew_search_begin(&sleepers[0].worker));
    push_outside(&items[0]);
    park(1, 1);
    CHECK(worker_search(&sleepers[0].worker));
    CHECK_EQ(run_stealable(0), 0);
    unpark(1, 1);
}

Test(crew, a_worker_alone_in_its_crew_parks_and_is_woken_for_what_is_injected, .fini = crew_teardown)
{
    setup(1);
    park(0, 0);
    push_outside(&items[0]);
    CHECK_EQ(wakes(), 1);
    CHECK(sleeper_unpark(0));
    CHECK(worker_search(&sleepers[0].worker));
    CHECK_EQ(run_stealable(0), 0);
    CHECK_EQ(items[0].run_count, 1);
}

/* ---- the door --------------------------------------------------------------------------------------------------------------------- */

Test(crew, what_a_full_ring_spills_is_run_once, .init = setup_2, .fini = crew_teardown)
{
    for (int i = 0; i < ITEMS; i++)
        push_from(0, &items[i]);
    CHECK(!injector_is_empty(&crew->injector));
    CHECK(worker_search(&sleepers[1].worker));
    for (int i = 0; i < ITEMS; i++)
        CHECK_EQ(run_stealable(i % 2), 0);
    for (int i = 0; i < ITEMS; i++)
        CHECK_EQ(items[i].run_count, 1);
}

Test(crew, what_comes_from_another_crew_is_injected, .init = setup_2)
{
    struct crew *ours = crew;
    static struct sleeper stranger;
    struct crew *others = crew_create(1, NULL);
    stranger = sleepers[0];
    crew_join(others, &stranger.worker, 1);
    worker_set_current(&stranger.worker);
    work_ready_stealable(&sleepers[0].worker, &items[0].work);
    worker_set_current(NULL);
    CHECK(!injector_is_empty(&ours->injector));
    CHECK(!worker_has_stealable(&stranger.worker));
    CHECK_EQ(run_stealable(1), 0);
    worker_fini(&stranger.worker);
    crew_unref(others);
    crew_teardown();
}

Test(crew, what_is_stealable_is_pinned_where_there_is_no_crew)
{
    static struct sleeper loner;
    setup_2();
    loner = sleepers[0];
    loner.worker.crew = NULL;
    CHECK(worker_is_alone(&loner.worker));
    CHECK(!crew_refill(&loner.worker)); /* nor has it an injector */
    CHECK(!worker_is_alone(&sleepers[0].worker));
    items[0].home = &loner.worker;
    push_outside(&items[0]);
    CHECK(!inbox_is_empty(&loner.worker.inbox));
    worker_splice(&loner.worker);
    CHECK_EQ(worker_run(&loner.worker), 0);
    CHECK_EQ(items[0].run_count, 1);
    crew_teardown();
}

/* ---- the end ---------------------------------------------------------------------------------------------------------------------- */

static int go_home(struct weft_work *work)
{
    struct item *item = (struct item *)work;
    CHECK(worker_current() == NULL);
    CHECK(worker_is_alone(item->home));
    item->run_count++;
    work_ready_stealable(item->home, work);
    work->run = (weft_work_fn *)NULL;
    return 0;
}

Test(crew, a_dissolved_one_sends_each_work_home_once, .init = setup_2)
{
    for (int i = 0; i < 300; i++) {
        items[i].work.run = go_home;
        push_from(0, &items[i]); /* into its ring, and spilled */
    }
    for (int i = 300; i < 310; i++) {
        items[i].work.run = go_home;
        push_outside(&items[i]);
    }
    CHECK(crew_refill(&sleepers[1].worker)); /* one is taken, past the ring */
    worker_set_current(&sleepers[0].worker);
    crew_dissolve(crew);
    CHECK(worker_current() == &sleepers[0].worker);
    worker_set_current(NULL);
    for (int i = 0; i < 310; i++)
        CHECK_EQ(items[i].run_count, 1);
    CHECK_EQ(inbox_take(&sleepers[0].worker.inbox).count, 310);
    CHECK(worker_is_alone(&sleepers[1].worker));
    CHECK(!crew_push(crew, &items[310].work));
    push_outside(&items[310]);
    CHECK_EQ(inbox_take(&sleepers[0].worker.inbox).count, 1);
    crew_teardown();
}

/* ---- jobs ------------------------------------------------------------------------------------------------------------------------- */

static struct weft_job_stack stack;
static struct item job;
static int ask_count;
static struct item *pushed_by_ask;

static struct weft_work *take_job(struct worker *thief, struct weft_job_stack *from)
{
    CHECK(from == &stack);
    CHECK(thief == &sleepers[1].worker);
    stack.shares = 0;
    return &job.work;
}

static void ask(struct weft_job_stack *of)
{
    CHECK(of == &stack);
    ask_count++;
    if (pushed_by_ask != NULL) {
        struct item *item = pushed_by_ask;
        pushed_by_ask = NULL;
        push_outside(item);
    }
}

static const struct crew_ops job_ops = {.take_job = take_job, .ask = ask};

static void setup_jobs(void)
{
    crew_setup(2, &job_ops);
    for (int i = 0; i < ITEMS; i++)
        item_init(&items[i], 0);
    item_init(&job, 0);
    sleepers[0].worker.jobs = &stack;
    sleepers[1].worker.is_virtual = false;
}

Test(crew, a_public_job_is_taken_and_run_before_the_ring, .init = setup_jobs, .fini = crew_teardown)
{
    stack.shares = UINT64_C(1) << 32;
    CHECK(worker_search(&sleepers[1].worker));
    CHECK(sleepers[1].worker.taken == &job.work);
    CHECK_EQ(run_stealable(1), 0);
    CHECK_EQ(job.run_count, 1);
}

Test(crew, a_worker_does_not_park_while_there_is_a_public_job, .init = setup_jobs, .fini = crew_teardown)
{
    stack.shares = UINT64_C(1) << 32;
    CHECK(!sleeper_park(1));
    CHECK_EQ(ask_count, 0);
    stack.shares = 0;
}

Test(crew, a_fiber_that_computes_is_asked_once_in_a_while_and_by_who_parks, .init = setup_jobs, .fini = crew_teardown)
{
    CHECK(crew_search_begin(&sleepers[1].worker));
    CHECK(!crew_steal(&sleepers[1].worker));
    CHECK_EQ(ask_count, 1);
    CHECK(sleeper_park(1));
    CHECK_EQ(ask_count, 2);
    CHECK(!sleeper_unpark(1));
}

/* Where time is virtual it does not pass between two looks. */
Test(crew, a_fiber_that_computes_is_asked_each_time_where_time_is_virtual, .init = setup_jobs, .fini = crew_teardown)
{
    sleepers[1].worker.is_virtual = true;
    CHECK(crew_search_begin(&sleepers[1].worker));
    CHECK(!crew_steal(&sleepers[1].worker));
    CHECK(!crew_steal(&sleepers[1].worker));
    CHECK_EQ(ask_count, 2);
    crew_search_end(&sleepers[1].worker);
}

Test(crew, what_comes_while_a_worker_parks_summons_it, .init = setup_jobs, .fini = crew_teardown)
{
    pushed_by_ask = &items[0]; /* when it is counted as parked already, and has looked into the injector */
    CHECK(sleeper_park(1));
    CHECK_EQ(wakes(), 1);
    CHECK_EQ(parked_count(), 0);
    CHECK(sleeper_unpark(1));
    CHECK(worker_search(&sleepers[1].worker));
    CHECK_EQ(run_stealable(1), 0);
    CHECK_EQ(items[0].run_count, 1);
}
