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
    struct weft_work end; /* for whoever asked as the last child ended */
    uint32_t cancel_word; /* atomic, since cancel may come from any thread: how many are asking the children, and the bits below */
    struct weft_gather_item *items;
    struct gather_child *children;
};

/*
 * Bits of the word. The last child leaves the end to whoever still asks, since it takes his answer to know it. One who begins to ask later
 * has nothing to say.
 */
#define ACCEPTED (UINT32_C(1) << 30) /* a child has taken a cancel */
#define LEFT     (UINT32_C(1) << 31) /* the end waits for the last one who asks */
#define ASKING   (ACCEPTED - 1)

/* What a child's callback gets: which one it is. */
struct gather_child {
    struct gather *gather;
    struct weft_future *future; /* a reference */
};

static void gather_destroy(struct weft_future *future);
static bool gather_cancel(struct weft_future *future, const char *message);

static const struct weft_future_ops gather_ops = {.size = sizeof(gather_ops), .cancel = gather_cancel, .destroy = gather_destroy};

/* The last child, if that is a gathering: a chain of such is walked in a loop, however long it is. */
static struct gather *gather_tail(const struct gather *gather)
{
    struct weft_future *last = gather->count == 0 ? NULL : gather->children[gather->count - 1].future;
    return last == NULL || last->ops != &gather_ops ? NULL : weft_container_of(last, struct gather, future);
}

/* Let go of the children; returns the tail if that was its end, and it is for the caller to free. */
static struct gather *gather_free(struct gather *gather)
{
    struct gather *tail = gather->children == NULL ? NULL : gather_tail(gather);
    for (size_t i = 0; gather->children != NULL && i < gather->count - (tail != NULL); i++)
        weft_future_unref(gather->children[i].future);
    if (tail != NULL && future_unref_last(&tail->future))
        weft_future_fini(&tail->future);
    else
        tail = NULL;
    weft_free(gather->children);
    weft_free(gather->items);
    weft_free(gather);
    return tail;
}

static void gather_destroy(struct weft_future *future)
{
    struct gather *gather = weft_container_of(future, struct gather, future);
    while (gather != NULL)
        gather = gather_free(gather);
}

/* Cancel the first `count` children. */
static bool cancel_children(struct gather *gather, size_t count, const char *message)
{
    bool is_accepted = false;
    for (size_t i = 0; i < count; i++)
        if (!weft_future_done(gather->children[i].future))
            is_accepted |= weft_future_cancel(gather->children[i].future, message);
    return is_accepted;
}

static void gather_complete(struct gather *gather, bool is_cancelled)
{
    (void)future_complete(&gather->future, FUTURE_FINISHED, is_cancelled ? -ECANCELED : 0, is_cancelled ? NULL : gather->items);
}

static int gather_end(struct weft_work *work)
{
    struct gather *gather = weft_container_of(work, struct gather, end);
    gather_complete(gather, (weft_atomic_load_relaxed(&gather->cancel_word) & ACCEPTED) != 0);
    weft_future_unref(&gather->future);
    return 0;
}

/* This one has his answer. The last of those who ask ends what waited for that, on the loop. */
static void ask_no_more(struct gather *gather, bool is_accepted)
{
    if (is_accepted)
        (void)weft_atomic_or_relaxed(&gather->cancel_word, ACCEPTED);
    uint32_t before = weft_atomic_sub_relaxed(&gather->cancel_word, 1);
    if ((before & LEFT) == 0 || (before & ASKING) != 1)
        return;
    if ((weft_atomic_and_relaxed(&gather->cancel_word, ~LEFT) & LEFT) == 0) /* another came and went meanwhile */
        return;
    weft_future_ref(&gather->future);
    gather->end.run = gather_end;
    work_ready(&gather->future.loop->worker, &gather->end);
}

static bool gather_cancel(struct weft_future *future, const char *message)
{
    struct gather *first = weft_container_of(future, struct gather, future), *gather = first;
    size_t depth = 0, taken = 0; /* a child that accepts has done so for all the gatherings above it, too */
    while (gather != NULL && !weft_future_done(&gather->future)) {
        (void)weft_atomic_add_relaxed(&gather->cancel_word, 1);
        depth++;
        struct gather *tail = gather_tail(gather);
        if (cancel_children(gather, gather->count - (tail != NULL), message))
            taken = depth;
        gather = tail;
    }
    gather = first;
    for (size_t i = 0; i < depth; i++) {
        struct gather *tail = gather_tail(gather); /* kept by the first one, which is the caller's */
        ask_no_more(gather, i < taken);
        gather = tail;
    }
    return taken > 0;
}

static void gather_finish(struct gather *gather)
{
    uint32_t word = weft_atomic_load_relaxed(&gather->cancel_word);
    while ((word & ACCEPTED) == 0 && (word & ASKING) != 0)
        if (weft_atomic_cas_relaxed(&gather->cancel_word, &word, word | LEFT))
            return;
    gather_complete(gather, (word & ACCEPTED) != 0);
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
