/*
 * Trylock: a lock that nobody waits for: who does not get it does something else. Concurrencykit's fetch-and-store spinlock.
 *
 * ThreadSanitizer and the model checker cannot see into its assembly, and not every machine has it (WEFT_WITHOUT_CK): for them the same
 * protocol stands here in our own atomics.
 */
#ifndef LIB_LOCKFREE_TRYLOCK_H
#define LIB_LOCKFREE_TRYLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/atomic.h"

#if defined(WEFT_ATOMIC_TSAN) || defined(WEFT_ATOMIC_MODEL) || defined(WEFT_WITHOUT_CK)

struct trylock {
    uint32_t is_held;
};

#define TRYLOCK_INIT                                                                                                                       \
    {                                                                                                                                      \
        0                                                                                                                                  \
    }

static inline bool trylock_take(struct trylock *lock)
{
    /* Pairs with the release in trylock_leave(). */
    return weft_atomic_exchange_acquire(&lock->is_held, 1) == 0;
}

static inline void trylock_leave(struct trylock *lock)
{
    /* Pairs with the acquire in trylock_take(). */
    weft_atomic_store_release(&lock->is_held, 0);
}

#else

#include <ck_spinlock.h>

struct trylock {
    ck_spinlock_fas_t spinlock;
};

#define TRYLOCK_INIT                                                                                                                       \
    {                                                                                                                                      \
        CK_SPINLOCK_FAS_INITIALIZER                                                                                                        \
    }

/* Take the lock if it is free; what its last holder did is seen then. thread: any */
static inline bool trylock_take(struct trylock *lock)
{
    return ck_spinlock_fas_trylock(&lock->spinlock);
}

/* Let it go. thread: the holder */
static inline void trylock_leave(struct trylock *lock)
{
    ck_spinlock_fas_unlock(&lock->spinlock);
}

#endif

#endif
