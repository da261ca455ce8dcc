/*
 * Connection: create_connection and connect_accepted_socket, from their arguments to the future's result.
 *
 * Whatever happens (an answer, a failure, a timeout, the caller's cancel, the loop's end) decides once; what is pending then is let come
 * home before the last reference goes. Cancelling the future after the transport was made aborts it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/net/connecting.h"
#include "lib/net/protocol.h"
#include "weft/memory.h"
#include "weft/resolve.h"
#include "weft/status.h"

static void connecting_destroy(struct weft_future *future)
{
    struct connecting *connecting = weft_container_of(future, struct connecting, future);
    weft_transport_unref(connecting->transport);
    weft_free(connecting->attempts);
    weft_free(connecting->addresses.addresses);
    weft_free(connecting);
}

static const struct weft_future_ops connecting_ops = {.size = sizeof(connecting_ops), .destroy = connecting_destroy};

void connecting_unpend(struct connecting *connecting)
{
    if (--connecting->pending_count > 0 || !connecting->is_decided)
        return;
    net_item_remove(&connecting->item);
    weft_future_unref(&connecting->future);
}

void connecting_failed(struct connecting *connecting, int status)
{
    race_end(connecting);
    (void)weft_future_set_exception(&connecting->future, status);
}

/* Give up, for the caller or the loop. Holds it over what ends at once. */
static void give_up(struct connecting *connecting)
{
    connecting->pending_count++;
    race_end(connecting);
    if (connecting->transport != NULL)
        (void)weft_transport_abort(connecting->transport);
    connecting_unpend(connecting);
}

static int cancelled(struct weft_future *future, void *arg)
{
    struct connecting *connecting = arg;
    if (weft_future_cancelled(future) && connecting->item.next != NULL) /* it is still under way */
        give_up(connecting);
    return 0;
}

static void loop_closes(struct net_item *item)
{
    struct connecting *connecting = weft_container_of(item, struct connecting, item);
    (void)weft_future_cancel(&connecting->future, "the loop is closed");
    give_up(connecting);
}

static int timed_out(void *arg)
{
    struct connecting *connecting = arg;
    connecting->pending_count++;
    connecting_failed(connecting, -ETIMEDOUT);
    connecting_unpend(connecting);
    return 0;
}

/* ---- from a descriptor to a transport ---- */

static int standing(struct weft_future *waiter, void *arg)
{
    struct connecting *connecting = arg;
    (void)waiter;
    (void)weft_future_set_result(&connecting->future, connecting->transport);
    return 0;
}

static void standing_over(void *arg)
{
    connecting_unpend(arg);
}

/* Make a transport over `fd` that completes the waiter. 0; or a status, and fd is the caller's. */
static int make_transport(struct connecting *connecting, int fd, struct weft_future *waiter)
{
    struct weft_make_socket args = {.size = sizeof(args), .fd = fd, .waiter = waiter};
    struct weft_transport *transport;
    int status = connecting->factory(connecting->arg, &args.protocol);
    if (status >= 0 && args.protocol == NULL)
        status = WEFT_EPROTOCOL;
    if (status < 0)
        return status;
    status = weft_loop_make_socket(connecting->future.loop, &args, &transport);
    if (status < 0) {
        (void)net_report(connecting->future.loop, "protocol.connection_lost() failed", protocol_lost(args.protocol, status), NULL);
        return status;
    }
    connecting->transport = weft_transport_ref(transport);
    return 0;
}

static int connecting_make(struct connecting *connecting, int fd)
{
    struct weft_loop *loop = connecting->future.loop;
    struct weft_future *waiter;
    int status = weft_loop_create_future(loop, &waiter);
    if (status < 0)
        return status;
    connecting->pending_count++;
    struct future_callback callback = {.fn = standing, .arg = connecting, .release = standing_over};
    status = future_add_callback_on(waiter, loop, &callback);
    if (status < 0)
        connecting->pending_count--;
    else
        status = make_transport(connecting, fd, waiter);
    weft_future_unref(waiter); /* without a transport that was the last one, and the callback is dropped */
    return status;
}

void connecting_won(struct connecting *connecting, int fd)
{
    int status = weft_future_done(&connecting->future) ? -ECANCELED : connecting_make(connecting, fd);
    if (status >= 0)
        return;
    net_close_fd(connecting->future.loop, fd);
    (void)weft_future_set_exception(&connecting->future, status); /* does nothing if it was cancelled */
}

/* ---- from a name to addresses ---- */

static int race_addresses(struct connecting *connecting, const struct weft_address_list *list)
{
    size_t bytes = list->count * sizeof(*list->addresses);
    uint32_t interleave = connecting->options.interleave;
    connecting->addresses.addresses = weft_malloc(bytes);
    connecting->attempts = weft_calloc(list->count, sizeof(*connecting->attempts));
    if (connecting->addresses.addresses == NULL || connecting->attempts == NULL)
        return -ENOMEM;
    memcpy(connecting->addresses.addresses, list->addresses, bytes);
    connecting->addresses.count = list->count;
    if (interleave == 0 && connecting->options.happy_eyeballs_delay_ns > 0)
        interleave = 1;
    int status = interleave == 0 ? 0 : address_interleave(&connecting->addresses, interleave);
    if (status == 0)
        race_begin(connecting);
    return status;
}

static int resolved(struct weft_future *lookup, void *arg)
{
    struct connecting *connecting = arg;
    void *list;
    int status = weft_future_result(lookup, &list);
    if (connecting->is_decided)
        return 0;
    if (status == 0)
        status = race_addresses(connecting, list);
    if (status < 0)
        connecting_failed(connecting, status);
    return 0;
}

static int look_up(struct connecting *connecting, const char *host)
{
    struct weft_loop *loop = connecting->future.loop;
    struct weft_resolve_options options = WEFT_RESOLVE_OPTIONS;
    struct weft_future *lookup;
    char service[8];
    options.family = connecting->options.family;
    (void)snprintf(service, sizeof(service), "%u", connecting->options.port);
    int status = weft_loop_getaddrinfo(loop, host, service, &options, &lookup);
    if (status < 0)
        return status;
    struct future_callback callback = {.fn = resolved, .arg = connecting, .release = standing_over};
    connecting->pending_count++;
    status = future_add_callback_on(lookup, loop, &callback);
    if (status < 0)
        connecting->pending_count--;
    weft_future_unref(lookup);
    return status;
}

static int begin(struct connecting *connecting, const struct weft_connection_options *options, const struct weft_address_list *known)
{
    struct weft_address address;
    struct weft_address_list list = {1, &address};
    if (known != NULL)
        return race_addresses(connecting, known);
    if (options->path != NULL) {
        int status = address_from_path(options->path, &address);
        return status < 0 ? status : race_addresses(connecting, &list);
    }
    if (address_from_numeric(options->host, options->port, options->family, &address) == 0)
        return race_addresses(connecting, &list);
    return look_up(connecting, options->host);
}

/* ---- the calls ---- */

static int connecting_create(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg, struct connecting **connecting_out)
{
    struct net *net;
    int status = net_get(loop, &net);
    if (status < 0)
        return status;
    struct connecting *connecting = weft_calloc(1, sizeof(*connecting));
    if (connecting == NULL)
        return -ENOMEM;
    connecting->factory = factory;
    connecting->arg = arg;
    weft_timer_init(&connecting->stagger, loop, timed_out, connecting);
    weft_timer_init(&connecting->timeout, loop, timed_out, connecting);
    (void)weft_future_init(&connecting->future, loop, &connecting_ops);
    struct future_callback callback = {.fn = cancelled, .arg = connecting};
    status = future_add_callback_on(&connecting->future, loop, &callback);
    if (status < 0) {
        weft_future_unref(&connecting->future);
        return status;
    }
    connecting->item.close = loop_closes;
    net_item_add(net, &connecting->item);
    weft_future_ref(&connecting->future);
    connecting->pending_count = 1; /* the call that begins it */
    *connecting_out = connecting;
    return 0;
}

static int options_get(const struct weft_connection_options *options, struct weft_connection_options *full, struct weft_address *local)
{
    if (options == NULL || options->size < offsetof(struct weft_connection_options, family))
        return -EINVAL;
    memcpy(full, options, options->size < sizeof(*full) ? options->size : sizeof(*full));
    if ((full->host == NULL) == (full->path == NULL) || full->happy_eyeballs_delay_ns < 0 || full->timeout_ns < 0 || full->flags != 0)
        return -EINVAL;
    if (full->local_host != NULL)
        return address_from_numeric(full->local_host, full->local_port, full->family, local);
    return full->local_port != 0 ? -EINVAL : 0;
}

int connection_create(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg, const struct weft_connection_options *options,
                      const struct weft_address_list *known, struct weft_future **future_out)
{
    struct weft_connection_options full = WEFT_CONNECTION_OPTIONS;
    struct weft_address local = {.family = AF_UNSPEC};
    struct connecting *connecting;
    int status = factory == NULL || future_out == NULL ? -EINVAL : options_get(options, &full, &local);
    if (status >= 0)
        status = connecting_create(loop, factory, arg, &connecting);
    if (status < 0)
        return status;
    connecting->options = full;
    connecting->local = local;
    status = full.timeout_ns == 0 ? 0 : weft_timer_start(&connecting->timeout, full.timeout_ns);
    if (status >= 0)
        status = begin(connecting, &full, known);
    if (status < 0)
        race_end(connecting);
    weft_future_ref(&connecting->future);
    connecting_unpend(connecting);
    if (status < 0)
        weft_future_unref(&connecting->future);
    else
        *future_out = &connecting->future;
    weft_future_unref(&connecting->future);
    return status;
}

int weft_loop_create_connection(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg,
                                const struct weft_connection_options *options, struct weft_future **future_out)
{
    return connection_create(loop, factory, arg, options, NULL, future_out);
}

size_t weft_connection_errors(struct weft_future *future, int *statuses, size_t count_max)
{
    if (future == NULL || future->ops != &connecting_ops)
        return 0;
    struct connecting *connecting = weft_container_of(future, struct connecting, future);
    size_t count = 0;
    for (size_t i = 0; i < connecting->addresses.count; i++) {
        if (connecting->attempts[i].status >= 0)
            continue;
        if (count < count_max)
            statuses[count] = connecting->attempts[i].status;
        count++;
    }
    return count;
}

int weft_loop_connect_accepted_socket(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg, int fd,
                                      struct weft_future **future_out)
{
    struct connecting *connecting;
    int status = factory == NULL || future_out == NULL ? -EINVAL : address_prepare(fd);
    if (status >= 0)
        status = connecting_create(loop, factory, arg, &connecting);
    if (status < 0)
        return status;
    connecting->is_decided = true;
    status = connecting_make(connecting, fd);
    weft_future_ref(&connecting->future);
    connecting_unpend(connecting);
    if (status < 0)
        weft_future_unref(&connecting->future);
    else
        *future_out = &connecting->future;
    weft_future_unref(&connecting->future);
    return status;
}
