/*
 * What the tests of stack overflows have in common: recursion, a runtime that has the handler, and what its report must say.
 */
#ifndef TESTS_LIMITS_OVERFLOW_H
#define TESTS_LIMITS_OVERFLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/limits/child.h"
#include "tests/support/test.h"
#include "weft/atomic.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/runtime.h"
#include "weft/task.h"

/* The name of the task that runs off its stack. */
#define OVERFLOW_NAME "too deep"

#define OVERFLOW_NOINLINE __attribute__((noinline))

/* No compiler shall know that the array is not needed. */
#define OVERFLOW_USE(array) __asm__ __volatile__("" : : "r"(array) : "memory")

/* The runtime of overflow_run…(), for what runs in there. */
extern struct weft_runtime *overflow_runtime;

/* Call itself until something ends it. */
int overflow_recurse(int depth);

/* Bodies: return at once; wait for the future `arg`. */
int overflow_nothing(void *arg, void **result_out);
int overflow_wait(void *arg, void **result_out);

/* The current task. */
struct weft_task *overflow_task_here(void);

/* Options of a runtime that has the handler. */
struct weft_runtime_options overflow_options(uint32_t loops);

/* Run `fn` as the main task, which is called `name`, with a stack of `stack`, and shut down. For children. */
void overflow_run_options(const struct weft_runtime_options *options, enum weft_stack_class stack, weft_fiber_fn *fn, const char *name);
void overflow_run_named(uint32_t loops, enum weft_stack_class stack, weft_fiber_fn *fn, const char *name);

/* The same with OVERFLOW_NAME. */
void overflow_run(uint32_t loops, enum weft_stack_class stack, weft_fiber_fn *fn);

/* The child was ended by SIGSEGV, and said once that OVERFLOW_NAME ran off a stack of `stack_bytes`; or it said nothing of that kind. */
void overflow_check_told(const struct child_end *end, size_t stack_bytes);
void overflow_check_untold(const struct child_end *end);

#endif
