/*
 * Try: one attempt at an operation with the system calls of a socket or a pipe, without waiting.
 */
#ifndef LIB_POLL_TRY_H
#define LIB_POLL_TRY_H

#include <stdbool.h>

#include "lib/poll/readiness.h"

/*
 * Attempt `operation`; a recv fills `window`. `is_first` begins a connect, later attempts ask how it went.
 *
 * thread:  the loop of the operation's poller
 * returns: the operation's result; READINESS_WOULD_BLOCK
 */
int try_operation(struct readiness *readiness, struct weft_operation *operation, struct readiness_window window, bool is_first);

/*
 * Send the pieces on `file`, as a sendv.
 *
 * thread:  the loop of the file's poller
 * returns: the bytes; -errno; READINESS_WOULD_BLOCK
 */
int try_pieces(struct readiness *readiness, struct weft_file *file, const struct iovec *iov, size_t count);

#endif
