/*
 * Sim: plays scenarios for many seeds, and says which one broke what.
 *
 *     tools/bazel test //tests/sim/...                                           some ten thousand seeds
 *     tools/bazel run -c opt //tests/sim:sim -- --seeds=1000000 --jobs=2         a million, shared out among the scenarios and two processes
 *     tools/bazel run //tests/sim:sim -- --scenario=cluster --seed=7 --trace     one of them again, event by event
 *     tools/bazel run //tests/sim:sim -- --hashes                                what scenarios shall have as `pinned`
 */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/ledger.h"
#include "tests/sim/scenario.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

/* How much of the seeds a build plays that is ten times as slow. */
#if !defined(SEEDS_PERCENT)
#define SEEDS_PERCENT 100
#endif

static const struct scenario *const scenarios[] = {&scenario_churn, &scenario_memory, &scenario_clock, &scenario_cluster,
                                                   &scenario_day,   &scenario_http,   &scenario_tasks};

enum { SCENARIO_COUNT = sizeof(scenarios) / sizeof(scenarios[0]) };

/* The product's own counts of what lives. */
extern size_t registry_count(void);
extern uint64_t loop_live_count(void);
extern uint64_t fiber_room_count(void);
extern uint64_t jobs_live_count(void);

struct arguments {
    const char *scenario;
    uint64_t seed;
    bool has_seed;
    uint64_t first;
    uint64_t seeds; /* 0: each scenario's own number */
    double seconds; /* for each scenario; 0: no limit */
    bool is_traced;
    bool wants_hashes;
    uint64_t jobs; /* processes */
    uint64_t job;  /* which of them this is */
};

static const struct scenario *playing; /* NULL: none yet */
static uint64_t playing_seed;

/* ---- trials ---------------------------------------------------------------------------------------------------------------------- */

void trial_fail(const struct trial *trial, const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAIL %s, seed %" PRIu64 ": %s:%d: ", playing->name, trial->seed, file, line);
    (void)vprintf(format, args);
    printf("\n  again: tools/bazel run //tests/sim:sim -- --scenario=%s --seed=%" PRIu64 " --trace\n0 passed, 1 failed\n", playing->name,
           trial->seed);
    va_end(args);
    (void)fflush(stdout);
    _exit(1);
}

static void print_line(const char *line, size_t len, void *arg)
{
    (void)arg;
    (void)fwrite(line, 1, len, stdout);
    (void)putchar('\n');
}

struct weft_sim_options trial_options(struct trial *trial)
{
    struct weft_sim_options options = WEFT_SIM_OPTIONS;
    options.seed = trial->seed;
    options.trace = trial->is_traced ? print_line : NULL;
    return options;
}

struct weft_sim_host *trial_host(struct trial *trial, struct weft_sim *sim, const char *name)
{
    struct weft_sim_host_options options = WEFT_SIM_HOST_OPTIONS;
    struct weft_sim_host *host = NULL;
    options.name = name;
    EXPECT_EQ(trial, weft_sim_host_create(sim, &options, &host), 0);
    return host;
}

void trial_end(struct trial *trial, struct weft_sim *sim)
{
    EXPECT_EQ(trial, weft_sim_get_counters(sim, &trial->counters), 0);
    trial->hash = weft_sim_trace_hash(sim);
    trial->virtual_ns = weft_sim_now(sim);
}

uint64_t trial_random(struct trial *trial, uint64_t limit)
{
    uint64_t z = (trial->random += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (z ^ (z >> 31)) % limit;
}

bool trial_chance(struct trial *trial, unsigned permille)
{
    return trial_random(trial, 1000) < permille;
}

static struct trial play(const struct scenario *scenario, uint64_t seed, bool is_traced)
{
    struct trial trial = {.seed = seed, .random = seed * 2 + 1, .is_traced = is_traced};
    int64_t live = ledger_live();
    playing = scenario;
    playing_seed = seed;
    scenario->play(&trial);
    EXPECT_EQ(&trial, registry_count(), 0);
    EXPECT_EQ(&trial, loop_live_count(), 0);
    EXPECT_EQ(&trial, fiber_room_count(), 0);
    EXPECT_EQ(&trial, jobs_live_count(), 0);
    EXPECT_EQ(&trial, ledger_live(), live);
    return trial;
}

/* ---- ends that no check has chosen -------------------------------------------------------------------------------------------------- */

/* From a signal handler, wherever the program was: nothing but a write. */
static void print_playing(void)
{
    char text[256];
    if (playing == NULL)
        return;
    int len = snprintf(text, sizeof(text),
                       "\nFAIL %s, seed %" PRIu64 ": the program has died in it\n"
                       "  again: tools/bazel run //tests/sim:sim -- --scenario=%s --seed=%" PRIu64 " --trace\n",
                       playing->name, playing_seed, playing->name, playing_seed);
    (void)!write(STDOUT_FILENO, text, (size_t)len);
    playing = NULL;
}

static const int deaths[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTERM}; /* the last when it takes too long */

enum { DEATHS = sizeof(deaths) / sizeof(deaths[0]) };

static struct sigaction before_deaths[DEATHS];

/* Then it is the turn of whoever was there before, a sanitizer or the default: a fault comes again, and so does an abort. */
static void die(int number)
{
    print_playing();
    for (int i = 0; i < DEATHS; i++)
        (void)sigaction(deaths[i], &before_deaths[i], NULL);
    if (number == SIGTERM)
        (void)raise(number);
}

/* Of a sanitizer, where there is one: it ends the program without a signal. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch_deaths(void)
{
    struct sigaction action = {.sa_handler = die, .sa_flags = SA_ONSTACK};
    for (int i = 0; i < DEATHS; i++)
        (void)sigaction(deaths[i], &action, &before_deaths[i]);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(print_playing);
}

/* ---- many of them ----------------------------------------------------------------------------------------------------------------- */

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What one process plays of one scenario. */
struct range {
    uint64_t first;
    uint64_t count;
};

static uint64_t test_seeds(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < SCENARIO_COUNT; i++)
        sum += scenarios[i]->seeds;
    return sum;
}

/* All seeds of one scenario: as many as in the test, or its share of those that were asked for. */
static uint64_t seed_count(const struct scenario *scenario, const struct arguments *arguments)
{
    uint64_t count = (uint64_t)scenario->seeds * SEEDS_PERCENT / 100;
    if (arguments->seeds != 0)
        count = arguments->scenario != NULL ? arguments->seeds : (arguments->seeds * scenario->seeds + test_seeds() - 1) / test_seeds();
    return count == 0 ? 1 : count;
}

static struct range range_of(const struct scenario *scenario, const struct arguments *arguments)
{
    if (arguments->has_seed)
        return (struct range){arguments->seed, 1};
    uint64_t count = seed_count(scenario, arguments), job = arguments->job;
    uint64_t from = count * job / arguments->jobs, to = count * (job + 1) / arguments->jobs;
    return (struct range){arguments->first + from, to - from};
}

static void expect_hash(const struct trial *trial, uint64_t expected, const char *what)
{
    if (trial->hash != expected)
        trial_fail(trial, __FILE__, __LINE__, "%s: %016" PRIx64 ", not %016" PRIx64, what, trial->hash, expected);
}

/* What follows from a seed must follow again, here and everywhere. */
static struct trial play_checked(const struct scenario *scenario, uint64_t seed, bool is_first)
{
    struct trial trial = play(scenario, seed, false);
    if (is_first) {
        struct trial again = play(scenario, seed, false);
        expect_hash(&again, trial.hash, "the same seed does not give the same trace");
    }
    if (seed >= 1 && seed <= PINNED && scenario->pinned[seed - 1] != 0)
        expect_hash(&trial, scenario->pinned[seed - 1],
                    "the trace is not the pinned one. If that is meant (an edited scenario, other events): "
                    "tools/bazel run //tests/sim:sim -- --hashes prints what `pinned` must be");
    return trial;
}

static void count(struct weft_sim_counters *sum, const struct weft_sim_counters *counters)
{
    sum->connections += counters->connections;
    sum->bytes += counters->bytes;
    sum->resets += counters->resets;
    sum->timeouts += counters->timeouts;
    sum->losses += counters->losses;
    sum->faults += counters->faults;
}

static uint64_t play_seeds(const struct scenario *scenario, const struct arguments *arguments)
{
    struct range range = range_of(scenario, arguments);
    uint64_t played = 0;
    double begin = seconds_now(), virtual_s = 0;
    struct weft_sim_counters sum = {0};
    for (; played < range.count && (arguments->seconds <= 0 || seconds_now() - begin < arguments->seconds); played++) {
        uint64_t seed = range.first + played;
        struct trial trial = arguments->is_traced ? play(scenario, seed, true) : play_checked(scenario, seed, played == 0);
        virtual_s += (double)trial.virtual_ns / 1e9;
        count(&sum, &trial.counters);
    }
    double took = seconds_now() - begin;
    printf("ok   %s: %" PRIu64 " seeds from %" PRIu64 ", %.0f a second, %.0f times as fast as the clock; %" PRIu64 " connections, %" PRIu64
           " bytes, %" PRIu64 " resets, %" PRIu64 " given up, %" PRIu64 " losses, %" PRIu64 " faults\n",
           scenario->name, played, range.first, (double)played / took, virtual_s / took, sum.connections, sum.bytes, sum.resets,
           sum.timeouts, sum.losses, sum.faults);
    (void)fflush(stdout);
    return played;
}

static void print_hashes(const struct scenario *scenario)
{
    printf("%s {", scenario->name);
    for (uint64_t seed = 1; seed <= PINNED; seed++)
        printf("%sUINT64_C(0x%016" PRIx64 ")", seed == 1 ? "" : ", ", play(scenario, seed, false).hash);
    puts("}");
}

/* ---- the command line --------------------------------------------------------------------------------------------------------------- */

static const char *value_of(const char *argument, const char *name)
{
    size_t len = strlen(name);
    return strncmp(argument, name, len) == 0 ? argument + len : NULL;
}

static bool parse_one(const char *argument, struct arguments *arguments)
{
    const char *value;
    if ((value = value_of(argument, "--scenario=")) != NULL)
        arguments->scenario = value;
    else if ((value = value_of(argument, "--seeds=")) != NULL)
        arguments->seeds = strtoull(value, NULL, 10);
    else if ((value = value_of(argument, "--first=")) != NULL)
        arguments->first = strtoull(value, NULL, 10);
    else if ((value = value_of(argument, "--seconds=")) != NULL)
        arguments->seconds = strtod(value, NULL);
    else if ((value = value_of(argument, "--jobs=")) != NULL)
        arguments->jobs = strtoull(value, NULL, 10);
    else if ((value = value_of(argument, "--seed=")) != NULL) {
        arguments->seed = strtoull(value, NULL, 10);
        arguments->has_seed = true;
    } else if (strcmp(argument, "--trace") == 0)
        arguments->is_traced = true;
    else if (strcmp(argument, "--hashes") == 0)
        arguments->wants_hashes = true;
    else
        return false;
    return true;
}

static int usage(void)
{
    puts("--scenario=NAME --seed=N --seeds=COUNT --first=N --seconds=N --jobs=N --trace --hashes; the scenarios:");
    for (size_t i = 0; i < SCENARIO_COUNT; i++)
        printf("  %-10s %s\n", scenarios[i]->name, scenarios[i]->about);
    return 2;
}

static int nothing(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return 0;
}

/* What the process keeps for good is made before anything is counted. */
static void warm_up(void)
{
    struct weft_coro *coro;
    if (ledger_install() < 0 || weft_fiber_new(nothing, NULL, NULL, &coro) < 0 || weft_run(coro, NULL, NULL) < 0)
        abort();
}

/* 0 if all is well. */
static int play_all(const struct arguments *arguments)
{
    int passed = 0;
    uint64_t seeds = 0;
    watch_deaths();
    warm_up();
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        if (arguments->scenario != NULL && strcmp(arguments->scenario, scenarios[i]->name) != 0)
            continue;
        passed++;
        if (arguments->wants_hashes)
            print_hashes(scenarios[i]);
        else
            seeds += play_seeds(scenarios[i], arguments);
    }
    if (passed == 0)
        return usage();
    if (!arguments->wants_hashes)
        printf("%" PRIu64 " seeds\n%d passed, 0 failed\n", seeds, passed);
    return 0;
}

/* A process for each job, each with its part of the seeds, before there is anything that a fork would have to mind. */
static int play_in_jobs(struct arguments *arguments)
{
    int failed = 0, status;
    for (; arguments->job < arguments->jobs; arguments->job++) {
        pid_t child = fork();
        if (child == 0) {
            status = play_all(arguments);
            (void)fflush(stdout);
            _exit(status);
        }
        failed += child < 0;
    }
    while (wait(&status) > 0)
        failed += status != 0;
    printf("%" PRIu64 " jobs, %d failed\n", arguments->jobs, failed);
    return failed != 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.first = 1, .jobs = 1};
    for (int i = 1; i < argc; i++)
        if (!parse_one(argv[i], &arguments))
            return usage();
    if (arguments.jobs == 0 || arguments.jobs > 256)
        return usage();
    return arguments.jobs == 1 ? play_all(&arguments) : play_in_jobs(&arguments);
}
