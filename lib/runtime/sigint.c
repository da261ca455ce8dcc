/*
 * SIGINT: the first one cancels main, the second ends the run, the third is no longer ours (RUN-1).
 *
 * The handler may interrupt any thread, the main loop's in the middle of queueing included. So it posts through the inbox whatever thread
 * it is in, two works that lie ready in the runtime. The invariant: a runtime that is not `current` has no handler inside.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "lib/base/fork.h"
#include "lib/runtime/runtime.h"
#include "weft/atomic.h"
#include "weft/status.h"

static struct weft_runtime *current; /* &claimed while its next one looks who handled the signal before */
static struct weft_runtime claimed;
static uint32_t handlers_inside;

static void post(struct weft_runtime *runtime, struct weft_work *work, uint32_t *is_posted)
{
    struct worker *worker = &runtime->main->loop->worker;
    /* Pairs with the exchange in take(): a work is queued once at a time. */
    if (weft_atomic_exchange_acq_rel(is_posted, 1) != 0)
        return;
    if (inbox_push(&worker->inbox, work, work) == INBOX_PUSHED_WAKE)
        worker_wake(worker);
}

static void handle(int number)
{
    int saved = errno;
    (void)number;
    (void)weft_atomic_add_relaxed(&handlers_inside, 1);
    /* Pairs with the fence in forget(): either it sees this handler inside, or this one sees that there is no runtime. */
    weft_atomic_fence_seq_cst();
    struct weft_runtime *runtime = weft_atomic_load_acquire(&current); /* Pairs with the release in runtime_sigint_install(). */
    if (runtime != NULL && runtime != &claimed) {
        struct runtime_sigint *sigint = &runtime->sigint;
        if (weft_atomic_add_relaxed(&sigint->count, 1) == 0) {
            post(runtime, &sigint->first, &sigint->is_first_posted);
        } else {
            post(runtime, &sigint->second, &sigint->is_second_posted);
            (void)sigaction(SIGINT, &sigint->before, NULL);
        }
    }
    /* Pairs with the acquire in forget(): the handler touches nothing any more. */
    (void)weft_atomic_sub_release(&handlers_inside, 1);
    errno = saved;
}

/* True if so many signals have come in this run: the work may be one that comes home from a run before. */
static bool take(struct weft_runtime *runtime, uint32_t *is_posted, uint32_t count)
{
    /* Pairs with the exchange in post(). */
    (void)weft_atomic_exchange_acq_rel(is_posted, 0);
    return runtime->main_task != NULL && weft_atomic_load_relaxed(&runtime->sigint.count) >= count;
}

static int cancel_main(struct weft_work *work)
{
    struct weft_runtime *runtime = weft_container_of(work, struct weft_runtime, sigint.first);
    if (!take(runtime, &runtime->sigint.is_first_posted, 1) || runtime->sigint.is_heard)
        return 0;
    runtime->sigint.is_heard = true; /* one that comes home late may have been believed before this run's own */
    (void)weft_task_cancel(runtime->main_task, "interrupted");
    return 0;
}

static int interrupt(struct weft_work *work)
{
    struct weft_runtime *runtime = weft_container_of(work, struct weft_runtime, sigint.second);
    return take(runtime, &runtime->sigint.is_second_posted, 2) ? WEFT_EINTERRUPT : 0;
}

/* A child's SIGINT is nobody's task here: it is handled as before. A handler that was under way in another thread is not in this process. */
static void forked(struct fork_watch *unused)
{
    (void)unused;
    struct weft_runtime *runtime = weft_atomic_load_relaxed(&current);
    if (runtime != NULL && runtime != &claimed)
        (void)sigaction(SIGINT, &runtime->sigint.before, NULL);
    weft_atomic_store_relaxed(&current, NULL);
    weft_atomic_store_relaxed(&handlers_inside, 0);
}

static void watch_forks(void)
{
    static struct fork_watch watch = {.forked = forked};
    (void)fork_watch_add(&watch); /* refused only if the loops were too */
}

/* Be current no more, and wait for the handlers that have seen that we were. */
static void forget(void)
{
    weft_atomic_store_release(&current, NULL); /* Pairs with the cas in runtime_sigint_install(). */
    /* Pairs with the fence in handle(). */
    weft_atomic_fence_seq_cst();
    /* Pairs with the release at the end of handle(). A handler is short, and never waits for anybody. */
    while (weft_atomic_load_acquire(&handlers_inside) != 0)
        weft_atomic_pause();
}

void runtime_sigint_install(struct weft_runtime *runtime)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_forks);
    struct runtime_sigint *sigint = &runtime->sigint;
    struct weft_runtime *nobody = NULL;
    sigint->first.run = cancel_main;
    sigint->second.run = interrupt;
    sigint->is_heard = false;
    weft_atomic_store_relaxed(&sigint->count, 0);
    /* Pairs with the release in forget(): whoever was current before has given the signal back. */
    if (!weft_atomic_cas_acquire(&current, &nobody, &claimed))
        return;
    (void)sigaction(SIGINT, NULL, &sigint->before);
    /* Pairs with the acquire in handle(): the works, and who comes after us. A handler may come as late as from the runtime before. */
    weft_atomic_store_release(&current, runtime);
    struct sigaction action = {.sa_handler = handle, .sa_flags = 0};
    sigemptyset(&action.sa_mask);
    sigint->is_installed = sigaction(SIGINT, &action, NULL) == 0;
    if (!sigint->is_installed)
        forget();
}

void runtime_sigint_remove(struct weft_runtime *runtime)
{
    if (!runtime->sigint.is_installed)
        return;
    runtime->sigint.is_installed = false;
    (void)sigaction(SIGINT, &runtime->sigint.before, NULL);
    forget();
}
