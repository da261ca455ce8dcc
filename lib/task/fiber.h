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
