/*
 * Raw, turns: the least code that changes from one task to another. A task is a stack pointer, or a function with a number; who makes another
 * one ready puts it into a queue, or goes to it at once if both have stacks. Nothing is awaited, nothing else has a turn, and nobody ends early.
 */
#include <stdint.h>
#include <stdlib.h>

#include "bench/kit/kit.h"

/* ---- stack_switch, and yield and ping_pong of those with a stack ---- */

#if defined(__x86_64__)

enum { SWITCHES = 1 << 22, SWITCHES_QUICK = 1 << 18, LINE_BYTES = 64, STACK_BYTES = 16384, CROWD_MAX = 100 };

/* Leave the registers that a callee saves on this stack, and go to the other, which has left the same. */
__attribute__((naked, noinline)) static void switch_stacks(__attribute__((unused)) void **from, __attribute__((unused)) void *to)
{
    __asm__("push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n\t"
            "mov %rsp, (%rdi); mov %rsi, %rsp\n\t"
            "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; pop %rcx; jmp *%rcx");
}

static void *main_stack, *stacks[CROWD_MAX];
static int crowd;

static void *stack_new(void (*entry)(void))
{
    char *memory = aligned_alloc(LINE_BYTES, STACK_BYTES);
    void **top = (void **)(void *)(memory + STACK_BYTES) - 2;
    *top = (void *)(uintptr_t)entry;
    return top - 6;
}

static void answer(void)
{
    for (;;)
        switch_stacks(&stacks[0], main_stack);
}

/* The next one in the ring, as a scheduler would find it. */
static void yield_for_ever(void)
{
    for (int self = crowd++;;) {
        int next = self + 1 == CROWD_MAX || stacks[self + 1] == NULL ? -1 : self + 1;
        switch_stacks(&stacks[self], next < 0 ? main_stack : stacks[next]);
    }
}

static void measure_switches(struct kit *kit, int per_round)
{
    int rounds = (kit->is_quick ? SWITCHES_QUICK : SWITCHES) / per_round;
    for (int i = 0; i < rounds / 8; i++)
        switch_stacks(&main_stack, stacks[0]);
    kit_start(kit);
    for (int i = 0; i < rounds; i++)
        switch_stacks(&main_stack, stacks[0]);
    kit_stop_alone(kit, "ns", (double)rounds * per_round);
}

static void run_one_way(struct kit *kit)
{
    stacks[0] = stack_new(answer);
    measure_switches(kit, 2);
}

static void run_fiber_trips(struct kit *kit)
{
    stacks[0] = stack_new(answer);
    measure_switches(kit, 1);
}

/* Of one alone, a yield is a switch to the scheduler and back. */
static void run_yield(struct kit *kit)
{
    int count = *(const int *)kit->arg;
    for (int i = 0; i < count; i++)
        stacks[i] = stack_new(yield_for_ever);
    measure_switches(kit, count);
}

#endif

/* ---- yield and ping_pong of steps ---- */

enum { TURNS = 1 << 22, TURNS_QUICK = 1 << 18, RING = 128 };

struct step {
    struct step *(*run)(struct step *step); /* who has a turn because of it, or NULL */
    struct step *other;
    int left;
};

static struct step *step_yields(struct step *step)
{
    return --step->left > 0 ? step : NULL;
}

static struct step *step_hits(struct step *step)
{
    return --step->left > 0 ? step->other : NULL;
}

/* A queue, first in, first out, of those that want a turn. */
static void run_turns(struct step **ring, uint32_t count)
{
    for (uint32_t first = 0, end = count; first != end;) {
        struct step *step = ring[first++ % RING], *next = step->run(step);
        if (next != NULL)
            ring[end++ % RING] = next;
    }
}

static int scaled_turns(const struct kit *kit)
{
    return kit->is_quick ? TURNS_QUICK : TURNS;
}

static void run_steps(struct kit *kit)
{
    int count = *(const int *)kit->arg, turns = scaled_turns(kit) / count;
    static struct step steps[RING];
    struct step *ring[RING] = {NULL};
    for (int i = 0; i < count; i++) {
        steps[i] = (struct step){step_yields, NULL, turns};
        ring[i] = &steps[i];
    }
    kit_start(kit);
    run_turns(ring, (uint32_t)count);
    kit_stop_alone(kit, "ns", (double)turns * count);
}

static void run_trips(struct kit *kit)
{
    int trips = scaled_turns(kit) / 2;
    struct step sides[2] = {{step_hits, &sides[1], trips}, {step_hits, &sides[0], trips}};
    struct step *ring[RING] = {&sides[0]};
    kit_start(kit);
    run_turns(ring, 1);
    kit_stop_alone(kit, "ns", trips);
}

int main(int argc, char **argv)
{
    static const int one = 1, hundred = 100;
    static const struct kit_case cases[] = {
        {"yield", "one", run_steps, &one, 0},
        {"yield", "hundred", run_steps, &hundred, 0},
        {"ping_pong", "one_loop", run_trips, NULL, 1},
#if defined(__x86_64__)
        {"stack_switch", "one_way", run_one_way, NULL, 1},
        {"yield", "one_fiber", run_yield, &one, 0},
        {"yield", "hundred_fiber", run_yield, &hundred, 0},
        {"ping_pong", "one_loop_fiber", run_fiber_trips, NULL, 1},
#endif
    };
    return kit_main(argc, argv, "raw", cases, sizeof(cases) / sizeof(cases[0]));
}
