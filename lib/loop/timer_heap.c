/*
 * Timer heap: a 4-ary heap of inline keys, see the header. The loop's thread calls it; the invariant is that no entry is earlier than its
 * parent (i - 1) / 4, that each slot which is not free is named by exactly one entry or one of `due`, and that the slot of an armed timer
 * is timer->slot - 1.
 */
#include "lib/loop/timer_heap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/loop/timer_sort.h"
#include "weft/atomic.h"
#include "weft/memory.h"

enum {
    HEAP_ARITY = 4,
    HEAP_CAPACITY_MIN = 16,
    HEAP_COLD_MIN = 1500,  /* more are 24 KiB */
    HEAP_STOPPED_MIN = 64, /* fewer are not worth a purge */
    HEAP_KEPT_SHARE = 4,   /* nor is it as long as more are kept than one of so many: a purge looks at those too, and puts them in order */
    HEAP_CROWD_MIN = 32,   /* so many are due at once, and so large a part of all: a crowd */
    HEAP_CROWD_SHARE = 32, /* looking at each entry costs a crowd as much again as it has cost so far */
    DUE_AHEAD = 8,         /* so far ahead of the one that fires its slot is fetched, and half so far the timer */
};

#define HEAP_CAPACITY_MAX (UINT32_C(1) << 30)
#define NO_SLOT           UINT32_MAX

_Static_assert(_Alignof(struct weft_timer) > TIMER_TAGS, "the tags lie below a timer's address");

static inline bool is_earlier(const struct timer_entry *a, const struct timer_entry *b)
{
#if defined(__SIZEOF_INT128__) /* without a branch, which nobody could predict */
    __extension__ typedef unsigned __int128 key;
    return ((key)a->when_ns << 64 | a->order) < ((key)b->when_ns << 64 | b->order);
#else
    return a->when_ns != b->when_ns ? a->when_ns < b->when_ns : a->order < b->order;
#endif
}

static inline uint32_t slot_of(const struct timer_entry *entry)
{
    return (uint32_t)entry->order;
}

static inline struct weft_timer *timer_in(uintptr_t slot)
{
    return (struct weft_timer *)(slot & ~(uintptr_t)TIMER_TAGS);
}

static inline uint64_t order_of(uint32_t sequence, uint32_t slot)
{
    return (uint64_t)sequence << 32 | slot;
}

static inline uintptr_t free_tag(uint32_t next)
{
    return (uintptr_t)next << 2 | TIMER_FREE;
}

static inline void free_slot(struct timer_heap *heap, uint32_t slot)
{
    heap->slots[slot] = free_tag(heap->free_slot);
    heap->free_slot = slot;
}

static inline uint32_t take_slot(struct timer_heap *heap)
{
    uint32_t slot = heap->free_slot;
    if (slot == NO_SLOT)
        return heap->fresh_slot++;
    heap->free_slot = (uint32_t)(heap->slots[slot] >> 2);
    __builtin_prefetch(&heap->slots[heap->free_slot], 1); /* for the next one, as the free ones lie anywhere; harmless if there is none */
    return slot;
}

/* Nobody is armed: begin anew, with the slots in order. */
static void forget_all(struct timer_heap *heap)
{
    heap->count = heap->due_count = heap->stopped = heap->fresh_slot = 0;
    heap->free_slot = NO_SLOT;
}

/* ---- the heap ---------------------------------------------------------------------------------------------------------------------- */

/* Put `entry` where `index` is free, or above, but not above `top`. */
static inline void sift_up(struct timer_entry *entries, size_t index, struct timer_entry entry, size_t top)
{
    while (index > top) {
        size_t parent = (index - 1) / HEAP_ARITY;
        if (!is_earlier(&entry, &entries[parent]))
            break;
        entries[index] = entries[parent];
        index = parent;
    }
    entries[index] = entry;
}

/* The earliest of four, by three comparisons of which two do not wait for each other. */
static inline const struct timer_entry *earliest_of_four(const struct timer_entry *children)
{
    const struct timer_entry *left = children + is_earlier(&children[1], &children[0]);
    const struct timer_entry *right = children + 2 + is_earlier(&children[3], &children[2]);
    return is_earlier(right, left) ? right : left;
}

static const struct timer_entry *earliest_child(const struct timer_entry *child, const struct timer_entry *end)
{
    const struct timer_entry *best = child;
    for (child++; child < end; child++)
        best = is_earlier(child, best) ? child : best;
    return best;
}

/* All that may be looked at on the level after next, for a heap that is too large for the nearest caches. Past its end is harmless. */
static inline void fetch_below(const struct timer_entry *entries, size_t child)
{
    const char *lines = (const char *)&entries[child * HEAP_ARITY + 1];
    __builtin_prefetch(lines);
    __builtin_prefetch(lines + WEFT_CACHE_LINE_BYTES);
    __builtin_prefetch(lines + 2 * WEFT_CACHE_LINE_BYTES);
    __builtin_prefetch(lines + 3 * WEFT_CACHE_LINE_BYTES);
}

/*
 * Put `entry` where `top` is free, or below: the way down goes to the very end, past what is later, since nearly all that is put here comes
 * from there, and then as far up as need be.
 */
static void sift_down(struct timer_heap *heap, size_t top, struct timer_entry entry)
{
    struct timer_entry *entries = heap->entries;
    size_t count = heap->count;
    size_t index = top;
    size_t child;
    while ((child = index * HEAP_ARITY + 1) + HEAP_ARITY <= count) {
        if (count > HEAP_COLD_MIN)
            fetch_below(entries, child);
        const struct timer_entry *best = earliest_of_four(&entries[child]);
        entries[index] = *best;
        index = (size_t)(best - entries);
    }
    if (child < count) {
        const struct timer_entry *best = earliest_child(&entries[child], &entries[count]);
        entries[index] = *best;
        index = (size_t)(best - entries);
    }
    sift_up(entries, index, entry, top);
}

static void remove_first(struct timer_heap *heap)
{
    struct timer_entry last = heap->entries[--heap->count];
    if (heap->count > 0)
        sift_down(heap, 0, last);
}

/* Make a heap of entries that lie in any order: from the last parent to the first. */
static void order_all(struct timer_heap *heap)
{
    for (size_t i = (heap->count + HEAP_ARITY - 2) / HEAP_ARITY; i-- > 0;)
        sift_down(heap, i, heap->entries[i]);
}

/* ---- room -------------------------------------------------------------------------------------------------------------------------- */

/* The key that `slot`'s timer has been moved to. */
static struct timer_entry moved_entry(struct timer_heap *heap, uint32_t slot)
{
    struct weft_timer *timer = timer_in(heap->slots[slot]);
    heap->slots[slot] = (uintptr_t)timer;
    return (struct timer_entry){timer->when_ns, order_of(timer->sequence, slot)};
}

/* Nobody can predict which ones have been stopped, so there is no branch for them. */
static void purge_entries(struct timer_heap *heap)
{
    struct timer_entry *entries = heap->entries;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < heap->count; i++) {
        uint32_t slot = slot_of(&entries[i]);
        uintptr_t value = heap->slots[slot];
        bool is_stopped = value == 0;
        entries[kept] = (value & TIMER_MOVED) != 0 ? moved_entry(heap, slot) : entries[i];
        heap->slots[slot] = is_stopped ? free_tag(heap->free_slot) : value & ~(uintptr_t)TIMER_MOVED;
        heap->free_slot = is_stopped ? slot : heap->free_slot;
        kept += !is_stopped;
    }
    heap->count = kept;
    order_all(heap);
}

static void purge_due(struct timer_heap *heap)
{
    uint32_t mask = heap->capacity - 1;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < heap->due_count; i++) {
        uint32_t slot = heap->due[(heap->due_head + i) & mask];
        if (heap->slots[slot] == 0)
            free_slot(heap, slot);
        else
            heap->due[(heap->due_head + kept++) & mask] = slot;
    }
    heap->due_count = kept;
}

/* Throw away what belongs to stopped timers. */
static void purge(struct timer_heap *heap)
{
    purge_entries(heap);
    purge_due(heap);
    heap->stopped = 0;
}

static int compare_entries(const void *a, const void *b)
{
    return is_earlier(a, b) ? -1 : 1;
}

/* The sequence numbers are used up: begin again. A sorted array is a heap. */
static void renumber(struct timer_heap *heap)
{
    purge(heap);
    if (heap->count > 0)
        qsort(heap->entries, heap->count, sizeof(heap->entries[0]), compare_entries);
    for (uint32_t i = 0; i < heap->count; i++)
        heap->entries[i].order = order_of(i, slot_of(&heap->entries[i]));
    heap->sequence = heap->count;
}

/* Lay the three arrays into `memory`, so that four children share a cache line. */
static void lay_out(struct timer_heap *heap, char *memory, uint32_t capacity)
{
    size_t before = (HEAP_ARITY - 1) * sizeof(struct timer_entry);
    heap->memory = memory;
    heap->entries = (struct timer_entry *)(void *)(memory + before);
    heap->slots = (uintptr_t *)(void *)(heap->entries + capacity);
    heap->due = (uint32_t *)(void *)(heap->slots + capacity);
    heap->capacity = capacity;
}

static int heap_grow(struct timer_heap *heap)
{
    const struct timer_heap old = *heap;
    uint32_t capacity = old.capacity == 0 ? HEAP_CAPACITY_MIN : old.capacity * 2;
    if (capacity > HEAP_CAPACITY_MAX)
        return -ENOMEM;
    size_t one = sizeof(old.entries[0]) + sizeof(old.slots[0]) + sizeof(old.due[0]);
    char *memory = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, HEAP_ARITY * sizeof(old.entries[0]) + capacity * one);
    if (memory == NULL)
        return -ENOMEM;
    lay_out(heap, memory, capacity);
    for (uint32_t i = 0; i < old.due_count; i++)
        heap->due[i] = old.due[(old.due_head + i) & (old.capacity - 1)];
    heap->due_head = 0;
    if (old.capacity > 0) {
        memcpy(heap->entries, old.entries, old.count * sizeof(old.entries[0]));
        memcpy(heap->slots, old.slots, old.fresh_slot * sizeof(old.slots[0]));
    }
    weft_free(old.memory);
    return 0;
}

static inline bool is_full(const struct timer_heap *heap)
{
    return heap->count + heap->due_count + heap->reserved >= heap->capacity;
}

static inline bool is_out_of_numbers(const struct timer_heap *heap)
{
    return heap->sequence == UINT32_MAX;
}

/* Room for one more, beside the reserved ones, and a number. Those of them that are in use count twice, on the safe side. */
static int make_room(struct timer_heap *heap)
{
    if (is_out_of_numbers(heap))
        renumber(heap);
    if (!is_full(heap))
        return 0;
    if (heap->stopped > heap->capacity / 4)
        purge(heap);
    if (!is_full(heap) || heap_grow(heap) == 0)
        return 0;
    purge(heap);
    return is_full(heap) ? -ENOMEM : 0;
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

/* ---- timers ------------------------------------------------------------------------------------------------------------------------- */

/* There is room, and a number. */
static inline void insert(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns)
{
    uint32_t sequence = heap->sequence++;
    uint32_t slot = take_slot(heap);
    heap->slots[slot] = (uintptr_t)timer;
    timer->when_ns = when_ns;
    timer->slot = slot + 1;
    sift_up(heap->entries, heap->count++, (struct timer_entry){when_ns, order_of(sequence, slot)}, 0);
}

/* Arm `timer`, whose entry is not later than that, for `when_ns` without touching the entry. False if it is not so. */
static bool defer(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns)
{
    uintptr_t *slot = &heap->slots[timer->slot - 1];
    if ((*slot & TIMER_DUE) != 0 || when_ns < timer->when_ns || is_out_of_numbers(heap))
        return false;
    timer->sequence = heap->sequence++;
    timer->when_ns = when_ns;
    *slot |= TIMER_MOVED;
    return true;
}

/* With room first: out of memory the timer is as it was. */
static __attribute__((noinline)) int make_room_and_arm(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns)
{
    if (make_room(heap) < 0)
        return -ENOMEM;
    if (timer->slot != 0)
        timer_heap_stop(heap, timer);
    insert(heap, timer, when_ns);
    return 0;
}

int timer_heap_arm(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns)
{
    if (timer->slot != 0)
        return defer(heap, timer, when_ns) ? 0 : make_room_and_arm(heap, timer, when_ns);
    if (is_full(heap) || is_out_of_numbers(heap))
        return make_room_and_arm(heap, timer, when_ns);
    insert(heap, timer, when_ns); /* nothing is called on this way, and so no register saved */
    return 0;
}

void timer_heap_arm_reserved(struct timer_heap *heap, struct weft_timer *timer, uint64_t when_ns)
{
    if (timer->slot != 0)
        timer_heap_stop(heap, timer);
    if (heap->count + heap->due_count == heap->capacity)
        purge(heap); /* the rest is what stopped timers have left */
    assert(heap->count + heap->due_count < heap->capacity);
    if (is_out_of_numbers(heap))
        renumber(heap);
    insert(heap, timer, when_ns);
}

static inline bool is_mostly_stopped(const struct timer_heap *heap)
{
    uint32_t all = heap->count + heap->due_count;
    return all - heap->stopped < all / HEAP_KEPT_SHARE;
}

void timer_heap_stop(struct timer_heap *heap, struct weft_timer *timer)
{
    uint32_t slot = timer->slot - 1;
    timer->slot = 0;
    if (heap->count > 0 && slot_of(&heap->entries[heap->count - 1]) == slot) { /* as if it had not been armed */
        heap->count--;
        free_slot(heap, slot);
        return;
    }
    heap->slots[slot] = 0;
    heap->stopped++;
    if (heap->stopped == heap->count + heap->due_count)
        forget_all(heap);
    else if (heap->stopped > HEAP_STOPPED_MIN && is_mostly_stopped(heap))
        purge(heap);
}

/* The first entry comes up, and is not its timer's: it goes, or to its place. */
static void settle_first(struct timer_heap *heap, uintptr_t value)
{
    uint32_t slot = slot_of(&heap->entries[0]);
    if (value != 0) {
        sift_down(heap, 0, moved_entry(heap, slot));
        return;
    }
    heap->stopped--;
    free_slot(heap, slot);
    remove_first(heap);
}

struct weft_timer *timer_heap_first(struct timer_heap *heap)
{
    while (heap->count > 0) {
        uintptr_t value = heap->slots[slot_of(&heap->entries[0])];
        if (value != 0 && (value & TIMER_TAGS) == 0)
            return timer_in(value);
        settle_first(heap, value);
    }
    return NULL;
}

uint64_t timer_heap_first_ns(struct timer_heap *heap)
{
    return timer_heap_first(heap) == NULL ? UINT64_MAX : heap->entries[0].when_ns;
}

static inline void make_due(struct timer_heap *heap, uint32_t slot)
{
    heap->slots[slot] |= TIMER_DUE;
    heap->due[(heap->due_head + heap->due_count++) & (heap->capacity - 1)] = slot;
}

static void collect_first(struct timer_heap *heap)
{
    uint32_t slot = slot_of(&heap->entries[0]);
    uintptr_t value = heap->slots[slot];
    if (value == 0 || (value & TIMER_TAGS) != 0) {
        settle_first(heap, value);
        return;
    }
    make_due(heap, slot);
    remove_first(heap);
    __builtin_prefetch(&heap->slots[slot_of(&heap->entries[0])]);
}

/* Move the entries that are due at `now_ns` to `crowd`, and throw away those of the stopped on the way. How many were moved. */
static uint32_t leave_for_crowd(struct timer_heap *heap, uint64_t now_ns, struct timer_entry *crowd)
{
    uint32_t kept = 0, moved = 0;
    for (uint32_t i = 0; i < heap->count; i++) {
        struct timer_entry entry = heap->entries[i];
        uint32_t slot = slot_of(&entry);
        uintptr_t value = heap->slots[slot];
        if (value == 0) {
            heap->stopped--;
            free_slot(heap, slot);
            continue;
        }
        if ((value & TIMER_MOVED) != 0)
            entry = moved_entry(heap, slot);
        if (entry.when_ns <= now_ns)
            crowd[moved++] = entry;
        else
            heap->entries[kept++] = entry;
    }
    heap->count = kept;
    return moved;
}

/* As timer_heap_collect(), for a large part of the heap at once. Without memory nothing is done: they come up one by one then. */
static void collect_crowd(struct timer_heap *heap, uint64_t now_ns)
{
    struct timer_entry *crowd = weft_malloc(2 * heap->count * sizeof(*crowd));
    if (crowd == NULL)
        return;
    uint32_t count = leave_for_crowd(heap, now_ns, crowd);
    order_all(heap);
    timer_sort(crowd, crowd + count, count);
    for (uint32_t i = 0; i < count; i++)
        make_due(heap, slot_of(&crowd[i]));
    weft_free(crowd);
}

void timer_heap_collect(struct timer_heap *heap, uint64_t now_ns)
{
    for (uint32_t left = HEAP_CROWD_MIN + heap->count / HEAP_CROWD_SHARE; timer_heap_is_late(heap, now_ns); left--)
        if (left == 0)
            collect_crowd(heap, now_ns);
        else
            collect_first(heap);
}

/* Timers lie anywhere in memory: what fires soon is on its way here while others fire. */
static inline void fetch_ahead(const struct timer_heap *heap)
{
    uint32_t mask = heap->capacity - 1;
    if (heap->due_count <= DUE_AHEAD)
        return;
    __builtin_prefetch(&heap->slots[heap->due[(heap->due_head + DUE_AHEAD) & mask]]);
    __builtin_prefetch(timer_in(heap->slots[heap->due[(heap->due_head + DUE_AHEAD / 2) & mask]]));
}

struct weft_timer *timer_heap_pop_due(struct timer_heap *heap)
{
    while (heap->due_count > 0) {
        fetch_ahead(heap);
        uint32_t slot = heap->due[heap->due_head++ & (heap->capacity - 1)];
        struct weft_timer *timer = timer_in(heap->slots[slot]);
        heap->due_count--;
        free_slot(heap, slot);
        if (timer == NULL) {
            heap->stopped--;
            continue;
        }
        timer->slot = 0;
        if (heap->stopped == heap->count + heap->due_count)
            forget_all(heap);
        return timer;
    }
    return NULL;
}

void timer_heap_init(struct timer_heap *heap)
{
    *heap = (struct timer_heap){.free_slot = NO_SLOT};
}

void timer_heap_fini(struct timer_heap *heap)
{
    for (uint32_t slot = 0; slot < heap->fresh_slot; slot++)
        if (heap->slots[slot] != 0 && (heap->slots[slot] & TIMER_TAGS) != TIMER_FREE)
            timer_in(heap->slots[slot])->slot = 0;
    weft_free(heap->memory);
    timer_heap_init(heap);
}
