/*
 * Models of a fiber's two counts: of the room that its stack came from, and of a future in its frame.
 *
 * lib/task/fiber.c and future.c are real, and so is the switch of stacks. Nobody drives the fiber but the model: each thread is a loop, and
 * sends where a task would.
 */
#include <errno.h>

#include "lib/base/context.h"
#include "lib/loop/loop.h"
#include "lib/task/coro_task.h"
#include "lib/task/fiber.h"
#include "lib/task/future.h"
#include "lib/task/job.h"
#include "lib/task/overflow.h"
#include "lib/task/stack.h"
#include "tests/model/checker.h"
#include "weft/context.h"
#include "weft/memory.h"

enum { LOOPS = 2, STACKS = 2, STACK_BYTES = 16384 };

static struct weft_loop loops[LOOPS];
static _Thread_local struct weft_loop *running;

/* ---- doubles ------------------------------------------------------------------------------------------------------------------------ */

static struct stack stacks[STACKS];
static unsigned live_stacks; /* plain: whoever frees the pool has seen the stacks come back */
static unsigned fini_count;

void stack_pool_init(struct stack_pool *pool, const struct stack_options *options)
{
    (void)pool, (void)options;
}

size_t stack_pool_fini(struct stack_pool *pool)
{
    (void)pool;
    fini_count++;
    MODEL_CHECK(live_stacks == 0);
    return 0;
}

size_t stack_pool_live_count(struct stack_pool *pool)
{
    (void)pool;
    return live_stacks;
}

int stack_acquire(struct stack_pool *pool, enum stack_class stack_class, struct stack **stack_out)
{
    (void)pool, (void)stack_class;
    struct stack *stack = &stacks[live_stacks++];
    stack->low = weft_aligned_alloc(64, STACK_BYTES);
    stack->bytes = STACK_BYTES;
    *stack_out = stack;
    return 0;
}

void stack_release_remote(struct stack *stack)
{
    weft_free(stack->low);
    live_stacks--;
}

void stack_release(struct stack_pool *pool, struct stack *stack)
{
    (void)pool;
    stack_release_remote(stack);
}

uint32_t overflow_epoch;
static uint32_t is_installed; /* atomic */
static bool is_covered;

void overflow_cover_thread(void)
{
    is_covered = weft_atomic_load_relaxed(&is_installed) != 0;
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

struct worker *worker_current(void)
{
    return &running->worker;
}

struct weft_loop *weft_get_running_loop(void)
{
    return running;
}

struct coro_task *task_next_in_turn(struct weft_loop *loop, const struct coro_task *task, struct weft_suspend *suspend)
{
    (void)loop, (void)task, (void)suspend;
    return NULL;
}

void task_pass_turn(struct weft_loop *loop, struct coro_task *task, struct coro_task *next, struct weft_suspend *suspend)
{
    (void)loop, (void)task, (void)next, (void)suspend;
}

void task_hold(struct weft_task *task, struct weft_loop *loop)
{
    (void)task, (void)loop;
}

void task_unhold(struct weft_task *task)
{
    (void)task;
}

const struct weft_task_ops coro_task_ops;

struct weft_loop *weft_loop_ref(struct weft_loop *loop)
{
    return loop;
}

void weft_loop_unref(struct weft_loop *loop)
{
    (void)loop;
}

int weft_loop_create_task(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options,
                          struct weft_task **task_out)
{
    (void)loop, (void)coro, (void)options, (void)task_out;
    return -ENOSYS;
}

void weft_loop_call_exception_handler(struct weft_loop *loop, const struct weft_exception *exception)
{
    (void)loop, (void)exception;
}

void weft_context_unref(struct weft_context *context)
{
    (void)context;
}

struct weft_context *context_swap_current(struct weft_context *context)
{
    return context;
}

void future_drop_callback(struct waiter *waiter)
{
    (void)waiter;
}

static struct model_token woken;

void work_ready_chain(struct worker *home, struct weft_work *first, struct weft_work *last, size_t count)
{
    (void)home, (void)first, (void)last, (void)count;
    model_signal(&woken);
}

void work_ready_stealable(struct worker *home, struct weft_work *work)
{
    work_ready_chain(home, work, work, 1);
}

/* ---- sending ------------------------------------------------------------------------------------------------------------------------ */

static struct weft_coro *fiber;
static struct waiter waiter;

/* One step, as loop `index`; what it came back with. */
static int send_as(unsigned index, struct weft_suspend *suspend_out)
{
    running = &loops[index];
    int how = fiber->ops->send(fiber, 0, suspend_out);
    running = NULL;
    return how;
}

/* All steps to the end, waiting where it waits. */
static void send_all(unsigned index)
{
    struct weft_suspend suspend = {.future = NULL};
    int how;
    waiter.loop = &loops[index];
    while ((how = send_as(index, &suspend)) != WEFT_CORO_RETURN)
        if (how == WEFT_CORO_YIELD)
            weft_atomic_pause();
        else if (future_add_waiter(suspend.future, &waiter))
            model_wait(&woken);
    fiber->ops->close(fiber);
}

static void end_room(unsigned index)
{
    struct loop_room_state *state = weft_atomic_exchange_acquire(&loops[index].rooms[LOOP_ROOM_FIBER], NULL);
    if (state != NULL)
        state->fini(&loops[index], state);
}

static void make(weft_fiber_fn *fn)
{
    for (unsigned i = 0; i < LOOPS; i++)
        MODEL_CHECK(fiber_open(&loops[i]) == 0);
    MODEL_CHECK(weft_fiber_new(fn, NULL, NULL, &fiber) == 0);
}

/* ---- the room ----------------------------------------------------------------------------------------------------------------------- */

static struct model_token suspended;

static int yield_once(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return weft_yield();
}

static void room_setup(void)
{
    make(yield_once);
}

/* Begins the fiber, hands it over, and closes its loop. */
static void begin_and_close(void)
{
    struct weft_suspend suspend;
    MODEL_CHECK(send_as(0, &suspend) == WEFT_CORO_YIELD);
    model_signal(&suspended);
    end_room(0);
}

static void end_elsewhere(void)
{
    model_wait(&suspended);
    send_all(1);
}

static void room_check(void)
{
    end_room(1);
    MODEL_CHECK(fini_count == 2 && fiber_room_count() == 0);
}

/* ---- its thread --------------------------------------------------------------------------------------------------------------------- */

static struct model_token installed;

static void install(void)
{
    weft_atomic_store_relaxed(&is_installed, 1);
    (void)weft_atomic_add_release(&overflow_epoch, 1); /* as install_all() in lib/task/overflow.c */
    model_signal(&installed);
}

static void send_before_and_after(void)
{
    struct weft_suspend suspend;
    MODEL_CHECK(send_as(0, &suspend) == WEFT_CORO_YIELD);
    model_wait(&installed);
    MODEL_CHECK(send_as(0, &suspend) == WEFT_CORO_RETURN);
    MODEL_CHECK(is_covered);
    fiber->ops->close(fiber);
}

static void cover_check(void)
{
    end_room(0);
    end_room(1);
}

/* ---- a future in its frame ------------------------------------------------------------------------------------------------------------ */

static struct weft_future *in_frame;

/* The frame is used again as soon as the wait returns. */
static int wait_in_frame(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    struct weft_future *frame = in_frame;
    int status = fiber_await_frame(frame);
    weft_future_fini(frame);
    frame->state = 0;
    MODEL_CHECK(status == 0 || status == -ECANCELED);
    return 0;
}

/* It lies in memory that the checker watches, and two others have a reference, as who cancels the task has for a moment. */
static void frame_setup(void)
{
    make(wait_in_frame);
    in_frame = weft_calloc(1, sizeof(*in_frame));
    future_setup(in_frame, &loops[0], NULL, 0);
    weft_future_ref(weft_future_ref(in_frame));
}

static void send_here(void)
{
    send_all(0);
}

static void complete_and_unref(void)
{
    (void)future_complete(in_frame, FUTURE_FINISHED, 0, NULL);
    weft_future_unref(in_frame);
}

static void look_and_unref(void)
{
    (void)weft_future_result(in_frame, NULL);
    weft_future_unref(in_frame);
}

static void frame_check(void)
{
    weft_free(in_frame);
    end_room(0);
    end_room(1);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Leaves the frame as soon as the future is done. */
static int leave_at_once(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    struct weft_future *frame = in_frame;
    (void)weft_await_flags(frame, WEFT_AWAIT_DETACH, NULL);
    weft_future_fini(frame);
    return 0;
}

static void leave_setup(void)
{
    frame_setup();
    fiber->ops->close(fiber);
    MODEL_CHECK(weft_fiber_new(leave_at_once, NULL, NULL, &fiber) == 0);
}

static const struct model models[] = {
    {.name = "room",
     .about = "a fiber that ends on another loop while the one that it began on closes: the room goes after both",
     .setup = room_setup,
     .threads = {begin_and_close, end_elsewhere},
     .check = room_check},
    {.name = "cover",
     .about = "a thread that runs a fiber beside an install is covered by the next run after it",
     .setup = room_setup,
     .threads = {send_before_and_after, install},
     .check = cover_check},
    {.name = "frame",
     .about = "the frame that a future lives in is left when nobody has a reference, and after what they did",
     .setup = frame_setup,
     .threads = {send_here, complete_and_unref, look_and_unref},
     .check = frame_check,
     .bound = 2},
};

static const struct model broken[] = {
    {.name = "frame_swapped",
     .about = "a frame that is left when its future is done",
     .setup = leave_setup,
     .threads = {send_here, complete_and_unref, look_and_unref},
     .may_leak = true},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/fiber.c"}};
    return model_main(&suite, argc, argv);
}
