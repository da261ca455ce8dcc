/*
 * Fiber: a coroutine with a stack of its own, so that a task reads as straight-line code.
 *
 *     static int greet(void *arg, void **result_out)
 *     {
 *         void *name;
 *         int status = weft_await(arg, &name);
 *         if (status < 0)
 *             return status;
 *         status = weft_sleep(1000000);
 *         *result_out = name;
 *         return status;
 *     }
 *
 *     weft_fiber_new(greet, future, NULL, &coro);
 *     weft_loop_create_task(loop, coro, NULL, NULL);
 *
 * The calls below suspend the fiber that runs in this thread. A status below 0 from one of them is what was raised there: the awaited
 * failure, or -ECANCELED when the task was asked to stop. When a loop closes over a fiber that waits, the wait and all that follow return
 * WEFT_ECLOSED, so that the body can let go of what it holds and return. Code without a fiber gets WEFT_ENOFIBER.
 */
#ifndef WEFT_FIBER_H
#define WEFT_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/coro.h"
#include "weft/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The body of a fiber. Its value goes to *result_out, NULL at first.
 *
 * thread:  the executing loop's
 * returns: 0, or the status below 0 that the task ends with
 */
typedef int weft_fiber_fn(void *arg, void **result_out);

/* How much stack a fiber has. */
enum weft_stack_class {
    WEFT_STACK_SMALL = 0,  /* 64 KiB */
    WEFT_STACK_MEDIUM = 1, /* 1 MiB */
    WEFT_STACK_LARGE = 2,  /* 8 MiB */
};

/* How a fiber is made. Start with WEFT_FIBER_OPTIONS. */
struct weft_fiber_options {
    size_t size;
    enum weft_stack_class stack;
    uint32_t reserved;
};

#define WEFT_FIBER_OPTIONS                                                                                                                 \
    {                                                                                                                                      \
        sizeof(struct weft_fiber_options), WEFT_STACK_SMALL, 0                                                                             \
    }

/*
 * Create a fiber that will run `fn(arg)`. Its stack is taken when it starts.
 *
 * thread:  any
 * memory:  *coro_out belongs to the task that is made of it; arg stays borrowed until the fiber ended
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_fiber_new(weft_fiber_fn *fn, void *arg, const struct weft_fiber_options *options, struct weft_coro **coro_out);

/*
 * Create a fiber and a task of it in one call; `task_out` may be NULL.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  as weft_fiber_new() and weft_loop_create_task()
 * returns: as those
 */
int weft_loop_create_fiber(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_task **task_out);

/*
 * The same for a stealable fiber, see weft_loop_spawn(): any loop of the runtime runs it, and after each of the calls below it may be
 * another one.
 *
 * thread:  any
 * memory:  as weft_loop_spawn()
 * returns: as that
 */
int weft_loop_spawn_fiber(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_task **task_out);

/*
 * The errno of the thread that runs here now. A stealable fiber uses this in place of `errno` once it has awaited anything: C libraries
 * declare the function behind that name as one without side effects that always gives the same address (glibc: `const`), so a compiler
 * may go on using the address that it got in another thread, before the fiber was moved.
 *
 * thread:  any
 */
int weft_errno(void);

/*
 * Wait until `future` is done; one that is done already is not waited for. `value_out` may be NULL.
 *
 * thread:  a fiber
 * memory:  the caller holds a reference to future
 * returns: as weft_future_result(); what was raised into the task; WEFT_ENOFIBER; WEFT_EAWAITSELF; WEFT_ECLOSED when the loop closes;
 *          -EINVAL
 */
int weft_await(struct weft_future *future, void **value_out);

/*
 * The same with WEFT_AWAIT_… flags.
 *
 * thread:  a fiber
 * memory:  as weft_await()
 * returns: as weft_await()
 */
int weft_await_flags(struct weft_future *future, uint32_t flags, void **value_out);

/*
 * Let the others have one iteration.
 *
 * thread:  a fiber
 * returns: 0; what was raised into the task; WEFT_ENOFIBER; WEFT_ECLOSED when the loop closes
 */
int weft_yield(void);

/*
 * Sleep for `delay_ns`; zero or less is weft_yield().
 *
 * thread:  a fiber
 * returns: as weft_yield(); -ENOMEM
 */
int weft_sleep(int64_t delay_ns);

/*
 * Wait for `future`, but no longer than `timeout_ns` (below 0: for ever): then it is cancelled, as by weft_task_cancel() on the present
 * task. With 0 a future that is not done is cancelled at once, and waited for. What comes of that is returned, also a
 * result. Once a longer timeout has cancelled the task, -ETIMEDOUT is returned even if the result came at that moment: the future has it.
 *
 * thread:  a fiber
 * memory:  as weft_await()
 * returns: as weft_await(); -ETIMEDOUT; -ENOMEM; WEFT_ENOTASK if a fiber runs here without a current task
 */
int weft_wait_for(struct weft_future *future, int64_t timeout_ns, void **value_out);

/*
 * A future that completes `delay_ns` from now, for coroutines without a stack. Cancelling it stops its timer; closing the loop cancels it.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  the caller holds one reference
 * returns: 0; -ENOMEM; -EINVAL; WEFT_ECLOSED; WEFT_EWRONGTHREAD
 */
int weft_loop_sleep(struct weft_loop *loop, int64_t delay_ns, struct weft_future **future_out);

/* ---- stacks that are too small ------------------------------------------------------------------------------------------------ */

/* What ran off the stack of a fiber; all is borrowed for the call. */
struct weft_stack_overflow {
    size_t size;           /* sizeof(struct weft_stack_overflow) as the library knew it */
    const void *address;   /* that was touched: within the 64 KiB below the stack, or above it */
    size_t stack_bytes;    /* of the stack's class */
    bool is_above;         /* it was left past its top, as by a copy too long into a local array */
    uint64_t task_id;      /* of the task that runs there, see weft_task_from_id(); 0 if it is not registered */
    const char *task_name; /* NULL if no task runs there */
};

/*
 * Hear of an overflow. It is called from a signal handler, on a signal stack of at least 8 KiB, in the middle of whatever was going on: only
 * what is async-signal-safe may be called, of this library nothing. When it returns the signal goes on to who handled it before.
 *
 * thread:  the one that ran off the stack
 */
typedef void weft_stack_overflow_fn(const struct weft_stack_overflow *overflow, void *arg);

/*
 * Install the handler that says which task has run off its stack. Without it a fiber that does so ends the process with a SIGSEGV, and
 * nothing says why.
 *
 * SIGSEGV and SIGBUS are handled from then on, on signal stacks: each thread gets one (sigaltstack) as it next runs a fiber, or as it begins
 * to take an executor's jobs, unless it has one of its own that is large enough, and keeps it until it ends. A fault in the guard next to
 * the stack that runs there is told to `fn`, or by one line on standard error if that is NULL:
 *
 *     weft: stack overflow in task 12 "reader": 0x7f52c03bffe0 lies below its stack of 65536 bytes
 *
 * Then, and for every other fault at once, the handler that was installed before is called, with its mask, but on the signal stack; if there
 * was none the process ends by the signal, and its core shows where. Faults on a thread's own stack are not told.
 *
 * The guard below a stack is 64 KiB wide. Code that skips more than that in one step, as a frame with a large array can if it was built
 * without -fstack-clash-protection, is not caught; nor is a system call that is given an address in the guard: that fails with EFAULT. The
 * guard above is the next stack's, so a fiber without a neighbour there has none.
 *
 * Installs are counted; only one of them may bring an `fn`, which the others use too. Where somebody has set SIG_DFL or SIG_IGN since, the next
 * one handles the signal again. WEFT_RUNTIME_HANDLE_STACK_OVERFLOW does this for as long as a runtime lives.
 *
 * thread:  any
 * memory:  arg stays borrowed until the last weft_stack_overflow_remove()
 * returns: 0; -EBUSY if there is an fn already
 */
int weft_stack_overflow_install(weft_stack_overflow_fn *fn, void *arg);

/*
 * Undo one install. With the last one the handlers from before are put back; where somebody has installed another one since, that stays, and
 * ours, below it, only hands on. Signal stacks stay until their threads end.
 *
 * thread:  any
 */
void weft_stack_overflow_remove(void);

#ifdef __cplusplus
}
#endif

#endif
