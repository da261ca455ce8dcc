/*
 * Job, inside: what a fiber that forks has, and what a loop keeps for such fibers.
 *
 *     fiber ──▶ fiber_jobs { job stack, assist item } ◀── worker->jobs, while the fiber runs there; thieves read it
 *                   │ slot i: child ──▶ task of the thief, whose fiber has fiber_jobs of its own
 *
 * A job stack is borrowed from the job room of the loop that runs the fiber, and goes back there from anywhere. Its memory is only unmapped
 * when the loop is gone and no stack of it is out, so that a thief that comes late finds a stack, empty or another fiber's.
 */
#ifndef LIB_TASK_JOB_H
#define LIB_TASK_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/lockfree/job_stack.h"
#include "lib/loop/loop.h"
#include "weft/task.h"

struct crew_ops;
struct fiber;
struct job_room;

/* What a job has returned that was run at its fork. */
struct job_result {
    unsigned char bytes[WEFT_JOB_ARGUMENT_BYTES];
};

struct fiber_jobs {
    struct weft_job_stack stack; /* first */
    struct fiber *fiber;
    struct weft_task *task;     /* of the fiber: the parent of those who run what is stolen */
    struct weft_job *stolen;    /* what the fiber was made to run; NULL if it is no thief's */
    uint64_t shown_ticks;       /* when the fiber last went on */
    struct job_result *results; /* of forks that ran at once, the oldest first; zeroes where one was lost */
    uint32_t result_capacity;
    uint32_t slow_count;       /* forks that came to the slow path, where the clock is not looked at each time */
    uint64_t looked_ticks;     /* when it last looked at the clock, or went on after a wait */
    uint64_t tuned_ticks;      /* when `reach` was last changed, or found good; waits do not count */
    uint32_t look_count;       /* looks since then, that came by a bound */
    uint32_t reach;            /* how many slots up or down it goes to the next look */
    bool is_counted;           /* nobody asks for attention here: each fork comes, and counts */
    bool is_joining;           /* it suspends for a thief, and has nothing more to offer */
    struct weft_work assist;   /* steals a job of this stack, for a fiber that has suspended */
    uint32_t is_assist_queued; /* atomic */
    uint32_t refs;             /* atomic: the fiber, the queued assist item */
    struct job_room *room;     /* where it belongs */
    struct fiber_jobs *next;   /* in the room's free list or among those returned */
    struct fiber_jobs *older;  /* all that the room has made */
};

static inline struct fiber_jobs *jobs_of(struct weft_job_stack *stack)
{
    return (struct fiber_jobs *)(void *)stack;
}

/* ---- the room (job_room.c) -------------------------------------------------------------------------------------------------------- */

/* Make the room of `loop`. thread: the preparing one. returns: 0; -ENOMEM */
int jobs_open(struct weft_loop *loop);

/*
 * Take a job stack from the loop that runs here, empty and with one reference.
 *
 * thread:  any loop's
 * returns: 0; -ENOMEM
 */
int jobs_borrow(struct weft_loop *loop, struct fiber_jobs **jobs_out);

/* Let go a reference; with the last one it goes back. Allocates nothing. thread: any */
void jobs_unref(struct fiber_jobs *jobs);

/*
 * Keep `result`, of the job that is run at its fork while `index` others wait for their joins.
 *
 * thread:  the fiber's
 * returns: 0; -ENOMEM: it is lost
 */
int jobs_keep_result(struct fiber_jobs *jobs, uint32_t index, const void *result);

/* What was kept under `index`, borrowed until the next is; zeroes if it was lost. thread: the fiber's */
const void *jobs_result(const struct fiber_jobs *jobs, uint32_t index);

/* How many job stacks are in use, for conservation checks. thread: any */
uint64_t jobs_live_count(void);

/* ---- stealing (job_steal.c) ------------------------------------------------------------------------------------------------------- */

/* How the crew of a runtime steals jobs. */
extern const struct crew_ops job_crew_ops;

/*
 * Offer the public jobs of a fiber that suspends to whoever has nothing to do, if its assist item is not under way already.
 *
 * thread:  the loop's that the fiber runs on, or that has just assisted
 */
void jobs_queue_assist(struct fiber_jobs *jobs);

/* The work of the assist item. */
int jobs_assist(struct weft_work *work);

/* ---- hooks of the fiber (job.c) ----------------------------------------------------------------------------------------------------- */

/* Let thieves find `jobs` (NULL: nothing) on the worker of this thread. thread: the loop's that resumes the fiber, or left it */
void jobs_show(struct fiber_jobs *jobs);

/* The fiber suspends; `is_ready` if only until it is its turn again. Its open jobs become others'. thread: the fiber's */
void jobs_leave(struct fiber_jobs *jobs, bool is_ready);

/* The body of the fiber has returned. What it has not joined is dropped or waited for, and reported; the stack goes. thread: the fiber's */
void jobs_end(struct fiber_jobs *jobs);

#endif
