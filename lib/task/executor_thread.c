/*
 * Executor's threads: how they come, take jobs, and go.
 *
 * A thread is made when a job finds no idle one and the maximum is not reached. It stays until the executor is closed and its queue is
 * empty. Whoever shuts down joins it; whoever drops the last reference while a job runs detaches it, and then it frees what is its own.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/task/executor_state.h"
#include "lib/task/overflow.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

static int start_thread(struct thread *thread, const char *name, thread_fn *fn, void *arg)
{
    struct thread_options options = {.name = name};
    return thread_start(thread, &options, fn, arg);
}

static void detach_thread(struct thread *thread)
{
    (void)pthread_detach(thread->handle);
}

const struct executor_driver executor_driver_threads = {.start = start_thread, .join = thread_join, .detach = detach_thread};
const struct executor_driver executor_driver_inline = {.start = NULL};

/* ---- a thread's life ---------------------------------------------------------------------------------------------------------- */

/* The next job, asleep until there is one; NULL when there will be none. The lock is held. */
static struct executor_job *next_job(struct weft_executor *executor)
{
    while (executor->first == NULL && !executor->is_closed) {
        executor->counters.idle++;
        pthread_cond_wait(&executor->work_came, &executor->mutex);
        executor->counters.idle--;
    }
    struct executor_job *job = executor->first;
    if (job == NULL)
        return NULL;
    (void)executor_take(executor, job);
    executor->counters.running++;
    return job;
}

static void thread_body(void *arg)
{
    struct executor_thread *thread = arg;
    struct weft_executor *executor = thread->executor;
    struct executor_job *job;
    overflow_cover_thread();
    pthread_mutex_lock(&executor->mutex);
    while ((job = next_job(executor)) != NULL) {
        pthread_mutex_unlock(&executor->mutex);
        executor_run(job);
        if (executor->is_forked)
            return;
        pthread_mutex_lock(&executor->mutex);
    }
    executor->counters.threads--;
    thread->has_ended = true;
    bool is_detached = thread->is_detached;
    pthread_mutex_unlock(&executor->mutex);
    if (is_detached)
        weft_free(thread);
    executor_unhold(executor);
}

static int add_thread(struct weft_executor *executor)
{
    struct executor_thread *thread = weft_calloc(1, sizeof(*thread));
    if (thread == NULL)
        return -ENOMEM;
    char name[EXECUTOR_NAME_BYTES + 12];
    (void)snprintf(name, sizeof(name), "%s-%u", executor->name, executor->thread_number);
    thread->executor = executor;
    int status = executor->driver->start(&thread->thread, name, thread_body, thread);
    if (status < 0) {
        weft_free(thread);
        return status;
    }
    (void)weft_atomic_add_relaxed(&executor->holds, 1); /* before the thread can leave: it needs the lock for that */
    thread->next = executor->threads;
    executor->threads = thread;
    executor->thread_number++;
    executor->counters.threads++;
    return 0;
}

/*
 * The thread is started with the lock held: it is rare, and if it fails nobody else may have counted on it meanwhile. Idle threads that
 * were signalled and have not woken up yet are counted against the jobs that they will take.
 */
int executor_need_thread(struct weft_executor *executor)
{
    if (executor->driver->start == NULL)
        return 0;
    pthread_cond_signal(&executor->work_came);
    if (executor->counters.idle >= executor->counters.queued || executor->counters.threads == executor->threads_max)
        return 0;
    int status = add_thread(executor);
    return executor->counters.threads > 0 ? 0 : status;
}

/* ---- shutting down ------------------------------------------------------------------------------------------------------------ */

static void join_all(const struct executor_driver *driver, struct executor_thread *threads)
{
    while (threads != NULL) {
        struct executor_thread *next = threads->next;
        driver->join(&threads->thread);
        weft_free(threads);
        threads = next;
    }
}

/* Take the threads that can be joined without waiting for a job; the others stay. The lock is held. */
static struct executor_thread *take_joinable(struct weft_executor *executor)
{
    struct executor_thread *joinable = NULL;
    struct executor_thread **link = &executor->threads;
    while (*link != NULL) {
        struct executor_thread *thread = *link;
        if (!thread->has_ended && executor->counters.running > 0) {
            link = &thread->next;
            continue;
        }
        *link = thread->next;
        thread->next = joinable;
        joinable = thread;
    }
    return joinable;
}

static bool is_idle(const struct weft_executor *executor)
{
    return executor->counters.queued == 0 && executor->counters.running == 0;
}

/* Wait until the closed executor is idle, or the deadline. The lock is held. */
static void wait_idle(struct weft_executor *executor, int64_t timeout_ns)
{
    uint64_t deadline_ns = timeout_ns < 0 ? CLOCK_NEVER_NS : clock_add_ns(clock_monotonic_ns(), (uint64_t)timeout_ns);
    struct timespec deadline = {(time_t)(deadline_ns / 1000000000), (long)(deadline_ns % 1000000000)};
    int error = 0;
    while (!is_idle(executor) && error != ETIMEDOUT) {
        error = deadline_ns == CLOCK_NEVER_NS ? pthread_cond_wait(&executor->went_idle, &executor->mutex)
                                              : pthread_cond_timedwait(&executor->went_idle, &executor->mutex, &deadline);
    }
}

int weft_executor_shutdown(struct weft_executor *executor, int64_t timeout_ns)
{
    if (executor == NULL)
        return -EINVAL;
    if (executor->is_forked)
        return WEFT_EFORKED;
    pthread_mutex_lock(&executor->mutex);
    executor->is_closed = true;
    pthread_cond_broadcast(&executor->work_came);
    wait_idle(executor, timeout_ns);
    struct executor_job *cut = executor_take_all(executor);
    bool is_over = is_idle(executor);
    struct executor_thread *joinable = take_joinable(executor);
    pthread_mutex_unlock(&executor->mutex);
    executor_cancel_all(cut);
    join_all(executor->driver, joinable);
    return is_over ? 0 : -ETIMEDOUT;
}

void weft_executor_unref(struct weft_executor *executor)
{
    /* Acq_rel. Pairs with itself: the last one has seen what the others did. */
    if (executor == NULL || weft_atomic_sub_acq_rel(&executor->refs, 1) != 1 || executor->is_forked)
        return;
    pthread_mutex_lock(&executor->mutex);
    executor->idle_fn = NULL;
    struct executor_job *cut = executor_take_all(executor);
    struct executor_thread *joinable = take_joinable(executor);
    for (struct executor_thread *thread = executor->threads; thread != NULL; thread = thread->next) {
        thread->is_detached = true;
        executor->driver->detach(&thread->thread);
    }
    executor->threads = NULL;
    pthread_mutex_unlock(&executor->mutex);
    executor_cancel_all(cut);
    join_all(executor->driver, joinable);
    executor_unhold(executor);
}

void executor_close(struct weft_executor *executor, executor_idle_fn *idle, void *arg)
{
    pthread_mutex_lock(&executor->mutex);
    executor->is_closed = true;
    executor->idle_fn = idle;
    executor->idle_arg = arg;
    pthread_cond_broadcast(&executor->work_came);
    executor_settle(executor);
    pthread_mutex_unlock(&executor->mutex);
}

bool executor_is_idle(struct weft_executor *executor)
{
    pthread_mutex_lock(&executor->mutex);
    bool is_over = is_idle(executor);
    pthread_mutex_unlock(&executor->mutex);
    return is_over;
}

void executor_cancel_waiting(struct weft_executor *executor)
{
    pthread_mutex_lock(&executor->mutex);
    struct executor_job *cut = executor_take_all(executor);
    pthread_mutex_unlock(&executor->mutex);
    executor_cancel_all(cut);
}
