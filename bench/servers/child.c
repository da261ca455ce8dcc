/*
 * Child: a server in a process of its own. Called by the benches, from one thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/servers/server.h"

enum { BACKLOG = 4096 };

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return fd;
}

int serving_listen(struct serving *serving)
{
    struct sockaddr_in address = {.sin_port = 0};
    for (uint32_t i = 0; i < serving->loops; i++) {
        int fd = listen_on(ntohs(address.sin_port));
        if (fd < 0)
            return fd;
        serving->listeners[i] = fd;
        if (getsockname(fd, (struct sockaddr *)&address, &(socklen_t){sizeof(address)}) < 0)
            return -errno;
    }
    return ntohs(address.sin_port);
}

void serving_announce(const struct serving *serving, int port)
{
    uint16_t word = (uint16_t)port;
    if (write(serving->announce_fd, &word, sizeof(word)) != sizeof(word))
        _exit(1);
    close(serving->announce_fd);
}

static _Noreturn void child_run(const struct server *server, const struct serving *how, int announce_fd)
{
    struct serving serving = *how;
    serving.announce_fd = announce_fd;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    int status = server->serve(&serving);
    fprintf(stderr, "%s: cannot serve: %d\n", server->name, status);
    _exit(1);
}

void child_start(struct child *child, const struct server *server, const struct serving *how)
{
    int fds[2];
    fflush(stdout);
    if (pipe(fds) < 0 || (child->pid = fork()) < 0) {
        perror("a child");
        exit(1);
    }
    if (child->pid == 0)
        child_run(server, how, fds[1]);
    close(fds[1]);
    if (read(fds[0], &child->port, sizeof(child->port)) != sizeof(child->port)) {
        fprintf(stderr, "%s: it does not serve\n", server->name);
        exit(1);
    }
    close(fds[0]);
}

void child_stop(struct child *child)
{
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    child->pid = 0;
}

static FILE *child_file(const struct child *child, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)child->pid, name);
    return fopen(path, "re");
}

/* How many of a hundred ticks were the user's; 0 where the kernel does not say. */
static double user_share(const struct child *child)
{
    unsigned long user = 0, system = 0;
    FILE *file = child_file(child, "stat");
    if (file == NULL || fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        user = system = 0;
    if (file != NULL)
        fclose(file);
    return user + system == 0 ? 0 : (double)user / (double)(user + system);
}

struct usage child_usage(const struct child *child)
{
    clockid_t clock;
    struct timespec time = {0, 0};
    if (clock_getcpuclockid(child->pid, &clock) == 0)
        clock_gettime(clock, &time);
    uint64_t cpu_ns = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
    return (struct usage){cpu_ns, (uint64_t)((double)cpu_ns * user_share(child))};
}

struct usage usage_since(struct usage now, struct usage before)
{
    uint64_t user_ns = now.user_ns > before.user_ns ? now.user_ns - before.user_ns : 0;
    return (struct usage){now.cpu_ns - before.cpu_ns, user_ns};
}

uint64_t child_resident(const struct child *child)
{
    unsigned long pages = 0, shared = 0;
    FILE *file = child_file(child, "statm");
    if (file == NULL || fscanf(file, "%*u %lu %lu", &pages, &shared) != 2)
        pages = shared = 0;
    if (file != NULL)
        fclose(file);
    return (pages - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}
