/*
 * Watch: how the loops of a runtime wake the thread that looks after them (lib/runtime/monitor.h), when they leave its view or enter it.
 *
 * The watcher sleeps as deep as it may, and says how deep; a worker that does what the watcher waits for looks at that one word, and nearly
 * always that is all. The word:
 *
 *     WATCH_NEAR     it looks by itself very soon, or there is no watcher   set by the watcher as it wakes, and by whoever wakes it
 *     WATCH_FAR      it looks by itself, but not soon: whoever begins to compute wakes it                         set by the watcher
 *     WATCH_ASLEEP   it does not look by itself: whoever leaves its park wakes it too                             set by the watcher
 *
 * After FAR or ASLEEP the watcher looks once more before it sleeps. For ASLEEP it does so by inbox_confirm_parked(), so that a worker that
 * leaves its park is either seen or sees the word. FAR is a hint: its sleep has an end.
 */
#ifndef LIB_SCHED_WATCH_H
#define LIB_SCHED_WATCH_H

#include <stdint.h>

#include "lib/base/parker.h"
#include "weft/atomic.h"

enum { WATCH_NEAR = 0, WATCH_FAR = 1, WATCH_ASLEEP = 2 };

struct watch {
    struct parker parker; /* the watcher's */
    uint32_t depth;       /* atomic: above */
    uint32_t is_manned;   /* atomic: there is a watcher. Set by who starts and ends it */
};

/* Have the watcher look now, unless it will look soon. Many calls at once are one wake-up. thread: any */
static inline void watch_call(struct watch *watch)
{
    if (weft_atomic_exchange_relaxed(&watch->depth, WATCH_NEAR) != WATCH_NEAR)
        parker_unpark(&watch->parker);
}

/* A worker has left its park. thread: the worker's, after inbox_unpark() */
static inline void watch_unparked(struct watch *watch)
{
    if (weft_atomic_load_relaxed(&watch->depth) == WATCH_ASLEEP)
        watch_call(watch);
}

/* A worker has begun to compute. thread: the worker's, after its `jobs` is written */
static inline void watch_computing(struct watch *watch)
{
    if (weft_atomic_load_relaxed(&watch->depth) != WATCH_NEAR)
        watch_call(watch);
}

#endif
