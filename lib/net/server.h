/*
 * Server, inside: what a transport tells the server that it belongs to.
 */
#ifndef LIB_NET_SERVER_H
#define LIB_NET_SERVER_H

#include "weft/resolve.h"
#include "weft/server.h"
#include "weft/transport.h"

/* Copy `options`, with defaults for what they are too old to have. 0; -EINVAL. thread: any */
int server_options_get(const struct weft_server_options *options, struct weft_server_options *options_out);

/* Create a server on all of `addresses`, or on options->fd if there are none. As weft_loop_create_server(). thread: the loop's */
int server_create(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg, const struct weft_server_options *options,
                  const struct weft_address_list *addresses, struct weft_server **server_out);

/* The head of the list of its connections. thread: the server's loop */
struct weft_transport **server_clients(struct weft_server *server);

/* Count one connection, which holds a reference from now on. thread: the server's loop */
void server_attach(struct weft_server *server);

/* Count it out again: that may complete wait_closed, or let accepting go on. thread: the server's loop */
void server_detach(struct weft_server *server);

/* Call `drop(arg)` when the server's memory goes. thread: the server's loop */
void server_on_destroy(struct weft_server *server, void (*drop)(void *arg), void *arg);

#endif
