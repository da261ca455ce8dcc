/*
 * Parallel for: a sum over a range of indices, and what it adds for each.
 */
#ifndef BENCH_WORKLOADS_PARALLEL_FOR_H
#define BENCH_WORKLOADS_PARALLEL_FOR_H

#include <stdint.h>

struct range {
    uint32_t first;
    uint32_t count;
};

/* What `index` adds: a few nanoseconds of arithmetic that no compiler can shorten to a formula. */
static inline uint64_t parallel_for_value(uint64_t index)
{
    uint64_t mixed = (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0x94d049bb133111eb);
    return mixed >> 40;
}

/* The innermost loop of all who split a range. An index that could wrap would cost a multiplication more, wherever the first is not known. */
static inline uint64_t parallel_for_sum(struct range range)
{
    uint64_t sum = 0, end = (uint64_t)range.first + range.count;
    for (uint64_t index = range.first; index < end; index++)
        sum += parallel_for_value(index);
    return sum;
}

#endif
