/*
 * What does a server pay for one small echo, beside what the kernel takes?
 *
 * 64 connections of another process send 64 bytes and wait for them to come back. The same clients put the question to a protocol, to a
 * fiber stream and to a bare epoll server, in turns, so that the machine's mood is shared. Prints the median of several rounds for each
 * figure: user and whole CPU time of the server per echo, and echoes per second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "weft/loop.h"
#include "weft/memory.h"
#include "weft/server.h"
#include "weft/stream.h"
#include "weft/transport.h"
#include "weft/work.h"

enum { ROUNDS = 5, CONNECTIONS = 64, BYTES = 64, ROUND_MS = 600 };

struct figures {
    double user_ns, cpu_ns, per_second;
};

static uint64_t echo_count;

/* ---- the clients, in a process of their own ---- */

static int dial(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
        exit(1);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void run_clients(uint16_t port)
{
    char block[BYTES] = {0};
    struct epoll_event events[CONNECTIONS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = dial(port)};
        (void)epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
        if (send(event.data.fd, block, BYTES, MSG_NOSIGNAL) != BYTES)
            exit(1);
    }
    for (;;) {
        int count = epoll_wait(epoll, events, CONNECTIONS, -1);
        for (int i = 0; i < count; i++)
            if (recv(events[i].data.fd, block, BYTES, 0) <= 0 || send(events[i].data.fd, block, BYTES, MSG_NOSIGNAL) != BYTES)
                exit(0);
    }
}

static pid_t start_clients(uint16_t port)
{
    pid_t pid = fork();
    if (pid == 0)
        run_clients(port);
    return pid;
}

/* ---- measuring the server, which is this process ---- */

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

struct measure {
    struct rusage before;
    uint64_t start_ns, echoes;
};

static void measure_begin(struct measure *measure)
{
    (void)getrusage(RUSAGE_SELF, &measure->before);
    measure->start_ns = clock_monotonic_ns();
    measure->echoes = echo_count;
}

static struct figures measure_end(const struct measure *measure)
{
    struct rusage after;
    (void)getrusage(RUSAGE_SELF, &after);
    double echoes = (double)(echo_count - measure->echoes);
    double user = seconds(after.ru_utime) - seconds(measure->before.ru_utime);
    double system = seconds(after.ru_stime) - seconds(measure->before.ru_stime);
    return (struct figures){user * 1e9 / echoes, (user + system) * 1e9 / echoes,
                            echoes * 1e9 / (double)(clock_monotonic_ns() - measure->start_ns)};
}

/* ---- weft ---- */

struct echo {
    struct weft_protocol protocol;
    struct weft_transport *transport;
};

static int echo_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    weft_container_of(protocol, struct echo, protocol)->transport = transport;
    return 0;
}

static int echo_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    echo_count += len / BYTES;
    return weft_transport_write(weft_container_of(protocol, struct echo, protocol)->transport, data, len);
}

static int echo_lost(struct weft_protocol *protocol, int status)
{
    (void)status;
    weft_free(weft_container_of(protocol, struct echo, protocol));
    return 0;
}

static const struct weft_protocol_ops echo_ops = {
    .size = sizeof(echo_ops), .connection_made = echo_made, .data_received = echo_received, .connection_lost = echo_lost};

static int echo_new(void *arg, struct weft_protocol **protocol_out)
{
    struct echo *echo = weft_calloc(1, sizeof(*echo));
    (void)arg;
    if (echo == NULL)
        return -ENOMEM;
    echo->protocol.ops = &echo_ops;
    *protocol_out = &echo->protocol;
    return 0;
}

static int serve_stream(struct weft_stream *stream, void *arg)
{
    char buf[4096];
    int count;
    (void)arg;
    while ((count = weft_stream_read(stream, buf, sizeof(buf))) > 0) {
        echo_count += (size_t)count / BYTES;
        int status = weft_stream_write(stream, buf, (size_t)count);
        if (status == 0)
            status = weft_stream_drain(stream);
        if (status < 0)
            return status;
    }
    return count;
}

static int stop(void *arg)
{
    return weft_loop_stop(arg);
}

static void run_for(struct weft_loop *loop, int64_t ms)
{
    (void)weft_loop_call_later(loop, ms * 1000000, stop, loop, NULL);
    (void)weft_loop_run_forever(loop);
}

static int forget(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)exception, (void)arg;
    return 0;
}

static struct figures weft_round(bool is_stream)
{
    struct weft_loop *loop;
    struct weft_server *server;
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct measure measure;
    options.host = "127.0.0.1";
    int status = weft_loop_new(NULL, 0, &loop);
    if (status == 0)
        (void)weft_loop_set_exception_handler(loop, forget, NULL);
    if (status == 0)
        status = is_stream ? weft_loop_start_stream_server(loop, serve_stream, NULL, &options, &server)
                           : weft_loop_create_server(loop, echo_new, NULL, &options, &server);
    if (status < 0)
        exit(1);
    pid_t pid = start_clients((uint16_t)weft_server_get_port(server));
    run_for(loop, 50);
    measure_begin(&measure);
    run_for(loop, ROUND_MS);
    struct figures figures = measure_end(&measure);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    run_for(loop, 20);
    weft_server_unref(server);
    (void)weft_loop_close(loop);
    weft_loop_unref(loop);
    return figures;
}

static struct figures protocol_round(void)
{
    return weft_round(false);
}

static struct figures stream_round(void)
{
    return weft_round(true);
}

/* ---- the bare server ---- */

static void bare_accept(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    if (fd >= 0)
        (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void bare_serve(int epoll, int listener, int ms)
{
    static char block[4096];
    struct epoll_event events[CONNECTIONS];
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)ms * 1000000;
    while (clock_monotonic_ns() < end_ns) {
        int count = epoll_wait(epoll, events, CONNECTIONS, ms);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                bare_accept(epoll, listener);
                continue;
            }
            ssize_t bytes = recv(fd, block, sizeof(block), 0);
            if (bytes <= 0)
                (void)close(fd);
            else if (send(fd, block, (size_t)bytes, MSG_NOSIGNAL) == bytes)
                echo_count += (size_t)bytes / BYTES;
        }
    }
}

static struct figures bare_round(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct measure measure;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    (void)setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(listener, 128) < 0 ||
        getsockname(listener, (struct sockaddr *)&in, &(socklen_t){sizeof(in)}) < 0)
        exit(1);
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    pid_t pid = start_clients(ntohs(in.sin_port));
    bare_serve(epoll, listener, 50);
    measure_begin(&measure);
    bare_serve(epoll, listener, ROUND_MS);
    struct figures figures = measure_end(&measure);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    bare_serve(epoll, listener, 20);
    (void)close(listener);
    (void)close(epoll);
    return figures;
}

/* ---- the question ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare_doubles);
    return values[ROUNDS / 2];
}

int main(void)
{
    struct {
        const char *name;
        struct figures (*round)(void);
        double user_ns[ROUNDS], cpu_ns[ROUNDS], per_second[ROUNDS];
    } servers[] = {
        {.name = "bare", .round = bare_round}, {.name = "protocol", .round = protocol_round}, {.name = "stream", .round = stream_round}};
    enum { SERVERS = sizeof(servers) / sizeof(*servers) };
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SERVERS; i++) {
            struct figures figures = servers[i].round();
            servers[i].user_ns[round] = figures.user_ns;
            servers[i].cpu_ns[round] = figures.cpu_ns;
            servers[i].per_second[round] = figures.per_second;
        }
    for (int i = 0; i < SERVERS; i++) {
        printf("echo.%s_user_ns %.0f\n", servers[i].name, median(servers[i].user_ns));
        printf("echo.%s_cpu_ns %.0f\n", servers[i].name, median(servers[i].cpu_ns));
        printf("echo.%s_per_second %.0f\n", servers[i].name, median(servers[i].per_second));
    }
    return 0;
}
