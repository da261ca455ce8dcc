/*
 * Bind: see the header. Called by the peers that have threads of their own.
 */
#include "bench/kit/bind.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

/* The first thread's, before it was bound: threads inherit it otherwise. */
static cpu_set_t allowed;

__attribute__((constructor)) static void ask_what_is_allowed(void)
{
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        CPU_ZERO(&allowed);
}

void bind_here(const struct kit *kit, int nth)
{
    cpu_set_t only;
    CPU_ZERO(&only);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && nth-- == 0)
            CPU_SET(cpu, &only);
    kit_check(kit, CPU_COUNT(&only) == 1, "two processors are needed");
    kit_must(kit, -pthread_setaffinity_np(pthread_self(), sizeof(only), &only), "a processor");
}
