/*
 * Random: a counter that is mixed well (the "splitmix" construction), eight bytes of state.
 *
 * Loops and schedulers own one each. The counter visits all 2^64 states, so that there is no bad seed and the mixed outputs are all
 * different for one period: more than enough for picking victims. Invariant: the sequence depends on the seed alone.
 */
#include "lib/base/random.h"

#include "lib/base/clock.h"

#include <assert.h>
#include <sys/random.h>
#include <unistd.h>

/* 2^64 divided by the golden ratio, made odd: its multiples spread evenly. */
static const uint64_t random_step = UINT64_C(0x9e3779b97f4a7c15);

/* Each input bit flips each output bit with a chance of one half; the two factors were searched for that by Stafford ("variant 13"). */
static uint64_t random_mix(uint64_t bits)
{
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    return bits ^ (bits >> 31);
}

void random_init(struct random *random, uint64_t seed)
{
    /* Mixed, or seeds one step apart would give the same sequence shifted by one. */
    random->state = random_mix(seed ^ UINT64_C(0x5765667457656674));
}

uint64_t random_next(struct random *random)
{
    random->state += random_step;
    return random_mix(random->state);
}

/* The upper half of a 128-bit product is a fair pick once the products in the unfair rest (below 2^64 mod limit) are thrown away. */
uint64_t random_below(struct random *random, uint64_t limit)
{
    assert(limit > 0);
    uint64_t unfair = -limit % limit;
    unsigned __int128 product;
    do {
        product = (unsigned __int128)random_next(random) * limit;
    } while ((uint64_t)product < unfair);
    return (uint64_t)(product >> 64);
}

uint64_t random_seed_os(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed))
        return seed;
    return random_mix(clock_monotonic_ns()) ^ random_mix(clock_realtime_ns() + (uint64_t)getpid() * random_step);
}
