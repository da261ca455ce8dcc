/*
 * Job scene: the doubles, each with the order that the real one has.
 */
#include "tests/model/job_scene.h"

#include <errno.h>
#include <sys/mman.h>

#include "lib/task/future.h"
#include "lib/task/task.h"
#include "weft/context.h"
#include "weft/memory.h"

struct fiber {
    struct weft_coro coro; /* first */
    weft_fiber_fn *fn;
    void *arg;
    struct fiber_jobs *jobs;
    void (*rest)(void); /* of the body, which has suspended; plain, as a fiber's stack is */
    bool is_closing;
};

enum { CHILD_RUNS, CHILD_AWAITED, CHILD_DONE };

struct child {
    struct weft_task task; /* first */
    struct weft_work work;
    struct fiber *fiber;
    uint32_t state;
    uint32_t refs;
    struct model_token *waiter;
};

struct weft_loop loops[LOOPS];
unsigned job_loop_count = 2;
struct crew *crew;
struct fiber owner_fiber;
int64_t context_count;

static struct model_token tokens[MODEL_THREADS_MAX + 1];
static struct child *suspended_child; /* one at most, which nobody goes on with: its loop has been left */
static _Thread_local struct fiber *fiber_here;

/* ---- fibers ---------------------------------------------------------------------------------------------------------------------------- */

static void close_fiber(struct weft_coro *coro)
{
    struct fiber *fiber = (struct fiber *)(void *)coro;
    if (fiber->jobs != NULL)
        jobs_unref(fiber->jobs);
    weft_free(fiber);
}

static const struct weft_coro_ops fiber_ops = {.size = sizeof(fiber_ops), .close = close_fiber};

int weft_fiber_new(weft_fiber_fn *fn, void *arg, const struct weft_fiber_options *options, struct weft_coro **coro_out)
{
    (void)options;
    struct fiber *fiber = weft_calloc(1, sizeof(*fiber));
    *fiber = (struct fiber){.coro.ops = &fiber_ops, .fn = fn, .arg = arg};
    *coro_out = &fiber->coro;
    return 0;
}

int fiber_prepare(struct weft_coro *coro, struct fiber_jobs *jobs)
{
    struct fiber *fiber = (struct fiber *)(void *)coro;
    fiber->jobs = jobs;
    jobs->fiber = fiber;
    return 0;
}

struct fiber *fiber_current(void)
{
    return fiber_here;
}

struct fiber_jobs *fiber_jobs(const struct fiber *fiber)
{
    return fiber->jobs;
}

void fiber_set_jobs(struct fiber *fiber, struct fiber_jobs *jobs)
{
    fiber->jobs = jobs;
}

bool fiber_is_closing(const struct fiber *fiber)
{
    return fiber->is_closing;
}

int fiber_pause(void)
{
    return 0;
}

void fiber_finish(struct weft_coro *coro)
{
    (void)coro;
}

int fiber_wait(struct fiber *fiber, struct weft_future *future)
{
    (void)fiber;
    struct child *child = (struct child *)(void *)future;
    uint32_t state = CHILD_RUNS;
    child->waiter = &tokens[model_thread()];
    if (weft_atomic_cas_acq_rel(&child->state, &state, CHILD_AWAITED))
        model_wait(child->waiter);
    return 0;
}

/* ---- child tasks ----------------------------------------------------------------------------------------------------------------------- */

static void close_coro(struct child *child)
{
    close_fiber(&child->fiber->coro);
    child->fiber = NULL;
}

static int run_child(struct weft_work *work)
{
    struct child *child = weft_container_of(work, struct child, work);
    struct fiber *fiber = child->fiber, *outer = fiber_here;
    void *result = NULL;
    fiber_here = fiber;
    jobs_show(fiber->jobs);
    (void)fiber->fn(fiber->arg, &result);
    fiber_here = outer;
    if (fiber->rest != NULL) {
        suspended_child = child;
        jobs_show(NULL);
        return 0;
    }
    jobs_end(fiber->jobs);
    fiber->jobs = NULL;
    if (weft_atomic_exchange_acq_rel(&child->state, CHILD_DONE) == CHILD_AWAITED)
        model_signal(child->waiter);
    close_coro(child);
    weft_task_unref(&child->task);
    return 0;
}

int task_make_child(struct weft_loop *loop, struct weft_coro *coro, struct weft_context *context, const struct weft_task *parent,
                    struct weft_task **task_out)
{
    (void)context, (void)parent;
    struct child *child = weft_calloc(1, sizeof(*child));
    child->task.future.loop = loop;
    child->work.run = run_child;
    child->fiber = (struct fiber *)(void *)coro;
    weft_atomic_store_relaxed(&child->refs, 2);
    *task_out = &child->task;
    return 0;
}

void task_adopt(struct weft_task *task, struct weft_context *context, const struct weft_task *parent)
{
    (void)parent;
    task->future.context = context;
}

struct weft_work *task_first_work(struct weft_task *task)
{
    return &((struct child *)(void *)task)->work;
}

void weft_task_unref(struct weft_task *task)
{
    struct child *child = (struct child *)(void *)task;
    if (weft_atomic_sub_acq_rel(&child->refs, 1) != 1)
        return;
    weft_context_unref(task->future.context);
    if (child->fiber != NULL)
        close_coro(child);
    weft_free(child);
}

void task_drop_unstarted(struct weft_task *task)
{
    weft_task_unref(task);
    weft_task_unref(task);
}

bool weft_future_done(const struct weft_future *future)
{
    return weft_atomic_load_acquire(&((const struct child *)(const void *)future)->state) == CHILD_DONE;
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

void task_rearm_cancel(struct weft_task *task)
{
    (void)task;
}

void task_finish(struct weft_task *task, struct weft_loop *loop, void (*end)(struct weft_coro *coro))
{
    struct child *child = (struct child *)(void *)task;
    struct fiber *fiber = child->fiber, *outer = fiber_here;
    (void)loop, (void)end;
    if (fiber == NULL)
        return;
    MODEL_CHECK(fiber->rest != NULL); /* else it runs */
    fiber_here = fiber;
    fiber->rest();
    fiber->rest = NULL;
    jobs_end(fiber->jobs);
    fiber->jobs = NULL;
    fiber_here = outer;
}

/* ---- loops, contexts, memory -------------------------------------------------------------------------------------------------------------- */

bool loop_is_here(const struct weft_loop *loop)
{
    return worker_current() == &loop->worker;
}

struct weft_loop *weft_get_running_loop(void)
{
    struct worker *worker = worker_current();
    return worker == NULL ? NULL : loop_of_worker(worker);
}

bool weft_loop_is_closed(const struct weft_loop *loop)
{
    (void)loop;
    return false;
}

void loop_report(struct weft_loop *loop, const char *message, int status, void *object)
{
    (void)loop, (void)status, (void)object;
    model_fail("%s", message);
}

int weft_loop_spawn(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, struct weft_task **task_out)
{
    (void)loop, (void)coro, (void)options, (void)task_out;
    return -ENOMEM;
}

struct weft_context *weft_context_current(void)
{
    return (struct weft_context *)(void *)&context_count;
}

struct weft_context *weft_context_ref(struct weft_context *context)
{
    (void)weft_atomic_add_relaxed(&context_count, 1);
    return context;
}

void weft_context_unref(struct weft_context *context)
{
    if (context != NULL)
        (void)weft_atomic_sub_relaxed(&context_count, 1);
}

/* Slots, so that they too are seen to be freed and no more touched. */
void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    (void)address, (void)protection, (void)flags, (void)fd, (void)offset;
    void *block = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, bytes);
    memset(block, 0, bytes);
    return block;
}

int munmap(void *address, size_t bytes)
{
    (void)bytes;
    weft_free(address);
    return 0;
}

/* ---- the scene ---------------------------------------------------------------------------------------------------------------------------- */

static void wake(struct worker *worker)
{
    (void)worker;
}

static const struct parker_ops parker = {.wake = wake};

static struct watch watch = {.is_manned = 1}; /* by nobody who looks */

void job_setup(void)
{
    crew = crew_create(LOOPS, &job_crew_ops);
    for (unsigned i = 0; i < job_loop_count; i++) {
        worker_init(&loops[i].worker, &parker);
        crew_join(crew, &loops[i].worker, i);
        loops[i].worker.watch = &watch;
        MODEL_CHECK(jobs_open(&loops[i]) == 0);
    }
    MODEL_CHECK(crew_search_begin(&loops[1].worker));
    model_ticks_step = 1000000;
}

void job_check(void)
{
    if (suspended_child != NULL)
        weft_task_unref(&suspended_child->task); /* as its own loop ends it */
    for (unsigned round = 0; round < 2 * job_loop_count; round++)
        for (unsigned i = 0; i < job_loop_count; i++) {
            worker_set_current(&loops[i].worker);
            (void)worker_run_stealable(&loops[i].worker);
        }
    worker_set_current(NULL);
    MODEL_CHECK(owner_fiber.jobs == NULL);
    MODEL_CHECK(context_count == 0);
    MODEL_CHECK(jobs_live_count() == 0);
    for (unsigned i = 0; i < job_loop_count; i++) {
        struct loop_room_state *state = loops[i].rooms[LOOP_ROOM_JOB];
        state->fini(&loops[i], state);
        worker_fini(&loops[i].worker);
    }
    crew_unref(crew);
}

void job_enter(unsigned index)
{
    worker_set_current(&loops[index].worker);
}

void job_fiber_here(bool is_here)
{
    fiber_here = is_here ? &owner_fiber : NULL;
}

void job_end(void)
{
    jobs_end(owner_fiber.jobs);
    owner_fiber.jobs = NULL;
    fiber_here = NULL;
}

void job_spin(bool does_spin)
{
    worker_current()->is_virtual = !does_spin;
}

void job_suspend(void (*rest)(void))
{
    fiber_here->rest = rest;
}

void job_leave(unsigned index)
{
    worker_set_current(NULL);
    /* As loop_release(). Pairs with the acquire in child_end(). */
    weft_atomic_store_release(&loops[index].is_entered, false);
}

void job_unwind(void)
{
    owner_fiber.is_closing = true;
}

struct fiber_jobs *job_owner(void)
{
    return owner_fiber.jobs;
}

bool job_thieve_from(unsigned victim, unsigned thief)
{
    /* Pairs with the release in worker_set_jobs(). */
    struct weft_job_stack *stack = weft_atomic_load_acquire(&loops[victim].worker.jobs);
    struct weft_work *work = stack == NULL ? NULL : job_crew_ops.take_job(&loops[thief].worker, stack);
    return work != NULL && work->run(work) == 0;
}

bool job_thieve(void)
{
    return job_thieve_from(0, 1);
}
