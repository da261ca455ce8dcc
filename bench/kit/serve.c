/*
 * Serve: see the header. Called by the mains of those that serve. The end of the standard input comes as a signal, since a thread that waits
 * for it would make each use of a descriptor dearer: the kernel counts references only where threads share descriptors.
 */
#include "bench/kit/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

/* ---- listening -------------------------------------------------------------------------------------------------------------------- */

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* what is accepted inherits it */
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
    if (dprintf(serving->announce_fd, "port %d\n", port) < 0)
        _exit(1);
}

/* ---- threads ---------------------------------------------------------------------------------------------------------------------- */

struct loop_thread {
    serving_loop_fn *loop;
    const void *arg;
    int listener;
};

static void *run_thread(void *arg)
{
    struct loop_thread thread = *(struct loop_thread *)arg;
    free(arg);
    thread.loop(thread.listener, thread.arg);
    return NULL;
}

static int start_thread(int listener, serving_loop_fn *loop, const void *arg)
{
    pthread_t id;
    struct loop_thread *thread = malloc(sizeof(*thread));
    if (thread == NULL)
        return -ENOMEM;
    *thread = (struct loop_thread){loop, arg, listener};
    return -pthread_create(&id, NULL, run_thread, thread);
}

int serving_run(struct serving *serving, serving_loop_fn *loop, const void *arg)
{
    int port = serving_listen(serving);
    int status = port < 0 ? port : 0;
    for (uint32_t i = 1; i < serving->loops && status == 0; i++)
        status = start_thread(serving->listeners[i], loop, arg);
    if (status < 0)
        return status;
    serving_announce(serving, port);
    loop(serving->listeners[0], arg);
    return -EINVAL; /* loops run for ever */
}

/* ---- the end of the input ------------------------------------------------------------------------------------------------------------ */

static void take_input(int number)
{
    char bytes[64];
    ssize_t count;
    int saved = errno;
    (void)number;
    while ((count = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
        ;
    if (count == 0)
        _exit(0);
    errno = saved;
}

/* Who sits at a terminal has other means to end it. */
static void end_with_input(void)
{
    struct sigaction action = {.sa_handler = take_input, .sa_flags = SA_RESTART};
    if (isatty(STDIN_FILENO))
        return;
    sigaction(SIGIO, &action, NULL);
    fcntl(STDIN_FILENO, F_SETOWN, getpid());
    fcntl(STDIN_FILENO, F_SETFL, O_ASYNC | O_NONBLOCK);
    take_input(SIGIO); /* it may have ended before */
}

/* ---- the program ------------------------------------------------------------------------------------------------------------------- */

/* Each connection is a descriptor. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static const struct server *find(const struct server *servers, size_t count, const char *kind)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(servers[i].kind, kind) == 0)
            return &servers[i];
    return NULL;
}

static int list(const struct server *servers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("serve %s\n", servers[i].kind);
    return 0;
}

static int usage(const char *program)
{
    fprintf(stderr, "%s --who | --list | serve KIND [--loops N], N up to %d\n", program, SERVING_LOOPS_MAX);
    return 2;
}

int serve_main(int argc, char **argv, const char *who, const struct server *servers, size_t count)
{
    struct serving serving = {.loops = 1, .announce_fd = STDOUT_FILENO};
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list(servers, count);
    if (argc == 2 && strcmp(argv[1], "--who") == 0)
        return puts(who) < 0;
    const struct server *server = argc < 3 || strcmp(argv[1], "serve") != 0 ? NULL : find(servers, count, argv[2]);
    for (int i = 3; i < argc; i += 2)
        if (strcmp(argv[i], "--loops") == 0 && i + 1 < argc)
            serving.loops = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        else
            return usage(argv[0]);
    if (server == NULL || serving.loops == 0 || serving.loops > SERVING_LOOPS_MAX)
        return usage(argv[0]);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    end_with_input();
    int status = server->serve(&serving);
    fprintf(stderr, "%s %s: cannot serve: %d\n", who, server->kind, status);
    return 1;
}
