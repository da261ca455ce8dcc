/*
 * Crew: the workers that steal from each other, the loops of one runtime.
 *
 * A worker that has run out of work searches: the injector, then the others' rings and job stacks. If it finds nothing it parks, and
 * whoever pushes stealable work wakes one that is parked, unless somebody searches already. The three counts that decide this are one word:
 *
 *     idle    63 ......... 32 | 31 ......... 0
 *             parked            searching
 *
 *     parked      + by a worker that goes to sleep, - by itself when it wakes, or by who summons it
 *     searching   + by a worker that begins to search, or by who summons one for it; - when the search ends
 *
 * Who summons turns one that is parked into one that searches, in one step, and then finds out which. So while nobody searches, `parked`
 * is exactly the number of those that sleep and can be summoned; while somebody does, it may be wrong for a moment, even below zero, and
 * nobody goes by it.
 *
 * THE ARGUMENT. A pusher writes a queue and then reads `idle`; a parker writes `idle` and then reads the queues, and all four are
 * sequentially consistent. So either the parker sees the work, or the pusher sees it parked. A pusher that sees a searcher leaves it to
 * him: a searcher, be it that he has found something or that he parks, reads all queues once more after he has counted himself out as the
 * last one, and wakes another if there is more than he runs himself. Who has claimed the right to wake (searching 0 → 1) and finds nobody
 * to wake gives it back and looks at `idle` again, since pushers may have relied on him meanwhile.
 *
 * Nobody is summoned for a work by a pusher that sees a searcher, nor by a searcher for what it runs itself. So one work wakes two at most:
 * by who pushes it, and by who has found it and left it, if the pusher comes to its look only after that.
 *
 * At most half of the workers search at once, and at least one may. Searching is not the same as spinning on one's own poller.
 */
#ifndef LIB_SCHED_CREW_H
#define LIB_SCHED_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lockfree/injector.h"
#include "lib/sched/worker.h"

struct weft_job_stack;

/* What sched does not know of jobs. A table is static; each function is called by a worker of the crew, in its thread, outside of any fiber. */
struct crew_ops {
    /* Steal a job of `stack`: the work that runs it on `thief`, which runs it next. NULL if there is none, or no memory. */
    struct weft_work *(*take_job)(struct worker *thief, struct weft_job_stack *stack);
    /* Nothing of `stack` can be stolen: let its owner know that somebody is hungry. */
    void (*ask)(struct weft_job_stack *stack);
};

struct crew {
    struct injector injector;
    uint64_t idle __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* atomic: above */
    uint32_t refs __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* atomic */
    uint32_t is_dissolved;                                         /* atomic */
    uint32_t count;
    uint32_t count_max;
    const struct crew_ops *ops;
    struct worker *workers[];
};

/*
 * Create a crew for up to `count_max` workers. `ops` may be NULL: then there are no jobs.
 *
 * thread:  any
 * returns: NULL when out of memory
 */
struct crew *crew_create(uint32_t count_max, const struct crew_ops *ops);

/*
 * Take `worker` in, with `seed` for the order in which it looks at the others. It holds a reference.
 *
 * thread:  the preparing one, before any worker of the crew runs
 */
void crew_join(struct crew *crew, struct worker *worker, uint64_t seed);

/*
 * Let go a reference. NULL is ignored.
 *
 * thread:  any
 */
void crew_unref(struct crew *crew);

/*
 * Have no more stealing: each stealable work that is queued is run with no worker current, and sends itself home or lets go; those that are
 * made ready later go home by themselves.
 *
 * thread:  the preparing one, while no worker of the crew runs; others may still push
 */
void crew_dissolve(struct crew *crew);

/*
 * There is something to steal: wake a parked worker, unless one searches already or none is parked.
 *
 * thread:  one that runs a worker of the crew, signal handlers too
 */
void crew_notify(struct crew *crew);

/*
 * Push `work` from outside, and notify. Who does so need not keep the crew: it stays until the call is over.
 *
 * thread:  any, signal handlers too
 * memory:  as injector_push()
 * returns: false if the crew is dissolved: `work` is the caller's
 */
bool crew_push(struct crew *crew, struct weft_work *work);

/*
 * True if some worker is parked or searches: a hint.
 *
 * thread:  any
 */
static inline bool crew_is_hungry(const struct crew *crew)
{
    return weft_atomic_load_relaxed(&crew->idle) != 0;
}

/*
 * True if a search might find something: a hint from plain looks, so that a loop which only serves I/O writes nothing that others read each
 * time it has nothing to do.
 *
 * thread:  the worker's
 */
bool crew_might_give(const struct worker *worker);

/*
 * Begin to search. False if `worker` is alone, or half of the crew searches already.
 *
 * thread:  the worker's
 */
bool crew_search_begin(struct worker *worker);

/*
 * Look once at the injector and at every other worker. What is found is in the worker's ring, or is the next work that it runs.
 *
 * thread:  the worker's, between begin and end, when it has nothing to run
 */
bool crew_steal(struct worker *worker);

/*
 * End a search, if one is under way. Others are called if there is more to steal than what `worker` runs next.
 *
 * thread:  the worker's
 */
void crew_search_end(struct worker *worker);

/*
 * Say that `worker`, whose inbox is parked, is about to sleep, and end its search. False if there is something to steal: it is not parked,
 * but may have been summoned already, so that it searches. True for a worker without a crew.
 *
 * thread:  the worker's
 */
bool crew_park(struct worker *worker);

/*
 * Say that it is awake again.
 *
 * thread:  the worker's, after crew_park()
 * returns: true if it was summoned: it searches now, and owes crew_search_end()
 */
bool crew_unpark(struct worker *worker);

/*
 * Take a portion of what the injector has: the oldest is what the worker runs next, the others are in its ring, as far as there is room.
 *
 * thread:  the worker's, which has taken nothing yet
 * returns: true if there was something
 */
bool crew_refill(struct worker *worker);

#endif
