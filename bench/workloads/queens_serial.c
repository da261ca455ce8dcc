/*
 * In how many ways do n queens leave each other alone? By trying, on one board.
 */
#include "bench/workloads/queens.h"
#include "bench/workloads/serial.h"

static uint64_t place(struct queens *board)
{
    uint64_t ways = 0;
    if (board->count == board->size)
        return 1;
    for (int column = 0; column < board->size; column++)
        if (queens_are_safe(board, column)) {
            board->column[board->count++] = (signed char)column;
            ways += place(board);
            board->count--;
        }
    return ways;
}

uint64_t queens_serial(int size)
{
    struct queens board = {.size = size};
    return place(&board);
}
