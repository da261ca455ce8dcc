/*
 * Stacks: memory for fibers to run on, guarded against overflow, pooled per loop.
 *
 *     struct stack_pool pool;
 *     stack_pool_init(&pool, NULL);
 *     struct stack *stack;
 *     int status = stack_acquire(&pool, STACK_SMALL, &stack);
 *     stack_context_init(stack, &fiber, entry, arg);      and when the fiber has been left for good:
 *     stack_release(&pool, stack);
 *     CHECK_EQ(stack_pool_fini(&pool), 0);
 *
 * A slab is one mapping with many stacks of a class. Below each lies a guard, wide because code built without stack-clash protection
 * jumps over a narrow one:
 *
 *     | guard 64 KiB | stack of one class | guard 64 KiB | stack of one class | …
 *                    ^ low                ^ low + bytes, give or take a colour of under 1 KiB
 *
 * What the pool knows about a stack lies beside the slab, so a stack that nobody ran on has no page. A stack is live from acquire to
 * release; then warm, ready to be used again with the pages it has; or cold, with no page left. Stacks go warm as they are released and
 * cold when they have not been needed for as many releases as there are stacks, or by stack_pool_trim().
 */
#ifndef LIB_TASK_STACK_H
#define LIB_TASK_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/task/fiber_switch.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STACK_GUARD_BYTES ((size_t)64 << 10)

/* By usable size; the numbers are those of enum weft_stack_class. */
enum stack_class {
    STACK_SMALL = 0,  /* 64 KiB */
    STACK_MEDIUM = 1, /* 1 MiB */
    STACK_LARGE = 2,  /* 8 MiB */
    STACK_CLASS_COUNT
};

/* How a guard is made. */
enum stack_guard {
    STACK_GUARD_MARKED,    /* by MADV_GUARD_INSTALL: costs no mapping, so any number of stacks can have one */
    STACK_GUARD_PROTECTED, /* by mprotect: two mappings a stack, so vm.max_map_count limits their number */
    STACK_GUARD_NONE,      /* only where options allow it */
};

struct stack_slab;

/* One stack. `low` and `bytes` are what a fiber may use; the rest is the pool's. */
struct stack {
    void *low;
    size_t bytes;
    struct stack *next;
    struct stack *prev;
    struct stack_slab *slab;
    void *tsan_fiber;    /* kept as long as the stack; NULL outside ThreadSanitizer */
    uintptr_t shadow_id; /* valgrind's */
    uint32_t use_count;
    uint8_t stack_class;
    uint8_t guard;
    bool is_live;
};

/* The system calls of a pool, so that a test can make them fail. Called by the pool's owner; each returns 0 or -errno. */
struct stack_system {
    int (*map)(size_t bytes, void **addr_out);           /* mmap: reserve zeroed memory. A failure is tried again with fewer bytes */
    int (*unmap)(void *addr, size_t bytes);              /* munmap of a whole mapping. A failure leaks it */
    int (*advise)(void *addr, size_t bytes, int advice); /* madvise: guards, huge pages, pages to drop */
    int (*protect)(void *addr, size_t bytes);            /* mprotect: no access */
};

/* How a pool works. All zero is the default. */
struct stack_options {
    const struct stack_system *system; /* NULL: the kernel's */
    bool allow_unguarded;              /* a stack that cannot be guarded is handed out all the same, instead of -ENOMEM */
};

/* The stacks of one class in a pool. */
struct stack_bin {
    struct stack_slab *roomy;  /* slabs with a cold stack or one never used */
    struct stack_slab *full;   /* slabs without */
    struct stack *warm_newest; /* used first */
    struct stack *warm_oldest; /* trimmed first */
    size_t warm_count;
    size_t warm_min;      /* in this epoch: so many were not needed */
    size_t surplus_count; /* were not needed in the epoch before: one goes cold with each release */
    size_t epoch_count;   /* releases since the epoch began */
    size_t stack_count;   /* in all slabs */
    size_t live_count;
};

/* One loop's stacks. Embedded; may not move. */
struct stack_pool {
    struct stack_bin bins[STACK_CLASS_COUNT];
    const struct stack_system *system;
    bool allow_unguarded;
    bool marks_probed;
    bool marks_fail;        /* this kernel marks no guards, or not in locked memory, or only says that it does */
    struct stack *returned; /* by other threads: pushed by stack_release_remote(), taken whole by the owner */
};

/*
 * Make `pool` an empty pool. NULL options are the default. No system call is made before the first acquire.
 *
 * thread:  the one that owns the pool from then on, or before start
 * memory:  options are copied, their `system` stays borrowed
 */
void stack_pool_init(struct stack_pool *pool, const struct stack_options *options);

/*
 * Free the memory of `pool`. Slabs that still have a live stack stay, so that nothing is pulled from under a fiber; calling again once
 * those are released frees them too. Accepts NULL.
 *
 * thread:  the owner, or after stop
 * returns: the number of live stacks: anything but 0 is somebody's leak
 */
size_t stack_pool_fini(struct stack_pool *pool);

/*
 * Take a stack of `stack_class`. What is on it is undefined: one that was used before is handed out as it is.
 *
 * thread:  the owner
 * memory:  the caller's until released; memory comes in slabs of about 32 MiB of address space, of which a page counts when touched
 * returns: 0; -ENOMEM when out of memory, of mappings to guard with, or of address space
 */
int stack_acquire(struct stack_pool *pool, enum stack_class stack_class, struct stack **stack_out);

/*
 * Give `stack` back to `pool`, which it came from. Nobody may run on it any more: a fiber that ends is released from the stack that it
 * left to.
 *
 * thread:  the owner
 * memory:  `stack` is gone; allocates nothing, and may give memory of unused stacks back to the kernel
 */
void stack_release(struct stack_pool *pool, struct stack *stack);

/*
 * The same from another thread. The stack counts as live until the owner next looks, which it does when it needs one, when it counts,
 * and in trim and fini.
 *
 * thread:  any; the pool must be there
 * memory:  `stack` is gone; allocates nothing
 */
void stack_release_remote(struct stack *stack);

/*
 * Give the memory of up to `count_max` warm stacks back to the kernel, those unused for longest first. About 1 µs each: a loop calls it
 * in small portions when it has nothing else to do.
 *
 * thread:  the owner
 * returns: how many went cold; less than `count_max` means that none is left
 */
size_t stack_pool_trim(struct stack_pool *pool, size_t count_max);

/*
 * Count the live stacks of all classes.
 *
 * thread:  the owner, or after stop
 */
size_t stack_pool_live_count(struct stack_pool *pool);

/*
 * Say how `stack` is guarded.
 *
 * thread:  any
 */
enum stack_guard stack_guard_kind(const struct stack *stack);

/*
 * Name a way of guarding, for reports: "marked", "protected", "none".
 *
 * thread:  any
 * returns: never NULL
 */
const char *stack_guard_name(enum stack_guard guard);

/*
 * True if `addr` lies in the guard below `stack`: a fault there is an overflow. Safe in a signal handler.
 *
 * thread:  any
 */
bool stack_guard_contains(const struct stack *stack, const void *addr);

/*
 * Make `ctx` a context that will run entry(arg) on `stack`: fiber_context_init(), and the stack's TSan fiber.
 *
 * thread:  any
 * memory:  as fiber_context_init()
 */
static inline void stack_context_init(struct stack *stack, struct fiber_context *ctx, void (*entry)(void *arg), void *arg)
{
    fiber_context_init(ctx, stack->low, stack->bytes, entry, arg);
#if defined(FIBER_TSAN)
    ctx->shadow.fiber = stack->tsan_fiber;
#endif
}

#ifdef __cplusplus
}
#endif

#endif
