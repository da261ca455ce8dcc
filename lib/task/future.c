/*
 * Future: one state word, exactly one winner, waiters in the order in which they came.
 *
 * Tasks, streams, servers and users complete and await futures from any thread. The state word is
 *
 *      63 ................ 3 | 2         1        | 0
 *      newest waiter          cancelled  finished   locked
 *
 *      locked      held for a few stores by whoever adds, removes or completes; nobody calls out under it
 *      finished    set once, with cancelled clear; result, status and flags were written before
 *      cancelled   set once, with finished clear
 *      waiter      the newest one while pending; `older` leads to those before. NULL once done
 *
 * A load that finds a done bit may use the result. The word is never stale for one who holds the lock. Whoever sets a done bit owns the
 * list of waiters from then on and queues each on its own loop, the pinned waiters of one loop as one batch, the stealable ones one by one;
 * after that it does not touch the future but through the caller's reference.
 */
#include "lib/task/future.h"

#include <assert.h>
#include <errno.h>

#include "lib/base/context.h"
#include "lib/loop/loop.h"
#include "weft/atomic.h"
#include "weft/context.h"
#include "weft/memory.h"
#include "weft/status.h"

#define STATE_LOCKED ((uintptr_t)1)
#define STATE_DONE   ((uintptr_t)(FUTURE_FINISHED | FUTURE_CANCELLED))
#define STATE_BITS   ((uintptr_t)7)

static uintptr_t future_lock(struct weft_future *future)
{
    for (;;) {
        uintptr_t state = weft_atomic_load_relaxed(&future->state);
        /* Pairs with the release in future_unlock(): what the last holder wrote. */
        if ((state & STATE_LOCKED) == 0 && weft_atomic_cas_acquire(&future->state, &state, state | STATE_LOCKED))
            return state;
        weft_atomic_pause();
    }
}

static void future_unlock(struct weft_future *future, uintptr_t state)
{
    /* Pairs with the acquire in future_lock() and in future_get_state(): the waiters' links, and the result under a done bit. */
    weft_atomic_store_release(&future->state, state);
}

static struct waiter *newest_waiter(uintptr_t state)
{
    return (struct waiter *)(state & ~STATE_BITS);
}

static struct waiter *newer_waiter(const struct waiter *waiter)
{
    return (struct waiter *)waiter->work.next;
}

static void link_newer(struct waiter *waiter, struct waiter *newer)
{
    waiter->work.next = (struct weft_work *)newer;
}

bool future_add_waiter(struct weft_future *future, struct waiter *waiter)
{
    uintptr_t state = future_lock(future);
    if (state & STATE_DONE) {
        future_unlock(future, state);
        return false;
    }
    waiter->work.next = NULL;
    waiter->older = newest_waiter(state);
    if (waiter->older != NULL)
        link_newer(waiter->older, waiter);
    future_unlock(future, (uintptr_t)waiter | FUTURE_PENDING);
    return true;
}

/* Take `waiter` out of the list that begins at `newest`; the new beginning. */
static struct waiter *waiter_unlink(struct waiter *newest, struct waiter *waiter)
{
    if (newer_waiter(waiter) != NULL)
        newer_waiter(waiter)->older = waiter->older;
    if (waiter->older != NULL)
        waiter->older->work.next = waiter->work.next;
    return newest == waiter ? waiter->older : newest;
}

bool future_remove_waiter(struct weft_future *future, struct waiter *waiter)
{
    uintptr_t state = future_lock(future);
    struct waiter *newest = newest_waiter(state);
    if ((state & STATE_DONE) != 0 || (newest != waiter && newer_waiter(waiter) == NULL)) {
        future_unlock(future, state);
        return false;
    }
    future_unlock(future, (uintptr_t)waiter_unlink(newest, waiter));
    return true;
}

struct waiter *future_remove_matching(struct weft_future *future, bool (*is_match)(struct waiter *waiter, void *arg), void *arg)
{
    struct waiter *removed = NULL;
    uintptr_t state = future_lock(future);
    struct waiter *newest = newest_waiter(state);
    for (struct waiter *waiter = newest, *older; waiter != NULL; waiter = older) {
        older = waiter->older;
        if (!is_match(waiter, arg))
            continue;
        newest = waiter_unlink(newest, waiter);
        waiter->older = removed;
        removed = waiter;
    }
    future_unlock(future, (uintptr_t)newest | (state & STATE_DONE));
    return removed;
}

/* Turn the list around into a chain of works, oldest first. Those that wait without a loop are run here and now. */
static struct waiter *waiters_in_order(struct weft_future *future, struct waiter *newest)
{
    struct waiter *oldest = NULL;
    while (newest != NULL) {
        struct waiter *older = newest->older;
        if (newest->is_callback)
            weft_future_ref(future);
        link_newer(newest, oldest);
        oldest = newest;
        newest = older;
    }
    return oldest;
}

/*
 * Queue the waiters of the first one's loop as one batch, or the first one alone if it is stealable. Returns those that are left, in order.
 * Nothing of what was queued is touched again: it may have been run already, on another loop, and be gone.
 */
static struct waiter *wake_one_loop(struct waiter *oldest)
{
    struct weft_loop *loop = oldest->loop;
    if (oldest->is_stealable) {
        struct waiter *others = newer_waiter(oldest);
        work_ready_stealable(&loop->worker, &oldest->work);
        return others;
    }
    struct weft_work_list batch = {NULL, NULL, 0}, rest = {NULL, NULL, 0};
    for (struct waiter *waiter = oldest, *next; waiter != NULL; waiter = next) {
        next = newer_waiter(waiter);
        weft_work_list_push(waiter->loop == loop && !waiter->is_stealable ? &batch : &rest, &waiter->work);
    }
    struct weft_work *work;
    if (loop != NULL)
        work_ready_chain(&loop->worker, batch.head, batch.tail, batch.count);
    else
        while ((work = weft_work_list_pop(&batch)) != NULL)
            (void)work->run(work);
    return (struct waiter *)rest.head;
}

/* One waiter alone: no list to be turned around. It has a loop. */
static inline void wake_only(struct weft_future *future, struct weft_loop *here, struct waiter *waiter)
{
    if (waiter->is_callback)
        weft_future_ref(future);
    if (waiter->is_stealable)
        work_ready_stealable(&waiter->loop->worker, &waiter->work);
    else if (here != NULL && waiter->loop == here)
        work_ready_here(here, &waiter->work);
    else
        work_ready_chain(&waiter->loop->worker, &waiter->work, &waiter->work, 1);
}

__attribute__((noinline)) static void wake_many(struct weft_future *future, struct waiter *newest)
{
    struct waiter *waiting = waiters_in_order(future, newest);
    while (waiting != NULL)
        waiting = wake_one_loop(waiting);
}

bool future_complete_from(struct weft_future *future, struct weft_loop *here, enum future_state outcome, int status, void *value)
{
    uintptr_t state = future_lock(future);
    if (state & STATE_DONE) {
        future_unlock(future, state);
        return false;
    }
    future->status = status;
    future->value = value;
    if (outcome == FUTURE_FINISHED && status < 0)
        weft_atomic_store_relaxed(&future->flags, weft_atomic_load_relaxed(&future->flags) | FUTURE_UNRETRIEVED); /* others read it */
    future_unlock(future, outcome);
    struct waiter *newest = newest_waiter(state);
    if (newest == NULL)
        return true;
    if (newest->older == NULL && newest->loop != NULL)
        wake_only(future, here, newest);
    else
        wake_many(future, newest);
    return true;
}

bool future_complete(struct weft_future *future, enum future_state outcome, int status, void *value)
{
    return future_complete_from(future, NULL, outcome, status, value);
}

void future_abandon(struct weft_future *future)
{
    (void)weft_atomic_or_relaxed(&future->flags, FUTURE_ABANDONED); /* published with the completion */
    (void)future_complete(future, FUTURE_FINISHED, WEFT_ECLOSED, NULL);
}

/* ---- the public calls --------------------------------------------------------------------------------------------------------- */

void future_setup(struct weft_future *future, struct weft_loop *loop, const struct weft_future_ops *ops, uint32_t flags)
{
    future->ops = ops;
    future->loop = weft_loop_ref(loop);
    future->refs = 1;
    future->flags = flags;
}

int weft_future_init(struct weft_future *future, struct weft_loop *loop, const struct weft_future_ops *ops)
{
    if (future == NULL || loop == NULL)
        return -EINVAL;
    if (future->loop != NULL)
        return WEFT_EINVALIDSTATE;
    future_setup(future, loop, ops, 0);
    return 0;
}

static void future_free(struct weft_future *future)
{
    weft_free(future);
}

static const struct weft_future_ops plain_ops = {.size = sizeof(plain_ops), .destroy = future_free};

int weft_loop_create_future(struct weft_loop *loop, struct weft_future **future_out)
{
    if (loop == NULL || future_out == NULL)
        return -EINVAL;
    struct weft_future *future = weft_calloc(1, sizeof(*future));
    if (future == NULL)
        return -ENOMEM;
    future_setup(future, loop, &plain_ops, 0);
    *future_out = future;
    return 0;
}

static void report_end(struct weft_future *future, const char *message)
{
    struct weft_exception exception = {.size = sizeof(exception),
                                       .message = message,
                                       .status = future->status,
                                       .future = future,
                                       .task = future->flags & FUTURE_IS_TASK ? (struct weft_task *)(void *)future : NULL};
    /* The exception handler runs in the context of the task that it is told of (LOOP-14). */
    struct weft_context *outer = exception.task == NULL ? NULL : context_swap_current(future->context);
    weft_future_ref(future); /* a handler may take one too, and drop it */
    weft_loop_call_exception_handler(future->loop, &exception);
    (void)weft_atomic_sub_relaxed(&future->refs, 1);
    if (exception.task != NULL)
        future->context = context_swap_current(outer);
}

/* Report what nobody has asked for, and drop who hangs on it. */
static void end_unasked(struct weft_future *future)
{
    const uint32_t pending_and_quiet = FUTURE_ABANDONED | FUTURE_QUIET;
    bool was_abandoned = (future->flags & FUTURE_ABANDONED) != 0;
    if ((future->flags & FUTURE_UNRETRIEVED) != 0 && (future->flags & pending_and_quiet) != pending_and_quiet)
        report_end(future, was_abandoned ? "task was destroyed but it is pending" : "exception was never retrieved");
    if ((future->flags & (FUTURE_IS_TASK | FUTURE_QUIET)) == FUTURE_IS_TASK && (future->state & STATE_DONE) == 0)
        report_end(future, "task was destroyed but it is pending");
    for (struct waiter *waiter = newest_waiter(future->state), *older; waiter != NULL; waiter = older) {
        older = waiter->older;
        assert(waiter->is_callback); /* who waits otherwise keeps the future alive as long */
        future_drop_callback(waiter);
    }
}

void weft_future_fini(struct weft_future *future)
{
    if (future == NULL || future->loop == NULL)
        return;
    if ((future->flags & FUTURE_UNRETRIEVED) != 0 || (future->state & STATE_DONE) == 0)
        end_unasked(future);
    if (future->context != NULL)
        weft_context_unref(future->context);
    weft_loop_unref(future->loop);
    *future = (struct weft_future){.loop = NULL};
}

void future_fini_frame(struct weft_future *future)
{
    if (newest_waiter(future->state) == NULL)
        return;
    (void)weft_loop_ref(future->loop); /* which the end of others lets go */
    weft_future_fini(future);
}

struct weft_future *weft_future_ref(struct weft_future *future)
{
    if (future == NULL)
        return NULL;
    (void)weft_atomic_add_relaxed(&future->refs, 1);
    return future;
}

bool future_unref_last(struct weft_future *future)
{
    return future_unref_is_last(future, 1);
}

void future_destroy(struct weft_future *future)
{
    const struct weft_future_ops *ops = future->ops;
    weft_future_fini(future);
    if (ops != NULL && ops->destroy != NULL)
        ops->destroy(future);
}

void weft_future_unref(struct weft_future *future)
{
    if (future != NULL)
        future_unref_many(future, 1);
}

struct weft_future *weft_future_promise(struct weft_future *future)
{
    if (future == NULL)
        return NULL;
    (void)weft_atomic_add_relaxed(&future->promises, 1);
    return weft_future_ref(future);
}

void weft_future_unpromise(struct weft_future *future)
{
    if (future == NULL)
        return;
    /* Acq_rel. Pairs with itself: who completed before letting go has done so before the last one tries. */
    if (weft_atomic_sub_acq_rel(&future->promises, 1) == 1 && future_complete(future, FUTURE_FINISHED, WEFT_EBROKENPROMISE, NULL)) {
        struct weft_exception exception = {
            .size = sizeof(exception), .message = "a promise was broken", .status = WEFT_EBROKENPROMISE, .future = future};
        weft_loop_call_exception_handler(future->loop, &exception);
    }
    weft_future_unref(future);
}

static int future_set(struct weft_future *future, int status, void *value)
{
    if (weft_atomic_load_relaxed(&future->flags) & FUTURE_IS_TASK)
        return WEFT_EFORBIDDEN;
    return future_complete(future, FUTURE_FINISHED, status, value) ? 0 : WEFT_EINVALIDSTATE;
}

int weft_future_set_result(struct weft_future *future, void *value)
{
    return future == NULL ? -EINVAL : future_set(future, 0, value);
}

int weft_future_set_exception(struct weft_future *future, int status)
{
    return future == NULL || status >= 0 ? -EINVAL : future_set(future, status, NULL);
}

/* Whoever asks takes note of the exception. */
static void mark_retrieved(struct weft_future *future)
{
    if (weft_atomic_load_relaxed(&future->flags) & FUTURE_UNRETRIEVED)
        (void)weft_atomic_and_relaxed(&future->flags, ~(uint32_t)FUTURE_UNRETRIEVED);
}

bool weft_future_cancel(struct weft_future *future, const char *message)
{
    if (future == NULL)
        return false;
    if (future_get_state(future) != FUTURE_PENDING) {
        mark_retrieved(future);
        return false;
    }
    if (future->ops != NULL && future->ops->size >= sizeof(*future->ops) && future->ops->cancel != NULL)
        return future->ops->cancel(future, message);
    return future_complete(future, FUTURE_CANCELLED, -ECANCELED, (void *)(uintptr_t)message);
}

bool weft_future_done(const struct weft_future *future)
{
    return future != NULL && future_get_state(future) != FUTURE_PENDING;
}

bool weft_future_cancelled(const struct weft_future *future)
{
    return future != NULL && future_get_state(future) == FUTURE_CANCELLED;
}

int weft_future_exception(struct weft_future *future, int *status_out)
{
    if (future == NULL)
        return -EINVAL;
    enum future_state state = future_get_state(future);
    if (state != FUTURE_FINISHED)
        return state == FUTURE_PENDING ? WEFT_EINVALIDSTATE : -ECANCELED;
    mark_retrieved(future);
    if (status_out != NULL)
        *status_out = future->status;
    return 0;
}

int weft_future_result(struct weft_future *future, void **value_out)
{
    int exception;
    int status = weft_future_exception(future, &exception);
    if (status < 0 || exception < 0)
        return status < 0 ? status : exception;
    if (value_out != NULL)
        *value_out = future->value;
    return 0;
}

const char *weft_future_cancel_message(const struct weft_future *future)
{
    if (future == NULL)
        return NULL;
    return future_get_state(future) == FUTURE_CANCELLED ? future->value : NULL;
}

struct weft_loop *weft_future_get_loop(const struct weft_future *future)
{
    if (future == NULL)
        return NULL;
    return future->loop;
}
