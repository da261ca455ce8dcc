/*
 * Future, inside: the waiters that hang on one, and completion as the rooms above use it. See lib/task/future.c for the state word.
 */
#ifndef LIB_TASK_FUTURE_H
#define LIB_TASK_FUTURE_H

#include <stdbool.h>

#include "lib/loop/loop.h"
#include "weft/atomic.h"
#include "weft/future.h"

/* How a future ended, or that it did not. The values are bits of the state word. */
enum future_state {
    FUTURE_PENDING = 0,
    FUTURE_FINISHED = 2,
    FUTURE_CANCELLED = 4,
};

/* Bits of weft_future.flags. */
enum future_flags {
    FUTURE_IS_TASK = 1,
    FUTURE_UNRETRIEVED = 2, /* it has an exception that nobody asked for */
    FUTURE_QUIET = 4,       /* a task that may be destroyed while pending, unreported */
    FUTURE_ABANDONED = 8,   /* a task that its loop has closed over */
};

/*
 * One who waits: queued on its own loop once the future is done. It belongs to the waiter, who keeps it until its work has run or it was
 * removed.
 */
struct waiter {
    struct weft_work work; /* first; while it hangs, `next` leads to the newer one */
    struct waiter *older;
    struct weft_loop *loop; /* where it is queued; NULL: its work is run by the completer, at once */
    bool is_callback;       /* a struct done_callback, which needs the future when it runs */
    bool is_stealable;      /* any loop of its crew may run it */
};

/*
 * Hang `waiter` on `future`.
 *
 * thread:  any
 * memory:  the caller keeps the future alive while the waiter hangs
 * returns: false if the future is done: nothing was hung, and the caller queues it himself
 */
bool future_add_waiter(struct weft_future *future, struct waiter *waiter);

/*
 * Take `waiter` off `future`.
 *
 * thread:  any
 * returns: false if it does not hang there: its work is queued or will be in a moment; or it is about to be hung, and the `next` of its work
 *          is NULL
 */
bool future_remove_waiter(struct weft_future *future, struct waiter *waiter);

/*
 * Take off every waiter that `is_match` picks, which is called under the future's lock and must only look.
 *
 * thread:  any
 * returns: those, oldest first, linked by `older`
 */
struct waiter *future_remove_matching(struct weft_future *future, bool (*is_match)(struct waiter *waiter, void *arg), void *arg);

/*
 * Complete `future`: `status` and `value` for FUTURE_FINISHED, the message in `value` for FUTURE_CANCELLED. Tasks end here too.
 *
 * thread:  any; the caller holds a reference
 * returns: false if it was done already
 */
bool future_complete(struct weft_future *future, enum future_state state, int status, void *value);

/* The same for who knows that `here` runs in this thread; NULL for who does not know. */
bool future_complete_from(struct weft_future *future, struct weft_loop *here, enum future_state state, int status, void *value);

/*
 * The same for a future that nobody else knows: nobody waits for it, and whoever gets to know it does so through the caller.
 *
 * thread:  the one that made it
 */
static inline void future_complete_unknown(struct weft_future *future, enum future_state state, int status, void *value)
{
    future->status = status;
    future->value = value;
    if (state == FUTURE_FINISHED && status < 0)
        future->flags |= FUTURE_UNRETRIEVED;
    weft_atomic_store_relaxed(&future->state, (uintptr_t)state);
}

/* The state. What was written before the completion is seen after it. thread: any */
static inline enum future_state future_get_state(const struct weft_future *future)
{
    /* Pairs with the release in future_unlock(). */
    return (enum future_state)(weft_atomic_load_acquire(&future->state) & (FUTURE_FINISHED | FUTURE_CANCELLED));
}

/* As work_ready() for a work of `loop`, which runs in this thread. */
static inline void work_ready_here(struct weft_loop *loop, struct weft_work *work)
{
    if (inbox_is_empty(&loop->worker.inbox))
        worker_push(&loop->worker, work);
    else
        work_ready_chain(&loop->worker, work, work, 1); /* behind what was posted before (LOOP-10) */
}

/* A done callback as rooms add it: `release` (may be NULL) gets `arg` in the end, whether `fn` was called or never will be. */
struct future_callback {
    weft_future_callback_fn *fn;
    void *arg;
    struct weft_context *context;
    void (*release)(void *arg);
};

/*
 * As weft_future_add_done_callback(), on the queue of `loop`.
 *
 * thread:  any
 * returns: 0; -ENOMEM, and nothing was released
 */
int future_add_callback_on(struct weft_future *future, struct weft_loop *loop, const struct future_callback *callback);

/* The work of a callback that will never run: its future is gone. thread: any */
void future_drop_callback(struct waiter *waiter);

/*
 * Complete the future of a task whose loop has closed over it, with WEFT_ECLOSED, so that nobody waits for ever. If nobody asks for that
 * either, it is reported as destroyed while pending (TASK-17).
 *
 * thread:  any; the caller holds a reference
 */
void future_abandon(struct weft_future *future);

/* The end, once no reference is left. thread: who has let go the last one */
void future_destroy(struct weft_future *future);

/* Let go `count` references; true if no other was left. Who holds all of them need not tell others, and saves a locked instruction. */
static inline bool future_unref_is_last(struct weft_future *future, uint32_t count)
{
    /* Pairs with the acq_rel below: whoever destroys has seen what the others did before they let go. */
    if (weft_atomic_load_acquire(&future->refs) == count)
        return true;
    /* Pairs with itself and with the acquire above. */
    return weft_atomic_sub_acq_rel(&future->refs, count) == count;
}

/* Let go `count` references at once. thread: any */
static inline void future_unref_many(struct weft_future *future, uint32_t count)
{
    if (future_unref_is_last(future, count))
        future_destroy(future);
}

/*
 * Let go a reference as weft_future_unref() does, but leave the end to the caller.
 *
 * thread:  any
 * returns: true if it was the last: weft_future_fini(), and what ops->destroy would do, are for the caller
 */
bool future_unref_last(struct weft_future *future);

/*
 * As future_setup() for a future in a fiber's frame, of a loop that is held by what the fiber waits for: it takes no reference. Its end is
 * future_fini_frame(), once fiber_await_frame() has returned.
 *
 * thread:  any
 */
static inline void future_setup_frame(struct weft_future *future, struct weft_loop *loop)
{
    *future = (struct weft_future){.loop = loop, .refs = 1};
}

void future_fini_frame(struct weft_future *future);

/* As weft_future_init(), for a task. */
void future_setup(struct weft_future *future, struct weft_loop *loop, const struct weft_future_ops *ops, uint32_t flags);

#endif
