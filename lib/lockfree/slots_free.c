/*
 * Slots, the free ones: per-thread caches above one shared list of blocks, above segments that are added and never taken away.
 *
 * Called by slots.c. A block is a chain of up to SLOTS_BLOCK free slots that moves between a cache and the list with one compare and
 * swap. In the content word of a free slot, the low half is the link to the next slot of its block, and in a block's first slot the
 * high half is the link to the next block. A link is an index plus one, 0 ends. Invariant: whoever popped a block has it alone.
 */
#include "lib/lockfree/slots_free.h"

#include "weft/memory.h"
#include "weft/status.h"

#include <errno.h>
#include <string.h>

static uint32_t low(uint64_t word)
{
    return (uint32_t)word;
}

static uint32_t high(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static uint64_t both(uint32_t high_half, uint32_t low_half)
{
    return (uint64_t)high_half << 32 | low_half;
}

static uint64_t *content_of(struct slots *slots, uint32_t link)
{
    return &slots_slot(slots, link - 1)->content;
}

/* Put the block that starts at `first` on the list. */
static void block_push(struct slots *slots, uint32_t first)
{
    uint64_t *content = content_of(slots, first);
    uint64_t head = weft_atomic_load_relaxed(&slots->free_head);
    do {
        weft_atomic_store_relaxed(content, both(low(head), low(weft_atomic_load_relaxed(content))));
        /* The links, and the state words' last values. Pairs with the acquire in block_pop(). */
    } while (!weft_atomic_cas_release(&slots->free_head, &head, both(high(head), first)));
}

/* Take a block off the list; 0 if there is none. */
static uint32_t block_pop(struct slots *slots)
{
    /* The links of the block. Pairs with the release in block_push(), through pops since, which are read-modify-writes. */
    uint64_t head = weft_atomic_load_acquire(&slots->free_head);
    uint64_t rest;
    do {
        if (low(head) == 0)
            return 0;
        /* May be nonsense if the block was popped since: then the tag has moved on, and the swap fails. */
        uint64_t content = weft_atomic_load_relaxed(content_of(slots, low(head)));
        rest = both(high(head) + 1, high(content));
        /* When it fails, the head is read anew: Pairs with the release in block_push(), as above. */
    } while (!weft_atomic_cas_acq_rel(&slots->free_head, &head, rest));
    return low(head);
}

/* See to it that the segment of `index` is there. */
static int segment_ensure(struct slots *slots, uint32_t index)
{
    uint64_t place = (uint64_t)index + SLOTS_FIRST_SEGMENT;
    uint32_t i = (uint32_t)__builtin_clzll(SLOTS_FIRST_SEGMENT) - (uint32_t)__builtin_clzll(place);
    if (weft_atomic_load_relaxed(&slots->segments[i]) != NULL)
        return 0;
    struct slots_page *segment = weft_calloc((size_t)(SLOTS_FIRST_SEGMENT / SLOTS_PAGE) << i, sizeof *segment);
    if (segment == NULL)
        return -ENOMEM;
    struct slots_page *none = NULL;
    /* The zeros. Pairs with the acquire in slots_page(). */
    if (!weft_atomic_cas_release(&slots->segments[i], &none, segment))
        weft_free(segment);
    return 0;
}

/* Make a block of slots that were never used, lowest index last, since caches hand out from their end. */
static int block_fresh(struct slots *slots, uint32_t *first_out)
{
    uint64_t fresh = weft_atomic_load_relaxed(&slots->fresh);
    do {
        if (fresh + SLOTS_BLOCK > SLOTS_MAX)
            return WEFT_EFULL;
        int status = segment_ensure(slots, (uint32_t)fresh);
        if (status < 0)
            return status;
        /* The segment, be it set by this thread or found: who reads this word then loads no older pointer than was found here. Pairs with
         * the acquire in slots_fresh(). */
    } while (!weft_atomic_cas_release(&slots->fresh, &fresh, fresh + SLOTS_BLOCK));
    uint32_t link = 0;
    for (uint32_t i = 0; i < SLOTS_BLOCK; i++) {
        uint32_t here = (uint32_t)fresh + i + 1;
        weft_atomic_store_relaxed(content_of(slots, here), both(0, link));
        link = here;
    }
    *first_out = link;
    return 0;
}

/* Chain `count` indices, the first one first, and put them on the list. */
static void block_spill(struct slots *slots, const uint32_t *index, uint32_t count)
{
    uint32_t link = 0;
    while (count-- > 0) {
        weft_atomic_store_relaxed(content_of(slots, index[count] + 1), both(0, link));
        link = index[count] + 1;
    }
    if (link != 0)
        block_push(slots, link);
}

static void cache_fill(struct slots *slots, struct slots_cache *cache, uint32_t first)
{
    for (uint32_t link = first; link != 0; link = low(weft_atomic_load_relaxed(content_of(slots, link))))
        cache->index[cache->count++] = link - 1;
}

/* The cache is empty: fill it with a block's worth at least, if the list has as much; it may be in crumbs. */
static int cache_refill(struct slots *slots, struct slots_cache *cache)
{
    uint32_t first;
    while (cache->count < SLOTS_BLOCK && (first = block_pop(slots)) != 0)
        cache_fill(slots, cache, first);
    if (cache->count > 0)
        return 0;
    int status = block_fresh(slots, &first);
    if (status == 0)
        cache_fill(slots, cache, first);
    return status;
}

/* For a thread without a cache: take a block and put all but its first slot back. */
static int take_shared(struct slots *slots, uint32_t *index_out)
{
    uint32_t first = block_pop(slots);
    if (first == 0) {
        int status = block_fresh(slots, &first);
        if (status < 0)
            return status;
    }
    uint32_t rest = low(weft_atomic_load_relaxed(content_of(slots, first)));
    if (rest != 0)
        block_push(slots, rest);
    *index_out = first - 1;
    return 0;
}

int slots_free_take(struct slots *slots, struct slots_cache *cache, uint32_t *index_out)
{
    if (cache == NULL)
        return take_shared(slots, index_out);
    if (cache->count == 0) {
        int status = cache_refill(slots, cache);
        if (status < 0)
            return status;
    }
    *index_out = cache->index[--cache->count];
    return 0;
}

void slots_free_give(struct slots *slots, struct slots_cache *cache, uint32_t index)
{
    if (cache == NULL) {
        block_spill(slots, &index, 1);
        return;
    }
    if (cache->count == 2 * SLOTS_BLOCK) {
        block_spill(slots, cache->index, SLOTS_BLOCK);
        cache->count -= SLOTS_BLOCK;
        memcpy(cache->index, cache->index + SLOTS_BLOCK, SLOTS_BLOCK * sizeof *cache->index);
    }
    cache->index[cache->count++] = index;
}

void slots_cache_flush(struct slots *slots, struct slots_cache *cache)
{
    while (cache->count > 0) {
        uint32_t count = cache->count < SLOTS_BLOCK ? cache->count : SLOTS_BLOCK;
        cache->count -= count;
        block_spill(slots, cache->index + cache->count, count);
    }
}

uint64_t slots_free_listed(struct slots *slots)
{
    uint64_t listed = 0;
    uint32_t block = low(weft_atomic_load_relaxed(&slots->free_head));
    while (block != 0) {
        for (uint32_t link = block; link != 0; link = low(weft_atomic_load_relaxed(content_of(slots, link))))
            listed++;
        block = high(weft_atomic_load_relaxed(content_of(slots, block)));
    }
    return listed;
}
