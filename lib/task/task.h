/*
 * Task, inside: what the files of this room share.
 */
#ifndef LIB_TASK_TASK_H
#define LIB_TASK_TASK_H

#include "lib/lockfree/slots.h"
#include "lib/loop/loop.h"
#include "lib/task/block.h"
#include "lib/task/future.h"
#include "weft/atomic.h"
#include "weft/task.h"

/* What the task room keeps per loop. */
struct task_room {
    struct loop_room_state state; /* first */
    struct slots_cache cache;     /* free slots of the registry, for the loop's thread */
    struct block_cache blocks;    /* memory for the next tasks, for the loop's thread */
    uint64_t number_next;         /* of default names: a block of them, so that loops share no cache line per task */
    uint64_t number_end;
    weft_task_factory_fn *factory;
    void *factory_arg;
    size_t awaited_count; /* while the loop closes: tasks whose wake-up is queued or on its way */
    uint64_t told_count;  /* how often somebody was told which task is current, for the loop's thread; see task_start_eagerly() */
};

/*
 * The task room of `loop`, made at its first use. Its contents are the loop's thread's.
 *
 * thread:  any
 * returns: NULL when out of memory
 */
struct task_room *task_room(struct weft_loop *loop);

/* The next number for a default name, off the fast path. thread: as below */
uint64_t task_number_refill(struct task_room *room);

/* The next number for a default name; `room` NULL for a thread that runs no loop. thread: the room's */
static inline uint64_t task_number_next(struct task_room *room)
{
    return room == NULL || room->number_next == room->number_end ? task_number_refill(room) : room->number_next++;
}

/*
 * True if `loop`, which runs in this thread, may enter `task`. A task of ours is entered where it is stepped, and at its home unless it is
 * stealable or on a visit elsewhere (ENT-9).
 *
 * thread:  the loop's
 */
bool task_may_enter(const struct weft_task *task, const struct weft_loop *loop);

/* Say that `task` is current on `loop`; NULL: that none is. What enter, leave and swap do once they have checked. thread: the loop's */
static inline void task_set_current(struct weft_loop *loop, struct weft_task *task)
{
    struct weft_task *before = loop->execution.task;
    uint64_t id = 0;
    if (before != NULL)
        weft_atomic_store_relaxed(&before->is_entered, 0);
    if (task != NULL) {
        id = weft_atomic_load_relaxed(&task->id);
        id = id != 0 ? id : UINT64_MAX;
        weft_atomic_store_relaxed(&task->is_entered, 1);
        weft_atomic_store_relaxed(&task->ran_on, loop->index);
    }
    loop->execution.task = task;
    weft_atomic_store_relaxed(&loop->execution.task_id, id);
}

/* The task that `loop` executes; NULL if none. thread: the loop's */
static inline struct weft_task *task_get_current(const struct weft_loop *loop)
{
    return loop->execution.task;
}

/* ---- where a task runs ---------------------------------------------------------------------------------------------------------- */

/*
 * The flag of a WEFT_CORO_YIELD that delivers no cancellation: what was asked for stays due at the next suspension. See fiber_pause().
 */
#define TASK_SHIELDED (1u << 31)

/* The flag of a WEFT_CORO_AWAIT without a future: see lib/task/park.h. */
#define TASK_PARKS (1u << 30)

/*
 * Hold `task` on `loop`: from its next suspension on it is resumed there and nowhere else, as a pinned one. Holding nests. A task that is
 * not ours (or NULL) never moves, and is left as it is.
 *
 * thread:  the one that steps the task
 */
void task_hold(struct weft_task *task, struct weft_loop *loop);

/*
 * End one task_hold(). After the last one it is resumed at home, or, if it is stealable, anywhere.
 *
 * thread:  the one that steps the task
 */
void task_unhold(struct weft_task *task);

/* The loop that `task` is held on; NULL if on none. thread: the one that steps the task */
struct weft_loop *task_held_on(const struct weft_task *task);

/* True if any loop may step it while it is not held. thread: any */
bool task_is_stealable(const struct weft_task *task);

/*
 * A cancellation that was delivered where it could not be told is due again, at the next suspension. It is not counted again.
 *
 * thread:  the one that steps the task
 */
void task_rearm_cancel(struct weft_task *task);

/* ---- tasks of stolen jobs ------------------------------------------------------------------------------------------------------- */

/*
 * A stealable task of `coro` with `loop` as its home, neither registered nor queued, with one reference for the caller and one for its run.
 * `parent` may be NULL.
 *
 * thread:  any
 * memory:  coro, and the reference on `context` (may be NULL), belong to the task, unless this fails
 * returns: 0; -ENOMEM
 */
int task_make_child(struct weft_loop *loop, struct weft_coro *coro, struct weft_context *context, const struct weft_task *parent,
                    struct weft_task **task_out);

/*
 * Give a child that was made in advance its context, whose reference it takes over, and its parent.
 *
 * thread:  the one that made it, before its first step
 */
void task_adopt(struct weft_task *task, struct weft_context *context, const struct weft_task *parent);

/*
 * The work whose run is the first step, on the loop that runs it. The task is registered only if it blocks there (REG-5). To be run
 * once, by a loop or through work_ready…().
 *
 * thread:  the one that made it
 */
struct weft_work *task_first_work(struct weft_task *task);

/*
 * Undo task_make_child(): both references go, and the coroutine is closed.
 *
 * thread:  the one that made it
 */
void task_drop_unstarted(struct weft_task *task);

/*
 * Have `end` end the coroutine of a task in another's name, on `loop`, which closes here, while no loop runs that could step it. `end` does
 * not free it: the task's own work is queued, or under way, and finds it over; or the task's own loop does as it closes.
 *
 * thread:  the closing one
 */
void task_finish(struct weft_task *task, struct weft_loop *loop, void (*end)(struct weft_coro *coro));

/* As weft_register_task() for a task that nobody else knows yet, of a loop that has its room. `here` is what runs in this thread, or NULL. */
int registry_add(struct weft_task *task, struct weft_loop *here);

/*
 * As weft_unregister_task() for one who goes on with the reference that the registry held.
 *
 * thread:  any, in which `here` (may be NULL) runs
 * returns: true if there was one, and nobody looks at the task at this moment, who would drop it
 */
bool registry_take_back(struct weft_task *task, struct weft_loop *here);

/* How a task is a future. */
extern const struct weft_future_ops task_future_ops;

/* Call `fn` on each registered task of `loop` (NULL: of all) that is not done, with a reference held around it. thread: any */
void registry_each(struct weft_loop *loop, void (*fn)(struct weft_task *task, void *arg), void *arg);

/*
 * The same in the order in which they were made, those with a name before and by it, so that what ends them does so the same way each time
 * (slots depend on what the process did before). For the simulator: it takes many walks where there are many tasks.
 */
void registry_each_in_order(struct weft_loop *loop, void (*fn)(struct weft_task *task, void *arg), void *arg);

/* How many tasks are registered, for conservation checks. thread: any, exact when nobody else is at it */
size_t registry_count(void);

#endif
