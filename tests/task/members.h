/*
 * The members of the groups that the tests make, and how they get there.
 */
#ifndef TESTS_TASK_MEMBERS_H
#define TESTS_TASK_MEMBERS_H

#include "tests/task/scene.h"
#include "weft/group.h"

/* Run `fn` as a fiber on a fresh loop, give what it returned. */
static inline int in_fiber(weft_fiber_fn *fn, void *arg)
{
    struct weft_loop *loop = scene_sim_loop();
    int status = scene_run(loop, fn, arg, NULL);
    scene_drop(loop);
    CHECK_EQ(scene_reports(), 0);
    return status;
}

/* A member: sleeps, notes its word (or that it was cancelled) and ends with its status. */
struct member {
    int64_t delay_ns;
    const char *word;
    int status;
};

static inline int member(void *arg, void **result_out)
{
    const struct member *member = arg;
    (void)result_out;
    int status = weft_sleep(member->delay_ns);
    note(status < 0 ? "cancelled" : member->word);
    return status < 0 ? status : member->status;
}

static struct member slow = {SECOND, "slow", 0};
static struct member failing = {10 * MILLISECOND, "failing", -EIO};

static inline void enter(struct weft_group *group)
{
    *group = (struct weft_group)WEFT_GROUP_INIT;
    CHECK_EQ(weft_group_enter(group), 0);
}

static inline void add(struct weft_group *group, struct member *which)
{
    CHECK_EQ(weft_group_spawn_fiber(group, member, which, NULL), 0);
}

#endif
