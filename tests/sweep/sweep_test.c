/*
 * Out of memory at each allocation, and cancelled at each suspension, of every scenario. See sweep.h and README.md.
 */
#include "tests/support/test.h"
#include "tests/sweep/sweep.h"

#define SWEEP(room, table)                                                                                                                 \
    Test(refuse, each_allocation_of_##room, .timeout = 600)                                                                                \
    {                                                                                                                                      \
        sweep_refusals(&(table));                                                                                                          \
    }                                                                                                                                      \
    Test(cancel, at_each_suspension_of_##room, .timeout = 600)                                                                             \
    {                                                                                                                                      \
        sweep_cancellations(&(table));                                                                                                     \
    }

SWEEP(loops, loop_room_scenarios)
SWEEP(futures, future_scenarios)
SWEEP(tasks, task_scenarios)
SWEEP(contexts, context_scenarios)
SWEEP(groups, group_scenarios)
SWEEP(executors, executor_scenarios)
SWEEP(jobs, job_scenarios)
SWEEP(spawns, spawn_scenarios)
SWEEP(streams, stream_scenarios)
SWEEP(transports, transport_scenarios)
SWEEP(servers, server_scenarios)
SWEEP(runtimes, runtime_scenarios)
