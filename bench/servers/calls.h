/*
 * Calls: how many system calls a server with one thread makes, counted by tracing it.
 */
#ifndef BENCH_SERVERS_CALLS_H
#define BENCH_SERVERS_CALLS_H

#include <stdint.h>

struct child;

/*
 * Trace the thread of `child` while `work(arg)` runs in another process, which inherits descriptors. The number of calls; a status below 0 if
 * it may not be traced.
 */
int64_t calls_count(const struct child *child, void (*work)(void *arg), void *arg);

#endif
