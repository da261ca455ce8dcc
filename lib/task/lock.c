/*
 * Lock: one word, and a line of those who wait.
 *
 * Fibers acquire and release from any loop, and whoever has no stack gets a future. The word is
 *
 *      LOCKED   somebody holds the lock: set by who takes it, or for a ticket by who hands it over; cleared by release
 *      WAITING  somebody is in the line; set and cleared under the guard
 *      GUARD    held for a few stores by whoever changes the line; nobody calls out under it
 *
 * A lock that nobody waits for is taken and released by one compare-and-swap, between 0 and LOCKED. Everything else is under the guard,
 * where the word is never stale.
 *
 *      first → fiber, cancelled → fiber, woken → ticket → fiber
 *
 * The invariant: if the lock is free and somebody waits, the first one that is not cancelled is woken, or about to be, and takes the lock as it
 * runs; or it leaves the line and passes that on. A waiter is woken by the completion of its future, outside of the guard.
 *
 * A fiber's waiter lives in its frame. Its own wait, a canceller and a waker may be at it at once: the latter two hold a reference, the waker
 * from the guard on, and the frame stays until it has the only one. Others would have callbacks there, which a closing loop may leave queued,
 * so a fiber that a third party drives waits as who has no stack does: with a ticket, an allocated waiter. That is out of the line as soon as it is called
 * or cancelled, and the lock is handed over, since nobody runs who could take it.
 */
#include "weft/lock.h"

#include <assert.h>
#include <errno.h>

#include "lib/task/coro_task.h"
#include "lib/task/fiber.h"
#include "lib/task/future.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

enum { LOCK_LOCKED = 1, LOCK_WAITING = 2, LOCK_GUARD = 4 };

struct lock_waiter {
    struct weft_future turn; /* first */
    struct lock_waiter *next;
    struct lock_waiter **link; /* what leads to it; NULL out of the line */
    struct weft_lock *lock;    /* a ticket's reference; NULL in a fiber's frame */
};

struct weft_lock {
    uint32_t word;
    uint32_t refs;
    struct lock_waiter *first;
    struct lock_waiter **last; /* where the next one is linked */
};

/* ---- the word ------------------------------------------------------------------------------------------------------------------- */

static bool lock_take_free(struct weft_lock *lock)
{
    uint32_t word = 0;
    /* Pairs with the releases in lock_let_free() and lock_unguard(): what the last holder did. */
    return weft_atomic_cas_acquire(&lock->word, &word, LOCK_LOCKED);
}

static bool lock_let_free(struct weft_lock *lock)
{
    uint32_t word = LOCK_LOCKED;
    /* Pairs with the acquires in lock_take_free() and lock_guard(): what the holder did. */
    return weft_atomic_cas_release(&lock->word, &word, 0);
}

/* Take the guard; true if the lock is held. */
static bool lock_guard(struct weft_lock *lock)
{
    for (;;) {
        uint32_t word = weft_atomic_load_relaxed(&lock->word);
        /* Pairs with the releases in lock_unguard(), the line, and in lock_let_free(), what the last holder did. */
        if ((word & LOCK_GUARD) == 0 && weft_atomic_cas_acquire(&lock->word, &word, word | LOCK_GUARD))
            return (word & LOCK_LOCKED) != 0;
        weft_atomic_pause();
    }
}

/* Leave the guard, and the lock held or free. */
static void lock_unguard(struct weft_lock *lock, bool is_locked)
{
    uint32_t word = (is_locked ? LOCK_LOCKED : 0) | (lock->first != NULL ? LOCK_WAITING : 0);
    /* Pairs with the acquires in lock_guard(), the line, and in lock_take_free(), what a holder did who leaves nobody behind. */
    weft_atomic_store_release(&lock->word, word);
}

/* ---- the line, under the guard ----------------------------------------------------------------------------------------------------- */

static void line_enter(struct weft_lock *lock, struct lock_waiter *waiter)
{
    waiter->next = NULL;
    waiter->link = lock->last;
    *lock->last = waiter;
    lock->last = &waiter->next;
}

/* Twice is harmless. */
static void line_leave(struct weft_lock *lock, struct lock_waiter *waiter)
{
    if (waiter->link == NULL)
        return;
    *waiter->link = waiter->next;
    if (waiter->next != NULL)
        waiter->next->link = waiter->link;
    else
        lock->last = waiter->link;
    waiter->link = NULL;
}

/* The first one that is not cancelled, and its state, which is read once: it may be cancelled at any moment. NULL if there is none. */
static struct lock_waiter *line_first_live(const struct weft_lock *lock, enum future_state *state_out)
{
    struct lock_waiter *waiter = lock->first;
    while (waiter != NULL && (*state_out = future_get_state(&waiter->turn)) == FUTURE_CANCELLED)
        waiter = waiter->next;
    return waiter;
}

/* Whose turn it is on a free lock, with a reference; NULL if nobody's, or he is woken already. A ticket is out of the line then. */
static struct lock_waiter *line_call(struct weft_lock *lock)
{
    enum future_state state;
    struct lock_waiter *waiter = line_first_live(lock, &state);
    if (waiter == NULL || state != FUTURE_PENDING)
        return NULL;
    if (waiter->lock != NULL)
        line_leave(lock, waiter); /* the line's reference is the caller's now */
    else
        weft_future_ref(&waiter->turn);
    return waiter;
}

/* ---- taking turns --------------------------------------------------------------------------------------------------------------------- */

/* Take the lock, or enter the line; true if it was taken. */
static bool lock_take_or_wait(struct weft_lock *lock, struct lock_waiter *waiter)
{
    enum future_state state;
    bool is_locked = lock_guard(lock);
    bool is_taken = !is_locked && line_first_live(lock, &state) == NULL;
    if (!is_taken)
        line_enter(lock, waiter);
    lock_unguard(lock, is_locked || is_taken);
    return is_taken;
}

/*
 * Leave the guard, and call the next one if the lock is free.
 *
 * returns: true if a ticket that it was handed to had just been cancelled: the lock is held, and the caller's to release
 */
static bool lock_pass(struct weft_lock *lock, bool is_locked)
{
    struct lock_waiter *called = is_locked ? NULL : line_call(lock);
    bool is_handed_over = called != NULL && called->lock != NULL;
    lock_unguard(lock, is_locked || is_handed_over);
    if (called == NULL)
        return false;
    bool is_woken = future_complete(&called->turn, FUTURE_FINISHED, 0, NULL);
    weft_future_unref(&called->turn);
    return is_handed_over && !is_woken;
}

int weft_lock_release(struct weft_lock *lock)
{
    if (lock == NULL)
        return -EINVAL;
    if (lock_let_free(lock))
        return 0;
    do {
        if (!lock_guard(lock)) {
            lock_unguard(lock, false);
            return WEFT_ENOTLOCKED;
        }
    } while (lock_pass(lock, false));
    return 0;
}

/* ---- a fiber ------------------------------------------------------------------------------------------------------------------------- */

/* Its wait has come to `status`: out of the line, with the lock or without. */
static void fiber_leave_line(struct weft_lock *lock, struct lock_waiter *waiter, int status)
{
    bool is_locked = lock_guard(lock);
    line_leave(lock, waiter);
    if (status == 0) {
        assert(!is_locked);
        lock_unguard(lock, true);
    } else if (lock_pass(lock, is_locked)) {
        (void)weft_lock_release(lock);
    }
}

/* Wait until no waker and no canceller is at `turn`. They need no help from this loop, so a fiber that is unwound waits here. */
static void fiber_await_alone(struct weft_future *turn)
{
    int status = 0;
    /* Pairs with the acq_rel in future_unref_is_last(): what others did to the future is done. */
    while (weft_atomic_load_acquire(&turn->refs) > 1)
        if (status == 0)
            status = fiber_pause();
        else
            weft_atomic_pause();
}

static int acquire_in_frame(struct weft_lock *lock, struct weft_loop *home)
{
    struct lock_waiter waiter = {.lock = NULL};
    future_setup_frame(&waiter.turn, home);
    if (lock_take_or_wait(lock, &waiter))
        return 0;
    int status = weft_await(&waiter.turn, NULL);
    fiber_leave_line(lock, &waiter, status);
    fiber_await_alone(&waiter.turn);
    return status;
}

static int acquire_by_ticket(struct weft_lock *lock, struct weft_loop *loop)
{
    struct weft_future *turn;
    int status = weft_lock_acquire_future(lock, loop, &turn);
    if (status < 0)
        return status;
    status = weft_await(turn, NULL);
    if (status < 0)
        (void)weft_lock_give_up(turn);
    weft_future_unref(turn);
    return status;
}

int weft_lock_acquire(struct weft_lock *lock)
{
    if (!fiber_is_here())
        return WEFT_ENOFIBER;
    if (lock == NULL)
        return -EINVAL;
    if (lock_take_free(lock))
        return 0;
    struct weft_loop *here = loop_here();
    struct weft_task *task = task_get_current(here);
    return fiber_is_of(task) ? acquire_in_frame(lock, task->future.loop) : acquire_by_ticket(lock, here);
}

/* ---- a ticket ------------------------------------------------------------------------------------------------------------------------- */

/* One that is called at this moment is out of the line already; who called it finds it cancelled. */
static bool ticket_cancel(struct weft_future *turn, const char *message)
{
    struct lock_waiter *ticket = weft_container_of(turn, struct lock_waiter, turn);
    if (!future_complete(turn, FUTURE_CANCELLED, -ECANCELED, (void *)(uintptr_t)message))
        return false;
    bool is_locked = lock_guard(ticket->lock);
    bool was_in_line = ticket->link != NULL;
    line_leave(ticket->lock, ticket);
    lock_unguard(ticket->lock, is_locked);
    if (was_in_line)
        weft_future_unref(turn);
    return true;
}

static void ticket_destroy(struct weft_future *turn)
{
    struct lock_waiter *ticket = weft_container_of(turn, struct lock_waiter, turn);
    weft_lock_unref(ticket->lock);
    weft_free(ticket);
}

static const struct weft_future_ops ticket_ops = {.size = sizeof(ticket_ops), .cancel = ticket_cancel, .destroy = ticket_destroy};

int weft_lock_acquire_future(struct weft_lock *lock, struct weft_loop *loop, struct weft_future **turn_out)
{
    if (lock == NULL || loop == NULL || turn_out == NULL)
        return -EINVAL;
    struct lock_waiter *ticket = weft_calloc(1, sizeof(*ticket));
    if (ticket == NULL)
        return -ENOMEM;
    future_setup(&ticket->turn, loop, &ticket_ops, 0);
    ticket->lock = weft_lock_ref(lock);
    weft_future_ref(&ticket->turn); /* the line's */
    if (lock_take_or_wait(lock, ticket)) {
        (void)future_complete(&ticket->turn, FUTURE_FINISHED, 0, NULL);
        weft_future_unref(&ticket->turn);
    }
    *turn_out = &ticket->turn;
    return 0;
}

int weft_lock_give_up(struct weft_future *turn)
{
    if (turn == NULL || turn->ops != &ticket_ops)
        return -EINVAL;
    if (!weft_future_cancel(turn, NULL) && !weft_future_cancelled(turn))
        (void)weft_lock_release(weft_container_of(turn, struct lock_waiter, turn)->lock);
    return 0;
}

/* ---- the object ----------------------------------------------------------------------------------------------------------------------- */

int weft_lock_new(struct weft_lock **lock_out)
{
    if (lock_out == NULL)
        return -EINVAL;
    struct weft_lock *lock = weft_calloc(1, sizeof(*lock));
    if (lock == NULL)
        return -ENOMEM;
    lock->refs = 1;
    lock->last = &lock->first;
    *lock_out = lock;
    return 0;
}

struct weft_lock *weft_lock_ref(struct weft_lock *lock)
{
    if (lock != NULL)
        (void)weft_atomic_add_relaxed(&lock->refs, 1);
    return lock;
}

void weft_lock_unref(struct weft_lock *lock)
{
    /* Pairs with itself: whoever frees has seen what the others did before they let go. */
    if (lock == NULL || weft_atomic_sub_acq_rel(&lock->refs, 1) != 1)
        return;
    assert(lock->first == NULL); /* who waits holds a reference */
    weft_free(lock);
}

bool weft_lock_locked(const struct weft_lock *lock)
{
    return lock != NULL && (weft_atomic_load_relaxed(&lock->word) & LOCK_LOCKED) != 0;
}
