/*
 * Measure: the site under load, and what came of it.
 */
#ifndef TOOLS_DEMO_MEASURE_H
#define TOOLS_DEMO_MEASURE_H

#include <stdint.h>

#include "tools/demo/figures.h"
#include "tools/demo/load.h"
#include "tools/demo/tasks.h"

struct options;
struct site;

struct measurement {
    struct load load;
    struct task_tree tasks; /* in the middle of the load */
    struct figures *loops;  /* what each did during the load; its open connections in the middle of it */
    uint32_t count;
    uint16_t port;
};

/*
 * Start to put load on `site` as `options` say.
 *
 * thread:  a fiber
 * memory:  measurement is freed with measurement_free(), also after a failure
 * returns: 0; -ENOMEM; as load_start()
 */
int measurement_begin(struct measurement *measurement, const struct options *options, const struct site *site);

/*
 * Wait until the load is over, looking at the tasks half-way.
 *
 * thread:  a fiber, once after measurement_begin() returned 0
 * returns: 0; -ECANCELED; -ENOMEM; as load_wait()
 */
int measurement_end(struct measurement *measurement, const struct site *site);

/* Requests of a second, as wrk counts them. thread: any */
double measurement_rate(const struct measurement *measurement);

/* Free what it holds. thread: any */
void measurement_free(struct measurement *measurement);

#endif
