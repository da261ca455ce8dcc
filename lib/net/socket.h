/*
 * Socket transport, inside: one connection over one stream file.
 *
 *      socket.c          its life: made, started, closing, lost, shut
 *      socket_read.c     bytes to the protocol
 *      socket_write.c    bytes from the protocol
 *
 * Everything that an idle connection needs is here and nothing else: the bytes that come are lent by the loop, what is written borrows
 * from the loop's pool, and limits have memory only where there are some.
 */
#ifndef LIB_NET_SOCKET_H
#define LIB_NET_SOCKET_H

#include <assert.h>

#include "lib/base/context.h"
#include "lib/net/limits.h"
#include "lib/net/net.h"
#include "lib/net/outgoing.h"
#include "weft/operation.h"
#include "weft/status.h"
#include "weft/transport.h"

/*
 * The kind's own bits of weft_transport.flags.
 *
 *      IN_CALL           a callback of the protocol is running: what it writes is flushed behind it
 *      STARTED           reading has begun; set once, after connection_made
 *      QUEUED            `queued` is in the loop's queue: made, or lost
 *      EOF_SEEN          the peer's end was delivered; nothing will be read any more
 *      EOF_HELD          the peer's end came while paused
 *      DELIVERY_QUEUED   `reading.work` is in the loop's queue: to start, or to deliver what was held
 *      SHUT_DOWN         the writing side was ended
 *      OVER              connection_lost has returned: what ends now leads to the close of the descriptor
 *      HAS_CONTEXT       the protocol is called in `context`, not in the loop's plain one
 */
enum {
    SOCKET_IN_CALL = WEFT_TRANSPORT_OWN,
    SOCKET_STARTED = WEFT_TRANSPORT_OWN << 1,
    SOCKET_QUEUED = WEFT_TRANSPORT_OWN << 2,
    SOCKET_EOF_SEEN = WEFT_TRANSPORT_OWN << 3,
    SOCKET_EOF_HELD = WEFT_TRANSPORT_OWN << 4,
    SOCKET_DELIVERY_QUEUED = WEFT_TRANSPORT_OWN << 5,
    SOCKET_SHUT_DOWN = WEFT_TRANSPORT_OWN << 6,
    SOCKET_OVER = WEFT_TRANSPORT_OWN << 7,
    SOCKET_HAS_CONTEXT = WEFT_TRANSPORT_OWN << 8,
};

/* Bytes that came while reading was paused. */
struct held {
    size_t len;
    char bytes[];
};

/* What few connections have. */
struct socket_extra {
    struct held *held;
    struct limits *limits;
    struct weft_context *context; /* of the protocol's callbacks; while one runs, what it stands in for */
};

struct socket_transport {
    struct weft_transport transport; /* first */
    struct weft_file file;
    struct weft_operation reading; /* receives; then, with nothing to receive any more, closes the file */
    struct weft_work queued;
    struct outgoing *outgoing;
    struct socket_extra *extra; /* NULL: none of that */
    int lost_status;
};

#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(struct socket_transport) <= 256, "an idle connection fits the allocator's class of 256 bytes");
#endif

static inline struct net *socket_net(const struct socket_transport *socket)
{
    return net_of(socket->transport.loop);
}

static inline struct limits *socket_limits(const struct socket_transport *socket)
{
    return socket->extra == NULL ? NULL : socket->extra->limits;
}

static inline struct held *socket_held(const struct socket_transport *socket)
{
    return socket->extra == NULL ? NULL : socket->extra->held;
}

/* Note that bytes have moved. */
static inline void socket_moved(const struct socket_transport *socket, bool is_sent)
{
    struct limits *limits = socket_limits(socket);
    if (limits != NULL) {
        limits->moved_ns = weft_loop_time(socket->transport.loop);
        if (is_sent)
            limits->sent_ns = limits->moved_ns;
    }
}

/* Pause or resume the protocol's writing if what waits has crossed a limit. 0; a fatal status of the callback. */
static inline int socket_measure(struct socket_transport *socket)
{
    struct weft_transport *transport = &socket->transport;
    bool is_paused = (transport->flags & WEFT_TRANSPORT_WRITING_PAUSED) != 0;
    if (is_paused ? transport->write_bytes > transport->write_low : transport->write_bytes <= transport->write_high)
        return 0;
    return weft_transport_set_write_buffer_size(transport, transport->write_bytes);
}

/* ---- socket.c ---- */

/* weft_transport_ops.make_socket of the base. */
int socket_make(struct weft_loop *loop, const struct weft_make_socket *args, struct weft_transport **transport_out);

/* The connection is over: drop what waits, queue connection_lost(status), once. */
void socket_abort(struct weft_transport *transport, int status);

/* All that was written before a close is sent: queue connection_lost(0). */
void socket_drained(struct socket_transport *socket);

/* Something that was pending has ended; if all has, and connection_lost is over, close the file. */
void socket_settle(struct socket_transport *socket);

/* Make room for what few connections have. 0; -ENOMEM. */
int socket_extra_need(struct socket_transport *socket);

/* ---- socket_read.c ---- */

/* Begin to read if reading is wanted and has not begun; deliver first what was held. */
void socket_read(struct socket_transport *socket);

/* Stop receiving. */
void socket_read_stop(struct socket_transport *socket);

/* weft_transport_stream_ops.set_reading. */
int socket_set_reading(struct weft_transport *transport, bool is_reading);

/* ---- socket_write.c ---- */

int socket_write(struct weft_transport *transport, const struct iovec *iov, size_t count);
int socket_write_eof(struct weft_transport *transport);

/* Send what waits, as far as it goes now. 0; a fatal status of resume_writing. */
int socket_flush(struct socket_transport *socket);

/* Drop what waits; what is being sent is cancelled. */
void socket_write_drop(struct socket_transport *socket);

/* Give back what was borrowed to send with, unless it is still in use and will be given back later. */
static inline void socket_write_release(struct socket_transport *socket)
{
    struct outgoing *outgoing = socket->outgoing;
    if (outgoing == NULL || !outgoing_is_empty(outgoing) || outgoing->is_sending || outgoing->is_flush_queued)
        return;
    socket->outgoing = NULL;
    outgoing_give(&socket_net(socket)->pool, outgoing);
}

/* ---- around what calls the protocol ---- */

/* Into the context that the protocol's callbacks were given, and out again. */
static inline void socket_switch_context(struct socket_transport *socket)
{
    if ((socket->transport.flags & SOCKET_HAS_CONTEXT) != 0)
        socket->extra->context = context_swap_current(socket->extra->context);
}

/* Run between begin and end what calls the protocol: then what it writes is sent in one call. `end` gives `status`, or a fatal one. */
static inline void socket_call_begin(struct socket_transport *socket)
{
    socket->transport.flags |= SOCKET_IN_CALL;
    socket_switch_context(socket);
}

static inline int socket_call_end(struct socket_transport *socket, int status)
{
    socket->transport.flags &= ~(unsigned)SOCKET_IN_CALL;
    int flushed = socket->outgoing == NULL ? 0 : socket_flush(socket);
    socket_switch_context(socket);
    return status < 0 && weft_status_is_fatal(status) ? status : flushed < 0 ? flushed : status;
}

#endif
