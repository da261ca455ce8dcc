/*
 * Waiting in tests: for a condition, with a deadline; never for a time.
 */
#ifndef TESTS_SUPPORT_WAIT_H
#define TESTS_SUPPORT_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Ask `is_true(arg)` again and again until it says so, at most `deadline_ms`. `is_true` must read what other threads write atomically.
 *
 * thread:  any
 * returns: what `is_true` said last; it is asked once more after the deadline
 */
bool wait_until(bool (*is_true)(void *arg), void *arg, int64_t deadline_ms);

#endif
