/*
 * Raw, lives of tasks: memory, a queue of functions, and the locked instructions without which no other thread could have a part in a task's life:
 * its slot where it can be found is claimed and cleared (two), who awaits it hangs on it while it may complete (two), and it has two owners,
 * of whom the last one needs none (one). All are uncontended.
 *
 * A task is a function that ends at once, its parent one that goes on when it is called again. Left out: a loop that also polls, fires timers and
 * takes posts, results, exceptions and cancellation, contexts, and that anybody could take a task away. A fork that nobody takes is a call.
 */
#include <stdlib.h>

#include "bench/kit/kit.h"

enum { BATCH = 256, TASKS = 1024 * BATCH, FORKS = 20000000, QUICK = 100, QUEUE = 2 * BATCH };

static int scaled(const struct kit *kit, int count)
{
    return kit->is_quick ? count / QUICK : count;
}

/* ---- tasks ---- */

struct task {
    void (*run)(struct task *task);
    struct task *waiter; /* atomic: who hangs on it, NULL or DONE */
    struct task **slot;
    uint32_t refs; /* atomic */
};

static struct task done;
#define DONE (&done)

static struct task *queue[QUEUE]; /* first in, first out */
static uint32_t queue_first, queue_end;

static struct task *slots[BATCH]; /* atomic: those that can be found */

static void make_ready(struct task *task)
{
    queue[queue_end++ % QUEUE] = task;
}

static void run_ready(void)
{
    while (queue_first != queue_end) {
        struct task *task = queue[queue_first++ % QUEUE];
        task->run(task);
    }
}

/* The only owner that is left has nobody to settle it with. */
static void unref(struct task *task)
{
    if (__atomic_load_n(&task->refs, __ATOMIC_ACQUIRE) == 1 ||     /* Pairs with the release of the next line, elsewhere. */
        __atomic_fetch_sub(&task->refs, 1, __ATOMIC_ACQ_REL) == 1) /* Pairs with itself, and with the load above. */
        free(task);
}

static void task_ends(struct task *task)
{
    struct task *waiter = __atomic_exchange_n(&task->waiter, DONE, __ATOMIC_ACQ_REL); /* Pairs with hang_on(). */
    struct task *self = task;
    if (waiter != NULL)
        make_ready(waiter);
    (void)__atomic_compare_exchange_n(task->slot, &self, NULL, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED); /* Pairs with task_begin(). */
    unref(task);
}

/* False if it is over already. */
static bool hang_on(struct task *task, struct task *waiter)
{
    struct task *nobody = NULL;
    return __atomic_compare_exchange_n(&task->waiter, &nobody, waiter, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE); /* Pairs with task_ends(). */
}

static struct task *task_begin(const struct kit *kit, struct task **slot)
{
    struct task *task = malloc(sizeof(*task)), *nobody = NULL;
    kit_check(kit, task != NULL, "memory");
    *task = (struct task){task_ends, NULL, slot, 2};
    bool has_slot =
        __atomic_compare_exchange_n(slot, &nobody, task, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED); /* Pairs with task_ends(). */
    kit_check(kit, has_slot, "a slot");
    make_ready(task);
    return task;
}

/* One that begins lives, so many at once, and awaits them in turn. */
struct parent {
    struct task task;
    const struct kit *kit;
    struct task *children[BATCH];
    int left, at_once, awaited;
};

static void begin_lives(struct parent *parent)
{
    parent->awaited = 0;
    for (int i = 0; i < parent->at_once; i++)
        parent->children[i] = task_begin(parent->kit, &slots[i]);
    parent->left -= parent->at_once;
}

static void parent_goes_on(struct task *task)
{
    struct parent *parent = (struct parent *)task;
    for (;;) {
        for (; parent->awaited < parent->at_once; parent->awaited++) {
            struct task *child = parent->children[parent->awaited];
            if (hang_on(child, task))
                return;
            unref(child);
        }
        if (parent->left <= 0)
            return;
        begin_lives(parent);
    }
}

static void live(const struct kit *kit, int count)
{
    static struct parent parent;
    parent = (struct parent){.task = {.run = parent_goes_on}, .kit = kit, .left = count, .at_once = *(const int *)kit->arg};
    begin_lives(&parent);
    make_ready(&parent.task);
    run_ready();
    kit_check(kit, parent.left == 0 && parent.awaited == parent.at_once, "their ends");
}

static void run_lives(struct kit *kit)
{
    int count = scaled(kit, TASKS) / BATCH * BATCH;
    live(kit, count / 8 / BATCH * BATCH + BATCH);
    kit_start(kit);
    live(kit, count);
    kit_stop_alone(kit, "ns", count);
}

/* ---- forks that nobody takes ---- */

__attribute__((noinline)) static long add_one(long n)
{
    __asm__ __volatile__("" : "+r"(n));
    return n + 1;
}

static void run_calls(struct kit *kit)
{
    int count = scaled(kit, FORKS);
    long sum = 0;
    kit_start(kit);
    for (int i = 0; i < count; i++)
        sum = add_one(sum);
    kit_stop_alone(kit, "ns", count);
    kit_check(kit, sum == count, "the sum");
}

int main(int argc, char **argv)
{
    static const int one = 1, batch = BATCH;
    static const struct kit_case cases[] = {
        {"spawn_join", "step", run_lives, &one, 0},        {"spawn_join", "step_batch_256", run_lives, &batch, 0},
        {"spawn_join", "typed_job", run_calls, NULL, 0},   {"spawn_join", "generic_job", run_calls, NULL, 0},
        {"spawn_join", "checked_job", run_calls, NULL, 0},
    };
    return kit_main(argc, argv, "raw", cases, sizeof(cases) / sizeof(cases[0]));
}
