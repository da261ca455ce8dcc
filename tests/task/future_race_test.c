/*
 * Futures between threads: one winner, each waiter told once, nothing told twice, whatever comes at the same moment.
 *
 * Each test makes many small races: the threads of a race go along one row of futures in step, as near as a barrier and luck bring them.
 */
#include <pthread.h>
#include <stdio.h>

#include "lib/task/future.h"
#include "tests/support/wait.h"
#include "tests/task/scene.h"
#include "weft/atomic.h"

enum {
    RACERS = 3,
    LOOPS = 2,
    ROW = TEST_IS_SLOW ? 2000 : 20000,
};

static struct scene_thread loops[LOOPS];
static struct weft_future *row[ROW];
static uint32_t wins[ROW];
static uint32_t calls[ROW];
static pthread_barrier_t barrier;
static uint64_t called_total, removed_total, begun_total, woken_total;

static void loops_start(void)
{
    for (int i = 0; i < LOOPS; i++)
        scene_thread_start(&loops[i]);
}

static void loops_stop(void)
{
    for (int i = 0; i < LOOPS; i++)
        scene_thread_stop(&loops[i]);
}

/* Run `fn(i)` in `count` threads at once, i from 0, and wait for them. */
static void together(int count, void *(*fn)(void *arg))
{
    pthread_t threads[8];
    CHECK(count <= 8);
    CHECK_EQ(pthread_barrier_init(&barrier, NULL, (unsigned)count), 0);
    for (intptr_t i = 0; i < count; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, fn, (void *)i), 0);
    for (int i = 0; i < count; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&barrier);
}

static void row_make(void)
{
    for (int i = 0; i < ROW; i++) {
        row[i] = scene_future(loops[i % LOOPS].loop);
        weft_atomic_store_relaxed(&wins[i], 0);
        weft_atomic_store_relaxed(&calls[i], 0);
    }
}

static void row_drop(void)
{
    for (int i = 0; i < ROW; i++)
        weft_future_unref(row[i]);
}

/* A seed for thread `i` of a race, the same in each run. */
static uint64_t seed_of(intptr_t i)
{
    return UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(i + 1);
}

static void step_aside(uint64_t *seed)
{
    for (uint32_t n = scene_random(seed) % 64; n > 0; n--)
        weft_atomic_pause();
}

/* ---- completing ------------------------------------------------------------------------------------------------------------------- */

static bool complete_somehow(struct weft_future *future, uint32_t how)
{
    switch (how % 3) {
    case 0:
        return weft_future_set_result(future, NULL) == 0;
    case 1:
        return weft_future_set_exception(future, -EIO) == 0;
    default:
        return weft_future_cancel(future, NULL);
    }
}

static void *complete_row(void *arg)
{
    intptr_t self = (intptr_t)arg;
    uint64_t seed = seed_of(self);
    (void)pthread_barrier_wait(&barrier);
    for (int i = 0; i < ROW; i++) {
        step_aside(&seed);
        if (complete_somehow(row[i], (uint32_t)(self + i)))
            (void)weft_atomic_add_relaxed(&wins[i], 1);
    }
    return NULL;
}

static int count_call(struct weft_future *future, void *arg)
{
    CHECK(weft_future_done(future));
    (void)weft_future_exception(future, NULL);
    (void)weft_atomic_add_relaxed((uint32_t *)arg, 1);
    (void)weft_atomic_add_relaxed(&called_total, 1);
    return 0;
}

static void watch_on(struct weft_loop *loop, int i)
{
    struct future_callback callback = {count_call, &calls[i], NULL, NULL};
    CHECK_EQ(future_add_callback_on(row[i], loop, &callback), 0);
}

static bool has_called(void *count)
{
    return weft_atomic_load_relaxed(&called_total) == *(uint64_t *)count;
}

Test(future_race, has_one_winner_and_tells_each_waiter_once, .timeout = 60)
{
    loops_start();
    row_make();
    for (int i = 0; i < ROW; i++)
        for (int j = 0; j < LOOPS; j++)
            watch_on(loops[j].loop, i);
    together(RACERS, complete_row);
    uint64_t expected = (uint64_t)ROW * LOOPS;
    CHECK(wait_until(has_called, &expected, 20000));
    for (int i = 0; i < ROW; i++) {
        CHECK_EQ(weft_atomic_load_relaxed(&wins[i]), 1);
        CHECK_EQ(weft_atomic_load_relaxed(&calls[i]), LOOPS);
    }
    row_drop();
    loops_stop();
    CHECK_EQ(scene_reports(), 0);
}

/* ---- adding and removing ---------------------------------------------------------------------------------------------------------- */

enum { ADDED = 4 };

static void *add_remove_and_complete(void *arg)
{
    intptr_t self = (intptr_t)arg;
    uint64_t seed = seed_of(self);
    for (int i = 0; i < ROW; i++) {
        if (i % 256 == 0)
            (void)pthread_barrier_wait(&barrier);
        step_aside(&seed);
        if (self == 0) {
            CHECK(complete_somehow(row[i], (uint32_t)i));
            continue;
        }
        for (int j = 0; j < ADDED; j++)
            CHECK_EQ(weft_future_add_done_callback(row[i], count_call, &calls[i], NULL), 0);
        int removed = weft_future_remove_done_callback(row[i], count_call, &calls[i]);
        (void)weft_atomic_add_relaxed(&removed_total, (uint64_t)removed);
    }
    return NULL;
}

static bool has_settled(void *added)
{
    return weft_atomic_load_relaxed(&called_total) + weft_atomic_load_relaxed(&removed_total) == *(uint64_t *)added;
}

Test(future_race, calls_or_removes_each_callback, .timeout = 60)
{
    loops_start();
    row_make();
    together(RACERS, add_remove_and_complete);
    uint64_t added = (uint64_t)ROW * ADDED * (RACERS - 1);
    CHECK(wait_until(has_settled, &added, 20000));
    row_drop();
    loops_stop();
}

/* ---- detaching -------------------------------------------------------------------------------------------------------------------- */

static struct weft_task *tasks[ROW];

static int await_detached(void *arg, void **result_out)
{
    (void)weft_atomic_add_relaxed(&begun_total, 1);
    int status = weft_await_flags(arg, WEFT_AWAIT_DETACH, result_out);
    (void)weft_atomic_add_relaxed(&woken_total, 1);
    return status;
}

static bool have_begun(void *count)
{
    return weft_atomic_load_relaxed(&begun_total) == *(uint64_t *)count;
}

static struct weft_task *spawn_on(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_coro *coro;
    struct weft_task *task;
    CHECK_EQ(weft_fiber_new(fn, arg, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop, coro, NULL, &task), 0);
    return task;
}

static void *complete_or_cancel(void *arg)
{
    intptr_t self = (intptr_t)arg;
    uint64_t seed = seed_of(self);
    for (int i = 0; i < ROW; i++) {
        if (i % 256 == 0)
            (void)pthread_barrier_wait(&barrier);
        step_aside(&seed);
        if (self == 0)
            CHECK_EQ(weft_future_set_result(row[i], NULL), 0);
        else
            (void)weft_task_cancel(tasks[i], NULL);
    }
    return NULL;
}

Test(future_race, lets_a_detached_waiter_go_or_wakes_it, .timeout = 60)
{
    loops_start();
    row_make();
    for (int i = 0; i < ROW; i++)
        tasks[i] = spawn_on(loops[i % LOOPS].loop, await_detached, row[i]);
    uint64_t expected = ROW;
    CHECK(wait_until(have_begun, &expected, 20000));
    together(2, complete_or_cancel);
    int cancelled = 0;
    for (int i = 0; i < ROW; i++) {
        int status = weft_future_wait(&tasks[i]->future, 10 * SECOND, NULL);
        CHECK(status == 0 || status == -ECANCELED);
        cancelled += status < 0;
        CHECK_EQ(weft_future_result(row[i], NULL), 0); /* never cancelled */
        weft_task_unref(tasks[i]);
    }
    CHECK_EQ(weft_atomic_load_relaxed(&woken_total), ROW);
    printf("%d of %d detached waiters were cancelled\n", cancelled, ROW);
    row_drop();
    loops_stop();
}

/* ---- plain threads ---------------------------------------------------------------------------------------------------------------- */

static void *wait_along_the_row(void *arg)
{
    intptr_t self = (intptr_t)arg;
    uint64_t seed = seed_of(self);
    for (int i = 0; i < ROW; i++) {
        if (i % 256 == 0)
            (void)pthread_barrier_wait(&barrier);
        if (self == 0) {
            step_aside(&seed);
            CHECK_EQ(weft_future_set_result(row[i], &row[i]), 0);
            continue;
        }
        void *value = NULL;
        int status = weft_future_wait(row[i], scene_random(&seed) % 4000, &value);
        CHECK(status == 0 || status == -ETIMEDOUT);
        CHECK(value == (status == 0 ? (void *)&row[i] : NULL));
        CHECK_EQ(weft_future_wait(row[i], 20 * SECOND, &value), 0);
    }
    return NULL;
}

Test(future_race, wakes_threads_or_lets_them_time_out, .timeout = 60)
{
    loops_start();
    row_make();
    together(RACERS, wait_along_the_row);
    row_drop();
    loops_stop();
}

static int wait_in_callback(void *future)
{
    CHECK_EQ(weft_future_wait(future, 0, NULL), WEFT_ERUNNING);
    return 0;
}

Test(future_race, waits_only_where_no_loop_runs, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    CHECK_EQ(weft_future_wait(future, 0, NULL), -ETIMEDOUT);
    CHECK_EQ(weft_future_wait(NULL, 0, NULL), -EINVAL);
    CHECK_EQ(weft_loop_call_soon(loop, wait_in_callback, future, NULL, NULL), 0);
    scene_turn(loop);
    CHECK_EQ(weft_future_set_exception(future, -EIO), 0);
    CHECK_EQ(weft_future_wait(future, -1, NULL), -EIO);
    weft_future_unref(future);
    scene_drop(loop);
}

/* ---- chains ----------------------------------------------------------------------------------------------------------------------- */

static struct weft_future *ends[ROW];

static void *pull_at_the_chain(void *arg)
{
    intptr_t self = (intptr_t)arg;
    uint64_t seed = seed_of(self);
    for (int i = 0; i < ROW; i++) {
        if (i % 256 == 0)
            (void)pthread_barrier_wait(&barrier);
        step_aside(&seed);
        if (self == 0)
            (void)complete_somehow(row[i], (uint32_t)i);
        else if (i % 2)
            (void)weft_future_cancel(ends[i], NULL);
    }
    return NULL;
}

/* How the end must have come out, seen from its source. */
static void chain_is_consistent(int i)
{
    int end = weft_future_wait(ends[i], 20 * SECOND, NULL);
    int source = weft_future_wait(row[i], 20 * SECOND, NULL);
    bool was_pulled = i % 2;
    CHECK(end == source || (was_pulled && weft_future_cancelled(ends[i])));
}

Test(future_race, chains_across_loops, .timeout = 60)
{
    loops_start();
    row_make();
    for (int i = 0; i < ROW; i++) {
        ends[i] = scene_future(loops[(i + 1) % LOOPS].loop);
        CHECK_EQ(weft_future_chain(row[i], ends[i]), 0);
    }
    together(2, pull_at_the_chain);
    for (int i = 0; i < ROW; i++) {
        chain_is_consistent(i);
        weft_future_unref(ends[i]);
    }
    row_drop();
    loops_stop();
    CHECK_EQ(scene_reports(), 0);
}

Test(future_race, chains_nothing_that_cannot_be, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    struct weft_task *task = scene_spawn(loop, await_detached, future);
    CHECK_EQ(weft_future_chain(future, future), -EINVAL);
    CHECK_EQ(weft_future_chain(future, NULL), -EINVAL);
    CHECK_EQ(weft_future_chain(NULL, future), -EINVAL);
    CHECK_EQ(weft_future_chain(future, &task->future), -EINVAL);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    scene_turn(loop);
    weft_task_unref(task);
    weft_future_unref(future);
    scene_drop(loop);
}

/* ---- promises --------------------------------------------------------------------------------------------------------------------- */

/* Each racer drops a promise; in every other race one of them keeps it. */
static void *keep_or_break(void *arg)
{
    intptr_t self = (intptr_t)arg;
    uint64_t seed = seed_of(self);
    for (int i = 0; i < ROW; i++) {
        if (i % 256 == 0)
            (void)pthread_barrier_wait(&barrier);
        step_aside(&seed);
        if (self == 0 && i % 2)
            CHECK_EQ(weft_future_set_result(row[i], NULL), 0);
        weft_future_unpromise(row[i]);
    }
    return NULL;
}

Test(future_race, breaks_a_promise_only_when_the_last_one_goes, .timeout = 60)
{
    loops_start();
    row_make();
    for (int i = 0; i < ROW; i++)
        for (int j = 0; j < RACERS; j++)
            (void)weft_future_promise(row[i]);
    together(RACERS, keep_or_break);
    for (int i = 0; i < ROW; i++)
        CHECK_EQ(weft_future_result(row[i], NULL), i % 2 ? 0 : WEFT_EBROKENPROMISE);
    CHECK_EQ(scene_reports(), ROW / 2);
    row_drop();
    loops_stop();
    CHECK_EQ(scene_reports(), 0);
}
