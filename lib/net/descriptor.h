/*
 * Descriptor: sockets from where the loop's poller has them from, which is the operating system unless the poller says otherwise.
 */
#ifndef LIB_NET_DESCRIPTOR_H
#define LIB_NET_DESCRIPTOR_H

#include <stdbool.h>

#include "weft/resolve.h"
#include "weft/sockets.h"

struct weft_loop;

/*
 * Open a stream socket of `family`, non-blocking and close-on-exec, bound to `local` unless that is NULL. `flags`: WEFT_SOCKET_…
 *
 * thread:  the loop's
 * returns: the descriptor; -errno
 */
int descriptor_open(struct weft_loop *loop, int family, const struct weft_address *local, unsigned flags);

/* Where in the file system a socket bound to `address` has a name; NULL if it has none. thread: any */
const char *descriptor_path(const struct weft_loop *loop, const struct weft_address *address);

/* Let `fd` listen. 0; -errno. thread: the loop's */
int descriptor_listen(struct weft_loop *loop, int fd, int backlog);

/* Copy a name of `fd`. 0; -errno. thread: the loop's */
int descriptor_get_name(struct weft_loop *loop, int fd, enum weft_socket_name which, struct sockaddr_storage *name_out, socklen_t *len_out);

/* Does the poller of `loop` look names up itself? thread: any */
bool descriptor_can_resolve(const struct weft_loop *loop);

/*
 * Look `host` up in the poller of `loop`, which can.
 *
 * thread:  the loop's
 * memory:  list_out->addresses is the caller's
 * returns: 0; -ENOMEM; WEFT_ENONAME and its kin
 */
int descriptor_resolve(struct weft_loop *loop, const char *host, int family, struct weft_address_list *list_out);

#endif
