/*
 * The counting allocator: it must refuse exactly what it was told to refuse, and count what lives.
 */
#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "weft/memory.h"

Test(oom, refuses_the_nth_only, .timeout = 5, .init = oom_install)
{
    oom_start(2);
    void *first = weft_malloc(8);
    void *second = weft_malloc(8);
    void *third = weft_calloc(2, 8);
    CHECK(first && !second && third);
    CHECK(oom_stop());
    CHECK_EQ(oom_asked(), 3);
    weft_free(first);
    weft_free(third);
}

Test(oom, refuses_all_from_the_nth, .timeout = 5, .init = oom_install)
{
    oom_start_from(2);
    void *first = weft_malloc(8);
    CHECK(first && !weft_malloc(8) && !weft_realloc(first, 16) && !weft_aligned_alloc(64, 64));
    CHECK(oom_stop());
    weft_free(first);
}

Test(oom, says_that_nothing_was_refused, .timeout = 5, .init = oom_install)
{
    oom_start(2);
    weft_free(weft_malloc(8));
    CHECK(!oom_stop());
}

Test(oom, counts_what_lives, .timeout = 5, .init = oom_install)
{
    void *one = weft_realloc(NULL, 8);
    void *two = weft_aligned_alloc(64, 100);
    one = weft_realloc(one, 80);
    CHECK_EQ(oom_live(), 2);
    weft_free(one);
    weft_free(two);
    weft_free(NULL);
    CHECK_EQ(oom_live(), 0);
}
