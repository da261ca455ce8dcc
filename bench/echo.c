/*
 * What does a server pay for an echo, beside what a bare epoll loop pays for it?
 *
 * Three servers, each in a process of its own: `raw`, the least code that does it by hand; `protocol`, weft by callbacks; `stream`, weft
 * with a fiber for each connection. The same clients talk to each of them in turn, `--rounds N` times (7). Prints for each figure and
 * server: the median, the minimum, and the ratio to `raw` in the same round. Times are the server's processor time, all of its threads,
 * kernel included. Spinning before sleep is off but where the name says so: what it costs is seen in `one_p50_us.spinning`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/servers/calls.h"
#include "bench/servers/load.h"
#include "bench/servers/report.h"
#include "bench/servers/server.h"
#include "lib/base/clock.h"

enum {
    ROUNDS_DEFAULT = 7,
    CONTESTANTS = 3,
    CONNECTIONS = 64,
    ECHO_BYTES = 64,
    ECHOES = 120000,
    TRACED_ECHOES = 6400,
    BULK_CONNECTIONS = 4,
    BULK_BYTES = 65536,
    BULKS = 6000,
    VISITS = 4000,
    IDLE = 4000,
    PINGS = 8000,
};

static const struct server *const servers[CONTESTANTS] = {&server_raw_echo, &server_protocol_echo, &server_stream_echo};

/* One question put to a server that runs. Its first figure is returned; a second one, if there is, goes to *second_out. */
typedef double ask_fn(const struct child *child, double *second_out);

static double per(struct usage usage, double units)
{
    return (double)usage.cpu_ns / units;
}

/* ---- the questions -------------------------------------------------------------------------------------------------------------- */

/* The second figure is the user's part, in nanoseconds: an estimate by ticks, good over many rounds. */
static double ask_small(const struct child *child, double *second_out)
{
    struct load load;
    load_open(&load, child->port, CONNECTIONS, ECHO_BYTES);
    load_run(&load, ECHOES / 8);
    struct usage before = child_usage(child);
    load_run(&load, ECHOES);
    struct usage usage = usage_since(child_usage(child), before);
    load_close(&load);
    *second_out = (double)usage.user_ns / ECHOES;
    return per(usage, ECHOES) / 1e3;
}

static double ask_bulk(const struct child *child, double *second_out)
{
    struct load load;
    (void)second_out;
    load_open(&load, child->port, BULK_CONNECTIONS, BULK_BYTES);
    load_run(&load, BULKS / 8);
    struct usage before = child_usage(child);
    load_run(&load, BULKS);
    struct usage usage = usage_since(child_usage(child), before);
    load_close(&load);
    return per(usage, (double)BULKS * BULK_BYTES / 1024);
}

static double ask_visits(const struct child *child, double *second_out)
{
    (void)second_out;
    load_visit(child->port, VISITS / 8);
    struct usage before = child_usage(child);
    load_visit(child->port, VISITS);
    return per(usage_since(child_usage(child), before), VISITS) / 1e3;
}

/* What a connection keeps that has echoed once and is silent since. */
static double ask_idle(const struct child *child, double *second_out)
{
    struct load warm, load;
    (void)second_out;
    load_open(&warm, child->port, CONNECTIONS, ECHO_BYTES);
    load_run(&warm, CONNECTIONS);
    uint64_t before = child_resident(child);
    load_open(&load, child->port, IDLE, ECHO_BYTES);
    load_run(&load, IDLE);
    double bytes = (double)(child_resident(child) - before) / IDLE;
    load_close(&load);
    load_close(&warm);
    return bytes;
}

static void run_traced(void *arg)
{
    load_run(arg, TRACED_ECHOES);
}

static double ask_calls(const struct child *child, double *second_out)
{
    struct load load;
    (void)second_out;
    load_open(&load, child->port, CONNECTIONS, ECHO_BYTES);
    load_run(&load, TRACED_ECHOES);
    int64_t count = calls_count(child, run_traced, &load);
    load_close(&load);
    return count < 0 ? -1 : (double)count / TRACED_ECHOES;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* One client that waits for each answer; the second figure is the server's processor time. */
static double ask_one(const struct child *child, double *second_out)
{
    static uint64_t times_ns[PINGS];
    struct load load;
    load_open(&load, child->port, 1, ECHO_BYTES);
    load_run(&load, PINGS / 8);
    struct usage before = child_usage(child);
    for (int i = 0; i < PINGS; i++) {
        uint64_t start_ns = clock_monotonic_ns();
        load_run(&load, 1);
        times_ns[i] = clock_monotonic_ns() - start_ns;
    }
    *second_out = per(usage_since(child_usage(child), before), PINGS) / 1e3;
    load_close(&load);
    qsort(times_ns, PINGS, sizeof(times_ns[0]), compare_times);
    return (double)times_ns[PINGS / 2] / 1e3;
}

/* ---- the rounds ----------------------------------------------------------------------------------------------------------------- */

struct question {
    const char *name;
    const char *second_name; /* NULL: there is none */
    ask_fn *ask;
    bool all_loops;
    bool may_spin;
    size_t rounds_max; /* of figures that hardly change */
};

static const struct question questions[] = {
    {"echo.cpu_us.one_loop", "echo.user_ns.one_loop", ask_small, false, false, REPORT_ROUNDS_MAX},
    {"echo.cpu_us.all_loops", "echo.user_ns.all_loops", ask_small, true, false, REPORT_ROUNDS_MAX},
    {"echo.cpu_us.one_loop_spinning", NULL, ask_small, false, true, REPORT_ROUNDS_MAX},
    {"echo.calls", NULL, ask_calls, false, false, 3},
    {"echo.connect_cpu_us", NULL, ask_visits, false, false, REPORT_ROUNDS_MAX},
    {"echo.bulk_cpu_ns_per_kib", NULL, ask_bulk, false, false, REPORT_ROUNDS_MAX},
    {"echo.idle_bytes", NULL, ask_idle, false, false, 1},
    {"echo.one_p50_us.parking", "echo.one_cpu_us.parking", ask_one, false, false, REPORT_ROUNDS_MAX},
    {"echo.one_p50_us.spinning", "echo.one_cpu_us.spinning", ask_one, false, true, REPORT_ROUNDS_MAX},
};

static void answer(const struct question *question, size_t rounds)
{
    static struct report first, second;
    struct serving how = {.loops = 1, .is_bulk = question->ask == ask_bulk, .may_spin = question->may_spin};
    if (question->all_loops)
        how.loops = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    how.loops = how.loops > SERVING_LOOPS_MAX ? SERVING_LOOPS_MAX : how.loops;
    rounds = rounds > question->rounds_max ? question->rounds_max : rounds;
    first = (struct report){.name = question->name, .rounds = rounds, .contestants = CONTESTANTS};
    second = (struct report){.name = question->second_name, .rounds = rounds, .contestants = CONTESTANTS};
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < CONTESTANTS; i++) {
            struct child child;
            child_start(&child, servers[i], &how);
            first.value[i][round] = question->ask(&child, &second.value[i][round]);
            first.contestant[i] = second.contestant[i] = servers[i]->name;
            child_stop(&child);
        }
    report_print(&first);
    if (question->second_name != NULL)
        report_print(&second);
    fflush(stdout);
}

/* Each idle connection is a descriptor here and one there. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    size_t rounds = ROUNDS_DEFAULT;
    const char *only = "";
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--rounds") == 0)
            rounds = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
    rounds = rounds > REPORT_ROUNDS_MAX ? REPORT_ROUNDS_MAX : rounds;
    raise_descriptor_limit();
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        if (strstr(questions[i].name, only) != NULL)
            answer(&questions[i], rounds);
    return 0;
}
