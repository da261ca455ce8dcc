/*
 * Job stack: who may take which slot. Called by the fibers that fork (lib/task/job.c) and by the loops that steal from them.
 *
 * The invariant: tail <= split <= top, all counted from `slots`; and `split` as the macros see it is never below the one in `shares`: it is
 * above it while bounds are set, and above everything while forks have run inline, which lets the top go beyond `end`.
 */
#include "lib/lockfree/job_stack.h"

#include <assert.h>
#include <stddef.h>

#include "weft/atomic.h"

_Static_assert(sizeof(struct weft_job) == WEFT_CACHE_LINE_BYTES, "a slot is a line");
_Static_assert(offsetof(struct weft_job_stack, top) % WEFT_CACHE_LINE_BYTES == 0, "who looks does not disturb the owner");

static uint32_t shares_tail(uint64_t shares)
{
    return (uint32_t)shares;
}

static uint32_t shares_split(uint64_t shares)
{
    return (uint32_t)(shares >> 32);
}

static uint64_t shares_of(uint32_t split, uint32_t tail)
{
    return (uint64_t)split << 32 | tail;
}

static struct weft_job *above_everything(void)
{
    return (struct weft_job *)UINTPTR_MAX;
}

/* Let the macros see the split. */
static void show_split(struct weft_job_stack *stack)
{
    uint32_t split = shares_split(weft_atomic_load_relaxed(&stack->shares));
    stack->split = job_stack_inline_count(stack) > 0 ? above_everything() : stack->slots + split;
}

void job_stack_init(struct weft_job_stack *stack, struct weft_job *slots, uint32_t capacity)
{
    stack->top = stack->split = stack->slots = slots;
    stack->end = slots + capacity;
    stack->layout = WEFT_JOB_LAYOUT;
    /* Relaxed: a thief that comes late from an earlier life of the stack sees nothing public, then or now. */
    weft_atomic_store_relaxed(&stack->shares, 0);
    weft_atomic_store_relaxed(&stack->limit, stack->end);
}

void job_stack_publish(struct weft_job_stack *stack, uint32_t count)
{
    assert(count <= job_stack_private_count(stack));
    /* Release: the slots. Pairs with the acquire in job_stack_steal(). Seq_cst: before a look for idle loops, see lib/sched/crew.h. */
    (void)weft_atomic_add_seq_cst(&stack->shares, (uint64_t)count << 32);
    show_split(stack);
}

bool job_stack_take_back(struct weft_job_stack *stack)
{
    uint32_t newest = job_stack_count(stack) - 1;
    uint64_t shares = weft_atomic_load_relaxed(&stack->shares), desired;
    assert(job_stack_inline_count(stack) == 0 && shares_split(shares) == newest + 1);
    do {
        uint32_t tail = shares_tail(shares);
        if (tail > newest)
            return false;
        desired = shares_of(tail + (newest - tail) / 2, tail);
        /* Relaxed: a read-modify-write hands on what was released before it, so thieves that are to come see what was published. */
    } while (!weft_atomic_cas_relaxed(&stack->shares, &shares, desired));
    show_split(stack);
    return true;
}

void job_stack_pop_stolen(struct weft_job_stack *stack)
{
    uint32_t newest = job_stack_count(stack) - 1;
    assert(weft_atomic_load_relaxed(&stack->shares) == shares_of(newest + 1, newest + 1));
    stack->top--;
    /* Relaxed: nothing is public, so no thief changes the word now, and for what comes next the next publication releases. */
    weft_atomic_store_relaxed(&stack->shares, shares_of(newest, newest));
    show_split(stack);
}

struct weft_job *job_stack_steal(struct weft_job_stack *stack)
{
    /* Seq_cst: after a change of who is idle. Pairs with the read-modify-write in job_stack_publish(). */
    uint64_t shares = weft_atomic_load_seq_cst(&stack->shares);
    while (shares_tail(shares) < shares_split(shares)) {
        uint32_t tail = shares_tail(shares);
        /* Pairs with the release in job_stack_publish(). The slots are read only now. */
        if (weft_atomic_cas_acquire(&stack->shares, &shares, shares_of(shares_split(shares), tail + 1)))
            return stack->slots + tail;
    }
    return NULL;
}

void job_stack_bound(struct weft_job_stack *stack, uint32_t low, uint32_t high)
{
    struct weft_job *limit = weft_atomic_load_relaxed(&stack->limit);
    struct weft_job *bound = high < (uint32_t)(stack->end - stack->slots) ? stack->slots + high : stack->end;
    if (limit != NULL)
        (void)weft_atomic_cas_relaxed(&stack->limit, &limit, bound);
    show_split(stack);
    if (stack->slots + low > stack->split)
        stack->split = stack->slots + low;
}

void job_stack_add_inline(struct weft_job_stack *stack)
{
    stack->top++;
    show_split(stack);
}

bool job_stack_join_inline(struct weft_job_stack *stack)
{
    if (job_stack_inline_count(stack) == 0)
        return false;
    stack->top--;
    show_split(stack);
    return true;
}
