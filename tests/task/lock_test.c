/*
 * Lock, sentence by sentence (LOCK-1): who is next, what a cancellation changes, tickets for who has no stack, and loops in threads.
 */
#include "weft/lock.h"

#include "tests/support/oom.h"
#include "tests/task/scene.h"
#include "weft/step.h"

enum { WAITERS = 4, THREADS = 3, ROUNDS = 400 };

static struct weft_lock *new_lock(void)
{
    struct weft_lock *lock;
    CHECK_EQ(weft_lock_new(&lock), 0);
    return lock;
}

/* A loop, a lock that the test holds, and fibers that wait for it. */
struct line {
    struct weft_loop *loop;
    struct weft_lock *lock;
    struct weft_task *tasks[WAITERS];
};

static const char *const names[WAITERS] = {"0", "1", "2", "3"};

/* One place in the line. */
struct place {
    struct weft_lock *lock;
    const char *name;
};

static struct place places[WAITERS];

static int take_and_note(void *arg, void **result_out)
{
    struct place *place = arg;
    (void)result_out;
    int status = weft_lock_acquire(place->lock);
    if (status < 0)
        return status;
    CHECK(weft_lock_locked(place->lock));
    note(place->name);
    return weft_lock_release(place->lock);
}

static int just_acquire(void *lock, void **result_out)
{
    (void)result_out;
    return weft_lock_acquire(lock);
}

static struct weft_task *join_line(struct line *line, int i)
{
    places[i] = (struct place){line->lock, names[i]};
    line->tasks[i] = scene_spawn(line->loop, take_and_note, &places[i]);
    return line->tasks[i];
}

static struct line line_of(int count)
{
    struct line line = {.loop = scene_sim_loop(), .lock = new_lock()};
    CHECK_EQ(scene_run(line.loop, just_acquire, line.lock, NULL), 0);
    for (int i = 0; i < count; i++)
        (void)join_line(&line, i);
    scene_turn(line.loop);
    CHECK_STR(notes(), "");
    return line;
}

static void line_end(struct line *line)
{
    for (int i = 0; i < 10; i++)
        scene_turn(line->loop);
    for (int i = 0; i < WAITERS; i++) {
        CHECK(line->tasks[i] == NULL || weft_future_done(&line->tasks[i]->future));
        weft_task_unref(line->tasks[i]);
    }
    CHECK(!weft_lock_locked(line->lock));
    weft_lock_unref(line->lock);
    scene_drop(line->loop);
    CHECK_EQ(scene_reports(), 0);
}

/* ---- whose turn it is ------------------------------------------------------------------------------------------------------------- */

Test(lock, is_held_from_acquire_to_release, .timeout = 5)
{
    struct line line = line_of(0);
    CHECK(weft_lock_locked(line.lock));
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK(!weft_lock_locked(line.lock));
    line_end(&line);
}

Test(lock, that_is_free_is_not_released, .timeout = 5)
{
    struct weft_lock *lock = new_lock();
    CHECK_EQ(weft_lock_release(lock), WEFT_ENOTLOCKED);
    CHECK(!weft_lock_locked(lock));
    weft_lock_unref(lock);
}

Test(lock, that_is_free_is_not_released_while_the_next_one_comes, .timeout = 5)
{
    struct line line = line_of(1);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK(!weft_lock_locked(line.lock));
    CHECK_EQ(weft_lock_release(line.lock), WEFT_ENOTLOCKED);
    line_end(&line);
    CHECK_STR(notes(), "0");
}

Test(lock, serves_in_the_order_of_coming, .timeout = 5)
{
    struct line line = line_of(4);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    line_end(&line);
    CHECK_STR(notes(), "0 1 2 3");
}

Test(lock, lets_nobody_past_who_is_woken_and_has_not_run, .timeout = 5)
{
    struct line line = line_of(2);
    (void)join_line(&line, 2);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    line_end(&line);
    CHECK_STR(notes(), "0 1 2");
}

/* The order that asyncio has: 1, 2, 3 and then who came while the lock was free. */
Test(lock, passes_over_a_cancelled_one, .timeout = 5)
{
    struct line line = line_of(3);
    CHECK(weft_task_cancel(line.tasks[0], NULL));
    CHECK_EQ(weft_lock_release(line.lock), 0);
    (void)join_line(&line, 3);
    line_end(&line);
    CHECK_STR(notes(), "1 2 3");
}

static int release_and_acquire(void *lock, void **result_out)
{
    (void)result_out;
    CHECK_EQ(weft_lock_release(lock), 0);
    CHECK_EQ(weft_lock_acquire(lock), 0);
    note("barger");
    return weft_lock_release(lock);
}

Test(lock, is_taken_at_once_if_all_who_wait_are_cancelled, .timeout = 5)
{
    struct line line = line_of(1);
    CHECK(weft_task_cancel(line.tasks[0], NULL));
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK_EQ(scene_run(line.loop, just_acquire, line.lock, NULL), 0);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK(weft_future_cancelled(&line.tasks[0]->future));
    line_end(&line);
    CHECK_STR(notes(), "");
}

Test(lock, is_not_taken_again_by_who_releases_it_before_the_others, .timeout = 5)
{
    struct line line = line_of(2);
    CHECK_EQ(scene_run(line.loop, release_and_acquire, line.lock, NULL), 0);
    line_end(&line);
    CHECK_STR(notes(), "0 1 barger");
}

Test(lock, is_not_got_by_a_waiter_that_is_cancelled_while_it_is_held, .timeout = 5)
{
    struct line line = line_of(2);
    CHECK(weft_task_cancel(line.tasks[0], NULL));
    scene_turn(line.loop);
    CHECK(weft_future_cancelled(&line.tasks[0]->future));
    CHECK(weft_lock_locked(line.lock));
    CHECK_EQ(weft_lock_release(line.lock), 0);
    line_end(&line);
    CHECK_STR(notes(), "1");
}

Test(lock, is_passed_on_by_who_is_woken_and_then_cancelled, .timeout = 5)
{
    struct line line = line_of(2);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK(weft_task_cancel(line.tasks[0], NULL));
    line_end(&line);
    CHECK_STR(notes(), "1");
}

Test(lock, is_free_if_the_only_one_who_is_woken_is_cancelled, .timeout = 5)
{
    struct line line = line_of(1);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK(weft_task_cancel(line.tasks[0], NULL));
    line_end(&line);
    CHECK_STR(notes(), "");
}

Test(lock, needs_a_fiber_to_be_acquired, .timeout = 5)
{
    struct weft_lock *lock = new_lock();
    CHECK_EQ(weft_lock_acquire(lock), WEFT_ENOFIBER);
    CHECK(!weft_lock_locked(lock));
    weft_lock_unref(lock);
}

Test(lock, tells_a_waiter_that_its_loop_closes_and_serves_the_next_loop, .timeout = 5)
{
    struct line line = line_of(1);
    struct weft_loop *other = scene_sim_loop();
    places[1] = (struct place){line.lock, "other"};
    struct weft_task *task = scene_spawn(other, take_and_note, &places[1]);
    scene_turn(other);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    scene_drop(line.loop);
    CHECK_EQ(weft_loop_run_until_complete(other, &task->future, NULL), 0);
    CHECK_STR(notes(), "other");
    CHECK_EQ(weft_future_result(&line.tasks[0]->future, NULL), WEFT_ECLOSED);
    CHECK(!weft_lock_locked(line.lock));
    weft_task_unref(line.tasks[0]);
    weft_task_unref(task);
    weft_lock_unref(line.lock);
    scene_drop(other);
}

/* A coroutine of somebody's own that drives a fiber, and knows what that waits for. */
struct driver {
    struct weft_coro coro; /* first */
    struct weft_coro *fiber;
    struct weft_future *awaited;
};

static int hears_nothing(struct weft_future *future, void *arg)
{
    (void)future, (void)arg;
    return 0;
}

static int driver_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    struct driver *driver = (struct driver *)coro;
    int how = driver->fiber->ops->send(driver->fiber, status, suspend_out);
    driver->awaited = how == WEFT_CORO_AWAIT ? suspend_out->future : NULL;
    return how;
}

static void driver_close(struct weft_coro *coro)
{
    struct weft_coro *fiber = ((struct driver *)coro)->fiber;
    fiber->ops->close(fiber);
}

Test(lock, is_waited_for_without_the_frame_by_a_fiber_that_somebody_drives, .timeout = 5)
{
    static const struct weft_coro_ops ops = {.size = sizeof(ops), .send = driver_send, .close = driver_close};
    struct line line = line_of(0);
    struct driver driver = {.coro = {&ops}};
    struct weft_task *task;
    CHECK_EQ(weft_fiber_new(just_acquire, line.lock, NULL, &driver.fiber), 0);
    CHECK_EQ(weft_loop_create_task(line.loop, &driver.coro, NULL, &task), 0);
    scene_turn(line.loop);
    CHECK_EQ(weft_future_add_done_callback(driver.awaited, hears_nothing, NULL, NULL), 0);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    scene_drop(line.loop); /* the callback is queued behind the task */
    CHECK_EQ(weft_future_result(&task->future, NULL), WEFT_ECLOSED);
    CHECK(!weft_lock_locked(line.lock));
    weft_task_unref(task);
    weft_lock_unref(line.lock);
}

/* ---- without a stack ---------------------------------------------------------------------------------------------------------------- */

static struct weft_future *draw(struct line *line)
{
    struct weft_future *turn;
    CHECK_EQ(weft_lock_acquire_future(line->lock, line->loop, &turn), 0);
    return turn;
}

Test(lock, gives_a_ticket_that_is_done_if_it_is_free, .timeout = 5)
{
    struct line line = line_of(0);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    struct weft_future *turn = draw(&line);
    CHECK_EQ(weft_future_result(turn, NULL), 0);
    CHECK(weft_lock_locked(line.lock));
    CHECK_EQ(weft_lock_release(line.lock), 0);
    weft_future_unref(turn);
    line_end(&line);
}

Test(lock, is_handed_to_a_ticket_in_its_turn, .timeout = 5)
{
    struct line line = line_of(1);
    struct weft_future *turn = draw(&line);
    (void)join_line(&line, 1);
    scene_turn(line.loop);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK(!weft_future_done(turn));
    scene_turn(line.loop);
    CHECK_STR(notes(), "0");
    CHECK_EQ(weft_future_result(turn, NULL), 0);
    CHECK(weft_lock_locked(line.lock));
    CHECK_EQ(weft_lock_release(line.lock), 0);
    weft_future_unref(turn);
    line_end(&line);
    CHECK_STR(notes(), "1");
}

Test(lock, forgets_a_ticket_that_is_cancelled, .timeout = 5)
{
    struct line line = line_of(0);
    struct weft_future *turn = draw(&line);
    CHECK(weft_future_cancel(turn, NULL));
    weft_future_unref(turn);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    line_end(&line);
}

Test(lock, is_released_by_a_ticket_that_is_given_up_too_late, .timeout = 5)
{
    struct line line = line_of(0);
    struct weft_future *turn = draw(&line);
    (void)join_line(&line, 0);
    scene_turn(line.loop);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK_EQ(weft_lock_give_up(turn), 0);
    weft_future_unref(turn);
    line_end(&line);
    CHECK_STR(notes(), "0");
}

Test(lock, refuses_to_give_up_what_is_no_ticket, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *future = scene_future(loop);
    CHECK_EQ(weft_lock_give_up(future), -EINVAL);
    weft_future_unref(future);
    scene_drop(loop);
}

/* What a step task does that stops waiting, whenever that is. */
struct step_state {
    struct weft_lock *lock;
    struct weft_future *turn;
};

static void step_drop(void *arg)
{
    struct step_state *state = arg;
    weft_future_unref(state->turn);
}

static int step_turn(struct weft_step *step, void *arg, int status)
{
    struct step_state *state = arg;
    WEFT_STEP_BEGIN(step, status);
    CHECK_EQ(weft_lock_acquire_future(state->lock, weft_get_running_loop(), &state->turn), 0);
    WEFT_STEP_AWAIT(step, state->turn, status);
    if (status < 0) {
        CHECK_EQ(weft_lock_give_up(state->turn), 0);
        return status;
    }
    note("step");
    CHECK_EQ(weft_lock_release(state->lock), 0);
    WEFT_STEP_END(step, NULL);
}

static struct weft_task *start_step(struct line *line)
{
    struct weft_coro *coro;
    struct weft_task *task;
    void *state;
    CHECK_EQ(weft_step_new(step_turn, step_drop, sizeof(struct step_state), &coro, &state), 0);
    ((struct step_state *)state)->lock = line->lock;
    CHECK_EQ(weft_loop_create_task(line->loop, coro, NULL, &task), 0);
    scene_turn(line->loop);
    return task;
}

Test(lock, serves_steps_and_fibers_in_one_line, .timeout = 5)
{
    struct line line = line_of(1);
    struct weft_task *task = start_step(&line);
    (void)join_line(&line, 1);
    scene_turn(line.loop);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    line_end(&line);
    CHECK_STR(notes(), "0 step 1");
    weft_task_unref(task);
}

Test(lock, is_passed_on_by_a_step_that_is_woken_and_then_cancelled, .timeout = 5)
{
    struct line line = line_of(0);
    struct weft_task *task = start_step(&line);
    (void)join_line(&line, 0);
    scene_turn(line.loop);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK(weft_task_cancel(task, NULL));
    line_end(&line);
    CHECK_STR(notes(), "0");
    CHECK(weft_future_cancelled(&task->future));
    weft_task_unref(task);
}

static int wait_shortly(void *lock, void **result_out)
{
    struct weft_future *turn;
    (void)result_out;
    CHECK_EQ(weft_lock_acquire_future(lock, weft_get_running_loop(), &turn), 0);
    int status = weft_wait_for(turn, MILLISECOND, NULL);
    CHECK_EQ(weft_lock_give_up(turn), 0);
    weft_future_unref(turn);
    return status;
}

Test(lock, is_waited_for_with_a_timeout, .timeout = 5)
{
    struct line line = line_of(0);
    CHECK_EQ(scene_run(line.loop, wait_shortly, line.lock, NULL), -ETIMEDOUT);
    CHECK(weft_lock_locked(line.lock));
    CHECK_EQ(weft_lock_release(line.lock), 0);
    line_end(&line);
}

/* ---- memory --------------------------------------------------------------------------------------------------------------------------- */

Test(lock, says_when_there_is_no_memory, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_lock *lock = NULL, *other = NULL;
    struct weft_future *turn = NULL;
    oom_install();
    CHECK_EQ(weft_lock_new(&lock), 0);
    oom_start(1);
    CHECK_EQ(weft_lock_new(&other), -ENOMEM);
    oom_start(1);
    CHECK_EQ(weft_lock_acquire_future(lock, loop, &turn), -ENOMEM);
    CHECK(oom_stop());
    CHECK(other == NULL && turn == NULL && !weft_lock_locked(lock));
    weft_lock_unref(lock);
    scene_drop(loop);
}

static int acquire_held(void *lock, void **result_out)
{
    (void)result_out;
    oom_start_from(1);
    int status = weft_lock_acquire(lock);
    CHECK(!oom_stop());
    return status;
}

static int release_later(void *lock)
{
    note("release");
    return weft_lock_release(lock);
}

Test(lock, is_waited_for_by_a_fiber_without_memory_of_its_own, .timeout = 5)
{
    oom_install();
    struct line line = line_of(0);
    CHECK_EQ(weft_loop_call_later(line.loop, MILLISECOND, release_later, line.lock, NULL), 0);
    struct weft_task *task = scene_spawn(line.loop, acquire_held, line.lock);
    CHECK_EQ(weft_loop_run_until_complete(line.loop, &task->future, NULL), 0);
    CHECK_STR(notes(), "release");
    weft_task_unref(task);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    line_end(&line);
}

/* ---- loops in threads ------------------------------------------------------------------------------------------------------------------- */

static struct weft_lock *shared;
static uint64_t total; /* plain: the holder's */

static int count_rounds(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(weft_lock_acquire(shared), 0);
        total++;
        if (i % 64 == 0)
            CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_lock_release(shared), 0);
    }
    return 0;
}

Test(lock, keeps_loops_in_threads_apart, .timeout = 60)
{
    struct scene_thread threads[THREADS];
    struct weft_task *tasks[THREADS * 2];
    shared = new_lock();
    for (int i = 0; i < THREADS; i++)
        scene_thread_start(&threads[i]);
    for (int i = 0; i < THREADS * 2; i++) {
        struct weft_coro *coro;
        CHECK_EQ(weft_fiber_new(count_rounds, NULL, NULL, &coro), 0);
        CHECK_EQ(weft_loop_create_task_threadsafe(threads[i % THREADS].loop, coro, NULL, &tasks[i]), 0);
    }
    for (int i = 0; i < THREADS * 2; i++) {
        CHECK_EQ(weft_future_wait(&tasks[i]->future, -1, NULL), 0);
        weft_task_unref(tasks[i]);
    }
    CHECK_EQ(total, THREADS * 2 * ROUNDS);
    CHECK(!weft_lock_locked(shared));
    for (int i = 0; i < THREADS; i++)
        scene_thread_stop(&threads[i]);
    weft_lock_unref(shared);
}
