/*
 * Models of who hangs on a future without being a task: done callbacks, plain threads with a timeout, a gathering.
 *
 * lib/task/callback.c, gather.c and future.c are real, and so is the parker, on the loops of stand_in.h and the checker's futex.
 */
#include <errno.h>

#include "lib/task/task.h"
#include "tests/model/checker.h"
#include "tests/model/stand_in.h"
#include "weft/gather.h"
#include "weft/status.h"

static struct weft_future *future;
static unsigned result;

static void run_0(void)
{
    stand_in_run(0);
}

static void complete_and_unref(void)
{
    result = 7;
    (void)weft_future_set_result(future, &result);
    weft_future_unref(future);
}

/* ---- plain threads ---------------------------------------------------------------------------------------------------------------------- */

static void wait_setup(void)
{
    MODEL_CHECK(weft_loop_create_future(&stand_in_loops[0], &future) == 0);
    weft_future_ref(weft_future_ref(future));
}

/* The waiter lies in a frame, which is gone when the call returns. */
static void wait_for_it(int64_t timeout_ns)
{
    void *value = NULL;
    int status = weft_future_wait(future, timeout_ns, &value);
    MODEL_CHECK(status == 0 ? *(unsigned *)value == 7 : status == -ETIMEDOUT && timeout_ns >= 0);
    weft_future_unref(future);
}

static void wait_for_ever(void)
{
    wait_for_it(-1);
}

static void wait_shortly(void)
{
    wait_for_it(100);
}

/* ---- callbacks -------------------------------------------------------------------------------------------------------------------------- */

static unsigned calls, removals;

static int called(struct weft_future *of, void *arg)
{
    (void)arg;
    void *value = NULL;
    MODEL_CHECK(of == future && weft_future_result(of, &value) == 0 && *(unsigned *)value == 7);
    calls++;
    stand_in_end();
    return 0;
}

static void callback_setup(void)
{
    stand_in_count = 1;
    MODEL_CHECK(weft_loop_create_future(&stand_in_loops[0], &future) == 0);
    weft_future_ref(future);
}

static void hung_setup(void)
{
    callback_setup();
    MODEL_CHECK(weft_future_add_done_callback(future, called, NULL, NULL) == 0);
}

static void add_and_unref(void)
{
    MODEL_CHECK(weft_future_add_done_callback(future, called, NULL, NULL) == 0);
    weft_future_unref(future);
}

/* What it takes off is not called; then it is the one who ends the loop. */
static void remove_and_unref(void)
{
    removals = (unsigned)weft_future_remove_done_callback(future, called, NULL);
    weft_future_unref(future);
    if (removals > 0)
        stand_in_end();
}

static void check_called(void)
{
    MODEL_CHECK(calls + removals == 1);
}

/* Nobody completes it: the callback goes with the last reference. */
static void unref(void)
{
    weft_future_unref(future);
}

static void check_dropped(void)
{
    MODEL_CHECK(calls == 0);
}

/* ---- a gathering ------------------------------------------------------------------------------------------------------------------------ */

static struct weft_future *children[2], *gather;
static bool was_accepted;
static unsigned gathered;

static int gather_done(struct weft_future *of, void *arg)
{
    (void)of, (void)arg;
    gathered++;
    stand_in_end();
    return 0;
}

static void gather_setup(void)
{
    stand_in_count = 1;
    for (unsigned i = 0; i < 2; i++)
        MODEL_CHECK(weft_loop_create_future(&stand_in_loops[0], &children[i]) == 0);
    MODEL_CHECK(weft_gather(&stand_in_loops[0], children, 2, WEFT_GATHER_RETURN_EXCEPTIONS, &gather) == 0);
    MODEL_CHECK(weft_future_add_done_callback(gather, gather_done, NULL, NULL) == 0);
}

static void complete_children(void)
{
    (void)weft_future_set_result(children[0], NULL);
    (void)weft_future_set_result(children[1], NULL);
}

static void cancel_gather(void)
{
    was_accepted = weft_future_cancel(gather, "enough");
}

/* Whoever asked is told the truth: a child was cancelled or not. If none was, the gathering may have ended between the two, and say so. */
static void gather_check(void)
{
    int status = weft_future_result(gather, NULL);
    bool any = weft_future_cancelled(children[0]) || weft_future_cancelled(children[1]);
    MODEL_CHECK(gathered == 1 && was_accepted == any);
    MODEL_CHECK(any ? status == -ECANCELED : status == 0 || status == -ECANCELED);
    weft_future_unref(gather);
    weft_future_unref(children[0]);
    weft_future_unref(children[1]);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Gives up at the deadline, and leaves without asking whether the wake-up is on its way. */
static void leave_at_deadline(void)
{
    struct waiter *waiter = model_malloc(sizeof(*waiter));
    *waiter = (struct waiter){.loop = &stand_in_loops[0]};
    if (future_add_waiter(future, waiter))
        (void)future_remove_waiter(future, waiter);
    model_free(waiter);
    weft_future_unref(future);
}

static const struct model models[] = {
    {.name = "wait",
     .about = "two threads wait, one with a timeout: each is woken in its frame or has left the future",
     .setup = wait_setup,
     .threads = {complete_and_unref, wait_for_ever, wait_shortly},
     .bound = 2},
    {.name = "wait_shortly",
     .about = "a wait with a timeout, against the completer, in all schedules",
     .setup = callback_setup,
     .threads = {complete_and_unref, wait_shortly}},
    {.name = "callback_added",
     .about = "a callback that is added while the future is completed is called once",
     .setup = callback_setup,
     .threads = {run_0, complete_and_unref, add_and_unref},
     .check = check_called,
     .bound = 3},
    {.name = "callback_removed",
     .about = "a callback that is removed while the future is completed is called, or taken off, and its future outlives it",
     .setup = hung_setup,
     .threads = {run_0, complete_and_unref, remove_and_unref},
     .check = check_called,
     .bound = 3},
    {.name = "callback_dropped",
     .about = "a callback whose future is never completed goes with the last reference",
     .setup = hung_setup,
     .threads = {unref, unref},
     .check = check_dropped},
    {.name = "gather",
     .about = "a gathering that is cancelled while its children end is cancelled if a child was, and ends once",
     .setup = gather_setup,
     .threads = {run_0, complete_children, cancel_gather},
     .check = gather_check,
     .bound = 2},
};

static const struct model broken[] = {
    {.name = "leave_swapped",
     .about = "a waiter that leaves its frame without asking whether its wake-up is on its way",
     .setup = callback_setup,
     .threads = {complete_and_unref, leave_at_deadline}},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/callback.c", "lib/task/gather.c"}};
    return model_main(&suite, argc, argv);
}
