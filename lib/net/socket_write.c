/*
 * Socket transport, writing: bytes are gathered and sent in one call.
 *
 * One operation sends at a time; what is written meanwhile waits behind it. The flush comes when the protocol's callback returns, else as
 * the loop's iteration ends, and at once from OUTGOING_AT_ONCE_BYTES on or where the protocol would be paused otherwise. A failure never
 * reaches who wrote: it ends the connection.
 */
#include <errno.h>

#include "lib/net/socket.h"
#include "weft/status.h"

static int sent(struct weft_operation *operation, int result, unsigned flags);

void socket_write_release(struct socket_transport *socket)
{
    struct outgoing *outgoing = socket->outgoing;
    if (outgoing == NULL || !outgoing_is_empty(outgoing) || outgoing->is_sending || outgoing->is_flush_queued)
        return;
    socket->outgoing = NULL;
    outgoing_give(&socket_net(socket)->pool, outgoing);
}

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

/* Try to send the first pieces: what came of it. */
static int send_begin(struct socket_transport *socket)
{
    struct outgoing *outgoing = socket->outgoing;
    const struct chunk *chunk = outgoing->head;
    if (chunk->next == NULL)
        weft_operation_send(&outgoing->operation, &socket->file, chunk->bytes + chunk->start, chunk->end - chunk->start, sent);
    else
        weft_operation_sendv(&outgoing->operation, &socket->file, outgoing->pieces, outgoing_gather(outgoing), sent);
    return loop_submit(socket->transport.loop, &outgoing->operation);
}

/* `count` bytes are gone; the water marks look only when the flush is over. */
static void consume(struct socket_transport *socket, size_t count)
{
    outgoing_consume(&socket_net(socket)->pool, socket->outgoing, count);
    socket->transport.write_bytes -= count;
    socket_net(socket)->counters.bytes_written += count;
    socket_moved(socket, true);
}

static void send_all(struct socket_transport *socket)
{
    while (!outgoing_is_empty(socket->outgoing) && !socket->outgoing->is_sending) {
        int result = send_begin(socket);
        if (result == -EINPROGRESS)
            socket->outgoing->is_sending = true;
        else if (result < 0)
            socket_abort(&socket->transport, result); /* drops what waits, so this ends */
        else
            consume(socket, (size_t)result);
    }
}

int socket_flush(struct socket_transport *socket)
{
    if (socket->outgoing == NULL || socket->outgoing->is_sending)
        return 0;
    send_all(socket);
    if (outgoing_is_empty(socket->outgoing) && !socket->outgoing->is_sending)
        drained(socket);
    int status = 0;
    if ((socket->transport.flags & WEFT_TRANSPORT_LOST) == 0)
        status = weft_transport_set_write_buffer_size(&socket->transport, socket->transport.write_bytes);
    socket_write_release(socket);
    return status;
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
        consume(socket, (size_t)result);
        socket_call_begin(socket);
        status = socket_flush(socket);
        status = socket_call_end(socket, status);
    }
    socket_settle(socket);
    return status;
}

/* The end of the iteration, for what was written outside of the protocol's callbacks. */
static int flush_run(struct weft_work *work)
{
    struct outgoing *outgoing = weft_container_of(work, struct outgoing, flush);
    struct socket_transport *socket = outgoing->socket;
    outgoing->is_flush_queued = false;
    int status = socket_flush(socket);
    socket_write_release(socket);
    socket_settle(socket);
    weft_transport_unref(&socket->transport);
    return status;
}

static void flush_queue(struct socket_transport *socket)
{
    struct outgoing *outgoing = socket->outgoing;
    if (outgoing->is_flush_queued)
        return;
    outgoing->is_flush_queued = true;
    outgoing->flush.run = flush_run;
    weft_transport_ref(&socket->transport);
    loop_at_turn_end(socket->transport.loop, &outgoing->flush);
}

static int outgoing_need(struct socket_transport *socket)
{
    if (socket->outgoing != NULL)
        return 0;
    socket->outgoing = outgoing_take(&socket_net(socket)->pool);
    if (socket->outgoing == NULL)
        return -ENOMEM;
    socket->outgoing->socket = socket;
    return 0;
}

/* What was added waits: send it now, or see to it that it is sent soon. */
static int flush_soon(struct socket_transport *socket)
{
    size_t waiting = socket->transport.write_bytes;
    if (socket->outgoing->is_sending)
        return weft_transport_set_write_buffer_size(&socket->transport, waiting);
    if (waiting >= OUTGOING_AT_ONCE_BYTES || waiting > socket->transport.write_high)
        return socket_flush(socket);
    if ((socket->transport.flags & SOCKET_IN_CALL) == 0)
        flush_queue(socket);
    return 0;
}

int socket_write(struct weft_transport *transport, const struct iovec *iov, size_t count)
{
    struct socket_transport *socket = weft_container_of(transport, struct socket_transport, transport);
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += iov[i].iov_len;
    if (total == 0)
        return 0;
    size_t max = socket->limits == NULL ? 0 : socket->limits->buffer_max;
    if (max != 0 && (total > max || transport->write_bytes > max - total))
        return WEFT_EFULL;
    int status = outgoing_need(socket);
    if (status == 0)
        status = outgoing_append(&socket_net(socket)->pool, socket->outgoing, iov, count, total);
    if (status < 0) {
        socket_write_release(socket);
        return status;
    }
    if (transport->write_bytes == 0 && socket->limits != NULL)
        socket->limits->sent_ns = weft_loop_time(transport->loop);
    transport->write_bytes += total;
    return flush_soon(socket);
}

int socket_write_eof(struct weft_transport *transport)
{
    struct socket_transport *socket = weft_container_of(transport, struct socket_transport, transport);
    int status = outgoing_need(socket);
    if (status < 0)
        return status;
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
