/*
 * Compute: the question "fork_join" as a contestant is asked it, for whoever runs a computation by a plain call.
 */
#ifndef BENCH_KIT_COMPUTE_H
#define BENCH_KIT_COMPUTE_H

#include <stdint.h>

#include "bench/kit/kit.h"
#include "bench/workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Call `body(kit)` where and when the contestant computes, on kit->loops threads, and return once it is done. */
typedef void compute_within_fn(struct kit *kit, void (*body)(struct kit *kit));

/* Answer for `who` with `computations`, an ended table. `within` may be NULL: in this thread. What main() returns. */
int compute_main(int argc, char **argv, const char *who, const struct computation *computations, compute_within_fn *within);

#ifdef __cplusplus
}
#endif

#endif
