/*
 * Tasks: what weft's own benches of tasks share: a runtime, a fiber in it that asks the question, and the making of what it asks about.
 *
 * The fiber is pinned to the first loop, which runs in the thread of main(): kit_start() and kit_stop_alone() are called there.
 */
#ifndef BENCH_KIT_TASKS_H
#define BENCH_KIT_TASKS_H

#include <stddef.h>

#include "bench/kit/kit.h"
#include "weft/fiber.h"
#include "weft/runtime.h"
#include "weft/step.h"

/* What a fiber shall do whose function is tasks_call(), and whose argument this is: body(kit). */
struct tasks_call {
    struct kit *kit;
    void (*body)(struct kit *kit);
};

weft_fiber_fn tasks_call;

/* Call `body(kit)` in a fiber of a runtime of kit->loops, and return once it has. `options`, NULL for the defaults, say the rest. */
void tasks_within(struct kit *kit, const struct weft_runtime_options *options, void (*body)(struct kit *kit));

/* A coroutine that has not begun: a step, with its zeroed state in *state_out, which may be NULL; and a fiber. */
struct weft_coro *tasks_step(const struct kit *kit, weft_step_fn *fn, size_t state_bytes, void **state_out);
struct weft_coro *tasks_fiber(const struct kit *kit, weft_fiber_fn *fn, void *arg);

/* Make a task of it, pinned to the loop of the caller. */
struct weft_task *tasks_start(const struct kit *kit, struct weft_coro *coro);

/* Wait in the calling fiber until `task` has ended, and let it go. */
void tasks_finish(const struct kit *kit, struct weft_task *task);

/*
 * Make `count` tasks that wait for `future`, and let them come to it; and complete it, and wait until they have ended. In a fiber.
 */
struct weft_task **tasks_start_waiting(const struct kit *kit, struct weft_future *future, int count, bool are_fibers);
void tasks_finish_waiting(const struct kit *kit, struct weft_task **tasks, struct weft_future *future, int count);

/* What many a bench runs: tasks that end at once. */
int tasks_step_ends(struct weft_step *step, void *state, int status);
int tasks_fiber_ends(void *arg, void **result_out);

#endif
