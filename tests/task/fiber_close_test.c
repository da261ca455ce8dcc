/*
 * Fibers whose loop closes over them, and fibers for which there is no memory. Whatever a body holds it must get to let go of.
 */
#include "lib/task/fiber.h"

#include <stdlib.h>

#include "lib/task/task.h"
#include "tests/support/oom.h"
#include "tests/task/scene.h"
#include "weft/group.h"

/* What a body waits with, what it was told, and what it held meanwhile: memory that a leak check would miss. */
struct body {
    int (*wait)(struct weft_future *future);
    struct weft_future *future;
    int status;
    int later; /* what the waits after the first one gave */
    bool has_ended;
};

static int wait_and_hold(void *arg, void **result_out)
{
    struct body *body = arg;
    void *held = malloc(100);
    (void)result_out;
    body->status = body->wait(body->future);
    body->later = weft_yield();
    CHECK_EQ(weft_sleep(SECOND), body->later);
    CHECK_EQ(weft_wait_for(body->future, SECOND, NULL), body->later);
    free(held);
    body->has_ended = true;
    return 0;
}

static void close_over(int (*wait)(struct weft_future *future))
{
    struct weft_loop *loop = scene_sim_loop();
    struct body body = {.wait = wait, .future = scene_future(loop)};
    struct weft_task *task = scene_spawn(loop, wait_and_hold, &body);
    scene_turn(loop);
    CHECK(!body.has_ended);
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK(body.has_ended);
    CHECK_EQ(body.status, WEFT_ECLOSED);
    CHECK_EQ(body.later, WEFT_ECLOSED);
    CHECK(weft_future_done(&task->future));
    weft_task_unref(task);
    weft_future_unref(body.future);
    weft_loop_unref(loop);
    CHECK_EQ(scene_reports(), 1); /* it was destroyed but it is pending */
}

static int by_await(struct weft_future *future)
{
    return weft_await(future, NULL);
}

static int by_detached_await(struct weft_future *future)
{
    return weft_await_flags(future, WEFT_AWAIT_DETACH, NULL);
}

static int by_yield(struct weft_future *future)
{
    (void)future;
    return weft_yield();
}

static int by_sleep(struct weft_future *future)
{
    (void)future;
    return weft_sleep(3600 * SECOND);
}

static int by_wait_for(struct weft_future *future)
{
    return weft_wait_for(future, 3600 * SECOND, NULL);
}

static int by_group(struct weft_future *future)
{
    struct weft_group group = {0};
    CHECK_EQ(weft_group_enter(&group), 0);
    CHECK_EQ(weft_group_spawn_fiber(&group, (weft_fiber_fn *)(void *)NULL, NULL, NULL), -EINVAL);
    (void)future;
    int status = weft_group_exit(&group, weft_sleep(3600 * SECOND));
    CHECK_EQ(weft_group_failure(&group, 0), WEFT_ECLOSED);
    weft_group_fini(&group);
    return status;
}

Test(closing_fiber, returns_from_an_await, .timeout = 5)
{
    close_over(by_await);
}

Test(closing_fiber, returns_from_a_detached_await, .timeout = 5)
{
    close_over(by_detached_await);
}

Test(closing_fiber, returns_from_a_yield, .timeout = 5)
{
    close_over(by_yield);
}

Test(closing_fiber, returns_from_a_sleep, .timeout = 5)
{
    close_over(by_sleep);
}

Test(closing_fiber, returns_from_wait_for, .timeout = 5)
{
    close_over(by_wait_for);
}

static int by_empty_group(struct weft_future *future)
{
    int status = by_group(future);
    CHECK_EQ(status, WEFT_EGROUP); /* the body of the group failed, with WEFT_ECLOSED */
    return WEFT_ECLOSED;
}

Test(closing_fiber, returns_through_a_group, .timeout = 5)
{
    close_over(by_empty_group);
}

static int return_quietly(void *arg, void **result_out)
{
    (void)result_out;
    *(bool *)arg = true;
    return 0;
}

Test(closing_fiber, that_never_began_does_not_begin, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    bool has_run = false;
    weft_task_unref(scene_spawn(loop, return_quietly, &has_run));
    scene_drop(loop);
    CHECK(!has_run);
    CHECK_EQ(scene_reports(), 1);
}

/* A body that lets go what others wait for: their wake-ups are queued while the loop closes. */
struct chain {
    struct weft_future *awaited;
    struct weft_future *promised;
};

static int await_then_complete(void *arg, void **result_out)
{
    struct chain *chain = arg;
    (void)result_out;
    int status = weft_await(chain->awaited, NULL);
    CHECK_EQ(weft_future_set_result(chain->promised, NULL), 0);
    return status;
}

static int never_called(struct weft_future *future, void *arg)
{
    (void)future, (void)arg;
    CHECK(!"called on a closed loop");
    return 0;
}

static void *complete_from_elsewhere(void *future)
{
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    return NULL;
}

static void close_over_a_chain(bool is_wake_up_posted)
{
    int64_t live = oom_live();
    struct weft_loop *loop = scene_sim_loop();
    struct chain chain = {scene_future(loop), scene_future(loop)};
    CHECK_EQ(weft_future_add_done_callback(chain.promised, never_called, NULL, NULL), 0);
    weft_task_unref(scene_spawn(loop, await_then_complete, &chain));
    scene_turn(loop);
    pthread_t thread;
    if (is_wake_up_posted) { /* then it lies in the inbox */
        CHECK_EQ(pthread_create(&thread, NULL, complete_from_elsewhere, chain.awaited), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK(weft_future_done(chain.promised));
    weft_future_unref(chain.awaited);
    weft_future_unref(chain.promised);
    weft_loop_unref(loop);
    CHECK_EQ(scene_reports(), 1);
    CHECK(live == 0 || oom_live() == live); /* the first time the registry makes its table */
}

Test(closing_fiber, may_complete_futures, .timeout = 5)
{
    oom_install();
    close_over_a_chain(false);
    close_over_a_chain(false);
}

Test(closing_fiber, may_complete_futures_with_its_wake_up_posted, .timeout = 5)
{
    oom_install();
    close_over_a_chain(true);
    close_over_a_chain(true);
}

static int start_another(void *arg, void **result_out)
{
    (void)result_out;
    int status = weft_sleep(SECOND);
    CHECK_EQ(status, WEFT_ECLOSED);
    CHECK_EQ(weft_loop_create_fiber(arg, start_another, arg, NULL), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_call_soon(arg, NULL, NULL, NULL, NULL), WEFT_ECLOSED);
    return 0;
}

Test(closing_fiber, cannot_start_another, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    weft_task_unref(scene_spawn(loop, start_another, loop));
    scene_turn(loop);
    scene_drop(loop);
    CHECK_EQ(scene_reports(), 1);
}

static int64_t waits;

static int never_listen(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (;;) {
        waits++;
        (void)weft_yield();
    }
    return 0;
}

/* Its stack and what is known about it stay, since somebody may point into it. */
Test(closing_fiber, that_does_not_listen_is_given_up, .timeout = 5)
{
#if TEST_ASAN
    extern void __lsan_disable(void);
    __lsan_disable();
#endif
    test_ignore_stacks(); /* the body's: it may be referred to */
    struct weft_loop *loop = scene_sim_loop();
    weft_task_unref(scene_spawn(loop, never_listen, NULL));
    scene_turn(loop);
    scene_drop(loop);
    CHECK(waits > 100 && waits < 100000);
    CHECK_EQ(scene_reports(), 1);
}

/* ---- out of memory -------------------------------------------------------------------------------------------------------------- */

static int sleep_and_await(void *arg, void **result_out)
{
    (void)result_out;
    int status = weft_sleep(MILLISECOND);
    return status < 0 ? status : weft_wait_for(arg, MILLISECOND, NULL);
}

/* A whole life, with each allocation refused in turn; what it came to, or 0. */
static int live_once(void)
{
    struct weft_loop *loop;
    struct weft_future *future = NULL;
    struct weft_task *task = NULL;
    int status = weft_loop_new(weft_loop_kind_sim(), 0, &loop);
    if (status < 0)
        return status;
    status = weft_loop_create_future(loop, &future);
    if (status >= 0)
        status = weft_loop_create_fiber(loop, sleep_and_await, future, &task);
    if (status >= 0)
        status = weft_loop_run_until_complete(loop, &task->future, NULL);
    weft_task_unref(task);
    weft_future_unref(future);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
    return status;
}

Test(fiber_memory, out_of_it_anywhere_is_a_status, .timeout = 20)
{
    oom_install();
    CHECK_EQ(live_once(), -ETIMEDOUT);
    int64_t live = oom_live(); /* the registry's first table stays */
    uint64_t n = 1;
    for (;; n++) {
        oom_start(n);
        int status = live_once();
        if (!oom_stop())
            break;
        CHECK_EQ(status, -ENOMEM);
        CHECK_EQ(oom_live(), live);
        CHECK_EQ(registry_count(), 0);
    }
    CHECK(n > 5);
}

static int end_and_cancel_without_memory(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    CHECK_EQ(weft_yield(), 0);
    return weft_sleep(SECOND);
}

Test(fiber_memory, is_not_needed_to_wake_cancel_and_close, .timeout = 5)
{
    oom_install();
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *cancelled = scene_spawn(loop, end_and_cancel_without_memory, NULL);
    struct weft_task *closed = scene_spawn(loop, end_and_cancel_without_memory, NULL);
    scene_turn(loop);
    scene_turn(loop); /* both sleep */
    oom_start_from(1);
    CHECK(weft_task_cancel(cancelled, NULL));
    scene_turn(loop);
    CHECK(weft_future_cancelled(&cancelled->future));
    weft_task_unref(cancelled);
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK_EQ(oom_asked(), 0);
    CHECK(!oom_stop());
    weft_task_unref(closed);
    weft_loop_unref(loop);
    CHECK_EQ(scene_reports(), 1);
}
