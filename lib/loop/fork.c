/*
 * Fork of a loop: its copy in a child process is made harmless.
 *
 * Called in the child, for each loop that was not closed, before anything else runs there. The invariant from then on: the copy runs nothing,
 * reaches no descriptor that it shares with the parent's loop, and is neither waited for nor freed: a thread that is gone may have left it
 * in the middle of anything, and the thread that forked may be inside of it.
 */
#include "lib/loop/fork.h"

#include <stddef.h>

#include "lib/base/clock.h"
#include "lib/loop/loop.h"
#include "lib/loop/timers.h"
#include "weft/atomic.h"
#include "weft/status.h"

static int lost_init(struct weft_poller *poller, const struct weft_poller_options *options)
{
    (void)poller, (void)options;
    return WEFT_EFORKED;
}

static void lost_fini(struct weft_poller *poller)
{
    (void)poller;
}

static int lost_operation(struct weft_poller *poller, struct weft_operation *operation)
{
    (void)poller, (void)operation;
    return WEFT_EFORKED;
}

static int lost_wait(struct weft_poller *poller, int64_t timeout_ns, struct weft_work_list *ready_out)
{
    (void)poller, (void)timeout_ns, (void)ready_out;
    return WEFT_EFORKED;
}

static void lost_wake(struct weft_poller *poller)
{
    (void)poller;
}

static uint64_t lost_now(struct weft_poller *poller)
{
    (void)poller;
    return clock_monotonic_ns();
}

/* In place of the poller's own: an epoll instance is one for parent and child, and what the child did to it the parent would feel. */
static const struct weft_poller_ops lost_ops = {
    .size = sizeof(lost_ops),
    .name = "lost by a fork",
    .init = lost_init,
    .fini = lost_fini,
    .submit = lost_operation,
    .cancel = lost_operation,
    .wait = lost_wait,
    .wake = lost_wake,
    .now = lost_now,
};

void loop_forked(struct fork_watch *watch)
{
    struct weft_loop *loop = weft_container_of(watch, struct weft_loop, fork_watch);
    bool is_here = loop_is_here(loop);
    if (!loop->has_poller)
        return; /* closed before, and whole */
    weft_atomic_store_relaxed(&loop->is_closing, LOOP_FORKED);
    loop->poller_ops = &lost_ops;
    worker_lose(&loop->worker);
    loop->turn_end = (struct weft_work_list){NULL, NULL, 0};
    loop->timers.due_count = 0;
    if (is_here)
        worker_set_current(NULL); /* so that this thread may run another one */
}
