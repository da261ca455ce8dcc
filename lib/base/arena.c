/*
 * Arena: jemalloc's arenas, one per loop thread, recycled.
 *
 * Drivers call this at both ends of a loop's thread. mallctl() is a weak reference, so that linking alone decides: the same object file
 * works with jemalloc (linked or preloaded) and without. Invariant: an arena is bound to one thread or in the free list, never both.
 */
#include "lib/base/arena.h"

#include <pthread.h>
#include <stddef.h>

#include "lib/base/fork.h"

/* jemalloc's door to its settings. NULL where jemalloc is not in the program. */
extern int mallctl(const char *name, void *old_value, size_t *old_bytes, void *new_value, size_t new_bytes) __attribute__((weak));

/* jemalloc itself stops at 4095. */
enum { ARENA_COUNT_MAX = 4095 };

static pthread_mutex_t arena_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned arena_free[ARENA_COUNT_MAX];
static unsigned arena_free_count;
static unsigned arena_made_count;

static void lock_arenas(struct fork_watch *unused)
{
    (void)unused;
    pthread_mutex_lock(&arena_lock);
}

static void unlock_arenas(struct fork_watch *unused)
{
    (void)unused;
    pthread_mutex_unlock(&arena_lock);
}

/* A child that goes on to run loops of its own finds the lock free, and the list whole. */
static void watch_forks(void)
{
    static struct fork_watch watch = {.before = lock_arenas, .after = unlock_arenas, .is_kept = true};
    (void)fork_watch_add(&watch);
}

static bool arena_take_free(unsigned *arena_out)
{
    pthread_mutex_lock(&arena_lock);
    bool is_taken = arena_free_count > 0;
    if (is_taken)
        *arena_out = arena_free[--arena_free_count];
    pthread_mutex_unlock(&arena_lock);
    return is_taken;
}

static void arena_put_free(unsigned arena)
{
    pthread_mutex_lock(&arena_lock);
    arena_free[arena_free_count++] = arena;
    pthread_mutex_unlock(&arena_lock);
}

static bool arena_make(unsigned *arena_out)
{
    unsigned arena;
    size_t bytes = sizeof(arena);
    pthread_mutex_lock(&arena_lock);
    bool is_made = arena_made_count < ARENA_COUNT_MAX && mallctl("arenas.create", &arena, &bytes, NULL, 0) == 0;
    if (is_made) {
        arena_made_count++;
        *arena_out = arena;
    }
    pthread_mutex_unlock(&arena_lock);
    return is_made;
}

bool arena_bind(struct arena_binding *binding)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    *binding = (struct arena_binding){0};
    if (mallctl == NULL)
        return false;
    (void)pthread_once(&once, watch_forks);
    if (!arena_take_free(&binding->arena) && !arena_make(&binding->arena))
        return false;
    size_t bytes = sizeof(binding->arena_before);
    if (mallctl("thread.arena", &binding->arena_before, &bytes, &binding->arena, sizeof(binding->arena)) != 0) {
        arena_put_free(binding->arena);
        return false;
    }
    binding->is_bound = true;
    return true;
}

void arena_unbind(struct arena_binding *binding)
{
    if (!binding->is_bound)
        return;
    /* If the way back is refused the thread shares the arena until it ends; jemalloc allows that. */
    (void)mallctl("thread.arena", NULL, NULL, &binding->arena_before, sizeof(binding->arena_before));
    binding->is_bound = false;
    arena_put_free(binding->arena);
}

unsigned arena_count(void)
{
    pthread_mutex_lock(&arena_lock);
    unsigned count = arena_made_count;
    pthread_mutex_unlock(&arena_lock);
    return count;
}
