/*
 * What does it cost to give work away, and to take it?
 *
 * Tasks that are created (pinned) and spawned (stealable), forks that nobody takes, jobs started where no fiber runs, the time until
 * another loop has begun with what was given away, and how often loops are woken and steal. `_1` runs on a runtime of one loop, `_2` on
 * one of two, whose other loop has nothing to do but to steal. The contestants have their turns one after the other within each round.
 *
 *     spawn [part of a figure's name] [--rounds N] [--quick]
 *
 * Rounds (7) up to 64; --quick does a hundredth. Prints the median of each figure over the rounds, the minimum, and the ratio to the
 * first contestant in the same round. Figures end with their unit; of latencies, each round's is the median of many.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bench/servers/report.h"
#include "lib/base/clock.h"
#include "weft/atomic.h"
#include "weft/fiber.h"
#include "weft/job.h"
#include "weft/runtime.h"
#include "weft/step.h"

enum { ROUNDS_DEFAULT = 7, BATCH = 250, SAMPLES = 200 };
enum { TASKS = 100000, FORKS = 10000000, STARTS = 10000 };
enum { PARK_NS = 1000000, PATIENCE_NS = 5000000, TASK_NS = 5000 };

static struct weft_runtime *runtimes[3]; /* by the number of their loops */
static int divisor = 1;

static _Noreturn void give_up(const char *what, int status)
{
    fprintf(stderr, "%s: %d\n", what, status);
    exit(1);
}

/* Nothing here may fail and be measured all the same. */
static void must(int status)
{
    if (status < 0)
        give_up("a call", status);
}

static int scaled(int count)
{
    return count / divisor > BATCH ? count / divisor / BATCH * BATCH : BATCH;
}

static double per_unit(uint64_t start_ns, int units)
{
    return (double)(clock_monotonic_ns() - start_ns) / units;
}

static struct weft_loop *first_loop(int loops)
{
    return weft_runtime_loop(runtimes[loops], 0);
}

static void wait_for(struct weft_task *task)
{
    must(weft_future_wait(&task->future, -1, NULL));
    weft_task_unref(task);
}

/* Run `fn(arg)` on a runtime of `loops` until it has ended, from this thread: as a pinned fiber, or as one that jobs can be forked in. */
static void run_pinned(int loops, weft_fiber_fn *fn, void *arg)
{
    struct weft_coro *coro;
    struct weft_task *task;
    must(weft_fiber_new(fn, arg, NULL, &coro));
    must(weft_loop_create_task_threadsafe(first_loop(loops), coro, NULL, &task));
    wait_for(task);
}

static void run_job(int loops, weft_fiber_fn *fn, void *arg)
{
    struct weft_task *task;
    must(weft_job_start(first_loop(loops), fn, arg, &task));
    wait_for(task);
}

/* ---- tasks -------------------------------------------------------------------------------------------------------------------------- */

static int end_at_once(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

static int step_ends_at_once(struct weft_step *step, void *state, int status)
{
    (void)state;
    return status < 0 ? status : weft_step_return(step, NULL);
}

/* What one family of figures does: fibers or steps, spawned or created, so many at once. */
struct lives {
    bool are_fibers;
    bool are_spawned;
    int at_once;
    double ns;
};

static struct weft_task *begin_life(struct weft_loop *loop, const struct lives *lives)
{
    struct weft_coro *coro;
    struct weft_task *task;
    if (lives->are_fibers)
        must(weft_fiber_new(end_at_once, NULL, NULL, &coro));
    else
        must(weft_step_new(step_ends_at_once, NULL, 0, &coro, NULL));
    if (lives->are_spawned)
        must(weft_loop_spawn(loop, coro, NULL, &task));
    else
        must(weft_loop_create_task(loop, coro, NULL, &task));
    return task;
}

static int live(void *arg, void **result_out)
{
    struct lives *lives = arg;
    struct weft_task *tasks[BATCH];
    struct weft_loop *loop = weft_get_running_loop();
    int count = scaled(TASKS);
    (void)result_out;
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < count; i += lives->at_once) {
        for (int j = 0; j < lives->at_once; j++)
            tasks[j] = begin_life(loop, lives);
        for (int j = 0; j < lives->at_once; j++) {
            must(weft_await(&tasks[j]->future, NULL));
            weft_task_unref(tasks[j]);
        }
    }
    lives->ns = per_unit(start_ns, count);
    return 0;
}

static double measure_lives(int loops, struct lives lives)
{
    run_pinned(loops, live, &lives);
    return lives.ns;
}

static double create_fiber(int loops)
{
    return measure_lives(loops, (struct lives){.are_fibers = true, .at_once = 1});
}

static double spawn_fiber(int loops)
{
    return measure_lives(loops, (struct lives){.are_fibers = true, .are_spawned = true, .at_once = 1});
}

static double create_fibers(int loops)
{
    return measure_lives(loops, (struct lives){.are_fibers = true, .at_once = BATCH});
}

static double spawn_fibers(int loops)
{
    return measure_lives(loops, (struct lives){.are_fibers = true, .are_spawned = true, .at_once = BATCH});
}

static double create_step(int loops)
{
    return measure_lives(loops, (struct lives){.at_once = 1});
}

static double spawn_step(int loops)
{
    return measure_lives(loops, (struct lives){.are_spawned = true, .at_once = 1});
}

static double create_steps(int loops)
{
    return measure_lives(loops, (struct lives){.at_once = BATCH});
}

static double spawn_steps(int loops)
{
    return measure_lives(loops, (struct lives){.are_spawned = true, .at_once = BATCH});
}

/* ---- lone forks --------------------------------------------------------------------------------------------------------------------- */

static volatile long sink;

__attribute__((noinline)) static long add_one(long n)
{
    __asm__ __volatile__("" : "+r"(n));
    return n + 1;
}

WEFT_JOB(long, lone, long, n)
{
    return add_one(n);
}

WEFT_JOB(long, fork_often, int, count)
{
    long sum = 0;
    for (int i = 0; i < count; i++) {
        long value = WEFT_FORK(lone, sum);
        sum = WEFT_JOIN(lone, value);
    }
    return sum;
}

static int run_typed(void *arg, void **result_out)
{
    int count = scaled(FORKS);
    long sum = 0;
    (void)result_out;
    uint64_t start_ns = clock_monotonic_ns();
    must(WEFT_RUN(fork_often, count, &sum));
    *(double *)arg = per_unit(start_ns, count);
    return sum == count ? 0 : -EPROTO;
}

static int lone_generic(void *arg)
{
    long *sum = arg;
    *sum = add_one(*sum);
    return 0;
}

static int run_generic(void *arg, void **result_out)
{
    int count = scaled(FORKS);
    long sum = 0;
    (void)result_out;
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < count; i++) {
        struct weft_fork fork;
        must(weft_fork(&fork, lone_generic, &sum));
        must(weft_join(&fork));
    }
    *(double *)arg = per_unit(start_ns, count);
    return sum == count ? 0 : -EPROTO;
}

static double call_lone(int loops)
{
    int count = scaled(FORKS);
    long sum = 0;
    (void)loops;
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < count; i++)
        sum = add_one(sum);
    double ns = per_unit(start_ns, count);
    sink = sum;
    return ns;
}

static double fork_typed(int loops)
{
    double ns;
    run_job(loops, run_typed, &ns);
    return ns;
}

static double fork_generic(int loops)
{
    double ns;
    run_job(loops, run_generic, &ns);
    return ns;
}

/* ---- jobs started where no fiber runs ----------------------------------------------------------------------------------------------- */

static double start_from_thread(int loops)
{
    int count = scaled(STARTS);
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < count; i++)
        run_job(loops, end_at_once, NULL);
    return per_unit(start_ns, count) / 1e3;
}

/* Each job's end starts the next one, on the loop that the callbacks belong to. */
struct chain {
    struct weft_loop *loop;
    struct weft_future *done;
    int left;
};

static int start_next(struct chain *chain);

static int job_has_ended(struct weft_future *future, void *arg)
{
    struct chain *chain = arg;
    weft_future_unref(future);
    return --chain->left > 0 ? start_next(chain) : weft_future_set_result(chain->done, NULL);
}

static int start_next(struct chain *chain)
{
    struct weft_task *task;
    must(weft_job_start(chain->loop, end_at_once, NULL, &task));
    must(weft_future_add_done_callback(&task->future, job_has_ended, chain, NULL));
    return 0;
}

static int begin_chain(void *arg)
{
    return start_next(arg);
}

static int run_chain(void *arg, void **result_out)
{
    int count = scaled(STARTS);
    struct chain chain = {.loop = weft_get_running_loop(), .left = count};
    (void)result_out;
    must(weft_loop_create_future(chain.loop, &chain.done));
    uint64_t start_ns = clock_monotonic_ns();
    must(weft_loop_call_soon(chain.loop, begin_chain, &chain, NULL, NULL));
    must(weft_await(chain.done, NULL));
    *(double *)arg = per_unit(start_ns, count) / 1e3;
    weft_future_unref(chain.done);
    return 0;
}

static double start_from_callback(int loops)
{
    double us;
    run_pinned(loops, run_chain, &us);
    return us;
}

/* ---- until another loop has begun --------------------------------------------------------------------------------------------------- */

/* When something was given away and when it began; `began_ns` is written by whoever runs it. */
struct sample {
    uint64_t given_ns;
    uint64_t began_ns; /* atomic; 0: not yet */
    uint32_t giver;
    uint32_t taker;
};

struct latency {
    bool is_parked; /* the other loop, when work is given away */
    int count;      /* of samples that were taken by the other loop */
    double us[SAMPLES];
};

static void sample_begins(struct sample *sample)
{
    sample->taker = weft_loop_index(weft_get_running_loop());
    /* Pairs with the acquire in sample_has_begun(). */
    weft_atomic_store_release(&sample->began_ns, clock_monotonic_ns());
}

static bool sample_has_begun(const struct sample *sample)
{
    /* Pairs with the release in sample_begins(). */
    return weft_atomic_load_acquire(&sample->began_ns) != 0;
}

static bool is_worth_waiting(const struct sample *sample)
{
    return !sample_has_begun(sample) && clock_monotonic_ns() - sample->given_ns < PATIENCE_NS;
}

static struct sample sample_now(void)
{
    return (struct sample){.given_ns = clock_monotonic_ns(), .giver = weft_loop_index(weft_get_running_loop())};
}

static void latency_add(struct latency *latency, const struct sample *sample)
{
    if (sample->taker != sample->giver)
        latency->us[latency->count++] = (double)(sample->began_ns - sample->given_ns) / 1e3;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double latency_median(struct latency *latency)
{
    qsort(latency->us, (size_t)latency->count, sizeof(*latency->us), compare_doubles);
    return latency->count > 0 ? latency->us[latency->count / 2] : 0;
}

WEFT_JOB(int, begin, struct sample *, sample)
{
    sample_begins(sample);
    return 0;
}

/* Fork one that counts, and go on forking as a computation does, so that the loop sees that somebody is hungry. */
WEFT_JOB(int, give_away, struct sample *, sample)
{
    int status = WEFT_FORK(begin, sample);
    while (is_worth_waiting(sample)) {
        long value = WEFT_FORK(lone, 0);
        (void)WEFT_JOIN(lone, value);
    }
    return WEFT_JOIN(begin, status);
}

static void pause_before(const struct latency *latency)
{
    if (latency->is_parked)
        must(weft_sleep(PARK_NS));
}

static int give_forks(void *arg, void **result_out)
{
    struct latency *latency = arg;
    (void)result_out;
    for (int i = 0; i < SAMPLES; i++) {
        int ignored;
        pause_before(latency);
        struct sample sample = sample_now();
        must(WEFT_RUN(give_away, &sample, &ignored));
        latency_add(latency, &sample);
    }
    return 0;
}

static int spawned_begins(void *arg, void **result_out)
{
    (void)result_out;
    sample_begins(arg);
    return 0;
}

static int nothing_more(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

/* Two, since for a single one, which the loop runs as the step ends, nobody is woken. */
static int give_fibers(void *arg, void **result_out)
{
    struct latency *latency = arg;
    (void)result_out;
    for (int i = 0; i < SAMPLES; i++) {
        struct weft_task *task, *other;
        pause_before(latency);
        struct sample sample = sample_now();
        must(weft_loop_spawn_fiber(weft_get_running_loop(), spawned_begins, &sample, &task));
        must(weft_loop_spawn_fiber(weft_get_running_loop(), nothing_more, NULL, &other));
        while (is_worth_waiting(&sample))
            weft_atomic_pause();
        must(weft_await(&task->future, NULL));
        must(weft_await(&other->future, NULL));
        weft_task_unref(task);
        weft_task_unref(other);
        latency_add(latency, &sample);
    }
    return 0;
}

static double fork_to_parked(int loops)
{
    struct latency latency = {.is_parked = true};
    run_job(loops, give_forks, &latency);
    return latency_median(&latency);
}

static double fork_to_awake(int loops)
{
    struct latency latency = {.is_parked = false};
    run_job(loops, give_forks, &latency);
    return latency_median(&latency);
}

static double spawn_to_parked(int loops)
{
    struct latency latency = {.is_parked = true};
    run_pinned(loops, give_fibers, &latency);
    return latency_median(&latency);
}

static double spawn_to_awake(int loops)
{
    struct latency latency = {.is_parked = false};
    run_pinned(loops, give_fibers, &latency);
    return latency_median(&latency);
}

/* The least there is: a thread that sleeps in an epoll, and an eventfd that wakes it. */
struct sleeper {
    int event_fd, epoll_fd;
    struct sample *sample; /* atomic; NULL: go home */
};

static void *sleep_and_begin(void *arg)
{
    struct sleeper *sleeper = arg;
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(sleeper->epoll_fd, &event, 1, -1) != 1)
            give_up("epoll_wait", -errno);
        uint64_t now_ns = clock_monotonic_ns();
        /* Pairs with the release in wake_sleeper(). */
        struct sample *sample = weft_atomic_load_acquire(&sleeper->sample);
        if (sample == NULL)
            return NULL;
        sample->taker = 1;
        /* Pairs with the acquire in sample_has_begun(). */
        weft_atomic_store_release(&sample->began_ns, now_ns);
    }
}

static void wake_sleeper(struct sleeper *sleeper, struct sample *sample)
{
    /* Pairs with the acquire in sleep_and_begin(). */
    weft_atomic_store_release(&sleeper->sample, sample);
    if (write(sleeper->event_fd, &(uint64_t){1}, sizeof(uint64_t)) != sizeof(uint64_t))
        give_up("write", -errno);
}

static double raw_to_parked(int loops)
{
    struct sleeper sleeper = {.event_fd = eventfd(0, EFD_CLOEXEC), .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    struct latency latency = {.is_parked = true};
    pthread_t thread;
    (void)loops;
    if (epoll_ctl(sleeper.epoll_fd, EPOLL_CTL_ADD, sleeper.event_fd, &event) < 0 ||
        pthread_create(&thread, NULL, sleep_and_begin, &sleeper) != 0)
        give_up("a sleeper", -errno);
    for (int i = 0; i < SAMPLES; i++) {
        nanosleep(&(struct timespec){.tv_nsec = PARK_NS}, NULL);
        struct sample sample = {.given_ns = clock_monotonic_ns()};
        wake_sleeper(&sleeper, &sample);
        while (!sample_has_begun(&sample))
            weft_atomic_pause();
        latency_add(&latency, &sample);
    }
    wake_sleeper(&sleeper, NULL);
    pthread_join(thread, NULL);
    close(sleeper.event_fd);
    close(sleeper.epoll_fd);
    return latency_median(&latency);
}

/* ---- wake-ups and steals ------------------------------------------------------------------------------------------------------------ */

static void compute_for(uint64_t ns)
{
    uint64_t end_ns = clock_monotonic_ns() + ns;
    while (clock_monotonic_ns() < end_ns)
        weft_atomic_pause();
}

static int compute_shortly(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    compute_for(TASK_NS);
    return 0;
}

/* So many at once, awaited, and again. */
struct traffic {
    int count;
    int at_once;
    int64_t pause_ns;
};

static int send_traffic(void *arg, void **result_out)
{
    const struct traffic *traffic = arg;
    struct weft_task *tasks[BATCH];
    (void)result_out;
    for (int i = 0; i < traffic->count; i += traffic->at_once) {
        if (traffic->pause_ns > 0)
            must(weft_sleep(traffic->pause_ns));
        for (int j = 0; j < traffic->at_once; j++)
            must(weft_loop_spawn_fiber(weft_get_running_loop(), compute_shortly, NULL, &tasks[j]));
        for (int j = 0; j < traffic->at_once; j++) {
            must(weft_await(&tasks[j]->future, NULL));
            weft_task_unref(tasks[j]);
        }
    }
    return 0;
}

WEFT_JOB(int, compute_jobs, int, count)
{
    if (count == 1) {
        compute_for(TASK_NS);
        return 1;
    }
    int left = WEFT_FORK(compute_jobs, count / 2);
    int right = WEFT_CALL(compute_jobs, count - count / 2);
    left = WEFT_JOIN(compute_jobs, left);
    return left + right;
}

static int send_jobs(void *arg, void **result_out)
{
    const struct traffic *traffic = arg;
    int sum = 0;
    (void)result_out;
    for (int i = 0; i < traffic->count; i += traffic->at_once) {
        int count = 0;
        must(WEFT_RUN(compute_jobs, traffic->at_once, &count));
        sum += count;
    }
    return sum == traffic->count ? 0 : -EPROTO;
}

static const struct scene {
    const char *name;
    weft_fiber_fn *fn;
    struct traffic traffic;
} scenes[] = {
    {"burst", send_traffic, {20 * BATCH, BATCH, 0}},
    {"pairs", send_traffic, {20 * BATCH, 2, 0}},
    {"trickle", send_traffic, {SAMPLES, 1, PARK_NS}},
    {"jobs", send_jobs, {20 * BATCH, BATCH, 0}},
};

enum { SCENES = sizeof(scenes) / sizeof(scenes[0]) };

/* The counters that are asked about, by their place. */
static const struct counted {
    const char *name;
    size_t offset;
} counted[] = {
    {"wakes", offsetof(struct weft_loop_counters, wakes)},
    {"summons", offsetof(struct weft_loop_counters, summons)},
    {"vain_summons", offsetof(struct weft_loop_counters, vain_summons)},
    {"steals", offsetof(struct weft_loop_counters, steals)},
    {"stolen_jobs", offsetof(struct weft_loop_counters, stolen_jobs)},
    {"searches", offsetof(struct weft_loop_counters, searches)},
};

enum { COUNTED = sizeof(counted) / sizeof(counted[0]) };

static uint64_t counter_at(const struct weft_loop_counters *counters, size_t offset)
{
    return *(const uint64_t *)((const char *)counters + offset);
}

static void run_scene(const struct scene *scene, size_t round, struct report reports[COUNTED])
{
    struct weft_loop_counters before, after;
    struct traffic traffic = scene->traffic;
    must(weft_runtime_get_counters(runtimes[2], WEFT_RUNTIME_ALL, &before));
    run_job(2, scene->fn, &traffic);
    must(weft_runtime_get_counters(runtimes[2], WEFT_RUNTIME_ALL, &after));
    for (size_t i = 0; i < COUNTED; i++) {
        uint64_t count = counter_at(&after, counted[i].offset) - counter_at(&before, counted[i].offset);
        reports[i].value[0][round] = 1000.0 * (double)count / traffic.count;
    }
}

static void count_scene(const struct scene *scene, size_t rounds)
{
    static struct report reports[COUNTED];
    char name[64];
    for (size_t round = 0; round < rounds; round++)
        run_scene(scene, round, reports);
    snprintf(name, sizeof(name), "spawn.per_1000_tasks.%s", scene->name);
    for (size_t i = 0; i < COUNTED; i++) {
        reports[i].name = name;
        reports[i].rounds = rounds;
        reports[i].contestants = 1;
        reports[i].contestant[0] = counted[i].name;
        report_print(&reports[i]);
    }
    fflush(stdout);
}

/* ---- the rounds --------------------------------------------------------------------------------------------------------------------- */

static const struct question {
    const char *name;
    struct {
        const char *name;
        double (*round)(int loops);
        int loops;
    } contestants[REPORT_CONTESTANTS_MAX];
} questions[] = {
    {"spawn.fiber_await_ns",
     {{"create_1", create_fiber, 1}, {"spawn_1", spawn_fiber, 1}, {"create_2", create_fiber, 2}, {"spawn_2", spawn_fiber, 2}}},
    {"spawn.fiber_await_250_ns",
     {{"create_1", create_fibers, 1}, {"spawn_1", spawn_fibers, 1}, {"create_2", create_fibers, 2}, {"spawn_2", spawn_fibers, 2}}},
    {"spawn.step_await_ns",
     {{"create_1", create_step, 1}, {"spawn_1", spawn_step, 1}, {"create_2", create_step, 2}, {"spawn_2", spawn_step, 2}}},
    {"spawn.step_await_250_ns",
     {{"create_1", create_steps, 1}, {"spawn_1", spawn_steps, 1}, {"create_2", create_steps, 2}, {"spawn_2", spawn_steps, 2}}},
    {"spawn.fork_join_ns",
     {{"call", call_lone, 1},
      {"typed_1", fork_typed, 1},
      {"typed_2", fork_typed, 2},
      {"generic_1", fork_generic, 1},
      {"generic_2", fork_generic, 2}}},
    {"spawn.job_start_us",
     {{"callback_1", start_from_callback, 1},
      {"callback_2", start_from_callback, 2},
      {"thread_1", start_from_thread, 1},
      {"thread_2", start_from_thread, 2}}},
    {"spawn.begun_elsewhere_us",
     {{"raw_parked", raw_to_parked, 2},
      {"spawn_parked", spawn_to_parked, 2},
      {"fork_parked", fork_to_parked, 2},
      {"spawn_awake", spawn_to_awake, 2},
      {"fork_awake", fork_to_awake, 2}}},
};

enum { QUESTIONS = sizeof(questions) / sizeof(questions[0]) };

static void ask(const struct question *question, size_t rounds)
{
    static struct report report;
    report = (struct report){.name = question->name, .rounds = rounds};
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < REPORT_CONTESTANTS_MAX && question->contestants[i].name != NULL; i++) {
            report.contestants = i + 1;
            report.contestant[i] = question->contestants[i].name;
            report.value[i][round] = question->contestants[i].round(question->contestants[i].loops);
        }
    report_print(&report);
    fflush(stdout);
}

static struct weft_runtime *start_runtime(uint32_t loops)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    options.loops = loops;
    must(weft_runtime_create(&options, &runtime));
    must(weft_runtime_start(runtime));
    return runtime;
}

int main(int argc, char **argv)
{
    const char *part = "";
    size_t rounds = ROUNDS_DEFAULT;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--quick") == 0)
            divisor = 100;
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = strtoul(argv[++i], NULL, 10);
        else
            part = argv[i];
    if (rounds == 0 || rounds > REPORT_ROUNDS_MAX)
        give_up("rounds: 1 or more, up to", REPORT_ROUNDS_MAX);
    runtimes[1] = start_runtime(1);
    runtimes[2] = start_runtime(2);
    for (size_t i = 0; i < QUESTIONS; i++)
        if (strstr(questions[i].name, part) != NULL)
            ask(&questions[i], rounds);
    for (size_t i = 0; i < SCENES; i++)
        if (strstr("spawn.per_1000_tasks", part) != NULL || strstr(scenes[i].name, part) != NULL)
            count_scene(&scenes[i], rounds);
    weft_runtime_destroy(runtimes[1]);
    weft_runtime_destroy(runtimes[2]);
    return 0;
}
