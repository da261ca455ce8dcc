/*
 * Tasks: see the header. Called by the mains of weft's own benches.
 */
#include "bench/kit/tasks.h"

#include <stdlib.h>

int tasks_call(void *arg, void **result_out)
{
    const struct tasks_call *call = arg;
    (void)result_out;
    call->body(call->kit);
    return 0;
}

void tasks_within(struct kit *kit, const struct weft_runtime_options *options, void (*body)(struct kit *kit))
{
    struct weft_runtime_options chosen = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    struct tasks_call call = {kit, body};
    if (options != NULL)
        chosen = *options;
    chosen.loops = kit->loops;
    kit_must(kit, weft_runtime_create(&chosen, &runtime), "a runtime");
    kit_must(kit, weft_runtime_run(runtime, tasks_fiber(kit, tasks_call, &call), NULL), "its run");
    weft_runtime_destroy(runtime);
}

struct weft_coro *tasks_step(const struct kit *kit, weft_step_fn *fn, size_t state_bytes, void **state_out)
{
    struct weft_coro *coro;
    kit_must(kit, weft_step_new(fn, NULL, state_bytes, &coro, state_out), "a step");
    return coro;
}

struct weft_coro *tasks_fiber(const struct kit *kit, weft_fiber_fn *fn, void *arg)
{
    struct weft_coro *coro;
    kit_must(kit, weft_fiber_new(fn, arg, NULL, &coro), "a fiber");
    return coro;
}

struct weft_task *tasks_start(const struct kit *kit, struct weft_coro *coro)
{
    struct weft_task *task;
    kit_must(kit, weft_loop_create_task(weft_get_running_loop(), coro, NULL, &task), "a task");
    return task;
}

void tasks_finish(const struct kit *kit, struct weft_task *task)
{
    kit_must(kit, weft_await(&task->future, NULL), "a task's end");
    weft_task_unref(task);
}

static int step_waits(struct weft_step *step, void *state, int status)
{
    WEFT_STEP_BEGIN(step, status);
    WEFT_STEP_AWAIT(step, *(struct weft_future **)state, status);
    WEFT_STEP_END(step, NULL);
}

static int fiber_waits(void *arg, void **result_out)
{
    return weft_await(arg, result_out);
}

static struct weft_coro *waiting(const struct kit *kit, struct weft_future *future, bool is_fiber)
{
    void *state;
    if (is_fiber)
        return tasks_fiber(kit, fiber_waits, future);
    struct weft_coro *coro = tasks_step(kit, step_waits, sizeof(struct weft_future *), &state);
    *(struct weft_future **)state = future;
    return coro;
}

struct weft_task **tasks_start_waiting(const struct kit *kit, struct weft_future *future, int count, bool are_fibers)
{
    struct weft_task **tasks = malloc((size_t)count * sizeof(struct weft_task *));
    kit_check(kit, tasks != NULL, "memory");
    for (int i = 0; i < count; i++)
        tasks[i] = tasks_start(kit, waiting(kit, future, are_fibers));
    kit_must(kit, weft_yield(), "a turn");
    return tasks;
}

void tasks_finish_waiting(const struct kit *kit, struct weft_task **tasks, struct weft_future *future, int count)
{
    kit_must(kit, weft_future_set_result(future, NULL), "a result");
    for (int i = 0; i < count; i++)
        tasks_finish(kit, tasks[i]);
    free(tasks);
}

int tasks_step_ends(struct weft_step *step, void *state, int status)
{
    (void)state;
    return status < 0 ? status : weft_step_return(step, NULL);
}

int tasks_fiber_ends(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}
