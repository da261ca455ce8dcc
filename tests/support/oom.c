/*
 * The counting allocator of oom.h, on top of the C library's. All its state is four words that any thread may touch; they are counters,
 * so nothing needs an order among them.
 */
#include "tests/support/oom.h"

#include <stdlib.h>

#include "tests/support/test.h"
#include "weft/atomic.h"
#include "weft/memory.h"

static uint64_t asked;
static uint64_t refuse_first; /* 0: none */
static uint64_t refuse_last;
static uint64_t refused;
static int64_t live;

static bool is_refused(void)
{
    uint64_t number = weft_atomic_add_relaxed(&asked, 1) + 1;
    uint64_t from = weft_atomic_load_relaxed(&refuse_first);
    if (!from || number < from || number > weft_atomic_load_relaxed(&refuse_last))
        return false;
    weft_atomic_add_relaxed(&refused, 1);
    return true;
}

static void *count(void *ptr)
{
    if (ptr)
        weft_atomic_add_relaxed(&live, 1);
    return ptr;
}

static void *oom_malloc(size_t bytes)
{
    return is_refused() ? NULL : count(malloc(bytes));
}

static void *oom_calloc(size_t number, size_t bytes)
{
    return is_refused() ? NULL : count(calloc(number, bytes));
}

static void *oom_realloc(void *ptr, size_t bytes)
{
    if (is_refused())
        return NULL;
    return ptr ? realloc(ptr, bytes) : count(malloc(bytes));
}

static void *oom_aligned_alloc(size_t align_bytes, size_t bytes)
{
    return is_refused() ? NULL : count(aligned_alloc(align_bytes, bytes));
}

static void oom_free(void *ptr)
{
    if (ptr)
        weft_atomic_sub_relaxed(&live, 1);
    free(ptr);
}

void oom_install(void)
{
    static const struct weft_memory table = {
        .size = sizeof table,
        .malloc = oom_malloc,
        .calloc = oom_calloc,
        .realloc = oom_realloc,
        .aligned_alloc = oom_aligned_alloc,
        .free = oom_free,
    };
    CHECK_EQ(weft_memory_set(&table), 0);
}

static void refuse(uint64_t from, uint64_t last)
{
    weft_atomic_store_relaxed(&refuse_first, 0);
    weft_atomic_store_relaxed(&asked, 0);
    weft_atomic_store_relaxed(&refused, 0);
    weft_atomic_store_relaxed(&refuse_last, last);
    weft_atomic_store_relaxed(&refuse_first, from);
}

void oom_start(uint64_t nth)
{
    refuse(nth, nth);
}

void oom_start_from(uint64_t nth)
{
    refuse(nth, UINT64_MAX);
}

bool oom_stop(void)
{
    weft_atomic_store_relaxed(&refuse_first, 0);
    return weft_atomic_load_relaxed(&refused) != 0;
}

uint64_t oom_asked(void)
{
    return weft_atomic_load_relaxed(&asked);
}

int64_t oom_live(void)
{
    return weft_atomic_load_relaxed(&live);
}
