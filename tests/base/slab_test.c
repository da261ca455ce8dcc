/*
 * Slab: what is given out is aligned, apart and counted; what others give back comes home.
 */
#include "lib/base/slab.h"
#include "lib/base/thread.h"
#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "weft/atomic.h"

#include <sched.h>
#include <stdint.h>
#include <string.h>

static void give_all_back(struct slab *slab, void **objects, size_t count)
{
    CHECK_EQ(slab_live_count(slab), count);
    for (size_t i = 0; i < count; i++)
        slab_free(slab, objects[i]);
    CHECK_EQ(slab_fini(slab), 0);
}

Test(slab, gives_out_objects_apart_from_each_other, .timeout = 5)
{
    enum { COUNT = 3000, BYTES = 24 };
    static unsigned char *objects[COUNT];
    struct slab slab;
    slab_init(&slab, BYTES);
    for (int i = 0; i < COUNT; i++) {
        objects[i] = slab_alloc(&slab);
        CHECK(objects[i] != NULL);
        memset(objects[i], i & 0xff, BYTES);
    }
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < BYTES; j++)
            CHECK_EQ(objects[i][j], i & 0xff);
        slab_free(&slab, objects[i]);
    }
    CHECK_EQ(slab_fini(&slab), 0);
}

Test(slab, lets_no_small_object_straddle_a_line, .timeout = 5)
{
    static const size_t sizes[] = {1, 8, 16, 17, 24, 33, 48, 64};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct slab slab;
        slab_init(&slab, sizes[s]);
        void *objects[300];
        for (int i = 0; i < 300; i++) {
            objects[i] = slab_alloc(&slab);
            uintptr_t first = (uintptr_t)objects[i];
            CHECK_EQ(first % 16, 0);
            CHECK_EQ(first / WEFT_CACHE_LINE_BYTES, (first + sizes[s] - 1) / WEFT_CACHE_LINE_BYTES);
        }
        give_all_back(&slab, objects, 300);
    }
}

Test(slab, starts_large_objects_on_a_line, .timeout = 5)
{
    struct slab slab;
    slab_init(&slab, 3 * 4096 + 1);
    void *objects[50];
    for (int i = 0; i < 50; i++) {
        objects[i] = slab_alloc(&slab);
        CHECK_EQ((uintptr_t)objects[i] % WEFT_CACHE_LINE_BYTES, 0);
        memset(objects[i], 1, 3 * 4096 + 1);
    }
    give_all_back(&slab, objects, 50);
}

Test(slab, gives_the_last_one_back_out_first, .timeout = 5)
{
    struct slab slab;
    slab_init(&slab, 64);
    void *one = slab_alloc(&slab);
    void *two = slab_alloc(&slab);
    slab_free(&slab, one);
    slab_free(&slab, two);
    CHECK(slab_alloc(&slab) == two);
    CHECK(slab_alloc(&slab) == one);
    slab_free(&slab, one);
    slab_free(&slab, two);
    CHECK_EQ(slab_fini(&slab), 0);
}

Test(slab, takes_remote_objects_back_before_it_grows, .timeout = 5)
{
    oom_install();
    struct slab slab;
    slab_init(&slab, 64);
    void *object = slab_alloc(&slab);
    CHECK(object != NULL);
    oom_start_from(1);
    for (int i = 0; i < 1000; i++) {
        slab_free_remote(&slab, object);
        CHECK(slab_alloc(&slab) == object);
    }
    CHECK(!oom_stop());
    slab_free(&slab, object);
    CHECK_EQ(slab_fini(&slab), 0);
    CHECK_EQ(oom_live(), 0);
}

Test(slab, ignores_null, .timeout = 5)
{
    struct slab slab;
    slab_init(&slab, 8);
    slab_free(&slab, NULL);
    slab_free_remote(&slab, NULL);
    CHECK_EQ(slab_fini(&slab), 0);
}

Test(slab, keeps_everything_while_an_object_is_out, .timeout = 5)
{
    struct slab slab;
    slab_init(&slab, 100);
    int *object = slab_alloc(&slab);
    void *other = slab_alloc(&slab);
    *object = 42;
    CHECK_EQ(slab_fini(&slab), 2);
    slab_free_remote(&slab, other);
    CHECK_EQ(slab_fini(&slab), 1);
    CHECK_EQ(*object, 42);
    slab_free(&slab, object);
    CHECK_EQ(slab_fini(&slab), 0);
    CHECK_EQ(slab_fini(&slab), 0);
}

Test(slab, says_null_at_each_allocation_that_fails_and_goes_on, .timeout = 5)
{
    oom_install();
    for (uint64_t n = 1;; n++) {
        void *objects[200];
        size_t count = 0;
        struct slab slab;
        slab_init(&slab, 128);
        oom_start(n);
        while (count < 200 && (objects[count] = slab_alloc(&slab)) != NULL)
            count++;
        bool is_refused = oom_stop();
        CHECK(is_refused == (count < 200));
        void *after = slab_alloc(&slab);
        CHECK(after != NULL);
        slab_free(&slab, after);
        CHECK_EQ(slab_live_count(&slab), count);
        while (count > 0)
            slab_free(&slab, objects[--count]);
        CHECK_EQ(slab_fini(&slab), 0);
        CHECK_EQ(oom_live(), 0);
        if (!is_refused)
            break;
    }
}

Test(slab, keeps_freed_objects_readable_if_told, .timeout = 5)
{
    struct generation {
        void *link;
        uint64_t number;
    };
    struct slab slab;
    slab_init(&slab, sizeof(struct generation));
    slab_keep_readable(&slab);
    struct generation *object = slab_alloc(&slab);
    object->number = 9;
    slab_free(&slab, object);
    CHECK_EQ(object->number, 9);
    CHECK_EQ(slab_fini(&slab), 0);
}

/* -- an owner that gives out, threads that give back -- */

enum { STRESS_THREADS = 3, STRESS_ROUNDS = 20000, STRESS_QUEUE = 64 };

struct stress_object {
    void *link;
    uint64_t owner_word;
    uint64_t user_word;
};

/* A ring of one producer and one consumer; a word is empty while it is NULL. */
struct stress {
    struct slab slab;
    struct stress_object *rings[STRESS_THREADS][STRESS_QUEUE];
    struct thread threads[STRESS_THREADS];
};

struct stress_user {
    struct stress *stress;
    int index;
};

static void stress_user_main(void *arg)
{
    struct stress_user *user = arg;
    for (uint64_t i = 0; i < STRESS_ROUNDS; i++) {
        struct stress_object **place = &user->stress->rings[user->index][i % STRESS_QUEUE];
        struct stress_object *object;
        /* Pairs with the release in stress_hand_over(). */
        while ((object = weft_atomic_load_acquire(place)) == NULL)
            sched_yield();
        /* Pairs with the acquire in stress_hand_over(): the place is free. */
        weft_atomic_store_release(place, NULL);
        CHECK(object->owner_word == i);
        object->user_word = i * 3; /* plain: the owner's next write must be ordered behind it by the slab alone */
        slab_free_remote(&user->stress->slab, object);
    }
}

static void stress_hand_over(struct stress *stress, int index, uint64_t round)
{
    struct stress_object **place = &stress->rings[index][round % STRESS_QUEUE];
    struct stress_object *object = slab_alloc(&stress->slab);
    CHECK(object != NULL);
    object->owner_word = round;
    object->user_word = 0;
    /* Pairs with the release in stress_user_main(). */
    while (weft_atomic_load_acquire(place) != NULL)
        sched_yield();
    /* Pairs with the acquire in stress_user_main(): the object's words. */
    weft_atomic_store_release(place, object);
}

Test(slab, loses_nothing_between_an_owner_and_others, .timeout = 60)
{
    static struct stress stress;
    struct stress_user users[STRESS_THREADS];
    slab_init(&stress.slab, sizeof(struct stress_object));
    for (int i = 0; i < STRESS_THREADS; i++) {
        users[i] = (struct stress_user){.stress = &stress, .index = i};
        CHECK_EQ(thread_start(&stress.threads[i], NULL, stress_user_main, &users[i]), 0);
    }
    for (uint64_t round = 0; round < STRESS_ROUNDS; round++) {
        for (int i = 0; i < STRESS_THREADS; i++)
            stress_hand_over(&stress, i, round);
        if (round % 16 == 0)
            CHECK(slab_live_count(&stress.slab) <= stress.slab.object_count);
    }
    for (int i = 0; i < STRESS_THREADS; i++)
        thread_join(&stress.threads[i]);
    CHECK_EQ(slab_live_count(&stress.slab), 0);
    /* At most what the rings, the users and the owner hold at a time, and what the owner had not yet fetched. */
    CHECK(stress.slab.object_count < (uint64_t)STRESS_ROUNDS * STRESS_THREADS);
    CHECK_EQ(slab_fini(&stress.slab), 0);
}
