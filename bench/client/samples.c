/*
 * Samples: the first 64 sizes are a nanosecond each; from there on each doubling has 64 of the same width. Called by the benches.
 */
#include "bench/client/samples.h"

enum { STEP_BITS = 6, SIZES = SAMPLES_DOUBLINGS * SAMPLES_STEPS };

static uint32_t size_of(uint64_t ns)
{
    if (ns < SAMPLES_STEPS)
        return (uint32_t)ns;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(ns) - STEP_BITS;
    uint32_t size = (shift + 1) * SAMPLES_STEPS + (uint32_t)(ns >> shift) - SAMPLES_STEPS;
    return size < SIZES ? size : SIZES - 1;
}

/* The longest duration of a size. */
static uint64_t longest_ns(uint32_t size)
{
    if (size < SAMPLES_STEPS)
        return size;
    uint32_t shift = size / SAMPLES_STEPS - 1;
    return ((uint64_t)(size % SAMPLES_STEPS + SAMPLES_STEPS + 1) << shift) - 1;
}

void samples_add(struct samples *samples, uint64_t ns)
{
    samples->count++;
    samples->counts[size_of(ns)]++;
    if (ns > samples->max_ns)
        samples->max_ns = ns;
}

void samples_merge(struct samples *samples, const struct samples *more)
{
    samples->count += more->count;
    for (uint32_t i = 0; i < SIZES; i++)
        samples->counts[i] += more->counts[i];
    if (more->max_ns > samples->max_ns)
        samples->max_ns = more->max_ns;
}

double samples_us(const struct samples *samples, double share)
{
    double wanted = share * (double)samples->count;
    uint64_t below = 0;
    for (uint32_t i = 0; i < SIZES; i++) {
        below += samples->counts[i];
        if (below > 0 && (double)below >= wanted && longest_ns(i) < samples->max_ns)
            return (double)longest_ns(i) / 1e3;
    }
    return (double)samples->max_ns / 1e3;
}
