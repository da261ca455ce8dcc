/*
 * Models of the waker: many that queue something and wake, one that sleeps on an eventfd, which is a token here.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/model/checker.h"
#include "weft/atomic.h"

static struct model_token event;

/* Plain: each use of the descriptor is ordered against the next one. A read must not swallow the write of who came after the take. */
static unsigned uses;

/* The doubles of what waker.c asks the system for. */

static int model_eventfd(unsigned count, int flags)
{
    (void)count, (void)flags;
    return 3;
}

static ssize_t model_write(int fd, const void *from, size_t bytes)
{
    (void)fd, (void)from;
    uses++;
    model_signal(&event);
    return (ssize_t)bytes;
}

static ssize_t model_read(int fd, void *to, size_t bytes)
{
    (void)fd, (void)to;
    uses++;
    (void)model_wait_timeout(&event); /* not blocking */
    return (ssize_t)bytes;
}

/* Level-triggered: the token stays until it is read. */
static int model_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    (void)fds, (void)count, (void)timeout_ms;
    model_wait(&event);
    model_signal(&event);
    return 1;
}

static int model_close(int fd)
{
    (void)fd;
    return 0;
}

#define eventfd(count, flags)        model_eventfd(count, flags)
#define write(fd, from, bytes)       model_write(fd, from, bytes)
#define read(fd, to, bytes)          model_read(fd, to, bytes)
#define poll(fds, count, timeout_ms) model_poll(fds, count, timeout_ms)
#define close(fd)                    model_close(fd)

#include "lib/poll/waker.c" /* for the doubles' sake */

enum { WAKERS = 3 };

static struct waker waker;
static uint32_t queued[WAKERS]; /* atomic, relaxed: the waker orders it */
static unsigned told[WAKERS];   /* plain: goes with it */

static void setup(void)
{
    MODEL_CHECK(waker_init(&waker) == 0);
}

static void queue(unsigned index)
{
    told[index] = 1;
    weft_atomic_store_relaxed(&queued[index], 1);
}

static void wake_one(void)
{
    queue(0);
    (void)waker_wake(&waker);
}

static void wake_two(void)
{
    queue(1);
    (void)waker_wake(&waker);
}

static void wake_three(void)
{
    queue(2);
    (void)waker_wake(&waker);
}

static unsigned count_queued(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < WAKERS; i++)
        count += weft_atomic_load_relaxed(&queued[i]);
    return count;
}

/* As the driver of the executor does: block, take, look. */
static void sleep_for(unsigned count)
{
    while (count_queued() < count) {
        waker_block(&waker);
        (void)waker_take(&waker);
    }
}

static void sleep_for_one(void)
{
    sleep_for(1);
}

static void sleep_for_three(void)
{
    sleep_for(3);
}

/* As the epoll poller does: edge-triggered, so that an event is had once and the descriptor never read. */
static void watch_for(unsigned count)
{
    while (count_queued() < count) {
        model_wait(&event);
        (void)waker_take(&waker);
    }
}

static void watch_for_two(void)
{
    watch_for(2);
}

/* Who finds a signal sees what its waker wrote plainly before it. */
static void take_and_look(void)
{
    if (!waker_take(&waker))
        return;
    MODEL_CHECK(told[0] == 1);
}

static void check_told(void)
{
    bool is_signalled = waker_take(&waker);
    MODEL_CHECK(!waker_take(&waker));
    MODEL_CHECK(uses >= 1 || !is_signalled);
}

/* ---- swapped ---------------------------------------------------------------------------------------------------------------------------- */

static void wake_then_queue(void)
{
    (void)waker_wake(&waker);
    queue(0);
}

/* Looks, and takes the signal of what came since. */
static void look_then_take(void)
{
    for (;;) {
        model_wait(&event);
        if (count_queued() == 2)
            return;
        (void)waker_take(&waker);
    }
}

/* Takes, and reads the descriptor then: swallows the event of who came in between, and the next one finds his signal and writes none. */
static void take_then_read(void)
{
    while (count_queued() < 3) {
        model_wait(&event);
        model_signal(&event);
        (void)waker_take(&waker);
        (void)model_wait_timeout(&event);
    }
}

static const struct model models[] = {
    {"take", "Who takes a signal sees what was done before it", setup, .threads = {wake_one, take_and_look}, .check = check_told},
    {"block", "A sleeper that blocks is woken for what was queued", setup, .threads = {wake_one, sleep_for_one}, .check = check_told},
    {"watch", "The same edge-triggered, with two wakers", setup, .threads = {wake_one, wake_two, watch_for_two}, .check = check_told},
    {"block_for_three", "The same with three", setup, .threads = {wake_one, wake_two, wake_three, sleep_for_three}, .check = check_told,
     .bound = 2, .random_runs = 3000},
};

static const struct model broken[] = {
    {"wake_then_queue_swapped", "A wake-up before what it is for is one for nothing", setup, .threads = {wake_then_queue, sleep_for_one}},
    {"look_then_take_swapped", "A sleeper that looks before it takes loses the second signal", setup,
     .threads = {wake_one, wake_two, look_then_take}},
    {"take_then_read_swapped", "A sleeper that reads the descriptor after taking swallows an event", setup,
     .threads = {wake_one, wake_two, wake_three, take_then_read}, .bound = 4},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"lib/poll/waker"},
    };
    return model_main(&suite, argc, argv);
}
