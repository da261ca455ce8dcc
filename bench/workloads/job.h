/*
 * The workloads as weft's jobs: each runs in a fiber with the largest stack, and gives what WEFT_RUN() says.
 */
#ifndef BENCH_WORKLOADS_JOB_H
#define BENCH_WORKLOADS_JOB_H

#include "bench/workloads/workload.h"

int fib_job_run(int size, uint64_t *result_out);
int queens_job_run(int size, uint64_t *result_out);
int skynet_job_run(int size, uint64_t *result_out);
int uts_geometric_job_run(int size, uint64_t *result_out);
int uts_binomial_job_run(int size, uint64_t *result_out);
int matmul_job_run(int size, uint64_t *result_out);
int parallel_for_job_run(int size, uint64_t *result_out);

/* All of them, in the order of `workloads`. */
extern const struct computation job_computations[];

#endif
