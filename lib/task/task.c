/*
 * Task: drives a coroutine, one step at a time, and takes cancellation from anywhere.
 *
 * A task that is not done is in exactly one of three places (TASK-2): waiting, parked or its waiter hanging on `fut_waiter`; queued, its
 * waiter's work in a queue; or running. The waiter is one object for both, so that a wake-up is the queueing itself and allocates nothing.
 * `lock` guards what a canceller in another thread needs to see together: the future waited for, the request, the count; only a wait that
 * begins at home does without (task_wait_at_home()). Lock order: the task's, then the future's; nobody calls out under either. Cancelling is
 * in task_cancel.c, making in task_make.c, holding in place.c, parking in park.c.
 *
 * A task is pinned to its home, or stealable: then each step may run on another loop, unless the task is held on one (task_hold()). So
 * whoever hangs it on a future, or queues it, has given it away: from there on another thread may be stepping it, or have freed it. What
 * the step left behind is seen there: the queue, or the future's lock, carries it over.
 */
#include <errno.h>

#include "lib/base/context.h"
#include "lib/task/coro_task.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

void task_queue(struct coro_task *task)
{
    struct worker *worker = &task->waiter.loop->worker;
    if (task->waiter.is_stealable)
        work_ready_stealable(worker, &task->waiter.work);
    else
        work_ready(worker, &task->waiter.work);
}

/* ---- ending --------------------------------------------------------------------------------------------------------------------- */

/* The coroutine is over, or given up; the reference of the run goes, and what `refs` counts beside it. */
static void task_let_go(struct coro_task *task, uint32_t refs)
{
    if (task->coro != NULL)
        task->coro->ops->close(task->coro);
    task->coro = NULL;
    future_unref_many(&task->base.future, refs);
}

/* Let `end` end the coroutine where it waits, on `loop`. It may run to its end in there, and is still this task. */
static void task_end_coro(struct coro_task *task, struct weft_loop *loop, void (*end)(struct weft_coro *coro))
{
    struct weft_task *outer_task = task_get_current(loop);
    task_set_current(loop, &task->base);
    weft_atomic_store_relaxed(&task->stepping, loop);
    struct weft_context *outer = context_swap_current(task->base.future.context);
    end(task->coro);
    task->base.future.context = context_swap_current(outer);
    weft_atomic_store_relaxed(&task->stepping, NULL);
    task_set_current(loop, outer_task);
}

static void task_unwind(struct coro_task *task, struct weft_loop *loop)
{
    task_end_coro(task, loop, task->coro->ops->close);
    task->coro = NULL;
}

/* The task will not run again. Who waits for it, on whatever loop, is told so: its coroutine is over, and nobody else would. */
static void task_give_up(struct coro_task *task)
{
    if (loop_is_here(task_home(task)) || loop_is_here(task->waiter.loop))
        task_unwind(task, weft_get_running_loop()); /* else it has not begun: a task that was created as its loop closed */
    weft_unregister_task(&task->base);
    future_abandon(&task->base.future);
    task_let_go(task, 1);
}

static void task_destroy(struct weft_task *base)
{
    struct coro_task *task = coro_task(base);
    if (coro_block(task) == CORO_SHARED)
        coro_set_block(task, CORO_VACANT); /* it has not begun, and its coroutine goes on without it */
    else
        coro_free_block(task);
}

/* It ends with `status`, and somebody has asked it to stop, or it says so itself: whether it is cancelled, and then with which message. */
static bool task_end_asked(struct coro_task *task, int status, void **value)
{
    task_lock(task);
    bool is_cancelled = status == -ECANCELED || (status == 0 && (task_bits(task) & TASK_MUST_CANCEL) != 0);
    if (is_cancelled)
        *value = (void *)(uintptr_t)task->cancel_message;
    task_unlock(task, 0, TASK_MUST_CANCEL);
    return is_cancelled;
}

/* It has ended on `loop`, the one that runs here. */
static int task_end(struct coro_task *task, struct weft_loop *loop, int status, void *value)
{
    bool is_cancelled = status == -ECANCELED || task_bits(task) != 0; /* else nobody has asked it to stop: who does so now is too late */
    if (is_cancelled)
        is_cancelled = task_end_asked(task, status, &value);
    enum future_state outcome = is_cancelled ? FUTURE_CANCELLED : FUTURE_FINISHED;
    bool is_first = future_complete_from(&task->base.future, loop, outcome, is_cancelled ? -ECANCELED : status, value);
    task_let_go(task, is_first && registry_take_back(&task->base, loop) ? 2 : 1);
    return status < 0 && weft_status_is_fatal(status) ? status : 0;
}

/* ---- stepping --------------------------------------------------------------------------------------------------------------------- */

static void task_raise_next(struct coro_task *task, int status)
{
    task->raise = (int16_t)status;
    task_queue(task);
}

/*
 * Cancel `future` in the name of the task, which hangs there, and whose lock this leaves. The future may be done by then and the task on its
 * way to its next step, on another loop: it must not get there before it is known whether it is to be told itself.
 */
static void task_pass_on(struct coro_task *task, struct weft_future *future)
{
    const char *message = task->cancel_message;
    weft_task_ref(&task->base);
    weft_future_ref(future);
    task_unlock(task, TASK_PASSING, TASK_MUST_CANCEL);
    task_cancel_onward(task, message, future);
    task_lock(task);
    bool is_left = (task_bits(task) & TASK_LEFT) != 0;
    task_unlock(task, 0, TASK_PASSING | TASK_LEFT);
    if (is_left)
        task_queue(task);
    weft_task_unref(&task->base);
}

/* Leave it to who passes a request on at this moment, if somebody does: then that thread queues the task again. */
static bool task_is_left(struct coro_task *task)
{
    task_lock(task);
    bool is_passing = (task_bits(task) & TASK_PASSING) != 0;
    task_unlock(task, is_passing ? TASK_LEFT : 0, 0);
    return is_passing;
}

/* True if it is passed on, and left to that thread. */
static inline bool task_is_passing(struct coro_task *task)
{
    /* Relaxed: whoever was handed the task sees the lock at least, which was taken for the wait that it comes from. */
    return (weft_atomic_load_relaxed(&task->state) & (TASK_LOCKED | TASK_PASSING)) != 0 && task_is_left(task);
}

/* A cancellation that was asked for while the task was running goes on to what it waits for now. Under the lock, which it leaves. */
static void task_wait_locked(struct coro_task *task, struct weft_future *future, bool is_hanging, uint32_t flags)
{
    if (!is_hanging) {
        task_unlock(task, 0, 0);
        task_queue(task);
    } else if ((task_bits(task) & TASK_MUST_CANCEL) != 0) {
        task_pass_on(task, future);
    } else {
        task_unlock(task, flags & WEFT_AWAIT_DETACH ? TASK_DETACH : 0, 0); /* from here on it is anybody's */
    }
}

/* Hang on `future`, or be queued at once if it is done, wherever the task goes on. */
static void task_wait_anywhere(struct coro_task *task, struct weft_future *future, uint32_t flags)
{
    task_lock(task);
    bool is_detached = (task_bits(task) & TASK_MUST_CANCEL) != 0 && (flags & WEFT_AWAIT_DETACH) != 0;
    bool is_hanging = !is_detached && future_add_waiter(future, &task->waiter);
    if (is_hanging)
        task_set_awaited(task, future);
    task_wait_locked(task, future, is_hanging, flags);
}

/*
 * The same for a task that goes on at its home, which runs here. So the task stays this thread's, hanging or queued, and needs the lock only
 * if somebody asks it to stop at this very moment.
 */
static inline void task_wait_at_home(struct coro_task *task, struct weft_future *future)
{
    task->waiter.work.next = NULL; /* which tells future_remove_waiter() that it does not hang yet */
    task_set_awaited(task, future);
    bool is_hanging = future_add_waiter(future, &task->waiter);
    /* Pairs with the fence in task_lock_to_ask(). */
    weft_atomic_fence_seq_cst_by_rmw();
    if (task_bits(task) == 0) {
        if (!is_hanging)
            task_queue(task);
        return;
    }
    task_lock(task);
    if (task_awaits(task) == future)
        task_wait_locked(task, future, is_hanging, 0);
    else
        task_unlock(task, 0, 0); /* who asks has taken it off already, and queued it */
}

/* Hang on `future`, or be queued at once if it is done. `loop` runs here. */
static inline void task_wait(struct coro_task *task, struct weft_loop *loop, struct weft_future *future, uint32_t flags)
{
    bool is_at_home = task->waiter.loop == loop && !task->waiter.is_stealable && task_home(task) == loop;
    if (is_at_home && flags == 0 && task_bits(task) == 0)
        task_wait_at_home(task, future);
    else
        task_wait_anywhere(task, future, flags);
}

/* Wait for nothing but park_wake(), unless a cancellation was asked for while running. */
static void task_park(struct coro_task *task)
{
    task_lock(task);
    bool must_cancel = (task_bits(task) & TASK_MUST_CANCEL) != 0;
    task_unlock(task, must_cancel ? 0 : TASK_PARKED, 0);
    if (must_cancel)
        task_queue(task);
}

/* The step has come back suspended, and nothing of it is current any more: the task may be made ready, here or elsewhere (ENT-10). */
static void task_suspended(struct coro_task *task, struct weft_loop *loop, int how, const struct weft_suspend *suspend)
{
    if (how == WEFT_CORO_YIELD) {
        task->is_shielded = (suspend->flags & TASK_SHIELDED) != 0;
        task_queue(task);
    } else if (how == WEFT_CORO_AWAIT && suspend->future == NULL && suspend->flags == TASK_PARKS) {
        task_park(task);
    } else if (how != WEFT_CORO_AWAIT || suspend->future == NULL) {
        task_raise_next(task, WEFT_EBADYIELD);
    } else if (suspend->future == &task->base.future) {
        task_raise_next(task, WEFT_EAWAITSELF);
    } else {
        task_wait(task, loop, suspend->future, suspend->flags);
    }
}

/* Leave the wait, if there was one; what this step throws. */
static int task_end_wait(struct coro_task *task)
{
    task_lock(task);
    struct weft_future *future = task_awaits(task);
    int status = (task_bits(task) & TASK_MUST_CANCEL) != 0 ? -ECANCELED : task->raise;
    task_set_awaited(task, NULL);
    task->raise = 0;
    if (future != NULL && future_get_state(future) == FUTURE_CANCELLED)
        task->cancel_message = future->value; /* it came first, whatever was asked for since */
    task_unlock(task, 0, TASK_MUST_CANCEL | TASK_DETACH);
    if (status < 0 && future != NULL)
        (void)weft_future_exception(future, NULL); /* what is raised instead of it counts as having asked, as asyncio's wakeup does */
    return status;
}

static inline int task_resume_status(struct coro_task *task)
{
    bool is_shielded = task->is_shielded;
    task->is_shielded = false;
    return task_is_free(task) || is_shielded ? 0 : task_end_wait(task);
}

/*
 * Run the coroutine on `loop`, the one that runs here, until it suspends or ends. Whose step comes back is in `turn`. Inlined: that is a tenth of
 * a step.
 */
__attribute__((always_inline)) static inline int task_send(struct coro_task *task, struct weft_loop *loop, struct task_turn *turn)
{
    int status = task_resume_status(task);
    struct weft_task *outer_task = task_get_current(loop);
    task_set_current(loop, &task->base);
    weft_atomic_store_relaxed(&task->stepping, loop);
    struct weft_context *outer = context_swap_current(task->base.future.context);
    int how = task->coro->ops->send(task->coro, status, &turn->suspend);
    while (how == WEFT_CORO_YIELD && turn->suspend.flags == 0 && (task = task_next_in_turn(loop, turn->task, &turn->suspend)) != NULL) {
        task_pass_turn(loop, turn->task, task, &turn->suspend);
        how = task->coro->ops->send(task->coro, 0, &turn->suspend);
    }
    task = turn->task;
    task->base.future.context = context_swap_current(outer);
    weft_atomic_store_relaxed(&task->stepping, NULL);
    task_set_current(loop, outer_task);
    return how;
}

static int task_step(struct coro_task *task, struct weft_loop *loop)
{
    struct task_turn turn = {.task = task, .may_pass = true};
    if (task_is_passing(task))
        return 0;
    int how = task_send(task, loop, &turn);
    if (how <= WEFT_CORO_RETURN)
        return task_end(turn.task, loop, how, turn.suspend.value);
    if (how == WEFT_CORO_YIELD && turn.suspend.flags == 0)
        task_queue_from(turn.task, loop);
    else if (how == WEFT_CORO_AWAIT && turn.suspend.future != NULL && turn.suspend.future != &turn.task->base.future)
        task_wait(turn.task, loop, turn.suspend.future, turn.suspend.flags);
    else
        task_suspended(turn.task, loop, how, &turn.suspend);
    return 0;
}

/* Its first step, done outside of a turn, has come back suspended. */
static void task_suspended_eagerly(struct coro_task *task, struct weft_loop *loop, int how, const struct weft_suspend *suspend)
{
    int status = weft_register_task(&task->base);
    if (status < 0)
        loop_report(task_home(task), "an eager task could not be registered", status, &task->base);
    task_suspended(task, loop, how, suspend);
}

int task_step_eagerly(struct coro_task *task, struct weft_loop *loop)
{
    struct task_turn turn = {.task = task};
    int how = task_send(task, loop, &turn);
    if (how <= WEFT_CORO_RETURN)
        return task_end(task, loop, how, turn.suspend.value);
    task_suspended_eagerly(task, loop, how, &turn.suspend);
    return 0;
}

/* As task_end(), of a task that its creator alone will ever have known: nobody waits for it, asks it to stop, or found it by its id. */
static void task_end_unknown(struct coro_task *task, int status, void *value)
{
    bool is_cancelled = status == -ECANCELED;
    future_complete_unknown(&task->base.future, is_cancelled ? FUTURE_CANCELLED : FUTURE_FINISHED, status, is_cancelled ? NULL : value);
    task->coro->ops->close(task->coro);
    task->coro = NULL;
    task->base.future.refs = 1;
}

void task_start_eagerly(struct coro_task *task, struct weft_loop *loop)
{
    const struct task_room *room = (struct task_room *)loop_room(loop, LOOP_ROOM_TASK);
    uint64_t told_count = room->told_count;
    struct task_turn turn = {.task = task};
    int how = task_send(task, loop, &turn);
    if (how > WEFT_CORO_RETURN)
        task_suspended_eagerly(task, loop, how, &turn.suspend);
    else if (room->told_count == told_count) /* what the step has not asked for it cannot have given to others */
        task_end_unknown(task, how, turn.suspend.value);
    else
        (void)task_end(task, loop, how, turn.suspend.value); /* a fatal status is stored in the task, as any other */
}

/* The home has closed over it: it is let go where its work was awaited. */
static int task_run_abandoned(struct coro_task *task)
{
    (void)task_resume_status(task);
    struct weft_loop *awaiting = weft_get_running_loop();
    if ((task_bits(task) & TASK_AWAITED) != 0 && awaiting != NULL)
        task_room(awaiting)->awaited_count--;
    task_give_up(task);
    return 0;
}

/* Not on its home, or that is closed. */
static int task_run_elsewhere(struct coro_task *task, struct weft_loop *home, struct weft_loop *here)
{
    bool is_home_closed = loop_is_closed(home);
    if (here != NULL && here != home && !is_home_closed && !loop_is_closed(here))
        return task_step(task, here);
    bool is_awaited_here = here == home || (here == task->waiter.loop && !task->waiter.is_stealable);
    if ((is_home_closed && is_awaited_here) || worker_is_closed(&home->worker))
        return task_run_abandoned(task);
    work_ready(&home->worker, &task->waiter.work);
    return 0;
}

int task_run(struct weft_work *work)
{
    struct coro_task *task = weft_container_of(work, struct coro_task, waiter.work);
    struct weft_loop *home = task_home(task), *here = loop_here();
    if (here == home && loop_check_open(home) == 0) {
        task->is_away = false;
        return task_step(task, home);
    }
    return task_run_elsewhere(task, home, here);
}

static struct weft_coro *task_get_coro(const struct weft_task *base)
{
    return coro_task(base)->coro;
}

/*
 * The loop that awaits the work of a task which hangs nowhere: the one that it is held on, which closes after the home; else the home, where
 * a work comes also from a loop that has closed before. NULL if a loop cannot, for want of memory: there the work is run all the same.
 */
static struct task_room *awaiting_room(const struct coro_task *task)
{
    const struct weft_loop *loop = worker_is_closed(&task->waiter.loop->worker) ? task_home(task) : task->waiter.loop;
    return (struct task_room *)loop_room(loop, LOOP_ROOM_TASK);
}

/*
 * The home closes. A waiting task leaves its future and is let go here; a queued one when its work is run, which is awaited, since it may
 * be on its way from another thread, and a fiber is to be unwound on no other thread than a closing loop's.
 */
static void task_abandon(struct weft_task *base)
{
    struct coro_task *task = coro_task(base);
    task_lock(task);
    bool was_hanging = task_leave_wait(task);
    struct task_room *awaiting = was_hanging ? NULL : awaiting_room(task);
    if (awaiting != NULL)
        awaiting->awaited_count++;
    task_unlock(task, awaiting != NULL ? TASK_AWAITED : 0, 0);
    if (was_hanging)
        task_give_up(task);
}

void task_finish(struct weft_task *base, struct weft_loop *loop, void (*end)(struct weft_coro *coro))
{
    struct coro_task *task = coro_task(base);
    task_lock(task);
    bool was_hanging = task_leave_wait(task);
    task_set_awaited(task, NULL);
    task_unlock(task, 0, TASK_DETACH);
    if (was_hanging)
        task_queue(task);
    struct weft_loop *queued_on = task->waiter.loop;
    bool is_stealable = task->waiter.is_stealable;
    if (task->coro != NULL)
        task_end_coro(task, loop, end);
    task->waiter.loop = queued_on; /* where its work is awaited, whatever the body has let go of in its end */
    task->waiter.is_stealable = is_stealable;
}

const struct weft_task_ops coro_task_ops = {
    .size = sizeof(coro_task_ops),
    .destroy = task_destroy,
    .cancel = task_cancel,
    .cancelling = task_cancelling,
    .uncancel = task_uncancel,
    .get_coro = task_get_coro,
    .abandon = task_abandon,
};
