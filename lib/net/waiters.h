/*
 * Waiters: futures of several callers who wait for one thing, each with one of its own, so that one's cancel is not the others'.
 */
#ifndef LIB_NET_WAITERS_H
#define LIB_NET_WAITERS_H

struct weft_future;
struct weft_loop;

struct waiters {
    struct waiters_node *first; /* newest first */
};

/* Add a future of `loop`; done already if `is_done`. The caller gets a reference. 0; -ENOMEM. thread: the loop's */
int waiters_add(struct waiters *waiters, struct weft_loop *loop, int is_done, struct weft_future **future_out);

/* Complete all, oldest first, and forget them. Allocates nothing. thread: the loop's */
void waiters_complete(struct waiters *waiters);

#endif
