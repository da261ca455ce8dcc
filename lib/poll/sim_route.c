/*
 * Sim routes: which host an address means, which ports are taken, and what names stand for.
 *
 * Called as sockets are opened, bound and connected. Addresses that are neither IPv4 nor IPv6 (a path, or any bytes in a scene) belong to
 * the host that uses them, and are compared byte by byte.
 */
#include <errno.h>
#include <string.h>

#include "lib/poll/sim_world.h"
#include "weft/status.h"

enum { PORT_MIN = 32768, PORT_MAX = 60999 };

/* ---- names of sockets --------------------------------------------------------------------------------------------------------- */

static struct sockaddr_in *in_of(const struct sim_name *name)
{
    bool is_in = name->len >= sizeof(struct sockaddr_in) && name->storage.ss_family == AF_INET;
    return is_in ? (struct sockaddr_in *)(uintptr_t)&name->storage : NULL;
}

static struct sockaddr_in6 *in6_of(const struct sim_name *name)
{
    bool is_in6 = name->len >= sizeof(struct sockaddr_in6) && name->storage.ss_family == AF_INET6;
    return is_in6 ? (struct sockaddr_in6 *)(uintptr_t)&name->storage : NULL;
}

int sim_name_set(struct sim_name *name, const struct sockaddr *address, socklen_t len)
{
    if (address == NULL || len > sizeof(name->storage))
        return -EINVAL;
    memset(&name->storage, 0, sizeof(name->storage));
    memcpy(&name->storage, address, len);
    name->len = len;
    return 0;
}

static in_port_t *port_of(const struct sim_name *name)
{
    struct sockaddr_in *in = in_of(name);
    struct sockaddr_in6 *in6 = in6_of(name);
    return in != NULL ? &in->sin_port : in6 != NULL ? &in6->sin6_port : NULL;
}

static bool is_any(const struct sim_name *name)
{
    const struct sockaddr_in *in = in_of(name);
    const struct sockaddr_in6 *in6 = in6_of(name);
    return in != NULL ? in->sin_addr.s_addr == INADDR_ANY : in6 != NULL && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

static bool is_loopback(const struct sim_name *name)
{
    const struct sockaddr_in *in = in_of(name);
    const struct sockaddr_in6 *in6 = in6_of(name);
    return in != NULL ? ntohl(in->sin_addr.s_addr) >> 24 == 127 : in6 != NULL && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static bool is_same_address(const struct sim_name *one, const struct sim_name *other)
{
    if (in_of(one) != NULL)
        return in_of(one)->sin_addr.s_addr == in_of(other)->sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&in6_of(one)->sin6_addr, &in6_of(other)->sin6_addr);
}

static bool is_internet(const struct sim_name *name)
{
    return port_of(name) != NULL;
}

bool sim_name_reaches(const struct sim_name *bound, const struct sim_name *name)
{
    if (bound->storage.ss_family != name->storage.ss_family || is_internet(bound) != is_internet(name))
        return false;
    if (!is_internet(bound))
        return bound->len == name->len && memcmp(&bound->storage, &name->storage, name->len) == 0;
    return *port_of(bound) == *port_of(name) && (is_any(bound) || is_any(name) || is_same_address(bound, name));
}

/* ---- hosts -------------------------------------------------------------------------------------------------------------------- */

static bool is_of_host(const struct weft_sim_host *host, const struct sim_name *name)
{
    const struct sockaddr_in *in = in_of(name);
    const struct sockaddr_in6 *in6 = in6_of(name);
    if (in != NULL)
        return in->sin_addr.s_addr == host->address.s_addr;
    return in6 != NULL && host->has_address6 && IN6_ARE_ADDR_EQUAL(&in6->sin6_addr, &host->address6);
}

/* The first host, which has no address that others know, has every one. */
struct weft_sim_host *sim_route(struct weft_sim_host *from, const struct sim_name *name)
{
    const struct weft_sim *world = from->world;
    if (!is_internet(name) || is_any(name) || is_loopback(name))
        return from;
    for (uint32_t i = 1; i < world->host_count; i++)
        if (is_of_host(world->hosts[i], name))
            return world->hosts[i];
    return from->index == 0 ? from : NULL;
}

static bool can_bind(const struct weft_sim_host *host, const struct sim_name *name)
{
    return !is_internet(name) || is_any(name) || is_loopback(name) || host->index == 0 || is_of_host(host, name);
}

/* ---- ports -------------------------------------------------------------------------------------------------------------------- */

static bool is_taken(const struct sim_node *node, const struct sim_name *name, bool is_shared)
{
    for (const struct sim_node *other = node->host->bound; other != NULL; other = other->next_bound)
        if (sim_name_reaches(&other->local, name) && !(is_shared && other->is_shared))
            return true;
    return false;
}

static in_port_t port_next(struct weft_sim_host *host)
{
    uint16_t port = host->next_port;
    host->next_port = port == PORT_MAX ? PORT_MIN : (uint16_t)(port + 1);
    return htons(port);
}

static int port_choose(struct sim_node *node, const struct sim_name *name)
{
    for (int i = PORT_MIN; i <= PORT_MAX; i++) {
        *port_of(name) = port_next(node->host);
        if (!is_taken(node, name, false))
            return 0;
    }
    return -EADDRINUSE;
}

int sim_node_bind(struct sim_node *node, const struct sim_name *name, bool is_shared)
{
    struct sim_name chosen = *name;
    int status = can_bind(node->host, name) ? 0 : -EADDRNOTAVAIL;
    if (status == 0 && is_internet(&chosen) && *port_of(&chosen) == 0)
        status = port_choose(node, &chosen);
    else if (status == 0 && is_taken(node, &chosen, is_shared))
        status = -EADDRINUSE;
    if (status < 0)
        return status;
    node->local = chosen;
    node->is_shared = is_shared;
    node->is_bound = true;
    node->next_bound = node->host->bound;
    node->host->bound = node;
    return 0;
}

void sim_node_unbind(struct sim_node *node)
{
    if (!node->is_bound)
        return;
    struct sim_node **at = &node->host->bound;
    while (*at != node)
        at = &(*at)->next_bound;
    *at = node->next_bound;
    node->is_bound = false;
}

void sim_node_bind_any(struct sim_node *node)
{
    const struct weft_sim_host *host = node->host;
    if (!is_internet(&node->far) || (node->local.len != 0 && !is_any(&node->local)))
        return;
    in_port_t port = node->local.len != 0 ? *port_of(&node->local) : port_next(node->host);
    node->local = node->far; /* to itself, by whatever address it goes */
    if (in_of(&node->far) != NULL && node->remote != host)
        in_of(&node->local)->sin_addr = host->address;
    else if (node->remote != host)
        in6_of(&node->local)->sin6_addr = host->address6;
    *port_of(&node->local) = port;
}

/* ---- names of hosts ----------------------------------------------------------------------------------------------------------- */

static void put_address(const struct in_addr *address, struct sockaddr_storage *address_out)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = *address};
    memcpy(address_out, &in, sizeof(in));
}

static void put_address6(const struct in6_addr *address, struct sockaddr_storage *address_out)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = *address};
    memcpy(address_out, &in6, sizeof(in6));
}

static const struct weft_sim_host *find_name(const struct weft_sim_host *host, const char *name)
{
    if (strcmp(name, "localhost") == 0 || strcmp(name, host->name) == 0)
        return host;
    return weft_sim_host_find(host->world, name);
}

int sim_resolve(struct weft_sim_host *host, const char *name, int family, struct sockaddr_storage *addresses_out, size_t count_max)
{
    const struct weft_sim_host *found = find_name(host, name);
    if (host->is_down || sim_fault(host, host->faults.resolve_permille, "resolve-fails"))
        return WEFT_ENAMEAGAIN;
    if (found == NULL)
        return WEFT_ENONAME;
    const struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
    bool is_self = strcmp(name, "localhost") == 0;
    size_t count = 0;
    if (found->has_address6 && family != AF_INET && count < count_max) /* IPv6 first, as resolvers have it */
        put_address6(is_self ? &in6addr_loopback : &found->address6, &addresses_out[count++]);
    if (family != AF_INET6 && count < count_max)
        put_address(is_self ? &loopback : &found->address, &addresses_out[count++]);
    sim_trace(host->world, host, "resolve", found->index, (int64_t)count);
    return count == 0 ? WEFT_ENONAME : (int)count;
}
