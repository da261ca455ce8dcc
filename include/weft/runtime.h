/*
 * Runtime: as many loops as there are processors, run, stopped and shut down together.
 *
 * The whole of most programs:
 *
 *     struct weft_coro *coro;
 *     int status = weft_fiber_new(serve, NULL, NULL, &coro);
 *     if (status == 0)
 *         status = weft_run(coro, NULL, NULL);
 *
 * Life cycle otherwise: weft_runtime_create() → weft_runtime_run(), any number of times, or weft_runtime_start() and weft_runtime_stop() →
 * weft_runtime_shutdown() → weft_runtime_destroy(). The loops exist from create to destroy; between runs their tasks wait. The thread that
 * calls weft_runtime_run() becomes the main loop's thread for the time; each other loop has a thread of its own. All tasks are pinned to
 * the loop that they were made on unless they say otherwise, so that what is true with one loop is true with many.
 *
 * A weft_loop_stop() on any of the loops ends the run of all of them.
 *
 * After fork() a child has one thread, and so no running loop: its copies of the parent's loops, runtimes and executors are lost to it.
 * Calls that begin, queue, run, wait for or end anything there return WEFT_EFORKED (weft_loop_call_soon() and its like,
 * weft_loop_create_task() and its like, weft_executor_submit(), weft_loop_run_forever(), weft_loop_stop(), weft_loop_close(),
 * weft_future_wait(), weft_runtime_run(), …_start(), …_stop(), …_shutdown(), weft_executor_shutdown()); weft_runtime_destroy() and the last
 * unref of a loop or an executor do nothing: the memory stays, and so do the descriptors, as with any fork. What reaches the kernel through
 * them is cut off, so that the child cannot disturb the parent. Of the objects on those loops (tasks, futures, transports, streams,
 * handles, timers) only references may be dropped, and what is documented for any thread may be asked.
 *
 * The child may do what it likes with a runtime of its own, wherever the fork was: in a callback, a task, a fiber, a job, or a thread of
 * the executor too, since weft_get_running_loop() is NULL there, and calls that would suspend say WEFT_ENOFIBER. What it must not do is to
 * return from there: it ends in exec or _exit(). If it does return, nothing more of the loop is run, and a run or a close that it began in
 * this very thread ends with WEFT_EFORKED; a thread of the runtime's or the executor's own ends, and with it the process. The handler of
 * WEFT_RUNTIME_HANDLE_SIGINT is taken back in the child. A fork inherits its thread's signal mask, and threads of the library's own block
 * all signals but those of faults: who forks there unblocks what the child, or what it executes, is to hear. vfork(), posix_spawn() and
 * exec at once are always good; a bare clone(), or _Fork(), is not told of, and for exec only.
 *
 * Under the simulator's driver all loops take turns on the calling thread, in an order that depends on the seed alone, and time is theirs:
 * it passes when no loop has anything to do. Equal seeds give equal runs. Several such runtimes may share a world with hosts and a network
 * between them: see weft/sim.h.
 */
#ifndef WEFT_RUNTIME_H
#define WEFT_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include "weft/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_coro;
struct weft_executor;
struct weft_runtime;

/* What runs the loops. */
enum weft_runtime_driver {
    WEFT_DRIVER_THREADS = 0, /* a thread for each */
    WEFT_DRIVER_SIM = 1,     /* the calling thread for all, in virtual time */
};

#define WEFT_RUNTIME_PIN_THREADS           1u /* bind each loop's thread to a processor; the thread of weft_runtime_run() is left alone */
#define WEFT_RUNTIME_HANDLE_SIGINT         2u /* while main runs, the first SIGINT cancels it, the second ends the run at once */
#define WEFT_RUNTIME_HANDLE_STACK_OVERFLOW 4u /* weft_stack_overflow_install() (weft/fiber.h) for as long as the runtime lives */

/* How a runtime is made. Start with WEFT_RUNTIME_OPTIONS; zeros are defaults, also for fields that the caller's `size` leaves out. */
struct weft_runtime_options {
    size_t size;
    uint32_t loops;     /* 0: one for each processor that the process, or the simulated host, may use, its quota counted */
    uint32_t main_loop; /* the index of the loop that runs main */
    uint32_t flags;     /* WEFT_RUNTIME_… */
    enum weft_runtime_driver driver;
    const struct weft_loop_kind *kind;            /* NULL: the driver's own: epoll, sim */
    const struct weft_loop_options *loop_options; /* of each loop; NULL: the defaults. Without a host in it the sim driver brings a world */
    uint64_t seed;                                /* of the sim driver */
    /*
     * How long a loop looks before it sleeps, at most: less while nothing comes in that time. 0: 50 µs if each loop has a processor, and
     * less while nothing but I/O comes, so that one which only serves clients sleeps at once; below 0: never.
     */
    int64_t spin_max_ns;
    uint32_t executor_threads_max; /* as in weft_executor_options */
    uint32_t executor_queue_max;
    /* How long the steps of weft_runtime_shutdown() may take. */
    int64_t drain_ns;    /* for tasks to end by themselves; 0: they are cancelled at once, as asyncio.run() does */
    int64_t cancel_ns;   /* for cancelled tasks to end; 0: no limit */
    int64_t executor_ns; /* for the executor's jobs; 0: 300 s */
    /*
     * A callback that has not returned for so long is reported, and again each time that has doubled, to the exception handler of its loop:
     * "a callback has not returned", with duration_ns and the task if there is one. The runtime's own thread calls the handler, beside the
     * loop, which is not there to do it; the handler must return without waiting for the loop. 0: 1 s; below 0: never. It is noticed
     * within some 20 ms. Not under the sim driver, and not if the system has no thread to give for it.
     */
    int64_t stall_ns;
};

#define WEFT_RUNTIME_OPTIONS                                                                                                               \
    {                                                                                                                                      \
        sizeof(struct weft_runtime_options), 0, 0, 0, WEFT_DRIVER_THREADS, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0                              \
    }

/*
 * Create a runtime: its loops and its executor, which is the default one of each loop. Nothing runs yet, and the loops may be prepared.
 * `options` may be NULL.
 *
 * thread:  any
 * memory:  options are copied; kind and loop_options stay borrowed until the runtime is destroyed
 * returns: 0; -ENOMEM; -EINVAL; what weft_loop_new_options() and weft_stack_overflow_install() return
 */
int weft_runtime_create(const struct weft_runtime_options *options, struct weft_runtime **runtime_out);

/*
 * How many loops it has.
 *
 * thread:  any
 * returns: at least 1
 */
uint32_t weft_runtime_loop_count(const struct weft_runtime *runtime);

/*
 * The loop with number `index`, from 0.
 *
 * thread:  any
 * memory:  borrowed until the runtime is destroyed; a reference of one's own keeps the memory longer
 * returns: NULL if there is none
 */
struct weft_loop *weft_runtime_loop(const struct weft_runtime *runtime, uint32_t index);

/*
 * The runtime that `loop` belongs to.
 *
 * thread:  the loop's thread, or any other as long as the runtime is known to live
 * returns: NULL for a loop alone, and for one that is closed
 */
struct weft_runtime *weft_runtime_of(const struct weft_loop *loop);

/*
 * The executor that its loops share.
 *
 * thread:  any
 * memory:  borrowed until the runtime is destroyed
 */
struct weft_executor *weft_runtime_executor(const struct weft_runtime *runtime);

/*
 * Run `coro` as the main task, and return when it has ended. All loops run meanwhile; what other tasks have not finished stays as it is,
 * for the next run or for the shutdown. A runtime that weft_runtime_start() started takes tasks by weft_loop_create_task_threadsafe() instead.
 *
 * thread:  any in which no loop runs, one at a time
 * memory:  coro belongs to its task from now on, and is closed if this fails before the task exists; *value_out, unless NULL, is
 *          untouched if main fails
 * returns: 0; what main ended with; the fatal status with which a loop was left, WEFT_ESTOPPED if it was stopped; WEFT_EINTERRUPT after a
 *          SIGINT that main did not survive; WEFT_ERUNNING; WEFT_EOTHERLOOP if a loop runs in this thread; WEFT_ECLOSED after shutdown;
 *          WEFT_EFORKED; -EAGAIN if the system has no thread to give; -EDEADLK under the sim driver if nothing can happen any more; -ENOMEM; -EINVAL
 */
int weft_runtime_run(struct weft_runtime *runtime, struct weft_coro *coro, void **value_out);

/*
 * Start all loops, each in a thread of its own, and return when they run. Tasks come by weft_loop_create_task_threadsafe(). Under
 * the sim driver there are no threads: what is started runs whenever somebody waits for something in its world, inside weft_runtime_run(),
 * weft_runtime_shutdown() or weft_sim_run().
 *
 * thread:  any in which no loop runs, one at a time
 * returns: 0; WEFT_ERUNNING; WEFT_ECLOSED after shutdown; WEFT_EFORKED; WEFT_EOTHERLOOP; -EAGAIN if the system has no thread to give, and
 *          then nothing runs; -EINVAL
 */
int weft_runtime_start(struct weft_runtime *runtime);

/*
 * Stop all loops and join their threads. Tasks and what is queued stay as they are. Stopping a stopped one is harmless.
 *
 * thread:  any in which no loop runs, one at a time
 * returns: 0; the fatal status with which a loop was left; WEFT_EFORKED; WEFT_EOTHERLOOP; -EINVAL
 */
int weft_runtime_stop(struct weft_runtime *runtime);

/*
 * Shut down in order: no new run → nothing new comes in → tasks may end by themselves, for drain_ns → the rest are cancelled, and waited
 * for → the executor's jobs end → threads are joined → what is queued runs → the loops close. Each wait ends at its own limit or after
 * `timeout_ns` (below 0: for ever) in all, and then the next step is taken: tasks that are left are abandoned as their loop closes, jobs
 * that run are left alone. A task that fails as it is cancelled is reported to its loop's exception handler.
 *
 * thread:  any in which no loop runs, one at a time; it runs the main loop meanwhile
 * returns: 0; -ETIMEDOUT if anything was left; -EAGAIN, -ENOMEM if the loops cannot be run: call it again, or destroy; WEFT_EFORKED;
 *          WEFT_EOTHERLOOP; -EINVAL
 */
int weft_runtime_shutdown(struct weft_runtime *runtime, int64_t timeout_ns);

/*
 * Destroy; what was not shut down is, as far as it goes without waiting: tasks that are left are abandoned. NULL is ignored.
 *
 * thread:  any in which no loop runs, the last one to use it
 */
void weft_runtime_destroy(struct weft_runtime *runtime);

#define WEFT_RUNTIME_ALL UINT32_MAX /* in place of an index: the sum over the loops */

/*
 * Copy the counters of one loop, or of all.
 *
 * thread:  any
 * returns: 0; -EINVAL
 */
int weft_runtime_get_counters(const struct weft_runtime *runtime, uint32_t index, struct weft_loop_counters *counters_out);

/*
 * Create a runtime, run `coro` as its main task, shut down as weft_runtime_shutdown() and destroy (asyncio.run). `options` and `value_out`
 * may be NULL.
 *
 * thread:  any in which no loop runs
 * memory:  coro is the task's, and is closed if this fails before the task exists
 * returns: as weft_runtime_create() and weft_runtime_run(); what the shutdown met is told by the exception handlers only
 */
int weft_run(struct weft_coro *coro, const struct weft_runtime_options *options, void **value_out);

#ifdef __cplusplus
}
#endif

#endif
