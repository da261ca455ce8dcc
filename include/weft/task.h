/*
 * Task: a coroutine under way on a loop, and the lifetime support that lets others bring tasks of their own.
 *
 * Life cycle: weft_loop_create_task() → its first step is queued → it runs, waits, runs … on its home loop → it ends, and its waiters
 * get its result → weft_task_unref(). The loop holds a reference to every task that has not ended, so nobody else must. A task that was
 * made by weft_loop_spawn() is stealable: it runs on whatever loop of the runtime has time.
 *
 *     struct weft_task *task;
 *     if (weft_loop_create_task(loop, coro, NULL, &task) == 0) {
 *         weft_loop_run_until_complete(loop, &task->future, &value);
 *         weft_task_unref(task);
 *     }
 *
 * A task is a future: pass `&task->future` wherever a future goes. A third party's task type starts with a `struct weft_task`, is set up
 * with weft_task_init() and its own ops, and announces itself with weft_register_task(), weft_enter_task() and weft_leave_task(), as in
 * "Extending" of the asyncio documentation (PEP 3156, and Python's gh-91048 for swap).
 */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include "weft/coro.h"
#include "weft/future.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_task;

/*
 * What a type of task does in its own way. A NULL slot means "not known": weft_task_cancelling() is 0, and so on.
 */
struct weft_task_ops {
    size_t size; /* sizeof(struct weft_task_ops) as its author knew it */
    /*
     * Free the object around `task`; its last reference is gone.
     *
     * thread:  any
     */
    void (*destroy)(struct weft_task *task);
    /*
     * As weft_task_cancel(); NULL cancels the future and leaves the coroutine alone.
     *
     * thread:  any
     */
    bool (*cancel)(struct weft_task *task, const char *message);
    /*
     * As weft_task_cancelling().
     *
     * thread:  any
     */
    int (*cancelling)(const struct weft_task *task);
    /*
     * As weft_task_uncancel().
     *
     * thread:  the task's own
     */
    int (*uncancel)(struct weft_task *task);
    /*
     * As weft_task_get_coro().
     *
     * thread:  the loop's thread
     */
    struct weft_coro *(*get_coro)(const struct weft_task *task);
    /*
     * Let go the task where it waits, since its loop closes: it will not be run again.
     *
     * thread:  the closing one
     */
    void (*abandon)(struct weft_task *task);
};

/* The head of every task; all fields are the library's. */
struct weft_task {
    struct weft_future future;
    const struct weft_task_ops *ops;
    uint64_t id;     /* in the registry; 0 while not registered */
    uint64_t number; /* of the default name; 0 if it has a name */
    char *name;
    uint32_t is_entered; /* current on some loop */
    uint32_t ran_on;     /* index of the loop where it was current last */
    uint64_t parent_id;  /* of the task that forked it; 0 if none */
};

/* How a task is made. Start with WEFT_TASK_OPTIONS. */
struct weft_task_options {
    size_t size;
    const char *name;             /* copied; NULL: "Task-<n>" */
    struct weft_context *context; /* NULL: a copy of the present one */
    uint32_t flags;               /* WEFT_TASK_… */
    uint32_t reserved;
};

#define WEFT_TASK_OPTIONS                                                                                                                  \
    {                                                                                                                                      \
        sizeof(struct weft_task_options), NULL, NULL, 0, 0                                                                                 \
    }

#define WEFT_TASK_EAGER_START        1u /* run the first step inside the creating call, if the loop runs in this thread */
#define WEFT_TASK_NO_DESTROY_PENDING 2u /* do not report "destroyed but it is pending" */

/*
 * Makes the tasks of a loop, as weft_task_new() does.
 *
 * thread:  as weft_loop_create_task()
 */
typedef int weft_task_factory_fn(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, void *arg,
                                 struct weft_task **task_out);

/*
 * Create a task of `coro` through the loop's task factory, and queue its first step.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  coro belongs to the task from now on, and is closed if this fails; *task_out, unless NULL, gets a reference
 * returns: 0; -ENOMEM; -EINVAL; WEFT_EPROTOCOL for a coroutine without its slots; WEFT_ECLOSED; WEFT_EWRONGTHREAD; what the factory
 *          returned
 */
int weft_loop_create_task(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options,
                          struct weft_task **task_out);

/*
 * The same from any thread.
 *
 * thread:  any
 * memory:  as weft_loop_create_task()
 * returns: 0; -ENOMEM; -EINVAL; WEFT_EPROTOCOL; WEFT_ECLOSED
 */
int weft_loop_create_task_threadsafe(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options,
                                     struct weft_task **task_out);

/*
 * Create a stealable task: any loop of the runtime that `loop`, its home, belongs to may run each of its steps. Past the factory.
 *
 * Its steps come one after the other, each seeing what the one before did; in which order it runs beside other tasks, and where, is not
 * promised, and an await that does not wait moves it too. What is bound to a loop's thread is reached as from anywhere: through futures,
 * the …_threadsafe calls, and streams. While it sleeps, waits with a timeout or is in a group, it stays on the loop where that began, and
 * inside a call of a stream on the stream's. Its coroutine promises in return not to keep across an await (a join is one)
 *
 * - which loop or thread runs it, or the address or value of a thread-local: in C even `errno` is one, read it by weft_errno()
 * - a lock that belongs to a thread, a pthread mutex for one
 *
 * On a loop without a runtime, and from the shutdown on, it runs at its home.
 *
 * thread:  any
 * memory:  as weft_loop_create_task()
 * returns: 0; -ENOMEM; -EINVAL; WEFT_EPROTOCOL; WEFT_ECLOSED
 */
int weft_loop_spawn(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, struct weft_task **task_out);

/*
 * Create a task past the factory, as a factory does.
 *
 * thread:  as weft_loop_create_task()
 * memory:  as weft_loop_create_task()
 * returns: as weft_loop_create_task()
 */
int weft_task_new(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, struct weft_task **task_out);

/*
 * Install the maker of tasks, or weft_task_new() for NULL.
 *
 * thread:  the loop's thread, or the preparing one while it does not run
 * memory:  arg stays borrowed until the next call
 * returns: 0; -EINVAL; -ENOMEM; WEFT_ECLOSED; WEFT_EWRONGTHREAD
 */
int weft_loop_set_task_factory(struct weft_loop *loop, weft_task_factory_fn *factory, void *arg);

/*
 * The installed factory.
 *
 * thread:  the loop's thread
 * returns: NULL if it is the default one
 */
weft_task_factory_fn *weft_loop_get_task_factory(struct weft_loop *loop);

/*
 * Run the loop until `future` is done.
 *
 * thread:  any in which no loop runs
 * memory:  future stays borrowed
 * returns: as weft_future_result(); WEFT_ESTOPPED if the loop was stopped before; what weft_loop_run_forever() returns; -ENOMEM; -EINVAL
 *          also if future belongs to another loop
 */
int weft_loop_run_until_complete(struct weft_loop *loop, struct weft_future *future, void **value_out);

/*
 * Add a reference.
 *
 * thread:  any
 * returns: task
 */
struct weft_task *weft_task_ref(struct weft_task *task);

/*
 * Drop a reference. NULL is ignored.
 *
 * thread:  any
 */
void weft_task_unref(struct weft_task *task);

/*
 * Ask the task to stop: -ECANCELED is raised where it waits, and what it waits for is cancelled too. It decides itself what that means.
 * Each call counts, see weft_task_cancelling(); requests that come before the delivery are delivered as one, with the first message.
 *
 * thread:  any
 * memory:  message (may be NULL) stays borrowed as long as the task lives: use a literal
 * returns: false if it was done already
 */
bool weft_task_cancel(struct weft_task *task, const char *message);

/*
 * How many cancellations were asked for, less those taken back.
 *
 * thread:  any
 */
int weft_task_cancelling(const struct weft_task *task);

/*
 * Take back one request. At zero a request that was not delivered yet is dropped.
 *
 * thread:  any; it makes sense in the task itself
 * returns: how many are left
 */
int weft_task_uncancel(struct weft_task *task);

/*
 * The coroutine.
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  borrowed from the task, which frees it as it ends
 * returns: NULL once it has ended, or if the type of task does not tell
 */
struct weft_coro *weft_task_get_coro(const struct weft_task *task);

/*
 * The context it runs in.
 *
 * thread:  the loop's thread
 * memory:  borrowed from the task
 * returns: NULL means the empty context
 */
struct weft_context *weft_task_get_context(const struct weft_task *task);

/*
 * Copy the name, cut to `buf_bytes` and always ended with a zero.
 *
 * thread:  any, while nobody sets it
 * returns: the length of the whole name
 */
size_t weft_task_get_name(const struct weft_task *task, char *buf, size_t buf_bytes);

/*
 * The index, in its runtime, of the loop that executed its last step; its home's before the first.
 *
 * thread:  any; it may be old when it is told
 */
uint32_t weft_task_ran_on(const struct weft_task *task);

/*
 * The id of the task that forked this one: a stolen job is a child of the task that was to run it.
 *
 * thread:  any
 * returns: 0 if it is no child, or its parent was not registered then
 */
uint64_t weft_task_parent_id(const struct weft_task *task);

/*
 * Give it a name.
 *
 * thread:  the loop's thread
 * memory:  name is copied
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_task_set_name(struct weft_task *task, const char *name);

/* ---- for those who bring tasks of their own ------------------------------------------------------------------------------------- */

/*
 * Make the zeroed `task`, the head of another object, a pending task of `loop` with one reference. It is not registered.
 *
 * thread:  any
 * memory:  `ops` is static; context (may be NULL) is referenced
 * returns: 0; -EINVAL; WEFT_EINVALIDSTATE if it was initialised before; WEFT_EPROTOCOL for ops without a size
 */
int weft_task_init(struct weft_task *task, struct weft_loop *loop, const struct weft_task_ops *ops, struct weft_context *context);

/*
 * End the task: with `value` if `status` is 0, with that exception if it is below 0, or as cancelled for -ECANCELED. It unregisters.
 *
 * thread:  any, once
 * returns: 0; -EINVAL; WEFT_EINVALIDSTATE if it is done
 */
int weft_task_finish(struct weft_task *task, int status, void *value);

/*
 * Make `task` visible in all_tasks(). Registering twice is harmless.
 *
 * thread:  any
 * memory:  the registry holds a reference until weft_unregister_task(); the loop drops it when it closes
 * returns: 0; -ENOMEM; -EINVAL; WEFT_EFULL at 2^32 tasks
 */
int weft_register_task(struct weft_task *task);

/*
 * Take it out again. Unregistering what is not registered is harmless.
 *
 * thread:  any
 */
void weft_unregister_task(struct weft_task *task);

/*
 * Say that `loop`, which runs in this thread, now executes `task`.
 *
 * thread:  the loop's thread
 * memory:  task stays borrowed until weft_leave_task()
 * returns: 0; -EINVAL; WEFT_ETASKBUSY if any task is entered on `loop`, or `task` is elsewhere; WEFT_ENOTRUNNINGLOOP; WEFT_EFORBIDDEN for a
 *          task of the library's that is stealable, or whose home is another loop, unless it is in a step on `loop`
 */
int weft_enter_task(struct weft_loop *loop, struct weft_task *task);

/*
 * Say that it no longer does.
 *
 * thread:  the loop's thread
 * returns: 0; -EINVAL; WEFT_ETASKMISMATCH if it is not the one that was entered; WEFT_ENOTRUNNINGLOOP
 */
int weft_leave_task(struct weft_loop *loop, struct weft_task *task);

/*
 * Put `task` (NULL: none) in the place of the entered one, for code that runs a step inside another task's step.
 *
 * thread:  the loop's thread
 * memory:  as weft_enter_task()
 * returns: 0 and the one from before, NULL for none; -EINVAL; WEFT_ETASKBUSY if `task` is entered elsewhere; WEFT_ENOTRUNNINGLOOP;
 *          WEFT_EFORBIDDEN as weft_enter_task()
 */
int weft_swap_current_task(struct weft_loop *loop, struct weft_task *task, struct weft_task **previous_out);

/*
 * The task that runs in this thread; never cache it across an await of stealable work.
 *
 * thread:  any loop
 * returns: 0 and *task_out, NULL in a plain callback; WEFT_ENOLOOP if no loop runs here; -EINVAL
 */
int weft_current_task(struct weft_task **task_out);

/*
 * The id of the task that `loop` executes, read wait-free.
 *
 * thread:  any
 * returns: 0 if none; UINT64_MAX for one that is not registered
 */
uint64_t weft_loop_current_task_id(const struct weft_loop *loop);

/*
 * Find a registered task by its id, which stays safe to hold after the task has gone.
 *
 * thread:  any
 * memory:  the caller gets a reference
 * returns: NULL if it is not registered any more
 */
struct weft_task *weft_task_from_id(uint64_t id);

/*
 * Collect the registered tasks of `loop` (NULL: of all loops) that are not done: all that were registered before the call and are not
 * done at its return, none twice; what changes meanwhile may be in it or not. Nobody is paused.
 *
 * thread:  any
 * memory:  *tasks_out is freed with weft_all_tasks_free(), which drops the references it holds
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_all_tasks(struct weft_loop *loop, struct weft_task ***tasks_out, size_t *count_out);

/*
 * Free what weft_all_tasks() gave. NULL is ignored.
 *
 * thread:  any
 */
void weft_all_tasks_free(struct weft_task **tasks, size_t count);

#ifdef __cplusplus
}
#endif

#endif
