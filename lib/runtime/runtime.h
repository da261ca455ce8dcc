/*
 * Runtime, inside: the object, its drivers and the steps of its end.
 *
 *      runtime.c   life, and the run of a main task
 *      threads.c   the driver that gives each loop a thread        sim*.c  the driver that gives all loops one
 *      shutdown.c  the steps, in order                             sigint.c  ctrl-C
 *      monitor.c   the thread that looks after loops which do not come to their poller
 *
 * One thread at a time works on a runtime from outside, and it alone touches what is not said to be atomic below. It is called the
 * conductor. While loops run, it runs the main loop, except under weft_runtime_start(), where it does nothing.
 */
#ifndef LIB_RUNTIME_RUNTIME_H
#define LIB_RUNTIME_RUNTIME_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/parker.h"
#include "lib/base/random.h"
#include "lib/base/thread.h"
#include "lib/loop/loop.h"
#include "lib/runtime/monitor.h"
#include "lib/task/executor.h"
#include "weft/runtime.h"
#include "weft/task.h"

struct crew;
struct sim_drive;
struct weft_sim;
struct weft_sim_host;

/* The steps of the end. Each may be the last one that is taken before weft_runtime_destroy(). */
enum runtime_step {
    RUNTIME_STEP_REFUSE,   /* no new run; loops run, so that they can tidy up */
    RUNTIME_STEP_ACCEPT,   /* nothing new comes in: each room of each loop is told to refuse it */
    RUNTIME_STEP_DRAIN,    /* tasks may end by themselves */
    RUNTIME_STEP_CANCEL,   /* tasks are cancelled, and end */
    RUNTIME_STEP_EXECUTOR, /* jobs end */
    RUNTIME_STEP_JOIN,     /* threads end: from here on the conductor is alone */
    RUNTIME_STEP_QUIESCE,  /* what is queued runs */
    RUNTIME_STEP_CLOSE,    /* loops close, and their pollers with them */
    RUNTIME_STEP_COUNT,
};

/* One loop of a runtime. */
struct runtime_loop {
    struct loop_room_state room; /* first: hangs in the loop */
    struct weft_runtime *runtime;
    struct weft_loop *loop;
    struct monitor_view view;
    struct thread thread;
    bool has_thread;
    bool is_entered;        /* under the sim driver, which has no thread to enter it in */
    int cpu;                /* to bind its thread to; below 0: none */
    struct weft_work nudge; /* does nothing, but makes the loop turn */
    struct weft_work hook_work;
    uint32_t is_nudged;      /* atomic: the nudge is queued */
    uint32_t is_stop_asked;  /* atomic: leave after the present turn */
    uint32_t is_hook_posted; /* atomic: hook_work is queued */
    uint32_t hook_asked;     /* atomic: run the hooks up to and with this step */
    uint32_t hook_done;      /* atomic: steps whose hooks have run */
};

/* Called on every loop, in its thread, as a step begins; see runtime_at_shutdown(). */
struct runtime_hook {
    struct runtime_hook *next;
    enum runtime_step step;
    void (*fn)(struct weft_loop *loop, void *arg);
    void *arg;
};

/* While main runs: what a signal handler needs. See lib/runtime/sigint.c. */
struct runtime_sigint {
    struct weft_work first;
    struct weft_work second;
    struct sigaction before;   /* who handled it before us */
    uint32_t count;            /* atomic: signals since main began */
    uint32_t is_first_posted;  /* atomic */
    uint32_t is_second_posted; /* atomic */
    bool is_heard;             /* main was cancelled for the first */
    bool is_installed;
};

struct runtime_driver;

struct weft_runtime {
    const struct runtime_driver *driver;
    struct weft_runtime_options options;
    uint32_t loop_count;
    struct runtime_loop *loops;
    struct runtime_loop *main; /* one of them */
    struct weft_executor *executor;
    struct crew *crew;           /* its loops steal from each other */
    struct weft_task *main_task; /* while it runs */
    bool are_others_running;     /* all loops but main have been started */
    bool is_main_started;        /* and main too, in a thread of its own */
    uint32_t is_busy;            /* atomic: there is a conductor */
    uint32_t is_shutting;        /* atomic: loops go on whatever happens, and wake the conductor after each turn */
    uint32_t entered_count;      /* atomic: threads that have begun; the starting conductor waits for them */
    int32_t left_status;         /* atomic: the first reason why a loop left by itself; 0 if none did */
    uint32_t step;               /* the next one to take */
    uint64_t spin_max_ns;
    uint64_t deadline_ns; /* of the shutdown as a whole, on the main loop's clock */
    bool is_timed_out;
    struct weft_timer deadline; /* wakes the main loop at the end of a wait */
    struct parker parker;       /* the starting conductor's */
    struct monitor monitor;     /* the threads driver's */
    struct runtime_hook *hooks;
    bool is_cancelling;        /* the first round of cancels is over */
    uint64_t census;           /* tasks that the present walk has met */
    struct weft_task *witness; /* a task that was not done, see shutdown.c; referenced */
    struct random random;
    struct runtime_sigint sigint;
    struct weft_sim_host *host; /* the sim driver's, as all that follows: where it lives */
    struct weft_sim *world;     /* of that */
    struct sim_drive *drive;    /* of that */
    uint32_t boot_count;        /* of the host, as it was made: after a crash it is dead */
    bool owns_world;
};

/* What the conductor waits for. Called between turns of the main loop; what it needs is written before runtime_wake(). */
typedef bool runtime_condition_fn(struct weft_runtime *runtime);

/* What runs the loops. A table is static. */
struct runtime_driver {
    /* How many loops there are, if `options` do not say. */
    uint32_t (*count_cpus)(const struct weft_runtime_options *options);
    /* Prepare the options of the loops. Called once, before the first loop is made. 0 or below, and nothing is held. */
    int (*open)(struct weft_runtime *runtime);
    /* Undo open; also good if it failed or was not called. */
    void (*close)(struct weft_runtime *runtime);
    /* Begin to run all loops but the main one, and that one too if `with_main`. 0, or below and none runs. */
    int (*start)(struct weft_runtime *runtime, bool with_main);
    /*
     * Run the main loop in this thread until `is_true`. 0; -ETIMEDOUT at `deadline_ns` of the main loop's clock; WEFT_ESTOPPED or the fatal
     * status, unless the runtime is shutting down; -EDEADLK if nothing can happen any more.
     */
    int (*run_until)(struct weft_runtime *runtime, runtime_condition_fn *is_true, uint64_t deadline_ns);
    /* End what start began. */
    void (*stop)(struct weft_runtime *runtime);
    const struct executor_driver *threads; /* of loops */
    const struct executor_driver *jobs;    /* of the executor */
    const struct weft_loop_kind *(*kind)(void);
};

extern const struct runtime_driver runtime_driver_threads;
extern const struct runtime_driver runtime_driver_sim;

/* As weft_runtime_create(), on `driver`. */
int runtime_create(const struct weft_runtime_options *options, const struct runtime_driver *driver, struct weft_runtime **runtime_out);

/*
 * Call `hook->fn` once on each loop, in the loop's thread, as the shutdown comes to `hook->step`, which is at most
 * RUNTIME_STEP_EXECUTOR; the step waits for it. It is not called if the runtime is destroyed without coming there.
 *
 * thread:  the conductor, before shutdown
 * memory:  hook is borrowed until the runtime is destroyed
 */
void runtime_at_shutdown(struct weft_runtime *runtime, struct runtime_hook *hook);

/* Begin to run all loops but main, and main too if asked; and end that, with the fatal status that a loop was left with. thread: conductor */
int runtime_start(struct weft_runtime *runtime, bool with_main);
int runtime_stop(struct weft_runtime *runtime);

/* As weft_runtime_shutdown(), but stop before `end`. For tests: everything must be well wherever it stops. thread: the conductor */
int runtime_shutdown_until(struct weft_runtime *runtime, enum runtime_step end, int64_t timeout_ns);

/* Make a loop turn soon, also if it sleeps. Allocates nothing. thread: any */
void runtime_nudge(struct runtime_loop *loop);

/* Make the conductor look at its condition. thread: any */
void runtime_wake(struct weft_runtime *runtime);

/* Ask all loops to leave after their present turn. thread: any */
void runtime_ask_stop(struct weft_runtime *runtime);

/* Remember why a loop left by itself; the first reason counts. thread: any */
void runtime_left(struct weft_runtime *runtime, int status);

/* True once runtime_ask_stop() has been called. thread: the loop's, after a turn */
static inline bool runtime_is_stop_asked(const struct runtime_loop *each)
{
    return weft_atomic_load_relaxed(&each->is_stop_asked) != 0;
}

/* True from RUNTIME_STEP_REFUSE on. thread: any */
static inline bool runtime_is_shutting(const struct weft_runtime *runtime)
{
    return weft_atomic_load_relaxed(&runtime->is_shutting) != 0;
}

/* Begin and end to handle SIGINT for the present main task. One runtime of the process at a time: others go without. thread: conductor */
void runtime_sigint_install(struct weft_runtime *runtime);
void runtime_sigint_remove(struct weft_runtime *runtime);

/* The sim driver's world. */
static inline struct weft_sim *runtime_world(const struct weft_runtime *runtime)
{
    return runtime->world;
}

#endif
