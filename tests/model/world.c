/*
 * World: the doubles of world.h. A futex is a word and those that sleep on it; time stands still but for deadlines that pass.
 */
#include "tests/model/world.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "tests/model/engine.h"

enum { SLEEPERS_MAX = THREADS };

/* Put back before each run, as all static data. */
static uint64_t now_ns = UINT64_C(1000000000);
static struct {
    const uint32_t *word; /* NULL: does not sleep */
    struct model_token token;
} sleepers[SLEEPERS_MAX];

uint64_t model_ticks_step; /* 0: no time passes */
static _Thread_local uint64_t ticks;

uint64_t model_ticks(void)
{
    return ticks += model_ticks_step;
}

int model_clock_gettime(clockid_t clock, struct timespec *now_out)
{
    (void)clock;
    now_out->tv_sec = (time_t)(now_ns / UINT64_C(1000000000));
    now_out->tv_nsec = (long)(now_ns % UINT64_C(1000000000));
    return 0;
}

/* The kernel compares and sleeps in one step, and says nothing about order: what it reads is the newest value. */
static long futex_wait(uint32_t *word, uint32_t expected, const struct timespec *deadline)
{
    unsigned self = model_thread();
    struct operation operation = {.address = (uintptr_t)word, .size = sizeof(*word), .is_write = true};
    run_step(&operation);
    uint64_t value = weak_look_own("futex wait", operation.address, sizeof(*word), true);
    weak_know_newest(operation.address, sizeof(*word));
    if (value != expected) {
        errno = EAGAIN;
        return -1;
    }
    sleepers[self].word = word;
    sleepers[self].token.is_set = 0;
    if (deadline == NULL) {
        model_wait(&sleepers[self].token);
    } else if (!model_wait_timeout(&sleepers[self].token)) {
        sleepers[self].word = NULL;
        now_ns = (uint64_t)deadline->tv_sec * UINT64_C(1000000000) + (uint64_t)deadline->tv_nsec + 1;
        errno = ETIMEDOUT;
        return -1;
    }
    return 0;
}

static long futex_wake(const uint32_t *word)
{
    struct operation operation = {.address = (uintptr_t)word, .size = sizeof(*word), .is_write = true};
    run_step(&operation);
    (void)weak_look_own("futex wake", operation.address, sizeof(*word), true);
    for (unsigned i = 0; i < SLEEPERS_MAX; i++)
        if (sleepers[i].word == word) {
            sleepers[i].word = NULL;
            model_signal(&sleepers[i].token);
            return 1;
        }
    return 0;
}

long model_syscall(long number, ...)
{
    va_list args;
    va_start(args, number);
    uint32_t *word = va_arg(args, uint32_t *);
    int operation = va_arg(args, int) & ~FUTEX_PRIVATE_FLAG;
    uint32_t value = va_arg(args, uint32_t);
    const struct timespec *deadline = va_arg(args, const struct timespec *);
    va_end(args);
    if (number == SYS_sched_getattr) { /* which the product can do without */
        errno = ENOSYS;
        return -1;
    }
    if (number != SYS_futex)
        model_fail("a model has no system call %ld", number);
    return operation == FUTEX_WAKE ? futex_wake(word) : futex_wait(word, value, deadline);
}
