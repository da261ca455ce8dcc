/*
 * The product of two matrices, by quarters.
 */
#include "bench/workloads/matmul.h"
#include "bench/workloads/serial.h"

static void multiply(struct matmul part)
{
    if (part.size == MATMUL_BLOCK) {
        matmul_block(&part);
        return;
    }
    for (int inner = 0; inner < 2; inner++)
        for (int i = 0; i < 4; i++)
            multiply(matmul_quarter(&part, i / 2, i % 2, inner));
}

uint64_t matmul_serial(int size)
{
    multiply(matmul_all(size));
    return 0;
}
