/*
 * A million tasks over four loops in four threads: created, awaited from loop to loop and cancelled at random; and at the end nothing may
 * be missing. Each loop keeps some hundreds of tasks under way; each task does a few random things; whoever finds an id in the common
 * table may cancel it. What must hold: each task is told to have ended exactly once, nothing stays registered, no stack is in use, no
 * allocation is left.
 *
 * WEFT_STRESS_SEED=n takes the same decisions again, as far as threads allow.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/task/fiber.h"
#include "lib/task/task.h"
#include "tests/support/oom.h"
#include "tests/support/wait.h"
#include "tests/task/scene.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/step.h"

enum {
    LOOPS = 4,
    TASKS = 1000000,
    UNDER_WAY_MAX = 300, /* per loop, those not counted that others created on it */
    IDS = 1024,
    FUTURES = 256,
};

/* What one loop counts: written in its thread alone. */
struct books {
    struct weft_loop *loop;
    struct weft_task *driver;
    uint64_t seed;
    uint64_t created, ended;
    uint64_t cancelled, failed; /* of those that ended */
    size_t stacks;
} __attribute__((aligned(128)));

static struct scene_thread threads[LOOPS];
static struct books books[LOOPS];
static uint64_t ids[IDS];
static struct weft_future *futures[FUTURES];
static uint8_t ends[TASKS + LOOPS * UNDER_WAY_MAX * 2];
static uint64_t next_number;

static struct books *books_here(void)
{
    struct weft_loop *loop = weft_get_running_loop();
    for (int i = 0; i < LOOPS; i++)
        if (books[i].loop == loop)
            return &books[i];
    CHECK(!"on a loop of this test");
    return NULL;
}

static uint32_t dice(struct books *here, uint32_t sides)
{
    return scene_random(&here->seed) % sides;
}

/* ---- creating --------------------------------------------------------------------------------------------------------------------- */

static int count_end(struct weft_future *future, void *arg)
{
    struct books *here = books_here();
    int status = weft_future_result(future, NULL);
    CHECK(status == 0 || status == -ECANCELED || status == -ETIMEDOUT || status == -EIO);
    uint8_t *end = arg;
    CHECK_EQ((*end)++, 0);
    here->ended++;
    here->cancelled += status == -ECANCELED;
    here->failed += status == -EIO || status == -ETIMEDOUT;
    return 0;
}

/* Make a task of `coro` on `loop`, with its end counted here, and its id where others find it. */
static struct weft_task *create_on(struct weft_loop *loop, struct weft_coro *coro)
{
    struct books *here = books_here();
    struct weft_task *task;
    uint64_t number = weft_atomic_add_relaxed(&next_number, 1);
    CHECK(number < sizeof(ends));
    CHECK_EQ(
        loop == here->loop ? weft_loop_create_task(loop, coro, NULL, &task) : weft_loop_create_task_threadsafe(loop, coro, NULL, &task), 0);
    here->created++;
    CHECK_EQ(weft_future_add_done_callback(&task->future, count_end, &ends[number], NULL), 0);
    weft_atomic_store_relaxed(&ids[dice(here, IDS)], weft_atomic_load_relaxed(&task->id));
    return task;
}

/* ---- what tasks do ---------------------------------------------------------------------------------------------------------------- */

struct leaf {
    int turns;
    int status;
};

/* A small one, without a stack: some turns, and perhaps a failure. */
static int step_leaf(struct weft_step *step, void *state, int status)
{
    struct leaf *leaf = state;
    WEFT_STEP_BEGIN(step, status);
    while (leaf->turns-- > 0) {
        WEFT_STEP_YIELD(step, status);
        if (status < 0)
            return status;
    }
    if (leaf->status < 0)
        return leaf->status;
    WEFT_STEP_END(step, NULL);
}

static struct weft_coro *leaf_coro(struct books *here)
{
    struct weft_coro *coro;
    struct leaf *leaf;
    CHECK_EQ(weft_step_new(step_leaf, NULL, sizeof(*leaf), &coro, (void **)&leaf), 0);
    *leaf = (struct leaf){(int)dice(here, 4), dice(here, 16) == 0 ? -EIO : 0};
    return coro;
}

/* Await a leaf on any loop, in one way or another. */
static int await_leaf(void)
{
    struct books *here = books_here();
    struct weft_task *task = create_on(books[dice(here, LOOPS)].loop, leaf_coro(here));
    uint32_t how = dice(here, 3);
    int status = how == 0   ? weft_await(&task->future, NULL)
                 : how == 1 ? weft_await_flags(&task->future, WEFT_AWAIT_DETACH, NULL)
                            : weft_wait_for(&task->future, (int64_t)dice(here, 200000), NULL);
    weft_task_unref(task);
    return status;
}

/* Complete a future of the common table, or wait for one a little. */
static int meet(void)
{
    struct books *here = books_here();
    struct weft_future *future = futures[dice(here, FUTURES)];
    if (dice(here, 3) == 0) {
        (void)weft_future_set_result(future, NULL);
        return 0;
    }
    return weft_await_flags(future, WEFT_AWAIT_DETACH, NULL);
}

static void cancel_somebody(void)
{
    struct weft_task *task = weft_task_from_id(weft_atomic_load_relaxed(&ids[dice(books_here(), IDS)]));
    if (task != NULL)
        (void)weft_task_cancel(task, "at random");
    weft_task_unref(task);
}

static int fiber_body(void *arg, void **result_out)
{
    struct books *here = books_here();
    (void)arg, (void)result_out;
    for (uint32_t left = 1 + dice(here, 3); left > 0; left--) {
        int status = 0;
        switch (dice(here, 6)) {
        case 0:
            status = weft_yield();
            break;
        case 1:
            status = weft_sleep((int64_t)dice(here, 100000));
            break;
        case 2:
            status = meet();
            break;
        case 3:
            cancel_somebody();
            break;
        default:
            status = await_leaf();
        }
        if (status < 0 && dice(here, 4) != 0) /* sometimes it takes no notice */
            return status;
    }
    return 0;
}

static struct weft_coro *fiber_coro(void)
{
    struct weft_coro *coro;
    CHECK_EQ(weft_fiber_new(fiber_body, NULL, NULL, &coro), 0);
    return coro;
}

/* ---- the driver of one loop --------------------------------------------------------------------------------------------------------- */

static bool is_enough(void)
{
    return weft_atomic_load_relaxed(&next_number) >= TASKS;
}

/* Keep the loop full until all tasks have been made, then wait for the last. */
static int drive(void *arg, void **result_out)
{
    struct books *here = arg;
    (void)result_out;
    while (!is_enough()) {
        while (here->created - here->ended < UNDER_WAY_MAX && !is_enough()) {
            weft_task_unref(create_on(here->loop, dice(here, 4) == 0 ? leaf_coro(here) : fiber_coro()));
            CHECK_EQ(weft_yield(), 0);
        }
        cancel_somebody();
        CHECK_EQ(weft_yield(), 0);
    }
    while (here->created != here->ended) {
        for (int i = 0; i < FUTURES; i++)
            (void)weft_future_set_result(futures[i], NULL);
        CHECK_EQ(weft_sleep(100000), 0);
    }
    here->stacks = fiber_stack_count(here->loop);
    return 0;
}

static uint64_t seed_given(void)
{
    const char *given = getenv("WEFT_STRESS_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
    printf("WEFT_STRESS_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed == 0 ? 1 : seed;
}

static void start_driving(uint64_t seed)
{
    for (int i = 0; i < LOOPS; i++) {
        scene_thread_start(&threads[i]);
        books[i] = (struct books){.loop = threads[i].loop, .seed = seed ^ ((uint64_t)(i + 1) << 40)};
    }
    for (int i = 0; i < FUTURES; i++)
        futures[i] = scene_future(books[i % LOOPS].loop);
    for (int i = 0; i < LOOPS; i++) {
        struct weft_coro *coro;
        CHECK_EQ(weft_fiber_new(drive, &books[i], NULL, &coro), 0);
        CHECK_EQ(weft_loop_create_task_threadsafe(books[i].loop, coro, NULL, &books[i].driver), 0);
    }
}

/* What the loops have counted; the loops go. */
static void stop_driving(void)
{
    struct books all = {.created = 0};
    for (int i = 0; i < LOOPS; i++) {
        CHECK_EQ(weft_future_wait(&books[i].driver->future, -1, NULL), 0);
        weft_task_unref(books[i].driver);
    }
    for (int i = 0; i < LOOPS; i++) {
        scene_thread_stop(&threads[i]);
        CHECK_EQ(books[i].stacks, 1); /* the driver's own */
        all.created += books[i].created;
        all.ended += books[i].ended;
        all.cancelled += books[i].cancelled;
        all.failed += books[i].failed;
    }
    for (int i = 0; i < FUTURES; i++)
        weft_future_unref(futures[i]);
    printf("%llu tasks, %llu of them cancelled, %llu failed\n", (unsigned long long)all.created, (unsigned long long)all.cancelled,
           (unsigned long long)all.failed);
    CHECK_EQ(all.created, weft_atomic_load_relaxed(&next_number));
    CHECK_EQ(all.ended, all.created);
    for (uint64_t i = 0; i < all.created; i++)
        CHECK_EQ(ends[i], 1);
}

Test(stress, loses_no_task_among_loops, .timeout = 600)
{
    oom_install();
    start_driving(seed_given());
    stop_driving();
    CHECK_EQ(registry_count(), 0);
    CHECK_EQ(scene_reports(), 0);
    printf("%lld allocations are the registry's\n", (long long)oom_live());
    CHECK(oom_live() < 64); /* its table, which stays, in segments that double */
}
