/*
 * Compute: three computations, each in plain C and as jobs that any loop may steal. Both give the same number.
 */
#ifndef TOOLS_DEMO_COMPUTE_H
#define TOOLS_DEMO_COMPUTE_H

#include <stdint.h>

#define COMPUTATION_COUNT 3

/*
 * Compute, as long as it takes: some ten milliseconds.
 *
 * thread:  any for plain C, one at a time; a fiber with the largest stack for jobs, one at a time
 * returns: 0; as WEFT_RUN()
 */
typedef int compute_fn(uint64_t *result_out);

struct computation {
    const char *name; /* also of the tasks that run it */
    compute_fn *serial;
    compute_fn *forked;
};

extern const struct computation computations[COMPUTATION_COUNT];

#endif
