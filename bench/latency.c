/*
 * What does an echo wait for while its loop computes?
 *
 * A server of echoes by callbacks, in a process of its own, with and without fib(30) for ever on each of its loops, and clients that send
 * 4,000 requests a second, each when it is time, whether or not answers come: a request's time begins when it was due. `one_loop`: the
 * server with all of its threads has one processor, the clients another. `all_loops`: a loop for each processor, and the clients on top.
 *
 *     latency [part of a figure's name] [--rounds N] [--seconds N] [--rate N] [--loops N] [--quick]
 *
 * Rounds (5) up to 64, of 2 seconds each; --quick takes half a second; --loops is how many all_loops has. Each round serves and then serves
 * and computes. Prints for each figure the median over the rounds, the minimum, and the ratio of both in the same round; and as
 * `difference` the median and the minimum of what computing adds. The figures, with p50, p99, p999 and max:
 *
 *     echo_us       from when a request was due until the client has its answer
 *     server_us     from its sending until its answer is in the client's socket, by the kernel's stamp: without the client's delays
 *     client_us     from when a request was due until it was sent: the client's own delay
 *     timer_us      how late the timers of the loops are, one due each millisecond on each
 *     gap_us        how long a loop was away from its poller
 *     gap_ran_us    of that, how long its thread ran
 *     gap_stood_us  of that, how long it did not, though it was ready to: the kernel's
 */
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/client/child.h"
#include "bench/client/paced.h"
#include "bench/client/threads.h"
#include "bench/servers/computing_echo.h"
#include "bench/servers/report.h"
#include "lib/base/clock.h"
#include "weft/atomic.h"

enum { ROUNDS_DEFAULT = 5, CONNECTIONS = 64, RATE_DEFAULT = 4000, WARM_NS = 200000000 };
enum { SERVING, COMPUTING, SCENES };
enum { CLIENT_CPU = 0, SERVER_CPU = 1 };

static const char *const scene_names[SCENES] = {"serving", "computing"};

static struct {
    const char *part;
    size_t rounds;
    uint64_t duration_ns;
    uint32_t rate;
    uint32_t loops;
} wanted = {"", ROUNDS_DEFAULT, 2000000000, RATE_DEFAULT, 0};

/* Where the threads are. */
struct setting {
    const char *name;
    uint32_t loops;
    bool is_bound;
};

/* ---- the figures -------------------------------------------------------------------------------------------------------------------- */

/* What one scene of one round gave. */
struct outcome {
    struct samples echo, server, client;
    struct samples timer, gap, gap_ran, gap_stood;
    double loop_waited_ms, monitor_waited_ms, interrupted, fibs; /* a second */
};

static const struct distribution {
    const char *name;
    size_t offset;
} distributions[] = {
    {"echo_us", offsetof(struct outcome, echo)},
    {"server_us", offsetof(struct outcome, server)},
    {"client_us", offsetof(struct outcome, client)},
    {"timer_us", offsetof(struct outcome, timer)},
    {"gap_us", offsetof(struct outcome, gap)},
    {"gap_ran_us", offsetof(struct outcome, gap_ran)},
    {"gap_stood_us", offsetof(struct outcome, gap_stood)},
};

static const struct {
    const char *name;
    double share;
} quantiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};

static const struct sum {
    const char *name;
    size_t offset;
} sums[] = {
    {"loops_waited_ms_per_s", offsetof(struct outcome, loop_waited_ms)},
    {"loops_interrupted_per_s", offsetof(struct outcome, interrupted)},
    {"monitor_waited_ms_per_s", offsetof(struct outcome, monitor_waited_ms)},
    {"fibs_per_s", offsetof(struct outcome, fibs)},
};

enum {
    DISTRIBUTIONS = sizeof(distributions) / sizeof(distributions[0]),
    QUANTILES = sizeof(quantiles) / sizeof(quantiles[0]),
    SUMS = sizeof(sums) / sizeof(sums[0]),
    FIGURES = DISTRIBUTIONS * QUANTILES + SUMS,
};

static void name_figure(size_t figure, const struct setting *setting, char *name, size_t bytes)
{
    if (figure < DISTRIBUTIONS * QUANTILES)
        snprintf(name, bytes, "latency.%s.%s.%s", setting->name, distributions[figure / QUANTILES].name,
                 quantiles[figure % QUANTILES].name);
    else
        snprintf(name, bytes, "latency.%s.%s", setting->name, sums[figure - DISTRIBUTIONS * QUANTILES].name);
}

static double figure_of(const struct outcome *outcome, size_t figure)
{
    const char *base = (const char *)outcome;
    if (figure >= DISTRIBUTIONS * QUANTILES)
        return *(const double *)(const void *)(base + sums[figure - DISTRIBUTIONS * QUANTILES].offset);
    const void *samples = base + distributions[figure / QUANTILES].offset;
    return samples_us(samples, quantiles[figure % QUANTILES].share);
}

/* ---- one scene ---------------------------------------------------------------------------------------------------------------------- */

static void add_loops(struct outcome *outcome, const struct computing *computing, uint32_t loops)
{
    for (uint32_t i = 0; i < loops; i++) {
        samples_merge(&outcome->timer, &computing->loops[i].timer);
        samples_merge(&outcome->gap, &computing->loops[i].gap);
        samples_merge(&outcome->gap_ran, &computing->loops[i].gap_ran);
        samples_merge(&outcome->gap_stood, &computing->loops[i].gap_stood);
    }
}

/* Load it with paced requests, recorded on both sides. */
static void measure(const struct child *child, struct computing *computing, struct paced *paced, struct outcome *outcome)
{
    struct threads_usage loops = threads_usage(child, false), monitor = threads_usage(child, true);
    uint64_t computed = weft_atomic_load_relaxed(&computing->computed), start_ns = clock_monotonic_ns();
    weft_atomic_store_relaxed(&computing->is_recording, 1);
    paced_run(paced, wanted.duration_ns);
    weft_atomic_store_relaxed(&computing->is_recording, 0);
    double seconds = (double)(clock_monotonic_ns() - start_ns) / 1e9;
    struct threads_usage loops_now = threads_usage(child, false), monitor_now = threads_usage(child, true);
    outcome->echo = paced->echo;
    outcome->server = paced->server;
    outcome->client = paced->late;
    outcome->loop_waited_ms = (double)(loops_now.waited_ns - loops.waited_ns) / 1e6 / seconds;
    outcome->monitor_waited_ms = (double)(monitor_now.waited_ns - monitor.waited_ns) / 1e6 / seconds;
    outcome->interrupted = (double)(loops_now.interrupted - loops.interrupted) / seconds;
    outcome->fibs = (double)(weft_atomic_load_relaxed(&computing->computed) - computed) / seconds;
}

static void play(const struct setting *setting, bool is_computing, struct outcome *outcome)
{
    struct computing *computing = computing_share();
    struct serving how = {.loops = setting->loops};
    struct paced paced;
    struct child child;
    memset(outcome, 0, sizeof(*outcome));
    computing->is_computing = is_computing;
    computing->cpu = setting->is_bound ? SERVER_CPU : -1;
    child_start(&child, &server_computing_echo, &how);
    paced_open(&paced, child.port, CONNECTIONS, wanted.rate);
    paced_run(&paced, WARM_NS);
    measure(&child, computing, &paced, outcome);
    child_stop(&child);
    add_loops(outcome, computing, setting->loops);
    paced_close(&paced);
}

/* ---- the rounds --------------------------------------------------------------------------------------------------------------------- */

static void print_difference(const struct report *report)
{
    static struct report difference;
    difference = (struct report){.name = report->name, .rounds = report->rounds, .contestants = 1, .contestant = {"difference"}};
    for (size_t i = 0; i < report->rounds; i++)
        difference.value[0][i] = report->value[COMPUTING][i] - report->value[SERVING][i];
    report_print(&difference);
}

static void print_figures(const struct setting *setting, struct report reports[FIGURES])
{
    for (size_t i = 0; i < FIGURES; i++) {
        char name[96];
        name_figure(i, setting, name, sizeof(name));
        if (strstr(name, wanted.part) == NULL)
            continue;
        reports[i].name = name;
        report_print(&reports[i]);
        if (i < DISTRIBUTIONS * QUANTILES)
            print_difference(&reports[i]);
    }
    fflush(stdout);
}

/* The clients go where the server is not, or anywhere. */
static void bind_clients(const struct setting *setting)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (!setting->is_bound || i == CLIENT_CPU)
            CPU_SET(i, &cpus);
    (void)sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void answer(const struct setting *setting)
{
    static struct report reports[FIGURES];
    static struct outcome outcome;
    bind_clients(setting);
    for (size_t i = 0; i < FIGURES; i++)
        reports[i] =
            (struct report){.rounds = wanted.rounds, .contestants = SCENES, .contestant = {scene_names[SERVING], scene_names[COMPUTING]}};
    for (size_t round = 0; round < wanted.rounds; round++)
        for (size_t scene = 0; scene < SCENES; scene++) {
            play(setting, scene == COMPUTING, &outcome);
            for (size_t i = 0; i < FIGURES; i++)
                reports[i].value[scene][round] = figure_of(&outcome, i);
        }
    print_figures(setting, reports);
}

static void read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--quick") == 0)
            wanted.duration_ns = 500000000;
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            wanted.rounds = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            wanted.duration_ns = strtoul(argv[++i], NULL, 10) * 1000000000;
        else if (strcmp(argv[i], "--rate") == 0 && i + 1 < argc)
            wanted.rate = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--loops") == 0 && i + 1 < argc)
            wanted.loops = (uint32_t)strtoul(argv[++i], NULL, 10);
        else
            wanted.part = argv[i];
}

int main(int argc, char **argv)
{
    uint32_t cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    read_options(argc, argv);
    struct setting settings[] = {{"one_loop", 1, true}, {"all_loops", wanted.loops != 0 ? wanted.loops : cpus, false}};
    if (settings[1].loops > SERVING_LOOPS_MAX)
        settings[1].loops = SERVING_LOOPS_MAX;
    if (wanted.rounds == 0 || wanted.rounds > REPORT_ROUNDS_MAX || wanted.rate == 0 || wanted.duration_ns == 0) {
        fprintf(stderr, "rounds up to %d; a rate and a duration above 0\n", REPORT_ROUNDS_MAX);
        return 1;
    }
    printf("latency.clients_go_first %s\n", paced_go_first());
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if ((!settings[i].is_bound || cpus > 1) &&
            (strncmp(wanted.part, "latency.", 8) != 0 || strstr(wanted.part, settings[i].name) != NULL))
            answer(&settings[i]);
    return 0;
}
