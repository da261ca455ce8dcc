/*
 * A crew of workers that no loop runs, for the tests of lib/sched: each test is all of their owners, one after the other.
 */
#ifndef TESTS_SCHED_CREW_H
#define TESTS_SCHED_CREW_H

#include "lib/sched/crew.h"

#include "tests/support/test.h"

enum { WORKERS_MAX = 8 };

/* One worker, and how often its parker was told to wake it. */
struct sleeper {
    struct worker worker; /* first */
    uint32_t wake_count;  /* atomic */
};

/* A work that counts. */
struct item {
    struct weft_work work; /* first */
    struct worker *home;
    int left; /* how often it makes itself ready again */
    int run_count;
};

extern struct sleeper sleepers[WORKERS_MAX];
extern struct crew *crew;

/* Called by the parker if not NULL, in the thread that wakes. */
extern void (*on_wake)(struct worker *worker);

/* A crew of `count` workers, in virtual time, with `ops`. */
void crew_setup(uint32_t count, const struct crew_ops *ops);

/* Take it apart; nothing may be queued but in dissolved crews. */
void crew_teardown(void);

/* Do as the loop of that worker does as it goes to sleep: what crew_park() said. */
bool sleeper_park(uint32_t index);

/* And as it wakes: what crew_unpark() said. */
bool sleeper_unpark(uint32_t index);

/* How often any of them was told to wake. */
uint32_t wakes(void);

uint32_t parked_count(void);
uint32_t searching_count(void);

/* Make `item` ready as a thread outside does; from worker `index`. */
void push_outside(struct item *item);
void push_from(uint32_t index, struct item *item);

/* Run what is stealable on worker `index`, for one budget. */
int run_stealable(uint32_t index);

/* Make `item` one that runs `1 + left` times. */
void item_init(struct item *item, int left);

#endif
