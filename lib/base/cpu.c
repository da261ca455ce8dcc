/*
 * Cpu: affinity and control-group quotas of this process.
 *
 * The runtime's driver asks once, before it starts its loops. Affinity sets grow until the kernel's fits. Each control group on the way
 * from the process's own to the root may have a quota, and the smallest counts; a file that is missing or strange limits nothing, since
 * a wrong guess upwards is only slow.
 */
#include "lib/base/cpu.h"

#include "weft/memory.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CPU_SET_COUNT_MAX = 1 << 20, CPU_LINE_BYTES = 4096 + 256 };

/* -- affinity -- */

struct cpu_affinity {
    cpu_set_t fixed;
    cpu_set_t *set; /* `fixed`, or allocated */
    size_t bytes;
};

static void cpu_affinity_fini(struct cpu_affinity *affinity)
{
    if (affinity->set != &affinity->fixed)
        weft_free(affinity->set);
}

/* The kernel says EINVAL while the set is shorter than its own. */
static int cpu_affinity_init(struct cpu_affinity *affinity)
{
    *affinity = (struct cpu_affinity){.set = &affinity->fixed, .bytes = sizeof(affinity->fixed)};
    for (int count = 2 * CPU_SETSIZE; sched_getaffinity(0, affinity->bytes, affinity->set) != 0; count *= 2) {
        int status = -errno;
        cpu_affinity_fini(affinity);
        affinity->set = NULL;
        if (status != -EINVAL || count > CPU_SET_COUNT_MAX)
            return status;
        affinity->bytes = CPU_ALLOC_SIZE(count);
        affinity->set = weft_calloc(1, affinity->bytes);
        if (affinity->set == NULL)
            return -ENOMEM;
    }
    return 0;
}

static int cpu_count_affinity(void)
{
    struct cpu_affinity affinity;
    int count;
    if (cpu_affinity_init(&affinity) == 0) {
        count = CPU_COUNT_S(affinity.bytes, affinity.set);
        cpu_affinity_fini(&affinity);
    } else {
        count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    }
    return count < 1 ? 1 : count;
}

int cpu_allowed(int nth)
{
    struct cpu_affinity affinity;
    int status = nth < 0 ? -EINVAL : cpu_affinity_init(&affinity);
    if (status != 0)
        return status;
    int count = CPU_COUNT_S(affinity.bytes, affinity.set);
    int left = count == 0 ? 0 : nth % count;
    int found = -EINVAL;
    for (int cpu = 0; found < 0 && cpu < (int)(affinity.bytes * CHAR_BIT); cpu++)
        if (CPU_ISSET_S((size_t)cpu, affinity.bytes, affinity.set) && left-- == 0)
            found = cpu;
    cpu_affinity_fini(&affinity);
    return found;
}

int cpu_current(void)
{
    int cpu = sched_getcpu();
    return cpu < 0 ? 0 : cpu;
}

int cpu_bind(pthread_t thread, int cpu)
{
    if (cpu < 0 || cpu >= CPU_SET_COUNT_MAX)
        return -EINVAL;
    size_t bytes = CPU_ALLOC_SIZE((size_t)cpu + 1);
    cpu_set_t *set = weft_calloc(1, bytes);
    if (set == NULL)
        return -ENOMEM;
    CPU_SET_S((size_t)cpu, bytes, set);
    int error = pthread_setaffinity_np(thread, bytes, set);
    weft_free(set);
    return -error;
}

/* -- control groups -- */

/* One controller's folder tree, and the group in it: "/sys/fs/cgroup/cpu", "/a/b". */
struct cpu_group {
    char folder[CPU_LINE_BYTES];
    size_t root_bytes; /* of `folder`: the part that is the mount */
    bool is_v1;
};

/* Quotas that the files give, as processors rounded up; anything but two positive numbers is no limit. */
static int cpu_quota_round(long long quota_us, long long period_us)
{
    if (quota_us <= 0 || period_us <= 0)
        return INT_MAX;
    long long count = quota_us / period_us + (quota_us % period_us != 0);
    return count > INT_MAX ? INT_MAX : (int)count;
}

/* Reads the first line of a file of the group's folder. Restores the folder. */
static bool cpu_group_read(struct cpu_group *group, const char *name, char *line, int line_bytes)
{
    size_t folder_bytes = strlen(group->folder);
    if (folder_bytes + 1 + strlen(name) >= sizeof(group->folder))
        return false;
    group->folder[folder_bytes] = '/';
    strcpy(group->folder + folder_bytes + 1, name);
    FILE *file = fopen(group->folder, "re");
    group->folder[folder_bytes] = '\0';
    if (file == NULL)
        return false;
    bool is_read = fgets(line, line_bytes, file) != NULL;
    (void)fclose(file);
    return is_read;
}

static int cpu_group_quota(struct cpu_group *group)
{
    char line[64];
    long long quota_us = 0;
    long long period_us = 0;
    if (!group->is_v1) {
        /* "max 100000" or "150000 100000" */
        bool is_limited = cpu_group_read(group, "cpu.max", line, sizeof(line)) && sscanf(line, "%lld %lld", &quota_us, &period_us) == 2;
        return is_limited ? cpu_quota_round(quota_us, period_us) : INT_MAX;
    }
    /* "-1" is no limit */
    if (!cpu_group_read(group, "cpu.cfs_quota_us", line, sizeof(line)) || sscanf(line, "%lld", &quota_us) != 1)
        return INT_MAX;
    if (!cpu_group_read(group, "cpu.cfs_period_us", line, sizeof(line)) || sscanf(line, "%lld", &period_us) != 1)
        return INT_MAX;
    return cpu_quota_round(quota_us, period_us);
}

/* The smallest quota from the group up to the mount's root, which in a container is the container's own group. */
static int cpu_group_quota_up(struct cpu_group *group)
{
    int least = INT_MAX;
    for (;;) {
        int count = cpu_group_quota(group);
        least = count < least ? count : least;
        char *slash = strrchr(group->folder + group->root_bytes, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

/* A path that leads above the mount (a group outside of our namespace) is of no use below it: look at the root alone. */
static int cpu_quota_below(const char *root, const char *mount, const char *path, bool is_v1)
{
    struct cpu_group group = {.is_v1 = is_v1};
    bool is_outside = strncmp(path, "/..", 3) == 0 && (path[3] == '/' || path[3] == '\0');
    const char *below = is_outside || strcmp(path, "/") == 0 ? "" : path;
    int root_bytes = snprintf(group.folder, sizeof(group.folder), "%s%s%s", root, mount[0] == '\0' ? "" : "/", mount);
    if (root_bytes < 0 || (size_t)root_bytes + strlen(below) >= sizeof(group.folder))
        return INT_MAX;
    group.root_bytes = (size_t)root_bytes;
    strcpy(group.folder + root_bytes, below);
    return cpu_group_quota_up(&group);
}

static bool cpu_list_has(const char *list, const char *word)
{
    size_t word_bytes = strlen(word);
    while (list != NULL) {
        if (strncmp(list, word, word_bytes) == 0 && (list[word_bytes] == ',' || list[word_bytes] == '\0'))
            return true;
        list = strchr(list, ',');
        list = list == NULL ? NULL : list + 1;
    }
    return false;
}

/* A line is "number:controllers:path"; version 2 is number 0 with no controllers. Cuts the line up. */
static int cpu_quota_of_line(const char *root, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL)
        return INT_MAX;
    *controllers++ = '\0';
    *path++ = '\0';
    if (controllers[0] == '\0') {
        int alone = cpu_quota_below(root, "", path, false);
        int beside_v1 = cpu_quota_below(root, "unified", path, false);
        return alone < beside_v1 ? alone : beside_v1;
    }
    if (!cpu_list_has(controllers, "cpu"))
        return INT_MAX;
    /* The mount is named after all of its controllers; "cpu" is often a link to it. */
    int by_list = cpu_quota_below(root, controllers, path, true);
    int by_name = cpu_quota_below(root, "cpu", path, true);
    return by_list < by_name ? by_list : by_name;
}

int cpu_count_quota(const struct cpu_paths *paths)
{
    const char *name = paths == NULL || paths->cgroup_file == NULL ? "/proc/self/cgroup" : paths->cgroup_file;
    const char *root = paths == NULL || paths->cgroup_root == NULL ? "/sys/fs/cgroup" : paths->cgroup_root;
    FILE *file = fopen(name, "re");
    if (file == NULL)
        return INT_MAX;
    char line[CPU_LINE_BYTES];
    int least = INT_MAX;
    while (fgets(line, sizeof(line), file) != NULL) {
        int count = cpu_quota_of_line(root, line);
        least = count < least ? count : least;
    }
    (void)fclose(file);
    return least;
}

int cpu_count_available(const struct cpu_paths *paths)
{
    int allowed = cpu_count_affinity();
    int quota = cpu_count_quota(paths);
    return quota < allowed ? quota : allowed;
}
