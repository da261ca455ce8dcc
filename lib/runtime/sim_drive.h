/*
 * Drive: what runs all started runtimes of a simulated world together.
 *
 *      sim.c         the driver of one runtime: it joins its world's drive, and leaves it
 *      sim_drive.c   rounds and time
 *      sim_memory.c  allocations that fail while a loop takes a turn
 *
 * thread:  all of it on the world's
 */
#ifndef LIB_RUNTIME_SIM_DRIVE_H
#define LIB_RUNTIME_SIM_DRIVE_H

#include <stdbool.h>
#include <stdint.h>

struct random;
struct runtime_loop;
struct weft_runtime;
struct weft_sim;

/* Hangs in the world, for as long as a runtime lives there. */
struct sim_drive {
    struct weft_sim *world;
    uint32_t refs;
    struct runtime_loop **order; /* whose turn is when: the loops of all runtimes that are started, in the order of the last round */
    uint32_t loop_count;
    uint32_t loops_max;
    int busy_rounds; /* since time has passed: in each somebody found something to do */
    int looks;       /* since then: of loops that are run by hand and would not wait */
    bool is_turning; /* it lets a loop take its turn */
};

/* Asked between rounds, outside of loops: 0 to go on, 1 for the end, or a status below 0 that ends it. */
typedef int sim_drive_condition_fn(void *arg);

/* The drive of `world`, made if need be, and one reference. NULL when out of memory. */
struct sim_drive *sim_drive_get(struct weft_sim *world);

/* Drop a reference. NULL is ignored. */
void sim_drive_put(struct sim_drive *drive);

/* Let the loops of `runtime` take part. 0; -ENOMEM. */
int sim_drive_join(struct sim_drive *drive, struct weft_runtime *runtime);

/* Let them do so no longer. */
void sim_drive_leave(struct sim_drive *drive, struct weft_runtime *runtime);

/* Run rounds until `condition(arg)`. 0; what it says; -ETIMEDOUT at `deadline_ns`; -EDEADLK if nothing can happen any more. */
int sim_drive_run(struct sim_drive *drive, sim_drive_condition_fn *condition, void *arg, uint64_t deadline_ns);

/* The same beside a loop that runs by hand, within its wait or one of its callbacks, as if the others had threads of their own. */
int sim_drive_run_beside(struct sim_drive *drive, sim_drive_condition_fn *condition, void *arg, uint64_t deadline_ns);

/*
 * From begin to end a `permille` of allocations fail, as `random` has it. begin may be called with 0, which is nothing.
 */
void sim_memory_begin(struct random *random, uint32_t permille);
void sim_memory_end(void);

#endif
