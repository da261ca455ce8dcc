/*
 * Timers, as the loop's turn uses them: move what is due behind the I/O of this iteration. See lib/loop/timer.c.
 */
#ifndef LIB_LOOP_TIMERS_H
#define LIB_LOOP_TIMERS_H

#include <stdint.h>

struct weft_loop;

/* Make the due ring empty. */
void timers_init(struct weft_loop *loop);

/* Take the timers that are due at `now_ns` out of the heap and queue their firing. */
void timers_collect(struct weft_loop *loop, uint64_t now_ns);

/* Queue the firing of the due ring, if it holds something and is not queued. */
void timers_queue_due(struct weft_loop *loop);

/* Stop all timers and free the heap. */
void timers_fini(struct weft_loop *loop);

#endif
