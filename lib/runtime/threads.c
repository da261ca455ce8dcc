/*
 * Threads: the driver that gives each loop a thread of its own, and the main loop the conductor's.
 *
 * A loop's thread turns until it is asked to stop. One that leaves before that, because it was stopped or met a fatal status, takes the
 * others with it. A monitor looks after them all. While the runtime shuts down no loop leaves, and each tells the conductor after each turn, which is how the conductor
 * learns that tasks end elsewhere, without a message per task.
 */
#include <errno.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/cpu.h"
#include "lib/runtime/runtime.h"
#include "weft/atomic.h"
#include "weft/status.h"

/* What to do after a turn of `status` in which something was asked for. */
__attribute__((noinline)) static int end_turn(struct runtime_loop *each, int status)
{
    struct weft_loop *loop = each->loop;
    if (runtime_is_shutting(each->runtime) && status != WEFT_EFORKED) {
        loop->is_stopping = false;
        return 0;
    }
    return status < 0 ? status : loop->is_stopping ? WEFT_ESTOPPED : 0;
}

/* One turn, and what to do after it: 0 to go on; WEFT_ESTOPPED or a fatal status to leave. */
static inline int turn(struct runtime_loop *each, bool may_sleep)
{
    int status = loop_turn(each->loop, may_sleep);
    return status == 0 && !each->loop->is_stopping ? 0 : end_turn(each, status);
}

static void run_here(struct runtime_loop *each)
{
    struct weft_runtime *runtime = each->runtime;
    int status = 0;
    while (status == 0 && !runtime_is_stop_asked(each)) {
        status = turn(each, true);
        if (runtime_is_shutting(runtime))
            runtime_wake(runtime);
    }
    loop_leave(each->loop);
    if (status != 0) {
        runtime_left(runtime, status);
        runtime_ask_stop(runtime);
    }
}

static void thread_body(void *arg)
{
    struct runtime_loop *each = arg;
    struct weft_runtime *runtime = each->runtime;
    struct arena_binding binding;
    (void)arena_bind(&binding);
    if (each->cpu >= 0)
        (void)cpu_bind(pthread_self(), each->cpu); /* a processor may have gone: slower, not wrong */
    int status = loop_enter(each->loop);
    if (status < 0)
        runtime_left(runtime, status);
    /* Release: what entering wrote, or the status. Pairs with the acquire in wait_entered(). */
    (void)weft_atomic_add_release(&runtime->entered_count, 1);
    parker_unpark(&runtime->parker);
    if (status == 0)
        run_here(each);
    arena_unbind(&binding);
}

static int start_one(struct runtime_loop *each)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "weft-%u", each->loop->index);
    int status = each->runtime->driver->threads->start(&each->thread, name, thread_body, each);
    each->has_thread = status == 0;
    return status;
}

/* From here on other threads' calls on the loops are refused, as they must be once the first task runs. */
static void wait_entered(struct weft_runtime *runtime, uint32_t count)
{
    /* Pairs with the release of each thread_body(), also through later ones, which are read-modify-writes. */
    while (weft_atomic_load_acquire(&runtime->entered_count) < count)
        (void)parker_park(&runtime->parker, CLOCK_NEVER_NS);
}

static void stop(struct weft_runtime *runtime)
{
    runtime_ask_stop(runtime);
    for (uint32_t i = 0; i < runtime->loop_count; i++) {
        struct runtime_loop *each = &runtime->loops[i];
        if (each->has_thread)
            runtime->driver->threads->join(&each->thread);
        each->has_thread = false;
    }
    monitor_stop(runtime); /* last: a join that takes long because a callback does is told */
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        weft_atomic_store_relaxed(&runtime->loops[i].is_stop_asked, 0);
}

static int start(struct weft_runtime *runtime, bool with_main)
{
    uint32_t count = 0;
    int status = 0;
    weft_atomic_store_relaxed(&runtime->entered_count, 0);
    parker_init(&runtime->parker);
    for (uint32_t i = 0; i < runtime->loop_count && status == 0; i++) {
        if (&runtime->loops[i] == runtime->main && !with_main)
            continue;
        status = start_one(&runtime->loops[i]);
        count += status == 0;
    }
    wait_entered(runtime, count);
    if (status == 0)
        status = weft_atomic_load_relaxed(&runtime->left_status);
    if (status != 0)
        stop(runtime);
    else
        monitor_start(runtime);
    return status;
}

/* Only look, never sleep, if there is no memory for the timer that would end the sleep. */
static bool arm_deadline(struct weft_runtime *runtime, uint64_t deadline_ns)
{
    return deadline_ns == CLOCK_NEVER_NS || weft_timer_start_at(&runtime->deadline, deadline_ns) == 0;
}

static bool is_over(const struct weft_runtime *runtime, uint64_t deadline_ns)
{
    return deadline_ns != CLOCK_NEVER_NS && weft_loop_time(runtime->main->loop) >= deadline_ns;
}

static int turn_until(struct weft_runtime *runtime, runtime_condition_fn *is_true, uint64_t deadline_ns)
{
    bool may_sleep = arm_deadline(runtime, deadline_ns);
    int status = 0;
    while (status == 0 && !is_true(runtime))
        if (is_over(runtime, deadline_ns))
            status = -ETIMEDOUT;
        else if (runtime_is_stop_asked(runtime->main))
            status = WEFT_ESTOPPED;
        else
            status = turn(runtime->main, may_sleep);
    (void)weft_timer_stop(&runtime->deadline);
    return status;
}

static int run_until(struct weft_runtime *runtime, runtime_condition_fn *is_true, uint64_t deadline_ns)
{
    int status = loop_enter(runtime->main->loop);
    if (status < 0)
        return status;
    struct arena_binding binding;
    (void)arena_bind(&binding);
    monitor_wake(runtime);
    status = turn_until(runtime, is_true, deadline_ns);
    arena_unbind(&binding);
    loop_leave(runtime->main->loop);
    int left = weft_atomic_load_relaxed(&runtime->left_status);
    return status == WEFT_ESTOPPED && left != 0 ? left : status;
}

static uint32_t count_cpus(const struct weft_runtime_options *options)
{
    (void)options;
    return (uint32_t)cpu_count_available(NULL);
}

static int open_nothing(struct weft_runtime *runtime)
{
    (void)runtime;
    return 0;
}

static void close_nothing(struct weft_runtime *runtime)
{
    (void)runtime;
}

const struct runtime_driver runtime_driver_threads = {
    .count_cpus = count_cpus,
    .open = open_nothing,
    .close = close_nothing,
    .start = start,
    .run_until = run_until,
    .stop = stop,
    .threads = &executor_driver_threads,
    .jobs = &executor_driver_threads,
    .kind = weft_loop_kind_epoll,
};
