/*
 * Thread: start and join an operating-system thread, and tell threads apart.
 *
 * Only the runtime's driver and the executor start threads. A `struct thread` is embedded in its owner and stays where it is between a
 * successful thread_start() and thread_join().
 *
 *     struct thread_options options = {.name = "weft-loop-0"};
 *     int status = thread_start(&loop->thread, &options, loop_thread_main, loop);
 *     ...
 *     thread_join(&loop->thread);
 */
#ifndef LIB_BASE_THREAD_H
#define LIB_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A fiber can continue on another thread than it stopped on, and compilers keep the address of a thread-local across the switch. What
 * reads a thread-local is therefore a function of its own with this attribute, and calls thread_local_barrier() first: never inlined,
 * and never taken for a function whose second call could be left out.
 */
#define THREAD_LOCAL_ACCESSOR __attribute__((noinline))

#define thread_local_barrier() __asm__ __volatile__("" ::: "memory")

typedef void thread_fn(void *arg);

/* All zero is a good default. */
struct thread_options {
    const char *name;        /* cut to 15 bytes; NULL: the starting thread's */
    size_t stack_bytes;      /* 0: the system's; raised to its minimum */
    const sigset_t *blocked; /* the new thread's signal mask; NULL: all but those that a fault raises */
};

struct thread {
    pthread_t handle;
    thread_fn *fn;
    void *arg;
    char name[16];
};

/*
 * Start a thread that calls `fn(arg)`. From its first instruction on it blocks `options->blocked`, so that the process's signals go to
 * the threads that wait for them.
 *
 * thread:  any
 * memory:  `thread` stays borrowed until thread_join(); `options` may be NULL and is not kept
 * returns: 0; -EAGAIN when the system has no thread to give, -ENOMEM; then nothing was started
 */
int thread_start(struct thread *thread, const struct thread_options *options, thread_fn *fn, void *arg);

/*
 * Wait until the thread's function has returned. What it did happens before the return of this call.
 *
 * thread:  any but `thread`, once
 */
void thread_join(struct thread *thread);

/*
 * A number that no other living thread has; never 0, and free for reuse when the thread ends. Costs a call and no system call.
 *
 * thread:  any
 */
uintptr_t thread_id(void);

#endif
