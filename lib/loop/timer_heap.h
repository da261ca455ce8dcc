/*
 * Timer heap: the timers of one loop, the earliest first, and those that are due and have not fired yet.
 *
 * A 4-ary heap with the keys inline, four to a cache line, so that sifting reads one line a level and touches no timer. An entry names
 * its timer by a slot, which stays where it is while the entry moves: a stop clears the slot, and its entry is thrown away when it comes
 * up, or with all the others of its kind once they are three quarters of the heap. A timer that is armed anew for later keeps its entry,
 * which is put in its place when it comes up too early. Of many that are due at once the first ones come up one by one; the others are
 * sorted and leave together. The sequence number makes timers of the same nanosecond fire in the order of their arming
 * (ADD-1); when its 32 bits are used up, all entries are numbered anew.
 *
 *     entries   │ when, sequence, slot │ …                a heap; the children of i are 4i + 1 … 4i + 4
 *     due       │ slot │ …                                a ring: taken out of the heap, in the order in which they fire
 *     slots     │ timer, TIMER_… │ 0: stopped │ next free slot, TIMER_FREE │ …
 */
#ifndef LIB_LOOP_TIMER_HEAP_H
#define LIB_LOOP_TIMER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/timer.h"

struct timer_entry {
    uint64_t when_ns;
    uint64_t order; /* sequence << 32 | slot */
};

/* The low bits of a slot. MOVED: its entry is too early, the timer has the true key. DUE: it is in `due`. */
enum { TIMER_MOVED = 1, TIMER_DUE = 2, TIMER_FREE = 3, TIMER_TAGS = 3 };

struct timer_heap {
    struct timer_entry *entries;
    uintptr_t *slots;
    uint32_t *due;
    uint32_t count;    /* of entries */
    uint32_t stopped;  /* so many entries and due ones are of stopped timers */
    uint32_t capacity; /* of each of the three, a power of two */
    uint32_t reserved; /* so many slots are kept for timers that must not fail */
    uint32_t due_head; /* counts up; an index modulo the capacity */
    uint32_t due_count;
    uint32_t free_slot;  /* the first of those that were given back; UINT32_MAX: none */
    uint32_t fresh_slot; /* from here on slots have not been used */
    uint32_t sequence;
    void *memory; /* all three */
};

/* Make `heap` empty, before any other call. */
void timer_heap_init(struct timer_heap *heap);

/* Arm `timer` for `when_ns`, in the heap or not. 0, or -ENOMEM, and then it is as it was. */
int timer_heap_arm(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns);

/* Keep a slot for a timer that timer_heap_arm_reserved() can be called with, until timer_heap_unreserve(). 0, or -ENOMEM. */
int timer_heap_reserve(struct timer_heap *heap);
void timer_heap_unreserve(struct timer_heap *heap);

/* As timer_heap_arm(), which cannot fail: for as many timers at a time as are reserved. */
void timer_heap_arm_reserved(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns);

/* Take out `timer`, which is armed: in the heap, or due. */
void timer_heap_stop(struct timer_heap *heap, struct weft_timer *timer);

/* The earliest timer that is not due yet; NULL if there is none. */
struct weft_timer *timer_heap_first(struct timer_heap *heap);

/* When it is due; UINT64_MAX if there is none. */
uint64_t timer_heap_first_ns(struct timer_heap *heap);

/* True if timer_heap_collect() would find something. */
static inline bool timer_heap_is_late(const struct timer_heap *heap, uint64_t now_ns)
{
    return heap->count > 0 && heap->entries[0].when_ns <= now_ns;
}

/* Make what the heap has at `now_ns` or before due. */
void timer_heap_collect(struct timer_heap *heap, uint64_t now_ns);

/* True if timer_heap_pop_due() might find something: those that were stopped meanwhile are counted too. */
static inline bool timer_heap_has_due(const struct timer_heap *heap)
{
    return heap->due_count > 0;
}

/* Take out the first of those that are due; NULL if there is none. */
struct weft_timer *timer_heap_pop_due(struct timer_heap *heap);

/* Free the memory; the timers that were in it are stopped. */
void timer_heap_fini(struct timer_heap *heap);

#endif
