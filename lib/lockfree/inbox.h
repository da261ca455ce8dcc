/*
 * Inbox: how any thread hands work to one loop, and the whole of how that loop falls asleep and is woken.
 *
 * Many producers push chains of `weft_work`, one consumer (the loop) takes them all at once, in order. The inbox knows no thread and
 * makes no system call: park only says that the consumer is about to sleep, and a push that finds it so tells its caller that it owes
 * one wake-up. Life cycle: inbox_init → push from anywhere, take/park/unpark by the consumer → inbox_close; there is nothing to free.
 *
 *     consumer                                   producer
 *         batch = inbox_take(inbox)                  switch (inbox_push(inbox, work, work)) {
 *         if (batch.count == 0 && inbox_park(inbox)) {   case INBOX_PUSHED: break;
 *             if (!anything_elsewhere())                 case INBOX_PUSHED_WAKE: wake(consumer); break;
 *                 sleep_until_woken_or_timeout();        case INBOX_CLOSED: refuse(work); break;
 *             inbox_unpark(inbox);                   }
 *         }
 *
 * THE STATE WORD. Everything is in `head`:
 *
 *     0  EMPTY    nothing is here and the consumer is awake     set by take, unpark, poke
 *     1  PARKED   nothing is here and the consumer sleeps, or   set by park (only from EMPTY); cleared by whoever pushes or pokes,
 *                 will unless it unparks first                  who then owes exactly one wake-up, or by the consumer's unpark
 *     3  CLOSED   pushes are refused, for ever                  set by close; never cleared
 *     else        the newest work; `next` leads to older ones   set by push; cleared by take and close
 *
 *                      push                     push, owing a wake-up
 *         EMPTY ----------------> newest → … <---------------------- PARKED
 *          | ^ ^                     | take                            ^  |
 *          | | +---------------------+                                 |  |
 *          | +-------------- unpark; poke, owing a wake-up ------------|--+
 *          +---------------- park -------------------------------------+
 *
 * WHY THERE IS NO FENCE. The classic lost wake-up needs two words: the producer writes the queue and then reads "is it parked?", the
 * consumer writes "parked" and then reads the queue, and both reads may pass the writes before them. Here the queue and the flag are
 * one word, and each side changes it with one read-modify-write, so that its modification order decides: either the push comes first
 * and park finds a pointer and fails, or park comes first and the push finds PARKED and owes the wake-up. There is no third order.
 * The same reasoning covers flags outside the word (stop, work to steal), because poke writes the word even when it changes nothing:
 * a poke before the park is read by it, so that the consumer sees the poker's flag once inbox_park() has returned; a poke after the
 * park finds PARKED. So: set the flag, then poke; park, then look at the flag.
 *
 * A wake-up may come late, when the consumer has found its work already and even parked again; sleeping must tolerate that.
 *
 * thread:  each call says; no call blocks, allocates, or calls out, and all are safe in a signal handler
 * memory:  works are borrowed from push until take or close returns them; the inbox must outlive every producer's call
 */
#ifndef LIB_LOCKFREE_INBOX_H
#define LIB_LOCKFREE_INBOX_H

#include "weft/atomic.h"
#include "weft/work.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INBOX_HEAD_EMPTY  ((struct weft_work *)0)
#define INBOX_HEAD_PARKED ((struct weft_work *)1)
#define INBOX_HEAD_CLOSED ((struct weft_work *)3)

/*
 * A line each: a consumer that spins looks at the first, and would take it away from a producer between its admission and its push.
 * `reserved` counts the user posts that were admitted and not yet given back: a bound, which orders nothing.
 */
struct inbox {
    struct weft_work *head __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* the state word above; producers and consumer write it */
    uint64_t reserved __attribute__((aligned(WEFT_CACHE_LINE_BYTES)));      /* producers write it, and the consumer now and then */
};

enum inbox_push_result {
    INBOX_PUSHED,      /* delivered; the consumer is awake or somebody else owes the wake-up */
    INBOX_PUSHED_WAKE, /* delivered; the caller owes the consumer exactly one wake-up */
    INBOX_CLOSED,      /* refused; the works are still the caller's */
};

/* Works in the order they were pushed; `last->next` is NULL. With a count of 0 both ends are NULL. */
struct inbox_batch {
    struct weft_work *first;
    struct weft_work *last;
    size_t count;
};

/*
 * Make `inbox` empty and open, with its consumer awake.
 *
 * thread:  before the inbox is shared
 */
void inbox_init(struct inbox *inbox);

/*
 * Push the chain `first` … `last`, linked through `next` in the order in which it shall run. What one thread pushes is taken in that
 * order, a chain as a block. `last->next` need not be set. Whoever gets INBOX_PUSHED_WAKE sees all that the consumer did before it
 * parked, and whoever is refused what it did before it closed. A refused chain comes back linked as it was, and ends with NULL.
 *
 * thread:  any
 * memory:  unless refused, the works belong to the inbox
 * returns: INBOX_PUSHED, INBOX_PUSHED_WAKE or INBOX_CLOSED
 */
static inline enum inbox_push_result inbox_push(struct inbox *inbox, struct weft_work *first, struct weft_work *last);

/*
 * Take everything. Costs one load when there is nothing. Takes nothing from a closed inbox: inbox_close() did.
 *
 * thread:  the consumer
 * memory:  the works are the caller's
 */
static inline struct inbox_batch inbox_take(struct inbox *inbox);

/*
 * Say that the consumer is about to sleep. False, and nothing changed, if works are here or the inbox is closed. After true the
 * consumer may look once more at what it watches outside of the inbox (see poke), sleeps, and calls inbox_unpark().
 *
 * thread:  the consumer
 */
static inline bool inbox_park(struct inbox *inbox);

/*
 * Say that the consumer is awake again, for whatever reason. Works that came meanwhile stay for inbox_take().
 *
 * thread:  the consumer, after inbox_park() returned true
 * returns: true if nobody woke it: no wake-up is owed. False if a push or a poke did: its wake-up has come or is still on its way
 */
static inline bool inbox_unpark(struct inbox *inbox);

/*
 * Wake the consumer without giving it work: for stop, and for work that it may steal. Whether it returns true or false, a consumer
 * that parks or has parked sees what the caller wrote before the call, or is woken by it: there is no gap between.
 *
 * thread:  any
 * returns: true if the consumer was parked: the caller owes it exactly one wake-up
 */
static inline bool inbox_poke(struct inbox *inbox);

/*
 * Refuse every later push and take what is left. Each push was either delivered (to an earlier take, or to this one) or is refused.
 * Closing twice returns nothing the second time.
 *
 * thread:  the consumer, awake
 * memory:  the works are the caller's
 */
struct inbox_batch inbox_close(struct inbox *inbox);

/*
 * True if a take would return nothing. One relaxed load: a push that happens before the call is seen, a racing one may be or not.
 *
 * thread:  any
 */
static inline bool inbox_is_empty(const struct inbox *inbox);

/*
 * True if the inbox is closed, which it then stays; the caller sees what the consumer did before it closed.
 *
 * thread:  any
 */
static inline bool inbox_is_closed(const struct inbox *inbox);

/*
 * True if the consumer has parked and nobody woke it since. A hint: it may be stale in both directions.
 *
 * thread:  any
 */
static inline bool inbox_is_parked(const struct inbox *inbox);

/*
 * As inbox_is_parked(), but a true is exact: the consumer is parked, or has been woken since, and once its inbox_unpark() has returned it
 * sees what the caller wrote before. As with a poke there is no gap between, but nobody is woken.
 *
 * thread:  any
 */
static inline bool inbox_confirm_parked(struct inbox *inbox);

/*
 * Admit `n` user posts, if fewer than `max` are admitted. Internal wake-ups do not ask, and so are never refused for fullness. Never
 * admits more than `max` at once, or the last `n` end beyond it; refuses below `max` only while others that race for the last places are
 * being refused.
 *
 * thread:  any
 * returns: true if admitted: the caller pushes, and if the push is refused, unreserves
 */
static inline bool inbox_reserve(struct inbox *inbox, uint64_t n, uint64_t max);

/*
 * True if inbox_reserve() would refuse now. Costs one load.
 *
 * thread:  any
 */
static inline bool inbox_is_full(const struct inbox *inbox, uint64_t max);

/*
 * Give back `n` admissions, when as many user posts have been taken (or refused as closed).
 *
 * thread:  any
 */
static inline void inbox_unreserve(struct inbox *inbox, uint64_t n);

/* Turn the chain `first` … `last` around, so that it starts with `last`; `tail` follows `first`. Not shared yet, or no longer. */
void inbox_reverse(struct weft_work *first, struct weft_work *last, struct weft_work *tail);

/* The out-of-line part of inbox_take(): there is something to take. */
struct inbox_batch inbox_take_all(struct inbox *inbox);

static inline bool inbox_head_is_work(const struct weft_work *head)
{
    return (uintptr_t)head > (uintptr_t)INBOX_HEAD_CLOSED;
}

static inline bool inbox_is_closed(const struct inbox *inbox)
{
    /* Pairs with the release in inbox_close(). */
    return weft_atomic_load_acquire(&inbox->head) == INBOX_HEAD_CLOSED;
}

static inline enum inbox_push_result inbox_push(struct inbox *inbox, struct weft_work *first, struct weft_work *last)
{
    if (first != last)
        inbox_reverse(first, last, NULL); /* newest first, as the whole list is: from here on `last` leads to `first` */
    weft_atomic_fetch_line(&inbox->head);
    struct weft_work *head = weft_atomic_load_relaxed(&inbox->head);
    do {
        if (head == INBOX_HEAD_CLOSED) {
            inbox_reverse(last, first, NULL);
            (void)inbox_is_closed(inbox); /* for its acquire */
            return INBOX_CLOSED;
        }
        first->next = inbox_head_is_work(head) ? head : NULL;
        /* Release: the works' contents. Pairs with the acquire in inbox_take_all() and inbox_close(), also through later pushes, which
         * are read-modify-writes and so carry on this one's release sequence. Acquire, for who replaces PARKED: Pairs with the
         * release in inbox_park(). */
    } while (!weft_atomic_cas_acq_rel(&inbox->head, &head, last));
    return head == INBOX_HEAD_PARKED ? INBOX_PUSHED_WAKE : INBOX_PUSHED;
}

static inline struct inbox_batch inbox_take(struct inbox *inbox)
{
    /* Relaxed is enough to decide: only the consumer turns a pointer into something else, and the exchange below acquires. */
    if (inbox_head_is_work(weft_atomic_load_relaxed(&inbox->head)))
        return inbox_take_all(inbox);
    struct inbox_batch nothing = {NULL, NULL, 0};
    return nothing;
}

static inline bool inbox_park(struct inbox *inbox)
{
    struct weft_work *head = INBOX_HEAD_EMPTY;
    /* Release: what the consumer leaves for its waker. Pairs with the acquire in inbox_push() and inbox_poke(). Acquire: a poke that came
     * just before has written EMPTY over EMPTY. Pairs with the release in inbox_poke(), so that its flag is seen after this. */
    return weft_atomic_cas_acq_rel(&inbox->head, &head, INBOX_HEAD_PARKED);
}

static inline bool inbox_unpark(struct inbox *inbox)
{
    struct weft_work *head = INBOX_HEAD_PARKED;
    /* The order matters when it fails: EMPTY was left by a poke, whose flag is to be seen. Pairs with the release in inbox_poke(). */
    return weft_atomic_cas_acq_rel(&inbox->head, &head, INBOX_HEAD_EMPTY);
}

static inline bool inbox_poke(struct inbox *inbox)
{
    struct weft_work *head = weft_atomic_load_relaxed(&inbox->head);
    struct weft_work *desired;
    do {
        desired = head == INBOX_HEAD_PARKED ? INBOX_HEAD_EMPTY : head;
        /* Written even if it stays the same: a mere load could pass the caller's store of its flag, and the wake-up would be lost.
         * Release: the flag. Pairs with the acquire in inbox_park() and inbox_unpark(). Acquire: Pairs with the release in
         * inbox_park(), as in inbox_push(). */
    } while (!weft_atomic_cas_acq_rel(&inbox->head, &head, desired));
    return head == INBOX_HEAD_PARKED;
}

static inline bool inbox_is_empty(const struct inbox *inbox)
{
    return !inbox_head_is_work(weft_atomic_load_relaxed(&inbox->head));
}

static inline bool inbox_is_parked(const struct inbox *inbox)
{
    return weft_atomic_load_relaxed(&inbox->head) == INBOX_HEAD_PARKED;
}

static inline bool inbox_confirm_parked(struct inbox *inbox)
{
    struct weft_work *head = INBOX_HEAD_PARKED;
    /* Written though it stays the same, as in inbox_poke(). Release: the caller's flag. Pairs with the acquire in inbox_unpark(), also through
     * the push or poke that comes between, which is a read-modify-write. */
    return weft_atomic_cas_release(&inbox->head, &head, INBOX_HEAD_PARKED);
}

static inline bool inbox_is_full(const struct inbox *inbox, uint64_t max)
{
    return weft_atomic_load_relaxed(&inbox->reserved) >= max;
}

static inline bool inbox_reserve(struct inbox *inbox, uint64_t n, uint64_t max)
{
    /* Add and take back rather than compare and swap: it is cheaper, and refused ones do not write the line at all. */
    if (inbox_is_full(inbox, max))
        return false;
    if (weft_atomic_add_relaxed(&inbox->reserved, n) < max)
        return true;
    (void)weft_atomic_sub_relaxed(&inbox->reserved, n);
    return false;
}

static inline void inbox_unreserve(struct inbox *inbox, uint64_t n)
{
    (void)weft_atomic_sub_relaxed(&inbox->reserved, n);
}

#ifdef __cplusplus
}
#endif

#endif
