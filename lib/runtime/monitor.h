/*
 * Monitor: a thread beside the loops' own, that looks after loops which do not come to their poller.
 *
 * A loop whose fiber computes is asked to look at its poller (lib/task/job.c does so at the fiber's next fork). A loop whose callback does
 * not return is reported, and that is all that can be done about it. Nothing depends on the monitor but this: a runtime that gets no
 * thread for it runs without.
 *
 * It sleeps by what there is to see, so that an idle runtime has no thread that runs:
 *
 *     a loop computes                    looks every MONITOR_TICK_NS; less often, down to MONITOR_TICK_STEADY_NS, while it polls unasked
 *     none does, but some loop is awake  looks less and less often, down to once in MONITOR_TICK_MAX_NS
 *     all have slept for such a tick     sleeps until one wakes up
 *
 * Started after the loops, and ended after them. The simulator has none: there a fiber counts its forks instead, and time is not the
 * processor's.
 */
#ifndef LIB_RUNTIME_MONITOR_H
#define LIB_RUNTIME_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/thread.h"
#include "lib/sched/watch.h"

struct weft_runtime;

enum { MONITOR_TICK_NS = 100000, MONITOR_TICK_STEADY_NS = 400000, MONITOR_TICK_MAX_NS = 20000000 };

/* What the monitor remembers of a loop. Its own thread's. */
struct monitor_view {
    uint64_t polls;      /* of the loop, as it last was */
    bool rested;         /* it was parked, or did not run */
    bool was_asked;      /* it had not polled, and was called */
    bool was_unasked;    /* the poll before was its own doing */
    uint64_t since_ns;   /* when it was first seen so, awake; of the system's clock */
    uint64_t stalled_ns; /* how long it has been so while the monitor itself could run: a process that was stopped does not stall */
    uint64_t report_ns;  /* the stall at which it is reported next */
};

struct monitor {
    struct watch watch; /* the loops' workers know it from the runtime's making to its end */
    struct thread thread;
    bool has_thread;
    uint32_t is_stop_asked; /* atomic */
    uint64_t stall_ns;      /* a stall of so long is reported; CLOCK_NEVER_NS: none is */
    uint64_t tick_ns;       /* the present one */
    uint64_t looked_ns;     /* when it last looked */
    uint64_t tick_count;    /* atomic: how often it has looked, for tests */
};

/* Make ready to start, and let the loops know whom they may have to wake. thread: before start */
void monitor_init(struct weft_runtime *runtime);

/* Start it. If there is no thread to be had, the runtime goes without. thread: the conductor, when the loops' threads have entered */
void monitor_start(struct weft_runtime *runtime);

/* Make it look now, for the conductor has begun to run the main loop. thread: any */
void monitor_wake(struct weft_runtime *runtime);

/* End it and join its thread; harmless if there is none. thread: the conductor, when the loops' threads have ended */
void monitor_stop(struct weft_runtime *runtime);

#endif
