/*
 * Child: see the header. Called by the benches, from one thread.
 */
#include "bench/client/child.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, RETRY_NS = 1000000, LINE_BYTES = 64 };

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- the child's side --------------------------------------------------------------------------------------------------------------- */

static _Noreturn void run_server(const struct server *server, const struct serving *how, int announce_fd)
{
    struct serving serving = *how;
    serving.announce_fd = announce_fd;
    signal(SIGPIPE, SIG_IGN);
    int status = server->serve(&serving);
    fprintf(stderr, "%s: cannot serve: %d\n", server->kind, status);
    _exit(1);
}

static _Noreturn void run_program(char *const *command, int cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (cpu >= 0)
        CPU_SET((size_t)cpu, &cpus);
    if (cpu >= 0 && sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
        give_up("sched_setaffinity");
    execvp(command[0], command);
    give_up(command[0]);
}

/* ---- the parent's side -------------------------------------------------------------------------------------------------------------- */

/* The process group of the child there is; 0: none. */
static pid_t living;

/* What a child has started does not end with this process by itself. */
static void kill_living(void)
{
    if (living != 0)
        kill(-living, SIGKILL);
}

static void remember(pid_t pid)
{
    static bool is_watched;
    if (!is_watched)
        (void)atexit(kill_living);
    is_watched = true;
    living = pid;
}

/* As fork(). The child has one end of each pipe as its standard input and output, and a process group of its own. */
static pid_t fork_with_pipes(struct child *child)
{
    int input[2], output[2];
    fflush(stdout);
    if (pipe2(input, O_CLOEXEC) < 0 || pipe2(output, O_CLOEXEC) < 0 || (child->pid = fork()) < 0)
        give_up("a child");
    if (child->pid == 0) {
        living = 0;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
    }
    close(input[0]);
    close(output[1]);
    remember(child->pid);
    child->input_fd = input[1];
    child->output_fd = output[0];
    return child->pid;
}

/* A byte at a time: what follows the line stays for nobody. */
static void read_port(struct child *child)
{
    char line[LINE_BYTES] = "";
    unsigned port = 0;
    struct pollfd output = {.fd = child->output_fd, .events = POLLIN};
    for (size_t len = 0; len + 1 < sizeof(line) && (len == 0 || line[len - 1] != '\n'); len++)
        if (poll(&output, 1, PATIENCE_MS) <= 0 || read(child->output_fd, line + len, 1) != 1)
            break;
    if (sscanf(line, "port %u", &port) == 1 && port > 0 && port <= UINT16_MAX) {
        child->port = (uint16_t)port;
        return;
    }
    child_stop(child);
    fprintf(stderr, "it does not tell its port\n");
    exit(1);
}

/* Some tell the port before they listen. */
static void await_listener(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (uint64_t waited_ns = 0; waited_ns < PATIENCE_MS * UINT64_C(1000000); waited_ns += RETRY_NS) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int status = connect(fd, (struct sockaddr *)&address, sizeof(address));
        close(fd);
        if (status == 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    }
    give_up("connect");
}

void child_start(struct child *child, const struct server *server, const struct serving *how)
{
    if (fork_with_pipes(child) == 0)
        run_server(server, how, STDOUT_FILENO);
    read_port(child);
}

void child_start_program(struct child *child, char *const *command, int cpu)
{
    if (fork_with_pipes(child) == 0)
        run_program(command, cpu);
    read_port(child);
    await_listener(child->port);
}

/* One that is traced goes only when its tracer has waited for each of its threads. */
void child_stop(struct child *child)
{
    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL); /* for one that has no group yet */
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
    close(child->input_fd);
    close(child->output_fd);
    child->pid = living = 0;
}
