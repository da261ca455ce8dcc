/*
 * Place: where a fiber runs, and how it gets to another loop and back.
 *
 * What lives in a loop's heap, ring or table is touched in that loop's thread only. A fiber that leaves such a thing in its frame is held
 * on that loop until it has taken it away; one that needs a thing of another loop goes there. Both are task_hold(), and going there is a
 * suspension that delivers no cancellation: so one inbox hop.
 */
#include <errno.h>

#include "lib/base/thread.h"
#include "lib/task/coro_task.h"
#include "lib/task/fiber.h"
#include "weft/status.h"

bool task_may_enter(const struct weft_task *base, const struct weft_loop *loop)
{
    if (!is_coro_task(base))
        return true;
    const struct coro_task *task = coro_task(base);
    if (weft_atomic_load_relaxed(&task->stepping) == loop) /* only this thread has written that */
        return true;
    return task_home(task) == loop && !task->is_stealable && !task->is_away;
}

/* ---- holding ------------------------------------------------------------------------------------------------------------------------ */

void task_hold(struct weft_task *base, struct weft_loop *loop)
{
    if (!is_coro_task(base))
        return;
    struct coro_task *task = coro_task(base);
    if (loop_room(loop, LOOP_ROOM_TASK) == NULL)
        (void)task_room(loop); /* its closing may have to await the task; without memory it will not */
    task->hold_count++;
    task->waiter.loop = loop;
    task->waiter.is_stealable = false;
    if (!task->is_stealable && loop != task_home(task) && !task->is_away)
        task->is_away = true;
}

void task_unhold(struct weft_task *base)
{
    if (!is_coro_task(base))
        return;
    struct coro_task *task = coro_task(base);
    if (--task->hold_count > 0)
        return;
    task->waiter.loop = task_home(task);
    task->waiter.is_stealable = task->is_stealable;
}

struct weft_loop *task_held_on(const struct weft_task *base)
{
    bool is_held = is_coro_task(base) && coro_task(base)->hold_count > 0;
    return is_held ? coro_task(base)->waiter.loop : NULL;
}

bool task_is_stealable(const struct weft_task *base)
{
    return is_coro_task(base) && coro_task(base)->is_stealable;
}

/* ---- fibers -------------------------------------------------------------------------------------------------------------------------- */

int weft_loop_spawn_fiber(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_task **task_out)
{
    struct weft_coro *coro;
    int status = weft_fiber_new(fn, arg, NULL, &coro);
    return status < 0 ? status : weft_loop_spawn(loop, coro, NULL, task_out);
}

THREAD_LOCAL_ACCESSOR int weft_errno(void)
{
    thread_local_barrier();
    return errno;
}

struct weft_task *fiber_hold_here(void)
{
    struct weft_loop *loop = weft_get_running_loop();
    struct weft_task *task = loop == NULL ? NULL : task_get_current(loop);
    task_hold(task, loop);
    return task;
}

int fiber_visit(struct fiber_visit *visit, struct weft_loop *loop)
{
    if (!fiber_is_here())
        return WEFT_ENOFIBER;
    struct weft_loop *here = weft_get_running_loop();
    if (here != loop && (here->worker.crew == NULL || here->worker.crew != loop->worker.crew))
        return WEFT_EWRONGTHREAD;
    struct weft_task *task = task_get_current(here);
    *visit = (struct fiber_visit){.task = task, .held_on = task_held_on(task)};
    task_hold(task, loop);
    if (loop_is_here(loop))
        return 0;
    if (task_held_on(task) != loop) /* a third party's, which only its own loop drives */
        return WEFT_EWRONGTHREAD;
    visit->has_moved = true;
    int status = fiber_pause();
    if (loop_is_here(loop))
        return 0;
    fiber_visit_end(visit);
    return status < 0 ? status : WEFT_ECLOSED;
}

/* Where a visitor belongs: back where it was held, or, unless any loop will do, at home. */
static struct weft_loop *way_back(const struct fiber_visit *visit)
{
    if (visit->held_on != NULL)
        return visit->held_on;
    return task_is_stealable(visit->task) ? NULL : visit->task->future.loop;
}

void fiber_visit_end(struct fiber_visit *visit)
{
    if (visit->held_on != NULL) { /* the outer hold stays, and only says again where */
        task_hold(visit->task, visit->held_on);
        task_unhold(visit->task);
    }
    task_unhold(visit->task);
    if (!visit->has_moved)
        return;
    struct weft_loop *back = way_back(visit);
    if (back != NULL && !loop_is_here(back))
        (void)fiber_pause();
}
