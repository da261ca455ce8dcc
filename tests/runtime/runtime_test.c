/*
 * Runtime: many loops that run, stop and run again, and a main task on any of them.
 */
#include "tests/runtime/fixture.h"
#include "tests/support/wait.h"

#include "weft/executor.h"
#include "weft/poller.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

enum { LOOPS = 4, TIMES = 100 };

static int return_arg(void *arg, void **result_out)
{
    *result_out = arg;
    return 0;
}

static int fail(void *arg, void **result_out)
{
    (void)result_out;
    return (int)(intptr_t)arg;
}

/* ---- main --------------------------------------------------------------------------------------------------------------------- */

static int tell_loop(void *arg, void **result_out)
{
    CHECK(weft_runtime_of(weft_get_running_loop()) == arg);
    *result_out = weft_get_running_loop();
    return 0;
}

Test(runtime, closes_its_loops_itself)
{
    struct weft_runtime *runtime = fixture_loops(2);
    CHECK_EQ(weft_loop_close(weft_runtime_loop(runtime, 1)), WEFT_EFORBIDDEN);
    CHECK(!weft_loop_is_closed(weft_runtime_loop(runtime, 1)));
    fixture_end(runtime);
}

Test(runtime, runs_main_on_whichever_loop_was_chosen, .timeout = 10)
{
    for (uint32_t i = 0; i < LOOPS; i++) {
        struct weft_runtime_options options = fixture_options(LOOPS);
        options.main_loop = i;
        struct weft_runtime *runtime = fixture_create(&options);
        void *loop = NULL;
        CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(tell_loop, runtime), &loop), 0);
        CHECK(loop == weft_runtime_loop(runtime, i));
        CHECK_EQ(weft_loop_index(loop), i);
        fixture_end(runtime);
    }
}

static int check_thread(void *arg, void **result_out)
{
    (void)result_out;
    return pthread_equal(*(pthread_t *)arg, pthread_self()) ? 0 : -EINVAL;
}

Test(runtime, runs_main_in_the_calling_thread, .timeout = 10)
{
    pthread_t self = pthread_self();
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(check_thread, &self), NULL), 0);
    fixture_end(runtime);
}

static int never(void *arg)
{
    (void)arg;
    CHECK(!"this was refused");
    return 0;
}

static int check_other_loops_run(void *arg, void **result_out)
{
    struct weft_runtime *runtime = arg;
    (void)result_out;
    for (uint32_t i = 0; i < weft_runtime_loop_count(runtime); i++)
        if (!weft_loop_is_running(weft_runtime_loop(runtime, i)))
            return -EINVAL;
    CHECK_EQ(weft_loop_call_soon(weft_runtime_loop(runtime, 1), never, NULL, NULL, NULL), WEFT_EWRONGTHREAD);
    return 0;
}

Test(runtime, has_all_loops_running_before_main_begins, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(check_other_loops_run, runtime), NULL), 0);
    for (uint32_t i = 0; i < LOOPS; i++)
        CHECK(!weft_loop_is_running(weft_runtime_loop(runtime, i)));
    fixture_end(runtime);
}

Test(runtime, returns_what_main_failed_with, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(2);
    int value = 7;
    void *result = &value;
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fail, (void *)(intptr_t)-EIO), &result), -EIO);
    CHECK(result == &value);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fail, (void *)(intptr_t)WEFT_EEXIT), &result), WEFT_EEXIT);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(return_arg, NULL), &result), 0);
    CHECK(result == NULL);
    fixture_end(runtime);
}

static int stop_this_loop(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return weft_loop_stop(weft_get_running_loop());
}

static int sleep_long(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return weft_sleep(3600 * SECOND_NS);
}

Test(runtime, ends_the_run_of_all_loops_when_one_is_stopped, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    for (uint32_t i = 0; i < LOOPS; i++) {
        fixture_spawn_and_forget(weft_runtime_loop(runtime, i), stop_this_loop, NULL);
        CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(sleep_long, NULL), NULL), WEFT_ESTOPPED);
    }
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fixture_nothing, NULL), NULL), 0);
    fixture_end(runtime);
}

Test(runtime, returns_the_fatal_status_that_another_loop_was_left_with, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(2);
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, 1), fail, (void *)(intptr_t)WEFT_EEXIT);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(sleep_long, NULL), NULL), WEFT_EEXIT);
    CHECK_EQ(weft_future_result(&task->future, NULL), WEFT_EEXIT);
    weft_task_unref(task);
    fixture_end(runtime);
}

static int wait_for_arg(void *arg, void **result_out)
{
    return weft_await(arg, result_out);
}

Test(runtime, leaves_tasks_as_they_are_for_the_next_run, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(2);
    struct weft_future *future;
    CHECK_EQ(weft_loop_create_future(weft_runtime_loop(runtime, 0), &future), 0);
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, 1), wait_for_arg, future);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fixture_nothing, NULL), NULL), 0);
    CHECK(!weft_future_done(&task->future));
    CHECK_EQ(weft_future_set_result(future, runtime), 0);
    void *value = NULL;
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(wait_for_arg, &task->future), &value), 0);
    CHECK(value == runtime);
    weft_task_unref(task);
    weft_future_unref(future);
    fixture_end(runtime);
}

/* ---- between loops ------------------------------------------------------------------------------------------------------------ */

struct hop {
    struct weft_runtime *runtime;
    uint32_t left;
};

/* Await a task on the next loop, which does the same. */
static int hop(void *arg, void **result_out)
{
    struct hop *here = arg;
    struct hop next = {here->runtime, here->left - 1};
    if (here->left == 0)
        return 0;
    uint32_t index = (weft_loop_index(weft_get_running_loop()) + 1) % weft_runtime_loop_count(here->runtime);
    struct weft_task *task = fixture_spawn(weft_runtime_loop(here->runtime, index), hop, &next);
    int status = weft_await(&task->future, result_out);
    weft_task_unref(task);
    return status;
}

Test(runtime, lets_tasks_await_each_other_around_all_loops, .timeout = 20)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    for (int i = 0; i < 20; i++) {
        struct hop first = {runtime, 3 * LOOPS};
        CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(hop, &first), NULL), 0);
    }
    fixture_end(runtime);
}

static int block_shortly(void *arg, void **result_out)
{
    *result_out = arg;
    return 0;
}

static int use_executor(void *arg, void **result_out)
{
    struct weft_future *future;
    int status = weft_loop_run_in_executor(weft_get_running_loop(), block_shortly, arg, &future);
    if (status == 0) {
        status = weft_await(future, result_out);
        weft_future_unref(future);
    }
    return status;
}

Test(runtime, gives_its_loops_one_executor, .timeout = 10)
{
    struct weft_runtime_options options = fixture_options(2);
    options.executor_threads_max = 1;
    struct weft_runtime *runtime = fixture_create(&options);
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, 1), use_executor, NULL);
    void *value = NULL;
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(use_executor, &value), &value), 0);
    CHECK(value == &value);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(wait_for_arg, &task->future), NULL), 0);
    struct weft_executor_counters counters;
    CHECK_EQ(weft_executor_get_counters(weft_runtime_executor(runtime), &counters), 0);
    CHECK_EQ(counters.completed, 2);
    CHECK_EQ(counters.threads, 1);
    weft_task_unref(task);
    fixture_end(runtime);
}

/* ---- start and stop ----------------------------------------------------------------------------------------------------------- */

Test(runtime, starts_and_stops_a_hundred_times, .timeout = 30)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    for (int i = 0; i < TIMES; i++) {
        CHECK_EQ(weft_runtime_start(runtime), 0);
        CHECK(weft_loop_is_running(weft_runtime_loop(runtime, (uint32_t)i % LOOPS)));
        CHECK_EQ(weft_runtime_stop(runtime), 0);
    }
    CHECK_EQ(weft_runtime_stop(runtime), 0);
    fixture_end(runtime);
}

Test(runtime, is_made_and_shut_down_a_hundred_times, .timeout = 30)
{
    int64_t live = fixture_count_memory();
    for (int i = 0; i < TIMES; i++) {
        struct weft_runtime *runtime = fixture_loops(LOOPS);
        CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fixture_nothing, NULL), NULL), 0);
        fixture_end(runtime);
    }
    CHECK_EQ(oom_live(), live);
}

static void *ask_for_tasks(void *arg)
{
    struct weft_runtime *runtime = arg;
    for (uint32_t i = 0; i < 50; i++) {
        struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, i % LOOPS), return_arg, runtime);
        void *value = NULL;
        CHECK_EQ(weft_future_wait(&task->future, 5 * SECOND_NS, &value), 0);
        CHECK(value == runtime);
        weft_task_unref(task);
    }
    return NULL;
}

Test(runtime, runs_coroutines_that_plain_threads_bring_and_wait_for, .timeout = 20)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, ask_for_tasks, runtime), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    fixture_end(runtime);
}

Test(runtime, cancels_the_task_when_a_plain_thread_cancels_its_future, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(2);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, 1), sleep_long, NULL);
    CHECK_EQ(weft_future_wait(&task->future, 1000000, NULL), -ETIMEDOUT);
    CHECK(weft_future_cancel(&task->future, NULL));
    CHECK_EQ(weft_future_wait(&task->future, 5 * SECOND_NS, NULL), -ECANCELED);
    weft_task_unref(task);
    CHECK_EQ(weft_runtime_stop(runtime), 0);
    fixture_end(runtime);
}

Test(runtime, tells_at_stop_which_fatal_status_ended_the_run, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(2);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, 1), fail, (void *)(intptr_t)WEFT_EEXIT);
    CHECK_EQ(weft_future_wait(&task->future, 5 * SECOND_NS, NULL), WEFT_EEXIT);
    weft_task_unref(task);
    CHECK_EQ(weft_runtime_stop(runtime), WEFT_EEXIT);
    fixture_end(runtime);
}

static int count_processors(void *arg, void **result_out)
{
    cpu_set_t set;
    (void)result_out;
    CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    *(int *)arg = CPU_COUNT(&set);
    return 0;
}

Test(runtime, binds_threads_to_processors_if_asked, .timeout = 10)
{
    struct weft_runtime_options options = fixture_options(2);
    options.flags = WEFT_RUNTIME_PIN_THREADS;
    struct weft_runtime *runtime = fixture_create(&options);
    int before = 0, main_count = 0, other_count = 0;
    (void)count_processors(&before, NULL);
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, 1), count_processors, &other_count);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(count_processors, &main_count), NULL), 0);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(wait_for_arg, &task->future), NULL), 0);
    CHECK_EQ(main_count, before);
    CHECK_EQ(other_count, 1);
    weft_task_unref(task);
    fixture_end(runtime);
}

/* ---- refusals ----------------------------------------------------------------------------------------------------------------- */

static int conduct_from_inside(void *arg, void **result_out)
{
    (void)result_out;
    CHECK_EQ(weft_runtime_run(arg, fixture_fiber(fixture_nothing, NULL), NULL), WEFT_EOTHERLOOP);
    CHECK_EQ(weft_runtime_start(arg), WEFT_EOTHERLOOP);
    CHECK_EQ(weft_runtime_stop(arg), WEFT_EOTHERLOOP);
    CHECK_EQ(weft_runtime_shutdown(arg, 0), WEFT_EOTHERLOOP);
    CHECK_EQ(weft_run(fixture_fiber(fixture_nothing, NULL), NULL, NULL), WEFT_EOTHERLOOP);
    return 0;
}

static void *conduct_from_elsewhere(void *arg)
{
    CHECK_EQ(weft_runtime_run(arg, fixture_fiber(fixture_nothing, NULL), NULL), WEFT_ERUNNING);
    CHECK_EQ(weft_runtime_stop(arg), WEFT_ERUNNING);
    return NULL;
}

static int conduct_twice(void *arg, void **result_out)
{
    pthread_t thread;
    (void)result_out;
    CHECK_EQ(pthread_create(&thread, NULL, conduct_from_elsewhere, arg), 0);
    pthread_join(thread, NULL);
    return 0;
}

Test(runtime, has_one_conductor_at_a_time_and_none_inside, .timeout = 10)
{
    int64_t live = fixture_count_memory();
    struct weft_runtime *runtime = fixture_loops(2);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(conduct_from_inside, runtime), NULL), 0);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(conduct_twice, runtime), NULL), 0);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    CHECK_EQ(weft_runtime_start(runtime), WEFT_ERUNNING);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fixture_nothing, NULL), NULL), WEFT_ERUNNING);
    CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), 0);
    CHECK_EQ(weft_runtime_start(runtime), WEFT_ECLOSED);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fixture_nothing, NULL), NULL), WEFT_ECLOSED);
    weft_runtime_destroy(runtime);
    CHECK_EQ(oom_live(), live);
}

Test(runtime, refuses_what_makes_no_sense, .timeout = 10)
{
    struct weft_runtime *runtime;
    struct weft_loop_counters counters;
    struct weft_runtime_options options = fixture_options(2);
    options.main_loop = 2;
    CHECK_EQ(weft_runtime_create(&options, &runtime), -EINVAL);
    options.main_loop = 0;
    options.driver = (enum weft_runtime_driver)7;
    CHECK_EQ(weft_runtime_create(&options, &runtime), -EINVAL);
    options = fixture_options(1);
    options.size = 8;
    CHECK_EQ(weft_runtime_create(&options, &runtime), -EINVAL);
    struct weft_poller_options poller = {.size = sizeof(poller.size)};
    struct weft_loop_options loop = {.size = sizeof(loop.size), .poller = &poller};
    options = fixture_options(1);
    options.loop_options = &loop;
    CHECK_EQ(weft_runtime_create(&options, &runtime), -EINVAL);
    loop.size = sizeof(loop);
    CHECK_EQ(weft_runtime_create(&options, &runtime), -EINVAL);
    CHECK_EQ(weft_runtime_create(NULL, NULL), -EINVAL);
    CHECK_EQ(weft_runtime_run(NULL, fixture_fiber(fixture_nothing, NULL), NULL), -EINVAL);
    CHECK_EQ(weft_run(NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_runtime_shutdown(NULL, 0), -EINVAL);
    weft_runtime_destroy(NULL);
    runtime = fixture_loops(2);
    CHECK(weft_runtime_loop(runtime, 2) == NULL);
    CHECK_EQ(weft_runtime_run(runtime, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_runtime_get_counters(runtime, 2, &counters), -EINVAL);
    CHECK_EQ(weft_runtime_get_counters(runtime, 0, NULL), -EINVAL);
    fixture_end(runtime);
}

Test(runtime, has_a_loop_for_each_processor_by_default, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_create(NULL);
    cpu_set_t set;
    CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    CHECK(weft_runtime_loop_count(runtime) >= 1);
    CHECK((int)weft_runtime_loop_count(runtime) <= CPU_COUNT(&set));
    fixture_end(runtime);
}

Test(runtime, adds_up_the_counters_of_its_loops, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(2);
    struct hop first = {runtime, 3};
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(hop, &first), NULL), 0);
    struct weft_loop_counters one, other, all;
    CHECK_EQ(weft_runtime_get_counters(runtime, 0, &one), 0);
    CHECK_EQ(weft_runtime_get_counters(runtime, 1, &other), 0);
    CHECK_EQ(weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &all), 0);
    CHECK(one.turns > 0 && other.turns > 0);
    CHECK_EQ(all.turns, one.turns + other.turns);
    CHECK_EQ(all.posts, one.posts + other.posts);
    fixture_end(runtime);
}

/* ---- scarcity ----------------------------------------------------------------------------------------------------------------- */

static int starts_left;

static int start_some(struct thread *thread, const char *name, thread_fn *fn, void *arg)
{
    return starts_left-- > 0 ? executor_driver_threads.start(thread, name, fn, arg) : -EAGAIN;
}

Test(runtime, runs_nothing_if_it_gets_too_few_threads, .timeout = 10)
{
    int64_t live = fixture_count_memory();
    struct executor_driver threads = executor_driver_threads;
    struct runtime_driver driver = runtime_driver_threads;
    struct weft_runtime_options options = fixture_options(LOOPS);
    struct weft_runtime *runtime;
    threads.start = start_some;
    driver.threads = &threads;
    CHECK_EQ(runtime_create(&options, &driver, &runtime), 0);
    for (int starts = 0; starts < LOOPS - 1; starts++) {
        starts_left = starts;
        CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fixture_nothing, NULL), NULL), -EAGAIN);
        starts_left = starts;
        CHECK_EQ(weft_runtime_start(runtime), -EAGAIN);
        for (uint32_t i = 0; i < LOOPS; i++)
            CHECK(!weft_loop_is_running(weft_runtime_loop(runtime, i)));
    }
    starts_left = LOOPS - 1;
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fixture_nothing, NULL), NULL), 0);
    starts_left = 0;
    CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), -EAGAIN);
    starts_left = LOOPS - 1;
    CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), 0);
    weft_runtime_destroy(runtime);
    CHECK_EQ(oom_live(), live);
}

Test(runtime, survives_running_out_of_memory_at_each_allocation_of_create, .timeout = 20)
{
    int64_t live = fixture_count_memory();
    struct weft_runtime_options options = fixture_options(3);
    uint64_t n = 1;
    for (;; n++) {
        struct weft_runtime *runtime = NULL;
        oom_start(n);
        int status = weft_runtime_create(&options, &runtime);
        if (!oom_stop()) {
            CHECK_EQ(status, 0);
            weft_runtime_destroy(runtime);
            break;
        }
        CHECK_EQ(status, -ENOMEM);
        CHECK(runtime == NULL);
        CHECK_EQ(oom_live(), live);
    }
    CHECK(n > 10);
    CHECK_EQ(oom_live(), live);
}

Test(runtime, survives_running_out_of_memory_at_each_allocation_of_a_run, .timeout = 30)
{
    int64_t live = fixture_count_memory();
    struct weft_runtime_options options = fixture_options(2);
    for (uint64_t n = 1;; n++) {
        struct weft_coro *coro = fixture_fiber(fixture_nothing, NULL);
        oom_start(n);
        int status = weft_run(coro, &options, NULL);
        bool was_refused = oom_stop();
        CHECK(status == 0 || status == -ENOMEM);
        CHECK_EQ(oom_live(), live);
        if (!was_refused)
            break;
    }
}

/* ---- weft_run ----------------------------------------------------------------------------------------------------------------- */

struct cleanups {
    struct weft_runtime *runtime;
    uint32_t begun;
    uint32_t cleaned;
};

static int clean_up_when_cancelled(void *arg, void **result_out)
{
    struct cleanups *cleanups = arg;
    (void)result_out;
    (void)weft_atomic_add_relaxed(&cleanups->begun, 1);
    int status = weft_sleep(3600 * SECOND_NS);
    if (status == -ECANCELED && weft_yield() == 0 && weft_sleep(1000000) == 0)
        (void)weft_atomic_add_relaxed(&cleanups->cleaned, 1);
    return status;
}

static int leave_tasks_behind(void *arg, void **result_out)
{
    struct cleanups *cleanups = arg;
    struct weft_runtime *runtime = weft_runtime_of(weft_get_running_loop());
    for (uint32_t i = 0; i < 2 * LOOPS; i++)
        fixture_spawn_and_forget(weft_runtime_loop(runtime, i % LOOPS), clean_up_when_cancelled, cleanups);
    while (weft_atomic_load_relaxed(&cleanups->begun) < 2 * LOOPS)
        (void)weft_yield();
    *result_out = cleanups;
    return 0;
}

Test(runtime, run_cancels_what_main_left_behind_and_waits_for_it, .timeout = 10)
{
    int64_t live = fixture_count_memory();
    struct weft_runtime_options options = fixture_options(LOOPS);
    struct cleanups cleanups = {0};
    void *value = NULL;
    CHECK_EQ(weft_run(fixture_fiber(leave_tasks_behind, &cleanups), &options, &value), 0);
    CHECK(value == &cleanups);
    CHECK_EQ(cleanups.cleaned, 2 * LOOPS);
    CHECK_EQ(oom_live(), live);
}

Test(runtime, run_returns_what_main_failed_with, .timeout = 10)
{
    CHECK_EQ(weft_run(fixture_fiber(fail, (void *)(intptr_t)-EIO), NULL, NULL), -EIO);
    CHECK_EQ(weft_run(fixture_fiber(fail, (void *)(intptr_t)WEFT_EEXIT), NULL, NULL), WEFT_EEXIT);
}
