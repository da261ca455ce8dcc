/*
 * Calls: bytes are a program that fibers, step coroutines, callbacks and jobs of two loops run together, each taking the next byte as it
 * gets its turn: spawn, await, cancel, uncancel, post, timers, chains, groups, gather, fork and join, jobs of the executor, stop. One
 * thread takes the loops' turns, in an order that the first byte seeds.
 *
 * Whatever the program: each body is entered at most once and left if entered, each future is done once, each callback is called once
 * unless it was cancelled, and at the end nothing is left.
 */
#include <errno.h>

#include "tests/fuzz/fuzz.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/future.h"
#include "weft/gather.h"
#include "weft/group.h"
#include "weft/job.h"
#include "weft/runtime.h"
#include "weft/status.h"
#include "weft/step.h"

enum { LOOPS = 2, BODIES = 40, FUTURES = 6, POSTS = 40, WATCHES = 40, DEPTH_MAX = 3 };

struct body {
    struct weft_task *task;
    int entered, left;
};

struct post {
    struct weft_handle *handle;
    int ran;
    bool is_cancelled, is_later;
};

/* A done callback. */
struct watch {
    struct weft_future *future;
    int called;
};

static struct fuzz *input;
static struct weft_runtime *runtime;
static struct body bodies[BODIES];
static struct post posts[POSTS];
static struct watch watches[WATCHES];
static struct weft_future *futures[FUTURES];
static size_t body_count, post_count, watch_count;

static int interpret(uint32_t depth);

static struct weft_loop *pick_loop(void)
{
    return weft_runtime_loop(runtime, fuzz_below(input, LOOPS));
}

/* Any task or future that there is. */
static struct weft_future *pick_future(void)
{
    uint32_t which = fuzz_below(input, BODIES + FUTURES);
    if (which < FUTURES)
        return futures[which];
    struct weft_task *task = bodies[which % BODIES].task;
    return task == NULL ? futures[0] : &task->future;
}

/*
 * Something to wait for. Members of groups, and jobs, wait for no task: it might be the one that waits for them, and that no cancellation
 * would end, here as in asyncio.
 */
static struct weft_future *pick_awaited(uint32_t depth)
{
    return depth == 0 ? pick_future() : futures[fuzz_below(input, FUTURES)];
}

static struct weft_task *pick_task(void)
{
    return bodies[body_count == 0 ? 0 : fuzz_below(input, BODIES) % body_count].task;
}

/* ---- what runs ------------------------------------------------------------------------------------------------------------------ */

static int run_body(void *arg, void **result_out)
{
    struct body *body = arg;
    CHECK_EQ(body->entered++, 0);
    *result_out = body;
    int status = interpret(0);
    CHECK_EQ(body->left++, 0);
    return status;
}

static void drop_step(void *state)
{
    struct body *body = *(struct body **)state;
    body->left++;
}

/* Yields, awaits something, yields. What it is raised at its waits it ends with. */
static int run_step(struct weft_step *step, void *state, int status)
{
    CHECK_EQ((*(struct body **)state)->left, 0);
    WEFT_STEP_BEGIN(step, status);
    WEFT_STEP_YIELD(step, status);
    if (status < 0)
        return status;
    WEFT_STEP_AWAIT(step, futures[fuzz_below(input, FUTURES)], status);
    if (status < 0)
        return status;
    WEFT_STEP_YIELD(step, status);
    WEFT_STEP_END(step, *(struct body **)state);
}

static int act(uint32_t what);

static int run_post(void *arg)
{
    struct post *post = arg;
    CHECK(post->ran++ == 0 && !post->is_cancelled);
    for (uint32_t count = fuzz_below(input, 4); count > 0; count--)
        (void)act(fuzz_byte(input));
    return 0;
}

static int run_watch(struct weft_future *future, void *arg)
{
    struct watch *watch = arg;
    CHECK(future == watch->future && weft_future_done(future));
    CHECK_EQ(watch->called++, 0);
    return 0;
}

static int run_executor_job(void *arg, void **result_out)
{
    *result_out = arg;
    return -(int)(fuzz_below(input, 2));
}

/* ---- calls that do not wait ------------------------------------------------------------------------------------------------------ */

static void spawn(uint32_t how)
{
    struct body *body = &bodies[body_count];
    struct weft_coro *coro;
    void *state;
    if (body_count == BODIES)
        return;
    body_count++;
    if (how == 2) {
        CHECK_EQ(weft_step_new(run_step, drop_step, sizeof(body), &coro, &state), 0);
        *(struct body **)state = body;
        body->entered = 1;
    } else {
        CHECK_EQ(weft_fiber_new(run_body, body, NULL, &coro), 0);
    }
    struct weft_loop *loop = pick_loop();
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    int status;
    if (how == 1) {
        status = weft_loop_spawn(loop, coro, NULL, &body->task);
    } else if (how == 3 && loop == weft_get_running_loop()) {
        options.flags = WEFT_TASK_EAGER_START;
        status = weft_loop_create_task(loop, coro, &options, &body->task);
    } else {
        status = weft_loop_create_task_threadsafe(loop, coro, NULL, &body->task);
    }
    CHECK_EQ(status, 0);
}

static void post(bool is_later)
{
    struct post *post = &posts[post_count];
    if (post_count == POSTS)
        return;
    post_count++;
    *post = (struct post){.is_later = is_later};
    CHECK_EQ(is_later ? weft_loop_call_later(weft_get_running_loop(), fuzz_byte(input) * 1000, run_post, post, &post->handle)
                      : weft_loop_call_soon_threadsafe(pick_loop(), run_post, post, NULL, &post->handle),
             0);
}

static void cancel_post(void)
{
    struct post *post = &posts[fuzz_below(input, POSTS)];
    if (post->handle == NULL || !weft_handle_cancel(post->handle))
        return;
    CHECK(post->ran == 0 && !post->is_cancelled);
    post->is_cancelled = true;
}

static void complete(void)
{
    struct weft_future *future = futures[fuzz_below(input, FUTURES)];
    bool was_done = weft_future_done(future);
    uint32_t how = fuzz_below(input, 3);
    int status = how == 0 ? weft_future_set_result(future, future) : weft_future_set_exception(future, -EPERM);
    CHECK_EQ(status, was_done ? WEFT_EINVALIDSTATE : 0);
    CHECK(weft_future_done(future));
}

static void watch(void)
{
    if (watch_count == WATCHES)
        return;
    struct watch *watch = &watches[watch_count++];
    *watch = (struct watch){.future = pick_future()};
    CHECK_EQ(weft_future_add_done_callback(watch->future, run_watch, watch, NULL), 0);
}

static void look(void)
{
    struct weft_task **tasks;
    size_t count;
    CHECK_EQ(weft_all_tasks(NULL, &tasks, &count), 0);
    CHECK(count <= body_count + BODIES * DEPTH_MAX * 2); /* and stolen jobs */
    weft_all_tasks_free(tasks, count);
}

/* Returns 1 if `what` is none of these. */
static int act(uint32_t what)
{
    struct weft_future *source, *destination;
    switch (what) {
    case 'a':
        spawn(0);
        return 0;
    case 'b':
        spawn(1);
        return 0;
    case 'c':
        spawn(2);
        return 0;
    case 'd':
        spawn(3);
        return 0;
    case 'e':
        (void)weft_task_cancel(pick_task(), "asked");
        return 0;
    case 'f':
        (void)weft_task_uncancel(pick_task());
        return 0;
    case 'g':
        post(false);
        return 0;
    case 'h':
        post(true);
        return 0;
    case 'i':
        cancel_post();
        return 0;
    case 'j':
        complete();
        return 0;
    case 'k':
        (void)weft_future_cancel(pick_future(), "no more");
        return 0;
    case 'l':
        watch();
        return 0;
    case 'm':
        look();
        return 0;
    case 'n':
        source = pick_future();
        destination = futures[fuzz_below(input, FUTURES)];
        CHECK_EQ(weft_future_chain(source, destination), source == destination ? -EINVAL : 0);
        return 0;
    case 'S':
        return fuzz_byte(input) == 'T' ? weft_loop_stop(pick_loop()) : 0;
    default:
        return 1;
    }
}

/* ---- calls that wait ------------------------------------------------------------------------------------------------------------- */

/* What a wait may say: what the future says, or what was raised. */
static void check_wait(struct weft_future *future, int status, bool has_timeout)
{
    if (status == -ECANCELED || status == WEFT_ECLOSED || status == WEFT_EAWAITSELF || (has_timeout && status == -ETIMEDOUT))
        return;
    CHECK(weft_future_done(future));
    CHECK_EQ(weft_future_result(future, NULL), status);
}

static void await_all(uint32_t depth)
{
    struct weft_future *some[4], *all;
    uint32_t count = fuzz_below(input, 5);
    for (uint32_t i = 0; i < count; i++)
        some[i] = pick_awaited(depth);
    uint32_t flags = fuzz_below(input, 2) ? WEFT_GATHER_RETURN_EXCEPTIONS : 0;
    CHECK_EQ(weft_gather(weft_get_running_loop(), some, count, flags, &all), 0);
    if (fuzz_below(input, 4) != 0)
        check_wait(all, weft_await(all, NULL), false);
    weft_future_unref(all);
}

static void await_executor(void)
{
    struct weft_future *future;
    CHECK_EQ(weft_loop_run_in_executor(weft_get_running_loop(), run_executor_job, NULL, &future), 0);
    if (fuzz_below(input, 2) == 0)
        check_wait(future, weft_await(future, NULL), false);
    weft_future_unref(future);
}

static int member(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return interpret(DEPTH_MAX);
}

static void in_group(uint32_t depth)
{
    struct weft_group group = WEFT_GROUP_INIT;
    if (weft_group_enter(&group) < 0)
        return;
    for (uint32_t count = fuzz_below(input, 4); count > 0; count--)
        CHECK_EQ(weft_group_spawn_fiber(&group, member, NULL, NULL), 0);
    int status = interpret(depth + 1);
    if (fuzz_below(input, 4) == 3)
        CHECK_EQ(weft_group_cancel(&group), 0);
    if (weft_group_exit(&group, status) == WEFT_EGROUP)
        CHECK(weft_group_failure(&group, 0) < 0);
    weft_group_fini(&group);
}

struct job {
    struct weft_fork fork;
    uint32_t depth;
    int ran, status;
};

static int run_job(void *arg)
{
    struct job *job = arg;
    CHECK_EQ(job->ran++, 0);
    return job->status = interpret(job->depth);
}

static void fork_and_join(uint32_t depth)
{
    struct job jobs[3];
    uint32_t count = fuzz_below(input, 4);
    for (uint32_t i = 0; i < count; i++) {
        jobs[i] = (struct job){.depth = depth + 1};
        CHECK_EQ(weft_fork(&jobs[i].fork, run_job, &jobs[i]), 0);
    }
    (void)interpret(depth + 1);
    while (count-- > 0) {
        int status = weft_join(&jobs[count].fork);
        CHECK_EQ(jobs[count].ran, 1);
        CHECK_EQ(status, jobs[count].status);
    }
}

static void act_and_wait(uint32_t what, uint32_t depth)
{
    struct weft_future *future;
    switch (what) {
    case 'o':
        future = pick_awaited(depth);
        check_wait(future, weft_await(future, NULL), false);
        break;
    case 'p':
        future = pick_awaited(depth);
        check_wait(future, weft_wait_for(future, fuzz_byte(input) * 1000 - 1000, NULL), true);
        break;
    case 'q':
        (void)weft_sleep(fuzz_byte(input) * 1000);
        break;
    case 'r':
        (void)weft_yield();
        break;
    case 's':
        await_all(depth);
        break;
    case 't':
        await_executor();
        break;
    case 'u':
        if (depth < DEPTH_MAX)
            in_group(depth);
        break;
    case 'v':
        if (depth < DEPTH_MAX)
            fork_and_join(depth);
        break;
    default:
        break;
    }
}

/* Until the program says that this body ends, and how, or has no more to say. */
static int interpret(uint32_t depth)
{
    static const int ends[] = {0, -EPERM, -ECANCELED};
    while (fuzz_has_more(input)) {
        uint32_t what = fuzz_byte(input);
        if (what == '.')
            return ends[fuzz_below(input, 3)];
        if (act(what) == 1)
            act_and_wait(what, depth);
    }
    return 0;
}

/* ---- the whole -------------------------------------------------------------------------------------------------------------------- */

static int on_report(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)exception, (void)arg;
    return 0;
}

static void open(uint64_t seed)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.driver = WEFT_DRIVER_SIM;
    options.loops = LOOPS;
    options.seed = seed;
    memset(bodies, 0, sizeof(bodies));
    memset(posts, 0, sizeof(posts));
    body_count = post_count = watch_count = 0;
    CHECK_EQ(weft_runtime_create(&options, &runtime), 0);
    for (uint32_t i = 0; i < LOOPS; i++)
        CHECK_EQ(weft_loop_set_exception_handler(weft_runtime_loop(runtime, i), on_report, NULL), 0);
    for (uint32_t i = 0; i < FUTURES; i++)
        CHECK_EQ(weft_loop_create_future(weft_runtime_loop(runtime, i % LOOPS), &futures[i]), 0);
}

static void cancel_futures(void)
{
    for (uint32_t i = 0; i < FUTURES; i++)
        (void)weft_future_cancel(futures[i], NULL);
}

/* `is_orderly`: nothing was dropped, so that everything that could run has. */
static void check_end(bool is_orderly)
{
    for (struct body *body = bodies; body < bodies + body_count; body++) {
        CHECK(body->task != NULL && weft_future_done(&body->task->future));
        CHECK_EQ(body->left, body->entered);
        weft_task_unref(body->task);
    }
    for (struct post *post = posts; post < posts + post_count; post++) {
        CHECK(post->ran + post->is_cancelled == 1 || (!is_orderly && post->ran == 0) || (post->is_later && post->ran == 0));
        weft_handle_unref(post->handle);
    }
    for (struct watch *watch = watches; watch < watches + watch_count; watch++)
        CHECK(watch->called == 1 || !is_orderly);
    for (uint32_t i = 0; i < FUTURES; i++)
        weft_future_unref(futures[i]);
}

void fuzz_target(struct fuzz *fuzz)
{
    struct body main_body = {NULL, 0, 0};
    struct weft_coro *coro;
    input = fuzz;
    uint32_t end = fuzz_below(fuzz, 3);
    open(fuzz_byte(fuzz));
    CHECK_EQ(weft_fiber_new(run_body, &main_body, NULL, &coro), 0);
    (void)weft_runtime_run(runtime, coro, NULL);
    fuzz->at = fuzz->end; /* what goes on now ends where it waits */
    if (end == 0)
        cancel_futures();
    if (end < 2)
        CHECK_EQ(weft_runtime_shutdown(runtime, -1), 0);
    weft_runtime_destroy(runtime);
    cancel_futures(); /* of closed loops */
    CHECK_EQ(main_body.left, main_body.entered);
    check_end(end == 0);
}
