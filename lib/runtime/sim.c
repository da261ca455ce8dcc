/*
 * Sim: the driver that runs all loops on the conductor's thread, in virtual time, the same way for the same seed.
 *
 * A runtime that is started takes part in the drive of its world (sim_drive.c), and whoever waits for something in one runtime drives all
 * that do. The executor's jobs are works of the loops, so that nothing here happens beside anything else.
 */
#include <errno.h>

#include "lib/poll/sim.h"
#include "lib/runtime/fork.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/sim_drive.h"
#include "weft/memory.h"
#include "weft/status.h"

/* The host that `options` name, or that is entered; NULL if there is none. */
static struct weft_sim_host *host_of(const struct weft_runtime_options *options)
{
    const struct weft_loop_options *loop_options = options->loop_options;
    const struct weft_poller_options *given = loop_options == NULL ? NULL : loop_options->poller;
    return given != NULL && given->world != NULL ? given->world : sim_host_entered();
}

static uint32_t count_cpus(const struct weft_runtime_options *options)
{
    return sim_host_cpus(host_of(options));
}

/* Else it lives on the first host of a world of its own. */
static int open_host(struct weft_runtime *runtime)
{
    runtime->host = host_of(&runtime->options);
    if (runtime->host == NULL) {
        struct sim_options options = {.size = sizeof(options), .seed = runtime->options.seed};
        runtime->world = sim_world_create(&options);
        runtime->owns_world = runtime->world != NULL;
        runtime->host = sim_world_host(runtime->world);
        return runtime->world == NULL ? -ENOMEM : 0;
    }
    runtime->world = sim_host_world(runtime->host);
    random_init(&runtime->random, runtime->options.seed ^ random_next(sim_world_schedule(runtime->world)));
    return 0;
}

static int open_world(struct weft_runtime *runtime)
{
    int status = open_host(runtime);
    if (status < 0)
        return status;
    runtime->boot_count = sim_host_boot_count(runtime->host);
    if (!sim_host_is_up(runtime->host, runtime->boot_count))
        return -ENETDOWN;
    runtime->drive = sim_drive_get(runtime->world);
    return runtime->drive == NULL ? -ENOMEM : 0;
}

static void close_world(struct weft_runtime *runtime)
{
    sim_drive_put(runtime->drive);
    if (runtime->owns_world)
        sim_world_destroy(runtime->world);
}

/* Entered, as if it ran in a thread of its own: from outside it can only be posted to. */
static int enter(struct runtime_loop *each)
{
    int status = loop_enter(each->loop);
    if (status == 0)
        worker_set_current(NULL);
    each->is_entered = status == 0;
    return status;
}

static void leave(struct runtime_loop *each)
{
    if (each->is_entered)
        loop_leave(each->loop);
    each->is_entered = false;
}

static void stop(struct weft_runtime *runtime)
{
    sim_drive_leave(runtime->drive, runtime);
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        leave(&runtime->loops[i]);
}

static int start(struct weft_runtime *runtime, bool with_main)
{
    int status = sim_drive_join(runtime->drive, runtime);
    for (uint32_t i = 0; i < runtime->loop_count && status == 0; i++)
        if (with_main || &runtime->loops[i] != runtime->main)
            status = enter(&runtime->loops[i]);
    if (status < 0)
        stop(runtime);
    return status;
}

struct waiting {
    struct weft_runtime *runtime;
    runtime_condition_fn *is_true;
};

static int is_over(void *arg)
{
    const struct waiting *waiting = arg;
    struct weft_runtime *runtime = waiting->runtime;
    if (runtime_is_forked(runtime))
        return WEFT_EFORKED;
    if (waiting->is_true(runtime))
        return 1;
    if (!sim_host_is_up(runtime->host, runtime->boot_count))
        return -EDEADLK;
    return runtime_is_shutting(runtime) ? 0 : weft_atomic_load_relaxed(&runtime->left_status);
}

static int run_until(struct weft_runtime *runtime, runtime_condition_fn *is_true, uint64_t deadline_ns)
{
    bool is_main_here = !runtime->main->is_entered;
    int status = is_main_here ? enter(runtime->main) : 0;
    if (status < 0)
        return status;
    status = sim_drive_run(runtime->drive, is_over, &(struct waiting){runtime, is_true}, deadline_ns);
    if (is_main_here)
        leave(runtime->main);
    return status;
}

const struct runtime_driver runtime_driver_sim = {
    .count_cpus = count_cpus,
    .open = open_world,
    .close = close_world,
    .start = start,
    .run_until = run_until,
    .stop = stop,
    .threads = &executor_driver_threads,
    .jobs = &executor_driver_inline,
    .kind = weft_loop_kind_sim,
};
