/*
 * Coro: what a task drives. Two kinds ship, the fiber (weft/fiber.h: a stack of its own, straight-line code) and the step (weft/step.h:
 * a function and its state, for millions); a third party brings its own by filling in two slots.
 */
#ifndef WEFT_CORO_H
#define WEFT_CORO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_coro;
struct weft_future;

/* How a coroutine came back from a send, when it raised nothing. */
enum weft_coro_state {
    WEFT_CORO_RETURN = 0, /* it ended with `value` */
    WEFT_CORO_AWAIT = 1,  /* it waits for `future` */
    WEFT_CORO_YIELD = 2,  /* it gives up the rest of this iteration */
};

/* Cancelling the task detaches it from the future instead of cancelling the future. */
#define WEFT_AWAIT_DETACH 1u

/* What a coroutine hands out as it suspends or returns. */
struct weft_suspend {
    struct weft_future *future; /* borrowed until the coroutine goes on or is closed: it may live in its frame */
    void *value;
    uint32_t flags;
    uint32_t reserved;
};

/*
 * The slots of a coroutine.
 */
struct weft_coro_ops {
    size_t size; /* sizeof(struct weft_coro_ops) as its author knew it */
    /*
     * Go on until the next suspension. `status` 0 resumes; below 0 it is raised at the point where the coroutine waits (Python's
     * throw(), a word that C++ keeps for itself).
     *
     * thread:  the executing loop's
     * returns: an enum weft_coro_state, with `suspend_out` filled in; below 0 the status that the coroutine ended with
     */
    int (*send)(struct weft_coro *coro, int status, struct weft_suspend *suspend_out);
    /*
     * Free the coroutine, which has ended or never began, or is given up for good where it waits.
     *
     * thread:  any
     */
    void (*close)(struct weft_coro *coro);
};

/* The head of every coroutine. */
struct weft_coro {
    const struct weft_coro_ops *ops;
};

#ifdef __cplusplus
}
#endif

#endif
