/*
 * The slots' rules one by one, on one thread: ids, pins, walks, where free slots go, and the ends of every counter.
 */
#include "lib/lockfree/slots.h"

#include "lib/lockfree/slots_free.h"

#include "weft/memory.h"
#include "weft/status.h"

#include "tests/support/oom.h"
#include "tests/support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 5000 };

static int released[MANY];
static void *last_released;

static void release(void *object)
{
    last_released = object;
    if ((int *)object >= released && (int *)object < released + MANY)
        ++*(int *)object;
}

static struct slots slots = SLOTS_INIT(release);
static struct slots_cache cache;
static uint64_t ids[MANY];

static void teardown(void)
{
    slots_fini(&slots);
}

static uint64_t register_one(struct slots_cache *own, void *object)
{
    uint64_t id = 0;
    CHECK_EQ(slots_register(&slots, own, object, &id), 0);
    CHECK(id != 0);
    return id;
}

static void register_many(struct slots_cache *own, int count)
{
    for (int i = 0; i < count; i++)
        ids[i] = register_one(own, &released[i]);
}

/* Every slot is in exactly one place; `cached` of them in caches that the test knows. */
static struct slots_census check_conserved(uint64_t cached)
{
    struct slots_census census = slots_census(&slots);
    CHECK_EQ(census.live + census.dying + census.retired + census.listed + cached, census.total);
    return census;
}

/* Walk to the end; each object of `released` that is met is counted in `met`. */
static size_t walk_all(uint8_t met[MANY])
{
    struct slots_entry entries[SLOTS_PAGE];
    uint64_t cursor = 0;
    size_t total = 0, count;
    while ((count = slots_walk(&slots, &cache, &cursor, entries)) > 0) {
        for (size_t i = 0; i < count; i++)
            met[(int *)entries[i].object - released]++;
        slots_unpin(&slots, &cache, entries[count - 1].id);
        total += count;
    }
    return total;
}

Test(slots, finds_what_is_registered_until_it_ends, .fini = teardown, .timeout = 5)
{
    uint64_t id = register_one(&cache, &released[0]);
    CHECK(slots_pin(&slots, id) == &released[0]);
    slots_unpin(&slots, &cache, id);
    CHECK_EQ(slots_count(&slots), 1);
    CHECK(slots_unregister(&slots, &cache, id));
    CHECK_EQ(released[0], 1);
    CHECK(slots_pin(&slots, id) == NULL);
    CHECK_EQ(slots_count(&slots), 0);
    check_conserved(cache.count);
}

Test(slots, unregister_is_idempotent, .fini = teardown, .timeout = 5)
{
    uint64_t id = register_one(&cache, &released[0]);
    CHECK(slots_unregister(&slots, &cache, id));
    CHECK(!slots_unregister(&slots, &cache, id));
    CHECK(!slots_unregister(&slots, NULL, id));
    CHECK_EQ(released[0], 1);
}

Test(slots, stale_id_does_not_find_the_next_object_of_its_slot, .fini = teardown, .timeout = 5)
{
    uint64_t stale = register_one(&cache, &released[0]);
    slots_unregister(&slots, &cache, stale);
    uint64_t id = register_one(&cache, &released[1]);
    CHECK_EQ((uint32_t)id, (uint32_t)stale);
    CHECK(id != stale);
    CHECK(slots_pin(&slots, stale) == NULL);
    CHECK(!slots_unregister(&slots, &cache, stale));
    CHECK(slots_pin(&slots, id) == &released[1]);
    slots_unpin(&slots, &cache, id);
}

Test(slots, made_up_ids_find_nothing, .fini = teardown, .timeout = 5)
{
    const uint64_t made_up[] = {0, 1, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 32, UINT64_MAX - 4095, (UINT64_C(1) << 32) | 1023, 1u << 20};
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof made_up / sizeof *made_up; i++) {
            CHECK(slots_pin(&slots, made_up[i]) == NULL);
            CHECK(!slots_unregister(&slots, NULL, made_up[i]));
        }
        /* Leaves a segment of slots that were never used, for the second pass. */
        slots_unregister(&slots, NULL, register_one(NULL, &released[0]));
        slots_unregister(&slots, NULL, register_one(NULL, &released[0]));
    }
}

Test(slots, pinned_object_is_released_by_the_last_unpin, .fini = teardown, .timeout = 5)
{
    uint64_t id = register_one(&cache, &released[0]);
    slots_pin(&slots, id);
    slots_pin(&slots, id);
    uint32_t cached = cache.count;
    CHECK(slots_unregister(&slots, &cache, id));
    CHECK(!slots_unregister(&slots, &cache, id));
    CHECK(slots_pin(&slots, id) == NULL);
    struct slots_census census = check_conserved(cached);
    CHECK_EQ(census.dying, 1);
    CHECK_EQ(census.pins, 2);
    slots_unpin(&slots, &cache, id);
    CHECK_EQ(released[0], 0);
    slots_unpin(&slots, &cache, id);
    CHECK_EQ(released[0], 1);
    CHECK_EQ(cache.count, cached + 1);
    check_conserved(cache.count);
}

Test(slots, pin_holds_what_ends_in_its_page_and_nothing_beyond, .fini = teardown, .timeout = 5)
{
    int count = SLOTS_PAGE + 1;
    register_many(&cache, count);
    slots_pin(&slots, ids[1]);
    slots_pin(&slots, ids[2]);
    for (int i = 0; i < count; i++)
        CHECK(slots_unregister(&slots, NULL, ids[i]));
    slots_unpin(&slots, NULL, ids[1]);
    for (int i = 0; i < count; i++)
        CHECK_EQ(released[i], i == count - 1);
    CHECK_EQ(slots_census(&slots).dying, SLOTS_PAGE);
    slots_unpin(&slots, NULL, ids[2]);
    for (int i = 0; i < count; i++)
        CHECK_EQ(released[i], 1);
    CHECK_EQ(check_conserved(cache.count).pins, 0);
}

Test(slots, pinned_slot_is_not_given_to_another_object, .fini = teardown, .timeout = 5)
{
    uint64_t id = register_one(&cache, &released[0]);
    slots_pin(&slots, id);
    slots_unregister(&slots, &cache, id);
    CHECK((uint32_t)register_one(&cache, &released[1]) != (uint32_t)id);
    slots_unpin(&slots, &cache, id);
}

Test(slots, walk_sees_each_registration_once, .fini = teardown, .timeout = 5)
{
    register_many(&cache, MANY);
    for (int i = 0; i < MANY; i += 3)
        CHECK(slots_unregister(&slots, &cache, ids[i]));
    static uint8_t met[MANY];
    walk_all(met);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(met[i], i % 3 != 0);
    CHECK_EQ(check_conserved(cache.count).pins, 0);
}

Test(slots, walk_of_an_empty_table_ends_at_once, .fini = teardown, .timeout = 5)
{
    struct slots_entry entries[SLOTS_PAGE];
    uint64_t cursor = 0;
    CHECK_EQ(slots_walk(&slots, &cache, &cursor, entries), 0);
    slots_unregister(&slots, &cache, register_one(&cache, &released[0]));
    CHECK_EQ(slots_walk(&slots, &cache, &cursor, entries), 0);
    CHECK_EQ(slots_walk(&slots, &cache, &cursor, entries), 0);
    CHECK_EQ(slots_census(&slots).pins, 0);
}

Test(slots, walk_ends_though_each_step_registers_more, .fini = teardown, .timeout = 5)
{
    enum { PAGES = 4 };
    register_many(&cache, PAGES * (int)SLOTS_PAGE);
    struct slots_entry entries[SLOTS_PAGE];
    uint64_t cursor = 0;
    int steps = 0;
    while (slots_walk(&slots, &cache, &cursor, entries) > 0) {
        slots_unpin(&slots, &cache, entries[0].id);
        register_many(&cache, 2 * (int)SLOTS_PAGE);
        CHECK(++steps <= PAGES);
    }
    CHECK_EQ(steps, PAGES);
}

Test(slots, walk_skips_what_ends_ahead_of_it_and_holds_what_it_pinned, .fini = teardown, .timeout = 5)
{
    int page = SLOTS_PAGE, count = 2 * page;
    register_many(&cache, count);
    struct slots_entry entries[SLOTS_PAGE];
    uint64_t cursor = 0;
    CHECK_EQ(slots_walk(&slots, &cache, &cursor, entries), SLOTS_PAGE);
    for (int i = 0; i < count; i += 2)
        CHECK(slots_unregister(&slots, &cache, ids[i]));
    for (int i = 0; i < count; i++)
        CHECK_EQ(released[i], i % 2 == 0 && i >= page);
    slots_unpin(&slots, &cache, entries[0].id);
    for (int i = 0; i < count; i++)
        CHECK_EQ(released[i], i % 2 == 0);
    CHECK_EQ(slots_walk(&slots, &cache, &cursor, entries), SLOTS_PAGE / 2);
    for (int i = 0; i < page / 2; i++)
        CHECK(entries[i].object == &released[page + 1 + 2 * i]);
    slots_unpin(&slots, &cache, entries[0].id);
    CHECK_EQ(slots_walk(&slots, &cache, &cursor, entries), 0);
    check_conserved(cache.count);
}

Test(slots, cache_spills_and_refills_in_blocks, .fini = teardown, .timeout = 5)
{
    register_many(&cache, MANY);
    for (int i = 0; i < MANY; i++) {
        slots_unregister(&slots, &cache, ids[i]);
        CHECK(cache.count <= 2 * SLOTS_BLOCK);
    }
    struct slots_census census = check_conserved(cache.count);
    CHECK_EQ(census.live, 0);
    register_many(&cache, MANY);
    CHECK_EQ(check_conserved(cache.count).total, census.total);
}

Test(slots, churn_on_a_loop_leaves_the_shared_list_alone, .fini = teardown, .timeout = 5)
{
    register_many(&cache, 10);
    uint64_t head = slots.free_head, fresh = slots.fresh;
    for (int i = 0; i < 10000; i++) {
        slots_unregister(&slots, &cache, ids[i % 10]);
        ids[i % 10] = register_one(&cache, &released[i % 10]);
    }
    CHECK_EQ(slots.free_head, head);
    CHECK_EQ(slots.fresh, fresh);
}

Test(slots, cacheless_threads_share_the_list, .fini = teardown, .timeout = 5)
{
    register_many(NULL, 200);
    check_conserved(0);
    for (int i = 0; i < 200; i++)
        slots_unregister(&slots, NULL, ids[i]);
    uint64_t total = check_conserved(0).total;
    register_many(&cache, (int)total);
    CHECK_EQ(check_conserved(cache.count).total, total);
}

Test(slots, flush_gives_the_whole_cache_back, .fini = teardown, .timeout = 5)
{
    register_many(&cache, 100);
    for (int i = 0; i < 100; i++)
        slots_unregister(&slots, &cache, ids[i]);
    CHECK(cache.count > SLOTS_BLOCK);
    slots_cache_flush(&slots, &cache);
    CHECK_EQ(cache.count, 0);
    struct slots_census census = check_conserved(0);
    CHECK_EQ(census.listed, census.total);
    slots_cache_flush(&slots, &cache);
    CHECK_EQ(slots_census(&slots).listed, census.total);
}

static uint64_t nested_id;

static void register_in_release(void *object)
{
    nested_id = register_one(&cache, object);
}

Test(slots, release_may_use_the_table, .fini = teardown, .timeout = 5)
{
    slots_init(&slots, register_in_release);
    uint64_t id = register_one(&cache, &released[0]);
    CHECK(slots_unregister(&slots, &cache, id));
    CHECK(nested_id != id);
    CHECK(slots_pin(&slots, nested_id) == &released[0]);
    slots_unpin(&slots, &cache, nested_id);
}

Test(slots, out_of_memory_changes_nothing, .timeout = 5)
{
    oom_install();
    for (struct slots_cache *own = &cache;; own = NULL) {
        uint64_t id = 12345;
        oom_start(1);
        CHECK_EQ(slots_register(&slots, own, &released[0], &id), -ENOMEM);
        CHECK(oom_stop());
        CHECK_EQ(id, 12345);
        CHECK_EQ(slots_census(&slots).total, 0);
        CHECK_EQ(oom_live(), 0);
        if (own == NULL)
            break;
    }
    register_one(&cache, &released[0]);
    slots_fini(&slots);
    CHECK_EQ(oom_live(), 0);
}

Test(slots, ending_and_finding_allocate_nothing, .timeout = 5)
{
    oom_install();
    register_many(&cache, 1000);
    oom_start_from(1);
    static uint8_t met[MANY];
    CHECK_EQ(walk_all(met), 1000);
    for (int i = 0; i < 1000; i++)
        CHECK(slots_unregister(&slots, i % 2 ? &cache : NULL, ids[i]));
    slots_cache_flush(&slots, &cache);
    CHECK_EQ(oom_asked(), 0);
    oom_stop();
    slots_fini(&slots);
}

Test(slots, slot_is_retired_after_its_last_generation, .fini = teardown, .timeout = 5)
{
    uint64_t first = register_one(&cache, &released[0]);
    slots_unregister(&slots, &cache, first);
    slots_slot(&slots, (uint32_t)first)->state = (uint64_t)(UINT32_MAX - 2) << SLOTS_STATE_GENERATION;
    uint64_t id = register_one(&cache, &released[0]);
    CHECK_EQ(id >> 32, UINT32_MAX - 1);
    slots_unregister(&slots, &cache, id);
    id = register_one(&cache, &released[0]);
    CHECK_EQ(id >> 32, UINT32_MAX);
    CHECK(slots_pin(&slots, id) == &released[0]);
    slots_unregister(&slots, &cache, id);
    slots_unpin(&slots, &cache, id);
    CHECK_EQ(released[0], 3);
    CHECK_EQ(check_conserved(cache.count).retired, 1);
    CHECK((uint32_t)register_one(&cache, &released[0]) != (uint32_t)id);
    CHECK(slots_pin(&slots, first) == NULL);
}

Test(slots, last_indices_work_and_then_the_table_is_full, .timeout = 5)
{
    /* Of the last segment only the last block is backed, so that the test needs no 32 GiB. */
    static struct slots_page last;
    uint64_t segment_pages = ((uint64_t)SLOTS_FIRST_SEGMENT << (SLOTS_SEGMENTS - 1)) / SLOTS_PAGE;
    slots.segments[SLOTS_SEGMENTS - 1] = (struct slots_page *)((uintptr_t)&last - (segment_pages - 1) * sizeof last);
    slots.fresh = SLOTS_MAX - SLOTS_BLOCK;
    register_many(&cache, SLOTS_BLOCK);
    CHECK_EQ((uint32_t)ids[SLOTS_BLOCK - 1], SLOTS_MAX - 1);
    uint64_t id = 12345;
    CHECK_EQ(slots_register(&slots, &cache, &released[0], &id), WEFT_EFULL);
    CHECK_EQ(slots_register(&slots, NULL, &released[0], &id), WEFT_EFULL);
    CHECK_EQ(id, 12345);
    for (uint32_t i = 0; i < SLOTS_BLOCK; i++) {
        CHECK(slots_pin(&slots, ids[i]) == &released[i]);
        CHECK(slots_unregister(&slots, NULL, ids[i]));
        slots_unpin(&slots, NULL, ids[i]);
        CHECK_EQ(released[i], 1);
    }
    CHECK_EQ((uint32_t)register_one(NULL, &released[0]), SLOTS_MAX - 1);
}

Test(slots, segment_that_cannot_be_had_is_no_memory_not_a_crash, .timeout = 5)
{
    oom_install();
    slots.fresh = SLOTS_FIRST_SEGMENT;
    oom_start(1);
    uint64_t id;
    CHECK_EQ(slots_register(&slots, &cache, &released[0], &id), -ENOMEM);
    oom_stop();
    CHECK_EQ(slots_register(&slots, &cache, &released[0], &id), 0);
    CHECK_EQ((uint32_t)id, SLOTS_FIRST_SEGMENT);
    weft_free(slots.segments[1]);
    CHECK_EQ(oom_live(), 0);
}

Test(slots, list_survives_the_wrap_of_its_tag, .fini = teardown, .timeout = 5)
{
    register_many(NULL, 100);
    slots.free_head |= UINT64_C(0xffffffff) << 32;
    for (int i = 0; i < 100; i++)
        slots_unregister(&slots, NULL, ids[i]);
    uint64_t total = check_conserved(0).total;
    register_many(NULL, 100);
    CHECK(slots.free_head >> 32 < 1000);
    CHECK_EQ(check_conserved(0).total, total);
}

Test(slots, list_head_is_another_word_when_the_same_block_is_first_again, .fini = teardown, .timeout = 5)
{
    slots_unregister(&slots, NULL, register_one(NULL, &released[0]));
    uint64_t head = slots.free_head;
    slots_unregister(&slots, NULL, register_one(NULL, &released[0]));
    CHECK_EQ((uint32_t)slots.free_head, (uint32_t)head);
    CHECK(slots.free_head != head);
}
