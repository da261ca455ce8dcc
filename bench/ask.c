/*
 * What does a server pay for an echo, a response, a connection, a large message, and for connections that are silent?
 *
 *     ask --list                                                             a line for each case: <bench> <case> <kind of server>
 *     ask BENCH CASE [--loops N] [--quick] -- PROGRAM serve KIND [--loops N]
 *
 * The one client of all servers: starts the program, which serves as kit/serve.h says, loads it, checks every byte, and prints figures as
 * kit/kit.h says. Times are the server's processor time for one operation, all of its processes and threads, kernel included, which the
 * kernel counts exactly; how it is divided is an estimate. `time` is real time, that of the clients included. System calls are counted in a
 * part of its own, under a tracer. A server with one loop has a processor and the clients another; with more loops, or where there is only
 * one processor, all may run everywhere.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench/client/calls.h"
#include "bench/client/child.h"
#include "bench/client/load.h"
#include "bench/client/usage.h"
#include "bench/kit/kit.h"

enum { SMALL_BYTES = 64, LARGE_BYTES = 65536, BYTES_PER_KIB = 1024, WARM_SHARE = 8, QUICK_SHARE = 20 };
enum { IDLE_CONNECTIONS = 64, IDLE_MS = 1000, SETTLE_MS = 1, WARM_CONNECTIONS = 16, WARM_ECHOES = 4096, SILENT = 8000 };

/* What a case does. */
struct question {
    const char *kind; /* of servers */
    uint32_t connections;
    size_t message_bytes;  /* of an echo; 0: HTTP */
    size_t depth;          /* of a pipeline */
    uint32_t count;        /* of messages, or of answers */
    uint32_t traced_count; /* and while calls are counted */
    bool has_latency;
};

static char **command;

/* ---- one server --------------------------------------------------------------------------------------------------------------------- */

/* The `index`th processor of those allowed; below 0 if there are fewer. */
static int allowed_cpu(const cpu_set_t *allowed, int index)
{
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, allowed) && index-- == 0)
            return cpu;
    return -1;
}

static void bind_here(int cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)cpu, &cpus);
    (void)sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void start(const struct kit *kit, struct child *child)
{
    cpu_set_t allowed;
    bool is_apart = kit->loops == 1 && sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) > 1;
    child_start_program(child, command, is_apart ? allowed_cpu(&allowed, 1) : -1);
    if (is_apart)
        bind_here(allowed_cpu(&allowed, 0));
}

static void sleep_ms(uint64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

static uint32_t scaled(const struct kit *kit, uint32_t count, uint32_t least)
{
    uint32_t wanted = kit->is_quick ? count / QUICK_SHARE : count;
    return wanted > least ? wanted : least;
}

static void prepare(const struct question *question, uint16_t port, struct exchange *exchange)
{
    if (question->message_bytes == 0)
        exchange_http(exchange, port, question->depth);
    else
        exchange_echo(exchange, question->message_bytes);
}

/* ---- what is asked of loaded ones --------------------------------------------------------------------------------------------------- */

static struct kit_cost cost_of(struct usage usage, double operations, int64_t calls, double traced)
{
    double user_ns = usage_user_ns(usage);
    return (struct kit_cost){.user_ns = user_ns < 0 ? -1 : user_ns / operations,
                             .sys_ns = user_ns < 0 ? -1 : ((double)usage.cpu_ns - user_ns) / operations,
                             .syscalls = calls < 0 ? -1 : (double)calls / traced};
}

struct traced {
    struct load *load;
    uint64_t exchanges;
};

/* Below 0 where it may not be known. */
static int64_t count_calls(const struct kit *kit, const struct child *child, void (*work)(void *arg), void *arg)
{
    int64_t calls = calls_count(child, work, arg);
    kit_check(kit, calls != -ECANCELED, "what came while calls were counted");
    return calls;
}

static void run_traced(void *arg)
{
    const struct traced *traced = arg;
    load_run(traced->load, traced->exchanges, NULL);
}

static void print_latency(struct kit *kit, const struct samples *samples)
{
    kit_figure(kit, "p50", "us", samples_us(samples, 0.5));
    kit_figure(kit, "p99", "us", samples_us(samples, 0.99));
    kit_figure(kit, "p999", "us", samples_us(samples, 0.999));
}

static void ask_loaded(struct kit *kit)
{
    static struct samples samples;
    const struct question *question = kit->arg;
    uint64_t exchanges = scaled(kit, question->count, question->connections) / question->depth;
    double operations = (double)(exchanges / question->connections * question->connections * question->depth);
    struct child child;
    struct exchange exchange;
    struct load load;
    start(kit, &child);
    prepare(question, child.port, &exchange);
    load_open(&load, child.port, question->connections, &exchange);
    load_run(&load, exchanges / WARM_SHARE + question->connections, NULL);
    struct usage before = usage_now(&child);
    uint64_t start_ns = kit_clock_ns(CLOCK_MONOTONIC);
    load_run(&load, exchanges, question->has_latency ? &samples : NULL);
    uint64_t took_ns = kit_clock_ns(CLOCK_MONOTONIC) - start_ns;
    struct usage usage = usage_since(usage_now(&child), before);
    struct traced traced = {&load, scaled(kit, question->traced_count, question->connections)};
    traced.exchanges = traced.exchanges / question->connections * question->connections;
    int64_t calls = count_calls(kit, &child, run_traced, &traced);
    child_stop(&child);
    load_close(&load);
    kit_figure_cost(kit, NULL, "ns", (double)usage.cpu_ns / operations,
                    cost_of(usage, operations, calls, (double)(traced.exchanges * question->depth)));
    kit_figure(kit, "time", "ns", (double)took_ns / operations);
    if (question->message_bytes == LARGE_BYTES)
        kit_figure(kit, "per_kib", "ns", (double)usage.cpu_ns / operations / (LARGE_BYTES / BYTES_PER_KIB));
    if (question->has_latency)
        print_latency(kit, &samples);
}

struct visits {
    uint16_t port;
    uint32_t count;
    const struct exchange *exchange;
};

static void visit(void *arg)
{
    const struct visits *visits = arg;
    load_visit(visits->port, visits->count, visits->exchange);
}

static void ask_visits(struct kit *kit)
{
    const struct question *question = kit->arg;
    uint32_t count = scaled(kit, question->count, 1);
    struct child child;
    struct exchange exchange;
    start(kit, &child);
    prepare(question, child.port, &exchange);
    load_visit(child.port, count / WARM_SHARE, &exchange);
    struct usage before = usage_now(&child);
    uint64_t start_ns = kit_clock_ns(CLOCK_MONOTONIC);
    load_visit(child.port, count, &exchange);
    uint64_t took_ns = kit_clock_ns(CLOCK_MONOTONIC) - start_ns;
    struct usage usage = usage_since(usage_now(&child), before);
    struct visits traced = {child.port, scaled(kit, question->traced_count, 1), &exchange};
    int64_t calls = count_calls(kit, &child, visit, &traced);
    child_stop(&child);
    kit_figure_cost(kit, NULL, "ns", (double)usage.cpu_ns / count, cost_of(usage, count, calls, traced.count));
    kit_figure(kit, "time", "ns", (double)took_ns / count);
}

/* ---- what is asked of silent ones ------------------------------------------------------------------------------------------------------ */

/* Connections that have had one echo each, and are silent since. */
static void open_silent(struct load *load, const struct child *child, uint32_t count, const struct exchange *exchange)
{
    load_open(load, child->port, count, exchange);
    load_run(load, count, NULL);
}

static void ask_idle(struct kit *kit)
{
    const uint64_t ms = scaled(kit, IDLE_MS, 1);
    struct child child;
    struct exchange exchange;
    struct load load;
    start(kit, &child);
    prepare(kit->arg, child.port, &exchange);
    open_silent(&load, &child, IDLE_CONNECTIONS, &exchange);
    load_run(&load, (uint64_t)IDLE_CONNECTIONS * IDLE_CONNECTIONS, NULL);
    sleep_ms(SETTLE_MS);
    struct usage before = usage_now(&child);
    uint64_t start_ns = kit_clock_ns(CLOCK_MONOTONIC);
    sleep_ms(ms);
    struct usage usage = usage_since(usage_now(&child), before);
    double seconds = (double)(kit_clock_ns(CLOCK_MONOTONIC) - start_ns) / 1e9;
    child_stop(&child);
    load_close(&load);
    kit_figure(kit, NULL, "% CPU", (double)usage.cpu_ns / seconds / 1e7);
    kit_figure(kit, "wakeups", "per s", (double)usage.switches / seconds);
}

/* What the first connections leave behind is the server's own: its buffers, which they have used up to the last. */
static void ask_memory(struct kit *kit)
{
    const uint32_t count = scaled(kit, SILENT, 1);
    struct child child;
    struct exchange exchange;
    struct load load;
    start(kit, &child);
    prepare(kit->arg, child.port, &exchange);
    open_silent(&load, &child, WARM_CONNECTIONS, &exchange);
    load_run(&load, WARM_ECHOES, NULL);
    load_close(&load);
    sleep_ms(SETTLE_MS);
    uint64_t before = usage_memory(&child);
    open_silent(&load, &child, count, &exchange);
    uint64_t now = usage_memory(&child);
    child_stop(&child);
    load_close(&load);
    kit_check(kit, before > 0, "memory that is not told");
    kit_figure(kit, NULL, "B", now > before ? (double)(now - before) / count : 0);
}

/* ---- the cases ------------------------------------------------------------------------------------------------------------------------ */

#define ECHO(kind, count, connections)                                                                                                     \
    {                                                                                                                                      \
        kind, connections, SMALL_BYTES, 1, count, 4000, connections != 64                                                                  \
    }
#define ONCE(kind, count)                                                                                                                  \
    {                                                                                                                                      \
        kind, 1, SMALL_BYTES, 1, count, 400, false                                                                                         \
    }

static const struct question echo_1 = ECHO("echo", 10000, 1);
static const struct question echo_64 = ECHO("echo", 80000, 64);
static const struct question echo_1000 = ECHO("echo", 80000, 1000);
static const struct question echo_1_spin = ECHO("echo_spin", 10000, 1);
static const struct question echo_1_stream = ECHO("echo_stream", 10000, 1);
static const struct question echo_64_stream = ECHO("echo_stream", 80000, 64);
static const struct question echo_1000_stream = ECHO("echo_stream", 80000, 1000);
static const struct question http_1 = {"http", 64, 0, 1, 60000, 4000, false};
static const struct question http_16 = {"http", 64, 0, 16, 400000, 400, false};
static const struct question accept_echo = ONCE("echo", 4000);
static const struct question accept_stream = ONCE("echo_stream", 4000);
static const struct question bulk_4 = {"bulk", 4, LARGE_BYTES, 1, 8000, 400, false};
static const struct question bulk_4_stream = {"bulk_stream", 4, LARGE_BYTES, 1, 8000, 400, false};
static const struct question silent = ONCE("echo", 0);
static const struct question silent_stream = ONCE("echo_stream", 0);

static const struct kit_case cases[] = {
    {"echo", "connections_1", ask_loaded, &echo_1, 0},
    {"echo", "connections_1_spin", ask_loaded, &echo_1_spin, 0},
    {"echo", "connections_1_stream", ask_loaded, &echo_1_stream, 0},
    {"echo", "connections_64", ask_loaded, &echo_64, 0},
    {"echo", "connections_64_stream", ask_loaded, &echo_64_stream, 0},
    {"echo", "connections_1000", ask_loaded, &echo_1000, 0},
    {"echo", "connections_1000_stream", ask_loaded, &echo_1000_stream, 0},
    {"http", "depth_1", ask_loaded, &http_1, 0},
    {"http", "depth_16", ask_loaded, &http_16, 0},
    {"accept", "visit", ask_visits, &accept_echo, 0},
    {"accept", "visit_stream", ask_visits, &accept_stream, 0},
    {"bulk", "message", ask_loaded, &bulk_4, 0},
    {"bulk", "message_stream", ask_loaded, &bulk_4_stream, 0},
    {"idle", "server", ask_idle, &silent, 0},
    {"idle", "server_stream", ask_idle, &silent_stream, 0},
    {"memory", "connection", ask_memory, &silent, 1},
    {"memory", "connection_stream", ask_memory, &silent_stream, 1},
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static int list(void)
{
    for (size_t i = 0; i < CASES; i++)
        printf("%s %s %s\n", cases[i].bench, cases[i].name, ((const struct question *)cases[i].arg)->kind);
    return 0;
}

/* Each connection is a descriptor here and one there. */
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
    int own = 0;
    while (own < argc && strcmp(argv[own], "--") != 0)
        own++;
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (own + 1 >= argc) {
        fprintf(stderr, "%s --list | BENCH CASE [--loops N] [--quick] -- PROGRAM serve KIND [--loops N]\n", argv[0]);
        return 2;
    }
    command = argv + own + 1;
    raise_descriptor_limit();
    return kit_main(own, argv, "ask", cases, CASES);
}
