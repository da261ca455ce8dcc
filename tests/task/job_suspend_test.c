/*
 * Fork and join on one loop: suspension in the middle, cancellation, a long computation, ends.
 */
#include "weft/job.h"

#include "lib/sched/crew.h"
#include "lib/task/fiber.h"
#include "lib/task/job.h"
#include "tests/task/scene.h"
#include "weft/context.h"

/* ---- suspending in the middle ------------------------------------------------------------------------------------------------------- */

static struct weft_task *job_task;

static int note_task(void *arg)
{
    weft_task_unref(job_task);
    job_task = weft_task_ref(scene_task_here());
    note(arg);
    return 0;
}

static int fork_and_sleep(void *arg, void **result_out)
{
    struct weft_fork first, second;
    uint64_t id = scene_task_here()->id;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_fork(&first, note_task, "first"), 0);
    CHECK_EQ(weft_fork(&second, note_task, "second"), 0);
    CHECK_EQ(weft_sleep(MILLISECOND), 0);
    CHECK_STR(notes(), "first second"); /* by the loop, which had nothing else to do */
    CHECK(job_task != scene_task_here());
    CHECK_EQ(weft_task_parent_id(job_task), id);
    CHECK_EQ(job_task->id, 0); /* it never blocked */
    CHECK_EQ(weft_join(&second), 0);
    CHECK_EQ(weft_join(&first), 0);
    weft_task_unref(job_task);
    job_task = NULL;
    return 0;
}

Test(job_suspend, is_run_by_the_loop_while_its_owner_sleeps, .timeout = 10)
{
    CHECK_EQ(scene_run_job(fork_and_sleep, NULL), 0);
}

static int runs[5000];
static const struct weft_context_var whose = WEFT_CONTEXT_VAR("whose", NULL);

static int run_once(void *arg)
{
    CHECK(weft_context_var_get(&whose) == runs);
    ++*(int *)arg;
    return 0;
}

static int run_once_slowly(void *arg)
{
    CHECK_EQ(weft_sleep(MILLISECOND), 0);
    return run_once(arg);
}

/* Far more than there are slots; the last two run at their forks, and suspend there. */
static int fork_many_and_sleep(void *arg, void **result_out)
{
    enum { COUNT = sizeof(runs) / sizeof(runs[0]) };
    static struct weft_fork forks[COUNT];
    struct weft_context_token token;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_context_var_set(&whose, runs, &token), 0);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(weft_fork(&forks[i], i < COUNT - 2 ? run_once : run_once_slowly, &runs[i]), 0);
    for (int i = COUNT - 1; i >= 0; i--)
        CHECK_EQ(weft_join(&forks[i]), 0);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(runs[i], 1);
    weft_context_var_reset(&token);
    return 0;
}

Test(job_suspend, lets_the_loop_run_a_full_stack_while_what_ran_at_its_fork_sleeps, .timeout = 30)
{
    CHECK_EQ(scene_run_job(fork_many_and_sleep, NULL), 0);
}

static int fork_and_join(void *arg, void **result_out)
{
    struct weft_fork fork;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_fork(&fork, note_task, "inline"), 0);
    CHECK_EQ(weft_join(&fork), 0);
    CHECK(job_task == scene_task_here());
    weft_task_unref(job_task);
    job_task = NULL;
    return 0;
}

Test(job_suspend, is_its_caller_unless_stolen, .timeout = 10)
{
    CHECK_EQ(scene_run_job(fork_and_join, NULL), 0);
}

static int sleep_long(void *arg)
{
    note("asleep");
    int status = weft_sleep(*(int64_t *)arg);
    note(status < 0 ? weft_status_name(status) : "awake");
    return status;
}

static int join_who_sleeps(void *arg, void **result_out)
{
    struct weft_fork fork;
    (void)result_out;
    CHECK_EQ(weft_fork(&fork, sleep_long, arg), 0);
    CHECK_EQ(weft_sleep(MILLISECOND), 0);
    note("joins");
    int status = weft_join(&fork);
    note("joined");
    return status;
}

Test(job_suspend, is_waited_for_while_its_thief_sleeps, .timeout = 10)
{
    int64_t delay_ns = 5 * MILLISECOND;
    CHECK_EQ(scene_run_job(join_who_sleeps, &delay_ns), 0);
    CHECK_STR(notes(), "asleep joins awake joined");
}

static int join_and_await(void *arg, void **result_out)
{
    int status = join_who_sleeps(arg, result_out);
    CHECK_EQ(status, -ECANCELED);
    CHECK_EQ(weft_task_cancelling(scene_task_here()), 1);
    note("awaits");
    CHECK_EQ(weft_yield(), -ECANCELED); /* here it is told */
    return weft_yield();
}

static int cancel_it(void *task)
{
    CHECK(weft_task_cancel(task, NULL));
    return 0;
}

Test(job_suspend, is_reached_by_a_cancel_of_its_joining_owner, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *task;
    int64_t delay_ns = SECOND;
    CHECK_EQ(weft_job_start(loop, join_and_await, &delay_ns, &task), 0);
    CHECK_EQ(weft_loop_call_later(loop, 2 * MILLISECOND, cancel_it, task, NULL), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    CHECK_STR(notes(), "asleep joins ECANCELED joined awaits");
    weft_task_unref(task);
    scene_drop(loop);
}

/* The request came before the join: it goes on to the thief all the same, and is told afterwards. */
static int cancelled_before_join(void *arg, void **result_out)
{
    struct weft_fork fork;
    (void)result_out;
    CHECK_EQ(weft_fork(&fork, sleep_long, arg), 0);
    CHECK_EQ(weft_sleep(MILLISECOND), 0);
    CHECK(weft_task_cancel(scene_task_here(), NULL));
    CHECK_EQ(weft_join(&fork), -ECANCELED);
    return weft_yield();
}

Test(job_suspend, is_reached_by_a_cancel_from_before_the_join, .timeout = 10)
{
    int64_t delay_ns = SECOND;
    CHECK_EQ(scene_run_job(cancelled_before_join, &delay_ns), -ECANCELED);
    CHECK_STR(notes(), "asleep ECANCELED");
}

/* A thief that has taken the job, but has other things to run before it. */
static struct weft_job_stack *slow_victim;
static struct weft_work *slow_work;

static int take_slowly(void *arg)
{
    (void)arg;
    slow_work = job_crew_ops.take_job(worker_current(), slow_victim);
    CHECK(slow_work != NULL);
    return 0;
}

static int cancel_and_begin(void *task)
{
    CHECK(weft_task_cancel(task, NULL));
    return slow_work->run(slow_work);
}

static int join_what_has_not_begun(void *arg, void **result_out)
{
    struct weft_fork fork;
    struct weft_loop *loop = weft_get_running_loop();
    (void)result_out;
    CHECK_EQ(weft_fork(&fork, sleep_long, arg), 0);
    slow_victim = fork.stack;
    CHECK_EQ(weft_loop_call_soon(loop, take_slowly, NULL, NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, 2 * MILLISECOND, cancel_and_begin, scene_task_here(), NULL), 0);
    CHECK_EQ(weft_sleep(MILLISECOND), 0);
    CHECK_EQ(weft_join(&fork), -ECANCELED);
    return weft_yield();
}

Test(job_suspend, is_reached_by_a_cancel_that_comes_before_its_thief_begins_it, .timeout = 10)
{
    int64_t delay_ns = SECOND;
    CHECK_EQ(scene_run_job(join_what_has_not_begun, &delay_ns), -ECANCELED);
    CHECK_STR(notes(), "asleep ECANCELED");
}

static int sleep_in_job(void *arg)
{
    CHECK_EQ(weft_sleep(MILLISECOND), 0);
    return *(int *)arg;
}

static int many_who_sleep(void *arg, void **result_out)
{
    struct weft_fork forks[50];
    int numbers[50];
    (void)arg, (void)result_out;
    for (int i = 0; i < 50; i++) {
        numbers[i] = i;
        CHECK_EQ(weft_fork(&forks[i], sleep_in_job, &numbers[i]), 0);
    }
    CHECK_EQ(weft_sleep(10 * MILLISECOND), 0);
    for (int i = 49; i >= 0; i--)
        CHECK_EQ(weft_join(&forks[i]), i);
    return 0;
}

Test(job_suspend, sleeps_beside_its_siblings, .timeout = 10)
{
    CHECK_EQ(scene_run_job(many_who_sleep, NULL), 0);
}

/* ---- a long computation and its loop ------------------------------------------------------------------------------------------------ */

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    long left = WEFT_JOIN(fib);
    return left + right;
}

static int long_fib(void *arg, void **result_out)
{
    long result = 0;
    (void)result_out;
    CHECK_EQ(WEFT_RUN(fib, 27, &result), 0);
    *(bool *)arg = true;
    return 0;
}

static int tick(void *arg)
{
    ++*(int *)arg;
    return 0;
}

/* Each tick is posted as the last one has run: a computation that kept the loop would see one. */
struct ticker {
    struct weft_loop *loop;
    const bool *is_over;
    int count;
};

static int tick_on(void *arg)
{
    struct ticker *ticker = arg;
    (void)tick(&ticker->count);
    return *ticker->is_over ? 0 : weft_loop_call_soon(ticker->loop, tick_on, ticker, NULL, NULL);
}

static int ticks_during_fib(struct weft_loop *loop)
{
    bool is_over = false;
    struct ticker ticker = {loop, &is_over, 0};
    CHECK_EQ(weft_loop_call_soon(loop, tick_on, &ticker, NULL, NULL), 0);
    CHECK_EQ(scene_run_job_on(loop, long_fib, &is_over), 0);
    scene_turn(loop);
    scene_drop(loop);
    return ticker.count;
}

Test(job_suspend, lets_its_loop_have_its_turns, .timeout = 20)
{
    CHECK(ticks_during_fib(scene_epoll_loop()) > 10);
    CHECK(ticks_during_fib(scene_sim_loop()) > 100);
}

/* ---- ends --------------------------------------------------------------------------------------------------------------------------- */

static int64_t second = SECOND;

static int leaves_forks_open(void *arg, void **result_out)
{
    static struct weft_fork stolen, dropped; /* they outlive the frame, for once */
    static int64_t delay_ns = 5 * MILLISECOND;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_fork(&stolen, sleep_long, &delay_ns), 0);
    CHECK_EQ(weft_sleep(MILLISECOND), 0);
    CHECK_EQ(weft_fork(&dropped, note_task, "never"), 0);
    return 7;
}

Test(job_suspend, is_reported_if_its_fiber_ends_without_a_join, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(scene_run_job_on(loop, leaves_forks_open, NULL), 0);
    CHECK_STR(notes(), "asleep awake");
    CHECK_EQ(scene_reports(), 1);
    CHECK_EQ(scene_report_status(), WEFT_EUNJOINED);
    scene_drop(loop);
}

static int join_until_closed(void *arg, void **result_out)
{
    struct weft_fork fork;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_fork(&fork, sleep_long, &second), 0);
    (void)weft_sleep(MILLISECOND);
    CHECK_EQ(weft_join(&fork), WEFT_ECLOSED); /* what its sleep has returned */
    note("joined");
    return 0;
}

Test(job_suspend, is_unwound_before_its_owner_as_the_loop_closes, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *task;
    CHECK_EQ(weft_job_start(loop, join_until_closed, NULL, &task), 0);
    weft_task_unref(task);
    scene_pass(loop, 10 * MILLISECOND);
    scene_drop(loop);
    CHECK_STR(notes(), "asleep WEFT_ECLOSED joined");
    (void)scene_reports(); /* that a task was pending */
}

static int sleep_with_forks(void *arg, void **result_out)
{
    struct weft_fork first, second_fork;
    (void)arg, (void)result_out;
    CHECK_EQ(weft_fork(&first, sleep_long, &second), 0);
    CHECK_EQ(weft_fork(&second_fork, sleep_long, &second), 0);
    (void)weft_sleep(SECOND);
    CHECK_EQ(weft_join(&second_fork), WEFT_ECLOSED);
    CHECK_EQ(weft_join(&first), WEFT_ECLOSED);
    note("joined");
    return 0;
}

/* One turn: the fiber suspends, and its assist item is queued. The loop closes over it, with no job begun. */
Test(job_suspend, is_run_by_its_closing_owner, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(weft_job_start(loop, sleep_with_forks, NULL, NULL), 0);
    scene_turn(loop);
    scene_drop(loop);
    CHECK_STR(notes(), "asleep WEFT_ECLOSED asleep WEFT_ECLOSED joined");
    (void)scene_reports();
}

Test(job_suspend, is_unwound_though_its_owner_sleeps, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    CHECK_EQ(weft_job_start(loop, sleep_with_forks, NULL, NULL), 0);
    scene_pass(loop, MILLISECOND);
    scene_drop(loop);
    CHECK_STR(notes(), "asleep asleep WEFT_ECLOSED WEFT_ECLOSED joined");
    (void)scene_reports();
}

/* Somebody drives a fiber without a task, and ends it where no loop runs. */
static int write_late(void *arg)
{
    (void)weft_sleep(SECOND);
    *(int *)arg = 7;
    return 5;
}

static int join_while_unwound(void *arg, void **result_out)
{
    struct weft_fork fork;
    int number = 1;
    (void)result_out;
    CHECK_EQ(weft_fork(&fork, write_late, &number), 0);
    CHECK(weft_await(arg, NULL) < 0);
    CHECK_EQ(weft_join(&fork), 5);
    CHECK_EQ(number, 7);
    return 0;
}

static int send_once(void *coro)
{
    struct weft_suspend suspend = {NULL, NULL, 0, 0};
    CHECK_EQ(((struct weft_coro *)coro)->ops->send(coro, 0, &suspend), WEFT_CORO_AWAIT);
    return 0;
}

Test(job_suspend, is_joined_by_an_owner_that_is_closed_where_no_loop_runs, .timeout = 10)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    options.stack = WEFT_STACK_LARGE;
    CHECK_EQ(weft_fiber_new(join_while_unwound, future, &options, &coro), 0);
    CHECK_EQ(weft_loop_call_soon(loop, send_once, coro, NULL, NULL), 0);
    scene_pass(loop, MILLISECOND);
    coro->ops->close(coro);
    weft_future_unref(future);
    scene_drop(loop);
    (void)scene_reports();
}
