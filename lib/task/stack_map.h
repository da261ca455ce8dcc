/*
 * Stack map: whose guard is this address in? Asked by a signal handler, in a process where anything may just have gone wrong.
 *
 * Each slab of stacks (lib/task/stack.c) is entered as it is mapped and taken out before it is unmapped. An address tells its place by
 * arithmetic alone: no stack, slab or pool is looked at. A slab lies so:
 *
 *     base → | guard | stack 0 | guard | stack 1 | …
 */
#ifndef LIB_TASK_STACK_MAP_H
#define LIB_TASK_STACK_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where an address lies. */
struct stack_place {
    uintptr_t slab;     /* its base, which tells slabs apart */
    size_t index;       /* of the stack */
    size_t stack_bytes; /* of its class */
    uintptr_t low;      /* the lowest address of the stack, where its guard ends */
    bool is_guard;      /* the address lies in the guard below the stack */
};

/*
 * Enter `count` stacks of `stack_bytes` each from `base` up, each behind a guard of `guard_bytes`. Where there is no place left for it
 * the slab is not entered, and not found.
 *
 * thread:  any
 * memory:  allocates nothing
 */
void stack_map_add(const void *base, size_t guard_bytes, size_t stack_bytes, size_t count);

/*
 * Take out what was entered at `base`, if it was.
 *
 * thread:  any, before the memory is somebody else's
 */
void stack_map_remove(const void *base);

/*
 * Find the place of `addr`. Safe in a signal handler: no lock, no allocation. Certain for a slab that nobody takes out meanwhile, as one
 * that the caller runs on.
 *
 * thread:  any
 * returns: false if it lies in no slab
 */
bool stack_map_find(uintptr_t addr, struct stack_place *place_out);

#endif
