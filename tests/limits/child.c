/*
 * Child processes of tests. The parent has one thread as it forks, and reads the child's standard error to its end.
 */
#include "tests/limits/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/test.h"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

_Noreturn void child_give_up(const char *file, int line, const char *claim)
{
    dprintf(STDERR_FILENO, "%s:%d: not so: %s\n", file, line, claim);
    _exit(1);
}

_Noreturn static void be_child(int fd, void (*body)(void *arg), void *arg)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(fd, STDERR_FILENO);
    close(fd);
    body(arg);
    _exit(CHILD_RETURNED);
}

/* Read until the child, and all that it made, have closed their end. False if the deadline comes first. */
static bool read_all(int fd, struct child_end *end)
{
    int64_t end_ms = now_ms() + CHILD_MS_MAX;
    size_t len = 0;
    for (;;) {
        int64_t left_ms = end_ms - now_ms();
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0 || poll(&pollfd, 1, (int)left_ms) == 0)
            return false;
        char spare[512];
        bool has_room = len < sizeof(end->text) - 1;
        ssize_t got = read(fd, has_room ? end->text + len : spare, has_room ? sizeof(end->text) - 1 - len : sizeof(spare));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return true;
        len += has_room ? (size_t)got : 0;
    }
}

struct child_end child_run(void (*body)(void *arg), void *arg)
{
    struct child_end end = {.status = 0};
    int pipes[2];
    CHECK_EQ(pipe(pipes), 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(pipes[0]);
        be_child(pipes[1], body, arg);
    }
    close(pipes[1]);
    bool is_over = read_all(pipes[0], &end);
    if (!is_over)
        kill(pid, SIGKILL);
    close(pipes[0]);
    while (waitpid(pid, &end.status, 0) < 0)
        CHECK_EQ(errno, EINTR);
    if (!is_over)
        test_fail(__FILE__, __LINE__, "the child did not end; it said: %s", end.text);
    return end;
}

void child_check_signal(const struct child_end *end, int signal)
{
    if (!WIFSIGNALED(end->status) || WTERMSIG(end->status) != signal)
        test_fail(__FILE__, __LINE__, "the child's status is %#x, not the signal %d; it said: %s", (unsigned)end->status, signal,
                  end->text);
}

void child_check_exit(const struct child_end *end, int code)
{
    if (!WIFEXITED(end->status) || WEXITSTATUS(end->status) != code)
        test_fail(__FILE__, __LINE__, "the child's status is %#x, not the exit status %d; it said: %s", (unsigned)end->status, code,
                  end->text);
}

void child_run_well(void (*body)(void *arg))
{
    struct child_end end = child_run(body, NULL);
    child_check_exit(&end, CHILD_RETURNED);
    (void)fputs(end.text, stdout);
}

int child_count(const struct child_end *end, const char *needle)
{
    int count = 0;
    for (const char *at = end->text; (at = strstr(at, needle)) != NULL; at++)
        count++;
    return count;
}
