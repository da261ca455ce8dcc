/*
 * Threads: read from /proc. Called by the benches, from one thread. What ends while it is read counts for nothing.
 */
#include "bench/client/threads.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/client/child.h"

enum { PATH_BYTES = 320, LINE_BYTES = 128 };

/* A file of one thread; NULL if it is gone. */
static FILE *thread_file(const struct child *child, const char *id, const char *name)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", (int)child->pid, id, name);
    return fopen(path, "re");
}

static bool is_named_monitor(const struct child *child, const char *id)
{
    char line[LINE_BYTES] = "";
    FILE *file = thread_file(child, id, "comm");
    if (file == NULL)
        return false;
    bool is_read = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    return is_read && strcmp(line, "weft-monitor\n") == 0;
}

static void add_times(const struct child *child, const char *id, struct threads_usage *usage)
{
    uint64_t ran_ns, waited_ns;
    FILE *file = thread_file(child, id, "schedstat");
    if (file == NULL)
        return;
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &ran_ns, &waited_ns) == 2) {
        usage->ran_ns += ran_ns;
        usage->waited_ns += waited_ns;
    }
    fclose(file);
}

static void add_interruptions(const struct child *child, const char *id, struct threads_usage *usage)
{
    char line[LINE_BYTES];
    uint64_t count;
    FILE *file = thread_file(child, id, "status");
    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "nonvoluntary_ctxt_switches: %" SCNu64, &count) == 1)
            usage->interrupted += count;
    fclose(file);
}

struct threads_usage threads_usage(const struct child *child, bool is_monitor)
{
    struct threads_usage usage = {0, 0, 0};
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)child->pid);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return usage;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && is_named_monitor(child, entry->d_name) == is_monitor) {
            add_times(child, entry->d_name, &usage);
            add_interruptions(child, entry->d_name, &usage);
        }
    closedir(directory);
    return usage;
}
