/*
 * The workloads as weft's jobs: the list.
 */
#include "bench/workloads/job.h"

#include <stddef.h>

const struct computation job_computations[] = {
    {&fib_workload, fib_job_run},
    {&queens_workload, queens_job_run},
    {&skynet_workload, skynet_job_run},
    {&uts_geometric_workload, uts_geometric_job_run},
    {&uts_binomial_workload, uts_binomial_job_run},
    {&matmul_workload, matmul_job_run},
    {&parallel_for_workload, parallel_for_job_run},
    {NULL, NULL},
};
