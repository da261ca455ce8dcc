/*
 * The task of a coroutine, as the files that make, step, cancel and place it see it. Everybody else goes through lib/task/task.h.
 */
#ifndef LIB_TASK_CORO_TASK_H
#define LIB_TASK_CORO_TASK_H

#include "lib/task/task.h"
#include "weft/atomic.h"

/*
 * Bits of coro_task.state.
 *
 *     LOCKED       held for a few loads and stores
 *     MUST_CANCEL  raise -ECANCELED at the next step; set by a canceller, cleared by the step, by the wait that passes it on, or by
 *                  uncancel(); under the lock
 *     PASSING      the wait that has just begun passes a request on, and what comes of that is not known yet: no step may begin
 *     LEFT         one would have: it is for whoever passes on to queue the task
 *     DETACH       the present wait is to be left, not its future cancelled; set with fut_waiter, under the lock
 *     AWAITED      its home closes, and a loop waits for its work to come; set by task_abandon(), never cleared
 */
enum { TASK_LOCKED = 1, TASK_MUST_CANCEL = 2, TASK_DETACH = 4, TASK_AWAITED = 8, TASK_PASSING = 16, TASK_LEFT = 32 };

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

static inline struct coro_task *coro_task(const struct weft_task *task)
{
    return (struct coro_task *)(uintptr_t)task;
}

static inline struct weft_loop *task_home(const struct coro_task *task)
{
    return task->base.future.loop;
}

static inline void task_lock(struct coro_task *task)
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
static inline uint32_t task_bits(const struct coro_task *task)
{
    return weft_atomic_load_relaxed(&task->state);
}

/* Unlock, with `bits` set and cleared on the way. */
static inline void task_unlock(struct coro_task *task, uint32_t set, uint32_t clear)
{
    uint32_t state = (weft_atomic_load_relaxed(&task->state) | set) & ~(clear | TASK_LOCKED);
    /* Pairs with the acquire in task_lock(): what was changed under the lock. */
    weft_atomic_store_release(&task->state, state);
}

extern const struct weft_task_ops coro_task_ops;

/* True if it is one of ours. thread: any */
static inline bool is_coro_task(const struct weft_task *task)
{
    return task != NULL && task->ops == &coro_task_ops;
}

/* Make it ready, and have no more to do with it. thread: any, who has it */
void task_queue(struct coro_task *task);

/*
 * Run here what was queued here, or taken from another loop of the crew. Work that comes where the task cannot go on, as its crew is
 * dissolved or the loop that it was held on has closed, is sent home; if the home is closed too, nobody is left to run it.
 *
 * thread:  a loop's, or one that found the queue closed
 */
int task_run(struct weft_work *work);

/*
 * Do the first step on `loop`, here and now; only a task that blocks in it is registered (TASK-19, REG-5), and before others can have it.
 *
 * thread:  the loop's
 * returns: as a work's run
 */
int task_step_eagerly(struct coro_task *task, struct weft_loop *loop);

/* The slots of its ops, in task_cancel.c. */
bool task_cancel(struct weft_task *task, const char *message);
int task_cancelling(const struct weft_task *task);
int task_uncancel(struct weft_task *task);

/*
 * Cancel `future`, whose reference goes, for which `task` waits; what comes of it is the task's.
 *
 * thread:  any
 * memory:  the caller holds a reference to the task
 */
void task_cancel_onward(struct coro_task *task, const char *message, struct weft_future *future);

#endif
