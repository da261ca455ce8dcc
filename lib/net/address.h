/*
 * Address: numeric and UNIX addresses.
 */
#ifndef LIB_NET_ADDRESS_H
#define LIB_NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/resolve.h"

/*
 * Read the numeric `host` of `family` (AF_UNSPEC: either), an IPv6 one also with a %zone. thread: any
 * returns: 0; WEFT_ENONAME if it is not numeric, or of the other family
 */
int address_from_numeric(const char *host, uint16_t port, int family, struct weft_address *address_out);

/* The addresses that mean "all interfaces", IPv4 first; how many there are of `family`, at most 2. thread: any */
size_t address_any(uint16_t port, int family, struct weft_address addresses_out[2]);

/* The address of the UNIX socket `path`, "@name" for an abstract one. 0; -ENAMETOOLONG; -EINVAL for "". thread: any */
int address_from_path(const char *path, struct weft_address *address_out);

/* Put `port` into an IPv4 or IPv6 address. thread: any */
void address_set_port(struct weft_address *address, uint16_t port);

/* The port of an IPv4 or IPv6 address; -EINVAL for others. thread: any */
int address_get_port(const struct sockaddr_storage *storage);

/* Make the connected stream socket `fd` non-blocking and close-on-exec. 0; -EINVAL if it is no stream; -EBADF; -ENOTSOCK. thread: any */
int address_prepare(int fd);

/* Where in the file system `address` has a name; NULL if it has none. thread: any */
const char *address_path(const struct weft_address *address);

/*
 * Reorder `list` as RFC 8305 wants it: `first_count` addresses of the first's family, then families in turn. thread: any
 * returns: 0; -ENOMEM
 */
int address_interleave(struct weft_address_list *list, uint32_t first_count);

#endif
