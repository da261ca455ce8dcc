/*
 * Job stack: the jobs that a fiber has forked and not yet joined, in slots of one cache line each.
 *
 * What this header shows is for the macros of weft/job.h, which fork and join in the caller's own code; nobody else needs it. The layout
 * is versioned: code compiled against another one is refused by weft_job_stack_here().
 *
 *     slots                                                                             slots + capacity
 *       │ stolen │ stolen │ public │ public │ private │ private │ private │ free …        │
 *                ^ tail            ^ split                                ^ top            ^ limit, end
 *
 * The owner is the fiber. It pushes and pops at `top` with plain loads and stores as long as it stays above `split`. Thieves take the
 * oldest at `tail` by one compare-and-swap of `shares`, which holds both numbers; they read a slot only after that has succeeded, so a
 * stack that was handed to another fiber meanwhile is as good. The owner moves `split` up when somebody is hungry, and down when it
 * needs a public job itself. Who is hungry says so by `limit`: NULL sends the next fork to its slow path. To come to its slow path
 * now and then by itself, the owner may set `limit` below the end, and the `split` that joins see above the true one.
 *
 * A fork moves the top up by one and a join down by one, whatever becomes of the job, so that a compiler knows each top of a body from the
 * one it began with. Where the stack is full, forks run at once, and the top goes on beyond the end, where no slots are: it counts them.
 *
 * After Haugaard Faxén, Wool (2008), and van Dijk and van de Pol, Lace: Non-blocking Split Deque for Work-Stealing (2014).
 */
#ifndef WEFT_JOB_STACK_H
#define WEFT_JOB_STACK_H

#include <stddef.h>
#include <stdint.h>

#include "weft/atomic.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_job;
struct weft_job_stack;

#define WEFT_JOB_LAYOUT         4u
#define WEFT_JOB_ARGUMENT_BYTES 40

/*
 * Run a job that was stolen, on the thief's stack: the argument is read from the slot and the result written over it.
 *
 * thread:  any loop
 */
typedef void weft_job_run_fn(struct weft_job_stack *stack, struct weft_job *job);

/* A slot. `child` and `context` mean something from publication on only. */
struct weft_job {
    weft_job_run_fn *run;
    void *child;   /* atomic: NULL, then the task that runs it; see lib/task/job.c */
    void *context; /* of whoever forked it; a reference */
    unsigned char argument[WEFT_JOB_ARGUMENT_BYTES];
} __attribute__((aligned(WEFT_CACHE_LINE_BYTES)));

struct weft_job_stack {
    /* Everybody's. */
    struct weft_job *limit; /* atomic: NULL: come and see who wants what. First: its address is the stack's, and takes no register */
    uint64_t shares;        /* atomic: split << 32 | tail, counted from slots */
    void *shared[6];        /* the library's */
    /* The owner's. */
    struct weft_job *top __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* the next free slot, as a job's body knows it too */
    struct weft_job *split; /* from here on joins are fast, and jobs private; above everything while the top is beyond the end */
    struct weft_job *slots;
    struct weft_job *end; /* slots + capacity */
    uint32_t layout;      /* WEFT_JOB_LAYOUT */
    int status;           /* -ENOMEM: a result was lost */
    void *owner[2];       /* the library's */
};

#ifdef __cplusplus
}
#endif

#endif
