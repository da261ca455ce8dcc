/*
 * Cpu: how many processors this process may use, and which.
 *
 * The driver starts one loop for each and may bind them. What a process may use is the smaller of what the scheduler lets it run on (its
 * affinity) and what the control groups above it pay for (their quotas, rounded up).
 */
#ifndef LIB_BASE_CPU_H
#define LIB_BASE_CPU_H

#include <pthread.h>

/* Where to look for control groups. Tests bring a tree of their own. */
struct cpu_paths {
    const char *cgroup_file; /* which groups this process is in; NULL: "/proc/self/cgroup" */
    const char *cgroup_root; /* where the groups are mounted; NULL: "/sys/fs/cgroup" */
};

/*
 * Count the processors that are worth a loop: the affinity of the calling thread, cut by the quota of each group from the process's own
 * up to the root, in both versions of control groups. What cannot be read limits nothing.
 *
 * thread:  any; call it before binding the calling thread
 * memory:  allocates on machines of more than 1024 processors, and frees again
 * returns: at least 1
 */
int cpu_count_available(const struct cpu_paths *paths);

/*
 * The limit of the control groups alone, rounded up.
 *
 * thread:  any
 * returns: at least 1; INT_MAX when there is no limit
 */
int cpu_count_quota(const struct cpu_paths *paths);

/*
 * The number of the `nth` processor (from 0) that the calling thread may run on; counts around when there are fewer.
 *
 * thread:  any; ask for all of them before binding the calling thread
 * returns: a number for cpu_bind(); -errno
 */
int cpu_allowed(int nth);

/* The processor that the calling thread is on, old news already; 0 where the system cannot say. thread: any */
int cpu_current(void);

/*
 * Let `thread` run on the processor with number `cpu` only.
 *
 * thread:  any
 * returns: 0; -EINVAL if the process may not use that processor or the number is none; -ENOMEM
 */
int cpu_bind(pthread_t thread, int cpu);

#endif
