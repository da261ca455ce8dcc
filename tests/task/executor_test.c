/*
 * Executor: jobs, their threads, what a cancel means when, and how it ends.
 */
#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "tests/support/wait.h"

#include "lib/task/executor.h"
#include "weft/atomic.h"
#include "weft/executor.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/status.h"
#include "weft/task.h"

#include <errno.h>
#include <pthread.h>

enum { DEADLINE_MS = 5000, FOR_EVER = -1 };

/* A job that says when it runs, and stays until the gate is opened. */
struct gate {
    uint32_t is_open;
    uint32_t entered;
};

static bool gate_is_open(void *arg)
{
    struct gate *gate = arg;
    return weft_atomic_load_acquire(&gate->is_open) != 0; /* Pairs with the release in gate_open(). */
}

static int gate_job(void *arg, void **result_out)
{
    struct gate *gate = arg;
    weft_atomic_add_acq_rel(&gate->entered, 1); /* Pairs with the load in gate_count(). */
    (void)wait_until(gate_is_open, gate, DEADLINE_MS);
    *result_out = gate;
    return 0;
}

static void gate_open(struct gate *gate)
{
    weft_atomic_store_release(&gate->is_open, 1); /* Pairs with the acquire in gate_is_open(). */
}

static bool gate_is_entered(void *arg)
{
    return weft_atomic_load_relaxed(&((struct gate *)arg)->entered) != 0;
}

static int count_job(void *arg, void **result_out)
{
    (void)weft_atomic_add_relaxed((uint32_t *)arg, 1);
    *result_out = arg;
    return 0;
}

static int fail_job(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return -EIO;
}

static struct weft_loop *make_loop(void)
{
    struct weft_loop *loop;
    CHECK_EQ(weft_loop_new(NULL, 0, &loop), 0);
    return loop;
}

static void end_loop(struct weft_loop *loop)
{
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

static struct weft_executor *make_executor(uint32_t threads_max, uint32_t queue_max)
{
    struct weft_executor_options options = WEFT_EXECUTOR_OPTIONS;
    options.threads_max = threads_max;
    options.queue_max = queue_max;
    struct weft_executor *executor;
    CHECK_EQ(weft_executor_create(&options, &executor), 0);
    return executor;
}

static void end_executor(struct weft_executor *executor)
{
    CHECK_EQ(weft_executor_shutdown(executor, FOR_EVER), 0);
    weft_executor_unref(executor);
}

static struct weft_executor_counters counters_of(struct weft_executor *executor)
{
    struct weft_executor_counters counters;
    CHECK_EQ(weft_executor_get_counters(executor, &counters), 0);
    return counters;
}

static struct weft_future *submit(struct weft_executor *executor, struct weft_loop *loop, weft_executor_fn *fn, void *arg)
{
    struct weft_future *future;
    CHECK_EQ(weft_executor_submit(executor, loop, fn, arg, &future), 0);
    return future;
}

static int finish(struct weft_future *future)
{
    int status = weft_future_wait(future, INT64_C(5000000000), NULL);
    weft_future_unref(future);
    return status;
}

Test(executor, brings_a_jobs_value_home_to_its_loop, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    uint32_t count = 0;
    struct weft_future *future;
    void *value = NULL;
    CHECK_EQ(weft_loop_run_in_executor(loop, count_job, &count, &future), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, future, &value), 0);
    CHECK(value == &count);
    CHECK(weft_future_get_loop(future) == loop);
    weft_future_unref(future);
    CHECK_EQ(weft_loop_shutdown_default_executor(loop, FOR_EVER), 0);
    end_loop(loop);
}

Test(executor, gives_the_future_what_the_job_failed_with, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(1, 0);
    CHECK_EQ(finish(submit(executor, loop, fail_job, NULL)), -EIO);
    end_executor(executor);
    end_loop(loop);
}

static bool two_run(void *arg)
{
    return counters_of(arg).running == 2;
}

Test(executor, starts_no_more_threads_than_the_maximum, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(2, 0);
    CHECK_EQ(counters_of(executor).threads, 0);
    struct gate gate = {0};
    struct weft_future *futures[4];
    for (int i = 0; i < 4; i++)
        futures[i] = submit(executor, loop, gate_job, &gate);
    CHECK(wait_until(two_run, executor, DEADLINE_MS));
    CHECK_EQ(counters_of(executor).threads, 2);
    CHECK_EQ(counters_of(executor).queued, 2);
    gate_open(&gate);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(finish(futures[i]), 0);
    CHECK_EQ(counters_of(executor).threads, 2);
    end_executor(executor);
    end_loop(loop);
}

static bool one_is_idle(void *arg)
{
    return counters_of(arg).idle == 1;
}

Test(executor, uses_an_idle_thread_again, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(8, 0);
    uint32_t count = 0;
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(finish(submit(executor, loop, count_job, &count)), 0);
        CHECK(wait_until(one_is_idle, executor, DEADLINE_MS));
    }
    CHECK_EQ(count, 10);
    CHECK_EQ(counters_of(executor).threads, 1);
    CHECK_EQ(counters_of(executor).completed, 10);
    end_executor(executor);
    end_loop(loop);
}

struct order {
    int seen[3];
    int count;
};

struct numbered {
    struct order *order;
    int number;
};

static int number_job(void *arg, void **result_out)
{
    struct numbered *numbered = arg;
    numbered->order->seen[numbered->order->count++] = numbered->number;
    *result_out = NULL;
    return 0;
}

Test(executor, starts_jobs_in_the_order_in_which_they_came, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(1, 0);
    struct order order = {.count = 0};
    struct numbered numbered[3];
    struct weft_future *futures[3];
    for (int i = 0; i < 3; i++) {
        numbered[i] = (struct numbered){&order, i};
        futures[i] = submit(executor, loop, number_job, &numbered[i]);
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQ(finish(futures[i]), 0);
    end_executor(executor);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(order.seen[i], i);
    end_loop(loop);
}

Test(executor, refuses_a_job_too_many_and_takes_one_again_after_a_cancel, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(1, 1);
    struct gate gate = {0};
    uint32_t count = 0;
    struct weft_future *running = submit(executor, loop, gate_job, &gate);
    CHECK(wait_until(gate_is_entered, &gate, DEADLINE_MS));
    struct weft_future *waiting = submit(executor, loop, count_job, &count);
    CHECK_EQ(weft_executor_submit(executor, loop, count_job, &count, NULL), WEFT_EFULL);
    CHECK(weft_future_cancel(waiting, NULL));
    CHECK_EQ(weft_executor_submit(executor, loop, count_job, &count, NULL), 0);
    gate_open(&gate);
    CHECK_EQ(finish(running), 0);
    CHECK_EQ(finish(waiting), -ECANCELED);
    end_executor(executor);
    CHECK_EQ(count, 1);
    end_loop(loop);
}

Test(executor, never_runs_a_job_that_was_cancelled_while_it_waited, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(1, 0);
    struct gate gate = {0};
    uint32_t count = 0;
    struct weft_future *running = submit(executor, loop, gate_job, &gate);
    struct weft_future *waiting = submit(executor, loop, count_job, &count);
    CHECK(wait_until(gate_is_entered, &gate, DEADLINE_MS));
    CHECK(weft_future_cancel(waiting, "no need"));
    CHECK(!weft_future_cancel(waiting, "again"));
    CHECK_STR(weft_future_cancel_message(waiting), "no need");
    CHECK_EQ(counters_of(executor).queued, 0);
    CHECK_EQ(counters_of(executor).cancelled, 1);
    gate_open(&gate);
    CHECK_EQ(finish(running), 0);
    CHECK_EQ(finish(waiting), -ECANCELED);
    end_executor(executor);
    CHECK_EQ(count, 0);
    end_loop(loop);
}

Test(executor, leaves_a_running_job_alone_and_drops_its_result_after_a_cancel, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(1, 0);
    struct gate gate = {0};
    struct weft_future *running = submit(executor, loop, gate_job, &gate);
    CHECK(wait_until(gate_is_entered, &gate, DEADLINE_MS));
    CHECK(weft_future_cancel(running, NULL));
    CHECK_EQ(counters_of(executor).running, 1);
    gate_open(&gate);
    end_executor(executor);
    CHECK_EQ(finish(running), -ECANCELED);
    end_loop(loop);
}

Test(executor, lets_what_waits_run_before_it_is_shut_down, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(1, 0);
    uint32_t count = 0;
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_executor_submit(executor, loop, count_job, &count, NULL), 0);
    CHECK_EQ(weft_executor_shutdown(executor, FOR_EVER), 0);
    CHECK_EQ(count, 20);
    CHECK_EQ(counters_of(executor).threads, 0);
    CHECK_EQ(weft_executor_submit(executor, loop, count_job, &count, NULL), WEFT_ECLOSED);
    CHECK_EQ(weft_executor_shutdown(executor, 0), 0);
    weft_executor_unref(executor);
    end_loop(loop);
}

Test(executor, cancels_what_waits_at_the_deadline_and_leaves_what_runs, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(1, 0);
    struct gate gate = {0};
    uint32_t count = 0;
    struct weft_future *running = submit(executor, loop, gate_job, &gate);
    struct weft_future *waiting = submit(executor, loop, count_job, &count);
    CHECK(wait_until(gate_is_entered, &gate, DEADLINE_MS));
    CHECK_EQ(weft_executor_shutdown(executor, 1000000), -ETIMEDOUT);
    CHECK_EQ(finish(waiting), -ECANCELED);
    CHECK(!weft_future_done(running));
    gate_open(&gate);
    CHECK_EQ(weft_executor_shutdown(executor, FOR_EVER), 0);
    CHECK_EQ(finish(running), 0);
    CHECK_EQ(count, 0);
    weft_executor_unref(executor);
    end_loop(loop);
}

static bool nothing_lives(void *arg)
{
    (void)arg;
    return oom_live() == 0;
}

Test(executor, lets_a_running_job_outlive_its_last_reference, .timeout = 10)
{
    oom_install();
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(2, 0);
    struct gate gate = {0};
    struct weft_future *running = submit(executor, loop, gate_job, &gate);
    CHECK(wait_until(gate_is_entered, &gate, DEADLINE_MS));
    weft_executor_unref(executor);
    gate_open(&gate);
    CHECK_EQ(finish(running), 0);
    end_loop(loop);
    CHECK(wait_until(nothing_lives, NULL, DEADLINE_MS));
}

Test(executor, refuses_what_makes_no_sense, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_executor(1, 0);
    struct weft_executor_options options = WEFT_EXECUTOR_OPTIONS;
    options.size = 1;
    CHECK_EQ(weft_executor_create(&options, &executor), -EINVAL);
    CHECK_EQ(weft_executor_create(NULL, NULL), -EINVAL);
    CHECK_EQ(weft_executor_submit(NULL, loop, count_job, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_executor_submit(executor, NULL, count_job, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_executor_submit(executor, loop, NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_executor_shutdown(NULL, 0), -EINVAL);
    CHECK_EQ(weft_executor_get_counters(executor, NULL), -EINVAL);
    CHECK_EQ(weft_loop_run_in_executor(loop, NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_loop_run_in_executor(NULL, count_job, NULL, NULL), -EINVAL);
    weft_executor_unref(NULL);
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK_EQ(weft_executor_submit(executor, loop, count_job, NULL, NULL), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_run_in_executor(loop, count_job, NULL, NULL), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_set_default_executor(loop, executor), WEFT_ECLOSED);
    weft_loop_unref(loop);
    end_executor(executor);
}

/* ---- the default executor of a loop ------------------------------------------------------------------------------------------- */

Test(executor, is_shared_by_the_loops_that_were_given_it, .timeout = 10)
{
    struct weft_loop *loops[2] = {make_loop(), make_loop()};
    struct weft_executor *executor = make_executor(1, 0);
    uint32_t count = 0;
    for (int i = 0; i < 2; i++) {
        struct weft_future *future;
        CHECK_EQ(weft_loop_set_default_executor(loops[i], executor), 0);
        CHECK_EQ(weft_loop_run_in_executor(loops[i], count_job, &count, &future), 0);
        CHECK_EQ(weft_loop_run_until_complete(loops[i], future, NULL), 0);
        weft_future_unref(future);
    }
    CHECK_EQ(counters_of(executor).completed, 2);
    CHECK_EQ(weft_loop_set_default_executor(loops[0], NULL), 0);
    for (int i = 0; i < 2; i++)
        end_loop(loops[i]);
    end_executor(executor);
}

Test(executor, of_a_loop_refuses_after_its_shutdown, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    uint32_t count = 0;
    CHECK_EQ(weft_loop_shutdown_default_executor(loop, FOR_EVER), 0);
    CHECK_EQ(weft_loop_run_in_executor(loop, count_job, &count, NULL), 0);
    CHECK_EQ(weft_loop_shutdown_default_executor(loop, FOR_EVER), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(weft_loop_run_in_executor(loop, count_job, &count, NULL), WEFT_ECLOSED);
    end_loop(loop);
}

static void *ask_from_elsewhere(void *arg)
{
    return (void *)(intptr_t)weft_loop_run_in_executor(arg, fail_job, NULL, NULL);
}

static int ask_and_stop(void *arg)
{
    pthread_t thread;
    void *status;
    CHECK_EQ(pthread_create(&thread, NULL, ask_from_elsewhere, arg), 0);
    pthread_join(thread, &status);
    CHECK_EQ((intptr_t)status, WEFT_EWRONGTHREAD);
    return weft_loop_stop(arg);
}

Test(executor, of_a_loop_that_runs_is_refused_to_other_threads, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    CHECK_EQ(weft_loop_call_soon(loop, ask_and_stop, loop, NULL, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    end_loop(loop);
}

/* ---- the driver --------------------------------------------------------------------------------------------------------------- */

static int starts_left;

static int start_some(struct thread *thread, const char *name, thread_fn *fn, void *arg)
{
    return starts_left-- > 0 ? executor_driver_threads.start(thread, name, fn, arg) : -EAGAIN;
}

static struct weft_executor *make_scarce(int starts, struct executor_driver *driver)
{
    struct weft_executor *executor;
    starts_left = starts;
    *driver = executor_driver_threads;
    driver->start = start_some;
    CHECK_EQ(executor_create(NULL, driver, &executor), 0);
    return executor;
}

Test(executor, without_any_thread_refuses_the_job, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct executor_driver driver;
    struct weft_executor *executor = make_scarce(0, &driver);
    uint32_t count = 0;
    CHECK_EQ(weft_executor_submit(executor, loop, count_job, &count, NULL), -EAGAIN);
    CHECK_EQ(counters_of(executor).queued, 0);
    end_executor(executor);
    CHECK_EQ(count, 0);
    end_loop(loop);
}

Test(executor, makes_do_with_the_threads_it_got, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct executor_driver driver;
    struct weft_executor *executor = make_scarce(1, &driver);
    struct gate gate = {0};
    struct weft_future *first = submit(executor, loop, gate_job, &gate);
    struct weft_future *second = submit(executor, loop, gate_job, &gate);
    CHECK_EQ(counters_of(executor).threads, 1);
    gate_open(&gate);
    CHECK_EQ(finish(first), 0);
    CHECK_EQ(finish(second), 0);
    end_executor(executor);
    end_loop(loop);
}

static struct weft_executor *make_inline(void)
{
    struct weft_executor *executor;
    CHECK_EQ(executor_create(NULL, &executor_driver_inline, &executor), 0);
    return executor;
}

Test(executor, inline_runs_jobs_as_works_of_the_loop, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_inline();
    uint32_t count = 0;
    struct weft_future *future = submit(executor, loop, count_job, &count);
    struct weft_future *cancelled = submit(executor, loop, count_job, &count);
    CHECK_EQ(count, 0);
    CHECK(weft_future_cancel(cancelled, NULL));
    CHECK_EQ(weft_loop_run_until_complete(loop, future, NULL), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(counters_of(executor).threads, 0);
    CHECK_EQ(counters_of(executor).cancelled, 1);
    CHECK_EQ(finish(cancelled), -ECANCELED);
    weft_future_unref(future);
    end_executor(executor);
    end_loop(loop);
}

Test(executor, inline_drops_the_jobs_of_a_loop_that_closes, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_inline();
    uint32_t count = 0;
    struct weft_future *future = submit(executor, loop, count_job, &count);
    end_loop(loop);
    CHECK_EQ(count, 0);
    CHECK_EQ(finish(future), -ECANCELED);
    CHECK_EQ(counters_of(executor).queued, 0);
    end_executor(executor);
}

static void count_idle(void *arg)
{
    (void)weft_atomic_add_relaxed((uint32_t *)arg, 1);
}

Test(executor, tells_when_the_last_job_of_a_closed_one_has_ended, .timeout = 10)
{
    struct weft_loop *loop = make_loop();
    struct weft_executor *executor = make_inline();
    uint32_t count = 0, idle = 0;
    struct weft_future *future = submit(executor, loop, count_job, &count);
    executor_close(executor, count_idle, &idle);
    CHECK_EQ(idle, 0);
    CHECK(!executor_is_idle(executor));
    CHECK_EQ(weft_loop_run_until_complete(loop, future, NULL), 0);
    CHECK_EQ(idle, 1);
    CHECK(executor_is_idle(executor));
    weft_future_unref(future);
    end_executor(executor);
    end_loop(loop);
}

/* ---- scarcity and races ------------------------------------------------------------------------------------------------------- */

static int create_and_run(struct weft_loop *loop, uint32_t *count)
{
    struct weft_executor *executor;
    struct weft_future *future;
    int status = weft_executor_create(NULL, &executor);
    if (status < 0)
        return status;
    status = weft_executor_submit(executor, loop, count_job, count, &future);
    if (status >= 0)
        status = finish(future);
    CHECK_EQ(weft_executor_shutdown(executor, FOR_EVER), 0);
    weft_executor_unref(executor);
    return status;
}

Test(executor, survives_running_out_of_memory_at_each_allocation, .timeout = 10)
{
    oom_install();
    struct weft_loop *loop = make_loop();
    int64_t live = oom_live();
    uint64_t n = 1;
    for (;; n++) {
        uint32_t count = 0;
        oom_start(n);
        int status = create_and_run(loop, &count);
        if (!oom_stop()) {
            CHECK_EQ(status, 0);
            CHECK_EQ(count, 1);
            break;
        }
        CHECK_EQ(status, -ENOMEM);
        CHECK_EQ(count, 0);
        CHECK_EQ(oom_live(), live);
    }
    CHECK(n > 3);
    end_loop(loop);
    CHECK_EQ(oom_live(), 0);
}

enum { RACERS = 3, RACES = 400 };

struct race {
    struct weft_executor *executor;
    struct weft_loop *loop;
    uint32_t ran;
    uint32_t succeeded;
    uint32_t cancelled;
};

static void *submit_and_cancel(void *arg)
{
    struct race *race = arg;
    for (int i = 0; i < RACES; i++) {
        struct weft_future *future = submit(race->executor, race->loop, count_job, &race->ran);
        if (i % 2 == 0)
            (void)weft_future_cancel(future, NULL);
        int status = finish(future);
        CHECK(status == 0 || status == -ECANCELED);
        (void)weft_atomic_add_relaxed(status == 0 ? &race->succeeded : &race->cancelled, 1);
    }
    return NULL;
}

Test(executor, starts_or_cancels_each_job_of_many_threads_and_never_both, .timeout = 30)
{
    struct race race = {.executor = make_executor(2, 0), .loop = make_loop()};
    pthread_t racers[RACERS];
    for (int i = 0; i < RACERS; i++)
        CHECK_EQ(pthread_create(&racers[i], NULL, submit_and_cancel, &race), 0);
    for (int i = 0; i < RACERS; i++)
        pthread_join(racers[i], NULL);
    CHECK_EQ(weft_executor_shutdown(race.executor, FOR_EVER), 0);
    struct weft_executor_counters counters = counters_of(race.executor);
    CHECK_EQ(counters.completed, race.ran);
    CHECK_EQ(counters.completed + counters.cancelled, RACERS * RACES);
    CHECK_EQ(race.succeeded + race.cancelled, RACERS * RACES);
    CHECK(race.ran >= race.succeeded);
    weft_executor_unref(race.executor);
    end_loop(race.loop);
}
