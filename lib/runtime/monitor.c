/*
 * Monitor: what it sees of a loop, what it does about it, and how long it sleeps.
 *
 * It reads of a loop only what the loop writes atomically, and writes nothing but the limit of a job stack. The invariant: when all loops
 * are parked or not running and stay so, the monitor sleeps without an end; and then one that wakes up wakes the monitor.
 */
#include "lib/runtime/monitor.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/runtime/runtime.h"
#include "weft/atomic.h"
#include "weft/task.h"

enum {
    NEAR_NS = 1000000,     /* a tick below this is not cut short for a computation that begins */
    CALLED_NS = 800000,    /* the tick after a call for a computation that is over already: below NEAR_NS, so that calls are rare */
    AWAKENED_NS = 1600000, /* the tick after a sleep without an end: above NEAR_NS, for what wakes a loop may compute */
};

#define STALL_NS_DEFAULT UINT64_C(1000000000)

/* What there is to see, the most pressing last. One that computes steadily has polled without being asked. */
enum sight { SIGHT_ASLEEP, SIGHT_AWAKE, SIGHT_STEADY, SIGHT_COMPUTING };

/* ---- one loop ----------------------------------------------------------------------------------------------------------------- */

static bool is_resting(const struct weft_loop *loop)
{
    return inbox_is_parked(&loop->worker.inbox) || !weft_atomic_load_relaxed(&loop->is_entered);
}

static uint64_t polls_of(const struct weft_loop *loop)
{
    return weft_atomic_load_relaxed(&loop->counters.polls);
}

static struct weft_task *current_task(const struct weft_loop *loop)
{
    uint64_t id = weft_loop_current_task_id(loop);
    return id == 0 || id == UINT64_MAX ? NULL : weft_task_from_id(id);
}

/* Tell that a callback has not returned, if that is still so. It may return while the handler hears of it. */
static void report(struct weft_loop *loop, const struct monitor_view *view, uint64_t now_ns)
{
    struct weft_exception exception = {.size = sizeof(exception), .message = "a callback has not returned"};
    exception.duration_ns = now_ns - view->since_ns;
    exception.task = current_task(loop);
    if (polls_of(loop) == view->polls)
        weft_loop_call_exception_handler(loop, &exception);
    weft_task_unref(exception.task);
}

/*
 * True for a loop that has polled unasked last time and may be about to again: its computation comes by once in a tick and some more, so one
 * look that finds nothing says little. Asked then, it would count as one that has to be, and be looked at each tick from then on.
 */
static bool is_to_be_spared(const struct monitor *monitor, const struct monitor_view *view)
{
    return view->was_unasked && monitor->looked_ns - view->since_ns < 2 * MONITOR_TICK_NS;
}

/* The loop has not come to its poller since the last look, `passed_ns` ago. */
static void has_not_polled(struct monitor *monitor, struct weft_loop *loop, struct monitor_view *view, uint64_t passed_ns)
{
    if (!is_to_be_spared(monitor, view)) {
        worker_call_on_jobs(&loop->worker);
        worker_call_on_ring(&loop->worker);
        view->was_asked = true;
    }
    view->stalled_ns += passed_ns;
    if (view->stalled_ns < view->report_ns)
        return;
    report(loop, view, monitor->looked_ns);
    view->report_ns = view->stalled_ns * 2;
}

static void has_polled(struct monitor *monitor, struct monitor_view *view, uint64_t polls)
{
    view->polls = polls;
    view->was_unasked = !view->was_asked && !view->rested;
    view->was_asked = false;
    view->since_ns = monitor->looked_ns;
    view->stalled_ns = 0;
    view->report_ns = monitor->stall_ns;
}

static enum sight look_at(struct monitor *monitor, struct weft_loop *loop, struct monitor_view *view, uint64_t passed_ns)
{
    bool rests = is_resting(loop);
    uint64_t polls = polls_of(loop);
    bool is_same = polls == view->polls, is_steady = !is_same && !view->was_asked;
    if (rests || view->rested || !is_same) /* one that has just left its park has done so without a poll */
        has_polled(monitor, view, polls);
    else
        has_not_polled(monitor, loop, view, passed_ns);
    view->rested = rests;
    if (rests)
        return is_same ? SIGHT_ASLEEP : SIGHT_AWAKE;
    if (!worker_is_computing(&loop->worker))
        return SIGHT_AWAKE;
    return is_steady ? SIGHT_STEADY : SIGHT_COMPUTING;
}

/* ---- all of them -------------------------------------------------------------------------------------------------------------- */

/* Time that the monitor has slept beyond its tick may be the whole process's, or the machine's: no loop is blamed for it. */
static uint64_t passed_since(const struct monitor *monitor, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - monitor->looked_ns;
    return passed_ns < 2 * monitor->tick_ns ? passed_ns : 2 * monitor->tick_ns;
}

static enum sight look(struct weft_runtime *runtime)
{
    struct monitor *monitor = &runtime->monitor;
    enum sight most = SIGHT_ASLEEP;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t passed_ns = passed_since(monitor, now_ns);
    monitor->looked_ns = now_ns;
    for (uint32_t i = 0; i < runtime->loop_count; i++) {
        enum sight sight = look_at(monitor, runtime->loops[i].loop, &runtime->loops[i].view, passed_ns);
        most = sight > most ? sight : most;
    }
    weft_atomic_store_relaxed(&monitor->tick_count, monitor->tick_count + 1);
    return most;
}

/* How deep to sleep until the next look, which is due in `tick_ns`. */
static uint32_t depth_of(const struct monitor *monitor, enum sight sight)
{
    if (monitor->tick_ns < NEAR_NS)
        return WATCH_NEAR;
    return sight == SIGHT_ASLEEP && monitor->tick_ns == MONITOR_TICK_MAX_NS ? WATCH_ASLEEP : WATCH_FAR;
}

/* False if, now that `depth` can be read, there is something to see before such a sleep. */
static bool may_sleep(struct weft_runtime *runtime, uint32_t depth)
{
    for (uint32_t i = 0; i < runtime->loop_count; i++) {
        struct weft_loop *loop = runtime->loops[i].loop;
        if (worker_is_computing(&loop->worker))
            return false;
        /* One that is not running enters with a monitor_wake(), or with a start. */
        if (depth == WATCH_ASLEEP && weft_atomic_load_relaxed(&loop->is_entered) && !inbox_confirm_parked(&loop->worker.inbox))
            return false;
    }
    return true;
}

/* Sleep a tick, or as long as nothing happens. True if somebody called. */
static bool sleep_a_tick(struct weft_runtime *runtime, uint32_t depth)
{
    struct monitor *monitor = &runtime->monitor;
    uint64_t end_ns = clock_add_ns(monitor->looked_ns, monitor->tick_ns);
    weft_atomic_store_relaxed(&monitor->watch.depth, depth);
    if (depth != WATCH_NEAR && !may_sleep(runtime, depth))
        end_ns = clock_add_ns(monitor->looked_ns, MONITOR_TICK_NS);
    else if (depth == WATCH_ASLEEP)
        end_ns = CLOCK_NEVER_NS;
    bool is_called = parker_park(&monitor->watch.parker, end_ns) == 0;
    weft_atomic_store_relaxed(&monitor->watch.depth, WATCH_NEAR);
    return is_called;
}

/* The tick after one that ended with this `sight`: at once the shortest when a loop computes, else twice as long as the last. */
static uint64_t next_tick_ns(const struct monitor *monitor, enum sight sight)
{
    uint64_t max_ns = sight == SIGHT_STEADY ? MONITOR_TICK_STEADY_NS : MONITOR_TICK_MAX_NS;
    if (sight == SIGHT_COMPUTING || monitor->tick_ns > max_ns)
        return MONITOR_TICK_NS;
    return monitor->tick_ns * 2 < max_ns ? monitor->tick_ns * 2 : max_ns;
}

static void watch_loops(struct weft_runtime *runtime)
{
    struct monitor *monitor = &runtime->monitor;
    /* A stop's token comes after its flag, so that whichever park takes it is the last one. */
    while (!weft_atomic_load_relaxed(&monitor->is_stop_asked)) {
        enum sight sight = look(runtime);
        monitor->tick_ns = next_tick_ns(monitor, sight);
        uint32_t depth = depth_of(monitor, sight);
        bool is_called = sleep_a_tick(runtime, depth);
        if (is_called && depth != WATCH_NEAR)
            monitor->tick_ns = (depth == WATCH_ASLEEP ? AWAKENED_NS : CALLED_NS) / 2; /* doubled by the next look */
    }
}

/* ---- life --------------------------------------------------------------------------------------------------------------------- */

/* The kernel's struct sched_attr in its first version. Its header and the C library's do not go together. */
struct scheduling {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

/*
 * Ask for slices of a tick's length (Linux 6.12). Who waits for a shorter slice may interrupt who has a longer one; otherwise a loop that
 * computes may keep a processor from this thread until the kernel's own tick, 4 ms. Nice stays what it is. Without it that happens, no more.
 */
static void ask_for_short_slices(void)
{
    struct scheduling present = {0};
    if (syscall(SYS_sched_getattr, 0, &present, sizeof(present), 0) != 0 || present.policy != SCHED_OTHER)
        return;
    present.runtime_ns = MONITOR_TICK_NS;
    (void)syscall(SYS_sched_setattr, 0, &present, 0);
}

static void thread_body(void *arg)
{
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* the default adds 50 µs to each tick; without it the tick is longer, no more */
    ask_for_short_slices();
    watch_loops(arg);
}

void monitor_init(struct weft_runtime *runtime)
{
    struct monitor *monitor = &runtime->monitor;
    int64_t stall_ns = runtime->options.stall_ns;
    parker_init(&monitor->watch.parker);
    monitor->stall_ns = stall_ns < 0 ? CLOCK_NEVER_NS : stall_ns == 0 ? STALL_NS_DEFAULT : (uint64_t)stall_ns;
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        runtime->loops[i].loop->worker.watch = &monitor->watch;
}

void monitor_start(struct weft_runtime *runtime)
{
    struct monitor *monitor = &runtime->monitor;
    weft_atomic_store_relaxed(&monitor->is_stop_asked, 0);
    monitor->tick_ns = MONITOR_TICK_NS;
    monitor->looked_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        has_polled(monitor, &runtime->loops[i].view, polls_of(runtime->loops[i].loop));
    monitor->has_thread = runtime->driver->threads->start(&monitor->thread, "weft-monitor", thread_body, runtime) == 0;
    weft_atomic_store_relaxed(&monitor->watch.is_manned, monitor->has_thread);
}

void monitor_wake(struct weft_runtime *runtime)
{
    parker_unpark(&runtime->monitor.watch.parker);
}

void monitor_stop(struct weft_runtime *runtime)
{
    struct monitor *monitor = &runtime->monitor;
    if (!monitor->has_thread)
        return;
    weft_atomic_store_relaxed(&monitor->watch.is_manned, 0);
    weft_atomic_store_relaxed(&monitor->is_stop_asked, 1);
    parker_unpark(&monitor->watch.parker);
    runtime->driver->threads->join(&monitor->thread);
    monitor->has_thread = false;
}
