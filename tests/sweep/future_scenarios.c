/*
 * Scenarios of futures: waiters, callbacks, chains, promises, shields and timeouts.
 */
#include <errno.h>

#include "tests/support/test.h"
#include "tests/sweep/sweep.h"

static int await_arg(void *arg, void **result_out)
{
    return weft_await(arg, result_out);
}

static int three_wait(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *future, *waiters[3];
    (void)result_out;
    int status = stage_future(stage, &future);
    for (int i = 0; i < 3 && status == 0; i++)
        status = stage_fiber(stage, await_arg, future, &waiters[i]);
    if (status == 0)
        status = weft_yield();
    if (status == 0)
        status = weft_future_set_result(future, stage);
    for (int i = 0; i < 3 && status == 0; i++) {
        void *value = NULL;
        status = weft_await(waiters[i], &value);
        CHECK(status < 0 || value == stage);
    }
    return status;
}

static int count_done(struct weft_future *future, void *arg)
{
    (void)future;
    return count_call(arg);
}

static int call_when_done(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *future;
    (void)result_out;
    int status = stage_future(stage, &future);
    if (status < 0)
        return status;
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_future_add_done_callback(future, count_done, &stage->words[i], NULL);
    int removed = weft_future_remove_done_callback(future, count_done, &stage->words[1]);
    CHECK(removed == 1 || status < 0);
    if (status == 0)
        status = weft_future_set_result(future, NULL);
    if (status == 0)
        status = weft_future_add_done_callback(future, count_done, &stage->words[3], NULL);
    for (int i = 0; i < 2 && status == 0; i++)
        status = weft_yield();
    CHECK(status < 0 || (stage->words[0] == 1 && stage->words[1] == 0 && stage->words[2] == 1 && stage->words[3] == 1));
    return status;
}

static int chain(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *source, *middle, *end;
    (void)result_out;
    int status = stage_sleep(stage, 10, &source);
    if (status == 0)
        status = stage_future(stage, &middle);
    if (status == 0)
        status = stage_future(stage, &end);
    if (status == 0)
        status = weft_future_chain(middle, end);
    if (status == 0)
        status = weft_future_chain(source, middle);
    return status < 0 ? status : weft_await(end, NULL);
}

static int complete_it(void *arg)
{
    return weft_future_set_result(arg, arg);
}

/* The source belongs to the other loop and is completed there. */
static int chain_across(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *source, *end;
    (void)result_out;
    int status = weft_loop_create_future(stage->other, &source);
    if (status < 0)
        return status;
    stage_keep(stage, source);
    status = stage_future(stage, &end);
    if (status == 0)
        status = weft_future_chain(source, end);
    if (status == 0)
        status = weft_loop_call_soon_threadsafe(stage->other, complete_it, source, NULL, NULL);
    return status < 0 ? status : weft_await(end, NULL);
}

static int break_promise(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *future;
    (void)result_out;
    int status = stage_future(stage, &future);
    if (status < 0)
        return status;
    (void)weft_future_promise(future);
    status = weft_yield();
    weft_future_unpromise(future);
    if (status < 0)
        return status;
    CHECK_EQ(weft_await(future, NULL), WEFT_EBROKENPROMISE);
    return 0;
}

/* What is shielded goes on when the one who waits for it is cancelled. */
static int shield(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *inner;
    (void)result_out;
    int status = stage_fiber(stage, count_body, &stage->words[0], &inner);
    if (status < 0)
        return status;
    status = weft_await_flags(inner, WEFT_AWAIT_DETACH, NULL);
    CHECK(stage->requests == 0 || !weft_future_cancelled(inner));
    return status;
}

static int time_out(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *soon, *late, *never;
    (void)result_out;
    int status = stage_sleep(stage, 10, &soon);
    if (status == 0)
        status = stage_sleep(stage, 1000, &late);
    if (status == 0)
        status = stage_future(stage, &never);
    if (status == 0)
        status = weft_wait_for(soon, 20, NULL);
    if (status == 0 && (status = weft_wait_for(late, 20, NULL)) == -ETIMEDOUT)
        status = weft_wait_for(never, 0, NULL);
    return status == -ETIMEDOUT ? 0 : status;
}

static int nested_inner(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *never;
    (void)result_out;
    int status = stage_future(stage, &never);
    return status < 0 ? status : weft_wait_for(never, 10, NULL);
}

static int time_out_nested(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *inner;
    (void)result_out;
    int status = stage_fiber(stage, nested_inner, stage, &inner);
    if (status == 0)
        status = weft_wait_for(inner, 100, NULL);
    return status == -ETIMEDOUT ? 0 : status;
}

static int cancel_it(void *arg)
{
    CHECK(weft_future_cancel(arg, "by another"));
    return 0;
}

/* The future is cancelled, and the task that waits for it is not. */
static int cancelled_by_another(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *future;
    struct weft_task *self;
    (void)result_out;
    int status = stage_future(stage, &future);
    if (status == 0)
        status = weft_loop_call_later(stage->loop, 10, cancel_it, future, NULL);
    if (status == 0)
        status = weft_await(weft_future_ref(future), NULL);
    else
        return status;
    if (weft_current_task(&self) == 0 && weft_task_cancelling(self) == 0 && status == -ECANCELED)
        status = 0;
    weft_future_unref(future);
    return status;
}

static const struct scenario scenarios[] = {
    {.name = "three_wait", .kind = ON_SIM, .body = three_wait},
    {.name = "call_when_done", .kind = ON_SIM, .body = call_when_done},
    {.name = "chain", .kind = ON_SIM, .body = chain},
    {.name = "chain_across_loops", .kind = ON_TWO, .body = chain_across},
    {.name = "break_promise", .kind = ON_SIM, .body = break_promise, .flags = REPORTS},
    {.name = "shield", .kind = ON_SIM, .body = shield},
    {.name = "time_out", .kind = ON_SIM, .body = time_out},
    {.name = "time_out_nested", .kind = ON_SIM, .body = time_out_nested},
    {.name = "cancelled_by_another", .kind = ON_SIM, .body = cancelled_by_another},
};

ROOM(future_scenarios, scenarios);
