/*
 * Parker: no wake-up is lost, none is early, and a deadline is kept. A lost one hangs, since the stresses park without a limit.
 */
#include "lib/base/clock.h"
#include "lib/base/parker.h"
#include "lib/base/thread.h"
#include "tests/support/intruder.h"
#include "tests/support/test.h"
#include "weft/atomic.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

static const uint64_t millisecond_ns = 1000 * 1000;

Test(parker, keeps_a_token_that_came_before, .timeout = 5)
{
    struct parker parker;
    parker_init(&parker);
    parker_unpark(&parker);
    CHECK_EQ(parker_park(&parker, CLOCK_NEVER_NS), 0);
}

Test(parker, keeps_one_token_at_most, .timeout = 5)
{
    struct parker parker;
    parker_init(&parker);
    parker_unpark(&parker);
    parker_unpark(&parker);
    CHECK_EQ(parker_park(&parker, CLOCK_NEVER_NS), 0);
    CHECK_EQ(parker_park(&parker, 0), -ETIMEDOUT);
}

Test(parker, only_looks_when_the_deadline_is_past, .timeout = 5)
{
    struct parker parker;
    parker_init(&parker);
    CHECK_EQ(parker_park(&parker, 0), -ETIMEDOUT);
    parker_unpark(&parker);
    CHECK_EQ(parker_park(&parker, 0), 0);
}

#if INTRUDER_WORKS

static struct parker *shared;

static void unpark(void)
{
    parker_unpark(shared);
}

Test(parker, takes_a_token_that_comes_as_it_begins_to_sleep, .timeout = 5)
{
    shared = intruder_map(sizeof(*shared));
    parker_init(shared);
    intruder_watch(&shared->state, 1, unpark);
    int status = parker_park(shared, CLOCK_NEVER_NS);
    CHECK_EQ(intruder_leave(), 1);
    CHECK_EQ(status, 0);
    CHECK_EQ(parker_park(shared, 0), -ETIMEDOUT);
    intruder_unmap(shared, sizeof(*shared));
}

#endif

Test(parker, leaves_at_its_deadline_and_not_before, .timeout = 5)
{
    struct parker parker;
    parker_init(&parker);
    uint64_t deadline_ns = clock_monotonic_ns() + 5 * millisecond_ns;
    CHECK_EQ(parker_park(&parker, deadline_ns), -ETIMEDOUT);
    CHECK(clock_monotonic_ns() >= deadline_ns);
    parker_unpark(&parker);
    CHECK_EQ(parker_park(&parker, clock_monotonic_ns() + 5 * millisecond_ns), 0);
}

Test(parker, leaves_errno_alone_when_it_wakes, .timeout = 5)
{
    struct parker parker;
    parker_init(&parker);
    errno = EPERM;
    parker_unpark(&parker);
    CHECK_EQ(errno, EPERM);
}

/* -- two threads that hand one ball back and forth -- */

struct rally {
    struct parker parkers[2];
    uint64_t ball; /* plain: the tokens alone order it */
    uint64_t count;
};

static void rally_return(void *arg)
{
    struct rally *rally = arg;
    for (uint64_t i = 0; i < rally->count; i++) {
        CHECK_EQ(parker_park(&rally->parkers[1], CLOCK_NEVER_NS), 0);
        CHECK(rally->ball == 2 * i + 1);
        rally->ball++;
        parker_unpark(&rally->parkers[0]);
    }
}

Test(parker, hands_a_ball_back_and_forth, .timeout = 60)
{
    /* Static: clang's TSan does not watch the fields of a local in the function that has it. */
    static struct rally rally = {.count = 10000};
    struct thread thread;
    CHECK_EQ(thread_start(&thread, NULL, rally_return, &rally), 0);
    for (uint64_t i = 0; i < rally.count; i++) {
        rally.ball++;
        parker_unpark(&rally.parkers[1]);
        CHECK_EQ(parker_park(&rally.parkers[0], CLOCK_NEVER_NS), 0);
        CHECK(rally.ball == 2 * i + 2);
    }
    thread_join(&thread);
}

/* -- many wakers, one sleeper -- */

enum { WAKERS = 3, WAKES = 5000 };

struct crowd {
    struct parker parker;
    uint64_t posted[WAKERS];
};

struct waker {
    struct crowd *crowd;
    int index;
};

static void waker_main(void *arg)
{
    struct waker *waker = arg;
    for (int i = 0; i < WAKES; i++) {
        weft_atomic_add_relaxed(&waker->crowd->posted[waker->index], 1);
        parker_unpark(&waker->crowd->parker);
        if (i % 16 == 0)
            sched_yield();
    }
}

static uint64_t crowd_posted(struct crowd *crowd)
{
    uint64_t sum = 0;
    for (int i = 0; i < WAKERS; i++)
        sum += weft_atomic_load_relaxed(&crowd->posted[i]);
    return sum;
}

static void wait_for_all(struct crowd *crowd, uint64_t step_ns)
{
    while (crowd_posted(crowd) < (uint64_t)WAKERS * WAKES) {
        uint64_t deadline_ns = step_ns == CLOCK_NEVER_NS ? CLOCK_NEVER_NS : clock_monotonic_ns() + step_ns;
        (void)parker_park(&crowd->parker, deadline_ns);
    }
}

static void meet_the_crowd(uint64_t step_ns)
{
    struct crowd crowd = {0};
    struct thread threads[WAKERS];
    struct waker wakers[WAKERS];
    parker_init(&crowd.parker);
    for (int i = 0; i < WAKERS; i++) {
        wakers[i] = (struct waker){.crowd = &crowd, .index = i};
        CHECK_EQ(thread_start(&threads[i], NULL, waker_main, &wakers[i]), 0);
    }
    wait_for_all(&crowd, step_ns);
    for (int i = 0; i < WAKERS; i++)
        thread_join(&threads[i]);
}

Test(parker, loses_no_wake_of_many, .timeout = 60)
{
    meet_the_crowd(CLOCK_NEVER_NS);
}

Test(parker, survives_deadlines_that_race_with_wakes, .timeout = 60)
{
    meet_the_crowd(2000);
}

/* -- a token that meets a deadline: one thread puts a ball down, the other leaves just then and comes again -- */

/* Every other time only a look, which spends most of its time between finding no token and leaving. */
static uint64_t soon_ns(uint64_t round)
{
    return round % 2 == 0 ? 0 : clock_monotonic_ns() + round % 4096;
}

static void rally_return_in_time(void *arg)
{
    struct rally *rally = arg;
    for (uint64_t i = 0; i < rally->count; i++) {
        while (parker_park(&rally->parkers[1], soon_ns(i)) != 0) {
        }
        CHECK(rally->ball == 2 * i + 1);
        rally->ball++;
        parker_unpark(&rally->parkers[0]);
    }
}

Test(parker, gives_all_or_nothing_at_its_deadline, .timeout = 60)
{
    static struct rally rally = {.count = 10000};
    struct thread thread;
    CHECK_EQ(thread_start(&thread, NULL, rally_return_in_time, &rally), 0);
    for (uint64_t i = 0; i < rally.count; i++) {
        rally.ball++;
        parker_unpark(&rally.parkers[1]);
        while (parker_park(&rally.parkers[0], soon_ns(i * 7)) != 0) {
        }
        CHECK(rally.ball == 2 * i + 2);
    }
    thread_join(&thread);
}

/* -- signals -- */

static uint32_t signal_count;

static void on_signal(int signal)
{
    (void)signal;
    weft_atomic_add_relaxed(&signal_count, 1);
}

/* TSan keeps a handler back until the thread leaves a system call that it does not know; the call is interrupted all the same. */
static void wait_for_signal(uint32_t count)
{
#if defined(WEFT_ATOMIC_TSAN)
    (void)count;
    sched_yield();
#else
    while (weft_atomic_load_relaxed(&signal_count) < count)
        sched_yield();
#endif
}

struct sleeper {
    struct parker parker;
    struct parker ready;
    uint32_t is_awake;
};

static void sleep_through(void *arg)
{
    struct sleeper *sleeper = arg;
    parker_unpark(&sleeper->ready);
    CHECK_EQ(parker_park(&sleeper->parker, CLOCK_NEVER_NS), 0);
    weft_atomic_store_relaxed(&sleeper->is_awake, 1);
}

Test(parker, sleeps_on_through_signals, .timeout = 10)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t none;
    sigemptyset(&none);
    struct sleeper sleeper = {.is_awake = 0};
    struct thread thread;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQ(thread_start(&thread, &(struct thread_options){.blocked = &none}, sleep_through, &sleeper), 0);
    CHECK_EQ(parker_park(&sleeper.ready, CLOCK_NEVER_NS), 0);
    for (uint32_t i = 1; i <= 200; i++) {
        CHECK_EQ(pthread_kill(thread.handle, SIGUSR1), 0);
        wait_for_signal(i);
    }
    CHECK_EQ(weft_atomic_load_relaxed(&sleeper.is_awake), 0);
    parker_unpark(&sleeper.parker);
    thread_join(&thread);
    CHECK_EQ(sleeper.is_awake, 1);
}
