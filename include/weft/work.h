/*
 * Work: a link and a function, the one shape of everything that can be queued.
 *
 * Handles, task steps, waiters and finished operations all start with a `weft_work`, so that every queue of the house is a chain of
 * them and no queue allocates. A work is in at most one queue at a time; whoever queued it leaves it alone until its function is
 * called. The function gets the work back and finds its object around it with weft_container_of().
 */
#ifndef WEFT_WORK_H
#define WEFT_WORK_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_work;

/*
 * Run what `work` stands for.
 *
 * thread:  the loop whose queue `work` was in; for stealable work, whichever loop took it
 * memory:  `work` is in no queue any more and may be queued again, or freed, from in here
 * returns: 0; a fatal status (see weft_status_is_fatal()) to make the loop that runs it return at once
 */
typedef int weft_work_fn(struct weft_work *work);

struct weft_work {
    struct weft_work *next;
    weft_work_fn *run;
};

/*
 * A chain of works, first in first out, owned by one thread.
 *
 *      head ──> work ──> work ──> work ──> NULL
 *                                  ^ tail
 *
 * All zero is an empty list. `tail` means nothing while `head` is NULL.
 */
struct weft_work_list {
    struct weft_work *head;
    struct weft_work *tail;
    size_t count;
};

/*
 * Tell whether `list` holds nothing.
 *
 * thread:  the owner of `list`
 */
static inline bool weft_work_list_is_empty(const struct weft_work_list *list)
{
    return list->head == NULL;
}

/*
 * Push `work` behind all that is in `list`.
 *
 * thread:  the owner of `list`
 * memory:  `work` is borrowed until it is popped
 */
static inline void weft_work_list_push(struct weft_work_list *list, struct weft_work *work)
{
    work->next = NULL;
    if (list->head == NULL)
        list->head = work;
    else
        list->tail->next = work;
    list->tail = work;
    list->count++;
}

/*
 * Append all of `more` behind what is in `list`, in one step, and leave `more` empty.
 *
 * thread:  the owner of both lists
 */
static inline void weft_work_list_append(struct weft_work_list *list, struct weft_work_list *more)
{
    if (more->head == NULL)
        return;
    if (list->head == NULL)
        list->head = more->head;
    else
        list->tail->next = more->head;
    list->tail = more->tail;
    list->count += more->count;
    more->head = NULL;
    more->tail = NULL;
    more->count = 0;
}

/*
 * Pop the oldest work of `list`; its `next` is NULL then.
 *
 * thread:  the owner of `list`
 * returns: the work; NULL if there is none
 */
static inline struct weft_work *weft_work_list_pop(struct weft_work_list *list)
{
    struct weft_work *work = list->head;
    if (work != NULL) {
        list->head = work->next;
        list->count--;
        work->next = NULL;
    }
    return work;
}

/* The object of type `type` whose member `member` is at `ptr`. */
#define weft_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#ifdef __cplusplus
}
#endif

#endif
