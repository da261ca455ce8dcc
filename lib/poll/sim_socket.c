/*
 * Sim sockets: what net asks of a poller to open sockets, to name them and to look names up (weft_poller_sockets).
 *
 * Called in the thread of the world, by loops that live on one of its hosts.
 */
#include <errno.h>
#include <string.h>

#include "lib/poll/sim_world.h"
#include "weft/status.h"

static int node_open(struct weft_sim_host *host, const struct sockaddr *address, socklen_t len, unsigned flags)
{
    struct sim_node *node = sim_node_create(host, SIM_IDLE, 0);
    struct sim_name name;
    if (node == NULL)
        return -ENOMEM;
    int status = address == NULL ? 0 : sim_name_set(&name, address, len);
    if (status == 0 && address != NULL)
        status = sim_node_bind(node, &name, (flags & WEFT_SOCKET_REUSE_PORT) != 0);
    sim_trace(host->world, host, "open", node->id, status);
    if (status == 0)
        return WEFT_FD_VIRTUAL + node->id;
    sim_node_destroy(node);
    return status;
}

static int socket_open(struct weft_poller *poller, int family, const struct sockaddr *address, socklen_t len, unsigned flags)
{
    struct weft_sim_host *host = sim_poller_host(poller);
    if (sim_poller_is_dead(poller))
        return -ENETDOWN;
    if (family == AF_INET6 && !host->has_address6)
        return -EAFNOSUPPORT;
    if (sim_fault(host, host->faults.socket_permille, "socket-emfile"))
        return -EMFILE;
    return node_open(host, address, len, flags);
}

static int socket_listen(struct weft_poller *poller, int fd, int backlog)
{
    struct sim_node *node = sim_node_find(sim_poller_host(poller)->world, fd);
    if (node == NULL)
        return -EBADF;
    if (node->is_dead)
        return -ENETDOWN;
    return sim_node_listen(node, backlog <= 0 ? 1 : (unsigned)backlog);
}

/* Both ends of a pair are as nameless as those of socketpair(). */
static int socket_get_name(struct weft_poller *poller, int fd, enum weft_socket_name which, struct sockaddr_storage *name_out,
                           socklen_t *len_out)
{
    const struct sim_node *node = sim_node_find(sim_poller_host(poller)->world, fd);
    if (node == NULL)
        return -EBADF;
    if (which == WEFT_SOCKET_PEER && node->kind != SIM_STREAM)
        return -ENOTCONN;
    const struct sim_name *name = which == WEFT_SOCKET_PEER ? &node->far : &node->local;
    memset(name_out, 0, sizeof(*name_out));
    name_out->ss_family = AF_UNIX;
    *len_out = name->len == 0 ? sizeof(sa_family_t) : name->len;
    if (name->len != 0)
        *name_out = name->storage;
    return 0;
}

static int socket_resolve(struct weft_poller *poller, const char *host, int family, struct sockaddr_storage *addresses_out,
                          size_t count_max)
{
    if (sim_poller_is_dead(poller))
        return WEFT_ENAMEFAIL;
    return sim_resolve(sim_poller_host(poller), host, family, addresses_out, count_max);
}

const struct weft_poller_sockets sim_sockets = {
    .size = sizeof(sim_sockets),
    .open = socket_open,
    .listen = socket_listen,
    .get_name = socket_get_name,
    .resolve = socket_resolve,
};
