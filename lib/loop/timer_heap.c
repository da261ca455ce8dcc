/*
 * Timer heap: a 4-ary heap of inline keys, see the header. The loop's thread calls it; the invariant is entries[i].timer->heap_index ==
 * i + 1, and no entry is earlier than its parent (i - 1) / 4.
 */
#include "lib/loop/timer_heap.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#include "weft/memory.h"

enum { HEAP_ARITY = 4, HEAP_CAPACITY_MIN = 16 };

static inline bool is_earlier(const struct timer_entry *a, const struct timer_entry *b)
{
    return a->when_ns != b->when_ns ? a->when_ns < b->when_ns : a->sequence < b->sequence;
}

static inline void place(struct timer_heap *heap, uint32_t index, struct timer_entry entry)
{
    heap->entries[index] = entry;
    entry.timer->heap_index = index + 1;
}

static void sift_up(struct timer_heap *heap, uint32_t index, struct timer_entry entry)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / HEAP_ARITY;
        if (!is_earlier(&entry, &heap->entries[parent]))
            break;
        place(heap, index, heap->entries[parent]);
        index = parent;
    }
    place(heap, index, entry);
}

static uint32_t earliest_child(const struct timer_heap *heap, uint32_t index)
{
    uint32_t child = index * HEAP_ARITY + 1;
    uint32_t end = child + HEAP_ARITY < heap->count ? child + HEAP_ARITY : heap->count;
    uint32_t best = child;
    for (child++; child < end; child++)
        if (is_earlier(&heap->entries[child], &heap->entries[best]))
            best = child;
    return best;
}

static void sift_down(struct timer_heap *heap, uint32_t index, struct timer_entry entry)
{
    while (index * HEAP_ARITY + 1 < heap->count) {
        uint32_t child = earliest_child(heap, index);
        if (!is_earlier(&heap->entries[child], &entry))
            break;
        place(heap, index, heap->entries[child]);
        index = child;
    }
    place(heap, index, entry);
}

/* Put `entry` where `index` is free, up or down from there. */
static void settle(struct timer_heap *heap, uint32_t index, struct timer_entry entry)
{
    if (index > 0 && is_earlier(&entry, &heap->entries[(index - 1) / HEAP_ARITY]))
        sift_up(heap, index, entry);
    else
        sift_down(heap, index, entry);
}

static int heap_grow(struct timer_heap *heap)
{
    uint32_t capacity = heap->capacity == 0 ? HEAP_CAPACITY_MIN : heap->capacity * 2;
    struct timer_entry *entries = weft_realloc(heap->entries, capacity * sizeof(*entries));
    if (entries == NULL)
        return -ENOMEM;
    heap->entries = entries;
    heap->capacity = capacity;
    return 0;
}

/* Room for one more, beside the reserved ones. Those that are in the heap count twice, on the safe side. */
static int make_room(struct timer_heap *heap)
{
    return heap->count + heap->reserved >= heap->capacity ? heap_grow(heap) : 0;
}

int timer_heap_reserve(struct timer_heap *heap)
{
    int status = make_room(heap);
    if (status == 0)
        heap->reserved++;
    return status;
}

void timer_heap_unreserve(struct timer_heap *heap)
{
    assert(heap->reserved > 0);
    heap->reserved--;
}

void timer_heap_insert_reserved(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns)
{
    assert(heap->count < heap->capacity);
    struct timer_entry entry = {when_ns, heap->sequence++, timer};
    sift_up(heap, heap->count++, entry);
}

int timer_heap_insert(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns)
{
    if (make_room(heap) < 0)
        return -ENOMEM;
    timer_heap_insert_reserved(heap, timer, when_ns);
    return 0;
}

void timer_heap_move(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns)
{
    struct timer_entry entry = {when_ns, heap->sequence++, timer};
    settle(heap, timer->heap_index - 1, entry);
}

void timer_heap_remove(struct timer_heap *heap, struct weft_timer *timer)
{
    uint32_t index = timer->heap_index - 1;
    struct timer_entry last = heap->entries[--heap->count];
    timer->heap_index = 0;
    if (index < heap->count)
        settle(heap, index, last);
}

void timer_heap_fini(struct timer_heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++)
        heap->entries[i].timer->heap_index = 0;
    weft_free(heap->entries);
    *heap = (struct timer_heap){NULL, 0, 0, 0, 0};
}
