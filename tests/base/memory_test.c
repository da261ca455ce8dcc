/*
 * Memory: what a table must bring, what it is spared, and what the calls promise on every table.
 */
#include "tests/support/test.h"
#include "weft/memory.h"
#include "weft/status.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t asked_bytes;
static size_t asked_align_bytes;
static int free_count;

static void *my_malloc(size_t bytes)
{
    asked_bytes = bytes;
    void *ptr = malloc(bytes);
    return ptr == NULL ? NULL : memset(ptr, 0xa5, bytes);
}

static void *my_realloc(void *ptr, size_t bytes)
{
    asked_bytes = bytes;
    return realloc(ptr, bytes);
}

static void *my_aligned_alloc(size_t align_bytes, size_t bytes)
{
    asked_align_bytes = align_bytes;
    asked_bytes = bytes;
    return aligned_alloc(align_bytes, bytes);
}

static void my_free(void *ptr)
{
    CHECK(ptr != NULL);
    free_count++;
    free(ptr);
}

/* The table of the header's opening, without a calloc. */
static const struct weft_memory counted = {
    .size = sizeof(counted),
    .malloc = my_malloc,
    .realloc = my_realloc,
    .aligned_alloc = my_aligned_alloc,
    .free = my_free,
};

Test(memory, needs_every_slot_but_calloc, .timeout = 5)
{
    struct weft_memory broken[5] = {counted, counted, counted, counted, counted};
    broken[0].size = sizeof(struct weft_memory) - 1;
    broken[1].malloc = NULL;
    broken[2].realloc = NULL;
    broken[3].aligned_alloc = NULL;
    broken[4].free = NULL;
    for (int i = 0; i < 5; i++)
        CHECK_EQ(weft_memory_set(&broken[i]), WEFT_EPROTOCOL);
    weft_free(weft_malloc(16));
    CHECK_EQ(free_count, 0);
    CHECK_EQ(weft_memory_set(&counted), 0);
    weft_free(weft_malloc(16));
    CHECK_EQ(free_count, 1);
}

Test(memory, copies_the_table_and_gives_the_default_back, .timeout = 5)
{
    struct weft_memory mine = counted;
    CHECK_EQ(weft_memory_set(&mine), 0);
    memset(&mine, 0, sizeof(mine));
    weft_free(weft_malloc(1));
    CHECK_EQ(free_count, 1);
    CHECK_EQ(weft_memory_set(NULL), 0);
    weft_free(weft_malloc(1));
    CHECK_EQ(free_count, 1);
}

Test(memory, spares_a_table_the_zero_bytes, .timeout = 5)
{
    CHECK_EQ(weft_memory_set(&counted), 0);
    void *ptr = weft_malloc(0);
    CHECK(ptr != NULL);
    CHECK_EQ(asked_bytes, 1);
    ptr = weft_realloc(ptr, 0);
    CHECK(ptr != NULL);
    CHECK_EQ(asked_bytes, 1);
    weft_free(ptr);
    ptr = weft_calloc(0, 8);
    CHECK(ptr != NULL);
    CHECK_EQ(asked_bytes, 1);
    weft_free(ptr);
    ptr = weft_aligned_alloc(64, 0);
    CHECK(ptr != NULL);
    CHECK_EQ(asked_bytes, 64);
    weft_free(ptr);
}

Test(memory, clears_for_a_table_without_calloc, .timeout = 5)
{
    static const char zeros[96];
    CHECK_EQ(weft_memory_set(&counted), 0);
    char *ptr = weft_calloc(3, 32);
    CHECK(ptr != NULL);
    CHECK_EQ(asked_bytes, 96);
    CHECK_EQ(memcmp(ptr, zeros, 96), 0);
    weft_free(ptr);
}

Test(memory, takes_an_overflow_for_out_of_memory, .timeout = 5)
{
    CHECK_EQ(weft_memory_set(&counted), 0);
    CHECK(weft_calloc(SIZE_MAX / 2, 3) == NULL);
    CHECK(weft_aligned_alloc(4096, SIZE_MAX - 100) == NULL);
    CHECK_EQ(asked_bytes, 0);
}

Test(memory, aligns_and_rounds_the_length, .timeout = 5)
{
    CHECK_EQ(weft_memory_set(&counted), 0);
    for (size_t align_bytes = 1; align_bytes <= 65536; align_bytes *= 2) {
        void *ptr = weft_aligned_alloc(align_bytes, 100);
        CHECK(ptr != NULL);
        CHECK_EQ((uintptr_t)ptr % align_bytes, 0);
        CHECK_EQ(asked_align_bytes, align_bytes);
        CHECK_EQ(asked_bytes % align_bytes, 0);
        CHECK(asked_bytes >= 100);
        weft_free(ptr);
    }
}

Test(memory, keeps_the_bytes_when_it_grows, .timeout = 5)
{
    char *ptr = weft_realloc(NULL, 4);
    CHECK(ptr != NULL);
    memcpy(ptr, "weft", 4);
    ptr = weft_realloc(ptr, 100000);
    CHECK(ptr != NULL);
    CHECK_EQ(memcmp(ptr, "weft", 4), 0);
    weft_free(ptr);
}

Test(memory, frees_nothing_without_asking_the_table, .timeout = 5)
{
    CHECK_EQ(weft_memory_set(&counted), 0);
    weft_free(NULL);
    CHECK_EQ(free_count, 0);
}
