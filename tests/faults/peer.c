/*
 * The other end of the scenes' connections: system calls that are the test's own, past the shim, and never block.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/faults/scene.h"
#include "tests/faults/shim.h"

enum { KIND = SOCK_STREAM | SOCK_CLOEXEC };

static socklen_t unix_address(const char *path, struct sockaddr_un *un_out)
{
    *un_out = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(un_out->sun_path, sizeof(un_out->sun_path), "%s", path);
    if (path[0] != '@')
        return sizeof(*un_out);
    un_out->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
}

static int listen_at(const void *address, socklen_t len)
{
    const struct sockaddr *at = address;
    int fd = socket(at->sa_family, KIND | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, at, len), 0);
    CHECK_EQ(listen(fd, 16), 0);
    return fd;
}

int peer_listen_tcp(int *port_out)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    shim_pass_begin();
    int fd = listen_at(&in, sizeof(in));
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    shim_pass_end();
    *port_out = ntohs(in.sin_port);
    return fd;
}

int peer_listen_unix(const char *path)
{
    struct sockaddr_un un;
    socklen_t len = unix_address(path, &un);
    shim_pass_begin();
    (void)unlink(path);
    int fd = listen_at(&un, len);
    shim_pass_end();
    return fd;
}

/* accept(), which the library never calls: strace tells them apart. */
int peer_accept(int listener)
{
    shim_pass_begin();
    int fd = accept(listener, NULL, NULL);
    CHECK(fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    shim_pass_end();
    return fd;
}

/* A connect to a listener of this machine is done when it returns. */
static int connect_to(const void *address, socklen_t len)
{
    const struct sockaddr *to = address;
    shim_pass_begin();
    int fd = socket(to->sa_family, KIND, 0);
    CHECK(fd >= 0);
    if (connect(fd, to, len) == 0) {
        CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    } else {
        close(fd);
        fd = -1;
    }
    shim_pass_end();
    return fd;
}

int peer_connect_tcp(int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect_to(&in, sizeof(in));
}

int peer_connect_tcp6(int port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return connect_to(&in6, sizeof(in6));
}

int peer_connect_unix(const char *path)
{
    struct sockaddr_un un;
    socklen_t len = unix_address(path, &un);
    return connect_to(&un, len);
}

int peer_pair(int fds_out[2])
{
    return socketpair(AF_UNIX, KIND | SOCK_NONBLOCK, 0, fds_out);
}

int peer_read(int fd, void *buf, int len)
{
    shim_pass_begin();
    ssize_t count = read(fd, buf, (size_t)len);
    bool is_nothing = count < 0 && errno == EAGAIN;
    shim_pass_end();
    return is_nothing ? -1 : count < 0 ? 0 : (int)count;
}

/* No write(): that could raise SIGPIPE. */
int peer_write(int fd, const void *buf, int len)
{
    struct iovec piece = {(void *)(uintptr_t)buf, (size_t)len};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    shim_pass_begin();
    ssize_t count;
    do
        count = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR); /* strace interrupts whoever calls */
    shim_pass_end();
    return (int)count;
}

void peer_close(int fd)
{
    shim_pass_begin();
    (void)close(fd);
    shim_pass_end();
}
