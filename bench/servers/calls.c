/*
 * Calls: a tracer that counts and looks at nothing. Called by the benches; the load is a process of its own meanwhile, since a tracer
 * waits for its tracee.
 */
#include "bench/servers/calls.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/servers/server.h"

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

static void detach(pid_t pid)
{
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0)
        (void)waitpid(pid, NULL, __WALL);
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

/* Each call stops twice, as it begins and as it ends. */
static int64_t count_until_exit(pid_t pid, pid_t load)
{
    int status = 0;
    int64_t stops = 0;
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
        return -errno;
    for (pid_t stopped; (stopped = waitpid(-1, &status, __WALL)) != load;) {
        if (stopped != pid || !WIFSTOPPED(status))
            return -ECHILD;
        stops += is_call(status);
        if (ptrace(PTRACE_SYSCALL, pid, NULL, signal_of(status)) < 0)
            return -errno;
    }
    detach(pid);
    return stops / 2;
}

int64_t calls_count(const struct child *child, void (*work)(void *arg), void *arg)
{
    if (ptrace(PTRACE_SEIZE, child->pid, NULL, PTRACE_O_TRACESYSGOOD) < 0)
        return -errno;
    pid_t load = fork();
    if (load == 0) {
        work(arg);
        _exit(0);
    }
    return load < 0 ? -errno : count_until_exit(child->pid, load);
}
