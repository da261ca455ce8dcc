/*
 * HTTP text: the parser that the HTTP servers under measurement feed, Debian's http_parser, and what they answer.
 */
#ifndef BENCH_KIT_HTTP_TEXT_H
#define BENCH_KIT_HTTP_TEXT_H

#include <http_parser.h>
#include <stddef.h>

#define HTTP_RESPONSE                                                                                                                      \
    "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"    \
    "Hello, World!"

/* A request is complete: answer it. Not 0 stops the parser. */
typedef int http_answer_fn(void *connection);

/* Parse `len` bytes and call `answer(parser->data)` for each complete request. 0, or below 0 for what is no HTTP. */
int http_text_feed(http_parser *parser, const char *data, size_t len, http_answer_fn *answer);

#endif
