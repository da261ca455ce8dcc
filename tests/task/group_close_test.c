/*
 * Groups whose loop closes, and groups without memory.
 */
#include "tests/support/oom.h"
#include "tests/task/members.h"

static int leave_until_closed(void *arg, void **result_out)
{
    struct weft_group group;
    (void)result_out;
    enter(&group);
    add(&group, &slow);
    add(&group, &slow);
    *(int *)arg = weft_group_exit(&group, 0);
    return 0;
}

Test(group, is_left_when_its_loop_closes, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    int status = 0;
    weft_task_unref(scene_spawn(loop, leave_until_closed, &status));
    scene_pass(loop, MILLISECOND);
    scene_drop(loop);
    CHECK_EQ(status, WEFT_ECLOSED);
    CHECK_EQ(scene_reports(), 3);
}

static struct member quick = {0, "quick", -EIO};

static int leave_with_one_who_ends(void *arg, void **result_out)
{
    struct weft_group group;
    int status;
    (void)result_out;
    enter(&group);
    add(&group, &quick);
    do
        status = weft_yield();
    while (status == 0);
    *(int *)arg = weft_group_exit(&group, status);
    weft_group_fini(&group);
    return 0;
}

/* Somewhere between, the close drops the callback that tells of the member's end, and the fiber is queued behind it. */
Test(group, is_left_when_its_loop_closes_over_the_end_of_a_member, .timeout = 5)
{
    int failed_count = 0;
    for (int turns = 1; turns < 8; turns++) {
        struct weft_loop *loop = scene_sim_loop();
        int status = 0;
        weft_task_unref(scene_spawn(loop, leave_with_one_who_ends, &status));
        for (int i = 0; i < turns; i++)
            scene_turn(loop);
        scene_drop(loop);
        CHECK(status == WEFT_ECLOSED || status == WEFT_EGROUP);
        failed_count += status == WEFT_EGROUP;
    }
    CHECK(failed_count > 3);
}

static int all_of_it(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    int status = weft_group_spawn_fiber(&group, member, &slow, NULL);
    if (status >= 0)
        status = weft_group_spawn_fiber(&group, member, &failing, NULL);
    int outcome = weft_group_exit(&group, status);
    CHECK_EQ(outcome, WEFT_EGROUP);
    int failure = weft_group_failure(&group, 0);
    weft_group_fini(&group);
    return failure;
}

static int all_of_it_once(void)
{
    struct weft_loop *loop;
    struct weft_task *task = NULL;
    int status = weft_loop_new(weft_loop_kind_sim(), 0, &loop);
    if (status < 0)
        return status;
    status = weft_loop_create_fiber(loop, all_of_it, NULL, &task);
    if (status >= 0)
        status = weft_loop_run_until_complete(loop, &task->future, NULL);
    weft_task_unref(task);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
    return status;
}

Test(group, out_of_memory_still_waits_for_its_tasks, .timeout = 20)
{
    oom_install();
    CHECK_EQ(all_of_it_once(), -EIO);
    int64_t live = oom_live();
    uint64_t n = 1;
    for (;; n++) {
        oom_start(n);
        int status = all_of_it_once();
        bool was_refused = oom_stop();
        CHECK_EQ(oom_live(), live);
        if (!was_refused)
            break;
        CHECK(status == -ENOMEM); /* of the call itself, or a member's failure */
    }
    CHECK(n > 10);
}

static int leave_without_memory(void *arg, void **result_out)
{
    struct weft_group group;
    (void)arg, (void)result_out;
    enter(&group);
    add(&group, &failing);
    add(&group, &slow);
    CHECK_EQ(weft_sleep(MILLISECOND), 0); /* they have their stacks and timers */
    oom_start_from(1);
    int status = weft_group_exit(&group, -EBADF);
    CHECK_EQ(oom_asked(), 0);
    (void)oom_stop();
    CHECK_EQ(status, WEFT_EGROUP);
    CHECK_EQ(weft_group_failure(&group, 0), -EBADF);
    weft_group_fini(&group);
    return 0;
}

Test(group, needs_no_memory_to_be_left, .timeout = 5)
{
    oom_install();
    CHECK_EQ(in_fiber(leave_without_memory, NULL), 0);
}
