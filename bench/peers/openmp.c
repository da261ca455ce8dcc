/*
 * OpenMP: the computations of fork_join as tasks. gcc's library if gcc has compiled this, LLVM's if clang has.
 */
#include <omp.h>
#include <stddef.h>

#include "bench/kit/compute.h"
#include "bench/workloads/matmul.h"
#include "bench/workloads/parallel_for.h"
#include "bench/workloads/queens.h"
#include "bench/workloads/uts.h"

/* A macro's value in quotes. */
#define TEXT_OF(value) #value
#define TEXT(value)    TEXT_OF(value)

enum { CHILDREN = 10, QUEENS = QUEENS_MAX };

static long fib(int n)
{
    long left, right;
    if (n < 2)
        return n;
#pragma omp task shared(left)
    left = fib(n - 1);
    right = fib(n - 2);
#pragma omp taskwait
    return left + right;
}

static uint64_t place(const struct queens *board)
{
    uint64_t ways[QUEENS] = {0}, sum = 0;
    if (board->count == board->size)
        return 1;
    for (int column = 0; column < board->size; column++)
        if (queens_are_safe(board, column)) {
            struct queens next = *board;
            next.column[next.count++] = (signed char)column;
#pragma omp task shared(ways) firstprivate(next, column)
            ways[column] = place(&next);
        }
#pragma omp taskwait
    for (int column = 0; column < board->size; column++)
        sum += ways[column];
    return sum;
}

static uint64_t add_up(uint64_t first, int leaves)
{
    uint64_t sums[CHILDREN], sum = 0;
    if (leaves == 1)
        return first;
    for (int i = 0; i < CHILDREN; i++)
#pragma omp task shared(sums) firstprivate(i)
        sums[i] = add_up(first + (uint64_t)i * (uint64_t)(leaves / CHILDREN), leaves / CHILDREN);
#pragma omp taskwait
    for (int i = 0; i < CHILDREN; i++)
        sum += sums[i];
    return sum;
}

/* Nodes have up to two thousand children: the sum is one word for all. */
static uint64_t walk(const struct uts_tree *tree, const struct uts_node *node)
{
    uint64_t nodes = 1;
    int count = uts_count(tree, node);
    for (int i = 0; i < count; i++) {
        struct uts_node child = uts_child(node, i);
#pragma omp task shared(nodes, tree) firstprivate(child)
        {
            uint64_t below = walk(tree, &child);
#pragma omp atomic
            nodes += below;
        }
    }
#pragma omp taskwait
    return nodes;
}

static uint64_t walk_all(struct uts_tree tree)
{
    struct uts_node root = uts_root(&tree);
    return walk(&tree, &root);
}

static void multiply(struct matmul part)
{
    if (part.size == MATMUL_BLOCK) {
        matmul_block(&part);
        return;
    }
    for (int inner = 0; inner < 2; inner++) {
        for (int i = 0; i < 4; i++)
#pragma omp task firstprivate(part, i, inner)
            multiply(matmul_quarter(&part, i / 2, i % 2, inner));
#pragma omp taskwait
    }
}

static int fib_run(int size, uint64_t *result_out)
{
    *result_out = (uint64_t)fib(size);
    return 0;
}

static int queens_run(int size, uint64_t *result_out)
{
    struct queens board = {.size = size};
    *result_out = place(&board);
    return 0;
}

static int skynet_run(int size, uint64_t *result_out)
{
    *result_out = add_up(0, size);
    return 0;
}

static int uts_geometric_run(int size, uint64_t *result_out)
{
    *result_out = walk_all(uts_geometric(size));
    return 0;
}

static int uts_binomial_run(int size, uint64_t *result_out)
{
    *result_out = walk_all(uts_binomial(size));
    return 0;
}

static int matmul_run(int size, uint64_t *result_out)
{
    multiply(matmul_all(size));
    *result_out = 0;
    return 0;
}

static int parallel_for_run(int size, uint64_t *result_out)
{
    uint64_t sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < size; i++)
        sum += parallel_for_value((uint64_t)i);
    *result_out = sum;
    return 0;
}

/* A parallel loop makes its own team. */
static void within_a_team(struct kit *kit, void (*body)(struct kit *kit))
{
    const struct computation *computation = kit->arg;
    omp_set_num_threads((int)kit->loops);
    if (computation->workload == &parallel_for_workload) {
        body(kit);
        return;
    }
#pragma omp parallel
#pragma omp single
    body(kit);
}

int main(int argc, char **argv)
{
    static const struct computation computations[] = {
        {&fib_workload, fib_run},
        {&queens_workload, queens_run},
        {&skynet_workload, skynet_run},
        {&uts_geometric_workload, uts_geometric_run},
        {&uts_binomial_workload, uts_binomial_run},
        {&matmul_workload, matmul_run},
        {&parallel_for_workload, parallel_for_run},
        {NULL, NULL},
    };
#if defined(__clang__)
    const char *who = "OpenMP (clang " TEXT(__clang_major__) "." TEXT(__clang_minor__) ")";
#else
    const char *who = "OpenMP (gcc " __VERSION__ ")";
#endif
    return compute_main(argc, argv, who, computations, within_a_team);
}
