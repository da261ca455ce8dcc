/*
 * What does a task that waits cost in memory?
 *
 * A million tasks wait for one future: resident bytes of each, as the kernel counts them, and what malloc has given for each (`live`; the stacks
 * of fibers are not malloc's). The task, its place in the registry, its coroutine with a pointer of state, and the place where it waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/kit/tasks.h"

enum { TASKS = 1000000, TASKS_QUICK = 10000 };

/* jemalloc's, if that is what the program is linked with. */
int mallctl(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes) __attribute__((weak));

struct usage {
    double resident;
    double live; /* 0 if nobody counts it */
};

static struct usage usage_now(const struct kit *kit)
{
    struct usage usage = {0, 0};
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    kit_check(kit, file != NULL && fscanf(file, "%lu %lu", &total, &resident) == 2, "what is resident");
    fclose(file);
    usage.resident = (double)resident * (double)sysconf(_SC_PAGESIZE);
    if (mallctl != NULL) {
        uint64_t epoch = 1;
        size_t live, bytes = sizeof(live);
        (void)mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
        kit_must(kit, -mallctl("stats.allocated", &live, &bytes, NULL, 0), "what is live");
        usage.live = (double)live;
    }
    return usage;
}

static void measure(struct kit *kit)
{
    int count = kit->is_quick ? TASKS_QUICK : TASKS;
    double array_bytes = (double)count * sizeof(struct weft_task *);
    struct weft_future *future;
    kit_must(kit, weft_loop_create_future(weft_get_running_loop(), &future), "a future");
    struct usage before = usage_now(kit);
    struct weft_task **tasks = tasks_start_waiting(kit, future, count, kit->arg != NULL);
    struct usage after = usage_now(kit);
    kit_figure(kit, NULL, "B", (after.resident - before.resident - array_bytes) / count);
    if (after.live > 0)
        kit_figure(kit, "live", "B", (after.live - before.live - array_bytes) / count);
    tasks_finish_waiting(kit, tasks, future, count);
    weft_future_unref(future);
}

static void run(struct kit *kit)
{
    tasks_within(kit, NULL, measure);
}

int main(int argc, char **argv)
{
    static const struct kit_case cases[] = {
        {"memory", "step_task", run, NULL, 1},
        {"memory", "fiber_task", run, "fibers", 1},
    };
    return kit_main(argc, argv, "weft", cases, sizeof(cases) / sizeof(cases[0]));
}
