/*
 * Scenarios of tasks: steps and fibers, children, eager ones, factories, names, stacks, and what a cancelled task does in its cleanup.
 */
#include <errno.h>
#include <string.h>

#include "tests/support/test.h"
#include "tests/sweep/sweep.h"
#include "weft/step.h"

/* ---- steps ----------------------------------------------------------------------------------------------------------------------- */

struct trail {
    struct stage *stage;
    struct weft_future *future;
    struct weft_task *child;
};

static void trail_drop(void *state)
{
    struct trail *trail = state;
    weft_future_unref(trail->future);
    if (trail->child != NULL)
        (void)weft_task_cancel(trail->child, NULL);
    stage_keep(trail->stage, trail->child == NULL ? NULL : &trail->child->future);
}

static int child_step(struct weft_step *step, void *state, int status)
{
    (void)state;
    WEFT_STEP_BEGIN(step, status);
    WEFT_STEP_YIELD(step, status);
    if (status < 0)
        return status;
    WEFT_STEP_END(step, NULL);
}

static int make_child(struct trail *trail)
{
    struct weft_coro *coro;
    int status = weft_step_new(child_step, NULL, 0, &coro, NULL);
    return status < 0 ? status : weft_loop_create_task(trail->stage->loop, coro, NULL, &trail->child);
}

static int trail_step(struct weft_step *step, void *state, int status)
{
    struct trail *trail = state;
    WEFT_STEP_BEGIN(step, status);
    status = weft_loop_sleep(trail->stage->loop, 10, &trail->future);
    if (status < 0)
        return status;
    WEFT_STEP_AWAIT(step, trail->future, status);
    if (status == 0)
        status = make_child(trail);
    if (status < 0)
        return status;
    WEFT_STEP_AWAIT(step, &trail->child->future, status);
    if (status < 0)
        return status;
    WEFT_STEP_YIELD(step, status);
    if (status < 0)
        return status;
    WEFT_STEP_END(step, NULL);
}

static int make_trail(struct stage *stage, struct weft_coro **coro_out)
{
    void *state;
    int status = weft_step_new(trail_step, trail_drop, sizeof(struct trail), coro_out, &state);
    if (status == 0)
        ((struct trail *)state)->stage = stage;
    return status;
}

/* ---- fibers ---------------------------------------------------------------------------------------------------------------------- */

/* Each has a child and waits for it; the innermost sleeps. */
static int nest(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *child;
    (void)result_out;
    if (++stage->words[0] == 4)
        return weft_sleep(10);
    int status = stage_fiber(stage, nest, stage, &child);
    return status < 0 ? status : weft_await(child, NULL);
}

static int eager(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    struct weft_coro *coro;
    struct weft_task *task;
    (void)result_out;
    options.flags = WEFT_TASK_EAGER_START;
    for (int i = 0; i < 3; i++) {
        int status = weft_fiber_new(count_body, &stage->words[0], NULL, &coro);
        if (status == 0)
            status = weft_loop_create_task(stage->loop, coro, &options, &task);
        if (status < 0)
            return status;
        stage_keep(stage, &task->future);
        status = weft_await(&task->future, NULL);
        if (status < 0)
            return status;
    }
    return 0;
}

static int factory(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, void *arg,
                   struct weft_task **task_out)
{
    struct stage *stage = arg;
    stage->words[1]++;
    return weft_task_new(loop, coro, options, task_out);
}

static int by_factory(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *child;
    (void)result_out;
    int status = weft_loop_set_task_factory(stage->loop, factory, stage);
    if (status == 0)
        status = stage_fiber(stage, count_body, &stage->words[0], &child);
    if (status == 0)
        status = weft_await(child, NULL);
    CHECK(status < 0 || stage->words[1] == 1);
    return status;
}

static int look_at_all(struct stage *stage)
{
    struct weft_task **tasks;
    size_t count;
    int status = weft_all_tasks(stage->loop, &tasks, &count);
    if (status < 0)
        return status;
    CHECK(count >= 3);
    weft_all_tasks_free(tasks, count);
    return 0;
}

/* Names, ids, all_tasks(). */
static int registry(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *children[2];
    struct weft_task *self;
    int status = 0;
    char name[64];
    (void)result_out;
    CHECK_EQ(weft_current_task(&self), 0);
    for (int i = 0; i < 2 && status == 0; i++)
        status = stage_fiber(stage, count_body, &stage->words[0], &children[i]);
    if (status == 0)
        status = weft_task_set_name(self, "the one in the middle of all");
    if (status == 0)
        status = look_at_all(stage);
    if (status < 0)
        return status;
    CHECK_EQ(weft_task_get_name(self, name, sizeof(name)), strlen("the one in the middle of all"));
    struct weft_task *found = weft_task_from_id(weft_loop_current_task_id(stage->loop));
    CHECK(found == self);
    weft_task_unref(found);
    return weft_await(children[1], NULL);
}

static int with_stacks(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    (void)result_out;
    for (int class = WEFT_STACK_SMALL; class <= WEFT_STACK_LARGE; class ++) {
        struct weft_coro *coro;
        struct weft_task *task;
        options.stack = (enum weft_stack_class) class;
        int status = weft_fiber_new(count_body, &stage->words[0], &options, &coro);
        if (status == 0)
            status = weft_loop_create_task(stage->loop, coro, NULL, &task);
        if (status < 0)
            return status;
        stage_keep(stage, &task->future);
        status = weft_await(&task->future, NULL);
        if (status < 0)
            return status;
    }
    return 0;
}

static int create_elsewhere(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_task *task;
    struct weft_coro *coro;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < 3 && status == 0; i++) {
        status = weft_fiber_new(count_body, &stage->words[0], NULL, &coro);
        if (status == 0)
            status = weft_loop_create_task_threadsafe(stage->other, coro, NULL, &task);
        if (status < 0)
            return status;
        stage_keep(stage, &task->future);
        status = weft_await(&task->future, NULL);
    }
    return status;
}

/* ---- cleanup --------------------------------------------------------------------------------------------------------------------- */

/* Whatever happens, what was begun is ended, which takes waits; and what happened is then told. */
static int clean_up(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *helper;
    static int64_t delay_ns = 30;
    (void)result_out;
    int status = stage_fiber(stage, sleep_body, &delay_ns, &helper);
    if (status < 0)
        return status;
    status = weft_sleep(10);
    if (status == 0)
        status = weft_yield();
    int cleaned = weft_await_flags(helper, WEFT_AWAIT_DETACH, NULL);
    if (cleaned == 0)
        cleaned = weft_sleep(10);
    return status < 0 ? status : cleaned;
}

/* A cancellation is taken back, up to three times, and the work begins again. */
static int take_back(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_task *self;
    (void)result_out;
    CHECK_EQ(weft_current_task(&self), 0);
    for (;;) {
        int status = weft_sleep(10);
        if (status == 0)
            status = weft_yield();
        if (status != -ECANCELED || ++stage->words[0] > 3 || weft_task_uncancel(self) > 0)
            return status;
    }
}

/* A task that was cancelled before it has begun, and one that cancels itself. */
static int cancel_others(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *unborn, *sleeper;
    static int64_t delay_ns = SECOND;
    (void)result_out;
    int status = stage_fiber(stage, count_body, &stage->words[0], &unborn);
    if (status == 0)
        status = stage_fiber(stage, sleep_body, &delay_ns, &sleeper);
    if (status < 0)
        return status;
    CHECK(weft_future_cancel(unborn, NULL));
    status = weft_yield();
    if (status < 0)
        return status;
    (void)weft_future_cancel(sleeper, NULL); /* unless it could not begin */
    (void)weft_future_cancel(sleeper, NULL);
    for (int i = 0; i < 5 && status == 0 && !(weft_future_done(unborn) && weft_future_done(sleeper)); i++)
        status = weft_yield();
    CHECK(status < 0 || (weft_future_cancelled(unborn) && weft_future_done(sleeper)));
    CHECK_EQ(stage->words[0], 0);
    return status;
}

static const struct scenario scenarios[] = {
    {.name = "steps", .kind = ON_SIM, .make = make_trail},
    {.name = "nested_fibers", .kind = ON_SIM, .body = nest},
    {.name = "eager_tasks", .kind = ON_SIM, .body = eager},
    {.name = "task_factory", .kind = ON_SIM, .body = by_factory},
    {.name = "registry", .kind = ON_SIM, .body = registry},
    {.name = "stack_classes", .kind = ON_SIM, .body = with_stacks},
    {.name = "create_elsewhere", .kind = ON_TWO, .body = create_elsewhere},
    {.name = "clean_up", .kind = ON_SIM, .body = clean_up},
    {.name = "take_back", .kind = ON_SIM, .body = take_back, .flags = TAKES_BACK},
    {.name = "cancel_others", .kind = ON_SIM, .body = cancel_others},
};

ROOM(task_scenarios, scenarios);
