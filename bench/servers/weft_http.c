/*
 * Weft's HTTP server under measurement: a protocol that parses and answers, one write for each request.
 */
#include "bench/servers/weft_server.h"

#include <errno.h>

#include "bench/kit/http_text.h"
#include "weft/memory.h"
#include "weft/protocol.h"
#include "weft/transport.h"
#include "weft/work.h"

struct http {
    struct weft_protocol protocol;
    struct weft_transport *transport;
    http_parser parser;
};

static int answer(void *connection)
{
    struct http *http = connection;
    return weft_transport_write(http->transport, HTTP_RESPONSE, sizeof(HTTP_RESPONSE) - 1);
}

static int http_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    weft_container_of(protocol, struct http, protocol)->transport = transport;
    return 0;
}

static int http_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    struct http *http = weft_container_of(protocol, struct http, protocol);
    return http_text_feed(&http->parser, data, len, answer) == 0 ? 0 : weft_transport_close(http->transport);
}

static int http_lost(struct weft_protocol *protocol, int status)
{
    (void)status;
    weft_free(weft_container_of(protocol, struct http, protocol));
    return 0;
}

static int http_new(void *arg, struct weft_protocol **protocol_out)
{
    static const struct weft_protocol_ops ops = {
        .size = sizeof(ops), .connection_made = http_made, .data_received = http_received, .connection_lost = http_lost};
    struct http *http = weft_calloc(1, sizeof(*http));
    (void)arg;
    if (http == NULL)
        return -ENOMEM;
    http->protocol.ops = &ops;
    http_parser_init(&http->parser, HTTP_REQUEST);
    http->parser.data = http;
    *protocol_out = &http->protocol;
    return 0;
}

static int make(struct weft_loop *loop, const struct weft_server_options *options, struct weft_server **server_out)
{
    return weft_loop_create_server(loop, http_new, NULL, options, server_out);
}

int weft_http_serve(struct serving *serving)
{
    return weft_server_serve(serving, &(struct weft_serving){.make = make});
}
