/*
 * Storm: stealable works that make themselves ready for ever on all loops of a runtime, while a rule is put to one of them. What is pinned
 * must keep its order all the same.
 */
#ifndef TESTS_CONFORMANCE_STORM_H
#define TESTS_CONFORMANCE_STORM_H

struct weft_loop;

/* Begin, if WEFT_CONFORMANCE_STORM is set and the loops are of one crew. They do not run yet. */
void storm_start(struct weft_loop *const loops[], int count);

/* Wait until it is under way. Some of the loops run. */
void storm_await(void);

/* No work makes itself ready any more. any thread */
void storm_stop(void);

/* The loops have gone: each work has ended, once. */
void storm_check(void);

#endif
