/*
 * Models of the stacks' two shared words: stacks that come home from other threads, and the map that a signal handler reads.
 *
 * lib/task/stack.c and stack_map.c are real, over a system that hands out addresses nobody touches. The map's versions are about to wrap.
 */
#include "lib/task/stack.h"

#include "lib/task/stack_map.c" /* for its versions' sake */
#include "lib/task/stack_map.h"
#include "tests/model/checker.h"

/* ---- coming home ---------------------------------------------------------------------------------------------------------------------- */

static struct stack_pool pool;
static struct stack *stacks[3];

static int map(size_t bytes, void **addr_out)
{
    (void)bytes;
    *addr_out = (void *)((uintptr_t)0x100000000000);
    return 0;
}

static int unmap(void *addr, size_t bytes)
{
    (void)addr, (void)bytes;
    return 0;
}

static int advise(void *addr, size_t bytes, int advice)
{
    (void)addr, (void)bytes, (void)advice;
    return -1; /* no guards by marks: nothing is written to see whether they work */
}

static const struct stack_system system_of_none = {.map = map, .unmap = unmap, .advise = advise, .protect = unmap};

static void pool_setup(void)
{
    struct stack_options options = {.system = &system_of_none, .allow_unguarded = true};
    stack_pool_init(&pool, &options);
    for (unsigned i = 0; i < 3; i++)
        MODEL_CHECK(stack_acquire(&pool, STACK_LARGE, &stacks[i]) == 0);
}

/* What the fiber wrote on its stack, in one word. */
static void use_and_release(unsigned index)
{
    stacks[index]->shadow_id = 1;
    stack_release_remote(stacks[index]);
}

static void release_0(void)
{
    use_and_release(0);
}

static void release_1(void)
{
    use_and_release(1);
}

static void release_two(void)
{
    use_and_release(1);
    use_and_release(2);
}

static void acquire(void)
{
    struct stack *stack;
    MODEL_CHECK(stack_acquire(&pool, STACK_LARGE, &stack) == 0);
    stack->shadow_id = 2;
    stack_release(&pool, stack);
    (void)stack_pool_live_count(&pool);
}

static void pool_check(void)
{
    for (unsigned i = 0; i < 3; i++)
        if (stacks[i]->shadow_id == 0)
            stack_release(&pool, stacks[i]); /* one that no thread of this model had */
    MODEL_CHECK(stack_pool_fini(&pool) == 0);
}

/* ---- the map -------------------------------------------------------------------------------------------------------------------------- */

#define FIRST    ((uintptr_t)0x100000)
#define SECOND   ((uintptr_t)0x900000)
#define OURS     ((uintptr_t)0x110000)
#define IN_GUARD (OURS + 8)

/* Two slabs of which neither reaches into ours; only one that is made of both does. */
static void add_few_and_small(uintptr_t base)
{
    stack_map_add((const void *)base, 0x100, 0x100, 0x10);
}

static void add_one_and_large(uintptr_t base)
{
    stack_map_add((const void *)base, 0x4000, 0x8000, 1);
}

/* Ours has wrapped when the threads begin; the first wraps with the next slab there, and so does the one that nobody had. */
static void map_setup(void)
{
    entries[0].version = UINT32_MAX - 3;
    entries[1].version = UINT32_MAX - 1;
    entries[2].version = UINT32_MAX - 1;
    add_few_and_small(FIRST);
    stack_map_add((const void *)OURS, 0x1000, 0x1000, 1);
}

/* Our own slab stays: it is found for certain, and said right. */
static void find_ours(void)
{
    struct stack_place place;
    MODEL_CHECK(stack_map_find(IN_GUARD, &place));
    MODEL_CHECK(place.slab == OURS && place.is_guard && place.low == OURS + 0x1000 && place.stack_bytes == 0x1000);
}

static void map_elsewhere(void)
{
    stack_map_remove((const void *)FIRST);
    add_one_and_large(SECOND);
}

static void map_there_again(void)
{
    stack_map_remove((const void *)FIRST);
    add_one_and_large(FIRST);
}

static void map_there_twice(void)
{
    map_there_again();
    stack_map_remove((const void *)FIRST);
    add_few_and_small(FIRST);
}

/* A small one right below ours, where one was that reaches further. */
static void map_below(void)
{
    stack_map_remove((const void *)FIRST);
    stack_map_add((const void *)(OURS - 0x800), 0x100, 0x100, 1);
}

static void add_new(void)
{
    add_one_and_large(SECOND);
}

/* One that comes is found whole or not at all. */
static void find_new(void)
{
    struct stack_place place;
    if (stack_map_find(SECOND + 8, &place))
        MODEL_CHECK(place.slab == SECOND && place.is_guard && place.low == SECOND + 0x4000 && place.stack_bytes == 0x8000);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Gives the stack back before its fiber has left it. */
static void release_first(void)
{
    stack_release_remote(stacks[0]);
    stacks[0]->shadow_id = 1;
}

static const struct model models[] = {
    {.name = "home",
     .about = "stacks that two threads release come home whole, while their owner takes and counts",
     .setup = pool_setup,
     .threads = {acquire, release_0, release_1},
     .check = pool_check},
    {.name = "home_again",
     .about = "with three stacks from two threads the chain that the owner takes has all of them",
     .setup = pool_setup,
     .threads = {acquire, release_0, release_two},
     .check = pool_check},
    {.name = "map_new",
     .about = "a slab that is entered is found whole or not at all, over a version that wraps",
     .setup = map_setup,
     .threads = {add_new, find_new}},
    {.name = "map_elsewhere",
     .about = "while an entry changes hands nobody takes the two slabs for one",
     .setup = map_setup,
     .threads = {map_elsewhere, find_ours}},
    {.name = "map_below",
     .about = "nor the new one's place with the old one's reach",
     .setup = map_setup,
     .threads = {map_below, find_ours}},
    {.name = "map_again",
     .about = "nor if the next slab begins at the same address",
     .setup = map_setup,
     .threads = {map_there_again, find_ours}},
    {.name = "map_twice",
     .about = "nor if it changes twice, in which both halves come back",
     .setup = map_setup,
     .threads = {map_there_twice, find_ours},
     .bound = 3},
};

#define INDEPENDENT "the words are independent: each brings the odd version, and the even one comes behind all of them"

#define BUFFERED "the words of one owner before those of the next, against a store that is seen before it is done: that is left out here"

static const struct model_equivalent equivalent[] = {
    {"stack_map.c:claim:cas_acquire>relaxed", BUFFERED},
    {"stack_map.c:stack_map_remove:store_release>relaxed", BUFFERED},
    {"stack_map.c:stack_map_remove:store_release>late", "nothing comes behind it"},
    {"stack_map.c:stack_map_add:store_release#1>late", INDEPENDENT},
    {"stack_map.c:stack_map_add:store_release#2>late", INDEPENDENT},
    {"stack_map.c:stack_map_add:store_release#3>late", INDEPENDENT},
    {"stack_map.c:stack_map_add:store_release#4>late", "an even version beside a base that is not there yet is an entry of nobody's"},
    {NULL, NULL},
};

static const struct model broken[] = {
    {.name = "release_swapped",
     .about = "a stack that is given back before it has been left",
     .setup = pool_setup,
     .threads = {acquire, release_first},
     .may_leak = true},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/stack"},
                                             .equivalent = equivalent};
    return model_main(&suite, argc, argv);
}
