/*
 * Samples: durations, kept as counts by size, so that any quantile can be asked for. What a quantile says is at most 1/64 too long.
 *
 *     struct samples samples = {0};
 *     samples_add(&samples, end_ns - start_ns);
 *     double us = samples_us(&samples, 0.999);
 *
 * One thread writes; others may read once it has stopped. It may lie in memory that processes share.
 */
#ifndef BENCH_CLIENT_SAMPLES_H
#define BENCH_CLIENT_SAMPLES_H

#include <stdint.h>

enum { SAMPLES_STEPS = 64, SAMPLES_DOUBLINGS = 36 };

struct samples {
    uint64_t count;
    uint64_t max_ns;
    uint32_t counts[SAMPLES_DOUBLINGS * SAMPLES_STEPS];
};

void samples_add(struct samples *samples, uint64_t ns);

/* Add what `more` has. */
void samples_merge(struct samples *samples, const struct samples *more);

/* In microseconds: what `share` of the samples are not above; the longest for 1. 0 if there are none. */
double samples_us(const struct samples *samples, double share);

#endif
