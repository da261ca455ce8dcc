/*
 * Workloads: the list, in the order in which they are run.
 */
#include "bench/workloads/workload.h"

const struct workload *const workloads[] = {
    &fib_workload, &queens_workload, &skynet_workload, &uts_geometric_workload, &uts_binomial_workload, &matmul_workload, NULL,
};

void workload_prepare(const struct workload *workload, int size)
{
    if (workload->prepare != NULL)
        workload->prepare(size);
}

uint64_t workload_result(const struct workload *workload, int size, uint64_t returned)
{
    return workload->check != NULL ? workload->check(size) : returned;
}
