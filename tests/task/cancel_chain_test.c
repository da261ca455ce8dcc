/*
 * A cancellation goes down a chain of tasks that wait for each other: however long the chain, on however small a stack, and also where
 * the chain bites its own tail, which no task in it would otherwise leave alive.
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/task/scene.h"
#include "weft/gather.h"
#include "weft/step.h"

enum { LINKS = TEST_IS_SLOW ? 5000 : 50000 };

static struct weft_task *links[LINKS];
static int ended;

/* Each waits for the next one. */
static int wait_for_next(struct weft_step *step, void *state, int status)
{
    struct weft_future *next = *(struct weft_future **)state;
    WEFT_STEP_BEGIN(step, status);
    WEFT_STEP_AWAIT(step, next, status);
    ended++;
    return status;
    WEFT_STEP_END(step, NULL);
}

static struct weft_task *link_to(struct weft_loop *loop, struct weft_future *next)
{
    struct weft_coro *coro;
    struct weft_future **state;
    struct weft_task *task;
    CHECK_EQ(weft_step_new(wait_for_next, NULL, sizeof(*state), &coro, (void **)&state), 0);
    *state = next;
    CHECK_EQ(weft_loop_create_task(loop, coro, NULL, &task), 0);
    return task;
}

static int cancel_first(void *arg, void **result_out)
{
    (void)result_out;
    CHECK(weft_task_cancel(arg, "from a small stack"));
    return 0;
}

Test(cancel_chain, may_be_long_and_the_stack_small, .timeout = 20)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *last = scene_future(loop);
    for (int i = LINKS - 1; i >= 0; i--)
        links[i] = link_to(loop, i == LINKS - 1 ? last : &links[i + 1]->future);
    scene_turn(loop);
    CHECK_EQ(scene_run(loop, cancel_first, links[0], NULL), 0);
    CHECK(weft_future_cancelled(last));
    CHECK_STR(weft_future_cancel_message(last), "from a small stack");
    (void)weft_loop_run_until_complete(loop, &links[0]->future, NULL);
    CHECK_EQ(ended, LINKS);
    for (int i = 0; i < LINKS; i++) {
        CHECK(weft_future_cancelled(&links[i]->future));
        CHECK_EQ(weft_task_cancelling(links[i]), 1);
        weft_task_unref(links[i]);
    }
    weft_future_unref(last);
    scene_drop(loop);
}

/* A circle cannot be made from one end to the other: the first is told its next one later. */
struct circle {
    struct weft_task *next;
};

static int wait_in_circle(void *arg, void **result_out)
{
    struct circle *circle = arg;
    CHECK_EQ(weft_yield(), 0);
    int status = weft_await(&circle->next->future, result_out);
    ended++;
    return status;
}

/* The same, through a gathering of the next one and of a future that nobody completes. */
static int gather_in_circle(void *arg, void **result_out)
{
    struct circle *circle = arg;
    struct weft_loop *loop = weft_get_running_loop();
    CHECK_EQ(weft_yield(), 0);
    struct weft_future *other = scene_future(loop), *children[] = {&circle->next->future, other}, *all;
    CHECK_EQ(weft_gather(loop, children, 2, 0, &all), 0);
    int status = weft_await(all, result_out);
    CHECK(weft_future_cancelled(other));
    weft_future_unref(other);
    weft_future_unref(all);
    ended++;
    return status;
}

/* `tail` tasks that lead into a circle of `count`, each waiting by `fn`; the first of all is cancelled. */
static void cancel_into_circle(weft_fiber_fn *fn, int tail, int count)
{
    struct weft_loop *loop = scene_sim_loop();
    struct circle circles[16];
    struct weft_task *tasks[16] = {NULL};
    CHECK(tail + count <= 16);
    ended = 0;
    for (int i = 0; i < tail + count; i++)
        tasks[i] = scene_spawn(loop, fn, &circles[i]);
    for (int i = 0; i < tail + count; i++)
        circles[i].next = tasks[i + 1 < tail + count ? i + 1 : tail];
    scene_turn(loop);
    scene_turn(loop);
    CHECK_EQ(ended, 0);
    CHECK(weft_task_cancel(tasks[0], NULL));
    scene_pass(loop, SECOND);
    CHECK_EQ(ended, tail + count);
    for (int i = 0; i < tail + count; i++) {
        CHECK(weft_future_cancelled(&tasks[i]->future));
        weft_task_unref(tasks[i]);
    }
    scene_drop(loop);
    bool is_left = fn == gather_in_circle; /* one is left by who waited for it, and so nobody asks what it came to */
    CHECK_EQ(scene_reports(), is_left);
    CHECK(!is_left || scene_report_status() == -ECANCELED);
}

Test(cancel_chain, that_is_a_circle_is_broken, .timeout = 5)
{
    cancel_into_circle(wait_in_circle, 0, 2);
    cancel_into_circle(wait_in_circle, 0, 3);
    cancel_into_circle(wait_in_circle, 0, 16);
}

Test(cancel_chain, that_leads_into_a_circle_breaks_it, .timeout = 5)
{
    cancel_into_circle(wait_in_circle, 1, 2);
    cancel_into_circle(wait_in_circle, 3, 5);
    cancel_into_circle(wait_in_circle, 13, 3);
}

Test(cancel_chain, that_is_a_circle_of_gatherings_is_broken, .timeout = 5)
{
    cancel_into_circle(gather_in_circle, 0, 1); /* it waits for itself */
    cancel_into_circle(gather_in_circle, 0, 2);
    cancel_into_circle(gather_in_circle, 0, 16);
    cancel_into_circle(gather_in_circle, 3, 5);
}
