/*
 * Future: a result that comes later, completed once, from any thread, for waiters on any loop.
 *
 * Life cycle: weft_loop_create_future() → somebody completes it (set_result, set_exception or cancel: of all that race, exactly one
 * wins) → its waiters and callbacks are queued on their own loops, in the order in which they came → weft_future_unref(). A future may
 * also live inside another object: weft_future_init() and weft_future_fini().
 *
 *     struct weft_future *future;
 *     if (weft_loop_create_future(loop, &future) == 0) {
 *         weft_future_add_done_callback(future, print_it, NULL, NULL);
 *         weft_future_set_result(future, "done");
 *         weft_future_unref(future);
 *     }
 *
 * asyncio.Future is the model; the results of an operation are a status and one pointer.
 */
#ifndef WEFT_FUTURE_H
#define WEFT_FUTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/work.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_context;
struct weft_future;
struct weft_loop;

/*
 * What a kind of future does in its own way. A NULL slot means the plain behaviour.
 */
struct weft_future_ops {
    size_t size; /* sizeof(struct weft_future_ops) as its author knew it */
    /*
     * Ask for cancellation, as weft_future_cancel().
     *
     * thread:  any
     */
    bool (*cancel)(struct weft_future *future, const char *message);
    /*
     * Free the object around `future`; the last reference is gone and weft_future_fini() has been called.
     *
     * thread:  any
     */
    void (*destroy)(struct weft_future *future);
};

/* Less than a cache line; all fields are the library's. */
struct weft_future {
    uintptr_t state; /* see lib/task/future.c: state, lock bit, newest waiter */
    const struct weft_future_ops *ops;
    struct weft_loop *loop;
    void *value; /* the result; for a cancelled future its message */
    int status;
    uint32_t refs;
    uint32_t promises;
    uint32_t flags;
    struct weft_context *context; /* of the task, where it is one */
};

/*
 * Called when a future is done, from the queue of the loop on which it was added; never inside the completing call.
 *
 * thread:  the loop that weft_future_add_done_callback() was called on
 */
typedef int weft_future_callback_fn(struct weft_future *future, void *arg);

/*
 * Create a pending future that belongs to `loop`.
 *
 * thread:  any
 * memory:  the caller holds one reference; the future holds one on loop's memory
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_loop_create_future(struct weft_loop *loop, struct weft_future **future_out);

/*
 * Make the zeroed `future`, a part of another object, a pending one with one reference. `ops` (may be NULL) is static and should have
 * destroy.
 *
 * thread:  any
 * memory:  as weft_loop_create_future()
 * returns: 0; -EINVAL; WEFT_EINVALIDSTATE if it was initialised before
 */
int weft_future_init(struct weft_future *future, struct weft_loop *loop, const struct weft_future_ops *ops);

/*
 * Let go what weft_future_init() took. For futures whose memory is the caller's and that nobody else refers to any more; others are
 * finished by their last weft_future_unref().
 *
 * thread:  any
 */
void weft_future_fini(struct weft_future *future);

/*
 * Add a reference.
 *
 * thread:  any
 * returns: future
 */
struct weft_future *weft_future_ref(struct weft_future *future);

/*
 * Drop a reference. The last one destroys the future; if it holds an exception that nobody asked for, that is reported. NULL is ignored.
 *
 * thread:  any
 */
void weft_future_unref(struct weft_future *future);

/*
 * Count one more completer: whoever takes a promise completes the future or drops the promise.
 *
 * thread:  any
 * memory:  a promise is a reference too
 * returns: future
 */
struct weft_future *weft_future_promise(struct weft_future *future);

/*
 * Drop a promise. If it was the last and the future is pending, it completes with WEFT_EBROKENPROMISE, and that is reported. NULL is
 * ignored.
 *
 * thread:  any
 */
void weft_future_unpromise(struct weft_future *future);

/*
 * Complete with `value`.
 *
 * thread:  any
 * memory:  value stays the caller's; the future only carries it
 * returns: 0; -EINVAL; WEFT_EINVALIDSTATE if it is done already; WEFT_EFORBIDDEN for a task
 */
int weft_future_set_result(struct weft_future *future, void *value);

/*
 * Complete with the failure `status`. -ECANCELED makes it finished with that status, not cancelled.
 *
 * thread:  any
 * returns: 0; -EINVAL also if status is not below 0; WEFT_EINVALIDSTATE; WEFT_EFORBIDDEN for a task
 */
int weft_future_set_exception(struct weft_future *future, int status);

/*
 * Cancel: a plain future is cancelled at once; a task is asked to stop, see weft_task_cancel(). `message` (may be NULL) tells why.
 *
 * thread:  any
 * memory:  message stays borrowed as long as the future lives, and each task that it takes along: use a literal
 * returns: false if it was done already, which also counts as asking for its result
 */
bool weft_future_cancel(struct weft_future *future, const char *message);

/*
 * True once it is finished or cancelled.
 *
 * thread:  any
 */
bool weft_future_done(const struct weft_future *future);

/*
 * True once it is cancelled.
 *
 * thread:  any
 */
bool weft_future_cancelled(const struct weft_future *future);

/*
 * Read the result; `value_out` may be NULL.
 *
 * thread:  any
 * returns: 0 and *value_out; the exception's status; -ECANCELED if cancelled; -EINVAL; WEFT_EINVALIDSTATE while pending
 */
int weft_future_result(struct weft_future *future, void **value_out);

/*
 * Read the exception: 0 in *status_out, which may be NULL, means there is none.
 *
 * thread:  any
 * returns: 0; -ECANCELED if cancelled; -EINVAL; WEFT_EINVALIDSTATE while pending
 */
int weft_future_exception(struct weft_future *future, int *status_out);

/*
 * The message of the cancellation.
 *
 * thread:  any
 * returns: NULL if there is none, or the future is not cancelled
 */
const char *weft_future_cancel_message(const struct weft_future *future);

/*
 * The loop that the future belongs to.
 *
 * thread:  any
 * memory:  lives as long as the future
 */
struct weft_loop *weft_future_get_loop(const struct weft_future *future);

/*
 * Call `fn(future, arg)` once the future is done, from the queue of the loop that runs in this thread, or of the future's loop if none
 * runs here. It runs in `context`, or in a copy of the present one if that is NULL. On a future that is done it is queued at once.
 *
 * thread:  any
 * memory:  arg stays borrowed until fn was called or removed
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_future_add_done_callback(struct weft_future *future, weft_future_callback_fn *fn, void *arg, struct weft_context *context);

/*
 * Remove every callback that was added with this `fn` and `arg` and is not queued yet.
 *
 * thread:  any
 * returns: how many
 */
int weft_future_remove_done_callback(struct weft_future *future, weft_future_callback_fn *fn, void *arg);

/*
 * Make `destination` end as `source` ends, and a cancelled `destination` cancel `source`; they may belong to different loops.
 *
 * thread:  any
 * memory:  both are referenced until either is done
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_future_chain(struct weft_future *source, struct weft_future *destination);

/*
 * Block this thread, which runs no loop, until the future is done or `timeout_ns` passed (below 0: for ever). *value_out, unless NULL,
 * gets the result.
 *
 * thread:  any in which no loop runs
 * returns: as weft_future_result(); -ETIMEDOUT; WEFT_ERUNNING if a loop runs in this thread
 */
int weft_future_wait(struct weft_future *future, int64_t timeout_ns, void **value_out);

#ifdef __cplusplus
}
#endif

#endif
