/*
 * What the runtime's tests have in common: runtimes of a few loops, and fibers as coroutines.
 */
#ifndef TESTS_RUNTIME_FIXTURE_H
#define TESTS_RUNTIME_FIXTURE_H

#include "tests/support/oom.h"
#include "tests/support/test.h"

#include "lib/runtime/runtime.h"
#include "weft/atomic.h"
#include "weft/fiber.h"
#include "weft/future.h"
#include "weft/runtime.h"
#include "weft/status.h"
#include "weft/task.h"

enum { DEADLINE_MS = 5000 };

#define SECOND_NS INT64_C(1000000000)
#define FOR_EVER  INT64_C(-1)

static inline struct weft_runtime_options fixture_options(uint32_t loops)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = loops;
    return options;
}

static inline struct weft_runtime *fixture_create(const struct weft_runtime_options *options)
{
    struct weft_runtime *runtime;
    CHECK_EQ(weft_runtime_create(options, &runtime), 0);
    return runtime;
}

static inline struct weft_runtime *fixture_loops(uint32_t loops)
{
    struct weft_runtime_options options = fixture_options(loops);
    return fixture_create(&options);
}

static inline void fixture_end(struct weft_runtime *runtime)
{
    CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), 0);
    weft_runtime_destroy(runtime);
}

static inline struct weft_coro *fixture_fiber(weft_fiber_fn *fn, void *arg)
{
    struct weft_coro *coro;
    CHECK_EQ(weft_fiber_new(fn, arg, NULL, &coro), 0);
    return coro;
}

static inline int fixture_nothing(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return 0;
}

/* Count allocations from here on, with what the process keeps for good (the registry of tasks) made before. */
static inline int64_t fixture_count_memory(void)
{
    struct weft_runtime_options options = fixture_options(1);
    oom_install();
    CHECK_EQ(weft_run(fixture_fiber(fixture_nothing, NULL), &options, NULL), 0);
    return oom_live();
}

/* Create a task of `fn(arg)` on `loop` from any thread. The caller drops the reference. */
static inline struct weft_task *fixture_spawn(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_task_threadsafe(loop, fixture_fiber(fn, arg), NULL, &task), 0);
    return task;
}

static inline void fixture_spawn_and_forget(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    weft_task_unref(fixture_spawn(loop, fn, arg));
}

#endif
