/*
 * Handles, as the closing loop sees them. See lib/loop/handle.c.
 */
#ifndef LIB_LOOP_HANDLE_H
#define LIB_LOOP_HANDLE_H

struct weft_timer;

/* Drop the queue's reference if `timer`, which will never fire, is that of a handle. */
void handle_abandon_timer(struct weft_timer *timer);

#endif
