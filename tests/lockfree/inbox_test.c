/*
 * The inbox's rules one by one, on one thread: what each call does to each state of the word.
 */
#include "lib/lockfree/inbox.h"

#include "tests/support/test.h"

#include <signal.h>

enum { WORKS = 8 };

static struct inbox inbox;
static struct weft_work works[WORKS];

static void setup(void)
{
    inbox_init(&inbox);
}

/* Link works[from] … works[to] in order and push them. */
static enum inbox_push_result push_range(int from, int to)
{
    for (int i = from; i < to; i++)
        works[i].next = &works[i + 1];
    return inbox_push(&inbox, &works[from], &works[to]);
}

/* The batch is works[from] … works[to], in order and ended. */
static void check_range(struct inbox_batch batch, int from, int to)
{
    CHECK_EQ(batch.count, to - from + 1);
    CHECK(batch.first == &works[from]);
    CHECK(batch.last == &works[to]);
    struct weft_work *work = batch.first;
    for (int i = from; i <= to; i++, work = work->next)
        CHECK(work == &works[i]);
    CHECK(work == NULL);
}

static void check_nothing(struct inbox_batch batch)
{
    CHECK_EQ(batch.count, 0);
    CHECK(batch.first == NULL);
    CHECK(batch.last == NULL);
}

Test(inbox, is_empty_awake_and_open_at_first, .init = setup, .timeout = 5)
{
    CHECK(inbox_is_empty(&inbox));
    CHECK(!inbox_is_parked(&inbox));
    check_nothing(inbox_take(&inbox));
}

Test(inbox, words_have_a_line_each, .timeout = 5)
{
    CHECK_EQ(sizeof(struct inbox), 2 * WEFT_CACHE_LINE_BYTES);
    CHECK_EQ((uintptr_t)&inbox % WEFT_CACHE_LINE_BYTES, 0);
}

Test(inbox, gives_single_works_back_in_order, .init = setup, .timeout = 5)
{
    for (int i = 0; i < WORKS; i++) {
        CHECK_EQ(push_range(i, i), INBOX_PUSHED);
        CHECK(!inbox_is_empty(&inbox));
    }
    check_range(inbox_take(&inbox), 0, WORKS - 1);
    CHECK(inbox_is_empty(&inbox));
    check_nothing(inbox_take(&inbox));
}

Test(inbox, keeps_chains_whole_and_in_order, .init = setup, .timeout = 5)
{
    CHECK_EQ(push_range(0, 2), INBOX_PUSHED);
    CHECK_EQ(push_range(3, 3), INBOX_PUSHED);
    CHECK_EQ(push_range(4, 7), INBOX_PUSHED);
    check_range(inbox_take(&inbox), 0, 7);
}

Test(inbox, ignores_where_the_last_work_pointed, .init = setup, .timeout = 5)
{
    works[1].next = &works[5];
    CHECK_EQ(push_range(0, 1), INBOX_PUSHED);
    check_range(inbox_take(&inbox), 0, 1);
}

Test(inbox, push_to_a_parked_consumer_owes_one_wake, .init = setup, .timeout = 5)
{
    CHECK(inbox_park(&inbox));
    CHECK(inbox_is_parked(&inbox));
    CHECK(inbox_is_empty(&inbox));
    CHECK_EQ(push_range(0, 1), INBOX_PUSHED_WAKE);
    CHECK(!inbox_is_parked(&inbox));
    CHECK_EQ(push_range(2, 2), INBOX_PUSHED);
    CHECK(!inbox_unpark(&inbox));
    check_range(inbox_take(&inbox), 0, 2);
}

Test(inbox, does_not_park_on_works, .init = setup, .timeout = 5)
{
    push_range(0, 0);
    CHECK(!inbox_park(&inbox));
    CHECK(!inbox_is_parked(&inbox));
    check_range(inbox_take(&inbox), 0, 0);
    CHECK(inbox_park(&inbox));
}

Test(inbox, unpark_without_a_waker_owes_nothing, .init = setup, .timeout = 5)
{
    CHECK(inbox_park(&inbox));
    CHECK(inbox_unpark(&inbox));
    CHECK_EQ(push_range(0, 0), INBOX_PUSHED);
    check_range(inbox_take(&inbox), 0, 0);
}

Test(inbox, poke_wakes_once_and_brings_nothing, .init = setup, .timeout = 5)
{
    CHECK(inbox_park(&inbox));
    CHECK(inbox_poke(&inbox));
    CHECK(!inbox_poke(&inbox));
    CHECK_EQ(push_range(0, 0), INBOX_PUSHED);
    CHECK(!inbox_unpark(&inbox));
    check_range(inbox_take(&inbox), 0, 0);
}

Test(inbox, poke_leaves_an_awake_consumer_as_it_is, .init = setup, .timeout = 5)
{
    CHECK(!inbox_poke(&inbox));
    CHECK(inbox_is_empty(&inbox));
    push_range(0, 3);
    CHECK(!inbox_poke(&inbox));
    check_range(inbox_take(&inbox), 0, 3);
    check_nothing(inbox_close(&inbox));
    CHECK(!inbox_poke(&inbox));
    CHECK_EQ(push_range(0, 0), INBOX_CLOSED);
}

Test(inbox, take_while_parked_takes_nothing_and_stays_parked, .init = setup, .timeout = 5)
{
    CHECK(inbox_park(&inbox));
    check_nothing(inbox_take(&inbox));
    CHECK(inbox_is_parked(&inbox));
}

Test(inbox, close_takes_the_rest_and_refuses_what_follows, .init = setup, .timeout = 5)
{
    push_range(0, 3);
    CHECK(!inbox_is_closed(&inbox));
    check_range(inbox_close(&inbox), 0, 3);
    CHECK(inbox_is_closed(&inbox));
    CHECK_EQ(push_range(4, 4), INBOX_CLOSED);
    CHECK(inbox_is_empty(&inbox));
    check_nothing(inbox_take(&inbox));
    CHECK_EQ(push_range(4, 4), INBOX_CLOSED);
}

Test(inbox, close_of_nothing_and_twice_takes_nothing, .init = setup, .timeout = 5)
{
    check_nothing(inbox_close(&inbox));
    check_nothing(inbox_close(&inbox));
    CHECK(!inbox_park(&inbox));
}

Test(inbox, refused_chain_comes_back_as_it_was, .init = setup, .timeout = 5)
{
    inbox_close(&inbox);
    works[3].next = &works[7];
    CHECK_EQ(push_range(0, 3), INBOX_CLOSED);
    check_range((struct inbox_batch){&works[0], &works[3], 4}, 0, 3);
}

Test(inbox, admits_user_posts_up_to_the_limit, .init = setup, .timeout = 5)
{
    CHECK(!inbox_reserve(&inbox, 1, 0));
    for (int i = 0; i < 3; i++)
        CHECK(inbox_reserve(&inbox, 1, 3));
    CHECK(!inbox_reserve(&inbox, 1, 3));
    inbox_unreserve(&inbox, 2);
    CHECK(inbox_reserve(&inbox, 1, 3));
    CHECK(inbox_reserve(&inbox, 1, 3));
    CHECK(!inbox_reserve(&inbox, 1, 3));
}

Test(inbox, full_for_users_still_takes_internal_wakes, .init = setup, .timeout = 5)
{
    CHECK(inbox_reserve(&inbox, 1, 1));
    CHECK(!inbox_reserve(&inbox, 1, 1));
    CHECK_EQ(push_range(0, 0), INBOX_PUSHED);
}

static void push_from_handler(int signal)
{
    push_range(signal == SIGUSR1 ? 0 : 1, signal == SIGUSR1 ? 0 : 1);
}

Test(inbox, takes_pushes_from_a_signal_handler, .init = setup, .timeout = 5)
{
    signal(SIGUSR1, push_from_handler);
    signal(SIGUSR2, push_from_handler);
    raise(SIGUSR1);
    raise(SIGUSR2);
    check_range(inbox_take(&inbox), 0, 1);
}
