/*
 * Ledger: counts the allocations that live, below everything that a trial makes.
 */
#ifndef TESTS_SIM_LEDGER_H
#define TESTS_SIM_LEDGER_H

#include <stdint.h>

/* Sit in weft's memory table from now on. thread: before start / after stop. 0; as weft_memory_set() */
int ledger_install(void);

/* How many live. thread: any */
int64_t ledger_live(void);

#endif
