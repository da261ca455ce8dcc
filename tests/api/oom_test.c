/*
 * Out of memory: every public call that allocates says so, whichever of its allocations is refused, and what it was called on lives on.
 *
 * A row is one call. For each of its allocations there is a new loop on which the call meets the refusal: it says -ENOMEM, and afterwards
 * the loop runs a fiber, the same call succeeds, and all closes with as much memory in use as there was. Calls that suspend, and the
 * runtime's, have tests of this kind in their own rooms.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "weft/context.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/gather.h"
#include "weft/job.h"
#include "weft/loop.h"
#include "weft/resolve.h"
#include "weft/server.h"
#include "weft/status.h"
#include "weft/step.h"
#include "weft/stream.h"
#include "weft/task.h"
#include "weft/timer.h"
#include "weft/transport.h"

enum { CALLS_MAX = 64 };

struct scene {
    struct weft_loop *loop;
    struct weft_future *future, *other; /* pending, with NEEDS_FUTURES */
    struct weft_task *task;             /* with NEEDS_FUTURES; it ends as the loop runs */
    struct weft_transport *transport;   /* with NEEDS_NET */
    struct weft_server *server;         /* with NEEDS_NET */
    int fds[2];                         /* with NEEDS_NET: the transport's, and its peer */
    int spare[2];                       /* with NEEDS_NET: a pair for the call to take */
    bool is_spare_taken;
    struct weft_timer timer;
    /* What the call makes, let go after it. */
    struct weft_future *made;
    struct weft_task *made_task;
    struct weft_server *made_server;
    struct weft_transport *made_transport;
    struct weft_stream *made_stream;
};

/* RECOVERS: the call itself may do without, and try again later, as a server does that cannot accept yet. */
enum { NEEDS_FUTURES = 1, NEEDS_NET = 2, RECOVERS = 4 };

struct row {
    const char *name;
    unsigned needs;
    int (*call)(struct scene *scene);
};

static int callback(void *arg)
{
    (void)arg;
    return 0;
}

static int on_done(struct weft_future *future, void *arg)
{
    (void)future;
    (void)arg;
    return 0;
}

static int body(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return weft_yield();
}

static int job(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return 0;
}

static int step(struct weft_step *step, void *state, int status)
{
    (void)state;
    return status < 0 ? status : weft_step_return(step, NULL);
}

static int on_lost(struct weft_protocol *protocol, int status)
{
    (void)protocol;
    (void)status;
    return 0;
}

static const struct weft_protocol_ops protocol_ops = {.size = sizeof(protocol_ops), .connection_lost = on_lost};
static struct weft_protocol the_protocol = {&protocol_ops};

static int make_protocol(void *arg, struct weft_protocol **protocol_out)
{
    (void)arg;
    *protocol_out = &the_protocol;
    return 0;
}

static int serve(struct weft_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    return 0;
}

/* ---- the calls ------------------------------------------------------------------------------------------------------------------ */

static int call_soon(struct scene *scene)
{
    return weft_loop_call_soon(scene->loop, callback, NULL, NULL, NULL);
}

static int call_soon_threadsafe(struct scene *scene)
{
    return weft_loop_call_soon_threadsafe(scene->loop, callback, NULL, NULL, NULL);
}

static int call_later(struct scene *scene)
{
    return weft_loop_call_later(scene->loop, 0, callback, NULL, NULL);
}

static int call_at(struct scene *scene)
{
    return weft_loop_call_at(scene->loop, 0, callback, NULL, NULL);
}

static int timer_start(struct scene *scene)
{
    weft_timer_init(&scene->timer, scene->loop, callback, NULL);
    return weft_timer_start(&scene->timer, 0);
}

static int create_future(struct scene *scene)
{
    return weft_loop_create_future(scene->loop, &scene->made);
}

static int sleep_on_loop(struct scene *scene)
{
    return weft_loop_sleep(scene->loop, 0, &scene->made);
}

static int add_done_callback(struct scene *scene)
{
    return weft_future_add_done_callback(scene->future, on_done, NULL, NULL);
}

static int add_done_callback_in_context(struct scene *scene)
{
    struct weft_context *context = weft_context_empty();
    int status = context == NULL ? -ENOMEM : weft_future_add_done_callback(scene->future, on_done, NULL, context);
    weft_context_unref(context);
    return status;
}

static int chain(struct scene *scene)
{
    return weft_future_chain(scene->future, scene->other);
}

static int gather(struct scene *scene)
{
    struct weft_future *both[] = {scene->future, scene->other};
    return weft_gather(scene->loop, both, 2, 0, &scene->made);
}

static int run_until_complete(struct scene *scene)
{
    return weft_loop_run_until_complete(scene->loop, &scene->task->future, NULL);
}

static int create_task(struct scene *scene)
{
    struct weft_coro *coro;
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    options.name = "a name of its own";
    int status = weft_step_new(step, NULL, 8, &coro, NULL);
    return status < 0 ? status : weft_loop_create_task(scene->loop, coro, &options, &scene->made_task);
}

static int create_task_threadsafe(struct scene *scene)
{
    struct weft_coro *coro;
    int status = weft_step_new(step, NULL, 8, &coro, NULL);
    return status < 0 ? status : weft_loop_create_task_threadsafe(scene->loop, coro, NULL, &scene->made_task);
}

static int create_fiber(struct scene *scene)
{
    return weft_loop_create_fiber(scene->loop, body, NULL, &scene->made_task);
}

static int spawn(struct scene *scene)
{
    struct weft_coro *coro;
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    options.name = "a name of its own";
    int status = weft_step_new(step, NULL, 8, &coro, NULL);
    return status < 0 ? status : weft_loop_spawn(scene->loop, coro, &options, &scene->made_task);
}

static int spawn_fiber(struct scene *scene)
{
    return weft_loop_spawn_fiber(scene->loop, body, NULL, &scene->made_task);
}

static int job_start(struct scene *scene)
{
    return weft_job_start(scene->loop, body, NULL, &scene->made_task);
}

/* Start a job, and run the loop until it has ended: what it returned. */
static int run_job(struct scene *scene, weft_fiber_fn *fn)
{
    struct weft_task *task;
    int status = weft_job_start(scene->loop, fn, NULL, &task);
    if (status < 0)
        return status;
    status = weft_loop_run_until_complete(scene->loop, &task->future, NULL);
    weft_task_unref(task);
    return status;
}

static int forked(void *arg)
{
    return *(int *)arg * 2;
}

/* A fork that was refused is none, and the next one in the same fiber is as good as any. */
static int fork_and_join(void *arg, void **result_out)
{
    struct weft_fork fork = {.state = 0};
    int number = 4;
    (void)arg;
    (void)result_out;
    int status = weft_fork(&fork, forked, &number);
    if (status < 0) {
        CHECK_EQ(weft_join(&fork), WEFT_EINVALIDSTATE);
        CHECK_EQ(weft_fork(&fork, forked, &number), 0);
    }
    CHECK_EQ(weft_join(&fork), 8);
    return status;
}

static int fork_in_fiber(struct scene *scene)
{
    return run_job(scene, fork_and_join);
}

WEFT_JOB(int, count_leaves, int, depth)
{
    if (depth == 0)
        return 1;
    WEFT_FORK(count_leaves, depth - 1);
    int right = WEFT_CALL(count_leaves, depth - 1);
    return WEFT_JOIN(count_leaves) + right;
}

static int run_typed(void *arg, void **result_out)
{
    int leaves = 7;
    (void)arg;
    (void)result_out;
    int status = WEFT_RUN(count_leaves, 5, &leaves);
    if (status < 0) {
        CHECK_EQ(leaves, 7);
        CHECK_EQ(WEFT_RUN(count_leaves, 5, &leaves), 0);
    }
    CHECK_EQ(leaves, 32);
    return status;
}

static int run_typed_in_fiber(struct scene *scene)
{
    return run_job(scene, run_typed);
}

/* More forks than a job stack holds. What runs at its fork returns a number, for which memory is needed. */
WEFT_JOB(int, count_wide, int, width)
{
    int sum = 1;
    for (int i = 0; i < width; i++)
        WEFT_FORK(count_wide, 0);
    for (int i = 0; i < width; i++)
        sum += WEFT_JOIN(count_wide);
    return sum;
}

static int run_wide(void *arg, void **result_out)
{
    int sum = 7;
    (void)arg;
    (void)result_out;
    int status = WEFT_RUN(count_wide, 5000, &sum);
    if (status < 0) {
        CHECK_EQ(sum, 7);
        CHECK_EQ(WEFT_RUN(count_wide, 5000, &sum), 0);
    }
    CHECK_EQ(sum, 5001);
    return status;
}

static int run_wide_in_fiber(struct scene *scene)
{
    return run_job(scene, run_wide);
}

static int factory(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, void *arg,
                   struct weft_task **task_out)
{
    (void)arg;
    return weft_task_new(loop, coro, options, task_out);
}

static int set_task_factory(struct scene *scene)
{
    int status = weft_loop_set_task_factory(scene->loop, factory, NULL);
    return status < 0 ? status : create_task(scene);
}

static int set_name(struct scene *scene)
{
    return weft_task_set_name(scene->task, "another name");
}

static int all_tasks(struct scene *scene)
{
    struct weft_task **tasks;
    size_t count;
    int status = weft_all_tasks(scene->loop, &tasks, &count);
    if (status < 0)
        return status;
    CHECK_EQ(count, 1);
    weft_all_tasks_free(tasks, count);
    return 0;
}

static int run_in_executor(struct scene *scene)
{
    return weft_loop_run_in_executor(scene->loop, job, NULL, &scene->made);
}

static int set_default_executor(struct scene *scene)
{
    struct weft_executor *executor;
    int status = weft_executor_create(NULL, &executor);
    if (status < 0)
        return status;
    status = weft_loop_set_default_executor(scene->loop, executor);
    weft_executor_unref(executor);
    return status;
}

static int look_up(struct scene *scene)
{
    return weft_loop_getaddrinfo(scene->loop, "127.0.0.1", "80", NULL, &scene->made);
}

static struct weft_server_options server_options(void)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    return options;
}

static int create_server(struct scene *scene)
{
    struct weft_server_options options = server_options();
    return weft_loop_create_server(scene->loop, make_protocol, NULL, &options, &scene->made_server);
}

static int create_server_async(struct scene *scene)
{
    struct weft_server_options options = server_options();
    return weft_loop_create_server_async(scene->loop, make_protocol, NULL, &options, &scene->made);
}

static int start_stream_server(struct scene *scene)
{
    struct weft_server_options options = server_options();
    return weft_loop_start_stream_server(scene->loop, serve, NULL, &options, &scene->made_server);
}

static int wait_closed(struct scene *scene)
{
    return weft_server_wait_closed(scene->server, &scene->made);
}

static int serve_forever(struct scene *scene)
{
    return weft_server_serve_forever(scene->server, &scene->made);
}

static int make_socket(struct scene *scene)
{
    struct weft_make_socket args = {.size = sizeof(args), .protocol = &the_protocol, .fd = scene->spare[0]};
    int status = weft_loop_make_socket(scene->loop, &args, &scene->made_transport);
    scene->is_spare_taken = status == 0;
    return status;
}

static int connect_accepted_socket(struct scene *scene)
{
    int status = weft_loop_connect_accepted_socket(scene->loop, make_protocol, NULL, scene->spare[0], &scene->made);
    scene->is_spare_taken = status == 0;
    return status;
}

static int stream_from_socket(struct scene *scene)
{
    int status = weft_stream_from_socket(scene->loop, scene->spare[0], &scene->made_stream);
    scene->is_spare_taken = status == 0;
    return status;
}

static int write_bytes(struct scene *scene)
{
    return weft_transport_write(scene->transport, "hello", 5);
}

static int set_timeouts(struct scene *scene)
{
    return weft_transport_set_timeouts(scene->transport, INT64_C(1000000000), INT64_C(1000000000));
}

static int set_deadline(struct scene *scene)
{
    return weft_transport_set_deadline(scene->transport, INT64_C(1000000000));
}

static int set_write_buffer_max(struct scene *scene)
{
    return weft_transport_set_write_buffer_max(scene->transport, 1000);
}

#define ROW(call, needs)                                                                                                                   \
    {                                                                                                                                      \
#call, needs, call                                                                                                                 \
    }

static const struct row rows[] = {
    ROW(call_soon, 0),
    ROW(call_soon_threadsafe, 0),
    ROW(call_later, 0),
    ROW(call_at, 0),
    ROW(timer_start, 0),
    ROW(create_future, 0),
    ROW(sleep_on_loop, 0),
    ROW(add_done_callback, NEEDS_FUTURES),
    ROW(add_done_callback_in_context, NEEDS_FUTURES),
    ROW(chain, NEEDS_FUTURES),
    ROW(gather, NEEDS_FUTURES),
    ROW(run_until_complete, NEEDS_FUTURES),
    ROW(create_task, 0),
    ROW(create_task_threadsafe, 0),
    ROW(create_fiber, 0),
    ROW(spawn, 0),
    ROW(spawn_fiber, 0),
    ROW(job_start, 0),
    ROW(fork_in_fiber, 0),
    ROW(run_typed_in_fiber, 0),
    ROW(run_wide_in_fiber, 0),
    ROW(set_task_factory, 0),
    ROW(set_name, NEEDS_FUTURES),
    ROW(all_tasks, NEEDS_FUTURES),
    ROW(run_in_executor, 0),
    ROW(set_default_executor, 0),
    ROW(look_up, 0),
    ROW(create_server, RECOVERS),
    ROW(create_server_async, 0),
    ROW(start_stream_server, RECOVERS),
    ROW(wait_closed, NEEDS_NET),
    ROW(serve_forever, NEEDS_NET),
    ROW(make_socket, NEEDS_NET),
    ROW(connect_accepted_socket, NEEDS_NET),
    ROW(stream_from_socket, NEEDS_NET),
    ROW(write_bytes, NEEDS_NET),
    ROW(set_timeouts, NEEDS_NET),
    ROW(set_deadline, NEEDS_NET),
    ROW(set_write_buffer_max, NEEDS_NET),
};

/* ---- what is done with each ------------------------------------------------------------------------------------------------------ */

static void open_net(struct scene *scene)
{
    const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    struct weft_server_options options = server_options();
    CHECK_EQ(socketpair(AF_UNIX, type, 0, scene->fds), 0);
    CHECK_EQ(socketpair(AF_UNIX, type, 0, scene->spare), 0);
    struct weft_make_socket args = {.size = sizeof(args), .protocol = &the_protocol, .fd = scene->fds[0]};
    CHECK_EQ(weft_loop_make_socket(scene->loop, &args, &scene->transport), 0);
    (void)weft_transport_ref(scene->transport);
    CHECK_EQ(weft_loop_create_server(scene->loop, make_protocol, NULL, &options, &scene->server), 0);
}

static void open_futures(struct scene *scene)
{
    CHECK_EQ(weft_loop_create_future(scene->loop, &scene->future), 0);
    CHECK_EQ(weft_loop_create_future(scene->loop, &scene->other), 0);
    CHECK_EQ(create_task(scene), 0);
    scene->task = scene->made_task;
    scene->made_task = NULL;
}

/* The loop is as good as before: it runs a fiber, which takes two iterations. */
static void check_loop_works(struct weft_loop *loop)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_fiber(loop, body, NULL, &task), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    weft_task_unref(task);
}

static void close_net(struct scene *scene)
{
    CHECK_EQ(weft_transport_close(scene->transport), 0);
    weft_transport_unref(scene->transport);
    CHECK_EQ(weft_server_close(scene->server), 0);
    weft_server_unref(scene->server);
    close(scene->fds[1]);
    close(scene->spare[1]);
    if (!scene->is_spare_taken)
        close(scene->spare[0]);
}

static void close_scene(struct scene *scene, unsigned needs)
{
    (void)weft_future_cancel(scene->made, NULL);
    weft_future_unref(scene->made);
    weft_task_unref(scene->made_task);
    if (scene->made_server != NULL)
        CHECK_EQ(weft_server_close(scene->made_server), 0);
    weft_server_unref(scene->made_server);
    if (scene->made_stream != NULL)
        CHECK_EQ(weft_stream_close(scene->made_stream), 0);
    weft_stream_unref(scene->made_stream);
    if ((needs & NEEDS_NET) != 0)
        close_net(scene);
    (void)weft_future_cancel(scene->future, NULL);
    (void)weft_future_cancel(scene->other, NULL);
    weft_future_unref(scene->future);
    weft_future_unref(scene->other);
    weft_task_unref(scene->task);
    check_loop_works(scene->loop);
    CHECK_EQ(weft_loop_shutdown_default_executor(scene->loop, -1), 0);
    CHECK_EQ(weft_loop_close(scene->loop), 0);
    weft_loop_unref(scene->loop);
}

/* One new loop, and the call with its `nth` allocation refused. True if there was one. */
static bool refuse_nth(const struct row *row, uint64_t nth)
{
    struct scene scene = {.loop = NULL};
    CHECK_EQ(weft_loop_new(NULL, 0, &scene.loop), 0);
    if ((row->needs & NEEDS_NET) != 0)
        open_net(&scene);
    if ((row->needs & NEEDS_FUTURES) != 0)
        open_futures(&scene);
    oom_start(nth);
    int status = row->call(&scene);
    bool was_refused = oom_stop();
    bool is_done = status == 0 && (!was_refused || (row->needs & RECOVERS) != 0);
    if (!is_done && !(was_refused && status == -ENOMEM))
        test_fail(__FILE__, __LINE__, "%s without allocation %d says %s", row->name, (int)nth, weft_status_name(status));
    if (was_refused) {
        check_loop_works(scene.loop);
        if (status < 0 && row->call != all_tasks)
            CHECK_EQ(row->call(&scene), 0);
    }
    close_scene(&scene, row->needs);
    return was_refused;
}

static void refuse_each(const struct row *row)
{
    int64_t live = oom_live();
    uint64_t nth = 1;
    while (refuse_nth(row, nth)) {
        if (oom_live() != live)
            test_fail(__FILE__, __LINE__, "%s without allocation %d leaves %d", row->name, (int)nth, (int)(oom_live() - live));
        CHECK(++nth < CALLS_MAX);
    }
    if (nth == 1 && row->call != run_until_complete && row->call != write_bytes)
        test_fail(__FILE__, __LINE__, "%s allocates nothing: it is in the wrong table", row->name);
}

Test(oom_api, every_call_that_allocates_says_so_and_its_loop_lives_on, .timeout = 50)
{
    oom_install();
    (void)refuse_nth(&rows[0], UINT64_MAX); /* what the process makes at first use */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refuse_each(&rows[i]);
}
