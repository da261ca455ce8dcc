/*
 * Raw HTTP: the peer of weft's HTTP server. The answers to the requests of one receive are sent in one call.
 */
#include <string.h>

#include "bench/servers/http_text.h"
#include "bench/servers/raw_server.h"
#include "bench/servers/server.h"

enum { ANSWERS_BYTES_MAX = 262144 };

struct raw_http {
    struct raw_connection connection; /* first */
    http_parser parser;
};

/* The answers to what one receive brought. */
static _Thread_local char answers[ANSWERS_BYTES_MAX];
static _Thread_local size_t answers_len;

static void made(struct raw_connection *connection)
{
    struct raw_http *http = (struct raw_http *)(void *)connection;
    http_parser_init(&http->parser, HTTP_REQUEST);
    http->parser.data = http;
}

static int answer(void *connection)
{
    const size_t len = sizeof(HTTP_RESPONSE) - 1;
    (void)connection;
    if (answers_len + len > sizeof(answers))
        return -1;
    memcpy(answers + answers_len, HTTP_RESPONSE, len);
    answers_len += len;
    return 0;
}

static bool received(struct raw_connection *connection, const char *data, size_t len)
{
    struct raw_http *http = (struct raw_http *)(void *)connection;
    answers_len = 0;
    if (http_text_feed(&http->parser, data, len, answer) < 0)
        return false;
    return answers_len == 0 || raw_send(connection, answers, answers_len);
}

static int serve(struct serving *serving)
{
    static const struct raw_ops ops = {.connection_bytes = sizeof(struct raw_http), .made = made, .received = received};
    return raw_serve(serving, &ops);
}

const struct server server_raw_http = {"raw", serve};
