/*
 * A lock over forks and joins: stealable fibers on four loops hold it while they fork jobs and join them, jobs that sleep and yield among
 * these, so that the holder goes from loop to loop under its lock (ADD-9, ADD-10). Others wait for it meanwhile, with a stack or with a
 * ticket, and are cancelled at random. At the end each turn that was taken is counted, no two were ever in at once, and the lock is free.
 *
 * WEFT_STRESS_TURNS=n says how many turns each holder takes. WEFT_STRESS_SEED=n takes the same decisions again, as far as threads allow.
 */
#include "weft/lock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/task/job.h"
#include "tests/runtime/fixture.h"
#include "tests/task/scene.h"
#include "weft/job.h"

enum { LOOPS = 4, HOLDERS = 24, CROWD = 24, TURNS = 400, LEAVES = 32 };

static struct weft_lock *lock;
static uint64_t seed, turns_each;
static uint64_t in_count;     /* atomic: who is in; never two */
static uint64_t turn_count;   /* plain: the holder's */
static uint64_t holders_left; /* atomic */
static uint64_t told_count;   /* atomic: cancellations that were told to who waited */
static uint64_t crowd_turns;  /* atomic */
static uint64_t moved_count;  /* atomic: holders that came out on another loop */

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *given = getenv(name);
    return given == NULL ? otherwise : strtoull(given, NULL, 10);
}

/* ---- under the lock ----------------------------------------------------------------------------------------------------------------- */

static void enter(void)
{
    CHECK_EQ(weft_atomic_add_relaxed(&in_count, 1), 0);
    CHECK(weft_lock_locked(lock));
    turn_count++;
}

static void leave(void)
{
    CHECK_EQ(weft_atomic_sub_relaxed(&in_count, 1), 1);
    CHECK_EQ(weft_lock_release(lock), 0);
}

/* What is raised there is no reason to do less. */
static void perhaps_block(uint64_t *dice)
{
    uint32_t face = scene_random(dice) % 64;
    if (face < 2)
        (void)weft_yield();
    else if (face == 2)
        (void)weft_sleep((int64_t)(scene_random(dice) % 20000));
}

struct span {
    uint32_t from;
    uint32_t to;
    uint64_t seed;
};

WEFT_JOB(uint64_t, tree, struct span, span)
{
    uint64_t dice = span.seed ^ ((uint64_t)span.from << 32 | span.to);
    perhaps_block(&dice);
    CHECK_EQ(weft_atomic_load_relaxed(&in_count), 1);
    if (span.to - span.from == 1)
        return span.from;
    uint32_t cut = span.from + (span.to - span.from) / 2;
    struct span low = {span.from, cut, span.seed}, high = {cut, span.to, span.seed};
    struct weft_task *before = scene_task_here();
    WEFT_FORK(tree, low);
    uint64_t right = WEFT_CALL(tree, high);
    uint64_t left = WEFT_JOIN(tree);
    CHECK(scene_task_here() == before);
    return left + right;
}

struct piece {
    uint32_t from;
    uint32_t to;
    uint64_t seed;
    uint64_t sum;
};

static int add_piece(void *arg)
{
    struct piece *piece = arg;
    uint64_t dice = piece->seed ^ piece->from ^ 1;
    perhaps_block(&dice);
    CHECK_EQ(weft_atomic_load_relaxed(&in_count), 1);
    piece->sum = 0;
    for (uint32_t i = piece->from; i < piece->to; i++)
        piece->sum += i;
    return 0;
}

static void fork_checked(uint64_t *dice)
{
    struct weft_task *before = scene_task_here();
    struct piece pieces[4];
    struct weft_fork forks[4];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 4; i++) {
        pieces[i] = (struct piece){i * (LEAVES / 4), (i + 1) * (LEAVES / 4), scene_random(dice), 0};
        CHECK_EQ(weft_fork(&forks[i], add_piece, &pieces[i]), 0);
    }
    perhaps_block(dice);
    for (int i = 3; i >= 0; i--) {
        CHECK_EQ(weft_join(&forks[i]), 0);
        CHECK(scene_task_here() == before);
        sum += pieces[i].sum;
    }
    CHECK_EQ(sum, LEAVES * (LEAVES - 1) / 2);
}

static void fork_typed(uint64_t *dice)
{
    struct weft_task *before = scene_task_here();
    uint64_t sum = 0;
    CHECK_EQ(WEFT_RUN(tree, ((struct span){0, LEAVES, scene_random(dice) | 1}), &sum), 0);
    CHECK(scene_task_here() == before);
    CHECK_EQ(sum, LEAVES * (LEAVES - 1) / 2);
}

/* ---- who wants it --------------------------------------------------------------------------------------------------------------------- */

/* Nobody cancels it: each of its turns must come. */
static int hold(void *arg, void **result_out)
{
    uint64_t dice = *(uint64_t *)arg;
    (void)result_out;
    for (uint64_t i = 0; i < turns_each; i++) {
        CHECK_EQ(weft_lock_acquire(lock), 0);
        struct weft_task *task = scene_task_here();
        struct weft_loop *loop = weft_get_running_loop();
        enter();
        scene_random(&dice) % 2 ? fork_typed(&dice) : fork_checked(&dice);
        CHECK(scene_task_here() == task);
        if (weft_get_running_loop() != loop)
            (void)weft_atomic_add_relaxed(&moved_count, 1);
        leave();
        if (scene_random(&dice) % 4 == 0)
            CHECK_EQ(weft_yield(), 0);
    }
    (void)weft_atomic_sub_relaxed(&holders_left, 1);
    return 0;
}

/* With a stack, or as who has none. */
static int try_turn(uint64_t *dice)
{
    struct weft_future *turn;
    if (scene_random(dice) % 3 != 0)
        return weft_lock_acquire(lock);
    CHECK_EQ(weft_lock_acquire_future(lock, weft_get_running_loop(), &turn), 0);
    int status = weft_wait_for(turn, (int64_t)(scene_random(dice) % 200000), NULL);
    if (status < 0)
        CHECK_EQ(weft_lock_give_up(turn), 0);
    weft_future_unref(turn);
    return status;
}

/* Its turns may come or not. */
static int crowd(void *arg, void **result_out)
{
    uint64_t dice = *(uint64_t *)arg;
    (void)result_out;
    while (weft_atomic_load_relaxed(&holders_left) > 0) {
        int status = try_turn(&dice);
        CHECK(status == 0 || status == -ECANCELED || status == -ETIMEDOUT);
        if (status < 0) {
            (void)weft_atomic_add_relaxed(&told_count, 1);
            continue;
        }
        enter();
        perhaps_block(&dice);
        leave();
        (void)weft_atomic_add_relaxed(&crowd_turns, 1);
        (void)weft_yield();
    }
    return 0;
}

/* ---- the storm ------------------------------------------------------------------------------------------------------------------------ */

static struct weft_task *tasks[HOLDERS + CROWD];
static uint64_t seeds[HOLDERS + CROWD];

static void start_all(struct weft_runtime *runtime)
{
    for (uint32_t i = 0; i < HOLDERS + CROWD; i++) {
        struct weft_loop *loop = weft_runtime_loop(runtime, i % LOOPS);
        seeds[i] = seed + 1 + i;
        if (i < HOLDERS)
            CHECK_EQ(weft_job_start(loop, hold, &seeds[i], &tasks[i]), 0);
        else
            CHECK_EQ(weft_loop_spawn_fiber(loop, crowd, &seeds[i], &tasks[i]), 0);
    }
}

static int drive(void *arg, void **result_out)
{
    uint64_t dice = seed;
    (void)result_out;
    start_all(arg);
    while (weft_atomic_load_relaxed(&holders_left) > 0) {
        CHECK_EQ(weft_sleep(200000), 0);
        for (int i = 0; i < 8; i++)
            (void)weft_task_cancel(tasks[HOLDERS + scene_random(&dice) % CROWD], "at random");
    }
    for (int i = 0; i < HOLDERS + CROWD; i++) {
        int status = weft_await(&tasks[i]->future, NULL);
        CHECK(status == 0 || (i >= HOLDERS && status == -ECANCELED)); /* one of the crowd may be told as it begins, or as it ends */
        weft_task_unref(tasks[i]);
    }
    return 0;
}

Test(stress, nobody_shares_a_lock_that_is_held_over_joins, .timeout = 300)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    seed = number_from("WEFT_STRESS_SEED", (uint64_t)time(NULL));
    turns_each = number_from("WEFT_STRESS_TURNS", TURNS);
    holders_left = HOLDERS;
    printf("WEFT_STRESS_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    CHECK_EQ(weft_lock_new(&lock), 0);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(drive, runtime), NULL), 0);
    CHECK_EQ(turn_count, HOLDERS * turns_each + crowd_turns);
    CHECK(!weft_lock_locked(lock));
    CHECK_EQ(weft_lock_release(lock), WEFT_ENOTLOCKED);
    weft_lock_unref(lock);
    fixture_end(runtime);
    printf("%llu turns, %llu of the crowd's, %llu waits that ended without, %llu holders moved\n", (unsigned long long)turn_count,
           (unsigned long long)crowd_turns, (unsigned long long)told_count, (unsigned long long)moved_count);
    CHECK_EQ(jobs_live_count(), 0);
}
