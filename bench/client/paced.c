/*
 * Paced: see the header. Called by the benches, from one thread. Each connection remembers when the requests on their way were sent, in
 * their order, which is that of the answers. The kernel stamps what arrives (SO_TIMESTAMPNS), by the clock of the time of day.
 */
#include "bench/client/paced.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"

enum { MESSAGE_BYTES = 64, WAY_MAX = 1024, EVENTS = 128, PATIENCE_NS = 1000000000 };

/* A request on its way. */
struct request {
    uint64_t due_ns;
    uint64_t sent_realtime_ns;
};

struct paced_connection {
    int fd;
    uint32_t sent, answered; /* counts; the difference is on its way */
    size_t received;         /* bytes of the next answer */
    struct request way[WAY_MAX];
};

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
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &(int){1}, sizeof(int));
    return fd;
}

void paced_open(struct paced *paced, uint16_t port, uint32_t count, uint32_t rate)
{
    *paced = (struct paced){.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .count = count, .period_ns = 1000000000 / rate};
    paced->connections = calloc(count, sizeof(struct paced_connection));
    if (paced->epoll_fd < 0 || paced->connections == NULL)
        give_up("paced");
    for (uint32_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &paced->connections[i]};
        paced->connections[i].fd = dial(port);
        if (epoll_ctl(paced->epoll_fd, EPOLL_CTL_ADD, paced->connections[i].fd, &event) < 0)
            give_up("epoll_ctl");
    }
}

static uint64_t due_ns(const struct paced *paced)
{
    return paced->start_ns + paced->sent_count * paced->period_ns;
}

static void send_one(struct paced *paced)
{
    static const char message[MESSAGE_BYTES];
    struct paced_connection *connection = &paced->connections[paced->sent_count % paced->count];
    struct request request = {due_ns(paced), clock_realtime_ns()};
    if (connection->sent - connection->answered == WAY_MAX)
        give_up("too many requests are on their way");
    connection->way[connection->sent++ % WAY_MAX] = request;
    paced->sent_count++;
    samples_add(&paced->late, clock_monotonic_ns() - request.due_ns);
    if (send(connection->fd, message, sizeof(message), MSG_NOSIGNAL) != sizeof(message))
        give_up("send");
}

/* Read some; the count. When it arrived goes to *realtime_ns_out: now, if the kernel does not say. */
static size_t take_bytes(int fd, uint64_t *realtime_ns_out)
{
    char buffer[16 * MESSAGE_BYTES], control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec piece = {buffer, sizeof(buffer)};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t count = recvmsg(fd, &message, 0);
    if (count <= 0)
        give_up("recvmsg");
    *realtime_ns_out = clock_realtime_ns();
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    if (part == NULL || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SO_TIMESTAMPNS)
        return (size_t)count;
    struct timespec stamp;
    memcpy(&stamp, CMSG_DATA(part), sizeof(stamp));
    *realtime_ns_out = (uint64_t)stamp.tv_sec * 1000000000 + (uint64_t)stamp.tv_nsec;
    return (size_t)count;
}

static void take(struct paced *paced, struct paced_connection *connection)
{
    uint64_t arrived_ns;
    connection->received += take_bytes(connection->fd, &arrived_ns);
    uint64_t now_ns = clock_monotonic_ns();
    for (; connection->received >= MESSAGE_BYTES; connection->received -= MESSAGE_BYTES) {
        const struct request *request = &connection->way[connection->answered++ % WAY_MAX];
        samples_add(&paced->echo, now_ns - request->due_ns);
        samples_add(&paced->server, arrived_ns > request->sent_realtime_ns ? arrived_ns - request->sent_realtime_ns : 0);
        paced->taken_count++;
    }
}

/* Take what comes until `end_ns`, or until there is something. */
static void wait_until(struct paced *paced, uint64_t end_ns)
{
    struct epoll_event events[EVENTS];
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t left_ns = end_ns > now_ns ? end_ns - now_ns : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left_ns / 1000000000), .tv_nsec = (long)(left_ns % 1000000000)};
    int count = epoll_pwait2(paced->epoll_fd, events, EVENTS, &timeout, NULL);
    if (count < 0 && errno != EINTR)
        give_up("epoll_pwait2");
    for (int i = 0; i < count; i++)
        take(paced, events[i].data.ptr);
}

void paced_run(struct paced *paced, uint64_t duration_ns)
{
    memset(&paced->echo, 0, sizeof(paced->echo));
    memset(&paced->server, 0, sizeof(paced->server));
    memset(&paced->late, 0, sizeof(paced->late));
    paced->sent_count = paced->taken_count = 0;
    paced->start_ns = clock_monotonic_ns() + paced->period_ns;
    uint64_t end_ns = paced->start_ns + duration_ns;
    while (due_ns(paced) < end_ns)
        if (clock_monotonic_ns() >= due_ns(paced))
            send_one(paced);
        else
            wait_until(paced, due_ns(paced));
    while (paced->taken_count < paced->sent_count && clock_monotonic_ns() < end_ns + PATIENCE_NS)
        wait_until(paced, end_ns + PATIENCE_NS);
    if (paced->taken_count < paced->sent_count) {
        errno = ETIMEDOUT;
        give_up("answers that did not come");
    }
}

void paced_close(struct paced *paced)
{
    for (uint32_t i = 0; i < paced->count; i++)
        close(paced->connections[i].fd);
    close(paced->epoll_fd);
    free(paced->connections);
}

const char *paced_go_first(void)
{
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &(struct sched_param){.sched_priority = 1}) == 0)
        return "fifo";
    if (sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &(struct sched_param){0}) == 0 && setpriority(PRIO_PROCESS, 0, -20) == 0)
        return "nice";
    return "nothing";
}
