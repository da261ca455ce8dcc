/*
 * libevent: the servers, by its raw events, which are cheaper than its buffers.
 */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "bench/kit/service.h"

struct server_loop {
    struct event_base *base;
    const struct service *service;
    char *buffer;
};

struct connection {
    struct server_loop *loop;
    struct event readable;
    struct event writable; /* added while there is a rest */
    struct service_socket socket;
};

static void connection_close(struct connection *connection)
{
    event_del(&connection->readable);
    event_del(&connection->writable);
    service_close(&connection->socket);
    free(connection);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *connection = arg;
    (void)fd, (void)what;
    if (service_receive(connection->loop->service, &connection->socket, connection->loop->buffer) < 0) {
        connection_close(connection);
    } else if (connection->socket.rest != NULL) {
        event_del(&connection->readable);
        event_add(&connection->writable, NULL);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *connection = arg;
    (void)fd, (void)what;
    if (service_send_rest(&connection->socket) < 0) {
        connection_close(connection);
    } else if (connection->socket.rest == NULL) {
        event_del(&connection->writable);
        event_add(&connection->readable, NULL);
    }
}

static void on_connection(evutil_socket_t listener, short what, void *arg)
{
    struct server_loop *loop = arg;
    int fd;
    (void)what;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = service_must(calloc(1, sizeof(*connection) + loop->service->state_bytes));
        connection->loop = loop;
        service_open(loop->service, &connection->socket, fd);
        event_assign(&connection->readable, loop->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
        event_assign(&connection->writable, loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, connection);
        event_add(&connection->readable, NULL);
    }
}

static void run(int listener, const void *arg)
{
    struct server_loop loop = {.service = arg};
    struct event_config *config = service_must(event_config_new());
    struct event incoming;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    loop.base = service_must(event_base_new_with_config(config));
    loop.buffer = service_must(malloc(loop.service->buffer_bytes));
    event_assign(&incoming, loop.base, listener, EV_READ | EV_PERSIST, on_connection, &loop);
    event_add(&incoming, NULL);
    event_base_dispatch(loop.base);
}

int main(int argc, char **argv)
{
    return service_main(argc, argv, "libevent " LIBRARY_VERSION, run);
}
