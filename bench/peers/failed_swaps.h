/*
 * Failed swaps: weft's compare-and-swaps, which here count how often they fail. bench/scaling.py has this included before everything else, in
 * a build of its own, so that the library knows nothing of it.
 *
 * The meaning stays that of weft/atomic.h, and so does the cost of one that succeeds, but for a branch.
 */
#ifndef BENCH_PEERS_FAILED_SWAPS_H
#define BENCH_PEERS_FAILED_SWAPS_H

#if !defined(__ASSEMBLER__)

#include "weft/atomic.h"

/* How many have failed in all threads; orders nothing. bench/scale.c defines it. */
extern uint64_t failed_swaps;

static inline bool failed_swaps_count(bool has_swapped)
{
    if (!has_swapped)
        weft_atomic_add_relaxed(&failed_swaps, 1);
    return has_swapped;
}

#define FAILED_SWAPS_CAS(ptr, expected, desired, success, failure)                                                                         \
    failed_swaps_count(__atomic_compare_exchange_n((ptr), (expected), (desired), false, (success), (failure)))

#undef weft_atomic_cas_relaxed
#undef weft_atomic_cas_acquire
#undef weft_atomic_cas_release
#undef weft_atomic_cas_acq_rel
#undef weft_atomic_cas_seq_cst
#define weft_atomic_cas_relaxed(ptr, expected, desired) FAILED_SWAPS_CAS(ptr, expected, desired, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define weft_atomic_cas_acquire(ptr, expected, desired) FAILED_SWAPS_CAS(ptr, expected, desired, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define weft_atomic_cas_release(ptr, expected, desired) FAILED_SWAPS_CAS(ptr, expected, desired, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define weft_atomic_cas_acq_rel(ptr, expected, desired) FAILED_SWAPS_CAS(ptr, expected, desired, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define weft_atomic_cas_seq_cst(ptr, expected, desired) FAILED_SWAPS_CAS(ptr, expected, desired, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

#endif /* __ASSEMBLER__ */

#endif
