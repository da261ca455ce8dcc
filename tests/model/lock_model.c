/*
 * Models of the lock: one holder at a time, who sees what the last one did; nobody who waits is forgotten, whoever is cancelled, gives up or
 * is unwound; and nobody near a waiter in a frame that is gone.
 *
 * lib/task/lock.c and future.c are real. Each thread is a fiber on a loop of its own: its wait, and who cancels it, stand here as tasks do it,
 * under a lock bit, and with a reference on what is waited for.
 */
#include "weft/lock.h"

#include <errno.h>

#include "lib/base/context.h"
#include "lib/loop/loop.h"
#include "lib/task/coro_task.h"
#include "lib/task/fiber.h"
#include "lib/task/future.h"
#include "tests/model/checker.h"
#include "weft/context.h"
#include "weft/fiber.h"
#include "weft/status.h"

enum { FIBERS = 4 };

/* ---- doubles ------------------------------------------------------------------------------------------------------------------------ */

const struct weft_task_ops coro_task_ops = {.size = sizeof(coro_task_ops)};

static struct weft_loop loops[FIBERS];

/* A thread's task; [0] is that of setup and check. */
struct model_fiber {
    struct weft_task task;
    struct waiter waiter;
    struct model_token woken;
    struct weft_future *awaits;
    uint32_t is_locked; /* awaits and must_cancel */
    bool must_cancel;
    bool is_unwound; /* in its first wait, if that has not ended by then */
    bool is_closing;
};

static struct model_fiber fibers[FIBERS];

static struct model_fiber *fiber_of_thread(void)
{
    return &fibers[model_thread()];
}

static void fiber_lock(struct model_fiber *fiber)
{
    while (weft_atomic_exchange_acquire(&fiber->is_locked, 1) != 0)
        weft_atomic_pause();
}

static void fiber_unlock(struct model_fiber *fiber)
{
    weft_atomic_store_release(&fiber->is_locked, 0);
}

struct worker *worker_current(void)
{
    return &loops[model_thread()].worker;
}

bool fiber_is_here(void)
{
    return true;
}

bool fiber_is_of(const struct weft_task *task)
{
    return is_coro_task(task);
}

/* Its turn of the loop comes again once something has changed. */
int fiber_pause(void)
{
    weft_atomic_pause();
    return fiber_of_thread()->is_closing ? WEFT_ECLOSED : 0;
}

static bool leave_wait(struct model_fiber *fiber, struct weft_future *future)
{
    fiber_lock(fiber);
    bool was_hanging = future_remove_waiter(future, &fiber->waiter);
    if (was_hanging)
        fiber->awaits = NULL;
    fiber_unlock(fiber);
    return was_hanging;
}

int weft_await(struct weft_future *future, void **value_out)
{
    struct model_fiber *fiber = fiber_of_thread();
    fiber_lock(fiber);
    bool is_hanging = future_add_waiter(future, &fiber->waiter);
    fiber->awaits = future;
    fiber_unlock(fiber);
    if (is_hanging && fiber->is_unwound && leave_wait(fiber, future)) {
        fiber->is_closing = true;
        return WEFT_ECLOSED;
    }
    if (is_hanging)
        model_wait(&fiber->woken);
    fiber_lock(fiber);
    fiber->awaits = NULL;
    bool is_cancelled = fiber->must_cancel;
    fiber->must_cancel = false;
    fiber_unlock(fiber);
    return is_cancelled ? -ECANCELED : weft_future_result(future, value_out);
}

/* Ask the fiber of thread `index` to stop, if it waits; one that is on its way out of the wait is told itself. */
static void cancel(unsigned index)
{
    struct model_fiber *fiber = &fibers[index];
    fiber_lock(fiber);
    struct weft_future *future = fiber->awaits == NULL ? NULL : weft_future_ref(fiber->awaits);
    fiber_unlock(fiber);
    if (future == NULL)
        return;
    if (!weft_future_cancel(future, "enough")) {
        fiber_lock(fiber);
        if (fiber->awaits == future)
            fiber->must_cancel = true;
        fiber_unlock(fiber);
    }
    weft_future_unref(future);
}

void work_ready_chain(struct worker *home, struct weft_work *first, struct weft_work *last, size_t count)
{
    struct model_fiber *fiber = weft_container_of(first, struct model_fiber, waiter.work);
    MODEL_CHECK(first == last && count == 1 && loop_of_worker(home) == fiber->waiter.loop);
    model_signal(&fiber->woken);
}

void work_ready_stealable(struct worker *home, struct weft_work *work)
{
    work_ready_chain(home, work, work, 1);
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

void weft_loop_call_exception_handler(struct weft_loop *loop, const struct weft_exception *exception)
{
    (void)loop, (void)exception;
    model_fail("nothing is to be reported");
}

void future_drop_callback(struct waiter *waiter)
{
    (void)waiter;
    model_fail("a future was destroyed under a waiter");
}

/* ---- a lock, and what it keeps ------------------------------------------------------------------------------------------------------ */

static struct weft_lock *lock;
static unsigned data;     /* plain: the holder's */
static unsigned is_given; /* how many have had it, by thread */

static void open_lock(void)
{
    MODEL_CHECK(weft_lock_new(&lock) == 0);
    for (unsigned i = 0; i < FIBERS; i++) {
        fibers[i].task.ops = &coro_task_ops;
        fibers[i].task.future.loop = &loops[i];
        fibers[i].waiter.loop = &loops[i];
        loops[i].execution.task = &fibers[i].task;
    }
}

static void open_held(void)
{
    open_lock();
    MODEL_CHECK(weft_lock_acquire(lock) == 0 && weft_lock_locked(lock));
    data++;
}

static void open_unwound(void)
{
    open_held();
    fibers[2].is_unwound = true;
}

static void use(void)
{
    data++;
    is_given |= 1u << model_thread();
}

static void use_and_release(void)
{
    use();
    MODEL_CHECK(weft_lock_release(lock) == 0);
}

/* One that nobody cancels. */
static void take_turn(void)
{
    MODEL_CHECK(weft_lock_acquire(lock) == 0);
    use_and_release();
}

static void take_two_turns(void)
{
    take_turn();
    take_turn();
}

/* One that may be told something else. */
static void try_turn(void)
{
    int status = weft_lock_acquire(lock);
    MODEL_CHECK(status == 0 || status == -ECANCELED || status == WEFT_ECLOSED);
    if (status == 0)
        use_and_release();
}

/* The second wait is where the first one's frame was. */
static void try_two_turns(void)
{
    try_turn();
    try_turn();
}

/* The holder of open_held(). */
static void release(void)
{
    data++;
    MODEL_CHECK(weft_lock_release(lock) == 0);
}

static void cancel_second(void)
{
    cancel(2);
}

static void cancel_second_and_take_turn(void)
{
    cancel(2);
    take_turn();
}

static void check_free(void)
{
    MODEL_CHECK(!weft_lock_locked(lock) && weft_lock_release(lock) == WEFT_ENOTLOCKED);
    weft_lock_unref(lock);
}

static void check_third_was_served(void)
{
    MODEL_CHECK((is_given & 1u << 3) != 0);
    check_free();
}

/* ---- tickets ---------------------------------------------------------------------------------------------------------------------------- */

static struct weft_future *draw_ticket(void)
{
    struct weft_future *turn;
    MODEL_CHECK(weft_lock_acquire_future(lock, &loops[model_thread()], &turn) == 0);
    return turn;
}

static void wait_with_ticket(void)
{
    struct weft_future *turn = draw_ticket();
    MODEL_CHECK(weft_await(turn, NULL) == 0);
    use_and_release();
    weft_future_unref(turn);
}

static void give_up_ticket(void)
{
    struct weft_future *turn = draw_ticket();
    MODEL_CHECK(weft_lock_give_up(turn) == 0);
    weft_future_unref(turn);
}

/* ---- the end of a lock -------------------------------------------------------------------------------------------------------------------- */

static void open_shared(void)
{
    open_lock();
    weft_lock_ref(lock);
}

static void take_turn_and_unref(void)
{
    take_turn();
    weft_lock_unref(lock);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

static void release_then_use(void)
{
    MODEL_CHECK(weft_lock_release(lock) == 0);
    data++;
}

/* Looks whether its turn has come, and then leaves. */
static void look_then_cancel(void)
{
    struct weft_future *turn = draw_ticket();
    if (weft_future_done(turn))
        MODEL_CHECK(weft_lock_release(lock) == 0);
    else
        (void)weft_future_cancel(turn, NULL);
    weft_future_unref(turn);
}

static const struct model models[] = {
    {.name = "two",
     .about = "two take turns, one of them twice: each sees what the last holder did, and nobody sleeps for ever",
     .setup = open_lock,
     .threads = {take_two_turns, take_turn},
     .check = check_free,
     .bound = 3},
    {.name = "three",
     .about = "three take turns",
     .setup = open_lock,
     .threads = {take_turn, take_turn, take_turn},
     .check = check_free,
     .bound = 2},
    {.name = "cancel",
     .about = "the holder releases while the one who waits is cancelled: it has the lock or has not, and leaves its frame to nobody",
     .setup = open_held,
     .threads = {release, try_turn, cancel_second},
     .check = check_free,
     .bound = 3},
    {.name = "cancel_again",
     .about = "one that was cancelled waits once more, where its canceller may have been a moment ago",
     .setup = open_held,
     .threads = {release, try_two_turns, cancel_second},
     .check = check_free,
     .bound = 2},
    {.name = "cancel_pass",
     .about = "a waiter is cancelled as its turn comes, or just after: the next one is served",
     .setup = open_held,
     .threads = {release, try_turn, cancel_second_and_take_turn},
     .check = check_third_was_served,
     .bound = 2},
    {.name = "cancel_between",
     .about = "the same with the next one and the canceller at once",
     .setup = open_held,
     .threads = {release, try_turn, take_turn, cancel_second},
     .check = check_third_was_served,
     .bound = 2,
     .random_runs = 2000},
    {.name = "unwound",
     .about = "a waiter is unwound as its turn comes: the next one is served, and the waker is not left in the frame",
     .setup = open_unwound,
     .threads = {release, try_turn, take_turn},
     .check = check_third_was_served,
     .bound = 2},
    {.name = "ticket",
     .about = "a fiber and one who has no stack wait for the holder",
     .setup = open_held,
     .threads = {release, wait_with_ticket, take_turn},
     .check = check_third_was_served,
     .bound = 2},
    {.name = "give_up",
     .about = "a ticket is given up as it is called: the lock is not lost",
     .setup = open_held,
     .threads = {release, give_up_ticket, take_turn},
     .check = check_third_was_served,
     .bound = 2},
    {.name = "unref",
     .about = "whoever lets go the last reference has seen what the others did",
     .setup = open_shared,
     .threads = {take_turn_and_unref, take_turn_and_unref},
     .bound = 3},
};

static const struct model broken[] = {
    {.name = "release_swapped",
     .about = "a holder that releases, and then writes",
     .setup = open_held,
     .threads = {release_then_use, take_turn},
     .check = check_free,
     .bound = 3},
    {.name = "give_up_swapped",
     .about = "one that looks whether its turn has come, and then cancels it",
     .setup = open_held,
     .threads = {release, look_then_cancel, take_turn},
     .check = check_free,
     .bound = 3},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/lock.c"}};
    return model_main(&suite, argc, argv);
}
