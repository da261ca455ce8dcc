/*
 * Intruder: a page that is taken away, and single steps. Called by tests, one thread at a time. The invariant: while a word is watched its
 * page is closed, except during the one instruction that has faulted and the step after it.
 */
#include "tests/support/intruder.h"

#if INTRUDER_WORKS

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { PAGE_BYTES = 4096, TRAP_FLAG = 0x100 };

static struct {
    char *word;
    char *page;
    void (*step)(void);
    int times;
    int count;
    bool is_touched; /* by the instruction that runs alone */
    struct sigaction outer_fault;
    struct sigaction outer_trap;
} watch __attribute__((aligned(PAGE_BYTES)));

static void protect(int protection)
{
    if (mprotect(watch.page, PAGE_BYTES, protection) != 0)
        abort();
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    char *address = info->si_addr;
    ucontext_t *user = context;
    if (address < watch.page || address >= watch.page + PAGE_BYTES) {
        (void)sigaction(signal, &watch.outer_fault, NULL); /* a fault like any other: again, for who would have had it */
        return;
    }
    protect(PROT_READ | PROT_WRITE);
    watch.is_touched = address == watch.word;
    user->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    (void)signal;
    (void)info;
    user->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    if (watch.is_touched) {
        watch.count++;
        watch.step();
    }
    if (watch.count < watch.times)
        protect(PROT_NONE);
}

void *intruder_map(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        abort();
    return pages;
}

void intruder_unmap(void *pages, size_t bytes)
{
    (void)munmap(pages, bytes);
}

static void answer(int signal, void (*handler)(int, siginfo_t *, void *), struct sigaction *outer)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    if (sigaction(signal, &action, outer) != 0)
        abort();
}

void intruder_watch(void *word, int times, void (*step)(void))
{
    watch.word = word;
    watch.page = (char *)((uintptr_t)word / PAGE_BYTES * PAGE_BYTES);
    watch.step = step;
    watch.times = times;
    watch.count = 0;
    answer(SIGSEGV, on_fault, &watch.outer_fault);
    answer(SIGTRAP, on_trap, &watch.outer_trap);
    protect(PROT_NONE);
}

int intruder_leave(void)
{
    protect(PROT_READ | PROT_WRITE);
    (void)sigaction(SIGSEGV, &watch.outer_fault, NULL);
    (void)sigaction(SIGTRAP, &watch.outer_trap, NULL);
    return watch.count;
}

#endif
