/*
 * Calls: how many system calls a server makes, counted by tracing it. A traced server is slow, so nothing else is measured meanwhile.
 */
#ifndef BENCH_CLIENT_CALLS_H
#define BENCH_CLIENT_CALLS_H

#include <stdint.h>

struct child;

/*
 * Trace all threads of `child` while `work(arg)` runs in another process, which inherits descriptors. The number of calls;
 * -ECANCELED if that process found something wrong; another status below 0 if it may not be traced. The child stays traced, and can only be stopped.
 */
int64_t calls_count(const struct child *child, void (*work)(void *arg), void *arg);

#endif
