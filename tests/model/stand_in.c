/*
 * Stand-ins for loops: what lib/task calls, with as few steps as it can have.
 */
#include "tests/model/stand_in.h"

#include "lib/base/context.h"
#include "lib/task/coro_task.h"
#include "tests/model/checker.h"
#include "weft/context.h"
#include "weft/memory.h"

struct weft_loop stand_in_loops[STAND_IN_LOOPS];
unsigned stand_in_count = 2;
unsigned stand_in_reports;

static struct model_token tokens[STAND_IN_LOOPS];
static uint32_t is_over; /* atomic */
static struct task_room rooms[STAND_IN_LOOPS];
static _Thread_local struct weft_loop *running;

/* ---- the door --------------------------------------------------------------------------------------------------------------------- */

static void hand_over(struct worker *home, struct weft_work *first, struct weft_work *last)
{
    if (inbox_push(&home->inbox, first, last) == INBOX_CLOSED)
        model_fail("a work came to a closed loop");
    model_signal(&tokens[loop_of_worker(home) - stand_in_loops]);
}

void work_ready(struct worker *home, struct weft_work *work)
{
    hand_over(home, work, work);
}

void work_ready_chain(struct worker *home, struct weft_work *first, struct weft_work *last, size_t count)
{
    (void)count;
    hand_over(home, first, last);
}

void work_ready_stealable(struct worker *home, struct weft_work *work)
{
    (void)home;
    hand_over(&stand_in_loops[model_choose(stand_in_count)].worker, work, work);
}

bool worker_is_closed(const struct worker *worker)
{
    return inbox_is_closed(&worker->inbox);
}

struct worker *worker_current(void)
{
    return running == NULL ? NULL : &running->worker;
}

/* ---- running ---------------------------------------------------------------------------------------------------------------------- */

static unsigned run_batch(struct weft_loop *loop)
{
    struct inbox_batch posted = inbox_take_all(&loop->worker.inbox);
    struct weft_work_list batch = loop->worker.fifo, list = {posted.first, posted.last, posted.count};
    loop->worker.fifo = (struct weft_work_list){NULL, NULL, 0};
    weft_work_list_append(&batch, &list);
    unsigned count = 0;
    for (struct weft_work *work; (work = weft_work_list_pop(&batch)) != NULL; count++)
        (void)work->run(work);
    return count;
}

void stand_in_run(unsigned index)
{
    running = &stand_in_loops[index];
    do {
        model_wait(&tokens[index]);
        while (run_batch(running) > 0)
            ;
    } while (!weft_atomic_load_relaxed(&is_over));
    running = NULL;
}

void stand_in_run_some(unsigned index, unsigned count)
{
    running = &stand_in_loops[index];
    for (unsigned done = 0; done < count;) {
        if (running->worker.fifo.head == NULL)
            model_wait(&tokens[index]);
        done += run_batch(running);
    }
    running = NULL;
}

void stand_in_end(void)
{
    weft_atomic_store_relaxed(&is_over, 1);
    for (unsigned i = 0; i < stand_in_count; i++)
        model_signal(&tokens[i]);
}

void stand_in_close_over(unsigned index, struct weft_task *task)
{
    running = &stand_in_loops[index];
    weft_atomic_store_release(&running->is_closing, LOOP_CLOSING);
    if (!weft_future_done(&task->future))
        task->ops->abandon(task);
    while (rooms[index].awaited_count > 0)
        if (run_batch(running) == 0)
            weft_atomic_pause();
    MODEL_CHECK(inbox_close(&running->worker.inbox).count == 0);
    running = NULL;
}

struct weft_task *stand_in_spawn(unsigned index, struct weft_coro *coro, bool is_stealable)
{
    struct coro_task *task = weft_calloc(1, sizeof(*task));
    stand_in_loops[index].rooms[LOOP_ROOM_TASK] = &rooms[index].state;
    MODEL_CHECK(weft_task_init(&task->base, &stand_in_loops[index], &coro_task_ops, NULL) == 0);
    task->waiter.work.run = task_run;
    task->waiter.loop = &stand_in_loops[index];
    task->waiter.is_stealable = task->is_stealable = is_stealable;
    task->coro = coro;
    weft_future_ref(&task->base.future);
    task_queue(task);
    return &task->base;
}

/* ---- what loops are asked ----------------------------------------------------------------------------------------------------------- */

struct weft_loop *weft_get_running_loop(void)
{
    return running;
}

bool loop_is_here(const struct weft_loop *loop)
{
    return running == loop;
}

int loop_check(const struct weft_loop *loop)
{
    (void)loop;
    return 0;
}

bool weft_loop_is_closed(const struct weft_loop *loop)
{
    return weft_atomic_load_acquire(&loop->is_closing) != 0;
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
    stand_in_reports++;
}

void loop_report(struct weft_loop *loop, const char *message, int status, void *object)
{
    (void)loop, (void)message, (void)status, (void)object;
    stand_in_reports++;
}

/* ---- contexts and the registry: none ------------------------------------------------------------------------------------------------ */

struct weft_context *context_swap_current(struct weft_context *context)
{
    return context;
}

int context_capture(struct weft_context **context_out)
{
    *context_out = NULL;
    return 0;
}

struct weft_context *weft_context_ref(struct weft_context *context)
{
    return context;
}

void weft_context_unref(struct weft_context *context)
{
    (void)context;
}

struct weft_context *weft_context_current(void)
{
    return NULL;
}

int weft_register_task(struct weft_task *task)
{
    (void)task;
    return 0;
}

void weft_unregister_task(struct weft_task *task)
{
    (void)task;
}

bool registry_take_back(struct weft_task *task, struct weft_loop *here)
{
    (void)task, (void)here;
    return false;
}

struct task_room *task_room(struct weft_loop *loop)
{
    return &rooms[loop - stand_in_loops];
}

uint64_t task_number_refill(struct task_room *room)
{
    (void)room;
    return 1;
}
