/*
 * How long does a computation take as jobs, on one loop and on several, beside plain C?
 *
 * Each workload (bench/workloads) runs as plain recursion in this thread, as jobs in a runtime of one loop, and in one of several, in turn
 * within each round. The loops are started once and sleep while they have nothing to do. A run is timed inside of its fiber, where it
 * begins and ends; its processor time is the whole process's. A wrong result ends the bench.
 *
 *     fork_join [name …] [--loops N] [--rounds N] [--quick]
 *
 * N loops (2) and rounds (7); --quick takes small sizes. Prints for each workload the median time of a run over the rounds, the minimum,
 * and the ratio to `serial` in the same round; the same for processor time; and how many jobs were stolen and how often a sleeping loop
 * was summoned in a run.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/servers/report.h"
#include "bench/workloads/workload.h"
#include "lib/base/clock.h"
#include "weft/job.h"
#include "weft/runtime.h"

enum { SERIAL, ONE_LOOP, MANY_LOOPS, CONTESTANTS };

enum { ROUNDS_DEFAULT = 7, LOOPS_DEFAULT = 2, NAMES_MAX = 16 };

struct options {
    const char *names[NAMES_MAX];
    size_t names_count; /* 0: all */
    uint32_t loops;
    size_t rounds;
    bool is_quick;
};

/* One run, or `repeats` of them at once, and what it took. */
struct run {
    const struct workload *workload;
    int size;
    int repeats;
    uint64_t result;
    uint64_t took_ns;
    uint64_t cpu_ns;
    uint64_t stolen;
    uint64_t summons;
};

static struct weft_runtime *runtimes[CONTESTANTS]; /* none for SERIAL */

static _Noreturn void give_up(const char *what, int status)
{
    fprintf(stderr, "%s: %d\n", what, status);
    exit(1);
}

static uint64_t cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- one run ---- */

static int run_serially(struct run *run)
{
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < run->repeats; i++)
        run->result = run->workload->serial(run->size);
    run->took_ns = clock_monotonic_ns() - start_ns;
    return 0;
}

static int run_as_jobs(void *arg, void **result_out)
{
    struct run *run = arg;
    int status = 0;
    (void)result_out;
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < run->repeats && status >= 0; i++)
        status = run->workload->job(run->size, &run->result);
    run->took_ns = clock_monotonic_ns() - start_ns;
    return status;
}

static struct weft_loop_counters counters_of(const struct weft_runtime *runtime)
{
    struct weft_loop_counters counters;
    int status = weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &counters);
    if (status < 0)
        give_up("counters", status);
    return counters;
}

static int run_in(struct weft_runtime *runtime, struct run *run)
{
    struct weft_loop_counters before = counters_of(runtime);
    struct weft_task *task;
    int status = weft_job_start(weft_runtime_loop(runtime, 0), run_as_jobs, run, &task);
    if (status < 0)
        return status;
    status = weft_future_wait(&task->future, -1, NULL);
    weft_task_unref(task);
    struct weft_loop_counters after = counters_of(runtime);
    run->stolen = after.stolen_jobs - before.stolen_jobs;
    run->summons = after.summons - before.summons;
    return status;
}

/* One contestant's turn. */
static struct run take_turn(const struct workload *workload, size_t contestant, bool is_quick)
{
    struct run run = {.workload = workload};
    run.size = is_quick ? workload->quick_size : workload->size;
    run.repeats = workload->repeats;
    workload_prepare(workload, run.size);
    uint64_t start_ns = cpu_ns();
    int status = contestant == SERIAL ? run_serially(&run) : run_in(runtimes[contestant], &run);
    run.cpu_ns = cpu_ns() - start_ns;
    if (status < 0)
        give_up(workload->name, status);
    run.result = workload_result(workload, run.size, run.result);
    if (run.result != (is_quick ? workload->quick_expected : workload->expected)) {
        fprintf(stderr, "%s: %llu is wrong\n", workload->name, (unsigned long long)run.result);
        exit(1);
    }
    return run;
}

/* ---- the rounds ---- */

/* What one workload's rounds gave. */
struct figures {
    struct report ms, cpu_ms, stolen, summons;
    char names[4][64];
    char many_loops[32];
};

static void figure_init(struct report *figure, char name_out[64], const struct workload *workload, const char *what, size_t rounds)
{
    snprintf(name_out, 64, "fork_join.%s.%s", workload->name, what);
    *figure = (struct report){.name = name_out, .rounds = rounds};
}

static void figures_init(struct figures *figures, const struct workload *workload, const struct options *options)
{
    figure_init(&figures->ms, figures->names[0], workload, "ms", options->rounds);
    figure_init(&figures->cpu_ms, figures->names[1], workload, "cpu_ms", options->rounds);
    figure_init(&figures->stolen, figures->names[2], workload, "stolen_jobs", options->rounds);
    figure_init(&figures->summons, figures->names[3], workload, "summons", options->rounds);
    snprintf(figures->many_loops, sizeof(figures->many_loops), "loops_%u", options->loops);
}

static void figures_add(struct figures *figures, size_t contestant, size_t round, const struct run *run)
{
    const char *names[] = {"serial", "loops_1", figures->many_loops};
    double repeats = run->repeats;
    figures->ms.value[contestant][round] = (double)run->took_ns / 1e6 / repeats;
    figures->cpu_ms.value[contestant][round] = (double)run->cpu_ns / 1e6 / repeats;
    figures->ms.contestant[contestant] = figures->cpu_ms.contestant[contestant] = names[contestant];
    figures->ms.contestants = figures->cpu_ms.contestants = contestant + 1;
    if (contestant != MANY_LOOPS)
        return;
    figures->stolen.value[0][round] = (double)run->stolen / repeats;
    figures->summons.value[0][round] = (double)run->summons / repeats;
    figures->stolen.contestant[0] = figures->summons.contestant[0] = figures->many_loops;
    figures->stolen.contestants = figures->summons.contestants = 1;
}

static void measure(const struct workload *workload, const struct options *options)
{
    static struct figures figures;
    figures_init(&figures, workload, options);
    for (size_t round = 0; round < options->rounds; round++)
        for (size_t i = 0; i < CONTESTANTS; i++) {
            if (i != SERIAL && runtimes[i] == NULL)
                continue;
            struct run run = take_turn(workload, i, options->is_quick);
            figures_add(&figures, i, round, &run);
        }
    report_print(&figures.ms);
    report_print(&figures.cpu_ms);
    report_print(&figures.stolen);
    report_print(&figures.summons);
    fflush(stdout);
}

/* ---- beginning and end ---- */

static struct weft_runtime *start_runtime(uint32_t loops)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    options.loops = loops;
    int status = weft_runtime_create(&options, &runtime);
    if (status == 0)
        status = weft_runtime_start(runtime);
    if (status < 0)
        give_up("a runtime", status);
    return runtime;
}

static bool is_wanted(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->names_count; i++)
        if (strcmp(options->names[i], name) == 0)
            return true;
    return options->names_count == 0;
}

static struct options options_of(int argc, char **argv)
{
    struct options options = {.loops = LOOPS_DEFAULT, .rounds = ROUNDS_DEFAULT};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--quick") == 0)
            options.is_quick = true;
        else if (strcmp(argv[i], "--loops") == 0 && i + 1 < argc)
            options.loops = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            options.rounds = strtoul(argv[++i], NULL, 10);
        else if (argv[i][0] != '-' && options.names_count < NAMES_MAX)
            options.names[options.names_count++] = argv[i];
        else
            give_up(argv[i], -1);
    if (options.loops == 0 || options.rounds == 0 || options.rounds > REPORT_ROUNDS_MAX)
        give_up("loops and rounds: 1 or more, and rounds up to", REPORT_ROUNDS_MAX);
    return options;
}

int main(int argc, char **argv)
{
    struct options options = options_of(argc, argv);
    runtimes[ONE_LOOP] = start_runtime(1);
    runtimes[MANY_LOOPS] = options.loops > 1 ? start_runtime(options.loops) : NULL;
    for (const struct workload *const *workload = workloads; *workload != NULL; workload++)
        if (is_wanted(&options, (*workload)->name))
            measure(*workload, &options);
    for (size_t i = 0; i < CONTESTANTS; i++)
        weft_runtime_destroy(runtimes[i]);
    return 0;
}
