/*
 * A child of fork() that returns where the run was about to end by itself: it is told what it is nevertheless. The other places that a child
 * may return to are in fork_test.c.
 */
#include <errno.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/limits/child.h"
#include "tests/support/test.h"
#include "weft/fiber.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/sim.h"
#include "weft/status.h"

enum { FORKED_WELL = 7 };

static pid_t forked_pid;

static int fork_and_return(void *arg)
{
    (void)arg;
    forked_pid = fork();
    CHILD_CHECK(forked_pid >= 0);
    return 0;
}

/* The child goes no further than here. */
static void check_return(int status, int status_in_parent)
{
    int wait_status = 0;
    if (forked_pid == 0)
        _exit(status == WEFT_EFORKED ? FORKED_WELL : 1);
    CHILD_CHECK(status == status_in_parent);
    CHILD_CHECK(waitpid(forked_pid, &wait_status, 0) == forked_pid);
    CHILD_CHECK(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == FORKED_WELL);
}

static int stop_and_fork(void *arg)
{
    CHILD_CHECK(weft_loop_stop(arg) == 0);
    return fork_and_return(NULL);
}

static void stopped_child(void *arg)
{
    struct weft_loop *loop;
    (void)arg;
    CHILD_CHECK(weft_loop_new(NULL, 0, &loop) == 0);
    CHILD_CHECK(weft_loop_call_soon(loop, stop_and_fork, loop, NULL, NULL) == 0);
    check_return(weft_loop_run_forever(loop), 0);
    weft_loop_unref(loop);
}

Test(fork_return, into_a_loop_that_was_told_to_stop, .timeout = 60)
{
    child_run_well(stopped_child);
}

static int fork_after_sleep(void *arg, void **result_out)
{
    (void)result_out;
    int status = weft_sleep(1000000);
    (void)fork_and_return(arg);
    return status;
}

static int sleep_longer(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return weft_sleep(2000000);
}

static void start_simulated(struct weft_runtime_options *options, struct weft_runtime **runtime_out)
{
    options->driver = WEFT_DRIVER_SIM;
    options->loops = 2;
    CHILD_CHECK(weft_runtime_create(options, runtime_out) == 0 && weft_runtime_start(*runtime_out) == 0);
    CHILD_CHECK(weft_loop_spawn_fiber(weft_runtime_loop(*runtime_out, 1), fork_after_sleep, NULL, NULL) == 0);
    CHILD_CHECK(weft_loop_spawn_fiber(weft_runtime_loop(*runtime_out, 0), sleep_longer, NULL, NULL) == 0);
}

static void shutdown_child(void *arg)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    (void)arg;
    start_simulated(&options, &runtime);
    check_return(weft_runtime_shutdown(runtime, -1), 0);
    weft_runtime_destroy(runtime);
}

Test(fork_return, into_a_simulated_shutdown, .timeout = 60)
{
    child_run_well(shutdown_child);
}

static void run_child(void *arg)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    struct weft_sim_host *host;
    struct weft_sim *sim;
    (void)arg;
    CHILD_CHECK(weft_sim_create(NULL, &sim) == 0 && weft_sim_host_create(sim, NULL, &host) == 0);
    (void)weft_sim_host_enter(host);
    start_simulated(&options, &runtime);
    check_return(weft_sim_run(sim, NULL, NULL, 5000000), -ETIMEDOUT);
    CHILD_CHECK(weft_runtime_shutdown(runtime, -1) == 0);
    weft_runtime_destroy(runtime);
    weft_sim_destroy(sim);
}

Test(fork_return, into_a_run_of_a_simulated_world, .timeout = 60)
{
    child_run_well(run_child);
}

/* ---- into a close -------------------------------------------------------------------------------------------------------------------- */

static int released_count;

static int fork_as_it_is_unwound(void *arg, void **result_out)
{
    int status = weft_sleep(INT64_C(3600000000000));
    (void)result_out;
    if (released_count++ == 0)
        (void)fork_and_return(arg);
    return status;
}

static int stop(void *arg)
{
    return weft_loop_stop(arg);
}

/* Who is unwound first forks. The other is not unwound in the child. */
static void check_closed(void)
{
    CHILD_CHECK(released_count == (forked_pid == 0 ? 1 : 2));
    CHILD_CHECK(weft_get_running_loop() == NULL);
}

static void close_child(void *arg)
{
    struct weft_loop *loop;
    (void)arg;
    CHILD_CHECK(weft_loop_new(NULL, 0, &loop) == 0);
    for (int i = 0; i < 2; i++)
        CHILD_CHECK(weft_loop_create_fiber(loop, fork_as_it_is_unwound, NULL, NULL) == 0);
    CHILD_CHECK(weft_loop_call_soon(loop, stop, loop, NULL, NULL) == 0);
    CHILD_CHECK(weft_loop_run_forever(loop) == 0);
    int status = weft_loop_close(loop);
    check_closed();
    check_return(status, 0);
    weft_loop_unref(loop);
}

Test(fork_return, into_a_close, .timeout = 60)
{
    child_run_well(close_child);
}

static int fini_count;

static void fini_and_fork(struct weft_loop *loop, void *user)
{
    (void)loop, (void)user;
    if (fini_count++ == 0)
        (void)fork_and_return(NULL);
}

/* Each of a subclass and its base forks if it is the first. */
static void close_kind_child(void *arg)
{
    struct weft_loop_kind base = *weft_loop_kind_epoll(), kind;
    struct weft_loop *loop;
    (void)arg;
    base.fini = fini_and_fork;
    kind = (struct weft_loop_kind){.size = sizeof(kind), .name = "forks", .base = &base, .fini = fini_and_fork};
    CHILD_CHECK(weft_loop_new(&kind, 0, &loop) == 0);
    int status = weft_loop_close(loop);
    CHILD_CHECK(fini_count == (forked_pid == 0 ? 1 : 2));
    check_return(status, 0);
    weft_loop_unref(loop);
}

Test(fork_return, into_the_close_of_a_subclass, .timeout = 60)
{
    child_run_well(close_kind_child);
}

static void fini_and_fork_last(struct weft_loop *loop, void *user)
{
    (void)user;
    if (weft_loop_index(loop) == 1)
        (void)fork_and_return(NULL);
}

/* The first loop has been closed by then, and is whole: what tells the child is the second one alone. */
static void close_runtime_child(void *arg)
{
    struct weft_loop_kind kind = {.size = sizeof(kind), .name = "forks", .fini = fini_and_fork_last};
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    (void)arg;
    options.loops = 2;
    options.kind = &kind;
    CHILD_CHECK(weft_runtime_create(&options, &runtime) == 0);
    int status = weft_runtime_shutdown(runtime, -1);
    if (forked_pid == 0)
        weft_runtime_destroy(runtime);
    check_return(status, 0);
    weft_runtime_destroy(runtime);
}

Test(fork_return, into_the_close_of_a_runtimes_second_loop, .timeout = 60)
{
    child_run_well(close_runtime_child);
}
