/*
 * Models of a sleep: a timer fires, or its loop closes, while another loop cancels.
 *
 * lib/task/sleep.c and future.c are real. The loop's heap is one timer, which its thread fires, stops or abandons.
 */
#include <errno.h>

#include "lib/base/context.h"
#include "lib/loop/loop.h"
#include "lib/task/fiber.h"
#include "lib/task/future.h"
#include "lib/task/task.h"
#include "tests/model/checker.h"
#include "weft/context.h"
#include "weft/timer.h"

static struct weft_loop loops[2];
static _Thread_local struct weft_loop *running;
static struct weft_timer *armed; /* plain: the home's thread's */

/* ---- doubles ------------------------------------------------------------------------------------------------------------------------ */

void weft_timer_init(struct weft_timer *timer, struct weft_loop *loop, weft_callback_fn *fn, void *arg)
{
    *timer = (struct weft_timer){.loop = loop, .fn = fn, .arg = arg};
}

int weft_timer_start(struct weft_timer *timer, int64_t delay_ns)
{
    (void)delay_ns;
    armed = timer;
    return 0;
}

bool weft_timer_stop(struct weft_timer *timer)
{
    MODEL_CHECK(running == timer->loop);
    bool was_armed = armed == timer;
    armed = was_armed ? NULL : armed;
    return was_armed;
}

int loop_check(const struct weft_loop *loop)
{
    (void)loop;
    return 0;
}

bool loop_is_here(const struct weft_loop *loop)
{
    return running == loop;
}

struct weft_loop *weft_get_running_loop(void)
{
    return running;
}

struct weft_loop *weft_loop_ref(struct weft_loop *loop)
{
    return loop;
}

void weft_loop_unref(struct weft_loop *loop)
{
    (void)loop;
}

void weft_loop_call_exception_handler(struct weft_loop *loop, const struct weft_exception *exception)
{
    (void)loop, (void)exception;
    model_fail("nothing is to be reported");
}

struct weft_context *context_swap_current(struct weft_context *context)
{
    return context;
}

void weft_context_unref(struct weft_context *context)
{
    (void)context;
}

void future_drop_callback(struct waiter *waiter)
{
    (void)waiter;
}

/* Who waits: one waiter, with its token. */
static struct waiter waiter;
static struct model_token woken;
static unsigned wake_count;

void work_ready_chain(struct worker *home, struct weft_work *first, struct weft_work *last, size_t count)
{
    MODEL_CHECK(loop_of_worker(home) == &loops[1] && first == &waiter.work && first == last && count == 1);
    wake_count++;
    model_signal(&woken);
}

void work_ready_stealable(struct worker *home, struct weft_work *work)
{
    work_ready_chain(home, work, work, 1);
}

/* What a fiber's sleep needs: no fiber is here. */
bool fiber_is_here(void)
{
    return false;
}

int fiber_await_frame(struct weft_future *future)
{
    (void)future;
    return 0;
}

struct weft_task *fiber_hold_here(void)
{
    return NULL;
}

void task_unhold(struct weft_task *task)
{
    (void)task;
}

int weft_yield(void)
{
    return 0;
}

int weft_await(struct weft_future *future, void **value_out)
{
    (void)future, (void)value_out;
    return 0;
}

int weft_current_task(struct weft_task **task_out)
{
    *task_out = NULL;
    return 0;
}

bool weft_task_cancel(struct weft_task *task, const char *message)
{
    (void)task, (void)message;
    return false;
}

int weft_task_cancelling(const struct weft_task *task)
{
    (void)task;
    return 0;
}

int weft_task_uncancel(struct weft_task *task)
{
    (void)task;
    return 0;
}

/* ---- a sleep -------------------------------------------------------------------------------------------------------------------------- */

static struct weft_future *sleep_future;
static bool was_cancelled;

static void setup(void)
{
    running = &loops[0];
    MODEL_CHECK(weft_loop_sleep(&loops[0], 1, &sleep_future) == 0);
    running = NULL;
    waiter.loop = &loops[1];
    MODEL_CHECK(future_add_waiter(sleep_future, &waiter));
}

static void setup_two_refs(void)
{
    setup();
    weft_future_ref(sleep_future);
}

/* The home's thread, to which the timer's time comes. */
static void fire(void)
{
    running = &loops[0];
    struct weft_timer *timer = armed;
    if (timer != NULL) {
        armed = NULL;
        MODEL_CHECK(timer->fn(timer->arg) == 0);
    }
    running = NULL;
}

/* The home closes instead. */
static void abandon(void)
{
    running = &loops[0];
    struct weft_timer *timer = armed;
    if (timer != NULL) {
        armed = NULL;
        timer->abandon(timer);
    }
    running = NULL;
}

/* A canceller in the home's thread itself, before the time comes, or behind it. */
static void cancel_here(void)
{
    running = &loops[0];
    was_cancelled = weft_future_cancel(sleep_future, "enough");
    weft_future_unref(sleep_future);
    running = NULL;
    fire();
}

static void cancel_elsewhere(void)
{
    running = &loops[1];
    was_cancelled = weft_future_cancel(sleep_future, "enough");
    weft_future_unref(sleep_future);
    running = NULL;
}

/* The waiter's loop. */
static void wake(void)
{
    running = &loops[1];
    model_wait(&woken);
    int status = weft_future_result(sleep_future, NULL);
    MODEL_CHECK(status == 0 || status == -ECANCELED);
    weft_future_unref(sleep_future);
    running = NULL;
}

static void check(void)
{
    MODEL_CHECK(wake_count == 1 && armed == NULL);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* A canceller that stops the timer in the home's place. */
static void cancel_and_stop(void)
{
    running = &loops[0];
    was_cancelled = weft_future_cancel(sleep_future, "enough");
    weft_future_unref(sleep_future);
    running = NULL;
}

static const struct model models[] = {
    {.name = "fire",
     .about = "a timer fires while another loop cancels: one of them ends the sleep, and the timer's reference goes once",
     .setup = setup_two_refs,
     .threads = {fire, cancel_elsewhere, wake},
     .check = check},
    {.name = "abandon",
     .about = "the home closes while another loop cancels",
     .setup = setup_two_refs,
     .threads = {abandon, cancel_elsewhere, wake},
     .check = check},
    {.name = "here",
     .about = "who cancels in the home's thread stops the timer, and the sleep goes with its waiter",
     .setup = setup_two_refs,
     .threads = {cancel_here, wake},
     .check = check},
};

static const struct model broken[] = {
    {.name = "stop_swapped",
     .about = "a canceller elsewhere that touches the home's timer",
     .setup = setup_two_refs,
     .threads = {fire, cancel_and_stop, wake},
     .check = check},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/sleep.c"}};
    return model_main(&suite, argc, argv);
}
