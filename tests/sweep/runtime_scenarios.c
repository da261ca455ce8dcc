/*
 * Scenarios of the runtime's life: created, run, started, stopped, shut down over what is left, all with the fault already armed.
 */
#include <errno.h>

#include "tests/support/test.h"
#include "tests/sweep/sweep.h"

static struct weft_runtime_options options_of(enum weft_runtime_driver driver)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = 2;
    options.driver = driver;
    options.stall_ns = -1;
    return options;
}

static int body(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_task *task;
    (void)result_out;
    int status = weft_loop_spawn_fiber(weft_get_running_loop(), count_body, &stage->words[0], &task);
    if (status < 0)
        return status;
    status = weft_await(&task->future, NULL);
    weft_task_unref(task);
    return status < 0 ? status : weft_yield();
}

static int run_with(struct stage *stage, enum weft_runtime_driver driver)
{
    struct weft_runtime_options options = options_of(driver);
    struct weft_coro *coro;
    int status = stage_coro(stage, &coro);
    return status < 0 ? status : weft_run(coro, &options, NULL);
}

static int run_sim(struct stage *stage)
{
    return run_with(stage, WEFT_DRIVER_SIM);
}

static int run_threads(struct stage *stage)
{
    return run_with(stage, WEFT_DRIVER_THREADS);
}

/* Its shutdown can be refused for want of memory, and is then called again, or left to destroy. */
static int end(struct weft_runtime *runtime, int status)
{
    int shut = weft_runtime_shutdown(runtime, -1);
    CHECK(shut == 0 || shut == -ENOMEM || shut == -EAGAIN);
    weft_runtime_destroy(runtime);
    return status < 0 ? status : shut;
}

static int run_twice(struct stage *stage)
{
    struct weft_runtime_options options = options_of(WEFT_DRIVER_SIM);
    struct weft_runtime *runtime;
    struct weft_coro *coro;
    int status = weft_runtime_create(&options, &runtime);
    if (status < 0)
        return status;
    status = stage_listen(stage, weft_runtime_loop(runtime, 1));
    if (status == 0)
        status = weft_fiber_new(body, stage, NULL, &coro);
    if (status == 0)
        status = weft_runtime_run(runtime, coro, NULL);
    if (status == 0)
        status = stage_coro(stage, &coro);
    if (status == 0)
        status = weft_runtime_run(runtime, coro, NULL);
    return end(runtime, status);
}

static int start_and_stop(struct stage *stage)
{
    struct weft_runtime_options options = options_of(WEFT_DRIVER_THREADS);
    struct weft_runtime *runtime;
    struct weft_coro *coro;
    struct weft_task *task = NULL;
    int status = weft_runtime_create(&options, &runtime);
    if (status < 0)
        return status;
    status = weft_runtime_start(runtime);
    if (status == 0)
        status = weft_fiber_new(body, stage, NULL, &coro);
    if (status == 0)
        status = weft_loop_create_task_threadsafe(weft_runtime_loop(runtime, 1), coro, NULL, &task);
    if (status == 0)
        status = weft_future_wait(&task->future, -1, NULL);
    CHECK_EQ(weft_runtime_stop(runtime), 0);
    weft_task_unref(task);
    return end(runtime, status);
}

static int linger(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = weft_sleep(SECOND);
    int cleaned = weft_sleep(10);
    return status < 0 ? status : cleaned;
}

/* Main ends, and leaves tasks on both loops that take a while to go. */
static int leave(void *arg, void **result_out)
{
    struct stage *stage = arg;
    (void)result_out;
    struct weft_runtime *runtime = weft_runtime_of(weft_get_running_loop());
    int status = 0;
    for (uint32_t i = 0; i < 4 && status == 0; i++)
        status = weft_loop_spawn_fiber(weft_runtime_loop(runtime, i % 2), linger, stage, NULL);
    return status < 0 ? status : weft_sleep(10);
}

static int shut_down_over_tasks(struct stage *stage)
{
    struct weft_runtime_options options = options_of(WEFT_DRIVER_SIM);
    struct weft_runtime *runtime;
    struct weft_coro *coro;
    int status = weft_runtime_create(&options, &runtime);
    if (status < 0)
        return status;
    status = stage_coro(stage, &coro);
    if (status == 0)
        status = weft_runtime_run(runtime, coro, NULL);
    return end(runtime, status);
}

static int destroy_over_tasks(struct stage *stage)
{
    struct weft_runtime_options options = options_of(WEFT_DRIVER_SIM);
    struct weft_runtime *runtime;
    struct weft_coro *coro;
    int status = weft_runtime_create(&options, &runtime);
    if (status < 0)
        return status;
    status = stage_coro(stage, &coro);
    if (status == 0)
        status = weft_runtime_run(runtime, coro, NULL);
    weft_runtime_destroy(runtime);
    return status;
}

static const struct scenario scenarios[] = {
    {.name = "runtime_run", .kind = BY_ITSELF, .run = run_sim, .body = body},
    {.name = "runtime_run_threads", .kind = BY_ITSELF, .run = run_threads, .body = body, .flags = HAS_THREADS},
    {.name = "runtime_run_twice", .kind = BY_ITSELF, .run = run_twice, .body = body},
    {.name = "runtime_start_and_stop", .kind = BY_ITSELF, .run = start_and_stop, .flags = HAS_THREADS},
    {.name = "runtime_shut_down_over_tasks", .kind = BY_ITSELF, .run = shut_down_over_tasks, .body = leave},
    {.name = "runtime_destroy_over_tasks", .kind = BY_ITSELF, .run = destroy_over_tasks, .body = leave},
};

ROOM(runtime_scenarios, scenarios);
