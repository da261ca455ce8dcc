/*
 * Overflow: the handler that tells whose stack was too small. The public calls are in weft/fiber.h.
 *
 * The signal arrives on the thread's signal stack, so a thread has to have one before a fiber runs there: whoever switches to fibers looks
 * whether overflow_epoch has changed since, and then calls overflow_cover_thread().
 */
#ifndef LIB_TASK_OVERFLOW_H
#define LIB_TASK_OVERFLOW_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/fiber.h"

/* Atomic: changes with each first install; 0 before any. */
extern uint32_t overflow_epoch;

/*
 * Give this thread a signal stack, if the handler is installed. One that cannot have it goes without: there an overflow still ends the
 * process, by the kernel and unreported.
 *
 * thread:  any, not from a signal handler
 */
void overflow_cover_thread(void);

/*
 * True if the fault that `info` and the handler's third argument describe is one off a fiber's stack; `overflow_out` says which, without
 * its task. Safe in a signal handler.
 *
 * thread:  the one that faulted
 */
bool overflow_recognise(const siginfo_t *info, const void *context, struct weft_stack_overflow *overflow_out);

#endif
