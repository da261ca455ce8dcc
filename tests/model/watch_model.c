/*
 * Models of the monitor's sleep: however deep it sleeps, a loop that leaves its park is looked at, and one that computes is called on.
 *
 * lib/runtime/monitor.c and all below it are real. Loops are workers that are parked as the model begins. The monitor's clock is a double: a
 * monitor that has looked often enough looks again only when somebody has done something, so that a run ends.
 */
#include "lib/runtime/monitor.h"

#include "lib/base/clock.h"
#include "lib/lockfree/job_stack.h"
#include "lib/runtime/runtime.h"
#include "tests/model/checker.h"

enum { LOOPS = 2, CALLS = 6 };

static struct weft_runtime runtime;
static struct weft_loop loops[LOOPS];
static struct runtime_loop each[LOOPS];
static struct weft_job_stack stacks[LOOPS];
static struct weft_job slots[LOOPS][2];
static struct model_token woken[LOOPS];
static uint32_t ended; /* atomic: loops that have got what they waited for */

/* ---- doubles -------------------------------------------------------------------------------------------------------------------------- */

/* The monitor's alone: two calls to a look, at most. */
static uint64_t now_ns = 1000000000;
static unsigned call_count;

uint64_t clock_monotonic_ns(void)
{
    now_ns += MONITOR_TICK_MAX_NS;
    if (++call_count % CALLS == 0)
        model_pause();
    return now_ns;
}

uint64_t clock_realtime_ns(void)
{
    return 0;
}

uint64_t weft_loop_current_task_id(const struct weft_loop *loop)
{
    (void)loop;
    return 0;
}

struct weft_task *weft_task_from_id(uint64_t id)
{
    (void)id;
    return NULL;
}

void weft_task_unref(struct weft_task *task)
{
    (void)task;
}

void weft_loop_call_exception_handler(struct weft_loop *loop, const struct weft_exception *exception)
{
    (void)loop, (void)exception;
    model_fail("nobody stalls");
}

static void wake(struct worker *worker)
{
    model_signal(&woken[loop_of_worker(worker) - loops]);
}

static const struct parker_ops parker = {.wake = wake};

static thread_fn *monitor_body;

static int start(struct thread *thread, const char *name, thread_fn *body, void *arg)
{
    (void)thread, (void)name, (void)arg;
    monitor_body = body;
    return 0;
}

static void join(struct thread *thread)
{
    (void)thread;
}

static const struct executor_driver threads = {.start = start, .join = join};
static const struct runtime_driver driver = {.threads = &threads};

/* ---- the scene ------------------------------------------------------------------------------------------------------------------------ */

static void set_up(uint32_t count)
{
    runtime = (struct weft_runtime){.driver = &driver, .loop_count = count, .loops = each, .options = {.stall_ns = -1}};
    for (uint32_t i = 0; i < count; i++) {
        each[i].loop = &loops[i];
        worker_init(&loops[i].worker, &parker);
        job_stack_init(&stacks[i], slots[i], 1);
        loops[i].is_entered = true;
        (void)inbox_park(&loops[i].worker.inbox);
    }
    monitor_init(&runtime);
    monitor_start(&runtime);
    runtime.monitor.tick_ns = MONITOR_TICK_MAX_NS; /* it has looked long enough */
    for (uint32_t i = 0; i < count; i++)
        each[i].view.rested = true;
}

static void setup_one(void)
{
    set_up(1);
}

static void setup_two(void)
{
    set_up(2);
}

static void monitor(void)
{
    monitor_body(&runtime);
}

static void end(void)
{
    if (weft_atomic_add_acq_rel(&ended, 1) + 1 == runtime.loop_count)
        monitor_stop(&runtime);
}

/* Wakes up, and does something that does not return. */
static void stall(unsigned index)
{
    worker_unpark(&loops[index].worker);
    while (weft_atomic_load_relaxed(&runtime.monitor.tick_count) < 2) /* the monitor's first look found it asleep, or sees it now */
        weft_atomic_pause();
    end();
}

static void staller_0(void)
{
    stall(0);
}

/* Wakes up, and computes. */
static void compute(unsigned index)
{
    worker_unpark(&loops[index].worker);
    worker_set_jobs(&loops[index].worker, &stacks[index]);
    while (weft_atomic_load_relaxed(&stacks[index].limit) != NULL)
        weft_atomic_pause();
    worker_set_jobs(&loops[index].worker, NULL);
    end();
}

static void computer_0(void)
{
    compute(0);
}

static void sleeper_1(void)
{
    model_wait(&woken[1]);
    worker_unpark(&loops[1].worker);
    end();
}

static void waker_1(void)
{
    if (inbox_poke(&loops[1].worker.inbox))
        worker_wake(&loops[1].worker);
}

static const struct model models[] = {
    {
        .name = "stall",
        .about = "A loop that wakes as the monitor goes to sleep for good is looked at.",
        .setup = setup_one,
        .threads = {monitor, staller_0},
        .bound = 3,
    },
    {
        .name = "compute",
        .about = "A loop that wakes and computes is called on.",
        .setup = setup_one,
        .threads = {monitor, computer_0},
        .bound = 3,
    },
    {
        .name = "poked",
        .about = "One loop is poked awake and ends, another one computes: the monitor sees to it.",
        .setup = setup_two,
        .threads = {monitor, computer_0, sleeper_1, waker_1},
        .bound = -1,
        .random_runs = 3000,
    },
};

/* Looks first, and says then how deep it sleeps. */
static void monitor_swapped(void)
{
    struct watch *watch = &runtime.monitor.watch;
    if (inbox_confirm_parked(&loops[0].worker.inbox)) {
        weft_atomic_store_relaxed(&watch->depth, WATCH_ASLEEP);
        (void)parker_park(&watch->parker, CLOCK_NEVER_NS);
    }
    weft_atomic_store_relaxed(&runtime.monitor.tick_count, 2);
}

static const struct model broken[] = {
    {
        .name = "stall_swapped",
        .about = "A monitor that looks before it says how deep it sleeps misses who wakes in between.",
        .setup = setup_one,
        .threads = {monitor_swapped, staller_0},
    },
};

int main(int argc, char **argv)
{
    static const struct model_equivalent equivalent[] = {{NULL, NULL}};
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .owns = {"lib/sched/watch.", "lib/runtime/monitor.", "inbox.h:inbox_confirm_parked"},
        .equivalent = equivalent,
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
    };
    return model_main(&suite, argc, argv);
}
