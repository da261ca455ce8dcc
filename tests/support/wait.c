/*
 * The one place in the tests that sleeps: between two looks at a condition, so that a machine with one core makes progress.
 */
#include "tests/support/wait.h"

#include <time.h>

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool wait_until(bool (*is_true)(void *arg), void *arg, int64_t deadline_ms)
{
    const struct timespec pause = {.tv_nsec = 50000};
    int64_t deadline = now_ms() + deadline_ms;
    while (!is_true(arg)) {
        if (now_ms() >= deadline)
            return is_true(arg);
        nanosleep(&pause, NULL);
    }
    return true;
}
