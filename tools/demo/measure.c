/*
 * Measure: counters before, wrk, a picture of the tasks in the middle, counters after. Called by main.c, in the main fiber.
 */
#include "tools/demo/measure.h"

#include <errno.h>

#include "tools/demo/options.h"
#include "tools/demo/site.h"
#include "weft/fiber.h"
#include "weft/memory.h"

#define THREADS_MAX    4
#define HALF_SECOND_NS 500000000ll

/* A thread of wrk keeps more than one loop busy. Each gets as many connections as the others, so their number divides that of these. */
static uint32_t threads_for(uint32_t loops, uint32_t connections)
{
    uint32_t threads = (loops + 1) / 2 < THREADS_MAX ? (loops + 1) / 2 : THREADS_MAX;
    while (connections % threads != 0)
        threads--;
    return threads;
}

static void figures_begin(struct measurement *measurement, const struct site *site)
{
    for (uint32_t i = 0; i < site->count; i++)
        figures_read(&site->shards[i], &measurement->loops[i]);
}

static void connections_note(struct measurement *measurement, const struct site *site)
{
    for (uint32_t i = 0; i < site->count; i++)
        measurement->loops[i].connections = weft_atomic_load_relaxed(&site->shards[i].connections);
}

static void figures_end(struct measurement *measurement, const struct site *site)
{
    for (uint32_t i = 0; i < site->count; i++) {
        struct figures before = measurement->loops[i];
        figures_read(&site->shards[i], &measurement->loops[i]);
        figures_subtract(&measurement->loops[i], &before);
        measurement->loops[i].connections = before.connections;
    }
}

/* Look at the site half-way through the load. */
static int measure_middle(struct measurement *measurement, const struct site *site)
{
    int status = weft_sleep(measurement->load.seconds * HALF_SECOND_NS);
    if (status < 0)
        return status;
    connections_note(measurement, site);
    return task_tree_take(&measurement->tasks, site);
}

int measurement_begin(struct measurement *measurement, const struct options *options, const struct site *site)
{
    *measurement = (struct measurement){.count = site->count, .port = site->port};
    struct load *load = &measurement->load;
    load->port = site->port;
    load->seconds = options->seconds;
    load->connections = options->connections;
    load->threads = threads_for(site->count, options->connections);
    measurement->loops = weft_calloc(site->count, sizeof(*measurement->loops));
    if (measurement->loops == NULL)
        return -ENOMEM;
    figures_begin(measurement, site);
    return load_start(load);
}

int measurement_end(struct measurement *measurement, const struct site *site)
{
    int status = measure_middle(measurement, site);
    if (status < 0)
        load_stop(&measurement->load);
    int waited = load_wait(&measurement->load);
    figures_end(measurement, site);
    return status < 0 ? status : waited;
}

double measurement_rate(const struct measurement *measurement)
{
    const struct load *load = &measurement->load;
    return load->duration_us > 0 ? (double)load->requests * 1e6 / (double)load->duration_us : 0;
}

void measurement_free(struct measurement *measurement)
{
    task_tree_free(&measurement->tasks);
    weft_free(measurement->loops);
    *measurement = (struct measurement){0};
}
