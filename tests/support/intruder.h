/*
 * Intruder: what another thread does between two steps of this one, every time and at the same place. A test watches a word, and right after
 * an instruction has touched it, be it deep in the code under test, a function of the test runs in the same thread. So a compare-and-swap
 * fails whenever it shall, which rival threads bring about only by chance.
 *
 * It takes the page away from the thread, lets the instruction that faults run alone with the page given back, and has the trap after it
 * call the test's function.
 */
#ifndef TESTS_SUPPORT_INTRUDER_H
#define TESTS_SUPPORT_INTRUDER_H

#include <stddef.h>

#include "tests/support/sanitizer.h"

/* Stepping needs a trap flag; and ThreadSanitizer touches words within its own locks. Where it is 0 there is nothing to link. */
#if defined(__x86_64__) && !TEST_TSAN
#define INTRUDER_WORKS 1
#else
#define INTRUDER_WORKS 0
#endif

/* Zeroed pages for what is watched, which shares them with nothing. Never NULL. */
void *intruder_map(size_t bytes);

void intruder_unmap(void *pages, size_t bytes);

/*
 * Call `step` after each of the next `times` instructions that touch the word at `word`. The pages of the word are to hold nothing but what
 * the code under test uses. One word at a time; `step` is not watched.
 */
void intruder_watch(void *word, int times, void (*step)(void));

/* Stop watching. Returns how often `step` was called. */
int intruder_leave(void);

#endif
