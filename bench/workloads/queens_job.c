/*
 * In how many ways do n queens leave each other alone? A job for each queen that can be placed, with a board of its own.
 */
#include "bench/workloads/job.h"
#include "bench/workloads/queens.h"
#include "weft/job.h"

WEFT_JOB(uint64_t, place, struct queens, board)
{
    uint64_t ways = 0;
    int forks = 0;
    if (board.count == board.size)
        return 1;
    for (int column = 0; column < board.size; column++)
        if (queens_are_safe(&board, column)) {
            struct queens next = board;
            next.column[next.count++] = (signed char)column;
            WEFT_FORK(place, next);
            forks++;
        }
    for (; forks > 0; forks--)
        ways += WEFT_JOIN(place);
    return ways;
}

int queens_job_run(int size, uint64_t *result_out)
{
    struct queens board = {.size = size};
    return WEFT_RUN(place, board, result_out);
}
