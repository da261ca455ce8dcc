/*
 * Loop, inside: what the rooms above may use of it, and the object itself.
 *
 * A loop is a worker (lib/sched) that sleeps in its poller (lib/poll), with timers between them. It knows no future and no byte: the
 * rooms above hang their per-loop state into `rooms`, and are told when the loop closes.
 */
#ifndef LIB_LOOP_LOOP_H
#define LIB_LOOP_LOOP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fork.h"
#include "lib/loop/timer_heap.h"
#include "lib/sched/worker.h"
#include "weft/atomic.h"
#include "weft/loop.h"
#include "weft/operation.h"
#include "weft/poller.h"
#include "weft/status.h"
#include "weft/timer.h"

/* Who may hang a state into a loop. */
enum loop_room {
    LOOP_ROOM_TASK,
    LOOP_ROOM_FIBER,
    LOOP_ROOM_JOB,
    LOOP_ROOM_EXECUTOR,
    LOOP_ROOM_NET,
    LOOP_ROOM_RUNTIME,
    LOOP_ROOM_COUNT,
};

/*
 * The state of one room. Steps of closing, in this order, each for all rooms from the last to the first: `close` lets go what waits
 * (tasks, transports; it may still queue works, which will see the loop closed), `fini` frees the state after the last work has run.
 */
struct loop_room_state {
    void (*close)(struct weft_loop *loop, struct loop_room_state *state); /* may be NULL */
    void (*fini)(struct weft_loop *loop, struct loop_room_state *state);
    void (*refuse)(struct weft_loop *loop, struct loop_room_state *state); /* take in nothing new: the runtime shuts down; may be NULL */
};

/* What the task room keeps here, so that the current task is one load away from the running loop. Written by enter, leave and swap. */
struct loop_execution {
    void *task;       /* struct weft_task *; the loop's thread only */
    uint64_t task_id; /* the same for others, read with one relaxed load */
};

/* What `refs` has too many while somebody runs or closes the loop: only as that ends can the last one go. */
#define LOOP_REFS_CLAIMED (UINT64_C(1) << 48)

/* What `is_closing` says. */
enum { LOOP_OPEN = 0, LOOP_CLOSING = 1, LOOP_FORKED = 2 };

/*
 * Laid out by who writes, as its worker is: first what other threads read when they post, and nearly nobody writes; then the count of
 * references, which they write; then what is the loop's thread's alone. Others read of that no more than counters.
 */
struct weft_loop {
    struct worker worker; /* first: the running loop is the current worker */
    /* Everybody's, seldom written. */
    struct weft_poller *poller __attribute__((aligned(WEFT_CACHE_LINE_BYTES)));
    const struct weft_poller_ops *poller_ops; /* of the kind and its bases, laid over each other */
    const struct weft_loop_kind *kind;
    const struct weft_transport_ops *transport_ops;
    uint32_t is_closing; /* atomic, LOOP_…: closed for new work. LOOP_FORKED: a child process's copy of the parent's loop */
    uint32_t posts_max;  /* atomic */
    uint32_t index;
    bool has_kind;   /* its init has succeeded, so that its fini is owed */
    bool has_poller; /* false once it is closed: its clock stands */
    bool is_entered; /* atomic: runs in some thread; written by that thread */
    bool is_debug;
    void *tables; /* the laid-over tables, one block */
    void *user;
    struct loop_room_state *rooms[LOOP_ROOM_COUNT]; /* atomic */
    uint32_t exception_version;                     /* atomic: odd while the next two are written; see report.c */
    uint32_t is_stop_posted;                        /* atomic */
    weft_exception_handler_fn *exception_handler;   /* atomic */
    void *exception_arg;                            /* atomic */
    struct weft_work stop_work;
    struct fork_watch fork_watch;
    /* Everybody's who takes or drops a reference. */
    uint64_t refs __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* atomic, see loop_claim_refs() */
    /* The loop's thread's. */
    struct timer_heap timers __attribute__((aligned(WEFT_CACHE_LINE_BYTES)));
    struct weft_work due_work;
    bool is_due_queued;
    bool is_stopping;
    bool spins_for_io;              /* I/O is what a spin is for, too */
    uint32_t settled_posts;         /* user posts that have run and are still reserved in the inbox */
    struct weft_work_list turn_end; /* run once, before the next poll */
    struct loop_execution execution;
    uint64_t refs_here;    /* those that were taken and dropped where the loop is current, added up without a locked instruction */
    uint64_t polled_ns;    /* when the poller was last asked */
    uint64_t polled_ticks; /* the same on clock_ticks() */
    uint64_t polled_run_count;
    uint64_t look_run_count; /* from so many works on, in all, a turn looks closer whether to poll */
    uint64_t spin_max_ns;    /* 0: never spin before sleeping */
    uint64_t spin_ns;        /* what adaptation has made of it */
    uint64_t spin_ask_ns;    /* so long after the last poll a spin asks again */
    uint64_t slow_ns;
    struct weft_loop_counters counters;
};

_Static_assert(offsetof(struct weft_loop, poller) % WEFT_CACHE_LINE_BYTES == 0, "what posters read is apart from what thieves write");
_Static_assert(offsetof(struct weft_loop, is_debug) - offsetof(struct weft_loop, poller) < WEFT_CACHE_LINE_BYTES, "posters read one line");
_Static_assert(offsetof(struct weft_loop, refs) % WEFT_CACHE_LINE_BYTES == 0, "the references' line");
_Static_assert(offsetof(struct weft_loop, timers) % WEFT_CACHE_LINE_BYTES == 0, "the thread's own lines");

static inline struct weft_loop *loop_of_worker(struct worker *worker)
{
    return (struct weft_loop *)worker;
}

/*
 * May this thread use `loop` now?
 *
 * thread:  any
 * returns: 0; -EINVAL for NULL; WEFT_ECLOSED; WEFT_EFORKED; WEFT_EWRONGTHREAD if it runs elsewhere
 */
int loop_check(const struct weft_loop *loop);

/*
 * May `loop` take in anything at all?
 *
 * thread:  any
 * returns: 0; WEFT_ECLOSED; WEFT_EFORKED
 */
static inline int loop_check_open(const struct weft_loop *loop)
{
    /* Pairs with the release in loop_claim_closing(). */
    uint32_t is_closing = weft_atomic_load_acquire(&loop->is_closing);
    return is_closing == LOOP_OPEN ? 0 : is_closing == LOOP_FORKED ? WEFT_EFORKED : WEFT_ECLOSED;
}

/*
 * True if `loop` is closed, or being closed, or the parent process's. See weft_loop_is_closed().
 *
 * thread:  any
 */
static inline bool loop_is_closed(const struct weft_loop *loop)
{
    return loop_check_open(loop) != 0;
}

/*
 * True if `loop` is the parent process's: nothing of it may be run, waited for, or freed here.
 *
 * thread:  any
 */
static inline bool loop_is_forked(const struct weft_loop *loop)
{
    return weft_atomic_load_relaxed(&loop->is_closing) == LOOP_FORKED;
}

/*
 * True if `loop` runs in this thread.
 *
 * thread:  any
 */
bool loop_is_here(const struct weft_loop *loop);

/*
 * From here on who runs or closes `loop` counts the references that are taken and dropped in its thread, in `refs_here`. That may fall
 * below zero, as `refs` may below what the others hold, which is why it is claimed first; the sum is how many there are.
 *
 * thread:  the one that has just entered or claimed it
 */
static inline void loop_claim_refs(struct weft_loop *loop)
{
    (void)weft_atomic_add_relaxed(&loop->refs, LOOP_REFS_CLAIMED);
}

/*
 * The end of a run or a close that was begun by loop_claim_refs(): the loop may be entered by others again, and is freed if its last
 * reference has gone meanwhile.
 *
 * thread:  the same, in which the loop is not current any more
 */
void loop_release(struct weft_loop *loop);

/*
 * The loop that runs in this thread; NULL if none. As weft_get_running_loop(), with one call less.
 *
 * thread:  any
 */
static inline struct weft_loop *loop_here(void)
{
    return loop_of_worker(worker_current()); /* the worker is its first member */
}

/*
 * As loop_check(), for who is asked often and by the loop's own thread nearly always: one short call then.
 *
 * thread:  any
 * returns: as loop_check()
 */
static inline int loop_check_often(const struct weft_loop *loop)
{
    bool is_usable = loop != NULL && weft_atomic_load_relaxed(&loop->is_closing) == LOOP_OPEN && loop_here() == loop;
    return is_usable ? 0 : loop_check(loop);
}

/*
 * As weft_loop_ref() and weft_loop_unref(), for who knows already that `here` runs in this thread (NULL: none does).
 *
 * thread:  any
 */
static inline struct weft_loop *loop_ref_from(struct weft_loop *loop, struct weft_loop *here)
{
    if (loop != here)
        return weft_loop_ref(loop);
    loop->refs_here++;
    return loop;
}

static inline void loop_unref_from(struct weft_loop *loop, struct weft_loop *here)
{
    if (loop != here)
        weft_loop_unref(loop);
    else
        loop->refs_here--;
}

/*
 * Begin an operation, see weft_poller_ops.submit: >= 0 or -errno at once, or -EINPROGRESS.
 *
 * thread:  the loop's, or the preparing one
 */
static inline int loop_submit(struct weft_loop *loop, struct weft_operation *operation)
{
    return loop->poller_ops->submit(loop->poller, operation);
}

/*
 * Cancel an operation, see weft_poller_ops.cancel.
 *
 * thread:  the loop's, or the preparing one
 */
static inline int loop_cancel(struct weft_loop *loop, struct weft_operation *operation)
{
    return loop->poller_ops->cancel(loop->poller, operation);
}

/*
 * Send now, see weft_poller_ops.send: the bytes, or -errno. -EAGAIN also of a poller that cannot: then a sendv is to be submitted.
 *
 * thread:  the loop's, or the preparing one
 */
static inline int loop_send(struct weft_loop *loop, struct weft_file *file, const struct iovec *iov, size_t count)
{
    return loop->poller_ops->send == NULL ? -EAGAIN : loop->poller_ops->send(loop->poller, file, iov, count);
}

/*
 * What the loop's poller has to make sockets with; NULL if the operating system makes them, and once the loop is closed.
 *
 * thread:  any
 */
static inline const struct weft_poller_sockets *loop_sockets(const struct weft_loop *loop)
{
    return loop->has_poller && weft_poller_ops_has(loop->poller_ops, sockets) ? loop->poller_ops->sockets : NULL;
}

/*
 * Queue `work` at the end of the loop's FIFO: it runs in the next iteration.
 *
 * thread:  the loop's, or the preparing one
 */
void loop_queue(struct weft_loop *loop, struct weft_work *work);

/*
 * Run `work` once after the present snapshot and before the next poll: the backstop for writes that nobody flushed.
 *
 * thread:  the loop's, or the preparing one
 * memory:  work is borrowed until it is run or loop_turn_end_remove()d
 */
void loop_at_turn_end(struct weft_loop *loop, struct weft_work *work);

/*
 * Take `work` back from loop_at_turn_end(), also from within another one's run.
 *
 * thread:  the loop's
 * returns: true if it was there
 */
bool loop_turn_end_remove(struct weft_loop *loop, struct weft_work *work);

/*
 * Give back the places of the user posts that have run.
 *
 * thread:  the loop's
 */
void posts_settle(struct weft_loop *loop);

/*
 * Have the next iteration look at the poller and the clock, which it might skip while work is queued.
 *
 * thread:  the loop's, or the preparing one
 */
void loop_look_next(struct weft_loop *loop);

/*
 * Report `status` of `object` with `message` to the exception handler.
 *
 * thread:  any
 */
void loop_report(struct weft_loop *loop, const char *message, int status, void *object);

/*
 * Lay `base` under the kind's transport factories, so that a slot which no kind filled is the base's. For net, which knows the base.
 *
 * thread:  the loop's, or the preparing one
 */
void loop_lay_transport_base(struct weft_loop *loop, const struct weft_transport_ops *base);

/*
 * The state of one room; NULL before loop_room_set().
 *
 * thread:  any; what it may do with the state is the room's to say
 */
static inline struct loop_room_state *loop_room(const struct weft_loop *loop, enum loop_room room)
{
    /* Pairs with the release in loop_room_set(). */
    return weft_atomic_load_acquire(&loop->rooms[room]);
}

/*
 * Hang in the state of a room, once.
 *
 * thread:  any
 * memory:  the loop calls state->fini when it closes, or as it is freed if the state came later
 * returns: false if somebody else has hung in one meanwhile
 */
static inline bool loop_room_set(struct weft_loop *loop, enum loop_room room, struct loop_room_state *state)
{
    struct loop_room_state *expected = NULL;
    /* Release: the state's contents. Pairs with the acquire in loop_room(). */
    return weft_atomic_cas_release(&loop->rooms[room], &expected, state);
}

/*
 * Keep room for one timer that must start whatever happens, as one that ends a shortage, until loop_unreserve_timer().
 *
 * thread:  the loop's thread, or the preparing one
 * returns: 0; -ENOMEM
 */
int loop_reserve_timer(struct weft_loop *loop);
void loop_unreserve_timer(struct weft_loop *loop);

/*
 * Start `timer` as weft_timer_start() does, in such room: it does not fail, but on a loop that is closing it does not start.
 *
 * thread:  the loop's thread
 */
void loop_start_reserved(struct weft_timer *timer, uint64_t delay_ns);

/*
 * How many loops there are. Each handle that was handed out, future, task and transport holds its loop, so none of these is left where no loop is.
 *
 * thread:  any
 */
uint64_t loop_live_count(void);

/*
 * How many loops closed over operations that did not come home.
 *
 * thread:  any
 */
uint64_t loop_unfinished_count(void);

/* ---- for the driver: a run, taken apart ----------------------------------------------------------------------------------------- */

/*
 * Begin to run `loop` in this thread.
 *
 * thread:  any in which no loop runs
 * returns: as weft_loop_run_forever()
 */
int loop_enter(struct weft_loop *loop);

/*
 * Do one iteration, which sleeps if `may_sleep` and nothing is to be done.
 *
 * thread:  the one that entered
 * returns: 0; a fatal status; -errno if the poller is broken
 */
int loop_turn(struct weft_loop *loop, bool may_sleep);

/*
 * True if an iteration would find something without sleeping: queued work, a due timer.
 *
 * thread:  the one that entered
 */
bool loop_has_work(struct weft_loop *loop);

/*
 * When the first timer is due: nanoseconds of the loop's clock, UINT64_MAX if there is none.
 *
 * thread:  the one that entered
 */
uint64_t loop_next_timer_ns(struct weft_loop *loop);

/*
 * End the run. `is_stopping` is cleared.
 *
 * thread:  the one that entered
 */
void loop_leave(struct weft_loop *loop);

/*
 * Let the loop look for up to `spin_max_ns` before it sleeps (0: never). It adapts below that, by what other loops and threads send and what it
 * steals, and if `spins_for_io` by I/O as well.
 *
 * thread:  before start
 */
void loop_set_spin(struct weft_loop *loop, uint64_t spin_max_ns, bool spins_for_io);

#endif
