/*
 * Lock: tasks take turns (asyncio.Lock), on whatever loops they run.
 *
 *     struct weft_lock *lock;
 *     if (weft_lock_new(&lock) == 0) {
 *         status = weft_lock_acquire(lock);
 *         if (status == 0) {
 *             balance += 1;
 *             status = weft_sleep(1000000);
 *             (void)weft_lock_release(lock);
 *         }
 *         weft_lock_unref(lock);
 *     }
 *
 * A lock belongs to tasks, not to threads: whoever holds it may await, fork and join, and go on in another thread. It is no more than
 * asked for: a task that acquires it twice waits for itself, and anybody may release it.
 *
 * Who waits is served in the order of coming. Nobody gets past those who wait, not even while the lock is free and the next one is still
 * on its way to it; a task that was cancelled does not count as waiting. What the last holder did is seen by the next one.
 */
#ifndef WEFT_LOCK_H
#define WEFT_LOCK_H

#include <stdbool.h>

#include "weft/future.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_lock;

/*
 * Create a lock that nobody holds. It belongs to no loop.
 *
 * thread:  any
 * memory:  the caller holds one reference
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_lock_new(struct weft_lock **lock_out);

/*
 * Add a reference.
 *
 * thread:  any
 * returns: lock
 */
struct weft_lock *weft_lock_ref(struct weft_lock *lock);

/*
 * Drop a reference. The last one destroys the lock, held or not. NULL is ignored.
 *
 * thread:  any
 */
void weft_lock_unref(struct weft_lock *lock);

/*
 * Take the lock, waiting for it if it is held or others wait. Only a call that waits suspends. One that fails has not taken the lock, also
 * if its turn had come just before it was cancelled: then that goes to the next one.
 *
 * thread:  a fiber
 * memory:  the caller holds a reference to lock
 * returns: 0; what was raised into the task; WEFT_ENOFIBER; WEFT_ECLOSED when the loop closes; -EINVAL; -ENOMEM only in a task of a third
 *          party's
 */
int weft_lock_acquire(struct weft_lock *lock);

/*
 * A future of `loop` that completes once the lock was taken for the caller, for coroutines without a stack, callbacks, and waits with a
 * timeout; it may be done at once. From its completion on the lock is held, whether anybody has noticed or not. So whoever stops waiting
 * for it, is cancelled, or is freed, calls weft_lock_give_up().
 *
 * thread:  any
 * memory:  the caller holds one reference to *turn_out; that holds one to lock
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_lock_acquire_future(struct weft_lock *lock, struct weft_loop *loop, struct weft_future **turn_out);

/*
 * Stop waiting for `turn`, or if it has come already release the lock. Only one of this and weft_lock_release() is called for a turn.
 *
 * thread:  any
 * memory:  the caller's reference to turn stays his
 * returns: 0; -EINVAL also if turn is not from weft_lock_acquire_future()
 */
int weft_lock_give_up(struct weft_future *turn);

/*
 * Release the lock. The next one who waits is queued on its own loop; until it runs the lock is free, but for no other.
 *
 * thread:  any
 * memory:  the caller holds a reference to lock
 * returns: 0; -EINVAL; WEFT_ENOTLOCKED if nobody holds it
 */
int weft_lock_release(struct weft_lock *lock);

/*
 * True if somebody holds it, at this moment.
 *
 * thread:  any
 */
bool weft_lock_locked(const struct weft_lock *lock);

#ifdef __cplusplus
}
#endif

#endif
