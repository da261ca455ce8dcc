/*
 * Loop: its life, what may be asked of it, and the few words between it and its worker and poller.
 *
 * The invariant that the rest relies on: while a loop runs, one thread is in it, and loop_check() tells every other thread so.
 */
#include "lib/loop/loop.h"

#include <errno.h>
#include <string.h>

#include "lib/loop/fork.h"
#include "lib/loop/kind.h"
#include "lib/loop/timers.h"
#include "lib/poll/sim.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

enum { POSTS_MAX_DEFAULT = 1 << 20, SLOW_NS_DEFAULT = 100000000, DRAIN_ROUNDS_MAX = 1000, DRAIN_WAIT_NS = 1000000 };

static void wake(struct worker *worker)
{
    struct weft_loop *loop = loop_of_worker(worker);
    loop->poller_ops->wake(loop->poller);
}

static int measure(struct worker *worker, struct weft_work *work)
{
    struct weft_loop *loop = loop_of_worker(worker);
    uint64_t start_ns = weft_loop_time(loop);
    int status = work->run(work);
    uint64_t duration_ns = weft_loop_time(loop) - start_ns;
    if (duration_ns >= loop->slow_ns) {
        struct weft_exception exception = {.size = sizeof(exception), .message = "a callback was slow", .duration_ns = duration_ns};
        weft_loop_call_exception_handler(loop, &exception);
    }
    return status;
}

static const struct parker_ops loop_parker = {.wake = wake, .measure = measure};

static void loop_fini_rooms(struct weft_loop *loop)
{
    for (int i = LOOP_ROOM_COUNT - 1; i >= 0; i--) {
        /* Pairs with the release in loop_room_set(). */
        struct loop_room_state *state = weft_atomic_exchange_acquire(&loop->rooms[i], NULL);
        if (state != NULL && state->fini != NULL)
            state->fini(loop, state);
    }
}

/* What lives, for conservation checks: counted where a loop is made and freed, never while it works. */
static uint64_t live_count;
static uint64_t unfinished_count;

uint64_t loop_live_count(void)
{
    return weft_atomic_load_relaxed(&live_count);
}

uint64_t loop_unfinished_count(void)
{
    return weft_atomic_load_relaxed(&unfinished_count);
}

static void loop_free(struct weft_loop *loop)
{
    (void)weft_atomic_sub_relaxed(&live_count, 1);
    fork_watch_remove(&loop->fork_watch);
    loop_fini_rooms(loop); /* those that another thread hung in as the loop closed */
    weft_free(loop->tables);
    weft_free(loop->poller);
    worker_fini(&loop->worker);
    weft_free(loop);
}

static int loop_open(struct weft_loop *loop, const struct weft_poller_options *options)
{
    size_t bytes = kind_round_up(loop->poller_ops->state_bytes);
    loop->poller = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, bytes);
    if (loop->poller == NULL)
        return -ENOMEM;
    memset(loop->poller, 0, bytes);
    return weft_poller_init(loop->poller, loop->poller_ops, options);
}

static void loop_setup(struct weft_loop *loop, const struct weft_loop_kind *kind, size_t user_bytes)
{
    worker_init(&loop->worker, &loop_parker);
    timers_init(loop);
    loop->kind = kind;
    loop->refs = 1;
    loop->fork_watch.forked = loop_forked;
    loop->slow_ns = SLOW_NS_DEFAULT;
    loop->user = user_bytes == 0 ? NULL : (char *)loop + kind_round_up(sizeof(*loop));
}

/* The memory of a loop and its subclass, as a worker that is awake and has no poller yet. */
static struct weft_loop *loop_alloc(const struct weft_loop_kind *kind, size_t user_bytes)
{
    size_t bytes = kind_round_up(sizeof(struct weft_loop)) + kind_round_up(user_bytes);
    struct weft_loop *loop = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, bytes);
    if (loop == NULL)
        return NULL;
    memset(loop, 0, bytes);
    loop_setup(loop, kind, user_bytes);
    if (fork_watch_add(&loop->fork_watch) < 0) {
        weft_free(loop);
        return NULL;
    }
    (void)weft_atomic_add_relaxed(&live_count, 1);
    return loop;
}

static int loop_new(const struct weft_loop_kind *kind, const struct weft_loop_options *options, struct weft_loop **loop_out)
{
    struct weft_loop *loop = loop_alloc(kind, options->user_bytes);
    int status = loop == NULL ? -ENOMEM : kind_lay_tables(kind, loop);
    if (status >= 0)
        status = loop_open(loop, options->poller);
    if (status < 0) {
        if (loop != NULL)
            loop_free(loop);
        return status;
    }
    loop->has_poller = true;
    loop->worker.is_virtual = loop->poller->is_virtual;
    (void)weft_loop_set_posts_max(loop, POSTS_MAX_DEFAULT);
    status = kind_init(loop, options->kind);
    if (status < 0) {
        (void)weft_loop_close(loop); /* lets go what the inits have scheduled, which holds references */
        weft_loop_unref(loop);
        return status;
    }
    loop->has_kind = true;
    *loop_out = loop;
    return 0;
}

int weft_loop_new_options(const struct weft_loop_kind *kind, const struct weft_loop_options *options, struct weft_loop **loop_out)
{
    static const struct weft_loop_options defaults = WEFT_LOOP_OPTIONS;
    options = options == NULL ? &defaults : options;
    if (loop_out == NULL || options->size < sizeof(*options) || options->user_bytes > PTRDIFF_MAX / 2)
        return -EINVAL;
    if (kind == NULL)
        kind = sim_host_entered() != NULL ? weft_loop_kind_sim() : weft_loop_kind_epoll();
    int status = kind_check(kind);
    return status < 0 ? status : loop_new(kind, options, loop_out);
}

int weft_loop_new(const struct weft_loop_kind *kind, size_t user_bytes, struct weft_loop **loop_out)
{
    struct weft_loop_options options = WEFT_LOOP_OPTIONS;
    options.user_bytes = user_bytes;
    return weft_loop_new_options(kind, &options, loop_out);
}

struct weft_loop *weft_loop_ref(struct weft_loop *loop)
{
    if (loop == NULL)
        return NULL;
    if (loop_is_here(loop))
        loop->refs_here++;
    else
        (void)weft_atomic_add_relaxed(&loop->refs, 1);
    return loop;
}

static int loop_close(struct weft_loop *loop);

/* Let go so many references. Of an open loop the last one closes it, too. */
static void drop_refs(struct weft_loop *loop, uint64_t count)
{
    /* Acq_rel. Pairs with itself: whoever frees has seen what the others did before they let go. */
    if (weft_atomic_sub_acq_rel(&loop->refs, count) != count || loop_is_forked(loop))
        return;
    if (loop_is_closed(loop)) {
        loop_free(loop);
        return;
    }
    loop->refs = 1; /* closing lets go of works that hold references */
    (void)loop_close(loop);
    drop_refs(loop, 1);
}

void weft_loop_unref(struct weft_loop *loop)
{
    if (loop == NULL)
        return;
    if (loop_is_here(loop))
        loop->refs_here--;
    else
        drop_refs(loop, 1);
}

void loop_release(struct weft_loop *loop)
{
    uint64_t count = LOOP_REFS_CLAIMED - loop->refs_here;
    loop->refs_here = 0;
    /* Release: what was done to it. Pairs with the acquire in loop_enter() and loop_claim_closing(). */
    weft_atomic_store_release(&loop->is_entered, false);
    drop_refs(loop, count);
}

/* Whoever gets here first closes; from here on nobody can begin to run it. WEFT_ECLOSED if somebody has closed it meanwhile. */
static int loop_claim_closing(struct weft_loop *loop)
{
    bool expected = false;
    /* Acquire: the last run, or the close. Pairs with the release in loop_release(). */
    if (!weft_atomic_cas_acquire(&loop->is_entered, &expected, true))
        return WEFT_ERUNNING;
    if (loop_is_closed(loop)) {
        weft_atomic_store_relaxed(&loop->is_entered, false);
        return WEFT_ECLOSED;
    }
    /* Seq_cst is not needed: who misses the flag meets the closed inbox. Pairs with the acquire in loop_check_open(). */
    weft_atomic_store_release(&loop->is_closing, LOOP_CLOSING);
    return 0;
}

static void loop_close_rooms(struct weft_loop *loop)
{
    for (int i = LOOP_ROOM_COUNT - 1; i >= 0 && !loop_is_forked(loop); i--) {
        struct loop_room_state *state = loop_room(loop, (enum loop_room)i);
        if (state != NULL && state->close != NULL)
            state->close(loop, state);
    }
}

/* Let the operations that were cancelled come home: their owners' memory is the poller's until then. */
static void loop_drain(struct weft_loop *loop)
{
    for (int i = 0; i < DRAIN_ROUNDS_MAX; i++) {
        (void)worker_run(&loop->worker);
        if (loop_is_forked(loop) || (loop->poller->pending_count == 0 && loop->worker.fifo.head == NULL))
            return;
        (void)loop->poller_ops->wait(loop->poller, loop->worker.fifo.head != NULL ? 0 : DRAIN_WAIT_NS, &loop->worker.fifo);
    }
    (void)weft_atomic_add_relaxed(&unfinished_count, 1);
    loop_report(loop, "operations were still pending when their loop closed", -EBUSY, NULL);
}

static void loop_close_worker(struct weft_loop *loop)
{
    worker_close(&loop->worker);
    if (!loop_is_forked(loop))
        worker_await_wakers(&loop->worker);
}

/* Take out the next timer, the due ones first. */
static struct weft_timer *next_armed(struct weft_loop *loop)
{
    struct weft_timer *timer = timer_heap_pop_due(&loop->timers);
    if (timer == NULL && (timer = timer_heap_first(&loop->timers)) != NULL)
        timer_heap_stop(&loop->timers, timer);
    return timer;
}

static void loop_drop_timers(struct weft_loop *loop)
{
    struct weft_timer *timer;
    while (!loop_is_forked(loop) && (timer = next_armed(loop)) != NULL)
        if (timer->abandon != NULL)
            timer->abandon(timer);
    timers_fini(loop);
}

static void loop_fini_kind(struct weft_loop *loop)
{
    if (loop->has_kind)
        kind_fini(loop);
}

/*
 * All that calls out. False: one of those has forked and returned, and this is the child, which shall call no other, and cannot wait for what
 * the parent's threads and kernel objects owe.
 */
static bool loop_let_go(struct weft_loop *loop)
{
    static void (*const steps[])(struct weft_loop * loop) = {
        loop_close_rooms, loop_drain,     loop_close_worker, loop_drop_timers,
        loop_fini_rooms,  loop_fini_kind, loop_drain, /* what these have woken and cancelled */
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !loop_is_forked(loop); i++)
        steps[i](loop);
    return !loop_is_forked(loop);
}

/* See weft_loop_close(). */
static int loop_close(struct weft_loop *loop)
{
    if (loop_is_forked(loop))
        return WEFT_EFORKED;
    if (!worker_is_alone(&loop->worker))
        return WEFT_EFORBIDDEN; /* its work may be anywhere in the crew */
    int status = loop_is_closed(loop) ? WEFT_ECLOSED : loop_claim_closing(loop);
    if (status < 0)
        return status == WEFT_ECLOSED ? 0 : status;
    struct worker *outer = worker_current();
    loop_claim_refs(loop); /* what is let go below may hold all that there are */
    worker_set_current(&loop->worker);
    if (!loop_let_go(loop))
        return WEFT_EFORKED; /* without a current loop, since `outer` is lost too */
    loop->polled_ns = weft_loop_time(loop);
    loop->has_poller = false;
    loop->poller_ops->fini(loop->poller);
    worker_set_current(outer);
    loop_release(loop);
    return 0;
}

int weft_loop_close(struct weft_loop *loop)
{
    return loop != NULL ? loop_close(loop) : -EINVAL;
}

bool weft_loop_is_running(const struct weft_loop *loop)
{
    return loop != NULL && weft_atomic_load_relaxed(&loop->is_entered) && !weft_atomic_load_relaxed(&loop->is_closing);
}

bool weft_loop_is_closed(const struct weft_loop *loop)
{
    return loop != NULL && loop_is_closed(loop);
}

struct weft_loop *weft_get_running_loop(void)
{
    struct worker *worker = worker_current();
    return worker == NULL ? NULL : loop_of_worker(worker);
}

bool loop_is_here(const struct weft_loop *loop)
{
    return worker_current() == &loop->worker;
}

int loop_check(const struct weft_loop *loop)
{
    if (loop == NULL)
        return -EINVAL;
    if (weft_atomic_load_relaxed(&loop->is_closing))
        return loop_check_open(loop);
    if (!loop_is_here(loop) && weft_atomic_load_relaxed(&loop->is_entered))
        return WEFT_EWRONGTHREAD;
    return 0;
}

void loop_queue(struct weft_loop *loop, struct weft_work *work)
{
    worker_splice(&loop->worker);
    worker_push(&loop->worker, work);
}

void loop_at_turn_end(struct weft_loop *loop, struct weft_work *work)
{
    weft_work_list_push(&loop->turn_end, work);
}

bool loop_turn_end_remove(struct weft_loop *loop, struct weft_work *work)
{
    struct weft_work_list kept = {NULL, NULL, 0};
    bool is_found = false;
    struct weft_work *each;
    while ((each = weft_work_list_pop(&loop->turn_end)) != NULL)
        if (each == work)
            is_found = true;
        else
            weft_work_list_push(&kept, each);
    loop->turn_end = kept;
    return is_found;
}

uint64_t weft_loop_time(const struct weft_loop *loop)
{
    if (loop == NULL)
        return 0;
    return loop->has_poller ? loop->poller_ops->now(loop->poller) : loop->polled_ns;
}

void loop_set_spin(struct weft_loop *loop, uint64_t spin_max_ns, bool spins_for_io)
{
    loop->spins_for_io = spins_for_io;
    loop->spin_max_ns = spin_max_ns;
    loop->spin_ns = spin_max_ns;
}

void *weft_loop_user(struct weft_loop *loop)
{
    if (loop == NULL)
        return NULL;
    return loop->user;
}

const struct weft_loop_kind *weft_loop_kind(const struct weft_loop *loop)
{
    if (loop == NULL)
        return NULL;
    return loop->kind;
}

const struct weft_transport_ops *weft_loop_transport_ops(const struct weft_loop *loop)
{
    if (loop == NULL)
        return NULL;
    return loop->transport_ops;
}

int weft_loop_set_debug(struct weft_loop *loop, bool is_debug)
{
    int status = loop_check(loop);
    if (status < 0)
        return status;
    loop->is_debug = loop->worker.is_measured = is_debug;
    loop_look_next(loop); /* from now on each iteration does */
    return 0;
}

bool weft_loop_get_debug(const struct weft_loop *loop)
{
    return loop != NULL && loop->is_debug;
}

int weft_loop_set_slow_callback_duration(struct weft_loop *loop, uint64_t duration_ns)
{
    int status = loop_check(loop);
    if (status == 0)
        loop->slow_ns = duration_ns;
    return status;
}

int weft_loop_get_counters(const struct weft_loop *loop, struct weft_loop_counters *counters_out)
{
    if (loop == NULL || counters_out == NULL)
        return -EINVAL;
    const uint64_t *from = (const uint64_t *)&loop->counters;
    uint64_t *to = (uint64_t *)counters_out;
    for (size_t i = 0; i < sizeof(*counters_out) / sizeof(*to); i++)
        to[i] = weft_atomic_load_relaxed(&from[i]);
    counters_out->callbacks = weft_atomic_load_relaxed(&loop->worker.run_count);
    counters_out->posts = weft_atomic_load_relaxed(&loop->worker.posted_count);
    counters_out->wakes = weft_atomic_load_relaxed(&loop->worker.wake_count);
    counters_out->searches = weft_atomic_load_relaxed(&loop->worker.search_count);
    counters_out->steals = weft_atomic_load_relaxed(&loop->worker.steal_count);
    counters_out->stolen_jobs = weft_atomic_load_relaxed(&loop->worker.job_steal_count);
    counters_out->summons = weft_atomic_load_relaxed(&loop->worker.summon_count);
    counters_out->vain_summons = weft_atomic_load_relaxed(&loop->worker.vain_count);
    return 0;
}

uint32_t weft_loop_index(const struct weft_loop *loop)
{
    if (loop == NULL)
        return 0;
    return loop->index;
}
