/*
 * Resolve: names to addresses, without blocking the loop.
 *
 *     struct weft_future *future;
 *     int status = weft_loop_getaddrinfo(loop, "example.org", "443", NULL, &future);
 *     ...
 *     status = weft_await(future, &value);
 *     const struct weft_address_list *list = value;
 */
#ifndef WEFT_RESOLVE_H
#define WEFT_RESOLVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_future;
struct weft_loop;

/* One address, as getaddrinfo() finds it. */
struct weft_address {
    int family;
    int type;
    int protocol;
    socklen_t len;
    struct sockaddr_storage storage;
};

/* What a look-up found, in the order in which it should be tried. */
struct weft_address_list {
    size_t count;
    struct weft_address *addresses;
};

/* What to look for. Start with WEFT_RESOLVE_OPTIONS: stream sockets of any family. */
struct weft_resolve_options {
    size_t size;
    int family;
    int type;
    int protocol;
    int flags; /* AI_… */
};

#define WEFT_RESOLVE_OPTIONS                                                                                                               \
    {                                                                                                                                      \
        sizeof(struct weft_resolve_options), 0, SOCK_STREAM, 0, 0                                                                          \
    }

/*
 * Look `host` and `service` up in the loop's executor; either may be NULL, not both. Numeric ones are found at once, still through the
 * future. The result is a struct weft_address_list.
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  strings and options are copied; the result lives as long as the future
 * returns: 0; -EINVAL; -ENOMEM; WEFT_ECLOSED; WEFT_EWRONGTHREAD; what the executor says. Through the future: WEFT_ENONAME for a name that
 *          does not exist or has no address; WEFT_ENAMEAGAIN if it may be there later; WEFT_ENAMEFAIL; -ENOMEM
 */
int weft_loop_getaddrinfo(struct weft_loop *loop, const char *host, const char *service, const struct weft_resolve_options *options,
                          struct weft_future **future_out);

/*
 * Say what status stands for the EAI_… `code` of getaddrinfo() or getnameinfo(), with `errno_value` for EAI_SYSTEM.
 *
 * thread:  any
 * returns: 0 for 0
 */
int weft_status_from_eai(int code, int errno_value);

#ifdef __cplusplus
}
#endif

#endif
