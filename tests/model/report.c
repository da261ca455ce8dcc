/*
 * Report: what a failed run looked like, a column for each thread, and what runs ended with.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/engine.h"

enum { OUTCOMES_MAX = 1024, OUTCOME_BYTES = 96, PATH_MAX_BYTES = 1 << 14 };

struct outcomes {
    char text[OUTCOMES_MAX][OUTCOME_BYTES];
    uint64_t seen[OUTCOMES_MAX];
    size_t count;
};

static struct outcomes *outcomes(void)
{
    return engine->outcomes;
}

void model_outcome(const char *format, ...)
{
    struct outcomes *all = outcomes();
    char text[OUTCOME_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->text[i], text) == 0) {
            all->seen[i]++;
            return;
        }
    if (all->count == OUTCOMES_MAX)
        model_fail("too many outcomes");
    memcpy(all->text[all->count], text, sizeof(text));
    all->seen[all->count++] = 1;
}

void report_init(void)
{
    engine->outcomes = calloc(1, sizeof(struct outcomes));
    if (engine->outcomes == NULL)
        abort();
}

void report_outcomes_reset(void)
{
    outcomes()->count = 0;
}

size_t report_outcome_count(void)
{
    return outcomes()->count;
}

bool report_has_outcome(const char *text)
{
    for (size_t i = 0; i < outcomes()->count; i++)
        if (strcmp(outcomes()->text[i], text) == 0)
            return true;
    return false;
}

void report_outcomes(void)
{
    for (size_t i = 0; i < outcomes()->count; i++)
        printf("    %10" PRIu64 " × %s\n", outcomes()->seen[i], outcomes()->text[i]);
}

/* ---- a failed run -------------------------------------------------------------------------------------------------------------------- */

/* Small numbers for words, in the order in which they were met: addresses say nothing to a reader. */
static unsigned word_number(uintptr_t address)
{
    static uintptr_t words[256];
    static unsigned count;
    for (unsigned i = 0; i < count; i++)
        if (words[i] == address)
            return i;
    if (count < 256)
        words[count++] = address;
    return count - 1;
}

static void print_event(const struct event *event, uint32_t index)
{
    char name[160];
    if (event->site != NULL)
        site_name(event->site, name, sizeof(name));
    else
        (void)snprintf(name, sizeof(name), "%s", event->what);
    printf("  %4u  %*s[%u] %-50s", index, (event->thread - 1) * 2, "", event->thread, name);
    if (event->operation.address != 0)
        printf(" w%u", word_number(event->operation.address));
    if (event->operation.address != 0 && event->operation.is_write)
        printf(" %#" PRIx64 " -> %#" PRIx64, event->before, event->value);
    else if (event->operation.address != 0)
        printf(" = %#" PRIx64, event->before);
    if (event->old_by > 0)
        printf("  (%u newer)", event->old_by);
    printf("\n");
}

const char path_digits[VALUES_MAX + 1] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static void print_path(void)
{
    static unsigned char path[PATH_MAX_BYTES];
    size_t count = search_path(path, sizeof(path));
    for (size_t i = 0; i < count; i++)
        putchar(path_digits[path[i]]);
}

void report_failure(const struct model *model)
{
    printf("FAILED %s: %s\n", model->name, engine->failure);
    if (engine->mode == SEARCH_RANDOM)
        printf("  replay: --model=%s --seed=%" PRIu64 "\n", model->name, engine->run_seed);
    printf("  replay: --model=%s --path=", model->name);
    print_path();
    printf("\n  what was done, one column for each thread:\n");
    for (uint32_t i = 0; i < engine->event_count; i++)
        print_event(&engine->events[i], i);
}
