/*
 * Loop: one event loop, asyncio's way, made to be one of many.
 *
 * Life cycle: weft_loop_new() → run (any number of times) → weft_loop_close() → weft_loop_unref(). A loop runs in one thread at a time;
 * while it runs, that thread is the only one that may call what is marked "the loop's thread", and a call from elsewhere is refused
 * with WEFT_EWRONGTHREAD, always, not only in debug mode. While it does not run, whoever holds it may prepare it.
 *
 *     static int hello(void *arg)
 *     {
 *         struct weft_loop *loop = arg;
 *         return weft_loop_stop(loop);
 *     }
 *
 *     struct weft_loop *loop;
 *     if (weft_loop_new(NULL, 0, &loop) == 0) {
 *         weft_loop_call_soon(loop, hello, loop, NULL, NULL);
 *         weft_loop_run_forever(loop);
 *         weft_loop_close(loop);
 *         weft_loop_unref(loop);
 *     }
 *
 * The order of one iteration is asyncio's (Lib/asyncio/base_events.py, BaseEventLoop._run_once): callbacks that were queued before,
 * then I/O, then the timers that are due; what these queue runs in the next iteration.
 *
 * Times are nanoseconds of the loop's own clock, which never goes back.
 */
#ifndef WEFT_LOOP_H
#define WEFT_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_context;
struct weft_future;
struct weft_handle;
struct weft_loop;
struct weft_poller_options;
struct weft_poller_ops;
struct weft_task;
struct weft_transport_ops;
struct weft_work;

/* ---- kinds: how a loop is subclassed ------------------------------------------------------------------------------------------ */

/*
 * A kind of loop: small tables over a base kind. A NULL slot, or one that lies beyond `size`, inherits the base's; so does each slot of
 * the tables. A kind is static: it outlives its loops.
 */
struct weft_loop_kind {
    size_t size; /* sizeof(struct weft_loop_kind) as its author knew it */
    const char *name;
    const struct weft_loop_kind *base;          /* NULL: weft_loop_kind_epoll() */
    const struct weft_poller_ops *poller;       /* weft/poller.h */
    const struct weft_transport_ops *transport; /* weft/transport.h */
    /*
     * Fill the subclass's bytes, zeroed before, with `options->kind` of weft_loop_new_options(). Called once, on a loop that can already
     * schedule. A status below 0 makes the creation fail.
     *
     * thread:  the creating one
     */
    int (*init)(struct weft_loop *loop, void *user, const void *options);
    /*
     * Undo init. Called once, from weft_loop_close(), before the poller goes; not called if init failed.
     *
     * thread:  the closing one
     */
    void (*fini)(struct weft_loop *loop, void *user);
};

/*
 * The kind that ships for Linux: epoll.
 *
 * thread:  any
 * memory:  static
 */
const struct weft_loop_kind *weft_loop_kind_epoll(void);

/*
 * The kind for tests: virtual time, scripted files. The world in its poller's options may be shared by loops that take turns in one thread.
 *
 * thread:  any
 * memory:  static
 */
const struct weft_loop_kind *weft_loop_kind_sim(void);

/*
 * Create a loop of `kind` (NULL: the default kind) with `user_bytes` of zeroed memory behind it for the subclass.
 *
 * thread:  any
 * memory:  the caller holds one reference; kind stays borrowed
 * returns: 0; -ENOMEM; -EMFILE, -ENFILE where the poller cannot open its descriptors; -EINVAL for an absurd user_bytes; WEFT_EPROTOCOL
 *          for a kind without a size or whose chain of bases does not end; what the kind's init returned
 */
int weft_loop_new(const struct weft_loop_kind *kind, size_t user_bytes, struct weft_loop **loop_out);

/* How a loop is made. Start with WEFT_LOOP_OPTIONS. */
struct weft_loop_options {
    size_t size;
    size_t user_bytes;                        /* zeroed memory behind the loop, for the subclass */
    const struct weft_poller_options *poller; /* NULL: the poller's defaults */
    const void *kind;                         /* handed to the init of each kind in the chain */
};

#define WEFT_LOOP_OPTIONS                                                                                                                  \
    {                                                                                                                                      \
        sizeof(struct weft_loop_options), 0, NULL, NULL                                                                                    \
    }

/*
 * The same with `options`; NULL is the defaults.
 *
 * thread:  any
 * memory:  as weft_loop_new(); options are read during the call only, unless the kind says otherwise
 * returns: as weft_loop_new()
 */
int weft_loop_new_options(const struct weft_loop_kind *kind, const struct weft_loop_options *options, struct weft_loop **loop_out);

/*
 * Add a reference to the loop's memory. Futures, tasks and handles hold one, so the memory outlives them.
 *
 * thread:  any
 * returns: loop
 */
struct weft_loop *weft_loop_ref(struct weft_loop *loop);

/*
 * Drop a reference; the last one frees the memory, and closes a loop that was not closed. NULL is ignored.
 *
 * thread:  any; the last one not while the loop runs
 */
void weft_loop_unref(struct weft_loop *loop);

/*
 * The subclass's bytes, aligned for any object.
 *
 * thread:  any
 * returns: NULL if the loop was made with user_bytes 0
 */
void *weft_loop_user(struct weft_loop *loop);

/*
 * The kind that `loop` was made with.
 *
 * thread:  any
 * memory:  static
 */
const struct weft_loop_kind *weft_loop_kind(const struct weft_loop *loop);

/*
 * The transport factories of `loop`, its kind's laid over its bases'. A slot that nobody fills is NULL.
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  lives as long as the loop
 */
const struct weft_transport_ops *weft_loop_transport_ops(const struct weft_loop *loop);

/* ---- running ------------------------------------------------------------------------------------------------------------------ */

/*
 * Run until weft_loop_stop(), or until a callback or task raises a fatal status; what was not run yet stays queued for the next run.
 *
 * thread:  any in which no loop runs; it becomes the loop's thread
 * returns: 0 once stopped; the fatal status; -errno if the poller is broken; -EINVAL; WEFT_ECLOSED; WEFT_ERUNNING if it runs already;
 *          WEFT_EOTHERLOOP if another loop runs in this thread
 */
int weft_loop_run_forever(struct weft_loop *loop);

/*
 * Make run_forever return at the end of the present iteration: the rest of its snapshot runs, what it queues does not. Before a run:
 * that run does exactly one iteration, without sleeping.
 *
 * thread:  any (elsewhere than on the loop it is posted, and takes effect in the iteration that meets it)
 * returns: 0; -EINVAL; WEFT_ECLOSED
 */
int weft_loop_stop(struct weft_loop *loop);

/*
 * Close: drop queued callbacks and timers unrun, abandon pending tasks (each ends with WEFT_ECLOSED, and is reported if nobody asks),
 * refuse what other threads post from now on, and release the poller. Closing twice is harmless.
 *
 * thread:  any, while the loop does not run
 * returns: 0; -EINVAL; WEFT_ERUNNING, also while another thread begins to close it; WEFT_EFORBIDDEN for a loop of a runtime, which closes
 *          it itself
 */
int weft_loop_close(struct weft_loop *loop);

/*
 * True between the start and the end of a run. A snapshot if asked from another thread.
 *
 * thread:  any
 */
bool weft_loop_is_running(const struct weft_loop *loop);

/*
 * True from the start of weft_loop_close() on.
 *
 * thread:  any
 */
bool weft_loop_is_closed(const struct weft_loop *loop);

/*
 * The loop that runs in this thread; never cache it across an await of stealable work.
 *
 * thread:  any
 * returns: NULL if none runs here
 */
struct weft_loop *weft_get_running_loop(void);

/* ---- scheduling --------------------------------------------------------------------------------------------------------------- */

/*
 * What a loop calls. A status below 0 is reported to the exception handler, and the loop goes on; a fatal one also leaves the loop.
 *
 * thread:  the loop's thread
 */
typedef int weft_callback_fn(void *arg);

/*
 * Queue `fn(arg)` for the next iteration: strictly first in, first out, exactly once, never inside this call. It runs in `context`, or in
 * a copy of the present one if that is NULL.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  *handle_out, unless NULL, gets a reference that the caller drops with weft_handle_unref(); arg stays borrowed
 * returns: 0; -ENOMEM; -EINVAL if loop or fn is NULL; WEFT_ECLOSED; WEFT_EWRONGTHREAD
 */
int weft_loop_call_soon(struct weft_loop *loop, weft_callback_fn *fn, void *arg, struct weft_context *context,
                        struct weft_handle **handle_out);

/*
 * The same from any thread, waking the loop if it sleeps. Calls of one thread keep their order. The handle may be cancelled from any
 * thread; cancel and run exclude each other.
 *
 * thread:  any
 * memory:  as weft_loop_call_soon()
 * returns: 0; -ENOMEM; -EINVAL; WEFT_ECLOSED; WEFT_EFULL if posts_max posts wait already
 */
int weft_loop_call_soon_threadsafe(struct weft_loop *loop, weft_callback_fn *fn, void *arg, struct weft_context *context,
                                   struct weft_handle **handle_out);

/*
 * The same for a work of the caller's own, which needs no memory and so cannot fail for lack of it: no handle, no context, and it is not counted
 * among posts_max. It may be posted again once it is run, also from in there. A loop that closes runs it all the same, maybe in the posting
 * thread; then weft_loop_is_closed() is true, and it must only let go of what it holds.
 *
 * thread:  any
 * memory:  work is borrowed until it is run
 * returns: 0; -EINVAL; WEFT_ECLOSED: it will not be run
 */
int weft_loop_post(struct weft_loop *loop, struct weft_work *work);

/*
 * Call `fn(arg)` once, `delay_ns` from now; zero or less means due at once, still not inside this call. It runs in a copy of the present
 * context. Timers that are due at the same nanosecond run in the order in which they were armed.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  as weft_loop_call_soon()
 * returns: 0; -ENOMEM; -EINVAL; WEFT_ECLOSED; WEFT_EWRONGTHREAD
 */
int weft_loop_call_later(struct weft_loop *loop, int64_t delay_ns, weft_callback_fn *fn, void *arg, struct weft_handle **handle_out);

/*
 * The same at `when_ns` of the loop's clock.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  as weft_loop_call_soon()
 * returns: as weft_loop_call_later()
 */
int weft_loop_call_at(struct weft_loop *loop, uint64_t when_ns, weft_callback_fn *fn, void *arg, struct weft_handle **handle_out);

/*
 * Read the loop's clock.
 *
 * thread:  any while the loop is not being closed, for a clock of the machine's; the loop's thread for a clock of virtual time
 * returns: nanoseconds
 */
uint64_t weft_loop_time(const struct weft_loop *loop);

/*
 * Cancel: the callback will not run, and its context is let go. Cancelling twice, or after it ran, is harmless.
 *
 * thread:  the loop's thread, or any while it does not run; any for a handle of weft_loop_call_soon_threadsafe()
 * returns: true if this call prevented the run; false too from the wrong thread
 */
bool weft_handle_cancel(struct weft_handle *handle);

/*
 * True once weft_handle_cancel() has prevented the run.
 *
 * thread:  as weft_handle_cancel()
 */
bool weft_handle_cancelled(const struct weft_handle *handle);

/*
 * When the callback of call_later or call_at is due.
 *
 * thread:  any
 * returns: nanoseconds of the loop's clock; 0 for a handle without a time
 */
uint64_t weft_handle_when(const struct weft_handle *handle);

/*
 * Add a reference.
 *
 * thread:  any
 * returns: handle
 */
struct weft_handle *weft_handle_ref(struct weft_handle *handle);

/*
 * Drop a reference, which does not cancel. NULL is ignored.
 *
 * thread:  any
 */
void weft_handle_unref(struct weft_handle *handle);

/* ---- errors that nobody returns ----------------------------------------------------------------------------------------------- */

/*
 * What the exception handler is told. Fields that do not apply are NULL or 0; all are borrowed for the call.
 */
struct weft_exception {
    size_t size; /* sizeof(struct weft_exception) as the reporter knew it */
    const char *message;
    int status;
    uint64_t duration_ns; /* of a slow callback, in debug mode; so far, of one that has not returned */
    struct weft_handle *handle;
    struct weft_future *future;
    struct weft_task *task;
    void *object; /* a transport or server: see message */
};

/*
 * Handle a report. A status below 0 makes the default handler report "unhandled error in exception handler".
 *
 * thread:  the one that calls weft_loop_call_exception_handler(): the runtime's own for "a callback has not returned" (weft/runtime.h)
 */
typedef int weft_exception_handler_fn(struct weft_loop *loop, const struct weft_exception *exception, void *arg);

/*
 * Install `handler`, or the default one for NULL.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  arg stays borrowed until the next call; of a loop in a runtime, until its run has ended, for another thread may be reporting
 * returns: 0; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_loop_set_exception_handler(struct weft_loop *loop, weft_exception_handler_fn *handler, void *arg);

/*
 * The installed handler.
 *
 * thread:  the loop's thread
 * returns: NULL if it is the default one
 */
weft_exception_handler_fn *weft_loop_get_exception_handler(const struct weft_loop *loop);

/*
 * Report `exception`: count it, and call the handler.
 *
 * thread:  any; a handler that is called from elsewhere must be ready for that
 */
void weft_loop_call_exception_handler(struct weft_loop *loop, const struct weft_exception *exception);

/*
 * What the default handler does: hand the report to the process's sink (weft_set_report_sink()). The library itself prints nothing.
 *
 * thread:  any
 */
void weft_loop_default_exception_handler(struct weft_loop *loop, const struct weft_exception *exception);

/*
 * Install the process's sink for reports that no handler took; NULL drops them (they stay counted).
 *
 * thread:  before start
 * memory:  arg stays borrowed for good
 */
void weft_set_report_sink(weft_exception_handler_fn *sink, void *arg);

/* ---- debug, counters ---------------------------------------------------------------------------------------------------------- */

/*
 * Switch debug mode: every iteration polls, and callbacks of at least the slow duration are reported.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * returns: 0; -EINVAL; WEFT_ECLOSED; WEFT_EWRONGTHREAD
 */
int weft_loop_set_debug(struct weft_loop *loop, bool is_debug);

/*
 * True in debug mode.
 *
 * thread:  the loop's thread
 */
bool weft_loop_get_debug(const struct weft_loop *loop);

/*
 * Set from which duration on a callback is slow, 100 ms at first.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * returns: 0; -EINVAL; WEFT_ECLOSED; WEFT_EWRONGTHREAD
 */
int weft_loop_set_slow_callback_duration(struct weft_loop *loop, uint64_t duration_ns);

/*
 * Set how many posts of weft_loop_call_soon_threadsafe() may wait at once, 1,048,576 at first. From 16,384 on it is kept to within some
 * hundredths, by counting a part of them; a loop in virtual time keeps it exactly.
 *
 * thread:  any
 * returns: 0; -EINVAL for a NULL loop or 0
 */
int weft_loop_set_posts_max(struct weft_loop *loop, uint32_t posts_max);

/* What a loop counted since it was made. Each word has one writer; a reader elsewhere sees each a little late. */
struct weft_loop_counters {
    uint64_t turns;        /* iterations */
    uint64_t callbacks;    /* works run: handles, task steps, I/O */
    uint64_t timers;       /* timers fired */
    uint64_t polls;        /* times the poller was asked */
    uint64_t parks;        /* times it slept */
    uint64_t spins;        /* times a spin before the sleep found something */
    uint64_t wakes;        /* wake-ups that others sent it */
    uint64_t posts;        /* works that others posted to it */
    uint64_t exceptions;   /* reports to the exception handler */
    uint64_t searches;     /* times it ran out of work and looked for that of other loops */
    uint64_t steals;       /* stealable works that it took from other loops */
    uint64_t stolen_jobs;  /* forked jobs that it took from other loops' fibers */
    uint64_t summons;      /* of the wake-ups, those to come and steal */
    uint64_t vain_summons; /* of these, those that found nothing left */
    uint64_t reserved[2];
};

/*
 * Copy the counters.
 *
 * thread:  any
 * returns: 0; -EINVAL
 */
int weft_loop_get_counters(const struct weft_loop *loop, struct weft_loop_counters *counters_out);

/*
 * The place of `loop` in its runtime, from 0.
 *
 * thread:  any
 * returns: 0 too for a loop without a runtime
 */
uint32_t weft_loop_index(const struct weft_loop *loop);

#ifdef __cplusplus
}
#endif

#endif
