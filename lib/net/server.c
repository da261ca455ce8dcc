/*
 * Server: its listeners, and the connections that came through them.
 *
 *      serving ──> closed: connections stay ──> no connection, and no listener's descriptor left: wait_closed, serve_forever are done
 *
 * References: one for whoever created it, one for each listener until its descriptor is closed, one for each connection.
 */
#include "lib/net/server.h"

#include <errno.h>
#include <string.h>

#include "lib/net/descriptor.h"
#include "lib/net/listener.h"
#include "lib/net/net.h"
#include "lib/net/protocol.h"
#include "lib/net/waiters.h"
#include "weft/atomic.h"
#include "weft/future.h"
#include "weft/memory.h"
#include "weft/status.h"

/* What serve_forever hands out: cancelling it only asks for the end, and the end completes it. */
struct serving {
    struct weft_future future; /* first */
    struct weft_future *stop;
    struct weft_server *server;
};

struct weft_server {
    struct weft_loop *loop;
    weft_protocol_factory_fn *factory;
    void *arg;
    struct weft_server_options options; /* without the strings */
    struct net_item item;
    struct weft_transport *clients;
    size_t client_count;
    struct listener *listeners;
    size_t listener_count;
    size_t open_count; /* listeners whose descriptor is not closed yet */
    struct waiters waiters;
    struct serving *serving;
    void (*drop)(void *arg);
    void *drop_arg;
    uint32_t refs;
    bool is_serving;
    bool is_closed;
};

/* ---- references ---- */

struct weft_server *weft_server_ref(struct weft_server *server)
{
    if (server == NULL)
        return NULL;
    (void)weft_atomic_add_relaxed(&server->refs, 1);
    return server;
}

void weft_server_unref(struct weft_server *server)
{
    if (server == NULL)
        return;
    /* Acq_rel. Pairs with itself: whoever frees has seen what the others did before they let go. */
    if (weft_atomic_sub_acq_rel(&server->refs, 1) != 1)
        return;
    struct weft_loop *loop = server->loop;
    if (server->drop != NULL)
        server->drop(server->drop_arg);
    weft_free(server->listeners);
    weft_free(server);
    weft_loop_unref(loop);
}

void server_on_destroy(struct weft_server *server, void (*drop)(void *arg), void *arg)
{
    server->drop = drop;
    server->drop_arg = arg;
}

/* ---- the end ---- */

/* Closed, nobody attached, in whichever order that came, and the addresses free: who waits for that may bind them again. */
static bool is_over(const struct weft_server *server)
{
    return server->is_closed && server->client_count == 0 && server->open_count == 0;
}

static void check_over(struct weft_server *server)
{
    if (!is_over(server))
        return;
    struct serving *serving = server->serving;
    server->serving = NULL;
    waiters_complete(&server->waiters);
    if (serving != NULL) {
        (void)weft_future_set_exception(&serving->future, -ECANCELED);
        weft_future_unref(&serving->future);
    }
}

static void server_close_now(struct weft_server *server)
{
    if (server->is_closed)
        return;
    weft_server_ref(server);
    for (size_t i = 0; i < server->listener_count; i++)
        listener_close(&server->listeners[i]);
    server->is_closed = true;
    server->is_serving = false;
    if (server->serving != NULL)
        (void)weft_future_cancel(server->serving->stop, NULL);
    check_over(server);
    weft_server_unref(server);
}

void server_listener_closed(struct weft_server *server)
{
    server->open_count--;
    check_over(server);
    weft_server_unref(server);
}

static void loop_closes(struct net_item *item)
{
    struct weft_server *server = weft_container_of(item, struct weft_server, item);
    weft_server_ref(server);
    server_close_now(server);
    for (struct weft_transport *transport = server->clients, *next; transport != NULL; transport = next) {
        next = transport->next;
        transport->flags |= WEFT_TRANSPORT_CLOSING;
        transport->ops->abort(transport, WEFT_ECLOSED);
    }
    weft_server_unref(server);
}

/* Out of the loop's ring once nothing is left that the loop would have to close. */
static void item_drop(struct weft_server *server)
{
    if (server->is_closed && server->client_count == 0)
        net_item_remove(&server->item);
}

int weft_server_close(struct weft_server *server)
{
    int status = server == NULL ? -EINVAL : loop_check(server->loop);
    if (status < 0)
        return status;
    weft_server_ref(server);
    server_close_now(server);
    item_drop(server);
    weft_server_unref(server);
    return 0;
}

/* The runtime shuts down: the connections stay, and no more come. */
static void accept_no_more(struct net_item *item)
{
    (void)weft_server_close(weft_container_of(item, struct weft_server, item));
}

static int end_clients(struct weft_server *server, int (*end)(struct weft_transport *transport))
{
    int status = server == NULL ? -EINVAL : loop_check(server->loop);
    if (status < 0)
        return status;
    for (struct weft_transport *transport = server->clients, *next; transport != NULL; transport = next) {
        next = transport->next; /* ending is deferred: the list stays as it is */
        (void)end(transport);
    }
    return 0;
}

int weft_server_close_clients(struct weft_server *server)
{
    return end_clients(server, weft_transport_close);
}

int weft_server_abort_clients(struct weft_server *server)
{
    return end_clients(server, weft_transport_abort);
}

int weft_server_wait_closed(struct weft_server *server, struct weft_future **future_out)
{
    int status = server == NULL || future_out == NULL ? -EINVAL : loop_check(server->loop);
    if (status < 0)
        return status;
    return waiters_add(&server->waiters, server->loop, is_over(server), future_out);
}

/* ---- connections ---- */

struct weft_transport **server_clients(struct weft_server *server)
{
    return &server->clients;
}

void server_attach(struct weft_server *server)
{
    weft_server_ref(server);
    server->client_count++;
}

void server_detach(struct weft_server *server)
{
    server->client_count--;
    if (!server->is_closed)
        for (size_t i = 0; i < server->listener_count; i++)
            listener_accept(&server->listeners[i]);
    check_over(server);
    item_drop(server);
    weft_server_unref(server);
}

bool server_has_room(const struct weft_server *server)
{
    return server->options.connections_max == 0 || server->client_count < server->options.connections_max;
}

void server_accept_failed(struct weft_server *server, int status)
{
    net_of(server->loop)->counters.accept_errors++;
    loop_report(server->loop, "accepting failed and pauses", status, server);
}

static int set_limits(const struct weft_server *server, struct weft_transport *transport)
{
    const struct weft_server_options *options = &server->options;
    int status = 0;
    if (options->idle_timeout_ns != 0 || options->write_timeout_ns != 0)
        status = weft_transport_set_timeouts(transport, options->idle_timeout_ns, options->write_timeout_ns);
    if (status >= 0 && options->header_timeout_ns != 0)
        status = weft_transport_set_deadline(transport, options->header_timeout_ns);
    if (status >= 0 && options->write_buffer_max != 0)
        status = weft_transport_set_write_buffer_max(transport, options->write_buffer_max);
    return status;
}

static int make_connection(struct weft_server *server, int fd, struct weft_protocol *protocol)
{
    struct weft_make_socket args = {.size = sizeof(args), .protocol = protocol, .fd = fd, .server = server};
    struct weft_transport *transport;
    int status = weft_loop_make_socket(server->loop, &args, &transport);
    if (status < 0) {
        net_close_fd(server->loop, fd);
        int lost = protocol_lost(protocol, status);
        (void)net_report(server->loop, "a connection could not be made", status, server);
        return weft_status_is_fatal(status) ? status : net_report(server->loop, "protocol.connection_lost() failed", lost, server);
    }
    net_of(server->loop)->counters.accepted++;
    status = set_limits(server, transport);
    if (status < 0)
        (void)weft_transport_abort(transport);
    return net_report(server->loop, "the limits of a connection could not be set", status, transport);
}

int server_accepted(struct weft_server *server, int fd)
{
    struct weft_protocol *protocol = NULL;
    int status = weft_loop_is_closed(server->loop) ? WEFT_ECLOSED : server->factory(server->arg, &protocol);
    if (status >= 0 && protocol == NULL)
        status = WEFT_EPROTOCOL;
    if (status >= 0)
        return make_connection(server, fd, protocol);
    net_close_fd(server->loop, fd);
    return net_report(server->loop, "a protocol could not be made", status, server);
}

/* ---- the start ---- */

int server_options_get(const struct weft_server_options *options, struct weft_server_options *options_out)
{
    struct weft_server_options full = WEFT_SERVER_OPTIONS;
    if (options == NULL || options->size < offsetof(struct weft_server_options, port))
        return -EINVAL;
    size_t bytes = options->size < sizeof(full) ? options->size : sizeof(full);
    memcpy(&full, options, bytes);
    full.size = sizeof(full);
    const uint32_t flags = WEFT_SERVER_REUSE_PORT | WEFT_SERVER_NO_REUSE_ADDRESS | WEFT_SERVER_NO_START;
    if (full.backlog <= 0 || (full.flags & ~flags) != 0 || full.idle_timeout_ns < 0 || full.write_timeout_ns < 0 ||
        full.header_timeout_ns < 0 || (full.fd >= 0 && (full.host != NULL || full.path != NULL)) ||
        (full.path != NULL && full.host != NULL))
        return -EINVAL;
    *options_out = full;
    return 0;
}

static int open_listener(struct weft_server *server, int fd, const char *path)
{
    int status = listener_init(&server->listeners[server->listener_count], server, fd, server->options.backlog, path);
    if (status < 0)
        return status;
    server->listener_count++;
    server->open_count++;
    weft_server_ref(server);
    return 0;
}

/* A system without IPv6 has no such wildcard: the others are enough. */
static int open_listeners(struct weft_server *server, const struct weft_address_list *list)
{
    int status = 0;
    for (size_t i = 0; i < list->count && status >= 0; i++) {
        int fd = listener_bind(server->loop, &list->addresses[i], server->options.flags);
        if (fd == -EAFNOSUPPORT && (server->listener_count > 0 || i + 1 < list->count))
            continue;
        status = fd < 0 ? fd : open_listener(server, fd, descriptor_path(server->loop, &list->addresses[i]));
        if (fd >= 0 && status < 0)
            net_close_fd(server->loop, fd);
    }
    return status;
}

static int open_and_start(struct weft_server *server, const struct weft_address_list *list)
{
    int status = list->count == 0 ? open_listener(server, server->options.fd, NULL) : open_listeners(server, list);
    if (status >= 0 && (server->options.flags & WEFT_SERVER_NO_START) == 0)
        status = weft_server_start_serving(server);
    return status;
}

int server_create(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg, const struct weft_server_options *options,
                  const struct weft_address_list *addresses, struct weft_server **server_out)
{
    struct net *net;
    int status = net_get(loop, &net);
    if (status >= 0 && addresses->count == 0)
        status = address_prepare(options->fd); /* accept would block on one that may */
    if (status < 0)
        return status;
    struct weft_server *server = weft_calloc(1, sizeof(*server));
    struct listener *listeners = weft_calloc(addresses->count == 0 ? 1 : addresses->count, sizeof(*listeners));
    if (server == NULL || listeners == NULL) {
        weft_free(server);
        weft_free(listeners);
        return -ENOMEM;
    }
    *server = (struct weft_server){.loop = weft_loop_ref(loop), .factory = factory, .arg = arg, .options = *options, .refs = 1};
    server->options.host = server->options.path = NULL;
    server->listeners = listeners;
    server->item.close = loop_closes;
    server->item.refuse = accept_no_more;
    net_item_add(net, &server->item);
    status = open_and_start(server, addresses);
    if (status < 0) {
        if (addresses->count == 0)
            listeners[0].keeps_fd = true;
        (void)weft_server_close(server);
        weft_server_unref(server);
        return status;
    }
    if (server_out != NULL)
        *server_out = server;
    else
        weft_server_unref(server); /* it holds itself until it is closed */
    return 0;
}

int weft_loop_create_server(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg, const struct weft_server_options *options,
                            struct weft_server **server_out)
{
    struct weft_server_options full;
    struct weft_address addresses[2];
    struct weft_address_list list = {1, addresses};
    int status = factory == NULL ? -EINVAL : server_options_get(options, &full);
    if (status < 0)
        return status;
    if (full.fd >= 0)
        list.count = 0;
    else if (full.path != NULL)
        status = address_from_path(full.path, &addresses[0]);
    else if (full.host != NULL)
        status = address_from_numeric(full.host, full.port, full.family, &addresses[0]);
    else
        list.count = address_any(full.port, full.family, addresses);
    return status < 0 ? status : server_create(loop, factory, arg, &full, &list, server_out);
}

int weft_server_start_serving(struct weft_server *server)
{
    int status = server == NULL ? -EINVAL : loop_check(server->loop);
    if (status < 0 || server->is_serving)
        return status;
    if (server->is_closed)
        return WEFT_ECLOSED;
    for (size_t i = 0; i < server->listener_count && status >= 0; i++)
        status = listener_start(&server->listeners[i]);
    server->is_serving = status >= 0;
    return status;
}

/* ---- serve_forever ---- */

static bool serving_cancel(struct weft_future *future, const char *message)
{
    struct serving *serving = weft_container_of(future, struct serving, future);
    if (weft_future_done(future))
        return false;
    (void)weft_future_cancel(serving->stop, message); /* a second request is heard, and has nothing to add */
    return true;
}

static void serving_destroy(struct weft_future *future)
{
    struct serving *serving = weft_container_of(future, struct serving, future);
    weft_future_unref(serving->stop);
    weft_server_unref(serving->server);
    weft_free(serving);
}

static const struct weft_future_ops serving_ops = {.size = sizeof(serving_ops), .cancel = serving_cancel, .destroy = serving_destroy};

static int serving_stopped(struct weft_future *stop, void *arg)
{
    struct weft_server *server = arg;
    (void)stop;
    weft_server_ref(server);
    (void)weft_server_close(server);
    (void)weft_server_close_clients(server);
    weft_server_unref(server);
    return 0;
}

static int serving_create(struct weft_server *server, struct serving **serving_out)
{
    struct serving *serving = weft_calloc(1, sizeof(*serving));
    if (serving == NULL)
        return -ENOMEM;
    int status = weft_loop_create_future(server->loop, &serving->stop);
    if (status < 0) {
        weft_free(serving);
        return status;
    }
    serving->server = weft_server_ref(server);
    status = weft_future_init(&serving->future, server->loop, &serving_ops);
    if (status >= 0)
        status = weft_future_add_done_callback(serving->stop, serving_stopped, server, NULL);
    if (status < 0) {
        weft_future_unref(&serving->future);
        return status;
    }
    *serving_out = serving;
    return 0;
}

int weft_server_serve_forever(struct weft_server *server, struct weft_future **future_out)
{
    int status = server == NULL || future_out == NULL ? -EINVAL : loop_check(server->loop);
    if (status < 0)
        return status;
    if (server->serving != NULL)
        return -EALREADY;
    status = weft_server_start_serving(server);
    struct serving *serving = NULL;
    if (status >= 0)
        status = serving_create(server, &serving);
    if (status < 0)
        return status;
    server->serving = serving;
    *future_out = weft_future_ref(&serving->future);
    return 0;
}

/* ---- what it is ---- */

bool weft_server_is_serving(const struct weft_server *server)
{
    return server != NULL && server->is_serving;
}

size_t weft_server_socket_count(const struct weft_server *server)
{
    if (server == NULL)
        return 0;
    return server->is_closed ? 0 : server->listener_count;
}

int weft_server_get_address(const struct weft_server *server, size_t index, struct sockaddr_storage *address_out, socklen_t *len_out)
{
    if (server == NULL || address_out == NULL || index >= weft_server_socket_count(server))
        return -EINVAL;
    socklen_t len;
    int status = descriptor_get_name(server->loop, server->listeners[index].file.fd, WEFT_SOCKET_OWN, address_out, &len);
    if (status == 0 && len_out != NULL)
        *len_out = len;
    return status;
}

int weft_server_get_port(const struct weft_server *server)
{
    struct sockaddr_storage storage;
    int status = weft_server_get_address(server, 0, &storage, NULL);
    return status < 0 ? status : address_get_port(&storage);
}

size_t weft_server_connection_count(const struct weft_server *server)
{
    if (server == NULL)
        return 0;
    return server->client_count;
}

struct weft_loop *weft_server_get_loop(const struct weft_server *server)
{
    if (server == NULL)
        return NULL;
    return server->loop;
}
