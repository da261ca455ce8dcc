/*
 * Stream, inside: a protocol that fibers wait on.
 *
 *      stream.c          its life, and its protocol: what wakes those who wait
 *      stream_io.c       reading and writing: who waits
 *      stream_server.c   a fiber for each connection
 */
#ifndef LIB_NET_STREAM_H
#define LIB_NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/net/net.h"
#include "lib/net/stream_buffer.h"
#include "weft/future.h"
#include "weft/stream.h"

/* A fiber that waits, in its own frame. Woken by the completion; it takes itself off the list. */
struct stream_waiter {
    struct weft_future future;
    struct stream_waiter *next;
};

struct weft_stream {
    struct weft_protocol protocol; /* first */
    struct weft_transport *transport;
    struct weft_loop *loop;
    struct stream_buffer buffer;
    size_t limit;
    struct stream_waiter *reading;  /* at most one */
    struct stream_waiter *draining; /* any number, as of the next */
    struct stream_waiter *closing;
    weft_stream_client_fn *client; /* of a server's stream that did not get its fiber yet; else NULL */
    void *client_arg;
    uint32_t refs;
    int status;             /* what broke the connection */
    bool is_ended;          /* the peer's end, or the connection's */
    bool is_lost;           /* the connection's */
    bool is_writing_paused; /* between pause_writing and resume_writing */
    bool is_busy;           /* a task reads */
};

/* Where its buffer comes from: NULL before its loop has a net, which a kind of transports of somebody's own may do without. */
static inline struct stream_buffer_pool *stream_pool(const struct weft_stream *stream)
{
    struct net *net = net_of(stream->loop);
    return net == NULL ? NULL : &net->buffers;
}

/* Make a stream with two references, the protocol's and the caller's. 0; -ENOMEM. thread: the loop's */
int stream_create(struct weft_loop *loop, struct weft_stream **stream_out);

/* Start the client's fiber, which has the caller's reference. 0; a status. thread: the loop's */
int stream_serve(struct weft_stream *stream);

#endif
