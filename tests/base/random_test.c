/*
 * Random: ranges are kept and covered, seeds decide alone.
 */
#include "lib/base/random.h"
#include "tests/support/test.h"

Test(random, repeats_for_equal_seeds, .timeout = 5)
{
    struct random one;
    struct random two;
    random_init(&one, 7);
    random_init(&two, 7);
    for (int i = 0; i < 1000; i++)
        CHECK(random_next(&one) == random_next(&two));
}

Test(random, differs_for_neighbouring_seeds_at_every_shift, .timeout = 5)
{
    enum { COUNT = 64 };
    uint64_t first[COUNT];
    struct random random;
    random_init(&random, 1);
    for (int i = 0; i < COUNT; i++)
        first[i] = random_next(&random);
    random_init(&random, 2);
    for (int i = 0; i < COUNT; i++) {
        uint64_t number = random_next(&random);
        for (int j = 0; j < COUNT; j++)
            CHECK(number != first[j]);
    }
}

Test(random, gives_the_same_on_every_machine, .timeout = 5)
{
    struct random random;
    random_init(&random, 0);
    CHECK(random_next(&random) == UINT64_C(0xc2e722ae8814b1eb));
    CHECK(random_next(&random) == UINT64_C(0xe497a1c955313c88));
}

Test(random, stays_below_the_limit_and_reaches_all_of_it, .timeout = 5)
{
    struct random random;
    random_init(&random, 3);
    for (uint64_t limit = 1; limit <= 50; limit++) {
        uint64_t seen = 0;
        for (int i = 0; i < 2000; i++) {
            uint64_t number = random_below(&random, limit);
            CHECK(number < limit);
            seen |= UINT64_C(1) << number;
        }
        CHECK(seen == (UINT64_C(1) << limit) - 1);
    }
}

Test(random, picks_about_evenly, .timeout = 5)
{
    enum { LIMIT = 7, ROUNDS = 70000 };
    int counts[LIMIT] = {0};
    struct random random;
    random_init(&random, 4);
    for (int i = 0; i < ROUNDS; i++)
        counts[random_below(&random, LIMIT)]++;
    for (int i = 0; i < LIMIT; i++)
        CHECK(counts[i] > 9500 && counts[i] < 10500);
}

Test(random, is_fair_where_the_limit_is_most_of_the_range, .timeout = 5)
{
    /* Without the rejection every third number would come up twice as often as the others. */
    uint64_t limit = UINT64_C(3) << 62;
    int third_count = 0;
    struct random random;
    random_init(&random, 5);
    for (int i = 0; i < 30000; i++) {
        uint64_t number = random_below(&random, limit);
        CHECK(number < limit);
        third_count += number % 3 == 0;
    }
    CHECK(third_count > 9500 && third_count < 10500);
}

Test(random, seeds_differ, .timeout = 5)
{
    CHECK(random_seed_os() != random_seed_os());
}
