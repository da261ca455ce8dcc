/*
 * HTTP: the protocol, that is, what the transport tells a connection. Called by the transport, always on the shard's loop.
 */
#include "tools/demo/http.h"

#include <errno.h>

#include "tools/demo/connection.h"
#include "tools/demo/site.h"
#include "weft/memory.h"
#include "weft/transport.h"
#include "weft/work.h"

static struct connection *connection_of(struct weft_protocol *protocol)
{
    return weft_container_of(protocol, struct connection, protocol);
}

static int http_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    struct connection *connection = connection_of(protocol);
    connection->transport = transport;
    shard_count(&connection->shard->connections, 1);
    return 0;
}

static int http_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    struct connection *connection = connection_of(protocol);
    return connection->flags & CONNECTION_ENDED ? 0 : connection_feed(connection, data, len);
}

static int http_pause_writing(struct weft_protocol *protocol)
{
    struct connection *connection = connection_of(protocol);
    connection->flags |= CONNECTION_FULL;
    return connection->flags & CONNECTION_ENDED ? 0 : weft_transport_pause_reading(connection->transport);
}

static int http_resume_writing(struct weft_protocol *protocol)
{
    struct connection *connection = connection_of(protocol);
    connection->flags &= ~CONNECTION_FULL;
    if (connection->flags & CONNECTION_ENDED) /* while it was paused: what still comes is read, and not looked at */
        return weft_transport_resume_reading(connection->transport);
    http_parser_pause(&connection->parser, 0);
    char *rest = connection->rest;
    connection->rest = NULL;
    int status = rest != NULL ? connection_feed(connection, rest, connection->rest_bytes) : 0;
    weft_free(rest);
    if (status < 0)
        return weft_transport_abort(connection->transport);
    return connection->flags & CONNECTION_FULL ? 0 : weft_transport_resume_reading(connection->transport);
}

static int http_lost(struct weft_protocol *protocol, int status)
{
    (void)status; /* peers go as they please */
    struct connection *connection = connection_of(protocol);
    if (connection->transport != NULL)
        shard_count(&connection->shard->connections, -1);
    weft_free(connection->rest);
    weft_free(connection);
    return 0;
}

static const struct weft_protocol_ops http_ops = {
    .size = sizeof(http_ops),
    .connection_made = http_made,
    .data_received = http_received,
    .connection_lost = http_lost,
    .pause_writing = http_pause_writing,
    .resume_writing = http_resume_writing,
};

void http_init(void)
{
    http_parser_set_max_header_size(HTTP_HEADER_MAX);
}

int http_connection_new(void *arg, struct weft_protocol **protocol_out)
{
    struct connection *connection = weft_calloc(1, sizeof(*connection));
    if (connection == NULL)
        return -ENOMEM;
    connection->protocol.ops = &http_ops;
    connection->shard = arg;
    connection->flags = CONNECTION_DEADLINE; /* the server's header timeout */
    http_parser_init(&connection->parser, HTTP_REQUEST);
    connection->parser.data = connection;
    *protocol_out = &connection->protocol;
    return 0;
}
