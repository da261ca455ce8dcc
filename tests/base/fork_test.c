/*
 * Fork watches, where the C library has no memory for the hook that they hang on. What a forked child finds is in tests/limits/fork_test.c.
 */
#include "lib/base/fork.h"

#include <errno.h>
#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

static int refusal_count; /* so many calls of pthread_atfork() are refused from now on */
static int hook_count;

int __real_pthread_atfork(void (*before)(void), void (*after)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*before)(void), void (*after)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*before)(void), void (*after)(void), void (*child)(void))
{
    if (refusal_count > 0) {
        refusal_count--;
        return ENOMEM;
    }
    hook_count++;
    return __real_pthread_atfork(before, after, child);
}

static int told_count;

static void count_fork(struct fork_watch *unused)
{
    (void)unused;
    told_count++;
}

static void fork_and_wait(void)
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
}

Test(fork_watch, is_hooked_later_if_there_was_no_memory_at_first, .timeout = 5)
{
    struct fork_watch watch = {.after = count_fork};
    refusal_count = INT_MAX;
    CHECK_EQ(fork_watch_add(&watch), -ENOMEM);
    CHECK_EQ(fork_watch_add(&watch), -ENOMEM);
    refusal_count = 0;
    CHECK_EQ(fork_watch_add(&watch), 0);
    fork_and_wait();
    CHECK_EQ(told_count, 1);
    fork_watch_remove(&watch);
    fork_and_wait();
    CHECK_EQ(told_count, 1);
}

Test(fork_watch, hooks_once_however_many_are_added, .timeout = 5)
{
    struct fork_watch watches[3] = {{.after = count_fork}, {.after = count_fork}, {.after = count_fork}};
    refusal_count = INT_MAX;
    CHECK_EQ(fork_watch_add(&watches[0]), -ENOMEM);
    refusal_count = 0;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(fork_watch_add(&watches[i]), 0);
    CHECK_EQ(hook_count, 1);
    fork_and_wait();
    CHECK_EQ(told_count, 3);
    for (int i = 0; i < 3; i++)
        fork_watch_remove(&watches[i]);
}

Test(fork_watch, that_is_kept_is_told_once_another_can_be_added, .timeout = 5)
{
    static struct fork_watch kept = {.after = count_fork, .is_kept = true};
    struct fork_watch other = {.after = count_fork};
    refusal_count = INT_MAX;
    CHECK_EQ(fork_watch_add(&kept), -ENOMEM);
    refusal_count = 0;
    CHECK_EQ(fork_watch_add(&other), 0);
    fork_and_wait();
    CHECK_EQ(told_count, 2);
    fork_watch_remove(&other);
    fork_watch_remove(&kept);
}
