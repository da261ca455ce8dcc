/*
 * Starvation: what a runtime that has nothing to do takes from others.
 */
#include "tests/runtime/fixture.h"
#include "tests/support/wait.h"

#include <sys/resource.h>
#include <time.h>

enum { LOOPS = 2, IDLE_NS_MAX = 30000000 };

static uint64_t cpu_ns(void)
{
    struct rusage usage;
    CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    int64_t seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    return (uint64_t)(seconds * SECOND_NS + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * INT64_C(1000));
}

static bool are_loops_parked(void *arg)
{
    struct weft_runtime *runtime = arg;
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        if (!inbox_is_parked(&runtime->loops[i].loop->worker.inbox))
            return false;
    return true;
}

static int return_soon(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return 0;
}

/* The share is the process's own, however busy the machine is. All threads count, the monitor's on its way to sleep included. */
Test(starvation, takes_no_processor_when_idle, .timeout = 20)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    for (uint32_t i = 0; i < LOOPS; i++)
        fixture_spawn_and_forget(weft_runtime_loop(runtime, i), return_soon, NULL);
    CHECK(wait_until(are_loops_parked, runtime, DEADLINE_MS));
    uint64_t before_ns = cpu_ns();
    struct timespec second = {.tv_sec = 1};
    CHECK_EQ(nanosleep(&second, NULL), 0);
    CHECK(cpu_ns() - before_ns < IDLE_NS_MAX);
    fixture_end(runtime);
}
