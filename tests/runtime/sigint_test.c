/*
 * SIGINT: what the first one and the second one do to a run, and that the handler goes as it came (RUN-1).
 */
#include "tests/runtime/fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static struct weft_runtime *create(uint32_t loops)
{
    struct weft_runtime_options options = fixture_options(loops);
    options.flags = WEFT_RUNTIME_HANDLE_SIGINT;
    return fixture_create(&options);
}

static bool is_default(void)
{
    struct sigaction action;
    CHECK_EQ(sigaction(SIGINT, NULL, &action), 0);
    return action.sa_handler == SIG_DFL;
}

static int raise_and_sleep(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    CHECK_EQ(raise(SIGINT), 0);
    return weft_sleep(3600 * SECOND_NS);
}

Test(sigint, cancels_main_and_is_what_the_run_returns, .timeout = 10)
{
    struct weft_runtime *runtime = create(2);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(raise_and_sleep, NULL), NULL), WEFT_EINTERRUPT);
    CHECK(is_default());
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(fixture_nothing, NULL), NULL), 0);
    fixture_end(runtime);
}

static int raise_and_survive(void *arg, void **result_out)
{
    CHECK_EQ(raise_and_sleep(NULL, result_out), -ECANCELED);
    *result_out = arg;
    return 0;
}

Test(sigint, is_main_s_own_affair_if_it_survives, .timeout = 10)
{
    struct weft_runtime *runtime = create(1);
    void *value = NULL;
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(raise_and_survive, &value), &value), 0);
    CHECK(value == &value);
    fixture_end(runtime);
}

static int take_back_and_end(void *arg, void **result_out)
{
    struct weft_task *task;
    (void)arg;
    int status = raise_and_sleep(NULL, result_out);
    CHECK_EQ(weft_current_task(&task), 0);
    CHECK(weft_task_cancel(task, "mine"));
    return status;
}

Test(sigint, is_not_the_reason_of_a_main_that_others_cancelled_too, .timeout = 10)
{
    struct weft_runtime *runtime = create(1);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(take_back_and_end, NULL), NULL), -ECANCELED);
    fixture_end(runtime);
}

static int ignore_the_first(void *arg, void **result_out)
{
    (void)arg;
    CHECK_EQ(raise_and_sleep(NULL, result_out), -ECANCELED);
    return raise_and_sleep(NULL, result_out);
}

Test(sigint, ends_the_run_at_once_when_it_comes_again, .timeout = 10)
{
    struct weft_runtime *runtime = create(2);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(ignore_the_first, NULL), NULL), WEFT_EINTERRUPT);
    CHECK(is_default());
    fixture_end(runtime);
}

static int raise_twice_and_look(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    CHECK(!is_default());
    CHECK_EQ(raise(SIGINT), 0);
    CHECK(!is_default());
    CHECK_EQ(raise(SIGINT), 0);
    CHECK(is_default());
    return weft_sleep(3600 * SECOND_NS);
}

Test(sigint, is_left_to_the_program_the_third_time, .timeout = 10)
{
    struct weft_runtime *runtime = create(1);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(raise_twice_and_look, NULL), NULL), WEFT_EINTERRUPT);
    fixture_end(runtime);
}

static void *kill_process(void *arg)
{
    struct weft_runtime *runtime = arg;
    struct weft_loop_counters counters;
    do {
        CHECK_EQ(weft_runtime_get_counters(runtime, 0, &counters), 0);
    } while (counters.parks == 0);
    CHECK_EQ(kill(getpid(), SIGINT), 0);
    return NULL;
}

static int sleep_long(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return weft_sleep(3600 * SECOND_NS);
}

Test(sigint, wakes_a_loop_that_sleeps, .timeout = 20)
{
    pthread_t thread;
    struct weft_runtime *runtime = create(2);
    CHECK_EQ(pthread_create(&thread, NULL, kill_process, runtime), 0);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(sleep_long, NULL), NULL), WEFT_EINTERRUPT);
    pthread_join(thread, NULL);
    fixture_end(runtime);
}

static int look(void *arg, void **result_out)
{
    (void)result_out;
    *(bool *)arg = is_default();
    return 0;
}

Test(sigint, is_not_touched_unless_asked_for, .timeout = 10)
{
    bool was_default = false;
    struct weft_runtime *runtime = fixture_loops(1);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(look, &was_default), NULL), 0);
    CHECK(was_default);
    fixture_end(runtime);
}
