/*
 * Posters: see the header. Called by the mains of those who post.
 */
#include "bench/kit/posters.h"

#include <pthread.h>
#include <semaphore.h>

static struct {
    posters_post_fn *post;
    void *arg;
    int count; /* of each */
    pthread_barrier_t at_once;
    uint64_t spent_ns[POSTERS_MAX];
} posters;

static struct {
    uint64_t taken, wanted; /* the taker's while anybody posts */
    sem_t has_all;
} taker;

void posters_took(uint64_t count)
{
    taker.taken += count;
    if (taker.taken == taker.wanted)
        sem_post(&taker.has_all);
}

static void *post_often(void *arg)
{
    uint64_t *spent_ns = arg;
    int self = (int)(spent_ns - posters.spent_ns);
    pthread_barrier_wait(&posters.at_once);
    uint64_t start_ns = kit_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < posters.count; i++)
        posters.post(posters.arg, self, i);
    *spent_ns = kit_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
    return NULL;
}

/* The last post orders what is written here before it for the taker. */
static void go_round(struct kit *kit, int threads)
{
    pthread_t thread[POSTERS_MAX];
    taker.taken = 0;
    taker.wanted = (uint64_t)posters.count * (uint64_t)threads;
    pthread_barrier_init(&posters.at_once, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++)
        kit_must(kit, -pthread_create(&thread[i], NULL, post_often, &posters.spent_ns[i]), "a thread");
    kit_start(kit);
    pthread_barrier_wait(&posters.at_once);
    while (sem_wait(&taker.has_all) < 0)
        continue;
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&posters.at_once);
}

double posters_measure(struct kit *kit, int threads, posters_post_fn *post, void *arg)
{
    uint64_t spent_ns = 0;
    posters.post = post;
    posters.arg = arg;
    posters.count = (kit->is_quick ? POSTERS_POSTS_QUICK : POSTERS_POSTS) / threads;
    sem_init(&taker.has_all, 0, 0);
    go_round(kit, threads);
    go_round(kit, threads);
    double posts = (double)posters.count * threads;
    kit_stop(kit, "ns", posts);
    for (int i = 0; i < threads; i++)
        spent_ns += posters.spent_ns[i];
    kit_figure(kit, "poster", "ns", (double)spent_ns / posts);
    return posts;
}
