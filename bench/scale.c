/*
 * Does an operation cost the same with one loop as with sixty-four?
 *
 * A fixed amount of work is given to however many loops there are, on however few processors: `burst` spawns 256 tasks at a time and awaits
 * them, `pairs` two, `trickle` one each millisecond; `jobs` forks 256 by halves; `posts` has tokens go round, each loop posting to the next;
 * `mixture` does all of it on every loop at once. An operation is a task, a leaf, or a post. Real time per operation, and how many of each
 * kind of what loops do to each other (`wakes` … `searches`) it took. They do not spin before they sleep, so that what each does is its own.
 * `failed_swaps` is 0 but in a build that counts them (bench/peers/failed_swaps.h). bench/scaling.py asks for all numbers of loops, and counts
 * instructions.
 */
#include <stddef.h>

#include "bench/kit/tasks.h"
#include "weft/atomic.h"
#include "weft/job.h"

enum { OPERATIONS = 128 * 256, QUICK = 8, BATCH = 256, TRICKLE = 200, WORK = 1000, TOKENS_MAX = 8 };

/* Some hundred nanoseconds: as many instructions each time. */
static int work(void)
{
    for (int i = 0; i < WORK; i++)
        __asm__ __volatile__("" : : : "memory");
    return 1;
}

/* ---- tasks and jobs ---- */

static int step_works(struct weft_step *step, void *state, int status)
{
    (void)state;
    return status < 0 || work() < 0 ? status : weft_step_return(step, NULL);
}

static void spawn_and_await(const struct kit *kit, int count)
{
    struct weft_task *tasks[BATCH];
    for (int i = 0; i < count; i++)
        kit_must(kit, weft_loop_spawn(weft_get_running_loop(), tasks_step(kit, step_works, 0, NULL), NULL, &tasks[i]), "a spawn");
    for (int i = 0; i < count; i++)
        tasks_finish(kit, tasks[i]);
}

WEFT_JOB(int, leaves, int, count)
{
    if (count == 1)
        return work();
    WEFT_FORK(leaves, count / 2);
    int right = WEFT_CALL(leaves, count - count / 2);
    return WEFT_JOIN(leaves) + right;
}

static void fork_and_join(const struct kit *kit, int count)
{
    int sum = 0;
    kit_must(kit, WEFT_RUN(leaves, count, &sum), "a run");
    kit_check(kit, sum == count, "the leaves");
}

static void do_bursts(const struct kit *kit, int operations)
{
    for (; operations > 0; operations -= BATCH)
        spawn_and_await(kit, BATCH);
}

static void do_pairs(const struct kit *kit, int operations)
{
    for (; operations > 0; operations -= 2)
        spawn_and_await(kit, 2);
}

static void do_trickle(const struct kit *kit, int operations)
{
    for (; operations > 0; operations--) {
        kit_must(kit, weft_sleep(1000000), "a sleep");
        spawn_and_await(kit, 1);
    }
}

static void do_jobs(const struct kit *kit, int operations)
{
    for (; operations > 0; operations -= BATCH)
        fork_and_join(kit, BATCH);
}

/* ---- posts ---- */

/* What goes round; only the loop that has it touches it. */
struct token {
    struct weft_runtime *runtime;
    struct weft_future *lands;
    uint32_t at;
    int left;
};

static int token_arrives(void *arg)
{
    struct token *token = arg;
    if (--token->left <= 0)
        return weft_future_set_result(token->lands, NULL);
    token->at = (token->at + 1) % weft_runtime_loop_count(token->runtime);
    (void)work();
    return weft_loop_call_soon_threadsafe(weft_runtime_loop(token->runtime, token->at), token_arrives, token, NULL, NULL);
}

static void send_round(const struct kit *kit, int count, int posts)
{
    struct weft_loop *loop = weft_get_running_loop();
    struct token tokens[TOKENS_MAX];
    for (int i = 0; i < count; i++) {
        tokens[i] = (struct token){.runtime = weft_runtime_of(loop), .at = weft_loop_index(loop), .left = posts};
        kit_must(kit, weft_loop_create_future(loop, &tokens[i].lands), "a future");
        kit_must(kit, weft_loop_call_soon_threadsafe(loop, token_arrives, &tokens[i], NULL, NULL), "a post");
    }
    for (int i = 0; i < count; i++) {
        kit_must(kit, weft_await(tokens[i].lands, NULL), "a token");
        weft_future_unref(tokens[i].lands);
    }
}

static void do_posts(const struct kit *kit, int operations)
{
    send_round(kit, TOKENS_MAX, operations / TOKENS_MAX);
}

/* ---- all of it, on every loop ---- */

enum { SHARE = 8, ROUND = 3 * SHARE }; /* operations */

struct mixer {
    const struct kit *kit;
    int operations;
};

static int mix(void *arg, void **result_out)
{
    const struct mixer *mixer = arg;
    (void)result_out;
    for (int left = mixer->operations; left > 0; left -= ROUND) {
        spawn_and_await(mixer->kit, SHARE);
        fork_and_join(mixer->kit, SHARE);
        send_round(mixer->kit, 1, SHARE);
    }
    return 0;
}

static void do_mixture(const struct kit *kit, int operations)
{
    enum { LOOPS_MAX = 64 };
    struct weft_runtime *runtime = weft_runtime_of(weft_get_running_loop());
    struct weft_task *tasks[LOOPS_MAX];
    kit_check(kit, kit->loops <= LOOPS_MAX, "so many loops");
    struct mixer mixer = {kit, operations / (int)kit->loops};
    for (uint32_t i = 0; i < kit->loops; i++) {
        struct weft_coro *coro = tasks_fiber(kit, mix, &mixer);
        kit_must(kit, weft_loop_create_task_threadsafe(weft_runtime_loop(runtime, i), coro, NULL, &tasks[i]), "a task");
    }
    for (uint32_t i = 0; i < kit->loops; i++)
        tasks_finish(kit, tasks[i]);
}

/* ---- the figures ---- */

struct scene {
    void (*run)(const struct kit *kit, int operations);
    int operations;
};

static const struct counted {
    const char *name;
    size_t offset;
} counted[] = {
    {"wakes", offsetof(struct weft_loop_counters, wakes)},
    {"summons", offsetof(struct weft_loop_counters, summons)},
    {"vain_summons", offsetof(struct weft_loop_counters, vain_summons)},
    {"steals", offsetof(struct weft_loop_counters, steals)},
    {"stolen_jobs", offsetof(struct weft_loop_counters, stolen_jobs)},
    {"searches", offsetof(struct weft_loop_counters, searches)},
    {"parks", offsetof(struct weft_loop_counters, parks)},
    {"polls", offsetof(struct weft_loop_counters, polls)},
};

#if defined(BENCH_PEERS_FAILED_SWAPS_H)
uint64_t failed_swaps;
#define FAILED_SWAPS weft_atomic_load_relaxed(&failed_swaps)
#else
#define FAILED_SWAPS UINT64_C(0)
#endif

static struct weft_loop_counters counters_now(const struct kit *kit)
{
    struct weft_loop_counters counters;
    struct weft_runtime *runtime = weft_runtime_of(weft_get_running_loop());
    kit_must(kit, weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &counters), "counters");
    return counters;
}

static uint64_t counter_at(const struct weft_loop_counters *counters, size_t offset)
{
    return *(const uint64_t *)(const void *)((const char *)counters + offset);
}

static void measure(struct kit *kit)
{
    const struct scene *scene = kit->arg;
    int operations = kit->is_quick ? scene->operations / QUICK : scene->operations;
    scene->run(kit, scene->operations / QUICK);
    struct weft_loop_counters before = counters_now(kit);
    uint64_t failed_before = FAILED_SWAPS;
    kit_start(kit);
    scene->run(kit, operations);
    kit_stop(kit, "ns", operations);
    struct weft_loop_counters after = counters_now(kit);
    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
        uint64_t count = counter_at(&after, counted[i].offset) - counter_at(&before, counted[i].offset);
        kit_figure(kit, counted[i].name, "per operation", (double)count / operations);
    }
    kit_figure(kit, "failed_swaps", "per operation", (double)(FAILED_SWAPS - failed_before) / operations);
    kit_figure(kit, "operations", "operations", operations);
}

static void run_scene(struct kit *kit)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.spin_max_ns = -1;
    tasks_within(kit, &options, measure);
}

int main(int argc, char **argv)
{
    static const struct scene burst = {do_bursts, OPERATIONS}, pairs = {do_pairs, OPERATIONS}, trickle = {do_trickle, TRICKLE};
    static const struct scene jobs = {do_jobs, OPERATIONS}, posts = {do_posts, OPERATIONS}, mixture = {do_mixture, OPERATIONS};
    static const struct kit_case cases[] = {
        {"scale", "burst", run_scene, &burst, 0}, {"scale", "pairs", run_scene, &pairs, 0}, {"scale", "trickle", run_scene, &trickle, 0},
        {"scale", "jobs", run_scene, &jobs, 0},   {"scale", "posts", run_scene, &posts, 0}, {"scale", "mixture", run_scene, &mixture, 0},
    };
    return kit_main(argc, argv, "weft", cases, sizeof(cases) / sizeof(cases[0]));
}
