/*
 * Computing: the computations, one after the other and again, through the loops of the site while they serve.
 */
#ifndef TOOLS_DEMO_COMPUTING_H
#define TOOLS_DEMO_COMPUTING_H

#include <stdint.h>

#include "tools/demo/compute.h"

struct site;
struct weft_task;

struct computing {
    const struct site *site;
    struct weft_task *task;
    uint64_t rounds[COMPUTATION_COUNT]; /* how often each was computed; read after the stop */
    uint32_t is_over;                   /* one writer: whoever stops */
};

/*
 * Start a task that computes until it is stopped. Each computation has a task of its own, which has a child for each job that another loop
 * steals.
 *
 * thread:  any
 * memory:  computing and site are borrowed until computing_stop() has returned
 * returns: 0; as spawn_stealable()
 */
int computing_start(struct computing *computing, const struct site *site);

/*
 * Let the present computation end, and wait for that. Not started: harmless.
 *
 * thread:  a fiber
 * returns: 0; what a computation failed with
 */
int computing_stop(struct computing *computing);

#endif
