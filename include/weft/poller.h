/*
 * Poller: where a loop sleeps, and what turns the events of a kernel into completed operations.
 *
 * A poller is a base with a backend's state behind it, in one block that the loop allocates, and a table of what the backend can do. Three
 * are foreseen: epoll, io_uring, and a simulated world for tests. No word of a kernel's passes this header.
 *
 *      ops->state_bytes bytes ──> ops->init ──> submit, cancel, wait, … ──> ops->fini ──> free
 *
 *      const struct weft_poller_ops *ops = weft_poller_epoll_ops();
 *      struct weft_poller *poller = weft_calloc(1, ops->state_bytes);
 *      int status = weft_poller_init(poller, ops, NULL);
 *      while (status >= 0 && !done) {
 *          struct weft_work_list ready = {NULL, NULL, 0};
 *          status = ops->wait(poller, -1, &ready);
 *          for (struct weft_work *work; (work = weft_work_list_pop(&ready)) != NULL;)
 *              work->run(work);
 *      }
 *      ops->fini(poller);
 */
#ifndef WEFT_POLLER_H
#define WEFT_POLLER_H

#include <stddef.h>
#include <stdint.h>

#include "weft/operation.h"
#include "weft/sockets.h"
#include "weft/work.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_poller;

/* What a backend may be told. Zero is the backend's own choice. */
struct weft_poller_options {
    size_t size;         /* sizeof of this struct where it was compiled */
    unsigned events_max; /* events taken from the kernel by one wait */
    void *world;         /* the simulated host to live on (struct weft_sim_host); the simulator makes a world of its own if NULL */
};

#define WEFT_POLLER_OPTIONS_INIT                                                                                                           \
    {                                                                                                                                      \
        sizeof(struct weft_poller_options), 0, NULL                                                                                        \
    }

/*
 * The backend's table. It starts with its size, so that a poller compiled against an older header goes on working when a slot is added:
 * whoever calls a slot that is not in the first version checks weft_poller_ops_has() first.
 *
 * thread:  the loop's, but for init, fini and wake, which say their own
 */
struct weft_poller_ops {
    size_t size;        /* sizeof of this struct where the backend was compiled */
    size_t state_bytes; /* what to allocate for one poller, base included, zeroed and aligned to a cache line at best */
    const char *name;   /* "epoll", "sim" */

    /*
     * Open what the operating system holds. Called once, through weft_poller_init(), by whoever makes the loop; another thread may run it
     * later, so a backend must not tie itself to the caller. `options` may be NULL. May allocate. 0, or -errno and nothing is held.
     */
    int (*init)(struct weft_poller *poller, const struct weft_poller_options *options);

    /*
     * Close what init opened. Called once, after the last wait, when no operation is pending; files may still be open, and their
     * descriptors stay so. No wake may run beside it. Cannot fail; also good for a zeroed state and after a failed init.
     */
    void (*fini)(struct weft_poller *poller);

    /*
     * Begin `operation`. Called by the loop's thread; does not block.
     *
     * Returns what it came to, >= 0 or -errno, if that is known at once: the callback is not called, and the operation is the
     * caller's as before.
     * -EINPROGRESS: it is pending and belongs to the poller until its last callback. Errors of its own: -EBUSY (that side of the file has
     * one already), -EBADF (the file is closed or closing), -EXDEV (the file is bound to another poller), -EINVAL (arguments that no
     * backend takes), -ENOMEM. A multishot operation never comes to something at once, only to an error of these.
     */
    int (*submit)(struct weft_poller *poller, struct weft_operation *operation);

    /*
     * Ask for the end of `operation`. Called by the loop's thread, also from within a callback of that operation; does not block, does not
     * allocate, calls nobody.
     *
     * 0: its last callback will come through a later wait, with -ECANCELED if nothing had happened, or with what had been done. The
     * operation is the poller's until then. Twice is harmless. -ENOENT: it is not pending here, or it is a close.
     */
    int (*cancel)(struct weft_poller *poller, struct weft_operation *operation);

    /*
     * Sleep until an operation is ready, a wake comes or `timeout_ns` is over (negative: no limit; 0: only look), and push the works of
     * what is ready behind those in `ready_out`. Called by the loop's thread; the one slot that blocks. It calls no callback: the loop runs
     * each work, in this order, before its next wait or after it. May return early with nothing; a signal is no error.
     *
     * Returns the count of works pushed, or -errno if the poller itself is broken.
     */
    int (*wait)(struct weft_poller *poller, int64_t timeout_ns, struct weft_work_list *ready_out);

    /*
     * End the wait that is running, or the next one if none is. Called from any thread and from signal handlers; does not block, does not
     * allocate, keeps errno. Any number of wakes between two waits costs at most one system call.
     */
    void (*wake)(struct weft_poller *poller);

    /*
     * The time in nanoseconds, never going back, of the clock that timeouts are counted on: the system's, or the world's own. Called by the
     * loop's thread.
     */
    uint64_t (*now)(struct weft_poller *poller);

    /* Where sockets come from, see weft/sockets.h; NULL: from the operating system. Static. */
    const struct weft_poller_sockets *sockets;

    /*
     * Send the `count` pieces at `iov` on `file` now, as far as that goes without waiting. Called by the loop's thread; does not block, does
     * not allocate, keeps nothing. Returns the bytes, which may be few; -EAGAIN: none now, and one may submit a sendv; the errors of
     * submit. NULL: this backend only takes operations. Who brings a submit of its own inherits no send, so that it sees all that is sent.
     */
    int (*send)(struct weft_poller *poller, struct weft_file *file, const struct iovec *iov, size_t count);
};

/* True if the table that `ops` points to is long enough to have `slot`, and has it. */
#define weft_poller_ops_has(ops, slot) ((ops)->size >= offsetof(struct weft_poller_ops, slot) + sizeof((ops)->slot) && (ops)->slot != NULL)

/* Counters, all written by the loop's thread but `wakes`, which is atomic. For people and tests: nothing decides by them. */
struct weft_poller_counters {
    uint64_t waits;     /* calls of the kernel's wait, or of the simulator's */
    uint64_t events;    /* events it gave, wakes included */
    uint64_t stale;     /* of these, for files that are gone */
    uint64_t submits;   /* operations submitted */
    uint64_t inlines;   /* of these, those that came to something at once */
    uint64_t completes; /* callbacks called */
    uint64_t requeues;  /* multishot operations that used up their budget */
    uint64_t registers; /* files made known to the kernel */
    uint64_t wakes;     /* wake-ups that cost a system call */
};

/* The base of every poller; the backend's state lies behind it. */
struct weft_poller {
    const struct weft_poller_ops *ops;
    struct weft_poller_counters counters;
    uint64_t pending_count; /* operations that the poller owns */
    uint32_t is_virtual;    /* set by init: its time is not the machine's, so nothing may depend on how long a thing takes */
    uint32_t reserved_word;
    uint64_t reserved[4];
};

/*
 * Initialise `poller`, `ops->state_bytes` zeroed bytes, as a poller of the backend `ops`.
 *
 * thread:  any; afterwards the thread that runs the loop
 * memory:  `poller` is borrowed until ops->fini, `ops` for the same time, `options` (may be NULL) for the call
 * returns: 0; -EINVAL also for options that are too short; WEFT_EPROTOCOL if a slot is missing; what ops->init returns
 */
int weft_poller_init(struct weft_poller *poller, const struct weft_poller_ops *ops, const struct weft_poller_options *options);

/*
 * Get the backend over Linux's epoll, edge-triggered.
 *
 * thread:  any
 * memory:  static
 * returns: never NULL
 */
const struct weft_poller_ops *weft_poller_epoll_ops(void);

/*
 * Get the backend over a simulated world: virtual time, in-memory streams, scripted failures.
 *
 * thread:  any; all pollers of one world live on one thread
 * memory:  static
 * returns: never NULL
 */
const struct weft_poller_ops *weft_poller_sim_ops(void);

#ifdef __cplusplus
}
#endif

#endif
