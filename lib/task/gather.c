/*
 * Gather: counts its children down and keeps how each ended.
 *
 * Children complete anywhere; their callbacks run on the gathering loop, so that the items and the count have one writer. Each child's
 * callback holds a reference to the gathering future, and the array of children is dropped with the last of them.
 */
#include "weft/gather.h"

#include <errno.h>

#include "lib/loop/loop.h"
#include "lib/task/future.h"
#include "weft/atomic.h"
#include "weft/memory.h"

struct gather {
    struct weft_future future; /* first */
    size_t count;
    size_t left;
    uint32_t flags;
    uint32_t cancel_word; /* atomic, since cancel may come from any thread: how many a child accepted, or may; and FINISHED */
    struct weft_gather_item *items;
    struct gather_child *children;
};

/* Bit of the word: its count has been looked at, once and for all. Each side changes the word, so one of them sees the other. */
#define FINISHED (UINT32_C(1) << 31)

/* What a child's callback gets: which one it is. */
struct gather_child {
    struct gather *gather;
    struct weft_future *future; /* a reference */
};

static void gather_destroy(struct weft_future *future)
{
    struct gather *gather = weft_container_of(future, struct gather, future);
    for (size_t i = 0; gather->children != NULL && i < gather->count; i++)
        weft_future_unref(gather->children[i].future);
    weft_free(gather->children);
    weft_free(gather->items);
    weft_free(gather);
}

static bool gather_cancel(struct weft_future *future, const char *message)
{
    struct gather *gather = weft_container_of(future, struct gather, future);
    bool is_accepted = false;
    if ((weft_atomic_add_relaxed(&gather->cancel_word, 1) & FINISHED) != 0) /* first: the last child may end it before this returns */
        return false;
    for (size_t i = 0; i < gather->count; i++)
        if (!weft_future_done(gather->children[i].future))
            is_accepted |= weft_future_cancel(gather->children[i].future, message);
    if (is_accepted)
        return true;
    /* It was nobody's; but if the gathering has ended meanwhile it did so as cancelled, on our word. */
    return (weft_atomic_sub_relaxed(&gather->cancel_word, 1) & FINISHED) != 0;
}

static const struct weft_future_ops gather_ops = {.size = sizeof(gather_ops), .cancel = gather_cancel, .destroy = gather_destroy};

static void gather_finish(struct gather *gather)
{
    if (weft_atomic_or_relaxed(&gather->cancel_word, FINISHED) > 0)
        (void)future_complete(&gather->future, FUTURE_FINISHED, -ECANCELED, NULL);
    else
        (void)future_complete(&gather->future, FUTURE_FINISHED, 0, gather->items);
}

static int child_done(struct weft_future *future, void *arg)
{
    struct gather_child *child = arg;
    struct gather *gather = child->gather;
    struct weft_gather_item *item = &gather->items[child - gather->children];
    item->status = weft_future_result(future, &item->value);
    bool is_failure = item->status < 0 && (gather->flags & WEFT_GATHER_RETURN_EXCEPTIONS) == 0;
    gather->left--;
    if (is_failure)
        (void)future_complete(&gather->future, FUTURE_FINISHED, item->status, NULL);
    else if (gather->left == 0)
        gather_finish(gather);
    return 0;
}

static void child_released(void *arg)
{
    weft_future_unref(&((struct gather_child *)arg)->gather->future);
}

static struct gather *gather_make(struct weft_loop *loop, struct weft_future *const *futures, size_t count, uint32_t flags)
{
    struct gather *gather = weft_calloc(1, sizeof(*gather));
    if (gather == NULL)
        return NULL;
    gather->items = weft_calloc(count + 1, sizeof(*gather->items));
    gather->children = weft_calloc(count + 1, sizeof(*gather->children));
    if (gather->items == NULL || gather->children == NULL) {
        weft_free(gather->children);
        weft_free(gather->items);
        weft_free(gather);
        return NULL;
    }
    future_setup(&gather->future, loop, &gather_ops, 0);
    gather->count = gather->left = count;
    gather->flags = flags;
    for (size_t i = 0; i < count; i++)
        gather->children[i] = (struct gather_child){gather, weft_future_ref(futures[i])};
    return gather;
}

/* Hang on every child, or on none. */
static int gather_watch(struct gather *gather)
{
    for (size_t i = 0; i < gather->count; i++) {
        struct gather_child *child = &gather->children[i];
        struct future_callback callback = {child_done, child, NULL, child_released};
        weft_future_ref(&gather->future);
        if (future_add_callback_on(child->future, gather->future.loop, &callback) == 0)
            continue;
        weft_future_unref(&gather->future);
        (void)future_complete(&gather->future, FUTURE_FINISHED, 0, NULL);
        while (i-- > 0) /* those that are queued already find nobody to tell, and let go */
            (void)weft_future_remove_done_callback(gather->children[i].future, child_done, &gather->children[i]);
        return -ENOMEM;
    }
    return 0;
}

int weft_gather(struct weft_loop *loop, struct weft_future *const *futures, size_t count, uint32_t flags, struct weft_future **gather_out)
{
    if (loop == NULL || gather_out == NULL || (futures == NULL && count > 0) || (flags & ~WEFT_GATHER_RETURN_EXCEPTIONS) != 0)
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (futures[i] == NULL)
            return -EINVAL;
    struct gather *gather = gather_make(loop, futures, count, flags);
    if (gather == NULL)
        return -ENOMEM;
    int status = gather_watch(gather);
    if (status < 0) {
        weft_future_unref(&gather->future);
        return status;
    }
    if (count == 0)
        gather_finish(gather);
    *gather_out = &gather->future;
    return 0;
}
