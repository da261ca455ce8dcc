/*
 * Ring: the stealable work of one loop. Bounded; its owner pushes at the tail and takes the oldest at the head, others take half.
 *
 *     owner                                       thief
 *         if (!ring_push(ring, work))                 count = ring_steal(victim, own);
 *             ring_take_half(ring, &list);            work = ring_pop(own);
 *         work = ring_pop(ring);
 *
 *             head                       tail
 *     [ free | oldest | work | … | newest | free … ]        counters only grow; an index is a counter modulo RING_CAPACITY
 *
 * Whoever takes copies slots first and then moves `head` by one compare-and-swap: if that succeeds, nobody else has taken them, and the
 * owner has not written over them, since it does so only once it has seen `head` beyond. 64 bits do not wrap in the life of a machine, so
 * a counter that came back cannot be mistaken.
 *
 * It is the queue of Go's scheduler (runq) and of tokio's: first in, first out for all.
 */
#ifndef LIB_LOCKFREE_RING_H
#define LIB_LOCKFREE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/atomic.h"
#include "weft/work.h"

/* A power of two. Models and tests of the full ring make it small. */
#if !defined(RING_CAPACITY)
#define RING_CAPACITY 256
#endif

struct ring {
    uint64_t head __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* atomic: everybody's; only grows */
    uint64_t tail __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* atomic: written by the owner; only grows */
    struct weft_work *slots[RING_CAPACITY];                        /* atomic: written by the owner */
};

/*
 * Make `ring` empty, with both counters at `start` (0 but in tests).
 *
 * thread:  before it is shared
 */
void ring_init(struct ring *ring, uint64_t start);

/*
 * Push behind the newest. Sequentially consistent: a load of that order which follows is not done before, so that the pusher either sees
 * who has gone to sleep, or is seen by him (see lib/sched/crew.c).
 *
 * thread:  the owner
 * returns: false if it is full
 */
bool ring_push(struct ring *ring, struct weft_work *work);

/*
 * Take the oldest.
 *
 * thread:  the owner
 * returns: NULL if there is none
 */
struct weft_work *ring_pop(struct ring *ring);

/*
 * Take the older half, rounded up, as a chain.
 *
 * thread:  the owner
 * returns: how many were appended to `list`
 */
size_t ring_take_half(struct ring *ring, struct weft_work_list *list);

/*
 * Move the older half of `victim`, rounded up, to the end of `own`. Gives up if others are at it at the same time too often.
 *
 * thread:  the owner of `own`
 * returns: how many were moved
 */
size_t ring_steal(struct ring *victim, struct ring *own);

/*
 * How many more can be pushed; others only make it more.
 *
 * thread:  the owner
 */
size_t ring_room(const struct ring *ring);

/*
 * How many there are, roughly, without an order. It may be nonsense while others are at it, but is 0 for a ring that nobody touches.
 *
 * thread:  any
 */
static inline size_t ring_count_hint(const struct ring *ring)
{
    return (size_t)(weft_atomic_load_relaxed(&ring->tail) - weft_atomic_load_relaxed(&ring->head));
}

/*
 * How many there are: exact for the owner when nobody steals, else a hint that was true at some moment. Sequentially consistent, for who has
 * announced that he goes to sleep.
 *
 * thread:  any
 */
static inline size_t ring_count(const struct ring *ring)
{
    /* Head first: the tail that is read after it is not smaller. Pairs with the release in take(). */
    uint64_t head = weft_atomic_load_acquire(&ring->head);
    /* Pairs with the exchange in ring_push(). */
    return (size_t)(weft_atomic_load_seq_cst(&ring->tail) - head);
}

#endif
