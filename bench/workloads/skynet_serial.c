/*
 * Skynet: add up the numbers of the leaves of a tree in which each node has ten children.
 */
#include "bench/workloads/serial.h"

enum { CHILDREN = 10 };

static uint64_t add_up(uint64_t first, int leaves)
{
    uint64_t sum = 0;
    if (leaves == 1)
        return first;
    for (int i = 0; i < CHILDREN; i++)
        sum += add_up(first + (uint64_t)i * (uint64_t)(leaves / CHILDREN), leaves / CHILDREN);
    return sum;
}

uint64_t skynet_serial(int size)
{
    return add_up(0, size);
}
