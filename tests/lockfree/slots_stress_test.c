/*
 * The slots under threads: objects come and go on four threads, which also end each other's registrations, while two more walk and pin
 * by ids that may long be stale. No object is touched after its release or released twice, a walk misses none that stays, and at the
 * end every slot is in one place.
 */
#include "lib/lockfree/slots.h"

#include "lib/lockfree/slots_free.h"

#include "tests/lockfree/threads.h"
#include "tests/support/test.h"

#include <sched.h>
#include <stdlib.h>

enum { OWNERS = 4, WALKERS = 2, STEPS = 20000, HELD = 64, PERMANENT = 300, BOARD = 256 };

/* From the heap, and freed by the release: a late access is a sanitizer's, and `is_alive` tells it without one. */
struct object {
    uint64_t is_alive;
    uint64_t number;    /* 0: a passing one; else one more than its place among the permanent ones */
    uint64_t last_word; /* what its owner wrote just before it ended the registration */
};

static uint64_t registered, ended, released, last_word_expected;

static void release(void *ptr)
{
    struct object *object = ptr;
    CHECK_EQ(object->is_alive, 1);
    object->is_alive = 0;
    CHECK_EQ(object->last_word, weft_atomic_load_relaxed(&last_word_expected));
    free(object);
    weft_atomic_add_relaxed(&released, 1);
}

static struct slots slots = SLOTS_INIT(release);
static uint64_t board[BOARD]; /* ids that anybody may pick, most of them stale */
static uint64_t owners_left;

static uint64_t register_object(struct slots_cache *cache, uint64_t number)
{
    struct object *object = malloc(sizeof *object);
    *object = (struct object){1, number, 0};
    uint64_t id;
    CHECK_EQ(slots_register(&slots, cache, object, &id), 0);
    return id;
}

/* Register, end one's own or another's registration, look something up: in random order. */
static void *own(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg, mine_registered = 0, mine_ended = 0;
    struct slots_cache memory = {.count = 0};
    struct slots_cache *cache = seed == OWNERS ? NULL : &memory; /* the last one has none */
    uint64_t held[HELD] = {0};
    for (int i = 0; i < STEPS; i++) {
        uint32_t random = random_next(&seed);
        uint64_t *mine = &held[random % HELD];
        if (*mine != 0)
            mine_ended += slots_unregister(&slots, cache, *mine);
        *mine = register_object(cache, 0);
        mine_registered++;
        uint64_t other = weft_atomic_exchange_relaxed(&board[(random >> 8) % BOARD], *mine);
        if (random >> 30 == 0)
            mine_ended += slots_unregister(&slots, cache, other);
    }
    for (int i = 0; i < HELD; i++)
        mine_ended += slots_unregister(&slots, cache, held[i]);
    slots_cache_flush(&slots, &memory);
    weft_atomic_add_relaxed(&registered, mine_registered);
    weft_atomic_add_relaxed(&ended, mine_ended);
    weft_atomic_sub_relaxed(&owners_left, 1);
    return NULL;
}

static void pin_by_old_ids(struct slots_cache *cache, uint64_t *seed)
{
    for (int i = 0; i < 64; i++) {
        uint64_t id = weft_atomic_load_relaxed(&board[random_next(seed) % BOARD]);
        struct object *object = slots_pin(&slots, id);
        if (object != NULL) {
            CHECK_EQ(object->is_alive, 1);
            slots_unpin(&slots, cache, id);
        }
    }
}

static void walk_once(struct slots_cache *cache)
{
    struct slots_entry entries[SLOTS_PAGE];
    uint8_t met[PERMANENT] = {0};
    uint64_t cursor = 0, last_index = 0;
    for (size_t count; (count = slots_walk(&slots, cache, &cursor, entries)) > 0;) {
        for (size_t i = 0; i < count; i++) {
            uint64_t index_from_1 = (uint32_t)entries[i].id + UINT64_C(1);
            CHECK(index_from_1 > last_index);
            last_index = index_from_1;
            struct object *object = entries[i].object;
            CHECK_EQ(object->is_alive, 1);
            if (object->number != 0)
                met[object->number - 1]++;
        }
        slots_unpin(&slots, cache, entries[0].id);
    }
    for (int i = 0; i < PERMANENT; i++)
        CHECK_EQ(met[i], 1);
}

static void *walk(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    struct slots_cache cache = {.count = 0};
    do {
        walk_once(&cache);
        pin_by_old_ids(&cache, &seed);
    } while (weft_atomic_load_relaxed(&owners_left) != 0);
    slots_cache_flush(&slots, &cache);
    return NULL;
}

/* Everything that is free has been used nearly to its last generation, and the list's tag is about to wrap. */
static void age_table(void)
{
    uint64_t ids[2 * SLOTS_FIRST_SEGMENT];
    for (size_t i = 0; i < 2 * SLOTS_FIRST_SEGMENT; i++)
        ids[i] = register_object(NULL, 0);
    for (size_t i = 0; i < 2 * SLOTS_FIRST_SEGMENT; i++) {
        slots_unregister(&slots, NULL, ids[i]);
        slots_slot(&slots, (uint32_t)ids[i])->state = (uint64_t)(UINT32_MAX - 20) << SLOTS_STATE_GENERATION;
    }
    slots.free_head |= (uint64_t)(UINT32_MAX - 10) << 32;
    released = 0;
}

static void run_all(void)
{
    static uint64_t permanent[PERMANENT];
    for (int i = 0; i < PERMANENT; i++)
        permanent[i] = register_object(NULL, (uint64_t)i + 1);
    struct threads threads = {.count = 0};
    owners_left = OWNERS;
    for (uintptr_t i = 1; i <= OWNERS; i++)
        threads_start(&threads, own, (void *)i);
    for (uintptr_t i = 1; i <= WALKERS; i++)
        threads_start(&threads, walk, (void *)(OWNERS + i));
    threads_join(&threads);
    CHECK_EQ(registered, OWNERS * STEPS);
    CHECK_EQ(ended, registered);
    CHECK_EQ(released, registered);
    CHECK_EQ(slots_count(&slots), PERMANENT);
    for (int i = 0; i < PERMANENT; i++)
        CHECK(slots_unregister(&slots, NULL, permanent[i]));
    struct slots_census census = slots_census(&slots);
    CHECK_EQ(census.live + census.dying + census.pins, 0);
    CHECK_EQ(census.listed + census.retired, census.total);
}

Test(slots_stress, objects_come_and_go_while_others_walk, .timeout = 60)
{
    run_all();
    CHECK_EQ(slots_census(&slots).retired, 0);
    slots_fini(&slots);
}

Test(slots_stress, slots_wear_out_while_others_walk, .timeout = 60)
{
    age_table();
    run_all();
    CHECK(slots_census(&slots).retired > 0);
    slots_fini(&slots);
}

static uint64_t shared_id, won;
static pthread_barrier_t round_start;

enum { RIVALS = 3, ROUNDS = 3000 };

/* All pin the same object, then all try to end it: one succeeds, and the release waits for the last to unpin. */
static void *rival(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&round_start);
        struct object *object = slots_pin(&slots, shared_id);
        weft_atomic_add_relaxed(&won, slots_unregister(&slots, NULL, shared_id));
        if (object != NULL) {
            CHECK_EQ(object->is_alive, 1);
            slots_unpin(&slots, NULL, shared_id);
        }
        pthread_barrier_wait(&round_start);
    }
    return NULL;
}

Test(slots_stress, rivals_end_a_pinned_object_once, .timeout = 60)
{
    struct threads threads = {.count = 0};
    pthread_barrier_init(&round_start, NULL, RIVALS + 1);
    for (int i = 0; i < RIVALS; i++)
        threads_start(&threads, rival, NULL);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        shared_id = register_object(NULL, 0);
        pthread_barrier_wait(&round_start);
        pthread_barrier_wait(&round_start);
        CHECK_EQ(won, i);
        CHECK_EQ(released, i);
    }
    threads_join(&threads);
    pthread_barrier_destroy(&round_start);
    slots_fini(&slots);
}

static uint64_t is_over;

static void *pin_and_unpin(void *arg)
{
    (void)arg;
    while (!weft_atomic_load_relaxed(&is_over)) {
        uint64_t id = weft_atomic_load_relaxed(&board[0]);
        if (slots_pin(&slots, id) != NULL)
            slots_unpin(&slots, NULL, id);
    }
    return NULL;
}

Test(slots_stress, release_in_an_unpin_sees_what_the_owner_did_last, .timeout = 60)
{
    struct threads threads = {.count = 0};
    last_word_expected = 1;
    threads_start(&threads, pin_and_unpin, NULL);
    threads_start(&threads, pin_and_unpin, NULL);
    for (int i = 0; i < STEPS; i++) {
        struct object *object = malloc(sizeof *object);
        *object = (struct object){1, 0, 0};
        uint64_t id;
        CHECK_EQ(slots_register(&slots, NULL, object, &id), 0);
        weft_atomic_store_relaxed(&board[0], id);
        object->last_word = 1;
        CHECK(slots_unregister(&slots, NULL, id));
    }
    weft_atomic_store_relaxed(&is_over, 1);
    threads_join(&threads);
    CHECK_EQ(released, STEPS);
    slots_fini(&slots);
}
