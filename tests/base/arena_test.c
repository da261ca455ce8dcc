/*
 * Arena: each thread that binds has its own, and the next thread gets a used one. Without jemalloc in the program it only must not hurt.
 */
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/parker.h"
#include "lib/base/thread.h"
#include "tests/support/test.h"
#include "weft/memory.h"

#include <stddef.h>

extern int mallctl(const char *name, void *old_value, size_t *old_bytes, void *new_value, size_t new_bytes) __attribute__((weak));

static unsigned arena_of_thread(void)
{
    unsigned arena = 0;
    size_t bytes = sizeof(arena);
    CHECK_EQ(mallctl("thread.arena", &arena, &bytes, NULL, 0), 0);
    return arena;
}

struct visit {
    struct parker bound;
    struct parker leave;
    unsigned arena;
    void *memory;
};

static void visit_main(void *arg)
{
    struct visit *visit = arg;
    struct arena_binding binding;
    CHECK(arena_bind(&binding) == (mallctl != NULL));
    if (mallctl != NULL) {
        visit->arena = arena_of_thread();
        CHECK_EQ(visit->arena, binding.arena);
        CHECK(visit->arena != binding.arena_before);
    }
    visit->memory = weft_malloc(1000);
    CHECK(visit->memory != NULL);
    parker_unpark(&visit->bound);
    CHECK_EQ(parker_park(&visit->leave, CLOCK_NEVER_NS), 0);
    arena_unbind(&binding);
    arena_unbind(&binding);
    if (mallctl != NULL)
        CHECK_EQ(arena_of_thread(), binding.arena_before);
}

/* Threads that are bound at the same time; returns how many arenas there are by then. */
static unsigned visit_together(unsigned *arenas_out, int count)
{
    struct visit visits[8] = {{.arena = 0}};
    struct thread threads[8];
    for (int i = 0; i < count; i++) {
        parker_init(&visits[i].bound);
        parker_init(&visits[i].leave);
        CHECK_EQ(thread_start(&threads[i], NULL, visit_main, &visits[i]), 0);
        CHECK_EQ(parker_park(&visits[i].bound, CLOCK_NEVER_NS), 0);
        arenas_out[i] = visits[i].arena;
    }
    for (int i = 0; i < count; i++) {
        parker_unpark(&visits[i].leave);
        thread_join(&threads[i]);
        weft_free(visits[i].memory);
    }
    return arena_count();
}

Test(arena, is_its_threads_own_and_is_used_again, .timeout = 10)
{
    unsigned arenas[8] = {0};
    unsigned made_count = visit_together(arenas, 8);
    CHECK_EQ(made_count, mallctl != NULL ? 8 : 0);
    for (int i = 0; mallctl != NULL && i < 8; i++)
        for (int j = 0; j < i; j++)
            CHECK(arenas[i] != arenas[j]);
    CHECK_EQ(visit_together(arenas, 8), made_count);
    CHECK_EQ(visit_together(arenas, 3), made_count);
}
