/*
 * How long does it take until another loop has begun with what was given away?
 *
 * A task that is spawned, or a job that is forked, on one of two loops whose other one has nothing to do: `spawn_parked` and `fork_parked` while it
 * sleeps, `spawn_awake` and `fork_awake` soon after it has had something. The median of many; `raw eventfd` in ping_pong says what waking a
 * thread takes at least.
 */
#include <stdlib.h>

#include "bench/kit/tasks.h"
#include "weft/atomic.h"
#include "weft/job.h"

enum { SAMPLES = 400, SAMPLES_QUICK = 20, PARK_NS = 1000000, PATIENCE_NS = 5000000 };

/* When something was given away and when it began; `began_ns` is written by whoever runs it. */
struct sample {
    uint64_t given_ns;
    uint64_t began_ns; /* atomic; 0: not yet */
    uint32_t giver;
    uint32_t taker;
};

static void sample_begins(struct sample *sample)
{
    sample->taker = weft_loop_index(weft_get_running_loop());
    /* Pairs with the acquire in is_worth_waiting(). */
    weft_atomic_store_release(&sample->began_ns, kit_clock_ns(CLOCK_MONOTONIC));
}

static bool is_worth_waiting(const struct sample *sample)
{
    /* Pairs with the release in sample_begins(). */
    return weft_atomic_load_acquire(&sample->began_ns) == 0 && kit_clock_ns(CLOCK_MONOTONIC) - sample->given_ns < PATIENCE_NS;
}

/* ---- a fork ---- */

WEFT_JOB(int, begin, struct sample *, sample)
{
    sample_begins(sample);
    return 0;
}

WEFT_JOB(long, lone, long, n)
{
    return n + 1;
}

/* Fork one that counts, and go on forking as a computation does, so that the loop sees that somebody is hungry. */
WEFT_JOB(int, give_away, struct sample *, sample)
{
    WEFT_FORK(begin, sample);
    while (is_worth_waiting(sample)) {
        WEFT_FORK(lone, 0);
        (void)WEFT_JOIN(lone);
    }
    return WEFT_JOIN(begin);
}

static void give_fork(const struct kit *kit, struct sample *sample)
{
    int ignored;
    kit_must(kit, WEFT_RUN(give_away, sample, &ignored), "a run");
}

/* ---- a spawn ---- */

static int fiber_begins(void *arg, void **result_out)
{
    (void)result_out;
    sample_begins(arg);
    return 0;
}

static struct weft_task *spawn(const struct kit *kit, weft_fiber_fn *fn, void *arg)
{
    struct weft_task *task;
    kit_must(kit, weft_loop_spawn_fiber(weft_get_running_loop(), fn, arg, &task), "a spawn");
    return task;
}

/* Two, since for a single one, which the loop runs as the step ends, nobody is woken. */
static void give_spawn(const struct kit *kit, struct sample *sample)
{
    struct weft_task *task = spawn(kit, fiber_begins, sample), *other = spawn(kit, tasks_fiber_ends, NULL);
    while (is_worth_waiting(sample))
        weft_atomic_pause();
    tasks_finish(kit, task);
    tasks_finish(kit, other);
}

/* ---- many of them ---- */

struct gift {
    void (*give)(const struct kit *kit, struct sample *sample);
    bool to_parked;
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct kit *kit)
{
    const struct gift *gift = kit->arg;
    size_t count = 0, samples = kit->is_quick ? SAMPLES_QUICK : SAMPLES;
    double us[SAMPLES];
    for (size_t i = 0; i < samples; i++) {
        if (gift->to_parked)
            kit_must(kit, weft_sleep(PARK_NS), "a sleep");
        struct sample sample = {.given_ns = kit_clock_ns(CLOCK_MONOTONIC), .giver = weft_loop_index(weft_get_running_loop())};
        gift->give(kit, &sample);
        if (sample.taker != sample.giver)
            us[count++] = (double)(sample.began_ns - sample.given_ns) / 1e3;
    }
    kit_figure(kit, "kept", "part", (double)(samples - count) / (double)samples);
    if (count == 0)
        return;
    qsort(us, count, sizeof(*us), compare_doubles);
    kit_figure(kit, NULL, "us", us[count / 2]);
}

static void run(struct kit *kit)
{
    tasks_within(kit, NULL, measure);
}

int main(int argc, char **argv)
{
    static const struct gift spawn_parked = {give_spawn, true}, spawn_awake = {give_spawn, false};
    static const struct gift fork_parked = {give_fork, true}, fork_awake = {give_fork, false};
    static const struct kit_case cases[] = {
        {"begin", "spawn_parked", run, &spawn_parked, 2},
        {"begin", "fork_parked", run, &fork_parked, 2},
        {"begin", "spawn_awake", run, &spawn_awake, 2},
        {"begin", "fork_awake", run, &fork_awake, 2},
    };
    return kit_main(argc, argv, "weft", cases, sizeof(cases) / sizeof(cases[0]));
}
