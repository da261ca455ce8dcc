/*
 * Sockets: where those of a loop come from, if not from the operating system.
 *
 * Servers, connections and look-ups ask the loop's poller for what they would otherwise ask the system for. Accept, connect, send, receive
 * and close are operations (weft/operation.h), whoever made the descriptor. Nothing here is on the way of a byte.
 */
#ifndef WEFT_SOCKETS_H
#define WEFT_SOCKETS_H

#include <stddef.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_poller;

#define WEFT_SOCKET_REUSE_ADDRESS 1u /* SO_REUSEADDR */
#define WEFT_SOCKET_REUSE_PORT    2u /* SO_REUSEPORT */
#define WEFT_SOCKET_ONLY_IPV6     4u /* IPV6_V6ONLY */

/* The names that a connected socket has. */
enum weft_socket_name {
    WEFT_SOCKET_OWN = 0,  /* getsockname() */
    WEFT_SOCKET_PEER = 1, /* getpeername() */
};

/*
 * What a poller brings that has sockets of its own (weft_poller_ops.sockets). With a slot that is NULL, or beyond `size`, it is the
 * operating system that is called; a poller that opens sockets also has the slots listen and get_name.
 *
 * thread:  the loop's, or the preparing one; none of these blocks
 */
struct weft_poller_sockets {
    size_t size; /* sizeof of this struct where the backend was compiled */

    /*
     * Open a stream socket for addresses of `family`, bound to `address` unless that is NULL. `flags`: WEFT_SOCKET_…
     *
     * Returns the descriptor, WEFT_FD_VIRTUAL or above, so that nobody mistakes it for the system's, or what socket() and bind() would
     * fail with.
     */
    int (*open)(struct weft_poller *poller, int family, const struct sockaddr *address, socklen_t len, unsigned flags);

    /* Let `fd` listen, with room for `backlog` connections. One that listens already may do so again. 0; -errno as listen(). */
    int (*listen)(struct weft_poller *poller, int fd, int backlog);

    /* Copy a name of `fd`, whoever made it. 0; -errno as getsockname() and getpeername(). */
    int (*get_name)(struct weft_poller *poller, int fd, enum weft_socket_name which, struct sockaddr_storage *name_out, socklen_t *len_out);

    /*
     * Find the addresses of `host`, which is not numeric; their ports are of no account. `family` is AF_UNSPEC for any. Called instead of
     * the system's resolver, and not in an executor.
     *
     * Returns their count, at least 1 and at most `count_max`; WEFT_ENONAME, WEFT_ENAMEAGAIN, WEFT_ENAMEFAIL.
     */
    int (*resolve)(struct weft_poller *poller, const char *host, int family, struct sockaddr_storage *addresses_out, size_t count_max);
};

#ifdef __cplusplus
}
#endif

#endif
