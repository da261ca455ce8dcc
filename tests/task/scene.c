/*
 * The stage of the task room's tests. Loops in threads are started and stopped here; everything else runs in the test's own thread. Each
 * test ends with a look at the registry, so that a task that was lost anywhere fails the test that lost it.
 */
#include "tests/task/scene.h"

#include <stdio.h>
#include <string.h>

#include "lib/task/task.h"
#include "tests/support/wait.h"
#include "weft/atomic.h"
#include "weft/job.h"

static char journal[4096];
static bool is_journal_read;
static int report_count;
static int report_status;

static void nothing_is_registered(void)
{
    CHECK_EQ(registry_count(), 0);
}

TEST_FINI(nothing_is_registered)

static int count_report(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)arg;
    weft_atomic_store_relaxed(&report_status, exception->status);
    (void)weft_atomic_add_relaxed(&report_count, 1);
    return 0;
}

int scene_reports(void)
{
    int count = weft_atomic_load_relaxed(&report_count);
    (void)weft_atomic_sub_relaxed(&report_count, count);
    return count;
}

int scene_report_status(void)
{
    return weft_atomic_load_relaxed(&report_status);
}

void note(const char *word)
{
    if (is_journal_read)
        journal[0] = 0;
    is_journal_read = false;
    size_t used = strlen(journal);
    CHECK(used + strlen(word) + 2 <= sizeof(journal));
    snprintf(journal + used, sizeof(journal) - used, "%s%s", used > 0 ? " " : "", word);
}

const char *notes(void)
{
    if (is_journal_read)
        journal[0] = 0;
    is_journal_read = true;
    return journal;
}

static struct weft_loop *loop_of(const struct weft_loop_kind *kind)
{
    struct weft_loop *loop;
    CHECK_EQ(weft_loop_new(kind, 0, &loop), 0);
    CHECK_EQ(weft_loop_set_exception_handler(loop, count_report, NULL), 0);
    return loop;
}

struct weft_loop *scene_sim_loop(void)
{
    return loop_of(weft_loop_kind_sim());
}

struct weft_loop *scene_epoll_loop(void)
{
    return loop_of(weft_loop_kind_epoll());
}

void scene_drop(struct weft_loop *loop)
{
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

struct weft_task *scene_spawn(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_fiber(loop, fn, arg, &task), 0);
    return task;
}

struct weft_task *scene_spawn_eagerly(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    struct weft_coro *coro;
    struct weft_task *task;
    options.flags = WEFT_TASK_EAGER_START;
    CHECK_EQ(weft_fiber_new(fn, arg, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task(loop, coro, &options, &task), 0);
    return task;
}

int scene_run(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, void **value_out)
{
    struct weft_task *task = scene_spawn(loop, fn, arg);
    int status = weft_loop_run_until_complete(loop, &task->future, value_out);
    weft_task_unref(task);
    return status;
}

void scene_turn(struct weft_loop *loop)
{
    CHECK_EQ(weft_loop_stop(loop), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
}

static int stop_loop(void *loop)
{
    return weft_loop_stop(loop);
}

void scene_pass(struct weft_loop *loop, int64_t duration_ns)
{
    CHECK_EQ(weft_loop_call_later(loop, duration_ns, stop_loop, loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
}

struct weft_future *scene_future(struct weft_loop *loop)
{
    struct weft_future *future;
    CHECK_EQ(weft_loop_create_future(loop, &future), 0);
    return future;
}

struct weft_task *scene_task_here(void)
{
    struct weft_task *task;
    CHECK_EQ(weft_current_task(&task), 0);
    return task;
}

/* ---- loops in threads ----------------------------------------------------------------------------------------------------------- */

static void *run_loop(void *arg)
{
    struct scene_thread *thread = arg;
    CHECK_EQ(weft_loop_run_forever(thread->loop), 0);
    return NULL;
}

static bool is_running(void *loop)
{
    return weft_loop_is_running(loop);
}

void scene_thread_start(struct scene_thread *thread)
{
    thread->loop = scene_epoll_loop();
    CHECK_EQ(pthread_create(&thread->thread, NULL, run_loop, thread), 0);
    CHECK(wait_until(is_running, thread->loop, 5000));
}

void scene_thread_stop(struct scene_thread *thread)
{
    CHECK_EQ(weft_loop_stop(thread->loop), 0);
    CHECK_EQ(pthread_join(thread->thread, NULL), 0);
    scene_drop(thread->loop);
}

uint32_t scene_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (uint32_t)((*seed * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

int scene_run_job_on(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_task *task;
    CHECK_EQ(weft_job_start(loop, fn, arg, &task), 0);
    int status = weft_loop_run_until_complete(loop, &task->future, NULL);
    weft_task_unref(task);
    return status;
}

int scene_run_job(weft_fiber_fn *fn, void *arg)
{
    struct weft_loop *loop = scene_sim_loop();
    int status = scene_run_job_on(loop, fn, arg);
    scene_drop(loop);
    return status;
}
