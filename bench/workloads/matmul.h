/*
 * Matrix product: the matrices, and the product of blocks that are small enough to be multiplied as they are.
 */
#ifndef BENCH_WORKLOADS_MATMUL_H
#define BENCH_WORKLOADS_MATMUL_H

#include <stdint.h>

enum { MATMUL_BLOCK = 32, MATMUL_MAX = 1024 };

/* c += a × b, for square parts of `size` (a power of two) in matrices of `stride` columns. */
struct matmul {
    const float *a;
    const float *b;
    float *c;
    int size;
    int stride;
};

/* Fill a and b, which are always the same for one size, and empty c. Once before each product, in one thread at a time. */
void matmul_prepare(int size);

/* The whole product that was prepared. */
struct matmul matmul_all(int size);

/* One of the eight products of quarters: c's (row, column) += a's (row, inner) × b's (inner, column). */
static inline struct matmul matmul_quarter(const struct matmul *all, int row, int column, int inner)
{
    int half = all->size / 2, stride = all->stride;
    return (struct matmul){
        .a = all->a + row * half * stride + inner * half,
        .b = all->b + inner * half * stride + column * half,
        .c = all->c + row * half * stride + column * half,
        .size = half,
        .stride = stride,
    };
}

/* The product of parts of MATMUL_BLOCK. */
void matmul_block(const struct matmul *part);

/* How many rows of c are wrong. */
uint64_t matmul_check(int size);

#endif
