/*
 * Random: does the reduction lose anything? Small programs made up by chance are searched twice, with reduction and without any, and must
 * end in the same ways. What is compared is the checker with itself; what it compares with the standard is litmus_test.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/model/engine.h"
#include "weft/atomic.h"

enum { WORDS = 3, ACTORS = 3, ACTIONS = 2, PROGRAMS = 300 };

enum action_kind { LOAD, LOAD_ACQUIRE, LOAD_SEQ_CST, STORE, STORE_RELEASE, STORE_SEQ_CST, ADD, SWAP, FENCE, KINDS };

struct action {
    enum action_kind kind;
    unsigned word;
};

struct program {
    struct action actions[ACTORS][ACTIONS];
};

static struct program *program; /* outside of what is put back */
static uint32_t words[WORDS];
static uint32_t results[ACTORS][ACTIONS];

static uint32_t act(const struct action *action, uint32_t value)
{
    uint32_t *word = &words[action->word], seen = 0;
    switch (action->kind) {
    case LOAD:
        return weft_atomic_load_relaxed(word);
    case LOAD_ACQUIRE:
        return weft_atomic_load_acquire(word);
    case LOAD_SEQ_CST:
        return weft_atomic_load_seq_cst(word);
    case STORE:
        weft_atomic_store_relaxed(word, value);
        return 0;
    case STORE_RELEASE:
        weft_atomic_store_release(word, value);
        return 0;
    case STORE_SEQ_CST:
        weft_atomic_store_seq_cst(word, value);
        return 0;
    case ADD:
        return weft_atomic_add_acq_rel(word, 16);
    case SWAP:
        return weft_atomic_cas_acq_rel(word, &seen, value) ? 99 : seen;
    case FENCE:
        weft_atomic_fence_seq_cst();
        return 0;
    case KINDS:
        break;
    }
    return 0;
}

static void play(unsigned actor)
{
    for (unsigned i = 0; i < ACTIONS; i++)
        results[actor][i] = act(&program->actions[actor][i], actor * ACTIONS + i + 1);
}

static void actor_0(void)
{
    play(0);
}

static void actor_1(void)
{
    play(1);
}

static void actor_2(void)
{
    play(2);
}

static void show(void)
{
    char text[96];
    int used = 0;
    for (unsigned i = 0; i < ACTORS; i++)
        for (unsigned j = 0; j < ACTIONS; j++)
            used += snprintf(text + used, sizeof(text) - (size_t)used, "%u ", results[i][j]);
    for (unsigned i = 0; i < WORDS; i++)
        used += snprintf(text + used, sizeof(text) - (size_t)used, "%u ", weft_atomic_load_relaxed(&words[i]));
    model_outcome("%s", text);
}

static uint64_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void make(uint64_t seed)
{
    uint64_t state = seed;
    for (unsigned i = 0; i < ACTORS; i++)
        for (unsigned j = 0; j < ACTIONS; j++)
            program->actions[i][j] =
                (struct action){(enum action_kind)(random_next(&state) % KINDS), (unsigned)(random_next(&state) % (i == 2 ? WORDS : 2))};
}

/* How many different ends, or 0 if there are too many to compare. */
static size_t count_ends(int bound, uint64_t *runs_out)
{
    struct model model = {.name = "random", .threads = {actor_0, actor_1, actor_2}, .check = show, .bound = bound};
    report_outcomes_reset();
    struct search_result result = search_model(&model, 1, 1, 1);
    *runs_out = result.runs - result.pruned;
    return result.end == RUN_PASSED && result.is_complete ? report_outcome_count() : 0;
}

int main(void)
{
    int passed = 0, failed = 0, skipped = 0;
    uint64_t reduced_runs = 0, all_runs = 0;
    run_init();
    program = model_kept(sizeof(*program));
    run_remember();
    for (uint64_t seed = 1; seed <= PROGRAMS; seed++) {
        uint64_t reduced, all;
        make(seed);
        size_t all_ends = count_ends(1000, &all), reduced_ends = all_ends == 0 ? 0 : count_ends(0, &reduced);
        if (all_ends == 0) {
            skipped++;
            continue;
        }
        reduced_runs += reduced;
        all_runs += all;
        passed += reduced_ends == all_ends;
        failed += reduced_ends != all_ends;
        if (reduced_ends != all_ends)
            printf("FAIL program %" PRIu64 ": %zu ends with reduction, %zu without\n", seed, reduced_ends, all_ends);
    }
    printf("%" PRIu64 " runs with reduction, %" PRIu64 " without; %d programs too large\n", reduced_runs, all_runs, skipped);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
