/*
 * HTTP: one connection of HTTP/1.1, a protocol over any stream transport.
 *
 * It parses (Debian's http_parser), keeps the limits, and asks routes.c for a reply to each request. Requests may come pipelined or
 * byte by byte; their replies go out in their order, and the transport sends those of one read in one call.
 */
#ifndef TOOLS_DEMO_HTTP_H
#define TOOLS_DEMO_HTTP_H

#include "weft/protocol.h"

#define HTTP_HEADER_MAX 8192    /* request line and header together: beyond it 431 */
#define HTTP_BODY_MAX   1048576 /* bodies are read and dropped: beyond it 413 */
#define HTTP_TARGET_MAX 128     /* of a longer target the end is dropped: a query, or a path that is not ours */

#define HTTP_SECOND_NS  1000000000ll
#define HTTP_REQUEST_NS (10 * HTTP_SECOND_NS) /* for a request, from its first byte to its last */
#define HTTP_IDLE_NS    (60 * HTTP_SECOND_NS) /* between requests */
#define HTTP_WRITE_NS   (10 * HTTP_SECOND_NS) /* for a peer that takes nothing of what is sent */
#define HTTP_LINGER_NS  (2 * HTTP_SECOND_NS)  /* for a peer that was refused to read why, and to stop sending */

/* Set the limits, which http_parser keeps for the whole process. thread: before start */
void http_init(void);

/*
 * Make the protocol of a connection; `arg` is the `struct shard` whose loop it lives on.
 *
 * thread:  the shard's loop
 * returns: 0; -ENOMEM
 */
int http_connection_new(void *arg, struct weft_protocol **protocol_out);

#endif
