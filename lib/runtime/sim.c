/*
 * Sim: the driver that runs all loops on the conductor's thread, in virtual time, the same way for the same seed.
 *
 * In each round every loop takes one turn, in an order drawn from the seed. Time stands still as long as any loop finds something to do;
 * then it jumps to the first thing that is due. If nothing ever will be, that is a deadlock, and said so. The executor's jobs are works
 * of the loops, so that nothing here happens beside anything else.
 */
#include <errno.h>

#include "lib/base/clock.h"
#include "lib/poll/sim.h"
#include "lib/runtime/runtime.h"
#include "weft/memory.h"
#include "weft/status.h"

/* Work that queues itself again for ever would stop time for all others: after so many rounds time goes on nevertheless. */
enum { BUSY_ROUNDS_MAX = 1000 };

static int open_world(struct weft_runtime *runtime)
{
    const struct weft_loop_options *loop_options = runtime->options.loop_options;
    const struct weft_poller_options *given = loop_options == NULL ? NULL : loop_options->poller;
    runtime->order = weft_calloc(runtime->loop_count, sizeof(*runtime->order));
    if (runtime->order == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        runtime->order[i] = i;
    if (given != NULL && given->world != NULL) {
        runtime->world = given->world;
        return 0;
    }
    struct sim_options options = {.size = sizeof(options), .seed = runtime->options.seed};
    runtime->world = sim_world_create(&options);
    runtime->owns_world = runtime->world != NULL;
    return runtime->world == NULL ? -ENOMEM : 0;
}

static void close_world(struct weft_runtime *runtime)
{
    weft_free(runtime->order);
    if (runtime->owns_world)
        sim_world_destroy(runtime->world);
}

/* The loops run inside run_until() only. */
static int start(struct weft_runtime *runtime, bool with_main)
{
    (void)runtime;
    (void)with_main;
    return 0;
}

static void stop(struct weft_runtime *runtime)
{
    (void)runtime;
}

static void shuffle(struct weft_runtime *runtime)
{
    for (uint32_t i = runtime->loop_count; i > 1; i--) {
        uint32_t other = (uint32_t)random_below(&runtime->random, i);
        uint32_t swapped = runtime->order[i - 1];
        runtime->order[i - 1] = runtime->order[other];
        runtime->order[other] = swapped;
    }
}

/* Let `loop` take a turn: as in the threads driver, but in a thread that has many. */
static int turn(struct weft_runtime *runtime, struct weft_loop *loop)
{
    worker_set_current(&loop->worker);
    int status = loop_turn(loop, false);
    worker_set_current(NULL);
    if (runtime_is_shutting(runtime)) {
        loop->is_stopping = false;
        return 0;
    }
    return status < 0 ? status : loop->is_stopping ? WEFT_ESTOPPED : 0;
}

static uint64_t works_run(const struct weft_runtime *runtime)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        count += runtime->loops[i].loop->worker.run_count;
    return count;
}

static bool has_work(const struct weft_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        if (loop_has_work(runtime->loops[i].loop))
            return true;
    return false;
}

static int run_round(struct weft_runtime *runtime)
{
    int status = 0;
    shuffle(runtime);
    for (uint32_t i = 0; i < runtime->loop_count && status == 0; i++)
        status = turn(runtime, runtime->loops[runtime->order[i]].loop);
    return status;
}

static uint64_t next_event_ns(const struct weft_runtime *runtime)
{
    uint64_t next_ns = sim_world_next(runtime->world);
    for (uint32_t i = 0; i < runtime->loop_count; i++) {
        uint64_t timer_ns = loop_next_timer_ns(runtime->loops[i].loop);
        next_ns = timer_ns < next_ns ? timer_ns : next_ns;
    }
    return next_ns;
}

static int pass_time(struct weft_runtime *runtime, uint64_t deadline_ns)
{
    uint64_t next_ns = next_event_ns(runtime);
    next_ns = deadline_ns < next_ns ? deadline_ns : next_ns;
    if (next_ns == CLOCK_NEVER_NS)
        return -EDEADLK;
    sim_world_advance(runtime->world, next_ns);
    return 0;
}

static int rounds_until(struct weft_runtime *runtime, runtime_condition_fn *is_true, uint64_t deadline_ns)
{
    int status = 0;
    int busy_rounds = 0;
    while (status == 0 && !is_true(runtime)) {
        if (sim_world_now(runtime->world) >= deadline_ns)
            return -ETIMEDOUT;
        uint64_t before = works_run(runtime);
        status = run_round(runtime);
        bool is_busy = works_run(runtime) != before || has_work(runtime);
        busy_rounds = is_busy ? busy_rounds + 1 : 0;
        if (status != 0 || (is_busy && busy_rounds < BUSY_ROUNDS_MAX))
            continue;
        int passed = pass_time(runtime, deadline_ns);
        status = is_busy ? 0 : passed;
        busy_rounds = 0;
    }
    return status;
}

static void leave(struct weft_runtime *runtime, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        loop_leave(runtime->loops[i].loop);
}

static int run_until(struct weft_runtime *runtime, runtime_condition_fn *is_true, uint64_t deadline_ns)
{
    for (uint32_t i = 0; i < runtime->loop_count; i++) {
        int status = loop_enter(runtime->loops[i].loop);
        if (status < 0) {
            leave(runtime, i);
            return status;
        }
        worker_set_current(NULL);
    }
    int status = rounds_until(runtime, is_true, deadline_ns);
    leave(runtime, runtime->loop_count);
    return status;
}

const struct runtime_driver runtime_driver_sim = {
    .open = open_world,
    .close = close_world,
    .start = start,
    .run_until = run_until,
    .stop = stop,
    .threads = &executor_driver_threads,
    .jobs = &executor_driver_inline,
    .kind = weft_loop_kind_sim,
};
