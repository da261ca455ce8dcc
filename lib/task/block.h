/*
 * Blocks: the memory of tasks that have ended, which their loop keeps for the next ones.
 *
 * A task that is over makes room for one more, mostly, and an allocator that is asked for hundreds at a time goes to its slow path for each
 * of them: a quarter of the time that a batch of tasks takes. So a loop keeps what its own thread lets go, up to a number; what another
 * thread lets go, or is too large, goes back to the allocator, which all of it has come from. Sanitizers are to see each end: there nothing
 * is kept.
 */
#ifndef LIB_TASK_BLOCK_H
#define LIB_TASK_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "weft/memory.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(WEFT_ATOMIC_MODEL) || defined(WEFT_VALGRIND)
enum { BLOCKS_ARE_KEPT = 0 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
enum { BLOCKS_ARE_KEPT = 0 };
#else
enum { BLOCKS_ARE_KEPT = 1 };
#endif
#else
enum { BLOCKS_ARE_KEPT = 1 };
#endif

/* How large a block is: a step of small state, a fiber, or anything. */
enum block_kind { BLOCK_ANY, BLOCK_256, BLOCK_320, BLOCK_KINDS };

enum { BLOCKS_KEPT_MAX = 512 };

struct block_list {
    void *newest; /* each leads to the next by its first word */
    uint32_t count;
};

/* Those of one loop, for its thread. All zero is none. */
struct block_cache {
    struct block_list lists[BLOCK_KINDS];
};

static inline enum block_kind block_kind(size_t bytes)
{
    if (!BLOCKS_ARE_KEPT || bytes > 320)
        return BLOCK_ANY;
    return bytes > 256 ? BLOCK_320 : BLOCK_256;
}

/*
 * A block of `bytes`, which are of `kind`.
 *
 * thread:  the owner of `cache`, which may be NULL for a thread that has none
 * returns: NULL when out of memory
 */
static inline void *block_take(struct block_cache *cache, enum block_kind kind, size_t bytes)
{
    if (kind == BLOCK_ANY)
        return weft_malloc(bytes);
    struct block_list *list = cache == NULL ? NULL : &cache->lists[kind];
    if (list == NULL || list->newest == NULL)
        return weft_malloc(kind == BLOCK_256 ? 256 : 320);
    void *block = list->newest;
    list->newest = *(void **)block;
    list->count--;
    return block;
}

/* Give back a block of `kind`. thread: as block_take() */
static inline void block_give(struct block_cache *cache, enum block_kind kind, void *block)
{
    if (kind == BLOCK_ANY || cache == NULL || cache->lists[kind].count == BLOCKS_KEPT_MAX) {
        weft_free(block);
        return;
    }
    struct block_list *list = &cache->lists[kind];
    *(void **)block = list->newest;
    list->newest = block;
    list->count++;
}

/* Give all that is kept back to the allocator. thread: the owner of `cache` */
static inline void block_cache_flush(struct block_cache *cache)
{
    for (int kind = 0; kind < BLOCK_KINDS; kind++)
        while (cache->lists[kind].newest != NULL) {
            void *block = cache->lists[kind].newest;
            cache->lists[kind].newest = *(void **)block;
            weft_free(block);
        }
}

#endif
