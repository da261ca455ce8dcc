/*
 * Thread key: threads that need the key first. One key is left, all have that one, and what the C library wrote for it is seen.
 */
#include <stdint.h>

#include "lib/base/thread_key.h"
#include "tests/model/checker.h"
#include "weft/atomic.h"

enum { KEYS_MAX = 4 };

static uint64_t made;
static uint32_t key_count; /* atomic: so many were made */
static uint32_t deleted_count;
static void (*ends[KEYS_MAX])(void *value); /* the C library's, plain */
static pthread_key_t got[3];

int double_key_create(pthread_key_t *key, void (*end)(void *value));
int double_key_create(pthread_key_t *key, void (*end)(void *value))
{
    uint32_t number = weft_atomic_add_relaxed(&key_count, 1);
    ends[number] = end;
    *key = number;
    return 0;
}

int double_key_delete(pthread_key_t key);
int double_key_delete(pthread_key_t key)
{
    ends[key] = NULL;
    (void)weft_atomic_add_relaxed(&deleted_count, 1);
    return 0;
}

static void end(void *value)
{
    (void)value;
}

static void get(unsigned index)
{
    MODEL_CHECK(thread_key_get(&made, end, &got[index]));
    MODEL_CHECK(ends[got[index]] == end);
}

static void first(void)
{
    get(0);
}

static void second(void)
{
    get(1);
}

static void third(void)
{
    get(2);
}

static void check(void)
{
    MODEL_CHECK(got[0] == got[1]);
    MODEL_CHECK(weft_atomic_load_relaxed(&key_count) == weft_atomic_load_relaxed(&deleted_count) + 1);
}

static void check_three(void)
{
    check();
    MODEL_CHECK(got[1] == got[2]);
}

/* It stores the key without looking whether somebody was faster. */
static void get_swapped(unsigned index)
{
    pthread_key_t key = 0;
    if (weft_atomic_load_acquire(&made) == 0) {
        (void)double_key_create(&key, end);
        weft_atomic_store_release(&made, (uint64_t)key + 1);
    }
    got[index] = (pthread_key_t)(weft_atomic_load_acquire(&made) - 1);
}

static void first_swapped(void)
{
    get_swapped(0);
}

static void second_swapped(void)
{
    get_swapped(1);
}

static const struct model models[] = {
    {.name = "both", .about = "two threads that need a key first have the same one", .threads = {first, second}, .check = check},
    {.name = "three",
     .about = "the same with three, of which two may be too late",
     .threads = {first, second, third},
     .check = check_three},
};

static const struct model broken[] = {
    {.name = "both_swapped", .about = "the key is stored before anybody looks", .threads = {first_swapped, second_swapped}, .check = check},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models, .model_count = 2, .broken = broken, .broken_count = 1, .owns = {"lib/base/thread_key"}};
    return model_main(&suite, argc, argv);
}
