/*
 * Spawn: weft_fiber_new() and what makes a task of it in one call, with a name. Called by whoever starts a task.
 */
#include "tools/demo/spawn.h"

#include <stdarg.h>
#include <stdio.h>

int spawn(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_task **task_out, const char *format, ...)
{
    char name[32];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);

    struct weft_task_options options = WEFT_TASK_OPTIONS;
    options.name = name;
    struct weft_coro *coro;
    int status = weft_fiber_new(fn, arg, NULL, &coro);
    if (status < 0)
        return status;
    return weft_loop_create_task_threadsafe(loop, coro, &options, task_out);
}

int spawn_stealable(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_task **task_out, const char *name)
{
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    struct weft_fiber_options fiber_options = WEFT_FIBER_OPTIONS;
    options.name = name;
    fiber_options.stack = WEFT_STACK_LARGE;
    struct weft_coro *coro;
    int status = weft_fiber_new(fn, arg, &fiber_options, &coro);
    return status < 0 ? status : weft_loop_spawn(loop, coro, &options, task_out);
}
