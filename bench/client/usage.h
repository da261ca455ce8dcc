/*
 * Usage: what a child has used, with all of its threads and the processes of its group.
 */
#ifndef BENCH_CLIENT_USAGE_H
#define BENCH_CLIENT_USAGE_H

#include <stdint.h>
#include <sys/types.h>

struct child;

struct usage {
    uint64_t cpu_ns;     /* exact, the kernel's work for it included */
    uint64_t user_ticks; /* of a hundredth of a second: how it is divided, an estimate */
    uint64_t sys_ticks;
    uint64_t switches; /* times that a thread began to run again */
};

struct usage usage_now(const struct child *child);

struct usage usage_since(struct usage now, struct usage before);

/* Of `cpu_ns`, the user's; the rest is the kernel's. Below 0 where it has had too few ticks to tell. */
double usage_user_ns(struct usage usage);

/* Memory that it has of its own and that is resident, in bytes. */
uint64_t usage_memory(const struct child *child);

/* The numbers of all threads, up to `max` of them. The count. */
size_t usage_threads(const struct child *child, pid_t *threads_out, size_t max);

#endif
