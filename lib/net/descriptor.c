/*
 * Descriptor: the one place where net makes sockets and asks for their names, so that a poller may have its own.
 *
 * Called by the connect race, listeners, servers and look-ups; nothing here is on the way of a byte. A poller that opens sockets answers
 * for every descriptor of its loop.
 */
#include "lib/net/descriptor.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "lib/loop/loop.h"
#include "lib/net/address.h"
#include "weft/memory.h"

enum { RESOLVED_MAX = 16 };

#define sockets_have(table, slot)                                                                                                          \
    ((table) != NULL && (table)->size >= offsetof(struct weft_poller_sockets, slot) + sizeof((table)->slot) && (table)->slot != NULL)

static int set_options(int fd, unsigned flags)
{
    const int on = 1;
    int status = 0;
    if ((flags & WEFT_SOCKET_REUSE_ADDRESS) != 0)
        status = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (status == 0 && (flags & WEFT_SOCKET_REUSE_PORT) != 0)
        status = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (status == 0 && (flags & WEFT_SOCKET_ONLY_IPV6) != 0)
        status = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    return status < 0 ? -errno : 0;
}

static int system_bind(int fd, const struct weft_address *local, unsigned flags)
{
    int status = set_options(fd, flags);
    if (status == 0 && bind(fd, (const struct sockaddr *)&local->storage, local->len) < 0)
        status = -errno;
    return status;
}

static int system_open(int family, const struct weft_address *local, unsigned flags)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int status = local == NULL ? 0 : system_bind(fd, local, flags);
    if (status == 0)
        return fd;
    (void)close(fd);
    return status;
}

int descriptor_open(struct weft_loop *loop, int family, const struct weft_address *local, unsigned flags)
{
    const struct weft_poller_sockets *sockets = loop_sockets(loop);
    if (!sockets_have(sockets, open))
        return system_open(family, local, flags);
    const struct sockaddr *address = local == NULL ? NULL : (const struct sockaddr *)&local->storage;
    return sockets->open(loop->poller, family, address, local == NULL ? 0 : local->len, flags);
}

const char *descriptor_path(const struct weft_loop *loop, const struct weft_address *address)
{
    const struct weft_poller_sockets *sockets = loop_sockets(loop);
    return sockets_have(sockets, open) ? NULL : address_path(address);
}

int descriptor_listen(struct weft_loop *loop, int fd, int backlog)
{
    const struct weft_poller_sockets *sockets = loop_sockets(loop);
    if (sockets_have(sockets, listen))
        return sockets->listen(loop->poller, fd, backlog);
    if (fd >= WEFT_FD_VIRTUAL)
        return 0; /* whoever made it has seen to that */
    return listen(fd, backlog) < 0 ? -errno : 0;
}

static int system_get_name(int fd, enum weft_socket_name which, struct sockaddr_storage *name_out, socklen_t *len_out)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    memset(&name, 0, sizeof(name));
    int status =
        which == WEFT_SOCKET_PEER ? getpeername(fd, (struct sockaddr *)&name, &len) : getsockname(fd, (struct sockaddr *)&name, &len);
    if (status < 0)
        return -errno;
    *name_out = name;
    *len_out = len;
    return 0;
}

int descriptor_get_name(struct weft_loop *loop, int fd, enum weft_socket_name which, struct sockaddr_storage *name_out, socklen_t *len_out)
{
    const struct weft_poller_sockets *sockets = loop_sockets(loop);
    if (sockets_have(sockets, get_name))
        return sockets->get_name(loop->poller, fd, which, name_out, len_out);
    return fd >= WEFT_FD_VIRTUAL ? -ENOTSUP : system_get_name(fd, which, name_out, len_out);
}

bool descriptor_can_resolve(const struct weft_loop *loop)
{
    const struct weft_poller_sockets *sockets = loop_sockets(loop);
    return sockets_have(sockets, resolve);
}

static int list_from(const struct sockaddr_storage *found, size_t count, struct weft_address_list *list)
{
    list->addresses = weft_calloc(count, sizeof(*list->addresses));
    if (list->addresses == NULL)
        return -ENOMEM;
    list->count = count;
    for (size_t i = 0; i < count; i++) {
        struct weft_address *address = &list->addresses[i];
        address->family = found[i].ss_family;
        address->type = SOCK_STREAM;
        address->len = found[i].ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        address->storage = found[i];
    }
    return 0;
}

int descriptor_resolve(struct weft_loop *loop, const char *host, int family, struct weft_address_list *list_out)
{
    struct sockaddr_storage found[RESOLVED_MAX];
    memset(found, 0, sizeof(found));
    int count = loop_sockets(loop)->resolve(loop->poller, host, family, found, RESOLVED_MAX);
    return count < 0 ? count : list_from(found, (size_t)count, list_out);
}
