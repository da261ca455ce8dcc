/*
 * Load: see the header. Called by the benches, from one thread. A client has at most one message on its way, so a blocking send always
 * comes to its end.
 */
#include "bench/servers/load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 128, MESSAGE_BYTES_MAX = 65536, VISITORS = 16, VISIT_BYTES = 64 };

struct load_connection {
    int fd;
    size_t received; /* of the present message */
    uint64_t left;   /* messages to send yet, the present one included */
};

static char message[MESSAGE_BYTES_MAX];

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        give_up("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void send_message(int fd, size_t bytes)
{
    if (send(fd, message, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
        give_up("send");
}

void load_open(struct load *load, uint16_t port, uint32_t count, size_t message_bytes)
{
    *load = (struct load){epoll_create1(EPOLL_CLOEXEC), count, message_bytes, calloc(count, sizeof(struct load_connection))};
    if (load->epoll_fd < 0 || load->connections == NULL)
        give_up("load");
    for (uint32_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &load->connections[i]};
        load->connections[i].fd = dial(port);
        if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->connections[i].fd, &event) < 0)
            give_up("epoll_ctl");
    }
}

/* How many of its messages are done with. */
static unsigned take(const struct load *load, struct load_connection *connection)
{
    static char buffer[MESSAGE_BYTES_MAX];
    ssize_t count = recv(connection->fd, buffer, load->message_bytes - connection->received, 0);
    if (count <= 0)
        give_up("recv");
    connection->received += (size_t)count;
    if (connection->received < load->message_bytes)
        return 0;
    connection->received = 0;
    if (--connection->left > 0)
        send_message(connection->fd, load->message_bytes);
    return 1;
}

void load_run(struct load *load, uint64_t echoes)
{
    struct epoll_event events[EVENTS];
    uint64_t left = echoes / load->count * load->count;
    for (uint32_t i = 0; i < load->count && left > 0; i++) {
        load->connections[i].left = echoes / load->count;
        send_message(load->connections[i].fd, load->message_bytes);
    }
    while (left > 0) {
        int count = epoll_wait(load->epoll_fd, events, EVENTS, 10000);
        if (count <= 0)
            give_up("nothing comes back");
        for (int i = 0; i < count; i++)
            left -= take(load, events[i].data.ptr);
    }
}

void load_close(struct load *load)
{
    for (uint32_t i = 0; i < load->count; i++)
        close(load->connections[i].fd);
    close(load->epoll_fd);
    free(load->connections);
}

static void visit_some(uint16_t port, uint32_t count)
{
    int fds[VISITORS];
    char buffer[VISIT_BYTES];
    for (uint32_t i = 0; i < count; i++)
        fds[i] = dial(port);
    for (uint32_t i = 0; i < count; i++)
        send_message(fds[i], VISIT_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        if (recv(fds[i], buffer, VISIT_BYTES, MSG_WAITALL) != VISIT_BYTES)
            give_up("recv");
        close(fds[i]);
    }
}

void load_visit(uint16_t port, uint32_t count)
{
    for (uint32_t done = 0; done < count; done += VISITORS)
        visit_some(port, count - done < VISITORS ? count - done : VISITORS);
}
