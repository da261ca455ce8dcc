/*
 * Limits: how long a connection may stand still, and how much it may hold back; and the one coarse timer that watches all of a loop.
 *
 *      wheel   [ ][ ][x][ ][x][ ] …     a slot a tick of 17 ms; a connection is in the slot of its next look, at most 4 s ahead
 *
 * Activity only stamps; nothing moves in the wheel. When a slot's tick comes, each connection in it is looked at: timed out, or put where
 * it may time out next. The timer sleeps until the next slot with something in it. Only a connection with limits has this.
 */
#ifndef LIB_NET_LIMITS_H
#define LIB_NET_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/timer.h"
#include "weft/transport.h"

enum { LIMITS_SLOTS = 256, LIMITS_TICK_SHIFT = 24 };

struct limits {
    struct limits *next, *prev; /* in its slot; NULL: in none */
    struct weft_transport *transport;
    uint64_t idle_ns, write_ns; /* 0: none */
    uint64_t deadline_ns;       /* of the loop's clock; 0: none */
    uint64_t moved_ns;          /* when bytes came or went */
    uint64_t sent_ns;           /* when what waits to be sent last moved, or began to wait */
    uint64_t tick;              /* of its slot */
    size_t buffer_max;
};

struct limits_wheel {
    struct weft_loop *loop;
    struct weft_timer timer;
    uint64_t tick;       /* the slots up to it have been looked at */
    uint64_t armed_tick; /* UINT64_MAX: not armed */
    struct limits *slots[LIMITS_SLOTS];
};

void limits_wheel_init(struct limits_wheel *wheel, struct weft_loop *loop);
/* Stop looking. */
void limits_wheel_close(struct limits_wheel *wheel);
void limits_wheel_fini(struct limits_wheel *wheel);

/* Make limits, all none, for `transport`; NULL when out of memory. */
struct limits *limits_create(struct limits_wheel *wheel, struct weft_transport *transport);

/* Set one and look anew. 0; -ENOMEM; -EINVAL; -ENOTSUP. */
int limits_set(struct limits_wheel *wheel, struct limits *limits, enum weft_transport_option option, uint64_t value);

/* Take `limits` (may be NULL) out of the wheel and free it. */
void limits_destroy(struct limits_wheel *wheel, struct limits *limits);

#endif
