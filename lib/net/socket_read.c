/*
 * Socket transport, reading: one multishot receive with lent memory, as long as reading is wanted.
 *
 * A cancel takes time, so bytes may still come after a pause: they are held and delivered first when reading goes on. After the peer's
 * end, and once the transport closes, nothing is received any more.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lib/net/protocol.h"
#include "lib/net/socket.h"
#include "weft/memory.h"
#include "weft/status.h"

static bool is_reading_wanted(const struct socket_transport *socket)
{
    unsigned flags = socket->transport.flags;
    return (flags & SOCKET_STARTED) != 0 && (flags & (WEFT_TRANSPORT_CLOSING | WEFT_TRANSPORT_PAUSED | SOCKET_EOF_SEEN)) == 0;
}

/* A failure of the protocol's: report it and end the connection. A fatal one only passes. */
static int read_failed(struct socket_transport *socket, const char *message, int status)
{
    if (weft_status_is_fatal(status))
        return status;
    (void)net_report(socket->transport.loop, message, status, &socket->transport);
    socket_abort(&socket->transport, status);
    return 0;
}

static int hold(struct socket_transport *socket, const char *bytes, size_t len)
{
    if (socket_extra_need(socket) < 0)
        return read_failed(socket, "no memory for bytes that came while reading was paused", -ENOMEM);
    size_t before = socket->extra->held == NULL ? 0 : socket->extra->held->len;
    struct held *held = weft_realloc(socket->extra->held, sizeof(*held) + before + len);
    if (held == NULL)
        return read_failed(socket, "no memory for bytes that came while reading was paused", -ENOMEM);
    memcpy(held->bytes + before, bytes, len);
    held->len = before + len;
    socket->extra->held = held;
    return 0;
}

/* Fill one buffer of a buffered protocol. *count_out bytes were taken. */
static int deliver_piece(struct socket_transport *socket, const char *bytes, size_t len, size_t *count_out)
{
    struct weft_protocol *protocol = socket->transport.protocol;
    void *buf = NULL;
    int room = protocol->ops->get_buffer(protocol, len < INT_MAX ? len : INT_MAX, &buf);
    if (room <= 0)
        return read_failed(socket, "protocol.get_buffer() failed", room < 0 ? room : WEFT_EPROTOCOL);
    size_t count = len < (size_t)room ? len : (size_t)room;
    memcpy(buf, bytes, count);
    *count_out = count;
    int status = protocol_has(protocol, buffer_updated) ? protocol->ops->buffer_updated(protocol, count) : 0;
    return status < 0 ? read_failed(socket, "protocol.buffer_updated() failed", status) : 0;
}

/* Apart, so that a protocol which takes the bytes from where they are pays nothing for it. */
__attribute__((noinline)) static int deliver_buffered(struct socket_transport *socket, const char *bytes, size_t len)
{
    int status = 0;
    while (len > 0 && status == 0 && is_reading_wanted(socket)) {
        size_t count = 0;
        status = deliver_piece(socket, bytes, len, &count);
        bytes += count;
        len -= count;
    }
    bool is_open = (socket->transport.flags & WEFT_TRANSPORT_CLOSING) == 0;
    return len > 0 && is_open ? (hold(socket, bytes, len), status) : status;
}

static inline int deliver(struct socket_transport *socket, const char *bytes, size_t len)
{
    struct weft_protocol *protocol = socket->transport.protocol;
    int status = 0;
    socket_call_begin(socket);
    if (protocol_has(protocol, get_buffer)) {
        status = deliver_buffered(socket, bytes, len);
    } else if (protocol_has(protocol, data_received)) {
        status = protocol->ops->data_received(protocol, bytes, len);
        status = status < 0 ? read_failed(socket, "protocol.data_received() failed", status) : 0;
    }
    return socket_call_end(socket, status);
}

static int deliver_eof(struct socket_transport *socket)
{
    struct weft_protocol *protocol = socket->transport.protocol;
    socket->transport.flags |= SOCKET_EOF_SEEN;
    socket_call_begin(socket);
    int keeps_open = protocol_call(protocol, eof_received);
    int status = keeps_open < 0 ? read_failed(socket, "protocol.eof_received() failed", keeps_open) : 0;
    status = socket_call_end(socket, status);
    if (keeps_open == 0)
        (void)weft_transport_close(&socket->transport);
    return status;
}

/* What came while paused, then the end if that came too. */
static int held_run(struct weft_work *work)
{
    struct weft_operation *reading = weft_container_of(work, struct weft_operation, work);
    struct socket_transport *socket = weft_container_of(reading, struct socket_transport, reading);
    struct held *held = socket_held(socket);
    int status = 0;
    socket->transport.flags &= ~(unsigned)SOCKET_DELIVERY_QUEUED;
    if (held != NULL && is_reading_wanted(socket)) {
        socket->extra->held = NULL;
        status = deliver(socket, held->bytes, held->len);
        weft_free(held);
    }
    if (status >= 0 && socket_held(socket) == NULL && is_reading_wanted(socket) && (socket->transport.flags & SOCKET_EOF_HELD) != 0) {
        socket->transport.flags &= ~(unsigned)SOCKET_EOF_HELD;
        status = deliver_eof(socket);
    }
    socket_read(socket);
    socket_settle(socket);
    return status;
}

/* The receive has ended: at the peer's end, by a failure, by a cancel, or because it has to be asked again. */
static int received_last(struct socket_transport *socket, int result)
{
    unsigned flags = socket->transport.flags;
    bool is_open = (flags & WEFT_TRANSPORT_CLOSING) == 0;
    int status = 0;
    if (result == 0 && is_open)
        if ((flags & WEFT_TRANSPORT_PAUSED) != 0 || socket_held(socket) != NULL)
            socket->transport.flags |= SOCKET_EOF_HELD;
        else
            status = deliver_eof(socket);
    else if (result < 0 && result != -ECANCELED && is_open)
        socket_abort(&socket->transport, result);
    socket_read(socket);
    socket_settle(socket);
    return status;
}

static int received(struct weft_operation *operation, int result, unsigned flags)
{
    struct socket_transport *socket = weft_container_of(operation, struct socket_transport, reading);
    int status = 0;
    if (result > 0) {
        socket_net(socket)->counters.bytes_read += (uint64_t)result;
        socket_moved(socket, false);
        if (is_reading_wanted(socket) && socket_held(socket) == NULL)
            status = deliver(socket, operation->lent, (size_t)result);
        else if ((socket->transport.flags & WEFT_TRANSPORT_CLOSING) == 0)
            status = hold(socket, operation->lent, (size_t)result);
    }
    if ((flags & WEFT_OP_MORE) != 0)
        return status;
    int last = received_last(socket, result);
    return status < 0 ? status : last;
}

void socket_read(struct socket_transport *socket)
{
    if (!is_reading_wanted(socket) || weft_operation_is_pending(&socket->reading) ||
        (socket->transport.flags & SOCKET_DELIVERY_QUEUED) != 0)
        return;
    if (socket_held(socket) != NULL || (socket->transport.flags & SOCKET_EOF_HELD) != 0) {
        socket->transport.flags |= SOCKET_DELIVERY_QUEUED;
        socket->reading.work.run = held_run;
        loop_queue(socket->transport.loop, &socket->reading.work);
        return;
    }
    weft_operation_recv(&socket->reading, &socket->file, NULL, 0, received);
    socket->reading.flags |= WEFT_OP_MULTISHOT;
    int status = loop_submit(socket->transport.loop, &socket->reading);
    if (status != -EINPROGRESS)
        (void)read_failed(socket, "reading could not begin", status);
}

void socket_read_stop(struct socket_transport *socket)
{
    if (weft_operation_is_pending(&socket->reading))
        (void)loop_cancel(socket->transport.loop, &socket->reading);
}

int socket_set_reading(struct weft_transport *transport, bool is_reading)
{
    struct socket_transport *socket = weft_container_of(transport, struct socket_transport, transport);
    if (is_reading)
        socket_read(socket);
    else
        socket_read_stop(socket);
    return 0;
}
