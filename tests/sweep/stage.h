/*
 * The stage of the sweeps: one run of one scenario with at most one fault, on loops of its own, with nothing left behind.
 *
 *     stage opens its loops ──> the fault is armed ──> the main task runs ──> the fault is lifted ──> what it left is cancelled
 *                           ──> each loop runs a fiber and a timer ──> the loops close ──> everything must be as before
 *
 * A scenario is the body of its main task, usually a fiber. It creates what it needs, returns the first status below 0 that it meets, and
 * hands what it has not let go to the stage; it must be ready for each of its calls to say -ENOMEM, and for -ECANCELED at each wait.
 */
#ifndef TESTS_SWEEP_STAGE_H
#define TESTS_SWEEP_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/coro.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/status.h"
#include "weft/task.h"
#include "weft/timer.h"

enum { KEPT_MAX = 32, WORDS_MAX = 16, STATUSES_MAX = 6 };

#define MICROSECOND INT64_C(1000)
#define MILLISECOND INT64_C(1000000)
#define SECOND      INT64_C(1000000000)

/* What goes wrong in a run. */
enum fault_mode {
    FAULT_NONE,
    REFUSE_ONE,        /* allocation n */
    REFUSE_FROM,       /* allocation n and all later ones, until the stage's own timer relieves them */
    CANCEL_WAITING,    /* once, while the main task is at its suspension n */
    CANCEL_SUSPENDING, /* once, from within the step that ends in suspension n */
    CANCEL_TWICE,      /* two requests at suspension n */
    CANCEL_CLEANUP,    /* at suspension n, and at the next one, which is in the cleanup if there is any */
    CANCEL_ALWAYS,     /* at suspension n and all later ones */
    CANCEL_STARVED,    /* at suspension n, and from then on no allocation succeeds */
    FAULT_MODES,
};

struct fault {
    enum fault_mode mode;
    uint64_t n; /* from 1 */
};

enum stage_kind {
    ON_SIM,    /* one loop with virtual time */
    ON_EPOLL,  /* one loop over the kernel */
    ON_TWO,    /* a runtime of two loops under the simulator's driver */
    BY_ITSELF, /* no loop: `run` makes what it needs */
};

struct stage;

/* One row of the sweeps' table. */
struct scenario {
    const char *name;
    enum stage_kind kind;
    weft_fiber_fn *body;                                           /* of the main task; its argument is the stage */
    int (*make)(struct stage *stage, struct weft_coro **coro_out); /* instead of a small fiber of `body` */
    int (*run)(struct stage *stage);                               /* BY_ITSELF; its main task, if any, comes from stage_coro() */
    unsigned flags;
    int statuses[STATUSES_MAX]; /* ends, beside 0 and -ENOMEM or -ECANCELED, that its calls document for such a fault */
};

#define MAIN_IS_SPAWNED 1u /* ON_TWO: the main task is stealable */
#define HAS_THREADS     2u /* its order is not the same in each run: how often it suspends and allocates differs */
#define TAKES_BACK      4u /* the main task may take a cancellation back, and end well */
#define REPORTS         8u /* it reports to its loop's exception handler in the best of runs */

/* The coroutine that drives the main task: it counts suspensions, and cancels. */
struct observer {
    struct weft_coro coro;
    struct weft_coro *inner;
};

struct stage {
    const struct scenario *scenario;
    struct fault fault;
    struct weft_loop *loop;       /* the main task's */
    struct weft_loop *other;      /* ON_TWO: the second one */
    struct weft_runtime *runtime; /* ON_TWO */
    struct weft_task *main;
    struct observer observer;
    struct weft_timer relief;
    uint64_t suspensions;
    uint64_t allocations;
    int requests; /* to cancel; those that were accepted */
    bool was_refused;
    int reports;
    struct weft_future *kept[KEPT_MAX];
    size_t kept_count;
    uint64_t words[WORDS_MAX]; /* the scenario's, zero at first; they outlive all its tasks */
};

/* Run `scenario` with `fault`; fails the test unless it ends as documented and leaves nothing. What came of it is in `stage`. */
void stage_run(struct stage *stage, const struct scenario *scenario, struct fault fault);

/* ---- for scenarios --------------------------------------------------------------------------------------------------------------- */

/* Hand over a reference: as the stage ends the future, or task, is cancelled, waited for and let go. NULL is ignored. */
void stage_keep(struct stage *stage, struct weft_future *future);

/* Make a future, a fiber, a sleep, on the stage's loop; the stage keeps it, the caller borrows. As the calls behind it. */
int stage_future(struct stage *stage, struct weft_future **future_out);
int stage_fiber(struct stage *stage, weft_fiber_fn *fn, void *arg, struct weft_future **future_out);
int stage_sleep(struct stage *stage, int64_t delay_ns, struct weft_future **future_out);

/* Make a stealable fiber whose home is `loop`; likewise. */
int stage_spawn(struct stage *stage, struct weft_loop *loop, weft_fiber_fn *fn, void *arg, struct weft_future **future_out);

/* BY_ITSELF: the coroutine of the main task, watched; it comes of `make` or `body`. */
int stage_coro(struct stage *stage, struct weft_coro **coro_out);

/* BY_ITSELF: report to the stage what `loop` reports. */
int stage_listen(struct stage *stage, struct weft_loop *loop);

/* A callback that adds 1 to the uint64_t at `arg`, and a fiber body that does so after a yield. */
int count_call(void *arg);
int count_body(void *arg, void **result_out);

/* A fiber body that sleeps for the int64_t at `arg`. */
int sleep_body(void *arg, void **result_out);

#endif
