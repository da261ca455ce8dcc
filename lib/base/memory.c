/*
 * Memory: the table of <weft/memory.h> and the calls that go through it.
 *
 * Every room allocates here and nowhere else, so that a test can make any allocation fail. The table is written only while weft does
 * nothing, so reading it takes no lock. The edge cases in which allocators differ (zero bytes, overflow, odd lengths) end here: a table
 * never sees them.
 */
#include "lib/base/memory.h"

#include "weft/status.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *memory_malloc_clear(size_t count, size_t bytes);

static const struct weft_memory memory_default = {
    .size = sizeof(struct weft_memory),
    .malloc = malloc,
    .calloc = calloc,
    .realloc = realloc,
    .aligned_alloc = aligned_alloc,
    .free = free,
};

/* Not `= memory_default`: C has no constant structs. Spelled again, so that memory works before main(). */
static struct weft_memory memory_now = {
    .size = sizeof(struct weft_memory),
    .malloc = malloc,
    .calloc = calloc,
    .realloc = realloc,
    .aligned_alloc = aligned_alloc,
    .free = free,
};

int weft_memory_set(const struct weft_memory *memory)
{
    if (memory == NULL) {
        memory_now = memory_default;
        return 0;
    }
    if (memory->size < sizeof(*memory))
        return WEFT_EPROTOCOL;
    if (memory->malloc == NULL || memory->realloc == NULL || memory->aligned_alloc == NULL || memory->free == NULL)
        return WEFT_EPROTOCOL;
    memory_now = *memory;
    if (memory_now.calloc == NULL)
        memory_now.calloc = memory_malloc_clear;
    return 0;
}

struct weft_memory memory_get(void)
{
    return memory_now;
}

static size_t memory_at_least_one(size_t bytes)
{
    return bytes == 0 ? 1 : bytes;
}

void *weft_malloc(size_t bytes)
{
    return memory_now.malloc(memory_at_least_one(bytes));
}

void *weft_calloc(size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    return total == 0 ? memory_now.calloc(1, 1) : memory_now.calloc(count, bytes);
}

void *weft_realloc(void *ptr, size_t bytes)
{
    return memory_now.realloc(ptr, memory_at_least_one(bytes));
}

void *weft_aligned_alloc(size_t align_bytes, size_t bytes)
{
    assert(align_bytes != 0 && (align_bytes & (align_bytes - 1)) == 0);
    if (bytes > SIZE_MAX - align_bytes)
        return NULL;
    size_t rounded_bytes = (memory_at_least_one(bytes) + align_bytes - 1) & ~(align_bytes - 1);
    return memory_now.aligned_alloc(align_bytes, rounded_bytes);
}

void weft_free(void *ptr)
{
    if (ptr != NULL)
        memory_now.free(ptr);
}

/* The calloc of a table without one. The product has been checked. */
static void *memory_malloc_clear(size_t count, size_t bytes)
{
    void *ptr = memory_now.malloc(count * bytes);
    return ptr == NULL ? NULL : memset(ptr, 0, count * bytes);
}
