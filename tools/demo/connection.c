/*
 * Connection: bytes go through the parser, and each complete request leaves one write behind. Called by http.c.
 *
 *      connection_feed ──> on_url, on_headers_complete, on_body, on_message_complete ──> connection_answer
 *            └── the parser stopped: FULL (keep the rest), a bad request (refuse it and linger), a failed write
 *
 * After the last reply (ENDED) nothing of what still comes is looked at.
 */
#include "tools/demo/connection.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/demo/reply.h"
#include "tools/demo/routes.h"
#include "tools/demo/site.h"
#include "weft/memory.h"
#include "weft/transport.h"

/* ---- writing ------------------------------------------------------------------------------------------------------------------ */

/* HTTP/1.0 keeps a connection only if both say so, HTTP/1.1 unless one says no. */
static const char *connection_line(const struct http_parser *parser, bool is_kept)
{
    if (!is_kept)
        return "Connection: close\r\n";
    return parser->http_minor == 0 ? "Connection: keep-alive\r\n" : "";
}

static int connection_write(struct connection *connection, const struct reply *reply, bool is_kept)
{
    const char *line = connection_line(&connection->parser, is_kept);
    const char *date = connection->shard->date_line;
    bool has_body = connection->parser.method != HTTP_HEAD;
    const struct iovec pieces[] = {
        {(void *)reply->head, reply->head_bytes},
        {(void *)line, strlen(line)},
        {(void *)date, strlen(date)},
        {(void *)reply->body, has_body ? reply->body_bytes : 0},
    };
    return weft_transport_writev(connection->transport, pieces, sizeof(pieces) / sizeof(pieces[0]));
}

/* Answer a bad request, and read on for a while: closing now would reset the connection, and the peer might never see the answer. */
static int connection_refuse(struct connection *connection, const char *refusal)
{
    struct reply reply;
    reply_set_error(&reply, refusal);
    connection->flags |= CONNECTION_ENDED;
    int status = connection_write(connection, &reply, false);
    if (status == 0)
        status = weft_transport_write_eof(connection->transport);
    if (status == 0)
        status = weft_transport_set_deadline(connection->transport, HTTP_LINGER_NS);
    return status;
}

static void connection_answer(struct connection *connection)
{
    struct request request = {connection->parser.method, connection->target, connection->target_bytes};
    struct reply reply;
    routes_answer(connection->shard, &request, &reply);
    bool is_kept = http_should_keep_alive(&connection->parser) && connection->parser.method != HTTP_CONNECT;
    if (!is_kept)
        connection->flags |= CONNECTION_ENDED;
    connection->status = connection_write(connection, &reply, is_kept);
    free(reply.memory);
    shard_count(&connection->shard->requests, 1);
    if (!is_kept)
        weft_transport_close(connection->transport);
}

/* ---- what the parser finds ---------------------------------------------------------------------------------------------------- */

static int on_message_begin(struct http_parser *parser)
{
    struct connection *connection = parser->data;
    connection->flags |= CONNECTION_REQUESTING;
    connection->target_bytes = 0;
    connection->body_bytes = 0;
    return 0;
}

static int on_url(struct http_parser *parser, const char *at, size_t len)
{
    struct connection *connection = parser->data;
    size_t room = HTTP_TARGET_MAX - connection->target_bytes;
    size_t taken = len < room ? len : room;
    memcpy(connection->target + connection->target_bytes, at, taken);
    connection->target_bytes += taken;
    return 0;
}

/* Stop the parser: it returns to connection_feed(), which refuses the request. */
static int stop(struct connection *connection, const char *refusal)
{
    connection->refusal = refusal;
    return -1;
}

static int on_headers_complete(struct http_parser *parser)
{
    if (parser->http_major != 1)
        return stop(parser->data, "505 HTTP Version Not Supported");
    if (parser->content_length != UINT64_MAX && parser->content_length > HTTP_BODY_MAX)
        return stop(parser->data, "413 Payload Too Large");
    parser->upgrade = 0; /* we stay with HTTP/1.1, as a server may */
    return 0;
}

static int on_body(struct http_parser *parser, const char *at, size_t len)
{
    (void)at;
    struct connection *connection = parser->data;
    connection->body_bytes += len;
    return connection->body_bytes > HTTP_BODY_MAX ? stop(connection, "413 Payload Too Large") : 0;
}

static int on_message_complete(struct http_parser *parser)
{
    struct connection *connection = parser->data;
    connection->flags &= ~CONNECTION_REQUESTING;
    connection->flags |= CONNECTION_ANSWERED;
    connection_answer(connection);
    if (connection->status < 0 || (connection->flags & (CONNECTION_FULL | CONNECTION_ENDED)))
        http_parser_pause(parser, 1);
    return 0;
}

static const struct http_parser_settings settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- feeding it --------------------------------------------------------------------------------------------------------------- */

static const char *refusal_of(const struct connection *connection)
{
    if (connection->refusal != NULL)
        return connection->refusal;
    bool is_overflow = HTTP_PARSER_ERRNO(&connection->parser) == HPE_HEADER_OVERFLOW;
    return is_overflow ? "431 Request Header Fields Too Large" : "400 Bad Request";
}

static int connection_keep_rest(struct connection *connection, const char *data, size_t len)
{
    if (len == 0)
        return 0;
    connection->rest = weft_malloc(len);
    if (connection->rest == NULL)
        return -ENOMEM;
    memcpy(connection->rest, data, len);
    connection->rest_bytes = len;
    return 0;
}

/* Most requests come whole and cost no call here. One that does not is given its time, and so is a connection's first one. */
static int connection_follow_deadline(struct connection *connection)
{
    bool is_requesting = connection->flags & CONNECTION_REQUESTING;
    bool is_armed = connection->flags & CONNECTION_DEADLINE;
    bool is_anothers = is_requesting && (connection->flags & CONNECTION_ANSWERED);
    connection->flags &= ~CONNECTION_ANSWERED;
    if (is_requesting == is_armed && !is_anothers)
        return 0;
    connection->flags = (connection->flags & ~CONNECTION_DEADLINE) | (is_requesting ? CONNECTION_DEADLINE : 0);
    return weft_transport_set_deadline(connection->transport, is_requesting ? HTTP_REQUEST_NS : 0);
}

int connection_feed(struct connection *connection, const char *data, size_t len)
{
    size_t taken = http_parser_execute(&connection->parser, &settings, data, len);
    if (connection->status < 0 || (connection->flags & CONNECTION_ENDED))
        return connection->status;
    if (connection->flags & CONNECTION_FULL) {
        int status = connection_keep_rest(connection, data + taken, len - taken);
        return status < 0 ? status : connection_follow_deadline(connection);
    }
    if (HTTP_PARSER_ERRNO(&connection->parser) != HPE_OK)
        return connection_refuse(connection, refusal_of(connection));
    return connection_follow_deadline(connection);
}
