/*
 * Connection: the parser of one connection, and what it leaves to be written. Between http.c, which hears the transport, and routes.c.
 */
#ifndef TOOLS_DEMO_CONNECTION_H
#define TOOLS_DEMO_CONNECTION_H

#include <http_parser.h>
#include <stddef.h>

#include "tools/demo/http.h"
#include "weft/protocol.h"

struct shard;
struct weft_transport;

#define CONNECTION_REQUESTING 1u  /* from the first byte of a request to its last */
#define CONNECTION_DEADLINE   2u  /* the transport's deadline is armed; follows REQUESTING as each feed ends */
#define CONNECTION_FULL       4u  /* the peer does not take what is written; between pause_writing and resume_writing */
#define CONNECTION_ENDED      8u  /* the last reply is written; never cleared */
#define CONNECTION_ANSWERED   16u /* a request has ended in this feed: the deadline that is armed was its own */

struct connection {
    struct weft_protocol protocol;
    struct weft_transport *transport;
    struct shard *shard;
    struct http_parser parser;
    unsigned flags;
    int status;          /* of a write that failed, or 0 */
    const char *refusal; /* with what a callback stopped the parser, or NULL */
    char *rest;          /* what came before the peer was found not to read, or NULL */
    size_t rest_bytes;
    size_t body_bytes;
    size_t target_bytes;
    char target[HTTP_TARGET_MAX];
};

/*
 * Parse `data` and answer the requests that are complete. Not on an ENDED connection.
 *
 * thread:  the shard's loop
 * returns: 0, also where the peer was refused; -ENOMEM and what else a write returns
 */
int connection_feed(struct connection *connection, const char *data, size_t len);

#endif
