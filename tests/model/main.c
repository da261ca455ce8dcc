/*
 * Main: the command line of a suite of models. Without arguments it is a test: every model passes, every mutant is killed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/engine.h"
#include "tests/model/world.h"
#include "weft/memory.h"

enum { NAME_BYTES = 200, PATH_BYTES = 1 << 14 };

struct arguments {
    const char *model;
    const char *mutant;
    const char *path;
    double seconds; /* for each model; 0: no limit */
    uint64_t seed;
    uint64_t factor; /* so many times the random runs */
    int bound;       /* in place of each model's, if both are above 0 */
    bool lists_mutants;
    bool is_quick; /* models, no mutants */
    bool is_markdown;
};

static const char help[] = "  --model=NAME     this model only\n"
                           "  --mutant=NAME    weaken this site first, as --mutants prints it\n"
                           "  --mutants        list the mutants\n"
                           "  --no-mutants     models only\n"
                           "  --seed=N         of random runs; with --model, the one of a failure\n"
                           "  --factor=N       so many times the random runs\n"
                           "  --bound=N        at most N - 1 preemptions and old values, where a model has such a bound\n"
                           "  --seconds=N      give up a model's search after that long\n"
                           "  --path=DIGITS    do one run again, as a failure prints it\n"
                           "  --markdown       the table of mutants, for README.md\n";

static const char *value_of(const char *argument, const char *name)
{
    size_t len = strlen(name);
    return strncmp(argument, name, len) == 0 ? argument + len : NULL;
}

static bool parse_one(const char *argument, struct arguments *arguments)
{
    const char *value;
    if ((value = value_of(argument, "--model=")) != NULL)
        arguments->model = value;
    else if ((value = value_of(argument, "--mutant=")) != NULL)
        arguments->mutant = value;
    else if ((value = value_of(argument, "--path=")) != NULL)
        arguments->path = value;
    else if ((value = value_of(argument, "--seconds=")) != NULL)
        arguments->seconds = strtod(value, NULL);
    else if ((value = value_of(argument, "--seed=")) != NULL)
        arguments->seed = strtoull(value, NULL, 10);
    else if ((value = value_of(argument, "--factor=")) != NULL)
        arguments->factor = strtoull(value, NULL, 10);
    else if ((value = value_of(argument, "--bound=")) != NULL)
        arguments->bound = atoi(value);
    else if (strcmp(argument, "--mutants") == 0)
        arguments->lists_mutants = true;
    else if (strcmp(argument, "--no-mutants") == 0)
        arguments->is_quick = true;
    else if (strcmp(argument, "--markdown") == 0)
        arguments->is_markdown = true;
    else
        return false;
    return true;
}

static struct search_result search(const struct model *model, const struct arguments *arguments)
{
    struct model searched = *model;
    if (arguments->bound > 0 && model->bound > 0)
        searched.bound = arguments->bound;
    return search_model(&searched, arguments->seconds, arguments->seed, arguments->factor);
}

/* ---- models -------------------------------------------------------------------------------------------------------------------------- */

static bool is_wanted(const struct model *model, const struct arguments *arguments)
{
    return arguments->model == NULL || strcmp(model->name, arguments->model) == 0;
}

static unsigned count_threads(const struct model *model)
{
    unsigned count = 0;
    while (count < MODEL_THREADS_MAX && model->threads[count] != NULL)
        count++;
    return count;
}

static bool run_model(const struct model *model, const struct arguments *arguments)
{
    report_outcomes_reset();
    struct search_result result = search(model, arguments);
    bool is_short = model->bound == 0 && !result.is_complete && result.end == RUN_PASSED && arguments->seconds == 0;
    printf("%s %s: %u threads, %" PRIu64 " runs, %s, %.2f s\n", result.end == RUN_FAILED || is_short ? "FAIL" : "ok  ", model->name,
           count_threads(model), result.runs - result.pruned,
           result.is_complete ? (model->bound == 0 ? "all" : "all within the bound") : "a sample", result.seconds);
    if (result.end == RUN_FAILED)
        report_failure(model);
    report_outcomes();
    fflush(stdout);
    return result.end == RUN_PASSED && !is_short;
}

static int run_models(const struct model_suite *suite, const struct arguments *arguments, int *passed)
{
    int failed = 0;
    for (size_t i = 0; i < suite->model_count; i++) {
        if (!is_wanted(&suite->models[i], arguments))
            continue;
        bool is_ok = run_model(&suite->models[i], arguments);
        failed += !is_ok;
        *passed += is_ok;
    }
    return failed;
}

/* What must fail: a protocol with two steps swapped. */
static int run_broken(const struct model_suite *suite, const struct arguments *arguments, int *passed)
{
    int failed = 0;
    for (size_t i = 0; i < suite->broken_count; i++) {
        const struct model *model = &suite->broken[i];
        if (!is_wanted(model, arguments))
            continue;
        struct search_result result = search(model, arguments);
        bool is_found = result.end == RUN_FAILED;
        if (!arguments->is_markdown)
            printf("%s %s: %s\n", is_found ? "ok  " : "FAIL", model->name, is_found ? engine->failure : "must fail, and did not");
        if (arguments->model != NULL && is_found)
            report_failure(model);
        failed += !is_found;
        *passed += is_found;
    }
    return failed;
}

/* ---- mutants ------------------------------------------------------------------------------------------------------------------------- */

static const char *argument_for(const struct model_suite *suite, const char *name)
{
    for (const struct model_equivalent *each = suite->equivalent; each != NULL && each->site != NULL; each++)
        if (strcmp(each->site, name) == 0)
            return each->argument;
    return NULL;
}

static const struct model *killer_of(const struct model_suite *suite, const struct arguments *arguments)
{
    for (size_t i = 0; i < suite->model_count; i++) {
        const struct model *model = &suite->models[i];
        if (is_wanted(model, arguments) && search(model, arguments).end == RUN_FAILED)
            return model;
    }
    return NULL;
}

/* What kind of failure it was: addresses and lines are not for the README. */
static const char *failure_kind(void)
{
    static const char *const kinds[] = {"data race",   "use after free", "double free", "lost wake-up",
                                        "never freed", "too many steps", "MODEL_CHECK", "assertion"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strstr(engine->failure, kinds[i]) != NULL)
            return i == 6 ? "check" : kinds[i];
    return "failure";
}

static void print_mutant(const char *name, const struct model *killer, const char *argument, const struct arguments *arguments)
{
    if (arguments->is_markdown && killer != NULL)
        printf("| `%s` | %s: %s |\n", name, killer->name, failure_kind());
    else if (arguments->is_markdown)
        printf("| `%s` | equivalent: %s |\n", name, argument == NULL ? "?" : argument);
    else if (killer != NULL)
        printf("%s %s: killed by %s (%s)\n", argument == NULL ? "ok  " : "FAIL", name, killer->name,
               argument == NULL ? engine->failure : "but is listed as equivalent");
    else
        printf("%s %s: survives%s\n", argument == NULL ? "FAIL" : "ok  ", name, argument == NULL ? "" : ", as listed");
    fflush(stdout);
}

static int run_mutants(const struct model_suite *suite, const struct arguments *arguments, int *passed)
{
    struct mutant *mutants;
    int failed = 0;
    size_t count = sites_mutants(suite, &mutants);
    for (size_t i = 0; i < count; i++) {
        char name[NAME_BYTES];
        mutant_name(&mutants[i], name, sizeof(name));
        if (arguments->mutant != NULL && strcmp(arguments->mutant, name) != 0)
            continue;
        const char *argument = argument_for(suite, name);
        mutant_apply(&mutants[i]);
        const struct model *killer = killer_of(suite, arguments);
        mutant_undo(&mutants[i]);
        bool is_ok = (killer == NULL) == (argument != NULL);
        print_mutant(name, killer, argument, arguments);
        if (arguments->mutant != NULL && killer != NULL)
            report_failure(killer);
        failed += !is_ok;
        *passed += is_ok;
    }
    free(mutants);
    return failed;
}

static int list_mutants(const struct model_suite *suite)
{
    struct mutant *mutants;
    size_t count = sites_mutants(suite, &mutants);
    for (size_t i = 0; i < count; i++) {
        char name[NAME_BYTES];
        mutant_name(&mutants[i], name, sizeof(name));
        puts(name);
    }
    free(mutants);
    return 0;
}

/* An equivalent that no mutant has is a note nobody keeps true. */
static int check_equivalents(const struct model_suite *suite)
{
    struct mutant *mutants;
    int failed = 0;
    size_t count = sites_mutants(suite, &mutants);
    for (const struct model_equivalent *each = suite->equivalent; each != NULL && each->site != NULL; each++) {
        bool is_there = false;
        for (size_t i = 0; i < count && !is_there; i++) {
            char name[NAME_BYTES];
            mutant_name(&mutants[i], name, sizeof(name));
            is_there = strcmp(name, each->site) == 0;
        }
        if (!is_there)
            printf("FAIL %s: listed as equivalent, but there is no such mutant\n", each->site);
        failed += !is_there;
    }
    free(mutants);
    return failed;
}

/* ---- one run again ------------------------------------------------------------------------------------------------------------------- */

static int replay(const struct model_suite *suite, const struct arguments *arguments)
{
    unsigned char *path = model_kept(PATH_BYTES);
    size_t count = strspn(arguments->path, path_digits);
    for (size_t i = 0; i < count && i < PATH_BYTES; i++)
        path[i] = (unsigned char)(strchr(path_digits, arguments->path[i]) - path_digits);
    for (size_t i = 0; i < suite->model_count + suite->broken_count; i++) {
        const struct model *model = i < suite->model_count ? &suite->models[i] : &suite->broken[i - suite->model_count];
        if (arguments->model == NULL || strcmp(model->name, arguments->model) != 0)
            continue;
        engine->model = model;
        engine->mode = SEARCH_REPLAY;
        engine->replay = path;
        engine->replay_count = count;
        (void)run_once();
        report_failure(model);
        return engine->end == RUN_FAILED;
    }
    puts("which model?");
    return 2;
}

static void use_mutant(const struct model_suite *suite, const char *wanted)
{
    struct mutant *mutants;
    size_t count = sites_mutants(suite, &mutants);
    for (size_t i = 0; i < count; i++) {
        char name[NAME_BYTES];
        mutant_name(&mutants[i], name, sizeof(name));
        if (strcmp(name, wanted) == 0)
            mutant_apply(&mutants[i]);
    }
    free(mutants);
}

static const struct weft_memory memory_table = {
    .size = sizeof(memory_table),
    .malloc = model_malloc,
    .calloc = model_calloc,
    .realloc = model_realloc,
    .aligned_alloc = model_aligned_alloc,
    .free = model_free,
};

int model_main(const struct model_suite *suite, int argc, char **argv)
{
    struct arguments arguments = {.seed = 1, .factor = 1};
    for (int i = 1; i < argc; i++)
        if (!parse_one(argv[i], &arguments)) {
            fputs(help, stdout);
            return 2;
        }
    run_init();
    int passed = 0, failed = weft_memory_set(&memory_table) < 0;
    run_remember();
    if (arguments.lists_mutants)
        return list_mutants(suite);
    if (arguments.path != NULL) {
        if (arguments.mutant != NULL)
            use_mutant(suite, arguments.mutant);
        return replay(suite, &arguments);
    }
    if (arguments.mutant == NULL && !arguments.is_markdown) {
        failed += run_models(suite, &arguments, &passed);
        failed += run_broken(suite, &arguments, &passed);
    }
    if (!arguments.is_quick || arguments.mutant != NULL) {
        failed += run_mutants(suite, &arguments, &passed);
        failed += arguments.model == NULL ? check_equivalents(suite) : 0;
    }
    if (!arguments.is_markdown)
        printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
