/*
 * Shutdown: the steps of the end, in order.
 *
 * Each step either does its work, or gives up at its deadline and lets the next one cope: nothing that a step leaves undone is lost by
 * those after it, so that an end may begin anywhere and stop anywhere. The steps up to EXECUTOR run the loops; JOIN makes the conductor
 * the only thread, and what is left is then done in one place and one order.
 *
 * That tasks have ended is not counted but witnessed. A walk over the registry picks one task that is not done, each with the same chance;
 * until that one is done nothing needs to be looked at, and then about half of the others are done too. So n tasks cost about log n walks,
 * and no memory.
 */
#include <errno.h>

#include "lib/base/clock.h"
#include "lib/runtime/fork.h"
#include "lib/runtime/runtime.h"
#include "lib/sched/crew.h"
#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/status.h"

#define EXECUTOR_NS_DEFAULT INT64_C(300000000000) /* asyncio's */

enum { QUIESCE_ROUNDS_MAX = 1000, QUIESCE_NS_MAX = 1000000000 };

/* ---- waiting ------------------------------------------------------------------------------------------------------------------ */

/* The end of a wait that may take `limit_ns` (0 or below: for ever), but not longer than the shutdown as a whole. */
static uint64_t wait_end_ns(const struct weft_runtime *runtime, int64_t limit_ns)
{
    if (limit_ns <= 0)
        return runtime->deadline_ns;
    uint64_t end_ns = clock_add_ns(weft_loop_time(runtime->main->loop), (uint64_t)limit_ns);
    return end_ns < runtime->deadline_ns ? end_ns : runtime->deadline_ns;
}

/* Wait; -ETIMEDOUT also if the simulator finds that it would never end. */
static int wait_for(struct weft_runtime *runtime, runtime_condition_fn *is_true, int64_t limit_ns)
{
    int status = runtime->driver->run_until(runtime, is_true, wait_end_ns(runtime, limit_ns));
    return status == -EDEADLK ? -ETIMEDOUT : status;
}

/* ---- hooks -------------------------------------------------------------------------------------------------------------------- */

static void refuse_in_rooms(struct weft_loop *loop)
{
    for (int i = LOOP_ROOM_COUNT - 1; i >= 0; i--)
        if (loop->rooms[i] != NULL && loop->rooms[i]->refuse != NULL)
            loop->rooms[i]->refuse(loop, loop->rooms[i]);
}

static void run_hooks_of(const struct weft_runtime *runtime, struct weft_loop *loop, uint32_t step)
{
    if (step == RUNTIME_STEP_ACCEPT)
        refuse_in_rooms(loop);
    for (struct runtime_hook *hook = runtime->hooks; hook != NULL; hook = hook->next)
        if (hook->step == step)
            hook->fn(loop, hook->arg);
}

static int hooks_posted(struct weft_work *work)
{
    struct runtime_loop *each = weft_container_of(work, struct runtime_loop, hook_work);
    /* Pairs with the exchange in post_hooks(): the step that it asked for. */
    (void)weft_atomic_exchange_acq_rel(&each->is_hook_posted, 0);
    if (worker_is_closed(&each->loop->worker))
        return 0;
    uint32_t asked = weft_atomic_load_relaxed(&each->hook_asked);
    for (uint32_t step = each->hook_done; step < asked; step++)
        run_hooks_of(each->runtime, each->loop, step);
    /* Pairs with the acquire in are_hooks_done(): what the hooks did. */
    weft_atomic_store_release(&each->hook_done, asked);
    runtime_wake(each->runtime);
    return 0;
}

static void post_hooks(struct runtime_loop *each, uint32_t until)
{
    weft_atomic_store_relaxed(&each->hook_asked, until);
    /* Pairs with the exchange in hooks_posted(): hook_asked; and the work, which is the loop's while it is queued. */
    if (weft_atomic_exchange_acq_rel(&each->is_hook_posted, 1) != 0)
        return;
    each->hook_work.run = hooks_posted;
    work_ready(&each->loop->worker, &each->hook_work);
}

static bool are_hooks_done(struct weft_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->loop_count; i++) {
        struct runtime_loop *each = &runtime->loops[i];
        /* Pairs with the release in hooks_posted(). */
        if (weft_atomic_load_acquire(&each->hook_done) != weft_atomic_load_relaxed(&each->hook_asked))
            return false;
    }
    return true;
}

static int run_hooks(struct weft_runtime *runtime)
{
    if (runtime->hooks == NULL && runtime->step != RUNTIME_STEP_ACCEPT)
        return 0;
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        post_hooks(&runtime->loops[i], runtime->step + 1);
    return wait_for(runtime, are_hooks_done, 0);
}

void runtime_at_shutdown(struct weft_runtime *runtime, struct runtime_hook *hook)
{
    struct runtime_hook **last = &runtime->hooks;
    while (*last != NULL)
        last = &(*last)->next;
    hook->next = NULL;
    *last = hook;
}

/* ---- tasks -------------------------------------------------------------------------------------------------------------------- */

static bool is_ours(const struct weft_runtime *runtime, const struct weft_task *task)
{
    const struct weft_loop *loop = task->future.loop;
    return loop->index < runtime->loop_count && runtime->loops[loop->index].loop == loop;
}

static void count_task(struct weft_task *task, void *arg)
{
    struct weft_runtime *runtime = arg;
    if (!is_ours(runtime, task))
        return;
    runtime->census++;
    if (random_below(&runtime->random, runtime->census) != 0)
        return;
    weft_task_unref(runtime->witness);
    runtime->witness = weft_task_ref(task);
}

/* The first walk cancels all. Later ones cancel those that have come meanwhile, and nobody twice: a second request is a second order. */
static void cancel_task(struct weft_task *task, void *arg)
{
    struct weft_runtime *runtime = arg;
    if (is_ours(runtime, task) && (!runtime->is_cancelling || weft_task_cancelling(task) == 0))
        (void)weft_task_cancel(task, "the runtime shuts down");
    count_task(task, arg);
}

static bool walk(struct weft_runtime *runtime, void (*fn)(struct weft_task *task, void *arg))
{
    if (runtime->witness != NULL && !weft_future_done(&runtime->witness->future))
        return false;
    weft_task_unref(runtime->witness);
    runtime->witness = NULL;
    runtime->census = 0;
    if (runtime->loops[0].loop->worker.is_virtual)
        registry_each_in_order(NULL, fn, runtime);
    else
        registry_each(NULL, fn, runtime);
    return runtime->witness == NULL;
}

static bool are_tasks_done(struct weft_runtime *runtime)
{
    return walk(runtime, count_task);
}

static bool are_tasks_cancelled(struct weft_runtime *runtime)
{
    bool is_done = walk(runtime, cancel_task);
    runtime->is_cancelling = true;
    return is_done;
}

static void forget_witness(struct weft_runtime *runtime)
{
    weft_task_unref(runtime->witness);
    runtime->witness = NULL;
}

/* ---- steps -------------------------------------------------------------------------------------------------------------------- */

/*
 * From here on loops tell the conductor of each turn. A loop that looked before the flag was set has not told of that turn; the nudge gives
 * it one more, after which it looks again.
 */
static int refuse(struct weft_runtime *runtime)
{
    weft_atomic_store_relaxed(&runtime->is_shutting, 1);
    if (runtime->is_main_started || weft_atomic_load_relaxed(&runtime->left_status) != 0)
        (void)runtime_stop(runtime);
    int status = runtime->are_others_running ? 0 : runtime_start(runtime, false);
    if (status < 0)
        return status;
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        runtime_nudge(&runtime->loops[i]);
    return run_hooks(runtime);
}

static int accept_no_more(struct weft_runtime *runtime)
{
    return run_hooks(runtime);
}

/* Its deadline is no failure: what has not ended by itself is cancelled next. */
static int drain(struct weft_runtime *runtime)
{
    int status = run_hooks(runtime);
    if (status < 0 || runtime->options.drain_ns <= 0)
        return status;
    status = wait_for(runtime, are_tasks_done, runtime->options.drain_ns);
    forget_witness(runtime);
    return status == -ETIMEDOUT ? 0 : status;
}

static int cancel(struct weft_runtime *runtime)
{
    int hooked = run_hooks(runtime);
    if (hooked < 0 && hooked != -ETIMEDOUT)
        return hooked;
    int status = wait_for(runtime, are_tasks_cancelled, runtime->options.cancel_ns);
    forget_witness(runtime);
    return status == 0 ? hooked : status;
}

static bool is_executor_idle(struct weft_runtime *runtime)
{
    return executor_is_idle(runtime->executor);
}

static void executor_went_idle(void *arg)
{
    runtime_wake(arg);
}

/* The loops go on meanwhile: a job may wait for one of them. */
static int end_jobs(struct weft_runtime *runtime)
{
    int hooked = run_hooks(runtime);
    int64_t limit_ns = runtime->options.executor_ns;
    executor_close(runtime->executor, executor_went_idle, runtime);
    int waited = wait_for(runtime, is_executor_idle, limit_ns == 0 ? EXECUTOR_NS_DEFAULT : limit_ns);
    executor_close(runtime->executor, NULL, NULL);
    int status = weft_executor_shutdown(runtime->executor, 0);
    return status == 0 ? waited == 0 ? hooked : waited : status;
}

static int join(struct weft_runtime *runtime)
{
    (void)runtime_stop(runtime);
    return 0;
}

/* One turn of each loop that has something to do, here; false if none has. */
static bool turn_all(struct weft_runtime *runtime)
{
    bool had_work = false;
    for (uint32_t i = 0; i < runtime->loop_count; i++) {
        struct weft_loop *loop = runtime->loops[i].loop;
        if (loop == NULL || !loop_has_work(loop) || loop_enter(loop) < 0)
            continue;
        (void)loop_turn(loop, false);
        loop_leave(loop);
        had_work = true;
    }
    return had_work;
}

/*
 * Callbacks of what has ended, and what loops have posted to each other. It is bounded, for what queues itself again, or a thread outside
 * that goes on posting, never ends: those are refused, or let go unrun, by the loops' close.
 */
static int quiesce(struct weft_runtime *runtime)
{
    if (runtime->main->loop == NULL)
        return 0;
    uint64_t end_ns = clock_add_ns(weft_loop_time(runtime->main->loop), QUIESCE_NS_MAX);
    for (int i = 0; i < QUIESCE_ROUNDS_MAX && weft_loop_time(runtime->main->loop) < end_ns; i++)
        if (!turn_all(runtime))
            return 0;
    return -ETIMEDOUT;
}

/* Each loop closes alone: what any of them might have run goes to its own first. */
static int close_loops(struct weft_runtime *runtime)
{
    if (runtime->crew != NULL)
        crew_dissolve(runtime->crew);
    int status = 0; /* none that they could fail with, but for a fork in there in whose child this is */
    for (uint32_t i = 0; i < runtime->loop_count && status != WEFT_EFORKED; i++)
        status = weft_loop_close(runtime->loops[i].loop);
    return status == WEFT_EFORKED ? status : 0;
}

static int (*const steps[RUNTIME_STEP_COUNT])(struct weft_runtime *runtime) = {
    [RUNTIME_STEP_REFUSE] = refuse,   [RUNTIME_STEP_ACCEPT] = accept_no_more, [RUNTIME_STEP_DRAIN] = drain,
    [RUNTIME_STEP_CANCEL] = cancel,   [RUNTIME_STEP_EXECUTOR] = end_jobs,     [RUNTIME_STEP_JOIN] = join,
    [RUNTIME_STEP_QUIESCE] = quiesce, [RUNTIME_STEP_CLOSE] = close_loops,
};

int runtime_shutdown_until(struct weft_runtime *runtime, enum runtime_step end, int64_t timeout_ns)
{
    runtime->deadline_ns = 0; /* the past: a destroyed runtime waits for nothing, and may have no clock yet */
    if (timeout_ns < 0)
        runtime->deadline_ns = CLOCK_NEVER_NS;
    else if (timeout_ns > 0 && runtime->step < (uint32_t)end)
        runtime->deadline_ns = clock_add_ns(weft_loop_time(runtime->main->loop), (uint64_t)timeout_ns);
    for (; runtime->step < (uint32_t)end; runtime->step++) {
        int status = steps[runtime->step](runtime);
        if (runtime_is_forked(runtime))
            return WEFT_EFORKED; /* something that ran in there has forked, and this is the child */
        if (status == -ETIMEDOUT)
            runtime->is_timed_out = true;
        else if (status < 0)
            return status;
    }
    return runtime->is_timed_out ? -ETIMEDOUT : 0;
}
