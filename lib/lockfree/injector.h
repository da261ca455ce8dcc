/*
 * Injector: stealable work that no loop's ring has: from threads outside, and what a full ring spills. One for a crew of workers.
 *
 * Pushers put works on `incoming`, a stack, by one compare-and-swap. Takers share a list, oldest first, under a lock that nobody waits
 * for: whoever holds it brings home what has come in, in order, and takes some; whoever does not get it looks elsewhere, and the holder
 * sees to what is left. So a push never waits, and there is no bound.
 *
 *     push ──▶ incoming (newest first) ──▶ list (oldest first, under `lock`) ──▶ injector_take()
 *
 *     incoming:  0 EMPTY · 3 CLOSED, for ever: pushes are refused · else the newest work
 */
#ifndef LIB_LOCKFREE_INJECTOR_H
#define LIB_LOCKFREE_INJECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lockfree/trylock.h"
#include "weft/atomic.h"
#include "weft/work.h"

/* What `incoming` is while it is no work. */
#define INJECTOR_EMPTY  ((struct weft_work *)0)
#define INJECTOR_CLOSED ((struct weft_work *)3)

struct injector {
    struct weft_work *incoming __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* atomic */
    uint32_t visitors; /* atomic: the crew's; here, since whoever writes it writes `incoming` too (see lib/sched/crew.c) */
    struct trylock lock __attribute__((aligned(WEFT_CACHE_LINE_BYTES)));
    uint64_t list_count; /* atomic: of `list`; written under the lock */
    struct weft_work_list list;
};

/*
 * Make `injector` empty and open.
 *
 * thread:  before it is shared
 */
void injector_init(struct injector *injector);

/*
 * Push the chain `first` … `last`, in the order in which it shall run. Sequentially consistent, as ring_push().
 *
 * thread:  any, signal handlers too
 * memory:  the works are the injector's
 * returns: false if it is closed: the chain is the caller's again, as it was
 */
bool injector_push(struct injector *injector, struct weft_work *first, struct weft_work *last);

/*
 * Take up to `max` of the oldest and append them to `list`.
 *
 * thread:  any
 * returns: how many; 0 also if another takes at this moment
 */
size_t injector_take(struct injector *injector, size_t max, struct weft_work_list *list);

/*
 * Refuse pushes from now on and hand out what is left.
 *
 * thread:  one that knows that nobody takes any more; pushers may still try
 */
void injector_close(struct injector *injector, struct weft_work_list *list);

/*
 * True if a take would find nothing, at some moment during the call. Sequentially consistent, as ring_count().
 *
 * thread:  any
 */
bool injector_is_empty(const struct injector *injector);

/* True if something was pushed that no taker has brought in: a hint. thread: any */
static inline bool injector_has_incoming(const struct injector *injector)
{
    struct weft_work *head = weft_atomic_load_relaxed(&injector->incoming);
    return head != INJECTOR_EMPTY && head != INJECTOR_CLOSED;
}

/*
 * How many are there, without those that have just come in and one of them for all of these: a hint for how many to take.
 *
 * thread:  any
 */
static inline size_t injector_count_hint(const struct injector *injector)
{
    return (size_t)weft_atomic_load_relaxed(&injector->list_count) + (injector_has_incoming(injector) ? 1 : 0);
}

#endif
