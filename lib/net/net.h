/*
 * Net, inside: what the net room keeps for each loop.
 *
 * Made at the first use on a loop and hung into it as LOOP_ROOM_NET. It knows everything that must let go when the loop closes: the
 * transports that belong to no server, and as items the servers, connections under way and look-ups.
 */
#ifndef LIB_NET_NET_H
#define LIB_NET_NET_H

#include "lib/loop/loop.h"
#include "lib/net/limits.h"
#include "lib/net/outgoing.h"
#include "lib/net/stream_buffer.h"
#include "weft/transport.h"

/* Something of a loop that is told when the loop closes. A ring through struct net. */
struct net_item {
    struct net_item *next, *prev;
    void (*close)(struct net_item *item);  /* let go; it may remove itself and others */
    void (*refuse)(struct net_item *item); /* take in no more, as the runtime shuts down; it may remove itself. NULL: nothing to refuse */
};

struct net {
    struct loop_room_state state; /* first */
    struct weft_loop *loop;
    struct weft_transport *transports; /* those of no server */
    struct net_item items;             /* head of the ring */
    struct outgoing_pool pool;
    struct stream_buffer_pool buffers;
    struct limits_wheel wheel;
    struct weft_transport_counters counters;
};

/*
 * Get what net keeps for `loop`; made if need be.
 *
 * thread:  the loop's, or the preparing one
 * returns: 0; -ENOMEM; as loop_check()
 */
int net_get(struct weft_loop *loop, struct net **net_out);

/* The same for who knows that it is there: a transport or server of `loop` exists. thread: the loop's */
static inline struct net *net_of(const struct weft_loop *loop)
{
    return (struct net *)(void *)loop_room(loop, LOOP_ROOM_NET);
}

/* Put `item`, whose functions are set, into the ring. thread: the loop's */
void net_item_add(struct net *net, struct net_item *item);

/* Take `item` out; one that is not in is fine. thread: the loop's */
void net_item_remove(struct net_item *item);

/* Close `fd`, which no file stands for, also where it is of a simulated world. thread: the loop's */
void net_close_fd(struct weft_loop *loop, int fd);

/* Report `status` of `object` unless it is fine; a fatal one is returned, to leave the loop, and 0 else. thread: the loop's */
int net_report(struct weft_loop *loop, const char *message, int status, void *object);

#endif
