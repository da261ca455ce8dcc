/*
 * The ring in one thread: its order, its ends, and what is stolen. Compiled twice: with its real capacity, and with one of four, where
 * everything is near the brim.
 */
#include "lib/lockfree/ring.h"

#include "tests/support/test.h"

enum { WORKS = 2 * RING_CAPACITY, HALF = RING_CAPACITY / 2 };

static struct ring ring, other;
static struct weft_work works[WORKS];

static void push(struct ring *to, int first, int count)
{
    for (int i = first; i < first + count; i++)
        CHECK(ring_push(to, &works[i]));
}

static void check_pops(struct ring *from, int first, int count)
{
    for (int i = first; i < first + count; i++)
        CHECK_EQ(ring_pop(from) - works, i);
}

Test(ring, gives_the_oldest_first)
{
    ring_init(&ring, 0);
    push(&ring, 0, 3);
    check_pops(&ring, 0, 3);
    CHECK(ring_pop(&ring) == NULL);
}

Test(ring, refuses_when_it_is_full_and_takes_again_after_a_pop)
{
    ring_init(&ring, 0);
    push(&ring, 0, RING_CAPACITY);
    CHECK_EQ(ring_room(&ring), 0);
    CHECK(!ring_push(&ring, &works[RING_CAPACITY]));
    check_pops(&ring, 0, 1);
    CHECK_EQ(ring_room(&ring), 1);
    push(&ring, RING_CAPACITY, 1);
    check_pops(&ring, 1, RING_CAPACITY);
    CHECK(ring_pop(&ring) == NULL);
}

Test(ring, counts_what_it_has)
{
    ring_init(&ring, 0);
    CHECK_EQ(ring_count(&ring), 0);
    CHECK_EQ(ring_count_hint(&ring), 0);
    push(&ring, 0, 3);
    CHECK_EQ(ring_count(&ring), 3);
    CHECK_EQ(ring_count_hint(&ring), 3);
    CHECK_EQ(ring_room(&ring), RING_CAPACITY - 3);
}

/* What a thief sees whose head is from before others took and the owner pushed, all between his two looks. */
Test(ring, gives_nothing_to_who_saw_a_head_of_long_ago)
{
    struct weft_work_list list = {NULL, NULL, 0};
    ring_init(&ring, 0);
    ring_init(&other, 0);
    ring.tail = RING_CAPACITY + 1;
    CHECK(ring_pop(&ring) == NULL);
    CHECK_EQ(ring_steal(&ring, &other), 0);
    CHECK_EQ(ring_take_half(&ring, &list), 0);
    CHECK_EQ(ring.head, 0);
}

Test(ring, keeps_its_order_where_its_counters_wrap)
{
    ring_init(&ring, UINT64_MAX - 5);
    ring_init(&other, UINT64_MAX - 2);
    for (int round = 0; round < 4; round++) {
        push(&ring, 0, RING_CAPACITY);
        CHECK(!ring_push(&ring, &works[RING_CAPACITY]));
        CHECK_EQ(ring_count(&ring), RING_CAPACITY);
        CHECK_EQ(ring_steal(&ring, &other), HALF);
        check_pops(&other, 0, HALF);
        check_pops(&ring, HALF, HALF);
        CHECK(ring_pop(&ring) == NULL && ring_pop(&other) == NULL);
    }
}

Test(ring, gives_its_older_half_rounded_up_as_a_chain)
{
    ring_init(&ring, 0);
    struct weft_work_list list = {NULL, NULL, 0};
    CHECK_EQ(ring_take_half(&ring, &list), 0);
    push(&ring, 0, 3);
    CHECK_EQ(ring_take_half(&ring, &list), 2);
    CHECK_EQ(ring_take_half(&ring, &list), 1);
    CHECK_EQ(list.count, 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_work_list_pop(&list) - works, i);
}

Test(ring, gives_half_of_a_full_one)
{
    ring_init(&ring, 0);
    struct weft_work_list list = {NULL, NULL, 0};
    push(&ring, 0, RING_CAPACITY);
    CHECK_EQ(ring_take_half(&ring, &list), HALF);
    check_pops(&ring, HALF, HALF);
}

Test(ring, has_nothing_to_steal_when_it_is_empty)
{
    ring_init(&ring, 0);
    ring_init(&other, 0);
    CHECK_EQ(ring_steal(&ring, &other), 0);
    CHECK(ring_pop(&other) == NULL);
}

Test(ring, loses_its_only_work_to_a_thief)
{
    ring_init(&ring, 0);
    ring_init(&other, 0);
    push(&ring, 0, 1);
    CHECK_EQ(ring_steal(&ring, &other), 1);
    CHECK(ring_pop(&ring) == NULL);
    check_pops(&other, 0, 1);
}

Test(ring, loses_one_of_two_and_two_of_three)
{
    ring_init(&ring, 0);
    ring_init(&other, 0);
    push(&ring, 0, 2);
    CHECK_EQ(ring_steal(&ring, &other), 1);
    check_pops(&other, 0, 1);
    push(&ring, 2, 2);
    CHECK_EQ(ring_steal(&ring, &other), 2);
    check_pops(&other, 1, 2);
    check_pops(&ring, 3, 1);
}

Test(ring, puts_what_is_stolen_behind_what_the_thief_has)
{
    ring_init(&ring, 0);
    ring_init(&other, 0);
    push(&other, 0, 1);
    push(&ring, 1, 2);
    CHECK_EQ(ring_steal(&ring, &other), 1);
    check_pops(&other, 0, 2);
}

Test(ring, fills_a_thief_that_is_nearly_full_and_no_more)
{
    ring_init(&ring, 0);
    ring_init(&other, 0);
    push(&other, 0, RING_CAPACITY - 1);
    push(&ring, RING_CAPACITY, RING_CAPACITY);
    CHECK_EQ(ring_steal(&ring, &other), 1);
    CHECK_EQ(ring_steal(&ring, &other), 0);
    check_pops(&other, 0, RING_CAPACITY - 1);
    check_pops(&other, RING_CAPACITY, 1);
    check_pops(&ring, RING_CAPACITY + 1, RING_CAPACITY - 1);
}
