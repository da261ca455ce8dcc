/*
 * Spy: loops for the tests of lib/loop, whose poller is epoll's with two slots laid over it, and which the tests turn by hand.
 *
 * All memory is counted: when a test's body has returned, none of weft's may be left (see spy.c).
 */
#ifndef TESTS_LOOP_SPY_H
#define TESTS_LOOP_SPY_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/loop/loop.h"
#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "weft/loop.h"
#include "weft/status.h"

/* What the poller was asked, and what it does about it. */
struct spy {
    uint64_t wait_count;
    int64_t timeout_ns;                     /* of the last wait */
    int wait_status;                        /* below 0: what waits return, without looking */
    struct weft_work *io;                   /* what each wait brings, as if it were I/O, without looking, unless NULL */
    void (*on_now)(struct weft_loop *loop); /* called whenever the clock is read, unless NULL */
    struct weft_loop *loop;                 /* the last one that was made */
};

extern struct spy spy;

/* Count weft's memory from here on, for a test that makes its first loop itself. */
void spy_count_memory(void);

/* A loop over the watched poller, and one with virtual time. */
struct weft_loop *spy_loop(void);
struct weft_loop *spy_sim_loop(void);

/* Close and unref. */
void spy_drop(struct weft_loop *loop);

/* Enter, do `count` iterations that do not sleep, leave: what the last one returned. */
int spy_turns(struct weft_loop *loop, int count);

/* How many reports the loops of this test made. */
uint64_t spy_reports(void);

#endif
