/*
 * Handles: one scheduled call each, of call_soon, call_soon_threadsafe, call_later and call_at.
 *
 * A handle has one reference for the queue it is in and one for the caller who asked for it. Its state word decides between cancel and
 * run; only a threadsafe handle needs the locked instruction for that, since for the others both happen in the loop's thread. A handle that
 * nobody asked for is its queue's alone: it counts nothing, and holds no reference on the loop, which outlives its queues.
 */
#include <errno.h>

#include "lib/base/context.h"
#include "lib/loop/loop.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

/* Each state is final but the first. */
enum handle_state { HANDLE_WAITS, HANDLE_RUNS, HANDLE_CANCELLED };

/* A bound of at least so many posts is kept by counting a part of them. */
enum { POSTS_SAMPLED_FROM = 1 << 14, POSTS_STEP = 16, POSTS_STEP_SHIFT = 60 };

#define GOLDEN_RATIO UINT64_C(0x9e3779b97f4a7c15) /* of 2^64 */

struct weft_handle {
    struct weft_work work;
    struct weft_loop *loop;
    weft_callback_fn *fn;
    void *arg;
    struct weft_context *context;
    uint32_t state;
    uint32_t refs;
    uint32_t counted; /* for so many posts it is reserved in the inbox; 0: not */
    bool is_threadsafe;
    bool is_timed;  /* a struct timed_handle */
    bool is_shared; /* others than the queue have had it; then it holds its loop */
};

_Static_assert(sizeof(struct weft_handle) <= WEFT_CACHE_LINE_BYTES, "a post is one line");

struct timed_handle {
    struct weft_handle handle;
    struct weft_timer timer;
};

static struct weft_timer *handle_timer(struct weft_handle *handle)
{
    return &((struct timed_handle *)handle)->timer;
}

struct weft_handle *weft_handle_ref(struct weft_handle *handle)
{
    if (handle == NULL)
        return NULL;
    if (!handle->is_shared) { /* from an exception handler that it was reported to, in the loop's thread: nobody else knows it yet */
        handle->is_shared = true;
        (void)weft_loop_ref(handle->loop);
    }
    (void)weft_atomic_add_relaxed(&handle->refs, 1);
    return handle;
}

static inline void handle_free(struct weft_handle *handle)
{
    if (handle->context != NULL)
        weft_context_unref(handle->context);
    if (handle->is_shared)
        weft_loop_unref(handle->loop);
    weft_free(handle);
}

void weft_handle_unref(struct weft_handle *handle)
{
    /* Acq_rel. Pairs with itself: whoever frees has seen what the others did before they let go. */
    if (handle != NULL && (!handle->is_shared || weft_atomic_sub_acq_rel(&handle->refs, 1) == 1))
        handle_free(handle);
}

/* The queue lets go. */
static inline void handle_leave(struct weft_handle *handle)
{
    if (handle->is_shared)
        weft_handle_unref(handle);
    else
        handle_free(handle);
}

static inline bool handle_claim(struct weft_handle *handle, uint32_t state)
{
    uint32_t expected = HANDLE_WAITS;
    if (handle->is_shared && handle->is_threadsafe)
        return weft_atomic_cas_relaxed(&handle->state, &expected, state); /* what it guards is not memory but the right to act */
    if (weft_atomic_load_relaxed(&handle->state) != HANDLE_WAITS)
        return false;
    weft_atomic_store_relaxed(&handle->state, state);
    return true;
}

__attribute__((cold, noinline)) static int handle_failed(struct weft_handle *handle, int status)
{
    struct weft_exception exception = {.size = sizeof(exception), .message = "exception in callback", .status = status, .handle = handle};
    weft_loop_call_exception_handler(handle->loop, &exception);
    return 0;
}

static inline int handle_call(struct weft_handle *handle)
{
    struct weft_context *outer = context_swap_current(handle->context);
    int status = handle->fn(handle->arg);
    if (status < 0 && !weft_status_is_fatal(status))
        status = handle_failed(handle, status); /* the exception handler runs in the same context (LOOP-14) */
    handle->context = context_swap_current(outer);
    return status < 0 ? status : 0;
}

void posts_settle(struct weft_loop *loop)
{
    inbox_unreserve(&loop->worker.inbox, loop->settled_posts);
    loop->settled_posts = 0;
}

int weft_loop_set_posts_max(struct weft_loop *loop, uint32_t posts_max)
{
    if (loop == NULL || posts_max == 0)
        return -EINVAL;
    weft_atomic_store_relaxed(&loop->posts_max, posts_max);
    return 0;
}

/*
 * One of so many posts is counted, for as many. A larger bound need not be exact: a locked instruction for each post would cost as much as the
 * rest of it. In virtual time all is exact.
 */
static inline uint32_t posts_step(const struct weft_loop *loop, uint32_t posts_max)
{
    return posts_max < POSTS_SAMPLED_FROM || loop->worker.is_virtual ? 1 : POSTS_STEP;
}

/*
 * Take a place for a post: one, or those of POSTS_STEP posts, or none. The address decides: no two that wait have the same, and the multiples of
 * the golden ratio lie evenly whatever pattern the addresses have. False if there is no place left.
 */
static inline bool post_reserve(struct weft_loop *loop, struct weft_handle *handle)
{
    uint32_t posts_max = weft_atomic_load_relaxed(&loop->posts_max);
    uint32_t step = posts_step(loop, posts_max);
    if (((uint64_t)(uintptr_t)handle * GOLDEN_RATIO >> POSTS_STEP_SHIFT & (step - 1)) != 0)
        return true;
    handle->counted = step;
    return inbox_reserve(&loop->worker.inbox, step, posts_max);
}

/*
 * One that was counted has come. Many are given back together, since posters write the same line; so many that nobody is refused who would
 * not be soon. A closed loop's may come to whoever posted it.
 */
static void post_came(struct weft_loop *loop, uint32_t counted, bool is_closed)
{
    if (is_closed) {
        inbox_unreserve(&loop->worker.inbox, counted);
        return;
    }
    loop->settled_posts += counted;
    if (loop->settled_posts > weft_atomic_load_relaxed(&loop->posts_max) / POSTS_SAMPLED_FROM)
        posts_settle(loop);
}

static int handle_run(struct weft_work *work)
{
    struct weft_handle *handle = weft_container_of(work, struct weft_handle, work);
    struct weft_loop *loop = handle->loop;
    bool is_closed = loop_is_closed(loop);
    int status = 0;
    if (handle->counted > 0)
        post_came(loop, handle->counted, is_closed);
    if (!is_closed && handle_claim(handle, HANDLE_RUNS))
        status = handle_call(handle);
    handle_leave(handle);
    return status;
}

static int handle_fired(void *arg)
{
    struct weft_handle *handle = arg;
    int status = handle_claim(handle, HANDLE_RUNS) ? handle_call(handle) : 0;
    handle_leave(handle);
    return status;
}

/* A handle with the queue's reference; NULL when out of memory. */
static inline struct weft_handle *handle_new(struct weft_loop *loop, size_t bytes, weft_callback_fn *fn, void *arg,
                                             struct weft_context *context)
{
    struct weft_handle *handle = weft_malloc(bytes);
    if (handle == NULL)
        return NULL;
    *handle = (struct weft_handle){.work.run = handle_run, .loop = loop, .fn = fn, .arg = arg, .context = context, .refs = 1};
    if (context != NULL)
        (void)weft_context_ref(context);
    else if (weft_context_current() != NULL && context_capture(&handle->context) < 0) {
        weft_free(handle);
        return NULL;
    }
    return handle;
}

/* The caller's reference, if he wants one. Before anybody else can reach the handle. */
static inline void handle_hand_out(struct weft_handle *handle, struct weft_handle **handle_out)
{
    if (handle_out == NULL)
        return;
    handle->is_shared = true;
    handle->refs++;
    (void)weft_loop_ref(handle->loop);
    *handle_out = handle;
}

int weft_loop_call_soon(struct weft_loop *loop, weft_callback_fn *fn, void *arg, struct weft_context *context,
                        struct weft_handle **handle_out)
{
    int status = loop_check_often(loop);
    if (status < 0 || fn == NULL)
        return status < 0 ? status : -EINVAL;
    struct weft_handle *handle = handle_new(loop, sizeof(*handle), fn, arg, context);
    if (handle == NULL)
        return -ENOMEM;
    handle_hand_out(handle, handle_out);
    loop_queue(loop, &handle->work);
    return 0;
}

int weft_loop_call_soon_threadsafe(struct weft_loop *loop, weft_callback_fn *fn, void *arg, struct weft_context *context,
                                   struct weft_handle **handle_out)
{
    if (loop == NULL || fn == NULL)
        return -EINVAL;
    int closed = loop_check_open(loop);
    if (closed < 0)
        return closed;
    if (inbox_is_full(&loop->worker.inbox, weft_atomic_load_relaxed(&loop->posts_max)))
        return WEFT_EFULL;
    struct weft_handle *handle = handle_new(loop, sizeof(*handle), fn, arg, context);
    if (handle == NULL)
        return -ENOMEM;
    if (!post_reserve(loop, handle)) {
        handle_free(handle);
        return WEFT_EFULL;
    }
    handle->is_threadsafe = true;
    handle_hand_out(handle, handle_out);
    work_ready(&loop->worker, &handle->work);
    return 0;
}

int weft_loop_post(struct weft_loop *loop, struct weft_work *work)
{
    if (loop == NULL || work == NULL || work->run == NULL)
        return -EINVAL;
    int closed = loop_check_open(loop);
    if (closed == 0)
        work_ready(&loop->worker, work);
    return closed;
}

/* The loop closes: the queue's reference goes. */
static void handle_abandon(struct weft_timer *timer)
{
    weft_handle_unref(timer->arg);
}

static int schedule_at(struct weft_loop *loop, uint64_t when_ns, weft_callback_fn *fn, void *arg, struct weft_handle **handle_out)
{
    struct weft_handle *handle = handle_new(loop, sizeof(struct timed_handle), fn, arg, NULL);
    if (handle == NULL)
        return -ENOMEM;
    handle->is_timed = true;
    weft_timer_init(handle_timer(handle), loop, handle_fired, handle);
    handle_timer(handle)->abandon = handle_abandon;
    int status = timer_heap_arm(&loop->timers, handle_timer(handle), when_ns);
    if (status < 0) {
        weft_handle_unref(handle);
        return status;
    }
    handle_hand_out(handle, handle_out);
    return 0;
}

int weft_loop_call_at(struct weft_loop *loop, uint64_t when_ns, weft_callback_fn *fn, void *arg, struct weft_handle **handle_out)
{
    int status = loop_check_often(loop);
    if (status < 0 || fn == NULL)
        return status < 0 ? status : -EINVAL;
    return schedule_at(loop, when_ns, fn, arg, handle_out);
}

int weft_loop_call_later(struct weft_loop *loop, int64_t delay_ns, weft_callback_fn *fn, void *arg, struct weft_handle **handle_out)
{
    int status = loop_check_often(loop);
    if (status < 0 || fn == NULL)
        return status < 0 ? status : -EINVAL;
    uint64_t now_ns = weft_loop_time(loop);
    uint64_t delay = delay_ns > 0 ? (uint64_t)delay_ns : 0;
    if (delay == 0)
        loop_look_next(loop);
    return schedule_at(loop, delay > UINT64_MAX - 1 - now_ns ? UINT64_MAX - 1 : now_ns + delay, fn, arg, handle_out);
}

bool weft_handle_cancel(struct weft_handle *handle)
{
    if (handle == NULL)
        return false;
    if (!handle->is_threadsafe && loop_check(handle->loop) == WEFT_EWRONGTHREAD)
        return false; /* ADD-7: the queue or the heap that it is in is the loop's thread's */
    if (!handle_claim(handle, HANDLE_CANCELLED))
        return false;
    weft_context_unref(handle->context);
    handle->context = NULL;
    if (handle->is_timed && weft_timer_stop(handle_timer(handle)))
        weft_handle_unref(handle); /* the queue's; the caller holds his own */
    return true;
}

bool weft_handle_cancelled(const struct weft_handle *handle)
{
    return handle != NULL && weft_atomic_load_relaxed(&handle->state) == HANDLE_CANCELLED;
}

uint64_t weft_handle_when(const struct weft_handle *handle)
{
    if (handle == NULL)
        return 0;
    return handle->is_timed ? ((const struct timed_handle *)handle)->timer.when_ns : 0;
}
