/*
 * World: what a model's code finds instead of the system. Included before every file that is compiled as a model (see model.bzl); each name
 * stands for the checker's double of it.
 */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* futex(2) only: FUTEX_WAIT_BITSET may also return for no reason, or at its deadline; FUTEX_WAKE. */
long model_syscall(long number, ...);

/* Nothing passes time but a wait that ends at its deadline. */
int model_clock_gettime(clockid_t clock, struct timespec *now_out);

/* The processor's counter, see clock_ticks(): each thread's own, so that it tells nothing of the others; each look adds model_ticks_step. */
uint64_t model_ticks(void);
extern uint64_t model_ticks_step;

void *model_memcpy(void *to, const void *from, size_t size);
void *model_memmove(void *to, const void *from, size_t size);
void *model_memset(void *to, int byte, size_t size);

/* Memory, behind weft/memory.h. */
void *model_malloc(size_t bytes);
void *model_calloc(size_t count, size_t bytes);
void *model_realloc(void *ptr, size_t bytes);
void *model_aligned_alloc(size_t align, size_t bytes);
void model_free(void *ptr);

#if defined(WEFT_ATOMIC_MODEL)
#define syscall       model_syscall
#define clock_gettime model_clock_gettime
#undef memcpy
#undef memmove
#undef memset
#define memcpy  model_memcpy
#define memmove model_memmove
#define memset  model_memset
#endif

#endif
