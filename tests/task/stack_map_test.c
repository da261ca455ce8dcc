/*
 * The map of slabs: finds the guard and the stack that an address lies in, and nothing that was taken out or never had room.
 */
#include "lib/task/stack_map.h"

#include <pthread.h>

#include "tests/support/sanitizer.h"
#include "tests/support/test.h"
#include "weft/atomic.h"

enum { GUARD = 4096, STACK = 16384, STRIDE = GUARD + STACK, COUNT = 4, ENTRIES_MAX = 5120 };

/* No memory: the map looks at none. */
#define BASE ((uintptr_t)1 << 40)

static const void *slab(uintptr_t number)
{
    return (const void *)(BASE + number * COUNT * STRIDE);
}

static void add(uintptr_t number)
{
    stack_map_add(slab(number), GUARD, STACK, COUNT);
}

static bool is_found(uintptr_t addr)
{
    struct stack_place place;
    return stack_map_find(addr, &place);
}

Test(stack_map, tells_guards_from_stacks, .timeout = 5)
{
    struct stack_place place;
    add(0);
    CHECK(stack_map_find(BASE, &place) && place.is_guard && place.index == 0 && place.low == BASE + GUARD);
    CHECK(stack_map_find(BASE + GUARD - 1, &place) && place.is_guard && place.index == 0);
    CHECK(stack_map_find(BASE + GUARD, &place) && !place.is_guard && place.index == 0);
    CHECK(stack_map_find(BASE + STRIDE - 1, &place) && !place.is_guard && place.index == 0);
    CHECK(stack_map_find(BASE + STRIDE, &place) && place.is_guard && place.index == 1 && place.low == BASE + STRIDE + GUARD);
    CHECK(stack_map_find(BASE + COUNT * STRIDE - 1, &place) && !place.is_guard && place.index == COUNT - 1);
    CHECK(place.slab == BASE && place.stack_bytes == STACK);
    stack_map_remove(slab(0));
}

Test(stack_map, finds_nothing_beside_a_slab, .timeout = 5)
{
    add(1);
    CHECK(!is_found((uintptr_t)slab(1) - 1));
    CHECK(!is_found((uintptr_t)slab(2)));
    CHECK(!is_found(0) && !is_found(UINTPTR_MAX));
    stack_map_remove(slab(1));
}

Test(stack_map, forgets_what_was_taken_out, .timeout = 5)
{
    add(0);
    add(1);
    stack_map_remove(slab(0));
    CHECK(!is_found((uintptr_t)slab(0)) && is_found((uintptr_t)slab(1)));
    stack_map_remove(slab(0)); /* once more: harmless */
    stack_map_remove(slab(1));
    CHECK(!is_found((uintptr_t)slab(1)));
}

/* What does not fit is not found, and takes nobody's place. */
Test(stack_map, has_its_size_and_no_more, .timeout = 20)
{
    for (uintptr_t i = 0; i < ENTRIES_MAX + 10; i++)
        add(i);
    CHECK(is_found((uintptr_t)slab(0)) && is_found((uintptr_t)slab(ENTRIES_MAX - 1)));
    CHECK(!is_found((uintptr_t)slab(ENTRIES_MAX)));
    stack_map_remove(slab(7));
    add(ENTRIES_MAX);
    CHECK(is_found((uintptr_t)slab(ENTRIES_MAX)) && !is_found((uintptr_t)slab(7)));
    for (uintptr_t i = 0; i < ENTRIES_MAX + 10; i++)
        stack_map_remove(slab(i));
    CHECK(!is_found((uintptr_t)slab(1)));
}

static uint32_t is_over;

/* Slabs of two shapes take turns at the same addresses. */
static void *come_and_go(void *arg)
{
    (void)arg;
    while (weft_atomic_load_relaxed(&is_over) == 0) {
        stack_map_add(slab(3), GUARD, STACK, COUNT);
        stack_map_remove(slab(3));
        stack_map_add(slab(3), GUARD, 2 * STACK, COUNT / 2);
        stack_map_remove(slab(3));
    }
    return NULL;
}

Test(stack_map, finds_one_while_others_come_and_go, .timeout = 20)
{
    pthread_t threads[2];
    struct stack_place place;
    add(0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < (TEST_IS_SLOW ? 2000 : 100000); i++)
        CHECK(stack_map_find(BASE + STRIDE, &place) && place.is_guard && place.index == 1 && place.slab == BASE);
    weft_atomic_store_relaxed(&is_over, 1);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    stack_map_remove(slab(0));
}
