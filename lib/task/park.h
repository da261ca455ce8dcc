/*
 * Park: a fiber that waits for what its own loop brings, as a stream's bytes.
 *
 * Whoever wakes it runs in the same thread, so there is no future to be completed, and none to hang on: the task's word says that it is
 * parked, and whoever takes that bit away, under the word's lock, makes it go on. Others who do so are cancellers, from anywhere, and the
 * close of its home.
 */
#ifndef LIB_TASK_PARK_H
#define LIB_TASK_PARK_H

#include "weft/future.h"

struct coro_task;
struct weft_loop;

/* In the frame of who waits, who tells his waker where it is. Nothing of it need be set before. */
struct park {
    struct coro_task *task;
    struct weft_future future; /* waited for instead where a third party drives the fiber: then `task` is NULL */
};

/*
 * Wait until woken. The task is held on `loop` meanwhile; a canceller lets go of it before the fiber runs on.
 *
 * thread:  a fiber on `loop`
 * returns: 0 (perhaps for no reason); what was raised; WEFT_ENOFIBER, and nothing was waited for
 */
int park_wait(struct park *park, struct weft_loop *loop);

/*
 * Have it go on in the next iteration of `loop`, which runs here; NULL for who does not know. One that is on its way already is left alone.
 *
 * thread:  that of the loop it waits on, while park_wait() has not returned
 */
void park_wake(struct park *park, struct weft_loop *loop);

#endif
