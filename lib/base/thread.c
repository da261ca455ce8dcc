/*
 * Thread: pthreads behind the two calls that the drivers need.
 *
 * Invariant: the new thread has its mask before it runs anything, so that no signal can land on it in between; the name is a courtesy to
 * debuggers, and its failure is nobody's.
 */
#include "lib/base/thread.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static _Thread_local char thread_mark;

THREAD_LOCAL_ACCESSOR uintptr_t thread_id(void)
{
    uintptr_t mark = (uintptr_t)&thread_mark;
    __asm__ __volatile__("" : "+r"(mark)); /* the address of a thread-local is a constant to clang, which callers would keep */
    return mark;
}

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    if (thread->name[0] != '\0')
        (void)pthread_setname_np(pthread_self(), thread->name);
    thread->fn(thread->arg);
    return NULL;
}

/* A fault's signal that is blocked kills the process without asking its handler. */
static void thread_mask_default(sigset_t *blocked_out)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigfillset(blocked_out);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(blocked_out, faults[i]);
}

static int thread_set_stack(pthread_attr_t *attr, size_t stack_bytes)
{
    if (stack_bytes == 0)
        return 0;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t least_bytes = (size_t)PTHREAD_STACK_MIN;
    size_t wanted_bytes = stack_bytes < least_bytes ? least_bytes : stack_bytes;
    if (wanted_bytes > SIZE_MAX - page_bytes)
        return ENOMEM;
    return pthread_attr_setstacksize(attr, (wanted_bytes + page_bytes - 1) / page_bytes * page_bytes);
}

static int thread_create(struct thread *thread, const struct thread_options *options, pthread_attr_t *attr)
{
    sigset_t blocked;
    thread_mask_default(&blocked);
    int error = pthread_attr_setsigmask_np(attr, options->blocked == NULL ? &blocked : options->blocked);
    if (error == 0)
        error = thread_set_stack(attr, options->stack_bytes);
    return error != 0 ? error : pthread_create(&thread->handle, attr, thread_main, thread);
}

int thread_start(struct thread *thread, const struct thread_options *options, thread_fn *fn, void *arg)
{
    static const struct thread_options defaults = {0};
    options = options == NULL ? &defaults : options;
    thread->fn = fn;
    thread->arg = arg;
    (void)snprintf(thread->name, sizeof(thread->name), "%s", options->name == NULL ? "" : options->name);
    pthread_attr_t attr;
    int error = pthread_attr_init(&attr);
    if (error != 0)
        return -error;
    error = thread_create(thread, options, &attr);
    pthread_attr_destroy(&attr);
    return -error;
}

void thread_join(struct thread *thread)
{
    (void)pthread_join(thread->handle, NULL);
}
