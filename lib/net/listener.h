/*
 * Listener: one listening socket of a server, and the operation that accepts.
 *
 *      open ──> start ──> accepting <──> paused (failure: timer; full: until a connection ends) ──> close
 */
#ifndef LIB_NET_LISTENER_H
#define LIB_NET_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/net/address.h"
#include "weft/operation.h"
#include "weft/timer.h"

struct weft_loop;
struct weft_server;

struct listener {
    struct weft_file file;
    struct weft_operation accepting;
    struct weft_operation closing; /* submitted while the one above may be pending, which is cancelled by it */
    struct weft_timer retry;
    struct weft_server *server;
    char *path; /* of a UNIX socket that was bound here; NULL: none */
    dev_t device;
    ino_t inode;
    int backlog;
    bool is_listening;
    bool is_closing;
    bool keeps_fd; /* the descriptor goes back to who gave it */
};

/* Open and bind a socket for `address`. The descriptor, or -errno. thread: the loop's */
int listener_bind(struct weft_loop *loop, const struct weft_address *address, uint32_t server_flags);

/* Make `listener` one of `server` over the bound socket `fd`, which is its own from now on. 0; -ENOMEM. thread: the server's loop */
int listener_init(struct listener *listener, struct weft_server *server, int fd, int backlog, const char *path);

/* Listen and accept. 0; what listen says. thread: the server's loop */
int listener_start(struct listener *listener);

/* Accept, unless that is under way or the server wants none now. thread: the server's loop */
void listener_accept(struct listener *listener);

/* Accept no more for now. thread: the server's loop */
void listener_pause(struct listener *listener);

/*
 * Accept what is there already, then close, at once where the poller can. server_listener_closed() is called once, perhaps within. Allocates
 * nothing for itself.
 *
 * thread:  the server's loop
 */
void listener_close(struct listener *listener);

/* ---- what a listener asks its server: server.c ---- */

/* Take `fd`, a connection that was accepted. 0; a fatal status. */
int server_accepted(struct weft_server *server, int fd);

/* May another connection come now? */
bool server_has_room(const struct weft_server *server);

/* The descriptor is closed, the listener may go. */
void server_listener_closed(struct weft_server *server);

/* Report that accepting failed with `status`, and will be tried again. */
void server_accept_failed(struct weft_server *server, int status);

#endif
