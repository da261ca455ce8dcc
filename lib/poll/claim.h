/*
 * Claim: which side of its file an operation takes, and whether it may.
 *
 * Every backend asks here before it begins an operation, so that they all refuse the same things for the same reasons.
 */
#ifndef LIB_POLL_CLAIM_H
#define LIB_POLL_CLAIM_H

#include <errno.h>
#include <stdbool.h>

#include "weft/operation.h"

/*
 * `weft_file.state`, written by the backend on the loop's thread.
 *
 * WATCHED       set when the kernel was told of the file, cleared by its close
 * ALWAYS_READY  set when the kernel says that it cannot watch such a file (EPERM: regular files), cleared by its close
 * CLOSING       set by a close that has to wait for pending operations
 */
enum claim_file_state {
    CLAIM_FILE_WATCHED = 1,
    CLAIM_FILE_ALWAYS_READY = 2,
    CLAIM_FILE_CLOSING = 4,
};

/* The side that `operation` is on: WEFT_FILE_READABLE or WEFT_FILE_WRITABLE. Means nothing for a close. */
unsigned claim_side(const struct weft_operation *operation);

/* Where its file keeps `operation` while it is pending. Not for a close. */
struct weft_operation **claim_slot(const struct weft_operation *operation);

static inline bool claim_is_multishot(const struct weft_operation *operation)
{
    return (operation->flags & WEFT_OP_MULTISHOT) != 0;
}

/*
 * Check that `operation` may begin on `poller`, and bind its file to that poller.
 *
 * thread:  the loop of `poller`
 * returns: 0; -EINVAL, -EBADF, -EXDEV, -EBUSY as poller_ops.submit documents them, and nothing is bound
 */
int claim_begin(struct weft_poller *poller, struct weft_operation *operation);

/*
 * The same for a send that is no operation.
 *
 * thread:  the loop of `poller`
 * returns: 0; -EBADF, -EXDEV, -EBUSY
 */
static inline int claim_send(struct weft_poller *poller, struct weft_file *file)
{
    if (file->fd < 0 || (file->state & CLAIM_FILE_CLOSING) != 0)
        return -EBADF;
    if (file->poller != poller && file->poller != NULL)
        return -EXDEV;
    if (file->write != NULL)
        return -EBUSY;
    file->poller = poller;
    return 0;
}

#endif
