/*
 * Resolve: names to addresses, in the loop's executor, since the C library's resolver blocks.
 *
 * A look-up is the future that its caller gets. It is kept alive by the job, which may still be running when nobody waits any more, and
 * by the callback that brings the result home.
 */
#include "weft/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net/address.h"
#include "lib/net/descriptor.h"
#include "lib/net/net.h"
#include "lib/task/future.h"
#include "weft/atomic.h"
#include "weft/executor.h"
#include "weft/memory.h"
#include "weft/status.h"

struct lookup {
    struct weft_future future; /* first */
    struct weft_address_list list;
    struct weft_resolve_options options;
    int status;
    uint32_t has_started; /* atomic; set by the job before it does anything */
    const char *host, *service;
    char strings[];
};

int weft_status_from_eai(int code, int errno_value)
{
    switch (code) {
    case 0:
        return 0;
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
    case EAI_SERVICE:
        return WEFT_ENONAME;
    case EAI_AGAIN:
        return WEFT_ENAMEAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_BADFLAGS:
    case EAI_FAMILY:
    case EAI_SOCKTYPE:
        return -EINVAL;
    case EAI_SYSTEM:
        return errno_value > 0 ? -errno_value : WEFT_ENAMEFAIL;
    default:
        return WEFT_ENAMEFAIL;
    }
}

static int list_from(const struct addrinfo *infos, struct weft_address_list *list)
{
    size_t count = 0;
    for (const struct addrinfo *info = infos; info != NULL; info = info->ai_next)
        count += info->ai_addrlen <= sizeof(struct sockaddr_storage);
    list->addresses = weft_calloc(count, sizeof(*list->addresses));
    if (list->addresses == NULL)
        return -ENOMEM;
    for (const struct addrinfo *info = infos; info != NULL; info = info->ai_next) {
        if (info->ai_addrlen > sizeof(struct sockaddr_storage))
            continue;
        struct weft_address *address = &list->addresses[list->count++];
        address->family = info->ai_family;
        address->type = info->ai_socktype;
        address->protocol = info->ai_protocol;
        address->len = info->ai_addrlen;
        memcpy(&address->storage, info->ai_addr, info->ai_addrlen);
    }
    return list->count == 0 ? WEFT_ENONAME : 0;
}

/* In a thread of the executor. */
static int lookup_run(void *arg, void **result_out)
{
    struct lookup *lookup = arg;
    struct addrinfo hints;
    struct addrinfo *infos = NULL;
    (void)result_out;
    memset(&hints, 0, sizeof(hints)); /* its padding too, which crosses into the C library */
    hints.ai_family = lookup->options.family;
    hints.ai_socktype = lookup->options.type;
    hints.ai_protocol = lookup->options.protocol;
    hints.ai_flags = lookup->options.flags;
    weft_atomic_store_relaxed(&lookup->has_started, 1);
    int code = getaddrinfo(lookup->host, lookup->service, &hints, &infos);
    lookup->status = weft_status_from_eai(code, errno);
    if (lookup->status == 0) {
        lookup->status = list_from(infos, &lookup->list);
        freeaddrinfo(infos);
    }
    weft_future_unref(&lookup->future);
    return 0;
}

static int lookup_done(struct weft_future *job, void *arg)
{
    struct lookup *lookup = arg;
    int status = weft_future_result(job, NULL);
    if (status == 0)
        status = lookup->status;
    /* Somebody who has cancelled meanwhile wants no result; then both calls do nothing. */
    if (status < 0)
        (void)weft_future_set_exception(&lookup->future, status);
    else
        (void)weft_future_set_result(&lookup->future, &lookup->list);
    return 0;
}

/* The callback's end, called or not. A job that never began, since it was cancelled, leaves its reference behind. */
static void lookup_release(void *arg)
{
    struct lookup *lookup = arg;
    if (!weft_atomic_load_relaxed(&lookup->has_started))
        weft_future_unref(&lookup->future);
    (void)weft_future_cancel(&lookup->future, "the loop is closed"); /* does nothing if it is done */
    weft_future_unref(&lookup->future);
}

static void lookup_destroy(struct weft_future *future)
{
    struct lookup *lookup = weft_container_of(future, struct lookup, future);
    weft_free(lookup->list.addresses);
    weft_free(lookup);
}

static const struct weft_future_ops lookup_ops = {.size = sizeof(lookup_ops), .destroy = lookup_destroy};

static const char *string_put(char **at, const char *string)
{
    if (string == NULL)
        return NULL;
    char *copy = *at;
    size_t bytes = strlen(string) + 1;
    memcpy(copy, string, bytes);
    *at += bytes;
    return copy;
}

static int lookup_create(struct weft_loop *loop, const char *host, const char *service, const struct weft_resolve_options *options,
                         struct lookup **lookup_out)
{
    size_t bytes = (host == NULL ? 0 : strlen(host) + 1) + (service == NULL ? 0 : strlen(service) + 1);
    struct lookup *lookup = weft_calloc(1, sizeof(*lookup) + bytes);
    if (lookup == NULL)
        return -ENOMEM;
    char *at = lookup->strings;
    lookup->host = string_put(&at, host);
    lookup->service = string_put(&at, service);
    lookup->options = *options;
    int status = weft_future_init(&lookup->future, loop, &lookup_ops);
    if (status < 0)
        weft_free(lookup);
    else
        *lookup_out = lookup;
    return status;
}

/* The port that `service`, which is all digits, stands for; 0 for none. strtoul() alone takes blanks and signs, and so -18446744073709551536. */
static int port_of(const char *service)
{
    if (service == NULL)
        return 0;
    size_t digits = strspn(service, "0123456789");
    unsigned long port = strtoul(service, NULL, 10);
    return digits == 0 || service[digits] != '\0' || port > UINT16_MAX ? WEFT_ENONAME : (int)port;
}

/* A numeric host with a numeric service, or with none, blocks nobody. */
static int find_numeric(struct lookup *lookup)
{
    int port = port_of(lookup->service);
    if (lookup->host == NULL || port < 0)
        return WEFT_ENONAME;
    struct weft_address address;
    int status = address_from_numeric(lookup->host, (uint16_t)port, lookup->options.family, &address);
    if (status < 0)
        return status;
    lookup->list.addresses = weft_malloc(sizeof(address));
    if (lookup->list.addresses == NULL)
        return -ENOMEM;
    address.type = lookup->options.type;
    address.protocol = lookup->options.protocol;
    lookup->list.addresses[0] = address;
    lookup->list.count = 1;
    return weft_future_set_result(&lookup->future, &lookup->list);
}

/* No host: the wildcards for who wants to listen, else this host itself. */
static int find_nameless(struct lookup *lookup)
{
    bool is_passive = (lookup->options.flags & AI_PASSIVE) != 0;
    lookup->list.addresses = weft_calloc(2, sizeof(*lookup->list.addresses));
    if (lookup->list.addresses == NULL)
        return -ENOMEM;
    lookup->list.count = is_passive ? address_any(0, lookup->options.family, lookup->list.addresses) : 1;
    const char *self = lookup->options.family == AF_INET6 ? "::1" : "127.0.0.1";
    return is_passive ? 0 : address_from_numeric(self, 0, AF_UNSPEC, lookup->list.addresses);
}

/* Without the system: names are the poller's, services are numbers. */
static int find_in_poller(struct weft_loop *loop, struct lookup *lookup)
{
    int port = port_of(lookup->service);
    if (port < 0)
        return port;
    int status =
        lookup->host == NULL ? find_nameless(lookup) : descriptor_resolve(loop, lookup->host, lookup->options.family, &lookup->list);
    for (size_t i = 0; status == 0 && i < lookup->list.count; i++) {
        address_set_port(&lookup->list.addresses[i], (uint16_t)port);
        lookup->list.addresses[i].type = lookup->options.type;
        lookup->list.addresses[i].protocol = lookup->options.protocol;
    }
    return status;
}

static int lookup_in_poller(struct weft_loop *loop, struct lookup *lookup)
{
    int status = find_in_poller(loop, lookup);
    return status < 0 ? weft_future_set_exception(&lookup->future, status) : weft_future_set_result(&lookup->future, &lookup->list);
}

static int lookup_begin(struct weft_loop *loop, struct lookup *lookup)
{
    struct weft_future *job;
    weft_future_ref(&lookup->future); /* the job's */
    int status = weft_loop_run_in_executor(loop, lookup_run, lookup, &job);
    if (status < 0) {
        weft_future_unref(&lookup->future);
        return status;
    }
    struct future_callback callback = {.fn = lookup_done, .arg = weft_future_ref(&lookup->future), .release = lookup_release};
    status = future_add_callback_on(job, loop, &callback);
    if (status < 0) {
        (void)weft_future_cancel(job, NULL);
        lookup_release(lookup);
    }
    weft_future_unref(job);
    return status;
}

int weft_loop_getaddrinfo(struct weft_loop *loop, const char *host, const char *service, const struct weft_resolve_options *options,
                          struct weft_future **future_out)
{
    struct weft_resolve_options full = WEFT_RESOLVE_OPTIONS;
    struct net *net;
    struct lookup *lookup = NULL;
    if (future_out == NULL || (host == NULL && service == NULL) || (options != NULL && options->size < sizeof(size_t)))
        return -EINVAL;
    if (options != NULL)
        memcpy(&full, options, options->size < sizeof(full) ? options->size : sizeof(full));
    int status = net_get(loop, &net);
    if (status == 0)
        status = lookup_create(loop, host, service, &full, &lookup);
    if (status < 0)
        return status;
    status = find_numeric(lookup);
    if (status == WEFT_ENONAME)
        status = descriptor_can_resolve(loop) ? lookup_in_poller(loop, lookup) : lookup_begin(loop, lookup);
    if (status < 0)
        weft_future_unref(&lookup->future);
    else
        *future_out = &lookup->future;
    return status;
}
