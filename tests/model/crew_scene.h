/*
 * Crew scene: a crew of workers whose loops have no poller, for the models of lib/sched.
 *
 * A loop searches, parks, sleeps on a token, and runs what it has found. A worker without a thread is one that computes, and never looks.
 */
#ifndef TESTS_MODEL_CREW_SCENE_H
#define TESTS_MODEL_CREW_SCENE_H

#include "lib/sched/crew.h"
#include "lib/sched/worker.h"
#include "tests/model/checker.h"

enum { WORKERS_MAX = 3, TASKS_MAX = 4 };

struct task {
    struct weft_work work;
    unsigned value; /* plain: who runs it must see what its pusher wrote */
    unsigned run_count;
};

extern struct crew *crew;
extern struct worker workers[WORKERS_MAX];
extern struct model_token tokens[WORKERS_MAX];
extern struct task tasks[TASKS_MAX];
extern unsigned task_count;        /* pushed in all, for check() */
extern bool is_awake[WORKERS_MAX]; /* has ended its thread awake, and would look again */
extern uint64_t kept_max;          /* what a worker that computes may keep for itself */

/* A crew of `worker_count`, of which as many tasks are to be run as are pushed. */
void make_crew(unsigned worker_count, unsigned tasks_pushed, const struct crew_ops *ops);

/* Write the task `index`. */
struct weft_work *task_make(unsigned index);

/* See sleep_until_something() in lib/loop/turn.c. `may_wake`: something else may wake it, at any time. */
void doze(struct worker *worker, bool may_wake);

/* The rest of it, for one that has parked. */
void doze_on(struct worker *worker, bool may_wake);

void run_found(struct worker *worker);

/* Sleep and run `turns` times, as the loop of workers[index]. */
void live(unsigned index, unsigned turns, bool may_wake);

/* All that was pushed has run, or somebody is awake who will; the counts are right; wake-ups are bounded. Frees the crew. */
void check(void);

#endif
