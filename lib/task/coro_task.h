/*
 * The task of a coroutine, as the files that make, step, cancel and place it see it. Everybody else goes through lib/task/task.h.
 */
#ifndef LIB_TASK_CORO_TASK_H
#define LIB_TASK_CORO_TASK_H

#include <stddef.h>

#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/memory.h"

/*
 * Bits of coro_task.state.
 *
 *     LOCKED       held for a few loads and stores
 *     MUST_CANCEL  raise -ECANCELED at the next step; set by a canceller, cleared by the step, by the wait that passes it on, or by
 *                  uncancel(); under the lock
 *     PASSING      the wait that has just begun passes a request on, and what comes of that is not known yet: no step may begin
 *     LEFT         one would have: it is for whoever passes on to queue the task
 *     DETACH       the present wait is to be left, not its future cancelled; set with fut_waiter, under the lock
 *     PARKED       it waits for its own loop alone, see lib/task/park.h; set by the wait, under the lock. Who clears it makes it go on
 *     AWAITED      its home closes, and a loop waits for its work to come; set by task_abandon(), never cleared
 */
enum { TASK_LOCKED = 1, TASK_MUST_CANCEL = 2, TASK_DETACH = 4, TASK_AWAITED = 8, TASK_PASSING = 16, TASK_LEFT = 32, TASK_PARKED = 64 };

struct coro_task {
    struct weft_task base; /* first */
    struct weft_coro *coro;
    struct waiter waiter;           /* its loop: where the task is held, else its home */
    struct weft_future *fut_waiter; /* atomic. The coroutine's: it keeps it until the next step begins */
    const char *cancel_message;
    struct weft_loop *stepping; /* the loop that steps it at this moment */
    uint32_t state;
    int32_t cancelling;
    int16_t raise; /* what the next step throws */
    uint16_t hold_count;
    bool is_stealable;
    bool is_shielded; /* the next step delivers no cancellation */
    bool is_away;     /* pinned, but held elsewhere. Set and cleared in its home's thread, which may thus ask */
    uint8_t block;    /* enum coro_block, and above it the enum block_kind of the block that begins here */
};

/* The coroutine lies right behind its task, and its state behind that, aligned for anything. */
_Static_assert(sizeof(struct coro_task) % _Alignof(max_align_t) == 0, "");

/*
 * A coroutine of ours is allocated with room for its task ahead of it, so that both are one block. Who goes last frees it.
 *
 *     APART      the task has a block of its own
 *     VACANT     no task is in that room: none yet, or none that has begun, or one of a third party's is elsewhere
 *     SHARED     the coroutine is not closed, and its task not destroyed
 *     LEFT_OVER  the coroutine is closed, and its task not destroyed
 */
enum coro_block { CORO_APART, CORO_VACANT, CORO_SHARED, CORO_LEFT_OVER, CORO_BLOCK_BITS = 3 };

static inline enum coro_block coro_block(const struct coro_task *task)
{
    return (enum coro_block)(task->block & CORO_BLOCK_BITS);
}

static inline void coro_set_block(struct coro_task *task, enum coro_block block)
{
    task->block = (uint8_t)((task->block & ~CORO_BLOCK_BITS) | (int)block);
}

/* What the loop that runs in this thread keeps; NULL if none runs. */
static inline struct block_cache *coro_blocks(void)
{
    struct weft_loop *here = BLOCKS_ARE_KEPT ? loop_here() : NULL;
    struct loop_room_state *room = here == NULL ? NULL : loop_room(here, LOOP_ROOM_TASK);
    return room == NULL ? NULL : &((struct task_room *)room)->blocks;
}

/* Free the block of `task`, in which nothing lives any more. */
static inline void coro_free_block(struct coro_task *task)
{
    block_give(coro_blocks(), (enum block_kind)(task->block / (CORO_BLOCK_BITS + 1)), task);
}

extern const struct weft_coro_ops step_ops, fiber_ops;

/* The room that `coro`, one of ours, has ahead of it. */
static inline struct coro_task *coro_room(struct weft_coro *coro)
{
    return (struct coro_task *)(void *)coro - 1;
}

/* A block of room and a coroutine of `bytes`, which is returned; nothing of it is written. NULL when out of memory. */
static inline struct weft_coro *coro_new(size_t bytes)
{
    enum block_kind kind = block_kind(sizeof(struct coro_task) + bytes);
    struct coro_task *task = block_take(coro_blocks(), kind, sizeof(*task) + bytes);
    if (task == NULL)
        return NULL;
    task->block = (uint8_t)(CORO_VACANT + kind * (CORO_BLOCK_BITS + 1));
    return (struct weft_coro *)(void *)(task + 1);
}

/* `coro`, one of ours, is closed. */
static inline void coro_free(struct weft_coro *coro)
{
    struct coro_task *task = coro_room(coro);
    if (coro_block(task) == CORO_SHARED)
        coro_set_block(task, CORO_LEFT_OVER);
    else
        coro_free_block(task);
}

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

/*
 * The future that the task waits for, or is about to hang on, or has been woken by; NULL between its waits. Under the lock, unless the
 * task is the caller's own.
 */
static inline struct weft_future *task_awaits(const struct coro_task *task)
{
    /* Pairs with the release in task_set_awaited(). */
    return weft_atomic_load_acquire(&task->fut_waiter);
}

static inline void task_set_awaited(struct coro_task *task, struct weft_future *future)
{
    /* Release: what the future is made of. Pairs with the acquire in task_awaits(). */
    weft_atomic_store_release(&task->fut_waiter, future);
}

/* True if the step of `task` that is due has nothing to raise and leaves no wait behind. thread: the one that is about to step it */
static inline bool task_is_free(const struct coro_task *task)
{
    /*
     * A task that has only yielded needs no lock: who cancels it at this very moment does so for its next suspension. Pairs with the release
     * in task_unlock(): the last step's thread may be in task_wait() yet, and the fields are not to be looked at before it has left.
     */
    return weft_atomic_load_acquire(&task->state) == 0 && task_awaits(task) == NULL && task->raise == 0;
}

/*
 * What a step of ours hands to send: the place for what comes out, and the task whose step comes back. That is the one that was sent to,
 * unless it has passed its turn on meanwhile (pass.c).
 */
struct task_turn {
    struct weft_suspend suspend;
    struct coro_task *task;
    bool may_pass; /* it is a work's: whoever began it does nothing more before the next work */
};

/*
 * The task that is next in this snapshot, if `task`, which is stepped on `loop`, may pass its turn to it: both belong there, and the next step
 * is to do nothing but to go on. NULL if there is none. `suspend` is what the step was handed.
 *
 * thread:  the loop's
 */
struct coro_task *task_next_in_turn(struct weft_loop *loop, const struct coro_task *task, struct weft_suspend *suspend);

/*
 * End the step of `task`, which yields, and begin that of `next`, which is task_next_in_turn(). `suspend` is what the first was handed; it is
 * the other's from here on.
 *
 * thread:  the loop's
 */
void task_pass_turn(struct weft_loop *loop, struct coro_task *task, struct coro_task *next, struct weft_suspend *suspend);

extern const struct weft_task_ops coro_task_ops;

/* True if it is one of ours. thread: any */
static inline bool is_coro_task(const struct weft_task *task)
{
    return task != NULL && task->ops == &coro_task_ops;
}

/* Make it ready, and have no more to do with it. thread: any, who has it */
void task_queue(struct coro_task *task);

/* The same for who knows that `here` runs in this thread; NULL for who does not know. */
static inline void task_queue_from(struct coro_task *task, struct weft_loop *here)
{
    if (task->waiter.loop == here && !task->waiter.is_stealable)
        work_ready_here(here, &task->waiter.work);
    else
        task_queue(task);
}

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

/*
 * The same for a task that nobody knows but its creator, who is in the creating call. It has got one reference from that, and the run has
 * the other.
 *
 * thread:  the loop's
 */
void task_start_eagerly(struct coro_task *task, struct weft_loop *loop);

/*
 * Leave what the task waits for: its future, or where it is parked.
 *
 * thread:  any, under the task's lock
 * returns: false if it waits for nothing, or its wake-up is on its way already; else it is for the caller to make it go on
 */
bool task_leave_wait(struct coro_task *task);

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
