/*
 * Stealable tasks when things end: cancellations that meet a task on the move, timers and groups in its frame, and runtimes that are
 * destroyed over tasks that wait, are queued, or never began. What must hold is conservation: each body ends once, nothing is left.
 */
#include <errno.h>

#include "lib/loop/loop.h"
#include "lib/task/fiber.h"
#include "lib/task/task.h"
#include "tests/support/oom.h"
#include "tests/support/wait.h"
#include "tests/task/scene.h"
#include "weft/atomic.h"
#include "weft/group.h"
#include "weft/runtime.h"
#include "weft/step.h"

enum { LOOPS = 4, FIBERS = 32, ROUNDS = TEST_IS_SLOW ? 40 : 200, WAIT_MS = 10000 };

static struct weft_runtime *runtime;
static uint32_t begun_count, ended_count; /* of bodies; atomic */

static struct weft_loop *loop_at(uint32_t index)
{
    return weft_runtime_loop(runtime, index % LOOPS);
}

static void prepare(void)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = LOOPS;
    CHECK_EQ(weft_runtime_create(&options, &runtime), 0);
}

static void begin(void)
{
    prepare();
    CHECK_EQ(weft_runtime_start(runtime), 0);
}

static void end(void)
{
    CHECK_EQ(weft_runtime_shutdown(runtime, 10 * SECOND), 0);
    weft_runtime_destroy(runtime);
}

static struct weft_task *spawn(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_spawn_fiber(loop, fn, arg, &task), 0);
    return task;
}

static int join(struct weft_task *task)
{
    int status = weft_future_wait(&task->future, 10 * SECOND, NULL);
    weft_task_unref(task);
    return status;
}

static void hop(uint32_t index)
{
    struct fiber_visit visit;
    if (fiber_visit(&visit, loop_at(index)) == 0)
        fiber_visit_end(&visit);
}

/* Ask until it is so. A plain function pointer and word, for conditions of one counter. */
struct reached {
    uint32_t *count;
    uint32_t goal;
};

static bool has_reached(void *arg)
{
    const struct reached *reached = arg;
    return weft_atomic_load_acquire(reached->count) >= reached->goal; /* Pairs with the acq_rel in count_one() */
}

static void count_one(uint32_t *count)
{
    (void)weft_atomic_add_acq_rel(count, 1); /* Pairs with the acquire in has_reached() */
}

static void await_count(uint32_t *count, uint32_t goal)
{
    struct reached reached = {count, goal};
    CHECK(wait_until(has_reached, &reached, WAIT_MS));
}

/* ---- cancelling --------------------------------------------------------------------------------------------------------------------- */

/* Move until told to stop, which must be told once and not on the way. */
static int roam(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    count_one(&begun_count);
    int status = 0;
    for (uint32_t i = 0; status == 0; i++) {
        hop(i);
        status = weft_yield();
    }
    CHECK_EQ(status, -ECANCELED);
    hop(1);
    CHECK_EQ(weft_yield(), 0); /* told once */
    count_one(&ended_count);
    return status;
}

Test(spawn_end, cancels_what_is_on_the_move, .timeout = 30)
{
    begin();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct weft_task *task = spawn(loop_at(round), roam, NULL);
        await_count(&begun_count, round + 1);
        CHECK(weft_task_cancel(task, NULL));
        CHECK_EQ(join(task), -ECANCELED);
    }
    CHECK_EQ(weft_atomic_load_relaxed(&ended_count), ROUNDS);
    end();
}

struct told {
    struct weft_future *gate;
    uint32_t is_waiting, count;
};

/* Wait at the gate, also when told to stop; how often that was. */
static int count_tellings(void *arg, void **result_out)
{
    (void)result_out;
    struct told *told = arg;
    int status = 0;
    count_one(&told->is_waiting);
    do {
        hop(told->count);
        status = weft_await_flags(told->gate, WEFT_AWAIT_DETACH, NULL);
        told->count += status == -ECANCELED;
    } while (status == -ECANCELED);
    return status;
}

Test(spawn_end, tells_two_cancellations_as_one_or_two, .timeout = 30)
{
    begin();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct told told = {.gate = scene_future(loop_at(0))};
        struct weft_task *task = spawn(loop_at(round), count_tellings, &told);
        await_count(&told.is_waiting, 1);
        CHECK(weft_task_cancel(task, "one"));
        CHECK(weft_task_cancel(task, "two"));
        CHECK_EQ(weft_task_cancelling(task), 2);
        CHECK_EQ(weft_task_uncancel(task), 1);
        CHECK_EQ(weft_future_set_result(told.gate, NULL), 0);
        CHECK(weft_future_wait(&task->future, 10 * SECOND, NULL) >= -ECANCELED);
        CHECK(told.count <= 2);
        weft_task_unref(task);
        weft_future_unref(told.gate);
    }
    end();
}

/* Ask itself to stop, in various ways, with a future that another loop completes at that moment. */
static int stop_itself(void *arg, void **result_out)
{
    (void)result_out;
    struct weft_task *task = scene_task_here();
    count_one(&begun_count);
    CHECK(weft_task_cancel(task, "by itself"));
    CHECK_EQ(fiber_pause(), 0); /* not here */
    int status = weft_await(arg, NULL);
    if (status == 0) { /* it was done already, so the request is for the next wait */
        CHECK_EQ(weft_yield(), -ECANCELED);
        status = -ECANCELED;
    }
    CHECK_EQ(status, -ECANCELED);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_task_uncancel(task), 0);
    count_one(&ended_count);
    return 0;
}

Test(spawn_end, passes_a_request_on_to_a_future_that_others_complete, .timeout = 30)
{
    begin();
    for (uint32_t round = 0; round < 5 * ROUNDS; round++) {
        struct weft_future *future = scene_future(loop_at(round));
        struct weft_task *task = spawn(loop_at(round), stop_itself, future);
        await_count(&begun_count, round + 1);
        (void)weft_future_set_result(future, NULL);
        CHECK_EQ(join(task), 0);
        weft_future_unref(future);
    }
    CHECK_EQ(weft_atomic_load_relaxed(&ended_count), 5 * ROUNDS);
    end();
}

static int drop_request(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    struct weft_task *task = scene_task_here();
    CHECK(weft_task_cancel(task, NULL));
    hop(2);
    CHECK_EQ(weft_task_uncancel(task), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK(weft_task_cancel(task, NULL));
    CHECK_EQ(weft_yield(), -ECANCELED);
    task_rearm_cancel(task); /* it could not be told */
    CHECK_EQ(weft_task_cancelling(task), 1);
    hop(3);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK_EQ(weft_yield(), 0);
    return 0;
}

Test(spawn_end, drops_a_request_that_was_taken_back_and_rearms_one, .timeout = 20)
{
    begin();
    CHECK_EQ(join(spawn(loop_at(1), drop_request, NULL)), 0);
    end();
}

/* ---- timers and groups in a frame --------------------------------------------------------------------------------------------------- */

static int sleep_about(void *arg, void **result_out)
{
    (void)result_out;
    uint64_t seed = (uintptr_t)arg + 1;
    for (int i = 0; i < 20; i++) {
        uint32_t before = weft_get_running_loop()->index;
        int status = weft_sleep(1 + scene_random(&seed) % 200000);
        CHECK_EQ(weft_get_running_loop()->index, before); /* its timer was there */
        CHECK(task_held_on(scene_task_here()) == NULL);
        if (status < 0)
            return status; /* a timeout's, or a group's */
        hop(scene_random(&seed));
    }
    return 0;
}

static int wait_about(void *arg, void **result_out)
{
    (void)result_out;
    uint64_t seed = (uintptr_t)arg + 1;
    for (int i = 0; i < 20; i++) {
        struct weft_task *inner = spawn(weft_get_running_loop(), sleep_about, arg);
        int status = weft_wait_for(&inner->future, scene_random(&seed) % 2000000, NULL);
        CHECK(status == 0 || status == -ETIMEDOUT);
        CHECK(task_held_on(scene_task_here()) == NULL);
        weft_task_unref(inner);
    }
    return 0;
}

static int group_about(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < 10; i++) {
        struct weft_group group = WEFT_GROUP_INIT;
        CHECK_EQ(weft_group_enter(&group), 0);
        struct weft_loop *here = weft_get_running_loop();
        for (int k = 0; k < 3; k++)
            CHECK_EQ(weft_group_spawn_fiber(&group, sleep_about, arg, NULL), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_sleep(1000), 0);
        CHECK(weft_get_running_loop() == here);
        CHECK_EQ(weft_group_exit(&group, i % 2 == 0 ? 0 : -EIO), i % 2 == 0 ? 0 : WEFT_EGROUP);
        weft_group_fini(&group);
        CHECK(task_held_on(scene_task_here()) == NULL);
    }
    return 0;
}

static void run_many(weft_fiber_fn *fn)
{
    begin();
    struct weft_task *tasks[FIBERS];
    for (uint32_t i = 0; i < FIBERS; i++)
        tasks[i] = spawn(loop_at(i), fn, (void *)(uintptr_t)i);
    for (int i = 0; i < FIBERS; i++)
        CHECK_EQ(join(tasks[i]), 0);
    end();
}

Test(spawn_end, sleeps_on_the_loop_of_its_timer, .timeout = 60)
{
    run_many(sleep_about);
}

Test(spawn_end, times_out_in_whatever_place, .timeout = 60)
{
    run_many(wait_about);
}

Test(spawn_end, stays_where_its_group_is, .timeout = 60)
{
    run_many(group_about);
}

/* ---- the end of the runtime --------------------------------------------------------------------------------------------------------- */

static struct weft_future *gate;

static int wait_at_the_gate(void *arg, void **result_out)
{
    (void)result_out;
    count_one(&begun_count);
    hop((uint32_t)(uintptr_t)arg);
    int status = (uintptr_t)arg % 3 == 0   ? weft_await(gate, NULL)
                 : (uintptr_t)arg % 3 == 1 ? weft_sleep(1000 * SECOND)
                                           : weft_wait_for(gate, 1000 * SECOND, NULL);
    CHECK_EQ(status, WEFT_ECLOSED);
    count_one(&ended_count);
    return status;
}

Test(spawn_end, unwinds_what_waits_when_its_runtime_is_destroyed, .timeout = 20)
{
    begin();
    gate = scene_future(loop_at(0));
    for (uint32_t i = 0; i < FIBERS; i++)
        CHECK_EQ(weft_loop_spawn_fiber(loop_at(i), wait_at_the_gate, (void *)(uintptr_t)(i / LOOPS), NULL), 0);
    await_count(&begun_count, FIBERS);
    CHECK_EQ(weft_runtime_stop(runtime), 0);
    weft_runtime_destroy(runtime);
    CHECK_EQ(weft_atomic_load_relaxed(&ended_count), FIBERS);
    weft_future_unref(gate);
}

/* Yield, visit and hop until that is refused. */
static int go_on(void *arg, void **result_out)
{
    (void)result_out;
    count_one(&begun_count);
    int status = 0;
    for (uint32_t i = (uint32_t)(uintptr_t)arg; status == 0; i++) {
        struct fiber_visit visit;
        status = weft_yield();
        if (status == 0 && (status = fiber_visit(&visit, loop_at(i))) == 0) {
            status = weft_yield();
            if (i % 2 == 0)
                (void)fiber_pause();
            fiber_visit_end(&visit);
        }
    }
    CHECK(status == WEFT_ECLOSED || status == -ECANCELED);
    count_one(&ended_count);
    return status;
}

static void make_pinned_and_stealable(weft_fiber_fn *fn)
{
    for (uint32_t i = 0; i < FIBERS; i++) {
        struct weft_coro *coro;
        CHECK_EQ(weft_fiber_new(fn, (void *)(uintptr_t)i, NULL, &coro), 0);
        if (i % 3 == 0)
            CHECK_EQ(weft_loop_create_task_threadsafe(loop_at(i), coro, NULL, NULL), 0);
        else
            CHECK_EQ(weft_loop_spawn(loop_at(i), coro, NULL, NULL), 0);
    }
}

Test(spawn_end, unwinds_what_is_queued_when_its_runtime_is_destroyed, .timeout = 30)
{
    for (uint32_t round = 0; round < 20; round++) {
        begin();
        make_pinned_and_stealable(go_on);
        await_count(&begun_count, FIBERS * (round + 1));
        CHECK_EQ(weft_runtime_stop(runtime), 0);
        weft_runtime_destroy(runtime);
        CHECK_EQ(weft_atomic_load_relaxed(&ended_count), FIBERS * (round + 1));
    }
}

Test(spawn_end, ends_what_moves_when_its_runtime_shuts_down, .timeout = 30)
{
    begin();
    make_pinned_and_stealable(go_on);
    await_count(&begun_count, FIBERS);
    end();
    CHECK_EQ(weft_atomic_load_relaxed(&ended_count), FIBERS);
}

static uint32_t drop_count;

static int begin_and_end(struct weft_step *step, void *state, int status)
{
    (void)state, (void)status;
    count_one(&begun_count);
    return weft_step_return(step, NULL);
}

static void count_drop(void *state)
{
    (void)state;
    count_one(&drop_count);
}

static void spawn_steps(struct weft_loop *loop)
{
    struct weft_coro *coro;
    void *state;
    CHECK_EQ(weft_step_new(begin_and_end, count_drop, 8, &coro, &state), 0);
    CHECK_EQ(weft_loop_spawn(loop, coro, NULL, NULL), 0);
}

Test(spawn_end, brings_home_what_a_runtime_never_began, .timeout = 20)
{
    prepare();
    for (uint32_t i = 0; i < FIBERS; i++)
        spawn_steps(loop_at(i));
    weft_runtime_destroy(runtime);
    CHECK_EQ(weft_atomic_load_relaxed(&drop_count), FIBERS);
}

Test(spawn_end, drops_what_a_loop_alone_never_began, .timeout = 20)
{
    struct weft_loop *loop = scene_sim_loop();
    for (uint32_t i = 0; i < FIBERS; i++)
        spawn_steps(loop);
    scene_drop(loop);
    CHECK_EQ(weft_atomic_load_relaxed(&drop_count), FIBERS);
    CHECK_EQ(weft_atomic_load_relaxed(&begun_count), 0);
    CHECK_EQ(scene_reports(), (int)FIBERS); /* each was destroyed but pending */
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------------- */

static int nothing(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

Test(spawn_end, says_so_when_memory_runs_out, .timeout = 30)
{
    oom_install();
    prepare();
    CHECK_EQ(weft_loop_spawn_fiber(loop_at(0), nothing, NULL, NULL), 0);
    end();
    int64_t kept = oom_live(); /* the registry's own */
    for (uint64_t nth = 1;; nth++) {
        prepare();
        struct weft_task *task = NULL;
        oom_start(nth);
        int status = weft_loop_spawn_fiber(loop_at(0), nothing, NULL, &task);
        bool was_refused = oom_stop();
        CHECK_EQ(status, was_refused ? -ENOMEM : 0);
        CHECK((task == NULL) == was_refused);
        weft_task_unref(task);
        end();
        CHECK_EQ(oom_live(), kept);
        if (!was_refused)
            break;
    }
}

static struct weft_coro *nothing_coro(void)
{
    struct weft_coro *coro;
    CHECK_EQ(weft_fiber_new(nothing, NULL, NULL, &coro), 0);
    return coro;
}

static int run_first(void *arg)
{
    struct weft_work *work = task_first_work(arg);
    return work->run(work);
}

Test(spawn_end, makes_and_drops_tasks_of_jobs, .timeout = 20)
{
    begin();
    struct weft_task *child, *parent = spawn(loop_at(0), roam, NULL);
    CHECK_EQ(task_make_child(loop_at(1), nothing_coro(), NULL, parent, &child), 0);
    CHECK_EQ(weft_task_parent_id(child), parent->id);
    task_drop_unstarted(child);
    CHECK_EQ(task_make_child(loop_at(1), nothing_coro(), NULL, parent, &child), 0);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop_at(2), run_first, child, NULL, NULL), 0);
    CHECK_EQ(weft_future_wait(&child->future, 10 * SECOND, NULL), 0);
    CHECK_EQ(weft_task_ran_on(child), 2);
    weft_task_unref(child);
    CHECK(weft_task_cancel(parent, NULL));
    CHECK_EQ(join(parent), -ECANCELED);
    end();
}
