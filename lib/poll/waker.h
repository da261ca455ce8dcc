/*
 * Waker: the word and the eventfd that end another thread's sleep.
 *
 * The sleeper watches `fd` (edge-triggered, and then it never reads it) or blocks in waker_block(). Between two calls of waker_take() any
 * number of waker_wake() cost one write.
 */
#ifndef LIB_POLL_WAKER_H
#define LIB_POLL_WAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/atomic.h"

struct waker {
    uint32_t is_signalled; /* set by wakers before their write, cleared by the sleeper; stale only towards set */
    int fd;                /* -1 before init and after fini */
};

/* Open the eventfd. 0; -errno. thread: any, before all others */
int waker_init(struct waker *waker);

/* Close it; good after a failed init too. thread: any, after all others */
void waker_fini(struct waker *waker);

/* Signal. True if that took a system call. thread: any, and signal handlers; errno stays as it was */
bool waker_wake(struct waker *waker);

/* Tell whether there was a signal since the last call, and see all that was written before it. thread: the sleeper */
bool waker_take(struct waker *waker);

/* Tell whether take would say that there was one; a hint. thread: the sleeper */
static inline bool waker_is_signalled(const struct waker *waker)
{
    return weft_atomic_load_relaxed(&waker->is_signalled) != 0;
}

/* Block until a signal; may return early. thread: the sleeper */
void waker_block(struct waker *waker);

#endif
