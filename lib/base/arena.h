/*
 * Arena: a heap of its own for each loop thread, where the allocator can do that.
 *
 * A loop's thread calls arena_bind() first and arena_unbind() last. Where jemalloc is the program's malloc, what the thread allocates in
 * between comes from an arena that no other loop uses, and its thread cache brings home what others free; elsewhere both do nothing.
 * Arenas cannot be destroyed under memory that still lives, so that a thread's arena is kept and given to the next thread that binds.
 */
#ifndef LIB_BASE_ARENA_H
#define LIB_BASE_ARENA_H

#include <stdbool.h>

/* What a thread has to give back. */
struct arena_binding {
    unsigned arena;
    unsigned arena_before;
    bool is_bound;
};

/*
 * Bind an arena to the calling thread. Without jemalloc, or when it refuses, the thread stays where it is: that is slower, not wrong.
 *
 * thread:  any, which then is the one to unbind
 * returns: true if an arena was bound
 */
bool arena_bind(struct arena_binding *binding);

/*
 * Give the thread's arena to whoever binds next. Memory that came from it stays valid. Does nothing for what is not bound.
 *
 * thread:  the thread that bound `binding`
 */
void arena_unbind(struct arena_binding *binding);

/* How many arenas were ever made here, bound or waiting. thread: any */
unsigned arena_count(void);

#endif
