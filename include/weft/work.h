/*
 * Work: a link and a function, the one shape of everything that can be queued.
 *
 * Handles, task steps, waiters and finished operations all start with a `weft_work`, so that every queue of the house is a chain of
 * them and no queue allocates. A work is in at most one queue at a time; whoever queued it leaves it alone until its function is
 * called. The function gets the work back and finds its object around it with weft_container_of().
 */
#ifndef WEFT_WORK_H
#define WEFT_WORK_H

#include <stddef.h>

struct weft_work;

/*
 * Run what `work` stands for. Returns 0; a fatal status (see weft_status_is_fatal()) to make the loop that runs it return at once.
 */
typedef int weft_work_fn(struct weft_work *work);

struct weft_work {
    struct weft_work *next;
    weft_work_fn *run;
};

/* The object of type `type` whose member `member` is at `ptr`. */
#define weft_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
