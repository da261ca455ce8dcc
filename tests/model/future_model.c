/*
 * Models of the future: one winner, each waiter woken exactly once or removed, and nobody near it after its last reference.
 *
 * lib/task/future.c is real. What it calls is doubled here: a loop is a worker that notes who was queued on it, and each waiter brings
 * the token that its thread sleeps on, so that a wake-up orders nothing but that one waiter behind its waker.
 */
#include "lib/task/future.h"

#include <errno.h>

#include "lib/base/context.h"
#include "lib/loop/loop.h"
#include "tests/model/checker.h"
#include "weft/context.h"
#include "weft/status.h"

/* ---- doubles ---------------------------------------------------------------------------------------------------------------------- */

static struct weft_loop loops[2];
static unsigned report_count;
static unsigned data[4]; /* plain: whoever reads it must have been told */

/* One who waits, and how often it was woken. */
struct sleeper {
    struct waiter waiter;
    struct model_token token;
    unsigned woken;
    unsigned turn; /* which wake-up of its batch it was */
};

static void wake_one(struct weft_work *work, unsigned turn)
{
    struct sleeper *sleeper = weft_container_of(work, struct sleeper, waiter.work);
    sleeper->woken++;
    sleeper->turn = turn;
    model_signal(&sleeper->token);
}

void work_ready_chain(struct worker *home, struct weft_work *first, struct weft_work *last, size_t count)
{
    struct weft_work *work = first;
    for (size_t turn = 0; turn < count; turn++) {
        struct weft_work *next = work->next;
        MODEL_CHECK(weft_container_of(work, struct sleeper, waiter.work)->waiter.loop == loop_of_worker(home));
        MODEL_CHECK((work == last) == (turn + 1 == count));
        wake_one(work, (unsigned)turn);
        work = next;
    }
}

void work_ready_stealable(struct worker *home, struct weft_work *work)
{
    (void)home;
    wake_one(work, 0);
}

struct weft_loop *weft_loop_ref(struct weft_loop *loop)
{
    return loop;
}

void weft_loop_unref(struct weft_loop *loop)
{
    (void)loop;
}

void weft_context_unref(struct weft_context *context)
{
    (void)context;
}

struct weft_context *context_swap_current(struct weft_context *context)
{
    return context;
}

/* Whoever is told of a broken promise has seen what each who promised did before he let go. */
void weft_loop_call_exception_handler(struct weft_loop *loop, const struct weft_exception *exception)
{
    (void)loop;
    report_count++;
    MODEL_CHECK(exception->status == WEFT_EBROKENPROMISE && data[0] + data[1] == 2);
}

void future_drop_callback(struct waiter *waiter)
{
    (void)waiter;
    model_fail("a future was destroyed under a waiter");
}

/* ---- the scene -------------------------------------------------------------------------------------------------------------------- */

static struct weft_future *future;
static struct sleeper sleepers[3];
static unsigned win_count[3];

static void setup_future(uint32_t refs)
{
    MODEL_CHECK(weft_loop_create_future(&loops[0], &future) == 0);
    for (uint32_t i = 1; i < refs; i++)
        weft_future_ref(future);
}

static void sleeper_init(unsigned index, struct weft_loop *loop, bool is_stealable)
{
    sleepers[index].waiter.loop = loop;
    sleepers[index].waiter.is_stealable = is_stealable;
}

/* Sleep until woken, and use what the completer left. */
static void sleep_and_read(unsigned index)
{
    model_wait(&sleepers[index].token);
    MODEL_CHECK(sleepers[index].woken == 1 && weft_future_done(future));
    void *value = NULL;
    int status = weft_future_result(future, &value);
    MODEL_CHECK(status == -ECANCELED || (status == 0 && *(unsigned *)value == 7));
}

static void complete(unsigned index)
{
    data[index] = 7;
    win_count[index] = weft_future_set_result(future, &data[index]) == 0;
}

/* ---- one winner ------------------------------------------------------------------------------------------------------------------- */

static void race_setup(void)
{
    setup_future(1);
    sleeper_init(0, &loops[0], false);
    sleeper_init(1, &loops[1], false);
    sleeper_init(2, &loops[0], false);
    for (unsigned i = 0; i < 3; i++)
        MODEL_CHECK(future_add_waiter(future, &sleepers[i].waiter));
}

static void race_complete(void)
{
    complete(0);
}

static void race_cancel(void)
{
    win_count[1] = weft_future_cancel(future, "enough");
}

static void race_check(void)
{
    MODEL_CHECK(win_count[0] + win_count[1] == 1);
    MODEL_CHECK((weft_future_result(future, NULL) == 0) == (win_count[0] == 1));
    for (unsigned i = 0; i < 3; i++)
        MODEL_CHECK(sleepers[i].woken == 1);
    MODEL_CHECK(sleepers[0].turn == 0 && sleepers[2].turn == 1); /* in the order in which they came, as one batch */
    weft_future_unref(future);
}

/* One who only looks, and uses what it finds. */
static void look(void)
{
    void *value = NULL;
    int status = weft_future_result(future, &value);
    MODEL_CHECK(status == WEFT_EINVALIDSTATE || status == -ECANCELED || (status == 0 && *(unsigned *)value == 7));
}

static void sleep_0(void)
{
    sleep_and_read(0);
}

static void sleep_1(void)
{
    sleep_and_read(1);
}

/* ---- hanging on, and being taken off ---------------------------------------------------------------------------------------------- */

static unsigned removed_count[3];

static void hang_setup(void)
{
    setup_future(1);
    sleeper_init(0, &loops[0], false);
    sleeper_init(1, &loops[1], false);
    sleeper_init(2, &loops[1], true);
}

/* Hang on; what could not be hung, or could not be taken off again, is woken. */
static void hang(unsigned index, bool and_leave)
{
    bool is_hanging = future_add_waiter(future, &sleepers[index].waiter);
    if (is_hanging && and_leave && future_remove_waiter(future, &sleepers[index].waiter))
        removed_count[index]++;
    else if (is_hanging)
        sleep_and_read(index);
    else
        look();
    MODEL_CHECK(sleepers[index].woken <= 1 && (sleepers[index].woken == 0 || removed_count[index] == 0));
}

static void hang_and_leave(void)
{
    hang(0, true);
}

static void hang_and_sleep(void)
{
    hang(1, false);
}

static void hang_stealable(void)
{
    hang(2, false);
}

static bool is_first(struct waiter *waiter, void *arg)
{
    (void)arg;
    return waiter == &sleepers[0].waiter;
}

static void match_setup(void)
{
    hang_setup();
    MODEL_CHECK(future_add_waiter(future, &sleepers[0].waiter));
}

static void match_remove(void)
{
    struct waiter *removed = future_remove_matching(future, is_first, NULL);
    MODEL_CHECK(removed == NULL || (removed == &sleepers[0].waiter && removed->older == NULL));
    removed_count[0] = removed != NULL;
    if (removed == NULL)
        sleep_and_read(0);
}

static void hang_check(void)
{
    MODEL_CHECK(win_count[0] == 1 && removed_count[0] + sleepers[0].woken <= 1);
    weft_future_unref(future);
}

/* ---- the last reference ----------------------------------------------------------------------------------------------------------- */

struct owned {
    struct weft_future future; /* first */
    unsigned written[3];
};

static unsigned destroyed_count;

/* Runs once, after all that the owners did. */
static void owned_destroy(struct weft_future *last)
{
    struct owned *owned = (struct owned *)last;
    destroyed_count++;
    MODEL_CHECK(owned->written[0] + owned->written[1] + owned->written[2] == 3);
    model_free(owned);
}

static void owned_setup(void)
{
    static const struct weft_future_ops ops = {.size = sizeof(ops), .destroy = owned_destroy};
    struct owned *owned = model_malloc(sizeof(*owned));
    *owned = (struct owned){.future.loop = NULL};
    MODEL_CHECK(weft_future_init(&owned->future, &loops[0], &ops) == 0);
    future = weft_future_ref(weft_future_ref(&owned->future));
}

static void write_and_unref(unsigned index)
{
    ((struct owned *)future)->written[index] = 1;
    weft_future_unref(future);
}

static void own_0(void)
{
    write_and_unref(0);
}

static void own_1(void)
{
    write_and_unref(1);
}

static void own_2(void)
{
    write_and_unref(2);
}

static void owned_check(void)
{
    MODEL_CHECK(destroyed_count == 1);
}

static void last_setup(void)
{
    setup_future(3);
    sleeper_init(0, &loops[0], false);
    MODEL_CHECK(future_add_waiter(future, &sleepers[0].waiter));
}

static void complete_and_unref(void)
{
    complete(0);
    weft_future_unref(future);
}

static void cancel_and_unref(void)
{
    win_count[1] = weft_future_cancel(future, "enough");
    weft_future_unref(future);
}

static void read_and_unref(void)
{
    sleep_and_read(0);
    weft_future_unref(future);
}

static void last_check(void)
{
    MODEL_CHECK(win_count[0] + win_count[1] == 1 && sleepers[0].woken == 1);
}

/* ---- promises --------------------------------------------------------------------------------------------------------------------- */

static void promise_setup(void)
{
    setup_future(1);
    weft_future_promise(weft_future_promise(future));
    sleeper_init(0, &loops[0], false);
    MODEL_CHECK(future_add_waiter(future, &sleepers[0].waiter));
}

static void break_0(void)
{
    data[0] = 1;
    weft_future_unpromise(future);
}

static void break_1(void)
{
    data[1] = 1;
    weft_future_unpromise(future);
}

static void keep_promise(void)
{
    complete(0);
    weft_future_unpromise(future);
}

static void sleep_broken(void)
{
    model_wait(&sleepers[0].token);
    MODEL_CHECK(weft_future_result(future, NULL) == WEFT_EBROKENPROMISE && data[0] + data[1] == 2);
}

static void break_check(void)
{
    MODEL_CHECK(report_count == 1);
    weft_future_unref(future);
}

static void keep_check(void)
{
    MODEL_CHECK(win_count[0] == 1 && report_count == 0);
    weft_future_unref(future);
}

/* ---- two steps swapped: each of these must fail ------------------------------------------------------------------------------------ */

/* Wakes before it publishes. */
static void wake_first(void)
{
    wake_one(&sleepers[0].waiter.work, 0);
    complete(0);
}

static void swap_setup(void)
{
    setup_future(1);
    sleeper_init(0, &loops[0], false);
}

/* Lets go before it has read. */
static void unref_first(void)
{
    model_wait(&sleepers[0].token);
    weft_future_unref(future);
    (void)weft_future_result(future, NULL);
}

/* Looks whether it is done before it hangs, and believes that. */
static void look_first(void)
{
    if (weft_future_done(future))
        return;
    (void)future_add_waiter(future, &sleepers[0].waiter);
    sleep_and_read(0);
}

static const struct model models[] = {
    {.name = "owners",
     .about = "whoever drops the last of three references destroys it, after all that the others did",
     .setup = owned_setup,
     .threads = {own_0, own_1, own_2},
     .check = owned_check},
    {.name = "promise_broken",
     .about = "whoever is told that a promise was broken has seen what each who made one did before he let go",
     .setup = promise_setup,
     .threads = {break_0, break_1, sleep_broken},
     .check = break_check},
    {.name = "promise_kept",
     .about = "a promise that one keeps is not broken by another that lets go",
     .setup = promise_setup,
     .threads = {keep_promise, break_1, sleep_0},
     .check = keep_check},
    {.name = "race",
     .about = "of a completer and a canceller one wins, all waiters of two loops are woken once and see what it left, and so does a looker",
     .setup = race_setup,
     .threads = {race_complete, race_cancel, look, sleep_1},
     .check = race_check},
    {.name = "leave",
     .about = "one that hangs on and leaves again beside the completer is woken, or taken off, or refused",
     .setup = hang_setup,
     .threads = {race_complete, hang_and_leave},
     .check = hang_check},
    {.name = "hang",
     .about = "two that hang on while it is completed are woken once or taken off, never both, never neither",
     .setup = hang_setup,
     .threads = {race_complete, hang_and_leave, hang_and_sleep},
     .check = hang_check,
     .bound = 3},
    {.name = "hang_stealable",
     .about = "a stealable waiter and a pinned one of the same loop that hang on while it is completed are each woken once",
     .setup = hang_setup,
     .threads = {race_complete, hang_stealable, hang_and_sleep},
     .check = hang_check,
     .bound = 3},
    {.name = "match",
     .about = "what remove_matching() takes off is not woken, and the list stays whole for one that hangs on beside it",
     .setup = match_setup,
     .threads = {race_complete, match_remove, hang_and_sleep},
     .check = hang_check,
     .bound = 3},
    {.name = "last",
     .about = "completer, canceller and waiter each drop the reference that they hold, and nobody touches it after the last",
     .setup = last_setup,
     .threads = {complete_and_unref, cancel_and_unref, read_and_unref},
     .check = last_check,
     .bound = 3},
};

static const struct model broken[] = {
    {.name = "wake_swapped",
     .about = "a completer that wakes before it publishes",
     .setup = swap_setup,
     .threads = {wake_first, sleep_0},
     .may_leak = true},
    {.name = "unref_swapped",
     .about = "a waiter that lets go before it reads",
     .setup = last_setup,
     .threads = {complete_and_unref, cancel_and_unref, unref_first}},
    {.name = "look_swapped",
     .about = "a waiter that looks and then hangs on",
     .setup = swap_setup,
     .threads = {race_complete, look_first},
     .may_leak = true},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/future.c", "lib/task/future.h"}};
    return model_main(&suite, argc, argv);
}
