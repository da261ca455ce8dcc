/*
 * Kit: see the header. Called by the contestants' mains.
 */
#include "bench/kit/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static uint64_t ns_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_usec * 1000;
}

uint64_t kit_clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static struct kit_moment moment(void)
{
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return (struct kit_moment){
        .user_ns = ns_of(self.ru_utime) + ns_of(children.ru_utime),
        .sys_ns = ns_of(self.ru_stime) + ns_of(children.ru_stime),
        .wall_ns = kit_clock_ns(CLOCK_MONOTONIC),
        .thread_ns = kit_clock_ns(CLOCK_THREAD_CPUTIME_ID),
    };
}

void kit_start(struct kit *kit)
{
    kit->start = moment();
}

/* Names are the program's own, and have nothing that JSON would quote. */
static void print(const struct kit *kit, const char *name, const char *unit, double value, const char *rest)
{
    printf("{\"bench\":\"%s\",\"case\":\"%s%s%s\",\"loops\":%u,\"unit\":\"%s\",\"value\":%.6g%s}\n", kit->present->bench,
           kit->present->name, name == NULL ? "" : ".", name == NULL ? "" : name, kit->loops, unit, value, rest);
    fflush(stdout);
}

static double ns_in(const char *unit)
{
    return strcmp(unit, "ms") == 0 ? 1e6 : strcmp(unit, "us") == 0 ? 1e3 : 1;
}

static void stop(const struct kit *kit, const char *unit, double units, uint64_t took_ns)
{
    struct kit_moment now = moment();
    char rest[96];
    snprintf(rest, sizeof(rest), ",\"user_ns\":%.6g,\"sys_ns\":%.6g", (double)(now.user_ns - kit->start.user_ns) / units,
             (double)(now.sys_ns - kit->start.sys_ns) / units);
    print(kit, NULL, unit, (double)took_ns / units / ns_in(unit), rest);
}

void kit_stop(struct kit *kit, const char *unit, double units)
{
    stop(kit, unit, units, kit_clock_ns(CLOCK_MONOTONIC) - kit->start.wall_ns);
}

void kit_stop_alone(struct kit *kit, const char *unit, double units)
{
    stop(kit, unit, units, kit_clock_ns(CLOCK_THREAD_CPUTIME_ID) - kit->start.thread_ns);
}

void kit_figure(struct kit *kit, const char *name, const char *unit, double value)
{
    print(kit, name, unit, value, "");
}

void kit_figure_cost(struct kit *kit, const char *name, const char *unit, double value, struct kit_cost cost)
{
    const struct {
        const char *name;
        double value;
    } parts[] = {{"user_ns", cost.user_ns}, {"sys_ns", cost.sys_ns}, {"syscalls", cost.syscalls}};
    char rest[128] = "";
    size_t len = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].value >= 0)
            len += (size_t)snprintf(rest + len, sizeof(rest) - len, ",\"%s\":%.6g", parts[i].name, parts[i].value);
    print(kit, name, unit, value, rest);
}

void kit_check(const struct kit *kit, bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "%s %s: wrong: %s\n", kit->present->bench, kit->present->name, what);
    exit(1);
}

void kit_must(const struct kit *kit, int status, const char *what)
{
    if (status >= 0)
        return;
    fprintf(stderr, "%s %s: %s: %d\n", kit->present->bench, kit->present->name, what, status);
    exit(1);
}

static const struct kit_case *find(const struct kit_case *cases, size_t count, const char *bench, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(cases[i].bench, bench) == 0 && strcmp(cases[i].name, name) == 0)
            return &cases[i];
    return NULL;
}

static int usage(const char *program)
{
    fprintf(stderr, "%s --who | --list | BENCH CASE [--loops N] [--quick]\n", program);
    return 2;
}

static int list(const struct kit_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%s %s\n", cases[i].bench, cases[i].name);
    return 0;
}

int kit_main(int argc, char **argv, const char *who, const struct kit_case *cases, size_t count)
{
    struct kit kit = {0};
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list(cases, count);
    if (argc == 2 && strcmp(argv[1], "--who") == 0)
        return puts(who) < 0;
    kit.present = argc < 3 ? NULL : find(cases, count, argv[1], argv[2]);
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], "--quick") == 0)
            kit.is_quick = true;
        else if (strcmp(argv[i], "--loops") == 0 && i + 1 < argc)
            kit.loops = (uint32_t)strtoul(argv[++i], NULL, 10);
        else
            return usage(argv[0]);
    if (kit.present == NULL)
        return usage(argv[0]);
    uint32_t sensible = kit.present->loops;
    if (kit.loops == 0)
        kit.loops = sensible == 0 ? 1 : sensible;
    if (sensible != 0 && kit.loops != sensible)
        return 0;
    kit.arg = kit.present->arg;
    kit.present->run(&kit);
    return 0;
}
