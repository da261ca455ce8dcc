/*
 * Timer heap: the timers of one loop, the earliest first.
 *
 * A 4-ary heap with the keys inline, so that sifting reads one or two cache lines a level and touches a timer only to tell it its new
 * place. That place makes a stop remove the entry for good: no dead entries, and so no rebuild. The sequence number makes timers of
 * the same nanosecond fire in the order of their arming (ADD-1).
 */
#ifndef LIB_LOOP_TIMER_HEAP_H
#define LIB_LOOP_TIMER_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "weft/timer.h"

struct timer_entry {
    uint64_t when_ns;
    uint64_t sequence;
    struct weft_timer *timer;
};

struct timer_heap {
    struct timer_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint32_t reserved; /* so many entries are kept for timers that must not fail */
    uint64_t sequence;
};

/* Insert `timer`, which is not in a heap, at `when_ns`. 0, or -ENOMEM. */
int timer_heap_insert(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns);

/* Keep an entry for a timer that timer_heap_insert_reserved() can be called with, until timer_heap_unreserve(). 0, or -ENOMEM. */
int timer_heap_reserve(struct timer_heap *heap);
void timer_heap_unreserve(struct timer_heap *heap);

/* As timer_heap_insert(), which cannot fail: for as many timers at a time as are reserved. */
void timer_heap_insert_reserved(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns);

/* Move `timer`, which is in the heap, to `when_ns`, as if armed anew. */
void timer_heap_move(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns);

/* Remove `timer`, which is in the heap. */
void timer_heap_remove(struct timer_heap *heap, struct weft_timer *timer);

/* The earliest timer; NULL if there is none. */
static inline struct weft_timer *timer_heap_first(const struct timer_heap *heap)
{
    return heap->count == 0 ? NULL : heap->entries[0].timer;
}

/* When it is due; UINT64_MAX if there is none. */
static inline uint64_t timer_heap_first_ns(const struct timer_heap *heap)
{
    return heap->count == 0 ? UINT64_MAX : heap->entries[0].when_ns;
}

/* Free the entries; the timers that were in it are stopped. */
void timer_heap_fini(struct timer_heap *heap);

#endif
