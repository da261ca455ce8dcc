/*
 * Weft's servers under measurement: a runtime with a server of one kind on each of its loops.
 */
#ifndef BENCH_SERVERS_WEFT_SERVER_H
#define BENCH_SERVERS_WEFT_SERVER_H

#include "weft/runtime.h"
#include "weft/server.h"

struct serving;

/* Create the server of one loop. As weft_loop_create_server(). thread: the preparing one */
typedef int weft_server_make_fn(struct weft_loop *loop, const struct weft_server_options *options, struct weft_server **server_out);

/* As struct server's serve. */
int weft_server_serve(struct serving *serving, weft_server_make_fn *make);

#endif
