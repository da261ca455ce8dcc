/*
 * Stand-ins for loops, in models of lib/task: each only hands works to the thread that runs it.
 *
 * They define the names of lib/sched, lib/loop, lib/base/context.c and the registry that tasks and futures call, so a program has either
 * these or the real ones. A work comes through a real inbox, but nothing is polled, timed or counted. Whoever is stealable goes to any
 * loop below stand_in_count, as the search chooses.
 */
#ifndef TESTS_MODEL_STAND_IN_H
#define TESTS_MODEL_STAND_IN_H

#include "lib/loop/loop.h"
#include "lib/task/task.h"

enum { STAND_IN_LOOPS = 3 };

extern struct weft_loop stand_in_loops[STAND_IN_LOOPS];

/* How many loops, from the first, there are: each may get stealable work. 2 unless set before the threads. */
extern unsigned stand_in_count;

/* How often a handler was told of something. */
extern unsigned stand_in_reports;

/* Be the thread of loop `index` until stand_in_end(), and all that was queued before it has been run. */
void stand_in_run(unsigned index);

/* Be the thread of loop `index` until it has run `count` works. */
void stand_in_run_some(unsigned index, unsigned count);

/* Have all loops end. thread: any, once */
void stand_in_end(void);

/*
 * Close loop `index` over `task`, its one registered task, as weft_loop_close() and the registry's room do: wait for the work of one that
 * hangs nowhere, and then shut the queue.
 */
void stand_in_close_over(unsigned index, struct weft_task *task);

/*
 * A task of `coro` whose home is loop `index`, as task_make.c makes one, and queued; with a reference for the caller.
 */
struct weft_task *stand_in_spawn(unsigned index, struct weft_coro *coro, bool is_stealable);

#endif
