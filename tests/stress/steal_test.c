/*
 * Stealable works on the four loops of a runtime: none is lost or run twice, no wake-up is lost (nothing here has a timeout that would hide
 * it), neither kind of work starves the other, and a runtime without work is still. Works are counted, never times.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/sched/crew.h"
#include "tests/runtime/fixture.h"
#include "tests/support/wait.h"
#include "weft/operation.h"
#include "weft/timer.h"

enum {
    LOOPS = 4,
    ONE_BY_ONE = 10000,
    BURSTS = 200,
    BURST = 300, /* more than a ring holds */
    FLOOD = 12,
    ROUNDS = 300, /* of each kind of pinned work, on each loop */
    PUSHERS = 2,
    PUSHES = 20000,
    IDLE_MS = 200,
    LONG_MS = 60000,
};

struct item {
    struct weft_work work; /* first */
    struct worker *home;
    uint32_t run_count; /* atomic */
};

static struct weft_runtime *runtime;
static struct item items[BURST > FLOOD ? BURST : FLOOD];
static uint64_t run_total;
static uint32_t is_over;

static struct worker *worker_at(int index)
{
    return &weft_runtime_loop(runtime, (uint32_t)index)->worker;
}

static int count_run(struct weft_work *work)
{
    struct item *item = (struct item *)work;
    (void)weft_atomic_add_relaxed(&item->run_count, 1);
    (void)weft_atomic_add_acq_rel(&run_total, 1); /* Pairs with the acquire in have_run(): the item is free again */
    return 0;
}

static bool have_run(void *count)
{
    return weft_atomic_load_acquire(&run_total) >= *(uint64_t *)count; /* Pairs with the release in count_run(). */
}

static void wait_for_runs(uint64_t count)
{
    CHECK(wait_until(have_run, &count, LONG_MS));
}

static bool is_still(void *unused)
{
    (void)unused;
    return weft_atomic_load_relaxed(&runtime->crew->idle) == (uint64_t)LOOPS << 32; /* all parked, nobody searches */
}

static struct weft_loop_counters counters(void)
{
    struct weft_loop_counters sum;
    CHECK_EQ(weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &sum), 0);
    return sum;
}

static void start(void)
{
    runtime = fixture_loops(LOOPS);
    CHECK_EQ(weft_runtime_start(runtime), 0);
}

static void end(void)
{
    CHECK(wait_until(is_still, NULL, LONG_MS));
    CHECK_EQ(weft_runtime_stop(runtime), 0);
    CHECK_EQ(runtime->crew->idle, 0);
    fixture_end(runtime);
}

/* ---- nothing is lost -------------------------------------------------------------------------------------------------------------- */

Test(steal_stress, no_wake_up_is_lost_where_each_push_waits_for_its_run, .timeout = 120)
{
    start();
    for (int i = 0; i < ONE_BY_ONE; i++) {
        items[0] = (struct item){.work = {NULL, count_run}, .home = worker_at(i % LOOPS)};
        work_ready_stealable(items[0].home, &items[0].work);
        wait_for_runs((uint64_t)i + 1);
        if (i % 16 == 0)
            CHECK(wait_until(is_still, NULL, LONG_MS)); /* so that often all are asleep */
    }
    CHECK_EQ(run_total, ONE_BY_ONE);
    end();
}

/* Make some ready in a loop's thread: into its ring, and over its brim. */
static int push_burst(void *first)
{
    struct item *item = first;
    for (int i = 0; i < BURST; i++)
        work_ready_stealable(item[i].home, &item[i].work);
    return 0;
}

Test(steal_stress, bursts_from_inside_and_outside_run_once_each, .timeout = 120)
{
    start();
    for (int i = 0; i < BURSTS; i++) {
        for (int j = 0; j < BURST; j++)
            items[j] = (struct item){.work = {NULL, count_run}, .home = worker_at(j % LOOPS)};
        if (i % 2 == 0)
            (void)push_burst(items);
        else
            CHECK_EQ(weft_loop_call_soon_threadsafe(weft_runtime_loop(runtime, (uint32_t)i % LOOPS), push_burst, items, NULL, NULL), 0);
        wait_for_runs((uint64_t)(i + 1) * BURST);
        for (int j = 0; j < BURST; j++)
            CHECK_EQ(weft_atomic_load_relaxed(&items[j].run_count), 1);
    }
    CHECK_EQ(run_total, BURSTS * BURST);
    end();
}

/* ---- nobody starves --------------------------------------------------------------------------------------------------------------- */

/* One loop's own work, of three kinds. */
struct pinned {
    struct weft_loop *loop;
    uint32_t callbacks, timers, bytes; /* atomic */
    struct weft_timer timer;
    int ends[2];
    struct weft_file file;
    struct weft_operation receiving, closing;
    char byte;
};

static struct pinned pinned[LOOPS];

static bool is_enough(uint32_t *count)
{
    return weft_atomic_add_relaxed(count, 1) + 1 >= ROUNDS;
}

static int call_again(void *arg)
{
    struct pinned *mine = arg;
    return is_enough(&mine->callbacks) ? 0 : weft_loop_call_soon(mine->loop, call_again, mine, NULL, NULL);
}

static int fire_again(void *arg)
{
    struct pinned *mine = arg;
    return is_enough(&mine->timers) ? 0 : weft_timer_start(&mine->timer, 1);
}

static int nothing_more(struct weft_operation *operation, int result, unsigned flags)
{
    (void)operation, (void)flags;
    CHECK_EQ(result, 0);
    return 0;
}

static int receive(struct pinned *mine);

static int received(struct weft_operation *operation, int result, unsigned flags)
{
    struct pinned *mine = weft_container_of(operation, struct pinned, receiving);
    (void)flags;
    CHECK_EQ(result, 1);
    if (!is_enough(&mine->bytes))
        return receive(mine);
    weft_operation_close(&mine->closing, &mine->file, nothing_more);
    int status = loop_submit(mine->loop, &mine->closing);
    CHECK(status == 0 || status == -EINPROGRESS);
    return 0;
}

static int receive(struct pinned *mine)
{
    weft_operation_recv(&mine->receiving, &mine->file, &mine->byte, 1, received);
    CHECK_EQ(loop_submit(mine->loop, &mine->receiving), -EINPROGRESS);
    CHECK_EQ(write(mine->ends[1], "x", 1), 1);
    return 0;
}

static int begin(void *arg)
{
    struct pinned *mine = arg;
    weft_timer_init(&mine->timer, mine->loop, fire_again, mine);
    weft_file_init(&mine->file, mine->ends[0], WEFT_FILE_STREAM);
    CHECK_EQ(weft_timer_start(&mine->timer, 1), 0);
    CHECK_EQ(weft_loop_call_soon(mine->loop, call_again, mine, NULL, NULL), 0);
    return receive(mine);
}

static int flow(struct weft_work *work)
{
    struct item *item = (struct item *)work;
    if (weft_atomic_load_relaxed(&is_over))
        return count_run(work);
    work_ready_stealable(item->home, work);
    return 0;
}

static bool are_all_served(void *unused)
{
    (void)unused;
    for (int i = 0; i < LOOPS; i++) {
        const struct pinned *each = &pinned[i];
        if (weft_atomic_load_relaxed(&each->callbacks) < ROUNDS || weft_atomic_load_relaxed(&each->timers) < ROUNDS ||
            weft_atomic_load_relaxed(&each->bytes) < ROUNDS)
            return false;
    }
    return true;
}

Test(steal_stress, a_flood_on_every_loop_starves_no_callback_timer_or_io, .timeout = 120)
{
    start();
    for (int i = 0; i < FLOOD; i++) {
        items[i] = (struct item){.work = {NULL, flow}, .home = worker_at(i % LOOPS)};
        work_ready_stealable(items[i].home, &items[i].work);
    }
    for (int i = 0; i < LOOPS; i++) {
        pinned[i].loop = weft_runtime_loop(runtime, (uint32_t)i);
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pinned[i].ends), 0);
        CHECK_EQ(weft_loop_call_soon_threadsafe(pinned[i].loop, begin, &pinned[i], NULL, NULL), 0);
    }
    CHECK(wait_until(are_all_served, NULL, LONG_MS));
    weft_atomic_store_relaxed(&is_over, 1);
    wait_for_runs(FLOOD);
    end();
    for (int i = 0; i < LOOPS; i++)
        CHECK_EQ(close(pinned[i].ends[1]), 0);
}

static int call_for_ever(void *loop)
{
    return weft_atomic_load_relaxed(&is_over) ? 0 : weft_loop_call_soon(loop, call_for_ever, loop, NULL, NULL);
}

Test(steal_stress, callbacks_for_ever_on_every_loop_starve_no_stealable_work, .timeout = 120)
{
    start();
    for (uint32_t i = 0; i < LOOPS; i++) {
        struct weft_loop *loop = weft_runtime_loop(runtime, i);
        CHECK_EQ(weft_loop_call_soon_threadsafe(loop, call_for_ever, loop, NULL, NULL), 0);
    }
    for (int i = 0; i < BURST; i++)
        items[i] = (struct item){.work = {NULL, count_run}, .home = worker_at(i % LOOPS)};
    (void)push_burst(items);
    wait_for_runs(BURST);
    CHECK_EQ(weft_loop_call_soon_threadsafe(weft_runtime_loop(runtime, 1), push_burst, items, NULL, NULL), 0);
    wait_for_runs(2 * BURST);
    weft_atomic_store_relaxed(&is_over, 1);
    end();
}

/* ---- without work ----------------------------------------------------------------------------------------------------------------- */

Test(steal_stress, a_runtime_without_work_is_still, .timeout = 60)
{
    start();
    for (int i = 0; i < BURST; i++)
        items[i] = (struct item){.work = {NULL, count_run}, .home = worker_at(i % LOOPS)};
    (void)push_burst(items);
    wait_for_runs(BURST);
    CHECK(wait_until(is_still, NULL, LONG_MS));
    struct weft_loop_counters before = counters();
    nanosleep(&(struct timespec){0, IDLE_MS * 1000000}, NULL); /* it is this time that nothing may happen in */
    struct weft_loop_counters after = counters();
    CHECK_EQ(after.turns, before.turns);
    CHECK_EQ(after.polls, before.polls);
    CHECK_EQ(after.wakes, before.wakes);
    CHECK_EQ(after.searches, before.searches);
    CHECK_EQ(after.summons, before.summons);
    CHECK(is_still(NULL));
    end();
}

struct token {
    int hops;
    uint32_t is_home; /* atomic */
};

static int pass_on(void *arg)
{
    struct token *token = arg;
    if (--token->hops == 0) {
        weft_atomic_store_release(&token->is_home, 1); /* Pairs with the acquire in is_home(). */
        return 0;
    }
    struct weft_loop *next = weft_runtime_loop(runtime, (weft_loop_index(weft_get_running_loop()) + 1) % LOOPS);
    return weft_loop_call_soon_threadsafe(next, pass_on, token, NULL, NULL);
}

static bool is_home(void *token)
{
    return weft_atomic_load_acquire(&((struct token *)token)->is_home); /* Pairs with the release in pass_on(). */
}

Test(steal_stress, pinned_work_summons_nobody, .timeout = 60)
{
    start();
    struct token token = {.hops = 4000};
    CHECK_EQ(weft_loop_call_soon_threadsafe(weft_runtime_loop(runtime, 0), pass_on, &token, NULL, NULL), 0);
    CHECK(wait_until(is_home, &token, LONG_MS));
    CHECK_EQ(counters().summons, 0);
    CHECK_EQ(counters().steals, 0);
    end();
}

/* ---- the end ---------------------------------------------------------------------------------------------------------------------- */

static struct item pushed[PUSHERS][PUSHES];

/* What is not run by a loop comes home as the crew ends, and is run there, or refused, once. */
static void *push_all(void *arg)
{
    struct item *mine = arg;
    for (int i = 0; i < PUSHES; i++)
        work_ready_stealable(mine[i].home, &mine[i].work);
    return NULL;
}

Test(steal_stress, a_runtime_may_end_beside_threads_that_push, .timeout = 120)
{
    pthread_t threads[PUSHERS];
    struct weft_loop *home;
    start();
    home = weft_loop_ref(weft_runtime_loop(runtime, 1)); /* theirs; the other loops go with the runtime */
    for (int i = 0; i < PUSHERS; i++) {
        for (int j = 0; j < PUSHES; j++)
            pushed[i][j] = (struct item){.work = {NULL, count_run}, .home = &home->worker};
        CHECK_EQ(pthread_create(&threads[i], NULL, push_all, pushed[i]), 0);
    }
    wait_for_runs(PUSHES / 4);
    int status = weft_runtime_shutdown(runtime, FOR_EVER);
    CHECK(status == 0 || status == -ETIMEDOUT); /* where they push all the time, the rounds that are left for it do not empty the queues */
    weft_runtime_destroy(runtime);
    for (int i = 0; i < PUSHERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    weft_loop_unref(home);
    CHECK_EQ(run_total, PUSHERS * PUSHES);
    for (int i = 0; i < PUSHERS; i++)
        for (int j = 0; j < PUSHES; j++)
            CHECK_EQ(pushed[i][j].run_count, 1);
}

Test(steal_stress, a_runtime_may_stop_and_start_with_works_under_way, .timeout = 60)
{
    start();
    for (int i = 0; i < FLOOD; i++) {
        items[i] = (struct item){.work = {NULL, flow}, .home = worker_at(i % LOOPS)};
        work_ready_stealable(items[i].home, &items[i].work);
    }
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(weft_runtime_stop(runtime), 0);
        CHECK_EQ(runtime->crew->idle, 0);
        CHECK_EQ(weft_runtime_start(runtime), 0);
    }
    weft_atomic_store_relaxed(&is_over, 1);
    wait_for_runs(FLOOD);
    end();
    CHECK_EQ(run_total, FLOOD);
}

/* ---- the simulator ---------------------------------------------------------------------------------------------------------------- */

enum { SIM_ITEMS = 64, SIM_RUNS = 20 };

static uint32_t trace[SIM_ITEMS * SIM_RUNS * 2];
static size_t trace_count;
static uint64_t sim_start_ns;

static int trace_run(struct weft_work *work)
{
    struct item *item = (struct item *)work;
    struct weft_loop *here = weft_get_running_loop();
    trace[trace_count++] = (uint32_t)(item - items) << 8 | weft_loop_index(here);
    CHECK_EQ(weft_loop_time(here), sim_start_ns); /* none passes while there is work to steal */
    if (++item->run_count < SIM_RUNS)
        work_ready_stealable(item->home, work);
    return 0;
}

static int push_and_sleep(void *unused, void **result_out)
{
    (void)unused, (void)result_out;
    sim_start_ns = weft_loop_time(weft_get_running_loop());
    for (int i = 0; i < SIM_ITEMS; i++) {
        items[i] = (struct item){.work = {NULL, trace_run}, .home = worker_at(i % LOOPS)};
        work_ready_stealable(items[i].home, &items[i].work);
    }
    return weft_sleep(1000);
}

static size_t simulate(uint64_t seed)
{
    struct weft_runtime_options options = fixture_options(LOOPS);
    options.driver = WEFT_DRIVER_SIM;
    options.seed = seed;
    runtime = fixture_create(&options);
    trace_count = 0;
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(push_and_sleep, NULL), NULL), 0);
    CHECK_EQ(trace_count, SIM_ITEMS * SIM_RUNS);
    CHECK(counters().steals > 0);
    fixture_end(runtime);
    return trace_count;
}

Test(steal_stress, the_same_seed_steals_the_same, .timeout = 60)
{
    static uint32_t first[sizeof(trace) / sizeof(trace[0])];
    size_t count = simulate(7);
    memcpy(first, trace, sizeof(trace));
    CHECK_EQ(simulate(7), count);
    CHECK_EQ(memcmp(first, trace, count * sizeof(trace[0])), 0);
    CHECK_EQ(simulate(8), count);
    CHECK(memcmp(first, trace, count * sizeof(trace[0])) != 0);
}
