/*
 * Timer: an embeddable timer of one loop, for those who arm and stop often and want no allocation per arming.
 *
 * Life cycle: weft_timer_init() → start, stop, start … → weft_timer_stop() before its memory goes. weft_loop_call_later() is the same
 * with a handle that the library allocates.
 *
 *     static int tick(void *arg)
 *     {
 *         struct weft_timer *timer = arg;
 *         return weft_timer_start(timer, 1000000);
 *     }
 *
 *     struct weft_timer timer;
 *     weft_timer_init(&timer, loop, tick, &timer);
 *     status = weft_timer_start(&timer, 1000000);
 *     ...
 *     weft_timer_stop(&timer);
 */
#ifndef WEFT_TIMER_H
#define WEFT_TIMER_H

#include "weft/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All fields are the library's. */
struct weft_timer {
    struct weft_loop *loop;
    weft_callback_fn *fn;
    void *arg;
    uint64_t when_ns;
    uint32_t slot;                             /* what its loop knows it by, + 1; 0: not armed */
    uint32_t sequence;                         /* of its last arming, if that has left it where it was */
    void (*abandon)(struct weft_timer *timer); /* instead of firing, when the loop closes; may be NULL */
};

/*
 * Make `timer` a stopped timer of `loop` that calls `fn(arg)`.
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  timer, loop and arg stay borrowed
 */
void weft_timer_init(struct weft_timer *timer, struct weft_loop *loop, weft_callback_fn *fn, void *arg);

/*
 * Arm `timer` to fire once, `delay_ns` from now. Arming an armed timer moves its deadline. It never fires inside this call: a delay of
 * zero or less means the next iteration.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  timer stays borrowed until it has fired or its stop has returned
 * returns: 0; -ENOMEM; WEFT_ECLOSED; WEFT_EWRONGTHREAD
 */
int weft_timer_start(struct weft_timer *timer, int64_t delay_ns);

/*
 * The same at `when_ns` of the loop's clock.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  as weft_timer_start()
 * returns: as weft_timer_start()
 */
int weft_timer_start_at(struct weft_timer *timer, uint64_t when_ns);

/*
 * Stop `timer`: it will not fire. Stopping a stopped one is harmless.
 *
 * thread:  the loop's thread, or any while it does not run
 * returns: true if it was armed
 */
bool weft_timer_stop(struct weft_timer *timer);

#ifdef __cplusplus
}
#endif

#endif
