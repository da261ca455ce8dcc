/*
 * Queens: a chess board with one queen in each of its first rows.
 */
#ifndef BENCH_WORKLOADS_QUEENS_H
#define BENCH_WORKLOADS_QUEENS_H

#include <stdbool.h>

enum { QUEENS_MAX = 16 };

struct queens {
    signed char column[QUEENS_MAX]; /* by row */
    int count;                      /* rows that have their queen */
    int size;
};

/* Whether a queen in the next row's `column` is attacked by none. */
static inline bool queens_are_safe(const struct queens *board, int column)
{
    for (int row = 0; row < board->count; row++) {
        int distance = board->count - row, across = board->column[row] - column;
        if (across == 0 || across == distance || across == -distance)
            return false;
    }
    return true;
}

#endif
