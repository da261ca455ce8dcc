/*
 * Scenarios of the loop's room: callbacks, handles, timers, and loops themselves.
 */
#include <errno.h>

#include "tests/support/test.h"
#include "tests/sweep/sweep.h"

static int call_back(void *arg, void **result_out)
{
    struct stage *stage = arg;
    uint64_t *calls = &stage->words[0];
    (void)result_out;
    int status = weft_loop_call_soon(stage->loop, count_call, calls, NULL, NULL);
    if (status == 0)
        status = weft_loop_call_soon_threadsafe(stage->loop, count_call, calls, NULL, NULL);
    if (status == 0)
        status = weft_loop_call_later(stage->loop, 10 * MICROSECOND, count_call, calls, NULL);
    if (status == 0)
        status = weft_loop_call_at(stage->loop, weft_loop_time(stage->loop) + 20, count_call, calls, NULL);
    while (status == 0 && *calls < 4)
        status = weft_sleep(5 * MICROSECOND);
    return status;
}

static int cancel_handles(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_handle *soon = NULL, *later = NULL;
    (void)result_out;
    int status = weft_loop_call_soon(stage->loop, count_call, &stage->words[0], NULL, &soon);
    if (status == 0)
        status = weft_loop_call_later(stage->loop, 10, count_call, &stage->words[0], &later);
    (void)weft_handle_cancel(soon);
    (void)weft_handle_cancel(later);
    weft_handle_unref(soon);
    weft_handle_unref(later);
    if (status == 0)
        status = weft_sleep(20);
    CHECK_EQ(stage->words[0], 0);
    return status;
}

static int move_timers(void *arg, void **result_out)
{
    enum { COUNT = 70 }; /* so many that the heap grows */
    struct stage *stage = arg;
    struct weft_timer timers[COUNT];
    int status = 0;
    (void)result_out;
    for (int i = 0; i < COUNT; i++)
        weft_timer_init(&timers[i], stage->loop, count_call, &stage->words[0]);
    for (int i = 0; i < COUNT && status == 0; i++)
        status = weft_timer_start(&timers[i], SECOND + i);
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_timer_start(&timers[i], 10 * i);
    while (status == 0 && stage->words[0] < 3)
        status = weft_sleep(10);
    for (int i = 0; i < COUNT; i++)
        (void)weft_timer_stop(&timers[i]);
    CHECK(stage->words[0] <= 3);
    return status;
}

static int wait_for_posts(void *arg, void **result_out)
{
    struct stage *stage = arg;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < 3 && status == 0; i++) {
        status = weft_loop_call_soon_threadsafe(stage->other, count_call, &stage->words[0], NULL, NULL);
        if (status == 0)
            status = weft_yield();
    }
    while (status == 0 && stage->words[0] < 3)
        status = weft_sleep(10);
    return status;
}

static int run_and_stop(struct stage *stage)
{
    struct weft_loop *loop;
    struct weft_coro *coro;
    struct weft_task *task = NULL;
    int status = weft_loop_new(weft_loop_kind_sim(), 100, &loop);
    if (status < 0)
        return status;
    status = stage_listen(stage, loop);
    if (status == 0 && (status = stage_coro(stage, &coro)) == 0)
        status = weft_loop_create_task(loop, coro, NULL, &task);
    if (status == 0)
        status = weft_loop_stop(loop);
    if (status == 0)
        status = weft_loop_run_forever(loop);
    if (status == 0)
        status = weft_loop_run_until_complete(loop, &task->future, NULL);
    if (task != NULL)
        (void)weft_future_exception(&task->future, NULL);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_task_unref(task);
    weft_loop_unref(loop);
    return status;
}

static int yield_thrice(void *arg, void **result_out)
{
    int status = 0;
    (void)arg, (void)result_out;
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_yield();
    return status;
}

static int sleep_for_ever(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    int status = weft_sleep(SECOND);
    CHECK(status != WEFT_ECLOSED || weft_sleep(SECOND) == WEFT_ECLOSED);
    return status;
}

/* Close a loop over a callback, a timer, and a task that has begun and one that has not. */
static int prepare(struct stage *stage, struct weft_loop *loop)
{
    struct weft_coro *coro;
    int status = weft_loop_set_exception_handler(loop, NULL, NULL);
    if (status == 0)
        status = weft_loop_create_fiber(loop, sleep_for_ever, NULL, NULL);
    if (status == 0)
        status = weft_loop_stop(loop);
    if (status == 0)
        status = weft_loop_run_forever(loop);
    if (status == 0)
        status = weft_loop_call_soon(loop, count_call, &stage->words[0], NULL, NULL);
    if (status == 0)
        status = weft_loop_call_later(loop, 1, count_call, &stage->words[0], NULL);
    if (status == 0 && (status = weft_fiber_new(yield_thrice, NULL, NULL, &coro)) == 0)
        status = weft_loop_create_task(loop, coro, NULL, NULL);
    return status;
}

static int close_over_work(struct stage *stage)
{
    struct weft_loop *loop;
    int status = weft_loop_new(NULL, 0, &loop);
    if (status < 0)
        return status;
    status = prepare(stage, loop);
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK_EQ(stage->words[0], 0);
    weft_loop_unref(loop);
    return status;
}

static int init_kind(struct weft_loop *loop, void *user, const void *options)
{
    (void)options;
    return weft_loop_call_soon(loop, count_call, user, NULL, NULL);
}

static const struct weft_loop_kind own_kind = {.size = sizeof(own_kind), .name = "own", .init = init_kind};

static int make_own_kind(struct stage *stage)
{
    struct weft_loop *loop;
    (void)stage;
    int status = weft_loop_new(&own_kind, sizeof(uint64_t), &loop);
    if (status < 0)
        return status;
    status = weft_loop_stop(loop);
    if (status == 0)
        status = weft_loop_run_forever(loop);
    if (status == 0)
        CHECK_EQ(*(uint64_t *)weft_loop_user(loop), 1);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
    return status;
}

static const struct scenario scenarios[] = {
    {.name = "call_back", .kind = ON_SIM, .body = call_back},
    {.name = "call_back_epoll", .kind = ON_EPOLL, .body = call_back, .flags = HAS_THREADS},
    {.name = "cancel_handles", .kind = ON_SIM, .body = cancel_handles},
    {.name = "move_timers", .kind = ON_SIM, .body = move_timers},
    {.name = "post_to_another_loop", .kind = ON_TWO, .body = wait_for_posts},
    {.name = "run_and_stop", .kind = BY_ITSELF, .run = run_and_stop, .body = yield_thrice},
    {.name = "close_over_work", .kind = BY_ITSELF, .run = close_over_work},
    {.name = "make_own_kind", .kind = BY_ITSELF, .run = make_own_kind},
};

ROOM(loop_room_scenarios, scenarios);
