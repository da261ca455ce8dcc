/*
 * A task type of a third party's, made by a task factory: driven from callbacks, with public headers alone.
 *
 * It does with any coroutine what the library's own tasks do: it enters, sends, leaves, and waits by done callback. So fibers and steps,
 * groups, gathering and the registry work on it without knowing it.
 */
#include <errno.h>
#include <stdint.h>

#include "tests/support/test.h"
#include "weft/fiber.h"
#include "weft/gather.h"
#include "weft/group.h"
#include "weft/lock.h"
#include "weft/loop.h"
#include "weft/memory.h"
#include "weft/status.h"
#include "weft/task.h"

struct own_task {
    struct weft_task task; /* first */
    struct weft_coro *coro;
    struct weft_future *waits_for;
    int raise; /* at the next step */
    int cancelling;
};

static struct own_task *own(const struct weft_task *task)
{
    return (struct own_task *)(uintptr_t)task;
}

static int live_count; /* own tasks that were made and not destroyed */

static int own_step(void *arg);

static int own_awaited(struct weft_future *future, void *arg)
{
    struct own_task *self = arg;
    self->waits_for = NULL;
    weft_future_unref(future);
    return own_step(arg);
}

/* Over: the coroutine goes before the waiters hear of it. */
static void own_end(struct own_task *self, int status, void *value)
{
    self->coro->ops->close(self->coro);
    self->coro = NULL;
    CHECK_EQ(weft_task_finish(&self->task, status, value), 0);
}

static int own_suspended(struct own_task *self, int state, const struct weft_suspend *suspend)
{
    if (state == WEFT_CORO_YIELD)
        return weft_loop_call_soon(self->task.future.loop, own_step, self, NULL, NULL);
    self->waits_for = weft_future_ref(suspend->future);
    return weft_future_add_done_callback(suspend->future, own_awaited, self, NULL);
}

static int own_step(void *arg)
{
    struct own_task *self = arg;
    struct weft_loop *loop = weft_future_get_loop(&self->task.future);
    struct weft_suspend suspend = {.future = NULL};
    int raise = self->raise;
    self->raise = 0;
    CHECK_EQ(weft_enter_task(loop, &self->task), 0);
    int state = self->coro->ops->send(self->coro, raise, &suspend);
    CHECK_EQ(weft_leave_task(loop, &self->task), 0);
    if (state > 0)
        return own_suspended(self, state, &suspend);
    own_end(self, state, suspend.value);
    return 0;
}

static void own_destroy(struct weft_task *task)
{
    CHECK(own(task)->coro == NULL && own(task)->waits_for == NULL);
    weft_free(task);
    live_count--;
}

static bool own_cancel(struct weft_task *task, const char *message)
{
    struct own_task *self = own(task);
    if (weft_future_done(&task->future))
        return false;
    self->cancelling++;
    if (self->waits_for == NULL || !weft_future_cancel(self->waits_for, message))
        self->raise = -ECANCELED;
    return true;
}

static int own_cancelling(const struct weft_task *task)
{
    return own(task)->cancelling;
}

static int own_uncancel(struct weft_task *task)
{
    return own(task)->cancelling > 0 ? --own(task)->cancelling : 0;
}

static struct weft_coro *own_get_coro(const struct weft_task *task)
{
    return own(task)->coro;
}

static const struct weft_task_ops own_ops = {
    .size = sizeof(own_ops),
    .destroy = own_destroy,
    .cancel = own_cancel,
    .cancelling = own_cancelling,
    .uncancel = own_uncancel,
    .get_coro = own_get_coro,
};

/* The factory. `arg` counts its calls. */
static int make_own(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, void *arg,
                    struct weft_task **task_out)
{
    struct own_task *self = weft_calloc(1, sizeof(*self));
    CHECK(self != NULL);
    self->coro = coro;
    CHECK_EQ(weft_task_init(&self->task, loop, &own_ops, options == NULL ? NULL : options->context), 0);
    CHECK_EQ(weft_register_task(&self->task), 0);
    CHECK_EQ(weft_loop_call_soon(loop, own_step, self, NULL, NULL), 0);
    live_count++;
    ++*(int *)arg;
    *task_out = &self->task;
    return 0;
}

static int refuse(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, void *arg,
                  struct weft_task **task_out)
{
    (void)loop;
    (void)options;
    (void)arg;
    (void)task_out;
    coro->ops->close(coro); /* as weft_task_new() does when it fails */
    return -EDQUOT;
}

static int made_count;

static struct weft_loop *open_loop(void)
{
    struct weft_loop *loop;
    CHECK_EQ(weft_loop_new(NULL, 0, &loop), 0);
    CHECK(weft_loop_get_task_factory(loop) == NULL);
    CHECK_EQ(weft_loop_set_task_factory(loop, make_own, &made_count), 0);
    CHECK(weft_loop_get_task_factory(loop) == make_own);
    return loop;
}

static void close_loop(struct weft_loop *loop)
{
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
    CHECK_EQ(live_count, 0);
}

static int is_current(struct weft_task *expected)
{
    struct weft_task *task;
    CHECK_EQ(weft_current_task(&task), 0);
    return task == expected;
}

/* ---- tests ---------------------------------------------------------------------------------------------------------------------- */

static struct weft_task *main_task;

static int wait_in_every_way(void *arg, void **result_out)
{
    void *value = NULL;
    CHECK(is_current(main_task));
    CHECK_EQ(weft_await(arg, &value), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK(is_current(main_task));
    *result_out = value;
    return 0;
}

static int complete(void *future)
{
    return weft_future_set_result(future, "value");
}

Test(own_task, of_a_factory_runs_a_fiber_and_is_current_and_listed, .timeout = 5)
{
    struct weft_loop *loop = open_loop();
    struct weft_future *future;
    struct weft_task **tasks;
    size_t count;
    void *value;
    CHECK_EQ(weft_loop_create_future(loop, &future), 0);
    CHECK_EQ(weft_loop_create_fiber(loop, wait_in_every_way, future, &main_task), 0);
    CHECK_EQ(made_count, 1);
    CHECK(weft_task_get_coro(main_task) == own(main_task)->coro);
    CHECK_EQ(weft_all_tasks(loop, &tasks, &count), 0);
    CHECK(count == 1 && tasks[0] == main_task);
    weft_all_tasks_free(tasks, count);
    CHECK_EQ(weft_loop_call_soon(loop, complete, future, NULL, NULL), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &main_task->future, &value), 0);
    CHECK_STR(value, "value");
    CHECK_EQ(weft_all_tasks(loop, &tasks, &count), 0);
    CHECK_EQ(count, 0);
    weft_all_tasks_free(tasks, count);
    weft_task_unref(main_task);
    weft_future_unref(future);
    close_loop(loop);
}

static int wait_for(void *arg, void **result_out)
{
    return weft_await(arg, result_out);
}

Test(own_task, is_cancelled_where_it_waits, .timeout = 5)
{
    struct weft_loop *loop = open_loop();
    struct weft_future *future;
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_future(loop, &future), 0);
    CHECK_EQ(weft_loop_create_fiber(loop, wait_for, future, &task), 0);
    CHECK_EQ(weft_loop_stop(loop), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK(weft_task_cancel(task, "enough"));
    CHECK_EQ(weft_task_cancelling(task), 1);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), -ECANCELED);
    CHECK(weft_future_cancelled(&task->future) && weft_future_cancelled(future));
    CHECK_EQ(weft_task_uncancel(task), 0);
    CHECK(!weft_task_cancel(task, NULL));
    weft_task_unref(task);
    weft_future_unref(future);
    close_loop(loop);
}

static int yield_and_say(void *word, void **result_out)
{
    *result_out = word;
    return weft_yield();
}

static int gather_and_group(void *arg, void **result_out)
{
    struct weft_loop *loop = arg;
    struct weft_task *tasks[2];
    struct weft_future *futures[2], *both;
    void *value;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_loop_create_fiber(loop, yield_and_say, i == 0 ? "left" : "right", &tasks[i]), 0);
        futures[i] = &tasks[i]->future;
    }
    CHECK_EQ(weft_gather(loop, futures, 2, 0, &both), 0);
    CHECK_EQ(weft_await(both, &value), 0);
    const struct weft_gather_item *items = value;
    CHECK_STR(items[0].value, "left");
    CHECK_STR(items[1].value, "right");
    weft_future_unref(both);
    weft_task_unref(tasks[0]);
    weft_task_unref(tasks[1]);
    struct weft_group group = WEFT_GROUP_INIT;
    CHECK_EQ(weft_group_enter(&group), 0);
    CHECK_EQ(weft_group_spawn_fiber(&group, yield_and_say, "in a group", NULL), 0);
    CHECK_EQ(weft_group_exit(&group, 0), 0);
    *result_out = "done";
    return 0;
}

Test(own_task, is_gathered_and_grouped_like_any_other, .timeout = 5)
{
    struct weft_loop *loop = open_loop();
    struct weft_task *task;
    void *value;
    CHECK_EQ(weft_loop_create_fiber(loop, gather_and_group, loop, &task), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, &value), 0);
    CHECK_STR(value, "done");
    CHECK_EQ(made_count, 4);
    weft_task_unref(task);
    close_loop(loop);
}

static int take_turn(void *lock, void **result_out)
{
    *result_out = "had it";
    int status = weft_lock_acquire(lock);
    return status < 0 ? status : weft_lock_release(lock);
}

Test(own_task, waits_for_a_lock_like_any_other, .timeout = 5)
{
    struct weft_loop *loop = open_loop();
    struct weft_task *tasks[2];
    struct weft_future *turn;
    struct weft_lock *lock;
    void *value;
    CHECK_EQ(weft_lock_new(&lock), 0);
    CHECK_EQ(weft_lock_acquire_future(lock, loop, &turn), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_loop_create_fiber(loop, take_turn, lock, &tasks[i]), 0);
    CHECK_EQ(weft_loop_stop(loop), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK(weft_task_cancel(tasks[0], NULL));
    CHECK_EQ(weft_lock_release(lock), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &tasks[0]->future, NULL), -ECANCELED);
    CHECK_EQ(weft_loop_run_until_complete(loop, &tasks[1]->future, &value), 0);
    CHECK_STR(value, "had it");
    CHECK(!weft_lock_locked(lock));
    weft_task_unref(tasks[0]);
    weft_task_unref(tasks[1]);
    weft_future_unref(turn);
    weft_lock_unref(lock);
    close_loop(loop);
}

Test(own_task, factory_may_refuse, .timeout = 5)
{
    struct weft_loop *loop = open_loop();
    struct weft_task *task = NULL;
    CHECK_EQ(weft_loop_set_task_factory(loop, refuse, NULL), 0);
    CHECK_EQ(weft_loop_create_fiber(loop, wait_for, NULL, &task), -EDQUOT);
    CHECK(task == NULL);
    CHECK_EQ(weft_loop_set_task_factory(loop, NULL, NULL), 0);
    CHECK_EQ(weft_loop_create_fiber(loop, yield_and_say, "own no more", &task), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    CHECK_EQ(made_count, 0);
    weft_task_unref(task);
    close_loop(loop);
}

static int sleep_for_an_hour(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return weft_sleep(INT64_C(3600000000000));
}

/* The future of a sleep is in the fiber's frame, and this kind of task still holds it as the fiber runs on. */
Test(own_task, is_cancelled_in_a_sleep, .timeout = 5)
{
    struct weft_loop *loop = open_loop();
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_fiber(loop, sleep_for_an_hour, NULL, &task), 0);
    CHECK_EQ(weft_loop_stop(loop), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK(weft_task_cancel(task, NULL));
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), -ECANCELED);
    weft_task_unref(task);
    close_loop(loop);
}
