/*
 * Cancelling a task: how a request reaches it, or what it waits for.
 *
 * Any thread may ask, while the task wakes, runs, moves or ends. The invariant: a request is either delivered, passed on to a future that
 * accepted it, or stands in the task's state as MUST_CANCEL; and who takes a task off its future is the one who queues it.
 */
#include <errno.h>

#include "lib/base/thread.h"
#include "lib/task/coro_task.h"
#include "weft/status.h"

/*
 * The lock, for one who is about to look what the task waits for. A task that begins to wait at home takes no lock: it says for what, and
 * then looks whether anybody asks for it. Of the two at least one sees the other.
 */
static void task_lock_to_ask(struct coro_task *task)
{
    task_lock(task);
    /* Pairs with the fence in task_wait_at_home(). */
    weft_atomic_fence_seq_cst_by_rmw();
}

/* Have the next step raise it. A second request does not change what is to be said. Under the lock, which it leaves. */
static void task_must_cancel(struct coro_task *task, const char *message)
{
    if ((task_bits(task) & TASK_MUST_CANCEL) == 0)
        task->cancel_message = message;
    task_unlock(task, TASK_MUST_CANCEL, 0);
}

bool task_leave_wait(struct coro_task *task)
{
    if ((task_bits(task) & TASK_PARKED) != 0) {
        weft_atomic_store_relaxed(&task->state, task_bits(task) & ~(uint32_t)TASK_PARKED); /* nobody else writes it under the lock */
        return true;
    }
    struct weft_future *future = task_awaits(task);
    if (future == NULL || !future_remove_waiter(future, &task->waiter))
        return false;
    task_set_awaited(task, NULL);
    return true;
}

/* What has become of a request to stop. */
enum cancel_step {
    CANCEL_REFUSED, /* the task is done */
    CANCEL_TAKEN,
    CANCEL_GOES_ON, /* what the task waits for is to be cancelled in its name */
};

/* Have it reach the task, or what the task waits for: then *future_out gets a reference. Under the lock, which it leaves. */
static enum cancel_step cancel_reach(struct coro_task *task, const char *message, struct weft_future **future_out)
{
    if ((task_bits(task) & (TASK_DETACH | TASK_PARKED)) != 0 && task_leave_wait(task)) {
        task_must_cancel(task, message);
        task_queue(task);
        return CANCEL_TAKEN;
    }
    struct weft_future *future = task_awaits(task);
    if (future == NULL || (task_bits(task) & TASK_DETACH) != 0) {
        task_must_cancel(task, message);
        return CANCEL_TAKEN;
    }
    if ((task_bits(task) & TASK_MUST_CANCEL) == 0)
        task->cancel_message = message;
    *future_out = weft_future_ref(future);
    task_unlock(task, 0, 0);
    return CANCEL_GOES_ON;
}

static enum cancel_step cancel_begin(struct coro_task *task, const char *message, struct weft_future **future_out)
{
    task_lock_to_ask(task);
    if (weft_future_done(&task->base.future)) {
        task_unlock(task, 0, 0);
        (void)weft_future_cancel(&task->base.future, message); /* too late, which counts as asking for its result */
        return CANCEL_REFUSED;
    }
    weft_atomic_store_relaxed(&task->cancelling, task->cancelling + 1);
    return cancel_reach(task, message, future_out);
}

/* `future` was done already: the task is to be told itself, unless it has gone on to wait for another, or parks. */
static enum cancel_step cancel_refused(struct coro_task *task, const struct weft_future *future, const char *message,
                                       struct weft_future **future_out)
{
    task_lock_to_ask(task);
    struct weft_future *present = task_awaits(task);
    bool is_parked = (task_bits(task) & TASK_PARKED) != 0;
    if (is_parked || (present != future && present != NULL))
        return cancel_reach(task, message, future_out);
    task_must_cancel(task, message);
    return CANCEL_TAKEN;
}

/* Tasks that wait for each other in a ring would pass it round for ever: this one leaves its wait. */
static void cancel_in_ring(struct coro_task *task, const char *message)
{
    task_lock_to_ask(task);
    bool was_hanging = task_leave_wait(task);
    task_must_cancel(task, message);
    if (was_hanging)
        task_queue(task);
}

/* The task of ours that `future` is; NULL if it is something else. */
static struct coro_task *coro_task_of(struct weft_future *future)
{
    struct weft_task *task = weft_container_of(future, struct weft_task, future);
    bool is_task = (weft_atomic_load_relaxed(&future->flags) & FUTURE_IS_TASK) != 0;
    return is_task && is_coro_task(task) ? coro_task(task) : NULL;
}

/*
 * A request of this thread's that is with a future of another kind now, in the name of the task that waits for it. Such a future may pass it
 * on by itself: a gathering to its children, and so to whoever waits for that very gathering.
 */
struct errand {
    const struct coro_task *task;
    const struct errand *outer;
};

static _Thread_local const struct errand *errands __attribute__((tls_model("initial-exec")));

/* Make `errand` the newest, and tell which one was. */
THREAD_LOCAL_ACCESSOR static const struct errand *errand_swap(const struct errand *errand)
{
    thread_local_barrier();
    const struct errand *before = errands;
    errands = errand;
    return before;
}

/* Cancel `future`, which is no task of ours, for `task`. */
static enum cancel_step cancel_other(struct coro_task *task, struct weft_future *future, const char *message)
{
    struct errand errand = {task, NULL};
    errand.outer = errand_swap(&errand);
    const struct errand *same = errand.outer;
    while (same != NULL && same->task != task)
        same = same->outer;
    enum cancel_step step = CANCEL_TAKEN;
    if (same != NULL)
        cancel_in_ring(task, message);
    else
        step = weft_future_cancel(future, message) ? CANCEL_TAKEN : CANCEL_REFUSED;
    (void)errand_swap(errand.outer);
    return step;
}

/*
 * Tasks that wait for tasks are walked down in a loop, however many they are. A task has taken the request as soon as the next one has begun
 * to, so only the last two matter. `mark` is the task met 2^n steps ago (R. P. Brent, An improved Monte Carlo factorization algorithm, 1980):
 * meeting it again is a ring.
 */
void task_cancel_onward(struct coro_task *task, const char *message, struct weft_future *future)
{
    struct coro_task *mark = task;
    struct weft_future *held = NULL; /* keeps `task`, once that is not the caller's */
    enum cancel_step step = CANCEL_GOES_ON;
    for (size_t steps = 1; step == CANCEL_GOES_ON; steps++) {
        struct weft_future *next = NULL;
        struct coro_task *inner = coro_task_of(future);
        if (inner == mark) {
            cancel_in_ring(task, message);
            weft_future_unref(future);
            break;
        }
        if (inner != NULL)
            step = cancel_begin(inner, message, &next);
        else
            step = cancel_other(task, future, message);
        if (step == CANCEL_REFUSED) {
            step = cancel_refused(task, future, message, &next);
            weft_future_unref(future);
        } else {
            weft_future_unref(held);
            held = future;
            task = inner;
        }
        mark = (steps & (steps - 1)) == 0 ? task : mark;
        future = next;
    }
    weft_future_unref(held);
}

bool task_cancel(struct weft_task *base, const char *message)
{
    struct weft_future *future = NULL;
    enum cancel_step step = cancel_begin(coro_task(base), message, &future);
    if (step == CANCEL_GOES_ON)
        task_cancel_onward(coro_task(base), message, future);
    return step != CANCEL_REFUSED;
}

int task_cancelling(const struct weft_task *base)
{
    return weft_atomic_load_relaxed(&coro_task(base)->cancelling);
}

int task_uncancel(struct weft_task *base)
{
    struct coro_task *task = coro_task(base);
    task_lock(task);
    if (task->cancelling > 0)
        weft_atomic_store_relaxed(&task->cancelling, task->cancelling - 1);
    int left = task->cancelling;
    task_unlock(task, 0, left == 0 ? TASK_MUST_CANCEL : 0);
    return left;
}

void task_rearm_cancel(struct weft_task *base)
{
    if (base == NULL)
        return;
    if (!is_coro_task(base)) { /* which is all that we know of it */
        (void)weft_task_uncancel(base);
        (void)weft_task_cancel(base, NULL);
        return;
    }
    task_lock(coro_task(base));
    task_unlock(coro_task(base), TASK_MUST_CANCEL, 0);
}
