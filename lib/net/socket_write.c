/*
 * Socket transport, writing: bytes are gathered and sent in one call.
 *
 * One operation sends at a time; what is written meanwhile waits behind it. The flush comes when the protocol's callback returns, else as
 * the loop's iteration ends, and at once from OUTGOING_AT_ONCE_BYTES on or where the protocol would be paused otherwise. A failure never
 * reaches who wrote: it ends the connection.
 */
#include <errno.h>
#include <string.h>

#include "lib/net/socket.h"
#include "weft/status.h"

enum { THROUGH_PIECES_MAX = 32 }; /* that waited and that are written, in one call */

static int sent(struct weft_operation *operation, int result, unsigned flags);

/* A connection that the peer has reset cannot be shut down any more: say what a receive would have said. */
static void shut_down_failed(struct socket_transport *socket, int status)
{
    socket_abort(&socket->transport, status == -ENOTCONN ? -ECONNRESET : status);
}

static int shut_down(struct weft_operation *operation, int result, unsigned flags)
{
    struct outgoing *outgoing = weft_container_of(operation, struct outgoing, operation);
    struct socket_transport *socket = outgoing->socket;
    (void)flags;
    outgoing->is_sending = false;
    if (result < 0 && result != -ECANCELED)
        shut_down_failed(socket, result);
    socket_drained(socket);
    socket_write_release(socket);
    socket_settle(socket);
    return 0;
}

/* End the writing side; everything before it is sent. */
static void shut_down_begin(struct socket_transport *socket)
{
    struct outgoing *outgoing = socket->outgoing;
    socket->transport.flags |= SOCKET_SHUT_DOWN;
    weft_operation_shutdown(&outgoing->operation, &socket->file, shut_down);
    int result = loop_submit(socket->transport.loop, &outgoing->operation);
    if (result == -EINPROGRESS)
        outgoing->is_sending = true;
    else if (result < 0)
        shut_down_failed(socket, result);
}

/* Nothing waits any more: what was put off until now. */
static void drained(struct socket_transport *socket)
{
    unsigned flags = socket->transport.flags;
    if ((flags & WEFT_TRANSPORT_EOF_WRITTEN) != 0 && (flags & (SOCKET_SHUT_DOWN | WEFT_TRANSPORT_LOST)) == 0)
        shut_down_begin(socket);
    if (!socket->outgoing->is_sending)
        socket_drained(socket);
}

/* Send the first pieces, `count` of them, by an operation, which waits: what came of it. */
static int send_wait(struct socket_transport *socket, struct outgoing *outgoing, size_t count)
{
    const struct iovec *pieces = outgoing->pieces;
    if (count == 1)
        weft_operation_send(&outgoing->operation, &socket->file, pieces->iov_base, pieces->iov_len, sent);
    else
        weft_operation_sendv(&outgoing->operation, &socket->file, pieces, count, sent);
    return loop_submit(socket->transport.loop, &outgoing->operation);
}

/* Try to send the first pieces: what came of it. */
static inline int send_begin(struct socket_transport *socket, struct outgoing *outgoing)
{
    size_t count = outgoing_gather(outgoing, outgoing->pieces, OUTGOING_PIECES_MAX);
    int result = loop_send(socket->transport.loop, &socket->file, outgoing->pieces, count);
    return result == -EAGAIN ? send_wait(socket, outgoing, count) : result;
}

/* `count` bytes are gone; the water marks look only when the flush is over. */
static inline void consume(struct socket_transport *socket, struct outgoing *outgoing, size_t count)
{
    struct net *net = socket_net(socket);
    outgoing_consume(&net->pool, outgoing, count);
    socket->transport.write_bytes -= count;
    net->counters.bytes_written += count;
    socket_moved(socket, true);
}

/* Send until nothing waits, or it has to, or the connection has failed and nothing waits either. */
static inline void send_all(struct socket_transport *socket, struct outgoing *outgoing)
{
    while (!outgoing_is_empty(outgoing)) {
        int result = send_begin(socket, outgoing);
        if (result >= 0) {
            consume(socket, outgoing, (size_t)result);
            continue;
        }
        if (result == -EINPROGRESS)
            outgoing->is_sending = true;
        else
            socket_abort(&socket->transport, result);
        return;
    }
}

int socket_flush(struct socket_transport *socket)
{
    struct outgoing *outgoing = socket->outgoing;
    if (outgoing == NULL || outgoing->is_sending)
        return 0;
    send_all(socket, outgoing);
    bool is_over = (socket->transport.flags & (WEFT_TRANSPORT_EOF_WRITTEN | WEFT_TRANSPORT_CLOSING)) != 0;
    if (is_over && outgoing_is_empty(outgoing) && !outgoing->is_sending)
        drained(socket);
    socket_write_release(socket);
    return (socket->transport.flags & WEFT_TRANSPORT_LOST) == 0 ? socket_measure(socket) : 0;
}

static int sent(struct weft_operation *operation, int result, unsigned flags)
{
    struct outgoing *outgoing = weft_container_of(operation, struct outgoing, operation);
    struct socket_transport *socket = outgoing->socket;
    (void)flags;
    outgoing->is_sending = false;
    int status = 0;
    if ((socket->transport.flags & WEFT_TRANSPORT_LOST) != 0) {
        outgoing_drop(&socket_net(socket)->pool, outgoing);
        socket_write_release(socket);
    } else if (result < 0) {
        socket_abort(&socket->transport, result);
        socket_write_release(socket);
    } else {
        consume(socket, outgoing, (size_t)result);
        socket_call_begin(socket);
        status = socket_flush(socket);
        status = socket_call_end(socket, status);
    }
    socket_settle(socket);
    return status;
}

/* The end of the iteration, for what was written outside of the protocol's callbacks. Until then the file is not closed: see settle. */
static int flush_run(struct weft_work *work)
{
    struct outgoing *outgoing = weft_container_of(work, struct outgoing, flush);
    struct socket_transport *socket = outgoing->socket;
    outgoing->is_flush_queued = false;
    int status = socket_flush(socket);
    socket_write_release(socket);
    socket_settle(socket);
    return status;
}

static void flush_queue(struct socket_transport *socket)
{
    struct outgoing *outgoing = socket->outgoing;
    if (outgoing->is_flush_queued)
        return;
    outgoing->is_flush_queued = true;
    outgoing->flush.run = flush_run;
    loop_at_turn_end(socket->transport.loop, &outgoing->flush);
}

/* What this connection writes with; it may have to be borrowed from the pool first, and is NULL if that has none. */
static inline struct outgoing *outgoing_borrow(struct socket_transport *socket)
{
    struct outgoing *outgoing = socket->outgoing;
    if (outgoing != NULL)
        return outgoing;
    outgoing = outgoing_take(&socket_net(socket)->pool);
    if (outgoing != NULL) {
        outgoing->socket = socket;
        socket->outgoing = outgoing;
    }
    return outgoing;
}

/* The same; then one is made. NULL when out of memory. */
static struct outgoing *outgoing_need(struct socket_transport *socket)
{
    struct outgoing *outgoing = outgoing_borrow(socket);
    if (outgoing != NULL)
        return outgoing;
    outgoing = outgoing_create();
    if (outgoing != NULL)
        outgoing->socket = socket;
    return socket->outgoing = outgoing;
}

/* What waits, and the caller's pieces behind it, in one call as far as they go: the bytes that the kernel has taken; -errno. */
static int send_together(struct socket_transport *socket, const struct iovec *iov, size_t count)
{
    struct iovec pieces[THROUGH_PIECES_MAX];
    size_t waiting = outgoing_is_empty(socket->outgoing) ? 0 : outgoing_gather(socket->outgoing, pieces, THROUGH_PIECES_MAX);
    if (count > THROUGH_PIECES_MAX - waiting)
        return 0; /* so many small ones are better copied */
    memcpy(pieces + waiting, iov, count * sizeof(*iov));
    int result = loop_send(socket->transport.loop, &socket->file, pieces, waiting + count);
    return result == -EAGAIN ? 0 : result;
}

/*
 * Send at once what waits and the pieces, from where they are: only what the kernel does not take is copied. There must be room for that
 * before, since a write is taken as a whole or not at all.
 */
static int write_through(struct socket_transport *socket, const struct iovec *iov, size_t count, size_t total)
{
    struct net *net = socket_net(socket);
    struct chunk *room = outgoing_reserve(&net->pool, total);
    if (room == NULL)
        return -ENOMEM;
    int result = send_together(socket, iov, count);
    if (result < 0) {
        outgoing_unreserve(&net->pool, room);
        socket_abort(&socket->transport, result);
        return 0;
    }
    size_t sent = (size_t)result, waited = socket->transport.write_bytes;
    size_t first = sent < waited ? sent : waited;
    if (sent > 0)
        consume(socket, socket->outgoing, first);
    sent -= first;
    net->counters.bytes_written += sent;
    outgoing_append_to(&net->pool, socket->outgoing, room, iov, count, sent);
    socket->transport.write_bytes += total - sent;
    return socket_flush(socket);
}

static int write_later(struct socket_transport *socket, const struct iovec *iov, size_t count, size_t total)
{
    struct outgoing *outgoing = socket->outgoing;
    int status = outgoing_append(&socket_net(socket)->pool, outgoing, iov, count, total);
    if (status < 0)
        return status;
    socket->transport.write_bytes += total;
    if (outgoing->is_sending)
        return socket_measure(socket);
    if ((socket->transport.flags & SOCKET_IN_CALL) == 0)
        flush_queue(socket);
    return 0;
}

/* What waits begins to wait now, if nothing did; and it may be too much. 0; WEFT_EFULL. */
static int limits_check(const struct socket_transport *socket, struct limits *limits, size_t total)
{
    size_t waiting = socket->transport.write_bytes, max = limits->buffer_max;
    if (max != 0 && (total > max || waiting > max - total))
        return WEFT_EFULL;
    if (waiting == 0)
        limits->sent_ns = weft_loop_time(socket->transport.loop);
    return 0;
}

/* As socket_write(), for `total` bytes, of which there are some. Apart, so that most writes save no registers for it. */
__attribute__((noinline)) static int write_pieces(struct socket_transport *socket, const struct iovec *iov, size_t count, size_t total)
{
    struct limits *limits = socket_limits(socket);
    int status = limits == NULL ? 0 : limits_check(socket, limits, total);
    if (status < 0)
        return status;
    const struct outgoing *outgoing = outgoing_need(socket);
    if (outgoing == NULL)
        return -ENOMEM;
    size_t waiting = socket->transport.write_bytes + total;
    bool is_much = waiting >= OUTGOING_AT_ONCE_BYTES || waiting > socket->transport.write_high;
    if (is_much && !outgoing->is_sending)
        status = write_through(socket, iov, count, total);
    else
        status = write_later(socket, iov, count, total);
    if (status == -ENOMEM)
        socket_write_release(socket);
    return status;
}

/*
 * What most writes are: one piece that fits behind what waits and crosses no limit, to be flushed later. False if it is not that, and nothing
 * has been written.
 */
static inline bool write_behind(struct socket_transport *socket, const struct iovec *piece)
{
    struct weft_transport *transport = &socket->transport;
    size_t len = piece->iov_len, waiting = transport->write_bytes + len;
    if (socket->extra != NULL || len == 0 || waiting >= OUTGOING_AT_ONCE_BYTES || waiting > transport->write_high)
        return false;
    struct outgoing *outgoing = outgoing_borrow(socket);
    if (outgoing == NULL || outgoing->is_sending || !outgoing_has_room(outgoing, len))
        return false;
    transport->write_bytes = waiting;
    outgoing_put(outgoing, piece->iov_base, len);
    if ((transport->flags & SOCKET_IN_CALL) == 0)
        flush_queue(socket);
    return true;
}

int socket_write(struct weft_transport *transport, const struct iovec *iov, size_t count)
{
    struct socket_transport *socket = weft_container_of(transport, struct socket_transport, transport);
    size_t total = 0;
    if (count == 1 && write_behind(socket, iov))
        return 0;
    for (size_t i = 0; i < count; i++)
        total += iov[i].iov_len;
    return total == 0 ? 0 : write_pieces(socket, iov, count, total);
}

int socket_write_eof(struct weft_transport *transport)
{
    struct socket_transport *socket = weft_container_of(transport, struct socket_transport, transport);
    if (outgoing_need(socket) == NULL)
        return -ENOMEM;
    if (socket->outgoing->is_sending || (transport->flags & SOCKET_IN_CALL) != 0)
        return 0;
    return socket_flush(socket);
}

void socket_write_drop(struct socket_transport *socket)
{
    struct outgoing *outgoing = socket->outgoing;
    socket->transport.write_bytes = 0;
    if (outgoing == NULL)
        return;
    if (outgoing->is_sending)
        (void)loop_cancel(socket->transport.loop, &outgoing->operation);
    else
        outgoing_drop(&socket_net(socket)->pool, outgoing);
}
