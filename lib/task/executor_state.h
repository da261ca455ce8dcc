/*
 * Executor's state, shared by its queue (executor.c) and its threads (executor_thread.c).
 *
 * One mutex guards everything but the two counts. It is no hot path: a job is worth handing over only if it takes far longer than a
 * lock, so a condition variable and plain lists are what is easiest to be sure of. No user code is called with the lock held.
 */
#ifndef LIB_TASK_EXECUTOR_STATE_H
#define LIB_TASK_EXECUTOR_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fork.h"
#include "lib/task/executor.h"
#include "weft/future.h"
#include "weft/work.h"

enum { EXECUTOR_NAME_BYTES = 12 };

/*
 * A job is its future. Whoever will run it holds one reference to it: the queue, then the thread; under the inline driver the posted work.
 */
struct executor_job {
    struct weft_future future;
    struct weft_executor *executor;
    weft_executor_fn *fn;
    void *arg;
    struct executor_job *next, *prev;
    struct weft_work work; /* inline driver */
    bool is_waiting;       /* in the queue; cleared by whoever takes it out, which decides between start and cancel */
};

struct executor_thread {
    struct thread thread;
    struct weft_executor *executor;
    struct executor_thread *next;
    bool has_ended;   /* will not touch the executor's lists again */
    bool is_detached; /* frees itself */
};

struct weft_executor {
    uint32_t refs;  /* of users; the last one closes */
    uint32_t holds; /* on the memory: one for all users, one for each thread, one for each job */
    pthread_mutex_t mutex;
    pthread_cond_t work_came;
    pthread_cond_t went_idle;
    const struct executor_driver *driver;
    struct executor_job *first, *last;
    struct executor_thread *threads; /* not joined yet */
    executor_idle_fn *idle_fn;
    void *idle_arg;
    struct weft_executor_counters counters;
    uint32_t threads_max;
    uint32_t queue_max;
    uint32_t thread_number; /* of the next one's name */
    bool is_closed;
    bool is_forked; /* a child process's copy: its threads are elsewhere, and so may be the holder of its lock, which is not taken */
    struct fork_watch fork_watch;
    char name[EXECUTOR_NAME_BYTES];
};

/* Drop a hold. The lock is not held. */
void executor_unhold(struct weft_executor *executor);

/* Take `job` out of the queue. The lock is held. False if it is not there any more. */
bool executor_take(struct weft_executor *executor, struct executor_job *job);

/* Tell those who wait for a closed executor if it has become idle. The lock is held. */
void executor_settle(struct weft_executor *executor);

/* Close, take the whole queue and return it as a chain. The lock is held. */
struct executor_job *executor_take_all(struct weft_executor *executor);

/* Cancel what executor_take_all() returned. The lock is not held. */
void executor_cancel_all(struct executor_job *chain);

/* Run `job`, which was taken and is counted as running, and complete its future. The lock is not held. */
void executor_run(struct executor_job *job);

/* See to it that a thread will take the newest job. The lock is held. 0, or -errno if there is no thread at all. */
int executor_need_thread(struct weft_executor *executor);

#endif
