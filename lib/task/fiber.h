/*
 * Fiber, inside: the fiber of a thread, for what suspends on its own.
 */
#ifndef LIB_TASK_FIBER_H
#define LIB_TASK_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/fiber.h"

/*
 * Make what `loop` keeps for fibers and their jobs. A loop of a runtime does so at its making, since fibers come to it in mid-life; others
 * when they first need it.
 *
 * thread:  the preparing one
 * returns: 0; -ENOMEM
 */
int fiber_open(struct weft_loop *loop);

/* True if a fiber runs in this thread, so that weft_await() can suspend it. thread: any */
bool fiber_is_here(void);

/* True if the fiber that runs in this thread is `task`'s own coroutine, and no third party's stands between the two. thread: any */
bool fiber_is_of(const struct weft_task *task);

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

/* ---- for jobs, see lib/task/job.c ------------------------------------------------------------------------------------------------- */

struct fiber;
struct fiber_jobs;

/* The fiber that runs in this thread, or is unwound here while no loop runs; NULL if none. thread: any */
struct fiber *fiber_current(void);

/* What it has forked into; NULL before fiber_set_jobs() and after its end. thread: the fiber's */
struct fiber_jobs *fiber_jobs(const struct fiber *fiber);

/* Give it a job stack, which ends with it. thread: the fiber's */
void fiber_set_jobs(struct fiber *fiber, struct fiber_jobs *jobs);

/* True if it is being unwound, so that its waits do not wait. thread: the fiber's */
bool fiber_is_closing(const struct fiber *fiber);

/*
 * Give a fiber that has not begun its stack, from the loop that runs here, and `jobs`. It needs no memory to begin then; and it begins
 * also if it is cancelled or closed before.
 *
 * thread:  any loop
 * returns: 0; -ENOMEM
 */
int fiber_prepare(struct weft_coro *coro, struct fiber_jobs *jobs);

/*
 * Suspend until `future` is done or something is raised, also if it is done already.
 *
 * thread:  the fiber's
 * returns: what was raised, or 0
 */
int fiber_wait(struct fiber *fiber, struct weft_future *future);

/*
 * Unwind the fiber that `coro` is: when this returns its body has returned, unless it does not stop waiting. Its task finds it over.
 *
 * thread:  one in which it may run; nobody else may run it meanwhile
 */
void fiber_finish(struct weft_coro *coro);

/* How many loops' stacks there are: those of closed loops too, while a stack is in use. For conservation checks. thread: any */
uint64_t fiber_room_count(void);

/* How many stacks of `loop` are in use, for conservation checks. thread: the loop's, or the preparing one */
size_t fiber_stack_count(struct weft_loop *loop);

#endif
