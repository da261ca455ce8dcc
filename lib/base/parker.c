/*
 * Parker: one futex word.
 *
 * Executor threads and plain threads that wait come here. No wake-up is lost: the owner sleeps only after it changed EMPTY to SLEEPING,
 * the kernel lets it sleep only while the word is SLEEPING, and who finds SLEEPING in exchange for its token wakes. A futex may wake for
 * no reason (a stale wake at a reused address), so the owner believes only the word.
 */
#include "lib/base/parker.h"

#include "weft/atomic.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PARKER_EMPTY = 0, PARKER_SLEEPING = 1, PARKER_TOKEN = 2 };

void parker_init(struct parker *parker)
{
    parker->state = PARKER_EMPTY;
}

/* Sleeps until the word is not SLEEPING, the deadline, a signal, or for no reason. */
static void parker_sleep(struct parker *parker, uint64_t deadline_ns)
{
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / UINT64_C(1000000000)),
        .tv_nsec = (long)(deadline_ns % UINT64_C(1000000000)),
    };
    /* The bitset form takes an absolute time of CLOCK_MONOTONIC, which a retry after a signal needs. Every error means: look again. */
    (void)syscall(SYS_futex, &parker->state, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, PARKER_SLEEPING,
                  deadline_ns == CLOCK_NEVER_NS ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Takes the token. If it leaves without one, the word is as the caller found it. */
static bool parker_take(struct parker *parker)
{
    uint32_t state = PARKER_TOKEN;
    /* Pairs with the release in parker_unpark(): what was done before the token was given. */
    return weft_atomic_cas_acquire(&parker->state, &state, PARKER_EMPTY);
}

/* Leaves SLEEPING at the deadline; a token that came at the last moment counts. */
static int parker_leave(struct parker *parker)
{
    /* Pairs with the release in parker_unpark(). */
    uint32_t state = weft_atomic_exchange_acquire(&parker->state, PARKER_EMPTY);
    return state == PARKER_TOKEN ? 0 : -ETIMEDOUT;
}

int parker_park(struct parker *parker, uint64_t deadline_ns)
{
    uint32_t state = PARKER_EMPTY;
    if (parker_take(parker))
        return 0;
    if (!weft_atomic_cas_relaxed(&parker->state, &state, PARKER_SLEEPING))
        return parker_leave(parker); /* the token came in between */
    while (deadline_ns == CLOCK_NEVER_NS || clock_monotonic_ns() < deadline_ns) {
        parker_sleep(parker, deadline_ns);
        if (parker_take(parker))
            return 0;
    }
    return parker_leave(parker);
}

void parker_unpark(struct parker *parker)
{
    int saved_errno = errno; /* a signal handler may be among the callers */
    /* Pairs with the acquires in parker_take() and parker_leave(). From here on the parker may be gone. */
    if (weft_atomic_exchange_release(&parker->state, PARKER_TOKEN) == PARKER_SLEEPING)
        (void)syscall(SYS_futex, &parker->state, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
    errno = saved_errno;
}
