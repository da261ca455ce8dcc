/*
 * What do tasks cost?
 *
 * Their life (create, await, end), their turns (yield, ping-pong), their way to another loop (a post, a round trip with both loops awake),
 * their timers, and the memory of one that waits; steps and fibers beside each other. Prints a line for each figure: its name, the median
 * of several rounds and the least of them. What happens in one thread is counted in that thread's processor time, so that a busy machine
 * disturbs it less; what happens between two in real time.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/loop/loop.h"
#include "weft/atomic.h"
#include "weft/fiber.h"
#include "weft/step.h"
#include "weft/task.h"
#include "weft/timer.h"

enum {
    ROUNDS = 9,
    LIVES = 200000,
    YIELDS = 1000000,
    PAIRS = 500000,
    TRIPS = 200000,
    POSTS = 1 << 18,
    WAITING = 100000,
    TIMERS_MAX = 100000,
};

static struct weft_loop *loop;

/* One question: does its work and says what one unit of it took. */
typedef double round_fn(void);

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    printf("task.%s %.1f %.1f\n", name, values[count / 2], values[0]);
    fflush(stdout);
}

static void report(const char *name, round_fn *round)
{
    double values[ROUNDS];
    (void)round(); /* warm up */
    for (int i = 0; i < ROUNDS; i++)
        values[i] = round();
    print(name, values, ROUNDS);
}

/* The processor time of this thread. */
static uint64_t spent_ns(void)
{
    struct timespec spent;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

static double per_unit(uint64_t start_spent_ns, uint64_t units)
{
    return (double)(spent_ns() - start_spent_ns) / (double)units;
}

static double per_trip(uint64_t start_ns, uint64_t trips)
{
    return (double)(clock_monotonic_ns() - start_ns) / (double)trips;
}

/* Nothing here may fail for lack of memory and be measured all the same. */
static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "bench: status %d\n", status);
        abort();
    }
}

static struct weft_coro *step_of(weft_step_fn *fn, size_t bytes, void **state_out)
{
    struct weft_coro *coro;
    must(weft_step_new(fn, NULL, bytes, &coro, state_out));
    return coro;
}

static struct weft_task *start(struct weft_coro *coro)
{
    struct weft_task *task;
    must(weft_loop_create_task(loop, coro, NULL, &task));
    return task;
}

static struct weft_task *start_fiber(weft_fiber_fn *fn, void *arg)
{
    struct weft_coro *coro;
    must(weft_fiber_new(fn, arg, NULL, &coro));
    return start(coro);
}

/* Run until `task` has ended, and let it go. */
static void finish(struct weft_task *task)
{
    must(weft_loop_run_until_complete(loop, &task->future, NULL));
    weft_task_unref(task);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------- */

static int end_at_once(struct weft_step *step, void *state, int status)
{
    (void)state;
    return status < 0 ? status : weft_step_return(step, NULL);
}

static int fiber_ends_at_once(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

/* A step that creates tasks one by one and awaits each. */
struct parent {
    struct weft_task *child;
    int left;
};

static int await_steps(struct weft_step *step, void *state, int status)
{
    struct parent *parent = state;
    if (parent->child != NULL)
        weft_task_unref(parent->child);
    parent->child = NULL;
    if (status < 0 || parent->left-- == 0)
        return status < 0 ? status : weft_step_return(step, NULL);
    parent->child = start(step_of(end_at_once, 0, NULL));
    return weft_step_await(step, &parent->child->future, 0);
}

static double create_await_round(void)
{
    struct parent *parent;
    struct weft_coro *coro = step_of(await_steps, sizeof(*parent), (void **)&parent);
    parent->left = LIVES;
    uint64_t start_ns = spent_ns();
    finish(start(coro));
    return per_unit(start_ns, LIVES);
}

static int await_fibers(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (int i = 0; i < LIVES; i++) {
        struct weft_task *task = start_fiber(fiber_ends_at_once, NULL);
        must(weft_await(&task->future, NULL));
        weft_task_unref(task);
    }
    return 0;
}

static double fiber_create_await_round(void)
{
    struct weft_task *task = start_fiber(await_fibers, NULL);
    uint64_t start_ns = spent_ns();
    finish(task);
    return per_unit(start_ns, LIVES);
}

enum { BATCH = 256 };

/* The same with many under way at once, as a server has them: batches created, and then awaited. */
static int await_batches(void *arg, void **result_out)
{
    struct weft_task *tasks[BATCH];
    (void)result_out;
    for (int i = 0; i < LIVES / BATCH; i++) {
        for (int j = 0; j < BATCH; j++)
            tasks[j] = arg ? start_fiber(fiber_ends_at_once, NULL) : start(step_of(end_at_once, 0, NULL));
        for (int j = 0; j < BATCH; j++) {
            must(weft_await(&tasks[j]->future, NULL));
            weft_task_unref(tasks[j]);
        }
    }
    return 0;
}

static double batches(void *is_fiber)
{
    struct weft_task *task = start_fiber(await_batches, is_fiber);
    uint64_t start_ns = spent_ns();
    finish(task);
    return per_unit(start_ns, LIVES / BATCH * BATCH);
}

static double step_batch_round(void)
{
    return batches(NULL);
}

static double fiber_batch_round(void)
{
    return batches(&loop);
}

/* ---- turns ------------------------------------------------------------------------------------------------------------------------ */

static int yield_often(struct weft_step *step, void *state, int status)
{
    int *left = state;
    if (status < 0)
        return status;
    return (*left)-- > 0 ? weft_step_yield(step) : weft_step_return(step, NULL);
}

/* `count` steps take turns; per yield. */
static double step_yields(int count)
{
    struct weft_task *tasks[BATCH];
    for (int i = 0; i < count; i++) {
        int *left;
        struct weft_coro *coro = step_of(yield_often, sizeof(*left), (void **)&left);
        *left = YIELDS / count;
        tasks[i] = start(coro);
    }
    uint64_t start_ns = spent_ns();
    for (int i = 0; i < count; i++)
        finish(tasks[i]);
    return per_unit(start_ns, (uint64_t)(YIELDS / count) * (uint64_t)count);
}

static int fiber_yields_often(void *arg, void **result_out)
{
    (void)result_out;
    for (intptr_t left = (intptr_t)arg; left > 0; left--)
        must(weft_yield());
    return 0;
}

static double fiber_yields(int count)
{
    struct weft_task *tasks[BATCH];
    for (int i = 0; i < count; i++)
        tasks[i] = start_fiber(fiber_yields_often, (void *)(intptr_t)(YIELDS / count));
    uint64_t start_ns = spent_ns();
    for (int i = 0; i < count; i++)
        finish(tasks[i]);
    return per_unit(start_ns, (uint64_t)(YIELDS / count) * (uint64_t)count);
}

static double step_yield_round(void)
{
    return step_yields(1);
}

static double step_yield_100_round(void)
{
    return step_yields(100);
}

static double fiber_yield_round(void)
{
    return fiber_yields(1);
}

static double fiber_yield_100_round(void)
{
    return fiber_yields(100);
}

/* ---- ping-pong -------------------------------------------------------------------------------------------------------------------- */

/* Two futures in turn: each side completes the other's and waits for its own. */
static struct weft_future *balls[2];

static void ball_renew(struct weft_loop *home, int side)
{
    struct weft_future *fresh;
    must(weft_loop_create_future(home, &fresh));
    weft_future_unref(balls[side]);
    balls[side] = fresh;
}

static int play(void *arg, void **result_out)
{
    intptr_t side = (intptr_t)arg;
    (void)result_out;
    for (int i = 0; i < PAIRS; i++) {
        if (side == 0)
            must(weft_future_set_result(balls[1], NULL));
        must(weft_await(balls[side], NULL));
        ball_renew(loop, (int)side);
        if (side == 1)
            must(weft_future_set_result(balls[0], NULL));
    }
    return 0;
}

static double ping_pong_round(void)
{
    ball_renew(loop, 0);
    ball_renew(loop, 1);
    struct weft_task *first = start_fiber(play, (void *)0), *second = start_fiber(play, (void *)1);
    uint64_t start_ns = spent_ns();
    finish(first);
    double ns = per_unit(start_ns, PAIRS);
    finish(second);
    return ns;
}

struct player {
    int side;
    int left;
    bool is_waiting;
};

static int step_plays(struct weft_step *step, void *state, int status)
{
    struct player *player = state;
    if (status < 0)
        return status;
    if (player->is_waiting) {
        ball_renew(loop, player->side);
        if (player->side == 1)
            must(weft_future_set_result(balls[0], NULL));
    }
    player->is_waiting = true;
    if (player->left-- == 0)
        return weft_step_return(step, NULL);
    if (player->side == 0)
        must(weft_future_set_result(balls[1], NULL));
    return weft_step_await(step, balls[player->side], 0);
}

static struct weft_task *start_player(int side)
{
    struct player *player;
    struct weft_coro *coro = step_of(step_plays, sizeof(*player), (void **)&player);
    *player = (struct player){side, PAIRS, false};
    return start(coro);
}

static double step_ping_pong_round(void)
{
    ball_renew(loop, 0);
    ball_renew(loop, 1);
    struct weft_task *first = start_player(0), *second = start_player(1);
    uint64_t start_ns = spent_ns();
    finish(first);
    double ns = per_unit(start_ns, PAIRS);
    finish(second);
    return ns;
}

/* ---- two loops -------------------------------------------------------------------------------------------------------------------- */

static struct weft_loop *other;
static pthread_t other_thread;
static uint32_t is_over;

/* Keeps its loop awake, so that no post has to wake it. */
static int stay_awake(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    while (!weft_atomic_load_relaxed(&is_over))
        must(weft_yield());
    return 0;
}

static void *run_other(void *arg)
{
    must(weft_loop_run_until_complete(other, &((struct weft_task *)arg)->future, NULL));
    return NULL;
}

static struct weft_task *other_start(void)
{
    struct weft_task *task;
    weft_atomic_store_relaxed(&is_over, 0);
    must(weft_loop_new(NULL, 0, &other));
    must(weft_loop_create_fiber(other, stay_awake, NULL, &task));
    must(-pthread_create(&other_thread, NULL, run_other, task));
    while (!weft_loop_is_running(other))
        (void)sched_yield();
    return task;
}

static void other_stop(struct weft_task *task)
{
    weft_atomic_store_relaxed(&is_over, 1);
    pthread_join(other_thread, NULL);
    weft_task_unref(task);
    must(weft_loop_close(other));
    weft_loop_unref(other);
}

/* The trip there is a future of the other side's, and so is the way back. Two sets, so that each side renews what it waited for. */
static struct weft_future *nets[2][TRIPS];

static int travel(void *arg, void **result_out)
{
    intptr_t side = (intptr_t)arg;
    (void)result_out;
    for (int i = 0; i < TRIPS; i++) {
        if (side == 0)
            must(weft_future_set_result(nets[1][i], NULL));
        must(weft_await(nets[side][i], NULL));
        if (side == 1)
            must(weft_future_set_result(nets[0][i], NULL));
    }
    return 0;
}

static double cross_loop_round(void)
{
    struct weft_task *awake = other_start(), *away, *mine_awake;
    struct weft_coro *coro;
    for (int i = 0; i < TRIPS; i++) {
        must(weft_loop_create_future(loop, &nets[0][i]));
        must(weft_loop_create_future(other, &nets[1][i]));
    }
    must(weft_fiber_new(travel, (void *)1, NULL, &coro));
    must(weft_loop_create_task_threadsafe(other, coro, NULL, &away));
    mine_awake = start_fiber(stay_awake, NULL);
    struct weft_task *mine = start_fiber(travel, (void *)0);
    uint64_t start_ns = clock_monotonic_ns();
    finish(mine);
    double ns = per_trip(start_ns, TRIPS);
    must(weft_future_wait(&away->future, -1, NULL));
    weft_task_unref(away);
    other_stop(awake);
    finish(mine_awake);
    for (int i = 0; i < TRIPS; i++)
        for (int side = 0; side < 2; side++)
            weft_future_unref(nets[side][i]);
    return ns;
}

static struct weft_work posts[POSTS];
static uint64_t posted_count;

static int count_post(struct weft_work *work)
{
    (void)work;
    weft_atomic_store_relaxed(&posted_count, weft_atomic_load_relaxed(&posted_count) + 1);
    return 0;
}

/* What the poster pays: the door alone, without a handle. */
static double post_round(void)
{
    struct weft_task *awake = other_start();
    weft_atomic_store_relaxed(&posted_count, 0);
    uint64_t start_ns = spent_ns();
    for (int i = 0; i < POSTS; i++) {
        posts[i].run = count_post;
        work_ready(&other->worker, &posts[i]);
    }
    double ns = per_unit(start_ns, POSTS);
    while (weft_atomic_load_relaxed(&posted_count) < POSTS)
        (void)sched_yield();
    other_stop(awake);
    return ns;
}

static int count_call(void *arg)
{
    (void)arg;
    return count_post(NULL);
}

static double call_threadsafe_round(void)
{
    struct weft_task *awake = other_start();
    weft_atomic_store_relaxed(&posted_count, 0);
    uint64_t start_ns = spent_ns();
    for (int i = 0; i < POSTS; i++)
        must(weft_loop_call_soon_threadsafe(other, count_call, NULL, NULL, NULL));
    double ns = per_unit(start_ns, POSTS);
    while (weft_atomic_load_relaxed(&posted_count) < POSTS)
        (void)sched_yield();
    other_stop(awake);
    return ns;
}

/* ---- callbacks -------------------------------------------------------------------------------------------------------------------- */

static int stop_at_0(void *arg)
{
    int *left = arg;
    return --*left > 0 ? weft_loop_call_soon(loop, stop_at_0, left, NULL, NULL) : weft_loop_stop(loop);
}

static double call_soon_round(void)
{
    int left = YIELDS;
    must(weft_loop_call_soon(loop, stop_at_0, &left, NULL, NULL));
    uint64_t start_ns = spent_ns();
    must(weft_loop_run_forever(loop));
    return per_unit(start_ns, YIELDS);
}

/* ---- timers ----------------------------------------------------------------------------------------------------------------------- */

static struct weft_timer timers[TIMERS_MAX];
static uint64_t whens[TIMERS_MAX];
static int timers_left;

static int timer_fired(void *arg)
{
    (void)arg;
    return --timers_left > 0 ? 0 : weft_loop_stop(loop);
}

static uint64_t draw_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

struct timer_costs {
    double insert[ROUNDS], cancel[ROUNDS], expire[ROUNDS];
};

static void insert_all(int count, uint64_t base_ns)
{
    for (int i = 0; i < count; i++)
        must(weft_timer_start_at(&timers[i], base_ns + whens[i]));
}

/* With `count` timers in the heap: arm all, stop all in another order, arm all again and let them fire. */
static void measure_timers(int count, struct timer_costs *costs, int round)
{
    uint64_t seed = 88172645463325252u + (uint64_t)round;
    for (int i = 0; i < count; i++) {
        weft_timer_init(&timers[i], loop, timer_fired, NULL);
        whens[i] = draw_next(&seed) % 1000000;
    }
    uint64_t far_ns = weft_loop_time(loop) + UINT64_C(3600000000000), start_ns = spent_ns();
    insert_all(count, far_ns);
    costs->insert[round] = per_unit(start_ns, (uint64_t)count);
    start_ns = spent_ns();
    for (int i = 0; i < count; i++)
        (void)weft_timer_stop(&timers[(i * 7919LL) % count]);
    costs->cancel[round] = per_unit(start_ns, (uint64_t)count);
    uint64_t now_ns = weft_loop_time(loop);
    insert_all(count, now_ns > 1000000 ? now_ns - 1000000 : 0); /* all are due */
    timers_left = count;
    start_ns = spent_ns();
    must(weft_loop_run_forever(loop));
    costs->expire[round] = per_unit(start_ns, (uint64_t)count);
}

static void report_timers(int count)
{
    struct timer_costs costs;
    char name[64];
    for (int round = 0; round < ROUNDS; round++)
        measure_timers(count, &costs, round);
    snprintf(name, sizeof name, "timer_insert_%d_ns", count);
    print(name, costs.insert, ROUNDS);
    snprintf(name, sizeof name, "timer_cancel_%d_ns", count);
    print(name, costs.cancel, ROUNDS);
    snprintf(name, sizeof name, "timer_expire_%d_ns", count);
    print(name, costs.expire, ROUNDS);
}

/* ---- memory ----------------------------------------------------------------------------------------------------------------------- */

static double resident_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu %lu", &total, &resident) != 2)
        must(-1);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static int step_waits(struct weft_step *step, void *state, int status)
{
    WEFT_STEP_BEGIN(step, status);
    WEFT_STEP_AWAIT(step, *(struct weft_future **)state, status);
    WEFT_STEP_END(step, NULL);
}

static int fiber_waits(void *arg, void **result_out)
{
    return weft_await(arg, result_out);
}

static struct weft_coro *waiting_coro(bool is_fiber, struct weft_future *future)
{
    struct weft_coro *coro;
    struct weft_future **state;
    if (is_fiber) {
        must(weft_fiber_new(fiber_waits, future, NULL, &coro));
        return coro;
    }
    coro = step_of(step_waits, sizeof(*state), (void **)&state);
    *state = future;
    return coro;
}

/* Resident bytes of each of many tasks that wait for one future. */
static void report_memory(const char *name, bool is_fiber)
{
    static struct weft_task *tasks[WAITING];
    struct weft_future *future;
    memset(tasks, 1, sizeof tasks);
    must(weft_loop_create_future(loop, &future));
    double before = resident_bytes();
    for (int i = 0; i < WAITING; i++)
        tasks[i] = start(waiting_coro(is_fiber, future));
    must(weft_loop_stop(loop));
    must(weft_loop_run_forever(loop));
    double bytes = (resident_bytes() - before) / WAITING;
    print(name, &bytes, 1);
    must(weft_future_set_result(future, NULL));
    for (int i = 0; i < WAITING; i++)
        finish(tasks[i]);
    weft_future_unref(future);
}

struct question {
    const char *name;
    round_fn *round;
};

static const struct question questions[] = {
    {"create_await_ns", create_await_round},
    {"fiber_create_await_ns", fiber_create_await_round},
    {"create_await_256_ns", step_batch_round},
    {"fiber_create_await_256_ns", fiber_batch_round},
    {"yield_ns", step_yield_round},
    {"yield_100_ns", step_yield_100_round},
    {"fiber_yield_ns", fiber_yield_round},
    {"fiber_yield_100_ns", fiber_yield_100_round},
    {"call_soon_ns", call_soon_round},
    {"ping_pong_ns", step_ping_pong_round},
    {"fiber_ping_pong_ns", ping_pong_round},
    {"cross_loop_round_trip_ns", cross_loop_round},
    {"post_ns", post_round},
    {"call_soon_threadsafe_ns", call_threadsafe_round},
};

/* Without arguments everything is asked; else what is named, so that a profiler sees one thing. */
int main(int argc, char **argv)
{
    must(weft_loop_new(NULL, 0, &loop));
    if (argc < 2) {
        report_memory("waiting_step_bytes", false);
        report_memory("waiting_fiber_bytes", true);
    }
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
        if (argc < 2 || strcmp(argv[1], questions[i].name) == 0)
            report(questions[i].name, questions[i].round);
    for (int count = 1000; count <= TIMERS_MAX && (argc < 2 || strcmp(argv[1], "timers") == 0); count *= 100)
        report_timers(count);
    must(weft_loop_close(loop));
    weft_loop_unref(loop);
    return 0;
}
