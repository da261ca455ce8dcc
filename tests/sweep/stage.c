/*
 * One run of a scenario. Nothing of the stage's own comes through weft's memory while a fault is armed, so that the n-th allocation is
 * the scenario's; and what it counts before and after is everything that the library counts of itself.
 */
#include "tests/sweep/stage.h"

#include <errno.h>
#include <string.h>

#include "lib/loop/loop.h"
#include "lib/task/job.h"
#include "lib/task/task.h"
#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "tests/support/wait.h"

/* lib/task's, as in tests/support/test.c. */
extern uint64_t fiber_room_count(void);

/* How long nothing can be allocated before the stage lets it be again: those who wait for memory to come back then end. */
static const int64_t relief_ns[] = {[ON_SIM] = 10 * SECOND, [ON_EPOLL] = 2 * MILLISECOND, [ON_TWO] = 10 * SECOND};

/* ---- faults ---------------------------------------------------------------------------------------------------------------------- */

static int relieve(void *arg)
{
    struct stage *stage = arg;
    stage->was_refused |= oom_stop();
    return 0;
}

static bool may_starve(const struct stage *stage)
{
    return stage->fault.mode == REFUSE_FROM || stage->fault.mode == CANCEL_STARVED;
}

static void arm_fault(struct stage *stage)
{
    if (stage->loop != NULL)
        weft_timer_init(&stage->relief, stage->loop, relieve, stage);
    if (stage->loop != NULL && may_starve(stage))
        CHECK_EQ(weft_timer_start(&stage->relief, relief_ns[stage->scenario->kind]), 0);
    if (stage->fault.mode == REFUSE_FROM)
        oom_start_from(stage->fault.n);
    else
        oom_start(stage->fault.mode == REFUSE_ONE ? stage->fault.n : 0);
}

static void lift_fault(struct stage *stage)
{
    stage->allocations = oom_asked();
    stage->was_refused |= oom_stop();
    if (stage->loop != NULL)
        (void)weft_timer_stop(&stage->relief);
}

static void request(struct stage *stage)
{
    stage->requests += weft_task_cancel(stage->main, "the sweep");
}

/* From the queue of the loop on which the main task has suspended, which is before it can go on there. */
static int request_waiting(void *arg)
{
    struct stage *stage = arg;
    request(stage);
    if (stage->fault.mode == CANCEL_TWICE)
        request(stage);
    return 0;
}

static int request_starved(void *arg)
{
    oom_start_from(1);
    request(arg);
    return 0;
}

static bool is_to_be_cancelled(const struct stage *stage)
{
    uint64_t at = stage->suspensions, n = stage->fault.n;
    switch (stage->fault.mode) {
    case CANCEL_ALWAYS:
        return at >= n;
    case CANCEL_CLEANUP:
        return at == n || at == n + 1;
    default:
        return stage->fault.mode >= CANCEL_WAITING && at == n;
    }
}

static void main_suspends(struct stage *stage)
{
    struct weft_loop *here = weft_get_running_loop();
    stage->suspensions++;
    CHECK(stage->suspensions < 100000);
    if (!is_to_be_cancelled(stage))
        return;
    if (stage->fault.mode == CANCEL_SUSPENDING)
        request(stage);
    else if (stage->fault.mode == CANCEL_STARVED)
        CHECK_EQ(weft_loop_call_soon(here, request_starved, stage, NULL, NULL), 0);
    else
        CHECK_EQ(weft_loop_call_soon(here, request_waiting, stage, NULL, NULL), 0);
}

static int observer_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    struct observer *observer = weft_container_of(coro, struct observer, coro);
    struct stage *stage = weft_container_of(observer, struct stage, observer);
    if (stage->main == NULL) {
        CHECK_EQ(weft_current_task(&stage->main), 0);
        (void)weft_task_ref(stage->main);
    }
    int how = observer->inner->ops->send(observer->inner, status, suspend_out);
    if (how > WEFT_CORO_RETURN)
        main_suspends(stage);
    return how;
}

static void observer_close(struct weft_coro *coro)
{
    struct observer *observer = weft_container_of(coro, struct observer, coro);
    observer->inner->ops->close(observer->inner);
}

static const struct weft_coro_ops observer_ops = {.size = sizeof(observer_ops), .send = observer_send, .close = observer_close};

int stage_coro(struct stage *stage, struct weft_coro **coro_out)
{
    const struct scenario *scenario = stage->scenario;
    int status = scenario->make != NULL ? scenario->make(stage, &stage->observer.inner)
                                        : weft_fiber_new(scenario->body, stage, NULL, &stage->observer.inner);
    stage->observer.coro.ops = &observer_ops;
    if (status == 0)
        *coro_out = &stage->observer.coro;
    return status;
}

/* ---- for scenarios --------------------------------------------------------------------------------------------------------------- */

void stage_keep(struct stage *stage, struct weft_future *future)
{
    if (future == NULL)
        return;
    CHECK(stage->kept_count < KEPT_MAX);
    stage->kept[stage->kept_count++] = future;
}

static int keep(struct stage *stage, int status, struct weft_future *future, struct weft_future **future_out)
{
    if (status < 0)
        return status;
    stage_keep(stage, future);
    *future_out = future;
    return 0;
}

int stage_future(struct stage *stage, struct weft_future **future_out)
{
    struct weft_future *future = NULL;
    int status = weft_loop_create_future(stage->loop, &future);
    return keep(stage, status, future, future_out);
}

int stage_sleep(struct stage *stage, int64_t delay_ns, struct weft_future **future_out)
{
    struct weft_future *future = NULL;
    int status = weft_loop_sleep(stage->loop, delay_ns, &future);
    return keep(stage, status, future, future_out);
}

int stage_fiber(struct stage *stage, weft_fiber_fn *fn, void *arg, struct weft_future **future_out)
{
    struct weft_task *task = NULL;
    int status = weft_loop_create_fiber(stage->loop, fn, arg, &task);
    return keep(stage, status, status < 0 ? NULL : &task->future, future_out);
}

int stage_spawn(struct stage *stage, struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_future **future_out)
{
    struct weft_task *task = NULL;
    int status = weft_loop_spawn_fiber(loop, fn, arg, &task);
    return keep(stage, status, status < 0 ? NULL : &task->future, future_out);
}

static int count_report(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    struct stage *stage = arg;
    (void)loop, (void)exception;
    stage->reports++;
    return 0;
}

int stage_listen(struct stage *stage, struct weft_loop *loop)
{
    return weft_loop_set_exception_handler(loop, count_report, stage);
}

int count_call(void *arg)
{
    ++*(uint64_t *)arg;
    return 0;
}

int count_body(void *arg, void **result_out)
{
    int status = weft_yield();
    ++*(uint64_t *)arg;
    *result_out = arg;
    return status;
}

int sleep_body(void *arg, void **result_out)
{
    (void)result_out;
    return weft_sleep(*(int64_t *)arg);
}

/* ---- a run ----------------------------------------------------------------------------------------------------------------------- */

static void open_stage(struct stage *stage)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    if (stage->scenario->kind == BY_ITSELF)
        return;
    if (stage->scenario->kind != ON_TWO) {
        bool is_sim = stage->scenario->kind == ON_SIM;
        CHECK_EQ(weft_loop_new(is_sim ? weft_loop_kind_sim() : weft_loop_kind_epoll(), 0, &stage->loop), 0);
    } else {
        options.loops = 2;
        options.driver = WEFT_DRIVER_SIM;
        options.seed = 1;
        CHECK_EQ(weft_runtime_create(&options, &stage->runtime), 0);
        stage->loop = weft_runtime_loop(stage->runtime, 0);
        stage->other = weft_runtime_loop(stage->runtime, 1);
        CHECK_EQ(stage_listen(stage, stage->other), 0);
    }
    CHECK_EQ(stage_listen(stage, stage->loop), 0);
}

static void close_stage(struct stage *stage)
{
    if (stage->runtime != NULL) {
        CHECK_EQ(weft_runtime_shutdown(stage->runtime, -1), 0);
        weft_runtime_destroy(stage->runtime);
    } else if (stage->loop != NULL) {
        CHECK_EQ(weft_loop_shutdown_default_executor(stage->loop, -1), 0);
        CHECK_EQ(weft_loop_close(stage->loop), 0);
        weft_loop_unref(stage->loop);
    }
}

static int run_coro(struct stage *stage, struct weft_coro *coro)
{
    if (stage->runtime != NULL)
        return weft_runtime_run(stage->runtime, coro, NULL);
    struct weft_task *task;
    int status = weft_loop_create_task(stage->loop, coro, NULL, &task);
    if (status < 0)
        return status;
    status = weft_loop_run_until_complete(stage->loop, &task->future, NULL);
    /* The run may have been refused; then the task is to be met with what it still holds, by the stage. */
    stage_keep(stage, &task->future);
    return status;
}

static int run_body(struct stage *stage, weft_fiber_fn *fn)
{
    struct weft_coro *coro;
    int status = weft_fiber_new(fn, stage, NULL, &coro);
    return status < 0 ? status : run_coro(stage, coro);
}

/* The main task of a scenario that wants it to be stealable: it is this one's child. */
static int carry(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_coro *coro;
    struct weft_task *task;
    int status = stage_coro(stage, &coro);
    (void)result_out;
    if (status == 0)
        status = weft_loop_spawn(stage->loop, coro, NULL, &task);
    if (status < 0)
        return status;
    status = weft_await(&task->future, NULL);
    weft_task_unref(task);
    return status;
}

static int run_main(struct stage *stage)
{
    struct weft_coro *coro;
    if (stage->scenario->run != NULL)
        return stage->scenario->run(stage);
    if ((stage->scenario->flags & MAIN_IS_SPAWNED) != 0)
        return run_body(stage, carry);
    int status = stage_coro(stage, &coro);
    return status < 0 ? status : run_coro(stage, coro);
}

static int cancel_kept(void *arg, void **result_out)
{
    struct stage *stage = arg;
    (void)result_out;
    for (size_t i = 0; i < stage->kept_count; i++)
        (void)weft_future_cancel(stage->kept[i], NULL);
    for (size_t i = 0; i < stage->kept_count; i++)
        (void)weft_await(stage->kept[i], NULL);
    return 0;
}

static void drop_kept(struct stage *stage)
{
    size_t count = stage->kept_count;
    if (stage->loop != NULL && count > 0)
        CHECK_EQ(run_body(stage, cancel_kept), 0);
    for (size_t i = 0; i < stage->kept_count; i++)
        weft_future_unref(stage->kept[i]);
    stage->kept_count = 0;
}

/* The loops are as good as before: fibers, timers, futures, from here and from elsewhere. */
static int probe(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *sleeping, *counting;
    uint64_t calls = 0;
    (void)result_out;
    CHECK_EQ(stage_sleep(stage, 1, &sleeping), 0);
    CHECK_EQ(stage_fiber(stage, count_body, &calls, &counting), 0);
    CHECK_EQ(weft_await(counting, NULL), 0);
    CHECK_EQ(weft_await(sleeping, NULL), 0);
    CHECK_EQ(calls, 1);
    CHECK_EQ(weft_sleep(1), 0);
    if (stage->other == NULL)
        return 0;
    struct weft_coro *coro;
    struct weft_task *task;
    CHECK_EQ(weft_fiber_new(count_body, &calls, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(stage->other, coro, NULL, &task), 0);
    stage_keep(stage, &task->future);
    CHECK_EQ(weft_await(&task->future, NULL), 0);
    CHECK_EQ(calls, 2);
    return 0;
}

/* ---- what may come of it --------------------------------------------------------------------------------------------------------- */

static bool is_documented(const struct scenario *scenario, int status)
{
    for (size_t i = 0; i < STATUSES_MAX; i++)
        if (scenario->statuses[i] != 0 && scenario->statuses[i] == status)
            return true;
    return false;
}

static bool is_expected(const struct stage *stage, int status)
{
    bool is_whole = !stage->was_refused && stage->requests == 0;
    if (is_whole)
        return status == 0;
    if (stage->was_refused && (status == 0 || status == -ENOMEM) && stage->requests == 0)
        return true;
    if (stage->requests > 0 && status == -ECANCELED)
        return true;
    if (stage->requests > 0 && stage->was_refused && status == -ENOMEM)
        return true;
    if (stage->requests > 0 && status == 0 && (stage->scenario->flags & TAKES_BACK) != 0)
        return true;
    return is_documented(stage->scenario, status);
}

struct balance {
    int64_t allocations;
    int descriptors;
};

static bool is_balanced(void *arg)
{
    const struct balance *before = arg;
    return registry_count() == 0 && loop_live_count() == 0 && fiber_room_count() == 0 && jobs_live_count() == 0 &&
           oom_live() == before->allocations && test_descriptor_count() == before->descriptors;
}

/* An executor's thread lets go of things a moment after what was waited for is done. */
static void check_balance(struct balance *before)
{
    if (wait_until(is_balanced, before, 2000)) {
        CHECK_EQ(loop_unfinished_count(), 0);
        return;
    }
    CHECK_EQ(registry_count(), 0);
    CHECK_EQ(loop_live_count(), 0);
    CHECK_EQ(fiber_room_count(), 0);
    CHECK_EQ(jobs_live_count(), 0);
    CHECK_EQ(test_descriptor_count(), before->descriptors);
    CHECK_EQ(oom_live(), before->allocations);
}

void stage_run(struct stage *stage, const struct scenario *scenario, struct fault fault)
{
    struct balance before = {oom_live(), test_descriptor_count()};
    memset(stage, 0, sizeof(*stage));
    stage->scenario = scenario;
    stage->fault = fault;
    open_stage(stage);
    arm_fault(stage);
    int status = run_main(stage);
    lift_fault(stage);
    if (!is_expected(stage, status))
        test_fail(__FILE__, __LINE__, "it ended with %s (%d)", weft_status_name(status), status);
    if (stage->main != NULL && stage->requests == 0)
        CHECK_EQ(weft_task_cancelling(stage->main), 0); /* who cancels a task for his own ends takes it back */
    drop_kept(stage);
    weft_task_unref(stage->main);
    if (stage->loop != NULL)
        CHECK_EQ(run_body(stage, probe), 0);
    drop_kept(stage);
    if (!stage->was_refused && (scenario->flags & REPORTS) == 0)
        CHECK_EQ(stage->reports, 0);
    close_stage(stage);
    check_balance(&before);
}
