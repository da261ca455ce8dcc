/*
 * Task: drives a coroutine, one step at a time, and takes cancellation from anywhere.
 *
 * A task that is not done is in exactly one of three places (TASK-2): waiting, its waiter hanging on `fut_waiter`; queued, its waiter's
 * work in a queue; or running. The waiter is one object for both, so that a wake-up is the queueing itself and allocates nothing. `lock`
 * guards what a canceller in another thread needs to see together: the future waited for, the request, the count. Lock order: the task's,
 * then the future's; nobody calls out under either.
 *
 * A task is pinned to its home, or stealable: then each step may run on another loop, unless the task is held on one (task_hold()). So
 * whoever hangs it on a future, or queues it, has given it away: from there on another thread may be stepping it, or have freed it. What
 * the step left behind is seen there: the queue, or the future's lock, carries it over.
 */
#include <errno.h>

#include "lib/base/context.h"
#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

/*
 * Bits of coro_task.state.
 *
 *     LOCKED       held for a few loads and stores
 *     MUST_CANCEL  raise -ECANCELED at the next step; set by a canceller, cleared by the step, by the wait that passes it on, or by
 *                  uncancel(); under the lock
 *     DETACH       the present wait is to be left, not its future cancelled; set with fut_waiter, under the lock
 *     AWAITED      its home closes, and a loop waits for its work to come; set by task_abandon(), never cleared
 */
enum { TASK_LOCKED = 1, TASK_MUST_CANCEL = 2, TASK_DETACH = 4, TASK_AWAITED = 8 };

struct coro_task {
    struct weft_task base; /* first */
    struct weft_coro *coro;
    struct waiter waiter;           /* its loop: where the task is held, else its home */
    struct weft_future *fut_waiter; /* a reference */
    const char *cancel_message;
    uint32_t state;
    int32_t cancelling;
    int32_t raise; /* what the next step throws */
    uint32_t hold_count;
    bool is_stealable;
    bool is_shielded;           /* the next step delivers no cancellation */
    bool is_away;               /* pinned, but held elsewhere. Set and cleared in its home's thread, which may thus ask */
    struct weft_loop *stepping; /* the loop that steps it at this moment */
};

static struct coro_task *coro_task(const struct weft_task *task)
{
    return (struct coro_task *)(uintptr_t)task;
}

static struct weft_loop *task_home(const struct coro_task *task)
{
    return task->base.future.loop;
}

static void task_lock(struct coro_task *task)
{
    for (;;) {
        uint32_t state = weft_atomic_load_relaxed(&task->state);
        /* Pairs with the release in task_unlock(). */
        if ((state & TASK_LOCKED) == 0 && weft_atomic_cas_acquire(&task->state, &state, state | TASK_LOCKED))
            return;
        weft_atomic_pause();
    }
}

/* The bits, under the lock. Atomic, since others may be trying for the lock. */
static uint32_t task_bits(const struct coro_task *task)
{
    return weft_atomic_load_relaxed(&task->state);
}

/* Unlock, with `bits` set and cleared on the way. */
static void task_unlock(struct coro_task *task, uint32_t set, uint32_t clear)
{
    uint32_t state = (weft_atomic_load_relaxed(&task->state) | set) & ~(clear | TASK_LOCKED);
    /* Pairs with the acquire in task_lock(): what was changed under the lock. */
    weft_atomic_store_release(&task->state, state);
}

/* Make it ready, and have no more to do with it. */
static void task_queue(struct coro_task *task)
{
    struct worker *worker = &task->waiter.loop->worker;
    if (task->waiter.is_stealable)
        work_ready_stealable(worker, &task->waiter.work);
    else
        work_ready(worker, &task->waiter.work);
}

/* ---- ending --------------------------------------------------------------------------------------------------------------------- */

/* The coroutine is over, or given up; the reference of the run goes. */
static void task_let_go(struct coro_task *task)
{
    if (task->coro != NULL)
        task->coro->ops->close(task->coro);
    task->coro = NULL;
    weft_task_unref(&task->base);
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
    task_let_go(task);
}

static void task_destroy(struct weft_task *base)
{
    weft_free(coro_task(base));
}

static int task_end(struct coro_task *task, int status, void *value)
{
    const char *message = NULL;
    bool is_cancelled = status == -ECANCELED;
    if (is_cancelled || task_bits(task) != 0) { /* else nobody has asked it to stop: who does so now comes too late */
        task_lock(task);
        is_cancelled |= status == 0 && (task_bits(task) & TASK_MUST_CANCEL) != 0;
        message = task->cancel_message;
        task_unlock(task, 0, TASK_MUST_CANCEL);
    }
    if (is_cancelled)
        (void)weft_task_finish(&task->base, -ECANCELED, (void *)(uintptr_t)message);
    else
        (void)weft_task_finish(&task->base, status, value);
    task_let_go(task);
    return weft_status_is_fatal(status) ? status : 0;
}

/* ---- stepping --------------------------------------------------------------------------------------------------------------------- */

static void task_raise_next(struct coro_task *task, int status)
{
    task->raise = status;
    task_queue(task);
}

static void task_cancel_onward(struct coro_task *task, const char *message, struct weft_future *future);

/*
 * Hang on `future`, or be queued at once if it is done. A cancellation that was asked for while running goes on to what the task waits for
 * now; whoever takes the task over meanwhile finds that request taken.
 */
static void task_wait(struct coro_task *task, struct weft_future *future, uint32_t flags)
{
    task_lock(task);
    bool must_cancel = (task_bits(task) & TASK_MUST_CANCEL) != 0;
    bool is_detached = must_cancel && (flags & WEFT_AWAIT_DETACH) != 0;
    bool is_hanging = !is_detached && future_add_waiter(future, &task->waiter);
    if (!is_hanging) {
        task_unlock(task, 0, 0);
        task_queue(task);
        return;
    }
    task->fut_waiter = weft_future_ref(future);
    if (!must_cancel) {
        task_unlock(task, flags & WEFT_AWAIT_DETACH ? TASK_DETACH : 0, 0);
        return; /* from here on it is anybody's */
    }
    const char *message = task->cancel_message;
    weft_task_ref(&task->base);
    weft_future_ref(future);
    task_unlock(task, 0, TASK_MUST_CANCEL);
    task_cancel_onward(task, message, future);
    weft_task_unref(&task->base);
}

/* The step has come back suspended, and nothing of it is current any more: the task may be made ready, here or elsewhere (ENT-10). */
static void task_suspended(struct coro_task *task, int how, const struct weft_suspend *suspend)
{
    if (how == WEFT_CORO_YIELD) {
        task->is_shielded = (suspend->flags & TASK_SHIELDED) != 0;
        task_queue(task);
    } else if (how != WEFT_CORO_AWAIT || suspend->future == NULL) {
        task_raise_next(task, WEFT_EBADYIELD);
    } else if (suspend->future == &task->base.future) {
        task_raise_next(task, WEFT_EAWAITSELF);
    } else {
        task_wait(task, suspend->future, suspend->flags);
    }
}

/* Leave the wait, if there was one; what this step throws. */
static int task_resume_status(struct coro_task *task)
{
    if (task->is_shielded) {
        task->is_shielded = false;
        return 0;
    }
    /*
     * A task that has only yielded needs no lock: who cancels it at this very moment does so for its next suspension. Pairs with the release
     * in task_unlock(): the last step's thread may be in task_wait() yet, and the fields are not to be looked at before it has left.
     */
    if (weft_atomic_load_acquire(&task->state) == 0 && task->fut_waiter == NULL && task->raise == 0)
        return 0;
    task_lock(task);
    struct weft_future *future = task->fut_waiter;
    int status = (task_bits(task) & TASK_MUST_CANCEL) != 0 ? -ECANCELED : task->raise;
    task->fut_waiter = NULL;
    task->raise = 0;
    if (future != NULL && future_get_state(future) == FUTURE_CANCELLED)
        task->cancel_message = future->value; /* it came first, whatever was asked for since */
    task_unlock(task, 0, TASK_MUST_CANCEL | TASK_DETACH);
    weft_future_unref(future);
    return status;
}

/* Run the coroutine on `loop`, the one that runs here, until it suspends or ends. */
static int task_send(struct coro_task *task, struct weft_loop *loop, struct weft_suspend *suspend_out)
{
    int status = task_resume_status(task);
    struct weft_task *outer_task = task_get_current(loop);
    task_set_current(loop, &task->base);
    weft_atomic_store_relaxed(&task->stepping, loop);
    struct weft_context *outer = context_swap_current(task->base.future.context);
    int how = task->coro->ops->send(task->coro, status, suspend_out);
    task->base.future.context = context_swap_current(outer);
    weft_atomic_store_relaxed(&task->stepping, NULL);
    task_set_current(loop, outer_task);
    return how;
}

static int task_step(struct coro_task *task, struct weft_loop *loop)
{
    struct weft_suspend suspend = {NULL, NULL, 0, 0};
    int how = task_send(task, loop, &suspend);
    if (how <= WEFT_CORO_RETURN)
        return task_end(task, how, suspend.value);
    task_suspended(task, how, &suspend);
    return 0;
}

/* Do the first step here and now; only a task that blocks in it is registered (TASK-19, REG-5), and before others can have it. */
static int task_step_eagerly(struct coro_task *task, struct weft_loop *loop)
{
    struct weft_suspend suspend = {NULL, NULL, 0, 0};
    int how = task_send(task, loop, &suspend);
    if (how <= WEFT_CORO_RETURN)
        return task_end(task, how, suspend.value);
    int status = weft_register_task(&task->base);
    if (status < 0)
        loop_report(task_home(task), "an eager task could not be registered", status, &task->base);
    task_suspended(task, how, &suspend);
    return 0;
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

/*
 * Run here what was queued here, or taken from another loop of the crew. Work that comes where the task cannot go on, as its crew is
 * dissolved or the loop that it was held on has closed, is sent home; if the home is closed too, nobody is left to run it.
 */
static int task_run(struct weft_work *work)
{
    struct coro_task *task = weft_container_of(work, struct coro_task, waiter.work);
    struct weft_loop *home = task_home(task), *here = weft_get_running_loop();
    if (here == home && !weft_loop_is_closed(home)) {
        task->is_away = false;
        return task_step(task, home);
    }
    bool is_home_closed = weft_loop_is_closed(home);
    if (here != NULL && here != home && !is_home_closed && !weft_loop_is_closed(here))
        return task_step(task, here);
    bool is_awaited_here = here == home || (here == task->waiter.loop && !task->waiter.is_stealable);
    if ((is_home_closed && is_awaited_here) || worker_is_closed(&home->worker))
        return task_run_abandoned(task);
    work_ready(&home->worker, work);
    return 0;
}

/* ---- cancelling ------------------------------------------------------------------------------------------------------------------- */

/* Have the next step raise it. A second request does not change what is to be said. Under the lock, which it leaves. */
static void task_must_cancel(struct coro_task *task, const char *message)
{
    if ((task_bits(task) & TASK_MUST_CANCEL) == 0)
        task->cancel_message = message;
    task_unlock(task, TASK_MUST_CANCEL, 0);
}

/* Leave the future without cancelling it: returned for its reference. NULL if its wake-up is on its way already. Under the lock. */
static struct weft_future *task_detach(struct coro_task *task)
{
    struct weft_future *future = task->fut_waiter;
    if ((task_bits(task) & TASK_DETACH) == 0 || future == NULL || !future_remove_waiter(future, &task->waiter))
        return NULL;
    task->fut_waiter = NULL;
    return future;
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
    struct weft_future *left = task_detach(task);
    if (left != NULL) {
        task_must_cancel(task, message);
        weft_future_unref(left); /* before the task runs on: the future may live in its frame */
        task_queue(task);
        return CANCEL_TAKEN;
    }
    if (task->fut_waiter == NULL || (task_bits(task) & TASK_DETACH) != 0) {
        task_must_cancel(task, message);
        return CANCEL_TAKEN;
    }
    if ((task_bits(task) & TASK_MUST_CANCEL) == 0)
        task->cancel_message = message;
    *future_out = weft_future_ref(task->fut_waiter);
    task_unlock(task, 0, 0);
    return CANCEL_GOES_ON;
}

static enum cancel_step cancel_begin(struct coro_task *task, const char *message, struct weft_future **future_out)
{
    task_lock(task);
    if (weft_future_done(&task->base.future)) {
        task_unlock(task, 0, 0);
        (void)weft_future_cancel(&task->base.future, message); /* too late, which counts as asking for its result */
        return CANCEL_REFUSED;
    }
    weft_atomic_store_relaxed(&task->cancelling, task->cancelling + 1);
    return cancel_reach(task, message, future_out);
}

/* `future` was done already: the task is to be told itself, unless it has gone on to wait for another. */
static enum cancel_step cancel_refused(struct coro_task *task, const struct weft_future *future, const char *message,
                                       struct weft_future **future_out)
{
    task_lock(task);
    if (task->fut_waiter != future && task->fut_waiter != NULL)
        return cancel_reach(task, message, future_out);
    task_must_cancel(task, message);
    return CANCEL_TAKEN;
}

/* Tasks that wait for each other in a ring would pass it round for ever: this one leaves its wait. */
static void cancel_in_ring(struct coro_task *task, const char *message)
{
    task_lock(task);
    struct weft_future *future = task->fut_waiter;
    bool was_hanging = future != NULL && future_remove_waiter(future, &task->waiter);
    if (was_hanging)
        task->fut_waiter = NULL;
    task_must_cancel(task, message);
    if (!was_hanging)
        return;
    weft_future_unref(future);
    task_queue(task);
}

static const struct weft_task_ops coro_task_ops;

/* The task of ours that `future` is; NULL if it is something else. */
static struct coro_task *coro_task_of(struct weft_future *future)
{
    struct weft_task *task = weft_container_of(future, struct weft_task, future);
    bool is_task = (weft_atomic_load_relaxed(&future->flags) & FUTURE_IS_TASK) != 0;
    return is_task && task->ops == &coro_task_ops ? coro_task(task) : NULL;
}

/*
 * Cancel `future`, whose reference goes, for which `task` waits; what comes of it is the task's. Tasks that wait for tasks are walked down
 * in a loop, however many they are. A task has taken the request as soon as the next one has begun to, so only the last two matter. `mark`
 * is the task met 2^n steps ago (R. P. Brent, An improved Monte Carlo factorization algorithm, 1980): meeting it again is a ring.
 */
static void task_cancel_onward(struct coro_task *task, const char *message, struct weft_future *future)
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
            step = weft_future_cancel(future, message) ? CANCEL_TAKEN : CANCEL_REFUSED;
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

static bool task_cancel(struct weft_task *base, const char *message)
{
    struct weft_future *future = NULL;
    enum cancel_step step = cancel_begin(coro_task(base), message, &future);
    if (step == CANCEL_GOES_ON)
        task_cancel_onward(coro_task(base), message, future);
    return step != CANCEL_REFUSED;
}

static int task_cancelling(const struct weft_task *base)
{
    return weft_atomic_load_relaxed(&coro_task(base)->cancelling);
}

static int task_uncancel(struct weft_task *base)
{
    struct coro_task *task = coro_task(base);
    task_lock(task);
    if (task->cancelling > 0)
        weft_atomic_store_relaxed(&task->cancelling, task->cancelling - 1);
    int left = task->cancelling;
    task_unlock(task, 0, left == 0 ? TASK_MUST_CANCEL : 0);
    return left;
}

static struct weft_coro *task_get_coro(const struct weft_task *base)
{
    return coro_task(base)->coro;
}

/*
 * Have the loop await the work of a task that hangs nowhere: the home, or the loop that it is held on, which closes after it. One that has
 * closed before, or was never told of tasks, sends the work home.
 */
static void task_await_work(struct coro_task *task)
{
    struct weft_loop *loop = task->waiter.loop;
    if (worker_is_closed(&loop->worker) || loop_room(loop, LOOP_ROOM_TASK) == NULL)
        loop = task_home(task);
    task_room(loop)->awaited_count++;
}

/*
 * The home closes. A waiting task leaves its future and is let go here; a queued one when its work is run, which is awaited, since it may
 * be on its way from another thread, and a fiber is to be unwound on no other thread than a closing loop's.
 */
static void task_abandon(struct weft_task *base)
{
    struct coro_task *task = coro_task(base);
    task_lock(task);
    struct weft_future *future = task->fut_waiter;
    bool was_hanging = future != NULL && future_remove_waiter(future, &task->waiter);
    if (was_hanging)
        task->fut_waiter = NULL;
    task_unlock(task, was_hanging ? 0 : TASK_AWAITED, 0);
    if (!was_hanging) {
        task_await_work(task);
        return;
    }
    weft_future_unref(future);
    task_give_up(task);
}

void task_finish(struct weft_task *base, struct weft_loop *loop, void (*end)(struct weft_coro *coro))
{
    struct coro_task *task = coro_task(base);
    task_lock(task);
    struct weft_future *future = task->fut_waiter;
    bool was_hanging = future != NULL && future_remove_waiter(future, &task->waiter);
    task->fut_waiter = NULL;
    task_unlock(task, 0, TASK_DETACH);
    weft_future_unref(future); /* it may be in the coroutine's own frame */
    if (was_hanging)
        task_queue(task);
    struct weft_loop *queued_on = task->waiter.loop;
    bool is_stealable = task->waiter.is_stealable;
    if (task->coro != NULL)
        task_end_coro(task, loop, end);
    task->waiter.loop = queued_on; /* where its work is awaited, whatever the body has let go of in its end */
    task->waiter.is_stealable = is_stealable;
}

static const struct weft_task_ops coro_task_ops = {
    .size = sizeof(coro_task_ops),
    .destroy = task_destroy,
    .cancel = task_cancel,
    .cancelling = task_cancelling,
    .uncancel = task_uncancel,
    .get_coro = task_get_coro,
    .abandon = task_abandon,
};

bool task_may_enter(const struct weft_task *base, const struct weft_loop *loop)
{
    if (base->ops != &coro_task_ops)
        return true;
    const struct coro_task *task = coro_task(base);
    if (weft_atomic_load_relaxed(&task->stepping) == loop) /* only this thread has written that */
        return true;
    return task_home(task) == loop && !task->is_stealable && !task->is_away;
}

/* ---- where it runs ---------------------------------------------------------------------------------------------------------------- */

void task_hold(struct weft_task *base, struct weft_loop *loop)
{
    if (base == NULL || base->ops != &coro_task_ops)
        return;
    struct coro_task *task = coro_task(base);
    (void)task_room(loop); /* its closing may have to await the task; without memory it will not */
    task->hold_count++;
    task->waiter.loop = loop;
    task->waiter.is_stealable = false;
    if (!task->is_stealable && loop != task_home(task) && !task->is_away)
        task->is_away = true;
}

void task_unhold(struct weft_task *base)
{
    if (base == NULL || base->ops != &coro_task_ops)
        return;
    struct coro_task *task = coro_task(base);
    if (--task->hold_count > 0)
        return;
    task->waiter.loop = task_home(task);
    task->waiter.is_stealable = task->is_stealable;
}

struct weft_loop *task_held_on(const struct weft_task *base)
{
    bool is_held = base != NULL && base->ops == &coro_task_ops && coro_task(base)->hold_count > 0;
    return is_held ? coro_task(base)->waiter.loop : NULL;
}

bool task_is_stealable(const struct weft_task *base)
{
    return base != NULL && base->ops == &coro_task_ops && coro_task(base)->is_stealable;
}

void task_rearm_cancel(struct weft_task *base)
{
    if (base == NULL)
        return;
    if (base->ops != &coro_task_ops) { /* which is all that we know of it */
        (void)weft_task_uncancel(base);
        (void)weft_task_cancel(base, NULL);
        return;
    }
    task_lock(coro_task(base));
    task_unlock(coro_task(base), TASK_MUST_CANCEL, 0);
}

/* ---- making ----------------------------------------------------------------------------------------------------------------------- */

static void task_set_place(struct coro_task *task, struct weft_loop *loop, bool is_stealable)
{
    task->waiter.work.run = task_run;
    task->waiter.loop = loop;
    task->waiter.is_stealable = task->is_stealable = is_stealable;
}

static int task_set_up(struct coro_task *task, struct weft_loop *loop, const struct weft_task_options *options)
{
    struct weft_context *context = options == NULL ? NULL : options->context;
    if (context == NULL) {
        int status = context_capture(&context);
        if (status < 0)
            return status;
    } else {
        weft_context_ref(context);
    }
    int status = weft_task_init(&task->base, loop, &coro_task_ops, context);
    weft_context_unref(context);
    if (status >= 0 && options != NULL && options->name != NULL)
        status = weft_task_set_name(&task->base, options->name);
    if (status < 0) {
        task->base.future.flags |= FUTURE_QUIET;
        weft_future_fini(&task->base.future);
    }
    if (options != NULL && (options->flags & WEFT_TASK_NO_DESTROY_PENDING))
        task->base.future.flags |= FUTURE_QUIET;
    return status;
}

/* How creation differs from call to call. */
struct task_how {
    const struct weft_task_options *options; /* may be NULL */
    bool is_stealable;
};

/* A task with references for the caller and for its run, not registered and not queued. */
static int task_make(struct weft_loop *loop, struct weft_coro *coro, const struct task_how *how, struct coro_task **task_out)
{
    struct coro_task *task = weft_calloc(1, sizeof(*task));
    int status = task == NULL ? -ENOMEM : task_set_up(task, loop, how->options);
    if (status < 0) {
        weft_free(task);
        return status;
    }
    task_set_place(task, loop, how->is_stealable);
    task->coro = coro;
    task->base.future.refs++; /* nobody else knows it yet */
    *task_out = task;
    return 0;
}

static int task_start(struct coro_task *task, const struct weft_task_options *options)
{
    if (options != NULL && (options->flags & WEFT_TASK_EAGER_START) && loop_is_here(task_home(task))) {
        (void)task_step_eagerly(task, task_home(task)); /* a fatal status is stored in the task, as any other */
        return 0;
    }
    int status = registry_add(&task->base);
    if (status >= 0)
        task_queue(task);
    return status;
}

/* Let go what has not begun, without its coroutine. */
static void task_unmake(struct coro_task *task)
{
    task->coro = NULL;
    task->base.future.flags |= FUTURE_QUIET;
    weft_task_unref(&task->base);
    weft_task_unref(&task->base);
}

static int task_new(struct weft_loop *loop, struct weft_coro *coro, const struct task_how *how, struct weft_task **task_out)
{
    struct coro_task *task;
    int status = task_make(loop, coro, how, &task);
    if (status < 0)
        return status;
    status = task_start(task, how->options);
    if (status < 0) {
        task_unmake(task); /* the caller closes the coroutine */
        return status;
    }
    if (task_out != NULL)
        *task_out = &task->base;
    else
        weft_task_unref(&task->base);
    return 0;
}

/* Refuse `coro`: it is closed, as the contract of creation says. */
static int refuse(struct weft_coro *coro, int status)
{
    if (coro != NULL && status != WEFT_EPROTOCOL)
        coro->ops->close(coro);
    return status;
}

static int check_options(const struct weft_coro *coro, const struct weft_task_options *options)
{
    const uint32_t known_flags = WEFT_TASK_EAGER_START | WEFT_TASK_NO_DESTROY_PENDING;
    if (coro == NULL || (options != NULL && (options->size < sizeof(*options) || (options->flags & ~known_flags) != 0)))
        return -EINVAL;
    const struct weft_coro_ops *ops = coro->ops;
    return ops == NULL || ops->size < sizeof(*ops) || ops->send == NULL || ops->close == NULL ? WEFT_EPROTOCOL : 0;
}

int weft_task_new(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, struct weft_task **task_out)
{
    int status = loop_check(loop);
    status = status < 0 ? status : check_options(coro, options);
    if (status >= 0 && task_room(loop) == NULL)
        status = -ENOMEM;
    struct task_how how = {options, false};
    if (status >= 0)
        status = task_new(loop, coro, &how, task_out);
    return status < 0 ? refuse(coro, status) : 0;
}

static int new_from_anywhere(struct weft_loop *loop, struct weft_coro *coro, const struct task_how *how, struct weft_task **task_out)
{
    int status = loop == NULL ? -EINVAL : check_options(coro, how->options);
    if (status >= 0 && weft_loop_is_closed(loop))
        status = WEFT_ECLOSED;
    if (status >= 0 && task_room(loop) == NULL)
        status = -ENOMEM;
    if (status >= 0)
        status = task_new(loop, coro, how, task_out);
    return status < 0 ? refuse(coro, status) : 0;
}

int weft_loop_create_task_threadsafe(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options,
                                     struct weft_task **task_out)
{
    struct task_how how = {options, false};
    return new_from_anywhere(loop, coro, &how, task_out);
}

int weft_loop_spawn(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, struct weft_task **task_out)
{
    struct task_how how = {options, true};
    return new_from_anywhere(loop, coro, &how, task_out);
}

/* ---- tasks of stolen jobs --------------------------------------------------------------------------------------------------------- */

static int task_run_first(struct weft_work *work)
{
    struct coro_task *task = weft_container_of(work, struct coro_task, waiter.work);
    struct weft_loop *here = weft_get_running_loop();
    work->run = task_run;
    return here == NULL || weft_loop_is_closed(here) ? task_run(work) : task_step_eagerly(task, here);
}

int task_make_child(struct weft_loop *loop, struct weft_coro *coro, struct weft_context *context, const struct weft_task *parent,
                    struct weft_task **task_out)
{
    struct coro_task *task = task_room(loop) == NULL ? NULL : weft_calloc(1, sizeof(*task));
    if (task == NULL)
        return -ENOMEM;
    (void)weft_task_init(&task->base, loop, &coro_task_ops, NULL); /* which has nothing to refuse */
    task_set_place(task, loop, true);
    task->waiter.work.run = task_run_first;
    task->coro = coro;
    task->base.future.refs++; /* nobody else knows it yet */
    task_adopt(&task->base, context, parent);
    *task_out = &task->base;
    return 0;
}

void task_adopt(struct weft_task *task, struct weft_context *context, const struct weft_task *parent)
{
    task->future.context = context;
    task->parent_id = parent == NULL ? 0 : weft_atomic_load_relaxed(&parent->id);
}

struct weft_work *task_first_work(struct weft_task *task)
{
    return &coro_task(task)->waiter.work;
}

void task_drop_unstarted(struct weft_task *base)
{
    struct weft_coro *coro = coro_task(base)->coro;
    task_unmake(coro_task(base));
    coro->ops->close(coro);
}

/* ---- the public calls ------------------------------------------------------------------------------------------------------------- */

int weft_loop_create_task(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options,
                          struct weft_task **task_out)
{
    struct loop_room_state *state = loop == NULL ? NULL : loop_room(loop, LOOP_ROOM_TASK);
    struct task_room *room = (struct task_room *)state;
    if (room == NULL || room->factory == NULL)
        return weft_task_new(loop, coro, options, task_out);
    int status = loop_check(loop);
    if (status < 0)
        return refuse(coro, status);
    struct weft_task *task = NULL;
    status = room->factory(loop, coro, options, room->factory_arg, &task);
    if (status < 0)
        return status;
    if (task_out != NULL)
        *task_out = task;
    else
        weft_task_unref(task);
    return 0;
}

int weft_loop_set_task_factory(struct weft_loop *loop, weft_task_factory_fn *factory, void *arg)
{
    int status = loop_check(loop);
    if (status < 0)
        return status;
    struct task_room *room = task_room(loop);
    if (room == NULL)
        return -ENOMEM;
    room->factory = factory;
    room->factory_arg = arg;
    return 0;
}

weft_task_factory_fn *weft_loop_get_task_factory(struct weft_loop *loop)
{
    if (loop == NULL)
        return NULL;
    struct loop_room_state *state = loop_room(loop, LOOP_ROOM_TASK);
    return state == NULL ? NULL : ((struct task_room *)state)->factory;
}
