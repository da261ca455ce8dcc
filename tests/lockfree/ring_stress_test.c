/*
 * Rings of four under threads: an owner that pushes, pops and spills, and thieves with rings of their own. Each work is met once, and
 * the owner meets its own in order.
 */
#include "lib/lockfree/ring.h"

#include "tests/lockfree/threads.h"
#include "tests/support/test.h"

#include <sched.h>

enum { THIEVES = 3, WORKS = 60000 };

static struct ring rings[1 + THIEVES];
static struct weft_work works[WORKS];
static uint8_t met[WORKS];
static uint64_t met_count;
static int owner_last; /* the newest that the owner has met */

static void meet(struct weft_work *work)
{
    CHECK_EQ(weft_atomic_add_relaxed(&met[work - works], 1), 0);
    (void)weft_atomic_add_relaxed(&met_count, 1);
}

static void owner_meets(struct weft_work *work)
{
    CHECK((int)(work - works) > owner_last);
    owner_last = (int)(work - works);
    meet(work);
}

static void owner_spills(void)
{
    struct weft_work_list list = {NULL, NULL, 0};
    (void)ring_take_half(&rings[0], &list);
    struct weft_work *work;
    while ((work = weft_work_list_pop(&list)) != NULL)
        owner_meets(work);
}

static void *own(void *unused)
{
    (void)unused;
    uint64_t seed = 42;
    owner_last = -1;
    for (int i = 0; i < WORKS; i++) {
        while (!ring_push(&rings[0], &works[i]))
            owner_spills();
        uint32_t die = random_next(&seed) % 8;
        struct weft_work *work = die < 3 ? ring_pop(&rings[0]) : NULL;
        if (work != NULL)
            owner_meets(work);
        if (die == 7)
            sched_yield(); /* let thieves at it also where there are few processors */
    }
    return NULL;
}

static void *steal(void *arg)
{
    struct ring *own_ring = arg;
    uint64_t seed = (uint64_t)(own_ring - rings) + 1;
    while (weft_atomic_load_relaxed(&met_count) < WORKS) {
        struct ring *victim = &rings[random_next(&seed) % (1 + THIEVES)];
        if (victim != own_ring && ring_steal(victim, own_ring) == 0)
            sched_yield();
        struct weft_work *work = random_next(&seed) % 2 ? ring_pop(own_ring) : NULL;
        if (work != NULL)
            meet(work);
    }
    return NULL;
}

static void run_all(uint64_t start)
{
    struct threads threads = {.count = 0};
    for (int i = 0; i <= THIEVES; i++)
        ring_init(&rings[i], start - (uint64_t)i);
    threads_start(&threads, own, NULL);
    for (int i = 1; i <= THIEVES; i++)
        threads_start(&threads, steal, &rings[i]);
    threads_join(&threads);
    for (int i = 0; i < WORKS; i++)
        CHECK_EQ(met[i], 1);
    for (int i = 0; i <= THIEVES; i++)
        CHECK_EQ(ring_count(&rings[i]), 0);
}

Test(ring_stress, each_work_is_met_once, .timeout = 60)
{
    run_all(100);
}

Test(ring_stress, each_work_is_met_once_where_the_counters_wrap, .timeout = 60)
{
    run_all(UINT64_MAX - WORKS / 4);
}
