/*
 * Scenarios of gather and of task groups: all well, one fails, nested, cancelled from within.
 */
#include "weft/group.h"

#include <errno.h>

#include "tests/support/test.h"
#include "tests/sweep/sweep.h"
#include "weft/gather.h"

static int64_t short_ns = 10, long_ns = SECOND / 10;

static int fail_body(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = weft_sleep(20);
    return status < 0 ? status : -EIO;
}

/* ---- gather ---------------------------------------------------------------------------------------------------------------------- */

static int gather_bodies(struct stage *stage, weft_fiber_fn *last, uint32_t flags, struct weft_future **both_out)
{
    struct weft_future *futures[3];
    int status = stage_fiber(stage, sleep_body, &short_ns, &futures[0]);
    if (status == 0)
        status = stage_sleep(stage, 30, &futures[1]);
    if (status == 0)
        status = stage_fiber(stage, last, &long_ns, &futures[2]);
    if (status == 0)
        status = weft_gather(stage->loop, futures, 3, flags, both_out);
    if (status == 0)
        stage_keep(stage, *both_out);
    return status;
}

static int gather_all(void *arg, void **result_out)
{
    struct weft_future *all;
    (void)result_out;
    int status = gather_bodies(arg, sleep_body, 0, &all);
    return status < 0 ? status : weft_await(all, NULL);
}

static int gather_failing(void *arg, void **result_out)
{
    struct weft_future *all;
    (void)result_out;
    int status = gather_bodies(arg, fail_body, 0, &all);
    if (status == 0)
        status = weft_await(all, NULL);
    return status == -EIO ? 0 : status;
}

static int gather_exceptions(void *arg, void **result_out)
{
    struct weft_future *all;
    void *value;
    (void)result_out;
    int status = gather_bodies(arg, fail_body, WEFT_GATHER_RETURN_EXCEPTIONS, &all);
    if (status == 0)
        status = weft_await(all, &value);
    if (status < 0)
        return status;
    const struct weft_gather_item *items = value;
    CHECK(items[0].status == 0 || items[0].status == -ENOMEM);
    CHECK(items[2].status == -EIO || items[2].status == -ENOMEM);
    return 0;
}

static int gather_nested(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *parts[2], *all;
    (void)result_out;
    int status = gather_bodies(stage, sleep_body, 0, &parts[0]);
    if (status == 0)
        status = gather_bodies(stage, sleep_body, 0, &parts[1]);
    if (status == 0)
        status = weft_gather(stage->loop, parts, 2, 0, &all);
    if (status < 0)
        return status;
    stage_keep(stage, all);
    return weft_await(all, NULL);
}

/* ---- groups ---------------------------------------------------------------------------------------------------------------------- */

/* The only failure that a refused allocation may add to those that are meant. */
static int end_group(struct weft_group *group, int status, int meant)
{
    status = weft_group_exit(group, status);
    if (status != WEFT_EGROUP)
        return status;
    bool is_meant = true;
    for (size_t i = 0; weft_group_failure(group, i) < 0; i++)
        is_meant &= weft_group_failure(group, i) == meant;
    weft_group_fini(group);
    return is_meant ? 0 : -ENOMEM;
}

static int group_all(void *arg, void **result_out)
{
    struct weft_group group = WEFT_GROUP_INIT;
    (void)arg, (void)result_out;
    int status = weft_group_enter(&group);
    if (status < 0)
        return status;
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_group_spawn_fiber(&group, sleep_body, &short_ns, NULL);
    if (status == 0)
        status = weft_yield();
    return end_group(&group, status, 0);
}

static int group_failing(void *arg, void **result_out)
{
    struct weft_group group = WEFT_GROUP_INIT;
    (void)arg, (void)result_out;
    int status = weft_group_enter(&group);
    if (status < 0)
        return status;
    status = weft_group_spawn_fiber(&group, sleep_body, &long_ns, NULL);
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_group_spawn_fiber(&group, fail_body, NULL, NULL);
    if (status == 0)
        status = weft_sleep(SECOND);
    return end_group(&group, status, -EIO);
}

static int group_nested(void *arg, void **result_out)
{
    struct weft_group group = WEFT_GROUP_INIT;
    (void)result_out;
    int status = weft_group_enter(&group);
    if (status < 0)
        return status;
    status = weft_group_spawn_fiber(&group, sleep_body, &long_ns, NULL);
    if (status == 0)
        status = weft_group_spawn_fiber(&group, group_failing, arg, NULL);
    if (status == 0)
        status = group_all(arg, NULL);
    return end_group(&group, status, 0);
}

static int group_cancelled(void *arg, void **result_out)
{
    struct weft_group group = WEFT_GROUP_INIT;
    (void)arg, (void)result_out;
    int status = weft_group_enter(&group);
    if (status < 0)
        return status;
    for (int i = 0; i < 2 && status == 0; i++)
        status = weft_group_spawn_fiber(&group, sleep_body, &long_ns, NULL);
    if (status == 0)
        status = weft_yield();
    if (status == 0)
        status = weft_group_cancel(&group);
    if (status == 0)
        status = weft_yield();
    return end_group(&group, status, 0);
}

/* A member whose cleanup waits, in a group that is told to end. */
static int slow_member(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = weft_sleep(SECOND);
    int cleaned = weft_sleep(10);
    return status < 0 ? status : cleaned;
}

static int in_time(void *arg, void **result_out)
{
    struct weft_group group = WEFT_GROUP_INIT;
    (void)arg, (void)result_out;
    int status = weft_group_enter(&group);
    if (status < 0)
        return status;
    status = weft_group_spawn_fiber(&group, slow_member, NULL, NULL);
    if (status == 0)
        status = weft_group_spawn_fiber(&group, slow_member, NULL, NULL);
    return end_group(&group, status, 0);
}

static int group_timed_out(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *inner;
    (void)result_out;
    int status = stage_fiber(stage, in_time, NULL, &inner);
    if (status == 0)
        status = weft_wait_for(inner, 50, NULL);
    return status == -ETIMEDOUT ? 0 : status;
}

static const struct scenario scenarios[] = {
    {.name = "gather_all", .kind = ON_SIM, .body = gather_all},
    {.name = "gather_failing", .kind = ON_SIM, .body = gather_failing},
    {.name = "gather_exceptions", .kind = ON_SIM, .body = gather_exceptions},
    {.name = "gather_nested", .kind = ON_SIM, .body = gather_nested},
    {.name = "group_all", .kind = ON_SIM, .body = group_all},
    {.name = "group_failing", .kind = ON_SIM, .body = group_failing},
    {.name = "group_nested", .kind = ON_SIM, .body = group_nested},
    {.name = "group_cancelled", .kind = ON_SIM, .body = group_cancelled},
    {.name = "group_timed_out", .kind = ON_SIM, .body = group_timed_out},
};

ROOM(group_scenarios, scenarios);
