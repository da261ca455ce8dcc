/*
 * Models of the task word: who cancels, against the task that waits, wakes, moves to another loop and ends.
 *
 * lib/task/task.c, task_cancel.c, task_base.c and future.c are real, on the loops of stand_in.h. What a task runs is a script: it awaits
 * the futures of a list one after the other, and by default ends with what the wait raised. A request to stop that was accepted must be
 * seen by the script, or the task have been over.
 */
#include <errno.h>

#include "lib/task/coro_task.h"
#include "tests/model/checker.h"
#include "tests/model/stand_in.h"

enum { WAITS_MAX = 3 };

void future_drop_callback(struct waiter *waiter)
{
    (void)waiter;
    model_fail("there are no callbacks here");
}

/* ---- a coroutine -------------------------------------------------------------------------------------------------------------------- */

struct script {
    struct weft_coro coro; /* first */
    unsigned waits;
    unsigned steps; /* plain: each step sees what the last one did, wherever that was */
    unsigned cancels;
    uint32_t flags;
    bool takes_back; /* uncancels, and goes on */
    bool yields;
    bool has_frame; /* the first future lies in the script's frame, which ends with the wait */
    unsigned is_inside;
};

static struct script script;
static struct weft_task *task;
static struct weft_future *futures[WAITS_MAX];
static unsigned results[WAITS_MAX];
static bool was_accepted[2];

/* The frame is left once nobody else holds its future, as fiber_await_frame() does. */
static bool may_leave_frame(void)
{
    return futures[0] == NULL || weft_atomic_load_acquire(&futures[0]->refs) == 1;
}

static int script_end(int status)
{
    if (script.has_frame && futures[0] != NULL) {
        weft_future_unref(futures[0]);
        futures[0] = NULL;
    }
    return status;
}

static int script_cancelled(int status)
{
    script.cancels++;
    if (script.has_frame) {
        (void)future_complete(futures[0], FUTURE_CANCELLED, -ECANCELED, NULL);
        return may_leave_frame() ? script_end(status) : WEFT_CORO_YIELD;
    }
    if (!script.takes_back)
        return status;
    (void)weft_task_uncancel(task);
    return WEFT_CORO_AWAIT;
}

static int script_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    (void)coro;
    MODEL_CHECK(script.is_inside++ == 0);
    unsigned step = script.steps;
    int how = status < 0 ? script_cancelled(status) : WEFT_CORO_AWAIT;
    if (how == WEFT_CORO_AWAIT && script.cancels > 0 && script.has_frame)
        how = may_leave_frame() ? script_end(-ECANCELED) : WEFT_CORO_YIELD;
    if (how == WEFT_CORO_AWAIT && status == 0 && step > 0 && !script.yields)
        MODEL_CHECK(futures[step - 1] == NULL || (weft_future_done(futures[step - 1]) && *(unsigned *)futures[step - 1]->value == step));
    if (how == WEFT_CORO_AWAIT && step == script.waits)
        how = script.has_frame && !may_leave_frame() ? WEFT_CORO_YIELD : script_end(WEFT_CORO_RETURN);
    if (how == WEFT_CORO_AWAIT) {
        suspend_out->future = futures[step];
        suspend_out->flags = script.flags;
        script.steps++;
        how = script.yields ? WEFT_CORO_YIELD : WEFT_CORO_AWAIT;
    }
    script.is_inside--;
    return how;
}

static void script_close(struct weft_coro *coro)
{
    (void)coro;
    script.is_inside = 99; /* never again */
    stand_in_end();
}

static const struct weft_coro_ops script_ops = {.size = sizeof(script_ops), .send = script_send, .close = script_close};

/* ---- roles -------------------------------------------------------------------------------------------------------------------------- */

static void run_0(void)
{
    stand_in_run(0);
}

static void run_1(void)
{
    stand_in_run(1);
}

static void complete_one(unsigned index)
{
    results[index] = index + 1;
    (void)weft_future_set_result(futures[index], &results[index]);
}

static void complete(void)
{
    complete_one(0);
}

static void complete_both(void)
{
    complete_one(0);
    complete_one(1);
}

static void cancel(void)
{
    was_accepted[0] = weft_task_cancel(task, "one");
}

static void cancel_and_unref(void)
{
    was_accepted[0] = weft_task_cancel(task, "one");
    weft_task_unref(task);
}

static void cancel_too(void)
{
    was_accepted[1] = weft_task_cancel(task, "two");
}

/* ---- scenes ------------------------------------------------------------------------------------------------------------------------- */

static void spawn(unsigned waits, bool is_stealable)
{
    script.coro.ops = &script_ops;
    script.waits = waits;
    for (unsigned i = 0; i < waits; i++)
        MODEL_CHECK(weft_loop_create_future(&stand_in_loops[0], &futures[i]) == 0);
    task = stand_in_spawn(0, &script.coro, is_stealable);
}

static void pinned_setup(void)
{
    spawn(1, false);
}

static void pinned_twice_setup(void)
{
    spawn(2, false);
}

static void stealable_setup(void)
{
    spawn(2, true);
}

static void uncancel_setup(void)
{
    script.takes_back = true;
    spawn(2, false);
}

static void yield_setup(void)
{
    script.yields = true;
    spawn(2, true);
}

static void detach_setup(void)
{
    script.flags = WEFT_AWAIT_DETACH;
    spawn(2, true);
}

static void frame_setup(void)
{
    script.flags = WEFT_AWAIT_DETACH;
    script.has_frame = true;
    spawn(1, true);
}

/* Who was told that his request is taken finds it delivered, or the task over: it asked as the last step ended. */
static void check_end(void)
{
    MODEL_CHECK(weft_future_done(&task->future));
    if (weft_future_cancelled(&task->future))
        MODEL_CHECK(was_accepted[0] || was_accepted[1]);
    else
        MODEL_CHECK(script.steps == script.waits);
    for (unsigned i = 0; i < WAITS_MAX; i++)
        weft_future_unref(futures[i]);
    weft_task_unref(task);
}

/* Requests that came while it could be told were told. */
static void check_cancelled(void)
{
    MODEL_CHECK(!was_accepted[0] || weft_future_cancelled(&task->future));
    if (weft_future_cancelled(&task->future))
        MODEL_CHECK(weft_future_cancel_message(&task->future)[0] == 'o');
    check_end();
}

static void check_uncancelled(void)
{
    MODEL_CHECK(weft_task_cancelling(task) == 0 || script.cancels < was_accepted[0] + (unsigned)was_accepted[1]);
    check_end();
}

static void check_freed(void)
{
    for (unsigned i = 0; i < WAITS_MAX; i++)
        weft_future_unref(futures[i]);
}

static const struct model models[] = {
    {.name = "cancel",
     .about = "one who cancels, against the wait that begins and the wait that ends: an accepted request ends the task",
     .setup = pinned_setup,
     .threads = {run_0, complete, cancel},
     .check = check_cancelled},
    {.name = "cancel_never_done",
     .about = "a request reaches a task that nobody else would wake, whether it waits already or not",
     .setup = pinned_setup,
     .threads = {run_0, cancel},
     .check = check_cancelled},
    {.name = "cancel_steal",
     .about = "a stealable task is handed over while it hangs itself on a future, and cancelled, and steps once at a time",
     .setup = stealable_setup,
     .threads = {run_0, run_1, complete_both, cancel},
     .check = check_cancelled,
     .bound = 3},
    {.name = "steal",
     .about = "a stealable task that a thief runs before the last step has left task_wait() is one task",
     .setup = stealable_setup,
     .threads = {run_0, run_1, complete_both},
     .check = check_cancelled},
};

int main(int argc, char **argv)
{
    (void)cancel_too, (void)cancel_and_unref, (void)pinned_twice_setup, (void)uncancel_setup, (void)yield_setup, (void)detach_setup;
    (void)frame_setup, (void)check_uncancelled, (void)check_freed;
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .owns = {"lib/task/coro_task.h", "lib/task/task.c", "lib/task/task_cancel.c"}};
    return model_main(&suite, argc, argv);
}
