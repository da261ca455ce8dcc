/*
 * LOCK-1: who is next, and what a cancellation changes. And what ADD-10 says of locks: they belong to tasks, so that one is held over a join,
 * wherever the jobs are run.
 */
#include "weft/lock.h"

#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"
#include "weft/atomic.h"
#include "weft/fiber.h"
#include "weft/job.h"

enum { WAITERS = 4, HOLDERS = 4, ROUNDS = 10 };

/* A lock that the rule holds, and fibers that wait for it in the order of their names. */
struct line {
    struct weft_loop *loop;
    struct weft_lock *lock;
    struct weft_task *tasks[WAITERS];
    int count;
};

struct place {
    struct line *line;
    char *name;
};

static struct place places[WAITERS];

static int take_and_note(void *arg, void **result_out)
{
    struct place *place = arg;
    (void)result_out;
    int status = weft_lock_acquire(place->line->lock);
    if (status < 0)
        return status;
    CHECK(weft_lock_locked(place->line->lock));
    CHECK_EQ(note(place->name), 0);
    return weft_lock_release(place->line->lock);
}

static int just_acquire(void *lock, void **result_out)
{
    (void)result_out;
    return weft_lock_acquire(lock);
}

static void come(struct line *line, char *name)
{
    struct place *place = &places[line->count];
    *place = (struct place){line, name};
    CHECK_EQ(weft_loop_create_fiber(line->loop, take_and_note, place, &line->tasks[line->count++]), 0);
}

static void line_open(struct line *line, struct weft_loop *loop)
{
    struct weft_task *task;
    *line = (struct line){.loop = loop};
    CHECK_EQ(weft_lock_new(&line->lock), 0);
    CHECK_EQ(weft_loop_create_fiber(loop, just_acquire, line->lock, &task), 0);
    CHECK_EQ(run_task(loop, task), 0);
}

static void line_close(struct line *line)
{
    for (int i = 0; i < line->count; i++) {
        run_until_done(line->loop, &line->tasks[i]->future);
        weft_task_unref(line->tasks[i]);
    }
    CHECK(!weft_lock_locked(line->lock));
    weft_lock_unref(line->lock);
}

/* ---- LOCK-1 --------------------------------------------------------------------------------------------------------------------------- */

Rule(LOCK_1, who_waits_is_served_in_the_order_of_coming)
{
    struct line line;
    line_open(&line, loop);
    come(&line, "0");
    come(&line, "1");
    come(&line, "2");
    run_once(loop);
    CHECK_STR(notes(), "");
    CHECK_EQ(weft_lock_release(line.lock), 0);
    line_close(&line);
    CHECK_STR(notes(), "0 1 2");
}

Rule(LOCK_1, who_comes_while_the_first_is_cancelled_is_the_last)
{
    struct line line;
    line_open(&line, loop);
    come(&line, "0");
    come(&line, "1");
    come(&line, "2");
    run_once(loop);
    CHECK(weft_task_cancel(line.tasks[0], NULL));
    CHECK_EQ(weft_lock_release(line.lock), 0);
    come(&line, "barger");
    line_close(&line);
    CHECK_STR(notes(), "1 2 barger");
}

Rule(LOCK_1, a_free_lock_is_taken_at_once_if_all_who_wait_are_cancelled)
{
    struct line line;
    line_open(&line, loop);
    come(&line, "0");
    come(&line, "1");
    run_once(loop);
    CHECK(weft_task_cancel(line.tasks[0], NULL));
    CHECK(weft_task_cancel(line.tasks[1], NULL));
    CHECK_EQ(weft_lock_release(line.lock), 0);
    struct weft_future *turn;
    CHECK_EQ(weft_lock_acquire_future(line.lock, loop, &turn), 0);
    CHECK_EQ(weft_future_result(turn, NULL), 0);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    weft_future_unref(turn);
    line_close(&line);
    CHECK_STR(notes(), "");
}

Rule(LOCK_1, a_free_lock_is_not_taken_at_once_if_somebody_waits)
{
    struct line line;
    line_open(&line, loop);
    come(&line, "0");
    run_once(loop);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK(!weft_lock_locked(line.lock));
    struct weft_future *turn;
    CHECK_EQ(weft_lock_acquire_future(line.lock, loop, &turn), 0);
    CHECK(!weft_future_done(turn));
    run_until_done(loop, turn);
    CHECK_STR(notes(), "0");
    CHECK_EQ(weft_lock_give_up(turn), 0);
    weft_future_unref(turn);
    line_close(&line);
}

Rule(LOCK_1, a_lock_that_nobody_holds_is_not_released)
{
    struct line line;
    line_open(&line, loop);
    come(&line, "0");
    run_once(loop);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK_EQ(weft_lock_release(line.lock), WEFT_ENOTLOCKED);
    line_close(&line);
    CHECK_STR(notes(), "0");
}

Rule(LOCK_1, who_is_woken_and_then_cancelled_passes_it_on)
{
    struct line line;
    line_open(&line, loop);
    come(&line, "0");
    come(&line, "1");
    run_once(loop);
    CHECK_EQ(weft_lock_release(line.lock), 0);
    CHECK(weft_task_cancel(line.tasks[0], NULL));
    line_close(&line);
    CHECK_STR(notes(), "1");
}

/* ---- ADD-10 --------------------------------------------------------------------------------------------------------------------------- */

struct house {
    struct weft_lock *lock;
    int in_count; /* plain: under the lock */
    int turns;
};

static int complete(void *future)
{
    return weft_future_set_result(future, NULL);
}

/* Fork a job that another fiber than the caller's must run, since the caller waits for what it does. */
static void fork_and_join(void)
{
    struct weft_fork fork;
    struct weft_task *before = current_task();
    struct weft_future *begun;
    CHECK_EQ(weft_loop_create_future(weft_get_running_loop(), &begun), 0);
    CHECK_EQ(weft_fork(&fork, complete, begun), 0);
    CHECK_EQ(weft_await(begun, NULL), 0);
    CHECK_EQ(weft_join(&fork), 0);
    CHECK(current_task() == before);
    weft_future_unref(begun);
}

static int hold_over_joins(void *arg, void **result_out)
{
    struct house *house = arg;
    (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(weft_lock_acquire(house->lock), 0);
        CHECK_EQ(house->in_count++, 0);
        fork_and_join();
        CHECK_EQ(--house->in_count, 0);
        house->turns++;
        CHECK_EQ(weft_lock_release(house->lock), 0);
    }
    return 0;
}

Rule(ADD_10, a_lock_is_held_over_joins_by_one_task_at_a_time)
{
    struct house house = {.turns = 0};
    struct weft_task *tasks[HOLDERS];
    CHECK_EQ(weft_lock_new(&house.lock), 0);
    for (int i = 0; i < HOLDERS; i++)
        CHECK_EQ(weft_job_start(house_loop(fixture, i), hold_over_joins, &house, &tasks[i]), 0);
    for (int i = 0; i < HOLDERS; i++)
        CHECK_EQ(run_task(loop, tasks[i]), 0);
    CHECK_EQ(house.turns, HOLDERS * ROUNDS);
    CHECK(!weft_lock_locked(house.lock));
    weft_lock_unref(house.lock);
}
