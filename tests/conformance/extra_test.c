/*
 * The rules of the contract: what weft promises beyond asyncio, as far as it concerns one loop and its neighbours.
 */
#include <pthread.h>

#include "tests/conformance/actor.h"
#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"
#include "tests/support/wait.h"
#include "weft/atomic.h"

/* ---- ADD-1: equal times ---------------------------------------------------------------------------------------------------------- */

Rule(ADD_1, timers_of_the_same_nanosecond_run_in_the_order_of_arming)
{
    static const char *const words[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    struct weft_timer timer;
    uint64_t when_ns = weft_loop_time(loop) + 100000;
    for (int i = 0; i < 10; i++) {
        if (i == 4) { /* an embedded one among them */
            weft_timer_init(&timer, loop, note, (void *)words[i]);
            CHECK_EQ(weft_timer_start_at(&timer, when_ns), 0);
        } else {
            CHECK_EQ(weft_loop_call_at(loop, when_ns, note, (void *)words[i], NULL), 0);
        }
    }
    CHECK_EQ(weft_loop_call_at(loop, when_ns, stop_loop, loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_STR(notes(), "0 1 2 3 4 5 6 7 8 9");
}

Rule(ADD_1, a_timer_armed_again_goes_to_the_end)
{
    struct weft_timer first, second;
    uint64_t when_ns = weft_loop_time(loop) + 100000;
    weft_timer_init(&first, loop, note, "first");
    weft_timer_init(&second, loop, note, "second");
    CHECK_EQ(weft_timer_start_at(&first, when_ns), 0);
    CHECK_EQ(weft_timer_start_at(&second, when_ns), 0);
    CHECK_EQ(weft_timer_start_at(&first, when_ns), 0);
    CHECK_EQ(weft_loop_call_at(loop, when_ns, stop_loop, loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_STR(notes(), "second first");
}

/* ---- ADD-2: futures between threads and loops -------------------------------------------------------------------------------------- */

enum { RACERS = 4, RACES = 200 };

struct race {
    struct weft_future *futures[RACES];
    int wins[RACERS][RACES];
    pthread_barrier_t start;
};

struct racer {
    struct race *race;
    int index;
};

static int complete_somehow(struct weft_future *future, int way)
{
    if (way == 0)
        return weft_future_set_result(future, "result");
    if (way == 1)
        return weft_future_set_exception(future, -EIO);
    return weft_future_cancel(future, NULL) ? 0 : WEFT_EINVALIDSTATE;
}

static void *race_run(void *arg)
{
    struct racer *racer = arg;
    for (int i = 0; i < RACES; i++) {
        pthread_barrier_wait(&racer->race->start);
        int status = complete_somehow(racer->race->futures[i], (racer->index + i) % 3);
        CHECK(status == 0 || status == WEFT_EINVALIDSTATE);
        racer->race->wins[racer->index][i] = status == 0;
    }
    return NULL;
}

static int counted_callbacks;

static int done_count(struct weft_future *future, void *unused)
{
    (void)unused;
    (void)weft_future_result(future, NULL);
    counted_callbacks++;
    return 0;
}

static bool all_counted(void *unused)
{
    (void)unused;
    return counted_callbacks == RACES;
}

static void race_check(struct race *race)
{
    for (int i = 0; i < RACES; i++) {
        int winners = 0;
        for (int j = 0; j < RACERS; j++)
            winners += race->wins[j][i];
        CHECK_EQ(winners, 1);
        weft_future_unref(race->futures[i]);
    }
}

Rule(ADD_2, of_racing_completers_exactly_one_wins)
{
    static struct race race;
    static struct racer racers[RACERS];
    pthread_t threads[RACERS];
    CHECK_EQ(pthread_barrier_init(&race.start, NULL, RACERS), 0);
    for (int i = 0; i < RACES; i++) {
        race.futures[i] = future_new(loop);
        CHECK_EQ(weft_future_add_done_callback(race.futures[i], done_count, NULL, NULL), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){&race, i};
        CHECK_EQ(pthread_create(&threads[i], NULL, race_run, &racers[i]), 0);
    }
    run_until(loop, all_counted, NULL);
    for (int i = 0; i < RACERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    race_check(&race);
    pthread_barrier_destroy(&race.start);
}

static void set_result_elsewhere(void *future)
{
    CHECK_EQ(weft_future_set_result(future, "from elsewhere"), 0);
}

static int check_running(void *loop)
{
    CHECK(weft_get_running_loop() == loop);
    return note("home");
}

TaskRule(ADD_2, a_task_awaits_a_future_of_another_loop_and_resumes_at_home)
{
    struct weft_loop *other = loop_new(fixture);
    struct weft_future *future = future_new(other);
    struct actor *actor = ACTOR(fixture, AWAIT(future), CALL(check_running, loop));
    struct weft_task *task = actor_start(fixture, actor);
    run_once(loop);
    in_other_thread(set_result_elsewhere, future);
    run_once(other);
    CHECK_STR(notes(), "");
    run_once(loop);
    CHECK_STR(notes(), "home");
    CHECK_STR(actor->value, "from elsewhere");
    CHECK(weft_future_done(&task->future));
    weft_task_unref(task);
    weft_future_unref(future);
    loop_drop(other);
}

static void cancel_task_elsewhere(void *task)
{
    CHECK(weft_task_cancel(task, "from elsewhere"));
}

static int cancel_task_from_elsewhere(void *task)
{
    in_other_thread(cancel_task_elsewhere, task);
    return 0;
}

TaskRule(ADD_2, a_task_is_cancelled_from_another_thread)
{
    struct weft_future *future = future_new(loop);
    struct actor *actor = ACTOR(fixture, TRY_AWAIT(future), CALL(check_running, loop));
    struct weft_task *task = actor_start(fixture, actor);
    run_once(loop);
    call_soon(loop, cancel_task_from_elsewhere, task);
    run_once(loop);
    CHECK(weft_future_cancelled(future));
    run_once(loop);
    CHECK_STR(notes(), "home");
    CHECK_EQ(actor->caught, -ECANCELED);
    weft_task_unref(task);
    weft_future_unref(future);
}

struct two_callbacks {
    struct weft_future *future;
    char *first, *second;
};

static int add_two(void *arg)
{
    struct two_callbacks *two = arg;
    CHECK_EQ(weft_future_add_done_callback(two->future, note_done, two->first, NULL), 0);
    CHECK_EQ(weft_future_add_done_callback(two->future, note_done, two->second, NULL), 0);
    return 0;
}

Rule(ADD_2, callbacks_keep_their_order_on_each_loop)
{
    struct weft_loop *other = loop_new(fixture);
    struct weft_future *future = future_new(loop);
    struct two_callbacks there = {future, "there1", "there2"}, here = {future, "here1", "here2"};
    call_soon(other, add_two, &there);
    call_soon(loop, add_two, &here);
    run_once(other);
    run_once(loop);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    CHECK_STR(notes(), "");
    run_once(other);
    CHECK_STR(notes(), "there1 there2");
    run_once(loop);
    CHECK_STR(notes(), "here1 here2");
    weft_future_unref(future);
    loop_drop(other);
}

struct sleeper {
    struct weft_loop *loop;
    struct weft_loop_counters counters;
};

static void *sleeper_run(void *loop)
{
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    return NULL;
}

static bool is_asleep(void *arg)
{
    struct sleeper *sleeper = arg;
    CHECK_EQ(weft_loop_get_counters(sleeper->loop, &sleeper->counters), 0);
    return sleeper->counters.parks > 0;
}

static int done_stop(struct weft_future *future, void *loop)
{
    (void)future;
    return weft_loop_stop(loop);
}

Rule(ADD_2, a_burst_of_wake_ups_for_one_sleeping_loop_costs_one)
{
    struct sleeper sleeper = {.loop = loop_new(fixture)};
    struct weft_future *future = future_new(sleeper.loop);
    pthread_t thread;
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weft_future_add_done_callback(future, done_stop, sleeper.loop, NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, sleeper_run, sleeper.loop), 0);
    CHECK(wait_until(is_asleep, &sleeper, 10000));
    uint64_t wakes_before = sleeper.counters.wakes;
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(weft_loop_get_counters(sleeper.loop, &sleeper.counters), 0);
    CHECK(sleeper.counters.wakes - wakes_before <= 1);
    CHECK_EQ(sleeper.counters.posts, 100);
    weft_future_unref(future);
    loop_drop(sleeper.loop);
}

struct waiting {
    struct weft_future *future, *never;
    uint32_t is_over;
};

static void *wait_in_thread(void *arg)
{
    struct waiting *waiting = arg;
    void *value = "untouched";
    CHECK_EQ(weft_future_wait(waiting->never, 1000, &value), -ETIMEDOUT);
    CHECK_STR(value, "untouched");
    CHECK_EQ(weft_future_wait(waiting->future, -1, &value), 0);
    CHECK_STR(value, "for a thread");
    /* Pairs with the acquire in waiting_is_over(). */
    weft_atomic_store_release(&waiting->is_over, 1);
    return NULL;
}

static int wait_on_loop(void *future)
{
    CHECK_EQ(weft_future_wait(future, 0, NULL), WEFT_ERUNNING);
    return weft_future_set_result(future, "for a thread");
}

static bool waiting_is_over(void *arg)
{
    /* Pairs with the release in wait_in_thread(). */
    return weft_atomic_load_acquire(&((struct waiting *)arg)->is_over);
}

Rule(ADD_2, a_thread_without_a_loop_waits_for_a_future)
{
    struct waiting waiting = {.future = future_new(loop), .never = future_new(loop)};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, wait_in_thread, &waiting), 0);
    call_soon(loop, wait_on_loop, waiting.future);
    run_until(loop, waiting_is_over, &waiting);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    weft_future_unref(waiting.future);
    weft_future_unref(waiting.never);
}

/* ---- ADD-3: leaving a shared future -------------------------------------------------------------------------------------------------- */

TaskRule(ADD_3, cancelling_a_detachable_waiter_leaves_the_future_to_the_others)
{
    struct weft_future *shared = future_new(loop);
    struct actor *leaver_actor = ACTOR(fixture, AWAIT_DETACH(shared), SAY("never"));
    struct actor *stayer_actor = ACTOR(fixture, AWAIT_DETACH(shared), SAY("stayed"));
    struct weft_task *leaver = actor_start(fixture, leaver_actor);
    struct weft_task *stayer = actor_start(fixture, stayer_actor);
    run_once(loop);
    CHECK(weft_task_cancel(leaver, NULL));
    CHECK(!weft_future_done(shared));
    run_once(loop);
    CHECK(weft_future_cancelled(&leaver->future));
    CHECK(!weft_future_done(&stayer->future));
    CHECK_EQ(weft_future_set_result(shared, "value"), 0);
    run_once(loop);
    CHECK_STR(notes(), "stayed");
    CHECK_STR(stayer_actor->value, "value");
    weft_task_unref(leaver);
    weft_task_unref(stayer);
    weft_future_unref(shared);
}

TaskRule(ADD_3, a_self_cancel_before_a_detachable_wait_leaves_the_future_alone)
{
    struct weft_future *shared = future_new(loop);
    struct weft_task *task = actor_start(fixture, ACTOR(fixture, CALL(cancel_current, NULL), AWAIT_DETACH(shared), SAY("never")));
    run_once(loop);
    run_once(loop);
    CHECK(weft_future_cancelled(&task->future));
    CHECK(!weft_future_done(shared));
    CHECK_STR(notes(), "");
    weft_task_unref(task);
    weft_future_unref(shared);
}

TaskRule(ADD_3, a_cancel_that_meets_the_wake_up_in_flight_is_delivered_once)
{
    struct weft_future *shared = future_new(loop), *never = future_new(loop);
    struct actor *actor = ACTOR(fixture, AWAIT_DETACH(shared), SAY("never"));
    actor->acts[0].is_catching = true;
    actor->acts[1] = SAY("once");
    actor->acts[2] = AWAIT_DETACH(never);
    struct weft_task *task = actor_start_on(fixture, loop, actor, WEFT_TASK_NO_DESTROY_PENDING);
    run_once(loop);
    CHECK_EQ(weft_future_set_result(shared, NULL), 0);
    CHECK(weft_task_cancel(task, NULL));
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "once");
    CHECK_EQ(actor->caught, -ECANCELED);
    CHECK(!weft_future_done(&task->future));
    weft_task_unref(task);
    weft_future_unref(shared);
    rule_close(fixture);
    weft_future_unref(never); /* who waits borrows it */
}

/* ---- ADD-5, ADD-6: who holds what ---------------------------------------------------------------------------------------------------- */

TaskRule(ADD_5, the_loop_holds_the_tasks_that_have_not_ended)
{
    struct weft_future *future = future_new(loop);
    weft_task_unref(actor_start(fixture, ACTOR(fixture, SAY("0"), YIELD(), SAY("1"), AWAIT(future), SAY("2"))));
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "0 1");
    CHECK_EQ(task_count(loop), 1);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    run_once(loop);
    CHECK_STR(notes(), "2");
    CHECK_EQ(task_count(loop), 0);
    weft_future_unref(future);
}

TaskRule(ADD_6, a_broken_promise_wakes_the_waiters_and_is_reported)
{
    struct weft_future *future = future_new(loop);
    weft_future_promise(future);
    weft_future_promise(future);
    struct actor *actor = ACTOR(fixture, TRY_AWAIT(future));
    struct weft_task *task = actor_start(fixture, actor);
    run_once(loop);
    weft_future_unpromise(future);
    CHECK(!weft_future_done(future));
    weft_future_unpromise(future);
    CHECK(weft_future_done(future));
    CHECK_EQ(reports_take(), 1);
    CHECK_EQ(report_last().status, WEFT_EBROKENPROMISE);
    run_once(loop);
    CHECK_EQ(actor->caught, WEFT_EBROKENPROMISE);
    weft_task_unref(task);
    weft_future_unref(future);
}

Rule(ADD_6, a_promise_that_was_kept_is_dropped_silently)
{
    void *value = NULL;
    struct weft_future *future = future_new(loop);
    weft_future_promise(future);
    CHECK_EQ(weft_future_set_result(future, "kept"), 0);
    weft_future_unpromise(future);
    CHECK_EQ(weft_future_result(future, &value), 0);
    CHECK_STR(value, "kept");
    weft_future_unref(future);
    weft_future_unpromise(NULL);
}

/* ---- ADD-7: the wrong thread ----------------------------------------------------------------------------------------------------------- */

struct trespass {
    struct fixture *fixture;
    struct actor *actor;
    struct weft_timer timer;
};

static void trespass_by_scheduling(struct weft_loop *loop, struct weft_timer *timer)
{
    struct weft_handle *handle = NULL;
    CHECK_EQ(weft_loop_call_soon(loop, note, "never", NULL, &handle), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "never", &handle), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_loop_call_at(loop, 0, note, "never", &handle), WEFT_EWRONGTHREAD);
    CHECK(handle == NULL);
    CHECK_EQ(weft_timer_start(timer, 0), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_timer_start_at(timer, 0), WEFT_EWRONGTHREAD);
}

static void trespass(void *arg)
{
    struct trespass *trespass = arg;
    struct weft_loop *loop = trespass->fixture->loop;
    struct weft_task *task = NULL;
    trespass_by_scheduling(loop, &trespass->timer);
    CHECK_EQ(weft_loop_set_exception_handler(loop, NULL, NULL), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_loop_set_debug(loop, true), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_loop_set_slow_callback_duration(loop, 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_loop_set_task_factory(loop, NULL, NULL), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_loop_create_task(loop, actor_coro(trespass->fixture, trespass->actor), NULL, &task), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_task_new(loop, actor_coro(trespass->fixture, trespass->actor), NULL, &task), WEFT_EWRONGTHREAD);
    CHECK(task == NULL);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, note, "welcome", NULL, NULL), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop, actor_coro(trespass->fixture, trespass->actor), NULL, NULL), 0);
}

static int let_trespass(void *arg)
{
    in_other_thread(trespass, arg);
    return 0;
}

TaskRule(ADD_7, a_call_that_belongs_to_the_running_loop_is_refused_elsewhere)
{
    struct trespass trespass = {.fixture = fixture, .actor = ACTOR(fixture, SAY("task"))};
    weft_timer_init(&trespass.timer, loop, note, "never");
    call_soon(loop, let_trespass, &trespass);
    run_once(loop);
    run_once(loop);
    CHECK_STR(notes(), "welcome task");
    CHECK(fixture->coro_kind == CORO_FIBER || trespass.actor->drop_count == 3);
}
