/*
 * The sweeps: every scenario of a table with each fault it can meet, one after the other, until it no longer meets one.
 *
 * Each scenario runs in a child of its own. What fails, crashes or hangs there is told here with the scenario's name, the mode and n:
 * WEFT_SWEEP=name:mode:n runs that alone, WEFT_SWEEP=name or name:mode all of it.
 */
#ifndef TESTS_SWEEP_SWEEP_H
#define TESTS_SWEEP_SWEEP_H

#include <stddef.h>

#include "tests/sweep/stage.h"

/* A table of scenarios. */
struct room {
    const struct scenario *scenarios;
    size_t count;
};

extern const struct room loop_room_scenarios, future_scenarios, task_scenarios, context_scenarios, group_scenarios, executor_scenarios,
    job_scenarios, spawn_scenarios, stream_scenarios, transport_scenarios, server_scenarios, runtime_scenarios;

#define ROOM(name, table) const struct room name = {table, sizeof(table) / sizeof((table)[0])}

/* Refuse each allocation of each scenario: it alone, then it and all later ones. Prints how many were. */
void sweep_refusals(const struct room *room);

/* Cancel each scenario's main task at each of its suspensions, in each of the modes. Prints how often. */
void sweep_cancellations(const struct room *room);

#endif
