/*
 * Socket transport: its life, from the queue entries that start it to the close of its file.
 *
 *      make ──> [made] ──> [start reading] ──> … ──> close, abort or a failure ──> [lost] ──> file closed ──> the last reference
 *
 * What is in brackets runs from the loop's queue. The connection itself holds one reference, from make until its file is closed; an
 * operation that is pending is the poller's until then, so nothing is freed under it.
 */
#include "lib/net/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/context.h"
#include "lib/net/descriptor.h"
#include "lib/net/protocol.h"
#include "weft/future.h"
#include "weft/memory.h"
#include "weft/status.h"

/* The third queue entry of a start: whoever waits for the transport goes on. */
struct start_waiter {
    struct weft_work work;
    struct weft_future *future;
};

static struct socket_transport *socket_of(struct weft_transport *transport)
{
    return weft_container_of(transport, struct socket_transport, transport);
}

int socket_extra_need(struct socket_transport *socket)
{
    if (socket->extra == NULL)
        socket->extra = weft_calloc(1, sizeof(*socket->extra));
    return socket->extra == NULL ? -ENOMEM : 0;
}

/* The connection is lost: nothing is held back or watched any more. */
static void extra_drop(struct socket_transport *socket)
{
    struct socket_extra *extra = socket->extra;
    if (extra == NULL)
        return;
    weft_free(extra->held);
    extra->held = NULL;
    limits_destroy(&socket_net(socket)->wheel, extra->limits);
    extra->limits = NULL;
}

/* ---- the end ---- */

static int file_closed(struct weft_operation *operation, int result, unsigned flags)
{
    struct socket_transport *socket = weft_container_of(operation, struct socket_transport, reading);
    (void)result, (void)flags;
    weft_transport_unref(&socket->transport);
    return 0;
}

void socket_settle(struct socket_transport *socket)
{
    bool is_over = (socket->transport.flags & SOCKET_OVER) != 0;
    if (!is_over || weft_operation_is_pending(&socket->reading) || (socket->transport.flags & SOCKET_DELIVERY_QUEUED) != 0 ||
        socket->outgoing != NULL)
        return;
    weft_operation_close(&socket->reading, &socket->file, file_closed);
    if (loop_submit(socket->transport.loop, &socket->reading) != -EINPROGRESS)
        weft_transport_unref(&socket->transport);
}

static int lost_run(struct weft_work *work)
{
    struct socket_transport *socket = weft_container_of(work, struct socket_transport, queued);
    struct weft_transport *transport = &socket->transport;
    transport->flags &= ~(unsigned)SOCKET_QUEUED;
    extra_drop(socket);
    socket_switch_context(socket);
    int status = net_report(transport->loop, "protocol.connection_lost() failed", protocol_lost(transport->protocol, socket->lost_status),
                            transport);
    socket_switch_context(socket);
    weft_transport_detach(transport);
    transport->flags |= SOCKET_OVER;
    socket_write_release(socket);
    socket_settle(socket);
    return status;
}

/* Before connection_made has run the work is in use: then it queues the loss itself. */
static void lost_queue(struct socket_transport *socket, int status)
{
    if ((socket->transport.flags & WEFT_TRANSPORT_LOST) != 0)
        return;
    socket->transport.flags |= WEFT_TRANSPORT_LOST;
    socket->lost_status = status;
    if ((socket->transport.flags & SOCKET_QUEUED) != 0)
        return;
    socket->transport.flags |= SOCKET_QUEUED;
    socket->queued.run = lost_run;
    loop_queue(socket->transport.loop, &socket->queued);
}

void socket_drained(struct socket_transport *socket)
{
    if ((socket->transport.flags & WEFT_TRANSPORT_CLOSING) != 0)
        lost_queue(socket, 0);
}

void socket_abort(struct weft_transport *transport, int status)
{
    struct socket_transport *socket = socket_of(transport);
    transport->flags |= WEFT_TRANSPORT_CLOSING;
    if ((transport->flags & WEFT_TRANSPORT_LOST) != 0)
        return;
    if (status == -ECONNRESET || status == -EPIPE)
        socket_net(socket)->counters.resets++;
    socket_read_stop(socket);
    socket_write_drop(socket);
    lost_queue(socket, status);
}

static void socket_close(struct weft_transport *transport)
{
    struct socket_transport *socket = socket_of(transport);
    socket_read_stop(socket);
    if (socket->outgoing != NULL && (transport->flags & SOCKET_IN_CALL) == 0)
        (void)socket_flush(socket); /* ends in socket_drained() if all goes */
    if (transport->write_bytes == 0 && (socket->outgoing == NULL || !socket->outgoing->is_sending))
        socket_drained(socket);
}

static void socket_destroy(struct weft_transport *transport)
{
    struct socket_transport *socket = socket_of(transport);
    if (socket->extra != NULL)
        weft_context_unref(socket->extra->context);
    weft_free(socket->extra);
    weft_free(socket);
}

/* ---- what it is ---- */

static int socket_set_option(struct weft_transport *transport, enum weft_transport_option option, uint64_t value)
{
    struct socket_transport *socket = socket_of(transport);
    struct limits_wheel *wheel = &socket_net(socket)->wheel;
    if (socket_limits(socket) == NULL) {
        if (value == 0)
            return 0;
        if (socket_extra_need(socket) < 0)
            return -ENOMEM;
        socket->extra->limits = limits_create(wheel, transport);
        if (socket->extra->limits == NULL)
            return -ENOMEM;
    }
    return limits_set(wheel, socket->extra->limits, option, value);
}

static int extra_address(const struct socket_transport *socket, enum weft_extra what, void *buf, size_t *len_inout)
{
    enum weft_socket_name which = what == WEFT_EXTRA_PEERNAME ? WEFT_SOCKET_PEER : WEFT_SOCKET_OWN;
    struct sockaddr_storage address;
    socklen_t len;
    int status = descriptor_get_name(socket->transport.loop, socket->file.fd, which, &address, &len);
    if (status < 0)
        return status;
    if (*len_inout < len)
        return -ENOBUFS;
    memcpy(buf, &address, *len_inout < sizeof(address) ? len : sizeof(address));
    *len_inout = len;
    return 0;
}

static int socket_get_extra(const struct weft_transport *transport, enum weft_extra what, void *buf, size_t *len_inout)
{
    const struct socket_transport *socket = weft_container_of(transport, const struct socket_transport, transport);
    if (what == WEFT_EXTRA_FD) {
        if (*len_inout < sizeof(int))
            return -ENOBUFS;
        memcpy(buf, &socket->file.fd, sizeof(int));
        *len_inout = sizeof(int);
        return 0;
    }
    if (what != WEFT_EXTRA_PEERNAME && what != WEFT_EXTRA_SOCKNAME)
        return -ENOTSUP;
    return extra_address(socket, what, buf, len_inout);
}

static const struct weft_transport_stream_ops socket_ops = {
    .size = sizeof(socket_ops),
    .write = socket_write,
    .write_eof = socket_write_eof,
    .close = socket_close,
    .abort = socket_abort,
    .set_reading = socket_set_reading,
    .set_option = socket_set_option,
    .get_extra = socket_get_extra,
    .destroy = socket_destroy,
};

/* ---- the start ---- */

static int start_run(struct weft_work *work)
{
    struct weft_operation *reading = weft_container_of(work, struct weft_operation, work);
    struct socket_transport *socket = weft_container_of(reading, struct socket_transport, reading);
    socket->transport.flags &= ~(unsigned)SOCKET_DELIVERY_QUEUED;
    socket->transport.flags |= SOCKET_STARTED;
    socket_read(socket);
    socket_settle(socket);
    return 0;
}

static int waiter_run(struct weft_work *work)
{
    struct start_waiter *waiter = weft_container_of(work, struct start_waiter, work);
    (void)weft_future_set_result(waiter->future, NULL); /* one that was cancelled meanwhile stays so */
    weft_future_unref(waiter->future);
    weft_free(waiter);
    return 0;
}

/* A loop that closes makes no connections any more, but each protocol hears of its end. */
static int made_run(struct weft_work *work)
{
    struct socket_transport *socket = weft_container_of(work, struct socket_transport, queued);
    struct weft_transport *transport = &socket->transport;
    struct weft_protocol *protocol = transport->protocol;
    int status = 0;
    if (protocol_has(protocol, connection_made) && !weft_loop_is_closed(transport->loop)) {
        socket_call_begin(socket);
        status = protocol->ops->connection_made(protocol, transport);
        status = socket_call_end(socket, net_report(transport->loop, "protocol.connection_made() failed", status, transport));
    }
    transport->flags &= ~(unsigned)SOCKET_QUEUED;
    if ((transport->flags & WEFT_TRANSPORT_LOST) != 0) {
        transport->flags &= ~WEFT_TRANSPORT_LOST;
        lost_queue(socket, socket->lost_status);
    }
    return status;
}

static void socket_start(struct socket_transport *socket, struct start_waiter *waiter)
{
    struct weft_loop *loop = socket->transport.loop;
    socket->transport.flags |= SOCKET_QUEUED | SOCKET_DELIVERY_QUEUED;
    socket->queued.run = made_run;
    loop_queue(loop, &socket->queued);
    socket->reading.work.run = start_run;
    loop_queue(loop, &socket->reading.work);
    if (waiter != NULL)
        loop_queue(loop, &waiter->work);
}

static int waiter_create(struct weft_future *future, struct start_waiter **waiter_out)
{
    struct start_waiter *waiter = weft_malloc(sizeof(*waiter));
    if (waiter == NULL)
        return -ENOMEM;
    waiter->work.run = waiter_run;
    waiter->future = weft_future_ref(future);
    *waiter_out = waiter;
    return 0;
}

/* An object that is ready for its file; NULL when out of memory. */
static struct socket_transport *socket_create(struct weft_context *context)
{
    struct socket_transport *socket = weft_calloc(1, sizeof(*socket));
    if (socket == NULL || context == NULL)
        return socket;
    if (socket_extra_need(socket) < 0) {
        weft_free(socket);
        return NULL;
    }
    return socket;
}

int socket_make(struct weft_loop *loop, const struct weft_make_socket *args, struct weft_transport **transport_out)
{
    struct weft_make_socket full = {.size = sizeof(full)};
    struct start_waiter *waiter = NULL;
    int status = weft_make_socket_get(args, &full);
    if (status == 0 && (full.protocol == NULL || full.protocol->ops == NULL || full.fd < 0))
        status = -EINVAL;
    if (status == 0 && full.waiter != NULL)
        status = waiter_create(full.waiter, &waiter);
    if (status < 0)
        return status;
    struct socket_transport *socket = socket_create(full.context);
    status = socket == NULL ? -ENOMEM : weft_transport_init(&socket->transport, &socket_ops, loop, &full);
    if (status < 0) {
        if (waiter != NULL)
            weft_future_unref(waiter->future);
        weft_free(waiter);
        if (socket != NULL)
            weft_free(socket->extra);
        weft_free(socket);
        return status;
    }
    weft_file_init(&socket->file, full.fd, WEFT_FILE_STREAM);
    if (full.context != NULL) {
        socket->extra->context = weft_context_ref(full.context);
        socket->transport.flags |= SOCKET_HAS_CONTEXT;
    }
    /* A server's listener hands the option down. It is no option of UNIX sockets, and that is fine. */
    if (full.server == NULL && !weft_file_is_virtual(&socket->file))
        (void)setsockopt(full.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    socket_start(socket, waiter);
    *transport_out = &socket->transport;
    return 0;
}

const struct weft_transport_ops *weft_transport_base_ops(void)
{
    static const struct weft_transport_ops ops = {.size = sizeof(ops), .make_socket = socket_make};
    return &ops;
}
