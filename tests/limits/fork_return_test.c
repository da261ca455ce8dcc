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
