/*
 * A loop that closes over tasks: those that wait, those whose wake-up is on its way from other threads, those that are being created,
 * and those that others refer to in circles. Nothing may be left, and no fiber is unwound on a thread that is not its loop's.
 */
#include <sched.h>

#include "lib/task/fiber.h"
#include "lib/task/task.h"
#include "tests/support/oom.h"
#include "tests/support/wait.h"
#include "tests/task/scene.h"
#include "weft/atomic.h"
#include "weft/gather.h"
#include "weft/step.h"

static int sleep_long(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return weft_sleep(3600 * SECOND);
}

static struct weft_task *spawn_on(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, int status_expected)
{
    struct weft_coro *coro;
    struct weft_task *task = NULL;
    CHECK_EQ(weft_fiber_new(fn, arg, NULL, &coro), 0);
    int status = weft_loop_create_task_threadsafe(loop, coro, NULL, &task);
    CHECK(status == 0 || status == status_expected);
    return task;
}

Test(close, lets_go_a_task_that_was_created_from_elsewhere, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    weft_task_unref(spawn_on(loop, sleep_long, NULL, 0)); /* threadsafe creation: nothing else has made use of this loop */
    scene_turn(loop);
    CHECK_EQ(registry_count(), 1);
    scene_drop(loop);
    CHECK_EQ(registry_count(), 0);
    CHECK_EQ(scene_reports(), 1);
}

Test(close, takes_a_task_out_of_the_registry_that_never_ran, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    weft_task_unref(spawn_on(loop, sleep_long, NULL, 0));
    scene_drop(loop);
    CHECK_EQ(registry_count(), 0);
    CHECK_EQ(scene_reports(), 1);
}

/* ---- circles ---------------------------------------------------------------------------------------------------------------------- */

/* Close over what `make` has made of a task that never ends; twice, since the first time the registry makes its table. */
static void leave_nothing(void (*make)(struct weft_loop *loop, struct weft_task *task))
{
    oom_install();
    int64_t live = 0;
    for (int i = 0; i < 2; i++) {
        struct weft_loop *loop = scene_sim_loop();
        struct weft_task *task = scene_spawn(loop, sleep_long, NULL);
        make(loop, task);
        weft_task_unref(task);
        scene_turn(loop);
        scene_drop(loop);
        CHECK(i == 0 || oom_live() == live);
        live = oom_live();
    }
}

static void gather_it(struct weft_loop *loop, struct weft_task *task)
{
    struct weft_future *children[] = {&task->future, &task->future}, *all;
    CHECK_EQ(weft_gather(loop, children, 2, 0, &all), 0);
    weft_future_unref(all);
}

Test(close, lets_go_a_gathering, .timeout = 5)
{
    leave_nothing(gather_it);
}

static void chain_it(struct weft_loop *loop, struct weft_task *task)
{
    struct weft_future *future = scene_future(loop);
    CHECK_EQ(weft_future_chain(&task->future, future), 0);
    weft_future_unref(future);
}

Test(close, lets_go_a_chain, .timeout = 5)
{
    leave_nothing(chain_it);
}

static int await_it(void *arg, void **result_out)
{
    struct weft_task *task = weft_task_ref(arg);
    int status = weft_await(&task->future, result_out);
    weft_task_unref(task);
    return status;
}

static void await_each_other(struct weft_loop *loop, struct weft_task *task)
{
    struct weft_task *second = scene_spawn(loop, await_it, task);
    weft_task_unref(scene_spawn(loop, await_it, second));
    scene_turn(loop);
    weft_task_unref(second);
}

Test(close, lets_go_tasks_that_wait_for_each_other, .timeout = 5)
{
    leave_nothing(await_each_other);
}

/* ---- against other threads -------------------------------------------------------------------------------------------------------- */

enum { ROUNDS = TEST_IS_SLOW ? 300 : 3000, EACH = 8 };

static struct {
    struct weft_loop *loop;
    struct weft_future *futures[EACH];
    pthread_t closer;
    uint32_t is_go;
    uint32_t unwound_elsewhere;
    uint32_t ended;
} race;

static void *close_loop(void *arg)
{
    (void)arg;
    weft_atomic_store_relaxed(&race.is_go, 1);
    CHECK_EQ(weft_loop_close(race.loop), 0);
    return NULL;
}

/* Wait with a timer armed, which belongs to the loop's thread. */
static int wait_for_it(void *arg, void **result_out)
{
    (void)weft_wait_for(arg, 3600 * SECOND, result_out);
    if (weft_get_running_loop() != race.loop)
        (void)weft_atomic_add_relaxed(&race.unwound_elsewhere, 1);
    (void)weft_atomic_add_relaxed(&race.ended, 1);
    return 0;
}

static void race_start(struct weft_loop *loop)
{
    race.loop = loop;
    weft_atomic_store_relaxed(&race.is_go, 0);
    weft_atomic_store_relaxed(&race.ended, 0);
}

static void race_close(void)
{
    CHECK_EQ(pthread_create(&race.closer, NULL, close_loop, NULL), 0);
    while (!weft_atomic_load_relaxed(&race.is_go))
        (void)sched_yield();
}

static void race_end(void)
{
    CHECK_EQ(pthread_join(race.closer, NULL), 0);
    weft_loop_unref(race.loop);
    CHECK_EQ(registry_count(), 0);
}

Test(close, races_with_wake_ups, .timeout = 60)
{
    for (int round = 0; round < ROUNDS; round++) {
        race_start(scene_epoll_loop());
        for (int i = 0; i < EACH; i++) {
            race.futures[i] = scene_future(race.loop);
            weft_task_unref(scene_spawn(race.loop, wait_for_it, race.futures[i]));
        }
        scene_turn(race.loop);
        race_close();
        for (int i = 0; i < EACH; i++)
            CHECK_EQ(weft_future_set_result(race.futures[i], NULL), 0);
        race_end();
        CHECK_EQ(weft_atomic_load_relaxed(&race.ended), EACH);
        for (int i = 0; i < EACH; i++)
            weft_future_unref(race.futures[i]);
    }
    CHECK_EQ(weft_atomic_load_relaxed(&race.unwound_elsewhere), 0);
}

Test(close, races_with_cancellations, .timeout = 60)
{
    struct weft_task *tasks[EACH];
    for (int round = 0; round < ROUNDS; round++) {
        race_start(scene_epoll_loop());
        for (int i = 0; i < EACH; i++)
            tasks[i] = scene_spawn(race.loop, i % 2 ? sleep_long : wait_for_it, race.futures[i] = scene_future(race.loop));
        scene_turn(race.loop);
        race_close();
        for (int i = 0; i < EACH; i++) {
            (void)weft_task_cancel(tasks[i], NULL);
            weft_task_unref(tasks[i]);
        }
        race_end();
        for (int i = 0; i < EACH; i++)
            weft_future_unref(race.futures[i]);
    }
    CHECK_EQ(weft_atomic_load_relaxed(&race.unwound_elsewhere), 0);
}

static int step_once(struct weft_step *step, void *state, int status)
{
    (void)state, (void)status;
    return weft_step_return(step, NULL);
}

Test(close, races_with_creation, .timeout = 60)
{
    for (int round = 0; round < ROUNDS; round++) {
        race_start(scene_epoll_loop());
        race_close();
        for (int i = 0; i < EACH; i++) {
            struct weft_coro *coro;
            CHECK_EQ(weft_step_new(step_once, NULL, 0, &coro, NULL), 0);
            int status = weft_loop_create_task_threadsafe(race.loop, coro, NULL, NULL);
            CHECK(status == 0 || status == WEFT_ECLOSED);
            weft_task_unref(spawn_on(race.loop, sleep_long, NULL, WEFT_ECLOSED));
        }
        race_end();
    }
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void *run_loop(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_loop_run_forever(race.loop), 0);
    weft_atomic_store_relaxed(&race.is_go, 1);
    CHECK_EQ(weft_loop_close(race.loop), 0);
    return NULL;
}

/* The loop sleeps, and each post that wakes it is on its way to the poller while the loop stops and closes. */
Test(close, races_with_the_wake_up_of_a_post, .timeout = 60)
{
    for (int round = 0; round < ROUNDS; round++) {
        race_start(scene_epoll_loop());
        CHECK_EQ(weft_loop_call_later(race.loop, 20000, do_nothing, NULL, NULL), 0);
        CHECK_EQ(pthread_create(&race.closer, NULL, run_loop, NULL), 0);
        CHECK_EQ(weft_loop_stop(race.loop), 0);
        for (int i = 0; i < EACH; i++) {
            int status = weft_loop_call_soon_threadsafe(race.loop, do_nothing, NULL, NULL, NULL);
            CHECK(status == 0 || status == WEFT_ECLOSED);
        }
        race_end();
    }
}
