/*
 * Sim memory: allocations that fail by the seed while a loop of a simulated host takes a turn.
 *
 * The table in place is taken over for that time and forwarded to, so that what was allocated under it can be freed at any time. The
 * dice of allocations are their own: how many there are must not shift what happens on the network.
 */
#include <stddef.h>

#include "lib/base/memory.h"
#include "lib/base/random.h"
#include "lib/runtime/sim_drive.h"
#include "weft/memory.h"

/* One at a time in the process, as weft/sim.h asks. */
static struct weft_memory below;
static struct random *dice;
static uint32_t failing_permille;

static bool is_refused(void)
{
    return random_below(dice, 1000) < failing_permille;
}

static void *refusing_malloc(size_t bytes)
{
    return is_refused() ? NULL : below.malloc(bytes);
}

static void *refusing_calloc(size_t count, size_t bytes)
{
    return is_refused() ? NULL : below.calloc(count, bytes);
}

static void *refusing_realloc(void *ptr, size_t bytes)
{
    return is_refused() ? NULL : below.realloc(ptr, bytes);
}

static void *refusing_aligned_alloc(size_t align_bytes, size_t bytes)
{
    return is_refused() ? NULL : below.aligned_alloc(align_bytes, bytes);
}

static void forwarding_free(void *ptr)
{
    below.free(ptr);
}

static const struct weft_memory refusing = {
    .size = sizeof(refusing),
    .malloc = refusing_malloc,
    .calloc = refusing_calloc,
    .realloc = refusing_realloc,
    .aligned_alloc = refusing_aligned_alloc,
    .free = forwarding_free,
};

void sim_memory_begin(struct random *random, uint32_t permille)
{
    failing_permille = permille;
    if (permille == 0)
        return;
    dice = random;
    below = memory_get();
    (void)weft_memory_set(&refusing);
}

void sim_memory_end(void)
{
    if (failing_permille == 0)
        return;
    failing_permille = 0;
    (void)weft_memory_set(&below);
}
