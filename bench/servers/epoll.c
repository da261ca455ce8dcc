/*
 * Raw epoll: the limit that weft's servers on epoll are held against. The least code that does the job by hand.
 *
 * Edge-triggered, a thread for each listener, one receive for each readiness unless it filled the buffer, answers sent at once; what the
 * kernel does not take is kept until it does, and nothing is received before that.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bench/kit/service.h"

enum { EVENTS = 256 };

struct loop {
    const struct service *service;
    int epoll_fd;
    int listener;
    char *buffer;
};

static void watch(const struct loop *loop, int fd, uint32_t events, void *ptr)
{
    struct epoll_event event = {.events = events, .data.ptr = ptr};
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(const struct loop *loop)
{
    int fd;
    while ((fd = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct service_socket *socket = service_must(calloc(1, sizeof(*socket) + loop->service->state_bytes));
        service_open(loop->service, socket, fd);
        watch(loop, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, socket);
    }
}

/* Below 0: the connection is over. */
static int receive_all(const struct loop *loop, struct service_socket *socket, bool has_hung_up)
{
    ptrdiff_t count;
    do {
        count = service_receive(loop->service, socket, loop->buffer);
        /* After less than what there was room for, the next byte is an edge. */
    } while (count > 0 && socket->rest == NULL && (has_hung_up || (size_t)count == loop->service->buffer_bytes));
    return count < 0 ? -1 : 0;
}

static void socket_event(const struct loop *loop, struct service_socket *socket, uint32_t events)
{
    bool had_rest = socket->rest != NULL;
    bool has_hung_up = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    int status = had_rest && (events & EPOLLOUT) != 0 ? service_send_rest(socket) : 0;
    if (status == 0 && socket->rest == NULL && (had_rest || has_hung_up || (events & EPOLLIN) != 0))
        status = receive_all(loop, socket, has_hung_up);
    if (status < 0) {
        service_close(socket);
        free(socket);
    }
}

static void run(int listener, const void *arg)
{
    struct epoll_event events[EVENTS];
    struct loop loop = {.service = arg, .epoll_fd = epoll_create1(EPOLL_CLOEXEC), .listener = listener};
    loop.buffer = service_must(malloc(loop.service->buffer_bytes));
    watch(&loop, listener, EPOLLIN | EPOLLET, NULL);
    for (;;) {
        int count = epoll_wait(loop.epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr == NULL)
                accept_all(&loop);
            else
                socket_event(&loop, events[i].data.ptr, events[i].events);
    }
}

int main(int argc, char **argv)
{
    return service_main(argc, argv, "raw epoll", run);
}
