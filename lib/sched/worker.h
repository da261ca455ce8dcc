/*
 * Worker: the queues of one loop and the one door through which everything that becomes runnable passes.
 *
 * A worker runs `weft_work` and knows no task, timer or descriptor. It sleeps in something that it was given (parker_ops), which is the
 * loop. Only its owner, the thread that runs it, touches the FIFO; everybody else goes through the inbox, whose one word is also the
 * protocol of falling asleep (lib/lockfree/inbox.h). What may be stolen is in the ring, where the other workers of its crew (lib/sched/crew.h)
 * find it.
 */
#ifndef LIB_SCHED_WORKER_H
#define LIB_SCHED_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/random.h"
#include "lib/lockfree/inbox.h"
#include "lib/lockfree/ring.h"
#include "lib/sched/watch.h"
#include "weft/atomic.h"
#include "weft/work.h"

struct crew;
struct weft_job_stack;
struct worker;

/* Something to sleep in. */
struct parker_ops {
    /* Wake the owner, which sleeps or is about to. Any thread, signal handlers too; it may come late. */
    void (*wake)(struct worker *worker);
    /* Run `work` in place of its own function, to measure it; NULL normally. The owner's thread. */
    int (*measure)(struct worker *worker, struct weft_work *work);
};

/*
 * Laid out by who writes: the owner's own lines, which nobody else reads while it works; one that others read in search of something to do,
 * written seldom; the inbox, which posters write; the ring, which thieves do.
 */
struct worker {
    /* The owner's. The counters are read by who asks for them. */
    struct weft_work_list fifo;  /* ready: runs in the next snapshot */
    struct weft_work_list batch; /* the rest of the present snapshot */
    struct weft_work *taken;     /* a stolen job, or the injector's oldest: runs first among what is stealable */
    uint64_t run_count;          /* works run */
    uint64_t posted_count;       /* works that came through the inbox */
    uint64_t stealable_count;    /* looks for stealable work: tells whose turn it is, the ring's or the injector's */
    uint32_t steal_first;        /* the index of the worker to look at first, once; UINT32_MAX: any */
    bool is_measured;
    bool is_searching;        /* counted in crew.idle */
    uint64_t asked_ticks;     /* when a job stack was last asked for jobs */
    uint64_t owed_count;      /* wake-ups that were sent or are about to be: parks that somebody else ended */
    uint64_t search_count;    /* searches begun by itself */
    uint64_t steal_count;     /* works taken from other rings */
    uint64_t job_steal_count; /* jobs taken from job stacks, counted by who takes them */
    uint64_t vain_count;      /* summons that found nothing left */
    struct random random;
    /* Everybody's. The first five are set before start. */
    const struct parker_ops *parker __attribute__((aligned(WEFT_CACHE_LINE_BYTES)));
    struct crew *crew;   /* NULL: alone */
    struct watch *watch; /* who looks after it; NULL: nobody */
    uint32_t crew_index;
    uint32_t stealable_max;      /* how much stealable work one iteration runs */
    struct weft_job_stack *jobs; /* atomic: of the fiber that runs here; NULL if it has none. The owner writes it */
    uint64_t wake_count;         /* wake-ups that have arrived, written by the wakers */
    uint64_t summon_count;       /* atomic: of these, those to come and steal; written by who summons */
    uint32_t idle_state;         /* atomic: see crew.c */
    bool is_virtual;             /* its time is not the processor's, so that budgets count works only; set before start */
    struct inbox inbox;
    struct ring ring;
};

_Static_assert(offsetof(struct worker, parker) % WEFT_CACHE_LINE_BYTES == 0, "the owner's lines are its own");
_Static_assert(offsetof(struct worker, is_virtual) - offsetof(struct worker, parker) < WEFT_CACHE_LINE_BYTES, "one line is everybody's");
_Static_assert(offsetof(struct worker, inbox) % WEFT_CACHE_LINE_BYTES == 0, "the posters' lines");
_Static_assert(offsetof(struct inbox, reserved) - offsetof(struct inbox, head) >= WEFT_CACHE_LINE_BYTES, "what a spin looks at is alone");
_Static_assert(offsetof(struct worker, ring) % WEFT_CACHE_LINE_BYTES == 0, "the thieves' lines");

/*
 * Make `worker` empty and awake.
 *
 * thread:  before it is shared
 */
void worker_init(struct worker *worker, const struct parker_ops *parker);

/*
 * The worker that this thread runs now; NULL if none. Out of line, so that no compiler keeps the thread-local's address over a switch
 * of stacks.
 *
 * thread:  any
 */
struct worker *worker_current(void);

/*
 * Make `worker` (NULL: none) the one of this thread. For the loop as it starts and stops, and for the driver that runs many in one.
 *
 * thread:  the one that will run it
 */
void worker_set_current(struct worker *worker);

/*
 * Make `work` runnable on `home`, the door of the house:
 *
 *     caller                  home         goes to                                              wakes
 *     the loop of this work   pinned       its FIFO (after splicing a non-empty inbox: 1 load)  nobody
 *     another loop            pinned       home's inbox                                         home, only if it is parked
 *     no loop                 pinned       home's inbox                                         home, only if it is parked
 *
 * Splicing first keeps the order of posts that happened before the call (LOOP-10). If `home` is closed the work is run here and now, and
 * sees worker_is_closed(): it must only let go of what it holds.
 *
 * thread:  any
 * memory:  work is borrowed until it is run
 */
void work_ready(struct worker *home, struct weft_work *work);

/*
 * The same for the chain `first` … `last` of `count` works, as one batch with one wake-up.
 *
 * thread:  any
 * memory:  as work_ready()
 */
void work_ready_chain(struct worker *home, struct weft_work *first, struct weft_work *last, size_t count);

/*
 * The same door for a work that any worker of home's crew may run:
 *
 *     caller                  goes to                                                            wakes
 *     a loop of the crew      its ring; if that is full, the older half to the injector          one parked loop, if none searches
 *     the same                its ring, where it is the only thing that this loop has to do      nobody: it is run as the present step ends
 *     anybody else            the injector                                                       one parked loop, if none searches
 *     anybody                 as pinned, if home has no crew or it is dissolved                  as pinned
 *
 * The second row spares the wake-up for what is gone when the woken comes, as a task that is spawned and awaited. A step that does not end
 * is noticed by who looks after the workers, who calls worker_call_on_ring().
 *
 * thread:  any
 * memory:  as work_ready()
 */
void work_ready_stealable(struct worker *home, struct weft_work *work);

/*
 * Have another worker come for what lies in this one's ring, if anything does, since this one does not come to it.
 *
 * thread:  one that does not outlive the run of the crew
 */
void worker_call_on_ring(struct worker *worker);

/*
 * True if `home` shares its work with nobody, or no longer: what is stealable is as good as pinned.
 *
 * thread:  any
 */
bool worker_is_alone(const struct worker *home);

/* Count one up: the owner writes, others may read. */
static inline void worker_count(uint64_t *counter, uint64_t more)
{
    weft_atomic_store_relaxed(counter, *counter + more);
}

/*
 * Wake the owner: what INBOX_PUSHED_WAKE and a true inbox_poke() ask for, once each.
 *
 * thread:  any, signal handlers too
 */
void worker_wake(struct worker *worker);

/*
 * End the sleep that inbox_park() announced.
 *
 * thread:  the owner's
 */
static inline void worker_unpark(struct worker *worker)
{
    if (!inbox_unpark(&worker->inbox))
        worker->owed_count++;
    if (worker->watch != NULL)
        watch_unparked(worker->watch);
}

/*
 * Say that the fiber which runs here now has `jobs`, or, by NULL, that none with jobs runs here any more.
 *
 * thread:  the owner's
 */
static inline void worker_set_jobs(struct worker *worker, struct weft_job_stack *jobs)
{
    /* Release: the stack's contents. Pairs with the acquires in crew.c, where thieves look, and in worker_call_on_jobs(). */
    weft_atomic_store_release(&worker->jobs, jobs);
    if (jobs != NULL && worker->watch != NULL)
        watch_computing(worker->watch);
}

/*
 * True if somebody sees that a fiber computes here for long, and calls on it.
 *
 * thread:  any
 */
static inline bool worker_is_watched(const struct worker *worker)
{
    return worker->watch != NULL && weft_atomic_load_relaxed(&worker->watch->is_manned) != 0;
}

/*
 * True if a fiber with jobs runs here. A hint: it may be stale in both directions.
 *
 * thread:  any
 */
static inline bool worker_is_computing(const struct worker *worker)
{
    return weft_atomic_load_relaxed(&worker->jobs) != NULL;
}

/*
 * Have the fiber that computes here, if one does, see at its next fork who wants what. It may be another one by then, which is as good.
 *
 * thread:  any, while the loops live whose fibers run here
 */
void worker_call_on_jobs(struct worker *worker);

/*
 * Wait until each wake-up that is owed has arrived. Once the worker is closed, no other thread touches what it slept in after that.
 *
 * thread:  the closing one
 */
void worker_await_wakers(struct worker *worker);

/*
 * Queue `work` on the FIFO, past the door: for what the owner itself found ready (I/O, timers).
 *
 * thread:  the owner's
 */
static inline void worker_push(struct worker *worker, struct weft_work *work)
{
    weft_work_list_push(&worker->fifo, work);
}

/*
 * Move what others posted to the end of the FIFO. One load if there is nothing.
 *
 * thread:  the owner's
 */
static inline void worker_splice(struct worker *worker)
{
    struct inbox_batch batch = inbox_take(&worker->inbox);
    if (batch.count == 0)
        return;
    struct weft_work_list list = {batch.first, batch.last, batch.count};
    worker_count(&worker->posted_count, batch.count);
    weft_work_list_append(&worker->fifo, &list);
}

/*
 * True if something stealable waits here.
 *
 * thread:  the owner's
 */
static inline bool worker_has_stealable(const struct worker *worker)
{
    return worker->taken != NULL || ring_count(&worker->ring) > 0;
}

/*
 * True if something waits to be run, in the injector too.
 *
 * thread:  the owner's
 */
bool worker_has_work(const struct worker *worker);

/*
 * After how many works in all to look at the time again, where it was looked at after `count`. A look costs as much as a short work: the
 * first comes after one work, each further one when as many again have run, or eight. So a budget of time is overdrawn by no more works than
 * have kept it.
 */
static inline uint64_t worker_next_look(uint64_t count)
{
    return count + (count < 8 ? count : 8);
}

/*
 * Look for work that others have, once. What is found is stealable work of this worker then. If nothing is, the search may still be under
 * way: crew_park() or crew_search_end() end it.
 *
 * thread:  the owner's
 * returns: true if something was found
 */
bool worker_search(struct worker *worker);

/*
 * Run what is in the FIFO now, and not what it queues meanwhile. A fatal status ends the run at once; the rest stays queued, in front.
 *
 * thread:  the owner's
 * returns: 0, or the fatal status
 */
int worker_run(struct worker *worker);

/*
 * Run stealable work, the oldest first, until there is none here or the budget is spent: so many works, or so much time, that the pinned
 * ones, I/O and timers come to their turn. A fatal status ends it at once.
 *
 * thread:  the owner's
 * returns: 0, or the fatal status
 */
int worker_run_stealable(struct worker *worker);

/*
 * Refuse posts from now on and run what is left, which must only let go (see work_ready()).
 *
 * thread:  the owner's, while the loop does not run
 */
void worker_close(struct worker *worker);

/*
 * Forget all work and the crew, and refuse posts: the worker is a copy in a child process, and what it had is the parent's. Its current
 * snapshot ends with the work that runs.
 *
 * thread:  the only one of the child
 */
void worker_lose(struct worker *worker);

/*
 * Leave the crew, in the end.
 *
 * thread:  the one that frees it
 */
void worker_fini(struct worker *worker);

/*
 * True once worker_close() has begun.
 *
 * thread:  any; what a closed worker's own works ask is exact
 */
bool worker_is_closed(const struct worker *worker);

#endif
