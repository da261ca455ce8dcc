/*
 * Clock: the system's clocks, and that another source can stand in for them.
 */
#include "lib/base/clock.h"
#include "tests/support/test.h"

#include <time.h>

Test(clock, does_not_step_back, .timeout = 5)
{
    uint64_t before_ns = clock_monotonic_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now_ns = clock_monotonic_ns();
        CHECK(now_ns >= before_ns);
        before_ns = now_ns;
    }
}

Test(clock, agrees_with_the_system, .timeout = 5)
{
    uint64_t before_s = (uint64_t)time(NULL);
    uint64_t now_s = clock_realtime_ns() / UINT64_C(1000000000);
    CHECK(now_s >= before_s && now_s <= before_s + 60);
    uint64_t monotonic_ns = clock_monotonic_ns();
    CHECK(clock_now_ns(&clock_system) - monotonic_ns < UINT64_C(60000000000));
    CHECK(clock_system.ops->realtime_ns(clock_system.source) / UINT64_C(1000000000) >= before_s);
}

static uint64_t fake_now_ns(void *source)
{
    return *(uint64_t *)source;
}

Test(clock, comes_from_whatever_source_it_has, .timeout = 5)
{
    static const struct clock_ops fake_ops = {.monotonic_ns = fake_now_ns, .realtime_ns = fake_now_ns};
    uint64_t fake_ns = 42;
    struct clock fake = {.ops = &fake_ops, .source = &fake_ns};
    CHECK_EQ(clock_now_ns(&fake), 42);
    fake_ns += 1000;
    CHECK_EQ(clock_now_ns(&fake), 1042);
}

Test(clock, adds_up_to_never_and_no_further, .timeout = 5)
{
    CHECK_EQ(clock_add_ns(5, 6), 11);
    CHECK(clock_add_ns(CLOCK_NEVER_NS - 1, 1) == CLOCK_NEVER_NS);
    CHECK(clock_add_ns(1, CLOCK_NEVER_NS) == CLOCK_NEVER_NS);
    CHECK(clock_add_ns(CLOCK_NEVER_NS, 0) == CLOCK_NEVER_NS);
}
