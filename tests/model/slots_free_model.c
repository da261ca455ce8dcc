/*
 * Models of the free list behind the slots: blocks that are popped, pushed back and popped again, with a tag that wraps.
 *
 * Whoever takes a slot writes down that it is his: no slot is anybody else's until he gives it back, and none is lost.
 */
#include "lib/lockfree/slots_free.h"

#include "tests/model/checker.h"
#include "weft/atomic.h"

enum { SLOTS = 8 };

static struct slots slots;
static struct slots_cache caches[3];
static unsigned owners[SLOTS]; /* plain: a slot's links and state go with it, and so does this */

static uint32_t take(struct slots_cache *cache)
{
    uint32_t index = SLOTS;
    MODEL_CHECK(slots_free_take(&slots, cache, &index) == 0);
    MODEL_CHECK(index < SLOTS && owners[index] == 0);
    owners[index] = 1;
    return index;
}

static void give(struct slots_cache *cache, uint32_t index)
{
    owners[index] = 0;
    slots_free_give(&slots, cache, index);
}

/* Two blocks of one slot each on the list, and a tag that is about to wrap. */
static void setup_blocks(void)
{
    uint32_t one = take(NULL), other = take(NULL);
    give(NULL, one);
    give(NULL, other);
    uint64_t head = weft_atomic_load_relaxed(&slots.free_head);
    weft_atomic_store_relaxed(&slots.free_head, head | UINT64_C(0xffffffff) << 32);
    MODEL_CHECK(slots_free_listed(&slots) == 2);
}

/* A block of two. */
static void setup_pair(void)
{
    uint32_t one = take(&caches[2]), other = take(&caches[2]);
    give(&caches[2], one);
    give(&caches[2], other);
    slots_cache_flush(&slots, &caches[2]);
    MODEL_CHECK(slots_free_listed(&slots) == 2);
}

static void take_and_give(void)
{
    give(NULL, take(NULL));
}

/* What makes an untagged head come back: both blocks off, and the first one on again. */
static void take_two_and_give(void)
{
    uint32_t one = take(NULL), other = take(NULL);
    give(NULL, one);
    give(NULL, other);
}

static void take_one(void)
{
    (void)take(NULL);
}

static void take_two(void)
{
    (void)take(NULL);
    (void)take(NULL);
}

/* Through a cache, which takes all it can get and gives it back at the end. */
static void use_cache(struct slots_cache *cache)
{
    uint32_t index = take(cache);
    give(cache, index);
    slots_cache_flush(&slots, cache);
}

static void use_cache_one(void)
{
    use_cache(&caches[0]);
}

static void use_cache_two(void)
{
    use_cache(&caches[1]);
}

/* Fills a cache over its brim: half of it goes to the list. */
static void spill(void)
{
    uint32_t taken[2 * SLOTS_BLOCK + 1];
    for (unsigned i = 0; i <= 2 * SLOTS_BLOCK; i++)
        taken[i] = take(NULL);
    for (unsigned i = 0; i <= 2 * SLOTS_BLOCK; i++)
        give(&caches[0], taken[i]);
    slots_cache_flush(&slots, &caches[0]);
}

static void check(void)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        taken += owners[i];
    MODEL_CHECK(slots_free_listed(&slots) + taken == slots_fresh(&slots));
    slots_fini(&slots);
}

/* ---- swapped ------------------------------------------------------------------------------------------------------------------------------- */

/* Reads the rest of the list and takes the head then, without a tag: it may have come back with another rest. */
static void take_untagged(void)
{
    uint64_t head = weft_atomic_load_acquire(&slots.free_head);
    if ((uint32_t)head == 0)
        return;
    uint64_t content = weft_atomic_load_relaxed(&slots_slot(&slots, (uint32_t)head - 1)->content);
    uint64_t now = weft_atomic_load_acquire(&slots.free_head);
    if ((uint32_t)now != (uint32_t)head || !weft_atomic_cas_acq_rel(&slots.free_head, &now, (now & ~UINT64_C(0xffffffff)) | content >> 32))
        return;
    MODEL_CHECK(owners[(uint32_t)head - 1] == 0);
    owners[(uint32_t)head - 1] = 1;
}

static void take_two_give_first(void)
{
    uint32_t one = take(NULL);
    (void)take(NULL);
    give(NULL, one);
}

/* Gives a slot back and says then that it is not his any more. */
static void give_then_disown(void)
{
    uint32_t index = take(NULL);
    slots_free_give(&slots, NULL, index);
    owners[index] = 0;
}

static const struct model models[] = {
    {"two_takers", "Two who take from the list get different slots", setup_blocks, .threads = {take_one, take_two}, .check = check},
    {"give_and_take", "What is given back is taken with its links, and once", setup_blocks, .threads = {take_and_give, take_two},
     .check = check},
    {"come_back", "A head that comes back with another rest is not mistaken, though the tag wraps", setup_blocks,
     .threads = {take_two_and_give, take_one}, .check = check},
    {"split", "A block of which one slot is taken goes back without it", setup_pair, .threads = {take_one, take_one}, .check = check},
    {"caches", "Caches take what is there, or fresh slots, and give all back", setup_pair, .threads = {use_cache_one, use_cache_two},
     .check = check},
    {"spill", "A cache that is full gives half of it to the list, where another takes it", NULL, .threads = {spill, take_one},
     .check = check, .bound = 2, .random_runs = 2000},
    {"three", "Three take and give", setup_blocks, .threads = {take_and_give, take_and_give, take_one}, .check = check, .bound = 2,
     .random_runs = 3000},
};

static const struct model broken[] = {
    {"take_untagged", "Without a tag a head that came back is taken for the old one", setup_blocks,
     .threads = {take_untagged, take_two_give_first}, .check = check},
    {"give_then_disown_swapped", "A slot that is touched after it was given back is another's", setup_blocks,
     .threads = {give_then_disown, take_two}, .check = check},
};

static const struct model_equivalent equivalent[] = {
    {"slots_free.c:block_pop:cas_acq_rel>acquire",
     "who pops has written nothing that others need, and the read-modify-write hands on what the pushes before it released; it is acq_rel "
     "for its failure order"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"slots_free.c:block_push", "slots_free.c:block_pop", "slots_free.c:block_spill", "slots_free.c:cache_fill",
                 "slots_free.c:take_shared"},
        .equivalent = equivalent,
    };
    return model_main(&suite, argc, argv);
}
