/*
 * Slots: registering, finding and walking. What the words mean is in slots.h; the free list is in slots_free.c.
 *
 * Called by the task registry, from every loop and any thread. Invariant: a slot belongs to exactly one of: the thread that is
 * registering or recycling it, its registration (live, or dying until the page's last unpin), a cache, the free list, or nobody (retired).
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

/* The one state in which the registration `id` is live. */
static uint64_t live_state(uint64_t id)
{
    return (id >> 32) << SLOTS_STATE_GENERATION | SLOTS_STATE_LIVE;
}

static uint64_t id_of(uint64_t state, uint32_t index)
{
    return (uint64_t)state_generation(state) << 32 | index;
}

static uint32_t pins_of(uint64_t page_word)
{
    return (uint32_t)page_word;
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
    weft_atomic_store_relaxed(&slot->content, (uint64_t)(uintptr_t)object);
    *id_out = generation << 32 | index;
    /* The object, and all that its maker wrote to it. Pairs with the seq_cst, as an acquire, in slot_state() and take_back(). */
    weft_atomic_store_release(&slot->state, live_state(*id_out));
    return 0;
}

/* The slot is this thread's alone, out of its registration: give it back, unless no generation is left. */
static void slot_recycle(struct slots *slots, struct slots_cache *cache, uint64_t generation, uint32_t index)
{
    if (generation != GENERATION_LAST)
        slots_free_give(slots, cache, index);
}

/* ---- ending --------------------------------------------------------------------------------------------------------------------- */

/* Leave the slot `id`, which is not live any more, to the last unpin of its page; false if that has been. `word` was read of the page. */
static bool page_defer(struct slots_page *page, uint64_t id, uint64_t word)
{
    uint32_t place = (uint32_t)id % SLOTS_PAGE;
    uint64_t generation = (id >> 32) << SLOTS_STATE_GENERATION;
    do {
        if (pins_of(word) == 0) {
            weft_atomic_store_relaxed(&page->slots[place].state, generation);
            return false;
        }
        weft_atomic_store_relaxed(&page->slots[place].state, generation | SLOTS_STATE_DYING | word >> 32);
        /* Release: the state, and what the caller did to the object. Pairs with the acquire in page_unpin(), whose last caller releases it.
         * Acquire, when the pins are gone: what others did while they had them. Pairs with the release there. */
    } while (!weft_atomic_cas_acq_rel(&page->pins, &word, (uint64_t)(place + 1) << 32 | pins_of(word)));
    return true;
}

/* As slots_take_back(), which also tells the object of one that is back. */
static enum slots_end take_back(struct slots *slots, struct slots_cache *cache, uint64_t id, void **object_out)
{
    struct slots_page *page = slots_page(slots, (uint32_t)id);
    if (page == NULL)
        return SLOTS_NONE;
    struct slot *slot = &page->slots[(uint32_t)id % SLOTS_PAGE];
    uint64_t live = live_state(id);
    /* Before the look at the pins. Pairs with the seq_cst in page_pin() and slot_state(): one of the two sees the other. */
    if (!weft_atomic_cas_seq_cst(&slot->state, &live, live & ~SLOTS_STATE_LIVE))
        return SLOTS_NONE;
    /* After it. Pairs with the seq_cst in page_pin(), and as an acquire with the release in page_unpin(): what others did to the object. */
    uint64_t word = weft_atomic_load_seq_cst(&page->pins);
    if (pins_of(word) != 0 && page_defer(page, id, word))
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

/* ---- looking -------------------------------------------------------------------------------------------------------------------- */

static void page_pin(struct slots_page *page)
{
    /* Before the look at the slots. Pairs with the seq_cst in take_back(). */
    uint64_t word = weft_atomic_add_seq_cst(&page->pins, 1);
    assert(pins_of(word) != UINT32_MAX);
    (void)word;
}

/* The state of a slot whose page is pinned. */
static uint64_t slot_state(struct slot *slot)
{
    /* After the pin. Pairs with the seq_cst in take_back(), and as an acquire with the release in slots_register(): the object. */
    return weft_atomic_load_seq_cst(&slot->state);
}

/* Recycle the dying slots of a page without pins, whose chain begins at `link`, and release their objects. */
static void page_bury(struct slots *slots, struct slots_cache *cache, struct slots_page *page, uint32_t first_index, uint64_t link)
{
    while (link != 0) {
        struct slot *slot = &page->slots[link - 1];
        uint64_t state = weft_atomic_load_relaxed(&slot->state);
        uint32_t index = first_index + (uint32_t)link - 1;
        void *object = slot_object(slot);
        weft_atomic_store_relaxed(&slot->state, state & ~(SLOTS_STATE_DYING | SLOTS_STATE_NEXT));
        slot_recycle(slots, cache, state_generation(state), index);
        slots->release(object);
        link = state & SLOTS_STATE_NEXT;
    }
}

/* `index` is of any slot in the page. */
static void page_unpin(struct slots *slots, struct slots_cache *cache, struct slots_page *page, uint32_t index)
{
    uint64_t word = weft_atomic_load_relaxed(&page->pins), rest;
    do {
        assert(pins_of(word) != 0);
        rest = pins_of(word) == 1 ? 0 : word - 1;
        /* Release: what this thread did to the objects. Pairs with the acquire in take_back() and page_defer(), and of the last unpin, here.
         * Acquire, for that one: what everybody did, and the chain of the dying. Pairs with the release in page_defer() and here. */
    } while (!weft_atomic_cas_acq_rel(&page->pins, &word, rest));
    if (rest == 0)
        page_bury(slots, cache, page, index - index % SLOTS_PAGE, word >> 32);
}

void *slots_pin(struct slots *slots, uint64_t id)
{
    struct slots_page *page = slots_page(slots, (uint32_t)id);
    if (page == NULL || id >> 32 == 0)
        return NULL;
    struct slot *slot = &page->slots[(uint32_t)id % SLOTS_PAGE];
    if (weft_atomic_load_relaxed(&slot->state) != live_state(id))
        return NULL;
    page_pin(page);
    if (slot_state(slot) == live_state(id))
        return slot_object(slot);
    page_unpin(slots, NULL, page, (uint32_t)id);
    return NULL;
}

void slots_unpin(struct slots *slots, struct slots_cache *cache, uint64_t id)
{
    page_unpin(slots, cache, slots_page(slots, (uint32_t)id), (uint32_t)id);
}

/* Store what is live in the pinned page that begins with slot `index`; how many. */
static size_t page_read(struct slots_page *page, uint32_t index, struct slots_entry *entries)
{
    size_t count = 0;
    for (uint32_t i = 0; i < SLOTS_PAGE; i++) {
        uint64_t state = slot_state(&page->slots[i]);
        if ((state & SLOTS_STATE_LIVE) == 0)
            continue;
        void *object = slot_object(&page->slots[i]);
        if (count < SLOTS_AHEAD)
            weft_atomic_fetch_line(object); /* the caller is about to take a reference of it */
        entries[count++] = (struct slots_entry){id_of(state, index + i), object};
    }
    return count;
}

size_t slots_walk(struct slots *slots, struct slots_cache *cache, uint64_t *cursor, struct slots_entry entries[SLOTS_PAGE])
{
    /* The cursor: where the walk shall end, fixed when it begins or it might never, and above that the next index. */
    uint64_t end = (uint32_t)*cursor;
    uint64_t next = *cursor >> 32;
    if (end == 0)
        end = slots_fresh(slots);
    size_t count = 0;
    for (; next < end && count == 0; next += SLOTS_PAGE) {
        struct slots_page *page = slots_page(slots, (uint32_t)next);
        page_pin(page);
        count = page_read(page, (uint32_t)next, entries);
        if (count == 0)
            page_unpin(slots, cache, page, (uint32_t)next);
    }
    *cursor = next << 32 | end;
    return count;
}

/* ---- counting ------------------------------------------------------------------------------------------------------------------- */

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
        census.pins += i % SLOTS_PAGE == 0 ? pins_of(weft_atomic_load_relaxed(&slots_page(slots, (uint32_t)i)->pins)) : 0;
    }
    return census;
}
