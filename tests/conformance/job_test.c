/*
 * ADD-9 and ADD-10: jobs. That one is stolen is made certain, alone too: who forked it waits for a future that only the job completes, so
 * another must run it, a thief or the home's own assist item.
 */
#include <errno.h>

#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"
#include "weft/atomic.h"
#include "weft/fiber.h"
#include "weft/job.h"
#include "weft/step.h"

enum { STACK_BYTES = 8 << 20, EDGE_BYTES = 64 << 10, CALLERS = 4, WANDERERS = 4, ROUNDS = 20, DEPTH = 5 };

static const struct weft_context_var variable = WEFT_CONTEXT_VAR("variable", NULL);

/* A fiber of its own, with the stack that jobs want, pinned to the loop under test. */
static struct weft_task *start(struct fixture *fixture, weft_fiber_fn *fn, void *arg)
{
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    struct weft_task *task;
    options.stack = WEFT_STACK_LARGE;
    CHECK_EQ(weft_fiber_new(fn, arg, &options, &coro), 0);
    CHECK_EQ(weft_loop_create_task(fixture->loop, coro, NULL, &task), 0);
    return task;
}

static int run(struct fixture *fixture, weft_fiber_fn *fn, void *arg)
{
    return run_task(fixture->loop, start(fixture, fn, arg));
}

static __attribute__((noinline)) uintptr_t frame_here(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

/* True if this runs on the stack of the fiber whose body called frame_here() at its beginning. */
static bool is_on_stack(uintptr_t body)
{
    uintptr_t here = frame_here();
    return here <= body + 1024 && here > body - (STACK_BYTES - EDGE_BYTES);
}

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    long left = WEFT_JOIN(fib);
    return left + right;
}

static int fib_of_15(void *arg, void **result_out)
{
    long result = 0;
    CHECK_EQ(WEFT_RUN(fib, 15, &result), 0);
    CHECK_EQ(result, 610);
    *result_out = arg;
    return 0;
}

/* ---- one job, and who forks it ------------------------------------------------------------------------------------------------------ */

struct scene {
    struct fixture *fixture;
    weft_job_fn *body;          /* of the job; it completes `begun` */
    struct weft_future *begun;  /* what the caller waits for before it joins */
    struct weft_future *gate;   /* what the job waits for then: the rule's */
    struct weft_future *second; /* and after that */
    struct weft_task *caller;
    uintptr_t caller_frame;
    struct weft_loop *ran_on;
    bool cancels_itself;                              /* the caller, before it joins */
    uint32_t is_begun, is_joining, is_told, is_ended; /* flags */
};

static void scene_open(struct scene *scene, struct fixture *fixture, weft_job_fn *body)
{
    *scene = (struct scene){.fixture = fixture, .body = body};
    scene->begun = future_new(fixture->loop);
    scene->gate = future_new(fixture->loop);
    scene->second = future_new(fixture->loop);
}

static void scene_close(struct scene *scene)
{
    weft_future_unref(scene->begun);
    weft_future_unref(scene->gate);
    weft_future_unref(scene->second);
}

static int job_body(void *arg)
{
    struct scene *scene = arg;
    scene->ran_on = weft_get_running_loop();
    CHECK_EQ(weft_atomic_exchange_relaxed(&scene->is_begun, 1), 0);
    int status = scene->body(scene);
    flag_set(&scene->is_ended);
    return status;
}

/* Give what the join gave, -ECANCELED too: a body that is to be told does that itself. */
static int fork_and_join(struct scene *scene)
{
    struct weft_fork fork;
    scene->caller = current_task();
    scene->caller_frame = frame_here();
    CHECK_EQ(weft_context_var_set(&variable, scene, NULL), 0);
    CHECK_EQ(weft_fork(&fork, job_body, scene), 0);
    CHECK_EQ(weft_await(scene->begun, NULL), 0);
    if (scene->cancels_itself)
        CHECK(weft_task_cancel(scene->caller, NULL));
    flag_set(&scene->is_joining);
    int status = weft_join(&fork);
    CHECK(flag_is_set(&scene->is_ended));
    CHECK(current_task() == scene->caller);
    CHECK(weft_get_running_loop() == scene->fixture->loop);
    return status;
}

static int caller(void *arg, void **result_out)
{
    (void)result_out;
    return fork_and_join(arg);
}

/* ---- ADD-9: who runs it --------------------------------------------------------------------------------------------------------------- */

/* On the caller's stack it is the caller; elsewhere a child. */
static int look_who_runs(void *arg)
{
    struct scene *scene = arg;
    struct weft_task *task = current_task();
    bool is_own = is_on_stack(scene->caller_frame);
    CHECK((task == scene->caller) == is_own);
    CHECK_EQ(weft_task_parent_id(task), is_own ? 0 : weft_atomic_load_relaxed(&scene->caller->id));
    CHECK(weft_context_var_get(&variable) == scene);
    return is_own;
}

static int call_until_unstolen(void *arg, void **result_out)
{
    struct scene *scene = arg;
    struct weft_fork fork;
    int is_own = 0;
    (void)result_out;
    scene->caller = current_task();
    scene->caller_frame = frame_here();
    CHECK_EQ(weft_context_var_set(&variable, scene, NULL), 0);
    for (int i = 0; i < ROUNDS || !is_own; i++) {
        CHECK_EQ(weft_fork(&fork, look_who_runs, scene), 0);
        is_own = weft_join(&fork);
        CHECK(is_own || has_thieves(scene->fixture));
        CHECK(current_task() == scene->caller);
    }
    return 0;
}

Rule(ADD_9, in_a_job_that_nobody_stole_the_current_task_is_the_caller)
{
    struct scene scene = {.fixture = fixture};
    CHECK_EQ(run(fixture, call_until_unstolen, &scene), 0);
}

static __attribute__((noinline)) int use_stack(void)
{
    volatile char room[STACK_BYTES / 4 * 3];
    for (size_t i = 0; i < sizeof(room); i += 4096)
        room[i] = (char)(i >> 12);
    return room[4096];
}

static int live_as_a_child(void *arg)
{
    struct scene *scene = arg;
    struct weft_task *task = current_task();
    CHECK_EQ(look_who_runs(scene), 0);
    CHECK(!is_in_all_tasks(NULL, task));
    CHECK_EQ(weft_loop_current_task_id(scene->ran_on), UINT64_MAX);
    CHECK_EQ(use_stack(), 1);
    CHECK_EQ(weft_future_set_result(scene->begun, NULL), 0);
    CHECK_EQ(weft_await(scene->gate, NULL), 0);
    CHECK(current_task() == task);
    CHECK_EQ(look_who_runs(scene), 0);
    CHECK(is_in_all_tasks(NULL, task));
    CHECK_EQ(weft_loop_current_task_id(weft_get_running_loop()), weft_atomic_load_relaxed(&task->id));
    return 0;
}

Rule(ADD_9, a_stolen_job_is_a_child_of_the_caller_and_registered_once_it_blocks)
{
    struct scene scene;
    scene_open(&scene, fixture, live_as_a_child);
    struct weft_task *task = start(fixture, caller, &scene);
    run_until(loop, flag_is_set, &scene.is_joining);
    run_once(loop);
    CHECK(!weft_future_done(&task->future));
    CHECK_EQ(weft_future_set_result(scene.gate, NULL), 0);
    CHECK_EQ(run_task(loop, task), 0);
    scene_close(&scene);
}

/* ---- ADD-9: the join ------------------------------------------------------------------------------------------------------------------ */

static int be_told_and_stay(void *arg)
{
    struct scene *scene = arg;
    CHECK_EQ(weft_future_set_result(scene->begun, NULL), 0);
    int status = weft_await(scene->gate, NULL);
    flag_set(&scene->is_told);
    CHECK_EQ(weft_await(scene->second, NULL), 0); /* told once */
    return status;
}

static int join_and_be_told(void *arg, void **result_out)
{
    (void)result_out;
    CHECK_EQ(fork_and_join(arg), -ECANCELED);
    CHECK_EQ(weft_task_cancelling(current_task()), 1);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK_EQ(weft_yield(), 0);
    return 0;
}

static void play_cancel(struct fixture *fixture, bool cancels_itself)
{
    struct scene scene;
    struct weft_loop *loop = fixture->loop;
    scene_open(&scene, fixture, be_told_and_stay);
    scene.cancels_itself = cancels_itself;
    struct weft_task *task = start(fixture, join_and_be_told, &scene);
    run_until(loop, flag_is_set, &scene.is_joining);
    if (!cancels_itself)
        CHECK(weft_task_cancel(task, NULL));
    run_until(loop, flag_is_set, &scene.is_told);
    for (int i = 0; i < ROUNDS; i++)
        run_once(loop);
    CHECK(!weft_future_done(&task->future));
    CHECK_EQ(weft_future_set_result(scene.second, NULL), 0);
    CHECK_EQ(run_task(loop, task), 0);
    scene_close(&scene);
}

Rule(ADD_9, a_cancel_at_a_join_reaches_the_stolen_job_and_the_join_waits)
{
    play_cancel(fixture, false);
}

Rule(ADD_9, a_cancel_that_is_due_at_a_join_reaches_the_stolen_job_and_the_join_waits)
{
    play_cancel(fixture, true);
}

static int begin_and_end(void *arg)
{
    return weft_future_set_result(((struct scene *)arg)->begun, NULL);
}

/* A callback that keeps the home from its own jobs until a thief has begun this one. */
static int hold_home(void *arg)
{
    struct scene *scene = arg;
    await_others(scene->fixture, flag_is_set, &scene->is_begun);
    return 0;
}

Rule(ADD_9, a_pinned_caller_resumes_at_home)
{
    struct weft_loop *ran_on;
    do {
        struct scene scene;
        scene_open(&scene, fixture, begin_and_end);
        struct weft_task *task = start(fixture, caller, &scene);
        if (has_thieves(fixture))
            call_soon(loop, hold_home, &scene);
        CHECK_EQ(run_task(loop, task), 0); /* fork_and_join() looks where it is */
        ran_on = scene.ran_on;
        scene_close(&scene);
    } while (has_thieves(fixture) && ran_on == loop); /* it was before the callback */
}

/* ---- ADD-9: without a fiber ------------------------------------------------------------------------------------------------------------- */

static int never_run(void *unused)
{
    (void)unused;
    test_fail(__FILE__, __LINE__, "a job was run that could not be forked");
}

static int fork_in_vain(void *unused)
{
    struct weft_fork fork = {.fn = NULL};
    struct weft_job_stack *stack;
    long result = 7;
    (void)unused;
    CHECK_EQ(weft_fork(&fork, never_run, NULL), WEFT_ENOFIBER);
    CHECK_EQ(weft_join(&fork), WEFT_ENOFIBER);
    CHECK_EQ(weft_job_stack_here(WEFT_JOB_LAYOUT, &stack), WEFT_ENOFIBER);
    CHECK_EQ(WEFT_RUN(fib, 3, &result), WEFT_ENOFIBER);
    CHECK_EQ(result, 7);
    return note("refused");
}

static void fork_in_vain_outside(void *unused)
{
    fork_in_vain(unused);
}

static int fork_in_vain_step(struct weft_step *step, void *state, int status)
{
    (void)state;
    CHECK_EQ(status, 0);
    fork_in_vain(NULL);
    return weft_step_return(step, NULL);
}

static struct weft_task *start_step(struct weft_loop *loop, weft_step_fn *fn, void *arg)
{
    struct weft_coro *coro;
    struct weft_task *task;
    void **state;
    CHECK_EQ(weft_step_new(fn, NULL, sizeof(*state), &coro, (void **)&state), 0);
    *state = arg;
    CHECK_EQ(weft_loop_create_task(loop, coro, NULL, &task), 0);
    return task;
}

Rule(ADD_9, without_a_fiber_nothing_is_forked)
{
    call_soon(loop, fork_in_vain, NULL);
    run_once(loop);
    CHECK_EQ(run_task(loop, start_step(loop, fork_in_vain_step, NULL)), 0);
    in_other_thread(fork_in_vain_outside, NULL);
    CHECK_STR(notes(), "refused refused refused");
}

struct order {
    struct weft_loop *loop;
    struct weft_task *task;
    int value;
};

static int order_job(void *arg)
{
    struct order *order = arg;
    CHECK_EQ(weft_job_start(order->loop, fib_of_15, &order->value, &order->task), 0);
    return 0;
}

static void order_job_outside(void *arg)
{
    order_job(arg);
}

static int order_job_step(struct weft_step *step, void *state, int status)
{
    struct order *order = *(struct order **)state;
    WEFT_STEP_BEGIN(step, status);
    order_job(order);
    WEFT_STEP_AWAIT(step, &order->task->future, status);
    CHECK_EQ(status, 0);
    note("awaited");
    WEFT_STEP_END(step, NULL);
}

/* The task that was started is a future of what its body gave. */
static void collect(struct order *order)
{
    void *value = NULL;
    run_until_done(order->loop, &order->task->future);
    CHECK_EQ(weft_future_result(&order->task->future, &value), 0);
    CHECK(value == &order->value);
    weft_task_unref(order->task);
    order->task = NULL;
}

Rule(ADD_9, callbacks_step_tasks_and_threads_outside_start_a_job_and_get_a_future)
{
    struct order order = {.loop = loop};
    call_soon(loop, order_job, &order);
    run_once(loop);
    collect(&order);
    in_other_thread(order_job_outside, &order);
    collect(&order);
    CHECK_EQ(run_task(loop, start_step(loop, order_job_step, &order)), 0);
    CHECK_STR(notes(), "awaited");
    collect(&order);
}

/* ---- ADD-10: others run while a join waits, and elsewhere ------------------------------------------------------------------------------- */

static int begin_and_wait(void *arg)
{
    struct scene *scene = arg;
    CHECK(!is_on_stack(scene->caller_frame)); /* a descendant, but it was stolen */
    CHECK_EQ(weft_future_set_result(scene->begun, NULL), 0);
    return weft_await(scene->gate, NULL);
}

static int pass_by(void *arg)
{
    CHECK(!is_on_stack(((struct scene *)arg)->caller_frame));
    return note("by");
}

static int pass_by_step(struct weft_step *step, void *state, int status)
{
    CHECK_EQ(status, 0);
    pass_by(*(void **)state);
    return weft_step_return(step, NULL);
}

static int pass_by_fiber(void *arg, void **result_out)
{
    (void)result_out;
    pass_by(arg);
    CHECK_EQ(weft_yield(), 0);
    return pass_by(arg);
}

static int pass_by_anywhere(void *arg, void **result_out)
{
    CHECK(!is_on_stack(((struct scene *)arg)->caller_frame));
    CHECK_EQ(fib_of_15(NULL, result_out), 0);
    CHECK(!is_on_stack(((struct scene *)arg)->caller_frame));
    return 0;
}

Rule(ADD_10, while_a_join_waits_others_run_and_not_on_its_stack)
{
    struct scene scene;
    struct weft_task *stealable;
    scene_open(&scene, fixture, begin_and_wait);
    struct weft_task *task = start(fixture, caller, &scene);
    run_until(loop, flag_is_set, &scene.is_joining);
    call_soon(loop, pass_by, &scene);
    run_once(loop);
    CHECK_EQ(run_task(loop, start_step(loop, pass_by_step, &scene)), 0);
    CHECK_EQ(run(fixture, pass_by_fiber, &scene), 0);
    CHECK_EQ(weft_job_start(loop, pass_by_anywhere, &scene, &stealable), 0);
    CHECK_EQ(run_task(loop, stealable), 0);
    CHECK_STR(notes(), "by by by by");
    CHECK(!weft_future_done(&task->future));
    CHECK_EQ(weft_future_set_result(scene.gate, NULL), 0);
    CHECK_EQ(run_task(loop, task), 0);
    scene_close(&scene);
}

/* ---- ADD-10: many trees at once ----------------------------------------------------------------------------------------------------------- */

/* One fiber that joins. Its frame is told while it lives: a stack that is used again is no longer in the list. */
struct tree {
    struct tree *all;
    struct weft_task *task;
    uintptr_t frame; /* atomic; 0: none */
};

/* Run by a descendant of `own`, or with NULL by a stranger. */
static void look_where(const struct tree *all, const struct tree *own)
{
    for (int i = 0; i < CALLERS; i++) {
        uintptr_t frame = weft_atomic_load_relaxed(&all[i].frame);
        if (frame != 0 && is_on_stack(frame))
            CHECK(own == &all[i] && current_task() == own->task);
        else if (own == &all[i])
            CHECK(current_task() != own->task);
    }
}

struct node {
    struct tree *tree;
    int depth;
};

WEFT_JOB(int, grow, struct node, node)
{
    look_where(node.tree->all, node.tree);
    if (node.depth == 0) {
        CHECK_EQ(weft_yield(), 0);
        look_where(node.tree->all, node.tree);
        return 1;
    }
    struct node below = {node.tree, node.depth - 1};
    WEFT_FORK(grow, below);
    int right = WEFT_CALL(grow, below);
    int left = WEFT_JOIN(grow);
    look_where(node.tree->all, node.tree);
    return left + right;
}

static int grow_tree(void *arg, void **result_out)
{
    struct tree *tree = arg;
    int leaves = 0;
    (void)result_out;
    tree->task = current_task();
    weft_atomic_store_relaxed(&tree->frame, frame_here());
    CHECK_EQ(WEFT_RUN(grow, ((struct node){tree, DEPTH}), &leaves), 0);
    CHECK_EQ(leaves, 1 << DEPTH);
    weft_atomic_store_relaxed(&tree->frame, 0);
    return 0;
}

static int wander_among(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        look_where(arg, NULL);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

Rule(ADD_10, only_its_own_descendants_run_on_the_stack_of_who_joins)
{
    struct tree trees[CALLERS] = {{.frame = 0}};
    struct weft_task *callers[CALLERS], *wanderers[WANDERERS];
    for (int i = 0; i < CALLERS; i++) {
        trees[i].all = trees;
        if (i % 2 == 0)
            callers[i] = start(fixture, grow_tree, &trees[i]);
        else
            CHECK_EQ(weft_job_start(loop, grow_tree, &trees[i], &callers[i]), 0);
    }
    for (int i = 0; i < WANDERERS; i++)
        CHECK_EQ(weft_loop_spawn_fiber(loop, wander_among, trees, &wanderers[i]), 0);
    for (int i = 0; i < CALLERS; i++)
        CHECK_EQ(run_task(loop, callers[i]), 0);
    for (int i = 0; i < WANDERERS; i++)
        CHECK_EQ(run_task(loop, wanderers[i]), 0);
}

/* ---- ADD-10: errno ------------------------------------------------------------------------------------------------------------------------ */

static __attribute__((noinline)) void set_errno(int value)
{
    __asm__ __volatile__("" ::: "memory");
    errno = value;
}

static int errno_job(void *arg)
{
    int value = *(int *)arg;
    set_errno(value);
    CHECK_EQ(weft_errno(), value);
    CHECK_EQ(weft_yield(), 0);
    set_errno(value + 1);
    CHECK_EQ(weft_errno(), value + 1);
    return 0;
}

static int join_and_ask_errno(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        struct weft_fork fork;
        int value = 1000 + 10 * i;
        CHECK_EQ(weft_fork(&fork, errno_job, &value), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_join(&fork), 0);
        set_errno(i + 1);
        CHECK_EQ(weft_errno(), i + 1);
    }
    return 0;
}

Rule(ADD_10, weft_errno_is_that_of_the_thread_that_runs_the_fiber_now)
{
    struct weft_task *tasks[CALLERS];
    for (int i = 0; i < CALLERS; i++)
        CHECK_EQ(weft_job_start(loop, join_and_ask_errno, NULL, &tasks[i]), 0);
    for (int i = 0; i < CALLERS; i++)
        CHECK_EQ(run_task(loop, tasks[i]), 0);
}
