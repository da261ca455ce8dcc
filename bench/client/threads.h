/*
 * Threads: what the kernel tells about the threads of a child, which wait for processors as others do.
 */
#ifndef BENCH_CLIENT_THREADS_H
#define BENCH_CLIENT_THREADS_H

#include <stdbool.h>
#include <stdint.h>

struct child;

/* Sums over some threads, since each of them began. */
struct threads_usage {
    uint64_t ran_ns;      /* on a processor */
    uint64_t waited_ns;   /* for one, though ready to run */
    uint64_t interrupted; /* times that one was taken from it */
};

/* Of the monitors (threads of that name), or of all others. Zeroes where the kernel does not say. */
struct threads_usage threads_usage(const struct child *child, bool is_monitor);

#endif
