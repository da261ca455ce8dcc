/*
 * Raw, timers: a 4-ary heap of inline keys, first in, first out among equals, each timer with its place in it, so that it can leave or move.
 *
 * One thread looks at the clock and fires what is due. There is room for all from the beginning, nobody sleeps until something is due, and
 * nothing else has a turn. It is as plain as that: where a million are due, or most are cancelled, a heap that leaves the cancelled where they
 * are and sorts the due can be faster.
 */
#include <stdlib.h>

#include "bench/kit/alarms.h"

enum { ARITY = 4, LINE_BYTES = 64 };

struct entry {
    uint64_t due_ns;
    uint64_t order; /* a sequence, and in the lower half which timer */
};

/* Not armed: NOWHERE. */
#define NOWHERE UINT32_MAX

struct timer {
    bool (*fires)(void);
    uint32_t place;
};

static struct entry *heap; /* no entry is earlier than its parent (place - 1) / ARITY; brothers share a line */
static struct timer *timers;
static uint32_t armed;
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

static inline void put(uint32_t place, struct entry entry)
{
    heap[place] = entry;
    timers[(uint32_t)entry.order].place = place;
}

static void sift_up(uint32_t place, struct entry entry)
{
    for (uint32_t parent; place > 0 && is_earlier(&entry, &heap[parent = (place - 1) / ARITY]); place = parent)
        put(place, heap[parent]);
    put(place, entry);
}

static inline uint32_t earliest_child(uint32_t first)
{
    if (first + ARITY <= armed) {
        uint32_t left = first + is_less(&heap[first + 1], &heap[first]);
        uint32_t right = first + 2 + is_less(&heap[first + 3], &heap[first + 2]);
        return is_less(&heap[right], &heap[left]) ? right : left;
    }
    uint32_t best = first;
    for (uint32_t child = first + 1; child < armed; child++)
        best = is_less(&heap[child], &heap[best]) ? child : best;
    return best;
}

/* To the very end, and up again as far as need be: nearly all that is put here comes from there. */
static void sift_down(uint32_t place, struct entry entry)
{
    for (uint32_t first; (first = place * ARITY + 1) < armed;) {
        uint32_t child = earliest_child(first);
        put(place, heap[child]);
        place = child;
    }
    sift_up(place, entry);
}

/* `entry` instead of what is at `place`, where it may be too early or too late. */
static void settle(uint32_t place, struct entry entry)
{
    if (place > 0 && is_earlier(&entry, &heap[(place - 1) / ARITY]))
        sift_up(place, entry);
    else
        sift_down(place, entry);
}

static void remove_at(uint32_t place)
{
    timers[(uint32_t)heap[place].order].place = NOWHERE;
    struct entry last = heap[--armed];
    if (place < armed)
        settle(place, last);
}

static void timers_open(int count)
{
    enum { BEFORE_BROTHERS = ARITY - 1 };
    heap = (struct entry *)aligned_alloc(LINE_BYTES, ((size_t)count + ARITY) / ARITY * LINE_BYTES + LINE_BYTES) + BEFORE_BROTHERS;
    timers = malloc((size_t)count * sizeof(*timers));
    for (int i = 0; i < count; i++)
        timers[i] = (struct timer){alarms_fired, NOWHERE};
}

static void timers_now(void)
{
    base_ns = kit_clock_ns(CLOCK_MONOTONIC);
}

static void timer_set(int i, uint64_t delay_ns)
{
    struct entry entry = {base_ns + delay_ns, sequence++ << 32 | (uint32_t)i};
    if (timers[i].place == NOWHERE)
        sift_up(armed++, entry);
    else
        settle(timers[i].place, entry);
}

static void timer_cancel(int i)
{
    if (timers[i].place != NOWHERE)
        remove_at(timers[i].place);
}

static void timers_run(void)
{
    for (bool have_all_fired = false; !have_all_fired;) {
        timers_now();
        while (armed > 0 && heap[0].due_ns <= base_ns) {
            struct timer *timer = &timers[(uint32_t)heap[0].order];
            remove_at(0);
            have_all_fired = timer->fires();
        }
    }
}

int main(int argc, char **argv)
{
    static const struct alarms alarms = {NULL, timers_open, timer_set, timers_now, timer_cancel, timers_run};
    return alarms_main(argc, argv, "raw", &alarms);
}
