/*
 * Listener: accepts for a server, with one multishot operation for as long as there is room.
 *
 * When descriptors or memory run out, accepting pauses for RETRY_NS: the connections wait in the backlog, and the loop does not spin.
 * A close serves first what the kernel has accepted already, since closing the socket would reset it.
 */
#include "lib/net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/loop/loop.h"
#include "lib/net/descriptor.h"
#include "weft/memory.h"
#include "weft/server.h"

enum { RETRY_NS = 80 * 1000 * 1000 };

static struct weft_loop *listener_loop(const struct listener *listener)
{
    return weft_server_get_loop(listener->server);
}

static unsigned socket_flags(int family, uint32_t server_flags)
{
    if (family == AF_UNIX)
        return 0;
    unsigned flags = family == AF_INET6 ? WEFT_SOCKET_ONLY_IPV6 : 0;
    flags |= (server_flags & WEFT_SERVER_NO_REUSE_ADDRESS) == 0 ? WEFT_SOCKET_REUSE_ADDRESS : 0;
    return flags | ((server_flags & WEFT_SERVER_REUSE_PORT) != 0 ? WEFT_SOCKET_REUSE_PORT : 0);
}

/* As asyncio: a socket that is left over at the path goes; anything else makes bind fail. */
static void remove_stale(const char *path)
{
    struct stat stat;
    if (path != NULL && lstat(path, &stat) == 0 && S_ISSOCK(stat.st_mode))
        (void)unlink(path);
}

int listener_bind(struct weft_loop *loop, const struct weft_address *address, uint32_t server_flags)
{
    remove_stale(descriptor_path(loop, address));
    return descriptor_open(loop, address->family, address, socket_flags(address->family, server_flags));
}

/* A socket that no listener will close leaves no name either. */
static int note_path(struct listener *listener, const char *path)
{
    struct stat stat;
    if (path == NULL || lstat(path, &stat) < 0)
        return 0;
    size_t bytes = strlen(path) + 1;
    listener->path = weft_malloc(bytes);
    if (listener->path == NULL) {
        (void)unlink(path);
        return -ENOMEM;
    }
    memcpy(listener->path, path, bytes);
    listener->device = stat.st_dev;
    listener->inode = stat.st_ino;
    return 0;
}

/* Remove the name, if it still means this socket. */
static void forget_path(struct listener *listener)
{
    struct stat stat;
    if (listener->path == NULL)
        return;
    if (lstat(listener->path, &stat) == 0 && stat.st_dev == listener->device && stat.st_ino == listener->inode)
        (void)unlink(listener->path);
    weft_free(listener->path);
    listener->path = NULL;
}

static int retry(void *arg)
{
    listener_accept(arg);
    return 0;
}

int listener_init(struct listener *listener, struct weft_server *server, int fd, int backlog, const char *path)
{
    memset(listener, 0, sizeof(*listener));
    int status = note_path(listener, path);
    if (status == 0)
        status = loop_reserve_timer(weft_server_get_loop(server));
    if (status < 0) {
        forget_path(listener);
        return status;
    }
    weft_file_init(&listener->file, fd, WEFT_FILE_STREAM);
    listener->server = server;
    listener->backlog = backlog;
    weft_timer_init(&listener->retry, weft_server_get_loop(server), retry, listener);
    /* Connections inherit it, which saves each of them a system call. No option of a UNIX socket, and that is fine. */
    if (!weft_file_is_virtual(&listener->file))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return 0;
}

int listener_start(struct listener *listener)
{
    int status = descriptor_listen(listener_loop(listener), listener->file.fd, listener->backlog);
    if (status < 0)
        return status;
    listener->is_listening = true;
    listener_accept(listener);
    return 0;
}

static int closed(struct weft_operation *operation, int result, unsigned flags)
{
    struct listener *listener = weft_container_of(operation, struct listener, closing);
    (void)result, (void)flags;
    server_listener_closed(listener->server);
    return 0;
}

static void close_file(struct listener *listener)
{
    struct weft_server *server = listener->server;
    weft_operation_close(&listener->closing, &listener->file, closed);
    listener->closing.flags |= listener->keeps_fd ? WEFT_OP_KEEP_FD : 0;
    if (loop_submit(listener_loop(listener), &listener->closing) != -EINPROGRESS)
        server_listener_closed(server);
}

static void accept_later(struct listener *listener, int status)
{
    server_accept_failed(listener->server, status);
    loop_start_reserved(&listener->retry, RETRY_NS); /* which is short of memory as likely as not */
}

static int accepted(struct weft_operation *operation, int result, unsigned flags)
{
    struct listener *listener = weft_container_of(operation, struct listener, accepting);
    int status = 0;
    if (result >= 0)
        status = server_accepted(listener->server, result);
    if ((flags & WEFT_OP_MORE) != 0) {
        if (!server_has_room(listener->server))
            listener_pause(listener);
        return status;
    }
    if (listener->is_closing)
        return status;
    if (result < 0 && result != -ECANCELED)
        accept_later(listener, result);
    else
        listener_accept(listener);
    return status;
}

void listener_accept(struct listener *listener)
{
    if (!listener->is_listening || listener->is_closing || weft_operation_is_pending(&listener->accepting) ||
        !server_has_room(listener->server))
        return;
    weft_operation_accept(&listener->accepting, &listener->file, NULL, NULL, accepted);
    listener->accepting.flags |= WEFT_OP_MULTISHOT;
    int status = loop_submit(listener_loop(listener), &listener->accepting);
    if (status != -EINPROGRESS)
        accept_later(listener, status);
}

void listener_pause(struct listener *listener)
{
    if (weft_operation_is_pending(&listener->accepting))
        (void)loop_cancel(listener_loop(listener), &listener->accepting);
}

/*
 * Nobody waits any more, there is nothing to take him with, or the socket has been closed or shut down past us. Whatever else accept says is
 * of a connection that is gone.
 */
static bool is_end_of_backlog(int error)
{
    bool is_over = error == EBADF || error == ENOTSOCK || error == EINVAL;
    return is_over || error == EAGAIN || error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Past the operation, which runs only after the next poll; and whoever calls wait_closed now shall count these. */
static void drain_backlog(struct listener *listener)
{
    if (!listener->is_listening || weft_file_is_virtual(&listener->file) || weft_loop_is_closed(listener_loop(listener)))
        return;
    for (int64_t i = 0; i <= listener->backlog && server_has_room(listener->server); i++) {
        int fd = accept4(listener->file.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && is_end_of_backlog(errno))
            return;
        if (fd >= 0)
            (void)server_accepted(listener->server, fd);
    }
}

void listener_close(struct listener *listener)
{
    if (listener->is_closing)
        return;
    listener->is_closing = true;
    (void)weft_timer_stop(&listener->retry);
    loop_unreserve_timer(listener_loop(listener));
    drain_backlog(listener);
    forget_path(listener);
    close_file(listener);
}
