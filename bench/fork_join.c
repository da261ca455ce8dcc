/*
 * How long does a computation take as jobs, on one loop and on several, beside plain C and other libraries?
 *
 * Each workload (bench/workloads) runs as jobs in a runtime of --loops loops, which are started before and sleep while they have nothing to
 * do. A run is timed inside of its fiber, where it begins and ends; its processor time is the whole process's, the monitor's included. How
 * many jobs were stolen, and how often a sleeping loop was summoned, in all runs together, are figures of their own.
 */
#include "bench/kit/compute.h"
#include "bench/kit/tasks.h"
#include "bench/workloads/job.h"
#include "weft/job.h"
#include "weft/runtime.h"

static struct weft_runtime *runtime;

static void start_runtime(const struct kit *kit)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = kit->loops;
    kit_must(kit, weft_runtime_create(&options, &runtime), "a runtime");
    kit_must(kit, weft_runtime_start(runtime), "its start");
}

static struct weft_loop_counters counters(const struct kit *kit)
{
    struct weft_loop_counters now;
    kit_must(kit, weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &now), "counters");
    return now;
}

static void within_a_job(struct kit *kit, void (*body)(struct kit *kit))
{
    struct tasks_call call = {kit, body};
    struct weft_task *task;
    bool is_warm = runtime != NULL; /* it comes twice: the second run counts */
    if (!is_warm)
        start_runtime(kit);
    struct weft_loop_counters before = counters(kit);
    kit_must(kit, weft_job_start(weft_runtime_loop(runtime, 0), tasks_call, &call, &task), "a start");
    kit_must(kit, weft_future_wait(&task->future, -1, NULL), "a computation");
    weft_task_unref(task);
    struct weft_loop_counters after = counters(kit);
    if (!is_warm)
        return;
    kit_figure(kit, "stolen", "jobs", (double)(after.stolen_jobs - before.stolen_jobs));
    kit_figure(kit, "summons", "wake-ups", (double)(after.summons - before.summons));
    weft_runtime_destroy(runtime);
}

int main(int argc, char **argv)
{
    return compute_main(argc, argv, "weft", job_computations, within_a_job);
}
