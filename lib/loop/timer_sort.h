/*
 * Timer sort: entries of the timer heap in the order in which they fire, for when many are due at once. See lib/loop/timer_sort.c.
 */
#ifndef LIB_LOOP_TIMER_SORT_H
#define LIB_LOOP_TIMER_SORT_H

#include <stddef.h>

#include "lib/loop/timer_heap.h"

/* Sort `count` entries by deadline and sequence. `scratch` has room for as many. */
void timer_sort(struct timer_entry *entries, struct timer_entry *scratch, size_t count);

#endif
