/*
 * Job scene: two loops, a fiber that forks on the first, and thieves on the second. lib/task/job*.c, the job stack and lib/sched are real;
 * fibers and tasks are doubles: a fiber is the thread it runs on, and a child task runs to its end where it is first run.
 */
#ifndef TESTS_MODEL_JOB_SCENE_H
#define TESTS_MODEL_JOB_SCENE_H

#include "lib/loop/loop.h"
#include "lib/sched/crew.h"
#include "lib/task/fiber.h"
#include "lib/task/job.h"
#include "tests/model/checker.h"
#include "weft/job.h"

enum { LOOPS = 2 };

extern struct weft_loop loops[LOOPS];
extern struct crew *crew;
extern struct fiber owner_fiber; /* on loops[0] */
extern int64_t context_count;    /* atomic: references that jobs hold */

/* Two loops in a crew, of which the second searches. Each look at the clock finds it late. */
void job_setup(void);

/* Run what is left on the rings, and end it all: whatever was borrowed has come back. */
void job_check(void);

/* This thread is the loop `index` from here on. */
void job_enter(unsigned index);

/* The owner's fiber runs here; false: it has suspended. Its hooks are called by who needs them. */
void job_fiber_here(bool is_here);

/* Whether a join looks some times if the thief is done before it suspends. */
void job_spin(bool does_spin);

/* The body of the owner's fiber has returned. */
void job_end(void);

/* What fiber_jobs() says of the owner. */
struct fiber_jobs *job_owner(void);

/* Steal a job of the fiber that runs on loops[0], if it shows any, and run it. */
bool job_thieve(void);

#endif
