/*
 * What does it cost that tasks can be found: to be registered, and to collect all that are?
 *
 * `register_unregister`: a task of somebody else's making enters the registry and leaves it; each further loop is a thread that does the same.
 * `all_tasks`: a million tasks wait, and all are collected, with a reference to each; `free` lets them go. `all_tasks_storm`: while another
 * thread registers and unregisters without a pause; `pair` is what that costs it meanwhile.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/kit/tasks.h"
#include "weft/atomic.h"

enum { PAIRS = 5000000, TASKS = 1000000, COLLECTIONS = 3, QUICK = 100, STORMS_MAX = 63 };

static int scaled(const struct kit *kit, int count)
{
    return kit->is_quick ? count / QUICK : count;
}

static void foreign_task_destroy(struct weft_task *task)
{
    (void)task;
}

static void pairs(const struct kit *kit, struct weft_task *task, int count)
{
    for (int i = 0; i < count; i++) {
        kit_must(kit, weft_register_task(task), "to register");
        weft_unregister_task(task);
    }
}

/* ---- one who registers without a pause ---- */

struct storm {
    const struct kit *kit;
    struct weft_task task;
    uint32_t is_over; /* atomic, orders nothing */
    uint64_t count;
    double pair_ns;
    pthread_t thread;
};

static void *storm_blows(void *arg)
{
    enum { GUST = 64 };
    struct storm *storm = arg;
    uint64_t start_ns = kit_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (; weft_atomic_load_relaxed(&storm->is_over) == 0; storm->count += GUST)
        pairs(storm->kit, &storm->task, GUST);
    storm->pair_ns = (double)(kit_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns) / (double)(storm->count + 1);
    return NULL;
}

static void task_init(const struct kit *kit, struct weft_task *task)
{
    static const struct weft_task_ops ops = {.size = sizeof(ops), .destroy = foreign_task_destroy};
    memset(task, 0, sizeof(*task));
    kit_must(kit, weft_task_init(task, weft_get_running_loop(), &ops, NULL), "a task");
}

static void task_fini(const struct kit *kit, struct weft_task *task)
{
    kit_must(kit, weft_task_finish(task, 0, NULL), "a task's end");
    weft_task_unref(task);
}

static void storm_begin(const struct kit *kit, struct storm *storm)
{
    *storm = (struct storm){.kit = kit};
    task_init(kit, &storm->task);
    kit_must(kit, -pthread_create(&storm->thread, NULL, storm_blows, storm), "a thread");
}

static void storm_end(const struct kit *kit, struct storm *storm)
{
    weft_atomic_store_relaxed(&storm->is_over, 1);
    pthread_join(storm->thread, NULL);
    task_fini(kit, &storm->task);
}

/* ---- the cases ---- */

static void measure_pairs(struct kit *kit)
{
    int count = scaled(kit, PAIRS);
    struct weft_task task;
    static struct storm storms[STORMS_MAX];
    uint32_t storm_count = kit->loops - 1;
    kit_check(kit, storm_count <= STORMS_MAX, "so many loops");
    task_init(kit, &task);
    for (uint32_t i = 0; i < storm_count; i++)
        storm_begin(kit, &storms[i]);
    pairs(kit, &task, count / 8);
    kit_start(kit);
    pairs(kit, &task, count);
    kit_stop_alone(kit, "ns", count);
    for (uint32_t i = 0; i < storm_count; i++)
        storm_end(kit, &storms[i]);
    task_fini(kit, &task);
}

static void run_pairs(struct kit *kit)
{
    tasks_within(kit, NULL, measure_pairs);
}

/* Prints the time of the last one; those before warm up. */
static void collect(struct kit *kit, size_t expected)
{
    for (int i = 0; i < COLLECTIONS; i++) {
        struct weft_task **tasks;
        size_t count;
        kit_start(kit);
        kit_must(kit, weft_all_tasks(NULL, &tasks, &count), "all tasks");
        if (i == COLLECTIONS - 1)
            kit_stop_alone(kit, "ms", 1);
        kit_check(kit, count >= expected && count <= expected + 2, "their number"); /* the one who asks, and the storm's */
        uint64_t start_ns = kit_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        weft_all_tasks_free(tasks, count);
        if (i == COLLECTIONS - 1)
            kit_figure(kit, "free", "ms", (double)(kit_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns) / 1e6);
    }
}

static void measure_all_tasks(struct kit *kit)
{
    int count = scaled(kit, TASKS);
    bool has_storm = kit->arg != NULL;
    struct weft_future *future;
    struct storm storm;
    kit_must(kit, weft_loop_create_future(weft_get_running_loop(), &future), "a future");
    struct weft_task **tasks = tasks_start_waiting(kit, future, count, false);
    if (has_storm)
        storm_begin(kit, &storm);
    collect(kit, (size_t)count);
    if (has_storm) {
        storm_end(kit, &storm);
        kit_figure(kit, "pair", "ns", storm.pair_ns);
    }
    tasks_finish_waiting(kit, tasks, future, count);
    weft_future_unref(future);
}

static void run_all_tasks(struct kit *kit)
{
    tasks_within(kit, NULL, measure_all_tasks);
}

int main(int argc, char **argv)
{
    static const struct kit_case cases[] = {
        {"registry", "register_unregister", run_pairs, NULL, 0},
        {"registry", "all_tasks", run_all_tasks, NULL, 1},
        {"registry", "all_tasks_storm", run_all_tasks, "storm", 1},
    };
    return kit_main(argc, argv, "weft", cases, sizeof(cases) / sizeof(cases[0]));
}
