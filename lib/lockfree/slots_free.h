/*
 * Slots, the free ones: where slots come from and go to. Used by slots.c alone.
 *
 * thread:  any, unless said otherwise; `cache` is the calling thread's own, or NULL
 */
#ifndef LIB_LOCKFREE_SLOTS_FREE_H
#define LIB_LOCKFREE_SLOTS_FREE_H

#include "lib/lockfree/slots.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Take the index of a free slot, from the cache, from the list, or a fresh one. Returns 0, -ENOMEM or WEFT_EFULL. */
int slots_free_take(struct slots *slots, struct slots_cache *cache, uint32_t *index_out);

/* Give back a slot that is no longer registered, and of which a generation is left. */
void slots_free_give(struct slots *slots, struct slots_cache *cache, uint32_t index);

/* How many slots are on the shared list. While no other call runs. */
uint64_t slots_free_listed(struct slots *slots);

/* How many slots have ever been handed out: the others have no memory yet. */
static inline uint64_t slots_fresh(struct slots *slots)
{
    /* The segments that hold them. Pairs with the release in block_fresh(). */
    return weft_atomic_load_acquire(&slots->fresh);
}

/* The page of the slot with this index; NULL if its segment does not exist, which is so only for an index that nobody was given. */
static inline struct slots_page *slots_page(struct slots *slots, uint32_t index)
{
    uint64_t place = (uint64_t)index + SLOTS_FIRST_SEGMENT;
    uint32_t i = (uint32_t)__builtin_clzll(SLOTS_FIRST_SEGMENT) - (uint32_t)__builtin_clzll(place);
    if (i >= SLOTS_SEGMENTS)
        return NULL;
    /* The pages' zeros. Pairs with the release in segment_ensure(). */
    struct slots_page *segment = weft_atomic_load_acquire(&slots->segments[i]);
    return segment == NULL ? NULL : segment + (place - ((uint64_t)SLOTS_FIRST_SEGMENT << i)) / SLOTS_PAGE;
}

/* The slot with this index, of a segment that exists. */
static inline struct slot *slots_slot(struct slots *slots, uint32_t index)
{
    return &slots_page(slots, index)->slots[index % SLOTS_PAGE];
}

#ifdef __cplusplus
}
#endif

#endif
