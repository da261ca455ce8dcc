/*
 * Task group: a fiber's tasks that end with it.
 *
 * Members are linked while they run; room for its failure is made as each comes, so that recording one cannot fail, and leaving needs
 * no memory. All of it happens on one loop, that of the fiber that entered, which is held there until it has left. The state only moves
 * on: open, ending (a failure or cancel has come), over.
 */
#include "weft/group.h"

#include <errno.h>

#include "lib/task/fiber.h"
#include "lib/task/future.h"
#include "lib/task/task.h"
#include "weft/memory.h"
#include "weft/status.h"

enum group_state { GROUP_UNUSED, GROUP_OPEN, GROUP_ENDING, GROUP_OVER };

struct weft_group_member {
    struct weft_group_member *next, **link;
    struct weft_group *group;
    struct weft_task *task; /* a reference */
};

int weft_group_enter(struct weft_group *group)
{
    if (group == NULL)
        return -EINVAL;
    struct weft_task *parent;
    int status = weft_current_task(&parent);
    if (status < 0)
        return status;
    if (parent == NULL || !fiber_is_here())
        return WEFT_ENOTASK;
    bool is_cancelled = group->state == GROUP_UNUSED && group->is_cancelled;
    *group = (struct weft_group){.loop = weft_get_running_loop(), .parent = parent, .state = GROUP_OPEN};
    task_hold(parent, group->loop);
    return is_cancelled ? weft_group_cancel(group) : 0;
}

static void group_abort(struct weft_group *group)
{
    group->state = GROUP_ENDING;
    for (struct weft_group_member *member = group->members; member != NULL; member = member->next)
        (void)weft_task_cancel(member->task, "the task group ends");
}

/* Have the body come to its end, once. One that waits for the members already needs no telling. */
static void group_tell_parent(struct weft_group *group, const char *message)
{
    if (group->all_done != NULL || group->is_parent_cancelled)
        return;
    group->is_parent_cancelled = true;
    (void)weft_task_cancel(group->parent, message);
}

static void group_record(struct weft_group *group, int status)
{
    if (weft_status_is_fatal(status) && group->fatal == 0)
        group->fatal = status;
    group->failures[group->failure_count++] = status; /* room was made as the member came */
}

/* Out of the group; the memory goes with the callback, which may be queued. */
static void member_leave(struct weft_group_member *member)
{
    struct weft_group *group = member->group;
    member->group = NULL;
    *member->link = member->next;
    if (member->next != NULL)
        member->next->link = member->link;
    if (--group->member_count == 0 && group->all_done != NULL)
        (void)weft_future_set_result(group->all_done, NULL);
}

static int member_done(struct weft_future *future, void *arg)
{
    struct weft_group_member *member = arg;
    struct weft_group *group = member->group;
    if (group == NULL)
        return 0; /* the group was forgotten */
    int status = weft_future_result(future, NULL);
    if (status < 0 && !weft_future_cancelled(future)) {
        group_record(group, status);
        if (group->state == GROUP_OPEN) {
            group_abort(group);
            group_tell_parent(group, "a task of the group failed");
        }
    }
    member_leave(member);
    return 0;
}

/* A closing loop calls nobody: then the group, whose fiber may not have been unwound yet, is told here. */
static void member_release(void *arg)
{
    struct weft_group_member *member = arg;
    if (member->group != NULL)
        (void)member_done(&member->task->future, member);
    weft_task_unref(member->task);
    weft_free(member);
}

/* Room for one more failure than there are members, those included that are being made. */
static int group_reserve(struct weft_group *group)
{
    size_t needed = group->failure_count + group->member_count + 1;
    if (needed <= group->failure_capacity)
        return 0;
    int *failures = weft_realloc(group->failures, 2 * needed * sizeof(*failures));
    if (failures == NULL)
        return -ENOMEM;
    group->failures = failures;
    group->failure_capacity = 2 * needed;
    return 0;
}

static void member_insert(struct weft_group *group, struct weft_group_member *member)
{
    member->group = group;
    member->link = &group->members;
    member->next = group->members;
    if (member->next != NULL)
        member->next->link = &member->next;
    group->members = member;
}

static int refuse(struct weft_coro *coro, int status)
{
    if (coro != NULL)
        coro->ops->close(coro);
    return status;
}

static int group_add(struct weft_group *group, struct weft_group_member *member, struct weft_coro *coro,
                     const struct weft_task_options *options)
{
    int status = weft_loop_create_task(group->loop, coro, options, &member->task);
    if (status < 0)
        return status;
    struct future_callback callback = {member_done, member, NULL, member_release};
    status = future_add_callback_on(&member->task->future, group->loop, &callback);
    if (status < 0) {
        (void)weft_task_cancel(member->task, "out of memory");
        weft_task_unref(member->task);
        return status;
    }
    member_insert(group, member);
    if (group->state == GROUP_ENDING) /* it began eagerly, and ended the group */
        (void)weft_task_cancel(member->task, "the task group was cancelled");
    return 0;
}

int weft_group_create_task(struct weft_group *group, struct weft_coro *coro, const struct weft_task_options *options,
                           struct weft_task **task_out)
{
    if (group == NULL || coro == NULL)
        return refuse(coro, -EINVAL);
    bool is_finished = group->all_done != NULL && group->member_count == 0;
    if (group->state != GROUP_OPEN || is_finished)
        return refuse(coro, WEFT_EGROUPSTATE);
    struct weft_group_member *member = weft_calloc(1, sizeof(*member));
    if (member == NULL || group_reserve(group) < 0) {
        weft_free(member);
        return refuse(coro, -ENOMEM);
    }
    group->member_count++;
    int status = group_add(group, member, coro, options);
    if (status < 0) {
        group->member_count--;
        weft_free(member);
        return status;
    }
    if (task_out != NULL)
        *task_out = weft_task_ref(member->task);
    return 0;
}

int weft_group_spawn_fiber(struct weft_group *group, weft_fiber_fn *fn, void *arg, struct weft_task **task_out)
{
    struct weft_coro *coro;
    int status = weft_fiber_new(fn, arg, NULL, &coro);
    return status < 0 ? status : weft_group_create_task(group, coro, NULL, task_out);
}

int weft_group_cancel(struct weft_group *group)
{
    if (group == NULL)
        return -EINVAL;
    if (group->state == GROUP_OVER)
        return WEFT_EGROUPSTATE;
    bool was_cancelled = group->is_cancelled;
    group->is_cancelled = true;
    if (was_cancelled || group->state == GROUP_UNUSED)
        return 0;
    group_abort(group);
    group_tell_parent(group, "the task group was cancelled");
    return 0;
}

/*
 * Wait until no member is left; cancellations that come meanwhile cancel the members, and are remembered in *status_out. The future is
 * in this frame, as a sleep's: the detached wait lets go of it before the fiber runs on.
 */
static int group_drain(struct weft_group *group, int *status_out)
{
    int status = 0;
    while (group->member_count > 0 && status != WEFT_ECLOSED && status != WEFT_ENOFIBER) {
        struct weft_future all_done = {.loop = NULL};
        future_setup(&all_done, group->loop, NULL, 0);
        group->all_done = &all_done;
        status = fiber_await_frame(&all_done);
        group->all_done = NULL;
        weft_future_fini(&all_done);
        if (status == -ECANCELED && group->state == GROUP_OPEN)
            group_abort(group);
        if (status == -ECANCELED)
            *status_out = status;
    }
    return group->member_count > 0 ? status : 0;
}

/* The loop went away over the members: they are let go, and so must not find the group any more. */
static void group_forget(struct weft_group *group)
{
    while (group->members != NULL) {
        struct weft_group_member *member = group->members;
        struct weft_task *task = weft_task_ref(member->task);
        member_leave(member);
        (void)weft_future_remove_done_callback(&task->future, member_done, member);
        weft_task_unref(task);
    }
}

/* The failures come before a cancellation from outside, which is asked for again, so that the next wait raises it. */
static int group_failed(struct weft_group *group)
{
    if (weft_task_cancelling(group->parent) > 0) {
        (void)weft_task_uncancel(group->parent);
        (void)weft_task_cancel(group->parent, NULL);
    }
    return WEFT_EGROUP;
}

/* What leaving comes to, once all is over. `status` is the body's, or a cancellation that came while waiting. */
static int group_outcome(struct weft_group *group, int status)
{
    if (group->fatal < 0)
        return group->fatal;
    bool is_cancelled = status == -ECANCELED;
    if (group->is_parent_cancelled && weft_task_uncancel(group->parent) == 0)
        is_cancelled = false;
    if (group->failure_count > 0 || group->body_failure < 0)
        return group_failed(group);
    return is_cancelled ? -ECANCELED : 0;
}

int weft_group_exit(struct weft_group *group, int status)
{
    if (group == NULL || (group->state != GROUP_OPEN && group->state != GROUP_ENDING))
        return group == NULL ? -EINVAL : WEFT_EGROUPSTATE;
    if (status < 0 && status != -ECANCELED)
        group->body_failure = status;
    if (weft_status_is_fatal(status) && group->fatal == 0)
        group->fatal = status;
    if (status < 0 && group->state == GROUP_OPEN)
        group_abort(group);
    int drained = group_drain(group, &status);
    if (drained < 0)
        group_forget(group);
    group->state = GROUP_OVER;
    int outcome = drained < 0 ? drained : group_outcome(group, status);
    task_unhold(group->parent);
    if (outcome != WEFT_EGROUP)
        weft_group_fini(group);
    return outcome;
}

int weft_group_failure(const struct weft_group *group, size_t index)
{
    if (group == NULL || index > group->failure_count)
        return 0;
    return index < group->failure_count ? group->failures[index] : group->body_failure;
}

void weft_group_fini(struct weft_group *group)
{
    if (group == NULL)
        return;
    weft_free(group->failures);
    group->failures = NULL;
    group->failure_count = group->failure_capacity = 0;
    group->body_failure = 0;
}
