/*
 * Passing on: tasks of one loop that yield go on as each other, without the loop between, and nobody but the clock can tell.
 *
 * Each test has several in one snapshot, of which the first that yields is the one that passes its turn on.
 */
#include <string.h>

#include "lib/task/coro_task.h"
#include "tests/task/scene.h"
#include "weft/context.h"
#include "weft/step.h"

static struct weft_future *awaited;
static struct weft_task *victim;

static int note_call(void *word)
{
    note(word);
    return 0;
}

/* Notes its word in each of three turns. */
static int note_three_times(void *arg, void **result_out)
{
    int status = 0;
    for (int i = 0; i < 3 && status >= 0; i++) {
        note(arg);
        status = weft_yield();
    }
    *result_out = arg;
    return status;
}

struct step_state {
    const char *word;
    int count;
};

/* The same as a step. */
static int step_three_times(struct weft_step *step, void *state, int status)
{
    struct step_state *self = state;
    if (status < 0)
        return status;
    if (self->count++ == 3)
        return weft_step_return(step, (void *)(uintptr_t)self->word);
    note(self->word);
    return weft_step_yield(step);
}

static struct weft_task *spawn_step(struct weft_loop *loop, const char *word)
{
    struct weft_task *task;
    struct weft_coro *coro;
    void *state;
    CHECK_EQ(weft_step_new(step_three_times, NULL, sizeof(struct step_state), &coro, &state), 0);
    *(struct step_state *)state = (struct step_state){.word = word};
    CHECK_EQ(weft_loop_create_task(loop, coro, NULL, &task), 0);
    return task;
}

static void turn_notes(struct weft_loop *loop, const char *expected)
{
    scene_turn(loop);
    CHECK_STR(notes(), expected);
}

Test(pass, keeps_the_order_of_the_queue, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *tasks[] = {scene_spawn(loop, note_three_times, "a"), scene_spawn(loop, note_three_times, "b"), NULL};
    CHECK_EQ(weft_loop_call_soon(loop, note_call, "call", NULL, NULL), 0);
    tasks[2] = scene_spawn(loop, note_three_times, "c");
    turn_notes(loop, "a b call c");
    turn_notes(loop, "a b c");
    CHECK_EQ(weft_loop_call_soon(loop, note_call, "call", NULL, NULL), 0);
    turn_notes(loop, "a b c call");
    turn_notes(loop, "");
    for (int i = 0; i < 3; i++) {
        CHECK(weft_future_done(&tasks[i]->future));
        weft_task_unref(tasks[i]);
    }
    scene_drop(loop);
}

Test(pass, keeps_the_order_of_steps_among_fibers, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    static char words[][8] = {"step1", "fiber1", "step2", "step3", "fiber2", "fiber3"};
    struct weft_task *tasks[6];
    for (int i = 0; i < 6; i++)
        tasks[i] = words[i][0] == 's' ? spawn_step(loop, words[i]) : scene_spawn(loop, note_three_times, words[i]);
    for (int i = 0; i < 3; i++)
        turn_notes(loop, "step1 fiber1 step2 step3 fiber2 fiber3");
    turn_notes(loop, "");
    for (int i = 0; i < 6; i++) {
        void *value = NULL;
        CHECK_EQ(weft_future_result(&tasks[i]->future, &value), 0);
        CHECK(value == words[i]);
        weft_task_unref(tasks[i]);
    }
    scene_drop(loop);
}

/* Notes when the loop goes into a fiber, and when it is back. */
static int noting_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    note("in");
    int how = fiber_ops.send(coro, status, suspend_out);
    note("out");
    return how;
}

Test(pass, goes_from_fiber_to_fiber_past_the_loop, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *tasks[] = {scene_spawn(loop, note_three_times, "a"), scene_spawn(loop, note_three_times, "b"),
                                 scene_spawn(loop, note_three_times, "c")};
    struct weft_coro_ops noting_ops = fiber_ops;
    noting_ops.send = noting_send;
    weft_task_get_coro(tasks[0])->ops = &noting_ops;
    turn_notes(loop, "in a out b c"); /* the others have no stack yet */
    turn_notes(loop, "in a b c out");
    turn_notes(loop, "in a b c out");
    turn_notes(loop, "in out");
    for (int i = 0; i < 3; i++) {
        CHECK(weft_future_done(&tasks[i]->future));
        weft_task_unref(tasks[i]);
    }
    scene_drop(loop);
}

Test(pass, delivers_a_cancellation_to_the_step_that_is_next, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *tasks[] = {spawn_step(loop, "a"), spawn_step(loop, "b"), spawn_step(loop, "c")};
    turn_notes(loop, "a b c");
    CHECK(weft_task_cancel(tasks[1], NULL));
    turn_notes(loop, "a c");
    CHECK(weft_future_cancelled(&tasks[1]->future));
    turn_notes(loop, "a c");
    scene_turn(loop);
    for (int i = 0; i < 3; i++)
        weft_task_unref(tasks[i]);
    scene_drop(loop);
}

Test(pass, ends_each_task_with_its_own_value, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    static char first[] = "first", second[] = "second";
    struct weft_task *tasks[] = {scene_spawn(loop, note_three_times, first), scene_spawn(loop, note_three_times, second)};
    for (int i = 0; i < 4; i++)
        scene_turn(loop);
    void *values[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_future_result(&tasks[i]->future, &values[i]), 0);
        weft_task_unref(tasks[i]);
    }
    CHECK(values[0] == first && values[1] == second);
    (void)notes();
    scene_drop(loop);
}

static const struct weft_context_var variable = {.size = sizeof(variable), .name = "whose"};

/* After each turn the task and the context are those that it had. */
static int keep_what_is_current(void *arg, void **result_out)
{
    struct weft_task *self = scene_task_here();
    (void)result_out;
    CHECK_EQ(weft_context_var_set(&variable, arg, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_yield(), 0);
        CHECK(scene_task_here() == self);
        CHECK(weft_context_var_get(&variable) == arg);
    }
    return 0;
}

Test(pass, changes_the_current_task_and_context, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    int values[3];
    struct weft_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = scene_spawn(loop, keep_what_is_current, &values[i]);
    for (int i = 0; i < 5; i++)
        scene_turn(loop);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_future_result(&tasks[i]->future, NULL), 0);
        weft_task_unref(tasks[i]);
    }
    CHECK_EQ(weft_loop_current_task_id(loop), 0);
    CHECK(weft_context_var_get(&variable) == NULL);
    scene_drop(loop);
}

static int cancel_and_yield(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = weft_yield();
    CHECK(weft_task_cancel(victim, NULL));
    note("cancel");
    return status >= 0 ? weft_yield() : status;
}

Test(pass, delivers_a_cancellation_to_who_is_next, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *canceller = scene_spawn(loop, cancel_and_yield, NULL);
    victim = scene_spawn(loop, note_three_times, "victim");
    scene_turn(loop);
    turn_notes(loop, "victim cancel");
    CHECK(weft_future_cancelled(&victim->future));
    scene_turn(loop);
    CHECK(weft_future_done(&canceller->future) && !weft_future_cancelled(&canceller->future));
    weft_task_unref(victim);
    weft_task_unref(canceller);
    scene_drop(loop);
}

static int await_after_a_turn(void *arg, void **result_out)
{
    (void)arg;
    int status = weft_yield();
    note("waits");
    status = status >= 0 ? weft_await(awaited, result_out) : status;
    note("goes on");
    return status;
}

Test(pass, lets_who_was_passed_to_wait, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    awaited = scene_future(loop);
    struct weft_task *first = scene_spawn(loop, note_three_times, "a"), *second = scene_spawn(loop, await_after_a_turn, NULL);
    turn_notes(loop, "a");
    turn_notes(loop, "a waits");
    turn_notes(loop, "a");
    CHECK_EQ(weft_future_set_result(awaited, &awaited), 0);
    turn_notes(loop, "goes on");
    void *value = NULL;
    CHECK_EQ(weft_future_result(&second->future, &value), 0);
    CHECK(value == &awaited);
    CHECK(weft_future_done(&first->future));
    weft_task_unref(first);
    weft_task_unref(second);
    weft_future_unref(awaited);
    scene_drop(loop);
}

static int start_eagerly_now(void *arg)
{
    note("begins");
    *(struct weft_task **)arg = scene_spawn_eagerly(weft_get_running_loop(), note_three_times, "eager");
    note("ends");
    return 0;
}

static int start_eagerly(void *arg, void **result_out)
{
    (void)result_out;
    CHECK_EQ(weft_yield(), 0);
    return start_eagerly_now(arg);
}

Test(pass, does_not_leave_who_has_started_it_eagerly, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *eager, *starter = scene_spawn(loop, start_eagerly, &eager), *other = scene_spawn(loop, note_three_times, "other");
    turn_notes(loop, "other");
    turn_notes(loop, "begins eager ends other");
    for (int i = 0; i < 3; i++)
        scene_turn(loop);
    CHECK_STR(notes(), "eager other eager");
    weft_task_unref(starter);
    weft_task_unref(eager);
    weft_task_unref(other);
    scene_drop(loop);
}

static int start_eagerly_from_a_call(void *arg)
{
    return start_eagerly_now(arg);
}

static int call_in_the_next_turn(void *arg)
{
    return weft_loop_call_soon(weft_get_running_loop(), start_eagerly_from_a_call, arg, NULL, NULL);
}

Test(pass, does_not_leave_a_callback_that_has_started_it_eagerly, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *eager;
    CHECK_EQ(weft_loop_call_soon(loop, call_in_the_next_turn, &eager, NULL, NULL), 0);
    struct weft_task *other = scene_spawn(loop, note_three_times, "other");
    turn_notes(loop, "other");
    turn_notes(loop, "begins eager ends other");
    turn_notes(loop, "eager other");
    turn_notes(loop, "eager");
    scene_turn(loop);
    weft_task_unref(eager);
    weft_task_unref(other);
    scene_drop(loop);
}

static int raise_after_a_turn(void *arg, void **result_out)
{
    (void)result_out;
    int status = weft_yield();
    return status < 0 ? status : *(int *)arg;
}

Test(pass, leaves_the_rest_queued_when_who_was_passed_to_raises_a_fatal_status, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    int fatal = -4301;
    struct weft_task *first = scene_spawn(loop, note_three_times, "a"), *second = scene_spawn(loop, raise_after_a_turn, &fatal),
                     *third = scene_spawn(loop, note_three_times, "c");
    turn_notes(loop, "a c");
    CHECK_EQ(weft_loop_run_forever(loop), fatal);
    CHECK_STR(notes(), "a");
    turn_notes(loop, "c a");
    turn_notes(loop, "c");
    scene_turn(loop);
    CHECK_EQ(weft_future_result(&second->future, NULL), fatal);
    CHECK(weft_future_done(&first->future) && weft_future_done(&third->future));
    weft_task_unref(first);
    weft_task_unref(second);
    weft_task_unref(third);
    scene_drop(loop);
}
