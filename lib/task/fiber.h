/*
 * Fiber, inside: the fiber of a thread, for what suspends on its own.
 */
#ifndef LIB_TASK_FIBER_H
#define LIB_TASK_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/fiber.h"

/* True if a fiber runs in this thread, so that weft_await() can suspend it. thread: any */
bool fiber_is_here(void);

/*
 * As weft_yield(), but a cancellation is not delivered here: it stays due for the next suspension.
 *
 * thread:  a fiber
 * returns: 0; WEFT_ENOFIBER; WEFT_ECLOSED when the loop closes
 */
int fiber_pause(void);

/*
 * Hold the task that runs here on its present loop, for the timers and lists that the caller's frame is about to be in.
 *
 * thread:  a fiber
 * returns: what task_unhold() wants in the end; NULL if there is no task
 */
struct weft_task *fiber_hold_here(void);

/* A stay on another loop: in the frame of who asked for it. Stays nest. */
struct fiber_visit {
    struct weft_task *task;
    struct weft_loop *held_on; /* before */
    bool has_moved;
};

/*
 * Go on on `loop`, of the same runtime, and stay there until fiber_visit_end(). No cancellation is delivered on the way.
 *
 * thread:  a fiber
 * memory:  visit is the caller's, until fiber_visit_end()
 * returns: 0; or nothing to end: WEFT_ENOFIBER; WEFT_ECLOSED if `loop` or the fiber's closes; WEFT_EWRONGTHREAD if it is no loop to go to
 */
int fiber_visit(struct fiber_visit *visit, struct weft_loop *loop);

/*
 * End the stay: a pinned fiber goes back to where it was, before this returns (unless its loop closes). A stealable one, unless it was
 * held elsewhere before, stays where it is and is free.
 *
 * thread:  the fiber that visits
 */
void fiber_visit_end(struct fiber_visit *visit);

/*
 * Wait, detached, for a future that lives in this fiber's frame, and return when nobody else refers to it any more: tasks of the library
 * let go of it before the fiber runs on, those of a third party as their callback returns, one iteration later.
 *
 * thread:  a fiber
 * returns: as weft_await_flags()
 */
int fiber_await_frame(struct weft_future *future);

/* How many loops' stacks there are: those of closed loops too, while a stack is in use. For conservation checks. thread: any */
uint64_t fiber_room_count(void);

/* How many stacks of `loop` are in use, for conservation checks. thread: the loop's, or the preparing one */
size_t fiber_stack_count(struct weft_loop *loop);

#endif
