/*
 * Memory, inside: what is in place, for who puts something over it for a while.
 */
#ifndef LIB_BASE_MEMORY_H
#define LIB_BASE_MEMORY_H

#include "weft/memory.h"

/* The table that weft_memory_set() was last given, or the default; each slot is there. thread: as weft_memory_set() */
struct weft_memory memory_get(void);

#endif
