/*
 * Compute: one run of one workload, warmed up by a small one and checked. Called by the mains of those who fork and join.
 */
#include "bench/kit/compute.h"

#include <stddef.h>

enum { CASES_MAX = 16 };

static compute_within_fn *within;

static void run_here(struct kit *kit, void (*body)(struct kit *kit))
{
    body(kit);
}

static uint64_t run_often(struct kit *kit, int size, int times)
{
    const struct computation *computation = kit->arg;
    uint64_t result = 0;
    for (int i = 0; i < times; i++)
        kit_must(kit, computation->run(size, &result), "a computation");
    return result;
}

static void warm_up(struct kit *kit)
{
    const struct computation *computation = kit->arg;
    workload_prepare(computation->workload, computation->workload->quick_size);
    (void)run_often(kit, computation->workload->quick_size, 1);
}

static void measure(struct kit *kit)
{
    const struct workload *workload = ((const struct computation *)kit->arg)->workload;
    int size = kit->is_quick ? workload->quick_size : workload->size;
    workload_prepare(workload, size);
    kit_start(kit);
    uint64_t result = run_often(kit, size, workload->repeats);
    kit_stop(kit, "ms", workload->repeats);
    result = workload_result(workload, size, result);
    kit_check(kit, result == (kit->is_quick ? workload->quick_expected : workload->expected), "the result");
}

static void run_case(struct kit *kit)
{
    within(kit, warm_up);
    within(kit, measure);
}

int compute_main(int argc, char **argv, const char *who, const struct computation *computations, compute_within_fn *where)
{
    static struct kit_case cases[CASES_MAX];
    size_t count = 0;
    within = where == NULL ? run_here : where;
    for (; computations[count].workload != NULL && count < CASES_MAX; count++)
        cases[count] = (struct kit_case){"fork_join", computations[count].workload->name, run_case, &computations[count], 0};
    return kit_main(argc, argv, who, cases, count);
}
