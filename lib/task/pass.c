/*
 * Pass: a task that yields hands its turn to the next of the snapshot itself, past the loop. Called by task_send(), which saves by it what a
 * step costs beside the send; and by fiber.c, for two fibers, which saves one of two switches of stacks too, and returns that no processor
 * foresees.
 *
 * What happens is what the end of one step and the beginning of the next would do, in that order, between two works of one snapshot; only
 * tasks whose steps have nothing else to do there are let through. The invariant: struct task_turn says whose step comes back to the loop.
 */
#include "lib/base/context.h"
#include "lib/task/coro_task.h"
#include "weft/atomic.h"

/* True if `task` belongs on `loop`, and would be queued there. */
static bool is_settled(const struct coro_task *task, const struct weft_loop *loop)
{
    return task_home(task) == loop && task->waiter.loop == loop && !task->waiter.is_stealable;
}

static struct task_turn *turn_of(struct weft_suspend *suspend)
{
    return weft_container_of(suspend, struct task_turn, suspend);
}

struct coro_task *task_next_in_turn(struct weft_loop *loop, const struct coro_task *task, struct weft_suspend *suspend)
{
    struct weft_work *work = loop->worker.batch.head;
    if (work == NULL || work->run != task_run || loop->worker.is_measured)
        return NULL;
    if (!turn_of(suspend)->may_pass || !is_settled(task, loop))
        return NULL;
    struct coro_task *next = weft_container_of(work, struct coro_task, waiter.work);
    bool is_plain = is_settled(next, loop) && !next->is_shielded && task_is_free(next);
    return is_plain && loop_check_open(loop) == 0 ? next : NULL;
}

void task_pass_turn(struct weft_loop *loop, struct coro_task *task, struct coro_task *next, struct weft_suspend *suspend)
{
    struct worker *worker = &loop->worker;
    *turn_of(suspend) = (struct task_turn){.task = next, .may_pass = true};
    task->base.future.context = context_swap_current(next->base.future.context);
    weft_atomic_store_relaxed(&task->stepping, NULL);
    task_set_current(loop, &next->base);
    worker_splice(worker);
    worker_push(worker, &task->waiter.work);
    (void)weft_work_list_pop(&worker->batch);
    worker_count(&worker->run_count, 1);
    next->is_away = false;
    weft_atomic_store_relaxed(&next->stepping, loop);
}
