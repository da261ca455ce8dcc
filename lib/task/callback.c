/*
 * Done callbacks, chains, and plain threads that wait: three ways to hang on a future without being a task.
 *
 * A callback is an allocated waiter. While it hangs the future owns it and it holds no reference, or the two would keep each other; once
 * it is queued it holds one.
 */
#include <errno.h>

#include "lib/base/clock.h"
#include "lib/base/context.h"
#include "lib/base/parker.h"
#include "lib/loop/loop.h"
#include "lib/task/future.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

struct done_callback {
    struct waiter waiter;
    struct weft_future *future;
    struct future_callback is;
};

static void callback_free(struct done_callback *callback)
{
    if (callback->is.release != NULL)
        callback->is.release(callback->is.arg);
    weft_context_unref(callback->is.context);
    weft_loop_unref(callback->waiter.loop);
    weft_free(callback);
}

void future_drop_callback(struct waiter *waiter)
{
    callback_free(weft_container_of(waiter, struct done_callback, waiter));
}

static int callback_failed(struct done_callback *callback, int status)
{
    struct weft_exception exception = {
        .size = sizeof(exception), .message = "exception in done callback", .status = status, .future = callback->future};
    weft_loop_call_exception_handler(callback->waiter.loop, &exception);
    return 0;
}

static int callback_call(struct done_callback *callback)
{
    struct weft_context *outer = context_swap_current(callback->is.context);
    int status = callback->is.fn(callback->future, callback->is.arg);
    if (status < 0 && !weft_status_is_fatal(status))
        status = callback_failed(callback, status); /* the exception handler runs in the same context (LOOP-14) */
    callback->is.context = context_swap_current(outer);
    return status < 0 ? status : 0;
}

static int callback_run(struct weft_work *work)
{
    struct done_callback *callback = weft_container_of(work, struct done_callback, waiter.work);
    int status = loop_is_closed(callback->waiter.loop) ? 0 : callback_call(callback);
    weft_future_unref(callback->future);
    callback_free(callback);
    return status;
}

static int callback_new(struct weft_loop *loop, const struct future_callback *is, struct done_callback **callback_out)
{
    struct done_callback *callback = weft_calloc(1, sizeof(*callback));
    if (callback == NULL)
        return -ENOMEM;
    callback->is = *is;
    if (is->context != NULL) {
        weft_context_ref(is->context);
    } else if (context_capture(&callback->is.context) < 0) {
        weft_free(callback);
        return -ENOMEM;
    }
    callback->waiter.work.run = callback_run;
    callback->waiter.loop = weft_loop_ref(loop);
    callback->waiter.is_callback = true;
    *callback_out = callback;
    return 0;
}

int future_add_callback_on(struct weft_future *future, struct weft_loop *loop, const struct future_callback *is)
{
    struct done_callback *callback;
    int status = callback_new(loop, is, &callback);
    if (status < 0)
        return status;
    callback->future = future;
    if (!future_add_waiter(future, &callback->waiter)) {
        weft_future_ref(future);
        work_ready(&loop->worker, &callback->waiter.work);
    }
    return 0;
}

int weft_future_add_done_callback(struct weft_future *future, weft_future_callback_fn *fn, void *arg, struct weft_context *context)
{
    if (future == NULL || fn == NULL)
        return -EINVAL;
    struct weft_loop *running = weft_get_running_loop();
    struct future_callback callback = {fn, arg, context, NULL};
    return future_add_callback_on(future, running != NULL ? running : future->loop, &callback);
}

/* True for a waiter that was added with `fn` and `arg`; a pair of them is what future_remove_matching() compares with. */
struct callback_match {
    weft_future_callback_fn *fn;
    void *arg;
};

static bool is_match(struct waiter *waiter, void *arg)
{
    const struct callback_match *match = arg;
    if (!waiter->is_callback)
        return false;
    struct done_callback *callback = weft_container_of(waiter, struct done_callback, waiter);
    return callback->is.fn == match->fn && callback->is.arg == match->arg;
}

static int drop_matching(struct weft_future *future, bool (*is_wanted)(struct waiter *waiter, void *arg), void *arg)
{
    int count = 0;
    struct waiter *removed = future_remove_matching(future, is_wanted, arg);
    while (removed != NULL) {
        struct waiter *next = removed->older;
        future_drop_callback(removed);
        removed = next;
        count++;
    }
    return count;
}

int weft_future_remove_done_callback(struct weft_future *future, weft_future_callback_fn *fn, void *arg)
{
    struct callback_match match = {fn, arg};
    return future == NULL ? 0 : drop_matching(future, is_match, &match);
}

/* ---- chains ------------------------------------------------------------------------------------------------------------------- */

static int source_done(struct weft_future *source, void *arg)
{
    struct weft_future *destination = arg;
    if (future_get_state(source) == FUTURE_CANCELLED)
        (void)weft_future_cancel(destination, weft_future_cancel_message(source));
    else {
        int status = 0;
        (void)weft_future_exception(source, &status);
        (void)future_complete(destination, FUTURE_FINISHED, status, source->value);
    }
    return 0;
}

static int destination_done(struct weft_future *destination, void *arg)
{
    struct weft_future *source = arg;
    if (future_get_state(destination) == FUTURE_CANCELLED)
        (void)weft_future_cancel(source, weft_future_cancel_message(destination));
    return 0;
}

static void release_future(void *arg)
{
    weft_future_unref(arg);
}

/* Have `fn` called on the loop of `other`, which is kept until then. */
static int chain_add(struct weft_future *future, weft_future_callback_fn *fn, struct weft_future *other)
{
    struct future_callback callback = {fn, weft_future_ref(other), NULL, release_future};
    int status = future_add_callback_on(future, other->loop, &callback);
    if (status < 0)
        weft_future_unref(other);
    return status;
}

int weft_future_chain(struct weft_future *source, struct weft_future *destination)
{
    if (source == NULL || destination == NULL || source == destination || (weft_atomic_load_relaxed(&destination->flags) & FUTURE_IS_TASK))
        return -EINVAL;
    int status = chain_add(destination, destination_done, source);
    if (status < 0)
        return status;
    status = chain_add(source, source_done, destination);
    if (status < 0)
        (void)weft_future_remove_done_callback(destination, destination_done, source);
    return status;
}

/* ---- plain threads ------------------------------------------------------------------------------------------------------------ */

struct thread_waiter {
    struct waiter waiter;
    struct parker parker;
};

static int thread_wake(struct weft_work *work)
{
    struct thread_waiter *waiter = weft_container_of(work, struct thread_waiter, waiter.work);
    parker_unpark(&waiter->parker);
    return 0;
}

/* Park until the future is done or the time is over; false if it is. */
static bool thread_wait(struct weft_future *future, struct thread_waiter *waiter, int64_t timeout_ns)
{
    uint64_t deadline_ns = timeout_ns < 0 ? CLOCK_NEVER_NS : clock_add_ns(clock_monotonic_ns(), (uint64_t)timeout_ns);
    if (parker_park(&waiter->parker, deadline_ns) == 0)
        return true;
    if (future_remove_waiter(future, &waiter->waiter))
        return false;
    (void)parker_park(&waiter->parker, CLOCK_NEVER_NS); /* the wake-up is in flight, and this frame is where it lands */
    return true;
}

int weft_future_wait(struct weft_future *future, int64_t timeout_ns, void **value_out)
{
    if (future == NULL)
        return -EINVAL;
    if (weft_get_running_loop() != NULL)
        return WEFT_ERUNNING;
    if (loop_is_forked(future->loop) && !weft_future_done(future))
        return WEFT_EFORKED; /* who would complete it is not in this process */
    struct thread_waiter waiter = {.waiter.work.run = thread_wake};
    parker_init(&waiter.parker);
    weft_future_ref(future);
    bool is_done = !future_add_waiter(future, &waiter.waiter) || thread_wait(future, &waiter, timeout_ns);
    int status = is_done ? weft_future_result(future, value_out) : -ETIMEDOUT;
    weft_future_unref(future);
    return status;
}
