/*
 * Task group: tasks that end together (asyncio.TaskGroup), for fibers.
 *
 *     struct weft_group group = WEFT_GROUP_INIT;
 *     int status = weft_group_enter(&group);
 *     if (status < 0)
 *         return status;
 *     weft_group_spawn_fiber(&group, fetch, "left", NULL);
 *     weft_group_spawn_fiber(&group, fetch, "right", NULL);
 *     status = weft_group_exit(&group, 0);
 *
 * Leaving the group waits for its tasks. The first one that fails cancels the others and the task that holds the group; leaving then
 * gives WEFT_EGROUP, and weft_group_failure() tells what failed.
 *
 * A group and its tasks live on the loop where it was entered. A stealable fiber stays on that loop from enter to exit.
 */
#ifndef WEFT_GROUP_H
#define WEFT_GROUP_H

#include "weft/fiber.h"
#include "weft/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All fields are the library's. Start with WEFT_GROUP_INIT, all zero. */
struct weft_group {
    struct weft_loop *loop;
    struct weft_task *parent;
    struct weft_group_member *members; /* not done yet */
    struct weft_future *all_done;      /* what exit waits for; NULL at other times */
    int *failures;
    size_t failure_count;
    size_t failure_capacity;
    size_t member_count;
    int state;
    int fatal;
    bool is_parent_cancelled; /* by us */
    bool is_cancelled;        /* weft_group_cancel() */
    int body_failure;         /* what the body came to, unless 0 or cancelled */
    uint64_t reserved[2];
};

#define WEFT_GROUP_INIT                                                                                                                    \
    {                                                                                                                                      \
        NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, false, false, 0,                                                                      \
        {                                                                                                                                  \
            0, 0                                                                                                                           \
        }                                                                                                                                  \
    }

/*
 * Begin a group in the present task. One that was cancelled before is cancelled at once.
 *
 * thread:  a fiber
 * memory:  group stays borrowed until weft_group_exit() has returned
 * returns: 0; -EINVAL; WEFT_ENOTASK; WEFT_ENOLOOP
 */
int weft_group_enter(struct weft_group *group);

/*
 * Create a task of `coro` in the group.
 *
 * thread:  the loop's thread
 * memory:  as weft_loop_create_task(); coro is closed if this fails
 * returns: as weft_loop_create_task(); WEFT_EGROUPSTATE before enter, after the end, or once the group is ending
 */
int weft_group_create_task(struct weft_group *group, struct weft_coro *coro, const struct weft_task_options *options,
                           struct weft_task **task_out);

/*
 * Create a fiber in the group.
 *
 * thread:  the loop's thread
 * memory:  as weft_loop_create_fiber()
 * returns: as weft_group_create_task()
 */
int weft_group_spawn_fiber(struct weft_group *group, weft_fiber_fn *fn, void *arg, struct weft_task **task_out);

/*
 * Cancel all tasks of the group, and the body that holds it; leaving it then raises nothing. Twice is harmless.
 *
 * thread:  the loop's thread
 * returns: 0; -EINVAL; WEFT_EGROUPSTATE after the end
 */
int weft_group_cancel(struct weft_group *group);

/*
 * End the group: wait for its tasks. `status` is what the body came to; below 0 it cancels them first. A task of the group that awaits the
 * task which is in here waits for one that waits for it: as in asyncio neither ends before one of them is cancelled.
 *
 * thread:  the fiber that entered
 * returns: 0; WEFT_EGROUP if tasks failed, or the body did, by something else than cancellation (a cancellation from outside is then
 *          raised by the next wait); -ECANCELED if the task was cancelled from outside; a fatal status of a task or the body;
 *          WEFT_ECLOSED; WEFT_EGROUPSTATE
 */
int weft_group_exit(struct weft_group *group, int status);

/*
 * The failure number `index` of a group that was left with WEFT_EGROUP.
 *
 * thread:  the fiber that entered
 * returns: its status; 0 if there are not so many
 */
int weft_group_failure(const struct weft_group *group, size_t index);

/*
 * Free what weft_group_exit() left for weft_group_failure(). Needed only after WEFT_EGROUP.
 *
 * thread:  the fiber that entered
 */
void weft_group_fini(struct weft_group *group);

#ifdef __cplusplus
}
#endif

#endif
