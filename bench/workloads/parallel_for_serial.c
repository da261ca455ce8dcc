/*
 * A sum over a range of indices, by a loop.
 */
#include "bench/workloads/parallel_for.h"
#include "bench/workloads/serial.h"

uint64_t parallel_for_serial(int size)
{
    return parallel_for_sum((struct range){0, (uint32_t)size});
}
