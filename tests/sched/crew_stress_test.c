/*
 * The crew under threads and signals: workers that sleep without a timeout while others push, so that a lost wake-up hangs; a handler that
 * pushes at whatever point its thread has come to; and the end of a crew beside pushers.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>

#include "tests/sched/crew.h"
#include "tests/support/wait.h"
#include "weft/atomic.h"

enum { LOOPS = 4, PUSHERS = 2, PUSHES = 10000, SIGNALS = 20000, DEADLINE_MS = 30000 };

static struct item items[PUSHERS][PUSHES];
static pthread_t threads[LOOPS + PUSHERS];
static sem_t woken[LOOPS];
static uint32_t is_over;
static uint64_t run_total;

static void start(int index, void *(*fn)(void *arg), void *arg)
{
    CHECK_EQ(pthread_create(&threads[index], NULL, fn, arg), 0);
}

static void join(int index)
{
    CHECK_EQ(pthread_join(threads[index], NULL), 0);
}

/* ---- parking and notifying -------------------------------------------------------------------------------------------------------- */

static void post_semaphore(struct worker *worker)
{
    sem_post(&woken[worker->crew_index]);
}

static int count_run(struct weft_work *work)
{
    struct item *item = (struct item *)work;
    CHECK_EQ(weft_atomic_add_relaxed(&item->run_count, 1), 0);
    (void)weft_atomic_add_relaxed(&run_total, 1);
    return 0;
}

/* As lib/loop/turn.c goes to sleep and wakes, with a semaphore for the poller. */
static void sleep_once(struct worker *worker)
{
    if (!inbox_park(&worker->inbox))
        return;
    if (!crew_park(worker)) {
        worker_unpark(worker);
        return;
    }
    while (sem_wait(&woken[worker->crew_index]) != 0) {
    }
    (void)crew_unpark(worker);
    worker_unpark(worker);
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;
    worker_set_current(worker);
    while (!weft_atomic_load_relaxed(&is_over)) {
        worker_splice(worker);
        CHECK_EQ(worker_run(worker), 0);
        CHECK_EQ(worker_run_stealable(worker), 0);
        if (!worker_has_stealable(worker) && !worker_search(worker))
            sleep_once(worker);
        if (!worker_has_stealable(worker))
            crew_search_end(worker);
    }
    crew_search_end(worker);
    worker_set_current(NULL);
    return NULL;
}

static bool has_run(void *arg)
{
    struct item *item = arg;
    return weft_atomic_load_relaxed(&item->run_count) == 1;
}

static void *push_one_by_one(void *arg)
{
    struct item *mine = arg;
    for (int i = 0; i < PUSHES; i++) {
        work_ready_stealable(mine[i].home, &mine[i].work);
        CHECK(wait_until(has_run, &mine[i], DEADLINE_MS));
    }
    return NULL;
}

static void *push_bursts(void *arg)
{
    struct item *mine = arg;
    for (int i = 0; i < PUSHES; i++) {
        work_ready_stealable(mine[i].home, &mine[i].work);
        if (i % 97 == 96)
            CHECK(wait_until(has_run, &mine[i], DEADLINE_MS));
    }
    return NULL;
}

static bool all_have_run(void *unused)
{
    (void)unused;
    return weft_atomic_load_relaxed(&run_total) == PUSHERS * PUSHES;
}

static bool all_are_parked(void *unused)
{
    (void)unused;
    return parked_count() == LOOPS && searching_count() == 0;
}

static int do_nothing(struct weft_work *work)
{
    (void)work;
    return 0;
}

static void stop_workers(void)
{
    static struct weft_work nudges[LOOPS];
    weft_atomic_store_relaxed(&is_over, 1);
    for (int i = 0; i < LOOPS; i++) {
        nudges[i].run = do_nothing;
        work_ready(&sleepers[i].worker, &nudges[i]);
    }
    for (int i = 0; i < LOOPS; i++)
        join(i);
    for (int i = 0; i < LOOPS; i++)
        worker_close(&sleepers[i].worker);
}

static void run_pushers(void *(*push)(void *arg))
{
    crew_setup(LOOPS, NULL);
    on_wake = post_semaphore;
    for (int i = 0; i < LOOPS; i++)
        sem_init(&woken[i], 0, 0);
    for (int i = 0; i < PUSHERS; i++)
        for (int j = 0; j < PUSHES; j++)
            items[i][j] = (struct item){.work = {NULL, count_run}, .home = &sleepers[j % LOOPS].worker};
    for (int i = 0; i < LOOPS; i++)
        start(i, run_worker, &sleepers[i].worker);
    for (int i = 0; i < PUSHERS; i++)
        start(LOOPS + i, push, items[i]);
    for (int i = 0; i < PUSHERS; i++)
        join(LOOPS + i);
    CHECK(wait_until(all_have_run, NULL, DEADLINE_MS));
    CHECK(wait_until(all_are_parked, NULL, DEADLINE_MS));
    uint32_t before = wakes();
    CHECK_EQ(weft_atomic_load_relaxed(&crew->injector.visitors), 0);
    CHECK(all_are_parked(NULL) && wakes() == before);
    stop_workers();
    crew_teardown();
}

Test(crew_stress, no_wake_up_is_lost_where_each_push_waits_for_its_run, .timeout = 120)
{
    run_pushers(push_one_by_one);
}

Test(crew_stress, no_wake_up_is_lost_in_bursts, .timeout = 120)
{
    run_pushers(push_bursts);
}

/* ---- signals ---------------------------------------------------------------------------------------------------------------------- */

static struct item from_handler;
static uint32_t is_item_free = 1;

static void push_in_handler(int number)
{
    (void)number;
    if (weft_atomic_exchange_acq_rel(&is_item_free, 0)) /* Pairs with the release in take_back(). */
        CHECK(crew_push(crew, &from_handler.work));
    else
        crew_notify(crew);
}

static void take_back(void)
{
    struct weft_work_list list = {NULL, NULL, 0};
    if (injector_take(&crew->injector, 1, &list) > 0)
        weft_atomic_store_release(&is_item_free, 1); /* Pairs with the exchange in push_in_handler(). */
}

static void *park_and_unpark(void *unused)
{
    (void)unused;
    while (!weft_atomic_load_relaxed(&is_over)) {
        if (sleeper_park(0))
            (void)sleeper_unpark(0);
        take_back();
        crew_search_end(&sleepers[0].worker);
    }
    return NULL;
}

Test(crew_stress, a_handler_may_push_whatever_its_thread_was_doing, .timeout = 60)
{
    struct sigaction action = {.sa_handler = push_in_handler, .sa_flags = SA_RESTART};
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    crew_setup(2, NULL);
    start(0, park_and_unpark, NULL);
    for (int i = 0; i < SIGNALS; i++) {
        CHECK_EQ(pthread_kill(threads[0], SIGUSR1), 0);
        for (int j = 0; j < i % 50; j++)
            weft_atomic_pause();
    }
    weft_atomic_store_relaxed(&is_over, 1);
    join(0);
    take_back();
    crew_teardown();
}

/* ---- the end ---------------------------------------------------------------------------------------------------------------------- */

static uint32_t is_waking, is_dissolve_over;

static bool is_set(void *word)
{
    return weft_atomic_load_relaxed((uint32_t *)word) != 0;
}

/* A thread outside is about to wake a worker, while that worker has woken by itself, and the crew comes to its end. */
static void wake_slowly(struct worker *worker)
{
    (void)worker;
    weft_atomic_store_relaxed(&is_waking, 1);
    CHECK(wait_until(is_set, &crew->is_dissolved, DEADLINE_MS));
    for (int i = 0; i < 1000; i++) {
        sched_yield();
        CHECK_EQ(weft_atomic_load_relaxed(&is_dissolve_over), 0);
    }
}

static void *push_the_last(void *item)
{
    push_outside(item);
    return NULL;
}

static int let_go(struct weft_work *work)
{
    (void)work;
    return 0;
}

Test(crew_stress, a_crew_does_not_end_while_a_thread_wakes_one_of_it, .timeout = 60)
{
    crew_setup(2, NULL);
    on_wake = wake_slowly;
    CHECK(sleeper_park(1));
    items[0][0] = (struct item){.work = {NULL, let_go}, .home = &sleepers[0].worker};
    start(0, push_the_last, &items[0][0]);
    CHECK(wait_until(is_set, &is_waking, DEADLINE_MS));
    CHECK(sleeper_unpark(1));
    crew_search_end(&sleepers[1].worker);
    crew_dissolve(crew);
    weft_atomic_store_relaxed(&is_dissolve_over, 1);
    join(0);
    crew_teardown();
}

static void *push_until_refused(void *arg)
{
    struct item *mine = arg;
    for (int i = 0; i < PUSHES; i++)
        work_ready_stealable(mine[i].home, &mine[i].work); /* refused: it comes home as pinned */
    return NULL;
}

Test(crew_stress, what_is_pushed_as_a_crew_ends_is_run_or_comes_home, .timeout = 60)
{
    crew_setup(2, NULL);
    for (int i = 0; i < PUSHERS; i++)
        for (int j = 0; j < PUSHES; j++)
            items[i][j] = (struct item){.work = {NULL, count_run}, .home = &sleepers[0].worker};
    for (int i = 0; i < PUSHERS; i++)
        start(i, push_until_refused, items[i]);
    while (weft_atomic_load_relaxed(&run_total) < PUSHES / 4)
        CHECK_EQ(run_stealable(1), 0);
    crew_dissolve(crew);
    for (int i = 0; i < PUSHERS; i++)
        join(i);
    worker_splice(&sleepers[0].worker);
    CHECK_EQ(worker_run(&sleepers[0].worker), 0);
    CHECK_EQ(run_total, PUSHERS * PUSHES);
    crew_teardown();
}
