/*
 * Threads for stress tests: start some on one function, join them all; and a small random generator, so that each run of a test takes
 * the same decisions.
 */
#ifndef TESTS_LOCKFREE_THREADS_H
#define TESTS_LOCKFREE_THREADS_H

#include "tests/support/test.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { THREADS_MAX = 8 };

struct threads {
    pthread_t thread[THREADS_MAX];
    size_t count;
};

static inline void threads_start(struct threads *threads, void *(*fn)(void *arg), void *arg)
{
    CHECK(threads->count < THREADS_MAX);
    CHECK_EQ(pthread_create(&threads->thread[threads->count++], NULL, fn, arg), 0);
}

static inline void threads_join(struct threads *threads)
{
    while (threads->count > 0)
        CHECK_EQ(pthread_join(threads->thread[--threads->count], NULL), 0);
}

/* xorshift64*; the seed is not 0. */
static inline uint32_t random_next(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (uint32_t)((*seed * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

#endif
