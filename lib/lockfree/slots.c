/*
 * Slots: registering, finding and walking. What the words mean is in slots.h; the free list is in slots_free.c.
 *
 * Called by the task registry, from every loop and any thread. Invariant: a slot belongs to exactly one of: the thread that is
 * registering or recycling it, its registration (live, or dying until the last unpin), a cache, the free list, or nobody (retired).
 */
#include "lib/lockfree/slots.h"

#include "weft/memory.h"

#include "lib/lockfree/slots_free.h"

#include <assert.h>
#include <string.h>

#define GENERATION_LAST UINT32_MAX

static uint32_t state_generation(uint64_t state)
{
    return (uint32_t)(state >> SLOTS_STATE_GENERATION);
}

static uint64_t id_of(uint64_t state, uint32_t index)
{
    return (uint64_t)state_generation(state) << 32 | index;
}

static void *slot_object(const struct slot *slot)
{
    /* Relaxed: the state word's acquire came before; atomic at all since a stale slots_free_pop() may read the word meanwhile. */
    return (void *)(uintptr_t)weft_atomic_load_relaxed(&slot->content);
}

void slots_init(struct slots *slots, void (*release)(void *object))
{
    memset(slots, 0, sizeof *slots);
    slots->release = release;
}

void slots_fini(struct slots *slots)
{
    for (uint32_t i = 0; i < SLOTS_SEGMENTS; i++)
        weft_free(slots->segments[i]);
    slots_init(slots, slots->release);
}

int slots_register(struct slots *slots, struct slots_cache *cache, void *object, uint64_t *id_out)
{
    assert(object != NULL);
    uint32_t index;
    int status = slots_free_take(slots, cache, &index);
    if (status < 0)
        return status;
    struct slot *slot = slots_slot(slots, index);
    uint64_t generation = state_generation(weft_atomic_load_relaxed(&slot->state)) + UINT64_C(1);
    uint64_t state = generation << SLOTS_STATE_GENERATION | SLOTS_STATE_LIVE;
    weft_atomic_store_relaxed(&slot->content, (uint64_t)(uintptr_t)object);
    *id_out = id_of(state, index);
    /* The object, and all that its maker wrote to it. Pairs with the acquire in slot_pin(), slots_unregister() and slots_unpin(). */
    weft_atomic_store_release(&slot->state, state);
    return 0;
}

/* The slot is this thread's alone, out of its registration: give it back, unless no generation is left. */
static void slot_recycle(struct slots *slots, struct slots_cache *cache, uint64_t generation, uint32_t index)
{
    if (generation != GENERATION_LAST)
        slots_free_give(slots, cache, index);
}

/* As slots_take_back(), which also tells the object of one that is back. */
static enum slots_end take_back(struct slots *slots, struct slots_cache *cache, uint64_t id, void **object_out)
{
    struct slot *slot = slots_slot(slots, (uint32_t)id);
    if (slot == NULL)
        return SLOTS_NONE;
    uint64_t state = weft_atomic_load_relaxed(&slot->state);
    uint64_t ended;
    do {
        if (!(state & SLOTS_STATE_LIVE) || state_generation(state) != id >> 32)
            return SLOTS_NONE;
        ended = state & ~SLOTS_STATE_LIVE;
        if (ended & SLOTS_STATE_PINS)
            ended |= SLOTS_STATE_DYING;
        /* Release: what the caller did to the object. Pairs with the acquire in slots_unpin(), whose last caller releases it. Acquire, when
         * nobody pins it: what others did while they had. Pairs with the release in slots_unpin() and in slots_register(). */
    } while (!weft_atomic_cas_acq_rel(&slot->state, &state, ended));
    if (ended & SLOTS_STATE_DYING)
        return SLOTS_PINNED;
    *object_out = slot_object(slot);
    slot_recycle(slots, cache, id >> 32, (uint32_t)id);
    return SLOTS_BACK;
}

enum slots_end slots_take_back(struct slots *slots, struct slots_cache *cache, uint64_t id)
{
    void *object;
    return take_back(slots, cache, id, &object);
}

bool slots_unregister(struct slots *slots, struct slots_cache *cache, uint64_t id)
{
    void *object;
    enum slots_end end = take_back(slots, cache, id, &object);
    if (end == SLOTS_BACK)
        slots->release(object);
    return end != SLOTS_NONE;
}

/* Pin the slot if it is live and of `generation`, or of any if that is 0. Stores the state that it was pinned in. */
static bool slot_pin(struct slot *slot, uint64_t generation, uint64_t *state_out)
{
    uint64_t state = weft_atomic_load_relaxed(&slot->state);
    do {
        if (!(state & SLOTS_STATE_LIVE) || (generation != 0 && state_generation(state) != generation))
            return false;
        assert((state & SLOTS_STATE_PINS) != SLOTS_STATE_PINS);
        /* The object. Pairs with the release in slots_register(), through the changes since, which are all read-modify-writes. */
    } while (!weft_atomic_cas_acquire(&slot->state, &state, state + 1));
    *state_out = state;
    return true;
}

void *slots_pin(struct slots *slots, uint64_t id)
{
    struct slot *slot = slots_slot(slots, (uint32_t)id);
    uint64_t state;
    if (slot == NULL || id >> 32 == 0 || !slot_pin(slot, id >> 32, &state))
        return NULL;
    return slot_object(slot);
}

void slots_unpin(struct slots *slots, struct slots_cache *cache, uint64_t id)
{
    struct slot *slot = slots_slot(slots, (uint32_t)id);
    /* Release: what this thread did to the object. Acquire, for the last one: what everybody did. Pairs with the release of the other
     * slots_unpin() calls, of slots_register() and of the slots_unregister() that made it dying, and with the acquire there. */
    uint64_t before = weft_atomic_sub_acq_rel(&slot->state, 1);
    assert(state_generation(before) == id >> 32 && (before & SLOTS_STATE_PINS) != 0);
    if ((before & (SLOTS_STATE_DYING | SLOTS_STATE_PINS)) != (SLOTS_STATE_DYING | 1))
        return;
    weft_atomic_store_relaxed(&slot->state, before & ~(SLOTS_STATE_DYING | SLOTS_STATE_PINS));
    void *object = slot_object(slot);
    slot_recycle(slots, cache, id >> 32, (uint32_t)id);
    slots->release(object);
}

size_t slots_walk(struct slots *slots, uint64_t *cursor, struct slots_entry *block, size_t max)
{
    assert(max > 0 && max <= SLOTS_WALK_BLOCK);
    /* The cursor: where the walk shall end, fixed when it begins or it might never, and above that the next index. */
    uint64_t end = (uint32_t)*cursor;
    uint64_t next = *cursor >> 32;
    if (end == 0)
        end = slots_fresh(slots);
    size_t count = 0;
    for (; next < end && count < max; next++) {
        struct slot *slot = slots_slot(slots, (uint32_t)next);
        uint64_t state;
        if (!slot_pin(slot, 0, &state))
            continue;
        block[count] = (struct slots_entry){id_of(state, (uint32_t)next), slot_object(slot)};
        __builtin_prefetch(block[count++].object); /* which the caller is about to take a reference of */
    }
    *cursor = next << 32 | end;
    return count;
}

uint64_t slots_count(struct slots *slots)
{
    uint64_t live = 0;
    for (uint64_t i = 0, end = slots_fresh(slots); i < end; i++)
        live += (weft_atomic_load_relaxed(&slots_slot(slots, (uint32_t)i)->state) & SLOTS_STATE_LIVE) != 0;
    return live;
}

struct slots_census slots_census(struct slots *slots)
{
    struct slots_census census = {.total = slots_fresh(slots), .listed = slots_free_listed(slots)};
    for (uint64_t i = 0; i < census.total; i++) {
        uint64_t state = weft_atomic_load_relaxed(&slots_slot(slots, (uint32_t)i)->state);
        bool live = state & SLOTS_STATE_LIVE, dying = state & SLOTS_STATE_DYING;
        census.live += live;
        census.dying += dying;
        census.retired += !live && !dying && state_generation(state) == GENERATION_LAST;
        census.pins += state & SLOTS_STATE_PINS;
    }
    return census;
}
