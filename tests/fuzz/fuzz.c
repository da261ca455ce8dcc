/*
 * Fuzz: one input. The target runs, and after it there is no task, no loop, no stack in use, and as much memory as before.
 *
 * The library keeps some memory for good once it has needed it. So a target that leaves more than there was runs its input again: what
 * is a leak is there each time.
 */
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "weft/atomic.h"
#include "weft/memory.h"

enum { RUNS_MAX = 3 };

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

void test_check_eq(int64_t actual, int64_t expected, const char *text, const char *file, int line)
{
    if (actual != expected)
        test_fail(file, line, "%s is %" PRId64 ", not %" PRId64, text, actual, expected);
}

void test_check_str(const char *actual, const char *expected, const char *text, const char *file, int line)
{
    if (strcmp(actual, expected) != 0)
        test_fail(file, line, "%s is \"%s\", not \"%s\"", text, actual, expected);
}

/* ---- allocations that live ------------------------------------------------------------------------------------------------------ */

static uint64_t given, freed; /* atomic */

static void *count(void *memory)
{
    (void)weft_atomic_add_relaxed(&given, memory != NULL);
    return memory;
}

static void *counted_malloc(size_t bytes)
{
    return count(malloc(bytes));
}

static void *counted_realloc(void *ptr, size_t bytes)
{
    void *memory = realloc(ptr, bytes);
    return ptr == NULL ? count(memory) : memory;
}

static void *counted_aligned_alloc(size_t align_bytes, size_t bytes)
{
    return count(aligned_alloc(align_bytes, bytes));
}

static void counted_free(void *ptr)
{
    (void)weft_atomic_add_relaxed(&freed, ptr != NULL);
    free(ptr);
}

static int64_t live(void)
{
    return (int64_t)(weft_atomic_load_relaxed(&given) - weft_atomic_load_relaxed(&freed));
}

__attribute__((constructor)) static void count_memory(void)
{
    static const struct weft_memory memory = {
        .size = sizeof(memory),
        .malloc = counted_malloc,
        .realloc = counted_realloc,
        .aligned_alloc = counted_aligned_alloc,
        .free = counted_free,
    };
    if (weft_memory_set(&memory) < 0)
        abort();
}

/* ---- what is left --------------------------------------------------------------------------------------------------------------- */

/* The library's own books, in the targets that link these rooms. */
extern size_t registry_count(void) __attribute__((weak));
extern uint64_t loop_live_count(void) __attribute__((weak));
extern uint64_t loop_unfinished_count(void) __attribute__((weak));
extern uint64_t fiber_room_count(void) __attribute__((weak));
extern uint64_t jobs_live_count(void) __attribute__((weak));

static void check_nothing_left(void)
{
    CHECK(registry_count == NULL || registry_count() == 0);
    CHECK(loop_unfinished_count == NULL || loop_unfinished_count() == 0);
    CHECK(loop_live_count == NULL || loop_live_count() == 0);
    CHECK(fiber_room_count == NULL || fiber_room_count() == 0);
    CHECK(jobs_live_count == NULL || jobs_live_count() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t before = 0, after = 1;
    for (int run = 0; run < RUNS_MAX && after != before; run++) {
        struct fuzz fuzz = {data, data + size};
        before = live();
        fuzz_target(&fuzz);
        check_nothing_left();
        after = live();
    }
    CHECK_EQ(after - before, 0);
    return 0;
}
