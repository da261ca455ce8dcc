/*
 * Worker: the door, the FIFO and the snapshot.
 *
 * The loop calls it once per iteration; tasks, futures and everybody else come through work_ready(). The invariant: a work that was
 * accepted is run exactly once, by the owner, or, on a closed worker, by whoever found it closed.
 */
#include "lib/sched/worker.h"

#include "lib/base/clock.h"
#include "lib/base/thread.h"
#include "lib/sched/crew.h"
#include "weft/atomic.h"
#include "weft/job_stack.h"

/* How much stealable work one iteration runs: a loop polls at least that often (see lib/loop/turn.c). */
enum { STEALABLE_WORKS = 61, STEALABLE_NS = 100000, INJECTOR_FIRST_EVERY = 16 };

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
    *worker = (struct worker){.parker = parker, .steal_first = UINT32_MAX, .stealable_max = STEALABLE_WORKS};
    inbox_init(&worker->inbox);
    ring_init(&worker->ring, 0);
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
    (void)weft_atomic_add_release(&worker->wake_count, 1);
}

void worker_call_on_jobs(struct worker *worker)
{
    /* Pairs with the release in worker_set_jobs(). A stack stays one as long as its loop lives, whoever has it. */
    struct weft_job_stack *jobs = weft_atomic_load_acquire(&worker->jobs);
    if (jobs != NULL)
        weft_atomic_store_relaxed(&jobs->limit, NULL);
}

void worker_await_wakers(struct worker *worker)
{
    /* Pairs with the release in worker_wake(): each one's, as every later one hands on what it released. */
    while (weft_atomic_load_acquire(&worker->wake_count) != worker->owed_count)
        weft_atomic_pause();
}

/* What a push asks for that did not find an open worker awake. Apart, so that one which did saves no registers for it. */
__attribute__((noinline)) static void post_specially(struct worker *home, struct weft_work *first, enum inbox_push_result result)
{
    if (result == INBOX_PUSHED_WAKE)
        worker_wake(home);
    else
        run_refused(first);
}

static inline void post(struct worker *home, struct weft_work *first, struct weft_work *last)
{
    enum inbox_push_result result = inbox_push(&home->inbox, first, last);
    if (result != INBOX_PUSHED)
        post_specially(home, first, result);
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

bool worker_is_alone(const struct worker *home)
{
    return home->crew == NULL || weft_atomic_load_relaxed(&home->crew->is_dissolved) != 0;
}

/* The ring is full: its older half goes where every worker finds it. */
static void spill(struct worker *worker, struct weft_work *work)
{
    struct weft_work_list list = {NULL, NULL, 0};
    (void)ring_take_half(&worker->ring, &list);
    weft_work_list_push(&list, work);
    (void)injector_push(&worker->crew->injector, list.head, list.tail); /* it is closed only while no worker runs */
}

/* True if `worker`, once it is done with what it runs now, has nothing to do but the one work in its ring. */
static bool has_only_one(const struct worker *worker)
{
    return worker->fifo.head == NULL && worker->batch.head == NULL && worker->taken == NULL && ring_count(&worker->ring) == 1;
}

void work_ready_stealable(struct worker *home, struct weft_work *work)
{
    struct worker *worker = worker_current();
    struct crew *crew = home->crew;
    if (worker_is_alone(home)) {
        work_ready(home, work);
    } else if (worker == NULL || worker->crew != crew) {
        if (!crew_push(crew, work))
            work_ready(home, work);
    } else {
        if (!ring_push(&worker->ring, work))
            spill(worker, work);
        if (!has_only_one(worker))
            crew_notify(crew);
    }
}

void worker_call_on_ring(struct worker *worker)
{
    if (ring_count_hint(&worker->ring) > 0)
        crew_notify(worker->crew);
}

bool worker_has_work(const struct worker *worker)
{
    return worker->fifo.head != NULL || worker->batch.head != NULL || !inbox_is_empty(&worker->inbox) || worker_has_stealable(worker) ||
           (worker->crew != NULL && !injector_is_empty(&worker->crew->injector));
}

bool worker_search(struct worker *worker)
{
    if (!worker->is_searching && !crew_might_give(worker))
        return false;
    if (!crew_search_begin(worker))
        return false;
    if (!crew_steal(worker))
        return false;
    crew_search_end(worker);
    return true;
}

static inline int run_one(struct worker *worker, struct weft_work *work)
{
    worker_count(&worker->run_count, 1);
    return worker->is_measured ? worker->parker->measure(worker, work) : work->run(work);
}

/* The rest of the snapshot goes back in front. */
static void put_back(struct worker *worker)
{
    weft_work_list_append(&worker->batch, &worker->fifo);
    worker->fifo = worker->batch;
    worker->batch = (struct weft_work_list){NULL, NULL, 0};
}

int worker_run(struct worker *worker)
{
    worker->batch = worker->fifo;
    worker->fifo = (struct weft_work_list){NULL, NULL, 0};
    int status = 0;
    struct weft_work *work;
    while (status >= 0 && (work = weft_work_list_pop(&worker->batch)) != NULL)
        status = run_one(worker, work);
    if (status < 0)
        put_back(worker);
    return status;
}

/* What was taken past the ring comes first. Else now and then the injector, also if the ring never empties, and else the ring. */
static struct weft_work *next_stealable(struct worker *worker)
{
    if (worker->taken == NULL && ++worker->stealable_count % INJECTOR_FIRST_EVERY == 0)
        (void)crew_refill(worker);
    struct weft_work *work = worker->taken == NULL ? ring_pop(&worker->ring) : NULL;
    if (work != NULL || (worker->taken == NULL && !crew_refill(worker)))
        return work;
    work = worker->taken;
    worker->taken = NULL;
    return work;
}

/*
 * True if there is something to run. The own ring is seen as it is; what has just come into the injector perhaps at the next look only, before
 * which the worker does not sleep.
 */
static inline bool might_have_stealable(const struct worker *worker)
{
    if (worker->crew == NULL)
        return false; /* it may be lost meanwhile */
    return worker->taken != NULL || ring_count_hint(&worker->ring) > 0 || injector_count_hint(&worker->crew->injector) > 0;
}

/* What worker_run_stealable() does where there is something. Apart, so that mostly no register is saved and no counter read. */
__attribute__((noinline)) static int run_stealable(struct worker *worker)
{
    uint64_t start = clock_ticks(), look = 1;
    int status = 0;
    struct weft_work *work;
    for (uint32_t count = 1; status >= 0 && (work = next_stealable(worker)) != NULL; count++) {
        status = run_one(worker, work);
        if (count >= worker->stealable_max || !might_have_stealable(worker))
            break;
        if (worker->is_virtual || count < look)
            continue;
        if (clock_ticks() - start >= clock_ticks_in(STEALABLE_NS))
            break;
        look = worker_next_look(count);
    }
    return status;
}

int worker_run_stealable(struct worker *worker)
{
    return might_have_stealable(worker) ? run_stealable(worker) : 0;
}

void worker_fini(struct worker *worker)
{
    crew_unref(worker->crew);
    worker->crew = NULL;
}

void worker_lose(struct worker *worker)
{
    const struct weft_work_list none = {NULL, NULL, 0};
    (void)inbox_close(&worker->inbox);
    ring_init(&worker->ring, 0);
    worker->fifo = worker->batch = none;
    worker->taken = NULL;
    worker->is_searching = false;
    worker->crew = NULL; /* with its reference: others of the crew are in it for ever */
    worker->watch = NULL;
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
