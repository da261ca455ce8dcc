/*
 * Clock: what time it is, in nanoseconds, from a source that can be replaced.
 *
 * A room that needs time holds a `const struct clock *` that it was given: `&clock_system` in the threads driver, the simulator's
 * virtual clock in the sim driver. A clock lives as long as whatever was given it.
 *
 *     uint64_t deadline_ns = clock_add_ns(clock_now_ns(clock), delay_ns);
 *
 * 64 bits of nanoseconds last 584 years from boot; CLOCK_NEVER_NS is after all of them.
 */
#ifndef LIB_BASE_CLOCK_H
#define LIB_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NEVER_NS UINT64_MAX

struct clock_ops {
    uint64_t (*monotonic_ns)(void *source); /* from any thread; never steps back */
    uint64_t (*realtime_ns)(void *source);  /* from any thread; since 1970, may step */
};

struct clock {
    const struct clock_ops *ops;
    void *source;
};

/* The operating system's CLOCK_MONOTONIC and CLOCK_REALTIME. */
extern const struct clock clock_system;

/* The operating system's monotonic time: for what lives outside any driver, such as a plain thread's deadline. thread: any */
uint64_t clock_monotonic_ns(void);

/* The operating system's time since 1970. thread: any */
uint64_t clock_realtime_ns(void);

/*
 * A counter of the processor's own, several times cheaper than a clock, for "has it been so long?": see clock_ticks_in(). It may be off
 * by a little between processors, and its rate is a bound, not a measure.
 */
static inline uint64_t clock_ticks(void)
{
#if defined(WEFT_ATOMIC_MODEL)
    return model_ticks(); /* tests/model/world.h */
#elif defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return clock_monotonic_ns();
#endif
}

/* A number of ticks that takes at most `duration_ns`. thread: any */
static inline uint64_t clock_ticks_in(uint64_t duration_ns)
{
#if defined(__aarch64__)
    uint64_t per_second;
    __asm__ __volatile__("mrs %0, cntfrq_el0" : "=r"(per_second));
    return duration_ns * (per_second / 1000000) / 1000;
#else
    return duration_ns; /* the counters of x86-64 tick once a nanosecond or faster */
#endif
}

/* The monotonic time of `clock`. thread: any */
static inline uint64_t clock_now_ns(const struct clock *clock)
{
    return clock->ops->monotonic_ns(clock->source);
}

/* `delay_ns` after `now_ns`; stays at CLOCK_NEVER_NS instead of wrapping. thread: any */
static inline uint64_t clock_add_ns(uint64_t now_ns, uint64_t delay_ns)
{
    return delay_ns > CLOCK_NEVER_NS - now_ns ? CLOCK_NEVER_NS : now_ns + delay_ns;
}

#endif
