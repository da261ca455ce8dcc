/*
 * Parker: where a plain thread sleeps until another thread has something for it.
 *
 * A loop sleeps in its poller; the executor's threads and threads outside the runtime that wait for a result sleep here. A parker holds
 * at most one token. parker_unpark() puts it there, parker_park() takes it or sleeps until it comes, so that an unpark before the park is
 * never lost. The usual waiter publishes what it waits for, then:
 *
 *     while (!is_done(waiter)) {
 *         parker_park(&waiter->parker, CLOCK_NEVER_NS);
 *     }
 */
#ifndef LIB_BASE_PARKER_H
#define LIB_BASE_PARKER_H

#include <stdint.h>

/*
 * One word, three values:
 *   PARKER_EMPTY     nobody sleeps, no token. Set by the owner: when it takes a token, or leaves at its deadline.
 *   PARKER_SLEEPING  the owner sleeps or is about to. Set by the owner, only over EMPTY.
 *   PARKER_TOKEN     a token is there. Set by anybody, over all three; never stale: only the owner takes it away.
 */
struct parker {
    uint32_t state;
};

/* Make a parker without a token. thread: the one that owns it */
void parker_init(struct parker *parker);

/*
 * Take the token, sleeping until there is one or the operating system's monotonic clock has passed `deadline_ns`. What the thread that
 * gave the token did before is seen after. CLOCK_NEVER_NS sleeps without a limit; a deadline in the past only looks.
 *
 * thread:  the owner, outside of any loop (it blocks)
 * returns: 0 with the token, -ETIMEDOUT without; never before the deadline, and never for a signal
 */
int parker_park(struct parker *parker, uint64_t deadline_ns);

/*
 * Give the token, and wake the owner if it sleeps. Many tokens before the next park are one.
 *
 * thread:  any; async-signal-safe
 * memory:  the owner may take the token and free the parker while this call still runs: it touches the word once, and the wake that may
 *          follow only names its address
 */
void parker_unpark(struct parker *parker);

#endif
