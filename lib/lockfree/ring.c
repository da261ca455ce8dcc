/*
 * Ring: pushing, popping, stealing. Called by the worker that owns it and by the thieves of its crew. The invariant: a work is returned
 * by exactly one pop, take or steal.
 */
#include "lib/lockfree/ring.h"

_Static_assert((RING_CAPACITY & (RING_CAPACITY - 1)) == 0, "an index is a counter modulo the capacity");

enum { STEAL_TRIES = 4 };

void ring_init(struct ring *ring, uint64_t start)
{
    ring->head = start;
    ring->tail = start;
}

static struct weft_work **slot(struct ring *ring, uint64_t counter)
{
    return &ring->slots[counter % RING_CAPACITY];
}

/* How many the owner may still push. */
static uint64_t room(const struct ring *ring, uint64_t tail)
{
    /* Pairs with the release of who moved the head: he has read the slots that are written over now. */
    return RING_CAPACITY - (tail - weft_atomic_load_acquire(&ring->head));
}

size_t ring_room(const struct ring *ring)
{
    return (size_t)room(ring, weft_atomic_load_relaxed(&ring->tail));
}

bool ring_push(struct ring *ring, struct weft_work *work)
{
    uint64_t tail = weft_atomic_load_relaxed(&ring->tail);
    if (room(ring, tail) == 0)
        return false;
    weft_atomic_store_relaxed(slot(ring, tail), work);
    /* Release: the slot and the work. Pairs with the acquire in claim(). Seq_cst: Pairs with ring_count() of a loop that parks. */
    (void)weft_atomic_exchange_seq_cst(&ring->tail, tail + 1);
    return true;
}

/* The head of what can be taken now, and how many from there on. Zero is a moment's truth. */
static uint64_t claim(const struct ring *ring, uint64_t *head_out)
{
    /* Relaxed: take() fails on one that is outdated, and which slots may be read the tail says. */
    *head_out = weft_atomic_load_relaxed(&ring->head);
    /* Pairs with the exchange in ring_push() and the release in publish(): the slots up to it. */
    uint64_t count = weft_atomic_load_acquire(&ring->tail) - *head_out;
    /* More: others have taken and the owner has pushed since the head was read, or others have taken what this tail does not show yet. */
    return count > RING_CAPACITY ? 0 : count;
}

static bool take(struct ring *ring, uint64_t head, uint64_t count)
{
    /* Release: the slots have been read. Pairs with the acquire in room(). And the tail that was seen: Pairs with that in ring_count(). */
    return weft_atomic_cas_release(&ring->head, &head, head + count);
}

struct weft_work *ring_pop(struct ring *ring)
{
    for (;;) {
        uint64_t head;
        if (claim(ring, &head) == 0)
            return NULL;
        struct weft_work *work = weft_atomic_load_relaxed(slot(ring, head));
        if (take(ring, head, 1))
            return work;
    }
}

size_t ring_take_half(struct ring *ring, struct weft_work_list *list)
{
    for (;;) {
        struct weft_work *works[RING_CAPACITY];
        uint64_t head;
        uint64_t count = claim(ring, &head);
        count -= count / 2;
        for (uint64_t i = 0; i < count; i++)
            works[i] = weft_atomic_load_relaxed(slot(ring, head + i));
        if (count > 0 && !take(ring, head, count))
            continue;
        for (uint64_t i = 0; i < count; i++)
            weft_work_list_push(list, works[i]);
        return (size_t)count;
    }
}

/* Make `count` slots that were written behind the tail visible. */
static void publish(struct ring *ring, uint64_t tail, uint64_t count)
{
    /* Release: the slots. Pairs with the acquire in claim(). Nobody needs to be woken for them: the thief is awake and tells another. */
    weft_atomic_store_release(&ring->tail, tail + count);
}

size_t ring_steal(struct ring *victim, struct ring *own)
{
    uint64_t tail = weft_atomic_load_relaxed(&own->tail);
    uint64_t most = room(own, tail);
    for (int i = 0; i < STEAL_TRIES; i++) {
        uint64_t head;
        uint64_t count = claim(victim, &head);
        count -= count / 2;
        count = count < most ? count : most;
        if (count == 0)
            return 0;
        for (uint64_t j = 0; j < count; j++)
            weft_atomic_store_relaxed(slot(own, tail + j), weft_atomic_load_relaxed(slot(victim, head + j)));
        if (!take(victim, head, count))
            continue;
        publish(own, tail, count);
        return (size_t)count;
    }
    return 0;
}
