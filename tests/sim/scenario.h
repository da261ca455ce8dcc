/*
 * Scenario: an application in a simulated world, played once for each seed, and what must hold whatever the seed brings.
 *
 *     static void play(struct trial *trial)
 *     {
 *         struct weft_sim_options options = trial_options(trial);
 *         struct weft_sim *sim;
 *         EXPECT(trial, weft_sim_create(&options, &sim) == 0);
 *         …
 *         trial_end(trial, sim);
 *         weft_sim_destroy(sim);
 *     }
 *
 *     const struct scenario scenario_example = {.name = "example", .about = "what it shows", .seeds = 1000, .play = play};
 *
 * Applications use weft's public headers alone, and only the part that makes the world and breaks it knows that it is simulated. After each
 * trial the runner looks that nothing is left: memory, loops, tasks, stacks.
 */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/sim.h"

#define US_NS     INT64_C(1000)
#define MS_NS     INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)
#define HOUR_NS   (3600 * SECOND_NS)
#define DAY_NS    (24 * HOUR_NS)

struct trial {
    uint64_t seed;
    uint64_t random;     /* the scenario's own chance; the world has another */
    bool is_traced;      /* each event is printed */
    uint64_t hash;       /* of the world's trace, at the end */
    uint64_t virtual_ns; /* how long it was there */
    struct weft_sim_counters counters;
};

enum { PINNED = 2 };

struct scenario {
    const char *name;
    const char *about;
    uint32_t seeds; /* of the test; see SEEDS_PERCENT */
    void (*play)(struct trial *trial);
    uint64_t pinned[PINNED]; /* what the traces of the seeds 1 and 2 hash to, in every build. `--hashes` prints them; 0: not yet known */
};

extern const struct scenario scenario_churn, scenario_memory, scenario_clock, scenario_cluster, scenario_day, scenario_http, scenario_tasks;

/* The options of a world for this trial. */
struct weft_sim_options trial_options(struct trial *trial);

/* A host called `name`, or the one with that number if it is NULL. */
struct weft_sim_host *trial_host(struct trial *trial, struct weft_sim *sim, const char *name);

/* Take down what `sim` has counted, before it is destroyed. */
void trial_end(struct trial *trial, struct weft_sim *sim);

/* A number below `limit`, which is not 0, of the scenario's own chance. */
uint64_t trial_random(struct trial *trial, uint64_t limit);

/* True `permille` times in a thousand. */
bool trial_chance(struct trial *trial, unsigned permille);

/* End the program: the scenario, the seed, what broke, and the command that plays it again. */
__attribute__((noreturn, format(printf, 4, 5))) void trial_fail(const struct trial *trial, const char *file, int line, const char *format,
                                                                ...);

#define EXPECT(trial, condition)                                                                                                           \
    do {                                                                                                                                   \
        if (!(condition))                                                                                                                  \
            trial_fail((trial), __FILE__, __LINE__, "%s", #condition);                                                                     \
    } while (0)

#define EXPECT_EQ(trial, actual, expected)                                                                                                 \
    do {                                                                                                                                   \
        long long actual_ = (long long)(actual), expected_ = (long long)(expected);                                                        \
        if (actual_ != expected_)                                                                                                          \
            trial_fail((trial), __FILE__, __LINE__, "%s is %lld, not %lld", #actual, actual_, expected_);                                  \
    } while (0)

#endif
