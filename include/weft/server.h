/*
 * Server: listening sockets of one loop, and the connections that came through them.
 *
 * Life cycle: weft_loop_create_server() → it serves → weft_server_close() → weft_server_wait_closed() → weft_server_unref(). Closing stops
 * listening; connections stay until they end, or until close_clients or abort_clients ends them. Once the loop is closed the calls that
 * return a status say WEFT_ECLOSED.
 *
 *     struct weft_server_options options = WEFT_SERVER_OPTIONS;
 *     options.host = "127.0.0.1";
 *     options.port = 8080;
 *     struct weft_server *server;
 *     int status = weft_loop_create_server(loop, echo_new, NULL, &options, &server);
 *
 * To serve with many loops, create one server on each with WEFT_SERVER_REUSE_PORT and the same port.
 */
#ifndef WEFT_SERVER_H
#define WEFT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "weft/protocol.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_future;
struct weft_loop;
struct weft_server;

#define WEFT_SERVER_REUSE_PORT       1u /* SO_REUSEPORT: one server for each loop on one port */
#define WEFT_SERVER_NO_REUSE_ADDRESS 2u /* do not set SO_REUSEADDR, which is set otherwise */
#define WEFT_SERVER_NO_START         4u /* do not listen before weft_server_start_serving() */

/* Where and how to serve. Start with WEFT_SERVER_OPTIONS and give host and port, or path, or fd. Strings are copied. */
struct weft_server_options {
    size_t size;
    const char *host;          /* NULL: all addresses, IPv4 and IPv6 */
    const char *path;          /* a UNIX socket; "@name" is an abstract one. A socket that is left over there is removed */
    int fd;                    /* a bound stream socket, which becomes the server's, non-blocking and close-on-exec; -1: none. Its
                                * name in the file system, if it has one, stays when the server closes */
    uint16_t port;             /* 0: the system chooses, see weft_server_get_port() */
    uint16_t reserved;         /* 0 */
    int family;                /* AF_UNSPEC, AF_INET or AF_INET6 */
    int backlog;               /* connections that may wait to be accepted */
    uint32_t flags;            /* WEFT_SERVER_… */
    uint32_t connections_max;  /* accept no more while there are so many: the others wait in the backlog; 0: no limit */
    int64_t idle_timeout_ns;   /* of each connection, see weft_transport_set_timeouts(); 0: none */
    int64_t write_timeout_ns;  /* likewise */
    int64_t header_timeout_ns; /* deadline that each connection starts with, see weft_transport_set_deadline(); 0: none */
    size_t write_buffer_max;   /* of each connection; 0: no limit */
};

#define WEFT_SERVER_OPTIONS                                                                                                                \
    {                                                                                                                                      \
        sizeof(struct weft_server_options), NULL, NULL, -1, 0, 0, 0, 128, 0, 0, 0, 0, 0, 0                                                 \
    }

/*
 * Create a server, and start to serve. Each connection gets a protocol of `factory`. The host must be numeric, since a look-up would
 * block: weft_loop_create_server_async() takes names.
 *
 * When descriptors or memory run out, accepting pauses for up to 100 ms at a time, and that is reported to the exception handler.
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  *server_out, unless NULL, gets a reference; the server holds one on itself until it is closed and the last connection is gone;
 *          arg is borrowed as long. options.fd stays the caller's on failure
 * returns: 0; -ENOMEM; -EINVAL; WEFT_ENONAME if the host is a name; -ENAMETOOLONG for the path; WEFT_ECLOSED; WEFT_EWRONGTHREAD; what
 *          socket, bind and listen say: -EADDRINUSE …
 */
int weft_loop_create_server(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg, const struct weft_server_options *options,
                            struct weft_server **server_out);

/*
 * The same through a future, whose result is the server: the host may be a name, and all its addresses are served.
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  the result is borrowed from the future; take a reference to keep it
 * returns: 0; -ENOMEM; -EINVAL; WEFT_ECLOSED; WEFT_EWRONGTHREAD; what the loop's executor says if the host is a name. The rest comes
 *          through the future
 */
int weft_loop_create_server_async(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg,
                                  const struct weft_server_options *options, struct weft_future **future_out);

/*
 * Start to listen and to accept. Does nothing if it serves already.
 *
 * thread:  the server's loop
 * returns: 0; WEFT_ECLOSED after weft_server_close(); -EINVAL; WEFT_EWRONGTHREAD; what listen says
 */
int weft_server_start_serving(struct weft_server *server);

/*
 * Serve until the future is cancelled: that closes the server and its connections, waits until they are gone, and only then ends the
 * future with -ECANCELED.
 *
 * thread:  the server's loop
 * memory:  the caller gets a reference to *future_out
 * returns: 0; -EALREADY if somebody does it already; -ENOMEM; as weft_server_start_serving()
 */
int weft_server_serve_forever(struct weft_server *server, struct weft_future **future_out);

/*
 * Stop listening. What the kernel has accepted already is served first, then refused; connections stay. Twice is harmless.
 *
 * The sockets are closed when this returns, so that another server may have their addresses, unless the loop has a poller of its own that
 * closes later: weft_server_wait_closed() waits for that. The name of a UNIX socket that was made for options.path goes too, if it still
 * means this socket. The name that options.fd was bound to stays, and is for whoever bound it to unlink, as with libuv: a socket that was
 * inherited has others who serve it. (asyncio since 3.13 removes it, unless it is asked not to by cleanup_socket=False.)
 *
 * thread:  the server's loop
 * returns: 0; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_server_close(struct weft_server *server);

/*
 * Close all connections, as weft_transport_close().
 *
 * thread:  the server's loop
 * returns: 0; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_server_close_clients(struct weft_server *server);

/*
 * Abort all connections, as weft_transport_abort().
 *
 * thread:  the server's loop
 * returns: 0; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_server_abort_clients(struct weft_server *server);

/*
 * Get a future that is done once the server is closed and has no connection any more, in whichever order that comes; at once if so. Its
 * addresses are free then: another server may have them.
 *
 * thread:  the server's loop
 * memory:  the caller gets a reference to *future_out
 * returns: 0; -ENOMEM; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_server_wait_closed(struct weft_server *server, struct weft_future **future_out);

/*
 * True while it listens.
 *
 * thread:  the server's loop
 */
bool weft_server_is_serving(const struct weft_server *server);

/*
 * How many listening sockets there are; none after close.
 *
 * thread:  the server's loop
 */
size_t weft_server_socket_count(const struct weft_server *server);

/*
 * The address of socket `index`; `len_out` may be NULL.
 *
 * thread:  the server's loop
 * returns: 0; -EINVAL if there is no such socket; what getsockname says
 */
int weft_server_get_address(const struct weft_server *server, size_t index, struct sockaddr_storage *address_out, socklen_t *len_out);

/*
 * The port of the first socket.
 *
 * thread:  the server's loop
 * returns: the port; -EINVAL if there is none
 */
int weft_server_get_port(const struct weft_server *server);

/*
 * How many connections are attached.
 *
 * thread:  the server's loop
 */
size_t weft_server_connection_count(const struct weft_server *server);

/*
 * The loop.
 *
 * thread:  any
 * memory:  lives as long as the server
 */
struct weft_loop *weft_server_get_loop(const struct weft_server *server);

/*
 * Add a reference.
 *
 * thread:  any
 * returns: server
 */
struct weft_server *weft_server_ref(struct weft_server *server);

/*
 * Drop a reference, which does not close. NULL is ignored.
 *
 * thread:  any
 */
void weft_server_unref(struct weft_server *server);

#ifdef __cplusplus
}
#endif

#endif
