/*
 * Timers of a loop: arming, stopping, and firing what is due.
 *
 * Due timers leave the heap for a ring, and one work behind the I/O of the iteration runs the ring: timers come last in an iteration
 * (LOOP-3), and a timer that an earlier callback of the same iteration stops never fires.
 */
#include "lib/loop/timers.h"

#include <assert.h>
#include <errno.h>

#include "lib/loop/loop.h"
#include "weft/atomic.h"
#include "weft/status.h"

void weft_timer_init(struct weft_timer *timer, struct weft_loop *loop, weft_callback_fn *fn, void *arg)
{
    assert(timer != NULL && loop != NULL && fn != NULL);
    *timer = (struct weft_timer){.loop = loop, .fn = fn, .arg = arg};
}

int weft_timer_start(struct weft_timer *timer, int64_t delay_ns)
{
    if (timer == NULL)
        return -EINVAL;
    struct weft_loop *loop = timer->loop;
    int status = loop_check_often(loop);
    if (status < 0)
        return status; /* a closed loop's clock may be gone */
    uint64_t now_ns = weft_loop_time(loop);
    uint64_t delay = delay_ns > 0 ? (uint64_t)delay_ns : 0;
    if (delay == 0)
        loop_look_next(loop);
    return timer_heap_arm(&loop->timers, timer, delay > UINT64_MAX - 1 - now_ns ? UINT64_MAX - 1 : now_ns + delay);
}

int weft_timer_start_at(struct weft_timer *timer, uint64_t when_ns)
{
    if (timer == NULL)
        return -EINVAL;
    struct weft_loop *loop = timer->loop;
    int status = loop_check_often(loop);
    return status < 0 ? status : timer_heap_arm(&loop->timers, timer, when_ns);
}

int loop_reserve_timer(struct weft_loop *loop)
{
    return timer_heap_reserve(&loop->timers);
}

void loop_unreserve_timer(struct weft_loop *loop)
{
    timer_heap_unreserve(&loop->timers);
}

void loop_start_reserved(struct weft_timer *timer, uint64_t delay_ns)
{
    struct weft_loop *loop = timer->loop;
    if (loop_check(loop) < 0)
        return;
    timer_heap_arm_reserved(&loop->timers, timer, weft_loop_time(loop) + delay_ns);
}

bool weft_timer_stop(struct weft_timer *timer)
{
    if (timer == NULL)
        return false;
    assert(loop_check(timer->loop) != WEFT_EWRONGTHREAD);
    if (timer->slot == 0)
        return false;
    timer_heap_stop(&timer->loop->timers, timer);
    return true;
}

static int timers_fire(struct weft_work *work)
{
    struct weft_loop *loop = weft_container_of(work, struct weft_loop, due_work);
    loop->is_due_queued = false;
    if (weft_atomic_load_relaxed(&loop->is_closing))
        return 0; /* closing abandons them, those in the ring too */
    struct weft_timer *timer;
    while ((timer = timer_heap_pop_due(&loop->timers)) != NULL) {
        worker_count(&loop->counters.timers, 1);
        int status = timer->fn(timer->arg);
        if (weft_status_is_fatal(status)) {
            timers_queue_due(loop);
            return status;
        }
        if (status < 0)
            loop_report(loop, "a timer's callback failed", status, NULL);
    }
    return 0;
}

void timers_queue_due(struct weft_loop *loop)
{
    if (!timer_heap_has_due(&loop->timers) || loop->is_due_queued)
        return;
    loop->is_due_queued = true;
    worker_push(&loop->worker, &loop->due_work);
}

void timers_collect(struct weft_loop *loop, uint64_t now_ns)
{
    if (timer_heap_is_late(&loop->timers, now_ns))
        timer_heap_collect(&loop->timers, now_ns);
    timers_queue_due(loop);
}

void timers_init(struct weft_loop *loop)
{
    timer_heap_init(&loop->timers);
    loop->due_work.run = timers_fire;
}

void timers_fini(struct weft_loop *loop)
{
    timer_heap_fini(&loop->timers);
}
