/*
 * Workloads: computations that fork, with results that are known or easily checked.
 *
 * For each there is <name>_serial.c, plain C, and <name>_job.c, the same with weft's jobs (job.h); the peers have theirs in bench/peers. All
 * do the same work; what they share (boards, trees, matrices) is in a file of its own. bench/fork_join.c and the peers measure them, and
 * tests/task checks them.
 *
 *     workload_prepare(workload, size);
 *     result = workload->serial(size);                  or another's: status = computation->run(size, &result);
 *     result = workload_result(workload, size, result);
 */
#ifndef BENCH_WORKLOADS_WORKLOAD_H
#define BENCH_WORKLOADS_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct workload {
    const char *name;
    int size;                /* of the published figure */
    int quick_size;          /* for a look, and for slow builds */
    int repeats;             /* at most so many runs are timed together: a short one alone would measure the clock */
    uint64_t expected;       /* the result at `size` */
    uint64_t quick_expected; /* and at `quick_size` */
    /* Compute as plain recursion, in any thread with 8 MiB of stack. */
    uint64_t (*serial)(int size);
    /* What is done before each run without being timed; NULL: nothing. */
    void (*prepare)(int size);
    /* The result, found in memory after the run, in place of the returned one; NULL: that one. */
    uint64_t (*check)(int size);
};

/* Who else computes it. */
struct computation {
    const struct workload *workload;            /* NULL ends a table of them */
    int (*run)(int size, uint64_t *result_out); /* 0, or a status below 0 */
};

extern const struct workload fib_workload;
extern const struct workload queens_workload;
extern const struct workload skynet_workload;
extern const struct workload uts_geometric_workload;
extern const struct workload uts_binomial_workload;
extern const struct workload matmul_workload;
extern const struct workload parallel_for_workload;

/* All of them, ended by NULL. */
extern const struct workload *const workloads[];

/* Before a run. */
void workload_prepare(const struct workload *workload, int size);

/* After it: the result, given what the run returned. */
uint64_t workload_result(const struct workload *workload, int size, uint64_t returned);

#ifdef __cplusplus
}
#endif

#endif
