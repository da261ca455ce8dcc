/*
 * Speed: how long each computation takes while nobody is served: in plain C, on one loop, and on all loops of the site.
 */
#ifndef TOOLS_DEMO_SPEED_H
#define TOOLS_DEMO_SPEED_H

#include <stdint.h>

#include "tools/demo/compute.h"

struct site;

/* The best of some rounds of one computation in one way. */
struct timing {
    compute_fn *run;
    uint64_t best_ns;
    uint64_t result;
};

struct speed {
    struct timing serial;    /* plain C */
    struct timing one_loop;  /* jobs, on a runtime of one loop */
    struct timing all_loops; /* jobs, on the site's */
};

/*
 * Time all computations. The loops serve meanwhile: what is timed without them has a thread of the executor.
 *
 * thread:  a fiber
 * memory:  `speeds` has COMPUTATION_COUNT
 * returns: 0; -ECANCELED; -EPROTO if jobs computed another number than plain C; as weft_job_start() and weft_runtime_create()
 */
int speeds_measure(struct speed *speeds, const struct site *site);

/* How many times faster `timing` is than `base`. thread: any */
double speed_up(const struct timing *timing, const struct timing *base);

#endif
