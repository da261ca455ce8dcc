/*
 * Crew: searching, parking, summoning. Called by the workers as they run out of work and by whoever has some for them. The invariant: if
 * stealable work is queued and a worker is parked, then somebody searches, or is about to wake one, or the work was queued on the ring of a
 * worker that is awake.
 */
#include "lib/sched/crew.h"

#include <assert.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/lockfree/ring.h"
#include "weft/atomic.h"
#include "weft/job_stack.h"
#include "weft/memory.h"

#define PARKED_ONE    (UINT64_C(1) << 32)
#define SEARCHING_ONE UINT64_C(1)

/* Who finds nothing to steal asks for it, but no more often than this: a job that is published early costs its owner a hundred forks. */
#define ASK_NS 2000

enum { REFILL_MAX = 64 };

/* Values of worker.idle_state. PARKED → SUMMONED by who summons it and has counted for that, else only by the worker itself. */
enum { IDLE_AWAKE, IDLE_PARKED, IDLE_SUMMONED };

static uint32_t parked_in(uint64_t idle)
{
    return (uint32_t)(idle >> 32);
}

static uint32_t searching_in(uint64_t idle)
{
    return (uint32_t)idle;
}

/* ---- life ----------------------------------------------------------------------------------------------------------------------- */

struct crew *crew_create(uint32_t count_max, const struct crew_ops *ops)
{
    size_t bytes = sizeof(struct crew) + count_max * sizeof(struct worker *);
    bytes = (bytes + WEFT_CACHE_LINE_BYTES - 1) / WEFT_CACHE_LINE_BYTES * WEFT_CACHE_LINE_BYTES;
    struct crew *crew = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, bytes);
    if (crew == NULL)
        return NULL;
    memset(crew, 0, bytes);
    injector_init(&crew->injector);
    crew->refs = 1;
    crew->count_max = count_max;
    crew->ops = ops;
    return crew;
}

void crew_join(struct crew *crew, struct worker *worker, uint64_t seed)
{
    (void)weft_atomic_add_relaxed(&crew->refs, 1);
    random_init(&worker->random, seed);
    worker->crew = crew;
    worker->crew_index = crew->count;
    crew->workers[crew->count++] = worker;
}

void crew_unref(struct crew *crew)
{
    /* Pairs with itself: whoever frees has seen what the others did before they let go. */
    if (crew != NULL && weft_atomic_sub_acq_rel(&crew->refs, 1) == 1)
        weft_free(crew);
}

/* A work that is run while no worker is current finds a crew that is dissolved, and goes home. */
static void send_home(struct weft_work_list *list)
{
    struct weft_work *work;
    while ((work = weft_work_list_pop(list)) != NULL)
        (void)work->run(work);
}

/* Threads outside may be about to summon a worker, of which after this neither is touched any more. */
static void await_visitors(const struct crew *crew)
{
    /* Pairs with the release in crew_push(). */
    while (weft_atomic_load_acquire(&crew->injector.visitors) != 0)
        weft_atomic_pause();
}

void crew_dissolve(struct crew *crew)
{
    struct worker *outer = worker_current();
    struct weft_work_list list = {NULL, NULL, 0};
    weft_atomic_store_relaxed(&crew->is_dissolved, 1); /* read by this thread, and by others who may come too late for the injector */
    injector_close(&crew->injector, &list);
    await_visitors(crew);
    for (uint32_t i = 0; i < crew->count; i++) {
        struct worker *worker = crew->workers[i];
        if (worker->taken != NULL)
            weft_work_list_push(&list, worker->taken);
        worker->taken = NULL;
        struct weft_work *work;
        while ((work = ring_pop(&worker->ring)) != NULL)
            weft_work_list_push(&list, work);
    }
    worker_set_current(NULL);
    send_home(&list);
    worker_set_current(outer);
}

/* ---- summoning -------------------------------------------------------------------------------------------------------------------- */

/* Wake one that is parked, which the caller has counted as searching. False if all have woken by themselves. */
static bool summon(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->count; i++) {
        struct worker *worker = crew->workers[i];
        uint32_t state = IDLE_PARKED;
        if (weft_atomic_load_relaxed(&worker->idle_state) != IDLE_PARKED)
            continue;
        /* Release: what it is summoned for. Pairs with the exchange in crew_unpark(): it is summoned, or has woken by itself. */
        if (!weft_atomic_cas_release(&worker->idle_state, &state, IDLE_SUMMONED))
            continue;
        (void)weft_atomic_add_relaxed(&worker->summon_count, 1);
        if (inbox_poke(&worker->inbox))
            worker_wake(worker);
        return true;
    }
    return false;
}

void crew_notify(struct crew *crew)
{
    /* Seq_cst, after the push. Pairs with the addition in crew_park(). */
    uint64_t idle = weft_atomic_load_seq_cst(&crew->idle);
    while (parked_in(idle) > 0 && searching_in(idle) == 0) {
        /* Both in one step: were one that wakes by itself still counted, this would go round until it is scheduled again. Acquire: that it
         * is parked. Pairs with the addition in crew_park(). */
        if (!weft_atomic_cas_acquire(&crew->idle, &idle, idle - PARKED_ONE + SEARCHING_ONE))
            continue;
        if (summon(crew))
            return;
        /* Who has parked since is counted in what is found here; who parks from now on does so after those pushers have looked who relied on
         * us, and sees what they have pushed. */
        idle = weft_atomic_add_relaxed(&crew->idle, PARKED_ONE - SEARCHING_ONE) + PARKED_ONE - SEARCHING_ONE;
    }
}

bool crew_push(struct crew *crew, struct weft_work *work)
{
    /* Published by the push. Once that is done the work may run, and with it all may end that keeps the crew and its workers. */
    (void)weft_atomic_add_relaxed(&crew->injector.visitors, 1);
    bool is_pushed = injector_push(&crew->injector, work, work);
    if (is_pushed)
        crew_notify(crew);
    /* Release: the last touch. Pairs with the acquire in await_visitors(). */
    (void)weft_atomic_sub_release(&crew->injector.visitors, 1);
    return is_pushed;
}

/* ---- searching ---------------------------------------------------------------------------------------------------------------------- */

bool crew_search_begin(struct worker *worker)
{
    struct crew *crew = worker->crew;
    if (worker->is_searching)
        return true;
    if (crew == NULL || crew->count < 2)
        return false;
    uint32_t most = crew->count / 2;
    uint64_t idle = weft_atomic_load_relaxed(&crew->idle);
    do {
        if (searching_in(idle) >= most)
            return false;
        /* Relaxed: who has seen us searching is ordered before the end of our search, which looks at the queues once more. */
    } while (!weft_atomic_cas_relaxed(&crew->idle, &idle, idle + SEARCHING_ONE));
    worker->is_searching = true;
    worker_count(&worker->search_count, 1);
    return true;
}

bool crew_refill(struct worker *worker)
{
    struct crew *crew = worker->crew;
    if (crew == NULL)
        return false;
    size_t share = injector_count_hint(&crew->injector) / crew->count + 1;
    size_t most = ring_room(&worker->ring) + 1;
    struct weft_work_list list = {NULL, NULL, 0};
    most = most < REFILL_MAX ? most : REFILL_MAX;
    if (injector_take(&crew->injector, share < most ? share : most, &list) == 0)
        return false;
    worker->taken = weft_work_list_pop(&list); /* past the ring, which may be full for ever */
    struct weft_work *work;
    while ((work = weft_work_list_pop(&list)) != NULL)
        (void)ring_push(&worker->ring, work);
    if (!worker->is_searching && !injector_is_empty(&crew->injector))
        crew_notify(crew);
    return true;
}

/* The shares of a stack of which something can be stolen: a hint, which take_job() verifies. */
static bool has_public(uint64_t shares)
{
    return (uint32_t)shares < (uint32_t)(shares >> 32);
}

static void ask_now_and_then(struct worker *worker, struct weft_job_stack *stack)
{
    uint64_t now = clock_ticks();
    if (!worker->is_virtual && now - worker->asked_ticks < clock_ticks_in(ASK_NS))
        return;
    worker->asked_ticks = now;
    worker->crew->ops->ask(stack);
}

static bool steal_job(struct worker *worker, struct worker *victim)
{
    const struct crew_ops *ops = worker->crew->ops;
    /* Pairs with the release of the fiber that runs there. Stacks stay where they are, so one that it has left since is harmless. */
    struct weft_job_stack *stack = ops == NULL ? NULL : weft_atomic_load_acquire(&victim->jobs);
    if (stack == NULL)
        return false;
    if (has_public(weft_atomic_load_relaxed(&stack->shares)))
        worker->taken = ops->take_job(worker, stack);
    else
        ask_now_and_then(worker, stack);
    return worker->taken != NULL;
}

static bool steal_from(struct worker *worker, struct worker *victim)
{
    if (victim == worker)
        return false;
    /* A hint: what came meanwhile is found by the next look, or by the one that ends the search. */
    size_t count = ring_count_hint(&victim->ring) == 0 ? 0 : ring_steal(&victim->ring, &worker->ring);
    if (count > 0)
        worker_count(&worker->steal_count, count);
    return count > 0 || steal_job(worker, victim);
}

bool crew_steal(struct worker *worker)
{
    struct crew *crew = worker->crew;
    assert(worker->taken == NULL);
    if (crew_refill(worker))
        return true;
    uint32_t first = worker->steal_first;
    worker->steal_first = UINT32_MAX;
    if (first < crew->count && steal_from(worker, crew->workers[first]))
        return true;
    uint32_t next = (uint32_t)random_below(&worker->random, crew->count);
    for (uint32_t i = 0; i < crew->count; i++) {
        if (steal_from(worker, crew->workers[next]))
            return true;
        next = next + 1 == crew->count ? 0 : next + 1;
    }
    return false;
}

bool crew_might_give(const struct worker *worker)
{
    const struct crew *crew = worker->crew;
    if (crew == NULL || injector_count_hint(&crew->injector) > 0)
        return crew != NULL;
    for (uint32_t i = 0; i < crew->count; i++) {
        const struct worker *victim = crew->workers[i];
        if (victim != worker && (ring_count_hint(&victim->ring) > 0 || weft_atomic_load_relaxed(&victim->jobs) != NULL))
            return true;
    }
    return false;
}

/*
 * True if there is something to steal, besides what `worker` runs next. Fibers that compute are asked for something: the next push finds
 * this worker parked.
 */
static bool has_more(const struct worker *worker)
{
    const struct crew *crew = worker->crew;
    if (!injector_is_empty(&crew->injector))
        return true;
    for (uint32_t i = 0; i < crew->count; i++) {
        const struct worker *victim = crew->workers[i];
        size_t is_next = victim == worker && worker->taken == NULL;
        /* Acquire: the stack. Pairs with the release of the fiber that runs there. Seq_cst, as the look at its jobs: Pairs with the fence
         * before the fiber looks who is hungry, and with the addition in job_stack_publish(). */
        struct weft_job_stack *stack = crew->ops == NULL ? NULL : weft_atomic_load_seq_cst(&victim->jobs);
        if (ring_count(&victim->ring) > is_next || (stack != NULL && has_public(weft_atomic_load_seq_cst(&stack->shares))))
            return true;
        if (stack != NULL)
            crew->ops->ask(stack);
    }
    return false;
}

void crew_search_end(struct worker *worker)
{
    if (!worker->is_searching)
        return;
    struct crew *crew = worker->crew;
    worker->is_searching = false;
    /* Seq_cst, before the queues are read. Pairs with the load in crew_notify(): who saw a searcher has left its work to us. */
    uint64_t before = weft_atomic_sub_seq_cst(&crew->idle, SEARCHING_ONE);
    if (searching_in(before) == 1 && parked_in(before) > 0 && has_more(worker))
        crew_notify(crew);
}

/* ---- parking ------------------------------------------------------------------------------------------------------------------------ */

bool crew_park(struct worker *worker)
{
    struct crew *crew = worker->crew;
    if (crew == NULL)
        return true;
    uint64_t change = PARKED_ONE - (worker->is_searching ? SEARCHING_ONE : 0);
    worker->is_searching = false;
    weft_atomic_store_relaxed(&worker->idle_state, IDLE_PARKED); /* published by the addition, which is what summoners go by */
    /* Seq_cst, before the queues are read. Pairs with the load in crew_notify(), which comes after a push. */
    uint64_t before = weft_atomic_add_seq_cst(&crew->idle, change);
    if (searching_in(before + change) > 0 || !has_more(worker))
        return true;
    (void)crew_unpark(worker);
    return false;
}

bool crew_unpark(struct worker *worker)
{
    struct crew *crew = worker->crew;
    if (crew == NULL)
        return false;
    /* First out of the count, then out of reach. Pairs with crew_notify(), which changes both counts in one step: who summons us in between
     * has counted us out a second time, and we count back in what he took. */
    (void)weft_atomic_sub_relaxed(&crew->idle, PARKED_ONE);
    /* Acquire: what we are summoned for. Pairs with the release in summon(). Release: the subtraction above stays in front. */
    if (weft_atomic_exchange_acq_rel(&worker->idle_state, IDLE_AWAKE) != IDLE_SUMMONED)
        return false;
    (void)weft_atomic_add_relaxed(&crew->idle, PARKED_ONE);
    worker->is_searching = true;
    return true;
}
