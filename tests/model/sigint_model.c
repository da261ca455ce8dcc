/*
 * Models of SIGINT: handlers in any thread, against runtimes that come and go.
 *
 * lib/runtime/sigint.c is real, and so is the inbox that it posts through. The kernel is a word that says who handles the signal: whoever
 * raises it reads that word and may come to call the handler much later. A runtime that has removed its handler is gone: its plain words are
 * written over.
 */
#include <errno.h>
#include <signal.h>

#include "lib/runtime/runtime.h"
#include "tests/model/checker.h"
#include "weft/status.h"

enum { RUNTIMES = 2 };

static struct weft_loop loops[RUNTIMES];
static struct runtime_loop runtime_loops[RUNTIMES];
static struct weft_runtime runtimes[RUNTIMES];
static struct weft_task main_tasks[RUNTIMES];
static unsigned cancelled; /* main tasks */
static unsigned interrupted;
static struct model_token raised; /* a handler has returned */

/* ---- the kernel --------------------------------------------------------------------------------------------------------------------- */

static uintptr_t disposition; /* atomic */
static uint32_t raise_count;  /* atomic: signals that came to a handler of ours */

int sigemptyset(sigset_t *set)
{
    (void)set;
    return 0;
}

int sigaction(int number, const struct sigaction *action, struct sigaction *before_out)
{
    MODEL_CHECK(number == SIGINT);
    uintptr_t before =
        action == NULL ? weft_atomic_load_acquire(&disposition) : weft_atomic_exchange_acq_rel(&disposition, (uintptr_t)action->sa_handler);
    if (before_out != NULL)
        *before_out = (struct sigaction){.sa_handler = (void (*)(int))before};
    return 0;
}

static void raise_sigint(void)
{
    void (*handler)(int) = (void (*)(int))weft_atomic_load_relaxed(&disposition);
    if (handler == SIG_DFL)
        return;
    (void)weft_atomic_add_relaxed(&raise_count, 1);
    handler(SIGINT);
    model_signal(&raised);
}

/* ---- doubles ------------------------------------------------------------------------------------------------------------------------ */

void worker_wake(struct worker *worker)
{
    (void)worker;
    model_fail("nobody is parked");
}

bool weft_task_cancel(struct weft_task *task, const char *message)
{
    (void)message;
    MODEL_CHECK(task == &main_tasks[0] || task == &main_tasks[1]);
    cancelled++;
    return true;
}

struct fork_watch;
int fork_watch_add(struct fork_watch *watch);

int fork_watch_add(struct fork_watch *watch)
{
    (void)watch;
    return 0;
}

/* ---- a runtime ---------------------------------------------------------------------------------------------------------------------- */

static void setup(void)
{
    for (unsigned i = 0; i < RUNTIMES; i++) {
        inbox_init(&loops[i].worker.inbox);
        runtime_loops[i].loop = &loops[i];
        runtimes[i].main = &runtime_loops[i];
        runtimes[i].main_task = &main_tasks[i];
    }
}

/* What the main loop does in a turn. */
static void turn(struct weft_runtime *runtime)
{
    struct inbox_batch batch = inbox_take_all(&runtime->main->loop->worker.inbox);
    for (struct weft_work *work = batch.first, *next; work != NULL; work = next) {
        next = work->next;
        work->next = NULL;
        interrupted += work->run(work) == WEFT_EINTERRUPT;
    }
}

/* The memory is somebody else's. */
static void destroy(struct weft_runtime *runtime)
{
    runtime->main = NULL;
    runtime->main_task = NULL;
    runtime->sigint.first.run = runtime->sigint.second.run = NULL;
    runtime->sigint.before.sa_handler = NULL;
    runtime->loop_count++;
}

static void run_main(struct weft_runtime *runtime)
{
    runtime_sigint_install(runtime);
    turn(runtime);
    runtime_sigint_remove(runtime);
    turn(runtime);
    destroy(runtime);
}

static void conduct_0(void)
{
    run_main(&runtimes[0]);
}

static void conduct_1(void)
{
    run_main(&runtimes[1]);
}

/* The same runtime runs a second main: what the first run's signal posted may come home in it. */
static void conduct_twice(void)
{
    runtime_sigint_install(&runtimes[0]);
    runtime_sigint_remove(&runtimes[0]);
    conduct_0();
}

/* A handler that was heard of by the end of the run has been heard. */
static void check(void)
{
    uint32_t count = weft_atomic_load_relaxed(&raise_count);
    MODEL_CHECK(weft_atomic_load_relaxed(&disposition) == 0);
    MODEL_CHECK(cancelled + interrupted <= count);
}

/* Handlers that were called for a runtime which has gone since, and begin only now. */
static void (*in_flight)(int);

static void setup_late(void)
{
    setup();
    runtime_sigint_install(&runtimes[0]);
    in_flight = (void (*)(int))disposition;
    runtime_sigint_remove(&runtimes[0]);
}

static void raise_late(void)
{
    (void)weft_atomic_add_relaxed(&raise_count, 1);
    in_flight(SIGINT);
}

/* ---- a signal is not lost ----------------------------------------------------------------------------------------------------------- */

/* The first work lies in the queue from a run before, in which nothing came of it. */
static void setup_left_over(void)
{
    setup();
    runtime_sigint_install(&runtimes[0]);
    void (*handler)(int) = (void (*)(int))disposition;
    handler(SIGINT);
    runtime_sigint_remove(&runtimes[0]);
    runtime_sigint_install(&runtimes[0]);
}

/* Turns while signals come, then is told that all have. */
static void turn_until_raised(void)
{
    turn(&runtimes[0]);
    model_wait(&raised);
    turn(&runtimes[0]);
    runtime_sigint_remove(&runtimes[0]);
}

static void install_and_turn(void)
{
    runtime_sigint_install(&runtimes[0]);
    turn_until_raised();
}

/* As soon as the kernel knows of the handler. */
static void raise_when_installed(void)
{
    while (weft_atomic_load_acquire(&disposition) == 0)
        weft_atomic_pause();
    raise_sigint();
}

static void check_heard(void)
{
    MODEL_CHECK(raise_count == 1 && cancelled == 1);
}

/* Both works lie there, from a run that ended over two signals. */
static void setup_two_left_over(void)
{
    setup_left_over();
    void (*handler)(int) = (void (*)(int))disposition;
    handler(SIGINT);
    handler(SIGINT);
    runtime_sigint_remove(&runtimes[0]);
    runtime_sigint_install(&runtimes[0]);
}

static void check_heard_once(void)
{
    MODEL_CHECK(cancelled == 1 && interrupted == 0);
}

static void setup_installed(void)
{
    setup();
    runtime_sigint_install(&runtimes[0]);
}

static struct model_token first_raised;

static void raise_first(void)
{
    raise_sigint();
    model_signal(&first_raised);
}

static void raise_second(void)
{
    model_wait(&first_raised);
    raise_sigint();
}

/* The second one is our last: whoever handled it before does again. */
static void turn_and_remove(void)
{
    turn(&runtimes[0]);
    runtime_sigint_remove(&runtimes[0]);
    turn(&runtimes[0]);
    destroy(&runtimes[0]);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

static uint32_t inside; /* atomic */
static struct weft_runtime *of;
static unsigned plain;

/* A handler that looks whether there is a runtime before it says that it is inside. */
static void handle_swapped(void)
{
    bool is_there = weft_atomic_load_acquire(&of) != NULL;
    (void)weft_atomic_add_relaxed(&inside, 1);
    weft_atomic_fence_seq_cst();
    if (is_there)
        plain++;
    (void)weft_atomic_sub_release(&inside, 1);
}

static void remove_of(void)
{
    weft_atomic_store_release(&of, NULL);
    weft_atomic_fence_seq_cst();
    while (weft_atomic_load_acquire(&inside) != 0)
        weft_atomic_pause();
    plain++;
}

static void setup_of(void)
{
    of = &runtimes[0];
}

static const struct model models[] = {
    {.name = "remove",
     .about = "once a runtime has removed its handler no handler is inside, whenever the signal came, and the runtime may go",
     .setup = setup,
     .threads = {conduct_0, raise_sigint, raise_sigint},
     .check = check,
     .bound = 3},
    {.name = "remove_one",
     .about = "the same with one handler, in all schedules",
     .setup = setup,
     .threads = {conduct_0, raise_sigint},
     .check = check},
    {.name = "again",
     .about = "a handler that was called for one run and comes in the next finds that one whole",
     .setup = setup,
     .threads = {conduct_twice, raise_sigint},
     .check = check},
    {.name = "two_runtimes",
     .about = "of two runtimes one at a time has the signal, and gives back what was there before it",
     .setup = setup,
     .threads = {conduct_0, conduct_1},
     .check = check},
    {.name = "two_runtimes_raise",
     .about = "two runtimes and a handler that may come late",
     .setup = setup,
     .threads = {conduct_0, conduct_1, raise_sigint},
     .check = check,
     .bound = 3},
    {.name = "late",
     .about = "two handlers that were called for a runtime which is gone come to the next one, and find all of it or nothing",
     .setup = setup_late,
     .threads = {conduct_1, raise_late, raise_late},
     .check = check,
     .bound = 2},
    {.name = "first_moment",
     .about = "a signal that comes as soon as the kernel knows of the handler is heard",
     .setup = setup,
     .threads = {install_and_turn, raise_when_installed},
     .check = check_heard},
    {.name = "heard",
     .about = "a signal whose work is still queued from a run before is not lost",
     .setup = setup_left_over,
     .threads = {turn_until_raised, raise_sigint},
     .check = check_heard},
    {.name = "heard_once",
     .about = "one signal is one cancellation, though works of both kinds come home from a run before",
     .setup = setup_two_left_over,
     .threads = {turn_until_raised, raise_sigint},
     .check = check_heard_once},
    {.name = "second",
     .about = "two signals in two threads post two works, and the second one gives the signal back",
     .setup = setup_installed,
     .threads = {turn_and_remove, raise_first, raise_second},
     .check = check,
     .bound = 3},
};

static const struct model broken[] = {
    {.name = "inside_swapped",
     .about = "a handler that looks for the runtime before it says that it is inside",
     .setup = setup_of,
     .threads = {handle_swapped, remove_of}},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/runtime/sigint.c"}};
    return model_main(&suite, argc, argv);
}
