/*
 * Timer sort: by digits, from the lowest to the highest, which needs no comparison that a processor would have to guess.
 *
 * The timer heap calls it for a crowd of due timers. Only the bytes in which their deadlines differ are looked at, four of them for a crowd
 * that is spread over seconds. Each pass keeps the order of the one before; those of the same deadline are put in order of their sequence
 * numbers afterwards.
 */
#include "lib/loop/timer_sort.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS, KEY_BITS = 64, FEW = 16 };

static uint64_t key_of(const struct timer_entry *entry, bool is_by_order)
{
    return is_by_order ? entry->order : entry->when_ns;
}

static void sort_few(struct timer_entry *entries, size_t count, bool is_by_order)
{
    for (size_t i = 1; i < count; i++) {
        struct timer_entry entry = entries[i];
        size_t j = i;
        for (; j > 0 && key_of(&entry, is_by_order) < key_of(&entries[j - 1], is_by_order); j--)
            entries[j] = entries[j - 1];
        entries[j] = entry;
    }
}

/* Move all from `from` to `to`, those with a smaller digit at `shift` in front. */
static void pass(const struct timer_entry *from, struct timer_entry *to, size_t count, unsigned shift, bool is_by_order)
{
    size_t places[DIGITS] = {0};
    for (size_t i = 0; i < count; i++)
        places[key_of(&from[i], is_by_order) >> shift & (DIGITS - 1)]++;
    size_t place = 0;
    for (size_t digit = 0; digit < DIGITS; digit++) {
        size_t more = places[digit];
        places[digit] = place;
        place += more;
    }
    for (size_t i = 0; i < count; i++)
        to[places[key_of(&from[i], is_by_order) >> shift & (DIGITS - 1)]++] = from[i];
}

/* The bits in which the keys are not all the same. */
static uint64_t difference(const struct timer_entry *entries, size_t count, bool is_by_order)
{
    uint64_t bits = 0;
    for (size_t i = 1; i < count; i++)
        bits |= key_of(&entries[i], is_by_order) ^ key_of(&entries[0], is_by_order);
    return bits;
}

static void sort_by(struct timer_entry *entries, struct timer_entry *scratch, size_t count, bool is_by_order)
{
    if (count <= FEW) {
        sort_few(entries, count, is_by_order);
        return;
    }
    struct timer_entry *from = entries, *to = scratch;
    uint64_t bits = difference(entries, count, is_by_order);
    for (unsigned shift = 0; shift < KEY_BITS; shift += DIGIT_BITS) {
        if ((bits >> shift & (DIGITS - 1)) == 0)
            continue;
        pass(from, to, count, shift, is_by_order);
        struct timer_entry *swap = from;
        from = to;
        to = swap;
    }
    if (from != entries)
        memcpy(entries, from, count * sizeof(entries[0]));
}

void timer_sort(struct timer_entry *entries, struct timer_entry *scratch, size_t count)
{
    sort_by(entries, scratch, count, false);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && entries[end].when_ns == entries[first].when_ns;)
            end++;
        if (end - first > 1)
            sort_by(&entries[first], scratch, end - first, true);
    }
}
