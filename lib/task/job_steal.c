/*
 * Stealing: how a job comes to run on another loop than the one that forked it.
 *
 * Called by the loops of a crew that have run out of work, and by assist items. A stolen job runs in a child task of the task that forked
 * it, whose fiber, stack and job stack are made before the job is taken: without memory nothing is stolen, and its owner runs it.
 */
#include "lib/sched/crew.h"
#include "lib/task/fiber.h"
#include "lib/task/job.h"
#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/fiber.h"

static int child_main(void *arg, void **result_out)
{
    struct fiber_jobs *jobs = arg;
    (void)result_out;
    if (jobs->stolen != NULL) /* else somebody was quicker, and the child is dropped */
        jobs->stolen->run(&jobs->stack, jobs->stolen);
    if (jobs->stack.status < 0)
        jobs->stolen->run = NULL; /* which tells who joins it that a result was lost */
    return 0;
}

static int child_coro(struct fiber_jobs *jobs, struct weft_coro **coro_out)
{
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    options.stack = WEFT_STACK_LARGE;
    int status = weft_fiber_new(child_main, jobs, &options, &coro);
    if (status < 0)
        return status;
    status = fiber_prepare(coro, jobs);
    if (status < 0)
        coro->ops->close(coro);
    else
        *coro_out = coro;
    return status;
}

/* A child that could run any job on `loop`, which runs here. */
static struct weft_task *child_new(struct weft_loop *loop, struct fiber_jobs **jobs_out)
{
    struct weft_task *task = NULL;
    struct weft_coro *coro;
    struct fiber_jobs *jobs;
    if (jobs_borrow(loop, &jobs) < 0)
        return NULL;
    if (child_coro(jobs, &coro) < 0) {
        jobs_unref(jobs);
        return NULL;
    }
    if (task_make_child(loop, coro, NULL, NULL, &task) < 0) {
        coro->ops->close(coro); /* which ends the fiber, and lets the job stack go */
        return NULL;
    }
    task->future.flags |= FUTURE_QUIET; /* it is its parent's business */
    jobs->task = task;
    *jobs_out = jobs;
    return task;
}

static struct weft_work *job_take(struct worker *thief, struct weft_job_stack *stack)
{
    struct fiber_jobs *jobs;
    if (job_stack_public_count(stack) == 0)
        return NULL;
    struct weft_task *child = child_new(loop_of_worker(thief), &jobs);
    if (child == NULL)
        return NULL;
    struct weft_job *job = job_stack_steal(stack);
    if (job == NULL) {
        task_drop_unstarted(child);
        return NULL;
    }
    worker_count(&thief->job_steal_count, 1);
    jobs->stolen = job;
    struct weft_task *parent = jobs_of(stack)->task; /* it stays: it joins only what has a child */
    task_adopt(child, job->context, parent);
    if (child->parent_id == 0 && parent != NULL)
        child->parent_id = parent->parent_id; /* itself the task of a stolen job, and not registered so far */
    struct weft_work *work = task_first_work(child);
    /* Release: the child. Pairs with the acquire in thief_child(). The caller's reference is the slot's now. */
    weft_atomic_store_release(&job->child, (void *)child);
    return work;
}

static void job_ask(struct weft_job_stack *stack)
{
    job_stack_ask(stack);
}

const struct crew_ops job_crew_ops = {.take_job = job_take, .ask = job_ask};

/* ---- the assist item --------------------------------------------------------------------------------------------------------------- */

void jobs_queue_assist(struct fiber_jobs *jobs)
{
    /* Acq_rel. Pairs with itself in jobs_assist(): whoever finds it queued has left its jobs to that run, which looks after clearing. */
    if (job_stack_public_count(&jobs->stack) == 0 || weft_atomic_exchange_acq_rel(&jobs->is_assist_queued, 1) != 0)
        return;
    (void)weft_atomic_add_relaxed(&jobs->refs, 1);
    struct worker *worker = worker_current();
    work_ready_stealable(worker, &jobs->assist);
    if (!worker_is_alone(worker))
        crew_notify(worker->crew); /* there are jobs for more than the one who runs it */
}

int jobs_assist(struct weft_work *work)
{
    struct fiber_jobs *jobs = weft_container_of(work, struct fiber_jobs, assist);
    struct worker *worker = worker_current();
    struct weft_work *job = NULL;
    /* Acq_rel. Pairs with itself in jobs_queue_assist(): from here on it may be queued again, and jobs are looked for after that. */
    (void)weft_atomic_exchange_acq_rel(&jobs->is_assist_queued, 0);
    if (worker != NULL && !loop_is_closed(loop_of_worker(worker))) {
        job = job_take(worker, &jobs->stack);
        if (job != NULL)
            jobs_queue_assist(jobs);
    }
    jobs_unref(jobs);
    return job == NULL ? 0 : job->run(job);
}
