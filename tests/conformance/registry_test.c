/*
 * The rules of the contract: what those who bring tasks of their own may register, enter and leave.
 */
#include <pthread.h>

#include "tests/conformance/actor.h"
#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"
#include "weft/atomic.h"

/* A third party's task: a head, a table, and no coroutine. It lives where the test puts it. */
static int destroy_count;

static void own_destroy(struct weft_task *task)
{
    (void)task;
    destroy_count++;
}

static const struct weft_task_ops own_ops = {.size = sizeof(own_ops), .destroy = own_destroy};

static void own_init(struct weft_task *task, struct weft_loop *loop)
{
    *task = (struct weft_task){.id = 0};
    CHECK_EQ(weft_task_init(task, loop, &own_ops, NULL), 0);
}

/* End and drop a task of own_init(). */
static void own_end(struct weft_task *task)
{
    if (!weft_future_done(&task->future))
        CHECK_EQ(weft_task_finish(task, 0, NULL), 0);
    weft_task_unref(task);
}

/* What a rule of this file checks has to happen in a callback of the running loop. */
struct scene {
    struct weft_loop *loop, *other;
    struct weft_task first, second;
};

static void play(struct weft_loop *loop, weft_callback_fn *act)
{
    struct scene scene = {.loop = loop};
    own_init(&scene.first, loop);
    own_init(&scene.second, loop);
    call_soon(loop, act, &scene);
    run_once(loop);
    CHECK_STR(notes(), "played");
    own_end(&scene.first);
    own_end(&scene.second);
    CHECK_EQ(destroy_count, 2);
}

/* ---- enter, leave, swap ----------------------------------------------------------------------------------------------------------- */

static int act_enter(void *arg)
{
    struct scene *scene = arg;
    CHECK(current_task() == NULL);
    CHECK_EQ(weft_enter_task(scene->loop, &scene->first), 0);
    CHECK(current_task() == &scene->first);
    CHECK_EQ(weft_leave_task(scene->loop, &scene->first), 0);
    return note("played");
}

Rule(ENT_1, a_task_is_entered_when_none_is_current)
{
    play(loop, act_enter);
}

static int act_enter_twice(void *arg)
{
    struct scene *scene = arg;
    CHECK_EQ(weft_enter_task(scene->loop, &scene->first), 0);
    CHECK_EQ(weft_enter_task(scene->loop, &scene->second), WEFT_ETASKBUSY);
    CHECK(current_task() == &scene->first);
    CHECK_EQ(weft_enter_task(scene->loop, &scene->first), WEFT_ETASKBUSY);
    CHECK(current_task() == &scene->first);
    CHECK_EQ(weft_leave_task(scene->loop, &scene->first), 0);
    return note("played");
}

Rule(ENT_2, entering_while_any_task_is_current_is_refused)
{
    play(loop, act_enter_twice);
}

static int enter_second(void *arg)
{
    struct scene *scene = arg;
    CHECK_EQ(weft_enter_task(scene->loop, &scene->second), WEFT_ETASKBUSY);
    return note("played");
}

TaskRule(ENT_2, entering_from_inside_a_task_is_refused)
{
    struct scene scene = {.loop = loop};
    own_init(&scene.second, loop);
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, CALL(enter_second, &scene)));
    run_once(loop);
    CHECK_STR(notes(), "played");
    weft_task_unref(task);
    own_end(&scene.second);
}

static void check_refused(struct scene *scene)
{
    struct weft_task *previous = &scene->second;
    CHECK_EQ(weft_enter_task(scene->loop, &scene->first), WEFT_ENOTRUNNINGLOOP);
    CHECK_EQ(weft_leave_task(scene->loop, &scene->first), WEFT_ENOTRUNNINGLOOP);
    CHECK_EQ(weft_swap_current_task(scene->loop, &scene->first, &previous), WEFT_ENOTRUNNINGLOOP);
    CHECK(previous == &scene->second);
}

Rule(ENT_3, without_a_running_loop_nothing_is_entered)
{
    struct scene scene = {.loop = loop};
    own_init(&scene.first, loop);
    check_refused(&scene);
    own_end(&scene.first);
}

static int act_enter_on_other(void *arg)
{
    struct scene *scene = arg;
    check_refused(&(struct scene){.loop = scene->other, .first = {.id = 0}});
    CHECK(current_task() == NULL);
    return note("played");
}

Rule(ENT_3, another_loop_than_the_running_one_is_refused)
{
    struct scene scene = {.loop = loop, .other = loop_new(fixture)};
    call_soon(loop, act_enter_on_other, &scene);
    run_once(loop);
    CHECK_STR(notes(), "played");
    loop_drop(scene.other);
}

static void enter_elsewhere(void *arg)
{
    check_refused(arg);
}

static int act_enter_elsewhere(void *arg)
{
    in_other_thread(enter_elsewhere, arg);
    CHECK(current_task() == NULL);
    return note("played");
}

Rule(ENT_3, the_loop_of_another_thread_is_refused)
{
    play(loop, act_enter_elsewhere);
}

static int act_leave_other(void *arg)
{
    struct scene *scene = arg;
    CHECK_EQ(weft_enter_task(scene->loop, &scene->first), 0);
    CHECK_EQ(weft_leave_task(scene->loop, &scene->second), WEFT_ETASKMISMATCH);
    CHECK(current_task() == &scene->first);
    CHECK_EQ(weft_leave_task(scene->loop, &scene->first), 0);
    return note("played");
}

Rule(ENT_4, leaving_another_task_is_refused_and_changes_nothing)
{
    play(loop, act_leave_other);
}

static int act_leave_none(void *arg)
{
    struct scene *scene = arg;
    CHECK_EQ(weft_leave_task(scene->loop, &scene->first), WEFT_ETASKMISMATCH);
    CHECK(current_task() == NULL);
    return note("played");
}

Rule(ENT_5, leaving_when_none_is_entered_is_refused)
{
    play(loop, act_leave_none);
}

static int act_leave_twice(void *arg)
{
    struct scene *scene = arg;
    CHECK_EQ(weft_enter_task(scene->loop, &scene->first), 0);
    CHECK_EQ(weft_leave_task(scene->loop, &scene->first), 0);
    CHECK(current_task() == NULL);
    CHECK_EQ(weft_leave_task(scene->loop, &scene->first), WEFT_ETASKMISMATCH);
    CHECK_EQ(weft_enter_task(scene->loop, &scene->second), 0);
    CHECK_EQ(weft_leave_task(scene->loop, &scene->second), 0);
    return note("played");
}

Rule(ENT_6, leaving_empties_the_slot_once)
{
    play(loop, act_leave_twice);
}

static int act_swap(void *arg)
{
    struct scene *scene = arg;
    struct weft_task *previous = &scene->first;
    CHECK_EQ(weft_swap_current_task(scene->loop, NULL, &previous), 0);
    CHECK(previous == NULL);
    CHECK_EQ(weft_swap_current_task(scene->loop, &scene->first, &previous), 0);
    CHECK(previous == NULL);
    CHECK_EQ(weft_swap_current_task(scene->loop, &scene->second, &previous), 0);
    CHECK(previous == &scene->first);
    CHECK(current_task() == &scene->second);
    CHECK_EQ(weft_swap_current_task(scene->loop, NULL, &previous), 0);
    CHECK(previous == &scene->second);
    CHECK(current_task() == NULL);
    return note("played");
}

Rule(ENT_7, swap_returns_the_previous_task_and_none_for_none)
{
    play(loop, act_swap);
}

static int act_enter_guest(void *arg)
{
    struct scene *scene = arg;
    struct weft_task guest;
    own_init(&guest, scene->other);
    CHECK_EQ(weft_enter_task(scene->loop, &guest), 0);
    CHECK(current_task() == &guest);
    CHECK(weft_future_get_loop(&guest.future) == scene->other);
    CHECK(weft_get_running_loop() == scene->loop);
    CHECK_EQ(weft_leave_task(scene->loop, &guest), 0);
    own_end(&guest);
    return note("played");
}

Rule(ENT_8, enter_names_the_executing_loop_and_the_home_stays_an_attribute)
{
    struct scene scene = {.loop = loop, .other = loop_new(fixture)};
    call_soon(loop, act_enter_guest, &scene);
    run_once(loop);
    CHECK_STR(notes(), "played");
    loop_drop(scene.other);
}

static int enter_what_is_current_elsewhere(void *arg)
{
    struct scene *scene = arg;
    struct weft_task *previous;
    CHECK_EQ(weft_enter_task(scene->other, &scene->first), WEFT_ETASKBUSY);
    CHECK_EQ(weft_swap_current_task(scene->other, &scene->first, &previous), WEFT_ETASKBUSY);
    CHECK(current_task() == NULL);
    return note("played");
}

static void run_other_loop(void *arg)
{
    struct scene *scene = arg;
    run_once(scene->other);
}

static int act_enter_here_and_elsewhere(void *arg)
{
    struct scene *scene = arg;
    CHECK_EQ(weft_enter_task(scene->loop, &scene->first), 0);
    in_other_thread(run_other_loop, scene);
    CHECK_EQ(weft_leave_task(scene->loop, &scene->first), 0);
    return 0;
}

Rule(ENT_9, a_task_is_current_on_one_loop_at_a_time)
{
    struct scene scene = {.loop = loop, .other = loop_new(fixture)};
    own_init(&scene.first, loop);
    call_soon(scene.other, enter_what_is_current_elsewhere, &scene);
    call_soon(loop, act_enter_here_and_elsewhere, &scene);
    run_once(loop);
    CHECK_STR(notes(), "played");
    own_end(&scene.first);
    loop_drop(scene.other);
}

/* ---- the current task -------------------------------------------------------------------------------------------------------------- */

Rule(CUR_1, without_a_running_loop_there_is_no_answer)
{
    struct weft_task *task = (struct weft_task *)&task;
    CHECK_EQ(weft_current_task(&task), WEFT_ENOLOOP);
    CHECK(task == (struct weft_task *)&task);
}

static int note_no_task(void *unused)
{
    (void)unused;
    CHECK(current_task() == NULL);
    return note("none");
}

static int note_no_task_done(struct weft_future *future, void *unused)
{
    (void)future;
    return note_no_task(unused);
}

TaskRule(CUR_2, in_a_plain_callback_no_task_is_current)
{
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, YIELD()));
    CHECK_EQ(weft_future_add_done_callback(&task->future, note_no_task_done, NULL, NULL), 0);
    call_soon(loop, note_no_task, NULL);
    CHECK_EQ(weft_loop_call_later(loop, 0, note_no_task, NULL, NULL), 0);
    run_once(loop);
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "none none none");
    weft_task_unref(task);
}

static int check_current(void *task_slot)
{
    CHECK(current_task() == *(struct weft_task **)task_slot);
    return note("current");
}

TaskRule(CUR_2, in_each_of_its_steps_a_task_is_current)
{
    struct weft_task *task;
    task = actor_start(fixture, ACTOR(fixture, CALL(check_current, &task), YIELD(), CALL(check_current, &task)));
    run_once(loop);
    CHECK_EQ(weft_current_task(&(struct weft_task *){NULL}), WEFT_ENOLOOP);
    run_once(loop);
    CHECK_STR(notes(), "current current");
    weft_task_unref(task);
}

struct observed {
    struct weft_loop *loop;
    uint64_t id;
};

static void observe(void *arg)
{
    struct observed *observed = arg;
    observed->id = weft_loop_current_task_id(observed->loop);
}

static int observe_from_elsewhere(void *observed)
{
    in_other_thread(observe, observed);
    return 0;
}

TaskRule(CUR_3, another_thread_reads_whom_a_loop_executes)
{
    struct observed inside = {.loop = loop}, outside = {.loop = loop, .id = 42};
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, CALL(observe_from_elsewhere, &inside), YIELD()));
    call_soon(loop, observe_from_elsewhere, &outside);
    run_once(loop);
    CHECK(inside.id != 0 && inside.id != UINT64_MAX);
    CHECK_EQ(outside.id, 0);
    struct weft_task *found = weft_task_from_id(inside.id);
    CHECK(found == task);
    weft_task_unref(found);
    run_once(loop);
    CHECK(weft_task_from_id(inside.id) == NULL);
    weft_task_unref(task);
}

static int act_observe_unregistered(void *arg)
{
    struct scene *scene = arg;
    CHECK_EQ(weft_enter_task(scene->loop, &scene->first), 0);
    CHECK(weft_loop_current_task_id(scene->loop) == UINT64_MAX);
    CHECK_EQ(weft_leave_task(scene->loop, &scene->first), 0);
    CHECK_EQ(weft_loop_current_task_id(scene->loop), 0);
    return note("played");
}

Rule(CUR_3, a_task_that_is_not_registered_is_seen_as_one_without_id)
{
    play(loop, act_observe_unregistered);
}

/* ---- the registry ------------------------------------------------------------------------------------------------------------------ */

Rule(REG_1, registering_and_unregistering_are_idempotent)
{
    struct weft_task task;
    own_init(&task, loop);
    weft_unregister_task(&task);
    CHECK_EQ(task_count(loop), 0);
    CHECK_EQ(weft_register_task(&task), 0);
    CHECK_EQ(weft_register_task(&task), 0);
    CHECK_EQ(task_count(loop), 1);
    CHECK(is_in_all_tasks(loop, &task));
    weft_unregister_task(&task);
    CHECK_EQ(task_count(loop), 0);
    weft_unregister_task(&task);
    CHECK_EQ(weft_register_task(&task), 0);
    CHECK_EQ(task_count(loop), 1);
    own_end(&task);
    CHECK_EQ(task_count(loop), 0);
    CHECK_EQ(destroy_count, 1);
}

TaskRule(REG_2, all_tasks_tells_those_of_the_loop_that_are_not_done)
{
    struct weft_loop *other = loop_new(fixture);
    struct weft_task own;
    own_init(&own, loop);
    CHECK_EQ(weft_register_task(&own), 0);
    struct weft_task *here = actor_start(fixture, ACTOR(fixture, YIELD()));
    struct weft_task *there = actor_start_on(fixture, other, ACTOR(fixture, YIELD()), 0);
    CHECK_EQ(task_count(loop), 2);
    CHECK(is_in_all_tasks(loop, here) && is_in_all_tasks(loop, &own) && !is_in_all_tasks(loop, there));
    CHECK_EQ(task_count(other), 1);
    CHECK_EQ(task_count(NULL), 3);
    run_once(loop);
    CHECK_EQ(task_count(loop), 2);
    run_once(loop);
    CHECK_EQ(task_count(loop), 1);
    run_once(other);
    run_once(other);
    CHECK_EQ(task_count(NULL), 1);
    own_end(&own);
    weft_task_unref(here);
    weft_task_unref(there);
    loop_drop(other);
}

Rule(REG_3, a_task_that_is_done_is_absent_even_if_it_is_registered)
{
    struct weft_task finished, cancelled;
    own_init(&finished, loop);
    own_init(&cancelled, loop);
    CHECK_EQ(weft_task_finish(&finished, 0, NULL), 0);
    CHECK(weft_task_cancel(&cancelled, NULL));
    CHECK_EQ(weft_register_task(&finished), 0);
    CHECK_EQ(weft_register_task(&cancelled), 0);
    CHECK_EQ(task_count(NULL), 0);
    weft_unregister_task(&finished);
    weft_unregister_task(&cancelled);
    own_end(&finished);
    own_end(&cancelled);
    CHECK_EQ(destroy_count, 2);
}

static void register_elsewhere(void *task)
{
    CHECK_EQ(weft_register_task(task), 0);
}

static void unregister_elsewhere(void *task)
{
    weft_unregister_task(task);
}

Rule(REG_4, any_thread_registers_and_unregisters)
{
    struct weft_task task;
    own_init(&task, loop);
    in_other_thread(register_elsewhere, &task);
    CHECK(is_in_all_tasks(loop, &task));
    in_other_thread(unregister_elsewhere, &task);
    CHECK_EQ(task_count(loop), 0);
    CHECK_EQ(weft_register_task(&task), 0);
    in_other_thread(unregister_elsewhere, &task);
    CHECK_EQ(task_count(loop), 0);
    own_end(&task);
}

struct eager {
    struct fixture *fixture;
    struct actor *ending, *blocking;
    struct weft_task *ended, *blocked;
};

static void check_from_elsewhere(void *arg)
{
    struct eager *eager = arg;
    CHECK(is_in_all_tasks(NULL, eager->blocked));
    CHECK(is_in_all_tasks(eager->fixture->loop, eager->blocked));
    CHECK(!is_in_all_tasks(NULL, eager->ended));
}

static int start_eagerly(void *arg)
{
    struct eager *eager = arg;
    struct weft_loop *loop = eager->fixture->loop;
    eager->ended = actor_start_on(eager->fixture, loop, eager->ending, WEFT_TASK_EAGER_START);
    CHECK_EQ(task_count(loop), 0);
    eager->blocked = actor_start_on(eager->fixture, loop, eager->blocking, WEFT_TASK_EAGER_START);
    CHECK_EQ(task_count(loop), 1);
    in_other_thread(check_from_elsewhere, eager);
    return 0;
}

static void play_eager(struct fixture *fixture, struct weft_loop *loop)
{
    struct eager eager = {.fixture = fixture, .ending = ACTOR(fixture, SAY("ended")), .blocking = ACTOR(fixture, YIELD(), SAY("on"))};
    call_soon(loop, start_eagerly, &eager);
    run_once(loop);
    CHECK_STR(notes(), "ended");
    run_once(loop);
    CHECK_STR(notes(), "on");
    CHECK_EQ(task_count(NULL), 0);
    weft_task_unref(eager.ended);
    weft_task_unref(eager.blocked);
}

TaskRule(REG_5, an_eager_task_is_registered_only_if_it_blocks)
{
    play_eager(fixture, loop);
}

TaskRule(REG_6, another_thread_sees_an_eager_task_that_blocked)
{
    play_eager(fixture, loop);
}

/* ---- REG-7: walking while others come and go ----------------------------------------------------------------------------------------- */

enum { STAYING = 300, COMING = 40, ROUNDS = 200 };

struct crowd {
    struct weft_task staying[STAYING];
    struct weft_task coming[COMING];
    struct weft_loop *loop;
    uint32_t is_over;
};

static void *come_and_go(void *arg)
{
    struct crowd *crowd = arg;
    while (!weft_atomic_load_relaxed(&crowd->is_over)) {
        for (int i = 0; i < COMING; i++)
            CHECK_EQ(weft_register_task(&crowd->coming[i]), 0);
        for (int i = 0; i < COMING; i++)
            weft_unregister_task(&crowd->coming[i]);
    }
    return NULL;
}

static void check_walk(struct crowd *crowd)
{
    uint8_t is_seen[STAYING] = {0};
    struct weft_task **tasks;
    size_t count, staying = 0;
    CHECK_EQ(weft_all_tasks(crowd->loop, &tasks, &count), 0);
    for (size_t i = 0; i < count; i++) {
        if (tasks[i] >= crowd->staying && tasks[i] < crowd->staying + STAYING) {
            CHECK(!is_seen[tasks[i] - crowd->staying]);
            is_seen[tasks[i] - crowd->staying] = 1;
            staying++;
        }
    }
    CHECK_EQ(staying, STAYING);
    weft_all_tasks_free(tasks, count);
}

static void crowd_init(struct crowd *crowd, struct weft_loop *loop)
{
    crowd->loop = loop;
    for (int i = 0; i < STAYING; i++) {
        own_init(&crowd->staying[i], loop);
        CHECK_EQ(weft_register_task(&crowd->staying[i]), 0);
    }
    for (int i = 0; i < COMING; i++)
        own_init(&crowd->coming[i], loop);
}

static void crowd_end(struct crowd *crowd)
{
    for (int i = 0; i < STAYING; i++)
        own_end(&crowd->staying[i]);
    for (int i = 0; i < COMING; i++)
        own_end(&crowd->coming[i]);
}

Rule(REG_7, a_walk_tells_each_task_that_stays_exactly_once)
{
    static struct crowd crowd;
    pthread_t thread;
    crowd_init(&crowd, loop);
    CHECK_EQ(pthread_create(&thread, NULL, come_and_go, &crowd), 0);
    for (int i = 0; i < ROUNDS; i++)
        check_walk(&crowd);
    weft_atomic_store_relaxed(&crowd.is_over, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    crowd_end(&crowd);
    CHECK_EQ(destroy_count, STAYING + COMING);
}
