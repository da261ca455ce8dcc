/*
 * Weft's echo by callbacks, for servers that have more to do.
 */
#ifndef BENCH_SERVERS_WEFT_ECHO_H
#define BENCH_SERVERS_WEFT_ECHO_H

#include "weft/server.h"

/* A weft_server_make_fn. thread: the preparing one */
int weft_echo_make(struct weft_loop *loop, const struct weft_server_options *options, struct weft_server **server_out);

#endif
