/*
 * Results: all that the demo found out, for the table and the JSON line.
 */
#ifndef TOOLS_DEMO_RESULTS_H
#define TOOLS_DEMO_RESULTS_H

#include "tools/demo/compute.h"
#include "tools/demo/computing.h"
#include "tools/demo/measure.h"
#include "tools/demo/speed.h"

struct results {
    struct measurement serving;   /* the loops serve, and nothing else */
    struct measurement computing; /* they compute, too */
    struct computing work;        /* what they computed then */
    struct speed speeds[COMPUTATION_COUNT];
};

#endif
