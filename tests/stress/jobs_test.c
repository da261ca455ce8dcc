/*
 * Ten million jobs on four loops: forked and joined by several computations at once that let go of their loops, sleep and are cancelled at
 * random; and at the end nothing may be missing. Each job adds its number to what it returns, so that the sum of a computation says that
 * each of its jobs was run once.
 *
 * WEFT_STRESS_JOBS=n runs as many. WEFT_STRESS_SEED=n takes the same decisions again, as far as threads allow.
 */
#include "weft/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/task/job.h"
#include "tests/runtime/fixture.h"
#include "tests/task/scene.h"

enum { LOOPS = 4, COMPUTATIONS = 6, JOBS = 10000000, TREE = 1 << 14 };

static uint64_t jobs_left;     /* atomic */
static uint64_t run_count;     /* atomic */
static uint64_t blocked_count; /* atomic */
static uint64_t cancel_count;  /* atomic */
static uint64_t stolen_count;
static uint64_t seed;

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *given = getenv(name);
    return given == NULL ? otherwise : strtoull(given, NULL, 10);
}

/* ---- a tree of jobs ----------------------------------------------------------------------------------------------------------------- */

struct span {
    uint32_t from;
    uint32_t to;
    uint64_t seed;
};

/* Once in a while a job does what jobs may do: let the loop go, or sleep. What is raised there is no reason to do less. */
static void perhaps_block(uint64_t *dice)
{
    uint32_t face = scene_random(dice) % 4096;
    if (face >= 4)
        return;
    (void)weft_atomic_add_relaxed(&blocked_count, 1);
    (void)(face < 2 ? weft_yield() : weft_sleep((int64_t)(scene_random(dice) % 50000)));
}

WEFT_JOB(uint64_t, tree, struct span, span)
{
    uint64_t dice = span.seed ^ ((uint64_t)span.from << 32 | span.to);
    perhaps_block(&dice);
    if (span.to - span.from == 1)
        return span.from;
    uint32_t cut = span.from + 1 + scene_random(&dice) % (span.to - span.from - 1); /* as unbalanced as it comes */
    struct span low = {span.from, cut, span.seed}, high = {cut, span.to, span.seed};
    WEFT_FORK(tree, low);
    uint64_t right = WEFT_CALL(tree, high);
    uint64_t left = WEFT_JOIN(tree);
    return left + right;
}

/* The same of any function, with a few forks open at a time. */
struct piece {
    uint32_t from;
    uint32_t to;
    uint64_t sum;
};

static int add_piece(void *arg)
{
    struct piece *piece = arg;
    struct piece parts[4];
    struct weft_fork forks[4];
    piece->sum = 0;
    if (piece->to - piece->from <= 16) {
        for (uint32_t i = piece->from; i < piece->to; i++)
            piece->sum += i;
        return 0;
    }
    uint32_t step = (piece->to - piece->from) / 4;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t from = piece->from + i * step;
        parts[i] = (struct piece){from, i == 3 ? piece->to : from + step, 0};
        CHECK_EQ(weft_fork(&forks[i], add_piece, &parts[i]), 0);
    }
    for (int i = 3; i >= 0; i--) {
        CHECK_EQ(weft_join(&forks[i]), 0);
        piece->sum += parts[i].sum;
    }
    return 0;
}

/* ---- computations, and who cancels them --------------------------------------------------------------------------------------------- */

static bool take_jobs(uint64_t count)
{
    uint64_t left = weft_atomic_load_relaxed(&jobs_left);
    while (left > 0)
        if (weft_atomic_cas_relaxed(&jobs_left, &left, left > count ? left - count : 0))
            return true;
    return false;
}

static int compute(void *arg, void **result_out)
{
    uint64_t dice = *(uint64_t *)arg, sum = 0;
    const uint64_t expected = (uint64_t)TREE * (TREE - 1) / 2;
    (void)result_out;
    while (take_jobs(TREE)) {
        CHECK_EQ(WEFT_RUN(tree, ((struct span){0, TREE, scene_random(&dice)}), &sum), 0);
        CHECK_EQ(sum, expected);
        struct piece all = {0, TREE, 0};
        CHECK_EQ(add_piece(&all), 0);
        CHECK_EQ(all.sum, expected);
        (void)weft_atomic_add_relaxed(&run_count, TREE);
        if (weft_yield() == -ECANCELED)
            (void)weft_atomic_add_relaxed(&cancel_count, 1);
    }
    return 0;
}

static int drive(void *arg, void **result_out)
{
    struct weft_task *tasks[COMPUTATIONS];
    uint64_t seeds[COMPUTATIONS], dice = seed;
    struct weft_runtime *runtime = arg;
    (void)result_out;
    for (uint32_t i = 0; i < COMPUTATIONS; i++) {
        seeds[i] = seed + 1 + i;
        CHECK_EQ(weft_job_start(weft_runtime_loop(runtime, i % LOOPS), compute, &seeds[i], &tasks[i]), 0);
    }
    while (weft_atomic_load_relaxed(&jobs_left) > 0) {
        CHECK_EQ(weft_sleep(2000000), 0);
        (void)weft_task_cancel(tasks[scene_random(&dice) % COMPUTATIONS], "at random");
    }
    for (int i = 0; i < COMPUTATIONS; i++) {
        (void)weft_await(&tasks[i]->future, NULL);
        weft_task_unref(tasks[i]);
    }
    return 0;
}

static void count_steals(struct weft_runtime *runtime)
{
    for (uint32_t i = 0; i < LOOPS; i++) {
        struct weft_loop_counters counters;
        CHECK_EQ(weft_loop_get_counters(weft_runtime_loop(runtime, i), &counters), 0);
        stolen_count += counters.stolen_jobs;
    }
}

Test(stress, loses_no_job_among_loops, .timeout = 600)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    seed = number_from("WEFT_STRESS_SEED", (uint64_t)time(NULL));
    jobs_left = number_from("WEFT_STRESS_JOBS", JOBS);
    printf("WEFT_STRESS_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(drive, runtime), NULL), 0);
    count_steals(runtime);
    fixture_end(runtime);
    printf("%llu jobs, %llu stolen, %llu blocked, %llu cancellations told\n", (unsigned long long)run_count,
           (unsigned long long)stolen_count, (unsigned long long)blocked_count, (unsigned long long)cancel_count);
    CHECK_EQ(jobs_live_count(), 0);
}
