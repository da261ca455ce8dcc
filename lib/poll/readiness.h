/*
 * Readiness: completed operations made of readiness, for backends whose kernel only says "try now".
 *
 * A backend embeds `struct readiness` first in its state, brings five functions (attempt, send, watch, unwatch, close) and calls
 * readiness_event() for what its kernel reports. All the rest is here: who waits for which side, what a cancel may say, multishot budgets, lent memory, the
 * order of a close. Ready operations gather in one list, which each wait hands to the loop; running their work makes the attempt.
 *
 *      submit ─ attempt ─ result                             event, or a cancel, or budget used up
 *                  │                                           │
 *                  └─ would block ─ watch ─> WAITING ──────────┴─> QUEUED ─ wait ─ loop runs the work ─ attempt ─ callback
 *                                               ^                                                  │
 *                                               └────────────── would block ───────────────────────┘
 */
#ifndef LIB_POLL_READINESS_H
#define LIB_POLL_READINESS_H

#include <limits.h>
#include <stdbool.h>

#include "weft/poller.h"

/* What an attempt returns when it has to wait for an event. No errno is that low, and a connect may really fail with -EAGAIN. */
#define READINESS_WOULD_BLOCK INT_MIN

struct readiness;

/* Where a recv puts its bytes, and how many at most. */
struct readiness_window {
    unsigned char *buf;
    size_t len;
};

struct readiness_ops {
    /*
     * Try `operation` now and return its result, or READINESS_WOULD_BLOCK: then an event will tell when to try again. `is_first` is true
     * for the attempt from submit. A recv uses the window, which means nothing for others.
     */
    int (*attempt)(struct readiness *readiness, struct weft_operation *operation, struct readiness_window window, bool is_first);
    /* The same for a sendv that is no operation. */
    int (*send)(struct readiness *readiness, struct weft_file *file, const struct iovec *iov, size_t count);
    /* Make `file` known to the kernel, which reports at once what is ready. 0; -EPERM if such a file is always ready; -errno. */
    int (*watch)(struct readiness *readiness, struct weft_file *file);
    /* Undo watch: no event of `file` arrives from now on. Allocates nothing. */
    void (*unwatch)(struct readiness *readiness, struct weft_file *file);
    /* Close the descriptor of `file`, which is not watched. Allocates nothing. */
    void (*close)(struct readiness *readiness, struct weft_file *file);
};

struct readiness {
    struct weft_poller base;
    const struct readiness_ops *ops;
    struct weft_work_list ready; /* what the next wait hands over */
    unsigned char *lent;         /* READINESS_LENT_BYTES, hot: one for all files, since bytes stay for one callback only */
};

enum { READINESS_LENT_BYTES = 64 * 1024 };

/* Initialise the zeroed `readiness`. 0; -ENOMEM. thread: as poller_ops.init */
int readiness_init(struct readiness *readiness, const struct readiness_ops *ops);

/* Release what init took; also good after a failed init. thread: as poller_ops.fini */
void readiness_fini(struct readiness *readiness);

/* poller_ops.submit. thread: the loop */
int readiness_submit(struct weft_poller *poller, struct weft_operation *operation);

/* poller_ops.send. thread: the loop */
int readiness_send(struct weft_poller *poller, struct weft_file *file, const struct iovec *iov, size_t count);

/* poller_ops.cancel. thread: the loop */
int readiness_cancel(struct weft_poller *poller, struct weft_operation *operation);

/* Take note that `file` has become ready for `bits` (enum weft_file_ready), and queue who waited for it. thread: the loop, in wait */
void readiness_event(struct readiness *readiness, struct weft_file *file, unsigned bits);

/* True if a wait has something to hand over and need not sleep. thread: the loop */
static inline bool readiness_has_ready(const struct readiness *readiness)
{
    return !weft_work_list_is_empty(&readiness->ready);
}

/* Move what is ready to `ready_out`; the result of wait. thread: the loop */
int readiness_take(struct readiness *readiness, struct weft_work_list *ready_out);

#endif
