/*
 * Load: see the header. Called by the benches, from one thread. A client has at most one request on its way, so a blocking send always
 * comes to its end.
 */
#include "bench/client/load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 128, VISITORS = 16, PATIENCE_MS = 20000 };

struct load_connection {
    int fd;
    uint32_t turn;    /* of the present request */
    size_t received;  /* of the present answer */
    uint64_t left;    /* requests to send yet, the present one included */
    uint64_t sent_ns; /* when the present one was sent */
};

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

int load_dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        give_up("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

void load_open(struct load *load, uint16_t port, uint32_t count, const struct exchange *exchange)
{
    *load = (struct load){.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .count = count, .exchange = exchange};
    load->connections = calloc(count, sizeof(struct load_connection));
    if (load->epoll_fd < 0 || load->connections == NULL)
        give_up("load");
    for (uint32_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &load->connections[i]};
        load->connections[i].turn = i;
        load->connections[i].fd = load_dial(port);
        if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->connections[i].fd, &event) < 0)
            give_up("epoll_ctl");
    }
}

static void send_request(int fd, const struct exchange *exchange, size_t turn)
{
    if (send(fd, exchange->request + turn, exchange->request_len, MSG_NOSIGNAL) != (ssize_t)exchange->request_len)
        give_up("send");
}

static void begin(const struct load *load, struct load_connection *connection, uint64_t time_ns)
{
    connection->turn = (connection->turn + 1) % (uint32_t)load->exchange->turns;
    connection->sent_ns = time_ns;
    send_request(connection->fd, load->exchange, connection->turn);
}

static void finish(const struct load *load, struct load_connection *connection)
{
    uint64_t time_ns = 0;
    connection->received = 0;
    if (load->samples != NULL) {
        time_ns = now_ns();
        samples_add(load->samples, time_ns - connection->sent_ns);
    }
    if (--connection->left > 0)
        begin(load, connection, time_ns);
}

static size_t receive(int fd, const struct exchange *exchange, size_t turn, size_t offset)
{
    static char buffer[EXCHANGE_BYTES_MAX];
    ssize_t count = recv(fd, buffer, sizeof(buffer), 0);
    if (count <= 0)
        give_up("recv");
    if (!exchange_matches(exchange, turn, offset, buffer, (size_t)count)) {
        fprintf(stderr, "%zd bytes at %zu of %zu are not those of the answer\n", count, offset, exchange->answer_len);
        exit(1);
    }
    return (size_t)count;
}

/* How many of its exchanges are done with. */
static unsigned take(const struct load *load, struct load_connection *connection)
{
    connection->received += receive(connection->fd, load->exchange, connection->turn, connection->received);
    if (connection->received < load->exchange->answer_len)
        return 0;
    finish(load, connection);
    return 1;
}

void load_run(struct load *load, uint64_t exchanges, struct samples *samples)
{
    struct epoll_event events[EVENTS];
    uint64_t left = exchanges / load->count * load->count;
    load->samples = samples;
    for (uint32_t i = 0; i < load->count && left > 0; i++) {
        load->connections[i].left = exchanges / load->count;
        begin(load, &load->connections[i], samples == NULL ? 0 : now_ns());
    }
    while (left > 0) {
        int count = epoll_wait(load->epoll_fd, events, EVENTS, PATIENCE_MS);
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

static void visit_some(uint16_t port, uint32_t count, const struct exchange *exchange)
{
    int fds[VISITORS];
    for (uint32_t i = 0; i < count; i++)
        fds[i] = load_dial(port);
    for (uint32_t i = 0; i < count; i++)
        send_request(fds[i], exchange, i);
    for (uint32_t i = 0; i < count; i++) {
        for (size_t received = 0; received < exchange->answer_len;)
            received += receive(fds[i], exchange, i, received);
        close(fds[i]);
    }
}

void load_visit(uint16_t port, uint32_t count, const struct exchange *exchange)
{
    for (uint32_t done = 0; done < count; done += VISITORS)
        visit_some(port, count - done < VISITORS ? count - done : VISITORS, exchange);
}
