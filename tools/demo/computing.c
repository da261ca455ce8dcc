/*
 * Computing: a stealable task that starts stealable tasks, whose jobs are stolen in turn. Called by main.c, around a load.
 */
#include "tools/demo/computing.h"

#include "tools/demo/site.h"
#include "tools/demo/spawn.h"
#include "weft/fiber.h"
#include "weft/loop.h"

/* One computation. A weft_fiber_fn. */
static int compute(void *arg, void **result_out)
{
    const struct computation *computation = arg;
    uint64_t result;
    (void)result_out;
    return computation->forked(&result);
}

static int compute_once(struct computing *computing, int which)
{
    struct weft_task *task;
    int status = spawn_stealable(weft_get_running_loop(), compute, (void *)&computations[which], &task, computations[which].name);
    if (status < 0)
        return status;
    status = weft_await(&task->future, NULL);
    weft_task_unref(task);
    computing->rounds[which]++;
    return status;
}

static int compute_all(void *arg, void **result_out)
{
    struct computing *computing = arg;
    int status = 0;
    (void)result_out;
    for (int i = 0; status == 0 && !weft_atomic_load_relaxed(&computing->is_over); i = (i + 1) % COMPUTATION_COUNT)
        status = compute_once(computing, i);
    return status;
}

int computing_start(struct computing *computing, const struct site *site)
{
    *computing = (struct computing){.site = site};
    return spawn_stealable(site->shards[0].loop, compute_all, computing, &computing->task, "compute");
}

int computing_stop(struct computing *computing)
{
    if (computing->task == NULL)
        return 0;
    weft_atomic_store_relaxed(&computing->is_over, 1u);
    int status = weft_await(&computing->task->future, NULL);
    weft_task_unref(computing->task);
    computing->task = NULL;
    return status;
}
