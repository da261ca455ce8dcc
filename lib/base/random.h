/*
 * Random: a small generator for each owner, for choices that nobody must guess but that need no cryptography.
 *
 * Victims to steal from, jitter, sampling. Equal seeds give equal sequences on every machine: the simulator replays by that.
 *
 *     struct random random;
 *     random_init(&random, random_seed_os());
 *     size_t victim = random_below(&random, loop_count);
 */
#ifndef LIB_BASE_RANDOM_H
#define LIB_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

/* Start the sequence that belongs to `seed`; any number is as good as any other. thread: the one that becomes the owner */
void random_init(struct random *random, uint64_t seed);

/* The next 64 random bits. thread: the owner */
uint64_t random_next(struct random *random);

/* A number from 0 to `limit` - 1, each equally likely. `limit` is not 0. thread: the owner */
uint64_t random_below(struct random *random, uint64_t limit);

/*
 * A seed from the operating system. Where it has none to give (an old kernel, a filter, early boot) the seed comes from the clocks and
 * the process id: different from run to run, but not hard to guess.
 *
 * thread: any
 */
uint64_t random_seed_os(void);

#endif
