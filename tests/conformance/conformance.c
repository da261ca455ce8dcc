/*
 * The harness of the conformance suite: makes the loop that a rule is put to, and holds the books on what the rule must give back.
 *
 * The journal and the books belong to the process, which is one test's alone. A rule's loop runs in the test's own thread, whenever the
 * rule says so; the three busy loops of a x4 variant have threads of their own (peers.c), and the simulator's take their turns in the same
 * one, whenever the loop under test looks at its poller. WEFT_CONFORMANCE_SEED is the seed of its world, where turns come late, steals are
 * drawn and reads are short.
 */
#include "tests/conformance/conformance.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/poll/sim.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/sim_drive.h"
#include "lib/sched/crew.h"
#include "tests/conformance/actor.h"
#include "tests/conformance/peers.h"
#include "tests/conformance/storm.h"
#include "tests/support/oom.h"
#include "tests/support/wait.h"
#include "weft/atomic.h"
#include "weft/poller.h"
#include "weft/runtime.h"
#include "weft/sim.h"

static char journal[4096];
static bool is_journal_read;

static uint32_t report_lock;
static int report_count;
static struct report report_newest;

int note(void *word)
{
    if (is_journal_read) {
        journal[0] = 0;
        is_journal_read = false;
    }
    size_t used = strlen(journal);
    CHECK(used + strlen(word) + 2 <= sizeof(journal));
    snprintf(journal + used, sizeof(journal) - used, "%s%s", used ? " " : "", (const char *)word);
    return 0;
}

int note_done(struct weft_future *future, void *word)
{
    CHECK(weft_future_done(future));
    return note(word);
}

const char *notes(void)
{
    if (is_journal_read)
        journal[0] = 0;
    is_journal_read = true;
    return journal;
}

/* ---- running ---- */

void run_once(struct weft_loop *loop)
{
    CHECK_EQ(weft_loop_stop(loop), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void run_until(struct weft_loop *loop, bool (*is_true)(void *arg), void *arg)
{
    uint64_t deadline_ns = now_ns() + 10000000000u;
    while (!is_true(arg)) {
        CHECK(now_ns() < deadline_ns);
        run_once(loop);
    }
}

static bool is_done(void *future)
{
    return weft_future_done(future);
}

void run_until_done(struct weft_loop *loop, struct weft_future *future)
{
    run_until(loop, is_done, future);
}

void call_soon(struct weft_loop *loop, weft_callback_fn *fn, void *arg)
{
    CHECK_EQ(weft_loop_call_soon(loop, fn, arg, NULL, NULL), 0);
}

int stop_loop(void *loop)
{
    return weft_loop_stop(loop);
}

int resolve(void *future)
{
    return weft_future_set_result(future, NULL);
}

int run_task(struct weft_loop *loop, struct weft_task *task)
{
    run_until_done(loop, &task->future);
    int status = weft_future_result(&task->future, NULL);
    weft_task_unref(task);
    return status;
}

void flag_set(uint32_t *flag)
{
    weft_atomic_store_release(flag, 1); /* Pairs with the acquire in flag_is_set(). */
}

bool flag_is_set(void *flag)
{
    return weft_atomic_load_acquire((uint32_t *)flag) != 0; /* Pairs with the release in flag_set(). */
}

struct call {
    void (*fn)(void *arg);
    void *arg;
};

static void *call_in_thread(void *arg)
{
    struct call *call = arg;
    call->fn(call->arg);
    return NULL;
}

void in_other_thread(void (*fn)(void *arg), void *arg)
{
    struct call call = {fn, arg};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, call_in_thread, &call), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- futures and tasks ---- */

struct weft_future *future_new(struct weft_loop *loop)
{
    struct weft_future *future;
    CHECK_EQ(weft_loop_create_future(loop, &future), 0);
    return future;
}

size_t task_count(struct weft_loop *loop)
{
    struct weft_task **tasks;
    size_t count;
    CHECK_EQ(weft_all_tasks(loop, &tasks, &count), 0);
    weft_all_tasks_free(tasks, count);
    return count;
}

bool is_in_all_tasks(struct weft_loop *loop, const struct weft_task *task)
{
    struct weft_task **tasks;
    size_t count;
    bool is_found = false;
    CHECK_EQ(weft_all_tasks(loop, &tasks, &count), 0);
    for (size_t i = 0; i < count; i++)
        is_found |= tasks[i] == task;
    weft_all_tasks_free(tasks, count);
    return is_found;
}

struct weft_task *current_task(void)
{
    struct weft_task *task;
    CHECK_EQ(weft_current_task(&task), 0);
    return task;
}

/* ---- reports ---- */

/* Reports come from the peers' threads too, so the book has a lock: a spinning one, for a few stores. */
static void report_book_lock(void)
{
    /* Pairs with the release in report_book_unlock(). */
    while (weft_atomic_exchange_acquire(&report_lock, 1)) {
    }
}

static void report_book_unlock(void)
{
    /* Pairs with the acquire in report_book_lock(). */
    weft_atomic_store_release(&report_lock, 0);
}

int reports_handler(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)arg;
    report_book_lock();
    report_count++;
    report_newest = (struct report){
        .status = exception->status,
        .duration_ns = exception->duration_ns,
        .handle = exception->handle,
        .future = exception->future,
        .task = exception->task,
    };
    report_book_unlock();
    return 0;
}

int reports_take(void)
{
    report_book_lock();
    int count = report_count;
    report_count = 0;
    report_book_unlock();
    return count;
}

struct report report_last(void)
{
    report_book_lock();
    struct report report = report_newest;
    report_book_unlock();
    return report;
}

/* ---- the fixture ---- */

enum { USER_BYTES = 64, DEADLINE_MS = 10000 }; /* enough for the example's subclass */

#define DEADLINE_NS UINT64_C(10000000000)

static struct weft_loop *loop_new_options(const struct weft_loop_kind *kind, const struct weft_poller_options *poller)
{
    struct weft_loop_options options = WEFT_LOOP_OPTIONS;
    options.user_bytes = USER_BYTES;
    options.poller = poller;
    struct weft_loop *loop;
    CHECK_EQ(weft_loop_new_options(kind, &options, &loop), 0);
    CHECK_EQ(weft_loop_set_exception_handler(loop, reports_handler, NULL), 0);
    return loop;
}

struct weft_loop *loop_new(struct fixture *fixture)
{
    return loop_new_options(fixture->kind, NULL);
}

void loop_drop(struct weft_loop *loop)
{
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

int house_count(const struct fixture *fixture)
{
    return fixture->runtime != NULL ? fixture->loop_count : 1;
}

struct weft_loop *house_loop(const struct fixture *fixture, int index)
{
    int place = index % house_count(fixture);
    return place == 0 ? fixture->loop : weft_runtime_loop(fixture->runtime, (uint32_t)place);
}

bool has_thieves(const struct fixture *fixture)
{
    return house_count(fixture) > 1;
}

static bool is_simulated(const struct fixture *fixture)
{
    return fixture->kind == weft_loop_kind_sim();
}

struct question {
    bool (*is_true)(void *arg);
    void *arg;
};

static int answer(void *arg)
{
    const struct question *question = arg;
    return question->is_true(question->arg);
}

void await_others(struct fixture *fixture, bool (*is_true)(void *arg), void *arg)
{
    struct question question = {is_true, arg};
    if (!is_simulated(fixture))
        CHECK(wait_until(is_true, arg, DEADLINE_MS));
    else
        CHECK_EQ(sim_drive_run_beside(fixture->runtime->drive, answer, &question, sim_world_now(fixture->world) + DEADLINE_NS), 0);
}

void rule_close(struct fixture *fixture)
{
    if (fixture->runtime != NULL) {
        storm_stop();
        peers_stop(fixture->peers);
        fixture->peers = NULL;
        CHECK_EQ(runtime_stop(fixture->runtime), 0);
        crew_dissolve(fixture->runtime->crew);
    }
    CHECK_EQ(weft_loop_close(fixture->loop), 0);
}

/* What the library sets up once per process or thread, and keeps, must not count as left behind. */
static void warm_up_rule(struct fixture *fixture, struct weft_loop *loop)
{
    static const struct weft_context_var warmth = WEFT_CONTEXT_VAR("warmth", NULL);
    struct weft_context_token token;
    CHECK_EQ(weft_context_var_set(&warmth, "some", &token), 0);
    CHECK_EQ(weft_context_var_reset(&token), 0);
    weft_task_unref(actor_start(fixture, ACTOR(fixture, YIELD())));
    run_once(loop);
    run_once(loop);
    CHECK_EQ(task_count(NULL), 0);
}

/* Of late turns, of short reads; and of the works that may be stolen, what a turn runs of them at most. */
enum { LATE_PERMILLE = 200, SHORT_PERMILLE = 300, STEALABLE_MAX = 3 };

/* The simulator's loop gets a world that the rule can put files into. A lone one has nobody to be late for. */
static void world_new(struct fixture *fixture)
{
    const char *seed = getenv("WEFT_CONFORMANCE_SEED");
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    struct weft_sim_options options = WEFT_SIM_OPTIONS;
    options.seed = seed == NULL ? 0 : strtoull(seed, NULL, 0);
    options.late_permille = LATE_PERMILLE;
    options.stealable_max = STEALABLE_MAX;
    CHECK_EQ(weft_sim_create(&options, &fixture->world), 0);
    faults.short_read_permille = seed == NULL ? 0 : SHORT_PERMILLE;
    CHECK_EQ(weft_sim_host_set_faults(sim_world_host(fixture->world), &faults), 0);
}

/* A runtime's loops have all that a program's have: an executor, an index, a spin before they sleep. */
static void runtime_new(struct fixture *fixture, const struct weft_poller_options *poller)
{
    struct weft_loop_options loop_options = WEFT_LOOP_OPTIONS;
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    loop_options.user_bytes = USER_BYTES;
    loop_options.poller = poller;
    options.loops = (uint32_t)fixture->loop_count;
    options.kind = fixture->kind;
    options.driver = is_simulated(fixture) ? WEFT_DRIVER_SIM : WEFT_DRIVER_THREADS;
    options.loop_options = &loop_options;
    CHECK_EQ(weft_runtime_create(&options, &fixture->runtime), 0);
}

/* The loop under test is loops[0]. */
static void loops_new(struct fixture *fixture, struct weft_loop *loops[])
{
    const struct weft_poller_options *poller = NULL;
    if (is_simulated(fixture)) {
        world_new(fixture);
        poller = weft_sim_host_poller(sim_world_host(fixture->world));
    }
    if (fixture->loop_count > 1)
        runtime_new(fixture, poller);
    for (int i = 0; i < fixture->loop_count; i++) {
        loops[i] =
            fixture->runtime ? weft_loop_ref(weft_runtime_loop(fixture->runtime, (uint32_t)i)) : loop_new_options(fixture->kind, poller);
        CHECK_EQ(weft_loop_set_exception_handler(loops[i], reports_handler, NULL), 0);
    }
    fixture->loop = loops[0];
}

/* The loop under test stays in the rule's hands. */
static void others_start(struct fixture *fixture, struct weft_loop *loops[])
{
    storm_start(loops, fixture->loop_count, is_simulated(fixture));
    fixture->peers = peers_start(loops, fixture->loop_count, !is_simulated(fixture));
    if (fixture->runtime != NULL && is_simulated(fixture))
        CHECK_EQ(runtime_start(fixture->runtime, false), 0);
    if (fixture->runtime != NULL)
        await_others(fixture, storm_is_under_way, NULL);
}

static void loops_drop(struct fixture *fixture, struct weft_loop *loops[])
{
    for (int i = 1; i < fixture->loop_count; i++)
        CHECK_EQ(weft_loop_close(loops[i]), 0);
    for (int i = 0; i < fixture->loop_count; i++)
        weft_loop_unref(loops[i]);
    weft_runtime_destroy(fixture->runtime);
    weft_sim_destroy(fixture->world);
    fixture->runtime = NULL;
    fixture->world = NULL;
}

static void run_rule(rule_fn *rule, struct fixture *fixture)
{
    struct weft_loop *loops[LOOPS_MAX];
    loops_new(fixture, loops);
    others_start(fixture, loops);
    rule(fixture, fixture->loop);
    rule_close(fixture);
    peers_stop(fixture->peers);
    CHECK_EQ(task_count(NULL), 0);
    loops_drop(fixture, loops);
    storm_check();
    actors_free(fixture);
    CHECK_EQ(reports_take(), 0);
}

void conformance_run(rule_fn *rule, const struct weft_loop_kind *kind, int loop_count, enum coro_kind coro_kind)
{
    struct fixture fixture = {.kind = kind, .loop_count = loop_count, .coro_kind = coro_kind};
    oom_install();
    run_rule(warm_up_rule, &fixture);
    int64_t live_before = oom_live();
    run_rule(rule, &fixture);
    CHECK_EQ(oom_live(), live_before);
}
