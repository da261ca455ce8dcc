/*
 * Cpu: what fake trees of control groups allow, and what the machine under the test allows.
 */
#include "lib/base/cpu.h"
#include "lib/base/thread.h"
#include "tests/support/oom.h"
#include "tests/support/test.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's answer, or that of a machine with this many processors of which the first, the 2000th and the last are allowed. */
static size_t fake_cpu_count;
static int fake_error;

/* Stands in for the C library's in this program. */
int sched_getaffinity(pid_t pid, size_t set_bytes, cpu_set_t *set)
{
    if (fake_cpu_count == 0 && fake_error == 0) {
        long kernel_bytes = syscall(SYS_sched_getaffinity, pid, set_bytes, set);
        if (kernel_bytes >= 0)
            memset((char *)set + kernel_bytes, 0, set_bytes - (size_t)kernel_bytes);
        return kernel_bytes < 0 ? -1 : 0;
    }
    if (fake_error != 0 || set_bytes * CHAR_BIT < fake_cpu_count) {
        errno = fake_error != 0 ? fake_error : EINVAL;
        return -1;
    }
    CPU_ZERO_S(set_bytes, set);
    CPU_SET_S(0, set_bytes, set);
    CPU_SET_S(2000, set_bytes, set);
    CPU_SET_S(fake_cpu_count - 1, set_bytes, set);
    return 0;
}

/* A folder of its own for each test, taken away at its end. */
static char tree_root[] = "/tmp/weft-cpu-XXXXXX";
static char tree_cgroup_file[64];

static void tree_remove(void)
{
    char command[96];
    (void)snprintf(command, sizeof(command), "rm -r %s", tree_root);
    CHECK_EQ(system(command), 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK_EQ(fclose(file), 0);
}

/* `membership` is what /proc/self/cgroup would say. */
static struct cpu_paths tree_new(const char *membership)
{
    CHECK(mkdtemp(tree_root) != NULL);
    test_fini(tree_remove);
    (void)snprintf(tree_cgroup_file, sizeof(tree_cgroup_file), "%s/membership", tree_root);
    write_file(tree_cgroup_file, membership);
    return (struct cpu_paths){.cgroup_file = tree_cgroup_file, .cgroup_root = tree_root};
}

/* Writes <root>/<folder>/<name>, with the folders on the way. */
static void tree_add(const char *folder, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", tree_root, folder);
    for (char *slash = path + strlen(tree_root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s/%s/%s", tree_root, folder, name);
    write_file(path, text);
}

Test(cpu, has_no_limit_where_nothing_can_be_read, .timeout = 5)
{
    CHECK_EQ(cpu_count_quota(&(struct cpu_paths){.cgroup_file = "/nonexistent", .cgroup_root = "/nonexistent"}), INT_MAX);
    struct cpu_paths paths = tree_new("0::/a/b\n");
    CHECK_EQ(cpu_count_quota(&paths), INT_MAX);
}

Test(cpu, takes_max_for_no_limit, .timeout = 5)
{
    struct cpu_paths paths = tree_new("0::/a\n");
    tree_add("a", "cpu.max", "max 100000\n");
    CHECK_EQ(cpu_count_quota(&paths), INT_MAX);
    CHECK(cpu_count_available(&paths) >= 1);
}

Test(cpu, rounds_a_quota_up, .timeout = 5)
{
    struct cpu_paths paths = tree_new("0::/a\n");
    tree_add("a", "cpu.max", "150000 100000\n");
    CHECK_EQ(cpu_count_quota(&paths), 2);
    tree_add("a", "cpu.max", "200000 100000\n");
    CHECK_EQ(cpu_count_quota(&paths), 2);
    tree_add("a", "cpu.max", "200001 100000\n");
    CHECK_EQ(cpu_count_quota(&paths), 3);
    tree_add("a", "cpu.max", "1000 100000\n");
    CHECK_EQ(cpu_count_quota(&paths), 1);
    CHECK_EQ(cpu_count_available(&paths), 1);
}

Test(cpu, obeys_the_tightest_ancestor, .timeout = 5)
{
    struct cpu_paths paths = tree_new("0::/a/b/c\n");
    tree_add("a/b/c", "cpu.max", "800000 100000\n");
    tree_add("a/b", "cpu.max", "max 100000\n");
    tree_add("a", "cpu.max", "250000 100000\n");
    CHECK_EQ(cpu_count_quota(&paths), 3);
}

Test(cpu, looks_at_the_root_of_the_mount_too, .timeout = 5)
{
    struct cpu_paths paths = tree_new("0::/not/seen/from/here\n");
    tree_add(".", "cpu.max", "400000 100000\n");
    CHECK_EQ(cpu_count_quota(&paths), 4);
    write_file(tree_cgroup_file, "0::/\n");
    CHECK_EQ(cpu_count_quota(&paths), 4);
}

Test(cpu, does_not_climb_out_of_the_mount, .timeout = 5)
{
    struct cpu_paths paths = tree_new("0::/../neighbour\n");
    char inner[64];
    tree_add("neighbour", "cpu.max", "100000 100000\n");
    tree_add("mount", "cpu.max", "500000 100000\n");
    (void)snprintf(inner, sizeof(inner), "%s/mount", tree_root);
    paths.cgroup_root = inner;
    CHECK_EQ(cpu_count_quota(&paths), 5);
}

Test(cpu, reads_version_1_under_the_name_of_its_controllers, .timeout = 5)
{
    struct cpu_paths paths = tree_new("4:memory:/m\n3:cpu,cpuacct:/a/b\n0::/\n");
    tree_add("cpu,cpuacct/a/b", "cpu.cfs_quota_us", "-1\n");
    tree_add("cpu,cpuacct/a/b", "cpu.cfs_period_us", "100000\n");
    CHECK_EQ(cpu_count_quota(&paths), INT_MAX);
    tree_add("cpu,cpuacct/a", "cpu.cfs_quota_us", "120000\n");
    tree_add("cpu,cpuacct/a", "cpu.cfs_period_us", "50000\n");
    CHECK_EQ(cpu_count_quota(&paths), 3);
}

Test(cpu, reads_version_1_under_the_plain_name, .timeout = 5)
{
    struct cpu_paths paths = tree_new("3:cpuacct,cpu:/a\n");
    tree_add("cpu/a", "cpu.cfs_quota_us", "700000\n");
    tree_add("cpu/a", "cpu.cfs_period_us", "100000\n");
    CHECK_EQ(cpu_count_quota(&paths), 7);
}

Test(cpu, knows_its_controller_from_those_that_sound_alike, .timeout = 5)
{
    struct cpu_paths paths = tree_new("3:cpuset,cpuacct:/a\n");
    tree_add("cpu/a", "cpu.cfs_quota_us", "100000\n");
    tree_add("cpu/a", "cpu.cfs_period_us", "100000\n");
    CHECK_EQ(cpu_count_quota(&paths), INT_MAX);
}

Test(cpu, reads_version_2_beside_version_1, .timeout = 5)
{
    struct cpu_paths paths = tree_new("1:name=systemd:/\n0::/a\n");
    tree_add("unified/a", "cpu.max", "600000 100000\n");
    CHECK_EQ(cpu_count_quota(&paths), 6);
}

Test(cpu, lets_no_strange_file_limit_anything, .timeout = 5)
{
    static const char *const texts[] = {"", "\n", "100000", "-5 100000", "0 100000", "100000 0", "100000 -1", "a b", "\xff\xff"};
    static const char *const members[] = {"", "\n", "0", "0:", ":", "0::", "::/a", "no colons", "0:cpu"};
    struct cpu_paths paths = tree_new("0::/a\n");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        tree_add("a", "cpu.max", texts[i]);
        CHECK_EQ(cpu_count_quota(&paths), INT_MAX);
    }
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        write_file(tree_cgroup_file, members[i]);
        CHECK_EQ(cpu_count_quota(&paths), INT_MAX);
    }
}

Test(cpu, survives_paths_that_are_too_long, .timeout = 5)
{
    static char membership[8200];
    (void)snprintf(membership, sizeof(membership), "0::%08000d\n", 0);
    struct cpu_paths paths = tree_new(membership);
    CHECK_EQ(cpu_count_quota(&paths), INT_MAX);
    membership[4300] = '\0';
    write_file(tree_cgroup_file, membership);
    CHECK_EQ(cpu_count_quota(&paths), INT_MAX);
}

Test(cpu, has_at_most_what_affinity_allows, .timeout = 5)
{
    cpu_set_t set = {0};
    struct cpu_paths nowhere = {.cgroup_file = "/nonexistent", .cgroup_root = "/nonexistent"};
    CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    CHECK_EQ(cpu_count_available(&nowhere), CPU_COUNT(&set));
    CHECK(cpu_count_available(NULL) >= 1);
    CHECK(cpu_count_available(NULL) <= CPU_COUNT(&set));
}

Test(cpu, numbers_the_allowed_ones_in_order_and_around, .timeout = 5)
{
    cpu_set_t set = {0};
    CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    int count = CPU_COUNT(&set);
    int before = -1;
    for (int i = 0; i < count; i++) {
        int cpu = cpu_allowed(i);
        CHECK(cpu > before);
        CHECK(CPU_ISSET((size_t)cpu, &set));
        CHECK_EQ(cpu_allowed(i + count), cpu);
        before = cpu;
    }
    CHECK_EQ(cpu_allowed(-1), -EINVAL);
}

Test(cpu, counts_on_machines_larger_than_a_fixed_set, .timeout = 5)
{
    struct cpu_paths nowhere = {.cgroup_file = "/nonexistent", .cgroup_root = "/nonexistent"};
    oom_install();
    fake_cpu_count = 5000;
    CHECK_EQ(cpu_count_available(&nowhere), 3);
    CHECK_EQ(cpu_allowed(0), 0);
    CHECK_EQ(cpu_allowed(1), 2000);
    CHECK_EQ(cpu_allowed(2), 4999);
    CHECK_EQ(cpu_allowed(3), 0);
    CHECK_EQ(oom_live(), 0);
}

Test(cpu, counts_something_whatever_the_kernel_says, .timeout = 5)
{
    struct cpu_paths nowhere = {.cgroup_file = "/nonexistent", .cgroup_root = "/nonexistent"};
    oom_install();
    fake_error = EPERM;
    CHECK_EQ(cpu_count_available(&nowhere), sysconf(_SC_NPROCESSORS_ONLN));
    CHECK_EQ(cpu_allowed(0), -EPERM);
    fake_error = EINVAL;
    CHECK_EQ(cpu_count_available(&nowhere), sysconf(_SC_NPROCESSORS_ONLN));
    CHECK_EQ(cpu_allowed(0), -EINVAL);
    CHECK_EQ(oom_live(), 0);
}

static void bind_and_look(void *arg)
{
    int cpu = *(int *)arg;
    CHECK_EQ(cpu_bind(pthread_self(), cpu), 0);
    CHECK_EQ(cpu_current(), cpu);
    CHECK_EQ(cpu_count_available(NULL), 1);
    CHECK_EQ(cpu_allowed(0), cpu);
}

Test(cpu, binds_a_thread, .timeout = 5)
{
    for (int i = 0; i < 4; i++) {
        struct thread thread;
        int cpu = cpu_allowed(i);
        CHECK(cpu >= 0);
        CHECK_EQ(thread_start(&thread, NULL, bind_and_look, &cpu), 0);
        thread_join(&thread);
    }
}

Test(cpu, refuses_to_bind_where_it_may_not, .timeout = 5)
{
    CHECK_EQ(cpu_bind(pthread_self(), -1), -EINVAL);
    CHECK_EQ(cpu_bind(pthread_self(), INT_MAX), -EINVAL);
    CHECK_EQ(cpu_bind(pthread_self(), (1 << 20) - 1), -EINVAL);
}

Test(cpu, runs_out_of_memory_politely, .timeout = 5)
{
    oom_install();
    oom_start(1);
    CHECK_EQ(cpu_bind(pthread_self(), cpu_allowed(0)), -ENOMEM);
    CHECK(oom_stop());
    fake_cpu_count = 5000;
    for (uint64_t n = 1; n <= 3; n++) { /* sets of 2048, 4096 and 8192 */
        oom_start(n);
        CHECK_EQ(cpu_allowed(0), -ENOMEM);
        CHECK(oom_stop());
        oom_start(n);
        CHECK(cpu_count_available(NULL) >= 1);
        CHECK(oom_stop());
    }
    CHECK_EQ(oom_live(), 0);
}
