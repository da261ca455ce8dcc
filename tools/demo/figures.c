/*
 * Figures: a loop's own counters (weft_loop_get_counters) and its shard's, read together. Called by the pages and by the measurement.
 */
#include "tools/demo/figures.h"

#include <stdio.h>
#include <string.h>

#include "tools/demo/site.h"
#include "weft/loop.h"

void figures_read(const struct shard *shard, struct figures *figures)
{
    struct weft_loop_counters counters = {0};
    weft_loop_get_counters(shard->loop, &counters);
    *figures = (struct figures){
        .requests = weft_atomic_load_relaxed(&shard->requests),
        .connections = weft_atomic_load_relaxed(&shard->connections),
        .passes = weft_atomic_load_relaxed(&shard->passes),
        .parks = counters.parks,
        .wakes = counters.wakes,
        .steals = counters.steals,
        .stolen_jobs = counters.stolen_jobs,
    };
}

void figures_subtract(struct figures *figures, const struct figures *before)
{
    figures->requests -= before->requests;
    figures->parks -= before->parks;
    figures->wakes -= before->wakes;
    figures->passes -= before->passes;
    figures->steals -= before->steals;
    figures->stolen_jobs -= before->stolen_jobs;
}

void figures_add(struct figures *sum, const struct figures *figures)
{
    sum->requests += figures->requests;
    sum->connections += figures->connections;
    sum->parks += figures->parks;
    sum->wakes += figures->wakes;
    sum->passes += figures->passes;
    sum->steals += figures->steals;
    sum->stolen_jobs += figures->stolen_jobs;
}

const char *figure_text(uint64_t number, char *text)
{
    char digits[FIGURE_BYTES];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    char *end = text;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *end++ = ',';
        *end++ = digits[i];
    }
    *end = '\0';
    return text;
}
