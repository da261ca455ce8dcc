/*
 * Gather: one future for many (asyncio.gather).
 *
 *     struct weft_future *both;
 *     const struct weft_gather_item *items;
 *     if (weft_gather(loop, futures, 2, 0, &both) == 0) {
 *         status = weft_await(both, (void **)&items);
 *         weft_future_unref(both);
 *     }
 *
 * Its value is an array of items in the order of the arguments, which lives as long as the gathering future.
 */
#ifndef WEFT_GATHER_H
#define WEFT_GATHER_H

#include <stddef.h>
#include <stdint.h>

#include "weft/future.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How one of the futures ended: its value if `status` is 0. */
struct weft_gather_item {
    int status;
    void *value;
};

/* Failures become items instead of ending the gathering. */
#define WEFT_GATHER_RETURN_EXCEPTIONS 1u

/*
 * Create a future of `loop` that completes once all `count` futures are done, at once if there are none; the same future may occur more
 * than once. The first failure completes it with that status at once, while the others go on; a later failure counts as asked for.
 * Cancelling it cancels those that are not done, and it ends with -ECANCELED as its exception once they are.
 *
 * thread:  any
 * memory:  the caller holds one reference to *gather_out; the array is copied, and the futures are referenced until all are done
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_gather(struct weft_loop *loop, struct weft_future *const *futures, size_t count, uint32_t flags, struct weft_future **gather_out);

#ifdef __cplusplus
}
#endif

#endif
