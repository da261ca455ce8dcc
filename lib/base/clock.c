/*
 * Clock: the operating system's clocks as a replaceable source.
 *
 * Drivers, parkers and timestamps come here. Both calls go through the vDSO and cannot fail for these two clocks.
 */
#include "lib/base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t clock_read_ns(clockid_t id)
{
    struct timespec now = {0};
    (void)clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_realtime_ns(void)
{
    return clock_read_ns(CLOCK_REALTIME);
}

static uint64_t clock_system_monotonic_ns(void *source)
{
    (void)source;
    return clock_monotonic_ns();
}

static uint64_t clock_system_realtime_ns(void *source)
{
    (void)source;
    return clock_realtime_ns();
}

static const struct clock_ops clock_system_ops = {
    .monotonic_ns = clock_system_monotonic_ns,
    .realtime_ns = clock_system_realtime_ns,
};

const struct clock clock_system = {.ops = &clock_system_ops, .source = NULL};
