/*
 * The timer heap against an oracle that keeps a sorted array: the same first timer after each of a million arms, stops and moves.
 */
#include "lib/loop/timer_heap.h"

#include <stdlib.h>
#include <string.h>

#include "tests/loop/spy.h"

enum { ROUNDS = TEST_IS_SLOW ? 100000 : 1000000 };

enum { TIMERS_MAX = 1000 };

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

struct oracle_entry {
    uint64_t when_ns;
    struct weft_timer *timer;
};

static struct timer_heap heap;
static struct weft_timer timers[TIMERS_MAX];
static struct oracle_entry oracle[TIMERS_MAX];
static size_t oracle_count;

/* Behind all that are due no later: those of the same time keep the order of their arming. */
static void oracle_insert(struct weft_timer *timer, uint64_t when_ns)
{
    size_t low = 0, high = oracle_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (oracle[middle].when_ns <= when_ns)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(&oracle[low + 1], &oracle[low], (oracle_count - low) * sizeof(oracle[0]));
    oracle[low] = (struct oracle_entry){when_ns, timer};
    oracle_count++;
}

static void oracle_remove(struct weft_timer *timer)
{
    size_t i = 0;
    while (oracle[i].timer != timer)
        i++;
    oracle_count--;
    memmove(&oracle[i], &oracle[i + 1], (oracle_count - i) * sizeof(oracle[0]));
}

/* The ends of the range, crowds at a few times, and anything. */
static uint64_t random_when_ns(uint64_t now_ns)
{
    switch (next_random() % 8) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return UINT64_MAX - 1;
    case 3:
        return now_ns;
    case 4:
        return now_ns - next_random() % 1000;
    case 5:
        return now_ns + next_random() % 8;
    default:
        return next_random();
    }
}

static void arm_or_move(struct weft_timer *timer, uint64_t when_ns)
{
    if (timer->heap_index != 0) {
        oracle_remove(timer);
        timer_heap_move(&heap, timer, when_ns);
    } else
        CHECK_EQ(timer_heap_insert(&heap, timer, when_ns), 0);
    oracle_insert(timer, when_ns);
}

static void stop(struct weft_timer *timer)
{
    if (timer->heap_index == 0)
        return;
    oracle_remove(timer);
    timer_heap_remove(&heap, timer);
    CHECK_EQ(timer->heap_index, 0);
}

static void check_first(void)
{
    CHECK_EQ(heap.count, oracle_count);
    CHECK(timer_heap_first(&heap) == (oracle_count == 0 ? NULL : oracle[0].timer));
    CHECK(timer_heap_first_ns(&heap) == (oracle_count == 0 ? UINT64_MAX : oracle[0].when_ns));
}

static void check_places(void)
{
    for (uint32_t i = 0; i < heap.count; i++) {
        CHECK_EQ(heap.entries[i].timer->heap_index, i + 1);
        CHECK(i == 0 || heap.entries[(i - 1) / 4].when_ns <= heap.entries[i].when_ns);
    }
}

Test(timer_heap, agrees_with_a_sorted_array, .timeout = 60)
{
    spy_count_memory();
    uint64_t now_ns = 1 << 20;
    for (int round = 0; round < ROUNDS; round++) {
        struct weft_timer *timer = &timers[next_random() % TIMERS_MAX];
        now_ns += next_random() % 16;
        uint64_t what = next_random() % 16;
        if (what < 8)
            arm_or_move(timer, random_when_ns(now_ns));
        else if (what < 15)
            stop(timer);
        else if (oracle_count > 0)
            stop(oracle[0].timer);
        check_first();
        if (round % 4096 == 0)
            check_places();
    }
    while (oracle_count > 0) {
        check_first();
        stop(oracle[0].timer);
    }
    check_first();
    timer_heap_fini(&heap);
}

Test(timer_heap, keeps_the_order_of_arming_among_equals, .timeout = 5)
{
    spy_count_memory();
    for (int i = 0; i < TIMERS_MAX; i++)
        CHECK_EQ(timer_heap_insert(&heap, &timers[i], 7), 0);
    timer_heap_move(&heap, &timers[0], 7); /* armed anew: behind the others */
    for (int i = 1; i <= TIMERS_MAX; i++) {
        CHECK(timer_heap_first(&heap) == &timers[i % TIMERS_MAX]);
        timer_heap_remove(&heap, timer_heap_first(&heap));
    }
    timer_heap_fini(&heap);
}

Test(timer_heap, is_as_it_was_when_it_cannot_grow, .timeout = 5)
{
    spy_count_memory();
    int count = 0;
    for (; count < 16; count++)
        CHECK_EQ(timer_heap_insert(&heap, &timers[count], (uint64_t)(100 - count)), 0);
    oom_start(1);
    CHECK_EQ(timer_heap_insert(&heap, &timers[count], 1), -ENOMEM);
    CHECK(oom_stop());
    CHECK_EQ(timers[count].heap_index, 0);
    CHECK_EQ(heap.count, count);
    CHECK(timer_heap_first(&heap) == &timers[15]);
    check_places();
    CHECK_EQ(timer_heap_insert(&heap, &timers[count], 1), 0);
    CHECK(timer_heap_first(&heap) == &timers[count]);
    timer_heap_fini(&heap);
}

Test(timer_heap, stops_all_that_are_in_it_at_its_end, .timeout = 5)
{
    spy_count_memory();
    for (int i = 0; i < 100; i++)
        CHECK_EQ(timer_heap_insert(&heap, &timers[i], (uint64_t)i), 0);
    timer_heap_fini(&heap);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(timers[i].heap_index, 0);
    CHECK(timer_heap_first(&heap) == NULL);
}
