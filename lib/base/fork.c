/*
 * Fork: a list of those who are told, and pthread_atfork() once for all of them.
 *
 * Loops and executors come and go here, at their making and their end; locks that last as long as the process come once. The invariant: in
 * the child the list is whole, for the forking thread has held its lock meanwhile.
 */
#include "lib/base/fork.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct fork_watch *first;
static int hook_error;

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
    for (struct fork_watch *watch = first; watch != NULL; watch = watch->next)
        if (watch->before != NULL)
            watch->before(watch);
}

static void after_fork(void)
{
    for (struct fork_watch *watch = first; watch != NULL; watch = watch->next)
        if (watch->after != NULL)
            watch->after(watch);
    pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
    after_fork();
    for (struct fork_watch *watch = first; watch != NULL; watch = watch->next)
        if (watch->forked != NULL)
            watch->forked(watch);
}

static void hook(void)
{
    hook_error = pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

int fork_watch_add(struct fork_watch *watch)
{
    (void)pthread_once(&once, hook);
    if (hook_error != 0)
        return -ENOMEM;
    pthread_mutex_lock(&lock);
    watch->prev = NULL;
    watch->next = first;
    if (first != NULL)
        first->prev = watch;
    first = watch;
    pthread_mutex_unlock(&lock);
    return 0;
}

void fork_watch_remove(struct fork_watch *watch)
{
    pthread_mutex_lock(&lock);
    if (watch->next != NULL)
        watch->next->prev = watch->prev;
    if (watch->prev != NULL)
        watch->prev->next = watch->next;
    else
        first = watch->next;
    pthread_mutex_unlock(&lock);
}
