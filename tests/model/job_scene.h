/*
 * Job scene: two loops, or more, a fiber that forks on the first, and thieves on the others. lib/task/job*.c, the job stack and lib/sched are real;
 * fibers and tasks are doubles: a fiber is the thread it runs on, and a child task runs to its end where it is first run, or suspends for
 * good.
 */
#ifndef TESTS_MODEL_JOB_SCENE_H
#define TESTS_MODEL_JOB_SCENE_H

#include "lib/loop/loop.h"
#include "lib/sched/crew.h"
#include "lib/task/fiber.h"
#include "lib/task/job.h"
#include "tests/model/checker.h"
#include "weft/job.h"

enum { LOOPS = 3 };

extern struct weft_loop loops[LOOPS];
extern unsigned job_loop_count; /* of them, 2 unless set before job_setup() */
extern struct crew *crew;
extern struct fiber owner_fiber; /* on loops[0] */
extern int64_t context_count;    /* atomic: references that jobs hold */

/* The loops in a crew, of which the second searches. Each look at the clock finds it late. */
void job_setup(void);

/* Run what is left on the rings, and end it all: whatever was borrowed has come back. */
void job_check(void);

/* This thread is the loop `index` from here on. */
void job_enter(unsigned index);

/* The owner's fiber runs here; false: it has suspended. Its hooks are called by who needs them. */
void job_fiber_here(bool is_here);

/* Whether a join on this loop looks some times if the thief is done before it suspends. */
void job_spin(bool does_spin);

/* The body of the owner's fiber has returned. */
void job_end(void);

/* The body of the fiber that runs here, a child, suspends: it returns, and `rest` is what it does when it is made to end. */
void job_suspend(void (*rest)(void));

/* This thread lets go of the loop `index`. */
void job_leave(unsigned index);

/* The owner's loop closes: its fiber is told so, and its waits do not wait. */
void job_unwind(void);

/* What fiber_jobs() says of the owner. */
struct fiber_jobs *job_owner(void);

/* Steal a job of the fiber that runs on loops[victim], if it shows any, and run it on loops[thief], which is here. */
bool job_thieve_from(unsigned victim, unsigned thief);

/* The same, from loops[0] to loops[1]. */
bool job_thieve(void);

#endif
