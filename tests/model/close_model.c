/*
 * Models of a loop that closes over a task: one that waits is let go, one that is being woken is waited for, and either is unwound once, in
 * the closing thread.
 *
 * lib/task/task.c, task_cancel.c, task_base.c and future.c are real, on the loops of stand_in.h. Completers and cancellers are outside of
 * all loops.
 */
#include <errno.h>

#include "lib/task/coro_task.h"
#include "tests/model/checker.h"
#include "tests/model/stand_in.h"
#include "weft/status.h"

static struct weft_coro coro;
static struct weft_task *task;
static struct weft_future *future;
static unsigned sends, closes; /* plain: the closing thread's */
static uint32_t flags;

void future_drop_callback(struct waiter *waiter)
{
    (void)waiter;
    model_fail("there are no callbacks here");
}

/* Awaits the future, and returns when it is sent again. */
static int coro_send(struct weft_coro *of, int status, struct weft_suspend *suspend_out)
{
    (void)of;
    MODEL_CHECK(closes == 0);
    suspend_out->future = future;
    suspend_out->flags = flags;
    return sends++ == 0 ? WEFT_CORO_AWAIT : status;
}

static void coro_close(struct weft_coro *of)
{
    (void)of;
    MODEL_CHECK(closes++ == 0);
}

static void setup(void)
{
    static const struct weft_coro_ops ops = {.size = sizeof(ops), .send = coro_send, .close = coro_close};
    stand_in_count = 1;
    coro.ops = &ops;
    MODEL_CHECK(weft_loop_create_future(&stand_in_loops[0], &future) == 0);
    task = stand_in_spawn(0, &coro, false);
    weft_task_ref(task); /* the registry's */
}

static void setup_detached(void)
{
    flags = WEFT_AWAIT_DETACH;
    setup();
}

/* Without a future. */
static void setup_parked(void)
{
    flags = TASK_PARKS;
    setup();
    weft_future_unref(future);
    future = NULL;
}

static void run_and_close(void)
{
    stand_in_run_some(0, 1);
    stand_in_close_over(0, task);
    weft_task_unref(task);
}

static void run_twice_and_close(void)
{
    stand_in_run_some(0, 2);
    stand_in_close_over(0, task);
    weft_task_unref(task);
}

static void complete(void)
{
    (void)weft_future_set_result(future, NULL);
}

static void cancel(void)
{
    (void)weft_task_cancel(task, "enough");
}

static void check(void)
{
    int status = weft_future_result(&task->future, NULL);
    MODEL_CHECK(closes == 1 && sends <= 2);
    MODEL_CHECK(status == WEFT_ECLOSED || (sends == 2 && (status == 0 || status == -ECANCELED)));
    weft_future_unref(future);
    weft_task_unref(task);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Lets the task go without asking whether somebody is about to queue it. */
static void close_and_forget(void)
{
    stand_in_run_some(0, 1);
    struct coro_task *of = coro_task(task);
    task_lock(of);
    struct weft_future *left = task_awaits(of);
    task_set_awaited(of, NULL);
    task_unlock(of, 0, 0);
    if (left != NULL)
        (void)future_remove_waiter(left, &of->waiter);
    (void)inbox_close(&stand_in_loops[0].worker.inbox);
}

static const struct model models[] = {
    {.name = "complete",
     .about = "a loop closes over a task whose future is being completed: the work on its way is waited for",
     .setup = setup,
     .threads = {run_and_close, complete},
     .check = check},
    {.name = "cancel",
     .about = "a loop closes over a task that is being cancelled, with its future or off it",
     .setup = setup,
     .threads = {run_and_close, cancel},
     .check = check,
     .bound = 3},
    {.name = "cancel_detached",
     .about = "a loop closes over a task that a canceller takes off its future",
     .setup = setup_detached,
     .threads = {run_and_close, cancel},
     .check = check},
    {.name = "cancel_parked",
     .about = "a loop closes over a task that a canceller takes out of its park",
     .setup = setup_parked,
     .threads = {run_and_close, cancel},
     .check = check},
    {.name = "both",
     .about = "a loop closes over a task that is completed and cancelled at once",
     .setup = setup_detached,
     .threads = {run_and_close, complete, cancel},
     .check = check,
     .bound = 2},
    {.name = "late",
     .about = "nothing is left of a task that has ended before its loop closes",
     .setup = setup,
     .threads = {run_twice_and_close, complete},
     .check = check},
};

static const struct model broken[] = {
    {.name = "forget_swapped",
     .about = "a loop that shuts its queue before the work that is on its way has come",
     .setup = setup,
     .threads = {close_and_forget, complete},
     .may_leak = true},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken)};
    return model_main(&suite, argc, argv);
}
