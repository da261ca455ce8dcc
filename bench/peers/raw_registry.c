/*
 * Raw, registry: what it takes that any thread can register a task, find it, and let it go: an array of slots. A task has one that it claims by
 * a compare-and-swap, and that is cleared by another, since its owner may have to see that somebody looks at it at this moment. Who collects
 * them all counts a reference of each.
 *
 * Left out is what keeps a task from leaving between being found and being counted, so that nobody may leave while all are collected; there is
 * room for as many as there are, and who registers twice is not noticed.
 */
#include <pthread.h>
#include <stdlib.h>

#include "bench/kit/kit.h"

enum { PAIRS = 5000000, TASKS = 1000000, COLLECTIONS = 3, QUICK = 100, THREADS_MAX = 64, TASK_BYTES = 256, APART = 8 };

struct task {
    uint32_t refs; /* atomic */
    size_t slot;
};

static struct task **slots; /* atomic: NULL, or who has it */

static int scaled(const struct kit *kit, int count)
{
    return kit->is_quick ? count / QUICK : count;
}

/* `first` is where to look for a free one. */
static void register_task(struct task *task, size_t first)
{
    struct task *nobody = NULL;
    for (size_t slot = first;; slot++, nobody = NULL)
        if (__atomic_compare_exchange_n(&slots[slot], &nobody, task, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) { /* Pairs with collect(). */
            task->slot = slot;
            return;
        }
}

static bool unregister_task(struct task *task)
{
    struct task *self = task; /* Pairs with register_task() of the next one that has the slot. */
    return __atomic_compare_exchange_n(&slots[task->slot], &self, NULL, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* ---- a task enters and leaves ---- */

struct crowd {
    const struct kit *kit;
    pthread_t threads[THREADS_MAX];
    uint32_t started; /* atomic */
    uint32_t is_over; /* atomic, orders nothing */
};

static void pairs(const struct kit *kit, size_t slot, int count)
{
    struct task task = {1, 0};
    bool are_well = true;
    for (int i = 0; i < count; i++) {
        register_task(&task, slot);
        are_well &= unregister_task(&task);
    }
    kit_check(kit, are_well, "a slot");
}

/* Each thread's slot is in a line of its own. */
static void *pairs_until_over(void *arg)
{
    enum { GUST = 64 };
    struct crowd *crowd = arg;
    size_t slot = APART * (1 + (size_t)__atomic_fetch_add(&crowd->started, 1, __ATOMIC_RELAXED));
    while (__atomic_load_n(&crowd->is_over, __ATOMIC_RELAXED) == 0)
        pairs(crowd->kit, slot, GUST);
    return NULL;
}

static void run_pairs(struct kit *kit)
{
    int count = scaled(kit, PAIRS);
    static struct crowd crowd;
    kit_check(kit, kit->loops <= THREADS_MAX, "so many threads");
    crowd.kit = kit;
    slots = calloc(APART * (THREADS_MAX + 1), sizeof(struct task *));
    for (uint32_t i = 1; i < kit->loops; i++)
        kit_must(kit, -pthread_create(&crowd.threads[i], NULL, pairs_until_over, &crowd), "a thread");
    pairs(kit, 0, count / 8);
    kit_start(kit);
    pairs(kit, 0, count);
    kit_stop_alone(kit, "ns", count);
    __atomic_store_n(&crowd.is_over, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 1; i < kit->loops; i++)
        pthread_join(crowd.threads[i], NULL);
}

/* ---- all are collected ---- */

static struct task **collect(size_t count)
{
    struct task **found = malloc(count * sizeof(struct task *));
    for (size_t i = 0; i < count; i++) {
        found[i] = __atomic_load_n(&slots[i], __ATOMIC_ACQUIRE); /* Pairs with the release in register_task(). */
        __atomic_fetch_add(&found[i]->refs, 1, __ATOMIC_RELAXED);
    }
    return found;
}

static size_t let_go(struct task **found, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        kept += __atomic_fetch_sub(&found[i]->refs, 1, __ATOMIC_RELEASE) > 1; /* Pairs with who frees one: nobody, here. */
    free(found);
    return kept;
}

/* Prints the time of the last one; those before warm up. */
static void run_all_tasks(struct kit *kit)
{
    size_t count = (size_t)scaled(kit, TASKS);
    slots = calloc(count, sizeof(struct task *));
    for (size_t i = 0; i < count; i++) {
        struct task *task = malloc(TASK_BYTES);
        *task = (struct task){1, 0};
        register_task(task, i);
    }
    for (int i = 0; i < COLLECTIONS; i++) {
        kit_start(kit);
        struct task **found = collect(count);
        if (i == COLLECTIONS - 1)
            kit_stop_alone(kit, "ms", 1);
        uint64_t start_ns = kit_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        kit_check(kit, let_go(found, count) == count, "their references");
        if (i == COLLECTIONS - 1)
            kit_figure(kit, "free", "ms", (double)(kit_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns) / 1e6);
    }
}

int main(int argc, char **argv)
{
    static const struct kit_case cases[] = {
        {"registry", "register_unregister", run_pairs, NULL, 0},
        {"registry", "all_tasks", run_all_tasks, NULL, 1},
    };
    return kit_main(argc, argv, "raw", cases, sizeof(cases) / sizeof(cases[0]));
}
