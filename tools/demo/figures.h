/*
 * Figures: what each loop did, as numbers that can be subtracted and shown.
 */
#ifndef TOOLS_DEMO_FIGURES_H
#define TOOLS_DEMO_FIGURES_H

#include <stdint.h>

#define FIGURE_BYTES 32

struct shard;

struct figures {
    uint64_t requests;
    uint64_t connections; /* open ones */
    uint64_t parks;       /* times the loop went to sleep */
    uint64_t wakes;       /* times another loop woke it */
    uint64_t passes;      /* futures that it completed for tasks of other loops */
    uint64_t steals;      /* tasks that were ready elsewhere, and that it ran */
    uint64_t stolen_jobs; /* forks of other loops that it ran */
};

/* Read them now. thread: any */
void figures_read(const struct shard *shard, struct figures *figures);

/* Take away what was there `before`; connections stay as they are. thread: any */
void figures_subtract(struct figures *figures, const struct figures *before);

/* Add those of another loop. thread: any */
void figures_add(struct figures *sum, const struct figures *figures);

/* Write `number` with a comma between thousands. thread: any; returns text, which has FIGURE_BYTES */
const char *figure_text(uint64_t number, char *text);

#endif
