/*
 * Transport: what all kinds of transports have in common: the calls of weft/transport.h, references, water marks, and the list of their
 * server or loop.
 *
 * A call checks its arguments and the thread, keeps the bits that every kind has, and hands the rest to the kind's table. So a kind hears
 * of a close once, and never of a write after it.
 */
#include "weft/transport.h"

#include <errno.h>
#include <string.h>

#include "lib/net/net.h"
#include "lib/net/protocol.h"
#include "lib/net/server.h"
#include "weft/atomic.h"
#include "weft/status.h"

enum { HIGH_DEFAULT = 64 * 1024, LOW_DIVISOR = 4 };

#define stream_ops_have(ops, slot)                                                                                                         \
    ((ops)->size >= offsetof(struct weft_transport_stream_ops, slot) + sizeof((ops)->slot) && (ops)->slot != NULL)

static int transport_check(const struct weft_transport *transport)
{
    if (transport == NULL)
        return -EINVAL;
    const struct weft_loop *loop = transport->loop;
    bool is_well = weft_atomic_load_relaxed(&loop->is_closing) == LOOP_OPEN && worker_current() == &loop->worker;
    return is_well ? 0 : loop_check(loop);
}

/* Check, and tell apart: 1 if the transport is open, 0 if it is closing. */
static int transport_check_open(const struct weft_transport *transport)
{
    int status = transport_check(transport);
    return status < 0 ? status : (transport->flags & WEFT_TRANSPORT_CLOSING) == 0;
}

/* ---- writing ---- */

static inline bool pieces_are_whole(const struct iovec *iov, size_t count)
{
    if (iov == NULL)
        return count == 0;
    for (size_t i = 0; i < count; i++)
        if (iov[i].iov_base == NULL && iov[i].iov_len > 0)
            return false;
    return true;
}

static inline int pieces_write(struct weft_transport *transport, const struct iovec *iov, size_t count)
{
    int status = transport_check(transport);
    if (status < 0)
        return status;
    if (!pieces_are_whole(iov, count))
        return -EINVAL;
    if ((transport->flags & WEFT_TRANSPORT_EOF_WRITTEN) != 0)
        return -EPIPE;
    if ((transport->flags & WEFT_TRANSPORT_CLOSING) != 0)
        return 0;
    return transport->ops->write(transport, iov, count);
}

int weft_transport_writev(struct weft_transport *transport, const struct iovec *iov, size_t count)
{
    return pieces_write(transport, iov, count);
}

int weft_transport_write(struct weft_transport *transport, const void *data, size_t len)
{
    struct iovec piece = {(void *)(uintptr_t)data, len}; /* only read from */
    return pieces_write(transport, &piece, 1);
}

int weft_transport_write_eof(struct weft_transport *transport)
{
    int status = transport_check_open(transport);
    if (status <= 0 || (transport->flags & WEFT_TRANSPORT_EOF_WRITTEN) != 0)
        return status < 0 ? status : 0;
    if (!weft_transport_can_write_eof(transport))
        return -ENOTSUP;
    transport->flags |= WEFT_TRANSPORT_EOF_WRITTEN;
    status = transport->ops->write_eof(transport);
    if (status < 0 && !weft_status_is_fatal(status))
        transport->flags &= ~WEFT_TRANSPORT_EOF_WRITTEN;
    return status;
}

bool weft_transport_can_write_eof(const struct weft_transport *transport)
{
    return transport != NULL && stream_ops_have(transport->ops, write_eof);
}

/* asyncio's rules for limits that are not given. 0; -EINVAL. */
static int limits_complete(int64_t *high, int64_t *low)
{
    if (*high < 0)
        *high = *low < 0 ? HIGH_DEFAULT : *low > INT64_MAX / LOW_DIVISOR ? INT64_MAX : *low * LOW_DIVISOR;
    if (*low < 0)
        *low = *high / LOW_DIVISOR;
    return *high < *low ? -EINVAL : 0;
}

int weft_transport_set_write_buffer_limits(struct weft_transport *transport, int64_t high_bytes, int64_t low_bytes)
{
    int status = transport_check(transport);
    if (status == 0)
        status = limits_complete(&high_bytes, &low_bytes);
    if (status < 0)
        return status;
    transport->write_high = (size_t)high_bytes;
    transport->write_low = (size_t)low_bytes;
    bool may_pause = (transport->flags & WEFT_TRANSPORT_WRITING_PAUSED) == 0;
    return may_pause ? weft_transport_set_write_buffer_size(transport, transport->write_bytes) : 0;
}

void weft_transport_get_write_buffer_limits(const struct weft_transport *transport, size_t *high_out, size_t *low_out)
{
    if (transport == NULL)
        return;
    if (high_out != NULL)
        *high_out = transport->write_high;
    if (low_out != NULL)
        *low_out = transport->write_low;
}

size_t weft_transport_get_write_buffer_size(const struct weft_transport *transport)
{
    if (transport == NULL)
        return 0;
    return transport->write_bytes;
}

int weft_transport_set_write_buffer_size(struct weft_transport *transport, size_t bytes)
{
    if (transport == NULL)
        return -EINVAL;
    transport->write_bytes = bytes;
    bool is_paused = (transport->flags & WEFT_TRANSPORT_WRITING_PAUSED) != 0;
    if (is_paused ? bytes > transport->write_low : bytes <= transport->write_high)
        return 0;
    struct weft_protocol *protocol = transport->protocol;
    transport->flags ^= WEFT_TRANSPORT_WRITING_PAUSED;
    if (protocol == NULL)
        return 0;
    if (is_paused)
        return net_report(transport->loop, "protocol.resume_writing() failed", protocol_call(protocol, resume_writing), transport);
    return net_report(transport->loop, "protocol.pause_writing() failed", protocol_call(protocol, pause_writing), transport);
}

/* ---- reading ---- */

static int set_reading(struct weft_transport *transport, bool is_reading)
{
    int status = transport_check_open(transport);
    bool was_reading = status > 0 && (transport->flags & WEFT_TRANSPORT_PAUSED) == 0;
    if (status <= 0 || was_reading == is_reading)
        return status < 0 ? status : 0;
    if (!stream_ops_have(transport->ops, set_reading))
        return -ENOTSUP;
    transport->flags ^= WEFT_TRANSPORT_PAUSED;
    return transport->ops->set_reading(transport, is_reading);
}

int weft_transport_pause_reading(struct weft_transport *transport)
{
    return set_reading(transport, false);
}

int weft_transport_resume_reading(struct weft_transport *transport)
{
    return set_reading(transport, true);
}

bool weft_transport_is_reading(const struct weft_transport *transport)
{
    return transport != NULL && (transport->flags & (WEFT_TRANSPORT_PAUSED | WEFT_TRANSPORT_CLOSING)) == 0;
}

/* ---- the end ---- */

int weft_transport_close(struct weft_transport *transport)
{
    int status = transport_check_open(transport);
    if (status <= 0)
        return status;
    transport->flags |= WEFT_TRANSPORT_CLOSING;
    transport->ops->close(transport);
    return 0;
}

int weft_transport_abort(struct weft_transport *transport)
{
    int status = transport_check(transport);
    if (status < 0)
        return status;
    transport->flags |= WEFT_TRANSPORT_CLOSING;
    transport->ops->abort(transport, 0);
    return 0;
}

bool weft_transport_is_closing(const struct weft_transport *transport)
{
    return transport != NULL && (transport->flags & WEFT_TRANSPORT_CLOSING) != 0;
}

/* ---- options ---- */

static int set_option(struct weft_transport *transport, enum weft_transport_option option, uint64_t value)
{
    int status = transport_check_open(transport);
    if (status <= 0)
        return status;
    return stream_ops_have(transport->ops, set_option) ? transport->ops->set_option(transport, option, value) : -ENOTSUP;
}

int weft_transport_set_write_buffer_max(struct weft_transport *transport, size_t max_bytes)
{
    return set_option(transport, WEFT_TRANSPORT_WRITE_BUFFER_MAX, max_bytes);
}

int weft_transport_set_timeouts(struct weft_transport *transport, int64_t idle_ns, int64_t write_ns)
{
    if (idle_ns < 0 || write_ns < 0)
        return -EINVAL;
    int status = set_option(transport, WEFT_TRANSPORT_IDLE_NS, (uint64_t)idle_ns);
    return status < 0 ? status : set_option(transport, WEFT_TRANSPORT_WRITE_NS, (uint64_t)write_ns);
}

int weft_transport_set_deadline(struct weft_transport *transport, int64_t delay_ns)
{
    return delay_ns < 0 ? -EINVAL : set_option(transport, WEFT_TRANSPORT_DEADLINE_NS, (uint64_t)delay_ns);
}

/* ---- what it is ---- */

int weft_transport_set_protocol(struct weft_transport *transport, struct weft_protocol *protocol)
{
    int status = protocol == NULL || protocol->ops == NULL ? -EINVAL : transport_check(transport);
    if (status == 0)
        transport->protocol = protocol;
    return status;
}

struct weft_protocol *weft_transport_get_protocol(const struct weft_transport *transport)
{
    if (transport == NULL)
        return NULL;
    return transport->protocol;
}

struct weft_loop *weft_transport_get_loop(const struct weft_transport *transport)
{
    if (transport == NULL)
        return NULL;
    return transport->loop;
}

int weft_transport_get_extra(const struct weft_transport *transport, enum weft_extra what, void *buf, size_t *len_inout)
{
    int status = buf == NULL || len_inout == NULL ? -EINVAL : transport_check(transport);
    if (status < 0)
        return status;
    return stream_ops_have(transport->ops, get_extra) ? transport->ops->get_extra(transport, what, buf, len_inout) : -ENOTSUP;
}

struct weft_transport *weft_transport_ref(struct weft_transport *transport)
{
    if (transport == NULL)
        return NULL;
    (void)weft_atomic_add_relaxed(&transport->refs, 1);
    return transport;
}

void weft_transport_unref(struct weft_transport *transport)
{
    if (transport == NULL)
        return;
    /* Acq_rel. Pairs with itself: whoever frees has seen what the others did before they let go. */
    if (weft_atomic_sub_acq_rel(&transport->refs, 1) != 1)
        return;
    struct weft_loop *loop = transport->loop;
    transport->ops->destroy(transport);
    weft_loop_unref(loop);
}

/* ---- for kinds ---- */

int weft_make_socket_get(const struct weft_make_socket *args, struct weft_make_socket *args_out)
{
    if (args_out == NULL)
        return WEFT_EPROTOCOL;
    const size_t first_bytes = offsetof(struct weft_make_socket, flags);
    if (args == NULL || args->size < first_bytes || args_out->size < first_bytes)
        return WEFT_EPROTOCOL;
    size_t out_bytes = args_out->size;
    memset(args_out, 0, out_bytes);
    memcpy(args_out, args, args->size < out_bytes ? args->size : out_bytes);
    args_out->size = out_bytes;
    return 0;
}

static struct weft_transport **transport_list(const struct weft_transport *transport)
{
    return transport->server != NULL ? server_clients(transport->server) : &net_of(transport->loop)->transports;
}

int weft_transport_init(struct weft_transport *transport, const struct weft_transport_stream_ops *ops, struct weft_loop *loop,
                        const struct weft_make_socket *args)
{
    if (transport == NULL || loop == NULL)
        return -EINVAL;
    struct weft_make_socket full = {.size = sizeof(full)};
    struct net *net;
    int status = weft_make_socket_get(args, &full);
    if (status == 0 && (ops == NULL || !stream_ops_have(ops, destroy) || ops->write == NULL || ops->close == NULL || ops->abort == NULL))
        status = WEFT_EPROTOCOL;
    if (status == 0)
        status = net_get(loop, &net);
    if (status < 0)
        return status;
    *transport = (struct weft_transport){
        .ops = ops,
        .loop = weft_loop_ref(loop),
        .protocol = full.protocol,
        .server = full.server,
        .refs = 1,
        .write_high = HIGH_DEFAULT,
        .write_low = HIGH_DEFAULT / LOW_DIVISOR,
    };
    struct weft_transport **list = transport_list(transport);
    transport->next = *list;
    if (*list != NULL)
        (*list)->prev = transport;
    *list = transport;
    if (transport->server != NULL)
        server_attach(transport->server);
    net->counters.opened++;
    return 0;
}

void weft_transport_detach(struct weft_transport *transport)
{
    if (transport == NULL)
        return;
    if (transport->prev != NULL)
        transport->prev->next = transport->next;
    else
        *transport_list(transport) = transport->next;
    if (transport->next != NULL)
        transport->next->prev = transport->prev;
    transport->next = transport->prev = NULL;
    transport->protocol = NULL;
    net_of(transport->loop)->counters.closed++;
    struct weft_server *server = transport->server;
    transport->server = NULL;
    if (server != NULL)
        server_detach(server);
}

int weft_loop_make_socket(struct weft_loop *loop, const struct weft_make_socket *args, struct weft_transport **transport_out)
{
    struct net *net;
    if (args == NULL || transport_out == NULL)
        return -EINVAL;
    int status = net_get(loop, &net);
    return status < 0 ? status : weft_loop_transport_ops(loop)->make_socket(loop, args, transport_out);
}
