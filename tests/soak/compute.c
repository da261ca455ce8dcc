/*
 * Compute: fork–join computations that connections start, on the loops that serve them, and stealable tasks that sleep and time out.
 *
 * A computation adds up a span of numbers, a job to each. It may be cancelled, at any time; once it has begun its sum must be right all the
 * same, and as many jobs must have run. What runs on whatever loop counts in the soak or in the computation, atomically; what the lane does
 * counts in the lane.
 */
#include <errno.h>

#include "tests/soak/soak.h"
#include "weft/fiber.h"
#include "weft/job.h"
#include "weft/loop.h"
#include "weft/memory.h"

enum {
    SMALL_MAX = 3000,
    LARGE_MAX = 300000,
    REST_MAX_NS = 400000,
    STRAYS = 8,
    PAUSE_MAX_NS = 4000000,
    BURST = 64,
    BURST_LARGE = 2,
    OPEN_MAX = 16, /* of a lane: more would only wait, and be memory that rises with the load of the machine */
};

/* ---- computations --------------------------------------------------------------------------------------------------------------- */

struct computation {
    struct lane *lane;
    uint32_t first;
    uint32_t count;
    uint32_t begun;
    uint64_t sum;
    uint64_t jobs_run; /* atomic */
};

struct part {
    struct computation *computation;
    uint32_t first;
    uint32_t count;
};

/* Most jobs do nothing but their work; some let the loop go on, or rest. A cancellation told there changes nothing. */
static void rest(uint32_t number)
{
    uint32_t dice = number * 2654435761u >> 12;
    if (dice % 2048 == 0)
        (void)weft_sleep(dice % REST_MAX_NS);
    else if (dice % 512 == 1)
        (void)weft_yield();
}

WEFT_JOB(uint64_t, add_up, struct part, part)
{
    (void)weft_atomic_add_relaxed(&part.computation->jobs_run, 1);
    rest(part.first);
    if (part.count == 1)
        return part.first;
    uint32_t left = 1 + (part.count - 1) / 3, right = part.count - 1 - left;
    WEFT_FORK(add_up, ((struct part){part.computation, part.first + 1, left}));
    uint64_t other = right == 0 ? 0 : WEFT_CALL(add_up, ((struct part){part.computation, part.first + 1 + left, right}));
    uint64_t sum = WEFT_JOIN(add_up);
    return part.first + sum + other;
}

static int compute(void *arg, void **result_out)
{
    struct computation *computation = arg;
    (void)result_out;
    computation->begun++;
    return WEFT_RUN(add_up, ((struct part){computation, computation->first, computation->count}), &computation->sum);
}

static bool is_right(const struct computation *computation, int status)
{
    uint64_t count = computation->count, expected = computation->first * count + count * (count - 1) / 2;
    if (computation->begun == 0)
        return status == -ECANCELED && computation->jobs_run == 0;
    return (status == 0 || status == -ECANCELED) && computation->sum == expected && computation->jobs_run == count;
}

static int computation_ended(struct weft_future *future, void *arg)
{
    struct computation *computation = arg;
    struct soak_counts *counts = &computation->lane->counts;
    int status = weft_future_result(future, NULL);
    counts->computations_ended++;
    counts->computations_cancelled += status == -ECANCELED;
    counts->computations_wrong += !is_right(computation, status);
    counts->computation_jobs += computation->jobs_run;
    weft_free(computation);
    return 0;
}

static int computation_start(struct lane *lane, uint32_t count, struct weft_task **task_out)
{
    struct computation *computation = weft_calloc(1, sizeof(*computation));
    if (computation == NULL)
        return -ENOMEM;
    computation->lane = lane;
    computation->first = (uint32_t)lane_between(lane, 0, 1 << 20);
    computation->count = count;
    int status = weft_job_start(lane->loop, compute, computation, task_out);
    if (status < 0) {
        weft_free(computation);
        return status;
    }
    lane->counts.computations_started++;
    return weft_future_add_done_callback(&(*task_out)->future, computation_ended, computation, NULL);
}

/* Start one more, in the place of another that may be cancelled. */
static void start_another(struct lane *lane)
{
    struct weft_task **task = &lane->computing[random_below(&lane->random, SOAK_COMPUTING)];
    if (lane->counts.computations_started - lane->counts.computations_ended >= OPEN_MAX)
        return;
    if (*task != NULL && lane_once_in(lane, 3))
        (void)weft_task_cancel(*task, "the soak test's whim");
    weft_task_unref(*task);
    *task = NULL;
    uint32_t count = (uint32_t)lane_between(lane, 1, lane_once_in(lane, 256) ? LARGE_MAX : SMALL_MAX);
    lane_expect(lane, computation_start(lane, count, task), "a computation's start");
}

void compute_start(struct lane *lane)
{
    if (!soak_is_over(lane->soak))
        start_another(lane);
}

/* ---- strays --------------------------------------------------------------------------------------------------------------------- */

/* A stealable task: what it knows of its way. */
struct stray {
    struct lane *lane; /* whose it is, wherever it runs */
    uint64_t delay_ns;
    uint64_t timeout_ns;
};

/* Sleep, go to wherever there is time, wait for what does not come, and again. */
static int stray_body(void *arg, void **result_out)
{
    struct stray *stray = arg;
    struct soak *soak = stray->lane->soak;
    struct weft_future *never;
    (void)result_out;
    (void)weft_atomic_add_relaxed(&soak->strays_begun, 1);
    int status = weft_sleep((int64_t)stray->delay_ns);
    if (status == 0)
        status = weft_yield();
    if (status == 0)
        status = weft_loop_create_future(stray->lane->loop, &never);
    if (status == 0) {
        status = weft_wait_for(never, (int64_t)stray->timeout_ns, NULL);
        weft_future_unref(never);
    }
    if (status == -ETIMEDOUT)
        status = weft_yield();
    (void)weft_atomic_add_relaxed(&soak->strays_returned, 1);
    return status;
}

static void stray_end(struct lane *lane, struct weft_task *task)
{
    if (lane_once_in(lane, 4))
        (void)weft_task_cancel(task, "the soak test's whim");
    int status = weft_await(&task->future, NULL);
    lane->counts.strays_ended++;
    lane->counts.strays_cancelled += status == -ECANCELED;
    lane_expect(lane, status == -ECANCELED ? 0 : status, "the end of a stray");
    weft_task_unref(task);
}

/* ---- the actors ----------------------------------------------------------------------------------------------------------------- */

/* Far more at once than there are later, so that the loops' pools of stacks are as large in the warm-up as they will ever be. */
static void burst(struct lane *lane)
{
    for (int i = 0; i < BURST && !TEST_IS_SLOW; i++) {
        struct weft_task *task = NULL;
        lane_expect(lane, computation_start(lane, i < BURST_LARGE ? LARGE_MAX : SMALL_MAX, &task), "a computation of the burst");
        weft_task_unref(task);
    }
}

int compute_sums(void *arg, void **result_out)
{
    struct lane *lane = arg;
    (void)result_out;
    burst(lane);
    /* Where the machine has little time to give, the burst alone can last as long as the soak does. */
    while (!soak_is_over(lane->soak) || lane->counts.computations_cancelled == 0) {
        start_another(lane);
        lane_expect(lane, lane_pause(lane, PAUSE_MAX_NS), "the pause of the sums");
    }
    for (int i = 0; i < SOAK_COMPUTING; i++) /* from here on nobody starts another */
        weft_task_unref(lane->computing[i]);
    while (lane->counts.computations_ended != lane->counts.computations_started)
        lane_expect(lane, lane_pause(lane, PAUSE_MAX_NS), "the wait for the sums");
    return 0;
}

int compute_strays(void *arg, void **result_out)
{
    struct lane *lane = arg;
    (void)result_out;
    while (!soak_is_over(lane->soak)) {
        struct stray strays[STRAYS];
        struct weft_task *tasks[STRAYS];
        for (int i = 0; i < STRAYS; i++) {
            strays[i] = (struct stray){lane, lane_between(lane, 1, REST_MAX_NS), lane_between(lane, 1, REST_MAX_NS)};
            int status = weft_loop_spawn_fiber(lane_any(lane)->loop, stray_body, &strays[i], &tasks[i]);
            if (status < 0)
                return status;
            lane->counts.strays_spawned++;
        }
        for (int i = 0; i < STRAYS; i++)
            stray_end(lane, tasks[i]);
        lane_expect(lane, lane_pause(lane, PAUSE_MAX_NS), "the pause of the strays");
    }
    return 0;
}
