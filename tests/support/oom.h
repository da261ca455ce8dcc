/*
 * Running out of memory on purpose: an allocator that counts, and that refuses when it is told to.
 *
 *     for (uint64_t n = 1;; n++) {
 *         oom_start(n);
 *         int status = make_the_thing();
 *         if (!oom_stop()) {
 *             break;                      -- call n was never reached: every allocation has been refused once
 *         }
 *         CHECK_EQ(status, -ENOMEM);
 *         CHECK_EQ(oom_live(), 0);
 *     }
 *
 * It sits in weft's memory table, below every room, from oom_install() on; a test installs it before its first other call into weft.
 */
#ifndef TESTS_SUPPORT_OOM_H
#define TESTS_SUPPORT_OOM_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Put the counting allocator in place for the rest of the test. Fails the test if the table refuses it.
 *
 * thread:  before start / after stop
 */
void oom_install(void);

/*
 * Refuse the `nth` allocation from now, counted from 1, over all threads. 0 refuses none.
 *
 * thread:  any
 */
void oom_start(uint64_t nth);

/* The same, but from the `nth` allocation on every one is refused. thread: any */
void oom_start_from(uint64_t nth);

/*
 * Refuse nothing any more.
 *
 * thread:  any
 * returns: true if an allocation was refused since oom_start()
 */
bool oom_stop(void);

/* How many allocations were asked for since oom_start(), the refused ones included. thread: any */
uint64_t oom_asked(void);

/* How many allocations live: given out since oom_install(), and not freed. thread: any */
int64_t oom_live(void);

#endif
