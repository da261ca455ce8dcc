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

#include "weft/atomic.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct fork_watch *first;
static pthread_mutex_t hook_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_hooked; /* atomic: once true, for good */

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
    weft_atomic_store_relaxed(&is_hooked, pthread_atfork(before_fork, after_fork, after_fork_in_child) == 0);
}

/*
 * There was no memory for it: there may be now. Whoever does it already is not waited for, since without a hook a fork of another thread
 * meanwhile leaves its child a lock that nobody gives back.
 */
static void hook_again(void)
{
    if (pthread_mutex_trylock(&hook_lock) != 0)
        return;
    if (!weft_atomic_load_relaxed(&is_hooked))
        hook();
    pthread_mutex_unlock(&hook_lock);
}

static int hook_ensure(void)
{
    (void)pthread_once(&once, hook);
    if (!weft_atomic_load_relaxed(&is_hooked))
        hook_again();
    return weft_atomic_load_relaxed(&is_hooked) ? 0 : -ENOMEM;
}

int fork_watch_add(struct fork_watch *watch)
{
    int status = hook_ensure();
    if (status < 0 && !watch->is_kept)
        return status;
    pthread_mutex_lock(&lock);
    watch->prev = NULL;
    watch->next = first;
    if (first != NULL)
        first->prev = watch;
    first = watch;
    pthread_mutex_unlock(&lock);
    return status;
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
