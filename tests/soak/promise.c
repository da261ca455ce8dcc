/*
 * Promises: futures that another loop completes while their owner may give them up, and jobs for the executor.
 *
 * An exchange is one future on its way: the owner awaits it for a random time, the other loop completes it at once or later. Of the two
 * one wins; soak_test.c checks that every win of the completer was a result for the owner.
 */
#include <errno.h>
#include <time.h>

#include "tests/soak/soak.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/loop.h"
#include "weft/memory.h"

enum { FUTURES = 6, JOBS = 3, DELAY_MAX_NS = 3000000, PAUSE_MAX_NS = 3000000, JOB_NS = 50000 };

struct exchange {
    struct weft_future *future; /* a reference of the exchange's */
    struct lane *other;         /* who completes it */
    uint64_t delay_ns;
};

static int exchange_complete(void *arg)
{
    struct exchange *exchange = arg;
    struct lane *lane = exchange->other;
    bool is_set = weft_future_set_result(exchange->future, lane) == 0;
    lane->counts.futures_set += is_set;
    lane->counts.futures_refused += !is_set;
    weft_future_unref(exchange->future);
    weft_free(exchange);
    return 0;
}

static int exchange_arrived(void *arg)
{
    struct exchange *exchange = arg;
    if (exchange->delay_ns == 0)
        return exchange_complete(exchange);
    return weft_loop_call_later(exchange->other->loop, (int64_t)exchange->delay_ns, exchange_complete, exchange, NULL);
}

static int exchange_begin(struct lane *lane, struct weft_future **future_out)
{
    struct exchange *exchange = weft_calloc(1, sizeof(*exchange));
    if (exchange == NULL)
        return -ENOMEM;
    int status = weft_loop_create_future(lane->loop, future_out);
    if (status < 0) {
        weft_free(exchange);
        return status;
    }
    lane->counts.futures_made++;
    exchange->future = weft_future_ref(*future_out);
    exchange->other = lane_any(lane);
    exchange->delay_ns = lane_once_in(lane, 2) ? 0 : lane_between(lane, 0, DELAY_MAX_NS);
    return weft_loop_call_soon_threadsafe(exchange->other->loop, exchange_arrived, exchange, NULL, NULL);
}

/* A deadline may come between the result and its delivery: the wait is over then, but the result is not lost. */
static void exchange_end(struct lane *lane, struct weft_future *future)
{
    void *value = NULL;
    int64_t timeout_ns = lane_once_in(lane, 3) ? -1 : (int64_t)lane_between(lane, 0, DELAY_MAX_NS);
    int waited = weft_wait_for(future, timeout_ns, NULL);
    lane_expect(lane, waited == -ETIMEDOUT ? 0 : waited, "the wait for a future");
    int status = weft_future_result(future, &value);
    lane->counts.futures_got += status == 0 && value != NULL;
    lane->counts.futures_cancelled += status == -ECANCELED && waited == -ETIMEDOUT;
    weft_future_unref(future);
}

int promise_futures(void *arg, void **result_out)
{
    struct lane *lane = arg;
    (void)result_out;
    while (!soak_is_over(lane->soak)) {
        struct weft_future *futures[FUTURES] = {NULL};
        for (int i = 0; i < FUTURES; i++)
            lane_expect(lane, exchange_begin(lane, &futures[i]), "a future's beginning");
        for (int i = 0; i < FUTURES; i++)
            exchange_end(lane, futures[i]);
        lane_expect(lane, lane_pause(lane, PAUSE_MAX_NS), "the pause of the futures");
    }
    return 0;
}

/* ---- jobs ----------------------------------------------------------------------------------------------------------------------- */

static int job_run(void *arg, void **result_out)
{
    struct soak *soak = arg;
    (void)result_out;
    (void)nanosleep(&(struct timespec){0, JOB_NS}, NULL); /* what a job is for: to block */
    (void)weft_atomic_add_relaxed(&soak->jobs_run, 1);
    return 0;
}

static void job_end(struct lane *lane, struct weft_future *future)
{
    if (lane_once_in(lane, 3))
        (void)weft_future_cancel(future, "the soak test's whim");
    int status = weft_await(future, NULL);
    lane->counts.jobs_awaited++;
    lane_expect(lane, status == -ECANCELED ? 0 : status, "a job's result");
    weft_future_unref(future);
}

int promise_jobs(void *arg, void **result_out)
{
    struct lane *lane = arg;
    (void)result_out;
    while (!soak_is_over(lane->soak)) {
        struct weft_future *futures[JOBS] = {NULL};
        for (int i = 0; i < JOBS; i++) {
            lane_expect(lane, weft_loop_run_in_executor(lane->loop, job_run, lane->soak, &futures[i]), "a job's submission");
            lane->counts.jobs_submitted++;
        }
        for (int i = 0; i < JOBS; i++)
            job_end(lane, futures[i]);
        lane_expect(lane, lane_pause(lane, PAUSE_MAX_NS), "the pause of the jobs");
    }
    return 0;
}
