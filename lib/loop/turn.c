/*
 * Turn: one iteration of a loop, in asyncio's order, and the run made of them.
 *
 *     splice the inbox → poll (asleep only if nothing is queued, nor to be stolen) → I/O behind what was queued → due timers → run the
 *     snapshot → run stealable work, within its budget
 *
 * While work is queued the poll and the clock may be skipped, for at most TURN_SKIP_WORKS works or TURN_SKIP_NS. To know the latter costs as
 * much as a short turn, so it is asked after 1, 2, 4 works and then every 8 (worker_next_look()). The loop sleeps in its poller and nowhere else; the inbox's word says whether it does.
 */
#include <errno.h>

#include "lib/base/clock.h"
#include "lib/loop/loop.h"
#include "lib/loop/timers.h"
#include "lib/sched/crew.h"
#include "weft/atomic.h"
#include "weft/status.h"

enum {
    TURN_SKIP_WORKS = 61,
    TURN_SKIP_NS = 100000,
    SPIN_LOOK_NS = 1000,    /* so long a spin looks into the inbox alone */
    SPIN_LOOKS_ALONE = 2,   /* so many looks come before a search */
    SPIN_ASK_MAX_NS = 8000, /* at least so often it asks the poller */
};

#define WAIT_MAX_NS INT64_C(86400000000000) /* a day, as asyncio's */

/* True if the poller has been left alone for too long. In virtual time nothing may depend on how long callbacks take. */
static bool is_poll_late(const struct weft_loop *loop)
{
    return !loop->worker.is_virtual && clock_ticks() - loop->polled_ticks >= clock_ticks_in(TURN_SKIP_NS);
}

/* What must_poll() does when it is time to look closer, and when the next time comes. */
__attribute__((noinline)) static bool look_closer(struct weft_loop *loop)
{
    uint64_t works = loop->worker.run_count - loop->polled_run_count;
    if (loop->is_debug || works >= TURN_SKIP_WORKS)
        return true;
    uint64_t next = worker_next_look(works);
    loop->look_run_count = loop->polled_run_count + (next < TURN_SKIP_WORKS ? next : TURN_SKIP_WORKS);
    return is_poll_late(loop);
}

/* True if this iteration must look at the poller and the clock. Mostly it knows by one comparison that it need not. */
static inline bool must_poll(struct weft_loop *loop)
{
    return loop->worker.run_count >= loop->look_run_count && look_closer(loop);
}

static int poll_now(struct weft_loop *loop, int64_t timeout_ns)
{
    worker_count(&loop->counters.polls, 1);
    if (loop->settled_posts > 0) /* also of a bound that is lower now */
        posts_settle(loop);
    int count = loop->poller_ops->wait(loop->poller, timeout_ns, &loop->worker.fifo);
    loop->polled_run_count = loop->worker.run_count;
    loop->look_run_count = loop->is_debug ? 0 : loop->worker.run_count + 1;
    loop->polled_ns = loop->poller_ops->now(loop->poller);
    loop->polled_ticks = clock_ticks();
    return count;
}

/* Look into the inbox for a while, which costs nothing while nobody writes it. Time that is virtual does not pass meanwhile. */
static bool spin_on_inbox(const struct weft_loop *loop)
{
    uint64_t start = clock_ticks();
    do {
        if (!inbox_is_empty(&loop->worker.inbox))
            return true;
        weft_atomic_pause();
    } while (!loop->worker.is_virtual && clock_ticks() - start < clock_ticks_in(SPIN_LOOK_NS));
    return false;
}

/* True if a spin has not asked the poller for long enough: it is asked after each look as long as it is what answers, and else less often. */
static bool must_ask_poller(const struct weft_loop *loop)
{
    return loop->worker.is_virtual || clock_ticks() - loop->polled_ticks >= clock_ticks_in(loop->spin_ask_ns);
}

/*
 * One look of a spin: whether there is something, or below 0 what is wrong with the poller. A post ends it, but posts that never cease must
 * not keep the loop from its poller.
 */
static int spin_once(struct weft_loop *loop)
{
    bool is_hit = spin_on_inbox(loop);
    if (is_hit && loop->spin_ask_ns < SPIN_ASK_MAX_NS)
        loop->spin_ask_ns += SPIN_LOOK_NS;
    if (!is_hit && loop->worker.is_searching && crew_steal(&loop->worker))
        is_hit = true;
    if (is_hit ? !must_poll(loop) && !is_poll_late(loop) : !must_ask_poller(loop))
        return is_hit;
    int count = poll_now(loop, 0);
    if (count > 0)
        loop->spin_ask_ns = 0;
    return count != 0 ? count : is_hit;
}

/*
 * True if it pays to be awake for what has come: another loop or thread has sent it, or this one has stolen it. `io_count` events alone do not,
 * unless the loop spins for them: the kernel wakes for them whoever sleeps, and meanwhile the processor is the clients'.
 */
static bool is_worth_spinning(const struct weft_loop *loop, int io_count)
{
    return !inbox_is_empty(&loop->worker.inbox) || worker_has_stealable(&loop->worker) || (io_count > 0 && loop->spins_for_io);
}

/*
 * Let the next spin be longer, from none on twice the one look, so that a miss or two leave something to grow; after a miss slowly shorter,
 * and in the end none, so that a server which only its clients call never looks.
 */
static void spin_adapt(struct weft_loop *loop, bool is_hit)
{
    uint64_t longer_ns = (loop->spin_ns < SPIN_LOOK_NS ? SPIN_LOOK_NS : loop->spin_ns) * 2, shorter_ns = loop->spin_ns - loop->spin_ns / 16;
    if (is_hit)
        loop->spin_ns = longer_ns < loop->spin_max_ns ? longer_ns : loop->spin_max_ns;
    else
        loop->spin_ns = shorter_ns < SPIN_LOOK_NS ? 0 : shorter_ns;
}

/*
 * Look without sleeping until something comes or the spin is over, as spin_once(); it grows on a hit and shrinks slowly on a miss. The first
 * looks are for what is the loop's own: two loops that answer each other at once do not write what a whole crew reads.
 */
static int spin(struct weft_loop *loop, uint64_t limit_ns)
{
    uint64_t spin_ns = loop->spin_ns < limit_ns ? loop->spin_ns : limit_ns;
    uint64_t start_ns = loop->polled_ns, end_ns = loop->worker.is_virtual ? weft_loop_time(loop) + spin_ns : UINT64_MAX;
    uint32_t looks = 0;
    int found;
    do {
        if (looks++ == SPIN_LOOKS_ALONE)
            (void)crew_search_begin(&loop->worker); /* who may not search spins on what is its own */
        found = spin_once(loop);
        if (end_ns == UINT64_MAX && loop->polled_ns != start_ns)
            end_ns = loop->polled_ns + spin_ns; /* the first time that it is known what time it is */
    } while (found == 0 && spin_ns > SPIN_LOOK_NS && loop->polled_ns < end_ns);
    if (found != 0)
        crew_search_end(&loop->worker);
    worker_count(&loop->counters.spins, found > 0);
    spin_adapt(loop, is_worth_spinning(loop, found));
    return found;
}

static uint64_t time_to_first_timer(struct weft_loop *loop)
{
    uint64_t first_ns = timer_heap_first_ns(&loop->timers);
    if (first_ns == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now_ns = weft_loop_time(loop);
    return first_ns > now_ns ? first_ns - now_ns : 0;
}

/* The end of a sleep, for whatever reason. Who was summoned looks for what it was summoned for. */
static void wake_up(struct weft_loop *loop)
{
    struct worker *worker = &loop->worker;
    bool is_summoned = crew_unpark(worker);
    worker_unpark(worker);
    if (!is_summoned || worker_search(worker))
        return;
    worker_count(&worker->vain_count, 1);
    crew_search_end(worker);
}

/* What ends the sleep so soon that the longest spin would have met it is a hit that was missed: so a spin that has shrunk comes back. */
static int sleep_in_poller(struct weft_loop *loop, uint64_t timer_ns)
{
    worker_count(&loop->counters.parks, 1);
    bool may_grow = loop->spin_ns < loop->spin_max_ns;
    uint64_t start_ns = may_grow ? weft_loop_time(loop) : 0;
    int count = poll_now(loop, timer_ns > (uint64_t)WAIT_MAX_NS ? (timer_ns == UINT64_MAX ? -1 : WAIT_MAX_NS) : (int64_t)timer_ns);
    wake_up(loop);
    if (may_grow && loop->polled_ns - start_ns < loop->spin_max_ns && is_worth_spinning(loop, count))
        spin_adapt(loop, true);
    return count;
}

/* Look at the poller, and no further for other loops' work. */
static int look_only(struct weft_loop *loop)
{
    crew_search_end(&loop->worker);
    return poll_now(loop, 0);
}

/*
 * Sleep until I/O, a wake-up or the first timer. A post either comes before the park, which then fails, or finds it and wakes; and so does
 * stealable work, by the crew's own count of who is parked.
 */
static int sleep_until_something(struct weft_loop *loop)
{
    struct worker *worker = &loop->worker;
    uint64_t timer_ns = time_to_first_timer(loop);
    if (timer_ns == 0)
        return look_only(loop);
    int found = loop->spin_ns > 0 ? spin(loop, timer_ns) : 0;
    if (found != 0)
        return found < 0 ? found : 0;
    if (!inbox_park(&worker->inbox))
        return look_only(loop);
    if (crew_park(worker))
        return sleep_in_poller(loop, timer_ns);
    worker_unpark(worker);
    (void)worker_search(worker);
    return look_only(loop);
}

/* Nothing of this loop's own is queued, and it has found nothing to steal. */
static bool is_out_of_work(struct weft_loop *loop)
{
    if (loop->worker.fifo.head != NULL || timer_heap_has_due(&loop->timers) || loop->turn_end.head != NULL)
        return false;
    return !worker_has_stealable(&loop->worker) && (loop->is_stopping || !worker_search(&loop->worker));
}

/*
 * What a turn does that finds nothing queued, or must look at the poller. Apart, so that one which has to do neither saves no registers for
 * it.
 */
__attribute__((noinline)) static int find_work(struct weft_loop *loop, bool may_sleep, bool is_due)
{
    bool is_idle = is_out_of_work(loop);
    int status = 0;
    if (is_idle && may_sleep && !loop->is_stopping)
        status = sleep_until_something(loop);
    else if (is_idle || is_due)
        status = look_only(loop);
    worker_splice(&loop->worker); /* what came with the wake-up runs in this iteration */
    return status;
}

/*
 * Run what waits for the end of an iteration that has come to `before`, and not what that adds. A fatal status ends it; the rest waits for the
 * next one. Apart, as find_work() is.
 */
__attribute__((noinline)) static int run_turn_end(struct weft_loop *loop, int before)
{
    int status = 0;
    struct weft_work *work; /* popped one by one: each may take back another, whose memory goes */
    for (size_t count = loop->turn_end.count; count > 0 && status >= 0 && (work = weft_work_list_pop(&loop->turn_end)) != NULL; count--)
        status = work->run(work);
    return before < 0 ? before : status;
}

int loop_turn(struct weft_loop *loop, bool may_sleep)
{
    worker_count(&loop->counters.turns, 1);
    worker_splice(&loop->worker);
    bool is_due = must_poll(loop);
    int status = is_due || loop->worker.fifo.head == NULL ? find_work(loop, may_sleep, is_due) : 0;
    if (status < 0)
        return status;
    if (timer_heap_is_late(&loop->timers, loop->polled_ns) || timer_heap_has_due(&loop->timers))
        timers_collect(loop, loop->polled_ns);
    status = worker_run(&loop->worker);
    if (status >= 0)
        status = worker_run_stealable(&loop->worker);
    if (loop->turn_end.head != NULL)
        status = run_turn_end(loop, status);
    return loop_is_forked(loop) ? WEFT_EFORKED : status; /* forked: a callback has, and has returned in the child */
}

bool loop_has_work(struct weft_loop *loop)
{
    return worker_has_work(&loop->worker) || timer_heap_has_due(&loop->timers) || loop->turn_end.head != NULL ||
           time_to_first_timer(loop) == 0;
}

uint64_t loop_next_timer_ns(struct weft_loop *loop)
{
    return timer_heap_first_ns(&loop->timers);
}

void loop_look_next(struct weft_loop *loop)
{
    loop->polled_run_count = loop->worker.run_count - TURN_SKIP_WORKS;
    loop->look_run_count = 0;
}

/* The present iteration is the last of this run, or, if there is none, the next: that looks at the poller, too. */
static void stop_run(struct weft_loop *loop)
{
    loop->is_stopping = true;
    loop_look_next(loop);
}

int loop_enter(struct weft_loop *loop)
{
    if (loop == NULL)
        return -EINVAL;
    int closed = loop_check_open(loop);
    if (closed < 0)
        return closed;
    struct worker *current = worker_current();
    if (current != NULL && current != &loop->worker)
        return WEFT_EOTHERLOOP;
    bool expected = false;
    /* Acquire: what the last run, in whatever thread, left behind. Pairs with the release in loop_release(). */
    if (!weft_atomic_cas_acquire(&loop->is_entered, &expected, true))
        return WEFT_ERUNNING;
    if (loop_is_closed(loop)) { /* since it was asked above */
        weft_atomic_store_relaxed(&loop->is_entered, false);
        return WEFT_ECLOSED;
    }
    loop_claim_refs(loop);
    worker_set_current(&loop->worker);
    loop_look_next(loop); /* the first iteration may be the only one */
    return 0;
}

void loop_leave(struct weft_loop *loop)
{
    loop->is_stopping = false;
    worker_set_current(NULL);
    loop_release(loop);
}

int weft_loop_run_forever(struct weft_loop *loop)
{
    int status = loop_enter(loop);
    if (status < 0)
        return status;
    do
        status = loop_turn(loop, true);
    while (status >= 0 && !loop->is_stopping);
    loop_leave(loop);
    return status;
}

static int stop_posted(struct weft_work *work)
{
    struct weft_loop *loop = weft_container_of(work, struct weft_loop, stop_work);
    stop_run(loop);
    /* Release: the work is free again. Pairs with the acquire exchange in weft_loop_stop(). */
    weft_atomic_store_release(&loop->is_stop_posted, 0);
    return 0;
}

int weft_loop_stop(struct weft_loop *loop)
{
    if (loop == NULL)
        return -EINVAL;
    int closed = loop_check_open(loop);
    if (closed < 0)
        return closed;
    if (loop_is_here(loop)) {
        stop_run(loop);
        return 0;
    }
    /* Acquire. Pairs with the release in stop_posted(): the work is posted once at a time, and only who posts it may write it. */
    if (weft_atomic_exchange_acquire(&loop->is_stop_posted, 1) == 0) {
        loop->stop_work.run = stop_posted;
        work_ready(&loop->worker, &loop->stop_work);
    }
    return 0;
}
