/*
 * swapcontext: a switch of stacks as POSIX had it, which asks the kernel for the signal mask each time.
 */
#include <gnu/libc-version.h>
#include <stdio.h>
#include <ucontext.h>

#include "bench/kit/kit.h"

enum { SWITCHES = 1 << 21, SWITCHES_QUICK = 1 << 15, STACK_BYTES = 65536 };

static ucontext_t here, there;

static void answer(void)
{
    for (;;)
        swapcontext(&there, &here);
}

static void go_round(int rounds)
{
    for (int i = 0; i < rounds; i++)
        swapcontext(&here, &there);
}

static void run_one_way(struct kit *kit)
{
    static char stack[STACK_BYTES];
    int rounds = (kit->is_quick ? SWITCHES_QUICK : SWITCHES) / 2;
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof(stack);
    makecontext(&there, answer, 0);
    go_round(rounds / 8);
    kit_start(kit);
    go_round(rounds);
    kit_stop_alone(kit, "ns", 2.0 * rounds);
}

int main(int argc, char **argv)
{
    static const struct kit_case cases[] = {{"stack_switch", "one_way", run_one_way, NULL, 1}};
    char who[64];
    snprintf(who, sizeof(who), "swapcontext (glibc %s)", gnu_get_libc_version());
    return kit_main(argc, argv, who, cases, 1);
}
