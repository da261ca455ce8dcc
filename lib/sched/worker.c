/*
 * Worker: the door, the FIFO and the snapshot.
 *
 * The loop calls it once per iteration; tasks, futures and everybody else come through work_ready(). The invariant: a work that was
 * accepted is run exactly once, by the owner, or, on a closed worker, by whoever found it closed.
 */
#include "lib/sched/worker.h"

#include "lib/base/thread.h"
#include "weft/atomic.h"

/* The static model: one instruction from the thread pointer, and no lazy allocation on first use. */
static _Thread_local struct worker *current_worker __attribute__((tls_model("initial-exec")));

THREAD_LOCAL_ACCESSOR struct worker *worker_current(void)
{
    thread_local_barrier();
    return current_worker;
}

THREAD_LOCAL_ACCESSOR void worker_set_current(struct worker *worker)
{
    thread_local_barrier();
    current_worker = worker;
}

void worker_init(struct worker *worker, const struct parker_ops *parker)
{
    *worker = (struct worker){.parker = parker};
    inbox_init(&worker->inbox);
}

/* Run what nobody will run any more: each sees a closed worker and lets go. */
static void run_refused(struct weft_work *first)
{
    while (first != NULL) {
        struct weft_work *next = first->next;
        first->next = NULL;
        (void)first->run(first);
        first = next;
    }
}

void worker_wake(struct worker *worker)
{
    worker->parker->wake(worker);
    /* Release: the waker is done with the worker. Pairs with the acquire in worker_await_wakers(). */
    (void)weft_atomic_add_acq_rel(&worker->wake_count, 1);
}

void worker_await_wakers(struct worker *worker)
{
    /* Pairs with the acq_rel in worker_wake(). */
    while (weft_atomic_load_acquire(&worker->wake_count) != worker->owed_count)
        weft_atomic_pause();
}

static void post(struct worker *home, struct weft_work *first, struct weft_work *last)
{
    switch (inbox_push(&home->inbox, first, last)) {
    case INBOX_PUSHED:
        break;
    case INBOX_PUSHED_WAKE:
        worker_wake(home);
        break;
    case INBOX_CLOSED:
        run_refused(first);
        break;
    }
}

void work_ready(struct worker *home, struct weft_work *work)
{
    if (worker_current() != home) {
        post(home, work, work);
        return;
    }
    worker_splice(home);
    worker_push(home, work);
}

void work_ready_chain(struct worker *home, struct weft_work *first, struct weft_work *last, size_t count)
{
    if (worker_current() != home) {
        post(home, first, last);
        return;
    }
    struct weft_work_list list = {first, last, count};
    worker_splice(home);
    weft_work_list_append(&home->fifo, &list);
}

void work_ready_stealable(struct worker *home, struct weft_work *work)
{
    work_ready(home, work);
}

bool worker_is_alone(const struct worker *home)
{
    (void)home;
    return true;
}

int worker_run(struct worker *worker)
{
    worker->batch = worker->fifo;
    worker->fifo = (struct weft_work_list){NULL, NULL, 0};
    int status = 0;
    struct weft_work *work;
    while (status >= 0 && (work = weft_work_list_pop(&worker->batch)) != NULL) {
        worker_count(&worker->run_count, 1);
        status = worker->is_measured ? worker->parker->measure(worker, work) : work->run(work);
    }
    if (worker->batch.head != NULL) { /* fatal: the rest goes back in front */
        weft_work_list_append(&worker->batch, &worker->fifo);
        worker->fifo = worker->batch;
    }
    worker->batch = (struct weft_work_list){NULL, NULL, 0};
    return status;
}

void worker_close(struct worker *worker)
{
    struct inbox_batch batch = inbox_close(&worker->inbox);
    struct weft_work_list last = {batch.first, batch.last, batch.count};
    weft_work_list_append(&worker->fifo, &last);
    struct weft_work *work; /* letting go may wake others of this worker: they come here too */
    while ((work = weft_work_list_pop(&worker->fifo)) != NULL)
        (void)work->run(work);
}

bool worker_is_closed(const struct worker *worker)
{
    return inbox_is_closed(&worker->inbox);
}
