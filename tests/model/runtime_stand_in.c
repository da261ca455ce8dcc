/*
 * Stand-ins of lib/runtime's models. A loop sleeps on a token that each post puts there, so that only the runtime's own words decide who
 * posts and who need not.
 */
#include "tests/model/runtime_stand_in.h"

#include "lib/base/cpu.h"
#include "lib/sched/crew.h"
#include "lib/task/fiber.h"
#include "lib/task/job.h"
#include "lib/task/task.h"
#include "tests/model/checker.h"
#include "weft/fiber.h"
#include "weft/memory.h"

enum { LOOPS = 2 };

struct weft_runtime *runtime;

static struct loop_stand_in loops[LOOPS];
static struct model_token tokens[LOOPS];
static unsigned loop_count;
static _Thread_local struct weft_loop *running;

struct loop_stand_in *loop_stand_in(unsigned index)
{
    return &loops[index];
}

/* ---- loops -------------------------------------------------------------------------------------------------------------------------- */

static unsigned index_of(const struct weft_loop *loop)
{
    return (unsigned)((const struct loop_stand_in *)loop - loops);
}

int weft_loop_new_options(const struct weft_loop_kind *kind, const struct weft_loop_options *options, struct weft_loop **loop_out)
{
    (void)kind, (void)options;
    *loop_out = &loops[loop_count++].loop;
    return 0;
}

void work_ready(struct worker *home, struct weft_work *work)
{
    MODEL_CHECK(inbox_push(&home->inbox, work, work) != INBOX_CLOSED);
    model_signal(&tokens[index_of(loop_of_worker(home))]);
}

int loop_enter(struct weft_loop *loop)
{
    struct loop_stand_in *of = &loops[index_of(loop)];
    MODEL_CHECK(!of->is_inside && running == NULL);
    of->is_inside = true;
    of->entered++;
    running = loop;
    return 0;
}

int loop_turn(struct weft_loop *loop, bool may_sleep)
{
    struct loop_stand_in *of = &loops[index_of(loop)];
    MODEL_CHECK(running == loop);
    of->turns++;
    if (may_sleep && loop->timers.count == 0)
        model_wait(&tokens[index_of(loop)]);
    else if (may_sleep && !model_wait_timeout(&tokens[index_of(loop)]))
        loop->polled_ns = runtime->deadline_ns;
    struct inbox_batch batch = inbox_take_all(&loop->worker.inbox);
    for (struct weft_work *work = batch.first, *next; work != NULL; work = next) {
        next = work->next;
        (void)work->run(work);
    }
    return 0;
}

void loop_leave(struct weft_loop *loop)
{
    loops[index_of(loop)].is_inside = false;
    running = NULL;
}

bool loop_has_work(struct weft_loop *loop)
{
    return !inbox_is_empty(&loop->worker.inbox);
}

struct weft_loop *weft_get_running_loop(void)
{
    return running;
}

int weft_loop_close(struct weft_loop *loop)
{
    (void)loop;
    return 0;
}

void weft_loop_unref(struct weft_loop *loop)
{
    (void)loop;
}

uint64_t weft_loop_time(const struct weft_loop *loop)
{
    return loop->polled_ns;
}

void loop_set_spin(struct weft_loop *loop, uint64_t spin_max_ns, bool spins_for_io)
{
    (void)loop, (void)spin_max_ns, (void)spins_for_io;
}

bool worker_is_closed(const struct worker *worker)
{
    (void)worker;
    return false;
}

/* The one timer, which ends a wait. */
void weft_timer_init(struct weft_timer *timer, struct weft_loop *loop, weft_callback_fn *fn, void *arg)
{
    *timer = (struct weft_timer){.loop = loop, .fn = fn, .arg = arg};
}

int weft_timer_start_at(struct weft_timer *timer, uint64_t when_ns)
{
    (void)when_ns;
    timer->loop->timers.count = 1;
    return 0;
}

bool weft_timer_stop(struct weft_timer *timer)
{
    timer->loop->timers.count = 0;
    return true;
}

/* ---- threads ------------------------------------------------------------------------------------------------------------------------ */

static struct {
    struct thread *thread;
    thread_fn *fn;
    void *arg;
    struct model_token begins, ended;
} threads[LOOPS];
static unsigned thread_count;
static struct model_token parked;

static int start_thread(struct thread *thread, const char *name, thread_fn *fn, void *arg)
{
    (void)name;
    threads[thread_count].thread = thread;
    threads[thread_count].fn = fn;
    threads[thread_count].arg = arg;
    model_signal(&threads[thread_count++].begins);
    return 0;
}

static void join_thread(struct thread *thread)
{
    for (unsigned i = 0; i < thread_count; i++)
        if (threads[i].thread == thread)
            model_wait(&threads[i].ended);
}

const struct executor_driver executor_driver_threads = {.start = start_thread, .join = join_thread};

void thread_stand_in(unsigned number)
{
    model_wait(&threads[number].begins);
    threads[number].fn(threads[number].arg);
    model_signal(&threads[number].ended);
}

void parker_init(struct parker *parker)
{
    (void)parker;
    parked.is_set = 0;
}

int parker_park(struct parker *parker, uint64_t deadline_ns)
{
    (void)parker, (void)deadline_ns;
    model_wait(&parked);
    return 0;
}

void parker_unpark(struct parker *parker)
{
    (void)parker;
    model_signal(&parked);
}

/* ---- life --------------------------------------------------------------------------------------------------------------------------- */

void runtime_stand_in_setup(const struct runtime_driver *driver)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = LOOPS;
    options.spin_max_ns = -1;
    MODEL_CHECK(runtime_create(&options, driver, &runtime) == 0);
}

void runtime_stand_in_end(void)
{
    weft_runtime_destroy(runtime);
}

/* ---- what a runtime asks of others: nothing is there ---------------------------------------------------------------------------------- */

const struct runtime_driver runtime_driver_sim;
const struct crew_ops job_crew_ops;

const struct weft_loop_kind *weft_loop_kind_epoll(void)
{
    return NULL;
}

bool arena_bind(struct arena_binding *binding)
{
    (void)binding;
    return false;
}

void arena_unbind(struct arena_binding *binding)
{
    (void)binding;
}

int cpu_count_available(const struct cpu_paths *paths)
{
    (void)paths;
    return LOOPS;
}

int cpu_allowed(int index)
{
    return index;
}

int cpu_bind(pthread_t thread, int cpu)
{
    (void)thread, (void)cpu;
    return 0;
}

static struct crew crew;

struct crew *crew_create(uint32_t count_max, const struct crew_ops *ops)
{
    (void)count_max, (void)ops;
    return &crew;
}

void crew_join(struct crew *of, struct worker *worker, uint64_t seed)
{
    (void)of, (void)worker, (void)seed;
}

void crew_unref(struct crew *of)
{
    (void)of;
}

void crew_dissolve(struct crew *of)
{
    (void)of;
}

static struct task_room room;

struct task_room *task_room(struct weft_loop *loop)
{
    (void)loop;
    return &room;
}

int fiber_open(struct weft_loop *loop)
{
    (void)loop;
    return 0;
}

int executor_create(const struct weft_executor_options *options, const struct executor_driver *driver, struct weft_executor **executor_out)
{
    (void)options, (void)driver;
    *executor_out = NULL;
    return 0;
}

int weft_loop_set_default_executor(struct weft_loop *loop, struct weft_executor *executor)
{
    (void)loop, (void)executor;
    return 0;
}

void executor_close(struct weft_executor *executor, executor_idle_fn *idle, void *arg)
{
    (void)executor, (void)idle, (void)arg;
}

bool executor_is_idle(struct weft_executor *executor)
{
    (void)executor;
    return true;
}

int weft_executor_shutdown(struct weft_executor *executor, int64_t timeout_ns)
{
    (void)executor, (void)timeout_ns;
    return 0;
}

void weft_executor_unref(struct weft_executor *executor)
{
    (void)executor;
}

void monitor_init(struct weft_runtime *of)
{
    (void)of;
}

void monitor_start(struct weft_runtime *of)
{
    (void)of;
}

void monitor_wake(struct weft_runtime *of)
{
    (void)of;
}

void monitor_stop(struct weft_runtime *of)
{
    (void)of;
}

void registry_each(struct weft_loop *loop, void (*fn)(struct weft_task *task, void *arg), void *arg)
{
    (void)loop, (void)fn, (void)arg;
}

void registry_each_in_order(struct weft_loop *loop, void (*fn)(struct weft_task *task, void *arg), void *arg)
{
    registry_each(loop, fn, arg);
}

void runtime_sigint_install(struct weft_runtime *of)
{
    (void)of;
}

void runtime_sigint_remove(struct weft_runtime *of)
{
    (void)of;
}

struct weft_sim_host;
struct weft_sim_host *sim_host_entered(void);

struct weft_sim_host *sim_host_entered(void)
{
    return NULL;
}

int weft_stack_overflow_install(weft_stack_overflow_fn *fn, void *arg)
{
    (void)fn, (void)arg;
    return 0;
}

void weft_stack_overflow_remove(void)
{
}

int weft_loop_get_counters(const struct weft_loop *loop, struct weft_loop_counters *counters_out)
{
    (void)loop, (void)counters_out;
    return 0;
}

/* ---- tasks: none ---------------------------------------------------------------------------------------------------------------------- */

static _Noreturn void no_task(void)
{
    model_fail("there are no tasks here");
}

int weft_loop_create_task(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options,
                          struct weft_task **task_out)
{
    (void)loop, (void)coro, (void)options, (void)task_out;
    no_task();
}

bool weft_future_cancelled(const struct weft_future *future)
{
    (void)future;
    no_task();
}

bool weft_future_done(const struct weft_future *future)
{
    (void)future;
    no_task();
}

int weft_future_result(struct weft_future *future, void **value_out)
{
    (void)future, (void)value_out;
    no_task();
}

bool weft_task_cancel(struct weft_task *task, const char *message)
{
    (void)task, (void)message;
    no_task();
}

int weft_task_cancelling(const struct weft_task *task)
{
    (void)task;
    no_task();
}

int weft_task_uncancel(struct weft_task *task)
{
    (void)task;
    no_task();
}

struct weft_task *weft_task_ref(struct weft_task *task)
{
    return task;
}

void weft_task_unref(struct weft_task *task)
{
    MODEL_CHECK(task == NULL);
}
