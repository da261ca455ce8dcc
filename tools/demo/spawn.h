/*
 * Spawn: fibers with a name, so that /tasks and the table read well.
 */
#ifndef TOOLS_DEMO_SPAWN_H
#define TOOLS_DEMO_SPAWN_H

#include "weft/fiber.h"

struct weft_loop;

/*
 * Create a task on `loop` that runs fn(arg). `format` and what follows are its name.
 *
 * thread:  any
 * memory:  *task_out gets a reference
 * returns: as weft_fiber_new() and weft_loop_create_task_threadsafe()
 */
int spawn(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_task **task_out, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/*
 * The same for a stealable task with the largest stack: whichever loop has time runs it.
 *
 * thread:  any
 * memory:  as spawn()
 * returns: as weft_fiber_new() and weft_loop_spawn()
 */
int spawn_stealable(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_task **task_out, const char *name);

#endif
