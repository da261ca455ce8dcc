/*
 * Fork: who has to be told that a process has become two.
 *
 * A child has a copy of everything and one thread: the one that called fork(). What belonged to other threads lies there as it was at that
 * moment, perhaps in the middle of a change, and what the kernel keeps for both (descriptors above all) is still one. So whoever has threads
 * or such things is told in the child, and marks them as not to be used.
 *
 *     static struct fork_watch watch = {.forked = forget_it};
 *     int status = fork_watch_add(&watch);
 *
 * Only fork() tells: vfork(), posix_spawn() and a bare clone() do not, and need not, as long as the child does nothing but exec.
 */
#ifndef LIB_BASE_FORK_H
#define LIB_BASE_FORK_H

#include <stdbool.h>

/* Embedded in what is to be told. A NULL call is left out. */
struct fork_watch {
    struct fork_watch *next;
    struct fork_watch *prev;
    void (*before)(struct fork_watch *watch); /* in the forking thread: take the lock that nobody else shall hold at that moment */
    void (*after)(struct fork_watch *watch);  /* in both processes: give it back */
    void (*forked)(struct fork_watch *watch); /* in the child, after all of these; it allocates nothing, and takes no lock */
    bool is_kept; /* for good: stays in the list even if adding says -ENOMEM, and is told once another could be added */
};

/*
 * Have `watch` told of each fork from now on. One that was refused for lack of memory may be tried again.
 *
 * thread:  any, without a lock that a `before` takes
 * memory:  borrowed until fork_watch_remove()
 * returns: 0; -ENOMEM
 */
int fork_watch_add(struct fork_watch *watch);

/*
 * Tell it no more.
 *
 * thread:  any, likewise
 */
void fork_watch_remove(struct fork_watch *watch);

#endif
