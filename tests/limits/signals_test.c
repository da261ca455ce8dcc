/*
 * A storm of signals: 200,000 of them, standard and real-time, to every thread that runs a loop or a job, with handlers that restart no
 * system call, while connections, timers, forks and the executor are at work. Nothing is lost, nothing comes early, nobody hears of EINTR.
 *
 * The library has no call that delivers signals to a loop, so what is shown of ADD-12 is the half that is the library's here: it keeps no
 * thread from its signals for long, since each real-time signal has been handled in the end.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/limits/scene.h"
#include "tests/support/sanitizer.h"
#include "tests/support/test.h"
#include "weft/atomic.h"
#include "weft/executor.h"
#include "weft/future.h"
#include "weft/job.h"
#include "weft/loop.h"
#include "weft/stream.h"

enum { LOOPS = 4, TARGETS_MAX = 64, SIGNALS = TEST_IS_SLOW ? 20000 : 200000, BYTES = 3000, ALARM_US = 500 };

#define HOUR_NS INT64_C(3600000000000)

static uint32_t is_over;
static uint64_t standard_handled, real_time_handled;

/* Threads that take signals, each once; 0 until it is there. */
static int32_t targets[TARGETS_MAX];
static uint32_t target_count;

static uint64_t echoes, sleeps, forks, jobs; /* atomic: done, and found right */

/* ---- signals --------------------------------------------------------------------------------------------------------------------------- */

static void handle(int number)
{
    (void)weft_atomic_add_relaxed(number >= SIGRTMIN ? &real_time_handled : &standard_handled, 1);
}

static void storm_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGUSR1);
    sigaddset(set, SIGALRM);
    for (int i = 0; i < 3; i++)
        sigaddset(set, SIGRTMIN + i);
}

static void install_handlers(void)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = 0}; /* no SA_RESTART */
    sigset_t set;
    storm_signals(&set);
    sigfillset(&action.sa_mask);
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&set, number) == 1)
            CHILD_CHECK(sigaction(number, &action, NULL) == 0);
}

/* The library's threads are born with all signals blocked: here they are to have them. */
static void take_signals_here(void)
{
    static _Thread_local bool is_known;
    sigset_t set;
    if (is_known)
        return;
    is_known = true;
    storm_signals(&set);
    CHILD_CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    uint32_t index = weft_atomic_add_relaxed(&target_count, 1);
    CHILD_CHECK(index < TARGETS_MAX);
    weft_atomic_store_relaxed(&targets[index], (int32_t)syscall(SYS_gettid));
}

static bool send_to(int32_t tid, int number)
{
    return tid != 0 && syscall(SYS_tgkill, getpid(), tid, number) == 0; /* a real-time queue may be full: not sent then */
}

/* So many may be on their way: else a thread would only handle signals, and do nothing that could be interrupted. */
enum { ON_THE_WAY_MAX = 64 };

static void let_them_handle(uint64_t real_time_sent)
{
    while (!TEST_TSAN && real_time_sent - weft_atomic_load_relaxed(&real_time_handled) > ON_THE_WAY_MAX)
        (void)sched_yield();
}

/* Returns how many real-time ones were sent. */
static uint64_t send_storm(void)
{
    uint64_t real_time_sent = 0, sent = 0;
    for (uint32_t i = 0; sent < SIGNALS; i++) {
        int number = i % 4 == 0 ? SIGUSR1 : SIGRTMIN + (int)(i % 3);
        uint32_t count = weft_atomic_load_relaxed(&target_count);
        bool is_sent = send_to(weft_atomic_load_relaxed(&targets[(i / 4) % count]), number);
        sent += is_sent;
        real_time_sent += is_sent && number != SIGUSR1;
        let_them_handle(real_time_sent);
    }
    return real_time_sent;
}

/* ---- work ---------------------------------------------------------------------------------------------------------------------------- */

static int echo_once(const struct scene *scene)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_stream *stream;
    unsigned char out[BYTES], in[BYTES] = {0};
    options.host = "127.0.0.1";
    options.port = scene->port;
    for (int i = 0; i < BYTES; i++)
        out[i] = (unsigned char)(i * 7);
    int status = weft_stream_open(&options, &stream);
    if (status < 0)
        return status;
    if ((status = weft_stream_write(stream, out, sizeof(out))) == 0)
        status = weft_stream_read_exactly(stream, in, sizeof(in), NULL);
    CHILD_CHECK(status < 0 || memcmp(in, out, sizeof(in)) == 0);
    (void)weft_stream_close(stream);
    weft_stream_unref(stream);
    (void)weft_atomic_add_relaxed(&echoes, 1);
    return status;
}

static int sleep_once(int64_t delay_ns)
{
    uint64_t start_ns = weft_loop_time(weft_get_running_loop());
    int status = weft_sleep(delay_ns);
    CHILD_CHECK(status < 0 || weft_loop_time(weft_get_running_loop()) - start_ns >= (uint64_t)delay_ns);
    (void)weft_atomic_add_relaxed(&sleeps, 1);
    return status;
}

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    return WEFT_JOIN(fib) + right;
}

static int fork_once(void)
{
    long sum = 0;
    int status = fib_run(14, &sum);
    CHILD_CHECK(status < 0 || sum == 377);
    (void)weft_atomic_add_relaxed(&forks, 1);
    return status;
}

static int job(void *arg, void **result_out)
{
    take_signals_here();
    *result_out = arg;
    return 0;
}

static int job_once(void)
{
    struct weft_future *future;
    void *value = NULL;
    int status = weft_loop_run_in_executor(weft_get_running_loop(), job, &is_over, &future);
    if (status < 0)
        return status;
    status = weft_await(future, &value);
    weft_future_unref(future);
    CHILD_CHECK(status < 0 || value == &is_over);
    (void)weft_atomic_add_relaxed(&jobs, 1);
    return status;
}

/* Pinned to its loop, whose thread takes signals from here on. */
static int work(void *arg, void **result_out)
{
    int status = 0;
    (void)result_out;
    take_signals_here();
    for (int i = 0; status == 0 && weft_atomic_load_relaxed(&is_over) == 0; i++) {
        status = echo_once(arg);
        if (status == 0)
            status = sleep_once(1000 * (i % 700));
        if (status == 0)
            status = fork_once();
        if (status == 0)
            status = job_once();
    }
    return status;
}

static struct weft_task *start_work(struct scene *scene, uint32_t index)
{
    struct weft_coro *coro;
    struct weft_task *task;
    CHILD_CHECK(weft_fiber_new(work, scene, NULL, &coro) == 0);
    CHILD_CHECK(weft_loop_create_task_threadsafe(weft_runtime_loop(scene->runtime, index % LOOPS), coro, NULL, &task) == 0);
    return task;
}

/* ---- the storm ------------------------------------------------------------------------------------------------------------------------ */

static void print_figures(double start_ms, uint64_t real_time_sent)
{
    dprintf(STDERR_FILENO, "figure: %d signals in %.0f ms to %u threads: %llu real-time ones sent, %llu handled, %llu others handled\n",
            SIGNALS, scene_now_ms() - start_ms, target_count, (unsigned long long)real_time_sent, (unsigned long long)real_time_handled,
            (unsigned long long)standard_handled);
    dprintf(STDERR_FILENO,
            "figure: meanwhile %llu connections of %d bytes, %llu sleeps, %llu forks, %llu jobs: none lost, early or wrong\n",
            (unsigned long long)echoes, BYTES, (unsigned long long)sleeps, (unsigned long long)forks, (unsigned long long)jobs);
}

static void wait_for_targets(void)
{
    double end_ms = scene_now_ms() + SCENE_DEADLINE_MS;
    while (weft_atomic_load_relaxed(&target_count) < LOOPS + 1) /* the loops, and a thread of the executor */
        CHILD_CHECK(scene_now_ms() < end_ms && (usleep(1000) == 0 || errno == EINTR));
}

/* ThreadSanitizer calls handlers later, and once for many. */
static void wait_for_handlers(uint64_t real_time_sent)
{
    double end_ms = scene_now_ms() + SCENE_DEADLINE_MS;
    while (!TEST_TSAN && weft_atomic_load_relaxed(&real_time_handled) < real_time_sent)
        CHILD_CHECK(scene_now_ms() < end_ms && (usleep(1000) == 0 || errno == EINTR));
    uint64_t handled = weft_atomic_load_relaxed(&real_time_handled);
    CHILD_CHECK(TEST_TSAN ? handled > 0 : handled == real_time_sent);
    CHILD_CHECK(weft_atomic_load_relaxed(&standard_handled) > 0);
}

static void storm_child(void *arg)
{
    struct scene scene;
    struct weft_task *tasks[LOOPS * 4];
    struct itimerval alarms = {{0, ALARM_US}, {0, ALARM_US}};
    (void)arg;
    install_handlers();
    scene_start(&scene, LOOPS);
    for (uint32_t i = 0; i < LOOPS * 4; i++)
        tasks[i] = start_work(&scene, i);
    wait_for_targets();
    double start_ms = scene_now_ms();
    CHILD_CHECK(setitimer(ITIMER_REAL, &alarms, NULL) == 0);
    uint64_t real_time_sent = send_storm();
    alarms = (struct itimerval){{0, 0}, {0, 0}};
    CHILD_CHECK(setitimer(ITIMER_REAL, &alarms, NULL) == 0);
    weft_atomic_store_relaxed(&is_over, 1);
    for (uint32_t i = 0; i < LOOPS * 4; i++) {
        CHILD_CHECK(weft_future_wait(&tasks[i]->future, HOUR_NS, NULL) == 0);
        weft_task_unref(tasks[i]);
    }
    wait_for_handlers(real_time_sent);
    print_figures(start_ms, real_time_sent);
    CHILD_CHECK(echoes > 0 && sleeps > 0 && forks > 0 && jobs > 0);
    CHILD_CHECK(weft_atomic_load_relaxed(&scene.reports) == 0);
    scene_end(&scene);
}

Test(signals, a_storm_of_them_loses_nothing, .timeout = 120)
{
    child_run_well(storm_child);
}
