/*
 * Atomics under the model checker: what weft/atomic.h is when WEFT_ATOMIC_MODEL is defined.
 *
 * Every use of an operation is a site: a static record in a section of its own, so that a program can list its sites without running them,
 * and weaken one of them at run time. See tests/model/README.md; how memory behaves is in tests/model/weak.c.
 */
#ifndef TESTS_MODEL_ATOMIC_MODEL_H
#define TESTS_MODEL_ATOMIC_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum model_order { MODEL_RELAXED, MODEL_ACQUIRE, MODEL_RELEASE, MODEL_ACQ_REL, MODEL_SEQ_CST };

enum model_kind { MODEL_LOAD, MODEL_STORE, MODEL_EXCHANGE, MODEL_ADD, MODEL_SUB, MODEL_OR, MODEL_AND, MODEL_CAS, MODEL_FENCE };

/* One use of an atomic operation in the source. `order` and `failure` are what is in force; a mutant changes them, or sets `is_late`. */
struct model_site {
    const char *file;
    const char *function;
    int line;
    enum model_kind kind;
    enum model_order declared;
    enum model_order order;
    enum model_order failure; /* of a compare-and-swap */
    bool is_late;             /* a store that passes the next atomic operation of its thread */
    uint64_t hits;
} __attribute__((aligned(64)));

uint64_t model_load(struct model_site *site, const volatile void *ptr, size_t size);
void model_store(struct model_site *site, volatile void *ptr, size_t size, uint64_t value);
uint64_t model_update(struct model_site *site, volatile void *ptr, size_t size, uint64_t operand);
bool model_cas(struct model_site *site, volatile void *ptr, size_t size, void *expected, uint64_t desired);
void model_fence(struct model_site *site);
void model_pause(void);

#define MODEL_SITE(kind_, order_, failure_)                                                                                                \
    __extension__({                                                                                                                        \
        static struct model_site site_                                                                                                     \
            __attribute__((section("model_sites"), used)) = {__FILE__, __func__, __LINE__, kind_, order_, order_, failure_, false, 0};     \
        &site_;                                                                                                                            \
    })

#define MODEL_VALUE(value) ((uint64_t)(uintptr_t)(value))

#define MODEL_LOAD_(ptr, order) ((__typeof__(*(ptr)))model_load(MODEL_SITE(MODEL_LOAD, order, MODEL_RELAXED), (ptr), sizeof(*(ptr))))
#define MODEL_STORE_(ptr, value, order)                                                                                                    \
    model_store(MODEL_SITE(MODEL_STORE, order, MODEL_RELAXED), (ptr), sizeof(*(ptr)), MODEL_VALUE(value))
#define MODEL_UPDATE_(kind, ptr, value, order)                                                                                             \
    ((__typeof__(*(ptr)))model_update(MODEL_SITE(kind, order, MODEL_RELAXED), (ptr), sizeof(*(ptr)), MODEL_VALUE(value)))
#define MODEL_CAS_(ptr, expected, desired, order, failure)                                                                                 \
    model_cas(MODEL_SITE(MODEL_CAS, order, failure), (ptr), sizeof(*(ptr)), (expected), MODEL_VALUE(desired))

#define weft_atomic_load_relaxed(ptr) MODEL_LOAD_(ptr, MODEL_RELAXED)
#define weft_atomic_load_acquire(ptr) MODEL_LOAD_(ptr, MODEL_ACQUIRE)
#define weft_atomic_load_seq_cst(ptr) MODEL_LOAD_(ptr, MODEL_SEQ_CST)

#define weft_atomic_store_relaxed(ptr, value) MODEL_STORE_(ptr, value, MODEL_RELAXED)
#define weft_atomic_store_release(ptr, value) MODEL_STORE_(ptr, value, MODEL_RELEASE)
#define weft_atomic_store_seq_cst(ptr, value) MODEL_STORE_(ptr, value, MODEL_SEQ_CST)

#define weft_atomic_exchange_relaxed(ptr, value) MODEL_UPDATE_(MODEL_EXCHANGE, ptr, value, MODEL_RELAXED)
#define weft_atomic_exchange_acquire(ptr, value) MODEL_UPDATE_(MODEL_EXCHANGE, ptr, value, MODEL_ACQUIRE)
#define weft_atomic_exchange_release(ptr, value) MODEL_UPDATE_(MODEL_EXCHANGE, ptr, value, MODEL_RELEASE)
#define weft_atomic_exchange_acq_rel(ptr, value) MODEL_UPDATE_(MODEL_EXCHANGE, ptr, value, MODEL_ACQ_REL)
#define weft_atomic_exchange_seq_cst(ptr, value) MODEL_UPDATE_(MODEL_EXCHANGE, ptr, value, MODEL_SEQ_CST)

#define weft_atomic_cas_relaxed(ptr, expected, desired) MODEL_CAS_(ptr, expected, desired, MODEL_RELAXED, MODEL_RELAXED)
#define weft_atomic_cas_acquire(ptr, expected, desired) MODEL_CAS_(ptr, expected, desired, MODEL_ACQUIRE, MODEL_RELAXED)
#define weft_atomic_cas_release(ptr, expected, desired) MODEL_CAS_(ptr, expected, desired, MODEL_RELEASE, MODEL_RELAXED)
#define weft_atomic_cas_acq_rel(ptr, expected, desired) MODEL_CAS_(ptr, expected, desired, MODEL_ACQ_REL, MODEL_ACQUIRE)
#define weft_atomic_cas_seq_cst(ptr, expected, desired) MODEL_CAS_(ptr, expected, desired, MODEL_SEQ_CST, MODEL_SEQ_CST)

#define weft_atomic_add_relaxed(ptr, value) MODEL_UPDATE_(MODEL_ADD, ptr, value, MODEL_RELAXED)
#define weft_atomic_add_release(ptr, value) MODEL_UPDATE_(MODEL_ADD, ptr, value, MODEL_RELEASE)
#define weft_atomic_add_acq_rel(ptr, value) MODEL_UPDATE_(MODEL_ADD, ptr, value, MODEL_ACQ_REL)
#define weft_atomic_add_seq_cst(ptr, value) MODEL_UPDATE_(MODEL_ADD, ptr, value, MODEL_SEQ_CST)
#define weft_atomic_sub_relaxed(ptr, value) MODEL_UPDATE_(MODEL_SUB, ptr, value, MODEL_RELAXED)
#define weft_atomic_sub_release(ptr, value) MODEL_UPDATE_(MODEL_SUB, ptr, value, MODEL_RELEASE)
#define weft_atomic_sub_acq_rel(ptr, value) MODEL_UPDATE_(MODEL_SUB, ptr, value, MODEL_ACQ_REL)
#define weft_atomic_sub_seq_cst(ptr, value) MODEL_UPDATE_(MODEL_SUB, ptr, value, MODEL_SEQ_CST)

#define weft_atomic_or_relaxed(ptr, bits)  MODEL_UPDATE_(MODEL_OR, ptr, bits, MODEL_RELAXED)
#define weft_atomic_and_relaxed(ptr, bits) MODEL_UPDATE_(MODEL_AND, ptr, bits, MODEL_RELAXED)
#define weft_atomic_or_acq_rel(ptr, bits)  MODEL_UPDATE_(MODEL_OR, ptr, bits, MODEL_ACQ_REL)
#define weft_atomic_and_acq_rel(ptr, bits) MODEL_UPDATE_(MODEL_AND, ptr, bits, MODEL_ACQ_REL)
#define weft_atomic_and_release(ptr, bits) MODEL_UPDATE_(MODEL_AND, ptr, bits, MODEL_RELEASE)

#define weft_atomic_fence_seq_cst()        model_fence(MODEL_SITE(MODEL_FENCE, MODEL_SEQ_CST, MODEL_RELAXED))
#define weft_atomic_fence_seq_cst_by_rmw() weft_atomic_fence_seq_cst()

#define weft_atomic_pause() model_pause()

#define weft_atomic_fetch_line(ptr) ((void)(ptr))

#ifdef __cplusplus
}
#endif

#endif
