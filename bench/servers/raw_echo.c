/*
 * Raw echo: the peer of weft's echo servers.
 */
#include "bench/servers/raw_server.h"
#include "bench/servers/server.h"

static int serve(struct serving *serving)
{
    static const struct raw_ops ops = {.connection_bytes = sizeof(struct raw_connection), .received = raw_send};
    return raw_serve(serving, &ops);
}

const struct server server_raw_echo = {"raw", serve};
