/*
 * Futures that are part of somebody else's object: with no table of operations, with one of an author who knew less, with one that decides
 * itself; and a task of somebody else's that is let go of before it is over.
 */
#include <string.h>

#include "lib/task/future.h"
#include "tests/task/scene.h"

struct object {
    struct weft_future future;
    const char *message; /* of the cancellation that was asked for */
    bool is_destroyed;
};

static struct object *object_of(struct weft_future *future)
{
    return (struct object *)(void *)future;
}

static bool refuse_to_cancel(struct weft_future *future, const char *message)
{
    object_of(future)->message = message;
    return false;
}

static void mark_destroyed(struct weft_future *future)
{
    object_of(future)->is_destroyed = true;
}

/* What an author had before there was a table as long as ours: as much of it as is there is not read. */
static const struct weft_future_ops short_ops = {.size = sizeof(size_t), .cancel = refuse_to_cancel};

static const struct weft_future_ops own_ops = {.size = sizeof(own_ops), .cancel = refuse_to_cancel, .destroy = mark_destroyed};

static void cancels_at_once(const struct weft_future_ops *ops)
{
    struct weft_loop *loop = scene_sim_loop();
    struct object object = {.message = NULL};
    CHECK_EQ(weft_future_init(&object.future, loop, ops), 0);
    CHECK(weft_future_cancel(&object.future, "enough"));
    CHECK(weft_future_cancelled(&object.future));
    CHECK(object.message == NULL);
    weft_future_fini(&object.future);
    scene_drop(loop);
}

Test(embedded_future, that_was_never_made_or_is_over_has_nothing_to_end, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future future = {.loop = NULL};
    weft_future_fini(&future);
    CHECK_EQ(weft_future_init(&future, loop, NULL), 0);
    weft_future_fini(&future);
    weft_future_fini(&future);
    CHECK(weft_future_get_loop(&future) == NULL);
    scene_drop(loop);
}

Test(embedded_future, without_a_destructor_is_over_with_its_last_reference, .timeout = 5)
{
    static const struct weft_future_ops bare_ops = {.size = sizeof(bare_ops)};
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future future = {.loop = NULL};
    CHECK_EQ(weft_future_init(&future, loop, &bare_ops), 0);
    weft_future_unref(&future);
    CHECK(weft_future_get_loop(&future) == NULL);
    scene_drop(loop);
}

Test(embedded_future, without_operations_is_cancelled_at_once, .timeout = 5)
{
    cancels_at_once(NULL);
}

Test(embedded_future, of_an_author_who_knew_no_cancel_is_cancelled_at_once, .timeout = 5)
{
    cancels_at_once(&short_ops);
}

Test(embedded_future, without_operations_may_lose_its_last_reference, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future future = {.ops = NULL};
    CHECK_EQ(weft_future_init(&future, loop, NULL), 0);
    CHECK_EQ(weft_future_set_result(&future, NULL), 0);
    weft_future_unref(&future);
    CHECK(future.loop == NULL);
    scene_drop(loop);
}

Test(embedded_future, asks_its_object_to_cancel_and_to_go, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct object object = {.message = NULL};
    CHECK_EQ(weft_future_init(&object.future, loop, &own_ops), 0);
    CHECK(!weft_future_cancel(&object.future, "enough"));
    CHECK_STR(object.message, "enough");
    CHECK(!weft_future_done(&object.future));
    weft_future_unref(&object.future);
    CHECK(object.is_destroyed);
    scene_drop(loop);
}

/* ---- a task that nobody has made ours ------------------------------------------------------------------------------------------- */

struct own_task {
    struct weft_task task;
    bool is_destroyed;
};

static void own_task_destroy(struct weft_task *task)
{
    ((struct own_task *)(void *)task)->is_destroyed = true;
}

static const struct weft_task_ops task_ops = {.size = sizeof(task_ops), .destroy = own_task_destroy};

static const char *told;
static struct weft_task *told_of;

static int remember(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)arg;
    told = exception->message;
    told_of = exception->task;
    return 0;
}

Test(own_task, that_goes_while_it_is_pending_is_reported, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct own_task own = {.is_destroyed = false};
    CHECK_EQ(weft_loop_set_exception_handler(loop, remember, NULL), 0);
    CHECK_EQ(weft_task_init(&own.task, loop, &task_ops, NULL), 0);
    weft_task_unref(&own.task);
    CHECK(own.is_destroyed);
    CHECK_STR(told, "task was destroyed but it is pending");
    CHECK(told_of == &own.task);
    scene_drop(loop);
}

Test(own_task, that_is_over_goes_in_silence, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct own_task own = {.is_destroyed = false};
    CHECK_EQ(weft_loop_set_exception_handler(loop, remember, NULL), 0);
    CHECK_EQ(weft_task_init(&own.task, loop, &task_ops, NULL), 0);
    CHECK_EQ(weft_task_finish(&own.task, 0, NULL), 0);
    CHECK_EQ(weft_task_finish(&own.task, 0, NULL), WEFT_EINVALIDSTATE);
    weft_task_unref(&own.task);
    CHECK(own.is_destroyed);
    CHECK(told == NULL);
    scene_drop(loop);
}

/* Without a cancel of its own it ends where it stands, and is asked how often it was cancelled in vain. */
Test(own_task, without_operations_of_its_own_is_cancelled_at_once, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct own_task own = {.is_destroyed = false};
    CHECK_EQ(weft_task_init(&own.task, loop, &task_ops, NULL), 0);
    CHECK_EQ(weft_register_task(&own.task), 0);
    CHECK_EQ(weft_task_cancelling(&own.task), 0);
    CHECK_EQ(weft_task_uncancel(&own.task), 0);
    CHECK(weft_task_get_coro(&own.task) == NULL);
    CHECK(weft_task_cancel(&own.task, "enough"));
    CHECK(weft_future_cancelled(&own.task.future));
    CHECK(!weft_task_cancel(&own.task, NULL));
    weft_task_unref(&own.task);
    CHECK(own.is_destroyed);
    scene_drop(loop);
}

/* ---- who waits ---------------------------------------------------------------------------------------------------------------------- */

static int await_it(void *arg, void **result_out)
{
    (void)result_out;
    return weft_await(arg, NULL);
}

/* The first is stealable, and among the others is one more behind a pinned one. */
Test(future, wakes_pinned_and_stealable_waiters_together, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future;
    struct weft_task *tasks[3];
    CHECK_EQ(weft_loop_create_future(loop, &future), 0);
    CHECK_EQ(weft_loop_spawn_fiber(loop, await_it, future, &tasks[0]), 0);
    scene_turn(loop);
    CHECK_EQ(weft_loop_create_fiber(loop, await_it, future, &tasks[1]), 0);
    scene_turn(loop);
    CHECK_EQ(weft_loop_spawn_fiber(loop, await_it, future, &tasks[2]), 0);
    scene_turn(loop);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_loop_run_until_complete(loop, &tasks[i]->future, NULL), 0);
        weft_task_unref(tasks[i]);
    }
    weft_future_unref(future);
    scene_drop(loop);
}

static int never_called(struct weft_future *future, void *arg)
{
    (void)future, (void)arg;
    CHECK(false);
    return 0;
}

/* One in a frame holds no reference on its loop, and may end with callbacks on it. */
Test(future, in_a_frame_ends_with_the_callbacks_that_hang_on_it, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future future = {.loop = NULL};
    future_setup_frame(&future, loop);
    CHECK_EQ(weft_future_add_done_callback(&future, never_called, NULL, NULL), 0);
    future_fini_frame(&future);
    CHECK(future.loop == NULL);
    scene_drop(loop);
}

/* A task says for what it waits before it hangs there, and who asks it to stop may come between. */
Test(future_edges, does_not_remove_a_waiter_that_does_not_hang_yet, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    struct waiter hanging = {.loop = loop}, late = {.loop = loop};
    CHECK(future_add_waiter(future, &hanging));
    CHECK(!future_remove_waiter(future, &late));
    CHECK(future_remove_waiter(future, &hanging));
    weft_future_unref(future);
    scene_drop(loop);
}
