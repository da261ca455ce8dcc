/*
 * wait_for and sleep against the clock, on virtual time (WFOR-1, TMO-1): who wins when a result, a deadline and a cancellation meet, and
 * that no timer is left behind.
 */
#include "lib/task/task.h"
#include "tests/support/oom.h"
#include "tests/task/scene.h"

static int results[2];

/* One call of wait_for: what it shall do, and what it did. */
struct attempt {
    struct weft_future *future;
    int64_t timeout_ns;
    int status;
    void *value;
    int cancelling;
    uint64_t took_ns;
};

static int attempt_fiber(void *arg, void **result_out)
{
    struct attempt *attempt = arg;
    struct weft_loop *loop = weft_get_running_loop();
    uint64_t start_ns = weft_loop_time(loop);
    (void)result_out;
    attempt->status = weft_wait_for(attempt->future, attempt->timeout_ns, &attempt->value);
    attempt->cancelling = weft_task_cancelling(scene_task_here());
    attempt->took_ns = weft_loop_time(loop) - start_ns;
    return attempt->status;
}

static void nothing_is_armed(struct weft_loop *loop)
{
    CHECK(timer_heap_first(&loop->timers) == NULL);
    CHECK(!timer_heap_has_due(&loop->timers));
}

/* Make the attempt in a fiber of its own, and check what must be so in every case. */
static void try(struct weft_loop *loop, struct attempt *attempt)
{
    attempt->value = &results[1];
    int status = scene_run(loop, attempt_fiber, attempt, NULL);
    CHECK_EQ(status, attempt->status);
    nothing_is_armed(loop);
    CHECK(attempt->status == 0 || attempt->value == &results[1]);
}

static int set_result(void *future)
{
    (void)weft_future_set_result(future, &results[0]);
    return 0;
}

static int set_exception(void *future)
{
    (void)weft_future_set_exception(future, -EIO);
    return 0;
}

static void later(struct weft_loop *loop, int64_t delay_ns, weft_callback_fn *fn, void *arg)
{
    CHECK_EQ(weft_loop_call_later(loop, delay_ns, fn, arg, NULL), 0);
}

/* ---- results, deadlines ----------------------------------------------------------------------------------------------------------- */

Test(wait_for, gives_a_result_in_time, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct attempt attempt = {.future = scene_future(loop), .timeout_ns = SECOND};
    later(loop, MILLISECOND, set_result, attempt.future);
    try(loop, &attempt);
    CHECK_EQ(attempt.status, 0);
    CHECK(attempt.value == &results[0]);
    CHECK_EQ(attempt.took_ns, MILLISECOND);
    weft_future_unref(attempt.future);
    scene_drop(loop);
}

Test(wait_for, gives_an_exception_in_time, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct attempt attempt = {.future = scene_future(loop), .timeout_ns = SECOND};
    later(loop, MILLISECOND, set_exception, attempt.future);
    try(loop, &attempt);
    CHECK_EQ(attempt.status, -EIO);
    weft_future_unref(attempt.future);
    scene_drop(loop);
}

Test(wait_for, times_out_to_the_nanosecond_and_cancels, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct attempt attempt = {.future = scene_future(loop), .timeout_ns = SECOND};
    try(loop, &attempt);
    CHECK_EQ(attempt.status, -ETIMEDOUT);
    CHECK_EQ(attempt.took_ns, SECOND);
    CHECK_EQ(attempt.cancelling, 0);
    CHECK(weft_future_cancelled(attempt.future));
    weft_future_unref(attempt.future);
    scene_drop(loop);
}

Test(wait_for, has_all_the_time_below_0, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct attempt attempt = {.future = scene_future(loop), .timeout_ns = -1};
    later(loop, 1000000 * SECOND, set_result, attempt.future);
    try(loop, &attempt);
    CHECK_EQ(attempt.status, 0);
    weft_future_unref(attempt.future);
    scene_drop(loop);
}

Test(wait_for, takes_what_is_done_with_no_time_at_all, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct attempt attempt = {.future = scene_future(loop), .timeout_ns = 0};
    CHECK_EQ(weft_future_set_result(attempt.future, &results[0]), 0);
    try(loop, &attempt);
    CHECK_EQ(attempt.status, 0);
    weft_future_unref(attempt.future);
    attempt = (struct attempt){.future = scene_future(loop), .timeout_ns = 0};
    CHECK_EQ(weft_future_set_exception(attempt.future, -EIO), 0);
    try(loop, &attempt);
    CHECK_EQ(attempt.status, -EIO);
    weft_future_unref(attempt.future);
    scene_drop(loop);
}

Test(wait_for, with_no_time_cancels_what_is_not_done, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct attempt attempt = {.future = scene_future(loop), .timeout_ns = 0};
    try(loop, &attempt);
    CHECK_EQ(attempt.status, -ETIMEDOUT);
    CHECK_EQ(attempt.took_ns, 0);
    CHECK(weft_future_cancelled(attempt.future));
    weft_future_unref(attempt.future);
    scene_drop(loop);
}

/* A fiber that takes a second more after each cancellation, and has a result nevertheless. */
static int finish_all_the_same(void *arg, void **result_out)
{
    *result_out = arg;
    while (weft_sleep(SECOND) == -ECANCELED) {
    }
    return 0;
}

/* One that ends a second after it was cancelled, cancelled. */
static int take_long_to_end(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = weft_sleep(3600 * SECOND);
    while (weft_sleep(SECOND) < 0) {
    }
    return status;
}

Test(wait_for, gives_a_result_that_comes_in_spite_of_the_cancellation, .timeout = 5)
{
    static const int64_t timeouts_ns[] = {0, SECOND / 2};
    struct weft_loop *loop = scene_sim_loop();
    for (int i = 0; i < 2; i++) {
        struct weft_task *task = scene_spawn(loop, finish_all_the_same, &results[0]);
        scene_turn(loop); /* it sleeps */
        struct attempt attempt = {.future = &task->future, .timeout_ns = timeouts_ns[i]};
        try(loop, &attempt);
        CHECK_EQ(attempt.status, 0);
        CHECK(attempt.value == &results[0]);
        CHECK_EQ(attempt.took_ns, timeouts_ns[i] + SECOND);
        CHECK_EQ(attempt.cancelling, 0);
        weft_task_unref(task);
    }
    scene_drop(loop);
}

Test(wait_for, waits_for_the_end_of_what_it_cancelled, .timeout = 5)
{
    static const int64_t timeouts_ns[] = {0, SECOND / 2};
    struct weft_loop *loop = scene_sim_loop();
    for (int i = 0; i < 2; i++) {
        struct weft_task *task = scene_spawn(loop, take_long_to_end, NULL);
        scene_turn(loop);
        struct attempt attempt = {.future = &task->future, .timeout_ns = timeouts_ns[i]};
        try(loop, &attempt);
        CHECK_EQ(attempt.status, -ETIMEDOUT);
        CHECK_EQ(attempt.took_ns, timeouts_ns[i] + SECOND);
        CHECK(weft_future_cancelled(&task->future));
        weft_task_unref(task);
    }
    scene_drop(loop);
}

/* ---- cancellation from outside ---------------------------------------------------------------------------------------------------- */

static int cancel_task(void *task)
{
    (void)weft_task_cancel(task, "outer");
    return 0;
}

/* Attempt, with the fiber cancelled from outside at `cancel_ns`; `is_armed_after` its deadline, if both come at once. */
static void try_with_cancel(struct weft_loop *loop, struct attempt *attempt, int64_t cancel_ns, bool is_armed_after)
{
    attempt->value = &results[1];
    struct weft_task *task = scene_spawn(loop, attempt_fiber, attempt);
    if (!is_armed_after)
        later(loop, cancel_ns, cancel_task, task);
    scene_turn(loop);
    if (is_armed_after)
        later(loop, cancel_ns, cancel_task, task);
    int status = weft_loop_run_until_complete(loop, &task->future, NULL);
    CHECK_EQ(status, attempt->status);
    nothing_is_armed(loop);
    weft_task_unref(task);
}

Test(wait_for, lets_a_cancellation_from_outside_through, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct attempt attempt = {.future = scene_future(loop), .timeout_ns = SECOND};
    try_with_cancel(loop, &attempt, MILLISECOND, false);
    CHECK_EQ(attempt.status, -ECANCELED);
    CHECK_EQ(attempt.took_ns, MILLISECOND);
    CHECK_EQ(attempt.cancelling, 1);
    CHECK(weft_future_cancelled(attempt.future));
    weft_future_unref(attempt.future);
    scene_drop(loop);
}

Test(wait_for, cancelled_from_outside_as_it_times_out_is_cancelled, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    for (int i = 0; i < 2; i++) {
        struct attempt attempt = {.future = scene_future(loop), .timeout_ns = SECOND};
        try_with_cancel(loop, &attempt, SECOND, i == 1);
        CHECK_EQ(attempt.status, -ECANCELED);
        CHECK_EQ(attempt.cancelling, 1);
        weft_future_unref(attempt.future);
    }
    scene_drop(loop);
}

Test(wait_for, cancelled_from_outside_after_it_timed_out_is_cancelled, .timeout = 5)
{
    static const int64_t timeouts_ns[] = {0, SECOND / 2};
    struct weft_loop *loop = scene_sim_loop();
    for (int i = 0; i < 2; i++) {
        struct weft_task *task = scene_spawn(loop, take_long_to_end, NULL);
        scene_turn(loop);
        struct attempt attempt = {.future = &task->future, .timeout_ns = timeouts_ns[i]};
        try_with_cancel(loop, &attempt, timeouts_ns[i] + MILLISECOND, true);
        CHECK_EQ(attempt.status, -ECANCELED);
        CHECK_EQ(attempt.cancelling, 1);
        scene_pass(loop, 10 * SECOND);
        weft_task_unref(task);
    }
    scene_drop(loop);
}

static int swallow_one_then_attempt(void *arg, void **result_out)
{
    (void)weft_task_cancel(scene_task_here(), NULL);
    CHECK_EQ(weft_yield(), -ECANCELED);
    return attempt_fiber(arg, result_out);
}

Test(wait_for, times_out_in_a_task_that_was_cancelled_before, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct attempt attempt = {.future = scene_future(loop), .timeout_ns = SECOND};
    CHECK_EQ(scene_run(loop, swallow_one_then_attempt, &attempt, NULL), -ETIMEDOUT);
    CHECK_EQ(attempt.status, -ETIMEDOUT);
    CHECK_EQ(attempt.cancelling, 1);
    weft_future_unref(attempt.future);
    scene_drop(loop);
}

/* ---- at the same moment ------------------------------------------------------------------------------------------------------------- */

Test(wait_for, that_times_out_as_the_result_comes_leaves_the_result_in_the_future, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct attempt attempt = {.future = scene_future(loop), .timeout_ns = SECOND};
    later(loop, SECOND, set_result, attempt.future); /* armed first, so first at that moment; the wake-up is then under way */
    try(loop, &attempt);
    CHECK_EQ(attempt.status, -ETIMEDOUT);
    CHECK_EQ(attempt.cancelling, 0);
    void *value = NULL;
    CHECK_EQ(weft_future_result(attempt.future, &value), 0);
    CHECK(value == &results[0]);
    weft_future_unref(attempt.future);
    scene_drop(loop);
}

/* A fiber that waits for another that waits for a future, each with a deadline of its own. */
struct nest {
    struct attempt outer, inner;
};

static int nested_attempts(void *arg, void **result_out)
{
    struct nest *nest = arg;
    struct weft_task *task = scene_spawn_eagerly(weft_get_running_loop(), attempt_fiber, &nest->inner);
    nest->outer.future = &task->future;
    int status = attempt_fiber(&nest->outer, result_out);
    weft_task_unref(task);
    return status;
}

static void nest_deadlines(int64_t outer_ns, int64_t inner_ns, struct nest *nest)
{
    struct weft_loop *loop = scene_sim_loop();
    *nest = (struct nest){.outer = {.timeout_ns = outer_ns}, .inner = {.future = scene_future(loop), .timeout_ns = inner_ns}};
    int status = scene_run(loop, nested_attempts, nest, NULL);
    CHECK_EQ(status, nest->outer.status);
    CHECK_EQ(nest->outer.cancelling, 0);
    nothing_is_armed(loop);
    weft_future_unref(nest->inner.future);
    scene_drop(loop);
}

Test(wait_for, nested_reports_the_inner_deadline_as_the_inner_failure, .timeout = 5)
{
    struct nest nest;
    nest_deadlines(2 * SECOND, SECOND, &nest);
    CHECK_EQ(nest.inner.status, -ETIMEDOUT);
    CHECK_EQ(nest.outer.status, -ETIMEDOUT);
    CHECK_EQ(nest.outer.took_ns, SECOND);
    CHECK_EQ(nest.inner.cancelling, 0);
}

Test(wait_for, nested_cancels_the_inner_at_the_outer_deadline, .timeout = 5)
{
    struct nest nest;
    nest_deadlines(SECOND, 2 * SECOND, &nest);
    CHECK_EQ(nest.inner.status, -ECANCELED);
    CHECK_EQ(nest.outer.status, -ETIMEDOUT);
    CHECK_EQ(nest.outer.took_ns, SECOND);
    CHECK_EQ(nest.inner.cancelling, 1);
}

Test(wait_for, nested_with_one_deadline_times_out_outside, .timeout = 5)
{
    struct nest nest;
    nest_deadlines(SECOND, SECOND, &nest);
    CHECK_EQ(nest.outer.status, -ETIMEDOUT);
    CHECK_EQ(nest.outer.took_ns, SECOND);
}

/* ---- sleep for coroutines without a stack ------------------------------------------------------------------------------------------- */

Test(loop_sleep, is_done_after_its_time, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future;
    uint64_t start_ns = weft_loop_time(loop);
    CHECK_EQ(weft_loop_sleep(loop, 5 * SECOND, &future), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, future, NULL), 0);
    CHECK_EQ(weft_loop_time(loop) - start_ns, 5 * SECOND);
    weft_future_unref(future);
    scene_drop(loop);
}

static int cancel_future(void *future)
{
    CHECK(weft_future_cancel(future, NULL));
    CHECK(!weft_future_cancel(future, NULL));
    return 0;
}

Test(loop_sleep, cancelled_stops_its_timer, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future;
    CHECK_EQ(weft_loop_sleep(loop, 5 * SECOND, &future), 0);
    CHECK_EQ(weft_loop_call_soon(loop, cancel_future, future, NULL, NULL), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, future, NULL), -ECANCELED);
    nothing_is_armed(loop);
    weft_future_unref(future);
    scene_drop(loop);
}

static int complete_early(void *future)
{
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    return 0;
}

Test(loop_sleep, completed_early_takes_no_notice_of_its_timer, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future;
    CHECK_EQ(weft_loop_sleep(loop, 5 * SECOND, &future), 0);
    CHECK_EQ(weft_loop_call_soon(loop, complete_early, future, NULL, NULL), 0);
    scene_pass(loop, 10 * SECOND);
    CHECK_EQ(weft_future_result(future, NULL), 0);
    weft_future_unref(future);
    scene_drop(loop);
}

static void *cancel_elsewhere(void *future)
{
    CHECK(weft_future_cancel(future, NULL));
    return NULL;
}

Test(loop_sleep, may_be_cancelled_from_another_thread, .timeout = 5)
{
    struct weft_loop *loop = scene_epoll_loop();
    struct weft_future *future;
    CHECK_EQ(weft_loop_sleep(loop, 3600 * SECOND, &future), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, cancel_elsewhere, future), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, future, NULL), -ECANCELED);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    weft_future_unref(future);
    scene_drop(loop);
}

Test(loop_sleep, ends_with_its_loop, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future, *refused;
    CHECK_EQ(weft_loop_sleep(loop, SECOND, &future), 0);
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK_EQ(weft_loop_sleep(loop, SECOND, &refused), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_sleep(NULL, SECOND, &refused), -EINVAL);
    CHECK(weft_future_cancelled(future)); /* who waits for it on another loop goes on */
    weft_future_unref(future);
    weft_loop_unref(loop);
}

static int fatal_callback(void *arg)
{
    (void)arg;
    return WEFT_EEXIT;
}

static int call_nothing(void *arg)
{
    (void)arg;
    CHECK(!"called on a closed loop");
    return 0;
}

Test(loop_sleep, that_was_due_when_its_loop_was_left_is_let_go, .timeout = 5)
{
    oom_install();
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future;
    later(loop, SECOND, fatal_callback, NULL);
    later(loop, SECOND, call_nothing, NULL);
    CHECK_EQ(weft_loop_sleep(loop, SECOND, &future), 0);
    CHECK_EQ(weft_loop_run_forever(loop), WEFT_EEXIT);
    weft_future_unref(future);
    scene_drop(loop);
    CHECK_EQ(oom_live(), 0);
}

Test(loop_sleep, without_memory_arms_nothing, .timeout = 5)
{
    oom_install();
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = NULL;
    uint64_t n = 1;
    for (;; n++) {
        int64_t live = oom_live();
        oom_start(n);
        int status = weft_loop_sleep(loop, SECOND, &future);
        if (!oom_stop())
            break;
        CHECK_EQ(status, -ENOMEM);
        CHECK_EQ(oom_live(), live);
        nothing_is_armed(loop);
    }
    CHECK_EQ(n, 3);
    weft_future_unref(future);
    scene_drop(loop);
}
