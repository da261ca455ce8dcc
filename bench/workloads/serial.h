/*
 * The serial halves, for the entries in `workloads`; see workload.h.
 */
#ifndef BENCH_WORKLOADS_SERIAL_H
#define BENCH_WORKLOADS_SERIAL_H

#include <stdint.h>

uint64_t fib_serial(int size);
uint64_t queens_serial(int size);
uint64_t skynet_serial(int size);
uint64_t uts_geometric_serial(int size);
uint64_t uts_binomial_serial(int size);
uint64_t matmul_serial(int size);
uint64_t parallel_for_serial(int size);

#endif
