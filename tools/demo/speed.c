/*
 * Speed: the same rounds, run by three kinds of threads. Called by main.c, in the main fiber.
 *
 *      all loops    weft_job_start() on a loop of the site: the others steal from it
 *      one loop     weft_run() of a runtime with one loop, inside a thread of the executor
 *      serial       a call, in the same thread
 */
#include "tools/demo/speed.h"

#include <errno.h>
#include <time.h>

#include "tools/demo/site.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/job.h"
#include "weft/runtime.h"

#define ROUNDS_MAX 8
#define ENOUGH_NS  150000000ull /* no further round after so much time */

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int timing_take(struct timing *timing)
{
    uint64_t began_ns = clock_ns(), round_ns = began_ns;
    timing->best_ns = UINT64_MAX;
    for (int round = 0; round < ROUNDS_MAX && round_ns - began_ns < ENOUGH_NS; round++) {
        int status = timing->run(&timing->result);
        if (status < 0)
            return status;
        uint64_t now_ns = clock_ns();
        if (now_ns - round_ns < timing->best_ns)
            timing->best_ns = now_ns - round_ns;
        round_ns = now_ns;
    }
    return 0;
}

/* ---- where it runs ---------------------------------------------------------------------------------------------------------------- */

/* Wait for what writes to our memory until it is done, also if this task is cancelled meanwhile. */
static int await_all(struct weft_future *future)
{
    int status = weft_await_flags(future, WEFT_AWAIT_DETACH, NULL);
    if (status < 0)
        weft_await(future, NULL);
    weft_future_unref(future);
    return status;
}

/* A weft_fiber_fn on all loops. */
static int run_on_all_loops(void *arg, void **result_out)
{
    struct speed *speeds = arg;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < COMPUTATION_COUNT && status == 0; i++)
        status = timing_take(&speeds[i].all_loops);
    return status;
}

/* A weft_fiber_fn on one loop. */
static int run_on_one_loop(void *arg, void **result_out)
{
    struct speed *speeds = arg;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < COMPUTATION_COUNT && status == 0; i++)
        status = timing_take(&speeds[i].one_loop);
    return status;
}

/* A weft_executor_fn. */
static int run_alone(void *arg, void **result_out)
{
    struct speed *speeds = arg;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < COMPUTATION_COUNT && status == 0; i++)
        status = timing_take(&speeds[i].serial);
    if (status < 0)
        return status;

    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_fiber_options fiber_options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    options.loops = 1;
    fiber_options.stack = WEFT_STACK_LARGE;
    status = weft_fiber_new(run_on_one_loop, speeds, &fiber_options, &coro);
    return status < 0 ? status : weft_run(coro, &options, NULL);
}

/* ------------------------------------------------------------------------------------------------------------------------------------- */

static int speed_check(const struct speed *speed)
{
    bool is_same = speed->one_loop.result == speed->serial.result && speed->all_loops.result == speed->serial.result;
    return is_same ? 0 : -EPROTO;
}

int speeds_measure(struct speed *speeds, const struct site *site)
{
    for (int i = 0; i < COMPUTATION_COUNT; i++) {
        const struct computation *computation = &computations[i];
        speeds[i] = (struct speed){{.run = computation->serial}, {.run = computation->forked}, {.run = computation->forked}};
    }
    struct weft_future *alone;
    struct weft_task *task;
    int status = weft_loop_run_in_executor(weft_get_running_loop(), run_alone, speeds, &alone);
    if (status == 0)
        status = await_all(alone);
    if (status == 0)
        status = weft_job_start(site->shards[0].loop, run_on_all_loops, speeds, &task);
    if (status == 0)
        status = await_all(&task->future);
    for (int i = 0; i < COMPUTATION_COUNT && status == 0; i++)
        status = speed_check(&speeds[i]);
    return status;
}

double speed_up(const struct timing *timing, const struct timing *base)
{
    return timing->best_ns > 0 ? (double)base->best_ns / (double)timing->best_ns : 0;
}
