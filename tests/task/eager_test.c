/*
 * Tasks that end in their first step, inside the creating call: what is known of one whom nobody knows, and of one that told of itself.
 */
#include "tests/task/scene.h"

static int note_it(struct weft_future *future, void *word)
{
    (void)future;
    note(word);
    return 0;
}

static int has_itself_called_back(void *arg, void **result_out)
{
    struct weft_task *task;
    (void)result_out;
    CHECK_EQ(weft_current_task(&task), 0);
    CHECK_EQ(weft_future_add_done_callback(&task->future, note_it, arg, NULL), 0);
    return 0;
}

static int begin_told(void *arg, void **result_out)
{
    (void)result_out;
    struct weft_task *task = scene_spawn_eagerly(weft_get_running_loop(), has_itself_called_back, arg);
    CHECK(weft_future_done(&task->future));
    weft_task_unref(task);
    return weft_yield();
}

Test(eager, a_task_that_asks_who_it_is_may_be_waited_for)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run(loop, begin_told, "called", NULL), 0);
    scene_turn(loop);
    CHECK_STR(notes(), "called");
    scene_drop(loop);
}

static int steps_aside(void *arg, void **result_out)
{
    struct weft_task *task, *none;
    (void)result_out;
    CHECK_EQ(weft_swap_current_task(weft_get_running_loop(), NULL, &task), 0);
    CHECK_EQ(weft_future_add_done_callback(&task->future, note_it, arg, NULL), 0);
    CHECK_EQ(weft_swap_current_task(weft_get_running_loop(), task, &none), 0);
    return 0;
}

static int begin_swapped(void *arg, void **result_out)
{
    (void)result_out;
    weft_task_unref(scene_spawn_eagerly(weft_get_running_loop(), steps_aside, arg));
    return weft_yield();
}

Test(eager, a_task_that_is_swapped_out_may_be_waited_for)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run(loop, begin_swapped, "called", NULL), 0);
    scene_turn(loop);
    CHECK_STR(notes(), "called");
    scene_drop(loop);
}

static int keeps_itself(void *arg, void **result_out)
{
    (void)result_out;
    *(struct weft_task **)arg = weft_task_ref(scene_task_here());
    return 0;
}

static int begin_kept(void *arg, void **result_out)
{
    (void)result_out;
    weft_task_unref(scene_spawn_eagerly(weft_get_running_loop(), keeps_itself, arg));
    return 0;
}

Test(eager, a_task_that_keeps_itself_outlives_its_creator)
{
    struct weft_task *kept = NULL;
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run(loop, begin_kept, &kept, NULL), 0);
    CHECK(weft_future_done(&kept->future));
    weft_task_unref(kept);
    scene_drop(loop);
}

static int ends_with(void *status, void **result_out)
{
    (void)result_out;
    return *(int *)status;
}

static int begin_with(void *status, void **result_out)
{
    struct weft_task *task = scene_spawn_eagerly(weft_get_running_loop(), ends_with, status);
    *result_out = weft_future_cancelled(&task->future) ? "cancelled" : "finished";
    weft_task_unref(task);
    return 0;
}

Test(eager, an_exception_that_nobody_asks_for_is_reported)
{
    void *end;
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run(loop, begin_with, (int[]){-EIO}, &end), 0);
    CHECK_STR(end, "finished");
    CHECK_EQ(scene_reports(), 1);
    CHECK_EQ(scene_report_status(), -EIO);
    scene_drop(loop);
}

Test(eager, a_task_that_says_so_itself_is_cancelled)
{
    void *end;
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run(loop, begin_with, (int[]){-ECANCELED}, &end), 0);
    CHECK_STR(end, "cancelled");
    CHECK_EQ(scene_reports(), 0);
    scene_drop(loop);
}
