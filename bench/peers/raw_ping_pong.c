/*
 * Raw, ping-pong: the least with which one thread tells another, there and back: by an eventfd that is read, by one in an epoll, as a thread
 * must that waits for sockets too, by a futex, and by a word that both look at all the time. RAW_WAY says which.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/kit/bind.h"

enum { TRIPS_PARKED = 13000, TRIPS_AWAKE = 330000, QUICK = 50, LINE_BYTES = 64 };

struct bell {
    int event_fd, epoll_fd;
    _Alignas(LINE_BYTES) uint32_t rung;  /* atomic: how often, or the futex */
    _Alignas(LINE_BYTES) uint32_t heard; /* of these */
};

struct way {
    const char *who;
    bool is_awake;
    void (*ring)(struct bell *bell);
    void (*wait)(struct bell *bell);
};

static struct bell bells[2];
static const struct kit *kit_of_bells;

static void ring_event(struct bell *bell)
{
    kit_check(kit_of_bells, write(bell->event_fd, &(uint64_t){1}, sizeof(uint64_t)) == sizeof(uint64_t), "a write");
}

static void wait_event(struct bell *bell)
{
    uint64_t count;
    kit_check(kit_of_bells, read(bell->event_fd, &count, sizeof(count)) == sizeof(count), "a read");
}

/* Edge-triggered: nobody has to read what was written. */
static void wait_epoll(struct bell *bell)
{
    struct epoll_event event;
    kit_check(kit_of_bells, epoll_wait(bell->epoll_fd, &event, 1, -1) == 1, "a wait");
}

static void ring_futex(struct bell *bell)
{
    __atomic_store_n(&bell->rung, 1, __ATOMIC_RELEASE); /* Pairs with the acquire in wait_futex(). */
    kit_check(kit_of_bells, syscall(SYS_futex, &bell->rung, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0, "a wake");
}

static void wait_futex(struct bell *bell)
{
    while (__atomic_exchange_n(&bell->rung, 0, __ATOMIC_ACQUIRE) == 0) /* Pairs with the release in ring_futex(). */
        (void)syscall(SYS_futex, &bell->rung, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void ring_word(struct bell *bell)
{
    __atomic_store_n(&bell->rung, bell->rung + 1, __ATOMIC_RELEASE); /* Pairs with the acquire in wait_word(). */
}

static void wait_word(struct bell *bell)
{
    while (__atomic_load_n(&bell->rung, __ATOMIC_ACQUIRE) == bell->heard) /* Pairs with the release in ring_word(). */
        bind_pause();
    bell->heard++;
}

static const struct way ways[] = {
    {"raw eventfd", false, ring_event, wait_event},
    {"raw epoll", false, ring_event, wait_epoll},
    {"raw futex", false, ring_futex, wait_futex},
    {"raw", true, ring_word, wait_word},
};

static void bell_init(struct bell *bell)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    bell->event_fd = eventfd(0, EFD_CLOEXEC);
    bell->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    kit_check(kit_of_bells, epoll_ctl(bell->epoll_fd, EPOLL_CTL_ADD, bell->event_fd, &event) == 0, "an epoll");
}

static void *answer_trips(void *arg)
{
    int trips = *(const int *)arg;
    bind_here(kit_of_bells, 1);
    for (int i = 0; i < trips; i++) {
        ways[RAW_WAY].wait(&bells[0]);
        ways[RAW_WAY].ring(&bells[1]);
    }
    return NULL;
}

static void run(struct kit *kit)
{
    pthread_t thread;
    int trips = (ways[RAW_WAY].is_awake ? TRIPS_AWAKE : TRIPS_PARKED) / (kit->is_quick ? QUICK : 1), warm = trips / 8, all = warm + trips;
    kit_of_bells = kit;
    bell_init(&bells[0]);
    bell_init(&bells[1]);
    kit_must(kit, -pthread_create(&thread, NULL, answer_trips, &all), "a thread");
    bind_here(kit, 0);
    for (int i = 0; i < all; i++) {
        if (i == warm)
            kit_start(kit);
        ways[RAW_WAY].ring(&bells[0]);
        ways[RAW_WAY].wait(&bells[1]);
    }
    kit_stop(kit, "ns", trips);
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    static const struct kit_case awake[] = {{"ping_pong", "awake", run, NULL, 2}, {"ping_pong", "awake_call", run, NULL, 2}};
    static const struct kit_case parked[] = {{"ping_pong", "parked", run, NULL, 2}, {"ping_pong", "parked_call", run, NULL, 2}};
    return kit_main(argc, argv, ways[RAW_WAY].who, ways[RAW_WAY].is_awake ? awake : parked, 2);
}
