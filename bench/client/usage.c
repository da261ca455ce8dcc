/*
 * Usage: read from /proc. Called by the benches, from one thread. What ends while it is read counts for nothing.
 */
#include "bench/client/usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/client/child.h"

enum { PATH_BYTES = 320, LINE_BYTES = 256, BYTES_PER_KIB = 1024, TICKS_MIN = 20 };

/* ---- who belongs to it -------------------------------------------------------------------------------------------------------------- */

/* The pid in a name of /proc; 0 for other names. */
static pid_t pid_of(const char *name)
{
    char *end;
    long pid = strtol(name, &end, 10);
    return *end == '\0' && pid > 0 ? (pid_t)pid : 0;
}

static FILE *file_of(pid_t pid, const char *name)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

static pid_t group_of(pid_t pid)
{
    int group = 0;
    FILE *file = file_of(pid, "stat");
    if (file == NULL || fscanf(file, "%*d (%*[^)]) %*c %*d %d", &group) != 1)
        group = 0;
    if (file != NULL)
        fclose(file);
    return group;
}

typedef void visit_fn(pid_t id, void *arg);

static void visit_folder(const char *path, pid_t group, visit_fn *visit, void *arg)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        pid_t id = pid_of(entry->d_name);
        if (id > 0 && (group == 0 || group_of(id) == group))
            visit(id, arg);
    }
    closedir(folder);
}

static void each_process(const struct child *child, visit_fn *visit, void *arg)
{
    visit_folder("/proc", child->pid, visit, arg);
}

static void each_thread(pid_t pid, visit_fn *visit, void *arg)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    visit_folder(path, 0, visit, arg);
}

/* ---- what they have used ---------------------------------------------------------------------------------------------------------- */

static void add_switches(pid_t thread, void *arg)
{
    struct usage *usage = arg;
    char line[LINE_BYTES];
    unsigned long count;
    FILE *file = file_of(thread, "status");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1 || sscanf(line, "nonvoluntary_ctxt_switches: %lu", &count) == 1)
            usage->switches += count;
    if (file != NULL)
        fclose(file);
}

static void add_process(pid_t pid, void *arg)
{
    struct usage *usage = arg;
    clockid_t clock;
    struct timespec time = {0, 0};
    unsigned long user = 0, sys = 0;
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &time) == 0)
        usage->cpu_ns += (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
    FILE *file = file_of(pid, "stat");
    if (file != NULL && fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) == 2) {
        usage->user_ticks += user;
        usage->sys_ticks += sys;
    }
    if (file != NULL)
        fclose(file);
    each_thread(pid, add_switches, usage);
}

struct usage usage_now(const struct child *child)
{
    struct usage usage = {0, 0, 0, 0};
    each_process(child, add_process, &usage);
    return usage;
}

struct usage usage_since(struct usage now, struct usage before)
{
    return (struct usage){now.cpu_ns - before.cpu_ns, now.user_ticks - before.user_ticks, now.sys_ticks - before.sys_ticks,
                          now.switches - before.switches};
}

double usage_user_ns(struct usage usage)
{
    uint64_t ticks = usage.user_ticks + usage.sys_ticks;
    return ticks < TICKS_MIN ? -1 : (double)usage.cpu_ns * (double)usage.user_ticks / (double)ticks;
}

/* ---- memory, threads ---------------------------------------------------------------------------------------------------------------- */

/* What the kernel counts page by page; its running totals are off by some. */
static void add_memory(pid_t pid, void *arg)
{
    uint64_t *bytes = arg;
    char line[LINE_BYTES];
    unsigned long kib;
    FILE *file = file_of(pid, "smaps_rollup");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "Anonymous: %lu kB", &kib) == 1)
            *bytes += (uint64_t)kib * BYTES_PER_KIB;
    if (file != NULL)
        fclose(file);
}

uint64_t usage_memory(const struct child *child)
{
    uint64_t bytes = 0;
    each_process(child, add_memory, &bytes);
    return bytes;
}

struct threads {
    pid_t *ids;
    size_t count, max;
};

static void add_thread(pid_t thread, void *arg)
{
    struct threads *threads = arg;
    if (threads->count < threads->max)
        threads->ids[threads->count++] = thread;
}

static void add_threads(pid_t pid, void *arg)
{
    each_thread(pid, add_thread, arg);
}

size_t usage_threads(const struct child *child, pid_t *threads_out, size_t max)
{
    struct threads threads = {threads_out, 0, max};
    each_process(child, add_threads, &threads);
    return threads.count;
}
