/*
 * Scenarios of executors: jobs in threads, or in turns of the simulator's loops, and the names that are looked up there.
 */
#include <errno.h>

#include "tests/support/test.h"
#include "tests/sweep/sweep.h"
#include "weft/atomic.h"
#include "weft/resolve.h"

static int job(void *arg, void **result_out)
{
    (void)weft_atomic_add_relaxed((uint64_t *)arg, 1);
    *result_out = arg;
    return 0;
}

static int submit(struct stage *stage, struct weft_executor *executor, struct weft_future **future_out)
{
    struct weft_future *future;
    int status = executor == NULL ? weft_loop_run_in_executor(stage->loop, job, &stage->words[0], &future)
                                  : weft_executor_submit(executor, stage->loop, job, &stage->words[0], &future);
    if (status < 0)
        return status;
    stage_keep(stage, future);
    *future_out = future;
    return 0;
}

static int default_executor(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *jobs[3];
    int status = 0;
    (void)result_out;
    for (int i = 0; i < 3 && status == 0; i++)
        status = submit(stage, NULL, &jobs[i]);
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_await(jobs[i], NULL);
    CHECK(status < 0 || weft_atomic_load_relaxed(&stage->words[0]) == 3);
    return status;
}

static int use_own(struct stage *stage, struct weft_executor *executor)
{
    struct weft_future *first, *second, *third;
    int status = submit(stage, executor, &first);
    if (status == 0)
        status = submit(stage, executor, &second);
    if (status == 0)
        status = submit(stage, executor, &third);
    if (status < 0)
        return status;
    (void)weft_future_cancel(third, NULL);
    status = weft_await(second, NULL);
    return status < 0 ? status : weft_await(first, NULL);
}

static int own_executor(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_executor_options options = WEFT_EXECUTOR_OPTIONS;
    struct weft_executor *executor;
    (void)result_out;
    options.threads_max = 1;
    options.queue_max = 8;
    int status = weft_executor_create(&options, &executor);
    if (status < 0)
        return status;
    status = use_own(stage, executor);
    CHECK_EQ(weft_executor_shutdown(executor, -1), 0);
    weft_executor_unref(executor);
    return status;
}

static int replace_default(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_executor *executor;
    struct weft_future *future;
    (void)result_out;
    int status = weft_executor_create(NULL, &executor);
    if (status < 0)
        return status;
    status = weft_loop_set_default_executor(stage->loop, executor);
    weft_executor_unref(executor);
    if (status == 0)
        status = submit(stage, NULL, &future);
    return status < 0 ? status : weft_await(future, NULL);
}

static int look_up(struct stage *stage, const char *host, const char *service)
{
    struct weft_future *future;
    void *value;
    int status = weft_loop_getaddrinfo(stage->loop, host, service, NULL, &future);
    if (status < 0)
        return status;
    stage_keep(stage, future);
    status = weft_await(future, &value);
    if (status < 0)
        return status;
    const struct weft_address_list *list = value;
    CHECK(list->count > 0);
    return 0;
}

static int resolve(void *arg, void **result_out)
{
    (void)result_out;
    int status = look_up(arg, "127.0.0.1", "80");
    if (status == 0)
        status = look_up(arg, "localhost", "80");
    if (status == 0)
        status = look_up(arg, NULL, "80");
    if (status == 0 && (status = look_up(arg, "127.0.0.1", "no-such-service")) == WEFT_ENONAME)
        status = 0;
    return status;
}

static const struct scenario scenarios[] = {
    {.name = "default_executor", .kind = ON_TWO, .body = default_executor},
    {.name = "default_executor_threads", .kind = ON_EPOLL, .body = default_executor, .flags = HAS_THREADS},
    {.name = "own_executor", .kind = ON_EPOLL, .body = own_executor, .flags = HAS_THREADS},
    {.name = "replace_default_executor", .kind = ON_EPOLL, .body = replace_default, .flags = HAS_THREADS},
    {.name = "resolve", .kind = ON_TWO, .body = resolve},
    {.name = "resolve_threads", .kind = ON_EPOLL, .body = resolve, .flags = HAS_THREADS},
};

ROOM(executor_scenarios, scenarios);
