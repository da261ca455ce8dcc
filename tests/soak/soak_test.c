/*
 * Soak test: is anything lost, doubled or kept when everything happens at once, for long?
 *
 * Runs the actors of soak.h on a runtime, lets them come to their end, and does the sums. `--seconds N` and `--seed N`; the seed decides
 * every choice of every actor, not the threads' interleaving.
 *
 * What is held must be flat: from the end of the warm-up on, the straight line through a sample a second of memory may rise by 1 % of the
 * mean over the whole run, and that of the descriptors by 10 %. Runs of less than SECONDS_LONG are too short for this: noise alone makes
 * the line through seven samples rise by 8 % of weft's memory, and by 5 of the 32 descriptors that the connections hold at a time. There
 * RISE_MAX_BYTES and RISE_MAX_DESCRIPTORS are allowed. (Memory is not judged under a sanitizer, which keeps what was freed.) Where others
 * use the machine, a pile of work may come late and with it stacks that stay in the pools: a run that ends on a rise goes on,
 * EXTENSIONS_MAX times, for as long again. A leak rises then too, and more work does not.
 */
#include "tests/soak/soak.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/task/job.h"
#include "tests/soak/meter.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/memory.h"
#include "weft/runtime.h"
#include "weft/server.h"
#include "weft/status.h"
#include "weft/step.h"
#include "weft/transport.h"

enum {
    SECONDS_DEFAULT = 10,
    ACTORS_MAX = 64,
    CLIENTS_EACH = 4,
    SAMPLES_MIN = 4,
    EXTENSIONS_MAX = 3,
    REHEARSAL_TASKS = 4096,
    SECONDS_LONG = 600,
    RISE_MAX_BYTES = 1 << 20,
    RISE_MAX_DESCRIPTORS = 32,
    END_S = 120
};

#define SECOND_NS INT64_C(1000000000)

static int passed, failed;

void soak_check(bool is_true, const char *format, ...)
{
    *(is_true ? &passed : &failed) += 1;
    if (is_true)
        return;
    va_list args;
    va_start(args, format);
    printf("FAILED: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void lane_expect(struct lane *lane, int status, const char *what)
{
    if (status >= 0)
        return;
    if (lane->counts.wrong++ < 10)
        printf("lane %u: %s: %s\n", lane->index, what, weft_status_name(status));
}

int lane_pause(struct lane *lane, uint64_t max_ns)
{
    return weft_sleep((int64_t)lane_between(lane, 0, max_ns));
}

static int reported(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    struct soak *soak = arg;
    (void)loop;
    if (exception->duration_ns != 0)
        (void)weft_atomic_add_relaxed(&soak->stalls, 1);
    else if (weft_atomic_add_relaxed(&soak->exceptions, 1) < 10)
        printf("reported: %s: %s\n", exception->message, weft_status_name(exception->status));
    return 0;
}

/* ---- the run -------------------------------------------------------------------------------------------------------------------- */

struct cast {
    struct weft_task *tasks[ACTORS_MAX];
    size_t count;
};

static int cast_add(struct cast *cast, struct lane *lane, weft_fiber_fn *body)
{
    struct weft_coro *coro;
    int status = weft_fiber_new(body, lane, NULL, &coro);
    if (status == 0)
        status = weft_loop_create_task_threadsafe(lane->loop, coro, NULL, &cast->tasks[cast->count]);
    cast->count += status == 0;
    return status;
}

static int cast_lane(struct cast *cast, struct lane *lane)
{
    static weft_fiber_fn *const bodies[] = {churn_timers, churn_handles, churn_tasks,   promise_futures,
                                            promise_jobs, compute_sums,  compute_strays};
    int status = 0;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]) && status == 0; i++)
        status = cast_add(cast, lane, bodies[i]);
    for (int i = 0; i < CLIENTS_EACH && status == 0; i++)
        status = cast_add(cast, lane, client_converse);
    return status;
}

static int cast_await(struct cast *cast)
{
    int status = 0;
    for (size_t i = 0; i < cast->count; i++) {
        int ended = weft_wait_for(&cast->tasks[i]->future, END_S * SECOND_NS, NULL);
        status = status < 0 ? status : ended;
        weft_task_unref(cast->tasks[i]);
    }
    cast->count = 0;
    return status;
}

/* Only its own loop may close a server. */
static int lane_close(void *arg, void **result_out)
{
    struct lane *lane = arg;
    struct weft_future *closed;
    (void)result_out;
    int status = weft_server_close(lane->server);
    if (status == 0)
        status = weft_server_wait_closed(lane->server, &closed);
    if (status < 0)
        return status;
    status = weft_await(closed, NULL);
    weft_future_unref(closed);
    weft_server_unref(lane->server);
    return status;
}

/* Until no task is left but this one. */
static size_t wait_for_tasks(void)
{
    for (int tries = 0;; tries++) {
        struct weft_task **tasks;
        size_t count;
        if (weft_all_tasks(NULL, &tasks, &count) < 0)
            return SIZE_MAX;
        weft_all_tasks_free(tasks, count);
        if (count == 1 || tries == 1000 * END_S || weft_sleep(SECOND_NS / 1000) < 0)
            return count - 1;
    }
}

static int end_at_once(struct weft_step *step, void *state, int status)
{
    (void)state;
    return status < 0 ? status : weft_step_return(step, NULL);
}

/* The registry's table grows with the most tasks that ever were, and stays so. */
static int grow_registry(void)
{
    int status = 0;
    for (int i = 0; i < REHEARSAL_TASKS && status == 0; i++) {
        struct weft_coro *coro;
        void *state;
        status = weft_step_new(end_at_once, NULL, 1, &coro, &state);
        if (status == 0)
            status = weft_loop_create_task(weft_get_running_loop(), coro, NULL, NULL);
    }
    return status;
}

static struct meter meter;

struct line {
    const char *name;
    const double *samples;
    bool is_memory;
    double unit;           /* to print it in */
    double share;          /* of the mean by which it may rise */
    double short_rise_max; /* runs of less than SECONDS_LONG: by that, if it is more */
};

static const struct line lines[] = {
    {"resident MiB", meter.resident, true, 1 << 20, 0.01, RISE_MAX_BYTES},
    {"live MiB", meter.live, true, 1 << 20, 0.01, RISE_MAX_BYTES},
    {"descriptors", meter.descriptors, false, 1, 0.1, RISE_MAX_DESCRIPTORS},
};

enum { LINES = sizeof(lines) / sizeof(lines[0]) };

/* From the end of the warm-up of the last `seconds` on. */
struct window {
    size_t first;
    size_t count;
    double mean;
    double rise;
    double rise_max;
};

static struct window window_of(const struct line *line, uint32_t seconds)
{
    size_t length = meter.count < seconds ? meter.count : seconds;
    struct window window = {.first = meter.count - length + length / 3, .count = length - length / 3};
    window.rise = meter_rise(line->samples + window.first, window.count, &window.mean);
    window.rise_max = line->share * window.mean;
    if (seconds < SECONDS_LONG && window.rise_max < line->short_rise_max)
        window.rise_max = line->short_rise_max;
    return window;
}

static bool is_flat(const struct window *window)
{
    return window->rise < window->rise_max;
}

/* A sanitizer keeps what was freed, and an emulator has had no burst: whether memory is flat is not asked there. */
static bool is_judged(const struct line *line, const struct window *window)
{
    return !(TEST_IS_SLOW && line->is_memory) && window->count >= SAMPLES_MIN;
}

static bool is_rising(uint32_t seconds)
{
    bool is_rising = false;
    for (size_t i = 0; i < LINES; i++) {
        struct window window = window_of(&lines[i], seconds);
        is_rising = is_rising || (is_judged(&lines[i], &window) && !is_flat(&window));
    }
    return is_rising;
}

static int go_on(uint32_t seconds)
{
    int status = 0;
    for (uint32_t second = 0; second < seconds && status == 0; second++) {
        status = weft_sleep(SECOND_NS);
        meter_sample(&meter);
    }
    return status;
}

static int soak_body(void *arg, void **result_out)
{
    struct soak *soak = arg;
    static struct cast cast;
    (void)result_out;
    int status = soak->is_rehearsal ? grow_registry() : 0;
    for (int i = 0; i < SOAK_LANES && status == 0; i++)
        status = cast_lane(&cast, &soak->lanes[i]);
    for (int i = 0; i <= EXTENSIONS_MAX && status == 0 && (i == 0 || is_rising(soak->seconds)); i++)
        status = go_on(soak->seconds);
    weft_atomic_store_relaxed(&soak->is_over, 1);
    int ended = cast_await(&cast);
    soak_check(ended == 0, "the actors end with %s", weft_status_name(ended));
    for (int i = 0; i < SOAK_LANES && status == 0; i++)
        status = cast_add(&cast, &soak->lanes[i], lane_close);
    ended = cast_await(&cast);
    soak_check(ended == 0, "the servers close with %s", weft_status_name(ended));
    size_t left = wait_for_tasks();
    soak_check(left == 0, "%zu tasks left", left);
    return status;
}

static int soak_open(struct soak *soak)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = SOAK_LANES;
    int status = weft_runtime_create(&options, &soak->runtime);
    for (uint32_t i = 0; i < SOAK_LANES && status == 0; i++) {
        struct lane *lane = &soak->lanes[i];
        lane->soak = soak;
        lane->index = i;
        lane->loop = weft_runtime_loop(soak->runtime, i);
        random_init(&lane->random, soak->seed + i);
        status = session_listen(lane);
    }
    return status;
}

/* ---- the sums ------------------------------------------------------------------------------------------------------------------- */

static void print_counts(const struct soak_counts *counts)
{
#define SOAK_COUNT_PRINT(name) printf("  %-20s %llu\n", #name, (unsigned long long)counts->name);
    SOAK_COUNTS(SOAK_COUNT_PRINT)
#undef SOAK_COUNT_PRINT
}

/* The counts are nothing but words. */
static struct soak_counts add_lanes(const struct soak *soak)
{
    struct soak_counts sum = {0};
    for (int i = 0; i < SOAK_LANES; i++) {
        const uint64_t *from = (const uint64_t *)(const void *)&soak->lanes[i].counts;
        for (size_t word = 0; word < sizeof(sum) / sizeof(uint64_t); word++)
            ((uint64_t *)(void *)&sum)[word] += from[word];
    }
    return sum;
}

static void check_equal(uint64_t left, uint64_t right, const char *claim)
{
    soak_check(left == right, "%s: %llu and %llu", claim, (unsigned long long)left, (unsigned long long)right);
}

#define CHECK_EQUAL(left, right) check_equal((left), (right), #left " = " #right)
#define CHECK_SOME(count)        soak_check((count) > 0, "no " #count)

static void check_churn(const struct soak *soak, const struct soak_counts *sum)
{
    CHECK_EQUAL(sum->timers_armed, sum->timers_fired + sum->timers_stopped);
    CHECK_EQUAL(sum->timers_wrong, 0);
    CHECK_EQUAL(sum->handles_made, sum->handles_called + sum->handles_cancelled);
    CHECK_EQUAL(sum->posts_made, sum->posts_called + sum->posts_cancelled);
    CHECK_EQUAL(sum->tasks_created, sum->tasks_ended);
    CHECK_EQUAL(sum->bodies_begun, sum->bodies_ended);
    CHECK_EQUAL(sum->steps_made, soak->steps_dropped);
    CHECK_SOME(sum->tasks_cancelled);
    CHECK_EQUAL(sum->futures_made, sum->futures_got + sum->futures_cancelled);
    CHECK_EQUAL(sum->futures_made, sum->futures_set + sum->futures_refused);
    CHECK_EQUAL(sum->futures_set, sum->futures_got);
    CHECK_SOME(sum->futures_cancelled);
    CHECK_EQUAL(sum->jobs_submitted, sum->jobs_awaited);
    CHECK_EQUAL(sum->wrong, 0);
    CHECK_EQUAL(soak->exceptions, 0);
}

static void check_computations(const struct soak *soak, const struct soak_counts *sum)
{
    struct weft_loop_counters loops = {0};
    (void)weft_runtime_get_counters(soak->runtime, WEFT_RUNTIME_ALL, &loops);
    printf("%llu jobs stolen, %llu tasks; %llu slow callbacks\n", (unsigned long long)loops.stolen_jobs, (unsigned long long)loops.steals,
           (unsigned long long)soak->stalls);
    CHECK_SOME(sum->computation_jobs);
    CHECK_SOME(sum->computations_cancelled);
    CHECK_SOME(loops.stolen_jobs);
    CHECK_EQUAL(sum->computations_started, sum->computations_ended);
    CHECK_EQUAL(sum->computations_wrong, 0);
    CHECK_EQUAL(sum->strays_spawned, sum->strays_ended);
    CHECK_EQUAL(soak->strays_begun, soak->strays_returned);
    CHECK_EQUAL(jobs_live_count(), 0);
}

static void check_jobs(const struct soak *soak, const struct soak_counts *sum)
{
    struct weft_executor_counters executor = {0};
    (void)weft_executor_get_counters(weft_runtime_executor(soak->runtime), &executor);
    CHECK_EQUAL(sum->jobs_submitted, executor.completed + executor.cancelled);
    CHECK_EQUAL(soak->jobs_run, executor.completed);
}

static void check_connections(const struct soak *soak, const struct soak_counts *sum)
{
    struct weft_transport_counters all = {0};
    for (int i = 0; i < SOAK_LANES; i++) {
        struct weft_transport_counters each = {0};
        (void)weft_loop_get_transport_counters(soak->lanes[i].loop, &each);
        all.opened += each.opened;
        all.closed += each.closed;
        all.accepted += each.accepted;
    }
    CHECK_SOME(all.opened);
    CHECK_EQUAL(all.opened, all.closed);
    CHECK_EQUAL(all.accepted, sum->sessions_made);
    CHECK_EQUAL(sum->sessions_made, sum->sessions_lost);
    CHECK_EQUAL(sum->clients_opened, sum->clients_closed);
    soak_check(sum->sessions_made >= sum->clients_opened && sum->sessions_made <= sum->clients_opened + sum->clients_given_up,
               "%llu accepted, %llu opened, %llu given up", (unsigned long long)sum->sessions_made, (unsigned long long)sum->clients_opened,
               (unsigned long long)sum->clients_given_up);
    CHECK_SOME(sum->graceful_begun);
    CHECK_EQUAL(sum->graceful_begun, sum->graceful_ended);
    CHECK_EQUAL(sum->bytes_sent, sum->bytes_echoed);
}

static void check_flat(const struct line *line, uint32_t seconds)
{
    struct window window = window_of(line, seconds);
    if (!is_judged(line, &window))
        return;
    printf("%s: %.2f, %+.3f of at most %+.3f from second %zu to %zu\n", line->name, window.mean / line->unit, window.rise / line->unit,
           window.rise_max / line->unit, window.first, meter.count);
    soak_check(is_flat(&window), "%s rise by %.3f", line->name, window.rise / line->unit);
}

static int soak_run(struct soak *soak)
{
    struct weft_coro *coro;
    int status = soak_open(soak);
    if (status == 0)
        status = weft_fiber_new(soak_body, soak, NULL, &coro);
    if (status == 0)
        status = weft_runtime_run(soak->runtime, coro, NULL);
    soak_check(status == 0, "the run ends with %s", weft_status_name(status));
    if (status < 0)
        return status;
    struct soak_counts sum = add_lanes(soak);
    check_connections(soak, &sum);
    status = weft_runtime_shutdown(soak->runtime, END_S * SECOND_NS);
    soak_check(status == 0, "the shutdown ends with %s", weft_status_name(status));
    sum = add_lanes(soak);
    print_counts(&sum);
    check_jobs(soak, &sum);
    check_churn(soak, &sum);
    check_computations(soak, &sum);
    return status;
}

/* What the process keeps for good (the registry's table, the C library's buffers) is there once it has been used. */
static void soak_once(uint64_t seed, uint32_t seconds, bool is_rehearsal)
{
    static struct soak soak;
    soak = (struct soak){.seed = seed, .seconds = seconds, .is_rehearsal = is_rehearsal};
    meter.count = 0;
    int64_t blocks = meter_blocks();
    int descriptors = meter_descriptors();
    weft_set_report_sink(reported, &soak);
    (void)soak_run(&soak);
    weft_runtime_destroy(soak.runtime);
    for (size_t i = 0; i < LINES; i++)
        check_flat(&lines[i], seconds);
    soak_check(meter_descriptors() == descriptors, "%d descriptors before, %d after", descriptors, meter_descriptors());
    if (!is_rehearsal)
        soak_check(meter_blocks() == blocks, "%lld blocks before, %lld after", (long long)blocks, (long long)meter_blocks());
}

int main(int argc, char **argv)
{
    uint32_t seconds = SECONDS_DEFAULT;
    uint64_t seed = random_seed_os();
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = (uint32_t)strtoul(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("--seed %llu --seconds %u\n", (unsigned long long)seed, seconds);
    meter_install();
    soak_once(seed, 1, true);
    soak_once(seed, seconds, false);
    exhaustion_check();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
