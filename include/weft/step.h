/*
 * Step: a coroutine without a stack. A function is called again at each step, and what must survive a wait lives in its state.
 *
 *     struct pair {
 *         struct weft_future *left, *right;
 *     };
 *
 *     static int wait_for_both(struct weft_step *step, void *state, int status)
 *     {
 *         struct pair *pair = state;
 *         WEFT_STEP_BEGIN(step, status);
 *         WEFT_STEP_AWAIT(step, pair->left, status);
 *         WEFT_STEP_AWAIT(step, pair->right, status);
 *         WEFT_STEP_END(step, NULL);
 *     }
 *
 *     weft_step_new(wait_for_both, NULL, sizeof(struct pair), &coro, (void **)&pair);
 *
 * The macros make the function a switch over line numbers (Tom Duff's device, as in Adam Dunkels' protothreads): one wait a line, and
 * no local variable keeps its value over a wait.
 */
#ifndef WEFT_STEP_H
#define WEFT_STEP_H

#include "weft/coro.h"
#include "weft/future.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_step;

/*
 * Do the next step. `status` is 0, or what is raised at the point of the wait.
 *
 * thread:  the executing loop's
 * returns: what weft_step_await(), weft_step_yield() or weft_step_return() gave, or a status below 0 to raise it
 */
typedef int weft_step_fn(struct weft_step *step, void *state, int status);

/* All fields are the library's; `line` and `awaiting` are used by the macros. */
struct weft_step {
    struct weft_coro coro;
    weft_step_fn *fn;
    void (*drop)(void *state);
    struct weft_suspend *suspend;
    struct weft_future *awaiting;
    int line;
};

/*
 * Create a step coroutine with `state_bytes` of zeroed state. `drop` (may be NULL) is called with the state when the coroutine is freed,
 * whether it ended or not.
 *
 * thread:  any
 * memory:  *coro_out belongs to the task that is made of it; *state_out lives inside it
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_step_new(weft_step_fn *fn, void (*drop)(void *state), size_t state_bytes, struct weft_coro **coro_out, void **state_out);

/*
 * Suspend until `future` is done.
 *
 * thread:  inside a step function, as its return value
 * memory:  future is borrowed until the step goes on: the state should hold a reference
 */
int weft_step_await(struct weft_step *step, struct weft_future *future, uint32_t flags);

/*
 * Suspend for one iteration.
 *
 * thread:  inside a step function, as its return value
 */
int weft_step_yield(struct weft_step *step);

/*
 * End with `value`.
 *
 * thread:  inside a step function, as its return value
 */
int weft_step_return(struct weft_step *step, void *value);

/* Open the body; a status that is raised before the first step ends it. */
#define WEFT_STEP_BEGIN(step, status)                                                                                                      \
    switch ((step)->line) {                                                                                                                \
    case 0:                                                                                                                                \
        if ((status) < 0)                                                                                                                  \
            return (status);

/* Wait for `future` and put its outcome in `status`: 0, its exception's status, or what was raised into the task. A done one is not
 * waited for. */
#define WEFT_STEP_AWAIT(step, future, status)                                                                                              \
    do {                                                                                                                                   \
        (step)->awaiting = (future);                                                                                                       \
        (step)->line = __LINE__;                                                                                                           \
        if (!weft_future_done((step)->awaiting))                                                                                           \
            return weft_step_await((step), (step)->awaiting, 0);                                                                           \
        (status) = 0; /* fall through */                                                                                                   \
    case __LINE__:                                                                                                                         \
        if ((status) == 0)                                                                                                                 \
            (status) = weft_future_result((step)->awaiting, NULL);                                                                         \
    } while (0)

/* Let the others have a turn; `status` is what was raised meanwhile. */
#define WEFT_STEP_YIELD(step, status)                                                                                                      \
    do {                                                                                                                                   \
        (step)->line = __LINE__;                                                                                                           \
        return weft_step_yield(step);                                                                                                      \
    case __LINE__:                                                                                                                         \
        (void)(status);                                                                                                                    \
    } while (0)

/* Close the body and end with `value`. */
#define WEFT_STEP_END(step, value)                                                                                                         \
    }                                                                                                                                      \
    return weft_step_return((step), (value))

#ifdef __cplusplus
}
#endif

#endif
