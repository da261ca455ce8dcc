/*
 * What does a stack switch cost, one way?
 *
 * Between a thread and one fiber; around rings of fibers, where caches and predictors get less and less right; between two whose control
 * words differ, which is the slow path; and what taking and giving back a stack adds. Prints the median of several rounds for each
 * figure: name, value.
 */
#include "lib/task/fiber_switch.h"
#include "lib/task/stack.h"

#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"

enum { ROUNDS = 15, SWITCHES = 1 << 20, RING_MAX = 4096 };

/* One question: does its work and says how long one unit of it took. */
typedef double round_fn(void);

static struct stack_pool pool;
static struct fiber_context thread;
static struct fiber_context fibers[RING_MAX];
static struct stack *stacks[RING_MAX];
static int ring_count;

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, round_fn *round)
{
    double ns[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        ns[i] = round();
    qsort(ns, ROUNDS, sizeof *ns, compare_doubles);
    printf("fiber_switch.%s %.2f\n", name, ns[ROUNDS / 2]);
    printf("fiber_switch.%s_min %.2f\n", name, ns[0]);
}

static double per_unit(uint64_t start_ns, uint64_t units)
{
    return (double)(clock_monotonic_ns() - start_ns) / (double)units;
}

/* Fibers are left where they are at a round's end, and their stacks taken back: nothing on them needs an end. */
static void fibers_start(int count, void (*entry)(void *))
{
    ring_count = count;
    for (int i = 0; i < count; i++) {
        if (stack_acquire(&pool, STACK_SMALL, &stacks[i]) < 0)
            exit(1);
        stack_context_init(stacks[i], &fibers[i], entry, &fibers[i]);
    }
}

static void fibers_drop(void)
{
    for (int i = 0; i < ring_count; i++)
        stack_release(&pool, stacks[i]);
}

static void answer(void *arg)
{
    for (;;)
        fiber_context_switch(arg, &thread);
}

static double pair_round(void)
{
    fibers_start(1, answer);
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < SWITCHES / 2; i++)
        fiber_context_switch(&thread, &fibers[0]);
    double ns = per_unit(start_ns, SWITCHES);
    fibers_drop();
    return ns;
}

/* One side has rounded something, the other has not: what every program comes to, and slow where the switch loads status bits. */
static double status_round(void)
{
    feclearexcept(FE_ALL_EXCEPT);
    fibers_start(1, answer);
    volatile double third = 1; /* divided for its rounding: feraiseexcept() may raise where no switch looks */
    third /= 3;
    (void)third;
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < SWITCHES / 2; i++)
        fiber_context_switch(&thread, &fibers[0]);
    double ns = per_unit(start_ns, SWITCHES);
    fibers_drop();
    return ns;
}

static double control_round(void)
{
    int mode = fegetround();
    fibers_start(1, answer);
    fesetround(FE_UPWARD);
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < SWITCHES / 2; i++)
        fiber_context_switch(&thread, &fibers[0]);
    double ns = per_unit(start_ns, SWITCHES);
    fesetround(mode);
    fibers_drop();
    return ns;
}

static void pass_on(void *arg)
{
    struct fiber_context *self = arg;
    struct fiber_context *next = self + 1 == fibers + ring_count ? &thread : self + 1;
    for (;;)
        fiber_context_switch(self, next);
}

static double ring_round(int count)
{
    fibers_start(count, pass_on);
    fiber_context_switch(&thread, &fibers[0]); /* the first time round touches the stacks */
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < SWITCHES / (count + 1); i++)
        fiber_context_switch(&thread, &fibers[0]);
    double ns = per_unit(start_ns, (uint64_t)SWITCHES / ((uint64_t)count + 1) * ((uint64_t)count + 1));
    fibers_drop();
    return ns;
}

static double ring_16_round(void)
{
    return ring_round(16);
}

static double ring_256_round(void)
{
    return ring_round(256);
}

static double ring_4096_round(void)
{
    return ring_round(RING_MAX);
}

static double acquire_release_round(void)
{
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < SWITCHES; i++) {
        struct stack *stack;
        if (stack_acquire(&pool, STACK_SMALL, &stack) < 0)
            exit(1);
        stack_release(&pool, stack);
    }
    return per_unit(start_ns, SWITCHES);
}

/* Stacks that nobody had before: address space, guard and all, without touching them. */
static double first_acquire_round(void)
{
    struct stack_pool fresh;
    stack_pool_init(&fresh, NULL);
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < RING_MAX; i++)
        if (stack_acquire(&fresh, STACK_SMALL, &stacks[i]) < 0)
            exit(1);
    double ns = per_unit(start_ns, RING_MAX);
    for (int i = 0; i < RING_MAX; i++)
        stack_release(&fresh, stacks[i]);
    stack_pool_fini(&fresh);
    return ns;
}

int main(void)
{
    stack_pool_init(&pool, NULL);
    fiber_context_init_thread(&thread);
    report("pair_ns", pair_round);
    report("ring_16_ns", ring_16_round);
    report("ring_256_ns", ring_256_round);
    report("ring_4096_ns", ring_4096_round);
    report("status_bits_differ_ns", status_round);
    report("control_words_differ_ns", control_round);
    report("stack_acquire_release_ns", acquire_release_round);
    report("stack_first_acquire_ns", first_acquire_round);
    return stack_pool_fini(&pool) == 0 ? 0 : 1;
}
