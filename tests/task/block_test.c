/*
 * Blocks that a loop keeps: which come back, how many are kept at most, and that all go in the end.
 */
#include "lib/task/block.h"
#include "tests/support/oom.h"
#include "tests/support/test.h"

Test(block, comes_again_for_its_kind_and_no_other)
{
    oom_install();
    struct block_cache cache = {0};
    void *small = block_take(&cache, BLOCK_256, 200);
    block_give(&cache, BLOCK_256, small);
    void *large = block_take(&cache, BLOCK_320, 300);
    CHECK(large != small && large != NULL);
    CHECK(block_take(&cache, BLOCK_256, 256) == small);
    block_give(NULL, BLOCK_256, small);
    block_give(NULL, BLOCK_320, large);
    CHECK_EQ(oom_live(), 0);
}

Test(block, of_any_other_size_is_not_kept)
{
    oom_install();
    struct block_cache cache = {0};
    block_give(&cache, BLOCK_ANY, block_take(&cache, BLOCK_ANY, 1000));
    CHECK_EQ(oom_live(), 0);
}

Test(block, beyond_the_most_that_are_kept_goes_back)
{
    oom_install();
    struct block_cache cache = {0};
    static void *blocks[BLOCKS_KEPT_MAX + 2];
    for (int i = 0; i < BLOCKS_KEPT_MAX + 2; i++)
        blocks[i] = block_take(&cache, BLOCK_256, 256);
    for (int i = 0; i < BLOCKS_KEPT_MAX + 2; i++)
        block_give(&cache, BLOCK_256, blocks[i]);
    CHECK_EQ(oom_live(), BLOCKS_KEPT_MAX);
    block_cache_flush(&cache);
    CHECK_EQ(oom_live(), 0);
}

Test(block, cannot_be_had_without_memory_unless_one_is_kept)
{
    oom_install();
    struct block_cache cache = {0};
    block_give(&cache, BLOCK_320, block_take(&cache, BLOCK_320, 320));
    oom_start_from(1);
    void *kept = block_take(&cache, BLOCK_320, 320);
    CHECK(kept != NULL);
    CHECK(block_take(&cache, BLOCK_320, 320) == NULL);
    CHECK(oom_stop());
    block_give(NULL, BLOCK_320, kept);
    CHECK_EQ(oom_live(), 0);
}
