/*
 * Stealable tasks: that they run, where they run, and what they may rely on there. Migration is made to happen, not hoped for: a fiber
 * goes to a loop of its choice by a visit that it ends there, and a loop that is busy for as long as a task has not run is robbed of it.
 */
#include <errno.h>
#include <pthread.h>

#include "lib/loop/loop.h"
#include "lib/task/fiber.h"
#include "lib/task/task.h"
#include "tests/support/oom.h"
#include "tests/support/wait.h"
#include "tests/task/scene.h"
#include "weft/atomic.h"
#include "weft/context.h"
#include "weft/group.h"
#include "weft/runtime.h"
#include "weft/step.h"

enum { LOOPS = 4, FIBERS = 16, HOPS = 200, WAIT_MS = 10000 };

static struct weft_runtime *runtime;

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

/* Wait in this thread for a task's end, and let go of it. */
static int join(struct weft_task *task)
{
    int status = weft_future_wait(&task->future, 10 * SECOND, NULL);
    weft_task_unref(task);
    return status;
}

static uint32_t index_here(void)
{
    return weft_get_running_loop()->index;
}

/* Go on on the loop with that index. */
static void hop(uint32_t index)
{
    struct fiber_visit visit;
    CHECK_EQ(fiber_visit(&visit, loop_at(index)), 0);
    fiber_visit_end(&visit);
    CHECK_EQ(index_here(), index % LOOPS);
}

static bool is_set(void *word)
{
    return weft_atomic_load_acquire((uint32_t *)word) != 0; /* Pairs with the release in set() */
}

static void set(uint32_t *word)
{
    weft_atomic_store_release(word, 1); /* Pairs with the acquire in is_set() */
}

static void await_word(uint32_t *word)
{
    CHECK(wait_until(is_set, word, WAIT_MS));
}

/* ---- that they run ---------------------------------------------------------------------------------------------------------------- */

static int answer(void *arg, void **result_out)
{
    *result_out = arg;
    return 0;
}

Test(spawn, runs_what_a_plain_thread_spawns, .timeout = 20)
{
    begin();
    int word;
    void *value = NULL;
    struct weft_task *task = spawn(loop_at(2), answer, &word);
    CHECK_EQ(weft_future_wait(&task->future, 10 * SECOND, &value), 0);
    CHECK(value == &word);
    weft_task_unref(task);
    CHECK_EQ(weft_loop_spawn_fiber(loop_at(1), answer, NULL, NULL), 0);
    end();
}

Test(spawn, refuses_a_closed_loop_and_nothing, .timeout = 20)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_coro *coro;
    CHECK_EQ(weft_loop_spawn(NULL, NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_loop_spawn(loop, NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_fiber_new(answer, NULL, NULL, &coro), 0);
    CHECK_EQ(weft_loop_spawn(NULL, coro, NULL, NULL), -EINVAL); /* and has closed it */
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK_EQ(weft_loop_spawn_fiber(loop, answer, NULL, NULL), WEFT_ECLOSED);
    scene_drop(loop);
}

static int note_arg(void *arg, void **result_out)
{
    (void)result_out;
    note(arg);
    CHECK_EQ(weft_yield(), 0);
    note(arg);
    return 0;
}

Test(spawn, is_pinned_on_a_loop_alone, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *first = spawn(loop, note_arg, "a");
    struct weft_task *second = scene_spawn(loop, note_arg, "b");
    struct weft_task *third = spawn(loop, note_arg, "c");
    scene_turn(loop);
    scene_turn(loop);
    CHECK_STR(notes(), "a b c a b c");
    weft_task_unref(first);
    weft_task_unref(second);
    weft_task_unref(third);
    scene_drop(loop);
}

static int begin_eagerly(void *arg, void **result_out)
{
    (void)result_out;
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    options.flags = WEFT_TASK_EAGER_START;
    struct weft_coro *coro;
    struct weft_task *task;
    CHECK_EQ(weft_fiber_new(arg, "eager", NULL, &coro), 0);
    CHECK_EQ(weft_loop_spawn(weft_get_running_loop(), coro, &options, &task), 0);
    note("back");
    CHECK_EQ(weft_await(&task->future, NULL), 0);
    weft_task_unref(task);
    return 0;
}

Test(spawn, starts_eagerly_when_asked, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run(loop, begin_eagerly, note_arg, NULL), 0);
    CHECK_STR(notes(), "eager back eager");
    scene_drop(loop);
}

/* ---- where they run --------------------------------------------------------------------------------------------------------------- */

static int tell_where(void *arg, void **result_out)
{
    (void)result_out;
    *(uint32_t *)arg = index_here() + 1;
    return 0;
}

/* Spawn one here and be busy until it has run. */
static int be_busy(void *arg, void **result_out)
{
    uint32_t where = 0, own = index_here();
    (void)arg, (void)result_out;
    struct weft_task *task = spawn(weft_get_running_loop(), tell_where, &where);
    while (!weft_future_done(&task->future))
        weft_atomic_pause();
    CHECK(where != 0 && where != own + 1);
    CHECK_EQ(weft_task_ran_on(task), where - 1);
    CHECK_EQ(weft_task_parent_id(task), 0);
    weft_task_unref(task);
    return 0;
}

Test(spawn, lets_others_rob_a_busy_loop, .timeout = 20)
{
    begin();
    for (int i = 0; i < 50; i++) {
        struct weft_task *task;
        CHECK_EQ(weft_loop_spawn_fiber(loop_at((uint32_t)i), be_busy, NULL, &task), 0);
        CHECK_EQ(join(task), 0);
    }
    end();
}

static int yield_often(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = 0;
    for (int i = 0; i < 2000 && status == 0; i++)
        status = weft_yield();
    return status;
}

Test(spawn, wakes_nobody_for_the_only_work_of_a_loop, .timeout = 20)
{
    struct weft_loop_counters before, after;
    begin();
    CHECK_EQ(weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &before), 0);
    CHECK_EQ(join(spawn(loop_at(0), yield_often, NULL)), 0);
    CHECK_EQ(weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &after), 0);
    CHECK(after.summons - before.summons < 200); /* for its spawn, and where a loop had a work of its own at the moment of a yield */
    end();
}

static int end_at_once(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

static int spawn_and_await(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = 0;
    for (int i = 0; i < 1000 && status == 0; i++) {
        struct weft_task *task = spawn(weft_get_running_loop(), end_at_once, NULL);
        status = weft_await(&task->future, NULL);
        weft_task_unref(task);
    }
    return status;
}

Test(spawn, wakes_nobody_for_what_its_loop_runs_next, .timeout = 20)
{
    struct weft_loop_counters before, after;
    struct weft_coro *coro;
    struct weft_task *task;
    begin();
    CHECK_EQ(weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &before), 0);
    CHECK_EQ(weft_fiber_new(spawn_and_await, NULL, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop_at(1), coro, NULL, &task), 0);
    CHECK_EQ(join(task), 0);
    CHECK_EQ(weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &after), 0);
    CHECK(after.summons - before.summons < 100);
    end();
}

static int stay_home(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < HOPS; i++) {
        CHECK_EQ(index_here(), *(uint32_t *)arg);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

Test(spawn, leaves_pinned_tasks_at_home, .timeout = 20)
{
    begin();
    struct weft_task *tasks[FIBERS];
    uint32_t homes[FIBERS];
    for (uint32_t i = 0; i < FIBERS; i++) {
        struct weft_coro *coro;
        homes[i] = i % LOOPS;
        CHECK_EQ(weft_fiber_new(stay_home, &homes[i], NULL, &coro), 0);
        CHECK_EQ(weft_loop_create_task_threadsafe(loop_at(i), coro, NULL, &tasks[i]), 0);
    }
    for (int i = 0; i < FIBERS; i++)
        CHECK_EQ(join(tasks[i]), 0);
    end();
}

/* ---- what they may rely on -------------------------------------------------------------------------------------------------------- */

static int count_up(void *arg, void **result_out)
{
    (void)result_out;
    int *count = arg; /* plain: only the program's order protects it */
    for (int i = 0; i < HOPS; i++) {
        CHECK_EQ(*count, 2 * i);
        ++*count;
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(*count, 2 * i + 1);
        ++*count;
        if (i % 8 == 0)
            hop(index_here() + 1);
    }
    return 0;
}

Test(spawn, keeps_each_tasks_own_order, .timeout = 30)
{
    begin();
    struct weft_task *tasks[FIBERS];
    int counts[FIBERS] = {0};
    for (uint32_t i = 0; i < FIBERS; i++)
        tasks[i] = spawn(loop_at(i), count_up, &counts[i]);
    for (int i = 0; i < FIBERS; i++)
        CHECK_EQ(join(tasks[i]), 0);
    for (int i = 0; i < FIBERS; i++)
        CHECK_EQ(counts[i], 2 * HOPS);
    end();
}

static const struct weft_context_var where_var = WEFT_CONTEXT_VAR("where", NULL);
static uintptr_t threads[LOOPS]; /* which thread each loop was seen in; atomic */

static __attribute__((noinline)) void set_errno(int value)
{
    errno = value;
}

static __attribute__((noinline)) uintptr_t thread_here(void)
{
    __asm__ __volatile__("" ::: "memory");
    return (uintptr_t)pthread_self();
}

/* Everything that belongs to the loop which runs here is that loop's, and nothing of this task is current elsewhere. */
static void check_place(struct weft_task *task, uint32_t index)
{
    struct weft_task *current;
    CHECK_EQ(index_here(), index);
    CHECK_EQ(weft_current_task(&current), 0);
    CHECK(current == task);
    CHECK_EQ(weft_task_ran_on(task), index);
    CHECK_EQ(weft_loop_current_task_id(loop_at(index)), weft_atomic_load_relaxed(&task->id));
    for (uint32_t i = 1; i < LOOPS; i++)
        CHECK(weft_loop_current_task_id(loop_at(index + i)) != weft_atomic_load_relaxed(&task->id));
    uintptr_t expected = 0, thread = thread_here();
    if (!weft_atomic_cas_relaxed(&threads[index], &expected, thread))
        CHECK(expected == thread);
    CHECK(weft_context_var_get(&where_var) == task);
    set_errno((int)index + 1000);
    CHECK_EQ(weft_errno(), (int)index + 1000);
}

static int go_round(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    struct weft_task *task = scene_task_here();
    CHECK_EQ(weft_context_var_set(&where_var, task, NULL), 0);
    for (uint32_t i = 0; i < HOPS; i++) {
        hop(i);
        check_place(task, i % LOOPS);
    }
    return 0;
}

Test(spawn, finds_its_loop_task_context_and_errno_after_each_hop, .timeout = 30)
{
    begin();
    struct weft_task *tasks[LOOPS];
    for (uint32_t i = 0; i < LOOPS; i++)
        tasks[i] = spawn(loop_at(i), go_round, NULL);
    for (int i = 0; i < LOOPS; i++)
        CHECK_EQ(join(tasks[i]), 0);
    end();
}

static int visit_all(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    struct weft_task *task = scene_task_here();
    uint32_t home = index_here();
    for (uint32_t i = 0; i < HOPS; i++) {
        struct fiber_visit outer, inner;
        CHECK_EQ(fiber_visit(&outer, loop_at(i)), 0);
        CHECK_EQ(index_here(), i % LOOPS);
        CHECK_EQ(fiber_visit(&inner, loop_at(i + 1)), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(index_here(), (i + 1) % LOOPS);
        fiber_visit_end(&inner);
        CHECK_EQ(index_here(), i % LOOPS);
        CHECK(task_held_on(task) == loop_at(i));
        fiber_visit_end(&outer);
        CHECK(task_held_on(task) == NULL);
        CHECK_EQ(index_here(), task_is_stealable(task) ? i % LOOPS : home);
    }
    return 0;
}

Test(spawn, comes_back_from_each_visit, .timeout = 30)
{
    begin();
    struct weft_coro *coro;
    struct weft_task *tasks[2] = {spawn(loop_at(1), visit_all, NULL), NULL};
    CHECK_EQ(weft_fiber_new(visit_all, NULL, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop_at(2), coro, NULL, &tasks[1]), 0);
    CHECK_EQ(join(tasks[0]), 0);
    CHECK_EQ(join(tasks[1]), 0);
    end();
}

static int visit_a_stranger(void *arg, void **result_out)
{
    (void)result_out;
    struct fiber_visit visit;
    CHECK_EQ(fiber_visit(&visit, arg), WEFT_EWRONGTHREAD);
    return 0;
}

Test(spawn, visits_no_loop_of_another_house, .timeout = 20)
{
    begin();
    struct weft_loop *stranger = scene_epoll_loop();
    struct fiber_visit visit;
    CHECK_EQ(fiber_visit(&visit, stranger), WEFT_ENOFIBER);
    CHECK_EQ(join(spawn(loop_at(0), visit_a_stranger, stranger)), 0);
    CHECK_EQ(scene_run(stranger, visit_a_stranger, loop_at(0), NULL), 0);
    scene_drop(stranger);
    end();
}

/* ---- entering --------------------------------------------------------------------------------------------------------------------- */

static int swap_itself(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    struct weft_loop *here = weft_get_running_loop();
    struct weft_task *task = scene_task_here(), *previous;
    CHECK_EQ(weft_swap_current_task(here, NULL, &previous), 0);
    CHECK(previous == task);
    CHECK_EQ(weft_swap_current_task(here, task, NULL), 0);
    CHECK_EQ(weft_leave_task(here, task), 0);
    CHECK_EQ(weft_enter_task(here, task), 0);
    CHECK_EQ(weft_yield(), 0);
    return 0;
}

static int enter_each_way(void *arg)
{
    struct weft_task *task = arg;
    struct weft_loop *here = weft_get_running_loop();
    CHECK_EQ(weft_enter_task(here, task), WEFT_EFORBIDDEN);
    CHECK_EQ(weft_swap_current_task(here, task, NULL), WEFT_EFORBIDDEN);
    CHECK_EQ(weft_loop_current_task_id(here), 0);
    return 0;
}

static int await_it(void *arg, void **result_out)
{
    (void)result_out;
    return weft_await(arg, NULL);
}

Test(spawn, is_entered_by_nobody_else, .timeout = 20)
{
    begin();
    struct weft_future *gate = scene_future(loop_at(0));
    struct weft_task *task = spawn(loop_at(0), await_it, gate);
    for (uint32_t i = 0; i < LOOPS; i++) { /* its home too */
        CHECK_EQ(weft_loop_call_soon_threadsafe(loop_at(i), enter_each_way, task, NULL, NULL), 0);
        CHECK_EQ(join(spawn(loop_at(i), swap_itself, NULL)), 0);
    }
    CHECK_EQ(weft_runtime_stop(runtime), 0);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    CHECK_EQ(weft_future_set_result(gate, NULL), 0);
    CHECK_EQ(join(task), 0);
    weft_future_unref(gate);
    end();
}

struct visitor {
    struct weft_future *gate;
    uint32_t is_there;
};

static int visit_and_wait(void *arg, void **result_out)
{
    (void)result_out;
    struct visitor *visitor = arg;
    struct fiber_visit visit;
    CHECK_EQ(fiber_visit(&visit, loop_at(1)), 0);
    set(&visitor->is_there);
    int status = weft_await(visitor->gate, NULL);
    fiber_visit_end(&visit);
    return status;
}

Test(spawn, lets_nobody_enter_a_pinned_task_that_is_away, .timeout = 20)
{
    begin();
    struct visitor visitor = {.gate = scene_future(loop_at(0))};
    struct weft_coro *coro;
    struct weft_task *task;
    CHECK_EQ(weft_fiber_new(visit_and_wait, &visitor, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop_at(0), coro, NULL, &task), 0);
    await_word(&visitor.is_there);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop_at(0), enter_each_way, task, NULL, NULL), 0);
    CHECK_EQ(join(spawn(loop_at(0), swap_itself, NULL)), 0);
    CHECK_EQ(weft_runtime_stop(runtime), 0); /* the callback has run: posts are in order */
    CHECK_EQ(weft_runtime_start(runtime), 0);
    CHECK_EQ(weft_future_set_result(visitor.gate, NULL), 0);
    CHECK_EQ(join(task), 0);
    weft_future_unref(visitor.gate);
    end();
}
