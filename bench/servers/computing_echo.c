/*
 * Computing echo: weft's echo by callbacks, beside jobs that compute fib(30) for ever, a timer on each loop, and a poller that notes when it
 * is asked. Called in a child of the bench's. Each loop writes what is its own.
 */
#include "bench/servers/computing_echo.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "bench/servers/weft_server.h"
#include "lib/base/clock.h"
#include "weft/atomic.h"
#include "weft/job.h"
#include "weft/poller.h"
#include "weft/timer.h"

enum { PERIOD_NS = 1000000, FIB = 30 };

static struct computing *computing;

struct computing *computing_share(void)
{
    if (computing == NULL)
        computing = mmap(NULL, sizeof(*computing), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (computing == MAP_FAILED) {
        perror("shared memory");
        exit(1);
    }
    *computing = (struct computing){.cpu = -1};
    return computing;
}

static bool is_recording(void)
{
    return weft_atomic_load_relaxed(&computing->is_recording) != 0;
}

static struct computing_loop *record_here(void)
{
    return &computing->loops[weft_loop_index(weft_get_running_loop())];
}

/* ---- what computes ------------------------------------------------------------------------------------------------------------------ */

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    long left = WEFT_JOIN(fib);
    return left + right;
}

static int compute_forever(void *arg, void **result_out)
{
    long result;
    int status = 0;
    (void)arg, (void)result_out;
    while (status == 0) {
        status = WEFT_RUN(fib, FIB, &result);
        (void)weft_atomic_add_relaxed(&computing->computed, 1);
    }
    return status;
}

/* ---- when the poller is asked --------------------------------------------------------------------------------------------------------- */

static uint64_t thread_cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void note_arrival(struct computing_loop *record)
{
    uint64_t gap_ns = clock_monotonic_ns() - record->left_ns;
    uint64_t ran_ns = thread_cpu_ns() - record->left_cpu_ns;
    samples_add(&record->gap, gap_ns);
    samples_add(&record->gap_ran, ran_ns);
    samples_add(&record->gap_stood, gap_ns > ran_ns ? gap_ns - ran_ns : 0);
}

static int noted_wait(struct weft_poller *poller, int64_t timeout_ns, struct weft_work_list *ready_out)
{
    struct computing_loop *record = record_here();
    if (is_recording() && record->left_ns != 0)
        note_arrival(record);
    int count = weft_poller_epoll_ops()->wait(poller, timeout_ns, ready_out);
    record->left_cpu_ns = thread_cpu_ns();
    record->left_ns = clock_monotonic_ns();
    return count;
}

static const struct weft_poller_ops noted_poller = {.size = sizeof(noted_poller), .wait = noted_wait};
static const struct weft_loop_kind noted_kind = {.size = sizeof(noted_kind), .name = "noted", .poller = &noted_poller};

/* ---- timers ------------------------------------------------------------------------------------------------------------------------- */

static struct ticking {
    struct weft_timer timer;
    uint64_t due_ns;
} tickings[SERVING_LOOPS_MAX];

/* Its next time is one period after its last one, not after now, so that a late one is followed by others that are as late as they are. */
static int tick(void *arg)
{
    struct ticking *ticking = arg;
    uint64_t now_ns = clock_monotonic_ns();
    if (is_recording())
        samples_add(&record_here()->timer, now_ns - ticking->due_ns);
    ticking->due_ns += PERIOD_NS;
    return weft_timer_start_at(&ticking->timer, ticking->due_ns);
}

static int start_ticking(struct weft_loop *loop)
{
    struct ticking *ticking = &tickings[weft_loop_index(loop)];
    weft_timer_init(&ticking->timer, loop, tick, ticking);
    ticking->due_ns = weft_loop_time(loop) + PERIOD_NS;
    return weft_timer_start_at(&ticking->timer, ticking->due_ns);
}

/* ---- together ----------------------------------------------------------------------------------------------------------------------- */

static int make(struct weft_loop *loop, const struct weft_server_options *options, struct weft_server **server_out)
{
    int status = start_ticking(loop);
    if (status == 0 && computing->is_computing)
        status = weft_job_start(loop, compute_forever, NULL, NULL);
    return status < 0 ? status : weft_echo_make(loop, options, server_out);
}

static int serve(struct serving *serving)
{
    if (computing->cpu >= 0) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET((size_t)computing->cpu, &cpus);
        (void)sched_setaffinity(0, sizeof(cpus), &cpus);
    }
    return weft_server_serve(serving, &(struct weft_serving){.make = make, .kind = &noted_kind, .spin_max_ns = -1});
}

const struct server server_computing_echo = {"computing", serve};
