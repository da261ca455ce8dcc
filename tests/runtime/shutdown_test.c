/*
 * Shutdown: the order of its steps, what each does with what is left, and that it may stop anywhere.
 */
#include "tests/runtime/fixture.h"
#include "tests/support/wait.h"

#include "weft/executor.h"

#include <errno.h>
#include <pthread.h>

enum { LOOPS = 3 };

static int sleep_long(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return weft_sleep(3600 * SECOND_NS);
}

static bool is_set(void *arg)
{
    return weft_atomic_load_acquire((uint32_t *)arg) != 0; /* Pairs with the release in set(). */
}

static void set(uint32_t *flag)
{
    weft_atomic_store_release(flag, 1); /* Pairs with the acquire in is_set(). */
}

/* ---- order -------------------------------------------------------------------------------------------------------------------- */

enum { HOOKED_STEPS = RUNTIME_STEP_EXECUTOR + 1 };

struct order {
    struct weft_runtime *runtime;
    uint32_t seen[LOOPS][HOOKED_STEPS]; /* of each loop: how often each step came */
    uint32_t last[LOOPS];
    bool is_out_of_order;
};

struct order_hook {
    struct runtime_hook hook;
    struct order *order;
};

static void note_step(struct weft_loop *loop, void *arg)
{
    struct order_hook *hook = arg;
    struct order *order = hook->order;
    uint32_t i = weft_loop_index(loop);
    CHECK(weft_get_running_loop() == loop);
    order->seen[i][hook->hook.step]++;
    if ((uint32_t)hook->hook.step < order->last[i])
        weft_atomic_store_relaxed(&order->is_out_of_order, true);
    order->last[i] = hook->hook.step;
}

static void add_hooks(struct order *order, struct order_hook *hooks)
{
    for (int step = HOOKED_STEPS - 1; step >= 0; step--) {
        hooks[step] = (struct order_hook){{NULL, (enum runtime_step)step, note_step, &hooks[step]}, order};
        runtime_at_shutdown(order->runtime, &hooks[step].hook);
    }
}

Test(shutdown, calls_each_hook_once_on_each_loop_in_the_order_of_the_steps, .timeout = 10)
{
    struct order order = {.runtime = fixture_loops(LOOPS)};
    struct order_hook hooks[HOOKED_STEPS];
    add_hooks(&order, hooks);
    CHECK_EQ(weft_runtime_start(order.runtime), 0);
    fixture_end(order.runtime);
    for (int i = 0; i < LOOPS; i++)
        for (int step = 0; step < HOOKED_STEPS; step++)
            CHECK_EQ(order.seen[i][step], 1);
    CHECK(!order.is_out_of_order);
}

struct refusing_room {
    struct loop_room_state state;
    uint32_t refused;
};

static void refuse(struct weft_loop *loop, struct loop_room_state *state)
{
    struct refusing_room *room = (struct refusing_room *)state;
    CHECK(weft_get_running_loop() == loop);
    room->refused++;
}

Test(shutdown, tells_each_room_of_each_loop_to_refuse_what_comes_new, .timeout = 10)
{
    struct refusing_room rooms[LOOPS];
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    for (uint32_t i = 0; i < LOOPS; i++) {
        rooms[i] = (struct refusing_room){.state = {.refuse = refuse}};
        loop_room_set(weft_runtime_loop(runtime, i), LOOP_ROOM_NET, &rooms[i].state);
    }
    CHECK_EQ(weft_runtime_start(runtime), 0);
    CHECK_EQ(runtime_shutdown_until(runtime, RUNTIME_STEP_ACCEPT, FOR_EVER), 0);
    for (uint32_t i = 0; i < LOOPS; i++)
        CHECK_EQ(rooms[i].refused, 0);
    fixture_end(runtime);
    for (uint32_t i = 0; i < LOOPS; i++)
        CHECK_EQ(rooms[i].refused, 1);
}

/* ---- tasks -------------------------------------------------------------------------------------------------------------------- */

static int sleep_shortly(void *arg, void **result_out)
{
    (void)result_out;
    int status = weft_sleep(5000000);
    if (status == 0)
        (void)weft_atomic_add_relaxed((uint32_t *)arg, 1);
    return status;
}

Test(shutdown, lets_tasks_end_by_themselves_while_it_drains, .timeout = 10)
{
    struct weft_runtime_options options = fixture_options(LOOPS);
    options.drain_ns = 5 * SECOND_NS;
    struct weft_runtime *runtime = fixture_create(&options);
    uint32_t ended = 0;
    for (uint32_t i = 0; i < 2 * LOOPS; i++)
        fixture_spawn_and_forget(weft_runtime_loop(runtime, i % LOOPS), sleep_shortly, &ended);
    fixture_end(runtime);
    CHECK_EQ(ended, 2 * LOOPS);
}

Test(shutdown, cancels_what_has_not_ended_when_the_drain_is_over, .timeout = 10)
{
    struct weft_runtime_options options = fixture_options(LOOPS);
    options.drain_ns = 1000000;
    struct weft_runtime *runtime = fixture_create(&options);
    struct weft_task *task = fixture_spawn(weft_runtime_loop(runtime, 1), sleep_long, NULL);
    fixture_end(runtime);
    CHECK(weft_future_cancelled(&task->future));
    weft_task_unref(task);
}

static int spawn_when_cancelled(void *arg, void **result_out)
{
    (void)result_out;
    int status = weft_sleep(3600 * SECOND_NS);
    fixture_spawn_and_forget(weft_get_running_loop(), sleep_long, NULL);
    (void)weft_atomic_add_relaxed((uint32_t *)arg, 1);
    return status;
}

Test(shutdown, cancels_tasks_that_come_while_others_are_cancelled, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    uint32_t count = 0;
    CHECK_EQ(weft_runtime_start(runtime), 0);
    struct weft_task *tasks[LOOPS];
    for (uint32_t i = 0; i < LOOPS; i++)
        tasks[i] = fixture_spawn(weft_runtime_loop(runtime, i), spawn_when_cancelled, &count);
    for (uint32_t i = 0; i < LOOPS; i++)
        CHECK_EQ(weft_future_wait(&tasks[i]->future, 1000000, NULL), -ETIMEDOUT);
    fixture_end(runtime);
    CHECK_EQ(count, LOOPS);
    for (uint32_t i = 0; i < LOOPS; i++)
        weft_task_unref(tasks[i]);
}

struct stubborn {
    uint32_t has_begun;
    uint32_t cancels;
    uint32_t is_left; /* the body has come to its end */
};

static int refuse_to_end(void *arg, void **result_out)
{
    struct stubborn *stubborn = arg;
    (void)result_out;
    set(&stubborn->has_begun);
    int status;
    while ((status = weft_sleep(3600 * SECOND_NS)) == -ECANCELED)
        stubborn->cancels++;
    set(&stubborn->is_left);
    return status;
}

Test(shutdown, abandons_a_task_that_does_not_end_and_says_so, .timeout = 10)
{
    int64_t live = fixture_count_memory();
    struct weft_runtime_options options = fixture_options(LOOPS);
    options.cancel_ns = 20000000;
    struct weft_runtime *runtime = fixture_create(&options);
    struct stubborn stubborn = {0};
    CHECK_EQ(weft_runtime_start(runtime), 0);
    fixture_spawn_and_forget(weft_runtime_loop(runtime, 2), refuse_to_end, &stubborn);
    CHECK(wait_until(is_set, &stubborn.has_begun, DEADLINE_MS));
    CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), -ETIMEDOUT);
    CHECK_EQ(stubborn.cancels, 1);
    CHECK(is_set(&stubborn.is_left));
    CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), -ETIMEDOUT);
    weft_runtime_destroy(runtime);
    CHECK_EQ(oom_live(), live);
}

Test(shutdown, with_no_time_at_all_still_delivers_the_cancels, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    struct stubborn stubborn = {0};
    CHECK_EQ(weft_runtime_start(runtime), 0);
    fixture_spawn_and_forget(weft_runtime_loop(runtime, 1), refuse_to_end, &stubborn);
    CHECK(wait_until(is_set, &stubborn.has_begun, DEADLINE_MS));
    CHECK_EQ(weft_runtime_shutdown(runtime, 0), -ETIMEDOUT);
    CHECK_EQ(stubborn.cancels, 1);
    weft_runtime_destroy(runtime);
}

/* ---- jobs --------------------------------------------------------------------------------------------------------------------- */

static int wait_for_flag(void *arg, void **result_out)
{
    (void)result_out;
    (void)wait_until(is_set, arg, DEADLINE_MS);
    return 0;
}

static bool is_no_loop_left(void *arg)
{
    (void)arg;
    return loop_live_count() == 0;
}

Test(shutdown, leaves_a_job_alone_that_runs_beyond_its_deadline, .timeout = 10)
{
    struct weft_runtime_options options = fixture_options(2);
    options.executor_ns = 20000000;
    options.executor_threads_max = 1;
    struct weft_runtime *runtime = fixture_create(&options);
    uint32_t flag = 0;
    struct weft_future *running, *waiting;
    CHECK_EQ(weft_loop_run_in_executor(weft_runtime_loop(runtime, 0), wait_for_flag, &flag, &running), 0);
    CHECK_EQ(weft_loop_run_in_executor(weft_runtime_loop(runtime, 1), wait_for_flag, &flag, &waiting), 0);
    CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), -ETIMEDOUT);
    CHECK(!weft_future_done(running));
    CHECK_EQ(weft_future_result(waiting, NULL), -ECANCELED);
    weft_runtime_destroy(runtime);
    set(&flag);
    CHECK_EQ(weft_future_wait(running, 5 * SECOND_NS, NULL), 0);
    weft_future_unref(running);
    weft_future_unref(waiting);
    CHECK(wait_until(is_no_loop_left, NULL, 5000)); /* the executor's thread lets go of the future after it has completed it */
}

static int ask_loop(void *arg, void **result_out)
{
    struct weft_task *task = fixture_spawn(arg, fixture_nothing, NULL);
    (void)result_out;
    int status = weft_future_wait(&task->future, 5 * SECOND_NS, NULL);
    weft_task_unref(task);
    return status;
}

Test(shutdown, keeps_the_loops_running_for_jobs_that_talk_to_them, .timeout = 10)
{
    struct weft_runtime *runtime = fixture_loops(2);
    struct weft_future *futures[8];
    for (uint32_t i = 0; i < 8; i++) {
        struct weft_loop *loop = weft_runtime_loop(runtime, i % 2);
        CHECK_EQ(weft_loop_run_in_executor(loop, ask_loop, loop, &futures[i]), 0);
    }
    fixture_end(runtime);
    for (uint32_t i = 0; i < 8; i++) {
        int status = weft_future_result(futures[i], NULL);
        CHECK(status == 0 || status == -ECANCELED); /* a task that came before the cancels, and is not over, is cancelled too */
        weft_future_unref(futures[i]);
    }
}

/* ---- stopping at each step ---------------------------------------------------------------------------------------------------- */

struct everything {
    struct weft_runtime *runtime;
    struct order order;
    struct order_hook hooks[HOOKED_STEPS];
    struct stubborn stubborn[LOOPS];
    struct weft_future *futures[LOOPS];
    struct weft_work works[LOOPS];
    uint32_t jobs;
};

static int count_work(struct weft_work *work)
{
    work->next = work; /* its owner looks for this: it ran */
    return 0;
}

static int count_job(void *arg, void **result_out)
{
    (void)result_out;
    (void)weft_atomic_add_relaxed((uint32_t *)arg, 1);
    return 0;
}

static int do_not_call(void *arg)
{
    (void)arg;
    return 0;
}

static void fill(struct everything *all)
{
    for (uint32_t i = 0; i < LOOPS; i++) {
        struct weft_loop *loop = weft_runtime_loop(all->runtime, i);
        fixture_spawn_and_forget(loop, refuse_to_end, &all->stubborn[i]);
        fixture_spawn_and_forget(loop, sleep_long, NULL);
        CHECK_EQ(weft_loop_call_later(loop, 3600 * SECOND_NS, do_not_call, NULL, NULL), 0);
        CHECK_EQ(weft_loop_run_in_executor(loop, count_job, &all->jobs, &all->futures[i]), 0);
    }
}

/* Works that are posted from here at different steps each run exactly once, wherever the shutdown stops. */
static void post_works(struct everything *all)
{
    for (uint32_t i = 0; i < LOOPS; i++) {
        all->works[i].run = count_work;
        work_ready(&weft_runtime_loop(all->runtime, i)->worker, &all->works[i]);
    }
}

static void check_everything(const struct everything *all, int stop)
{
    for (uint32_t i = 0; i < LOOPS; i++) {
        CHECK(all->works[i].next == &all->works[i]);
        int status = weft_future_wait(all->futures[i], 5 * SECOND_NS, NULL); /* a job that ran at the end may go on after it */
        CHECK(status == 0 || status == -ECANCELED);
        CHECK_EQ(all->stubborn[i].is_left, all->stubborn[i].has_begun);
        CHECK(all->stubborn[i].cancels <= 1);
        for (int step = 0; step < HOOKED_STEPS; step++)
            CHECK_EQ(all->order.seen[i][step], step < stop ? 1 : 0);
        weft_future_unref(all->futures[i]);
    }
}

static void stop_at(int stop, const struct weft_runtime_options *options)
{
    struct everything all = {.runtime = fixture_create(options)};
    all.order.runtime = all.runtime;
    add_hooks(&all.order, all.hooks);
    fill(&all);
    CHECK_EQ(weft_runtime_run(all.runtime, fixture_fiber(fixture_nothing, NULL), NULL), 0);
    int status = runtime_shutdown_until(all.runtime, (enum runtime_step)stop, FOR_EVER);
    CHECK(status == 0 || status == -ETIMEDOUT);
    if (stop < RUNTIME_STEP_CLOSE)
        post_works(&all);
    else
        for (uint32_t i = 0; i < LOOPS; i++)
            all.works[i].next = &all.works[i];
    weft_runtime_destroy(all.runtime);
    check_everything(&all, stop);
}

static bool is_live(void *arg)
{
    return oom_live() == *(int64_t *)arg;
}

Test(shutdown, loses_and_leaks_nothing_wherever_it_stops, .timeout = 60)
{
    int64_t live = fixture_count_memory();
    struct weft_runtime_options options = fixture_options(LOOPS);
    options.drain_ns = 2000000;
    options.cancel_ns = 2000000;
    for (int repeat = 0; repeat < 10; repeat++) {
        for (int stop = 0; stop <= RUNTIME_STEP_COUNT; stop++) {
            stop_at(stop, &options);
            CHECK(wait_until(is_live, &live, DEADLINE_MS));
        }
    }
}

Test(shutdown, goes_on_where_it_stopped, .timeout = 20)
{
    int64_t live = fixture_count_memory();
    struct order order = {.runtime = fixture_loops(LOOPS)};
    struct order_hook hooks[HOOKED_STEPS];
    add_hooks(&order, hooks);
    struct weft_task *task = fixture_spawn(weft_runtime_loop(order.runtime, 1), sleep_long, NULL);
    for (int step = 0; step <= RUNTIME_STEP_COUNT; step++)
        CHECK_EQ(runtime_shutdown_until(order.runtime, (enum runtime_step)step, FOR_EVER), 0);
    CHECK(weft_future_cancelled(&task->future));
    weft_task_unref(task);
    weft_runtime_destroy(order.runtime);
    CHECK_EQ(oom_live(), live);
}

/* ---- posts to loops that are closing ------------------------------------------------------------------------------------------ */

enum { POSTERS = 3, POSTS = 3000 };

struct post {
    struct weft_work work;
    uint32_t runs;
};

struct poster {
    struct weft_loop *loops[LOOPS];
    struct post *posts;
    uint32_t has_begun;
};

static int count_post(struct weft_work *work)
{
    (void)weft_atomic_add_relaxed(&weft_container_of(work, struct post, work)->runs, 1);
    return 0;
}

static void *post_many(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < POSTS; i++) {
        poster->posts[i].work.run = count_post;
        work_ready(&poster->loops[i % LOOPS]->worker, &poster->posts[i].work);
        set(&poster->has_begun);
    }
    return NULL;
}

Test(shutdown, delivers_each_post_to_a_closing_loop_exactly_once, .timeout = 30)
{
    static struct post posts[POSTERS][POSTS];
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    struct weft_runtime *runtime = fixture_loops(LOOPS);
    CHECK_EQ(weft_runtime_start(runtime), 0);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.posts = posts[i]};
        for (uint32_t k = 0; k < LOOPS; k++)
            posters[i].loops[k] = weft_loop_ref(weft_runtime_loop(runtime, k));
        CHECK_EQ(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    CHECK(wait_until(is_set, &posters[0].has_begun, DEADLINE_MS));
    CHECK_EQ(weft_runtime_shutdown(runtime, FOR_EVER), 0);
    weft_runtime_destroy(runtime);
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        for (int k = 0; k < POSTS; k++)
            CHECK_EQ(posts[i][k].runs, 1);
        for (uint32_t k = 0; k < LOOPS; k++)
            weft_loop_unref(posters[i].loops[k]);
    }
}

struct caller {
    struct weft_loop *loop;
    uint32_t has_begun;
    uint32_t accepted;
    uint32_t called;
};

static int called(void *arg)
{
    (void)weft_atomic_add_relaxed(&((struct caller *)arg)->called, 1);
    return 0;
}

static void *call_until_refused(void *arg)
{
    struct caller *caller = arg;
    int status;
    while ((status = weft_loop_call_soon_threadsafe(caller->loop, called, caller, NULL, NULL)) == 0 || status == WEFT_EFULL) {
        caller->accepted += status == 0;
        set(&caller->has_begun);
    }
    CHECK_EQ(status, WEFT_ECLOSED);
    return NULL;
}

Test(shutdown, calls_back_at_most_once_what_was_accepted_and_then_refuses, .timeout = 30)
{
    int64_t live = fixture_count_memory();
    struct weft_runtime *runtime = fixture_loops(2);
    struct caller caller = {.loop = weft_loop_ref(weft_runtime_loop(runtime, 1))};
    pthread_t thread;
    CHECK_EQ(weft_runtime_start(runtime), 0);
    CHECK_EQ(pthread_create(&thread, NULL, call_until_refused, &caller), 0);
    CHECK(wait_until(is_set, &caller.has_begun, DEADLINE_MS));
    int status = weft_runtime_shutdown(runtime, FOR_EVER);
    CHECK(status == 0 || status == -ETIMEDOUT); /* the last: there was always one more to quiesce */
    pthread_join(thread, NULL);
    weft_runtime_destroy(runtime);
    CHECK(caller.called > 0);
    CHECK(caller.called <= caller.accepted);
    weft_loop_unref(caller.loop);
    CHECK_EQ(oom_live(), live);
}
