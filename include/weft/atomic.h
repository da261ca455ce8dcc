/*
 * Atomics: the one door through which weft's lock-free code reaches memory.
 *
 * The words are plain integers and pointers, and the operations are compiler builtins with C11 meaning, so that a public struct may
 * hold an atomic word and still be valid C++17. Names end in the order they give. The same source compiles three ways: natively; under
 * ThreadSanitizer, where a fence is strengthened into a read-modify-write that the tool understands; and under a model checker that
 * defines WEFT_ATOMIC_MODEL and brings these names itself.
 *
 * Whoever orders memory writes down the pair: each acquire, release or fence is commented with the access it pairs with.
 *
 * thread:  any, all of them
 * memory:  nothing here allocates
 */
#ifndef WEFT_ATOMIC_H
#define WEFT_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

/* One cache line. Words that different threads write sit this far apart. */
#define WEFT_CACHE_LINE_BYTES 64

#if defined(WEFT_ATOMIC_MODEL)
#include "tests/model/atomic_model.h"
#else

#if defined(__SANITIZE_THREAD__)
#define WEFT_ATOMIC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_ATOMIC_TSAN 1
#endif
#endif

#define weft_atomic_load_relaxed(ptr) __atomic_load_n((ptr), __ATOMIC_RELAXED)
#define weft_atomic_load_acquire(ptr) __atomic_load_n((ptr), __ATOMIC_ACQUIRE)
#define weft_atomic_load_seq_cst(ptr) __atomic_load_n((ptr), __ATOMIC_SEQ_CST)

#define weft_atomic_store_relaxed(ptr, value) __atomic_store_n((ptr), (value), __ATOMIC_RELAXED)
#define weft_atomic_store_release(ptr, value) __atomic_store_n((ptr), (value), __ATOMIC_RELEASE)
#define weft_atomic_store_seq_cst(ptr, value) __atomic_store_n((ptr), (value), __ATOMIC_SEQ_CST)

#define weft_atomic_exchange_relaxed(ptr, value) __atomic_exchange_n((ptr), (value), __ATOMIC_RELAXED)
#define weft_atomic_exchange_acquire(ptr, value) __atomic_exchange_n((ptr), (value), __ATOMIC_ACQUIRE)
#define weft_atomic_exchange_release(ptr, value) __atomic_exchange_n((ptr), (value), __ATOMIC_RELEASE)
#define weft_atomic_exchange_acq_rel(ptr, value) __atomic_exchange_n((ptr), (value), __ATOMIC_ACQ_REL)
#define weft_atomic_exchange_seq_cst(ptr, value) __atomic_exchange_n((ptr), (value), __ATOMIC_SEQ_CST)

/* Compare and swap, strong: true if `*ptr` was `*expected` and is now `desired`; else `*expected` is what was found. */
#define weft_atomic_cas_relaxed(ptr, expected, desired)                                                                                    \
    __atomic_compare_exchange_n((ptr), (expected), (desired), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define weft_atomic_cas_acquire(ptr, expected, desired)                                                                                    \
    __atomic_compare_exchange_n((ptr), (expected), (desired), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define weft_atomic_cas_release(ptr, expected, desired)                                                                                    \
    __atomic_compare_exchange_n((ptr), (expected), (desired), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define weft_atomic_cas_acq_rel(ptr, expected, desired)                                                                                    \
    __atomic_compare_exchange_n((ptr), (expected), (desired), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define weft_atomic_cas_seq_cst(ptr, expected, desired)                                                                                    \
    __atomic_compare_exchange_n((ptr), (expected), (desired), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* Add and subtract; each returns the value from before. */
#define weft_atomic_add_relaxed(ptr, value) __atomic_fetch_add((ptr), (value), __ATOMIC_RELAXED)
#define weft_atomic_add_release(ptr, value) __atomic_fetch_add((ptr), (value), __ATOMIC_RELEASE)
#define weft_atomic_add_acq_rel(ptr, value) __atomic_fetch_add((ptr), (value), __ATOMIC_ACQ_REL)
#define weft_atomic_add_seq_cst(ptr, value) __atomic_fetch_add((ptr), (value), __ATOMIC_SEQ_CST)
#define weft_atomic_sub_relaxed(ptr, value) __atomic_fetch_sub((ptr), (value), __ATOMIC_RELAXED)
#define weft_atomic_sub_release(ptr, value) __atomic_fetch_sub((ptr), (value), __ATOMIC_RELEASE)
#define weft_atomic_sub_acq_rel(ptr, value) __atomic_fetch_sub((ptr), (value), __ATOMIC_ACQ_REL)
#define weft_atomic_sub_seq_cst(ptr, value) __atomic_fetch_sub((ptr), (value), __ATOMIC_SEQ_CST)

/* Set and clear bits; each returns the value from before. */
#define weft_atomic_or_relaxed(ptr, bits)   __atomic_fetch_or((ptr), (bits), __ATOMIC_RELAXED)
#define weft_atomic_and_relaxed(ptr, bits)  __atomic_fetch_and((ptr), (bits), __ATOMIC_RELAXED)
#define weft_atomic_or_acq_rel(ptr, bits)   __atomic_fetch_or((ptr), (bits), __ATOMIC_ACQ_REL)
#define weft_atomic_and_acq_rel(ptr, bits)  __atomic_fetch_and((ptr), (bits), __ATOMIC_ACQ_REL)
#define weft_atomic_and_release(ptr, bits)  __atomic_fetch_and((ptr), (bits), __ATOMIC_RELEASE)

/* Full fence: what is before it is seen by whoever sees what is after it, stores before loads included. */
#if defined(WEFT_ATOMIC_TSAN)
extern uint32_t weft_atomic_fence_word; /* TSan models no fence; a read-modify-write of one word orders the same pairs. */
#define weft_atomic_fence_seq_cst() ((void)__atomic_fetch_add(&weft_atomic_fence_word, 0, __ATOMIC_SEQ_CST))
#else
#define weft_atomic_fence_seq_cst() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/*
 * The same between a store and a load that have a read-modify-write between them, in a call that is not inlined or under another ordered
 * access: where each of those is a full fence, it is not paid for twice.
 */
#if (defined(__x86_64__) || defined(__i386__)) && !defined(WEFT_ATOMIC_TSAN)
#define weft_atomic_fence_seq_cst_by_rmw() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#else
#define weft_atomic_fence_seq_cst_by_rmw() weft_atomic_fence_seq_cst()
#endif

/* Bring the line of `*ptr` here for a read-modify-write that follows a load of it: one transfer instead of two. Orders nothing. */
#if defined(__x86_64__)
#define weft_atomic_fetch_line(ptr)                                                                                                        \
    __asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)(ptr))) /* does nothing where it is unknown */
#else
#define weft_atomic_fetch_line(ptr) __builtin_prefetch((ptr), 1)
#endif

/* Tell the core that this is a spin loop. Orders nothing. */
#if defined(__x86_64__) || defined(__i386__)
#define weft_atomic_pause() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define weft_atomic_pause() __asm__ __volatile__("yield")
#elif defined(__riscv)
#define weft_atomic_pause() __asm__ __volatile__(".insn i 0x0f, 0, x0, x0, 0x010") /* `pause`, which older assemblers do not know */
#else
#define weft_atomic_pause() ((void)0)
#endif

#endif /* WEFT_ATOMIC_MODEL */

#endif
