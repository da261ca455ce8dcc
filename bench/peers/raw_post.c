/*
 * Raw, posts: a queue and an eventfd, the least with which threads hand something to another. Told by RAW_WRITE_EACH, who posts always writes
 * to the eventfd; else only if the taker sleeps.
 *
 * A post is a compare-and-swap on the queue's head. Nothing is allocated, and nothing can be cancelled.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench/kit/posters.h"

enum { LINE_BYTES = 64 };

struct node {
    struct node *next;
    uint64_t payload;
};

#define EMPTY  ((struct node *)0)
#define PARKED ((struct node *)1)

static struct {
    _Alignas(LINE_BYTES) struct node *head; /* EMPTY, PARKED, or the newest */
    _Alignas(LINE_BYTES) int event_fd;
} queue;

static struct node nodes[POSTERS_MAX][POSTERS_POSTS];
static struct node last_node;

static void push(struct node *node)
{
    struct node *head = __atomic_load_n(&queue.head, __ATOMIC_RELAXED);
    do
        node->next = head == PARKED ? EMPTY : head;
    while (!__atomic_compare_exchange_n(&queue.head, &head, node, 1, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)); /* Pairs with take_nodes(). */
#ifdef RAW_WRITE_EACH
    head = PARKED;
#endif
    if (head == PARKED && write(queue.event_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        abort();
}

static void post(void *arg, int poster, int number)
{
    struct node *node = &nodes[poster][number];
    (void)arg;
    node->payload = 1;
    push(node);
}

static void sleep_until_pushed(void)
{
    struct node *empty = EMPTY;
    uint64_t ignored;
#ifndef RAW_WRITE_EACH
    if (!__atomic_compare_exchange_n(&queue.head, &empty, PARKED, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) /* Pairs with push(). */
        return;
#endif
    (void)empty;
    if (read(queue.event_fd, &ignored, sizeof(ignored)) < 0)
        abort();
}

static void *take_nodes(void *arg)
{
    for (bool is_over = false; !is_over;) {
        uint64_t count = 0;
        struct node *node = __atomic_exchange_n(&queue.head, EMPTY, __ATOMIC_ACQ_REL); /* Pairs with push(). */
        for (; node != EMPTY && node != PARKED; node = node->next) {
            is_over |= node == &last_node;
            count += node->payload;
        }
        if (count > 0)
            posters_took(count);
        else if (!is_over)
            sleep_until_pushed();
    }
    return arg;
}

static void run_post(struct kit *kit)
{
    pthread_t taker;
    queue.event_fd = eventfd(0, EFD_CLOEXEC);
    kit_must(kit, -pthread_create(&taker, NULL, take_nodes, NULL), "a thread");
    (void)posters_measure(kit, *(const int *)kit->arg, post, NULL);
    push(&last_node);
    pthread_join(taker, NULL);
    close(queue.event_fd);
}

int main(int argc, char **argv)
{
    static const int threads[] = {1, 2, 3, 4};
    static const struct kit_case cases[] = {
        {"post", "producers_1", run_post, &threads[0], 1}, {"post", "producers_2", run_post, &threads[1], 1},
        {"post", "producers_3", run_post, &threads[2], 1}, {"post", "producers_4", run_post, &threads[3], 1},
        {"post", "work", run_post, &threads[0], 1},
    };
#if defined(RAW_WRITE_EACH)
    const char *who = "raw, a write each";
#else
    const char *who = "raw";
#endif
    return kit_main(argc, argv, who, cases, sizeof(cases) / sizeof(cases[0]));
}
