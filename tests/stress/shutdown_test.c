/*
 * Runtimes that are shut down, or destroyed, at a random moment of the computations that they run: in time, after everybody was cancelled,
 * or with no time at all, so that loops close over fibers in the middle of forks and joins. A computation that has begun still comes to its
 * end, with each of its jobs run once, and nothing may be left.
 *
 * WEFT_STRESS_SEED=n takes the same decisions again, as far as threads allow; WEFT_STRESS_ROUNDS=n is for more or fewer runtimes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/task/scene.h"
#include "weft/atomic.h"
#include "weft/job.h"
#include "weft/runtime.h"

enum { LOOPS = 4, ROUNDS = 60, COMPUTATIONS = 8, COUNT = 20000, RUN_MAX_NS = 4000000 };

struct computation {
    uint32_t begun_count;
    uint64_t jobs_run; /* what it returned */
    uint8_t marks[COUNT];
};

static struct computation computations[COMPUTATIONS];

struct span {
    struct computation *computation;
    uint32_t first, count;
};

/* Once a loop closes all waits say so, and the job goes on. */
static void rest(uint32_t dice)
{
    int status = 0;
    if (dice % 512 == 0)
        status = weft_sleep(dice % 50000);
    else if (dice % 128 == 1)
        status = weft_yield();
    CHECK(status == 0 || status == -ECANCELED || status == WEFT_ECLOSED);
}

WEFT_JOB(uint64_t, tree, struct span, span)
{
    CHECK_EQ(weft_atomic_add_relaxed(&span.computation->marks[span.first], 1), 0);
    uint32_t dice = span.first * 2654435761u >> 8;
    rest(dice);
    if (span.count == 1)
        return 1;
    uint32_t left = 1 + dice % (span.count - 1), right = span.count - 1 - left;
    WEFT_FORK(tree, ((struct span){span.computation, span.first + 1, left}));
    uint64_t rest = right == 0 ? 0 : WEFT_CALL(tree, ((struct span){span.computation, span.first + 1 + left, right}));
    uint64_t run = WEFT_JOIN(tree);
    return 1 + run + rest;
}

static int compute(void *arg, void **result_out)
{
    struct computation *computation = arg;
    (void)result_out;
    computation->begun_count++;
    CHECK_EQ(WEFT_RUN(tree, ((struct span){computation, 0, COUNT}), &computation->jobs_run), 0);
    return 0;
}

static int ignore(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)exception, (void)arg;
    return 0;
}

static struct weft_runtime *start_all(uint64_t *seed)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    options.loops = LOOPS;
    options.cancel_ns = scene_random(seed) % 2; /* for ever, or not at all */
    CHECK_EQ(weft_runtime_create(&options, &runtime), 0);
    for (uint32_t i = 0; i < LOOPS; i++)
        CHECK_EQ(weft_loop_set_exception_handler(weft_runtime_loop(runtime, i), ignore, NULL), 0);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    memset(computations, 0, sizeof(computations));
    for (uint32_t i = 0; i < COMPUTATIONS; i++)
        CHECK_EQ(weft_job_start(weft_runtime_loop(runtime, i % LOOPS), compute, &computations[i], NULL), 0);
    return runtime;
}

/* The only thing that is left to time is when the end comes. */
static void end_all(struct weft_runtime *runtime, uint64_t *seed)
{
    const struct timespec time = {.tv_nsec = scene_random(seed) % RUN_MAX_NS};
    nanosleep(&time, NULL);
    if (scene_random(seed) % 3 != 0) {
        int status = weft_runtime_shutdown(runtime, scene_random(seed) % 3 == 0 ? 0 : 20 * SECOND);
        CHECK(status == 0 || status == -ETIMEDOUT);
    }
    weft_runtime_destroy(runtime);
}

static uint64_t check_all(void)
{
    uint64_t begun = 0;
    for (int i = 0; i < COMPUTATIONS; i++) {
        struct computation *computation = &computations[i];
        CHECK(computation->begun_count <= 1);
        CHECK_EQ(computation->jobs_run, computation->begun_count * (uint64_t)COUNT);
        for (int j = 0; j < COUNT; j++)
            CHECK_EQ(computation->marks[j], computation->begun_count);
        begun += computation->begun_count;
    }
    return begun;
}

static uint64_t given(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t value = text != NULL ? strtoull(text, NULL, 10) : 0;
    return value != 0 ? value : otherwise;
}

Test(stress, ends_what_has_begun_when_runtimes_end, .timeout = 280)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given("WEFT_STRESS_SEED", (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec);
    uint64_t rounds = given("WEFT_STRESS_ROUNDS", ROUNDS), begun = 0;
    printf("WEFT_STRESS_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    for (uint64_t round = 0; round < rounds; round++) {
        end_all(start_all(&seed), &seed);
        begun += check_all();
    }
    CHECK(begun > 0);
    printf("%llu of %llu computations begun\n", (unsigned long long)begun, (unsigned long long)rounds * COMPUTATIONS);
}
