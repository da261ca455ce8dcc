/*
 * Reports: errors that nobody returns, on their way to the exception handler.
 *
 * Callbacks, tasks and transports come here. A handler that fails falls back to the default one, and the default one hands over to the
 * process's sink, so that the library itself prints nothing and no report disappears uncounted.
 */
#include "lib/loop/loop.h"

#include <errno.h>

#include "weft/atomic.h"
#include "weft/status.h"

static weft_exception_handler_fn *report_sink;
static void *report_sink_arg;

void weft_set_report_sink(weft_exception_handler_fn *sink, void *arg)
{
    report_sink = sink;
    report_sink_arg = arg;
}

/*
 * Write handler and arg, which readers in other threads take as a pair or not at all. The version is odd meanwhile: a reader that saw one
 * of the new words sees at least the odd version after it, and reads again.
 */
static void set_handler(struct weft_loop *loop, weft_exception_handler_fn *handler, void *arg)
{
    uint32_t version = loop->exception_version;
    weft_atomic_store_relaxed(&loop->exception_version, version + 1);
    /* Release, both: the odd version, and what `arg` leads to. Pairs with the acquires in read_handler(). */
    weft_atomic_store_release(&loop->exception_handler, handler);
    weft_atomic_store_release(&loop->exception_arg, arg);
    /* Release: the pair. Pairs with the first acquire in read_handler(). */
    weft_atomic_store_release(&loop->exception_version, version + 2);
}

static weft_exception_handler_fn *read_handler(const struct weft_loop *loop, void **arg_out)
{
    for (;;) {
        /* Pairs with the last release in set_handler(). */
        uint32_t version = weft_atomic_load_acquire(&loop->exception_version);
        /* Both Pairs with the releases of these words in set_handler(): a new one brings its odd version. */
        weft_exception_handler_fn *handler = weft_atomic_load_acquire(&loop->exception_handler);
        void *arg = weft_atomic_load_acquire(&loop->exception_arg);
        if (version % 2 == 0 && weft_atomic_load_relaxed(&loop->exception_version) == version) {
            *arg_out = arg;
            return handler;
        }
        weft_atomic_pause();
    }
}

int weft_loop_set_exception_handler(struct weft_loop *loop, weft_exception_handler_fn *handler, void *arg)
{
    int status = loop_check(loop);
    if (status == WEFT_ECLOSED)
        status = 0; /* what is let go after the close is reported too */
    if (status < 0)
        return status;
    set_handler(loop, handler, arg);
    return 0;
}

weft_exception_handler_fn *weft_loop_get_exception_handler(const struct weft_loop *loop)
{
    if (loop == NULL)
        return NULL;
    return loop->exception_handler;
}

void weft_loop_default_exception_handler(struct weft_loop *loop, const struct weft_exception *exception)
{
    if (report_sink != NULL && exception != NULL)
        (void)report_sink(loop, exception, report_sink_arg);
}

void weft_loop_call_exception_handler(struct weft_loop *loop, const struct weft_exception *exception)
{
    if (loop == NULL || exception == NULL)
        return;
    (void)weft_atomic_add_relaxed(&loop->counters.exceptions, 1);
    void *arg;
    weft_exception_handler_fn *handler = read_handler(loop, &arg);
    if (handler == NULL) {
        weft_loop_default_exception_handler(loop, exception);
        return;
    }
    int status = handler(loop, exception, arg);
    if (status >= 0)
        return;
    struct weft_exception second = *exception;
    second.message = "unhandled error in exception handler";
    second.status = status;
    weft_loop_default_exception_handler(loop, &second);
}

void loop_report(struct weft_loop *loop, const char *message, int status, void *object)
{
    struct weft_exception exception = {.size = sizeof(exception), .message = message, .status = status, .object = object};
    weft_loop_call_exception_handler(loop, &exception);
}
