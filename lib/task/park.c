/*
 * Park: who wakes. See the header; who waits is in fiber.c, at the switch of stacks. Called by streams, on their loop.
 */
#include "lib/task/park.h"

#include "lib/task/coro_task.h"
#include "lib/task/future.h"

/* False if it goes on already. */
static bool park_leave(struct coro_task *task)
{
    task_lock(task);
    bool was_parked = (task_bits(task) & TASK_PARKED) != 0;
    task_unlock(task, 0, TASK_PARKED);
    return was_parked;
}

void park_wake(struct park *park, struct weft_loop *loop)
{
    if (park->task == NULL)
        (void)future_complete_from(&park->future, loop, FUTURE_FINISHED, 0, NULL);
    else if (park_leave(park->task))
        task_queue_from(park->task, loop);
}
