/*
 * Signal stack: a second stack for a thread, on which a handler can run when the first one has no room left.
 *
 *     sigaction(…, SA_ONSTACK) somewhere, and in each thread that shall be covered
 *     signal_stack_ensure();
 *
 * What a thread was given lasts until it ends, and is then taken back by itself.
 */
#ifndef LIB_BASE_SIGNAL_STACK_H
#define LIB_BASE_SIGNAL_STACK_H

#include <stdbool.h>

/*
 * Give this thread a signal stack, unless it has one already that is large enough to run a handler of some kilobytes: that one is used
 * then. It ends in a guard, below. A smaller one is put back as the thread ends.
 *
 * thread:  any, on whatever stack, but not from a signal handler
 * memory:  some mapped pages, which go with the thread
 * returns: true if it has one
 */
bool signal_stack_ensure(void);

#endif
