/*
 * Calls: a tracer that counts and looks at nothing. Called by the benches; the load is a process of its own meanwhile, since a tracer
 * waits for its tracees.
 */
#include "bench/client/calls.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/client/child.h"
#include "bench/client/usage.h"

enum { THREADS_MAX = 256 };

static bool is_call(int status)
{
    return WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80);
}

/* What the tracee shall be given as it goes on: the signal that stopped it, if it was one. */
static long signal_of(int status)
{
    bool is_event = status >> 16 != 0;
    return is_call(status) || is_event ? 0 : WSTOPSIG(status);
}

/* Threads that come later are traced from their beginning. */
static int seize_all(const struct child *child)
{
    pid_t threads[THREADS_MAX];
    size_t count = usage_threads(child, threads, THREADS_MAX);
    for (size_t i = 0; i < count; i++)
        if (ptrace(PTRACE_SEIZE, threads[i], NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK) < 0)
            return -errno;
    for (size_t i = 0; i < count; i++)
        if (ptrace(PTRACE_INTERRUPT, threads[i], NULL, NULL) < 0)
            return -errno;
    return count == 0 ? -ESRCH : 0;
}

/* Each call stops twice, as it begins and as it ends. */
static int64_t count_until_exit(pid_t load)
{
    int status = 0;
    int64_t stops = 0;
    for (pid_t stopped; (stopped = waitpid(-1, &status, __WALL)) != load;) {
        if (stopped < 0)
            return -errno;
        stops += is_call(status);
        if (WIFSTOPPED(status))
            ptrace(PTRACE_SYSCALL, stopped, NULL, signal_of(status));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? stops / 2 : -ECANCELED;
}

int64_t calls_count(const struct child *child, void (*work)(void *arg), void *arg)
{
    int status = seize_all(child);
    if (status < 0)
        return status;
    pid_t load = fork();
    if (load == 0) {
        work(arg);
        _exit(0);
    }
    return load < 0 ? -errno : count_until_exit(load);
}
