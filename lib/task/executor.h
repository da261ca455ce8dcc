/*
 * Executor, inside: who runs its threads, and how the runtime shuts it down without blocking a loop.
 *
 * An executor starts no thread by itself: its driver does. The threads driver starts real ones. The inline driver has none, and lets each
 * job run as a work of the loop that asked for it, so that the simulator decides when.
 */
#ifndef LIB_TASK_EXECUTOR_H
#define LIB_TASK_EXECUTOR_H

#include <stdbool.h>

#include "lib/base/thread.h"
#include "weft/executor.h"

/* What starts threads, for executors and for loops. A table is static. */
struct executor_driver {
    /* As thread_start(), called with the executor's lock held. NULL: jobs run on the loop that asked for them. */
    int (*start)(struct thread *thread, const char *name, thread_fn *fn, void *arg);
    /* As thread_join(), of a thread that will end without further help. Blocks. */
    void (*join)(struct thread *thread);
    /* Let `thread` end by itself, unjoined; called from any thread, its own included, with the executor's lock held. */
    void (*detach)(struct thread *thread);
};

/* Real threads. */
extern const struct executor_driver executor_driver_threads;

/* No threads. */
extern const struct executor_driver executor_driver_inline;

/*
 * As weft_executor_create(), with `driver` to run the jobs.
 *
 * thread:  any
 * memory:  driver is static
 */
int executor_create(const struct weft_executor_options *options, const struct executor_driver *driver, struct weft_executor **executor_out);

/* Called when a closed executor has no more job. The thread that ended the last one, no lock held. */
typedef void executor_idle_fn(void *arg);

/*
 * Refuse new jobs without waiting. `idle` (may be NULL) is called as often as the executor, from now on, may have become idle.
 *
 * thread:  any
 * memory:  arg stays borrowed until the executor is idle, or has lost its last reference
 */
void executor_close(struct weft_executor *executor, executor_idle_fn *idle, void *arg);

/*
 * True if no job waits or runs.
 *
 * thread:  any
 */
bool executor_is_idle(struct weft_executor *executor);

/*
 * Refuse new jobs and cancel those that wait.
 *
 * thread:  any
 */
void executor_cancel_waiting(struct weft_executor *executor);

#endif
