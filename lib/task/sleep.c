/*
 * Sleep and wait_for: timers and futures together.
 *
 * A fiber's sleep lives in its own frame, timer and future both; nothing is allocated. That is sound since nobody else holds the future
 * when the frame goes: the wait is detached, so that a canceller lets go of it before the fiber runs on, fiber_await_frame() waits for a
 * third party's task to do the same, and a fiber that is closed returns through here. A stealable fiber is held meanwhile on the loop that
 * its timer is armed on, so that firing, stopping and going on all happen in one thread. What a coroutine without a stack sleeps on is
 * allocated, and holds a reference to itself while its timer is armed.
 */
#include <errno.h>

#include "lib/loop/loop.h"
#include "lib/task/fiber.h"
#include "lib/task/future.h"
#include "lib/task/task.h"
#include "weft/memory.h"
#include "weft/status.h"

struct sleeper {
    struct weft_future future; /* first */
    struct weft_timer timer;
};

/* ---- in a fiber's frame ----------------------------------------------------------------------------------------------------------- */

static int frame_fired(void *arg)
{
    struct sleeper *sleeper = arg;
    (void)future_complete(&sleeper->future, FUTURE_FINISHED, 0, NULL);
    return 0;
}

static int sleep_in_frame(struct weft_loop *loop, int64_t delay_ns)
{
    struct sleeper sleeper = {.future.loop = NULL};
    future_setup(&sleeper.future, loop, NULL, 0);
    weft_timer_init(&sleeper.timer, loop, frame_fired, &sleeper);
    int status = weft_timer_start(&sleeper.timer, delay_ns);
    if (status >= 0)
        status = fiber_await_frame(&sleeper.future);
    (void)weft_timer_stop(&sleeper.timer);
    weft_future_fini(&sleeper.future);
    return status;
}

int weft_sleep(int64_t delay_ns)
{
    if (!fiber_is_here())
        return WEFT_ENOFIBER;
    if (delay_ns <= 0)
        return weft_yield();
    struct weft_task *held = fiber_hold_here();
    int status = sleep_in_frame(weft_get_running_loop(), delay_ns);
    task_unhold(held);
    return status;
}

/* A deadline over the present task, asyncio's timeout(): when it passes, the task is cancelled once. */
struct deadline {
    struct weft_timer timer;
    struct weft_task *task;
    int cancelling_before;
    bool has_expired;
};

static int deadline_passed(void *arg)
{
    struct deadline *deadline = arg;
    deadline->has_expired = true;
    (void)weft_task_cancel(deadline->task, "timeout");
    return 0;
}

/* What `status` means now: a cancellation that was ours alone is a timeout (TMO-1). */
static int deadline_end(struct deadline *deadline, int status)
{
    (void)weft_timer_stop(&deadline->timer);
    if (!deadline->has_expired)
        return status;
    int left = weft_task_uncancel(deadline->task);
    return left <= deadline->cancelling_before && status == -ECANCELED ? -ETIMEDOUT : status;
}

static int wait_until_deadline(struct weft_future *future, int64_t timeout_ns, void **value_out)
{
    struct deadline deadline = {.task = NULL};
    int status = weft_current_task(&deadline.task);
    if (status < 0 || deadline.task == NULL)
        return status < 0 ? status : WEFT_ENOTASK;
    deadline.cancelling_before = weft_task_cancelling(deadline.task);
    weft_timer_init(&deadline.timer, weft_get_running_loop(), deadline_passed, &deadline);
    status = weft_timer_start(&deadline.timer, timeout_ns);
    return status < 0 ? status : deadline_end(&deadline, weft_await(future, value_out));
}

/* A timeout of 0: no time at all, but what comes of the cancellation is waited for. One from outside meanwhile is no timeout. */
static int wait_no_time(struct weft_future *future, void **value_out)
{
    struct weft_task *task = NULL;
    if (weft_future_done(future))
        return weft_future_result(future, value_out);
    (void)weft_current_task(&task);
    int cancelling_before = weft_task_cancelling(task);
    (void)weft_future_cancel(future, "timeout");
    int status = weft_await(future, value_out);
    bool is_ours = weft_future_cancelled(future) && weft_task_cancelling(task) <= cancelling_before;
    return status == -ECANCELED && is_ours ? -ETIMEDOUT : status;
}

int weft_wait_for(struct weft_future *future, int64_t timeout_ns, void **value_out)
{
    if (!fiber_is_here())
        return WEFT_ENOFIBER;
    if (future == NULL)
        return -EINVAL;
    if (timeout_ns < 0)
        return weft_await(future, value_out);
    if (timeout_ns == 0)
        return wait_no_time(future, value_out);
    struct weft_task *held = fiber_hold_here();
    int status = wait_until_deadline(future, timeout_ns, value_out);
    task_unhold(held);
    return status;
}

/* ---- for coroutines without a stack ------------------------------------------------------------------------------------------------- */

static void sleeper_destroy(struct weft_future *future)
{
    weft_free(weft_container_of(future, struct sleeper, future));
}

static int sleeper_fired(void *arg)
{
    struct sleeper *sleeper = arg;
    (void)future_complete(&sleeper->future, FUTURE_FINISHED, 0, NULL);
    weft_future_unref(&sleeper->future);
    return 0;
}

/* The loop closes. Whoever waits elsewhere is told, and a gathering that holds this future is let go. */
static void sleeper_abandon(struct weft_timer *timer)
{
    struct sleeper *sleeper = timer->arg;
    (void)future_complete(&sleeper->future, FUTURE_CANCELLED, -ECANCELED, "the loop closed");
    weft_future_unref(&sleeper->future);
}

/* From another thread the timer is left to its time, which then finds the future done. */
static bool sleeper_cancel(struct weft_future *future, const char *message)
{
    struct sleeper *sleeper = weft_container_of(future, struct sleeper, future);
    if (!future_complete(future, FUTURE_CANCELLED, -ECANCELED, (void *)(uintptr_t)message))
        return false;
    if (loop_is_here(future->loop) && weft_timer_stop(&sleeper->timer))
        weft_future_unref(future);
    return true;
}

static const struct weft_future_ops sleeper_ops = {.size = sizeof(sleeper_ops), .cancel = sleeper_cancel, .destroy = sleeper_destroy};

int weft_loop_sleep(struct weft_loop *loop, int64_t delay_ns, struct weft_future **future_out)
{
    int status = loop_check(loop);
    if (status < 0 || future_out == NULL)
        return status < 0 ? status : -EINVAL;
    struct sleeper *sleeper = weft_calloc(1, sizeof(*sleeper));
    if (sleeper == NULL)
        return -ENOMEM;
    future_setup(&sleeper->future, loop, &sleeper_ops, 0);
    weft_timer_init(&sleeper->timer, loop, sleeper_fired, sleeper);
    sleeper->timer.abandon = sleeper_abandon;
    status = weft_timer_start(&sleeper->timer, delay_ns);
    if (status < 0) {
        weft_future_unref(&sleeper->future);
        return status;
    }
    *future_out = weft_future_ref(&sleeper->future);
    return 0;
}
