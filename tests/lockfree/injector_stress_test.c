/*
 * The injector under threads: pushers of chains, takers, and a close. Each work is handed out or refused, once, and what one pusher
 * pushed leaves in its order.
 */
#include "lib/lockfree/injector.h"

#include "tests/lockfree/threads.h"
#include "tests/support/test.h"

#include <sched.h>

enum { PUSHERS = 4, TAKERS = 3, WORKS = 10000, CHAIN_MAX = 5, TAKE_MAX = 7 };

struct item {
    struct weft_work work; /* first */
    int pusher, number;
    uint8_t met;
};

static struct injector injector;
static struct item items[PUSHERS][WORKS];
static uint64_t met_count, refused_count;
static uint32_t pushers_left;

static void meet(struct item *item)
{
    CHECK_EQ(weft_atomic_add_relaxed(&item->met, 1), 0);
    (void)weft_atomic_add_relaxed(&met_count, 1);
}

static void *push_all(void *arg)
{
    int pusher = (int)(uintptr_t)arg;
    uint64_t seed = (uint64_t)pusher + 1;
    for (int i = 0; i < WORKS;) {
        int last = i + (int)(random_next(&seed) % CHAIN_MAX);
        last = last < WORKS ? last : WORKS - 1;
        for (int j = i; j <= last; j++) {
            items[pusher][j].pusher = pusher;
            items[pusher][j].number = j;
            items[pusher][j].work.next = j < last ? &items[pusher][j + 1].work : NULL;
        }
        if (!injector_push(&injector, &items[pusher][i].work, &items[pusher][last].work)) {
            for (int j = i; j < last; j++)
                CHECK(items[pusher][j].work.next == &items[pusher][j + 1].work);
            (void)weft_atomic_add_relaxed(&refused_count, (uint64_t)(last - i + 1));
        }
        i = last + 1;
    }
    (void)weft_atomic_sub_relaxed(&pushers_left, 1);
    return NULL;
}

static void meet_all(struct weft_work_list *list, int newest[PUSHERS])
{
    struct weft_work *work;
    while ((work = weft_work_list_pop(list)) != NULL) {
        struct item *item = (struct item *)work;
        CHECK(item->number > newest[item->pusher]);
        newest[item->pusher] = item->number;
        meet(item);
    }
}

/* Take until all have been met, or, if it is to be closed, half of them. */
static void *take(void *arg)
{
    uint64_t until = (uint64_t)(uintptr_t)arg;
    uint64_t seed = 7;
    int newest[PUSHERS] = {-1, -1, -1, -1};
    while (weft_atomic_load_relaxed(&met_count) < until) {
        struct weft_work_list list = {NULL, NULL, 0};
        size_t max = 1 + random_next(&seed) % TAKE_MAX;
        size_t count = injector_take(&injector, max, &list);
        CHECK(count <= max);
        CHECK_EQ(list.count, count);
        if (count == 0)
            sched_yield();
        meet_all(&list, newest);
    }
    return NULL;
}

static void setup(void)
{
    injector_init(&injector);
    pushers_left = PUSHERS;
}

Test(injector_stress, each_work_is_handed_out_once_in_its_pushers_order, .init = setup, .timeout = 60)
{
    struct threads threads = {.count = 0};
    for (uintptr_t i = 0; i < PUSHERS; i++)
        threads_start(&threads, push_all, (void *)i);
    for (int i = 0; i < TAKERS; i++)
        threads_start(&threads, take, (void *)(uintptr_t)(PUSHERS * WORKS));
    threads_join(&threads);
    CHECK_EQ(met_count, PUSHERS * WORKS);
    CHECK(injector_is_empty(&injector));
}

Test(injector_stress, each_work_is_handed_out_or_refused_where_it_closes, .init = setup, .timeout = 60)
{
    struct threads pushers = {.count = 0}, takers = {.count = 0};
    for (uintptr_t i = 0; i < PUSHERS; i++)
        threads_start(&pushers, push_all, (void *)i);
    for (int i = 0; i < TAKERS; i++)
        threads_start(&takers, take, (void *)(uintptr_t)(PUSHERS * WORKS / 2));
    threads_join(&takers);
    struct weft_work_list rest = {NULL, NULL, 0};
    int newest[PUSHERS] = {-1, -1, -1, -1};
    injector_close(&injector, &rest);
    meet_all(&rest, newest);
    threads_join(&pushers);
    CHECK_EQ(met_count + refused_count, PUSHERS * WORKS);
    CHECK(injector_is_empty(&injector));
}
