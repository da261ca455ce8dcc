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
int try_operation(const struct weft_operation *operation, struct readiness_window window, bool is_first);

#endif
