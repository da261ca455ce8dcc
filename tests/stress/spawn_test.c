/*
 * A storm of stealable tasks over four loops, and what must survive it. Tasks are spawned, moved, cancelled, awaited from everywhere and
 * held where they sleep; each must be told to have ended exactly once, having run at most once, and nothing may stay. Meanwhile pinned
 * tasks on each loop check the orders that asyncio promises: callbacks as they were queued (LOOP-1), a future's callbacks and waiters as
 * they came, in one iteration (FUT-5, TASK-15), and a yield of exactly one iteration (TASK-21).
 *
 * WEFT_STRESS_TASKS=n is for more or fewer.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/loop/loop.h"
#include "lib/task/fiber.h"
#include "lib/task/task.h"
#include "tests/support/wait.h"
#include "tests/task/scene.h"
#include "weft/atomic.h"
#include "weft/group.h"
#include "weft/runtime.h"
#include "weft/step.h"

enum {
    LOOPS = 4,
    DRIVERS = 8,
    OUTSIDE = 2,        /* more of them, in threads without a loop */
    TASKS = 1000000,    /* stealable ones */
    UNDER_WAY_MAX = 64, /* per driver */
    IDS = 256,
    MEETINGS = 32,
    QUEUED = 6, /* per check of an order */
};

static struct weft_runtime *runtime;
static uint8_t *run_counts, *end_counts;
static uint64_t tasks_wanted, numbers_max;
static uint64_t numbers, stealable_count, ended_count, moved_count;
static uint64_t ids[IDS];
static struct weft_future *meetings[MEETINGS];
static uint32_t is_over;

static struct weft_loop *loop_at(uint32_t index)
{
    return weft_runtime_loop(runtime, index % LOOPS);
}

/* ---- the storm -------------------------------------------------------------------------------------------------------------------- */

static int count_end(struct weft_future *future, void *arg)
{
    (void)future;
    CHECK_EQ(weft_atomic_add_relaxed((uint8_t *)arg, 1), 0);
    (void)weft_atomic_add_acq_rel(&ended_count, 1); /* Pairs with the acquire in have_all_ended() */
    return 0;
}

/* What each task of the storm knows: its number, from which all its decisions follow, and how much further its kind may go. */
struct fate {
    uint64_t number;
    uint64_t seed;
    uint32_t depth;
};

static struct fate *fates;

static struct fate *fate_new(uint32_t depth)
{
    uint64_t number = weft_atomic_add_relaxed(&numbers, 1);
    CHECK(number < numbers_max);
    fates[number] = (struct fate){number, number * 2654435761u + 88172645463325252u, depth};
    return &fates[number];
}

static void count_run(const struct fate *fate)
{
    CHECK_EQ(weft_atomic_add_relaxed(&run_counts[fate->number], 1), 0);
}

/* A task of `coro`, its end counted and its id where others find it. */
static struct weft_task *launch(struct weft_loop *loop, struct weft_coro *coro, const struct fate *fate, bool is_pinned)
{
    struct weft_task *task;
    int status = is_pinned ? weft_loop_create_task_threadsafe(loop, coro, NULL, &task) : weft_loop_spawn(loop, coro, NULL, &task);
    CHECK_EQ(status, 0);
    (void)weft_atomic_add_relaxed(&stealable_count, !is_pinned);
    weft_atomic_store_relaxed(&ids[fate->number % IDS], weft_atomic_load_relaxed(&task->id));
    CHECK_EQ(weft_future_add_done_callback(&task->future, count_end, &end_counts[fate->number], NULL), 0);
    return task;
}

static int leaf_step(struct weft_step *step, void *state, int status)
{
    struct fate *fate = *(struct fate **)state;
    WEFT_STEP_BEGIN(step, status);
    count_run(fate);
    while (fate->depth-- > 0) {
        WEFT_STEP_YIELD(step, status);
        if (status < 0)
            return status;
    }
    WEFT_STEP_END(step, NULL);
}

static struct weft_task *launch_leaf(uint32_t dice)
{
    struct weft_coro *coro;
    struct fate *fate = fate_new(dice % 4), **state;
    CHECK_EQ(weft_step_new(leaf_step, NULL, sizeof(*state), &coro, (void **)&state), 0);
    *state = fate;
    return launch(loop_at(dice >> 4), coro, fate, dice % 8 == 0);
}

/* Await one in one way or another. */
static int await_leaf(uint32_t dice)
{
    struct weft_task *task = launch_leaf(dice);
    int status = dice % 3 == 0   ? weft_await(&task->future, NULL)
                 : dice % 3 == 1 ? weft_await_flags(&task->future, WEFT_AWAIT_DETACH, NULL)
                                 : weft_wait_for(&task->future, dice % 100000, NULL);
    weft_task_unref(task);
    return status == -ETIMEDOUT ? 0 : status;
}

/* Leave a future where another task finds it, complete the one found there, and wait a little for one's own. */
static int meet(uint32_t dice)
{
    struct weft_future *mine = scene_future(weft_get_running_loop());
    /* Acq_rel. Pairs with itself: the future of who was here before. */
    struct weft_future *other = weft_atomic_exchange_acq_rel(&meetings[dice % MEETINGS], weft_future_ref(mine));
    if (other != NULL)
        (void)weft_future_set_result(other, NULL);
    weft_future_unref(other);
    int status = weft_wait_for(mine, 1 + dice % 200000, NULL);
    weft_future_unref(mine);
    return status == -ETIMEDOUT ? 0 : status;
}

static int cancel_somebody(uint32_t dice)
{
    struct weft_task *task = weft_task_from_id(weft_atomic_load_relaxed(&ids[dice % IDS]));
    if (task != NULL)
        (void)weft_task_cancel(task, "somebody said so");
    weft_task_unref(task);
    return 0;
}

static int visit_somewhere(uint32_t dice)
{
    struct fiber_visit visit;
    int status = fiber_visit(&visit, loop_at(dice));
    if (status < 0)
        return status;
    status = dice % 2 == 0 ? weft_yield() : 0;
    fiber_visit_end(&visit);
    return status;
}

static int live(void *arg, void **result_out);

static int be_in_a_group(uint32_t dice)
{
    struct weft_group group = WEFT_GROUP_INIT;
    int status = weft_group_enter(&group);
    for (uint32_t i = 0; status == 0 && i < 1 + dice % 3; i++) {
        struct fate *fate = fate_new(0);
        struct weft_coro *coro;
        struct weft_task *task;
        CHECK_EQ(weft_fiber_new(live, fate, NULL, &coro), 0);
        CHECK_EQ(weft_group_create_task(&group, coro, NULL, &task), 0);
        CHECK_EQ(weft_future_add_done_callback(&task->future, count_end, &end_counts[fate->number], NULL), 0);
        weft_task_unref(task);
    }
    status = weft_group_exit(&group, status);
    weft_group_fini(&group);
    return status;
}

static int act(struct fate *fate)
{
    uint32_t dice = scene_random(&fate->seed);
    switch (scene_random(&fate->seed) % 12) {
    case 0:
        return weft_sleep(dice % 50000);
    case 1:
    case 2:
        return fate->depth > 0 ? await_leaf(dice) : weft_yield();
    case 3:
        return meet(dice);
    case 4:
        return dice % 4 == 0 ? cancel_somebody(dice >> 2) : fiber_pause();
    case 5:
    case 6:
        return visit_somewhere(dice);
    case 7:
        return fate->depth > 0 && dice % 4 == 0 ? be_in_a_group(dice >> 2) : weft_yield();
    default:
        return weft_yield();
    }
}

/* A life: some acts, each seen by the next, and the loop's things found right after each. */
static int live(void *arg, void **result_out)
{
    (void)result_out;
    struct fate *fate = arg;
    count_run(fate);
    struct weft_task *task = scene_task_here();
    int status = 0;
    for (uint32_t i = scene_random(&fate->seed) % 6; status == 0 && i > 0; i--) {
        struct weft_loop *before = weft_get_running_loop();
        status = act(fate);
        CHECK(status == 0 || status == -ECANCELED);
        CHECK(scene_task_here() == task);
        struct weft_loop *here = weft_get_running_loop();
        CHECK_EQ(weft_task_ran_on(task), here->index);
        if (here != before)
            (void)weft_atomic_add_relaxed(&moved_count, 1);
    }
    return status;
}

static struct weft_task *launch_life(uint32_t dice)
{
    struct fate *fate = fate_new(1);
    struct weft_coro *coro;
    CHECK_EQ(weft_fiber_new(live, fate, NULL, &coro), 0);
    return launch(loop_at(dice), coro, fate, dice % 16 == 0);
}

static void await_end(struct weft_task *task, bool is_outside)
{
    if (task == NULL)
        return;
    if (is_outside)
        (void)weft_future_wait(&task->future, -1, NULL);
    else
        (void)weft_await(&task->future, NULL);
    weft_task_unref(task);
}

static void drive(uint64_t seed, bool is_outside)
{
    struct weft_task *tasks[UNDER_WAY_MAX] = {NULL};
    for (uint32_t i = 0; weft_atomic_load_relaxed(&stealable_count) < tasks_wanted; i = (i + 1) % UNDER_WAY_MAX) {
        await_end(tasks[i], is_outside);
        tasks[i] = scene_random(&seed) % 2 == 0 ? launch_life(scene_random(&seed)) : launch_leaf(scene_random(&seed));
    }
    for (int i = 0; i < UNDER_WAY_MAX; i++)
        await_end(tasks[i], is_outside);
}

static int drive_in_fiber(void *arg, void **result_out)
{
    (void)result_out;
    drive((uintptr_t)arg + 7, false);
    return 0;
}

static void *drive_in_thread(void *arg)
{
    drive((uintptr_t)arg + 7, true);
    return NULL;
}

/* ---- pinned order ----------------------------------------------------------------------------------------------------------------- */

static bool is_stormy(void)
{
    return weft_atomic_load_relaxed(&is_over) == 0;
}

static int turns[LOOPS]; /* plain: each is one loop's */

/* Two of these alternate strictly. */
static int alternate(void *arg, void **result_out)
{
    (void)result_out;
    int me = (int)(uintptr_t)arg, *turn = &turns[weft_get_running_loop()->index];
    while (is_stormy()) {
        CHECK_EQ(*turn, me);
        *turn = 1 - me;
        CHECK_EQ(weft_yield(), 0);
    }
    *turn = 1 - me;
    return 0;
}

static int check_turns(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    struct weft_task *pair[2]; /* made in one iteration */
    for (uintptr_t i = 0; i < 2; i++)
        pair[i] = scene_spawn(weft_get_running_loop(), alternate, (void *)i);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_await(&pair[i]->future, NULL), 0);
        weft_task_unref(pair[i]);
    }
    return 0;
}

/* What was queued runs in that order, and in one iteration. */
struct queue_check {
    uint64_t iteration;
    uint32_t next;
    struct queued {
        struct queue_check *check;
        struct weft_future *gate;
        uint32_t place;
    } queued[2 * QUEUED];
};

static void check_place(struct queued *queued)
{
    struct queue_check *check = queued->check;
    CHECK_EQ(queued->place, check->next);
    uint64_t iteration = weft_get_running_loop()->counters.turns;
    CHECK(check->next == 0 || check->iteration == iteration);
    check->iteration = iteration;
    check->next++;
}

static int queued_callback(void *arg)
{
    check_place(arg);
    return 0;
}

static int queued_done_callback(struct weft_future *future, void *arg)
{
    (void)future;
    check_place(arg);
    return 0;
}

static int queued_waiter(void *arg, void **result_out)
{
    (void)result_out;
    struct queued *queued = arg;
    CHECK_EQ(weft_await(queued->gate, NULL), 0);
    check_place(queued);
    return 0;
}

static void check_callbacks(struct queue_check *check)
{
    for (uint32_t i = 0; i < QUEUED; i++) {
        check->queued[i] = (struct queued){check, NULL, i};
        CHECK_EQ(weft_loop_call_soon(weft_get_running_loop(), queued_callback, &check->queued[i], NULL, NULL), 0);
    }
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(check->next, QUEUED);
}

static int open_gate(void *arg, void **result_out)
{
    (void)result_out;
    return weft_future_set_result(arg, NULL);
}

/* Waiters and callbacks of a future that some stealable task completes somewhere. */
static void check_waiters(struct queue_check *check)
{
    struct weft_loop *loop = weft_get_running_loop();
    struct weft_future *gate = scene_future(loop);
    struct weft_task *tasks[QUEUED];
    for (uint32_t i = 0; i < QUEUED; i++) {
        check->queued[2 * i] = (struct queued){check, gate, 2 * i};
        check->queued[2 * i + 1] = (struct queued){check, gate, 2 * i + 1};
        tasks[i] = scene_spawn(loop, queued_waiter, &check->queued[2 * i]);
        CHECK_EQ(weft_yield(), 0); /* it hangs there now */
        CHECK_EQ(weft_future_add_done_callback(gate, queued_done_callback, &check->queued[2 * i + 1], NULL), 0);
    }
    CHECK_EQ(weft_loop_spawn_fiber(loop, open_gate, gate, NULL), 0);
    for (uint32_t i = 0; i < QUEUED; i++) {
        CHECK_EQ(weft_await(&tasks[i]->future, NULL), 0);
        weft_task_unref(tasks[i]);
    }
    CHECK_EQ(check->next, 2 * QUEUED);
    weft_future_unref(gate);
}

static int check_orders(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    struct weft_loop *home = weft_get_running_loop();
    do {
        struct queue_check callbacks = {.next = 0}, waiters = {.next = 0};
        check_callbacks(&callbacks);
        check_waiters(&waiters);
        CHECK(weft_get_running_loop() == home);
    } while (is_stormy());
    return 0;
}

static struct weft_task *create(struct weft_loop *loop, weft_fiber_fn *fn)
{
    struct weft_coro *coro;
    struct weft_task *task;
    CHECK_EQ(weft_fiber_new(fn, NULL, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop, coro, NULL, &task), 0);
    return task;
}

/* ---- both ------------------------------------------------------------------------------------------------------------------------- */

static void join(struct weft_task *task)
{
    CHECK_EQ(weft_future_wait(&task->future, -1, NULL), 0);
    weft_task_unref(task);
}

static bool have_all_ended(void *arg)
{
    (void)arg;
    return weft_atomic_load_acquire(&ended_count) == weft_atomic_load_relaxed(&numbers); /* Pairs with the acq_rel in count_end() */
}

static void prepare(void)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    const char *given = getenv("WEFT_STRESS_TASKS");
    tasks_wanted = given != NULL ? strtoull(given, NULL, 10) : TASKS;
    numbers_max = 2 * tasks_wanted + 10000; /* some are pinned */
    run_counts = calloc(numbers_max, sizeof(*run_counts));
    end_counts = calloc(numbers_max, sizeof(*end_counts));
    fates = calloc(numbers_max, sizeof(*fates));
    CHECK(run_counts != NULL && end_counts != NULL && fates != NULL);
    options.loops = LOOPS;
    CHECK_EQ(weft_runtime_create(&options, &runtime), 0);
    CHECK_EQ(weft_runtime_start(runtime), 0);
}

static void storm(void)
{
    struct weft_task *drivers[DRIVERS];
    pthread_t threads[OUTSIDE];
    for (uintptr_t i = 0; i < DRIVERS; i++)
        CHECK_EQ(weft_loop_spawn_fiber(loop_at((uint32_t)i), drive_in_fiber, (void *)i, &drivers[i]), 0);
    for (uintptr_t i = 0; i < OUTSIDE; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, drive_in_thread, (void *)(DRIVERS + i)), 0);
    for (int i = 0; i < DRIVERS; i++)
        join(drivers[i]);
    for (int i = 0; i < OUTSIDE; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void end(void)
{
    CHECK(wait_until(have_all_ended, NULL, 20000));
    CHECK_EQ(weft_runtime_shutdown(runtime, 20 * SECOND), 0);
    weft_runtime_destroy(runtime);
    for (int i = 0; i < MEETINGS; i++)
        weft_future_unref(meetings[i]);
    for (uint64_t i = 0; i < numbers; i++)
        CHECK_EQ(end_counts[i], 1);
    free(run_counts);
    free(end_counts);
    free(fates);
    printf("%llu tasks, %llu of them stealable; %llu moves\n", (unsigned long long)numbers, (unsigned long long)stealable_count,
           (unsigned long long)moved_count);
}

Test(spawn_storm, ends_each_task_once_and_leaves_pinned_order_alone, .timeout = 800)
{
    struct weft_task *checkers[2 * LOOPS];
    prepare();
    for (uint32_t i = 0; i < LOOPS; i++) {
        checkers[2 * i] = create(loop_at(i), check_turns);
        checkers[2 * i + 1] = create(loop_at(i), check_orders);
    }
    storm();
    weft_atomic_store_relaxed(&is_over, 1);
    for (int i = 0; i < 2 * LOOPS; i++)
        join(checkers[i]);
    end();
    CHECK(moved_count > 0);
}
