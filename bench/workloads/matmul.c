/*
 * Matrix product: the matrices and the innermost loops. Called by both halves of the workload.
 *
 * All numbers are small and whole, so that every order of additions has the same, exact result.
 */
#include "bench/workloads/matmul.h"

#include <string.h>

static float a[MATMUL_MAX * MATMUL_MAX], b[MATMUL_MAX * MATMUL_MAX], c[MATMUL_MAX * MATMUL_MAX];

void matmul_prepare(int size)
{
    for (int i = 0; i < size * size; i++) {
        a[i] = (float)(i * 7 % 11 % 4);
        b[i] = (float)(i * 5 % 13 % 4);
    }
    memset(c, 0, sizeof(c));
}

struct matmul matmul_all(int size)
{
    return (struct matmul){a, b, c, size, size};
}

void matmul_block(const struct matmul *part)
{
    for (int row = 0; row < MATMUL_BLOCK; row++) {
        const float *from = part->a + row * part->stride;
        float *restrict to = part->c + row * part->stride;
        for (int inner = 0; inner < MATMUL_BLOCK; inner++) {
            const float *restrict other = part->b + inner * part->stride;
            float factor = from[inner];
            for (int column = 0; column < MATMUL_BLOCK; column++)
                to[column] += factor * other[column];
        }
    }
}

/* matrix × vector, exactly. */
static void apply(const float *matrix, const int64_t *vector, int64_t *product_out, int size)
{
    for (int row = 0; row < size; row++) {
        product_out[row] = 0;
        for (int column = 0; column < size; column++)
            product_out[row] += (int64_t)matrix[row * size + column] * vector[column];
    }
}

/* After Freivalds: c × v is a × (b × v) if c is a × b, and for a wrong row hardly ever. */
uint64_t matmul_check(int size)
{
    static int64_t vector[MATMUL_MAX], half_way[MATMUL_MAX], expected[MATMUL_MAX], actual[MATMUL_MAX];
    uint64_t wrong = 0;
    for (int i = 0; i < size; i++)
        vector[i] = i * 31 % 101 + 1;
    apply(b, vector, half_way, size);
    apply(a, half_way, expected, size);
    apply(c, vector, actual, size);
    for (int i = 0; i < size; i++)
        wrong += actual[i] != expected[i];
    return wrong;
}
