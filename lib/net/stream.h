/*
 * Stream, inside: a protocol that fibers wait on.
 *
 *      stream.c          its life, and its protocol: what wakes those who wait
 *      stream_io.c       reading and writing: who waits
 *      stream_server.c   a fiber for each connection
 *
 * All of a stream is its loop's. A fiber that calls from another loop is moved there for the call (ADD-11): see stream_enter().
 */
#ifndef LIB_NET_STREAM_H
#define LIB_NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/loop/loop.h"
#include "lib/net/net.h"
#include "lib/net/stream_buffer.h"
#include "lib/task/fiber.h"
#include "lib/task/park.h"
#include "weft/status.h"
#include "weft/stream.h"

/* A fiber that waits, in its own frame; it takes itself off the list. */
struct stream_waiter {
    struct park park;
    struct stream_waiter *next;
    char *buf;    /* where a reader wants the next bytes, if none were there before; NULL: in the stream's buffer */
    size_t len;   /* the room there */
    size_t count; /* how many have come there */
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

/* One call of a fiber, perhaps from another loop. */
struct stream_visit {
    bool is_away; /* `stay` is to be ended */
    struct fiber_visit stay;
};

/* True if `loop` runs here and is open, as nearly always: then there is nowhere to go for a call, and no way back. thread: any */
static inline bool stream_is_here(const struct weft_loop *loop)
{
    return worker_current() == &loop->worker && weft_atomic_load_relaxed(&loop->is_closing) == LOOP_OPEN;
}

/* As stream_enter() where `loop` does not run here. thread: any */
int stream_enter_slowly(struct weft_loop *loop, struct stream_visit *visit);

/*
 * Begin a call on what is `loop`'s: go there if this is a fiber elsewhere. No cancellation is delivered on the way.
 *
 * thread:  any
 * returns: 0, and then stream_leave() must follow; WEFT_ECLOSED; WEFT_EWRONGTHREAD
 */
static inline int stream_enter(struct weft_loop *loop, struct stream_visit *visit)
{
    visit->is_away = false;
    if (worker_current() != &loop->worker)
        return stream_enter_slowly(loop, visit);
    return weft_atomic_load_relaxed(&loop->is_closing) ? WEFT_ECLOSED : 0;
}

/* End it: a pinned fiber goes back, a stealable one stays. thread: the fiber that entered; returns status */
static inline int stream_leave(struct stream_visit *visit, int status)
{
    if (visit->is_away)
        fiber_visit_end(&visit->stay);
    return status;
}

/* Make a stream with two references, the protocol's and the caller's. 0; -ENOMEM. thread: the loop's */
int stream_create(struct weft_loop *loop, struct weft_stream **stream_out);

/* Start the client's fiber, which has the caller's reference. 0; a status. thread: the loop's */
int stream_serve(struct weft_stream *stream);

#endif
