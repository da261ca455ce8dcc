/*
 * Weft's echo servers: one by a protocol's callbacks, one with a fiber for each connection, both as a user would write them.
 */
#include "bench/servers/weft_server.h"

#include <errno.h>

#include "weft/memory.h"
#include "weft/protocol.h"
#include "weft/stream.h"
#include "weft/transport.h"
#include "weft/work.h"

enum { SMALL_BYTES = 2048, BULK_BYTES = 65536, SPIN_NS = 50000 };

/* ---- by callbacks ---- */

struct echo {
    struct weft_protocol protocol;
    struct weft_transport *transport;
};

static int echo_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    weft_container_of(protocol, struct echo, protocol)->transport = transport;
    return 0;
}

static int echo_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    return weft_transport_write(weft_container_of(protocol, struct echo, protocol)->transport, data, len);
}

static int echo_lost(struct weft_protocol *protocol, int status)
{
    (void)status;
    weft_free(weft_container_of(protocol, struct echo, protocol));
    return 0;
}

static const struct weft_protocol_ops echo_ops = {
    .size = sizeof(echo_ops),
    .connection_made = echo_made,
    .data_received = echo_received,
    .connection_lost = echo_lost,
};

static int echo_new(void *arg, struct weft_protocol **protocol_out)
{
    (void)arg;
    struct echo *echo = weft_calloc(1, sizeof(*echo));
    if (echo == NULL)
        return -ENOMEM;
    echo->protocol.ops = &echo_ops;
    *protocol_out = &echo->protocol;
    return 0;
}

int weft_echo_make(struct weft_loop *loop, const struct weft_server_options *options, struct weft_server **server_out)
{
    return weft_loop_create_server(loop, echo_new, NULL, options, server_out);
}

int weft_echo_serve(struct serving *serving)
{
    return weft_server_serve(serving, &(struct weft_serving){.make = weft_echo_make});
}

/* A process that is bound to one processor does not spin by itself. */
int weft_echo_spin_serve(struct serving *serving)
{
    return weft_server_serve(serving, &(struct weft_serving){.make = weft_echo_make, .spin_max_ns = SPIN_NS});
}

/* ---- by fibers ---- */

static int echo_with(struct weft_stream *stream, char *buf, size_t len)
{
    int count;
    while ((count = weft_stream_read(stream, buf, len)) > 0) {
        int status = weft_stream_write(stream, buf, (size_t)count);
        if (status < 0 || (status = weft_stream_drain(stream)) < 0)
            break;
    }
    return 0; /* clients go as they please */
}

static int echo_client(struct weft_stream *stream, void *arg)
{
    char buf[SMALL_BYTES];
    (void)arg;
    return echo_with(stream, buf, sizeof(buf));
}

static int bulk_client(struct weft_stream *stream, void *arg)
{
    char *buf = weft_malloc(BULK_BYTES);
    (void)arg;
    if (buf == NULL)
        return -ENOMEM;
    int status = echo_with(stream, buf, BULK_BYTES);
    weft_free(buf);
    return status;
}

static int make_stream(struct weft_loop *loop, const struct weft_server_options *options, struct weft_server **server_out)
{
    return weft_loop_start_stream_server(loop, echo_client, NULL, options, server_out);
}

static int make_bulk(struct weft_loop *loop, const struct weft_server_options *options, struct weft_server **server_out)
{
    return weft_loop_start_stream_server(loop, bulk_client, NULL, options, server_out);
}

int weft_echo_stream_serve(struct serving *serving)
{
    return weft_server_serve(serving, &(struct weft_serving){.make = make_stream});
}

int weft_bulk_stream_serve(struct serving *serving)
{
    return weft_server_serve(serving, &(struct weft_serving){.make = make_bulk});
}
