/*
 * Fork, from every state that a program can be in: the child's copies of loops, runtimes and executors say so (WEFT_EFORKED) and do nothing,
 * they can be destroyed, and a runtime of the child's own works, wherever the fork was. The parent does not notice.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/limits/scene.h"
#include "tests/support/sanitizer.h"
#include "tests/support/test.h"
#include "weft/atomic.h"
#include "weft/executor.h"
#include "weft/future.h"
#include "weft/job.h"
#include "weft/loop.h"
#include "weft/status.h"
#include "weft/step.h"
#include "weft/transport.h"

#define HOUR_NS INT64_C(3600000000000)

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int nothing_fiber(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

/* ---- what a child finds -------------------------------------------------------------------------------------------------------------- */

static int square(void *arg, void **result_out)
{
    (void)arg;
    *result_out = arg;
    return 0;
}

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    return WEFT_JOIN(fib) + right;
}

/* Something of everything: timers, jobs, the executor, a connection to oneself. */
static int live(void *arg, void **result_out)
{
    struct scene *scene = arg;
    struct weft_future *future;
    long sum = 0;
    (void)result_out;
    CHILD_CHECK(weft_sleep(1000) == 0);
    CHILD_CHECK(fib_run(15, &sum) == 0 && sum == 610);
    CHILD_CHECK(weft_loop_run_in_executor(weft_get_running_loop(), square, scene, &future) == 0);
    CHILD_CHECK(weft_await(future, NULL) == 0);
    weft_future_unref(future);
    return 0;
}

static void live_anew(void)
{
    struct scene scene;
    scene_start(&scene, 2);
    CHILD_CHECK(scene_call(&scene, live, &scene) == 0);
    int client = client_socket();
    client_connect(client, &scene);
    CHILD_CHECK(client_is_answered(client));
    close(client);
    scene_end(&scene);
}

static struct weft_coro *new_coro(void)
{
    struct weft_coro *coro;
    CHILD_CHECK(weft_fiber_new(nothing_fiber, NULL, NULL, &coro) == 0);
    return coro;
}

static void check_lost_loop(struct weft_loop *loop)
{
    struct weft_loop_counters counters;
    CHILD_CHECK(weft_loop_is_closed(loop) && !weft_loop_is_running(loop));
    CHILD_CHECK(weft_loop_call_soon(loop, nothing, NULL, NULL, NULL) == WEFT_EFORKED);
    CHILD_CHECK(weft_loop_call_soon_threadsafe(loop, nothing, NULL, NULL, NULL) == WEFT_EFORKED);
    CHILD_CHECK(weft_loop_call_later(loop, 1, nothing, NULL, NULL) == WEFT_EFORKED);
    CHILD_CHECK(weft_loop_create_task(loop, new_coro(), NULL, NULL) == WEFT_EFORKED);
    CHILD_CHECK(weft_loop_create_task_threadsafe(loop, new_coro(), NULL, NULL) == WEFT_EFORKED);
    CHILD_CHECK(weft_loop_spawn(loop, new_coro(), NULL, NULL) == WEFT_EFORKED);
    CHILD_CHECK(weft_loop_run_in_executor(loop, square, NULL, NULL) == WEFT_EFORKED);
    CHILD_CHECK(weft_loop_run_forever(loop) == WEFT_EFORKED);
    CHILD_CHECK(weft_loop_stop(loop) == WEFT_EFORKED);
    CHILD_CHECK(weft_loop_close(loop) == WEFT_EFORKED);
    CHILD_CHECK(weft_loop_get_counters(loop, &counters) == 0 && weft_loop_time(loop) != 0);
    weft_loop_unref(weft_loop_ref(loop));
}

static void check_lost(struct weft_runtime *runtime)
{
    struct weft_executor *executor = weft_runtime_executor(runtime);
    struct weft_executor_counters counters;
    CHILD_CHECK(weft_get_running_loop() == NULL);
    CHILD_CHECK(weft_yield() == WEFT_ENOFIBER && weft_sleep(1) == WEFT_ENOFIBER);
    for (uint32_t i = 0; i < weft_runtime_loop_count(runtime); i++)
        check_lost_loop(weft_runtime_loop(runtime, i));
    CHILD_CHECK(weft_executor_submit(executor, weft_runtime_loop(runtime, 0), square, NULL, NULL) == WEFT_EFORKED);
    CHILD_CHECK(weft_executor_get_counters(executor, &counters) == WEFT_EFORKED);
    CHILD_CHECK(weft_executor_shutdown(executor, -1) == WEFT_EFORKED);
    CHILD_CHECK(weft_runtime_run(runtime, new_coro(), NULL) == WEFT_EFORKED);
    CHILD_CHECK(weft_runtime_start(runtime) == WEFT_EFORKED);
    CHILD_CHECK(weft_runtime_stop(runtime) == WEFT_EFORKED);
    CHILD_CHECK(weft_runtime_shutdown(runtime, -1) == WEFT_EFORKED);
    weft_runtime_destroy(runtime);
}

static void check_ended_well(pid_t pid)
{
    int status;
    CHILD_CHECK(pid > 0);
    while (waitpid(pid, &status, 0) < 0)
        CHILD_CHECK(errno == EINTR);
    CHILD_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Fork here; the child finds what is lost, lives anew, and ends. */
static void fork_here(struct weft_runtime *runtime)
{
    pid_t pid = fork();
    if (pid == 0) {
        check_lost(runtime);
        live_anew();
        _exit(0);
    }
    check_ended_well(pid);
}

/* ---- from each state ------------------------------------------------------------------------------------------------------------------- */

struct state {
    struct scene scene;
    struct weft_future *done;
};

static int from_fiber(void *arg, void **result_out)
{
    (void)result_out;
    fork_here(((struct state *)arg)->scene.runtime);
    return weft_yield();
}

static int from_callback_body(void *arg)
{
    struct state *state = arg;
    fork_here(state->scene.runtime);
    return weft_future_set_result(state->done, NULL);
}

static int await_done(struct state *state)
{
    int status = weft_await(state->done, NULL);
    weft_future_unref(state->done);
    return status;
}

static int from_callback(void *arg, void **result_out)
{
    struct state *state = arg;
    (void)result_out;
    CHILD_CHECK(weft_loop_create_future(weft_get_running_loop(), &state->done) == 0);
    CHILD_CHECK(weft_loop_call_soon(weft_get_running_loop(), from_callback_body, state, NULL, NULL) == 0);
    return await_done(state);
}

static int from_timer(void *arg, void **result_out)
{
    struct state *state = arg;
    (void)result_out;
    CHILD_CHECK(weft_loop_create_future(weft_get_running_loop(), &state->done) == 0);
    CHILD_CHECK(weft_loop_call_later(weft_get_running_loop(), 1000, from_callback_body, state, NULL) == 0);
    return await_done(state);
}

static int from_step_body(struct weft_step *step, void *memory, int status)
{
    (void)status;
    struct state *state = *(struct state **)memory;
    fork_here(state->scene.runtime);
    (void)weft_future_set_result(state->done, NULL);
    return weft_step_return(step, NULL);
}

static int from_step(void *arg, void **result_out)
{
    struct state *state = arg;
    struct weft_coro *coro;
    void *memory;
    (void)result_out;
    CHILD_CHECK(weft_loop_create_future(weft_get_running_loop(), &state->done) == 0);
    CHILD_CHECK(weft_step_new(from_step_body, NULL, sizeof(state), &coro, &memory) == 0);
    *(struct state **)memory = state;
    CHILD_CHECK(weft_loop_create_task(weft_get_running_loop(), coro, NULL, NULL) == 0);
    return await_done(state);
}

static int from_done_body(struct weft_future *future, void *arg)
{
    (void)future;
    return from_callback_body(arg);
}

static int from_done(void *arg, void **result_out)
{
    struct state *state = arg;
    struct weft_future *future;
    (void)result_out;
    CHILD_CHECK(weft_loop_create_future(weft_get_running_loop(), &state->done) == 0);
    CHILD_CHECK(weft_loop_create_future(weft_get_running_loop(), &future) == 0);
    CHILD_CHECK(weft_future_add_done_callback(future, from_done_body, state, NULL) == 0);
    CHILD_CHECK(weft_future_set_result(future, NULL) == 0);
    weft_future_unref(future);
    return await_done(state);
}

static int from_job_body(void *arg)
{
    fork_here(((struct state *)arg)->scene.runtime);
    return 0;
}

static int from_inline_job(void *arg, void **result_out)
{
    struct weft_fork fork;
    (void)result_out;
    CHILD_CHECK(weft_fork(&fork, from_job_body, arg) == 0);
    return weft_join(&fork);
}

struct stolen {
    struct state *state;
    struct weft_loop *owner;
};

static int from_stolen_body(void *arg)
{
    struct stolen *stolen = arg;
    if (weft_get_running_loop() == stolen->owner)
        return 0;
    fork_here(stolen->state->scene.runtime);
    return 1;
}

/* Forks until another loop has come for the oldest one. */
static int from_stolen_job(void *arg, void **result_out)
{
    struct stolen stolen = {.state = arg};
    int status = 0;
    (void)result_out;
    while (status == 0) {
        struct weft_fork fork;
        long sum;
        stolen.owner = weft_get_running_loop();
        CHILD_CHECK(weft_fork(&fork, from_stolen_body, &stolen) == 0);
        CHILD_CHECK(fib_run(15, &sum) == 0);
        status = weft_join(&fork);
    }
    return status > 0 ? 0 : status;
}

static int from_executor_body(void *arg, void **result_out)
{
    (void)result_out;
    fork_here(((struct state *)arg)->scene.runtime);
    return 0;
}

static int from_executor(void *arg, void **result_out)
{
    struct weft_future *future;
    CHILD_CHECK(weft_loop_run_in_executor(weft_get_running_loop(), from_executor_body, arg, &future) == 0);
    int status = weft_await(future, result_out);
    weft_future_unref(future);
    return status;
}

struct receiver {
    struct weft_protocol protocol;
    struct state *state;
    struct weft_transport *transport;
};

static int receiver_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    weft_container_of(protocol, struct receiver, protocol)->transport = transport;
    return weft_transport_write(transport, "x", 1);
}

static int receiver_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    struct receiver *receiver = weft_container_of(protocol, struct receiver, protocol);
    (void)data, (void)len;
    fork_here(receiver->state->scene.runtime);
    return weft_transport_close(receiver->transport);
}

static int receiver_lost(struct weft_protocol *protocol, int status)
{
    struct receiver *receiver = weft_container_of(protocol, struct receiver, protocol);
    (void)status;
    return weft_future_set_result(receiver->state->done, NULL);
}

static int receiver_new(void *arg, struct weft_protocol **protocol_out)
{
    static const struct weft_protocol_ops ops = {
        .size = sizeof(ops), .connection_made = receiver_made, .data_received = receiver_received, .connection_lost = receiver_lost};
    static struct receiver receiver;
    receiver.protocol.ops = &ops;
    receiver.state = arg;
    *protocol_out = &receiver.protocol;
    return 0;
}

static int from_protocol(void *arg, void **result_out)
{
    struct state *state = arg;
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_future *connected;
    (void)result_out;
    options.host = "127.0.0.1";
    options.port = state->scene.port;
    CHILD_CHECK(weft_loop_create_future(weft_get_running_loop(), &state->done) == 0);
    CHILD_CHECK(weft_loop_create_connection(weft_get_running_loop(), receiver_new, state, &options, &connected) == 0);
    int status = weft_await(connected, NULL);
    weft_future_unref(connected);
    return status < 0 ? status : await_done(state);
}

/* The parent's loops serve as before, each of them. */
static void check_parent(struct scene *scene)
{
    CHILD_CHECK(scene_call(scene, live, scene) == 0);
    int client = client_socket();
    client_connect(client, scene);
    CHILD_CHECK(client_is_answered(client));
    close(client);
}

static void state_child(weft_fiber_fn *fn)
{
    struct state state;
    scene_start(&state.scene, 2);
    int client = client_socket(); /* a connection that stands meanwhile */
    client_connect(client, &state.scene);
    CHILD_CHECK(client_is_answered(client));
    CHILD_CHECK(scene_call(&state.scene, fn, &state) == 0);
    CHILD_CHECK(client_is_answered(client));
    check_parent(&state.scene);
    close(client);
    scene_end(&state.scene);
}

#define STATE(name)                                                                                                                        \
    static void name##_child(void *arg)                                                                                                    \
    {                                                                                                                                      \
        (void)arg;                                                                                                                         \
        state_child(name);                                                                                                                 \
    }                                                                                                                                      \
    Test(fork, name, .timeout = 60)                                                                                                        \
    {                                                                                                                                      \
        child_run_well(name##_child);                                                                                                      \
    }

STATE(from_fiber)
STATE(from_callback)
STATE(from_timer)
STATE(from_step)
STATE(from_done)
STATE(from_inline_job)
STATE(from_stolen_job)
STATE(from_executor)
STATE(from_protocol)

/* ---- from outside ----------------------------------------------------------------------------------------------------------------------- */

static void outside_child(void *arg)
{
    struct scene scene;
    (void)arg;
    scene_start(&scene, 2);
    fork_here(scene.runtime);
    check_parent(&scene);
    scene_end(&scene);
}

Test(fork, from_outside, .timeout = 60)
{
    child_run_well(outside_child);
}

static int spin_until_done(void *arg, void **result_out)
{
    struct weft_future *future;
    long sum;
    (void)result_out;
    while (weft_atomic_load_relaxed((uint32_t *)arg) == 0) {
        CHILD_CHECK(fib_run(12, &sum) == 0 && sum == 144);
        CHILD_CHECK(weft_sleep(1000) == 0);
        CHILD_CHECK(weft_loop_run_in_executor(weft_get_running_loop(), square, arg, &future) == 0);
        CHILD_CHECK(weft_await(future, NULL) == 0);
        weft_future_unref(future);
    }
    return 0;
}

enum { BUSY_TASKS = 32, BUSY_FORKS = TEST_IS_SLOW ? 5 : 30 };

/* Whatever the other threads are in the middle of, a lock or a half of an allocation, the child gets along with it. */
static void busy_child(void *arg)
{
    static uint32_t is_over;
    struct scene scene;
    struct weft_task *tasks[BUSY_TASKS];
    (void)arg;
    scene_start(&scene, 4);
    for (int i = 0; i < BUSY_TASKS; i++) {
        struct weft_coro *coro;
        CHILD_CHECK(weft_fiber_new(spin_until_done, &is_over, NULL, &coro) == 0);
        CHILD_CHECK(weft_loop_spawn(scene_loop(&scene), coro, NULL, &tasks[i]) == 0);
    }
    for (int i = 0; i < BUSY_FORKS; i++)
        fork_here(scene.runtime);
    weft_atomic_store_relaxed(&is_over, 1);
    for (int i = 0; i < BUSY_TASKS; i++) {
        CHILD_CHECK(weft_future_wait(&tasks[i]->future, HOUR_NS, NULL) == 0);
        weft_task_unref(tasks[i]);
    }
    scene_end(&scene);
}

Test(fork, while_all_loops_are_busy, .timeout = 60)
{
    child_run_well(busy_child);
}

static void *come_and_go(void *arg)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = 2;
    options.flags = WEFT_RUNTIME_HANDLE_SIGINT | WEFT_RUNTIME_HANDLE_STACK_OVERFLOW;
    while (weft_atomic_load_relaxed((uint32_t *)arg) == 0)
        CHILD_CHECK(weft_run(new_coro(), &options, NULL) == 0);
    return NULL;
}

/* The fork waits for nobody who might be in the middle of making or unmaking something that the child would miss. */
static void coming_and_going_child(void *arg)
{
    uint32_t is_over = 0;
    struct scene scene;
    pthread_t threads[2];
    (void)arg;
    scene_start(&scene, 2);
    for (int i = 0; i < 2; i++)
        CHILD_CHECK(pthread_create(&threads[i], NULL, come_and_go, &is_over) == 0);
    for (int i = 0; i < BUSY_FORKS; i++)
        fork_here(scene.runtime);
    weft_atomic_store_relaxed(&is_over, 1);
    for (int i = 0; i < 2; i++)
        CHILD_CHECK(pthread_join(threads[i], NULL) == 0);
    scene_end(&scene);
}

Test(fork, while_other_runtimes_come_and_go, .timeout = 60)
{
    child_run_well(coming_and_going_child);
}

static void prepared_child(void *arg)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    (void)arg;
    options.loops = 2;
    CHILD_CHECK(weft_runtime_create(&options, &runtime) == 0);
    fork_here(runtime);
    CHILD_CHECK(weft_runtime_run(runtime, new_coro(), NULL) == 0);
    CHILD_CHECK(weft_runtime_shutdown(runtime, -1) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        weft_runtime_destroy(runtime); /* what was shut down before is whole, and goes */
        live_anew();
        _exit(0);
    }
    check_ended_well(pid);
    weft_runtime_destroy(runtime);
}

Test(fork, before_the_run_and_after_the_shutdown, .timeout = 60)
{
    child_run_well(prepared_child);
}

/* The child's child: what it lost at first, and what its parent made. */
static void grandchild_child(void *arg)
{
    struct scene first, second;
    (void)arg;
    scene_start(&first, 2);
    pid_t pid = fork();
    if (pid == 0) {
        scene_start(&second, 2);
        fork_here(second.runtime);
        check_lost(first.runtime);
        scene_end(&second);
        _exit(0);
    }
    check_ended_well(pid);
    scene_end(&first);
}

Test(fork, of_a_child_that_lives_anew, .timeout = 60)
{
    child_run_well(grandchild_child);
}

static void exec_child(void *arg)
{
    struct scene scene;
    (void)arg;
    scene_start(&scene, 2);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    check_ended_well(pid);
    check_parent(&scene);
    scene_end(&scene);
}

Test(fork, and_exec, .timeout = 60)
{
    child_run_well(exec_child);
}

/* A future of the parent's never completes here: to wait for it would be for ever. */
static void waiting_child(void *arg)
{
    struct scene scene;
    struct weft_coro *coro;
    struct weft_task *task;
    uint32_t is_over = 0;
    (void)arg;
    scene_start(&scene, 1);
    CHILD_CHECK(weft_fiber_new(spin_until_done, &is_over, NULL, &coro) == 0);
    CHILD_CHECK(weft_loop_create_task_threadsafe(scene_loop(&scene), coro, NULL, &task) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHILD_CHECK(weft_future_wait(&task->future, -1, NULL) == WEFT_EFORKED);
        _exit(0);
    }
    check_ended_well(pid);
    weft_atomic_store_relaxed(&is_over, 1);
    CHILD_CHECK(weft_future_wait(&task->future, -1, NULL) == 0);
    weft_task_unref(task);
    scene_end(&scene);
}

Test(fork, leaves_nobody_to_wait_for, .timeout = 60)
{
    child_run_well(waiting_child);
}

/* ---- a child that returns ----------------------------------------------------------------------------------------------------------------- */

static pid_t returned_pid = -1;
static int ran_after;

static int run_after(void *arg)
{
    (void)arg;
    ran_after++;
    return 0;
}

static int fork_and_return(void *arg)
{
    (void)arg;
    returned_pid = fork();
    return 0;
}

static int fork_and_return_fiber(void *arg, void **result_out)
{
    (void)result_out;
    CHILD_CHECK(weft_loop_call_soon(weft_get_running_loop(), run_after, NULL, NULL, NULL) == 0);
    (void)fork_and_return(arg);
    return weft_sleep(1000); /* refused in the child */
}

static int fork_callback_fiber(void *arg, void **result_out)
{
    struct weft_loop *loop = weft_get_running_loop();
    (void)result_out;
    CHILD_CHECK(weft_loop_call_soon(loop, fork_and_return, arg, NULL, NULL) == 0);
    CHILD_CHECK(weft_loop_call_soon(loop, run_after, NULL, NULL, NULL) == 0);
    CHILD_CHECK(weft_loop_call_later(loop, 1, run_after, NULL, NULL) == 0);
    return weft_sleep(2000000);
}

/* The run that the child is in ends, and nothing more of it is run than what forked. */
static void returning(weft_fiber_fn *fn, uint32_t loops, int status_in_child)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    struct weft_coro *coro;
    options.loops = loops;
    CHILD_CHECK(weft_runtime_create(&options, &runtime) == 0);
    CHILD_CHECK(weft_fiber_new(fn, NULL, NULL, &coro) == 0);
    int status = weft_runtime_run(runtime, coro, NULL);
    if (returned_pid == 0) {
        CHILD_CHECK(status == status_in_child && ran_after == 0);
        check_lost(runtime);
        live_anew();
        _exit(0);
    }
    check_ended_well(returned_pid);
    CHILD_CHECK(status == 0 && ran_after > 0);
    CHILD_CHECK(weft_runtime_shutdown(runtime, -1) == 0);
    weft_runtime_destroy(runtime);
}

static void returning_callback_child(void *arg)
{
    (void)arg;
    returning(fork_callback_fiber, 2, WEFT_EFORKED);
}

static void returning_fiber_child(void *arg)
{
    (void)arg;
    returning(fork_and_return_fiber, 2, WEFT_EFORKED);
}

Test(fork, ends_the_run_of_a_child_whose_callback_returns, .timeout = 60)
{
    child_run_well(returning_callback_child);
}

Test(fork, ends_the_run_of_a_child_whose_main_returns, .timeout = 60)
{
    child_run_well(returning_fiber_child);
}

static void returning_lone_child(void *arg)
{
    struct weft_loop *loop;
    (void)arg;
    CHILD_CHECK(weft_loop_new(NULL, 0, &loop) == 0);
    CHILD_CHECK(weft_loop_call_soon(loop, fork_and_return, NULL, NULL, NULL) == 0);
    CHILD_CHECK(weft_loop_call_soon(loop, run_after, NULL, NULL, NULL) == 0);
    CHILD_CHECK(weft_loop_call_soon(loop, (weft_callback_fn *)(void *)weft_loop_stop, loop, NULL, NULL) == 0);
    int status = weft_loop_run_forever(loop);
    if (returned_pid == 0) {
        CHILD_CHECK(status == WEFT_EFORKED && ran_after == 0);
        check_lost_loop(loop);
        weft_loop_unref(loop);
        live_anew();
        _exit(0);
    }
    check_ended_well(returned_pid);
    CHILD_CHECK(status == 0 && ran_after == 1);
    weft_loop_unref(loop);
}

Test(fork, ends_the_run_of_a_childs_loop_without_a_runtime, .timeout = 60)
{
    child_run_well(returning_lone_child);
}

/* In a thread of the library's own there is nobody to return to: the thread ends, as the last one of its process. */

static int return_on_executor(void *arg, void **result_out)
{
    (void)result_out;
    return fork_and_return(arg);
}

static int executor_returns(void *arg, void **result_out)
{
    struct weft_future *future;
    (void)arg;
    CHILD_CHECK(weft_loop_run_in_executor(weft_get_running_loop(), return_on_executor, NULL, &future) == 0);
    int status = weft_await(future, result_out);
    weft_future_unref(future);
    return status;
}

static int callback_of_loop_returns(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    (void)fork_and_return(NULL);
    CHILD_CHECK(returned_pid != 0 || weft_sleep(1) == WEFT_ENOFIBER);
    return 0;
}

static void thread_of_ours(weft_fiber_fn *fn)
{
    struct scene scene;
    scene_start(&scene, 2);
    CHILD_CHECK(scene_call(&scene, fn, &scene) == 0);
    check_ended_well(returned_pid);
    check_parent(&scene);
    scene_end(&scene);
}

static void executor_returns_child(void *arg)
{
    (void)arg;
    thread_of_ours(executor_returns);
}

static void loop_returns_child(void *arg)
{
    (void)arg;
    thread_of_ours(callback_of_loop_returns);
}

Test(fork, ends_a_child_that_returns_to_the_executor, .timeout = 60)
{
    child_run_well(executor_returns_child);
}

Test(fork, ends_a_child_that_returns_to_a_loops_own_thread, .timeout = 60)
{
    child_run_well(loop_returns_child);
}

/* ---- signals ------------------------------------------------------------------------------------------------------------------------------ */

static int interrupt_child(void *arg, void **result_out)
{
    int status;
    (void)arg, (void)result_out;
    pid_t pid = fork();
    if (pid == 0) {
        (void)raise(SIGINT);
        _exit(1);
    }
    CHILD_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHILD_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    return weft_sleep(1000000); /* the parent was not cancelled */
}

static void sigint_child(void *arg)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_coro *coro;
    (void)arg;
    options.loops = 2;
    options.flags = WEFT_RUNTIME_HANDLE_SIGINT;
    CHILD_CHECK(weft_fiber_new(interrupt_child, NULL, NULL, &coro) == 0);
    CHILD_CHECK(weft_run(coro, &options, NULL) == 0);
}

Test(fork, gives_the_child_its_sigint_back, .timeout = 60)
{
    child_run_well(sigint_child);
}
