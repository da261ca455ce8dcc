/*
 * Client: what a test says to a server over loopback. Called by site_test.c.
 */
#include "tests/demo/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/support/test.h"

#define PATIENCE_S 20

int client_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void client_send(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        CHECK(sent > 0);
        text += sent;
        len -= (size_t)sent;
    }
}

size_t client_expect(int fd, const char *text, size_t count)
{
    size_t matched = 0, total = 0, want = strlen(text);
    char buf[4096];
    while (count > 0) {
        ssize_t got = recv(fd, buf, sizeof(buf), 0);
        CHECK(got > 0);
        total += (size_t)got;
        for (ssize_t i = 0; i < got; i++) {
            /* Good for texts whose first character does not come again in them. */
            matched = buf[i] == text[matched] ? matched + 1 : buf[i] == text[0];
            if (matched == want) {
                CHECK(count > 0);
                count--;
                matched = 0;
            }
        }
    }
    return total;
}

int client_expect_end(int fd)
{
    char buf[4096];
    ssize_t got;
    while ((got = recv(fd, buf, sizeof(buf), 0)) > 0)
        continue;
    return got == 0 ? 0 : -errno;
}

void client_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    CHECK_EQ(close(fd), 0);
}
