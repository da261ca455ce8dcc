/*
 * Job stack, inside: publishing, taking back and stealing, on the layout of weft/job_stack.h.
 *
 *     struct weft_job_stack stack;
 *     job_stack_init(&stack, slots, capacity);
 *     ... the owner pushes: fills *stack.top, stack.top++ ...
 *     job_stack_publish(&stack, 1);                     the oldest private job may be stolen from now on
 *     struct weft_job *job = job_stack_steal(&stack);   a thief
 *     if (!job_stack_take_back(&stack))                 the owner wants its newest: too late?
 *         ... wait for the thief ...
 *     job_stack_pop_stolen(&stack);
 *
 * THE ARGUMENT. `shares` is {split, tail}; slots below tail are stolen, those from tail to split are public. Only the owner changes split,
 * and both it and thieves change the word by read-modify-writes as long as a job is public. A thief's compare-and-swap succeeds only if the
 * word is what the thief has loaded, so slot `tail` is public at that moment, whatever has happened to the stack in between: it may have
 * been emptied and filled again, by another fiber too. Therefore the slot is read after the compare-and-swap and not before. When the owner
 * stores the word plainly nothing is public, so no compare-and-swap can succeed at the same time.
 */
#ifndef LIB_LOCKFREE_JOB_STACK_H
#define LIB_LOCKFREE_JOB_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/atomic.h"
#include "weft/job_stack.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Make `stack` empty, over `capacity` slots.
 *
 * thread:  the owner's, before it is shared
 * memory:  slots stay borrowed; nobody may unmap them, or the stack, while a thief may look
 */
void job_stack_init(struct weft_job_stack *stack, struct weft_job *slots, uint32_t capacity);

/*
 * Let the oldest `count` private jobs be stolen. Their `child` and `context` have been set.
 *
 * thread:  the owner's
 */
void job_stack_publish(struct weft_job_stack *stack, uint32_t count);

/*
 * Make the newest job private again, which is public or stolen, and half of the other public ones with it. Nothing is popped.
 *
 * thread:  the owner's, while no fork has run inline
 * returns: false if it is stolen; else those from stack->split on are private
 */
bool job_stack_take_back(struct weft_job_stack *stack);

/*
 * Pop the newest job, which is stolen.
 *
 * thread:  the owner's, once the thief is done with the slot
 */
void job_stack_pop_stolen(struct weft_job_stack *stack);

/*
 * Steal the oldest public job.
 *
 * thread:  any but the owner's
 * memory:  the slot is the thief's until it says that it is done; then the owner pops it
 * returns: NULL if there is none
 */
struct weft_job *job_stack_steal(struct weft_job_stack *stack);

/*
 * Send the owner's next fork to its slow path.
 *
 * thread:  any
 */
static inline void job_stack_ask(struct weft_job_stack *stack)
{
    /* Release: what made the caller ask. Pairs with the acquire in job_stack_hear(). */
    weft_atomic_store_release(&stack->limit, (struct weft_job *)NULL);
}

/*
 * True if somebody has asked since the last call.
 *
 * thread:  the owner's
 */
static inline bool job_stack_hear(struct weft_job_stack *stack)
{
    /* Pairs with the release in job_stack_ask(). */
    return weft_atomic_exchange_acquire(&stack->limit, stack->end) == NULL;
}

/*
 * Send to their slow paths, too, the joins of jobs before the slot `low`, and the forks from the slot `high` on, unless somebody has asked.
 * Publishing, taking back and hearing end that.
 *
 * thread:  the owner's
 */
void job_stack_bound(struct weft_job_stack *stack, uint32_t low, uint32_t high);

/*
 * Count a fork that was run at once, as the stack is full: the top goes on beyond the end, and joins come to the slow path.
 *
 * thread:  the owner's
 */
void job_stack_add_inline(struct weft_job_stack *stack);

/*
 * Join such a fork, if the newest is one.
 *
 * thread:  the owner's
 * returns: false if it is none
 */
bool job_stack_join_inline(struct weft_job_stack *stack);

/* How many jobs can be stolen now. thread: any, a hint for all but the owner, for whom it is an upper bound */
static inline uint32_t job_stack_public_count(const struct weft_job_stack *stack)
{
    uint64_t shares = weft_atomic_load_relaxed(&stack->shares);
    uint32_t tail = (uint32_t)shares, split = (uint32_t)(shares >> 32);
    return split > tail ? split - tail : 0;
}

/* How many forks were run at once and wait for their join. thread: the owner's */
static inline uint32_t job_stack_inline_count(const struct weft_job_stack *stack)
{
    return stack->top > stack->end ? (uint32_t)(stack->top - stack->end) : 0;
}

/* How many jobs are on it, those that are stolen included. thread: the owner's */
static inline uint32_t job_stack_count(const struct weft_job_stack *stack)
{
    return (uint32_t)(stack->top - stack->slots) - job_stack_inline_count(stack);
}

/* How many jobs were never published, or taken back. thread: the owner's */
static inline uint32_t job_stack_private_count(const struct weft_job_stack *stack)
{
    return job_stack_count(stack) - (uint32_t)(weft_atomic_load_relaxed(&stack->shares) >> 32);
}

#ifdef __cplusplus
}
#endif

#endif
