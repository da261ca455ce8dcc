/*
 * Address: numeric and UNIX addresses without the resolver, which might block. Nothing here knows a loop.
 */
#include "lib/net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "weft/memory.h"
#include "weft/operation.h"
#include "weft/status.h"

static void address_init(struct weft_address *address, int family, socklen_t len)
{
    memset(address, 0, sizeof(*address));
    address->family = family;
    address->type = SOCK_STREAM;
    address->len = len;
    address->storage.ss_family = (sa_family_t)family;
}

static int zone_id(const char *zone, uint32_t *id_out)
{
    char *end;
    unsigned long number = strtoul(zone, &end, 10);
    unsigned long id = *zone >= '0' && *zone <= '9' && *end == '\0' ? number : if_nametoindex(zone);
    *id_out = (uint32_t)id;
    return id == 0 || id > UINT32_MAX ? WEFT_ENONAME : 0;
}

static int read_ipv6(const char *host, struct sockaddr_in6 *in6)
{
    char copy[INET6_ADDRSTRLEN];
    const char *zone = strchr(host, '%');
    size_t len = zone == NULL ? strlen(host) : (size_t)(zone - host);
    if (len >= sizeof(copy))
        return WEFT_ENONAME;
    memcpy(copy, host, len);
    copy[len] = '\0';
    if (inet_pton(AF_INET6, copy, &in6->sin6_addr) != 1)
        return WEFT_ENONAME;
    return zone == NULL ? 0 : zone_id(zone + 1, &in6->sin6_scope_id);
}

int address_from_numeric(const char *host, uint16_t port, int family, struct weft_address *address_out)
{
    struct weft_address address;
    if (family != AF_INET6) {
        address_init(&address, AF_INET, sizeof(struct sockaddr_in));
        if (inet_pton(AF_INET, host, &((struct sockaddr_in *)&address.storage)->sin_addr) == 1) {
            address_set_port(&address, port);
            *address_out = address;
            return 0;
        }
    }
    if (family == AF_INET)
        return WEFT_ENONAME;
    address_init(&address, AF_INET6, sizeof(struct sockaddr_in6));
    int status = read_ipv6(host, (struct sockaddr_in6 *)&address.storage);
    if (status < 0)
        return status;
    address_set_port(&address, port);
    *address_out = address;
    return 0;
}

size_t address_any(uint16_t port, int family, struct weft_address addresses_out[2])
{
    size_t count = 0;
    if (family != AF_INET6) {
        address_init(&addresses_out[count], AF_INET, sizeof(struct sockaddr_in));
        address_set_port(&addresses_out[count++], port);
    }
    if (family != AF_INET) {
        address_init(&addresses_out[count], AF_INET6, sizeof(struct sockaddr_in6));
        address_set_port(&addresses_out[count++], port);
    }
    return count;
}

int address_from_path(const char *path, struct weft_address *address_out)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address_out->storage;
    size_t len = strlen(path);
    if (len == 0)
        return -EINVAL;
    if (len >= sizeof(un->sun_path))
        return -ENAMETOOLONG;
    bool is_abstract = path[0] == '@';
    address_init(address_out, AF_UNIX, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !is_abstract));
    memcpy(un->sun_path, path, len);
    if (is_abstract)
        un->sun_path[0] = '\0';
    return 0;
}

void address_set_port(struct weft_address *address, uint16_t port)
{
    if (address->family == AF_INET)
        ((struct sockaddr_in *)&address->storage)->sin_port = htons(port);
    else if (address->family == AF_INET6)
        ((struct sockaddr_in6 *)&address->storage)->sin6_port = htons(port);
}

int address_get_port(const struct sockaddr_storage *storage)
{
    if (storage->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)storage)->sin_port);
    if (storage->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)storage)->sin6_port);
    return -EINVAL;
}

int address_prepare(int fd)
{
    int type = 0;
    if (fd >= WEFT_FD_VIRTUAL)
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof(type)}) < 0)
        return -errno;
    if (type != SOCK_STREAM)
        return -EINVAL;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

const char *address_path(const struct weft_address *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    return address->family == AF_UNIX && un->sun_path[0] != '\0' ? un->sun_path : NULL;
}

/* The index of the next address from `start` on that is (or is not) of `family`; count if there is none. */
static size_t next_of(const struct weft_address_list *list, size_t start, int family, bool is_of)
{
    while (start < list->count && (list->addresses[start].family == family) != is_of)
        start++;
    return start;
}

int address_interleave(struct weft_address_list *list, uint32_t first_count)
{
    if (list->count < 2)
        return 0;
    struct weft_address *sorted = weft_malloc(list->count * sizeof(*sorted));
    if (sorted == NULL)
        return -ENOMEM;
    int family = list->addresses[0].family;
    size_t index[2] = {0, next_of(list, 0, family, false)};
    bool is_other = false;
    for (size_t done = 0; done < list->count; done++) {
        is_other = done >= first_count && (done - first_count) % 2 == 0;
        if (index[is_other] == list->count)
            is_other = !is_other;
        sorted[done] = list->addresses[index[is_other]];
        index[is_other] = next_of(list, index[is_other] + 1, family, !is_other);
    }
    weft_free(list->addresses);
    list->addresses = sorted;
    return 0;
}
