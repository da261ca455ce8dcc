/*
 * Injector: pushed to by any thread, taken from by the workers of a crew. The invariant: a work that was accepted is handed out once.
 */
#include "lib/lockfree/injector.h"

void injector_init(struct injector *injector)
{
    static const struct trylock free_lock = TRYLOCK_INIT;
    injector->incoming = INJECTOR_EMPTY;
    injector->visitors = 0;
    injector->lock = free_lock;
    injector->list_count = 0;
    injector->list = (struct weft_work_list){NULL, NULL, 0};
}

/* Turn the chain that begins at `first` around, with `tail` behind it; where it ends then. */
static struct weft_work *turn_around(struct weft_work *first, struct weft_work *tail)
{
    while (first != NULL) {
        struct weft_work *next = first->next;
        first->next = tail;
        tail = first;
        first = next;
    }
    return tail;
}

bool injector_push(struct injector *injector, struct weft_work *first, struct weft_work *last)
{
    last->next = NULL;
    (void)turn_around(first, NULL); /* newest first, as the whole stack is: `last` leads to `first` */
    struct weft_work *head = weft_atomic_load_relaxed(&injector->incoming);
    do {
        if (head == INJECTOR_CLOSED) {
            first->next = NULL;
            (void)turn_around(last, NULL);
            return false;
        }
        first->next = head;
        /* Release: the works. Pairs with the acquire in bring_in(). Seq_cst: Pairs with injector_is_empty() of a loop that parks. */
    } while (!weft_atomic_cas_seq_cst(&injector->incoming, &head, last));
    return true;
}

/* Append what has come in, oldest first. The lock is held. */
static void bring_in(struct injector *injector, struct weft_work *replacement)
{
    /* Pairs with the release in injector_push(). */
    struct weft_work *newest = weft_atomic_exchange_acquire(&injector->incoming, replacement);
    if (newest == INJECTOR_EMPTY || newest == INJECTOR_CLOSED)
        return;
    struct weft_work *work = turn_around(newest, NULL);
    while (work != NULL) {
        struct weft_work *next = work->next;
        weft_work_list_push(&injector->list, work);
        work = next;
    }
}

size_t injector_take(struct injector *injector, size_t max, struct weft_work_list *list)
{
    if (!injector_has_incoming(injector) && weft_atomic_load_relaxed(&injector->list_count) == 0)
        return 0;
    if (!trylock_take(&injector->lock))
        return 0;
    if (injector_has_incoming(injector))
        bring_in(injector, INJECTOR_EMPTY);
    size_t count = 0;
    struct weft_work *work;
    while (count < max && (work = weft_work_list_pop(&injector->list)) != NULL) {
        weft_work_list_push(list, work);
        count++;
    }
    /* Seq_cst: who leaves some looks next at who is parked. Pairs with injector_is_empty() of a loop that parks. */
    weft_atomic_store_seq_cst(&injector->list_count, injector->list.count);
    trylock_leave(&injector->lock);
    return count;
}

void injector_close(struct injector *injector, struct weft_work_list *list)
{
    bring_in(injector, INJECTOR_CLOSED);
    weft_work_list_append(list, &injector->list);
    weft_atomic_store_relaxed(&injector->list_count, 0);
}

bool injector_is_empty(const struct injector *injector)
{
    /* Incoming first: what leaves it is in the list before the lock is let go, and a taker who holds it answers for it. Pairs with
     * the compare-and-swap in injector_push(). */
    struct weft_work *head = weft_atomic_load_seq_cst(&injector->incoming);
    return (head == INJECTOR_EMPTY || head == INJECTOR_CLOSED) && weft_atomic_load_seq_cst(&injector->list_count) == 0;
}
