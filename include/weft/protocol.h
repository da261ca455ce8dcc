/*
 * Protocol: what a connection tells its user. The callbacks of asyncio.Protocol, in asyncio's order.
 *
 *      connection_made ──> data_received … ──> eof_received (at most once) ──> connection_lost
 *                 pause_writing <──> resume_writing, in between
 *
 * A protocol is the head of an object of the user's, made by a factory, one for each connection. connection_lost is the last call and
 * comes exactly once for each protocol that a factory made, so that is where the object is freed. It comes without a connection_made
 * before it only where the transport could not be made, for want of memory or because the loop closed.
 *
 *     struct echo {
 *         struct weft_protocol protocol;
 *         struct weft_transport *transport;
 *     };
 *
 *     static int echo_made(struct weft_protocol *protocol, struct weft_transport *transport)
 *     {
 *         weft_container_of(protocol, struct echo, protocol)->transport = transport;
 *         return 0;
 *     }
 *
 *     static int echo_received(struct weft_protocol *protocol, const void *data, size_t len)
 *     {
 *         return weft_transport_write(weft_container_of(protocol, struct echo, protocol)->transport, data, len);
 *     }
 *
 *     static int echo_lost(struct weft_protocol *protocol, int status)
 *     {
 *         weft_free(weft_container_of(protocol, struct echo, protocol));
 *         return 0;
 *     }
 *
 *     static const struct weft_protocol_ops echo_ops = {
 *         .size = sizeof(echo_ops), .connection_made = echo_made, .data_received = echo_received, .connection_lost = echo_lost,
 *     };
 */
#ifndef WEFT_PROTOCOL_H
#define WEFT_PROTOCOL_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_protocol;
struct weft_transport;

/*
 * The slots of a protocol; a NULL one, or one beyond `size`, does nothing and returns 0. All are called on the transport's loop, by its
 * thread, never from within the call that caused them, but for pause_writing and resume_writing, which are. They must not suspend; they
 * may call everything of the transport. What they write is sent as they return, in one call.
 *
 * A status below 0 from data_received, eof_received, get_buffer or buffer_updated is reported to the loop's exception handler and ends
 * the connection, with that status in connection_lost; from the others it is reported and nothing more. A fatal one leaves the loop.
 *
 * thread:  the transport's loop, all of them
 */
struct weft_protocol_ops {
    size_t size; /* sizeof(struct weft_protocol_ops) as its author knew it */
    /* The connection stands. `transport` is valid until connection_lost returns, and longer for those who take a reference. */
    int (*connection_made)(struct weft_protocol *protocol, struct weft_transport *transport);
    /* `len` bytes came, at least one. `data` is lent for the call. Not called if get_buffer is there. */
    int (*data_received)(struct weft_protocol *protocol, const void *data, size_t len);
    /* The peer will send no more. 0, as where the slot is NULL: the transport closes itself; above 0: it stays open for writing. */
    int (*eof_received)(struct weft_protocol *protocol);
    /* The connection is over: `status` is 0 after the peer's end, close or abort, else what broke it. */
    int (*connection_lost)(struct weft_protocol *protocol, int status);
    /* More than the high limit waits to be sent: write no more for now. */
    int (*pause_writing)(struct weft_protocol *protocol);
    /* At most the low limit waits: go on. Once for each pause_writing. */
    int (*resume_writing)(struct weft_protocol *protocol);
    /*
     * Say where the next bytes shall go: *buf_out, and the room there as the result, above 0 (0 is a WEFT_EPROTOCOL). `hint_bytes` have
     * come. The memory is borrowed until the buffer_updated that follows at once.
     */
    int (*get_buffer)(struct weft_protocol *protocol, size_t hint_bytes, void **buf_out);
    /* `len` bytes are there. */
    int (*buffer_updated)(struct weft_protocol *protocol, size_t len);
};

/* The head of every protocol. */
struct weft_protocol {
    const struct weft_protocol_ops *ops;
};

/*
 * Make the protocol of one connection. A status below 0 refuses it: the connection is closed, and the status reported (server) or
 * returned through the future (client).
 *
 * thread:  the loop's thread
 * memory:  *protocol_out is the connection's until its connection_lost
 */
typedef int weft_protocol_factory_fn(void *arg, struct weft_protocol **protocol_out);

#ifdef __cplusplus
}
#endif

#endif
