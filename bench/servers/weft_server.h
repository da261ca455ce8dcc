/*
 * Weft's servers under measurement: a runtime with a server of one kind on each of its loops.
 */
#ifndef BENCH_SERVERS_WEFT_SERVER_H
#define BENCH_SERVERS_WEFT_SERVER_H

#include "bench/kit/serve.h"
#include "weft/runtime.h"
#include "weft/server.h"

/* Create the server of one loop. As weft_loop_create_server(). thread: the preparing one */
typedef int weft_server_make_fn(struct weft_loop *loop, const struct weft_server_options *options, struct weft_server **server_out);

struct weft_serving {
    weft_server_make_fn *make;
    const struct weft_loop_kind *kind; /* of the loops; NULL: the default one */
    int64_t spin_max_ns;               /* as the runtime's option; 0: its default */
};

/* As struct server's serve. */
int weft_server_serve(const struct serving *serving, const struct weft_serving *how);

/* Of a protocol that echoes by callbacks. A weft_server_make_fn. */
int weft_echo_make(struct weft_loop *loop, const struct weft_server_options *options, struct weft_server **server_out);

/* Each of them as struct server's serve. */
int weft_echo_serve(struct serving *serving);
int weft_echo_spin_serve(struct serving *serving);
int weft_echo_stream_serve(struct serving *serving);
int weft_bulk_stream_serve(struct serving *serving);
int weft_http_serve(struct serving *serving);

#endif
