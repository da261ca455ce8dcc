/*
 * Storm: stealable works that make themselves ready for ever on all loops of a runtime, while a rule is put to one of them. What is pinned
 * must keep its order all the same.
 */
#ifndef TESTS_CONFORMANCE_STORM_H
#define TESTS_CONFORMANCE_STORM_H

#include <stdbool.h>

struct weft_loop;

/*
 * Begin, if WEFT_CONFORMANCE_STORM is set and the loops are of one crew. They do not run yet. A calm one leaves some of them without: who
 * takes turns with the others, and in each finds something of its own, never comes to stealing.
 */
void storm_start(struct weft_loop *const loops[], int count, bool is_calm);

/* True once it is under way, or if there is none. Some of the loops run. */
bool storm_is_under_way(void *unused);

/* No work makes itself ready any more. any thread */
void storm_stop(void);

/* The loops have gone: each work has ended, once. */
void storm_check(void);

#endif
