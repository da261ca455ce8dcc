/*
 * Compute: one run of one workload, warmed up by a small one and checked. Called by the mains of those who fork and join.
 */
#include "bench/kit/compute.h"

#include <stddef.h>

enum { CASES_MAX = 16 };

#define LONG_NS UINT64_C(200000000) /* runs that have taken so much together need no further one */

static compute_within_fn *within;

static void run_here(struct kit *kit, void (*body)(struct kit *kit))
{
    body(kit);
}

static uint64_t run_once(struct kit *kit, int size)
{
    const struct computation *computation = kit->arg;
    uint64_t result = 0;
    kit_must(kit, computation->run(size, &result), "a computation");
    return result;
}

static void warm_up(struct kit *kit)
{
    const struct computation *computation = kit->arg;
    workload_prepare(computation->workload, computation->workload->quick_size);
    (void)run_once(kit, computation->workload->quick_size);
}

static void measure(struct kit *kit)
{
    const struct workload *workload = ((const struct computation *)kit->arg)->workload;
    int size = kit->is_quick ? workload->quick_size : workload->size;
    uint64_t result;
    int times = 0;
    workload_prepare(workload, size);
    kit_start(kit);
    do
        result = run_once(kit, size);
    while (++times < workload->repeats && kit_clock_ns(CLOCK_MONOTONIC) - kit->start.wall_ns < LONG_NS);
    kit_stop(kit, "ms", times);
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
