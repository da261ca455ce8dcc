/*
 * libev: the servers, by its watchers.
 */
#include <ev.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "bench/kit/service.h"

struct server_loop {
    const struct service *service;
    char *buffer;
};

struct connection {
    ev_io readable; /* active, or the other is, while there is a rest */
    ev_io writable;
    struct service_socket socket;
};

static void connection_close(struct ev_loop *ev, struct connection *connection)
{
    ev_io_stop(ev, &connection->readable);
    ev_io_stop(ev, &connection->writable);
    service_close(&connection->socket);
    free(connection);
}

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct connection *connection = watcher->data;
    const struct server_loop *loop = ev_userdata(ev);
    (void)events;
    if (service_receive(loop->service, &connection->socket, loop->buffer) < 0) {
        connection_close(ev, connection);
    } else if (connection->socket.rest != NULL) {
        ev_io_stop(ev, &connection->readable);
        ev_io_start(ev, &connection->writable);
    }
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct connection *connection = watcher->data;
    (void)events;
    if (service_send_rest(&connection->socket) < 0) {
        connection_close(ev, connection);
    } else if (connection->socket.rest == NULL) {
        ev_io_stop(ev, &connection->writable);
        ev_io_start(ev, &connection->readable);
    }
}

static void on_connection(struct ev_loop *ev, ev_io *watcher, int events)
{
    const struct server_loop *loop = ev_userdata(ev);
    int fd;
    (void)events;
    while ((fd = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = service_must(calloc(1, sizeof(*connection) + loop->service->state_bytes));
        service_open(loop->service, &connection->socket, fd);
        ev_io_init(&connection->readable, on_readable, fd, EV_READ);
        ev_io_init(&connection->writable, on_writable, fd, EV_WRITE);
        connection->readable.data = connection->writable.data = connection;
        ev_io_start(ev, &connection->readable);
    }
}

static void run(int listener, const void *arg)
{
    struct server_loop loop = {.service = arg};
    struct ev_loop *ev = service_must(ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV));
    ev_io incoming;
    loop.buffer = service_must(malloc(loop.service->buffer_bytes));
    ev_set_userdata(ev, &loop);
    ev_io_init(&incoming, on_connection, listener, EV_READ);
    ev_io_start(ev, &incoming);
    ev_run(ev, 0);
}

int main(int argc, char **argv)
{
    return service_main(argc, argv, "libev " LIBRARY_VERSION, run);
}
