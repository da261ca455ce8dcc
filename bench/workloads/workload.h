/*
 * Workloads: computations that fork, each as plain C and as jobs, with results that are known or easily checked.
 *
 * For each there is <name>_serial.c, which knows nothing of weft, and <name>_job.c, which has the entry in `workloads`. Both do the same
 * work; what they share (boards, trees, matrices) is in a file of its own. bench/fork_join.c measures them and tests/task checks them.
 *
 *     workload_prepare(workload, size);
 *     result = workload->serial(size);                  or, in a fiber: status = workload->job(size, &result);
 *     result = workload_result(workload, size, result);
 */
#ifndef BENCH_WORKLOADS_WORKLOAD_H
#define BENCH_WORKLOADS_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

struct workload {
    const char *name;
    int size;                /* of the published figure */
    int quick_size;          /* for a look, and for slow builds */
    int repeats;             /* runs that are timed together: a short one alone would measure the clock */
    uint64_t expected;       /* the result at `size` */
    uint64_t quick_expected; /* and at `quick_size` */
    /* Compute as plain recursion, in any thread with 8 MiB of stack. */
    uint64_t (*serial)(int size);
    /* Compute as jobs, in a fiber with the largest stack: 0 or what WEFT_RUN() says. */
    int (*job)(int size, uint64_t *result_out);
    /* What is done before each run without being timed; NULL: nothing. */
    void (*prepare)(int size);
    /* The result, found in memory after the run, in place of the returned one; NULL: that one. */
    uint64_t (*check)(int size);
};

extern const struct workload fib_workload;
extern const struct workload queens_workload;
extern const struct workload skynet_workload;
extern const struct workload uts_geometric_workload;
extern const struct workload uts_binomial_workload;
extern const struct workload matmul_workload;

/* All of them, ended by NULL. */
extern const struct workload *const workloads[];

/* Before a run. */
void workload_prepare(const struct workload *workload, int size);

/* After it: the result, given what the run returned. */
uint64_t workload_result(const struct workload *workload, int size, uint64_t returned);

#endif
