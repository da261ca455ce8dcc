/*
 * Report: figures of several contestants over several rounds, and a line for each.
 *
 *     <name>.<contestant> <median> min <minimum> ratio <median of the ratios to the first contestant of the same round>
 *
 * Rounds are interleaved: each contestant has its turn in each of them, so that the machine's mood is everybody's.
 */
#ifndef BENCH_SERVERS_REPORT_H
#define BENCH_SERVERS_REPORT_H

#include <stddef.h>

enum { REPORT_ROUNDS_MAX = 64, REPORT_CONTESTANTS_MAX = 8 };

struct report {
    const char *name;
    size_t rounds;
    size_t contestants;
    const char *contestant[REPORT_CONTESTANTS_MAX];
    double value[REPORT_CONTESTANTS_MAX][REPORT_ROUNDS_MAX];
};

/* Print the lines of `report`. */
void report_print(const struct report *report);

#endif
