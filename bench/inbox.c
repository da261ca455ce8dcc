/*
 * What does a post to another loop cost?
 *
 * The queue alone, without a system call: the producer's push, the consumer's take, what user posts pay for their limit, and then two
 * threads at once, with the line between them. Prints the median of several rounds for each figure: name, value.
 */
#include "lib/lockfree/inbox.h"

#include "lib/base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 9, BATCH = 256, POSTS = 1 << 18, TRIPS = 1 << 16 };

static struct inbox inbox, answers;
static struct weft_work works[BATCH];

/* One question: does its work and says how long one unit of it took. */
typedef double round_fn(void);

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, round_fn *round)
{
    double ns[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        inbox_init(&inbox);
        inbox_init(&answers);
        ns[i] = round();
    }
    qsort(ns, ROUNDS, sizeof *ns, compare_doubles);
    printf("inbox.%s %.1f\n", name, ns[ROUNDS / 2]);
}

static double per_unit(uint64_t start_ns, uint64_t units)
{
    return (double)(clock_monotonic_ns() - start_ns) / (double)units;
}

static double push_round(void)
{
    double sum = 0;
    for (int i = 0; i < POSTS / BATCH; i++) {
        uint64_t start_ns = clock_monotonic_ns();
        for (int j = 0; j < BATCH; j++)
            inbox_push(&inbox, &works[j], &works[j]);
        sum += per_unit(start_ns, BATCH);
        inbox_take(&inbox);
    }
    return sum / (POSTS / BATCH);
}

static double take_round(void)
{
    double sum = 0;
    for (int i = 0; i < POSTS / BATCH; i++) {
        for (int j = 0; j < BATCH; j++)
            inbox_push(&inbox, &works[j], &works[j]);
        uint64_t start_ns = clock_monotonic_ns();
        inbox_take(&inbox);
        sum += per_unit(start_ns, BATCH);
    }
    return sum / (POSTS / BATCH);
}

static double push_take_round(void)
{
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < POSTS; i++) {
        inbox_push(&inbox, &works[0], &works[0]);
        inbox_take(&inbox);
    }
    return per_unit(start_ns, POSTS);
}

static double user_push_take_round(void)
{
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < POSTS; i++) {
        if (inbox_reserve(&inbox, BATCH))
            inbox_push(&inbox, &works[0], &works[0]);
        inbox_unreserve(&inbox, inbox_take(&inbox).count);
    }
    return per_unit(start_ns, POSTS);
}

/* What a loop pays each turn for looking. */
static double look_round(void)
{
    size_t count = 0;
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < POSTS; i++) {
        count += inbox_take(&inbox).count;
        __asm__ __volatile__("" : "+r"(count) : : "memory");
    }
    return per_unit(start_ns, POSTS);
}

static double park_unpark_round(void)
{
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < POSTS; i++) {
        inbox_park(&inbox);
        inbox_unpark(&inbox);
    }
    return per_unit(start_ns, POSTS);
}

static void *consume_posts(void *arg)
{
    (void)arg;
    for (size_t left = POSTS, count; left > 0; left -= count) {
        count = inbox_take(&inbox).count;
        if (count == 0)
            weft_atomic_pause();
        else
            inbox_unreserve(&inbox, count);
    }
    return NULL;
}

/* One thread posts as fast as the limit lets it, another takes: per post, from the first to the last taken. */
static double two_threads_round(void)
{
    static struct weft_work many[POSTS];
    pthread_t consumer;
    if (pthread_create(&consumer, NULL, consume_posts, NULL) != 0)
        return 0;
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < POSTS; i++) {
        while (!inbox_reserve(&inbox, 4 * BATCH))
            weft_atomic_pause();
        inbox_push(&inbox, &many[i], &many[i]);
    }
    pthread_join(consumer, NULL);
    return per_unit(start_ns, POSTS);
}

static void *answer_trips(void *arg)
{
    (void)arg;
    for (int i = 0; i < TRIPS; i++) {
        struct inbox_batch batch;
        while ((batch = inbox_take(&inbox)).count == 0)
            weft_atomic_pause();
        inbox_push(&answers, batch.first, batch.last);
    }
    return NULL;
}

/* There and back between two threads that never sleep. */
static double round_trip_round(void)
{
    pthread_t other;
    if (pthread_create(&other, NULL, answer_trips, NULL) != 0)
        return 0;
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < TRIPS; i++) {
        inbox_push(&inbox, &works[0], &works[0]);
        while (inbox_take(&answers).count == 0)
            weft_atomic_pause();
    }
    double ns = per_unit(start_ns, TRIPS);
    pthread_join(other, NULL);
    return ns;
}

int main(void)
{
    report("push_ns", push_round);
    report("take_ns", take_round);
    report("push_take_ns", push_take_round);
    report("user_push_take_ns", user_push_take_round);
    report("look_ns", look_round);
    report("park_unpark_ns", park_unpark_round);
    /* Two that spin on one processor would measure its scheduler. */
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
        report("two_threads_ns", two_threads_round);
        report("round_trip_ns", round_trip_round);
    }
    return 0;
}
