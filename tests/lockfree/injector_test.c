/*
 * The injector in one thread: the order over chains, how much a take gives, and what a closed one refuses.
 */
#include "lib/lockfree/injector.h"

#include "tests/support/test.h"

enum { WORKS = 16 };

static struct injector injector;
static struct weft_work works[WORKS];
static struct weft_work_list taken;

static void setup(void)
{
    injector_init(&injector);
    taken = (struct weft_work_list){NULL, NULL, 0};
}

/* Push works[first] … works[last], linked. */
static bool push(int first, int last)
{
    for (int i = first; i < last; i++)
        works[i].next = &works[i + 1];
    works[last].next = &works[0]; /* need not be set */
    return injector_push(&injector, &works[first], &works[last]);
}

static void check_taken(int first, int last)
{
    for (int i = first; i <= last; i++)
        CHECK_EQ(weft_work_list_pop(&taken) - works, i);
    CHECK(weft_work_list_is_empty(&taken));
}

Test(injector, gives_nothing_when_it_is_empty, .init = setup)
{
    CHECK(injector_is_empty(&injector));
    CHECK_EQ(injector_count_hint(&injector), 0);
    CHECK_EQ(injector_take(&injector, 10, &taken), 0);
    CHECK(weft_work_list_is_empty(&taken));
}

Test(injector, gives_the_oldest_first_over_chains, .init = setup)
{
    CHECK(push(0, 0));
    CHECK(push(1, 4));
    CHECK(push(5, 5));
    CHECK(push(6, 7));
    CHECK_EQ(injector_take(&injector, WORKS, &taken), 8);
    check_taken(0, 7);
    CHECK(injector_is_empty(&injector));
}

Test(injector, gives_no_more_than_is_asked_and_keeps_the_rest_in_order, .init = setup)
{
    CHECK(push(0, 3));
    CHECK_EQ(injector_take(&injector, 3, &taken), 3);
    CHECK(!injector_is_empty(&injector));
    CHECK(push(4, 6));
    CHECK_EQ(injector_take(&injector, 2, &taken), 2);
    CHECK_EQ(injector_take(&injector, 10, &taken), 2);
    check_taken(0, 6);
    CHECK(injector_is_empty(&injector));
}

Test(injector, appends_to_what_the_taker_has, .init = setup)
{
    weft_work_list_push(&taken, &works[0]);
    CHECK(push(1, 2));
    CHECK_EQ(injector_take(&injector, 10, &taken), 2);
    check_taken(0, 2);
}

Test(injector, hints_at_one_for_all_that_have_just_come_in, .init = setup)
{
    CHECK(push(0, 4));
    CHECK_EQ(injector_count_hint(&injector), 1);
    CHECK_EQ(injector_take(&injector, 1, &taken), 1);
    CHECK_EQ(injector_count_hint(&injector), 4);
    CHECK(push(5, 6));
    CHECK_EQ(injector_count_hint(&injector), 5);
}

Test(injector, gives_nothing_while_another_takes, .init = setup)
{
    CHECK(push(0, 2));
    CHECK(trylock_take(&injector.lock));
    CHECK_EQ(injector_take(&injector, 10, &taken), 0);
    CHECK(!injector_is_empty(&injector));
    trylock_leave(&injector.lock);
    CHECK_EQ(injector_take(&injector, 10, &taken), 3);
    check_taken(0, 2);
}

Test(injector, hands_out_all_that_is_left_as_it_closes, .init = setup)
{
    CHECK(push(0, 3));
    CHECK_EQ(injector_take(&injector, 1, &taken), 1);
    CHECK(push(4, 5));
    injector_close(&injector, &taken);
    check_taken(0, 5);
    CHECK(injector_is_empty(&injector));
    CHECK_EQ(injector_count_hint(&injector), 0);
    CHECK_EQ(injector_take(&injector, 10, &taken), 0);
}

Test(injector, hands_out_nothing_as_it_closes_again, .init = setup)
{
    CHECK(push(0, 1));
    injector_close(&injector, &taken);
    check_taken(0, 1);
    injector_close(&injector, &taken);
    CHECK(weft_work_list_is_empty(&taken));
    CHECK(!push(0, 1));
}

Test(injector, gives_a_refused_chain_back_as_it_was, .init = setup)
{
    injector_close(&injector, &taken);
    CHECK(!push(0, 4));
    for (int i = 0; i < 4; i++)
        CHECK(works[i].next == &works[i + 1]);
    CHECK(works[4].next == NULL);
    CHECK(!push(5, 5));
    CHECK(works[5].next == NULL);
}
