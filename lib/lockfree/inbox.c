/*
 * Inbox: the parts of it that are not worth inlining. What the word means, and why it is enough, is in inbox.h.
 *
 * Called by the consumer (take, close) and, to turn a chain of several works around, by producers. Invariant: a list that hangs on
 * `head` is linked newest first and ends with NULL; whoever detached it has it alone.
 */
#include "lib/lockfree/inbox.h"

void inbox_init(struct inbox *inbox)
{
    inbox->head = INBOX_HEAD_EMPTY;
    inbox->reserved = 0;
}

void inbox_reverse(struct weft_work *first, struct weft_work *last, struct weft_work *tail)
{
    struct weft_work *work = first;
    struct weft_work *behind = tail;
    while (work != last) {
        struct weft_work *next = work->next;
        work->next = behind;
        behind = work;
        work = next;
    }
    last->next = behind;
}

static struct inbox_batch batch_of(struct weft_work *newest)
{
    struct inbox_batch batch = {NULL, newest, 0};
    struct weft_work *work = newest;
    while (work != NULL) {
        struct weft_work *older = work->next;
        work->next = batch.first;
        batch.first = work;
        batch.count++;
        work = older;
    }
    return batch;
}

struct inbox_batch inbox_take_all(struct inbox *inbox)
{
    /* Pairs with the release of each inbox_push() whose works are in the list. */
    return batch_of(weft_atomic_exchange_acquire(&inbox->head, INBOX_HEAD_EMPTY));
}

struct inbox_batch inbox_close(struct inbox *inbox)
{
    /* One exchange takes and shuts: nothing gets between. Acquire: the works. Pairs with the release of each inbox_push() whose works are
     * in the list. Release: what the consumer did before. Pairs with the acquire in inbox_is_closed(), which a refused push calls. */
    struct weft_work *head = weft_atomic_exchange_acq_rel(&inbox->head, INBOX_HEAD_CLOSED);
    return batch_of(inbox_head_is_work(head) ? head : NULL);
}
