/*
 * Clocks that jump. The wall clock goes ten days forward or back between any two looks at it, by a clock_gettime() of this program's: no
 * timer and no wait is early or lost by it, for the library measures by the monotonic clock alone. That one never goes back; where it
 * stands otherwise from the start (a time namespace) everything is as usual, and where it leaps ahead timers are due in their order.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/limits/scene.h"
#include "tests/support/sanitizer.h"
#include "tests/support/test.h"
#include "weft/atomic.h"
#include "weft/executor.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/timer.h"

#if !defined(CLONE_NEWTIME)
#define CLONE_NEWTIME 0x00000080
#endif

enum { TEN_DAYS_S = 864000 };

#define DAY_NS UINT64_C(86400000000000)

/* ---- the clock of this program ----------------------------------------------------------------------------------------------------------- */

static uint32_t wall_is_wild; /* atomic */
static uint32_t wall_looks;   /* atomic */
static uint64_t leap_s;       /* atomic: how far the monotonic clock has leapt */

int clock_gettime(clockid_t id, struct timespec *now)
{
    *now = (struct timespec){0, 0}; /* MemorySanitizer does not know that the kernel writes it */
    long result = syscall(SYS_clock_gettime, id, now);
    if (result != 0)
        return (int)result;
    if (id == CLOCK_MONOTONIC)
        now->tv_sec += (time_t)weft_atomic_load_relaxed(&leap_s);
    if (id == CLOCK_REALTIME && weft_atomic_load_relaxed(&wall_is_wild) != 0)
        now->tv_sec += weft_atomic_add_relaxed(&wall_looks, 1) % 2 == 0 ? TEN_DAYS_S : -TEN_DAYS_S;
    return 0;
}

/* ---- waits of every kind ----------------------------------------------------------------------------------------------------------------- */

static uint64_t real_ns(void)
{
    struct timespec now = {0, 0};
    CHILD_CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

enum { WAIT_NS = 2000000, LATE_S = 60 };

/* Not before its time by a clock that nobody jumps with, and not days later either. */
static void check_waited(uint64_t start_ns)
{
    uint64_t waited_ns = real_ns() - start_ns;
    CHILD_CHECK(waited_ns >= WAIT_NS && waited_ns < UINT64_C(1000000000) * LATE_S);
}

enum { STAY_QUEUED, STAY_BEGUN, STAY_OVER };

static int stay_in_executor(void *arg, void **result_out)
{
    (void)result_out;
    weft_atomic_store_relaxed((uint32_t *)arg, STAY_BEGUN);
    while (weft_atomic_load_relaxed((uint32_t *)arg) != STAY_OVER)
        (void)usleep(100);
    return 0;
}

static int wait_in_fiber(void *arg, void **result_out)
{
    struct weft_future *never;
    (void)arg, (void)result_out;
    for (int i = 0; i < 20; i++) {
        uint64_t start_ns = real_ns();
        CHILD_CHECK(weft_sleep(WAIT_NS) == 0);
        check_waited(start_ns);
        CHILD_CHECK(weft_loop_create_future(weft_get_running_loop(), &never) == 0);
        start_ns = real_ns();
        CHILD_CHECK(weft_wait_for(never, WAIT_NS, NULL) == -ETIMEDOUT);
        check_waited(start_ns);
        weft_future_unref(never);
    }
    return 0;
}

static void wait_in_thread(const struct scene *scene)
{
    struct weft_future *future;
    struct weft_executor *executor;
    uint32_t stay = STAY_QUEUED;
    CHILD_CHECK(weft_executor_create(NULL, &executor) == 0);
    CHILD_CHECK(weft_executor_submit(executor, scene_loop(scene), stay_in_executor, &stay, &future) == 0);
    while (weft_atomic_load_relaxed(&stay) != STAY_BEGUN)
        (void)usleep(100);
    uint64_t start_ns = real_ns();
    CHILD_CHECK(weft_future_wait(future, WAIT_NS, NULL) == -ETIMEDOUT);
    check_waited(start_ns);
    start_ns = real_ns();
    CHILD_CHECK(weft_executor_shutdown(executor, WAIT_NS) == -ETIMEDOUT);
    check_waited(start_ns);
    weft_atomic_store_relaxed(&stay, STAY_OVER);
    CHILD_CHECK(weft_future_wait(future, -1, NULL) == 0);
    weft_future_unref(future);
    CHILD_CHECK(weft_executor_shutdown(executor, -1) == 0);
    weft_executor_unref(executor);
}

static void wait_in_every_way(void)
{
    struct scene scene;
    scene_start(&scene, 2);
    CHILD_CHECK(scene_call(&scene, wait_in_fiber, NULL) == 0);
    wait_in_thread(&scene);
    (void)scene_stay_quiet(&scene, "idle while the clock jumps", 50);
    int client = client_socket();
    client_connect(client, &scene);
    CHILD_CHECK(client_is_answered(client));
    close(client);
    scene_end(&scene);
}

/* ---- the wall clock ---------------------------------------------------------------------------------------------------------------------- */

static void wild_wall_child(void *arg)
{
    struct timespec first, second;
    (void)arg;
    weft_atomic_store_relaxed(&wall_is_wild, 1);
    CHILD_CHECK(clock_gettime(CLOCK_REALTIME, &first) == 0 && clock_gettime(CLOCK_REALTIME, &second) == 0);
    CHILD_CHECK(first.tv_sec - second.tv_sec > TEN_DAYS_S);
    wait_in_every_way();
    dprintf(STDERR_FILENO, "figure: a wall clock that jumps by ten days each time: %u looks at it\n",
            weft_atomic_load_relaxed(&wall_looks) - 2);
}

Test(clock, a_wall_clock_that_jumps_moves_no_timer, .timeout = 60)
{
    child_run_well(wild_wall_child);
}

/* ---- time namespaces --------------------------------------------------------------------------------------------------------------------- */

/* Have the next child's clocks stand `offset_s` from ours. False where that is not allowed. */
static bool shift_clocks(int64_t offset_s)
{
    char line[64];
    int len = snprintf(line, sizeof(line), "monotonic %lld 0\n", (long long)offset_s);
    if (unshare(CLONE_NEWTIME) != 0)
        return false;
    int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    bool is_shifted = fd >= 0 && write(fd, line, (size_t)len) == len;
    close(fd);
    return is_shifted;
}

static void run_shifted(const char *what, int64_t offset_s)
{
    int status;
    if (!shift_clocks(offset_s)) {
        dprintf(STDERR_FILENO, "figure: %s: not available here (%s)\n", what, strerror(errno));
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        wait_in_every_way();
        _exit(0);
    }
    CHILD_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    dprintf(STDERR_FILENO, "figure: %s: every wait is right\n", what);
}

static void forward_child(void *arg)
{
    (void)arg;
    run_shifted("a monotonic clock ten days ahead", TEN_DAYS_S);
}

/* As far back as it goes: the clock may not be below 0. */
static void back_child(void *arg)
{
    (void)arg;
    int64_t uptime_s = (int64_t)(real_ns() / 1000000000);
    run_shifted("a monotonic clock that is near 0", uptime_s > TEN_DAYS_S ? -TEN_DAYS_S : 5 - uptime_s);
}

Test(clock, a_namespace_ten_days_ahead_is_as_good, .timeout = 60)
{
    child_run_well(forward_child);
}

Test(clock, a_namespace_as_far_back_as_it_goes_is_as_good, .timeout = 60)
{
    child_run_well(back_child);
}

/* ---- a leap of the monotonic clock --------------------------------------------------------------------------------------------------------- */

enum { TIMERS = 2000 };

struct timers {
    struct weft_loop *loop;
    struct weft_timer timers[TIMERS];
    uint64_t when_ns[TIMERS];
    uint64_t last_ns; /* of those that have fired */
    int fired;
    int stopped;
};

static struct timers all;

static int fired(void *arg)
{
    uint64_t when_ns = *(uint64_t *)arg;
    CHILD_CHECK(weft_loop_time(all.loop) >= when_ns && when_ns >= all.last_ns);
    all.last_ns = when_ns;
    all.fired++;
    return 0;
}

static int stop_loop(void *arg)
{
    return weft_loop_stop(arg);
}

/* What is due within the first ten days fires as the clock leaps there, in order; the rest does not, and the loop sleeps. */
static void leap_child(void *arg)
{
    struct weft_loop_counters counters;
    struct weft_timer end;
    int due = 0;
    (void)arg;
    CHILD_CHECK(weft_loop_new(NULL, 0, &all.loop) == 0);
    uint64_t start_ns = weft_loop_time(all.loop);
    srand(42);
    for (int i = 0; i < TIMERS; i++) {
        all.when_ns[i] = start_ns + 60000000000 + (uint64_t)rand() % 10000 * (20 * DAY_NS / 10000);
        due += all.when_ns[i] < start_ns + 10 * DAY_NS;
        weft_timer_init(&all.timers[i], all.loop, fired, &all.when_ns[i]);
        CHILD_CHECK(weft_timer_start_at(&all.timers[i], all.when_ns[i]) == 0);
    }
    weft_timer_init(&end, all.loop, stop_loop, all.loop);
    CHILD_CHECK(weft_timer_start(&end, 1000000) == 0);
    CHILD_CHECK(weft_loop_run_forever(all.loop) == 0 && all.fired == 0);
    weft_atomic_store_relaxed(&leap_s, TEN_DAYS_S);
    CHILD_CHECK(weft_timer_start(&end, 50000000) == 0);
    CHILD_CHECK(weft_loop_run_forever(all.loop) == 0);
    CHILD_CHECK(all.fired == due && due > 0 && due < TIMERS);
    CHILD_CHECK(weft_loop_get_counters(all.loop, &counters) == 0 && counters.turns < 50);
    for (int i = 0; i < TIMERS; i++)
        all.stopped += weft_timer_stop(&all.timers[i]);
    CHILD_CHECK(all.fired + all.stopped == TIMERS);
    dprintf(STDERR_FILENO, "figure: a leap of ten days: %d timers fired in order, %d did not, %llu iterations\n", all.fired, all.stopped,
            (unsigned long long)counters.turns);
    weft_loop_unref(all.loop);
}

Test(clock, a_leap_of_the_monotonic_clock_fires_what_is_due_in_order, .timeout = 60)
{
    child_run_well(leap_child);
}
