/*
 * Scenarios of fork and join on two loops: jobs that compute, that suspend where they were stolen, and that fail.
 *
 * A join waits for its job whatever is asked of the task meanwhile; a cancellation is told by the next wait, so each body ends with one.
 */
#include "weft/job.h"

#include <errno.h>

#include "tests/support/test.h"
#include "tests/sweep/sweep.h"

static int large_fiber(weft_fiber_fn *fn, struct stage *stage, struct weft_coro **coro_out)
{
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    options.stack = WEFT_STACK_LARGE;
    return weft_fiber_new(fn, stage, &options, coro_out);
}

/* ---- typed ----------------------------------------------------------------------------------------------------------------------- */

WEFT_JOB(int, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    int right = WEFT_CALL(fib, n - 2);
    int left = WEFT_JOIN(fib);
    return left + right;
}

static int compute(void *arg, void **result_out)
{
    int result = 0;
    (void)arg, (void)result_out;
    int status = WEFT_RUN(fib, 12, &result);
    CHECK(status < 0 || result == 144);
    return status < 0 ? status : weft_yield();
}

static int make_compute(struct stage *stage, struct weft_coro **coro_out)
{
    return large_fiber(compute, stage, coro_out);
}

/* The leaves wait, so that the other loop comes and steals; each is visited once whatever its waits said, so that a cancellation that one of
 * these delivers is taken back. */
WEFT_JOB(int, restless, int, depth)
{
    if (depth == 0) {
        (void)weft_yield();
        return 1;
    }
    WEFT_FORK(restless, depth - 1);
    int right = WEFT_CALL(restless, depth - 1);
    (void)weft_sleep(depth);
    int left = WEFT_JOIN(restless);
    return left + right;
}

static int visit(void *arg, void **result_out)
{
    int leaves = 0;
    (void)arg, (void)result_out;
    int status = WEFT_RUN(restless, 4, &leaves);
    CHECK(status < 0 || leaves == 16);
    return status < 0 ? status : weft_yield();
}

static int make_visit(struct stage *stage, struct weft_coro **coro_out)
{
    return large_fiber(visit, stage, coro_out);
}

/* ---- any function ---------------------------------------------------------------------------------------------------------------- */

static int rest(void *arg)
{
    int status = weft_sleep(*(int64_t *)arg);
    return status < 0 ? status : 7;
}

/* Three are forked, as far as there is memory, and what was forked is joined. */
static int fork_three(void *arg, void **result_out)
{
    static int64_t delays_ns[3] = {10, 0, 30};
    struct weft_fork forks[3];
    int count = 0, status = 0;
    (void)arg, (void)result_out;
    while (count < 3 && status == 0) {
        status = weft_fork(&forks[count], rest, &delays_ns[count]);
        count += status == 0;
    }
    if (status == 0)
        status = weft_sleep(5);
    while (count-- > 0) {
        int joined = weft_join(&forks[count]);
        CHECK(joined == 7 || joined == -ECANCELED || joined == -ENOMEM);
        status = status < 0 || joined == 7 ? status : joined;
    }
    return status < 0 ? status : weft_yield();
}

static int make_fork_three(struct stage *stage, struct weft_coro **coro_out)
{
    return large_fiber(fork_three, stage, coro_out);
}

/* ---- started from elsewhere ------------------------------------------------------------------------------------------------------ */

static int compute_once(void *arg, void **result_out)
{
    struct stage *stage = arg;
    int result = 0;
    (void)result_out;
    int status = WEFT_RUN(fib, 8, &result);
    stage->words[0] += status == 0;
    return status;
}

static int start_jobs(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_task *tasks[3];
    int status = 0;
    (void)result_out;
    for (int i = 0; i < 3 && status == 0; i++) {
        status = weft_job_start(i == 1 ? stage->other : stage->loop, compute_once, stage, &tasks[i]);
        stage_keep(stage, status < 0 ? NULL : &tasks[i]->future);
    }
    for (int i = 0; i < 3 && status == 0; i++)
        status = weft_await(&tasks[i]->future, NULL);
    CHECK(status < 0 || stage->words[0] == 3);
    return status;
}

static const struct scenario scenarios[] = {
    {.name = "jobs_compute", .kind = ON_TWO, .make = make_compute},
    {.name = "jobs_compute_spawned", .kind = ON_TWO, .make = make_compute, .flags = MAIN_IS_SPAWNED},
    {.name = "jobs_wait", .kind = ON_TWO, .make = make_visit, .flags = TAKES_BACK},
    {.name = "jobs_wait_spawned", .kind = ON_TWO, .make = make_visit, .flags = MAIN_IS_SPAWNED | TAKES_BACK},
    {.name = "jobs_of_functions", .kind = ON_TWO, .make = make_fork_three},
    {.name = "jobs_of_functions_spawned", .kind = ON_TWO, .make = make_fork_three, .flags = MAIN_IS_SPAWNED},
    {.name = "jobs_on_one_loop", .kind = ON_SIM, .make = make_visit, .flags = TAKES_BACK},
    {.name = "job_start", .kind = ON_TWO, .body = start_jobs},
};

ROOM(job_scenarios, scenarios);
