/*
 * Fiber: the coroutine that has a stack.
 *
 * A task drives it through send, which switches to the fiber's stack until that suspends or returns. The stack comes from the pool of
 * the loop that first runs it, and goes back when its body has returned. The invariant: `room->current` is the fiber whose stack the
 * loop's thread runs on, NULL on the thread's own.
 */
#include "lib/task/fiber.h"

#include <errno.h>

#include "lib/base/thread.h"
#include "lib/loop/loop.h"
#include "lib/task/coro_task.h"
#include "lib/task/future.h"
#include "lib/task/job.h"
#include "lib/task/overflow.h"
#include "lib/task/park.h"
#include "lib/task/stack.h"
#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

/* A body that goes on waiting after it was told that its loop has closed is given up, with its stack, after so many times. */
enum { CLOSING_WAITS_MAX = 1000 };

/* What `refs` of a room has too many while the loop is there: only as that ends can the last one go. */
#define ROOM_CLAIMED (UINT32_C(1) << 30)

/*
 * What a loop keeps for its fibers. It outlives the loop while a fiber of it is let go elsewhere: `refs` and `refs_here` add up to the
 * stacks in use, the latter counted by the loop's thread, which needs no locked instruction for it.
 */
struct fiber_room {
    struct loop_room_state state; /* first */
    struct stack_pool pool;
    struct fiber_context thread_context; /* of the thread that runs the loop */
    uint64_t thread;                     /* its number; 0: none yet */
    uint32_t overflow_epoch;             /* for which the thread is covered */
    bool is_closed;                      /* the loop is gone: stacks go back the remote way */
    struct fiber *current;
    uint32_t refs_here;
    uint32_t refs; /* atomic */
};

struct fiber {
    struct weft_coro coro; /* first */
    weft_fiber_fn *fn;
    void *arg;
    void *result;
    struct weft_suspend *suspend;
    struct fiber_room *room; /* NULL before the first send and after the end */
    struct stack *stack;
    struct fiber_context context;
    struct fiber_context *caller; /* whom to go back to */
    int status;                   /* in: what the wait returns. Out: what send returns */
    struct fiber_jobs *jobs;      /* NULL before the first fork and after the end */
    enum weft_stack_class stack_class;
    int closing_waits; /* above 0: it is being closed */
    bool has_forked;
    bool is_over;
};

/* Rooms that live, for conservation checks: one that outlives its loop has a stack in use. */
static uint64_t room_count;

uint64_t fiber_room_count(void)
{
    return weft_atomic_load_relaxed(&room_count);
}

static void room_unref(struct fiber_room *room, uint32_t count)
{
    /* Acq_rel. Pairs with itself: whoever frees sees the stacks that came back. */
    if (weft_atomic_sub_acq_rel(&room->refs, count) != count)
        return;
    (void)stack_pool_fini(&room->pool);
    (void)weft_atomic_sub_relaxed(&room_count, 1);
    weft_free(room);
}

static void room_fini(struct weft_loop *loop, struct loop_room_state *state)
{
    (void)loop;
    struct fiber_room *room = (struct fiber_room *)state;
    room->is_closed = true;
    room_unref(room, ROOM_CLAIMED - room->refs_here);
}

/* The first time that it is wanted. Apart, so that a send saves no registers for it. */
__attribute__((noinline)) static struct fiber_room *room_make(struct weft_loop *loop)
{
    struct fiber_room *room = weft_calloc(1, sizeof(*room));
    if (room == NULL)
        return NULL;
    room->state = (struct loop_room_state){.fini = room_fini};
    room->refs = ROOM_CLAIMED;
    (void)weft_atomic_add_relaxed(&room_count, 1);
    stack_pool_init(&room->pool, NULL);
    loop_room_set(loop, LOOP_ROOM_FIBER, &room->state);
    return room;
}

static inline struct fiber_room *fiber_room(struct weft_loop *loop)
{
    struct fiber_room *room = (struct fiber_room *)loop_room(loop, LOOP_ROOM_FIBER);
    return room != NULL ? room : room_make(loop);
}

int fiber_open(struct weft_loop *loop)
{
    return fiber_room(loop) == NULL ? -ENOMEM : jobs_open(loop);
}

static struct fiber_room *room_here(void)
{
    struct weft_loop *loop = loop_here();
    return loop == NULL ? NULL : (struct fiber_room *)loop_room(loop, LOOP_ROOM_FIBER);
}

static struct fiber *fiber_here(void)
{
    struct fiber_room *room = room_here();
    return room == NULL ? NULL : room->current;
}

bool fiber_is_here(void)
{
    return fiber_here() != NULL;
}

static inline bool is_fiber_of(const struct fiber *fiber, const struct weft_task *task)
{
    return fiber != NULL && is_coro_task(task) && ((const struct coro_task *)task)->coro == &fiber->coro;
}

bool fiber_is_of(const struct weft_task *task)
{
    return is_fiber_of(fiber_here(), task);
}

size_t fiber_stack_count(struct weft_loop *loop)
{
    struct fiber_room *room = (struct fiber_room *)loop_room(loop, LOOP_ROOM_FIBER);
    return room == NULL ? 0 : stack_pool_live_count(&room->pool);
}

/* ---- switching ------------------------------------------------------------------------------------------------------------------ */

static void fiber_main(void *arg)
{
    struct fiber *fiber = arg;
    fiber->status = fiber->fn(fiber->arg, &fiber->result);
    if (fiber->jobs != NULL) {
        int status = fiber->status; /* waits for what is stolen write it too */
        jobs_end(fiber->jobs);
        fiber->jobs = NULL;
        fiber->status = status;
    }
    fiber->is_over = true;
    fiber_context_exit_to(fiber->caller);
}

/* A number that no thread has had before, as a pthread_t may. */
THREAD_LOCAL_ACCESSOR static uint64_t thread_number(void)
{
    static uint64_t count;
    static _Thread_local uint64_t number __attribute__((tls_model("initial-exec")));
    thread_local_barrier();
    if (number == 0)
        number = weft_atomic_add_relaxed(&count, 1) + 1;
    return number;
}

/* The context of the stack that this thread runs on, to come back to. */
static struct fiber_context *context_here(struct fiber_room *room)
{
    if (room->current != NULL)
        return &room->current->context;
    uint64_t thread = thread_number();
    if (room->thread != thread || room->overflow_epoch != weft_atomic_load_relaxed(&overflow_epoch)) {
        fiber_context_init_thread(&room->thread_context);
        /* Acquire: whether the handler is installed, by this install or a later one, which has an epoch of its own. Pairs with the release
         * in install_all(). */
        room->overflow_epoch = weft_atomic_load_acquire(&overflow_epoch);
        overflow_cover_thread();
        room->thread = thread;
    }
    return &room->thread_context;
}

__attribute__((noinline)) static int fiber_start(struct fiber *fiber, struct fiber_room *room)
{
    int status = stack_acquire(&room->pool, (enum stack_class)fiber->stack_class, &fiber->stack);
    if (status < 0)
        return status;
    room->refs_here++;
    fiber->room = room;
    stack_context_init(fiber->stack, &fiber->context, fiber_main, fiber);
    return 0;
}

static void fiber_release_stack(struct fiber *fiber)
{
    struct fiber_room *room = fiber->room;
    struct stack *stack = fiber->stack;
    fiber->stack = NULL;
    fiber->room = NULL;
    if (room == room_here() && !room->is_closed) {
        stack_release(&room->pool, stack);
        room->refs_here--;
    } else {
        stack_release_remote(stack);
        room_unref(room, 1);
    }
}

/*
 * Run the fiber until it suspends or is over, or until another does that it has passed its turn on to. `room` is that of the loop that runs
 * here.
 *
 * returns: who came back. If he is over, his stack has gone back
 */
static inline struct fiber *fiber_resume(struct fiber *fiber, struct fiber_room *room)
{
    struct fiber *outer = room->current;
    struct fiber_context *caller = context_here(room);
    fiber->caller = caller;
    room->current = fiber;
    if (fiber->jobs != NULL)
        jobs_show(fiber->jobs);
    fiber_context_switch(caller, &fiber->context);
    fiber = room->current;
    room->current = outer;
    if (fiber->has_forked)
        jobs_show(outer == NULL ? NULL : outer->jobs);
    if (fiber->is_over)
        fiber_release_stack(fiber);
    return fiber;
}

static int fiber_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    struct fiber *fiber = weft_container_of(coro, struct fiber, coro);
    if (fiber->is_over)
        return WEFT_ECLOSED; /* it was finished where another one needed it to be */
    if (fiber->room == NULL && status < 0)
        return status;
    struct fiber_room *room = fiber_room(loop_here()); /* which a thief may not have yet */
    if (room == NULL)
        return -ENOMEM;
    if (fiber->room == NULL) {
        int started = fiber_start(fiber, room);
        if (started < 0)
            return started;
    }
    fiber->suspend = suspend_out;
    fiber->status = status;
    fiber = fiber_resume(fiber, room);
    if (!fiber->is_over)
        return fiber->status;
    suspend_out->value = fiber->result;
    return fiber->status > 0 ? WEFT_CORO_RETURN : fiber->status;
}

/* What a fiber that has jobs, or is being closed, does before it suspends. False if it does not. */
__attribute__((noinline)) static bool fiber_may_leave(struct fiber *fiber, int how)
{
    if (fiber->closing_waits > 0)
        return ++fiber->closing_waits >= CLOSING_WAITS_MAX;
    if (!fiber->jobs->is_joining)
        jobs_leave(fiber->jobs, how == WEFT_CORO_YIELD);
    return true;
}

/*
 * Leave the fiber with `how`; what is raised where it goes on. Inlined: each return between a switch and the user's code is one that the
 * processor foresees wrongly, and so is its counterpart on the other side.
 */
__attribute__((always_inline)) static inline int fiber_suspend(struct fiber *fiber, int how, struct weft_future *future, uint32_t flags)
{
    if ((fiber->jobs != NULL || fiber->closing_waits > 0) && !fiber_may_leave(fiber, how))
        return WEFT_ECLOSED;
    *fiber->suspend = (struct weft_suspend){.future = future, .flags = flags};
    fiber->status = how;
    fiber_context_switch(&fiber->context, fiber->caller);
    return fiber->status;
}

/* The fiber that is unwound in this thread where no loop runs: it still has jobs to join. Others it cannot have. */
static _Thread_local struct fiber *unwound_here __attribute__((tls_model("initial-exec")));

THREAD_LOCAL_ACCESSOR static struct fiber *unwound_get(void)
{
    thread_local_barrier();
    return unwound_here;
}

THREAD_LOCAL_ACCESSOR static void unwound_set(struct fiber *fiber)
{
    thread_local_barrier();
    unwound_here = fiber;
}

/* Have a body that waits return: its wait, and each one after it, returns WEFT_ECLOSED. */
static void fiber_unwind(struct fiber *fiber)
{
    struct weft_loop *loop = weft_get_running_loop();
    struct fiber_room *room = loop == NULL ? NULL : fiber_room(loop);
    struct fiber_room elsewhere = {.thread = 0}; /* no loop runs here: a stand-in to switch from; waits then return WEFT_ENOFIBER */
    struct weft_suspend given_up;
    fiber->suspend = &given_up;
    fiber->closing_waits = 1;
    fiber->status = WEFT_ECLOSED;
    struct fiber *outer = unwound_get();
    unwound_set(loop == NULL ? fiber : NULL);
    (void)fiber_resume(fiber, room == NULL ? &elsewhere : room);
    unwound_set(outer);
}

void fiber_finish(struct weft_coro *coro)
{
    struct fiber *fiber = weft_container_of(coro, struct fiber, coro);
    if (fiber->room != NULL)
        fiber_unwind(fiber);
}

static void fiber_close(struct weft_coro *coro)
{
    struct fiber *fiber = weft_container_of(coro, struct fiber, coro);
    if (fiber->room != NULL)
        fiber_unwind(fiber);
    if (fiber->room == NULL)
        coro_free(coro);
    /* else it would not return: its stack may be referred to, so it is kept for good */
}

const struct weft_coro_ops fiber_ops = {.size = sizeof(fiber_ops), .send = fiber_send, .close = fiber_close};

/* ---- for jobs ---------------------------------------------------------------------------------------------------------------------- */

struct fiber *fiber_current(void)
{
    struct fiber *fiber = fiber_here();
    return fiber != NULL ? fiber : unwound_get();
}

struct fiber_jobs *fiber_jobs(const struct fiber *fiber)
{
    return fiber->jobs;
}

void fiber_set_jobs(struct fiber *fiber, struct fiber_jobs *jobs)
{
    fiber->jobs = jobs;
    fiber->has_forked = true;
}

bool fiber_is_closing(const struct fiber *fiber)
{
    return fiber->closing_waits > 0;
}

int fiber_prepare(struct weft_coro *coro, struct fiber_jobs *jobs)
{
    struct fiber *fiber = weft_container_of(coro, struct fiber, coro);
    struct fiber_room *room = fiber_room(weft_get_running_loop());
    int status = room == NULL ? -ENOMEM : fiber_start(fiber, room);
    if (status < 0)
        return status;
    fiber_set_jobs(fiber, jobs);
    jobs->fiber = fiber;
    return 0;
}

int fiber_wait(struct fiber *fiber, struct weft_future *future)
{
    return fiber_suspend(fiber, WEFT_CORO_AWAIT, future, 0);
}

/* ---- the public calls ------------------------------------------------------------------------------------------------------------- */

static bool is_stack_class(enum weft_stack_class stack_class)
{
    return (unsigned)stack_class < STACK_CLASS_COUNT;
}

int weft_fiber_new(weft_fiber_fn *fn, void *arg, const struct weft_fiber_options *options, struct weft_coro **coro_out)
{
    if (fn == NULL || coro_out == NULL)
        return -EINVAL;
    if (options != NULL && (options->size < sizeof(*options) || !is_stack_class(options->stack)))
        return -EINVAL;
    struct fiber *fiber = (struct fiber *)coro_new(sizeof(*fiber));
    if (fiber == NULL)
        return -ENOMEM;
    *fiber = (struct fiber){.coro = {&fiber_ops}, .fn = fn, .arg = arg};
    fiber->stack_class = options == NULL ? WEFT_STACK_SMALL : options->stack;
    *coro_out = &fiber->coro;
    return 0;
}

int weft_loop_create_fiber(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_task **task_out)
{
    struct weft_coro *coro;
    int status = weft_fiber_new(fn, arg, NULL, &coro);
    return status < 0 ? status : weft_loop_create_task(loop, coro, NULL, task_out);
}

int weft_await_flags(struct weft_future *future, uint32_t flags, void **value_out)
{
    struct fiber *fiber = fiber_here();
    if (fiber == NULL)
        return WEFT_ENOFIBER;
    if (future == NULL)
        return -EINVAL;
    if (!weft_future_done(future)) {
        int status = fiber_suspend(fiber, WEFT_CORO_AWAIT, future, flags);
        if (status < 0)
            return status;
    }
    return weft_future_result(future, value_out);
}

int weft_await(struct weft_future *future, void **value_out)
{
    return weft_await_flags(future, 0, value_out);
}

int fiber_await_frame(struct weft_future *future)
{
    int status = weft_await_flags(future, WEFT_AWAIT_DETACH, NULL);
    /* Pairs with the acq_rel in future_unref_is_last(): what others did to the future is done. */
    while (weft_atomic_load_acquire(&future->refs) > 1) {
        (void)future_complete(future, FUTURE_CANCELLED, -ECANCELED, NULL); /* a callback that still hangs there is to come and go */
        int raised = weft_yield();
        if (raised == WEFT_ECLOSED)
            return raised; /* a closing loop runs no callback, and has dropped those that hung */
        status = raised < 0 && status >= 0 ? raised : status;
    }
    return status;
}

/* True if all that the fiber does where it comes and goes is the switch. */
static bool is_plain(const struct fiber *fiber)
{
    return fiber->jobs == NULL && !fiber->has_forked && fiber->closing_waits == 0;
}

/*
 * The fiber that is next in this snapshot, if `fiber`, which yields, may go on as it at once, without a switch to the loop and back; it is
 * the current one then.
 */
static struct fiber *fiber_pass_turn(struct fiber *fiber, struct fiber_room *room, struct weft_loop *loop)
{
    struct coro_task *task = coro_room(&fiber->coro);
    if (coro_block(task) != CORO_SHARED || !is_plain(fiber))
        return NULL; /* it may be somebody else's to send to */
    struct coro_task *next_task = task_next_in_turn(loop, task, fiber->suspend);
    if (next_task == NULL || next_task->coro->ops != &fiber_ops)
        return NULL;
    struct fiber *next = weft_container_of(next_task->coro, struct fiber, coro);
    if (next->room == NULL || next->is_over || !is_plain(next))
        return NULL;
    task_pass_turn(loop, task, next_task, fiber->suspend);
    next->suspend = fiber->suspend;
    next->status = 0;
    next->caller = fiber->caller;
    room->current = next;
    return next;
}

int weft_yield(void)
{
    struct weft_loop *loop = loop_here();
    struct fiber_room *room = loop == NULL ? NULL : (struct fiber_room *)loop_room(loop, LOOP_ROOM_FIBER);
    struct fiber *fiber = room == NULL ? NULL : room->current;
    if (fiber == NULL)
        return WEFT_ENOFIBER;
    struct fiber *next = fiber_pass_turn(fiber, room, loop);
    if (next == NULL)
        return fiber_suspend(fiber, WEFT_CORO_YIELD, NULL, 0);
    fiber_context_switch(&fiber->context, &next->context);
    return fiber->status;
}

int fiber_pause(void)
{
    struct fiber *fiber = fiber_here();
    return fiber == NULL ? WEFT_ENOFIBER : fiber_suspend(fiber, WEFT_CORO_YIELD, NULL, TASK_SHIELDED);
}

/* ---- parking, see park.h ------------------------------------------------------------------------------------------------------------ */

/* A third party's task would not know what to do with a suspension that names no future. */
__attribute__((noinline)) static int park_on_future(struct park *park, struct weft_loop *loop)
{
    future_setup_frame(&park->future, loop);
    int status = fiber_await_frame(&park->future);
    future_fini_frame(&park->future);
    return status;
}

int park_wait(struct park *park, struct weft_loop *loop)
{
    struct weft_task *task = task_get_current(loop);
    struct fiber_room *room = (struct fiber_room *)loop_room(loop, LOOP_ROOM_FIBER);
    struct fiber *fiber = room == NULL ? NULL : room->current;
    bool is_ours = is_fiber_of(fiber, task);
    park->task = is_ours ? coro_task(task) : NULL;
    task_hold(task, loop);
    int status = is_ours ? fiber_suspend(fiber, WEFT_CORO_AWAIT, NULL, TASK_PARKS) : park_on_future(park, loop);
    task_unhold(task);
    return status;
}
