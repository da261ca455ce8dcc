/*
 * A kind of loop as a user would write it: see custom_loop.c.
 */
#ifndef TESTS_EXAMPLES_CUSTOM_LOOP_H
#define TESTS_EXAMPLES_CUSTOM_LOOP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_loop;
struct weft_loop_kind;

/* What a custom loop counts. */
struct custom_counts {
    uint64_t waits; /* the poller was asked */
    uint64_t wakes; /* another thread or a signal handler woke it; atomic */
    uint64_t inits;
    uint64_t sockets; /* transports made */
};

/* thread: any. memory: static. */
const struct weft_loop_kind *custom_loop_kind(void);

/* Copy the counts of `loop`, which is of this kind. thread: the loop's, or any while it does not run */
void custom_loop_get_counts(struct weft_loop *loop, struct custom_counts *counts_out);

#ifdef __cplusplus
}
#endif

#endif
