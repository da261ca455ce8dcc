/*
 * Raw, timers: a 4-ary heap of inline keys, first in, first out among equals. A timer knows the key that it has now: what was put in for it
 * before it was moved or cancelled stays in the heap until it is at the top, or until there are as many of those as of others.
 *
 * One thread looks at the clock and fires what is due. There is room for all from the beginning, nobody sleeps until something is due, and
 * nothing else has a turn. As plain as it is, it can be beaten where a million are due at once, by who does not take them one by one.
 */
#include <stdlib.h>

#include "bench/kit/alarms.h"

enum { ARITY = 4, LINE_BYTES = 64, STALE_MIN = 64 };

struct entry {
    uint64_t due_ns;
    uint64_t order; /* a sequence, from 1, and in the lower half which timer */
};

struct timer {
    bool (*fires)(void);
    uint64_t order; /* of its entry, or 0: it is not armed */
};

static struct entry *heap; /* no entry is earlier than its parent (place - 1) / ARITY; brothers share a line */
static struct timer *timers;
static uint32_t entries, stale; /* stale ones are among the entries */
static uint64_t base_ns, sequence;

static inline bool is_earlier(const struct entry *a, const struct entry *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->order < b->order);
}

/* The same without a branch, for where nobody could predict it. */
static inline bool is_less(const struct entry *a, const struct entry *b)
{
    __extension__ typedef unsigned __int128 key;
    return ((key)a->due_ns << 64 | a->order) < ((key)b->due_ns << 64 | b->order);
}

static inline struct timer *timer_of(const struct entry *entry)
{
    return &timers[(uint32_t)entry->order];
}

static inline bool is_stale(const struct entry *entry)
{
    return timer_of(entry)->order != entry->order;
}

static void sift_up(uint32_t place, uint32_t top, struct entry entry)
{
    for (uint32_t parent; place > top && is_earlier(&entry, &heap[parent = (place - 1) / ARITY]); place = parent)
        heap[place] = heap[parent];
    heap[place] = entry;
}

static inline uint32_t earliest_child(uint32_t first)
{
    if (first + ARITY <= entries) {
        uint32_t left = first + is_less(&heap[first + 1], &heap[first]);
        uint32_t right = first + 2 + is_less(&heap[first + 3], &heap[first + 2]);
        return is_less(&heap[right], &heap[left]) ? right : left;
    }
    uint32_t best = first;
    for (uint32_t child = first + 1; child < entries; child++)
        best = is_less(&heap[child], &heap[best]) ? child : best;
    return best;
}

/* To the very end, and up again as far as need be: nearly all that is put here comes from there. */
static void sift_down(uint32_t top, struct entry entry)
{
    uint32_t place = top;
    for (uint32_t first; (first = place * ARITY + 1) < entries;) {
        uint32_t child = earliest_child(first);
        heap[place] = heap[child];
        place = child;
    }
    sift_up(place, top, entry);
}

static void remove_first(void)
{
    struct entry last = heap[--entries];
    if (entries > 0)
        sift_down(0, last);
}

static void add_stale(void)
{
    if (++stale < STALE_MIN || stale * 2 < entries)
        return;
    uint32_t all = entries;
    entries = stale = 0;
    for (uint32_t i = 0; i < all; i++) {
        bool is_kept = !is_stale(&heap[i]);
        heap[entries] = heap[i];
        entries += is_kept;
    }
    for (uint32_t i = (entries + ARITY - 2) / ARITY; i-- > 0;)
        sift_down(i, heap[i]);
}

static void timers_open(int count)
{
    enum { BEFORE_BROTHERS = ARITY - 1 };
    size_t room = 2 * (size_t)count + STALE_MIN + ARITY;
    heap = (struct entry *)aligned_alloc(LINE_BYTES, room / ARITY * LINE_BYTES + LINE_BYTES) + BEFORE_BROTHERS;
    timers = malloc((size_t)count * sizeof(*timers));
    for (int i = 0; i < count; i++)
        timers[i] = (struct timer){alarms_fired, 0};
}

static void timers_now(void)
{
    base_ns = kit_clock_ns(CLOCK_MONOTONIC);
}

static void timer_set(int i, uint64_t delay_ns)
{
    struct entry entry = {base_ns + delay_ns, ++sequence << 32 | (uint32_t)i};
    bool was_armed = timers[i].order != 0;
    timers[i].order = entry.order;
    if (was_armed)
        add_stale();
    sift_up(entries++, 0, entry);
}

static void timer_cancel(int i)
{
    if (timers[i].order == 0)
        return;
    timers[i].order = 0;
    add_stale();
}

static void timers_run(void)
{
    for (bool have_all_fired = false; !have_all_fired;) {
        timers_now();
        while (entries > 0 && heap[0].due_ns <= base_ns) {
            struct entry first = heap[0];
            remove_first();
            if (is_stale(&first)) {
                stale--;
                continue;
            }
            timer_of(&first)->order = 0;
            have_all_fired = timer_of(&first)->fires();
        }
    }
}

int main(int argc, char **argv)
{
    static const struct alarms alarms = {NULL, timers_open, timer_set, timers_now, timer_cancel, timers_run};
    return alarms_main(argc, argv, "raw", &alarms);
}
