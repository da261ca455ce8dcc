/*
 * Task, inside: what the files of this room share.
 */
#ifndef LIB_TASK_TASK_H
#define LIB_TASK_TASK_H

#include "lib/lockfree/slots.h"
#include "lib/loop/loop.h"
#include "lib/task/future.h"
#include "weft/task.h"

/* What the task room keeps per loop. */
struct task_room {
    struct loop_room_state state; /* first */
    struct slots_cache cache;     /* free slots of the registry, for the loop's thread */
    uint64_t number_next;         /* of default names: a block of them, so that loops share no cache line per task */
    uint64_t number_end;
    weft_task_factory_fn *factory;
    void *factory_arg;
    size_t awaited_count; /* while the loop closes: tasks whose wake-up is queued or on its way */
};

/*
 * The task room of `loop`, made at its first use. Its contents are the loop's thread's.
 *
 * thread:  any
 * returns: NULL when out of memory
 */
struct task_room *task_room(struct weft_loop *loop);

/* The next number for a default name; `room` NULL for a thread that runs no loop. thread: the room's */
uint64_t task_number_next(struct task_room *room);

/* True if `task` is stepped by its home loop, as ours are: no other loop may enter it (ENT-9). thread: any */
bool task_is_stepped_at_home(const struct weft_task *task);

/* Say that `task` is current on `loop`; NULL: that none is. What enter, leave and swap do once they have checked. thread: the loop's */
void task_set_current(struct weft_loop *loop, struct weft_task *task);

/* The task that `loop` executes; NULL if none. thread: the loop's */
static inline struct weft_task *task_get_current(const struct weft_loop *loop)
{
    return loop->execution.task;
}

/* As weft_register_task() for a task that nobody else knows yet. thread: any */
int registry_add(struct weft_task *task);

/* Call `fn` on each registered task of `loop` (NULL: of all) that is not done, with a reference held around it. thread: any */
void registry_each(struct weft_loop *loop, void (*fn)(struct weft_task *task, void *arg), void *arg);

/* How many tasks are registered, for conservation checks. thread: any, exact when nobody else is at it */
size_t registry_count(void);

#endif
