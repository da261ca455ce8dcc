/*
 * Fork of a runtime: its copy in a child process is known by its loops.
 */
#ifndef LIB_RUNTIME_FORK_H
#define LIB_RUNTIME_FORK_H

#include <stddef.h>

#include "lib/runtime/runtime.h"

/* True if it came with a fork: its threads and descriptors are the parent's, so it is neither run, waited for, nor freed. thread: any */
static inline bool runtime_is_forked(const struct weft_runtime *runtime)
{
    return runtime->main != NULL && runtime->main->loop != NULL && loop_is_forked(runtime->main->loop);
}

#endif
