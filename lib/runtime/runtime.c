/*
 * Runtime: its life, and the run of a main task over all its loops.
 *
 * Users call this from outside, one thread at a time: the conductor. What loops' threads call is at the end, and allocates nothing. The
 * invariant: outside of start and stop no thread of ours exists, and every loop is one that this thread may prepare.
 */
#include "lib/runtime/runtime.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/cpu.h"
#include "lib/poll/sim.h"
#include "lib/runtime/fork.h"
#include "lib/sched/crew.h"
#include "lib/task/fiber.h"
#include "lib/task/job.h"
#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/poller.h"
#include "weft/status.h"

enum { LOOPS_MAX = 4096, SPIN_NS_DEFAULT = 50000 };

/* ---- life --------------------------------------------------------------------------------------------------------------------- */

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int nudged(struct weft_work *work)
{
    struct runtime_loop *each = weft_container_of(work, struct runtime_loop, nudge);
    /* Pairs with the exchange in runtime_nudge(): what was written before a nudge, be it one that found this one queued, is seen now. */
    (void)weft_atomic_exchange_acq_rel(&each->is_nudged, 0);
    return 0;
}

/* A loop that looks in vain takes time from nobody only if each has a processor, and there is another one for what it looks for. */
static uint64_t spin_max_ns(const struct weft_runtime *runtime)
{
    if (runtime->options.spin_max_ns != 0)
        return runtime->options.spin_max_ns < 0 ? 0 : (uint64_t)runtime->options.spin_max_ns;
    if (runtime->host != NULL)
        return 0;
    uint32_t cpus = (uint32_t)cpu_count_available(NULL);
    return cpus > 1 && runtime->loop_count <= cpus ? SPIN_NS_DEFAULT : 0;
}

static int open_loop(struct weft_runtime *runtime, uint32_t index, const struct weft_loop_options *options)
{
    struct runtime_loop *each = &runtime->loops[index];
    const struct weft_loop_kind *kind = runtime->options.kind == NULL ? runtime->driver->kind() : runtime->options.kind;
    int status = weft_loop_new_options(kind, options, &each->loop);
    if (status < 0)
        return status;
    each->runtime = runtime;
    each->nudge.run = nudged;
    each->cpu = runtime->options.flags & WEFT_RUNTIME_PIN_THREADS ? cpu_allowed((int)index) : -1;
    each->loop->index = index;
    crew_join(runtime->crew, &each->loop->worker, random_next(&runtime->random));
    loop_room_set(each->loop, LOOP_ROOM_RUNTIME, &each->room);
    loop_set_spin(each->loop, runtime->spin_max_ns, runtime->options.spin_max_ns > 0);
    /* Also for a loop whose tasks and fibers all come from elsewhere: its close abandons them, and none shall find no memory here. */
    status = task_room(each->loop) == NULL ? -ENOMEM : fiber_open(each->loop);
    return status < 0 ? status : weft_loop_set_default_executor(each->loop, runtime->executor);
}

static int open_loops(struct weft_runtime *runtime)
{
    struct weft_poller_options in_world = WEFT_POLLER_OPTIONS_INIT;
    in_world.world = runtime->host;
    struct weft_loop_options options = WEFT_LOOP_OPTIONS;
    if (runtime->options.loop_options != NULL)
        options = *runtime->options.loop_options;
    if (runtime->world != NULL)
        options.poller = &in_world;
    runtime->spin_max_ns = spin_max_ns(runtime);
    int status = 0;
    for (uint32_t i = 0; i < runtime->loop_count && status == 0; i++)
        status = open_loop(runtime, i, &options);
    return status;
}

static int open_executor(struct weft_runtime *runtime)
{
    struct weft_executor_options options = WEFT_EXECUTOR_OPTIONS;
    options.threads_max = runtime->options.executor_threads_max;
    options.queue_max = runtime->options.executor_queue_max;
    return executor_create(&options, runtime->driver->jobs, &runtime->executor);
}

static int open_all(struct weft_runtime *runtime)
{
    runtime->loops = weft_calloc(runtime->loop_count, sizeof(*runtime->loops));
    if (runtime->loops == NULL)
        return -ENOMEM;
    runtime->main = &runtime->loops[runtime->options.main_loop];
    random_init(&runtime->random, runtime->options.seed);
    int status = runtime->driver->open(runtime);
    if (status == 0)
        runtime->crew = crew_create(runtime->loop_count, &job_crew_ops);
    if (status == 0 && runtime->crew == NULL)
        status = -ENOMEM;
    if (status == 0)
        status = open_executor(runtime);
    if (status == 0)
        status = open_loops(runtime);
    if (status < 0)
        return status;
    weft_timer_init(&runtime->deadline, runtime->main->loop, do_nothing, NULL);
    monitor_init(runtime);
    return 0;
}

static int handle_overflows(struct weft_runtime *runtime)
{
    if ((runtime->options.flags & WEFT_RUNTIME_HANDLE_STACK_OVERFLOW) == 0)
        return 0;
    int status = weft_stack_overflow_install(NULL, NULL);
    if (status < 0)
        runtime->options.flags &= ~WEFT_RUNTIME_HANDLE_STACK_OVERFLOW; /* there is nothing to remove */
    return status;
}

int runtime_create(const struct weft_runtime_options *options, const struct runtime_driver *driver, struct weft_runtime **runtime_out)
{
    uint32_t count = options->loops == 0 ? driver->count_cpus(options) : options->loops;
    const uint32_t known_flags = WEFT_RUNTIME_PIN_THREADS | WEFT_RUNTIME_HANDLE_SIGINT | WEFT_RUNTIME_HANDLE_STACK_OVERFLOW;
    if (runtime_out == NULL || count > LOOPS_MAX || options->main_loop >= count || (options->flags & ~known_flags) != 0)
        return -EINVAL;
    struct weft_runtime *runtime = weft_calloc(1, sizeof(*runtime));
    if (runtime == NULL)
        return -ENOMEM;
    runtime->driver = driver;
    runtime->options = *options;
    runtime->loop_count = count;
    int status = handle_overflows(runtime);
    if (status == 0)
        status = open_all(runtime);
    if (status < 0) {
        weft_runtime_destroy(runtime);
        return status;
    }
    *runtime_out = runtime;
    return 0;
}

/* A caller may know fewer fields than we, or more: what it does not have is zero, what we do not know is left out. */
static bool copy_options(const struct weft_runtime_options *options, struct weft_runtime_options *full_out)
{
    const size_t first_bytes = offsetof(struct weft_runtime_options, stall_ns);
    if (options->size < first_bytes)
        return false;
    memcpy(full_out, options, options->size < sizeof(*full_out) ? options->size : sizeof(*full_out));
    full_out->size = sizeof(*full_out);
    return true;
}

/* What they point to is read here too, not only by the loops. */
static bool are_whole(const struct weft_loop_options *options)
{
    if (options == NULL)
        return true;
    return options->size >= sizeof(*options) && (options->poller == NULL || options->poller->size >= sizeof(*options->poller));
}

int weft_runtime_create(const struct weft_runtime_options *options, struct weft_runtime **runtime_out)
{
    struct weft_runtime_options full = WEFT_RUNTIME_OPTIONS;
    if (options != NULL && (!copy_options(options, &full) || !are_whole(full.loop_options)))
        return -EINVAL;
    if (full.driver != WEFT_DRIVER_THREADS && full.driver != WEFT_DRIVER_SIM)
        return -EINVAL;
    if (full.kind == NULL && sim_host_entered() != NULL)
        full.driver = WEFT_DRIVER_SIM;
    return runtime_create(&full, full.driver == WEFT_DRIVER_SIM ? &runtime_driver_sim : &runtime_driver_threads, runtime_out);
}

void weft_runtime_destroy(struct weft_runtime *runtime)
{
    if (runtime == NULL || runtime_is_forked(runtime))
        return;
    /* Nothing is waited for: what the steps before would have ended is abandoned by those that remain. */
    if (runtime->step < RUNTIME_STEP_JOIN)
        runtime->step = RUNTIME_STEP_JOIN;
    if (runtime->loops != NULL)
        (void)runtime_shutdown_until(runtime, RUNTIME_STEP_COUNT, 0);
    for (uint32_t i = 0; runtime->loops != NULL && i < runtime->loop_count; i++)
        weft_loop_unref(runtime->loops[i].loop);
    crew_unref(runtime->crew); /* the loops that others hold have theirs */
    weft_executor_unref(runtime->executor);
    runtime->driver->close(runtime);
    if ((runtime->options.flags & WEFT_RUNTIME_HANDLE_STACK_OVERFLOW) != 0)
        weft_stack_overflow_remove();
    weft_free(runtime->loops);
    weft_free(runtime);
}

/* ---- running ------------------------------------------------------------------------------------------------------------------ */

/* Become the conductor. */
static int conduct(struct weft_runtime *runtime)
{
    if (runtime == NULL)
        return -EINVAL;
    if (runtime_is_forked(runtime))
        return WEFT_EFORKED;
    if (weft_get_running_loop() != NULL)
        return WEFT_EOTHERLOOP;
    /* Pairs with the release in conduct_no_more(): what the last conductor wrote. */
    return weft_atomic_exchange_acquire(&runtime->is_busy, 1) == 0 ? 0 : WEFT_ERUNNING;
}

static int conduct_no_more(struct weft_runtime *runtime, int status)
{
    /* Pairs with the acquire in conduct(). */
    weft_atomic_store_release(&runtime->is_busy, 0);
    return status;
}

static int check_idle(const struct weft_runtime *runtime)
{
    if (runtime_is_shutting(runtime))
        return WEFT_ECLOSED;
    return runtime->are_others_running ? WEFT_ERUNNING : 0;
}

int runtime_start(struct weft_runtime *runtime, bool with_main)
{
    weft_atomic_store_relaxed(&runtime->left_status, 0);
    int status = runtime->driver->start(runtime, with_main);
    runtime->are_others_running = status == 0;
    runtime->is_main_started = status == 0 && with_main;
    return status;
}

int runtime_stop(struct weft_runtime *runtime)
{
    if (runtime_is_forked(runtime))
        return WEFT_EFORKED;
    if (!runtime->are_others_running)
        return 0;
    runtime->driver->stop(runtime);
    runtime->are_others_running = false;
    runtime->is_main_started = false;
    int left = weft_atomic_load_relaxed(&runtime->left_status);
    return weft_status_is_fatal(left) ? left : 0;
}

static bool is_main_done(struct weft_runtime *runtime)
{
    return weft_future_done(&runtime->main_task->future);
}

/* What main came to. A SIGINT that cancelled it, and that it did not take back, is what the caller wants to know of (RUN-1). */
static int main_result(struct weft_runtime *runtime, void **value_out)
{
    struct weft_task *task = runtime->main_task;
    int status = weft_future_result(&task->future, value_out);
    bool is_interrupted = weft_atomic_load_relaxed(&runtime->sigint.count) > 0 && weft_future_cancelled(&task->future);
    return is_interrupted && weft_task_uncancel(task) == 0 ? WEFT_EINTERRUPT : status;
}

static int run_until_main_is_done(struct weft_runtime *runtime, void **value_out)
{
    if (runtime->options.flags & WEFT_RUNTIME_HANDLE_SIGINT)
        runtime_sigint_install(runtime);
    int status = runtime->driver->run_until(runtime, is_main_done, CLOCK_NEVER_NS);
    runtime_sigint_remove(runtime);
    /* A fatal status that main raised is its result too, and must not be reported as one that nobody asked for. */
    int result = is_main_done(runtime) ? main_result(runtime, status == 0 ? value_out : NULL) : status;
    return status == 0 ? result : status;
}

/* Run `coro` with all loops, and leave the others running. */
static int run_main(struct weft_runtime *runtime, struct weft_coro *coro, void **value_out)
{
    int status = runtime_start(runtime, false);
    if (status < 0) {
        coro->ops->close(coro);
        return status;
    }
    status = weft_loop_create_task(runtime->main->loop, coro, NULL, &runtime->main_task);
    if (status < 0)
        return status;
    status = run_until_main_is_done(runtime, value_out);
    weft_task_unref(runtime->main_task);
    runtime->main_task = NULL;
    return runtime_is_forked(runtime) ? WEFT_EFORKED : status; /* whatever main came to: it has forked, and this is the child */
}

static int run_alone(struct weft_runtime *runtime, struct weft_coro *coro, void **value_out)
{
    int status = check_idle(runtime);
    if (status < 0) {
        coro->ops->close(coro);
        return status;
    }
    void *value = NULL;
    status = run_main(runtime, coro, &value);
    int left = runtime_stop(runtime);
    status = status == 0 ? left : status;
    if (status == 0 && value_out != NULL)
        *value_out = value;
    return status;
}

int weft_runtime_run(struct weft_runtime *runtime, struct weft_coro *coro, void **value_out)
{
    if (coro == NULL)
        return -EINVAL;
    int status = conduct(runtime);
    if (status < 0) {
        coro->ops->close(coro);
        return status;
    }
    return conduct_no_more(runtime, run_alone(runtime, coro, value_out));
}

int weft_runtime_start(struct weft_runtime *runtime)
{
    int status = conduct(runtime);
    if (status < 0)
        return status;
    status = check_idle(runtime);
    return conduct_no_more(runtime, status < 0 ? status : runtime_start(runtime, true));
}

int weft_runtime_stop(struct weft_runtime *runtime)
{
    int status = conduct(runtime);
    return status < 0 ? status : conduct_no_more(runtime, runtime_stop(runtime));
}

int weft_runtime_shutdown(struct weft_runtime *runtime, int64_t timeout_ns)
{
    int status = conduct(runtime);
    return status < 0 ? status : conduct_no_more(runtime, runtime_shutdown_until(runtime, RUNTIME_STEP_COUNT, timeout_ns));
}

int weft_run(struct weft_coro *coro, const struct weft_runtime_options *options, void **value_out)
{
    if (coro == NULL)
        return -EINVAL;
    struct weft_runtime *runtime = NULL;
    int status = weft_get_running_loop() != NULL ? WEFT_EOTHERLOOP : weft_runtime_create(options, &runtime);
    if (status < 0) {
        coro->ops->close(coro);
        return status;
    }
    (void)conduct(runtime); /* what tasks may find by weft_runtime_of() is taken */
    status = run_main(runtime, coro, value_out);
    if (!runtime_is_forked(runtime))
        (void)runtime_shutdown_until(runtime, RUNTIME_STEP_COUNT, -1);
    weft_runtime_destroy(runtime);
    return status;
}

/* ---- asking ------------------------------------------------------------------------------------------------------------------- */

uint32_t weft_runtime_loop_count(const struct weft_runtime *runtime)
{
    if (runtime == NULL)
        return 0;
    return runtime->loop_count;
}

struct weft_loop *weft_runtime_loop(const struct weft_runtime *runtime, uint32_t index)
{
    if (runtime == NULL)
        return NULL;
    return index < runtime->loop_count ? runtime->loops[index].loop : NULL;
}

struct weft_runtime *weft_runtime_of(const struct weft_loop *loop)
{
    if (loop == NULL)
        return NULL;
    const struct runtime_loop *each = (const struct runtime_loop *)loop_room(loop, LOOP_ROOM_RUNTIME);
    return each == NULL ? NULL : each->runtime;
}

struct weft_executor *weft_runtime_executor(const struct weft_runtime *runtime)
{
    if (runtime == NULL)
        return NULL;
    return runtime->executor;
}

/* A table of counters is nothing but words. */
static void add_counters(struct weft_loop_counters *sum, const struct weft_loop_counters *counters)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)counters;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
        to[i] += from[i];
}

int weft_runtime_get_counters(const struct weft_runtime *runtime, uint32_t index, struct weft_loop_counters *counters_out)
{
    if (runtime == NULL || counters_out == NULL || (index >= runtime->loop_count && index != WEFT_RUNTIME_ALL))
        return -EINVAL;
    struct weft_loop_counters sum = {0};
    for (uint32_t i = 0; i < runtime->loop_count; i++) {
        struct weft_loop_counters counters;
        if (index == i || index == WEFT_RUNTIME_ALL) {
            (void)weft_loop_get_counters(runtime->loops[i].loop, &counters);
            add_counters(&sum, &counters);
        }
    }
    *counters_out = sum;
    return 0;
}

/* ---- what the loops' threads call --------------------------------------------------------------------------------------------- */

void runtime_nudge(struct runtime_loop *each)
{
    /* Pairs with the exchange in nudged(): the flags that the caller wrote before. */
    if (weft_atomic_exchange_acq_rel(&each->is_nudged, 1) == 0)
        work_ready(&each->loop->worker, &each->nudge);
}

void runtime_wake(struct weft_runtime *runtime)
{
    runtime_nudge(runtime->main);
}

void runtime_ask_stop(struct weft_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->loop_count; i++) {
        weft_atomic_store_relaxed(&runtime->loops[i].is_stop_asked, 1);
        runtime_nudge(&runtime->loops[i]);
    }
}

void runtime_left(struct weft_runtime *runtime, int status)
{
    int32_t none = 0;
    (void)weft_atomic_cas_relaxed(&runtime->left_status, &none, status);
}
