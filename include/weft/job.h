/*
 * Job: fork–join inside a fiber. What is forked may be run by another loop, and usually is not; a join waits for it.
 *
 *     WEFT_JOB(long, fib, int, n)
 *     {
 *         if (n < 2)
 *             return n;
 *         WEFT_FORK(fib, n - 1);
 *         long right = WEFT_CALL(fib, n - 2);
 *         return WEFT_JOIN(fib) + right;
 *     }
 *
 *     static int compute(void *arg, void **result_out)
 *     {
 *         *result_out = arg;
 *         return WEFT_RUN(fib, 38, (long *)arg);
 *     }
 *
 *     weft_job_start(loop, compute, &result, &task);
 *
 * Jobs are typed, as this one, or closures: a function and a pointer into the caller's frame, with weft_closure_fork(), or with weft_fork()
 * where no job stack is at hand and mistakes shall be told.
 *
 * The forks of a fiber, of whatever kind, are joined newest first. A job that nobody stole is called by its join, as a
 * function. A stolen one runs as a child task of the task that forked it, in a fiber of its own with the largest stack, on the loop that
 * stole it, in the context that was current when it was offered. Jobs may await, sleep, and use streams; until they are joined their
 * arguments, and what these point to, must stay.
 *
 * A join is a suspension point. Between any two calls of this header the loop that runs the fiber may have served others, so that a
 * computation holds no I/O up, and a stealable fiber may have moved to another loop (see weft_loop_spawn() for what it promises).
 * A cancellation that is due at a join, or comes while it waits, reaches the stolen job too; the join waits for it all the same, and the
 * task is told at its next await. One that another await has delivered is the task's own to pass on.
 *
 * When a stack of jobs is full a fork runs its job at once, and what that returned is kept for the join in memory of its own. Nothing
 * here aborts.
 */
#ifndef WEFT_JOB_H
#define WEFT_JOB_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "weft/fiber.h"
#include "weft/job_stack.h"

/*
 * Always inlined, which comes before all else: a compiler that decides how deep to inline a recursion, and what of its body is worth it, then
 * sees the forks, joins and calls themselves, and the top as a number and not as a variable that has an address. Slots are copied by
 * __builtin_memcpy(): where the C library checks memcpy(), gcc inlines a recursion no more.
 */
#define WEFT_JOB_INLINE static inline __attribute__((always_inline, unused))

#ifdef __cplusplus
extern "C" {
#define WEFT_JOB_ASSERT static_assert
#else
#define WEFT_JOB_ASSERT _Static_assert
#endif

/* ---- any function, and a pointer into the caller's frame ------------------------------------------------------------------------ */

/*
 * A job of any kind.
 *
 * thread:  any loop
 * returns: what the join returns: 0 or above, or a status below 0
 */
typedef int weft_job_fn(void *arg);

/* One fork, in the frame that will join it. All fields are the library's. C++ says `struct` too: a function has the same name. */
struct weft_fork {
    weft_job_fn *fn;
    void *arg;
    struct weft_job_stack *stack;
    struct weft_job *job;
    int status;
    uint32_t state;
};

/*
 * Fork `fn(arg)`: from now on any loop of the runtime may run it. If the stack of jobs is full it runs here and now.
 *
 * thread:  a fiber
 * memory:  fork and arg stay borrowed until weft_join() has returned
 * returns: 0; WEFT_ENOFIBER; -ENOMEM; -EINVAL; then nothing was forked, and there is nothing to join
 */
int weft_fork(struct weft_fork *fork, weft_job_fn *fn, void *arg);

/*
 * Wait until the newest fork of this fiber, `fork`, has run, or run it.
 *
 * thread:  the fiber that forked it
 * returns: what its function returned; WEFT_ENOFIBER where no fiber runs; WEFT_EINVALIDSTATE if it was joined before, or is zeroed and
 *          was never forked; WEFT_EOTHERFIBER from another fiber than the one that forked; WEFT_EJOINORDER if a newer fork is not joined
 *          yet; -EINVAL
 */
int weft_join(struct weft_fork *fork);

/*
 * Start a job where no fiber runs: from a callback, a step task, or a thread outside of the runtime. It is a stealable task in a fiber
 * with the largest stack, in which everything of this header works.
 *
 * thread:  any
 * memory:  arg is borrowed until the task is done; *task_out, unless NULL, gets a reference
 * returns: 0; -ENOMEM; -EINVAL; WEFT_ECLOSED
 */
int weft_job_start(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_task **task_out);

/* ---- typed jobs ------------------------------------------------------------------------------------------------------------------- */

/*
 * Define the job `name`, a function from one argument to one result, both of up to WEFT_JOB_ARGUMENT_BYTES; more arguments go into a
 * struct. The body follows. It is `static`. Each fork of a body is joined before the body returns, and one by weft_fork() before the body
 * forks, joins or calls a job; under NDEBUG nobody looks, and what follows is undefined.
 */
#define WEFT_JOB(R, name, A, arg)                                                                                                          \
    static inline R name##_job(struct weft_job_stack *weft_stack_, struct weft_job *weft_top_, A arg);                                     \
    WEFT_JOB_ASSERT(sizeof(A) <= WEFT_JOB_ARGUMENT_BYTES && sizeof(R) <= WEFT_JOB_ARGUMENT_BYTES, "argument or result is too large");      \
    WEFT_JOB_INLINE R name##_call(struct weft_job_stack *stack, struct weft_job *top, A in)                                                \
    {                                                                                                                                      \
        R out = name##_job(stack, top, in);                                                                                                \
        assert(stack->top == top && WEFT_JOB_UNJOINED(name));                                                                              \
        return out;                                                                                                                        \
    }                                                                                                                                      \
    __attribute__((unused)) static inline void name##_stolen(struct weft_job_stack *stack, struct weft_job *job)                           \
    {                                                                                                                                      \
        A in;                                                                                                                              \
        __builtin_memcpy((void *)&in, job->argument, sizeof(in));                                                                          \
        R out = name##_call(stack, stack->top, in);                                                                                        \
        __builtin_memcpy(job->argument, (const void *)&out, sizeof(out));                                                                  \
    }                                                                                                                                      \
    __attribute__((noinline, cold, unused)) static void name##_fork_late(struct weft_job_stack *stack, A in)                               \
    {                                                                                                                                      \
        weft_job_fork(stack, name##_stolen, (const void *)&in, sizeof(in));                                                                \
    }                                                                                                                                      \
    WEFT_JOB_INLINE void name##_fork(struct weft_job_stack *stack, struct weft_job **top, A in)                                            \
    {                                                                                                                                      \
        struct weft_job *job = *top;                                                                                                       \
        assert(stack->top == job && "WEFT_JOB(" #name "): a function that weft_fork() forked in a body is not joined");                    \
        *top = job + 1;                                                                                                                    \
        if (__builtin_expect(job >= weft_atomic_load_relaxed(&stack->limit), 0)) {                                                         \
            name##_fork_late(stack, in);                                                                                                   \
            return;                                                                                                                        \
        }                                                                                                                                  \
        job->run = name##_stolen;                                                                                                          \
        __builtin_memcpy(job->argument, (const void *)&in, sizeof(in));                                                                    \
        stack->top = job + 1;                                                                                                              \
    }                                                                                                                                      \
    WEFT_JOB_INLINE R name##_call_here(struct weft_job_stack *stack, struct weft_job *const *top, A in)                                    \
    {                                                                                                                                      \
        return name##_call(stack, *top, in); /* read last: the argument may have moved it */                                               \
    }                                                                                                                                      \
    WEFT_JOB_INLINE R name##_join(struct weft_job_stack *stack, struct weft_job **top)                                                     \
    {                                                                                                                                      \
        struct weft_job *job = *top - 1;                                                                                                   \
        *top = job;                                                                                                                        \
        const void *late = __builtin_expect(job < stack->split, 0) ? weft_job_join(stack) : NULL;                                          \
        if (__builtin_expect(late != NULL, 0)) {                                                                                           \
            R out;                                                                                                                         \
            __builtin_memcpy((void *)&out, late, sizeof(out));                                                                             \
            return out;                                                                                                                    \
        }                                                                                                                                  \
        assert(job->run == name##_stolen && "WEFT_JOIN(" #name "): the newest fork is another job's, or was joined before");               \
        A in;                                                                                                                              \
        __builtin_memcpy((void *)&in, job->argument, sizeof(in));                                                                          \
        stack->top = job;                                                                                                                  \
        return name##_call(stack, job, in);                                                                                                \
    }                                                                                                                                      \
    __attribute__((unused)) static inline int name##_run(A in, R *result_out)                                                              \
    {                                                                                                                                      \
        struct weft_job_stack *stack;                                                                                                      \
        int status = result_out == NULL ? -EINVAL : weft_job_stack_here(WEFT_JOB_LAYOUT, &stack);                                          \
        if (status < 0)                                                                                                                    \
            return status;                                                                                                                 \
        int outer = stack->status;                                                                                                         \
        stack->status = 0;                                                                                                                 \
        R out = name##_call(stack, stack->top, in);                                                                                        \
        status = stack->status;                                                                                                            \
        stack->status = outer;                                                                                                             \
        if (status >= 0)                                                                                                                   \
            *result_out = out;                                                                                                             \
        return status;                                                                                                                     \
    }                                                                                                                                      \
    static inline R name##_job(__attribute__((unused)) struct weft_job_stack *weft_stack_,                                                 \
                               __attribute__((unused)) struct weft_job *weft_top_, A arg)

/* What an assertion of the macros above says. */
#define WEFT_JOB_UNJOINED(name) "WEFT_JOB(" #name "): its body returned with forks that were not joined"

/*
 * Fork the job `name` on `argument`.
 *
 * thread:  a fiber, in a job's body
 * memory:  argument is copied; what it points to stays borrowed until the join
 */
#define WEFT_FORK(name, argument) name##_fork(weft_stack_, &weft_top_, (argument))

/*
 * Wait until the newest fork, which was of `name`, has run, or run it. A second join of a fork, or one out of order, is an error of the
 * program: an assertion finds most of them, and under NDEBUG it is undefined.
 *
 * thread:  a fiber, in the job's body that forked it
 * returns: its result; zeroes if that was lost, of which WEFT_RUN() tells
 */
#define WEFT_JOIN(name) name##_join(weft_stack_, &weft_top_)

/*
 * Call the job `name` as a function; the argument may fork and join.
 *
 * thread:  a fiber, in a job's body
 * returns: its result
 */
#define WEFT_CALL(name, argument) name##_call_here(weft_stack_, &weft_top_, (argument))

/*
 * Run the job `name` and put its result in *result_out. -ENOMEM may also come at the end: a stack of jobs was full, there was no memory
 * for what a job returned that was run at its fork, and its join has given zeroes.
 *
 * thread:  a fiber, in a job's body or in any other function
 * returns: 0; WEFT_ENOFIBER; -ENOMEM; -EINVAL; WEFT_EPROTOCOL for another layout
 */
#define WEFT_RUN(name, argument, result_out) name##_run((argument), (result_out))

/* ---- for the macros ----------------------------------------------------------------------------------------------------------------- */

/*
 * The job stack of the fiber that runs here, borrowed from its loop at the first call.
 *
 * thread:  any
 * memory:  the fiber's until it ends
 * returns: 0; WEFT_ENOFIBER; -ENOMEM; -EINVAL; WEFT_EPROTOCOL if `layout` is not the library's
 */
int weft_job_stack_here(uint32_t layout, struct weft_job_stack **stack_out);

/*
 * Fork where the top is at the limit or above: somebody has asked for attention, or the stack is full. Then the job is run here and now.
 *
 * thread:  the fiber of `stack`
 * memory:  the argument is copied. NULL is ignored
 */
void weft_job_fork(struct weft_job_stack *stack, weft_job_run_fn *run, const void *argument, size_t argument_bytes);

/*
 * Join the newest fork where it may not be private: wait for its thief and pop it, or pop one that was run at its fork, or take it back.
 * What is taken back is left to the caller, whose compiler may have put the call into its own body: the same depth of a recursion then
 * runs in the same copy of that body, whoever looked at the clock on the way, and a processor foresees its branches.
 *
 * thread:  the fiber of `stack`
 * memory:  borrowed until the next fork
 * returns: its result; NULL if nobody has run it, and it is the newest still, for the caller to pop and to run; NULL for NULL
 */
__attribute__((cold)) const void *weft_job_join(struct weft_job_stack *stack);

/* ---- closures: any function, where the job stack is at hand -------------------------------------------------------------------------- */

/*
 * A job of any kind, which is told the job stack of the fiber that runs it: its own forks go there.
 *
 * thread:  any loop
 * returns: what the join returns
 */
typedef int weft_closure_fn(struct weft_job_stack *stack, void *arg);

/*
 * Run `fn(stack, arg)` here, in a fiber, so that it may fork, and put what it returns in *result_out. -ENOMEM may also come at the end, as
 * in WEFT_RUN().
 *
 * thread:  a fiber
 * returns: 0; WEFT_ENOFIBER; -ENOMEM; -EINVAL
 */
int weft_closure_run(weft_closure_fn *fn, void *arg, int *result_out);

/* For the calls below: what lies in the slot. */
struct weft_closure {
    weft_closure_fn *fn;
    void *arg;
};

/* Run a closure that was stolen, or whose stack was full. thread: any loop */
void weft_closure_stolen(struct weft_job_stack *stack, struct weft_job *job);

/*
 * What weft_closure_fork() does where the top is at the limit. Apart, so that a closure which is forked as usual has no address: it would be
 * written to memory before it is copied.
 *
 * thread:  the fiber of `stack`
 */
__attribute__((noinline, cold, unused)) static void weft_closure_fork_late(struct weft_job_stack *stack, struct weft_closure closure)
{
    weft_job_fork(stack, weft_closure_stolen, &closure, sizeof(closure));
}

/*
 * Fork `fn(stack, arg)`. In the body of a typed job it is joined before that forks, joins or calls a job.
 *
 * thread:  the fiber of `stack`, in a closure, with the stack that this was given
 * memory:  arg stays borrowed until the join
 */
static inline void weft_closure_fork(struct weft_job_stack *stack, weft_closure_fn *fn, void *arg)
{
    struct weft_job *job = stack->top;
    struct weft_closure closure = {fn, arg};
    if (__builtin_expect(job >= weft_atomic_load_relaxed(&stack->limit), 0)) {
        weft_closure_fork_late(stack, closure);
        return;
    }
    job->run = weft_closure_stolen;
    __builtin_memcpy(job->argument, &closure, sizeof(closure));
    stack->top = job + 1;
}

/*
 * Wait until the newest fork has run, which is a closure's, or run it. A second join of a fork, or one out of order, is an error of the
 * program: an assertion finds most of them, and under NDEBUG it is undefined.
 *
 * thread:  the fiber of `stack`, in the closure that forked it
 * returns: what its function returned; 0 if that was lost, of which weft_closure_run() tells
 */
static inline int weft_closure_join(struct weft_job_stack *stack)
{
    struct weft_job *job = stack->top - 1;
    struct weft_closure closure;
    const void *late = __builtin_expect(job < stack->split, 0) ? weft_job_join(stack) : NULL;
    if (__builtin_expect(late != NULL, 0)) {
        int result;
        __builtin_memcpy(&result, late, sizeof(result));
        return result;
    }
    assert(job->run == weft_closure_stolen && "weft_closure_join(): the newest fork is a job's, or was joined before");
    __builtin_memcpy(&closure, job->argument, sizeof(closure));
    stack->top = job;
    int result = closure.fn(stack, closure.arg);
    assert(stack->top == job && "a closure returned with forks that were not joined");
    return result;
}

#ifdef __cplusplus
}
#endif

#endif
