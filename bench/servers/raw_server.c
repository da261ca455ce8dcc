/*
 * Raw server: see the header. Runs in a child of the bench's.
 */
#include "bench/servers/raw_server.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/servers/server.h"

enum { EVENTS = 256, BUFFER_BYTES = 65536 };

struct raw_loop {
    const struct raw_ops *ops;
    int epoll_fd;
    int listener;
    char buffer[BUFFER_BYTES];
};

static void watch(const struct raw_loop *loop, int fd, uint32_t events, void *ptr)
{
    struct epoll_event event = {.events = events, .data.ptr = ptr};
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(const struct raw_loop *loop)
{
    int fd;
    while ((fd = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct raw_connection *connection = calloc(1, loop->ops->connection_bytes);
        if (connection == NULL)
            abort();
        connection->fd = fd;
        if (loop->ops->made != NULL)
            loop->ops->made(connection);
        watch(loop, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, connection);
    }
}

static void connection_close(struct raw_connection *connection)
{
    close(connection->fd);
    free(connection->rest);
    free(connection);
}

static void keep(struct raw_connection *connection, const char *bytes, size_t len)
{
    connection->rest = malloc(len);
    if (connection->rest == NULL)
        abort();
    memcpy(connection->rest, bytes, len);
    connection->rest_len = len;
}

bool raw_send(struct raw_connection *connection, const char *bytes, size_t len)
{
    ssize_t sent = send(connection->fd, bytes, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return false;
    size_t gone = sent < 0 ? 0 : (size_t)sent;
    if (gone < len)
        keep(connection, bytes + gone, len - gone);
    return true;
}

/* False: the connection is broken. */
static bool send_rest(struct raw_connection *connection)
{
    char *rest = connection->rest;
    connection->rest = NULL;
    bool is_well = raw_send(connection, rest, connection->rest_len);
    free(rest);
    return is_well;
}

/* False: the connection is over. */
static bool receive_all(struct raw_loop *loop, struct raw_connection *connection, bool has_hung_up)
{
    while (connection->rest == NULL) {
        ssize_t count = recv(connection->fd, loop->buffer, sizeof(loop->buffer), 0);
        if (count <= 0)
            return count < 0 && errno == EAGAIN;
        if (!loop->ops->received(connection, loop->buffer, (size_t)count))
            return false;
        if ((size_t)count < sizeof(loop->buffer) && connection->rest == NULL && !has_hung_up)
            return true; /* the next byte is an edge */
    }
    return true;
}

static void connection_event(struct raw_loop *loop, struct raw_connection *connection, uint32_t events)
{
    bool had_rest = connection->rest != NULL;
    bool has_hung_up = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    bool is_well = !had_rest || (events & EPOLLOUT) == 0 || send_rest(connection);
    if (is_well && (had_rest || has_hung_up || (events & EPOLLIN) != 0))
        is_well = receive_all(loop, connection, has_hung_up);
    if (!is_well)
        connection_close(connection);
}

static void *loop_run(void *arg)
{
    struct raw_loop *loop = arg;
    struct epoll_event events[EVENTS];
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(loop, loop->listener, EPOLLIN | EPOLLET, NULL);
    for (;;) {
        int count = epoll_wait(loop->epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr == NULL)
                accept_all(loop);
            else
                connection_event(loop, events[i].data.ptr, events[i].events);
    }
    return NULL;
}

static struct raw_loop *loop_new(const struct serving *serving, uint32_t index, const struct raw_ops *ops)
{
    struct raw_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        abort();
    loop->ops = ops;
    loop->listener = serving->listeners[index];
    return loop;
}

int raw_serve(struct serving *serving, const struct raw_ops *ops)
{
    int port = serving_listen(serving);
    if (port < 0)
        return port;
    for (uint32_t i = 1; i < serving->loops; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, loop_run, loop_new(serving, i, ops)) != 0)
            return -EAGAIN;
    }
    serving_announce(serving, port);
    (void)loop_run(loop_new(serving, 0, ops));
    return -EINVAL;
}
