/*
 * Churn: timers, handles, posts and tasks, made and taken back at random.
 *
 * Each actor keeps a board of slots and disturbs one after the other. What it takes back is counted here, what comes to pass is counted
 * where it does; soak_test.c compares.
 */
#include <errno.h>

#include "tests/soak/soak.h"
#include "weft/fiber.h"
#include "weft/loop.h"
#include "weft/memory.h"
#include "weft/step.h"
#include "weft/timer.h"

enum {
    TIMERS = 64,
    HANDLES = 32,
    TASKS = 48,
    DISTURBANCES = 24, /* between two pauses */
    DELAY_MAX_NS = 8000000,
    PAUSE_MAX_NS = 4000000,
};

/* ---- timers --------------------------------------------------------------------------------------------------------------------- */

struct churn_timer {
    struct weft_timer timer;
    struct lane *lane;
    uint64_t when_ns;
    bool is_armed;
};

static int timer_fired(void *arg)
{
    struct churn_timer *each = arg;
    struct lane *lane = each->lane;
    lane->counts.timers_fired++;
    if (!each->is_armed || weft_loop_time(lane->loop) < each->when_ns)
        lane->counts.timers_wrong++;
    each->is_armed = false;
    return 0;
}

static void timer_stop(struct churn_timer *each)
{
    struct soak_counts *counts = &each->lane->counts;
    bool was_armed = weft_timer_stop(&each->timer);
    counts->timers_wrong += was_armed != each->is_armed;
    counts->timers_stopped += was_armed;
    each->is_armed = false;
}

static void timer_arm(struct churn_timer *each)
{
    struct lane *lane = each->lane;
    uint64_t delay_ns = lane_once_in(lane, 8) ? 0 : lane_between(lane, 0, DELAY_MAX_NS);
    each->when_ns = weft_loop_time(lane->loop) + delay_ns;
    lane->counts.timers_armed += !each->is_armed;
    lane_expect(lane, weft_timer_start(&each->timer, (int64_t)delay_ns), "weft_timer_start");
    each->is_armed = true;
}

int churn_timers(void *arg, void **result_out)
{
    struct lane *lane = arg;
    (void)result_out;
    struct churn_timer *timers = weft_calloc(TIMERS, sizeof(*timers));
    if (timers == NULL)
        return -ENOMEM;
    for (int i = 0; i < TIMERS; i++) {
        timers[i].lane = lane;
        weft_timer_init(&timers[i].timer, lane->loop, timer_fired, &timers[i]);
    }
    while (!soak_is_over(lane->soak)) {
        for (int i = 0; i < DISTURBANCES; i++)
            (lane_once_in(lane, 3) ? timer_stop : timer_arm)(&timers[random_below(&lane->random, TIMERS)]);
        lane_expect(lane, lane_pause(lane, PAUSE_MAX_NS), "the pause of the timers");
    }
    for (int i = 0; i < TIMERS; i++)
        timer_stop(&timers[i]);
    weft_free(timers);
    return 0;
}

/* ---- handles -------------------------------------------------------------------------------------------------------------------- */

struct churn_handle {
    struct weft_handle *handle;
    bool is_post;
};

static int handle_called(void *arg)
{
    struct lane *lane = arg;
    lane->counts.handles_called++;
    return 0;
}

static int post_called(void *arg)
{
    struct lane *lane = arg; /* the one that was posted to */
    lane->counts.posts_called++;
    return 0;
}

static void handle_drop(struct lane *lane, struct churn_handle *each)
{
    if (each->handle == NULL)
        return;
    bool was_prevented = weft_handle_cancel(each->handle);
    *(each->is_post ? &lane->counts.posts_cancelled : &lane->counts.handles_cancelled) += was_prevented;
    weft_handle_unref(each->handle);
    each->handle = NULL;
}

static void handle_make(struct lane *lane, struct churn_handle *each)
{
    struct lane *other = lane_any(lane);
    each->is_post = lane_once_in(lane, 2);
    if (each->is_post) {
        lane->counts.posts_made++;
        lane_expect(lane, weft_loop_call_soon_threadsafe(other->loop, post_called, other, NULL, &each->handle), "a post");
    } else {
        int64_t delay_ns = (int64_t)lane_between(lane, 0, DELAY_MAX_NS);
        lane->counts.handles_made++;
        lane_expect(lane, weft_loop_call_later(lane->loop, delay_ns, handle_called, lane, &each->handle), "call_later");
    }
}

int churn_handles(void *arg, void **result_out)
{
    struct lane *lane = arg;
    struct churn_handle handles[HANDLES] = {{NULL, false}};
    (void)result_out;
    while (!soak_is_over(lane->soak)) {
        for (int i = 0; i < DISTURBANCES; i++) {
            struct churn_handle *each = &handles[random_below(&lane->random, HANDLES)];
            handle_drop(lane, each);
            handle_make(lane, each);
        }
        lane_expect(lane, lane_pause(lane, PAUSE_MAX_NS), "the pause of the handles");
    }
    for (int i = 0; i < HANDLES; i++)
        handle_drop(lane, &handles[i]);
    return 0;
}

/* ---- tasks ---------------------------------------------------------------------------------------------------------------------- */

/* Sleeps and yields, and lets itself be cancelled anywhere. */
static int body_rest(void *arg, void **result_out)
{
    struct lane *lane = arg; /* the one that it runs on */
    (void)result_out;
    lane->counts.bodies_begun++;
    int status = 0;
    for (uint64_t left = lane_between(lane, 0, 3); left > 0 && status == 0; left--)
        status = lane_once_in(lane, 3) ? weft_yield() : lane_pause(lane, PAUSE_MAX_NS);
    lane->counts.bodies_ended++;
    return status;
}

/* Never ends by itself. */
static int body_wait(void *arg, void **result_out)
{
    struct lane *lane = arg;
    (void)result_out;
    lane->counts.bodies_begun++;
    int status = weft_sleep(INT64_MAX);
    lane->counts.bodies_ended++;
    return status;
}

/* Does not take a cancellation for an answer, and waits while it cleans up. */
static int body_stay(void *arg, void **result_out)
{
    struct lane *lane = arg;
    struct weft_task *task;
    (void)result_out;
    lane->counts.bodies_begun++;
    int status = weft_sleep(INT64_MAX);
    lane_expect(lane, weft_current_task(&task), "weft_current_task");
    while (status == -ECANCELED && weft_task_cancelling(task) > 0)
        (void)weft_task_uncancel(task);
    while (status == -ECANCELED)
        status = lane_pause(lane, PAUSE_MAX_NS);
    lane->counts.bodies_ended++;
    return status;
}

struct rest_step {
    struct soak *soak;
    struct lane *lane; /* the one that it runs on */
    struct weft_future *slept;
};

static void step_drop(void *state)
{
    struct rest_step *rest = state;
    weft_future_unref(rest->slept);
    (void)weft_atomic_add_relaxed(&rest->soak->steps_dropped, 1);
}

static int step_rest(struct weft_step *step, void *state, int status)
{
    struct rest_step *rest = state;
    WEFT_STEP_BEGIN(step, status);
    status = weft_loop_sleep(rest->lane->loop, (int64_t)lane_between(rest->lane, 0, PAUSE_MAX_NS), &rest->slept);
    if (status < 0)
        return status;
    WEFT_STEP_AWAIT(step, rest->slept, status);
    if (status < 0)
        return status;
    WEFT_STEP_YIELD(step, status);
    WEFT_STEP_END(step, NULL);
}

static int step_make(struct lane *lane, struct lane *home, struct weft_coro **coro_out)
{
    struct rest_step *rest;
    int status = weft_step_new(step_rest, step_drop, sizeof(*rest), coro_out, (void **)&rest);
    if (status < 0)
        return status;
    lane->counts.steps_made++;
    rest->soak = lane->soak;
    rest->lane = home;
    return 0;
}

static int task_ended(struct weft_future *future, void *arg)
{
    struct lane *lane = arg;
    int status = weft_future_result(future, NULL);
    lane->counts.tasks_ended++;
    lane->counts.tasks_cancelled += status == -ECANCELED;
    lane_expect(lane, status == -ECANCELED ? 0 : status, "the end of a task");
    return 0;
}

static int task_create(struct lane *lane, struct weft_task **task_out)
{
    static weft_fiber_fn *const bodies[] = {body_rest, body_wait, body_stay};
    struct lane *home = lane_once_in(lane, 2) ? lane : lane_any(lane);
    struct weft_coro *coro;
    uint64_t kind = lane_between(lane, 0, 5);
    int status = kind < 3 ? weft_fiber_new(bodies[kind], home, NULL, &coro) : step_make(lane, home, &coro);
    if (status < 0)
        return status;
    status = home == lane && lane_once_in(lane, 2) ? weft_loop_create_task(lane->loop, coro, NULL, task_out)
                                                   : weft_loop_create_task_threadsafe(home->loop, coro, NULL, task_out);
    if (status < 0)
        return status;
    lane->counts.tasks_created++;
    return weft_future_add_done_callback(&(*task_out)->future, task_ended, lane, NULL);
}

static void task_drop(struct weft_task **task_inout)
{
    if (*task_inout == NULL)
        return;
    (void)weft_task_cancel(*task_inout, "the soak test's whim");
    weft_task_unref(*task_inout);
    *task_inout = NULL;
}

int churn_tasks(void *arg, void **result_out)
{
    struct lane *lane = arg;
    struct weft_task *tasks[TASKS] = {NULL};
    (void)result_out;
    while (!soak_is_over(lane->soak)) {
        for (int i = 0; i < DISTURBANCES; i++) {
            struct weft_task **task = &tasks[random_below(&lane->random, TASKS)];
            task_drop(task);
            lane_expect(lane, task_create(lane, task), "a task's creation");
        }
        lane_expect(lane, lane_pause(lane, PAUSE_MAX_NS), "the pause of the tasks");
    }
    for (int i = 0; i < TASKS; i++)
        task_drop(&tasks[i]);
    return 0;
}
