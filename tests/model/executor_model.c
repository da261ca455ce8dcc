/*
 * Models of an executor's two counts, and of a job between its thread, who cancels it and the end.
 *
 * lib/task/executor.c, executor_thread.c and future.c are real. Mutexes and conditions are doubled by tokens (see -D in BUILD), threads by
 * threads of the model.
 */
#include <errno.h>

#include "tests/model/locks.h"

#include "lib/base/context.h"
#include "lib/loop/loop.h"
#include "lib/task/executor_state.h"
#include "lib/task/future.h"
#include "lib/task/overflow.h"
#include "tests/model/checker.h"
#include "weft/context.h"
#include "weft/executor.h"
#include "weft/status.h"

/* ---- locks ---------------------------------------------------------------------------------------------------------------------------- */

/* A mutex is a token that is there while nobody has it; a condition is one that may come for no reason. */
static struct model_token *token_of(void *object)
{
    return object;
}

int model_mutex_init(void *mutex, const void *attributes)
{
    (void)attributes;
    token_of(mutex)->is_set = 1;
    return 0;
}

int model_mutex_lock(void *mutex)
{
    model_wait(token_of(mutex));
    return 0;
}

int model_mutex_unlock(void *mutex)
{
    model_signal(token_of(mutex));
    return 0;
}

int model_cond_init(void *condition, const void *attributes)
{
    (void)attributes;
    token_of(condition)->is_set = 0;
    return 0;
}

int model_cond_signal(void *condition)
{
    model_signal(token_of(condition));
    return 0;
}

int model_cond_wait(void *condition, void *mutex)
{
    model_signal(token_of(mutex));
    model_wait(token_of(condition));
    model_wait(token_of(mutex));
    return 0;
}

int model_cond_timedwait(void *condition, void *mutex, const struct timespec *deadline)
{
    (void)deadline;
    return model_cond_wait(condition, mutex);
}

int model_destroy(void *object)
{
    (void)object;
    return 0;
}

/* ---- threads -------------------------------------------------------------------------------------------------------------------------- */

static struct model_token begins, ended;
static thread_fn *thread_is;
static void *thread_arg;
static bool is_detached;

static int start(struct thread *thread, const char *name, thread_fn *fn, void *arg)
{
    (void)thread, (void)name;
    thread_is = fn;
    thread_arg = arg;
    model_signal(&begins);
    return 0;
}

static void join(struct thread *thread)
{
    (void)thread;
    model_wait(&ended);
}

static void detach(struct thread *thread)
{
    (void)thread;
    is_detached = true;
}

static const struct executor_driver driver = {.start = start, .join = join, .detach = detach};

static void be_thread(void)
{
    model_wait(&begins);
    thread_is(thread_arg);
    model_signal(&ended);
}

int thread_start(struct thread *thread, const struct thread_options *options, thread_fn *fn, void *arg)
{
    (void)options;
    return start(thread, NULL, fn, arg);
}

void thread_join(struct thread *thread)
{
    join(thread);
}

void overflow_cover_thread(void)
{
}

int cpu_count_available(const void *paths);

int cpu_count_available(const void *paths)
{
    (void)paths;
    return 1;
}

struct fork_watch;
int fork_watch_add(struct fork_watch *watch);
void fork_watch_remove(struct fork_watch *watch);

int fork_watch_add(struct fork_watch *watch)
{
    (void)watch;
    return 0;
}

void fork_watch_remove(struct fork_watch *watch)
{
    (void)watch;
}

/* ---- the loop's end of a future ------------------------------------------------------------------------------------------------------- */

static struct weft_loop loop;

void work_ready(struct worker *home, struct weft_work *work)
{
    (void)home, (void)work;
    model_fail("jobs have threads here");
}

void work_ready_chain(struct worker *home, struct weft_work *first, struct weft_work *last, size_t count)
{
    (void)last, (void)count;
    work_ready(home, first);
}

void work_ready_stealable(struct worker *home, struct weft_work *work)
{
    work_ready(home, work);
}

bool worker_is_closed(const struct worker *worker)
{
    (void)worker;
    return false;
}

bool weft_loop_is_closed(const struct weft_loop *of)
{
    (void)of;
    return false;
}

struct weft_loop *weft_loop_ref(struct weft_loop *of)
{
    return of;
}

void weft_loop_unref(struct weft_loop *of)
{
    (void)of;
}

void weft_loop_call_exception_handler(struct weft_loop *of, const struct weft_exception *exception)
{
    (void)of, (void)exception;
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

/* ---- a job ---------------------------------------------------------------------------------------------------------------------------- */

static struct weft_executor *executor;
static struct weft_future *future;
static unsigned run_count;
static bool was_cancelled;

static int run_job(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    run_count++;
    return 0;
}

static void setup_empty(void)
{
    struct weft_executor_options options = WEFT_EXECUTOR_OPTIONS;
    options.threads_max = 1;
    MODEL_CHECK(executor_create(&options, &driver, &executor) == 0);
}

static void setup(void)
{
    setup_empty();
    MODEL_CHECK(weft_executor_submit(executor, &loop, run_job, NULL, &future) == 0);
}

/* The user goes while the job is queued, running or over. */
static void unref(void)
{
    weft_executor_unref(executor);
}

static void cancel_and_unref(void)
{
    was_cancelled = weft_future_cancel(future, "enough");
    weft_future_unref(future);
}

static void unref_future(void)
{
    weft_future_unref(future);
}

static void shut_down_and_unref(void)
{
    MODEL_CHECK(weft_executor_shutdown(executor, -1) == 0);
    weft_executor_unref(executor);
}

static void check_job(void)
{
    MODEL_CHECK(run_count <= 1 && (run_count == 1 || was_cancelled || !is_detached));
}

/* A shutdown with time has run the job. */
static void check_ran(void)
{
    MODEL_CHECK(run_count == 1 && !is_detached);
}

/* ---- references of users ---------------------------------------------------------------------------------------------------------------- */

static void two_users(void)
{
    setup_empty();
    weft_executor_ref(weft_executor_ref(executor));
}

/* Which of its plain words each wrote last does not matter. */
static void use_0(void)
{
    executor->thread_number = 1;
    weft_executor_unref(executor);
}

static void use_1(void)
{
    executor->queue_max = 1;
    weft_executor_unref(executor);
}

static void use_2(void)
{
    executor->idle_arg = NULL;
    weft_executor_unref(executor);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

static void unref_first(void)
{
    weft_executor_unref(executor);
    executor->queue_max = 1;
}

static const struct model models[] = {
    {.name = "users",
     .about = "the last of three users closes and frees it, after what the others did",
     .setup = two_users,
     .threads = {use_0, use_1, use_2}},
    {.name = "job",
     .about = "user, thread and job each hold the memory, and the last of them frees it, whatever became of the job",
     .setup = setup,
     .threads = {unref, be_thread, unref_future},
     .check = check_job,
     .bound = 3,
     .may_sleep = true},
    {.name = "cancel",
     .about = "a job that is cancelled as its thread takes it is run or not, and let go once",
     .setup = setup,
     .threads = {unref, be_thread, cancel_and_unref},
     .check = check_job,
     .bound = 2,
     .may_sleep = true},
    {.name = "shutdown",
     .about = "a shutdown waits for the job, and joins the thread",
     .setup = setup,
     .threads = {shut_down_and_unref, be_thread, unref_future},
     .check = check_ran,
     .bound = 3},
};

static const struct model broken[] = {
    {.name = "unref_swapped", .about = "a user that lets go before it writes", .setup = two_users, .threads = {use_0, use_2, unref_first}},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/executor"}};
    return model_main(&suite, argc, argv);
}
