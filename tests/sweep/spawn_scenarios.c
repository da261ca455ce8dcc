/*
 * Scenarios of stealable tasks on two loops that steal from each other.
 */
#include <errno.h>

#include "tests/support/test.h"
#include "tests/sweep/sweep.h"
#include "weft/gather.h"
#include "weft/group.h"
#include "weft/step.h"

enum { MANY = 8 };

/* Where it runs may change at each of these. */
static int wander(void *arg, void **result_out)
{
    struct stage *stage = arg;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_yield();
    if (status == 0)
        status = weft_sleep(10);
    stage->words[0] += status == 0;
    return status;
}

static int spawn_many(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *all, *spawned[MANY];
    int status = 0;
    (void)result_out;
    for (int i = 0; i < MANY && status == 0; i++)
        status = stage_spawn(stage, i % 3 == 2 ? stage->other : stage->loop, wander, stage, &spawned[i]);
    if (status == 0)
        status = weft_gather(stage->loop, spawned, MANY, 0, &all);
    if (status < 0)
        return status;
    stage_keep(stage, all);
    status = weft_await(all, NULL);
    CHECK(status < 0 || stage->words[0] == MANY);
    return status;
}

static int wander_step(struct weft_step *step, void *state, int status)
{
    (void)state;
    WEFT_STEP_BEGIN(step, status);
    WEFT_STEP_YIELD(step, status);
    if (status < 0)
        return status;
    WEFT_STEP_YIELD(step, status);
    if (status < 0)
        return status;
    WEFT_STEP_END(step, NULL);
}

static int spawn_steps(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_task *tasks[MANY];
    int status = 0;
    (void)result_out;
    for (int i = 0; i < MANY && status == 0; i++) {
        struct weft_coro *coro;
        status = weft_step_new(wander_step, NULL, 0, &coro, NULL);
        if (status == 0)
            status = weft_loop_spawn(stage->loop, coro, NULL, &tasks[i]);
        stage_keep(stage, status < 0 ? NULL : &tasks[i]->future);
    }
    for (int i = 0; i < MANY && status == 0; i++)
        status = weft_await(&tasks[i]->future, NULL);
    return status;
}

/* A future goes to and fro between a task here and one that may be anywhere. */
static int answer(void *arg, void **result_out)
{
    struct stage *stage = arg;
    (void)result_out;
    int status = weft_await(stage->kept[0], NULL);
    if (status == 0)
        status = weft_yield();
    if (status == 0)
        status = weft_future_set_result(stage->kept[1], NULL);
    return status;
}

static int ping(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *there, *back, *answering;
    (void)result_out;
    int status = stage_future(stage, &there);
    if (status == 0)
        status = stage_future(stage, &back);
    if (status == 0)
        status = stage_spawn(stage, stage->other, answer, stage, &answering);
    if (status == 0)
        status = weft_yield();
    if (status == 0)
        status = weft_future_set_result(there, NULL);
    if (status < 0)
        return status;
    /* The answer may have failed for want of memory. */
    struct weft_future *ends[] = {back, answering}, *both;
    status = weft_gather(stage->loop, ends, 2, 0, &both);
    if (status < 0)
        return status;
    stage_keep(stage, both);
    return weft_await(both, NULL);
}

/* A stealable fiber stays where it is while it is in a group, sleeps, or waits with a timeout. */
static int hold(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_group group = WEFT_GROUP_INIT;
    (void)result_out;
    int status = weft_group_enter(&group);
    if (status < 0)
        return status;
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_group_spawn_fiber(&group, wander, stage, NULL);
    if (status == 0)
        status = weft_yield();
    status = weft_group_exit(&group, status);
    bool is_failed = status == WEFT_EGROUP;
    if (is_failed)
        weft_group_fini(&group);
    if (status == 0)
        status = weft_yield();
    return is_failed ? -ENOMEM : status;
}

static int time_out_spawned(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *spawned;
    (void)result_out;
    int status = stage_spawn(stage, stage->loop, hold, stage, &spawned);
    if (status == 0)
        status = weft_wait_for(spawned, SECOND, NULL);
    if (status == 0)
        status = weft_yield();
    return status;
}

static const struct scenario scenarios[] = {
    {.name = "spawn_many", .kind = ON_TWO, .body = spawn_many},
    {.name = "spawn_from_spawned", .kind = ON_TWO, .body = spawn_many, .flags = MAIN_IS_SPAWNED},
    {.name = "spawn_steps", .kind = ON_TWO, .body = spawn_steps},
    {.name = "spawned_answers", .kind = ON_TWO, .body = ping},
    {.name = "spawned_is_held", .kind = ON_TWO, .body = hold, .flags = MAIN_IS_SPAWNED},
    {.name = "spawned_times_out", .kind = ON_TWO, .body = time_out_spawned, .flags = MAIN_IS_SPAWNED},
    {.name = "spawn_on_one_loop", .kind = ON_SIM, .body = hold},
};

ROOM(spawn_scenarios, scenarios);
