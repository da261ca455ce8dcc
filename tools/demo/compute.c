/*
 * Compute: many tiny jobs (fib), few large ones (a matrix product), and a tree whose shape nobody knows before. Called by speed.c and
 * computing.c.
 *
 * Each comes twice: as a C programmer writes it, and with WEFT_FORK() and WEFT_JOIN() where the calls were.
 */
#include "tools/demo/compute.h"

#include <string.h>

#include "weft/job.h"

/* ---- fib: nothing but calls ------------------------------------------------------------------------------------------------------- */

#define FIB_N 35

static uint64_t fib_serial(uint32_t n)
{
    return n < 2 ? n : fib_serial(n - 1) + fib_serial(n - 2);
}

WEFT_JOB(uint64_t, fib, uint32_t, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    uint64_t right = WEFT_CALL(fib, n - 2);
    uint64_t left = WEFT_JOIN(fib);
    return left + right;
}

static int fib_run_serial(uint64_t *result_out)
{
    *result_out = fib_serial(FIB_N);
    return 0;
}

static int fib_run_forked(uint64_t *result_out)
{
    return WEFT_RUN(fib, FIB_N, result_out);
}

/* ---- a matrix product: memory, and loops that the compiler knows -------------------------------------------------------------------- */

#define BLOCK_SIZE  32               /* of the product, computed without another fork */
#define MATRIX_SIZE (8 * BLOCK_SIZE) /* rows and columns: halved three times */

static double factors[2][MATRIX_SIZE][MATRIX_SIZE];
static double product[MATRIX_SIZE][MATRIX_SIZE];

/* A square of the product. */
struct block {
    uint32_t row, column, size;
};

static void factors_fill(void)
{
    for (uint32_t row = 0; row < MATRIX_SIZE; row++)
        for (uint32_t column = 0; column < MATRIX_SIZE; column++) {
            factors[0][row][column] = (row * 7 + column) % 16;
            factors[1][row][column] = (row + column * 5) % 16;
        }
}

static void block_multiply(const struct block *block)
{
    for (uint32_t row = block->row; row < block->row + BLOCK_SIZE; row++) {
        double sums[BLOCK_SIZE] = {0};
        for (uint32_t inner = 0; inner < MATRIX_SIZE; inner++)
            for (uint32_t i = 0; i < BLOCK_SIZE; i++)
                sums[i] += factors[0][row][inner] * factors[1][inner][block->column + i];
        memcpy(&product[row][block->column], sums, sizeof(sums));
    }
}

static struct block block_quarter(const struct block *block, uint32_t which)
{
    uint32_t half = block->size / 2;
    return (struct block){block->row + which / 2 * half, block->column + which % 2 * half, half};
}

static void multiply_serial(struct block block)
{
    if (block.size == BLOCK_SIZE) {
        block_multiply(&block);
        return;
    }
    for (uint32_t i = 0; i < 4; i++)
        multiply_serial(block_quarter(&block, i));
}

/* The value is how many blocks there were. */
WEFT_JOB(uint32_t, multiply, struct block, block)
{
    if (block.size == BLOCK_SIZE) {
        block_multiply(&block);
        return 1;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < 3; i++)
        WEFT_FORK(multiply, block_quarter(&block, i));
    count += WEFT_CALL(multiply, block_quarter(&block, 3));
    for (uint32_t i = 3; i-- > 0;)
        count += WEFT_JOIN(multiply);
    return count;
}

/* All numbers are whole and small, so their sum is exact in any order. */
static uint64_t product_sum(void)
{
    double sum = 0;
    for (uint32_t row = 0; row < MATRIX_SIZE; row++)
        for (uint32_t column = 0; column < MATRIX_SIZE; column++)
            sum += product[row][column] * (1 + (row ^ column) % 4);
    return (uint64_t)sum;
}

static const struct block whole = {0, 0, MATRIX_SIZE};

static int matrix_run_serial(uint64_t *result_out)
{
    factors_fill();
    multiply_serial(whole);
    *result_out = product_sum();
    return 0;
}

static int matrix_run_forked(uint64_t *result_out)
{
    uint32_t count;
    factors_fill();
    int status = WEFT_RUN(multiply, whole, &count);
    if (status == 0)
        *result_out = product_sum();
    return status;
}

/* ---- an unbalanced tree: after UTS, the Unbalanced Tree Search benchmark (Olivier et al., 2006) ------------------------------------- */

#define TREE_TOP    14  /* so many levels are full; below them most subtrees are tiny, and a few are huge */
#define TREE_ODDS   246 /* of 1,000 nodes below the top have TREE_WIDTH children, the others none */
#define TREE_WIDTH  4
#define TREE_ROUNDS 8 /* of the hash, for some work in each node */

struct node {
    uint64_t seed;
    uint32_t depth;
};

/* Vigna's splitmix64, some times over. */
static uint64_t hash(uint64_t seed)
{
    for (int round = 0; round < TREE_ROUNDS; round++) {
        seed += 0x9e3779b97f4a7c15u;
        seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
        seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebu;
        seed ^= seed >> 31;
    }
    return seed;
}

static uint32_t node_width(const struct node *node)
{
    if (node->depth < TREE_TOP)
        return 2;
    return node->seed % 1000 < TREE_ODDS ? TREE_WIDTH : 0;
}

static struct node node_child(const struct node *node, uint32_t which)
{
    return (struct node){hash(node->seed + which), node->depth + 1};
}

static uint64_t tree_serial(struct node node)
{
    uint64_t count = 1;
    for (uint32_t i = 0, width = node_width(&node); i < width; i++)
        count += tree_serial(node_child(&node, i));
    return count;
}

WEFT_JOB(uint64_t, tree, struct node, node)
{
    uint64_t count = 1;
    uint32_t width = node_width(&node);
    for (uint32_t i = 0; i < width; i++)
        WEFT_FORK(tree, node_child(&node, i));
    while (width-- > 0)
        count += WEFT_JOIN(tree);
    return count;
}

static const struct node root = {1, 0};

static int tree_run_serial(uint64_t *result_out)
{
    *result_out = tree_serial(root);
    return 0;
}

static int tree_run_forked(uint64_t *result_out)
{
    return WEFT_RUN(tree, root, result_out);
}

/* ------------------------------------------------------------------------------------------------------------------------------------- */

const struct computation computations[COMPUTATION_COUNT] = {
    {"fib", fib_run_serial, fib_run_forked},
    {"matrix", matrix_run_serial, matrix_run_forked},
    {"tree", tree_run_serial, tree_run_forked},
};
