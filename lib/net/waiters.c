/*
 * Waiters: see the header. The list holds a reference on each future until it completes them all.
 */
#include "lib/net/waiters.h"

#include <errno.h>
#include <stddef.h>

#include "weft/future.h"
#include "weft/memory.h"

struct waiters_node {
    struct waiters_node *next;
    struct weft_future *future;
};

int waiters_add(struct waiters *waiters, struct weft_loop *loop, int is_done, struct weft_future **future_out)
{
    struct weft_future *future;
    int status = weft_loop_create_future(loop, &future);
    if (status < 0)
        return status;
    if (is_done) {
        (void)weft_future_set_result(future, NULL);
        *future_out = future;
        return 0;
    }
    struct waiters_node *node = weft_malloc(sizeof(*node));
    if (node == NULL) {
        weft_future_unref(future);
        return -ENOMEM;
    }
    node->future = weft_future_ref(future);
    node->next = waiters->first;
    waiters->first = node;
    *future_out = future;
    return 0;
}

void waiters_complete(struct waiters *waiters)
{
    struct waiters_node *oldest = NULL;
    while (waiters->first != NULL) {
        struct waiters_node *node = waiters->first;
        waiters->first = node->next;
        node->next = oldest;
        oldest = node;
    }
    while (oldest != NULL) {
        struct waiters_node *node = oldest;
        oldest = node->next;
        (void)weft_future_set_result(node->future, NULL); /* one that was cancelled stays so */
        weft_future_unref(node->future);
        weft_free(node);
    }
}
