/*
 * Models of a fiber that waits with a deadline, or sleeps, while its timer fires, its future is completed and it is cancelled from outside.
 *
 * lib/task is real: sleep.c, fiber.c with its switch of stacks, place.c, task*.c and future.c, on the loops of stand_in.h. The loop's heap
 * is one timer; its time comes as a work that finds it armed, or stopped.
 */
#include <errno.h>

#include "lib/task/coro_task.h"
#include "lib/task/fiber.h"
#include "lib/task/job.h"
#include "lib/task/overflow.h"
#include "lib/task/stack.h"
#include "tests/model/checker.h"
#include "tests/model/stand_in.h"
#include "weft/memory.h"
#include "weft/timer.h"

enum { STACK_BYTES = 16384 };

/* ---- doubles: the heap --------------------------------------------------------------------------------------------------------------- */

static struct weft_timer *armed; /* plain: in a fiber's frame, and its loop's thread's */

void weft_timer_init(struct weft_timer *timer, struct weft_loop *loop, weft_callback_fn *fn, void *arg)
{
    *timer = (struct weft_timer){.loop = loop, .fn = fn, .arg = arg};
}

int weft_timer_start(struct weft_timer *timer, int64_t delay_ns)
{
    (void)delay_ns;
    MODEL_CHECK(loop_is_here(timer->loop));
    armed = timer;
    return 0;
}

bool weft_timer_stop(struct weft_timer *timer)
{
    MODEL_CHECK(loop_is_here(timer->loop));
    bool was_armed = armed == timer;
    armed = was_armed ? NULL : armed;
    return was_armed;
}

static int time_comes(struct weft_work *work)
{
    (void)work;
    struct weft_timer *timer = armed;
    armed = NULL;
    return timer == NULL ? 0 : timer->fn(timer->arg);
}

static struct weft_work time_work = {.run = time_comes};

/* ---- doubles: stacks, and what fibers have besides --------------------------------------------------------------------------------------- */

static struct stack the_stack;

void stack_pool_init(struct stack_pool *pool, const struct stack_options *options)
{
    (void)pool, (void)options;
}

size_t stack_pool_fini(struct stack_pool *pool)
{
    (void)pool;
    MODEL_CHECK(the_stack.low == NULL);
    return 0;
}

size_t stack_pool_live_count(struct stack_pool *pool)
{
    (void)pool;
    return the_stack.low != NULL;
}

int stack_acquire(struct stack_pool *pool, enum stack_class stack_class, struct stack **stack_out)
{
    (void)pool, (void)stack_class;
    the_stack.low = weft_aligned_alloc(64, STACK_BYTES);
    the_stack.bytes = STACK_BYTES;
    *stack_out = &the_stack;
    return 0;
}

void stack_release_remote(struct stack *stack)
{
    weft_free(stack->low);
    stack->low = NULL;
}

void stack_release(struct stack_pool *pool, struct stack *stack)
{
    (void)pool;
    stack_release_remote(stack);
}

uint32_t overflow_epoch;

void overflow_cover_thread(void)
{
}

int jobs_open(struct weft_loop *loop)
{
    (void)loop;
    return 0;
}

void jobs_end(struct fiber_jobs *jobs)
{
    (void)jobs;
}

void jobs_leave(struct fiber_jobs *jobs, bool is_ready)
{
    (void)jobs, (void)is_ready;
}

void jobs_show(struct fiber_jobs *jobs)
{
    (void)jobs;
}

int weft_loop_create_task(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options,
                          struct weft_task **task_out)
{
    (void)loop, (void)coro, (void)options, (void)task_out;
    return -ENOSYS;
}

int weft_loop_spawn(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, struct weft_task **task_out)
{
    return weft_loop_create_task(loop, coro, options, task_out);
}

int weft_current_task(struct weft_task **task_out)
{
    *task_out = weft_get_running_loop()->execution.task;
    return 0;
}

void future_drop_callback(struct waiter *waiter)
{
    (void)waiter;
}

/* ---- the scene ------------------------------------------------------------------------------------------------------------------------- */

static struct weft_task *task;
static struct weft_future *future;
static unsigned result;
static int outcome = 1; /* what the wait returned */
static bool was_told;   /* the canceller: it was accepted */

static int body_wait(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    void *value = NULL;
    outcome = weft_wait_for(future, 100, &value);
    MODEL_CHECK(outcome < 0 || *(unsigned *)value == 7);
    stand_in_end();
    return outcome == -ECANCELED ? outcome : 0;
}

static int body_sleep(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    outcome = weft_sleep(100);
    stand_in_end();
    return outcome == -ECANCELED ? outcome : 0;
}

/* The fiber has done its first step: it waits, with its timer armed. */
static void begin(weft_fiber_fn *body)
{
    struct weft_coro *coro;
    stand_in_count = 1;
    MODEL_CHECK(weft_loop_create_future(&stand_in_loops[0], &future) == 0);
    MODEL_CHECK(weft_fiber_new(body, NULL, NULL, &coro) == 0);
    task = stand_in_spawn(0, coro, false);
    stand_in_run_some(0, 1);
    MODEL_CHECK(armed != NULL && outcome == 1);
}

static void setup_wait(void)
{
    begin(body_wait);
}

static void setup_sleep(void)
{
    begin(body_sleep);
}

static void run_0(void)
{
    stand_in_run(0);
}

static void clock_ends(void)
{
    work_ready(&stand_in_loops[0].worker, &time_work);
}

static void complete(void)
{
    result = 7;
    (void)weft_future_set_result(future, &result);
}

static void cancel(void)
{
    was_told = weft_task_cancel(task, "enough");
}

/* The same from another loop. */
static int cancel_there(struct weft_work *work)
{
    (void)work;
    cancel();
    return 0;
}

static struct weft_work cancel_work = {.run = cancel_there};

static void run_1(void)
{
    work_ready(&stand_in_loops[1].worker, &cancel_work);
    stand_in_run_some(1, 1);
}

/* What is in the frame is let go: the timer does not fire, and nobody hangs on the future. */
static void check_end(void)
{
    MODEL_CHECK(armed == NULL && weft_future_done(&task->future));
    weft_task_unref(task);
    weft_future_unref(future);
    struct loop_room_state *state = stand_in_loops[0].rooms[LOOP_ROOM_FIBER];
    state->fini(&stand_in_loops[0], state);
    MODEL_CHECK(fiber_room_count() == 0);
}

/* With a deadline alone: the result, or a timeout that has cancelled what was waited for, and has taken its request back. */
static void check_wait(void)
{
    MODEL_CHECK(outcome == 0 || outcome == -ETIMEDOUT);
    MODEL_CHECK(weft_future_cancelled(future) ? outcome == -ETIMEDOUT : result == 7); /* at that moment it may have both */
    MODEL_CHECK(weft_task_cancelling(task) == 0);
    check_end();
}

/* A request from outside is no timeout, and is never taken back. */
static void check_cancelled(void)
{
    bool is_told = weft_future_cancelled(&task->future) || (coro_task(task)->state & TASK_MUST_CANCEL) != 0;
    MODEL_CHECK(outcome == 0 || outcome == -ETIMEDOUT || (outcome == -ECANCELED && was_told));
    MODEL_CHECK(weft_task_cancelling(task) == (was_told ? 1 : 0));
    MODEL_CHECK(is_told == was_told);
    check_end();
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

static int time_comes_unarmed(void *arg)
{
    unsigned *frame = arg;
    *frame += 1;
    return 0;
}

/* Leaves its frame, and stops no timer there. */
static int body_leaving(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    unsigned frame = 0;
    struct weft_timer timer;
    weft_timer_init(&timer, weft_get_running_loop(), time_comes_unarmed, &frame);
    (void)weft_timer_start(&timer, 100);
    outcome = weft_await_flags(future, WEFT_AWAIT_DETACH, NULL);
    stand_in_end();
    return 0;
}

static void setup_leaving(void)
{
    begin(body_leaving);
}

/* Fires the timer itself, in its own thread. */
static void clock_elsewhere(void)
{
    struct weft_timer *timer = armed;
    if (timer != NULL)
        (void)timer->fn(timer->arg);
}

static const struct model models[] = {
    {.name = "wait_for",
     .about = "a deadline passes as what is waited for is completed: a result or a timeout, and nothing is left in the frame",
     .setup = setup_wait,
     .threads = {run_0, clock_ends, complete},
     .check = check_wait,
     .bound = 2},
    {.name = "wait_for_cancelled",
     .about = "a deadline passes as the task is cancelled from outside, which is no timeout",
     .setup = setup_wait,
     .threads = {run_0, clock_ends, cancel},
     .check = check_cancelled,
     .bound = 2},
    {.name = "wait_for_completed_cancelled",
     .about = "a wait that is completed and cancelled at once, before its deadline",
     .setup = setup_wait,
     .threads = {run_0, complete, run_1},
     .check = check_cancelled,
     .bound = 2},
    {.name = "sleep_cancelled",
     .about = "a fiber's sleep ends as another loop cancels it: its timer and its future leave the frame first",
     .setup = setup_sleep,
     .threads = {run_0, clock_ends, run_1},
     .check = check_cancelled,
     .bound = 2},
};

static const struct model broken[] = {
    {.name = "leave_swapped",
     .about = "a frame that is left before its timer is stopped",
     .setup = setup_leaving,
     .threads = {run_0, clock_ends, complete},
     .check = check_end,
     .may_leak = true,
     .bound = 2},
    {.name = "clock_swapped",
     .about = "a timer that fires in another thread than its loop's",
     .setup = setup_sleep,
     .threads = {run_0, clock_elsewhere, cancel},
     .may_leak = true,
     .bound = 2},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken)};
    return model_main(&suite, argc, argv);
}
