/*
 * Ledger: weft's memory table over the C library's heap, with a count. The runner installs it before anything else; where allocations shall
 * fail the simulator sits above it.
 *
 * The count is a word that any thread may touch: an executor's may still be on its way out. Nothing needs an order.
 */
#include "tests/sim/ledger.h"

#include <stdlib.h>

#include "weft/atomic.h"
#include "weft/memory.h"

static int64_t live;

static void *count(void *ptr)
{
    if (ptr != NULL)
        (void)weft_atomic_add_relaxed(&live, 1);
    return ptr;
}

static void *counted_malloc(size_t bytes)
{
    return count(malloc(bytes));
}

static void *counted_calloc(size_t number, size_t bytes)
{
    return count(calloc(number, bytes));
}

static void *counted_realloc(void *ptr, size_t bytes)
{
    return ptr == NULL ? count(malloc(bytes)) : realloc(ptr, bytes);
}

static void *counted_aligned_alloc(size_t align_bytes, size_t bytes)
{
    return count(aligned_alloc(align_bytes, bytes));
}

static void counted_free(void *ptr)
{
    if (ptr != NULL)
        (void)weft_atomic_sub_relaxed(&live, 1);
    free(ptr);
}

int ledger_install(void)
{
    static const struct weft_memory table = {
        .size = sizeof(table),
        .malloc = counted_malloc,
        .calloc = counted_calloc,
        .realloc = counted_realloc,
        .aligned_alloc = counted_aligned_alloc,
        .free = counted_free,
    };
    return weft_memory_set(&table);
}

int64_t ledger_live(void)
{
    return weft_atomic_load_relaxed(&live);
}
