/*
 * The computations that the benches measure (bench/workloads), at small sizes: whatever was stolen, their results are those of plain C.
 */
#include "bench/workloads/job.h"

#include "tests/task/scene.h"
#include "weft/job.h"
#include "weft/runtime.h"

enum { ROUNDS = TEST_IS_SLOW ? 10 : 30 };

struct run {
    const struct computation *computation;
    int size;
    uint64_t result;
};

static int compute(void *arg, void **result_out)
{
    struct run *run = arg;
    (void)result_out;
    return run->computation->run(run->size, &run->result);
}

static uint64_t compute_serially(const struct workload *workload, int size)
{
    workload_prepare(workload, size);
    return workload_result(workload, size, workload->serial(size));
}

static uint64_t compute_as_jobs(struct weft_runtime *runtime, const struct computation *computation, int size)
{
    struct run run = {.computation = computation, .size = size};
    struct weft_task *task;
    workload_prepare(computation->workload, size);
    CHECK_EQ(weft_job_start(weft_runtime_loop(runtime, 0), compute, &run, &task), 0);
    CHECK_EQ(weft_future_wait(&task->future, -1, NULL), 0);
    weft_task_unref(task);
    return workload_result(computation->workload, size, run.result);
}

static struct weft_runtime *start_runtime(uint32_t loops)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    options.loops = loops;
    CHECK_EQ(weft_runtime_create(&options, &runtime), 0);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    return runtime;
}

static void compute_all_on(uint32_t loops)
{
    struct weft_runtime *runtime = start_runtime(loops);
    for (int i = 0; i < ROUNDS; i++)
        for (const struct computation *each = job_computations; each->workload != NULL; each++)
            CHECK_EQ(compute_as_jobs(runtime, each, each->workload->quick_size), each->workload->quick_expected);
    weft_runtime_destroy(runtime);
}

Test(job_workloads, are_right_in_plain_c, .timeout = 30)
{
    for (const struct workload *const *workload = workloads; *workload != NULL; workload++)
        CHECK_EQ(compute_serially(*workload, (*workload)->quick_size), (*workload)->quick_expected);
}

Test(job_workloads, are_right_on_one_loop, .timeout = 60)
{
    compute_all_on(1);
}

Test(job_workloads, are_right_on_two_loops, .timeout = 60)
{
    compute_all_on(2);
}

Test(job_workloads, are_right_on_four_loops, .timeout = 60)
{
    compute_all_on(4);
}

/* A stack of jobs that is full again and again, and 1,500 levels of calls between; and the size that its paper gives. Minutes where slow. */
Test(job_workloads, binomial_tree_has_its_published_size, .timeout = 60, .disabled = TEST_IS_SLOW)
{
    struct weft_runtime *runtime = start_runtime(2);
    const struct computation binomial = {&uts_binomial_workload, uts_binomial_job_run};
    CHECK_EQ(compute_as_jobs(runtime, &binomial, uts_binomial_workload.size), uts_binomial_workload.expected);
    weft_runtime_destroy(runtime);
}
