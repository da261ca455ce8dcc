/*
 * Executor: threads for what blocks, so that no loop has to.
 *
 * Life cycle: weft_executor_create() → weft_executor_submit() from anywhere → weft_executor_shutdown() → weft_executor_unref(). Threads
 * are made as jobs come, up to a maximum, and are used again. A job's future belongs to a loop and completes there, like any other.
 *
 *     int count_words(void *path, void **result_out);
 *
 *     struct weft_future *future;
 *     if (weft_loop_run_in_executor(loop, count_words, path, &future) == 0) {
 *         status = weft_await(future, &words);
 *         weft_future_unref(future);
 *     }
 *
 * Each loop has a default executor: its runtime's, or one of its own that it makes at the first use. Work of different kinds should not
 * queue behind each other (names to resolve behind files to copy): give each kind an executor of its own.
 *
 * Cancelling the future of a job that still waits removes the job, which then never runs. Cancelling that of a running job leaves the job
 * running, since a thread cannot be stopped from outside, and drops its result. Of weft_future_cancel() and the start of the job exactly
 * one comes first: a job whose future says cancelled while `fn` was not called will never have `arg` touched.
 */
#ifndef WEFT_EXECUTOR_H
#define WEFT_EXECUTOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_executor;
struct weft_future;
struct weft_loop;

/*
 * A job. Its value goes to *result_out, NULL at first.
 *
 * thread:  one of the executor's, in which no loop runs; under the simulator the loop's
 * returns: 0, or the status below 0 that the future gets
 */
typedef int weft_executor_fn(void *arg, void **result_out);

/* How an executor is made. Start with WEFT_EXECUTOR_OPTIONS; zeros are defaults. */
struct weft_executor_options {
    size_t size;
    const char *name;     /* copied, cut to 11 bytes: its threads are called <name>-<n>; NULL: "weft-x" */
    uint32_t threads_max; /* 0: four more than there are processors, at most 32 */
    uint32_t queue_max;   /* jobs that may wait for a thread; 0: 65,536 */
};

#define WEFT_EXECUTOR_OPTIONS                                                                                                              \
    {                                                                                                                                      \
        sizeof(struct weft_executor_options), NULL, 0, 0                                                                                   \
    }

/* A snapshot of an executor. */
struct weft_executor_counters {
    uint32_t threads;   /* started and not ended */
    uint32_t idle;      /* of these, without a job */
    uint32_t queued;    /* jobs that wait */
    uint32_t running;   /* jobs that run */
    uint64_t completed; /* jobs that ran to their end */
    uint64_t cancelled; /* jobs that were removed before they ran */
    uint64_t reserved[4];
};

/*
 * Create an executor. No thread is started yet; `options` may be NULL.
 *
 * thread:  any
 * memory:  the caller holds one reference; options are copied
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_executor_create(const struct weft_executor_options *options, struct weft_executor **executor_out);

/*
 * Queue `fn(arg)`. Its future belongs to `loop`, and may be waited for by a plain thread too (weft_future_wait()). Jobs start in the order
 * in which they came.
 *
 * thread:  any
 * memory:  *future_out, unless NULL, gets a reference; arg stays borrowed until fn has returned or the cancel of the waiting job has
 * returns: 0; -ENOMEM; -EINVAL; WEFT_EFULL if queue_max jobs wait; WEFT_ECLOSED after shutdown or once the loop is closed; -EAGAIN if the
 *          system has no thread to give and the executor has none
 */
int weft_executor_submit(struct weft_executor *executor, struct weft_loop *loop, weft_executor_fn *fn, void *arg,
                         struct weft_future **future_out);

/*
 * Refuse new jobs, and block until those that wait and run have ended and their threads are joined; at most `timeout_ns` (below 0: for
 * ever). Then the waiting ones are cancelled, and the running ones are left alone. It may be called again to wait longer. A loop that the
 * jobs talk to should run meanwhile in another thread.
 *
 * thread:  any but a job of it
 * returns: 0; -ETIMEDOUT if jobs still run; -EINVAL
 */
int weft_executor_shutdown(struct weft_executor *executor, int64_t timeout_ns);

/*
 * Copy the counters, all taken at one moment.
 *
 * thread:  any
 * returns: 0; -EINVAL
 */
int weft_executor_get_counters(struct weft_executor *executor, struct weft_executor_counters *counters_out);

/*
 * Add a reference.
 *
 * thread:  any
 * returns: executor
 */
struct weft_executor *weft_executor_ref(struct weft_executor *executor);

/*
 * Drop a reference. The last one shuts the executor down without waiting: what waits is cancelled, and a thread whose job still runs ends
 * after it. NULL is ignored.
 *
 * thread:  any
 */
void weft_executor_unref(struct weft_executor *executor);

/*
 * Queue `fn(arg)` on the default executor of `loop`.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  as weft_executor_submit()
 * returns: as weft_executor_submit(); WEFT_EWRONGTHREAD
 */
int weft_loop_run_in_executor(struct weft_loop *loop, weft_executor_fn *fn, void *arg, struct weft_future **future_out);

/*
 * Make `executor` the default one of `loop`; NULL goes back to one of its own, made at the next use.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  the loop holds a reference until it closes
 * returns: 0; -ENOMEM; -EINVAL; WEFT_ECLOSED; WEFT_EWRONGTHREAD
 */
int weft_loop_set_default_executor(struct weft_loop *loop, struct weft_executor *executor);

/*
 * Shut the default executor down, if there is one, as weft_executor_shutdown(); from then on weft_loop_run_in_executor() is refused with
 * WEFT_ECLOSED. The loop's close does it without waiting.
 *
 * thread:  any in which the loop does not run, while nobody sets the default executor
 * returns: as weft_executor_shutdown()
 */
int weft_loop_shutdown_default_executor(struct weft_loop *loop, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif

#endif
