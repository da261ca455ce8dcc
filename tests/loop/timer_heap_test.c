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

static void arm(struct weft_timer *timer, uint64_t when_ns)
{
    if (timer->slot != 0)
        oracle_remove(timer);
    CHECK_EQ(timer_heap_arm(&heap, timer, when_ns), 0);
    CHECK_EQ(timer->when_ns, when_ns);
    oracle_insert(timer, when_ns);
}

static void stop(struct weft_timer *timer)
{
    if (timer->slot == 0)
        return;
    oracle_remove(timer);
    timer_heap_stop(&heap, timer);
    CHECK_EQ(timer->slot, 0);
}

/* What is due now, and nothing else, in the oracle's order. */
static void fire_due(uint64_t now_ns)
{
    struct weft_timer *timer;
    timer_heap_collect(&heap, now_ns);
    while ((timer = timer_heap_pop_due(&heap)) != NULL) {
        CHECK(timer == oracle[0].timer);
        CHECK_EQ(timer->slot, 0);
        CHECK(oracle[0].when_ns <= now_ns);
        oracle_remove(timer);
    }
    CHECK(oracle_count == 0 || oracle[0].when_ns > now_ns);
}

static void check_first(void)
{
    CHECK(timer_heap_first(&heap) == (oracle_count == 0 ? NULL : oracle[0].timer));
    CHECK(timer_heap_first_ns(&heap) == (oracle_count == 0 ? UINT64_MAX : oracle[0].when_ns));
}

static void check_places(void)
{
    CHECK_EQ(heap.count + heap.due_count - heap.stopped, oracle_count);
    for (uint32_t i = 1; i < heap.count; i++)
        CHECK(heap.entries[(i - 1) / 4].when_ns <= heap.entries[i].when_ns);
}

static void begin(void)
{
    spy_count_memory();
    timer_heap_init(&heap);
}

Test(timer_heap, agrees_with_a_sorted_array, .timeout = 60)
{
    begin();
    uint64_t now_ns = 1 << 20;
    for (int round = 0; round < ROUNDS; round++) {
        struct weft_timer *timer = &timers[next_random() % TIMERS_MAX];
        now_ns += next_random() % 16;
        uint64_t what = next_random() % 16;
        if (round % 10007 == 0)
            fire_due(now_ns);
        else if (what < 8)
            arm(timer, random_when_ns(now_ns));
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
    begin();
    for (int i = 0; i < TIMERS_MAX; i++)
        CHECK_EQ(timer_heap_arm(&heap, &timers[i], 7), 0);
    CHECK_EQ(timer_heap_arm(&heap, &timers[0], 7), 0); /* anew: behind the others */
    for (int i = 1; i <= TIMERS_MAX; i++) {
        CHECK(timer_heap_first(&heap) == &timers[i % TIMERS_MAX]);
        timer_heap_stop(&heap, timer_heap_first(&heap));
    }
    timer_heap_fini(&heap);
}

/* Many times over, so that all ways to become due are taken: one by one, sorted together, and of those some at the same time. */
Test(timer_heap, hands_out_a_crowd_in_order, .timeout = 60)
{
    begin();
    for (int round = 0; round < (TEST_IS_SLOW ? 20 : 200); round++) {
        uint64_t range_ns = UINT64_C(1) << (round % 40);
        for (int i = 0; i < TIMERS_MAX; i++)
            arm(&timers[i], next_random() % range_ns);
        for (int i = 0; i < TIMERS_MAX; i += 3)
            arm(&timers[next_random() % TIMERS_MAX], next_random() % range_ns);
        for (int i = 0; i < TIMERS_MAX; i += 5)
            stop(&timers[next_random() % TIMERS_MAX]);
        fire_due(range_ns / 4);
        check_places();
        fire_due(range_ns);
        CHECK_EQ(oracle_count, 0);
    }
    timer_heap_fini(&heap);
}

Test(timer_heap, hands_out_a_crowd_without_memory, .timeout = 5)
{
    begin();
    for (int i = 0; i < TIMERS_MAX; i++)
        arm(&timers[i], next_random() % 1000);
    oom_start_from(1);
    fire_due(1000);
    CHECK(oom_stop());
    timer_heap_fini(&heap);
}

Test(timer_heap, lets_nothing_fire_that_was_stopped_while_due, .timeout = 5)
{
    begin();
    for (int i = 0; i < 100; i++)
        arm(&timers[i], (uint64_t)i);
    timer_heap_collect(&heap, 49);
    stop(&timers[0]);
    stop(&timers[20]);
    arm(&timers[10], 1); /* due, and armed anew: it is not due any more */
    for (int i = 1; i < 50; i++)
        if (i != 10 && i != 20) {
            CHECK(timer_heap_pop_due(&heap) == &timers[i]);
            oracle_remove(&timers[i]);
        }
    CHECK(timer_heap_pop_due(&heap) == NULL);
    check_first();
    fire_due(100);
    timer_heap_fini(&heap);
}

Test(timer_heap, keeps_the_order_when_the_sequence_numbers_are_used_up, .timeout = 5)
{
    begin();
    heap.sequence = UINT32_MAX - 100;
    for (int i = 0; i < 300; i++)
        arm(&timers[i], (uint64_t)(i % 3));
    for (int i = 0; i < 100; i++)
        arm(&timers[i], 5);
    CHECK(heap.sequence < 1000);
    fire_due(5);
    CHECK_EQ(oracle_count, 0);
    timer_heap_fini(&heap);
}

Test(timer_heap, throws_away_what_was_stopped_before_it_grows, .timeout = 5)
{
    begin();
    CHECK_EQ(timer_heap_arm(&heap, &timers[0], 0), 0);
    for (int i = 1; i < 10000; i++) { /* one behind the other, the older one stopped */
        struct weft_timer *timer = &timers[1 + i % 2];
        CHECK_EQ(timer_heap_arm(&heap, timer, (uint64_t)i), 0);
        if (timers[2 - i % 2].slot != 0)
            timer_heap_stop(&heap, &timers[2 - i % 2]);
    }
    CHECK(heap.capacity <= 128);
    timer_heap_fini(&heap);
}

Test(timer_heap, has_the_room_that_was_reserved_whatever_was_stopped, .timeout = 5)
{
    begin();
    CHECK_EQ(timer_heap_reserve(&heap), 0);
    int count = 1;
    for (; count < 16; count++)
        arm(&timers[count], (uint64_t)(100 - count));
    oom_start_from(1);
    CHECK_EQ(timer_heap_arm(&heap, &timers[count], 1), -ENOMEM);
    for (int i = 0; i < 50; i++) { /* each leaves an entry behind */
        timer_heap_arm_reserved(&heap, &timers[0], (uint64_t)(50 - i));
        CHECK(timer_heap_first(&heap) == &timers[0]);
    }
    timer_heap_collect(&heap, 1);
    timer_heap_arm_reserved(&heap, &timers[0], 2);
    CHECK(timer_heap_pop_due(&heap) == NULL);
    CHECK(timer_heap_first(&heap) == &timers[0]);
    (void)oom_stop();
    timer_heap_unreserve(&heap);
    timer_heap_fini(&heap);
}

Test(timer_heap, is_as_it_was_when_it_cannot_grow, .timeout = 5)
{
    begin();
    int count = 0;
    for (; count < 16; count++)
        CHECK_EQ(timer_heap_arm(&heap, &timers[count], (uint64_t)(100 - count)), 0);
    oom_start(1);
    CHECK_EQ(timer_heap_arm(&heap, &timers[count], 1), -ENOMEM);
    CHECK(oom_stop());
    CHECK_EQ(timers[count].slot, 0);
    CHECK_EQ(heap.count, count);
    CHECK(timer_heap_first(&heap) == &timers[15]);
    CHECK_EQ(timer_heap_arm(&heap, &timers[count], 1), 0);
    CHECK(timer_heap_first(&heap) == &timers[count]);
    timer_heap_fini(&heap);
}

Test(timer_heap, stops_all_that_are_in_it_at_its_end, .timeout = 5)
{
    begin();
    for (int i = 0; i < 100; i++)
        CHECK_EQ(timer_heap_arm(&heap, &timers[i], (uint64_t)i), 0);
    timer_heap_collect(&heap, 50);
    timer_heap_fini(&heap);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(timers[i].slot, 0);
    CHECK(timer_heap_first(&heap) == NULL);
}
