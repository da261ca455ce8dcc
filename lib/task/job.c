/*
 * Job: fork and join as fibers call them, when the macros of weft/job.h come to their slow paths, and for jobs of any kind.
 *
 *      job.c        the owner: forks, joins, and what its fiber does meanwhile
 *      job_steal.c  the thief: a child task per stolen job; the assist item
 *      job_room.c   where job stacks come from
 *
 * The invariant: a fiber does not leave a frame in which it has forked before each such job has run, or was never begun. Nothing but those
 * jobs runs on its stack meanwhile.
 */
#include "weft/job.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/sched/crew.h"
#include "lib/task/fiber.h"
#include "lib/task/job.h"
#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/context.h"
#include "weft/status.h"

enum {
    LONG_NS = 100000, /* so long a computation may keep its loop from its poller */
    SHORT_NS = 5000,  /* so long it is not worth waking another loop for it */
    OFTEN_NS = 10000, /* looks at the clock that come faster than this, so many together, are too many */
    OFTEN_LOOKS = 16,
    COUNTED_FORKS = 64, /* where each fork comes to the slow path: how many to a look at the clock */
    THIEF_LOOKS = 1000, /* for a thief that has a job, but not said yet who runs it */
    DONE_LOOKS = 32,    /* for a stolen job that may be done in a moment */
};

/* ---- what is open becomes others' --------------------------------------------------------------------------------------------------- */

/* Publish the oldest `count` private jobs, with the context that they were forked in. */
static void jobs_publish(struct fiber_jobs *jobs, uint32_t count)
{
    struct weft_job_stack *stack = &jobs->stack;
    struct weft_context *context = weft_context_current();
    struct weft_job *job = stack->slots + job_stack_count(stack) - job_stack_private_count(stack);
    for (uint32_t i = 0; i < count; i++, job++) {
        weft_atomic_store_relaxed(&job->child, (void *)NULL);
        job->context = weft_context_ref(context);
    }
    job_stack_publish(stack, count);
}

/* Jobs from `first` on are private again. */
static void drop_contexts(struct weft_job *first, const struct weft_job *end)
{
    for (; first < end; first++)
        weft_context_unref(first->context);
}

static bool is_hungry(const struct worker *worker)
{
    if (worker_is_alone(worker))
        return false;
    if (worker->is_virtual)
        return true; /* loops that take turns in one thread are never seen parked or searching */
    /* Pairs with the seq_cst change of `idle` in crew_park(): what thieves find here was stored before, or their hunger is seen. */
    weft_atomic_fence_seq_cst();
    return crew_is_hungry(worker->crew);
}

/* Give half of what is private, and at least one job, to who is hungry. False if it is too early to say whether it is worth it. */
static bool jobs_feed(struct fiber_jobs *jobs, struct worker *worker)
{
    uint32_t count = job_stack_private_count(&jobs->stack);
    if (!is_hungry(worker))
        return true;
    if (!worker->is_virtual && clock_ticks() - jobs->shown_ticks < clock_ticks_in(SHORT_NS))
        return false;
    if (count > 0)
        jobs_publish(jobs, (count + 1) / 2);
    if (job_stack_public_count(&jobs->stack) > 0)
        crew_notify(worker->crew);
    else
        worker_call_on_ring(worker);
    return true;
}

/* True if the loop should have its turn before the computation goes on. */
static bool is_loop_due(const struct weft_loop *loop)
{
    return loop->worker.is_virtual || clock_ticks() - loop->polled_ticks >= clock_ticks_in(LONG_NS);
}

/* ---- looking at the clock by oneself -------------------------------------------------------------------------------------------------- */

/*
 * The monitor asks each 100 us, if it runs, which costs a processor more than it costs who is asked; and where it shares that with who
 * computes the kernel may keep it from asking for a tick of its own, which is 4 ms. So a computation looks at the clock by itself too:
 * when it comes `reach` slots above the depth of the last look, by a fork, or below it, by a join. A recursion must do one or the other
 * before long; `reach` is tried out, so that this is seldom enough to cost nothing, and often enough. What forks and joins at one depth,
 * in short order, comes by at each or at none, and is left to the monitor; so is what runs at once since the stack is full.
 */
static void jobs_set_bounds(struct fiber_jobs *jobs)
{
    uint32_t depth = job_stack_count(&jobs->stack);
    job_stack_bound(&jobs->stack, depth > jobs->reach ? depth - jobs->reach : 0, depth + jobs->reach);
}

/*
 * By how long so many looks took, and not by one of them: between two branches of a tree, one may be long in coming. But who has to be asked
 * looks too seldom.
 */
static void jobs_tune(struct fiber_jobs *jobs, uint64_t now, bool is_own)
{
    bool is_starved = !is_own && now - jobs->looked_ticks > clock_ticks_in(LONG_NS); /* somebody had to ask, or it begins anew after long */
    if (!is_starved && (!is_own || ++jobs->look_count < OFTEN_LOOKS))
        return;
    uint64_t passed = now - jobs->tuned_ticks;
    if (!is_starved && passed < OFTEN_LOOKS * clock_ticks_in(OFTEN_NS))
        jobs->reach++;
    else if (jobs->reach > 0 && (is_starved || passed > OFTEN_LOOKS * clock_ticks_in(LONG_NS)))
        jobs->reach--;
    jobs->tuned_ticks = now;
    jobs->look_count = 0;
}

/* `is_own`: it came here by a bound, and by nothing else. */
static void jobs_look(struct fiber_jobs *jobs, bool is_own)
{
    if (jobs->is_counted)
        return;
    uint64_t now = clock_ticks();
    jobs_tune(jobs, now, is_own);
    jobs->looked_ticks = now;
    jobs_set_bounds(jobs);
}

/* Nobody has asked for attention, nor needs to: whose computations look at the clock often enough is left alone by the monitor. */
static void jobs_pass(struct fiber_jobs *jobs, bool is_own)
{
    struct worker *worker = worker_current();
    if (jobs->is_counted || worker == NULL || fiber_is_closing(jobs->fiber))
        return;
    jobs_look(jobs, is_own);
    if (jobs->looked_ticks - loop_of_worker(worker)->polled_ticks >= clock_ticks_in(LONG_NS))
        (void)fiber_pause(); /* a closing loop is told by the next wait */
}

/* ---- attention ------------------------------------------------------------------------------------------------------------------------ */

/* Somebody has asked for attention, or nobody does here and each fork counts. */
static void jobs_attend(struct fiber_jobs *jobs)
{
    if (jobs->is_counted && ++jobs->slow_count % COUNTED_FORKS != 0)
        return;
    struct worker *worker = worker_current();
    (void)job_stack_hear(&jobs->stack);
    if (worker == NULL || fiber_is_closing(jobs->fiber))
        return;
    bool is_settled = jobs_feed(jobs, worker);
    jobs_look(jobs, false);
    if (jobs->is_counted || !is_settled)
        job_stack_ask(&jobs->stack);
    if (is_loop_due(loop_of_worker(worker)))
        (void)fiber_pause(); /* a closing loop is told by the next wait */
}

/* ---- hooks of the fiber ------------------------------------------------------------------------------------------------------------- */

void jobs_show(struct fiber_jobs *jobs)
{
    struct worker *worker = worker_current();
    if (worker == NULL)
        return;
    if (jobs != NULL) {
        jobs->shown_ticks = clock_ticks();
        jobs->tuned_ticks += jobs->shown_ticks - jobs->looked_ticks; /* it did not run meanwhile */
        jobs->looked_ticks = jobs->shown_ticks;
        jobs->is_counted = worker->is_virtual || !worker_is_watched(worker);
        job_stack_ask(&jobs->stack); /* who is hungry has not seen it so far */
    }
    worker_set_jobs(worker, jobs == NULL ? NULL : &jobs->stack);
}

void jobs_leave(struct fiber_jobs *jobs, bool is_ready)
{
    struct worker *worker = worker_current();
    uint32_t count = job_stack_private_count(&jobs->stack);
    if (worker == NULL || job_stack_count(&jobs->stack) == 0 || (is_ready && !is_hungry(worker)))
        return;
    if (count > 0)
        jobs_publish(jobs, count);
    jobs_queue_assist(jobs);
}

/* ---- waiting for a thief ------------------------------------------------------------------------------------------------------------ */

/* The child that runs a stolen job. The thief has nothing left to do but to say so. */
static struct weft_task *thief_child(struct weft_job *job)
{
    struct weft_task *child;
    /* Pairs with the release in job_take(). */
    for (uint32_t looks = 1; (child = weft_atomic_load_acquire(&job->child)) == NULL; looks++)
        if (looks % THIEF_LOOKS == 0)
            (void)fiber_pause();
        else
            weft_atomic_pause();
    return child;
}

/* The parent is being unwound, and must not return into a frame that the child uses. */
static void child_end(struct weft_task *child)
{
    struct weft_loop *home = child->future.loop;
    struct weft_loop *here = weft_get_running_loop();
    (void)weft_task_cancel(child, "the loop of the task that forked it closes");
    while (!weft_future_done(&child->future)) {
        /* Pairs with the release in loop_release(): what the child's loop did last. */
        if (loop_is_here(home) || !weft_atomic_load_acquire(&home->is_entered)) {
            task_finish(child, here != NULL ? here : home, fiber_finish); /* its body returns; the task ends with its own loop */
            return;
        }
        weft_atomic_pause();
    }
}

static bool is_done_soon(const struct weft_task *child, const struct worker *worker)
{
    for (int looks = 0; worker != NULL && !worker->is_virtual && looks < DONE_LOOKS; looks++) {
        if (weft_future_done(&child->future))
            return true;
        weft_atomic_pause();
    }
    return weft_future_done(&child->future);
}

/* Have the loop look for work first where the child runs: it may have forked more. */
static void help_thief(const struct weft_task *child)
{
    struct worker *worker = worker_current(), *thief = &child->future.loop->worker;
    if (worker != NULL && worker != thief && worker->crew == thief->crew)
        worker->steal_first = thief->crew_index;
}

/*
 * Suspend until the child is done. A cancellation goes on to it, and reaches the task itself at its next await: it was not told here,
 * whether it was asked for before or meanwhile.
 */
static void await_child(struct fiber_jobs *jobs, struct weft_task *child)
{
    struct weft_task *task = jobs->task;
    int cancelling = weft_task_cancelling(task);
    bool is_told = false;
    jobs->is_joining = true;
    while (!weft_future_done(&child->future) && !fiber_is_closing(jobs->fiber)) {
        help_thief(child);
        if (fiber_wait(jobs->fiber, &child->future) == -ECANCELED && !fiber_is_closing(jobs->fiber)) {
            is_told = true;
            (void)weft_task_cancel(child, NULL);
        }
    }
    jobs->is_joining = false;
    int now = weft_task_cancelling(task);
    if (is_told || now > cancelling || (now > 0 && weft_task_cancelling(child) > 0))
        task_rearm_cancel(task);
}

/* Wait until the newest job, which is stolen, has run, and pop it. */
static void join_stolen(struct fiber_jobs *jobs)
{
    struct weft_job *job = jobs->stack.top - 1;
    struct weft_task *child = thief_child(job);
    if (!is_done_soon(child, worker_current()) && !fiber_is_closing(jobs->fiber))
        await_child(jobs, child);
    if (!weft_future_done(&child->future))
        child_end(child);
    if (job->run == NULL)
        jobs->stack.status = -ENOMEM;
    weft_task_unref(child);
    job_stack_pop_stolen(&jobs->stack);
}

/* Make the newest job private. False if it is stolen. */
static bool take_back(struct weft_job_stack *stack)
{
    if (job_stack_private_count(stack) > 0)
        return true;
    if (!job_stack_take_back(stack))
        return false;
    drop_contexts(stack->split, stack->top);
    return true;
}

void jobs_end(struct fiber_jobs *jobs)
{
    struct weft_job_stack *stack = &jobs->stack;
    bool is_open = job_stack_count(stack) > 0;
    while (job_stack_join_inline(stack))
        continue;
    while (job_stack_count(stack) > 0)
        if (take_back(stack))
            stack->top--;
        else
            join_stolen(jobs);
    struct weft_loop *loop = weft_get_running_loop();
    if (is_open && loop != NULL)
        loop_report(loop, "a fiber ended with jobs that nobody had joined", WEFT_EUNJOINED, jobs->task);
    jobs_show(NULL);
    jobs_unref(jobs);
}

/* ---- for the macros ----------------------------------------------------------------------------------------------------------------- */

static int jobs_begin(struct fiber *fiber, struct fiber_jobs **jobs_out)
{
    struct weft_loop *loop = weft_get_running_loop();
    if (loop == NULL) /* it is unwound */
        return WEFT_ENOFIBER;
    int status = jobs_borrow(loop, jobs_out);
    if (status < 0)
        return status;
    (*jobs_out)->fiber = fiber;
    (*jobs_out)->task = task_get_current(loop);
    fiber_set_jobs(fiber, *jobs_out);
    jobs_show(*jobs_out);
    return 0;
}

static int jobs_here(struct fiber_jobs **jobs_out)
{
    struct fiber *fiber = fiber_current();
    if (fiber == NULL)
        return WEFT_ENOFIBER;
    *jobs_out = fiber_jobs(fiber);
    return *jobs_out != NULL ? 0 : jobs_begin(fiber, jobs_out);
}

int weft_job_stack_here(uint32_t layout, struct weft_job_stack **stack_out)
{
    struct fiber_jobs *jobs;
    if (layout != WEFT_JOB_LAYOUT)
        return WEFT_EPROTOCOL;
    if (stack_out == NULL)
        return -EINVAL;
    int status = jobs_here(&jobs);
    if (status < 0)
        return status;
    jobs_pass(jobs, false); /* a computation may be too short to come by a bound, and be followed by the next */
    *stack_out = &jobs->stack;
    return status;
}

/* A job of any function: what it returns is in the frame that forked it. */
static void run_any(struct weft_job_stack *stack, struct weft_job *job)
{
    struct weft_fork *fork;
    struct weft_job *top = stack->top;
    memcpy(&fork, job->argument, sizeof(fork));
    fork->status = fork->fn(fork->arg);
    assert(stack->top == top && "the function given to weft_fork() returned before it had joined its own forks");
    (void)top;
}

/* The stack is full: run the job, and keep what it returns for its join. Its own forks come here too. */
static void run_at_fork(struct fiber_jobs *jobs, struct weft_job *job)
{
    struct weft_job_stack *stack = &jobs->stack;
    job->run(stack, job);
    if (job->run != run_any && jobs_keep_result(jobs, job_stack_inline_count(stack), job->argument) < 0)
        stack->status = -ENOMEM;
    job_stack_add_inline(stack);
}

void weft_job_fork(struct weft_job_stack *stack, weft_job_run_fn *run, const void *argument, size_t argument_bytes)
{
    if (stack == NULL || run == NULL || argument == NULL || argument_bytes > WEFT_JOB_ARGUMENT_BYTES)
        return;
    const struct weft_job *limit = weft_atomic_load_relaxed(&stack->limit);
    bool is_full = stack->top >= stack->end;
    struct weft_job here, *job = is_full ? &here : stack->top;
    job->run = run;
    memcpy(job->argument, argument, argument_bytes);
    if (!is_full)
        stack->top++; /* it is offered too */
    if (limit == NULL)
        jobs_attend(jobs_of(stack));
    else if (limit != stack->end)
        jobs_pass(jobs_of(stack), true);
    if (is_full)
        run_at_fork(jobs_of(stack), job);
}

const void *weft_job_join(struct weft_job_stack *stack)
{
    if (stack == NULL)
        return NULL;
    struct fiber_jobs *jobs = jobs_of(stack);
    assert((fiber_current() == NULL || fiber_current() == jobs->fiber) && "a join by another fiber than the one that forked");
    if (job_stack_join_inline(stack))
        return jobs_result(jobs, job_stack_inline_count(stack));
    assert(job_stack_count(stack) > 0 && "a join without a fork");
    struct weft_job *job = stack->top - 1;
    if (job < stack->split && job_stack_private_count(stack) > 0)
        jobs_pass(jobs, true);
    if (take_back(stack))
        return NULL;
    join_stolen(jobs);
    return job->argument;
}

/* ---- any function ------------------------------------------------------------------------------------------------------------------- */

enum { FORK_OPEN = 0x666f726b };

int weft_fork(struct weft_fork *fork, weft_job_fn *fn, void *arg)
{
    struct fiber_jobs *jobs;
    if (fork == NULL || fn == NULL)
        return -EINVAL;
    int status = jobs_here(&jobs);
    if (status < 0)
        return status;
    struct weft_job_stack *stack = &jobs->stack;
    struct weft_job *job = stack->top;
    *fork = (struct weft_fork){.fn = fn, .arg = arg, .stack = stack, .job = job, .state = FORK_OPEN};
    if (job >= weft_atomic_load_relaxed(&stack->limit)) {
        weft_job_fork(stack, run_any, &fork, sizeof(fork));
        return 0;
    }
    job->run = run_any;
    memcpy(job->argument, &fork, sizeof(fork));
    stack->top = job + 1;
    return 0;
}

/* 0 if `fork` is the newest one of this fiber. */
static int check_join(const struct weft_fork *fork)
{
    struct fiber *fiber = fiber_current();
    if (fiber == NULL)
        return WEFT_ENOFIBER;
    if (fork->state != FORK_OPEN)
        return WEFT_EINVALIDSTATE;
    if (fiber_jobs(fiber) == NULL || &fiber_jobs(fiber)->stack != fork->stack)
        return WEFT_EOTHERFIBER;
    bool is_newest = fork->stack->top - 1 == fork->job;
    /* What the slot says is the owner's: a fork that nobody joined may be left over from another fiber that had this stack. */
    if (is_newest && fork->job < fork->stack->end)
        is_newest = fork->job->run == run_any && memcmp(fork->job->argument, &fork, sizeof(fork)) == 0;
    return is_newest ? 0 : WEFT_EJOINORDER;
}

int weft_join(struct weft_fork *fork)
{
    if (fork == NULL)
        return -EINVAL;
    int status = check_join(fork);
    if (status < 0)
        return status;
    fork->state = 0;
    if (weft_job_join(fork->stack) == NULL) {
        fork->stack->top = fork->job;
        run_any(fork->stack, fork->job);
    }
    return fork->status;
}

/* ---- closures ------------------------------------------------------------------------------------------------------------------------ */

void weft_closure_stolen(struct weft_job_stack *stack, struct weft_job *job)
{
    struct weft_closure closure;
    if (stack == NULL || job == NULL)
        return;
    memcpy(&closure, job->argument, sizeof(closure));
    int result = closure.fn(stack, closure.arg);
    memcpy(job->argument, &result, sizeof(result));
}

int weft_closure_run(weft_closure_fn *fn, void *arg, int *result_out)
{
    struct weft_job_stack *stack;
    int status = fn == NULL || result_out == NULL ? -EINVAL : weft_job_stack_here(WEFT_JOB_LAYOUT, &stack);
    if (status < 0)
        return status;
    int outer = stack->status;
    stack->status = 0;
    struct weft_job *top = stack->top;
    int result = fn(stack, arg);
    assert(stack->top == top && "a closure returned with forks that were not joined");
    (void)top;
    status = stack->status;
    stack->status = outer;
    if (status >= 0)
        *result_out = result;
    return status;
}

/* ---- where no fiber runs ------------------------------------------------------------------------------------------------------------- */

int weft_job_start(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_task **task_out)
{
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    options.stack = WEFT_STACK_LARGE;
    int status = loop == NULL ? -EINVAL : weft_fiber_new(fn, arg, &options, &coro);
    return status < 0 ? status : weft_loop_spawn(loop, coro, NULL, task_out);
}
