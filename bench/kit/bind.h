/*
 * Bind: two threads on a processor each, for those who go to and fro between them: on one they would take turns, which is another question.
 */
#ifndef BENCH_KIT_BIND_H
#define BENCH_KIT_BIND_H

#include "bench/kit/kit.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Let the calling thread run on the `nth` processor that the process has. Ends the program if there is none. */
void bind_here(const struct kit *kit, int nth);

/* What a loop that waits for another thread does between two looks. */
static inline void bind_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

#ifdef __cplusplus
}
#endif

#endif
