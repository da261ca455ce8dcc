/*
 * Jobs of every shape over four loops. Computations are started by pinned fibers, by stealable ones and by threads outside, and cancelled
 * at random; some of their jobs yield, sleep, await what other loops complete, spawn tasks and cancel other computations meanwhile.
 *
 * Each computation gets a span of numbers of its own, splits it among its jobs, and gives their sum. Each job marks one number: so at the
 * end each mark is 1, and each job has run exactly once. WEFT_STRESS_SEED=n takes the same decisions again, as far as threads allow;
 * WEFT_STRESS_JOBS=n is for more or fewer.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/task/scene.h"
#include "weft/atomic.h"
#include "weft/job.h"
#include "weft/runtime.h"
#include "weft/step.h"

enum {
    LOOPS = 4,
    JOBS = 10000000,
    DRIVERS = 12, /* a third of them each pinned, stealable and outside */
    SPAN_MAX = 30000,
    OPEN_MAX = 4400, /* more than a job stack has room for */
    BRANCHES = 8,
    IDS = 32,
};

static struct weft_runtime *runtime;
static uint8_t *marks;
static uint64_t seed, jobs, next_number;
static uint64_t ids[IDS];
static uint64_t sitters_made, sitters_run, replies_made, replies_given, computations, cancelled;

static uint64_t mix(uint64_t number)
{
    uint64_t state = (number + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ seed;
    (void)scene_random(&state);
    return state;
}

static struct weft_loop *loop_at(uint64_t index)
{
    return weft_runtime_loop(runtime, (uint32_t)(index % LOOPS));
}

/* ---- what jobs do besides ----------------------------------------------------------------------------------------------------------- */

/* A cancellation is told at any wait, and the job goes on. */
static void check_told(int status)
{
    CHECK(status == 0 || status == -ECANCELED);
}

static int reply(void *arg)
{
    (void)weft_atomic_add_relaxed(&replies_given, 1);
    CHECK_EQ(weft_future_set_result(arg, NULL), 0);
    weft_future_unref(arg);
    return 0;
}

/* Await what another loop completes. */
static void ask(uint64_t dice)
{
    struct weft_future *future = scene_future(loop_at(dice));
    (void)weft_atomic_add_relaxed(&replies_made, 1);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop_at(dice >> 8), reply, weft_future_ref(future), NULL, NULL), 0);
    check_told(weft_await_flags(future, WEFT_AWAIT_DETACH, NULL));
    weft_future_unref(future);
}

static int sit_step(struct weft_step *step, void *state, int status)
{
    (void)state;
    WEFT_STEP_BEGIN(step, status);
    (void)weft_atomic_add_relaxed(&sitters_run, 1);
    WEFT_STEP_YIELD(step, status);
    WEFT_STEP_END(step, NULL);
}

/* Await a task of another kind. */
static void seat(uint64_t dice)
{
    struct weft_coro *coro;
    struct weft_task *task;
    void *state;
    CHECK_EQ(weft_step_new(sit_step, NULL, 1, &coro, &state), 0);
    CHECK_EQ(weft_loop_spawn(loop_at(dice), coro, NULL, &task), 0);
    (void)weft_atomic_add_relaxed(&sitters_made, 1);
    check_told(weft_await_flags(&task->future, WEFT_AWAIT_DETACH, NULL));
    weft_task_unref(task);
}

static void cancel_somebody(uint64_t dice)
{
    struct weft_task *task = weft_task_from_id(weft_atomic_load_relaxed(&ids[dice % IDS]));
    if (task != NULL)
        (void)weft_task_cancel(task, "at random");
    weft_task_unref(task);
}

/* The job `number` runs: once, and now and then it does more than that. */
static void begin(uint32_t number)
{
    CHECK_EQ(weft_atomic_add_relaxed(&marks[number], 1), 0);
    uint64_t dice = mix(number), act = dice % 4096;
    dice >>= 12;
    if (act < 16)
        check_told(weft_yield());
    else if (act < 20)
        check_told(weft_sleep((int64_t)(dice % 50000)));
    else if (act < 26)
        ask(dice);
    else if (act < 29)
        seat(dice);
    else if (act == 29 && dice % 8 == 0)
        cancel_somebody(dice >> 3);
}

/* ---- the shapes --------------------------------------------------------------------------------------------------------------------- */

/* As much as an argument, or a result, may have. */
struct span {
    uint32_t first, count;
    uint64_t ballast[4];
};

struct tally {
    uint64_t sum, ballast[4];
};

static struct span span_of(uint32_t first, uint32_t count)
{
    return (struct span){first, count, {first, count, first, count}};
}

static void check_span(const struct span *span)
{
    for (int i = 0; i < 4; i++)
        CHECK_EQ(span->ballast[i], i % 2 == 0 ? span->first : span->count);
}

static uint64_t sum_of(uint32_t first, uint32_t count)
{
    return (uint64_t)first * count + (uint64_t)count * (count - 1) / 2;
}

WEFT_JOB(uint32_t, point, uint32_t, number)
{
    begin(number);
    return number;
}

/* All jobs are open at once, in one frame. */
WEFT_JOB(struct tally, row, struct span, span)
{
    struct tally tally = {span.first, {1, 2, 3, 4}};
    check_span(&span);
    begin(span.first);
    for (uint32_t i = 1; i < span.count; i++)
        WEFT_FORK(point, span.first + i);
    for (uint32_t i = span.count - 1; i > 0; i--)
        tally.sum += WEFT_JOIN(point);
    return tally;
}

/* The same, one to a frame. */
WEFT_JOB(uint64_t, chain, uint64_t, ends)
{
    uint32_t first = (uint32_t)ends, end = (uint32_t)(ends >> 32);
    begin(first);
    if (first + 1 == end)
        return first;
    WEFT_FORK(point, first + 1);
    uint64_t rest = first + 2 == end ? 0 : WEFT_CALL(chain, ends + 2);
    uint32_t next = WEFT_JOIN(point);
    return first + next + rest;
}

/* Jobs of any kind. */
struct branch {
    struct weft_fork fork;
    uint32_t first, count;
    uint64_t sum;
};

static void spread(struct branch *from);

static int run_branch(void *arg)
{
    struct branch *branch = arg;
    struct tally tally;
    if (branch->count > 40) {
        spread(branch);
        return 1;
    }
    CHECK_EQ(WEFT_RUN(row, span_of(branch->first, branch->count), &tally), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(tally.ballast[i], i + 1);
    branch->sum = tally.sum;
    return 1;
}

static void spread(struct branch *from)
{
    struct branch branches[BRANCHES];
    uint32_t first = from->first + 1, left = from->count - 1;
    int count = 0;
    begin(from->first);
    for (; left > 0; count++) {
        uint32_t share = count == BRANCHES - 1 ? left : (left + BRANCHES - 1) / BRANCHES;
        branches[count] = (struct branch){.first = first, .count = share};
        CHECK_EQ(weft_fork(&branches[count].fork, run_branch, &branches[count]), 0);
        first += share;
        left -= share;
    }
    from->sum = from->first;
    while (count-- > 0) {
        CHECK_EQ(weft_join(&branches[count].fork), 1);
        from->sum += branches[count].sum;
    }
}

static uint64_t spread_over(struct span span)
{
    struct branch branch = {.first = span.first, .count = span.count};
    (void)run_branch(&branch);
    return branch.sum;
}

WEFT_JOB(uint64_t, tree, struct span, span)
{
    check_span(&span);
    uint64_t dice = mix(span.first) >> 20;
    if (span.count <= 2 * OPEN_MAX && dice % 64 == 0)
        return WEFT_CALL(chain, (uint64_t)(span.first + span.count) << 32 | span.first);
    if (span.count <= OPEN_MAX && dice % 64 == 1)
        return WEFT_CALL(row, span).sum;
    if (span.count <= OPEN_MAX && dice % 8 == 2)
        return spread_over(span);
    begin(span.first);
    if (span.count == 1)
        return span.first;
    uint32_t left = 1 + (uint32_t)((dice >> 8) % (span.count - 1)); /* unbalanced */
    WEFT_FORK(tree, span_of(span.first + 1, left));
    uint64_t rest = left + 1 == span.count ? 0 : WEFT_CALL(tree, span_of(span.first + 1 + left, span.count - 1 - left));
    uint64_t sum = WEFT_JOIN(tree);
    return span.first + sum + rest;
}

/* ---- computations ------------------------------------------------------------------------------------------------------------------- */

struct driver {
    uint64_t random;
    struct weft_task *task; /* NULL for a thread outside */
    pthread_t thread;
};

struct computation {
    uint32_t first, count;
    uint32_t begun_count;
    uint64_t sum;
};

static int compute(void *arg, void **result_out)
{
    struct computation *computation = arg;
    (void)result_out;
    computation->begun_count++;
    CHECK_EQ(WEFT_RUN(tree, span_of(computation->first, computation->count), &computation->sum), 0);
    return 0;
}

static struct weft_task *create_pinned(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    struct weft_task *task;
    options.stack = WEFT_STACK_LARGE;
    CHECK_EQ(weft_fiber_new(fn, arg, &options, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop, coro, NULL, &task), 0);
    return task;
}

static struct weft_task *start_stealable(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_task *task;
    CHECK_EQ(weft_job_start(loop, fn, arg, &task), 0);
    return task;
}

/* In a task of its own, which may be cancelled: before it has begun, too, and then it has not. */
static void compute_elsewhere(struct driver *driver, struct computation *computation, bool is_fiber)
{
    uint32_t dice = scene_random(&driver->random);
    struct weft_task *task = (dice % 4 == 0 ? create_pinned : start_stealable)(loop_at(dice >> 2), compute, computation);
    weft_atomic_store_relaxed(&ids[(dice >> 4) % IDS], weft_atomic_load_relaxed(&task->id));
    if (dice % 3 == 0 && is_fiber)
        CHECK_EQ(weft_yield(), 0);
    if (dice % 3 == 1)
        (void)weft_task_cancel(task, "at random");
    int status = is_fiber ? weft_await(&task->future, NULL) : weft_future_wait(&task->future, -1, NULL);
    check_told(status);
    (void)weft_atomic_add_relaxed(&cancelled, status == -ECANCELED);
    weft_task_unref(task);
}

static bool take_span(struct driver *driver, struct computation *computation)
{
    uint32_t dice = scene_random(&driver->random);
    uint64_t count = 1 + (dice % 2 == 0 ? (dice >> 1) % 40 : (dice >> 1) % SPAN_MAX);
    uint64_t first = weft_atomic_add_relaxed(&next_number, count);
    if (first >= jobs)
        return false;
    *computation = (struct computation){.first = (uint32_t)first, .count = (uint32_t)(first + count > jobs ? jobs - first : count)};
    return true;
}

static void drive(struct driver *driver, bool is_fiber)
{
    struct computation computation;
    while (take_span(driver, &computation)) {
        if (is_fiber && scene_random(&driver->random) % 4 == 0)
            (void)compute(&computation, NULL);
        while (computation.begun_count == 0)
            compute_elsewhere(driver, &computation, is_fiber);
        CHECK_EQ(computation.begun_count, 1);
        CHECK_EQ(computation.sum, sum_of(computation.first, computation.count));
        (void)weft_atomic_add_relaxed(&computations, 1);
    }
}

static int drive_in_fiber(void *arg, void **result_out)
{
    (void)result_out;
    drive(arg, true);
    return 0;
}

static void *drive_in_thread(void *arg)
{
    drive(arg, false);
    return NULL;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------------------- */

static uint64_t given(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t value = text != NULL ? strtoull(text, NULL, 10) : 0;
    return value != 0 ? value : otherwise;
}

/* A loop that the machine has kept waiting is no failure. */
static int report(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)arg;
    CHECK(exception->duration_ns != 0);
    return 0;
}

static void open_all(void)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = given("WEFT_STRESS_SEED", (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec);
    jobs = given("WEFT_STRESS_JOBS", JOBS);
    printf("WEFT_STRESS_SEED=%llu WEFT_STRESS_JOBS=%llu\n", (unsigned long long)seed, (unsigned long long)jobs);
    fflush(stdout);
    marks = calloc(jobs, 1);
    CHECK(marks != NULL);
    options.loops = LOOPS;
    CHECK_EQ(weft_runtime_create(&options, &runtime), 0);
    for (uint32_t i = 0; i < LOOPS; i++)
        CHECK_EQ(weft_loop_set_exception_handler(loop_at(i), report, NULL), 0);
    CHECK_EQ(weft_runtime_start(runtime), 0);
}

static void drive_all(void)
{
    struct driver drivers[DRIVERS] = {{.random = 0}};
    for (uint32_t i = 0; i < DRIVERS; i++) {
        drivers[i].random = mix(UINT32_MAX - i) | 1;
        if (i % 3 == 0)
            CHECK_EQ(pthread_create(&drivers[i].thread, NULL, drive_in_thread, &drivers[i]), 0);
        else
            drivers[i].task = (i % 3 == 1 ? create_pinned : start_stealable)(loop_at(i / 3), drive_in_fiber, &drivers[i]);
    }
    for (uint32_t i = 0; i < DRIVERS; i++)
        if (drivers[i].task == NULL) {
            CHECK_EQ(pthread_join(drivers[i].thread, NULL), 0);
        } else {
            CHECK_EQ(weft_future_wait(&drivers[i].task->future, -1, NULL), 0);
            weft_task_unref(drivers[i].task);
        }
}

static void close_all(void)
{
    struct weft_loop_counters counters;
    CHECK_EQ(weft_runtime_shutdown(runtime, 20 * SECOND), 0);
    CHECK_EQ(weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &counters), 0);
    weft_runtime_destroy(runtime);
    for (uint64_t i = 0; i < jobs; i++)
        CHECK_EQ(marks[i], 1);
    free(marks);
    CHECK_EQ(replies_given, replies_made);
    CHECK(sitters_run <= sitters_made); /* the others were cancelled before they began */
    CHECK(counters.stolen_jobs > 0);
    printf("%llu computations, %llu of them cancelled; %llu jobs stolen, %llu tasks\n", (unsigned long long)computations,
           (unsigned long long)cancelled, (unsigned long long)counters.stolen_jobs, (unsigned long long)counters.steals);
}

Test(stress, runs_jobs_of_every_shape_once, .timeout = 800)
{
    open_all();
    drive_all();
    close_all();
}
