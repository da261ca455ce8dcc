/*
 * Sites: every atomic operation of the program, from the section that atomic_model.h puts them in, and what can be weakened.
 *
 * An inline function of a header has a copy of its sites in each file that uses it; they are one to everybody outside.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/engine.h"

extern struct model_site __start_model_sites[], __stop_model_sites[];

static const char *const kind_names[] = {"load", "store", "exchange", "add", "sub", "or", "and", "cas", "fence"};
static const char *const order_names[] = {"relaxed", "acquire", "release", "acq_rel", "seq_cst"};

const char *order_name(enum model_order order)
{
    return order_names[order];
}

static bool is_same(const struct model_site *one, const struct model_site *other)
{
    return one->line == other->line && one->kind == other->kind && one->declared == other->declared &&
           strcmp(one->file, other->file) == 0 && strcmp(one->function, other->function) == 0;
}

/* Among the sites of one function that do the same: which one, from 1. 0 if it is the only one. */
static int ordinal(const struct model_site *site)
{
    int before = 0, others = 0;
    for (const struct model_site *other = __start_model_sites; other < __stop_model_sites; other++) {
        bool is_like = other->kind == site->kind && other->declared == site->declared && other->line != site->line &&
                       strcmp(other->file, site->file) == 0 && strcmp(other->function, site->function) == 0;
        bool is_copy = false;
        for (const struct model_site *earlier = __start_model_sites; is_like && earlier < other && !is_copy; earlier++)
            is_copy = is_same(earlier, other);
        others += is_like && !is_copy;
        before += is_like && !is_copy && other->line < site->line;
    }
    return others == 0 ? 0 : before + 1;
}

static const char *short_file(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash == NULL ? file : slash + 1;
}

void site_name(const struct model_site *site, char *name, size_t bytes)
{
    int number = ordinal(site);
    int used =
        snprintf(name, bytes, "%s:%s:%s_%s", short_file(site->file), site->function, kind_names[site->kind], order_names[site->declared]);
    if (number > 0 && used > 0 && (size_t)used < bytes)
        (void)snprintf(name + used, bytes - (size_t)used, "#%d", number);
}

bool site_is_hit(const struct model_site *site)
{
    for (const struct model_site *each = __start_model_sites; each < __stop_model_sites; each++)
        if (is_same(each, site) && each->hits > 0)
            return true;
    return false;
}

/* ---- mutants ------------------------------------------------------------------------------------------------------------------------- */

void mutant_name(const struct mutant *mutant, char *name, size_t bytes)
{
    site_name(mutant->site, name, bytes);
    size_t used = strlen(name);
    const char *what = mutant->kind == MUTANT_LATE         ? "late"
                       : mutant->kind == MUTANT_FAILURE    ? "failure_relaxed"
                       : mutant->site->kind == MODEL_FENCE ? "none"
                                                           : order_names[mutant->order];
    (void)snprintf(name + used, bytes - used, ">%s", what);
}

void mutant_apply(const struct mutant *mutant)
{
    for (struct model_site *site = __start_model_sites; site < __stop_model_sites; site++) {
        if (!is_same(site, mutant->site))
            continue;
        if (mutant->kind == MUTANT_ORDER)
            site->order = mutant->order;
        if (mutant->kind == MUTANT_ORDER && site->kind == MODEL_CAS && (mutant->order == MODEL_RELEASE || mutant->order == MODEL_RELAXED))
            site->failure = MODEL_RELAXED;
        if (mutant->kind == MUTANT_ORDER && site->kind == MODEL_CAS && site->failure == MODEL_SEQ_CST)
            site->failure = MODEL_ACQUIRE;
        if (mutant->kind == MUTANT_FAILURE)
            site->failure = MODEL_RELAXED;
        if (mutant->kind == MUTANT_LATE)
            site->is_late = true;
    }
}

void mutant_undo(const struct mutant *mutant)
{
    for (struct model_site *site = __start_model_sites; site < __stop_model_sites; site++)
        if (is_same(site, mutant->site)) {
            site->order = site->declared;
            site->is_late = false;
            site->failure = site->declared == MODEL_SEQ_CST   ? MODEL_SEQ_CST
                            : site->declared == MODEL_ACQ_REL ? MODEL_ACQUIRE
                                                              : MODEL_RELAXED;
        }
}

static void add(struct mutant *mutants, size_t *count, struct mutant mutant)
{
    if (mutants != NULL)
        mutants[*count] = mutant;
    ++*count;
}

/* One step weaker: both halves of acq_rel apart, seq_cst without its total order. */
static void add_orders(struct mutant *mutants, size_t *count, struct model_site *site)
{
    struct mutant mutant = {.site = site, .kind = MUTANT_ORDER};
    switch (site->declared) {
    case MODEL_RELAXED:
        return;
    case MODEL_ACQUIRE:
    case MODEL_RELEASE:
        mutant.order = MODEL_RELAXED;
        break;
    case MODEL_ACQ_REL:
        mutant.order = MODEL_ACQUIRE;
        add(mutants, count, mutant);
        mutant.order = MODEL_RELEASE;
        break;
    case MODEL_SEQ_CST:
        mutant.order = site->kind == MODEL_LOAD    ? MODEL_ACQUIRE
                       : site->kind == MODEL_STORE ? MODEL_RELEASE
                       : site->kind == MODEL_FENCE ? MODEL_RELAXED
                                                   : MODEL_ACQ_REL;
        break;
    }
    add(mutants, count, mutant);
}

static size_t add_site(struct mutant *mutants, size_t count, struct model_site *site)
{
    add_orders(mutants, &count, site);
    if (site->kind == MODEL_CAS && site->declared >= MODEL_ACQ_REL)
        add(mutants, &count, (struct mutant){.site = site, .kind = MUTANT_FAILURE});
    if (site->kind == MODEL_STORE && site->declared != MODEL_RELAXED)
        add(mutants, &count, (struct mutant){.site = site, .kind = MUTANT_LATE});
    return count;
}

/* "lib/lockfree/inbox" is a prefix of paths; "inbox.h:inbox_push" a function. */
static bool owns(const struct model_suite *suite, const struct model_site *site)
{
    char function[256];
    const char *file = strncmp(site->file, "./", 2) == 0 ? site->file + 2 : site->file;
    (void)snprintf(function, sizeof(function), "%s:%s", short_file(site->file), site->function);
    for (unsigned i = 0; i < MODEL_OWNS_MAX && suite->owns[i] != NULL; i++)
        if (strcmp(suite->owns[i], function) == 0 || strncmp(file, suite->owns[i], strlen(suite->owns[i])) == 0)
            return true;
    return false;
}

static int by_place(const void *one, const void *other)
{
    const struct model_site *left = *(struct model_site *const *)one, *right = *(struct model_site *const *)other;
    int files = strcmp(left->file, right->file);
    return files != 0 ? files : left->line - right->line;
}

static struct model_site **owned_sites(const struct model_suite *suite, size_t *count_out)
{
    struct model_site **sites = calloc((size_t)(__stop_model_sites - __start_model_sites) + 1, sizeof(struct model_site *));
    size_t count = 0;
    for (struct model_site *site = __start_model_sites; sites != NULL && site < __stop_model_sites; site++) {
        bool is_copy = false;
        for (size_t i = 0; i < count && !is_copy; i++)
            is_copy = is_same(sites[i], site);
        if (!is_copy && owns(suite, site))
            sites[count++] = site;
    }
    if (sites != NULL)
        qsort(sites, count, sizeof(struct model_site *), by_place);
    *count_out = count;
    return sites;
}

size_t sites_mutants(const struct model_suite *suite, struct mutant **mutants_out)
{
    size_t site_count, count = 0;
    struct model_site **sites = owned_sites(suite, &site_count);
    *mutants_out = calloc(site_count * 4 + 1, sizeof(struct mutant));
    for (size_t i = 0; *mutants_out != NULL && i < site_count; i++)
        count = add_site(*mutants_out, count, sites[i]);
    free(sites);
    return count;
}
