/*
 * Task, the part that every type of task shares: being a future, having a name, and asking the type for the rest.
 *
 * A third party's task is set up and finished here; ours (lib/task/task.c) too.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/context.h"
#include "weft/memory.h"
#include "weft/status.h"

#define task_has(task, slot)                                                                                                               \
    ((task)->ops->size >= offsetof(struct weft_task_ops, slot) + sizeof((task)->ops->slot) && (task)->ops->slot != NULL)

static struct weft_task *task_of_future(struct weft_future *future)
{
    return weft_container_of(future, struct weft_task, future);
}

static bool cancel_through_task(struct weft_future *future, const char *message)
{
    return weft_task_cancel(task_of_future(future), message);
}

static void destroy_through_task(struct weft_future *future)
{
    struct weft_task *task = task_of_future(future);
    if (task->name != NULL)
        weft_free(task->name);
    if (task_has(task, destroy))
        task->ops->destroy(task);
}

const struct weft_future_ops task_future_ops = {
    .size = sizeof(task_future_ops), .cancel = cancel_through_task, .destroy = destroy_through_task};

int weft_task_init(struct weft_task *task, struct weft_loop *loop, const struct weft_task_ops *ops, struct weft_context *context)
{
    if (task == NULL || loop == NULL || ops == NULL)
        return -EINVAL;
    if (ops->size < offsetof(struct weft_task_ops, destroy) + sizeof(ops->destroy))
        return WEFT_EPROTOCOL;
    if (task->future.loop != NULL)
        return WEFT_EINVALIDSTATE;
    future_setup(&task->future, loop, &task_future_ops, FUTURE_IS_TASK);
    task->future.context = weft_context_ref(context);
    task->ops = ops;
    task->ran_on = loop->index;
    task->number = task_number_next(loop_is_here(loop) ? task_room(loop) : NULL);
    return 0;
}

int weft_task_finish(struct weft_task *task, int status, void *value)
{
    if (task == NULL)
        return -EINVAL;
    enum future_state state = status == -ECANCELED ? FUTURE_CANCELLED : FUTURE_FINISHED;
    if (!future_complete(&task->future, state, status, value))
        return WEFT_EINVALIDSTATE;
    weft_unregister_task(task);
    return 0;
}

struct weft_task *weft_task_ref(struct weft_task *task)
{
    if (task == NULL)
        return NULL;
    weft_future_ref(&task->future);
    return task;
}

void weft_task_unref(struct weft_task *task)
{
    if (task != NULL)
        weft_future_unref(&task->future);
}

bool weft_task_cancel(struct weft_task *task, const char *message)
{
    if (task == NULL)
        return false;
    if (weft_future_done(&task->future))
        return weft_future_cancel(&task->future, message);
    if (task_has(task, cancel))
        return task->ops->cancel(task, message);
    if (!future_complete(&task->future, FUTURE_CANCELLED, -ECANCELED, (void *)(uintptr_t)message))
        return false;
    weft_unregister_task(task);
    return true;
}

int weft_task_cancelling(const struct weft_task *task)
{
    return task != NULL && task_has(task, cancelling) ? task->ops->cancelling(task) : 0;
}

int weft_task_uncancel(struct weft_task *task)
{
    return task != NULL && task_has(task, uncancel) ? task->ops->uncancel(task) : 0;
}

struct weft_coro *weft_task_get_coro(const struct weft_task *task)
{
    return task != NULL && task_has(task, get_coro) ? task->ops->get_coro(task) : NULL;
}

uint64_t weft_task_parent_id(const struct weft_task *task)
{
    return task == NULL ? 0 : task->parent_id;
}

uint32_t weft_task_ran_on(const struct weft_task *task)
{
    return task == NULL ? 0 : weft_atomic_load_relaxed(&task->ran_on);
}

struct weft_context *weft_task_get_context(const struct weft_task *task)
{
    if (task == NULL)
        return NULL;
    struct weft_loop *loop = weft_get_running_loop();
    if (task->future.context == NULL && loop != NULL && task_get_current(loop) == task)
        return weft_context_current(); /* made since by its first set; the task gets it as the step ends */
    return task->future.context;
}

size_t weft_task_get_name(const struct weft_task *task, char *buf, size_t buf_bytes)
{
    if (task == NULL || (buf == NULL && buf_bytes > 0))
        return 0;
    int len = task->name != NULL ? snprintf(buf, buf_bytes, "%s", task->name)
                                 : snprintf(buf, buf_bytes, "Task-%llu", (unsigned long long)task->number);
    return len < 0 ? 0 : (size_t)len;
}

int weft_task_set_name(struct weft_task *task, const char *name)
{
    if (task == NULL || name == NULL)
        return -EINVAL;
    size_t bytes = strlen(name) + 1;
    char *copy = weft_malloc(bytes);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, name, bytes);
    char *before = task->name;
    task->name = copy; /* first: a signal handler of this thread may tell the name of a task that runs off its stack */
    weft_free(before);
    return 0;
}
