/*
 * Models of the task word: who cancels, against the task that waits, wakes, moves to another loop and ends.
 *
 * lib/task/task.c, task_cancel.c, task_base.c, park.c and future.c are real, on the loops of stand_in.h. What a task runs is a script of a few
 * suspensions. A request to stop that was accepted must reach the script, or stand in the word of a task that was just returning.
 */
#include <errno.h>

#include "lib/task/coro_task.h"
#include "lib/task/park.h"
#include "tests/model/checker.h"
#include "tests/model/stand_in.h"

enum { FUTURES = 2 };

/* ---- a coroutine -------------------------------------------------------------------------------------------------------------------- */

struct script {
    struct weft_coro coro; /* first */
    int (*next)(int status, struct weft_suspend *suspend_out);
    unsigned steps; /* plain, as all of it: each step sees what the last one left, wherever that was */
    unsigned waits;
    unsigned cancels; /* that it was told of */
    bool is_inside;
};

static struct script script;
static struct weft_task *task;
static struct weft_future *futures[FUTURES];
static unsigned results[FUTURES];
static unsigned accepted; /* requests */

void future_drop_callback(struct waiter *waiter)
{
    (void)waiter;
    model_fail("there are no callbacks here");
}

static int script_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    (void)coro;
    MODEL_CHECK(!script.is_inside);
    script.is_inside = true;
    void *value = NULL;
    if (status == 0 && script.steps > 0 && futures[0] != NULL)
        status = weft_future_result(futures[script.steps - 1], &value);
    MODEL_CHECK(value == NULL || *(unsigned *)value == script.steps);
    int how = script.next(status, suspend_out);
    script.is_inside = false;
    return how;
}

static void script_close(struct weft_coro *coro)
{
    (void)coro;
    script.is_inside = true; /* never again */
    stand_in_end();
}

/* Await one future after the other, and end with what a wait raises. */
static int next_await(int status, struct weft_suspend *suspend_out)
{
    if (status < 0 || script.steps == script.waits)
        return status;
    suspend_out->future = futures[script.steps++];
    return WEFT_CORO_AWAIT;
}

/* The same, but what it waits for is not cancelled with it. */
static int next_detached(int status, struct weft_suspend *suspend_out)
{
    suspend_out->flags = WEFT_AWAIT_DETACH;
    return next_await(status, suspend_out);
}

/* Takes each request back, and goes on. */
static int next_stubborn(int status, struct weft_suspend *suspend_out)
{
    if (status == -ECANCELED) {
        script.cancels++;
        (void)weft_task_uncancel(task);
    }
    return next_await(0, suspend_out);
}

static int next_yield(int status, struct weft_suspend *suspend_out)
{
    (void)suspend_out;
    return status < 0 || script.steps++ == script.waits ? status : WEFT_CORO_YIELD;
}

/* Parks, and is woken in its loop's thread. */
static int next_park(int status, struct weft_suspend *suspend_out)
{
    suspend_out->flags = TASK_PARKS;
    return status < 0 || script.steps++ == script.waits ? status : WEFT_CORO_AWAIT;
}

/* Awaits, and then parks where nobody but a canceller wakes it. */
static int next_await_and_park(int status, struct weft_suspend *suspend_out)
{
    return (script.steps == 0 ? next_await : next_park)(status, suspend_out);
}

/* Asks itself to stop, and awaits: there it is told, by what it awaits or instead of that. */
static int next_cancelling(int status, struct weft_suspend *suspend_out)
{
    if (script.steps == 0)
        accepted += weft_task_cancel(task, "oneself");
    else
        MODEL_CHECK(status == -ECANCELED);
    return next_await(status, suspend_out);
}

/* Makes what it awaits, so that nobody else knows of it but by the task. */
static int next_making(int status, struct weft_suspend *suspend_out)
{
    if (status == 0 && script.steps == 0)
        MODEL_CHECK(weft_loop_create_future(&stand_in_loops[0], &futures[0]) == 0);
    return next_await(status, suspend_out);
}

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

static void run_0_and_wake(void)
{
    stand_in_run_some(0, 1);
    struct park park = {.task = coro_task(task)};
    park_wake(&park, NULL); /* by the door, which is what a stand-in waits for */
    park_wake(&park, NULL); /* as for bytes, and then for their end */
    stand_in_run(0);
}

static void cancel(void)
{
    accepted += weft_task_cancel(task, "one");
}

static void cancel_twice(void)
{
    accepted += weft_task_cancel(task, "one");
    accepted += weft_task_cancel(task, "one more");
}

/* ---- scenes ------------------------------------------------------------------------------------------------------------------------- */

static void spawn(unsigned waits, bool is_stealable, int (*next)(int status, struct weft_suspend *suspend_out))
{
    static const struct weft_coro_ops ops = {.size = sizeof(ops), .send = script_send, .close = script_close};
    stand_in_count = is_stealable ? 2 : 1;
    script = (struct script){.coro.ops = &ops, .next = next, .waits = waits};
    for (unsigned i = 0; i < waits && next != next_yield && next != next_making && next != next_park; i++)
        MODEL_CHECK(weft_loop_create_future(&stand_in_loops[0], &futures[i]) == 0);
    task = stand_in_spawn(0, &script.coro, is_stealable);
}

static void one_pinned(void)
{
    spawn(1, false, next_await);
}

static void one_stealable(void)
{
    spawn(1, true, next_await);
}

static void two_stealable(void)
{
    spawn(2, true, next_await);
}

static void one_cancelling(void)
{
    spawn(1, true, next_cancelling);
}

static void one_detached(void)
{
    spawn(1, true, next_detached);
}

static void one_making(void)
{
    spawn(1, false, next_making);
}

static void two_stubborn(void)
{
    spawn(2, false, next_stubborn);
}

static void one_parked(void)
{
    spawn(1, false, next_park);
}

static void one_awaited_one_parked(void)
{
    spawn(2, false, next_await_and_park);
}

static void two_yields(void)
{
    spawn(2, true, next_yield);
}

static void end_scene(void)
{
    for (unsigned i = 0; i < FUTURES; i++)
        weft_future_unref(futures[i]);
    weft_task_unref(task);
}

/* A request that was accepted ended the task, or stands there yet: it came as the task returned. */
static void check_cancelled(void)
{
    bool stands = (task_bits(coro_task(task)) & TASK_MUST_CANCEL) != 0;
    bool is_cancelled = weft_future_cancelled(&task->future);
    MODEL_CHECK(weft_future_done(&task->future) && script.is_inside && task_awaits(coro_task(task)) == NULL);
    MODEL_CHECK(accepted > 0 ? stands || is_cancelled : !is_cancelled);
    MODEL_CHECK(!is_cancelled || weft_future_cancel_message(&task->future)[0] == 'o');
    MODEL_CHECK(is_cancelled || script.steps >= script.waits);
    end_scene();
}

/* What it waited for is well. */
static void check_detached(void)
{
    MODEL_CHECK(weft_future_result(futures[0], NULL) == 0);
    check_cancelled();
}

/* Nobody tells more often than was asked; what was told and taken back is not counted, and the rest is. */
static void check_stubborn(void)
{
    MODEL_CHECK(script.cancels <= accepted && (unsigned)weft_task_cancelling(task) == accepted - script.cancels);
    end_scene();
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Looks what the task waits for, and cancels that, without the lock that ties the two together. */
static void cancel_unlocked(void)
{
    struct weft_future *future = task_awaits(coro_task(task));
    if (future != NULL)
        (void)weft_future_cancel(future, "one");
}

/* Looks whether it is parked without the lock, and wakes it. */
static void run_0_and_wake_unlocked(void)
{
    struct coro_task *of = coro_task(task);
    stand_in_run_some(0, 1);
    if ((task_bits(of) & TASK_PARKED) != 0) {
        task_queue(of);
        task_lock(of);
        task_unlock(of, 0, TASK_PARKED);
    }
    stand_in_run(0);
}

/* Queues the task and then takes it off its future. */
static void cancel_queue_first(void)
{
    struct coro_task *of = coro_task(task);
    task_lock(of);
    bool was_waiting = task_awaits(of) != NULL;
    task_unlock(of, TASK_MUST_CANCEL, 0);
    if (was_waiting) {
        task_queue(of);
        (void)future_remove_waiter(futures[0], &of->waiter);
    }
}

static const struct model models[] = {
    {.name = "cancel",
     .about = "one who cancels, against the wait that begins and the wait that ends: an accepted request ends the task",
     .setup = one_pinned,
     .threads = {run_0, complete, cancel},
     .check = check_cancelled,
     .bound = 2},
    {.name = "cancel_never_done",
     .about = "a request reaches a task that nobody else would wake, whether it waits already or not",
     .setup = one_pinned,
     .threads = {run_0, cancel},
     .check = check_cancelled},
    {.name = "cancel_made",
     .about = "one who cancels a task that waits for what it has just made sees what that is",
     .setup = one_making,
     .threads = {run_0, cancel},
     .check = check_cancelled},
    {.name = "steal",
     .about = "a stealable task that a thief runs before the last step has left task_wait() is one task, and sees its own last step",
     .setup = one_stealable,
     .threads = {run_0, run_1, complete},
     .check = check_cancelled},
    {.name = "steal_cancel",
     .about = "a stealable task that is woken, handed over and cancelled at once steps once at a time, and is told",
     .setup = two_stealable,
     .threads = {run_0, run_1, complete_both, cancel},
     .check = check_cancelled,
     .bound = -1,
     .random_runs = 20000},
    {.name = "cancel_itself",
     .about = "a stealable task that asks itself to stop is told at its next wait, whoever completes that, and wherever it is run then",
     .setup = one_cancelling,
     .threads = {run_0, run_1, complete},
     .check = check_cancelled,
     .bound = 2},
    {.name = "detach",
     .about = "whoever cancels a detached wait takes the task off its future, or the completer does, and one of them queues it",
     .setup = one_detached,
     .threads = {run_0, run_1, complete, cancel},
     .check = check_detached,
     .bound = 2},
    {.name = "park",
     .about = "a parked task that its loop wakes and another thread cancels goes on once, and is told",
     .setup = one_parked,
     .threads = {run_0_and_wake, cancel},
     .check = check_cancelled,
     .bound = 3},
    {.name = "park_behind",
     .about = "a canceller whose future is done finds the task parked behind it, and has it go on",
     .setup = one_awaited_one_parked,
     .threads = {run_0, complete, cancel},
     .check = check_cancelled,
     .bound = 2},
    {.name = "uncancel",
     .about = "a task takes requests back while more come: each is told at most once, and the count is right",
     .setup = two_stubborn,
     .threads = {run_0, complete_both, cancel_twice},
     .check = check_stubborn,
     .bound = 2},
    {.name = "yield",
     .about = "a stealable task that only yields is cancelled in between, and sees its own last step",
     .setup = two_yields,
     .threads = {run_0, run_1, cancel},
     .check = check_cancelled},
};

static const struct model_equivalent equivalent[] = {
    {"coro_task.h:task_unlock:store_release>late",
     "the lock is held for one operation more, in which nobody calls out and nobody waits for it"},
    {"coro_task.h:task_set_awaited:store_release>late",
     "who begins to wait at home has not asked for the future's lock yet, let alone come to the fence; all others are under the lock"},
    {NULL, NULL},
};

static const struct model broken[] = {
    {.name = "lock_swapped",
     .about = "a canceller that looks what the task waits for before it takes the lock",
     .setup = one_pinned,
     .threads = {run_0, complete, cancel_unlocked},
     .check = check_cancelled,
     .bound = 2},
    {.name = "queue_swapped",
     .about = "a canceller that queues the task before it has taken it off its future",
     .setup = one_pinned,
     .threads = {run_0, complete, cancel_queue_first},
     .bound = 2,
     .may_leak = true},
    {.name = "wake_swapped",
     .about = "a waker that looks whether the task is parked before it takes the lock",
     .setup = one_parked,
     .threads = {run_0_and_wake_unlocked, cancel},
     .check = check_cancelled,
     .may_leak = true},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/coro_task.h", "lib/task/task.c", "lib/task/task_cancel.c"},
                                             .equivalent = equivalent};
    return model_main(&suite, argc, argv);
}
