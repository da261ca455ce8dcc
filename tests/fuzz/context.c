/*
 * Contexts: maps of variables that share what they have in common, against plain arrays. Every value is owned: it is released once, when
 * no context and no token of the oracle's holds it.
 */
#include "weft/context.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>

enum { VARS = 48, CONTEXTS = 6, VALUES = 512, TOKENS = 4 };

/* A value is a place in `holders`, which counts those of the oracle's arrays that name it. */
static int holders[VALUES], releases[VALUES];
static size_t value_count;

static struct weft_context_var vars[VARS];
static struct weft_context *contexts[CONTEXTS];
static int *values[CONTEXTS][VARS]; /* NULL: not set */

static void on_release(void *value)
{
    releases[(int *)value - holders]++;
}

static int *value_new(void)
{
    int *value = &holders[value_count++];
    *value = 0;
    releases[value - holders] = 0;
    return value;
}

static void hold(int **place, int *value)
{
    if (value != NULL)
        ++*value;
    if (*place != NULL)
        --**place;
    *place = value;
}

static void check_releases(void)
{
    for (size_t i = 0; i < value_count; i++)
        CHECK_EQ(releases[i], holders[i] == 0);
}

static void check_context(size_t which)
{
    size_t count = 0;
    for (size_t i = 0; i < VARS; i++) {
        int *expected = values[which][i];
        CHECK(weft_context_get(contexts[which], &vars[i], &vars[i]) == (expected == NULL ? (void *)&vars[i] : expected));
        CHECK_EQ(weft_context_contains(contexts[which], &vars[i]), expected != NULL);
        count += expected != NULL;
    }
    CHECK_EQ(weft_context_count(contexts[which]), count);
}

static void drop(size_t which)
{
    weft_context_unref(contexts[which]);
    contexts[which] = NULL;
    for (size_t i = 0; i < VARS; i++)
        hold(&values[which][i], NULL);
}

static void copy(size_t from, size_t to)
{
    struct weft_context *made = weft_context_copy(contexts[from]);
    int *kept[VARS] = {0};
    CHECK(made != NULL);
    for (size_t i = 0; i < VARS; i++)
        hold(&kept[i], values[from][i]);
    drop(to);
    contexts[to] = made;
    memcpy(values[to], kept, sizeof(kept));
}

/* What one run inside a context does: sets that leave tokens, used in any order or given up. */
struct visit {
    struct fuzz *fuzz;
    size_t which;
    struct weft_context_token tokens[TOKENS];
    bool is_used[TOKENS];
    size_t vars[TOKENS];
    int *before[TOKENS];
};

static void visit_set(struct visit *visit, size_t slot, size_t var)
{
    if (value_count == VALUES)
        return;
    int *value = value_new();
    weft_context_token_drop(&visit->tokens[slot]);
    hold(&visit->before[slot], values[visit->which][var]);
    hold(&values[visit->which][var], value);
    CHECK_EQ(weft_context_var_set(&vars[var], value, &visit->tokens[slot]), 0);
    CHECK(weft_context_var_get(&vars[var]) == value);
    visit->vars[slot] = var;
    visit->is_used[slot] = false;
}

static void visit_reset(struct visit *visit, size_t slot)
{
    size_t var = visit->vars[slot];
    int status = weft_context_var_reset(&visit->tokens[slot]);
    CHECK_EQ(status, visit->is_used[slot] ? -EALREADY : 0);
    if (status == 0) {
        hold(&values[visit->which][var], visit->before[slot]);
        hold(&visit->before[slot], NULL);
    }
    visit->is_used[slot] = true;
}

static int visit_run(void *arg)
{
    struct visit *visit = arg;
    CHECK(weft_context_current() == contexts[visit->which]);
    CHECK_EQ(weft_context_run(contexts[visit->which], visit_run, visit), -EBUSY);
    for (uint32_t steps = fuzz_below(visit->fuzz, 12); steps > 0; steps--) {
        size_t slot = fuzz_below(visit->fuzz, TOKENS);
        if (fuzz_below(visit->fuzz, 2) == 0)
            visit_set(visit, slot, fuzz_below(visit->fuzz, VARS));
        else
            visit_reset(visit, slot);
        check_context(visit->which);
        check_releases();
    }
    for (size_t slot = 0; slot < TOKENS; slot++) {
        weft_context_token_drop(&visit->tokens[slot]);
        hold(&visit->before[slot], NULL);
    }
    return 7;
}

static void act(struct fuzz *fuzz)
{
    uint32_t what = fuzz_below(fuzz, 5);
    size_t which = fuzz_below(fuzz, CONTEXTS);
    struct visit visit = {.fuzz = fuzz, .which = which, .is_used = {true, true, true, true}};
    if (contexts[which] == NULL)
        CHECK((contexts[which] = weft_context_empty()) != NULL);
    if (what <= 1 && value_count < VALUES) {
        size_t var = fuzz_below(fuzz, VARS);
        hold(&values[which][var], value_new());
        CHECK_EQ(weft_context_set(contexts[which], &vars[var], values[which][var]), 0);
    } else if (what == 2) {
        copy(which, fuzz_below(fuzz, CONTEXTS));
    } else if (what == 3) {
        CHECK_EQ(weft_context_run(contexts[which], visit_run, &visit), 7);
    } else {
        drop(which);
    }
    check_context(which);
    check_releases();
}

void fuzz_target(struct fuzz *fuzz)
{
    value_count = 0;
    for (size_t i = 0; i < VARS; i++)
        vars[i] = (struct weft_context_var)WEFT_CONTEXT_VAR_OWNED("any", NULL, on_release);
    while (fuzz_has_more(fuzz))
        act(fuzz);
    for (size_t i = 0; i < CONTEXTS; i++)
        drop(i);
    check_releases();
}
