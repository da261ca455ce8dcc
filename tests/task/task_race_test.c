/*
 * Tasks between threads: cancelled from anywhere while they wake, looked up and walked over while they come and go. What must hold is
 * conservation: each task ends exactly once, nothing stays registered, no stack stays in use.
 */
#include <sched.h>
#include <stdlib.h>

#include "lib/task/fiber.h"
#include "lib/task/task.h"
#include "tests/support/wait.h"
#include "tests/task/scene.h"
#include "weft/atomic.h"
#include "weft/step.h"

enum {
    LOOPS = 2,
    TASKS = TEST_IS_SLOW ? 200 : 1000,
    ROUNDS = TEST_IS_SLOW ? 10 : 40,
    STAYING = 100, /* tasks that are there all the time */
    WALKS = TEST_IS_SLOW ? 200 : 1000,
};

static struct scene_thread loops[LOOPS];
static struct weft_task *tasks[TASKS];
static struct weft_future *futures[TASKS];
static uint32_t ends[TASKS];
static uint32_t is_over;
static uint64_t ids[TASKS];

static void loops_start(void)
{
    for (int i = 0; i < LOOPS; i++)
        scene_thread_start(&loops[i]);
}

static int count_stacks(void *arg)
{
    struct weft_loop *loop = weft_get_running_loop();
    weft_atomic_store_relaxed((size_t *)arg, fiber_stack_count(loop) + 1);
    return 0;
}

static bool is_set(void *word)
{
    return weft_atomic_load_relaxed((size_t *)word) != 0;
}

/* No loop has a stack in use: each is asked in its own thread. */
static void no_stack_is_left(void)
{
    static size_t counts[LOOPS];
    for (int i = 0; i < LOOPS; i++) {
        weft_atomic_store_relaxed(&counts[i], 0);
        CHECK_EQ(weft_loop_call_soon_threadsafe(loops[i].loop, count_stacks, &counts[i], NULL, NULL), 0);
        CHECK(wait_until(is_set, &counts[i], 10000));
        CHECK_EQ(weft_atomic_load_relaxed(&counts[i]), 1);
    }
}

static void loops_stop(void)
{
    no_stack_is_left();
    for (int i = 0; i < LOOPS; i++)
        scene_thread_stop(&loops[i]);
}

static struct weft_task *start(struct weft_loop *loop, struct weft_coro *coro)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_task_threadsafe(loop, coro, NULL, &task), 0);
    return task;
}

static struct weft_task *spawn_on(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_coro *coro;
    CHECK_EQ(weft_fiber_new(fn, arg, NULL, &coro), 0);
    return start(loop, coro);
}

/* ---- cancelling against waking ---------------------------------------------------------------------------------------------------- */

/* Wait in every way there is, and take no notice of being cancelled, a few times. */
static int wait_every_way(void *arg, void **result_out)
{
    intptr_t self = (intptr_t)arg;
    int raised = 0, cancelled = 0;
    for (int i = 0; i < 8 && cancelled < 4; i++) {
        struct weft_future *future = futures[(self * 31 + i * 7) % TASKS];
        int status = 0;
        switch ((self + i) % 4) {
        case 0:
            status = weft_await_flags(future, WEFT_AWAIT_DETACH, NULL);
            break;
        case 1:
            status = weft_sleep(1000 * (self % 50));
            break;
        case 2:
            status = weft_wait_for(future, 50000, NULL);
            break;
        default:
            status = weft_yield();
        }
        CHECK(status == 0 || status == -ECANCELED || status == -ETIMEDOUT);
        cancelled += status == -ECANCELED;
        raised = status < 0 ? status : raised;
    }
    *result_out = arg;
    return raised == -ETIMEDOUT ? 0 : raised;
}

/* The same without a stack. */
static int step_every_way(struct weft_step *step, void *state, int status)
{
    intptr_t self = *(intptr_t *)state;
    WEFT_STEP_BEGIN(step, status);
    WEFT_STEP_AWAIT(step, futures[self], status);
    WEFT_STEP_YIELD(step, status);
    WEFT_STEP_AWAIT(step, futures[(self + 1) % TASKS], status);
    WEFT_STEP_YIELD(step, status);
    WEFT_STEP_END(step, state);
}

static int count_end(struct weft_future *future, void *arg)
{
    CHECK(weft_future_done(future));
    (void)weft_future_exception(future, NULL);
    /* Release: what the task did. Pairs with the acquire in has_ended_once(). */
    (void)weft_atomic_add_acq_rel((uint32_t *)arg, 1);
    return 0;
}

static void start_all(void)
{
    for (intptr_t i = 0; i < TASKS; i++) {
        weft_atomic_store_relaxed(&ends[i], 0);
        futures[i] = scene_future(loops[i % LOOPS].loop);
    }
    for (intptr_t i = 0; i < TASKS; i++) {
        struct weft_loop *home = loops[(i / 2) % LOOPS].loop;
        if (i % 2) {
            struct weft_coro *coro;
            intptr_t *state;
            CHECK_EQ(weft_step_new(step_every_way, NULL, sizeof(*state), &coro, (void **)&state), 0);
            *state = i;
            tasks[i] = start(home, coro);
        } else {
            tasks[i] = spawn_on(home, wait_every_way, (void *)i);
        }
        CHECK_EQ(weft_future_add_done_callback(&tasks[i]->future, count_end, &ends[i], NULL), 0);
    }
}

static void *cancel_at_random(void *arg)
{
    uint64_t seed = (uint64_t)(intptr_t)arg * 77 + 5;
    while (!weft_atomic_load_relaxed(&is_over)) {
        for (int i = 0; i < 16; i++)
            (void)weft_task_cancel(tasks[scene_random(&seed) % TASKS], NULL);
        (void)sched_yield();
    }
    return NULL;
}

static void *complete_in_order(void *arg)
{
    (void)arg;
    for (int i = 0; i < TASKS; i++)
        (void)weft_future_set_result(futures[i], NULL); /* it may be cancelled already */
    return NULL;
}

static bool has_ended_once(void *end)
{
    /* Pairs with the acq_rel in count_end(): the futures that the task waited for go after this. */
    return weft_atomic_load_acquire((uint32_t *)end) == 1;
}

static void wait_for_all(void)
{
    for (int i = 0; i < TASKS; i++)
        CHECK(wait_until(has_ended_once, &ends[i], 30000));
}

Test(task_race, ends_each_task_once_however_it_is_cancelled, .timeout = 120)
{
    loops_start();
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t cancellers[2], completer;
        start_all();
        weft_atomic_store_relaxed(&is_over, 0);
        for (intptr_t i = 0; i < 2; i++)
            CHECK_EQ(pthread_create(&cancellers[i], NULL, cancel_at_random, (void *)(i + round)), 0);
        CHECK_EQ(pthread_create(&completer, NULL, complete_in_order, NULL), 0);
        wait_for_all();
        weft_atomic_store_relaxed(&is_over, 1);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_join(cancellers[i], NULL), 0);
        CHECK_EQ(pthread_join(completer, NULL), 0);
        CHECK_EQ(registry_count(), 0);
        for (int i = 0; i < TASKS; i++) {
            CHECK_EQ(weft_atomic_load_relaxed(&ends[i]), 1);
            weft_task_unref(tasks[i]);
            weft_future_unref(futures[i]);
        }
    }
    loops_stop();
    CHECK_EQ(scene_reports(), 0);
}

/* ---- counting cancellations ------------------------------------------------------------------------------------------------------- */

static size_t is_begun, is_enough;

static int take_back_what_comes(void *arg, void **result_out)
{
    struct weft_task *self = scene_task_here();
    int delivered = 0;
    (void)arg, (void)result_out;
    weft_atomic_store_relaxed(&is_begun, 1);
    while (!weft_atomic_load_relaxed(&is_enough)) {
        int status = weft_yield();
        CHECK(status == 0 || status == -ECANCELED);
        delivered += status < 0;
        if (weft_task_cancelling(self) > 0)
            (void)weft_task_uncancel(self);
    }
    while (weft_task_cancelling(self) > 0)
        (void)weft_task_uncancel(self);
    CHECK(delivered <= TASKS * 10);
    return 0;
}

static void *cancel_one_often(void *task)
{
    for (int i = 0; i < TASKS * 5; i++) {
        CHECK(weft_task_cancel(task, NULL));
        CHECK(weft_task_cancelling(task) >= 0);
    }
    return NULL;
}

Test(task_race, counts_requests_from_many_threads, .timeout = 60)
{
    pthread_t threads[2];
    loops_start();
    struct weft_task *task = spawn_on(loops[0].loop, take_back_what_comes, NULL);
    CHECK(wait_until(is_set, &is_begun, 10000)); /* cancelled before, it would not begin */
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, cancel_one_often, task), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    weft_atomic_store_relaxed(&is_enough, 1);
    CHECK_EQ(weft_future_wait(&task->future, 20 * SECOND, NULL), 0);
    CHECK_EQ(weft_task_cancelling(task), 0);
    weft_task_unref(task);
    loops_stop();
}

/* ---- walking over tasks that come and go ------------------------------------------------------------------------------------------ */

static struct weft_task *staying[STAYING];

static int stay(void *arg, void **result_out)
{
    return weft_await_flags(arg, WEFT_AWAIT_DETACH, result_out);
}

static int come_and_go(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    (void)weft_yield();
    return 0;
}

static void *churn(void *arg)
{
    struct weft_loop *loop = loops[(intptr_t)arg].loop;
    uint64_t seed = (uint64_t)(intptr_t)arg + 1;
    while (!weft_atomic_load_relaxed(&is_over)) {
        struct weft_task *batch[32];
        for (int i = 0; i < 32; i++) {
            batch[i] = spawn_on(loop, come_and_go, NULL);
            weft_atomic_store_relaxed(&ids[scene_random(&seed) % TASKS], weft_atomic_load_relaxed(&batch[i]->id));
        }
        for (int i = 0; i < 32; i++) {
            CHECK_EQ(weft_future_wait(&batch[i]->future, 20 * SECOND, NULL), 0);
            weft_task_unref(batch[i]);
        }
    }
    return NULL;
}

static int compare_pointers(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

/* Walk once: those that stay are all there, and none is there twice. */
static void walk(struct weft_loop *loop)
{
    struct weft_task **found;
    size_t count, stayed = 0;
    CHECK_EQ(weft_all_tasks(loop, &found, &count), 0);
    qsort(found, count, sizeof(*found), compare_pointers);
    for (size_t i = 0; i < count; i++) {
        CHECK(i == 0 || found[i] != found[i - 1]);
        CHECK(loop == NULL || weft_future_get_loop(&found[i]->future) == loop);
    }
    for (size_t i = 0; i < STAYING; i++)
        stayed += bsearch(&staying[i], found, count, sizeof(*found), compare_pointers) != NULL;
    CHECK_EQ(stayed, loop == NULL ? STAYING : STAYING / LOOPS);
    weft_all_tasks_free(found, count);
}

static void *walk_often(void *arg)
{
    for (int i = 0; i < WALKS; i++)
        walk((intptr_t)arg == 0 || i % 2 ? NULL : loops[i / 2 % LOOPS].loop);
    return NULL;
}

static void *look_up_often(void *arg)
{
    uint64_t seed = 4711;
    (void)arg;
    while (!weft_atomic_load_relaxed(&is_over)) {
        struct weft_task *task = weft_task_from_id(weft_atomic_load_relaxed(&ids[scene_random(&seed) % TASKS]));
        if (task != NULL)
            CHECK(weft_future_get_loop(&task->future) != NULL);
        weft_task_unref(task);
        uint64_t id = weft_atomic_load_relaxed(&staying[scene_random(&seed) % STAYING]->id);
        task = weft_task_from_id(id);
        CHECK(task != NULL && weft_atomic_load_relaxed(&task->id) == id);
        weft_task_unref(task);
    }
    return NULL;
}

static bool only_those_that_stay(void *arg)
{
    (void)arg;
    return registry_count() == STAYING;
}

Test(task_race, shows_a_walk_who_stays_while_others_come_and_go, .timeout = 120)
{
    pthread_t churners[LOOPS], walkers[2], finder;
    loops_start();
    struct weft_future *end = scene_future(loops[0].loop);
    for (int i = 0; i < STAYING; i++)
        staying[i] = spawn_on(loops[i % LOOPS].loop, stay, end);
    for (intptr_t i = 0; i < LOOPS; i++)
        CHECK_EQ(pthread_create(&churners[i], NULL, churn, (void *)i), 0);
    for (intptr_t i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&walkers[i], NULL, walk_often, (void *)i), 0);
    CHECK_EQ(pthread_create(&finder, NULL, look_up_often, NULL), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(walkers[i], NULL), 0);
    weft_atomic_store_relaxed(&is_over, 1);
    for (int i = 0; i < LOOPS; i++)
        CHECK_EQ(pthread_join(churners[i], NULL), 0);
    CHECK_EQ(pthread_join(finder, NULL), 0);
    CHECK(wait_until(only_those_that_stay, NULL, 10000)); /* a task is done a moment before it is unregistered */
    CHECK_EQ(weft_future_set_result(end, NULL), 0);
    for (int i = 0; i < STAYING; i++) {
        CHECK_EQ(weft_future_wait(&staying[i]->future, 10 * SECOND, NULL), 0);
        weft_task_unref(staying[i]);
    }
    weft_future_unref(end);
    loops_stop();
}
