/*
 * Fibers: what a body sees when it awaits, yields, sleeps and ends, and what code without a fiber is told.
 */
#include "lib/task/fiber.h"

#include <pthread.h>
#include <string.h>

#include "tests/task/scene.h"
#include "weft/step.h"

static int results[3];

/* ---- results -------------------------------------------------------------------------------------------------------------------- */

static int return_its_argument(void *arg, void **result_out)
{
    *result_out = arg;
    return 0;
}

Test(fiber, ends_its_task_with_its_value, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    void *value = NULL;
    CHECK_EQ(scene_run(loop, return_its_argument, &results[1], &value), 0);
    CHECK(value == &results[1]);
    scene_drop(loop);
}

static int return_status(void *arg, void **result_out)
{
    *result_out = arg;
    return *(int *)arg;
}

Test(fiber, ends_its_task_with_its_status, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    int status = -EPIPE;
    void *value = &results[2];
    CHECK_EQ(scene_run(loop, return_status, &status, &value), -EPIPE);
    CHECK(value == &results[2]); /* untouched */
    scene_drop(loop);
}

Test(fiber, that_returns_more_than_0_has_returned, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    int status = 7;
    void *value = NULL;
    CHECK_EQ(scene_run(loop, return_status, &status, &value), 0);
    CHECK(value == &status);
    scene_drop(loop);
}

static int return_nothing(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

Test(fiber, has_null_for_a_value_at_first, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    void *value = &results[0];
    CHECK_EQ(scene_run(loop, return_nothing, NULL, &value), 0);
    CHECK(value == NULL);
    scene_drop(loop);
}

Test(fiber, that_raises_cancellation_is_cancelled, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    int status = -ECANCELED;
    struct weft_task *task = scene_spawn(loop, return_status, &status);
    scene_turn(loop);
    CHECK(weft_future_cancelled(&task->future));
    weft_task_unref(task);
    scene_drop(loop);
}

/* ---- await ---------------------------------------------------------------------------------------------------------------------- */

static int await_and_return(void *arg, void **result_out)
{
    return weft_await(arg, result_out);
}

static int set_result(void *future)
{
    return weft_future_set_result(future, &results[0]);
}

static int set_exception(void *future)
{
    return weft_future_set_exception(future, -EIO);
}

Test(fiber, awaits_a_value, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    void *value = NULL;
    CHECK_EQ(weft_loop_call_later(loop, MILLISECOND, set_result, future, NULL), 0);
    CHECK_EQ(scene_run(loop, await_and_return, future, &value), 0);
    CHECK(value == &results[0]);
    weft_future_unref(future);
    scene_drop(loop);
}

Test(fiber, awaits_an_exception, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    CHECK_EQ(weft_loop_call_soon(loop, set_exception, future, NULL, NULL), 0);
    CHECK_EQ(scene_run(loop, await_and_return, future, NULL), -EIO);
    weft_future_unref(future);
    scene_drop(loop);
    CHECK_EQ(scene_reports(), 0);
}

static int await_done_one(void *arg, void **result_out)
{
    note("before");
    int status = weft_await(arg, result_out);
    note("after");
    return status;
}

static int note_other(void *arg)
{
    note(arg);
    return 0;
}

Test(fiber, does_not_wait_for_what_is_done, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    struct weft_task *task = scene_spawn(loop, await_done_one, future);
    CHECK_EQ(weft_loop_call_soon(loop, note_other, "other", NULL, NULL), 0);
    scene_turn(loop);
    CHECK_STR(notes(), "before after other");
    weft_task_unref(task);
    weft_future_unref(future);
    scene_drop(loop);
}

static int await_itself(void *arg, void **result_out)
{
    (void)arg;
    CHECK_EQ(weft_await(&scene_task_here()->future, result_out), WEFT_EAWAITSELF);
    CHECK_EQ(weft_await(NULL, NULL), -EINVAL);
    CHECK_EQ(weft_wait_for(NULL, SECOND, NULL), -EINVAL);
    return 0;
}

Test(fiber, cannot_await_itself_nor_nothing, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run(loop, await_itself, NULL, NULL), 0);
    scene_drop(loop);
}

static int await_another_fiber(void *arg, void **result_out)
{
    struct weft_task *task = scene_spawn(weft_get_running_loop(), return_its_argument, arg);
    int status = weft_await(&task->future, result_out);
    weft_task_unref(task);
    return status;
}

Test(fiber, awaits_another, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    void *value = NULL;
    CHECK_EQ(scene_run(loop, await_another_fiber, &results[2], &value), 0);
    CHECK(value == &results[2]);
    scene_drop(loop);
}

/* ---- yield and sleep ------------------------------------------------------------------------------------------------------------ */

static int yield_three_times(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < 3; i++) {
        note(arg);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

Test(fiber, takes_turns_with_others_by_yielding, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    weft_task_unref(scene_spawn(loop, yield_three_times, "a"));
    weft_task_unref(scene_spawn(loop, yield_three_times, "b"));
    weft_task_unref(scene_spawn(loop, yield_three_times, "c"));
    scene_pass(loop, SECOND);
    CHECK_STR(notes(), "a b c a b c a b c");
    scene_drop(loop);
}

static int sleep_an_hour(void *arg, void **result_out)
{
    struct weft_loop *loop = weft_get_running_loop();
    (void)arg, (void)result_out;
    uint64_t start_ns = weft_loop_time(loop);
    CHECK_EQ(weft_sleep(3600 * SECOND), 0);
    CHECK_EQ(weft_loop_time(loop) - start_ns, 3600 * SECOND);
    return 0;
}

Test(fiber, sleeps_to_the_nanosecond_of_the_loops_clock, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run(loop, sleep_an_hour, NULL, NULL), 0);
    scene_drop(loop);
}

struct nap {
    int64_t delay_ns;
    const char *word;
};

static int sleep_and_note(void *arg, void **result_out)
{
    const struct nap *nap = arg;
    (void)result_out;
    int status = weft_sleep(nap->delay_ns);
    note(nap->word);
    return status;
}

Test(fiber, wakes_in_the_order_of_time_and_then_of_arming, .timeout = 5)
{
    static struct nap naps[] = {{30, "30"}, {20, "20a"}, {10, "10"}, {20, "20b"}, {0, "0"}, {-5, "none"}, {20, "20c"}};
    struct weft_loop *loop = scene_sim_loop();
    for (size_t i = 0; i < sizeof(naps) / sizeof(naps[0]); i++)
        weft_task_unref(scene_spawn(loop, sleep_and_note, &naps[i]));
    scene_pass(loop, SECOND);
    CHECK_STR(notes(), "0 none 10 20a 20b 20c 30");
    scene_drop(loop);
}

static int sleep_until_cancelled(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = weft_sleep(3600 * SECOND);
    note(status == -ECANCELED ? "cancelled" : "slept");
    return status;
}

Test(fiber, that_sleeps_can_be_cancelled, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    uint64_t start_ns = weft_loop_time(loop);
    struct weft_task *task = scene_spawn(loop, sleep_until_cancelled, NULL);
    scene_turn(loop);
    CHECK(weft_task_cancel(task, NULL));
    scene_turn(loop);
    CHECK_STR(notes(), "cancelled");
    CHECK(weft_future_cancelled(&task->future));
    CHECK_EQ(weft_loop_time(loop), start_ns);
    weft_task_unref(task);
    scene_drop(loop);
}

/* ---- eager and nested ----------------------------------------------------------------------------------------------------------- */

static int note_the_depth(void *arg, void **result_out)
{
    static const char *const before[] = {"in0", "in1", "in2", "in3"};
    static const char *const after[] = {"out0", "out1", "out2", "out3"};
    int depth = *(int *)arg;
    struct weft_task *self = scene_task_here();
    (void)result_out;
    note(before[depth]);
    if (depth < 3) {
        int deeper = depth + 1;
        struct weft_task *task = scene_spawn_eagerly(weft_get_running_loop(), note_the_depth, &deeper);
        CHECK(scene_task_here() == self);
        CHECK(weft_future_done(&task->future));
        weft_task_unref(task);
    }
    note(after[depth]);
    return 0;
}

Test(fiber, started_eagerly_runs_inside_another, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    int depth = 0;
    CHECK_EQ(scene_run(loop, note_the_depth, &depth, NULL), 0);
    CHECK_STR(notes(), "in0 in1 in2 in3 out3 out2 out1 out0");
    CHECK_EQ(fiber_stack_count(loop), 0);
    scene_drop(loop);
}

static int block_in_the_middle(void *arg, void **result_out)
{
    (void)result_out;
    note("inner begins");
    int status = weft_await(arg, NULL);
    note("inner ends");
    return status;
}

static int start_one_that_blocks(void *arg, void **result_out)
{
    struct weft_task *task = scene_spawn_eagerly(weft_get_running_loop(), block_in_the_middle, arg);
    (void)result_out;
    CHECK(!weft_future_done(&task->future));
    CHECK(task->id != 0); /* registered, since it blocked */
    note("outer goes on");
    CHECK_EQ(weft_future_set_result(arg, NULL), 0);
    CHECK_EQ(weft_await(&task->future, NULL), 0);
    note("outer ends");
    weft_task_unref(task);
    return 0;
}

Test(fiber, started_eagerly_gives_way_where_it_blocks, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    CHECK_EQ(scene_run(loop, start_one_that_blocks, future, NULL), 0);
    CHECK_STR(notes(), "inner begins outer goes on inner ends outer ends");
    weft_future_unref(future);
    scene_drop(loop);
}

/* ---- stacks --------------------------------------------------------------------------------------------------------------------- */

struct depth {
    size_t bytes;
    unsigned sum;
};

/* Use `bytes` of the present stack, a page at a time. */
static __attribute__((noinline)) unsigned dig(size_t bytes)
{
    volatile unsigned char page[2048];
    memset((unsigned char *)page, (int)(bytes >> 11 | 1), sizeof(page));
    return bytes <= sizeof(page) ? page[0] : page[100] + dig(bytes - sizeof(page));
}

static int dig_deep(void *arg, void **result_out)
{
    struct depth *depth = arg;
    (void)result_out;
    depth->sum = dig(depth->bytes);
    CHECK_EQ(weft_yield(), 0);
    depth->sum += dig(depth->bytes);
    return 0;
}

static void dig_on(enum weft_stack_class stack, size_t bytes)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    struct depth depth = {bytes / (TEST_SANITIZED ? 2 : 1), 0}; /* frames are larger under a sanitizer */
    struct weft_coro *coro;
    struct weft_task *task;
    options.stack = stack;
    CHECK_EQ(weft_fiber_new(dig_deep, &depth, &options, &coro), 0);
    CHECK_EQ(weft_loop_create_task(loop, coro, NULL, &task), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    CHECK(depth.sum != 0);
    weft_task_unref(task);
    scene_drop(loop);
}

Test(fiber, has_64_kib_on_a_small_stack, .timeout = 5)
{
    dig_on(WEFT_STACK_SMALL, (size_t)48 << 10);
}

Test(fiber, has_1_mib_on_a_medium_stack, .timeout = 5)
{
    dig_on(WEFT_STACK_MEDIUM, (size_t)900 << 10);
}

Test(fiber, has_8_mib_on_a_large_stack, .timeout = 5)
{
    dig_on(WEFT_STACK_LARGE, (size_t)7 << 20);
}

Test(fiber, refuses_a_stack_that_there_is_not, .timeout = 5)
{
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    options.stack = (enum weft_stack_class)3;
    CHECK_EQ(weft_fiber_new(dig_deep, NULL, &options, &coro), -EINVAL);
    options = (struct weft_fiber_options){.size = sizeof(options) - 1};
    CHECK_EQ(weft_fiber_new(dig_deep, NULL, &options, &coro), -EINVAL);
    CHECK_EQ(weft_fiber_new(NULL, NULL, NULL, &coro), -EINVAL);
    CHECK_EQ(weft_fiber_new(dig_deep, NULL, NULL, NULL), -EINVAL);
}

/* ---- where there is no fiber ---------------------------------------------------------------------------------------------------- */

static void every_wait_is_refused(struct weft_future *future)
{
    CHECK_EQ(weft_await(future, NULL), WEFT_ENOFIBER);
    CHECK_EQ(weft_await_flags(future, WEFT_AWAIT_DETACH, NULL), WEFT_ENOFIBER);
    CHECK_EQ(weft_yield(), WEFT_ENOFIBER);
    CHECK_EQ(weft_sleep(SECOND), WEFT_ENOFIBER);
    CHECK_EQ(weft_sleep(0), WEFT_ENOFIBER);
    CHECK_EQ(weft_wait_for(future, SECOND, NULL), WEFT_ENOFIBER);
    CHECK_EQ(weft_wait_for(future, 0, NULL), WEFT_ENOFIBER);
    CHECK_EQ(weft_wait_for(future, -1, NULL), WEFT_ENOFIBER);
}

static int refused_callback(void *arg)
{
    every_wait_is_refused(arg);
    note("callback");
    return 0;
}

Test(fiber, is_missed_in_a_callback, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    struct weft_task *task = scene_spawn(loop, await_and_return, future); /* a fiber has been here, and is not now */
    scene_turn(loop);
    CHECK_EQ(weft_loop_call_soon(loop, refused_callback, future, NULL, NULL), 0);
    scene_turn(loop);
    CHECK_STR(notes(), "callback");
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    scene_turn(loop);
    weft_task_unref(task);
    weft_future_unref(future);
    scene_drop(loop);
}

static int refused_step(struct weft_step *step, void *state, int status)
{
    (void)status;
    every_wait_is_refused(*(struct weft_future **)state);
    note("step");
    return weft_step_return(step, NULL);
}

Test(fiber, is_missed_in_a_step_task, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    struct weft_coro *coro;
    struct weft_future **state;
    CHECK_EQ(weft_step_new(refused_step, NULL, sizeof(*state), &coro, (void **)&state), 0);
    *state = future;
    CHECK_EQ(weft_loop_create_task(loop, coro, NULL, NULL), 0);
    scene_turn(loop);
    CHECK_STR(notes(), "step");
    weft_future_unref(future);
    scene_drop(loop);
}

static void *refused_thread(void *arg)
{
    every_wait_is_refused(arg);
    return NULL;
}

Test(fiber, is_missed_in_a_plain_thread, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, refused_thread, future), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    weft_future_unref(future);
    scene_drop(loop);
}
