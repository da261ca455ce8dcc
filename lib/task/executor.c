/*
 * Executor: the queue of jobs, and what becomes of each of them.
 *
 * The invariant: a job leaves the queue exactly once, under the lock, either to be run or to be cancelled. Its future is completed
 * afterwards without the lock, by whoever took it out, and comes home to its loop like any other.
 */
#include "weft/executor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cpu.h"
#include "lib/loop/loop.h"
#include "lib/task/executor_state.h"
#include "lib/task/future.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

enum { QUEUE_MAX_DEFAULT = 65536, THREADS_EXTRA = 4, THREADS_DEFAULT_MAX = 32, THREADS_MAX = 4096 };

/* ---- life --------------------------------------------------------------------------------------------------------------------- */

static uint32_t default_threads(const struct executor_driver *driver)
{
    if (driver->start == NULL)
        return 1; /* none is ever started, and a simulation must not depend on the machine */
    int count = cpu_count_available(NULL) + THREADS_EXTRA;
    return count < THREADS_DEFAULT_MAX ? (uint32_t)count : THREADS_DEFAULT_MAX;
}

/* Deadlines are the monotonic clock's, so that setting the time of day moves none. */
static int init_locks(struct weft_executor *executor)
{
    pthread_condattr_t monotonic;
    int error = pthread_condattr_init(&monotonic);
    if (error != 0)
        return -error;
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&executor->mutex, NULL);
    (void)pthread_cond_init(&executor->work_came, NULL);
    (void)pthread_cond_init(&executor->went_idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return 0;
}

static void fini_locks(struct weft_executor *executor)
{
    pthread_cond_destroy(&executor->went_idle);
    pthread_cond_destroy(&executor->work_came);
    pthread_mutex_destroy(&executor->mutex);
}

static void executor_forked(struct fork_watch *watch)
{
    weft_container_of(watch, struct weft_executor, fork_watch)->is_forked = true;
}

static int executor_init(struct weft_executor *executor)
{
    int status = init_locks(executor);
    if (status < 0)
        return status;
    executor->fork_watch.forked = executor_forked;
    status = fork_watch_add(&executor->fork_watch);
    if (status < 0)
        fini_locks(executor);
    return status;
}

int executor_create(const struct weft_executor_options *options, const struct executor_driver *driver, struct weft_executor **executor_out)
{
    static const struct weft_executor_options defaults = WEFT_EXECUTOR_OPTIONS;
    options = options == NULL ? &defaults : options;
    if (executor_out == NULL || options->size < sizeof(*options) || options->threads_max > THREADS_MAX)
        return -EINVAL;
    struct weft_executor *executor = weft_calloc(1, sizeof(*executor));
    if (executor == NULL)
        return -ENOMEM;
    int status = executor_init(executor);
    if (status < 0) {
        weft_free(executor);
        return status;
    }
    executor->refs = 1;
    executor->holds = 1;
    executor->driver = driver;
    executor->threads_max = options->threads_max == 0 ? default_threads(driver) : options->threads_max;
    executor->queue_max = options->queue_max == 0 ? QUEUE_MAX_DEFAULT : options->queue_max;
    (void)snprintf(executor->name, sizeof(executor->name), "%s", options->name == NULL ? "weft-x" : options->name);
    *executor_out = executor;
    return 0;
}

int weft_executor_create(const struct weft_executor_options *options, struct weft_executor **executor_out)
{
    return executor_create(options, &executor_driver_threads, executor_out);
}

void executor_unhold(struct weft_executor *executor)
{
    /* Acq_rel. Pairs with itself: the one that frees has seen the others leave. */
    if (weft_atomic_sub_acq_rel(&executor->holds, 1) != 1 || executor->is_forked)
        return;
    fork_watch_remove(&executor->fork_watch);
    fini_locks(executor);
    weft_free(executor);
}

struct weft_executor *weft_executor_ref(struct weft_executor *executor)
{
    if (executor == NULL)
        return NULL;
    (void)weft_atomic_add_relaxed(&executor->refs, 1);
    return executor;
}

/* ---- the queue, under the lock ------------------------------------------------------------------------------------------------ */

static void put(struct weft_executor *executor, struct executor_job *job)
{
    job->is_waiting = true;
    job->prev = executor->last;
    job->next = NULL;
    *(executor->last == NULL ? &executor->first : &executor->last->next) = job;
    executor->last = job;
    executor->counters.queued++;
}

bool executor_take(struct weft_executor *executor, struct executor_job *job)
{
    if (!job->is_waiting)
        return false;
    job->is_waiting = false;
    *(job->prev == NULL ? &executor->first : &job->prev->next) = job->next;
    *(job->next == NULL ? &executor->last : &job->next->prev) = job->prev;
    executor->counters.queued--;
    return true;
}

struct executor_job *executor_take_all(struct weft_executor *executor)
{
    struct executor_job *chain = executor->first;
    for (struct executor_job *job = chain; job != NULL; job = job->next)
        job->is_waiting = false;
    executor->first = executor->last = NULL;
    executor->counters.cancelled += executor->counters.queued;
    executor->counters.queued = 0;
    executor->is_closed = true;
    pthread_cond_broadcast(&executor->work_came);
    executor_settle(executor);
    return chain;
}

void executor_settle(struct weft_executor *executor)
{
    if (!executor->is_closed || executor->counters.queued != 0 || executor->counters.running != 0)
        return;
    pthread_cond_broadcast(&executor->went_idle);
    if (executor->idle_fn != NULL)
        executor->idle_fn(executor->idle_arg);
}

/* ---- a job -------------------------------------------------------------------------------------------------------------------- */

static bool cancel_future(struct executor_job *job, const char *message)
{
    return future_complete(&job->future, FUTURE_CANCELLED, -ECANCELED, (void *)(uintptr_t)message);
}

/* Let go the reference of who would have run it. A posted work cannot be taken back: it finds nothing to do and lets go itself. */
static void drop_runner(struct executor_job *job)
{
    if (job->executor->driver->start != NULL)
        weft_future_unref(&job->future);
}

void executor_cancel_all(struct executor_job *chain)
{
    while (chain != NULL) {
        struct executor_job *next = chain->next;
        (void)cancel_future(chain, "the executor was shut down");
        drop_runner(chain);
        chain = next;
    }
}

static bool job_cancel(struct weft_future *future, const char *message)
{
    struct executor_job *job = weft_container_of(future, struct executor_job, future);
    struct weft_executor *executor = job->executor;
    if (executor->is_forked)
        return cancel_future(job, message);
    pthread_mutex_lock(&executor->mutex);
    bool was_waiting = executor_take(executor, job);
    executor->counters.cancelled += was_waiting;
    if (was_waiting)
        executor_settle(executor);
    pthread_mutex_unlock(&executor->mutex);
    bool is_cancelled = cancel_future(job, message);
    if (was_waiting)
        drop_runner(job);
    return is_cancelled;
}

static void job_destroy(struct weft_future *future)
{
    struct executor_job *job = weft_container_of(future, struct executor_job, future);
    executor_unhold(job->executor);
    weft_free(job);
}

static const struct weft_future_ops job_ops = {.size = sizeof(job_ops), .cancel = job_cancel, .destroy = job_destroy};

/* Counted before its future tells, and running until it has told: who waits for the one or the other sees both. */
void executor_run(struct executor_job *job)
{
    struct weft_executor *executor = job->executor;
    void *value = NULL;
    int status = job->fn(job->arg, &value);
    if (executor->is_forked)
        return; /* it has forked, and this is the child: the parent's copy of it goes on there */
    pthread_mutex_lock(&executor->mutex);
    executor->counters.completed++;
    pthread_mutex_unlock(&executor->mutex);
    /* Whoever cancelled meanwhile has won, and the result is dropped. */
    (void)(status < 0 ? weft_future_set_exception(&job->future, status) : weft_future_set_result(&job->future, value));
    pthread_mutex_lock(&executor->mutex);
    executor->counters.running--;
    executor_settle(executor);
    pthread_mutex_unlock(&executor->mutex);
    weft_future_unref(&job->future);
}

/* The inline driver's thread: a work on the loop that asked. On a closed loop it only lets go. */
static int run_posted(struct weft_work *work)
{
    struct executor_job *job = weft_container_of(work, struct executor_job, work);
    struct weft_executor *executor = job->executor;
    bool is_refused = worker_is_closed(&job->future.loop->worker);
    pthread_mutex_lock(&executor->mutex);
    bool was_waiting = executor_take(executor, job);
    executor->counters.running += was_waiting && !is_refused;
    executor->counters.cancelled += was_waiting && is_refused;
    if (was_waiting && is_refused)
        executor_settle(executor);
    pthread_mutex_unlock(&executor->mutex);
    if (was_waiting && !is_refused) {
        executor_run(job);
        return 0;
    }
    if (was_waiting)
        (void)cancel_future(job, "the loop was closed");
    weft_future_unref(&job->future);
    return 0;
}

static int job_new(struct weft_executor *executor, struct weft_loop *loop, weft_executor_fn *fn, void *arg, struct executor_job **job_out)
{
    struct executor_job *job = weft_calloc(1, sizeof(*job));
    if (job == NULL)
        return -ENOMEM;
    int status = weft_future_init(&job->future, loop, &job_ops);
    if (status < 0) {
        weft_free(job);
        return status;
    }
    (void)weft_atomic_add_relaxed(&executor->holds, 1);
    job->executor = executor;
    job->fn = fn;
    job->arg = arg;
    job->work.run = run_posted;
    *job_out = job;
    return 0;
}

static int admit(struct weft_executor *executor, struct executor_job *job)
{
    if (executor->is_closed)
        return WEFT_ECLOSED;
    if (executor->counters.queued >= executor->queue_max)
        return WEFT_EFULL;
    put(executor, job);
    int status = executor_need_thread(executor);
    if (status < 0)
        (void)executor_take(executor, job);
    return status;
}

int weft_executor_submit(struct weft_executor *executor, struct weft_loop *loop, weft_executor_fn *fn, void *arg,
                         struct weft_future **future_out)
{
    if (executor == NULL || loop == NULL || fn == NULL)
        return -EINVAL;
    int status = executor->is_forked ? WEFT_EFORKED : loop_check_open(loop);
    if (status < 0)
        return status;
    struct executor_job *job;
    status = job_new(executor, loop, fn, arg, &job);
    if (status < 0)
        return status;
    weft_future_ref(&job->future); /* the job may be over before the next line */
    pthread_mutex_lock(&executor->mutex);
    status = admit(executor, job);
    pthread_mutex_unlock(&executor->mutex);
    if (status < 0)
        weft_future_unref(&job->future);
    else if (executor->driver->start == NULL)
        work_ready(&loop->worker, &job->work);
    if (status >= 0 && future_out != NULL)
        *future_out = &job->future;
    else
        weft_future_unref(&job->future);
    return status;
}

int weft_executor_get_counters(struct weft_executor *executor, struct weft_executor_counters *counters_out)
{
    if (executor == NULL || counters_out == NULL)
        return -EINVAL;
    if (executor->is_forked)
        return WEFT_EFORKED;
    pthread_mutex_lock(&executor->mutex);
    *counters_out = executor->counters;
    pthread_mutex_unlock(&executor->mutex);
    return 0;
}
