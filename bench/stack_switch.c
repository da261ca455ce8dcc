/*
 * What does a switch of stacks cost, one way?
 *
 * `one_way`: between a thread and one fiber, without tasks or a loop. `ring_<n>`: around so many, where caches and predictors get less and
 * less right. `status_bits`, `control_words`: between two whose rounding has left other bits, or who round otherwise, which is the slow path.
 * `stack`, `first_stack`: what it adds to take a stack and to give it back, and to take one that nobody had before.
 */
#include <fenv.h>

#include "bench/kit/kit.h"
#include "lib/task/fiber_switch.h"
#include "lib/task/stack.h"

enum { SWITCHES = 1 << 22, SWITCHES_QUICK = 1 << 18, STACKS = 1 << 20, RING_MAX = 4096 };

static struct stack_pool pool;
static struct fiber_context thread;
static struct fiber_context fibers[RING_MAX];
static struct stack *stacks[RING_MAX];
static int ring_count;

static int scaled(const struct kit *kit, int count)
{
    return kit->is_quick ? count / (SWITCHES / SWITCHES_QUICK) : count;
}

static void open_pool(void)
{
    stack_pool_init(&pool, NULL);
    fiber_context_init_thread(&thread);
}

/* Fibers are left where they are at the end, and their stacks taken back: nothing on them needs an end. */
static void fibers_start(struct kit *kit, int count, void (*entry)(void *))
{
    ring_count = count;
    open_pool();
    for (int i = 0; i < count; i++) {
        kit_must(kit, stack_acquire(&pool, STACK_SMALL, &stacks[i]), "a stack");
        stack_context_init(stacks[i], &fibers[i], entry, &fibers[i]);
    }
}

static void fibers_drop(struct kit *kit)
{
    for (int i = 0; i < ring_count; i++)
        stack_release(&pool, stacks[i]);
    kit_must(kit, stack_pool_fini(&pool), "the stacks");
}

static void answer(void *arg)
{
    for (;;)
        fiber_context_switch(arg, &thread);
}

static void go_round(int rounds)
{
    for (int i = 0; i < rounds; i++)
        fiber_context_switch(&thread, &fibers[0]);
}

static void measure(struct kit *kit)
{
    int rounds = scaled(kit, SWITCHES) / (ring_count + 1);
    go_round(rounds / 8 + 1); /* the first time round touches the stacks */
    kit_start(kit);
    go_round(rounds);
    kit_stop_alone(kit, "ns", (double)rounds * (ring_count + 1));
}

static void run_one_way(struct kit *kit)
{
    fibers_start(kit, 1, answer);
    measure(kit);
    fibers_drop(kit);
}

static void pass_on(void *arg)
{
    struct fiber_context *self = arg;
    struct fiber_context *next = self + 1 == fibers + ring_count ? &thread : self + 1;
    for (;;)
        fiber_context_switch(self, next);
}

struct ring {
    int count;
};

static void run_ring(struct kit *kit)
{
    fibers_start(kit, ((const struct ring *)kit->arg)->count, pass_on);
    measure(kit);
    fibers_drop(kit);
}

/* One side has rounded something, the other has not: what every program comes to, and slow where the switch loads status bits. */
static void run_status_bits(struct kit *kit)
{
    feclearexcept(FE_ALL_EXCEPT);
    fibers_start(kit, 1, answer);
    volatile double third = 1; /* divided for its rounding: feraiseexcept() may raise where no switch looks */
    third /= 3;
    (void)third;
    measure(kit);
    fibers_drop(kit);
}

static void run_control_words(struct kit *kit)
{
    fibers_start(kit, 1, answer);
    fesetround(FE_UPWARD);
    measure(kit);
    fesetround(FE_TONEAREST);
    fibers_drop(kit);
}

static void run_stack(struct kit *kit)
{
    int count = scaled(kit, STACKS);
    open_pool();
    kit_start(kit);
    for (int i = 0; i < count; i++) {
        kit_must(kit, stack_acquire(&pool, STACK_SMALL, &stacks[0]), "a stack");
        stack_release(&pool, stacks[0]);
    }
    kit_stop_alone(kit, "ns", count);
    ring_count = 0;
    fibers_drop(kit);
}

/* Address space, guard and all, without touching them. */
static void run_first_stack(struct kit *kit)
{
    open_pool();
    kit_start(kit);
    for (int i = 0; i < RING_MAX; i++)
        kit_must(kit, stack_acquire(&pool, STACK_SMALL, &stacks[i]), "a stack");
    kit_stop_alone(kit, "ns", RING_MAX);
    ring_count = RING_MAX;
    fibers_drop(kit);
}

int main(int argc, char **argv)
{
    static const struct ring ring_16 = {16}, ring_256 = {256}, ring_4096 = {RING_MAX};
    static const struct kit_case cases[] = {
        {"stack_switch", "one_way", run_one_way, NULL, 1},
        {"stack_switch", "ring_16", run_ring, &ring_16, 1},
        {"stack_switch", "ring_256", run_ring, &ring_256, 1},
        {"stack_switch", "ring_4096", run_ring, &ring_4096, 1},
        {"stack_switch", "status_bits", run_status_bits, NULL, 1},
        {"stack_switch", "control_words", run_control_words, NULL, 1},
        {"stack_switch", "stack", run_stack, NULL, 1},
        {"stack_switch", "first_stack", run_first_stack, NULL, 1},
    };
    return kit_main(argc, argv, "weft", cases, sizeof(cases) / sizeof(cases[0]));
}
