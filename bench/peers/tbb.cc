/*
 * oneTBB: the computations of fork_join by parallel_invoke, task_group and parallel_reduce.
 */
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_invoke.h>
#include <tbb/parallel_reduce.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <tbb/version.h>

#include <atomic>
#include <functional>

#include "bench/kit/compute.h"

extern "C" {
#include "bench/workloads/matmul.h"
#include "bench/workloads/parallel_for.h"
#include "bench/workloads/queens.h"
#include "bench/workloads/uts.h"
}

namespace
{

constexpr int CHILDREN = 10;

long fib(int n)
{
    if (n < 2)
        return n;
    long left, right;
    tbb::parallel_invoke([&] { left = fib(n - 1); }, [&] { right = fib(n - 2); });
    return left + right;
}

uint64_t place(const queens &board)
{
    if (board.count == board.size)
        return 1;
    uint64_t ways[QUEENS_MAX] = {0}, sum = 0;
    tbb::task_group group;
    for (int column = 0; column < board.size; column++)
        if (queens_are_safe(&board, column))
            group.run([&ways, &board, column] {
                queens next = board;
                next.column[next.count++] = static_cast<signed char>(column);
                ways[column] = place(next);
            });
    group.wait();
    for (int column = 0; column < board.size; column++)
        sum += ways[column];
    return sum;
}

uint64_t add_up(uint64_t first, int leaves)
{
    if (leaves == 1)
        return first;
    uint64_t sums[CHILDREN], sum = 0;
    tbb::task_group group;
    for (int i = 0; i < CHILDREN; i++)
        group.run([&sums, first, leaves, i] { sums[i] = add_up(first + uint64_t(i) * uint64_t(leaves / CHILDREN), leaves / CHILDREN); });
    group.wait();
    for (uint64_t part : sums)
        sum += part;
    return sum;
}

uint64_t walk(const uts_tree &tree, const uts_node &node)
{
    int count = uts_count(&tree, &node);
    if (count == 0)
        return 1;
    std::atomic<uint64_t> nodes{1};
    tbb::task_group group;
    for (int i = 0; i < count; i++)
        group.run([&, i] {
            uts_node child = uts_child(&node, i);
            nodes.fetch_add(walk(tree, child), std::memory_order_relaxed);
        });
    group.wait();
    return nodes.load(std::memory_order_relaxed);
}

uint64_t walk_all(const uts_tree &tree)
{
    uts_node root = uts_root(&tree);
    return walk(tree, root);
}

void multiply(const matmul &part)
{
    if (part.size == MATMUL_BLOCK) {
        matmul_block(&part);
        return;
    }
    for (int inner = 0; inner < 2; inner++)
        tbb::parallel_invoke([&] { multiply(matmul_quarter(&part, 0, 0, inner)); }, [&] { multiply(matmul_quarter(&part, 0, 1, inner)); },
                             [&] { multiply(matmul_quarter(&part, 1, 0, inner)); }, [&] { multiply(matmul_quarter(&part, 1, 1, inner)); });
}

int fib_run(int size, uint64_t *result_out)
{
    *result_out = uint64_t(fib(size));
    return 0;
}

int queens_run(int size, uint64_t *result_out)
{
    queens board = {};
    board.size = size;
    *result_out = place(board);
    return 0;
}

int skynet_run(int size, uint64_t *result_out)
{
    *result_out = add_up(0, size);
    return 0;
}

int uts_geometric_run(int size, uint64_t *result_out)
{
    *result_out = walk_all(uts_geometric(size));
    return 0;
}

int uts_binomial_run(int size, uint64_t *result_out)
{
    *result_out = walk_all(uts_binomial(size));
    return 0;
}

int matmul_run(int size, uint64_t *result_out)
{
    multiply(matmul_all(size));
    *result_out = 0;
    return 0;
}

int parallel_for_run(int size, uint64_t *result_out)
{
    using range_of = tbb::blocked_range<uint32_t>;
    auto add_up_to = [](const range_of &part, uint64_t sum) { return sum + parallel_for_sum(range{part.begin(), uint32_t(part.size())}); };
    *result_out = tbb::parallel_reduce(range_of(0, uint32_t(size)), uint64_t(0), add_up_to, std::plus<uint64_t>());
    return 0;
}

void within_an_arena(kit *kit, void (*body)(struct kit *kit))
{
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, kit->loops);
    tbb::task_arena arena(static_cast<int>(kit->loops));
    arena.execute([&] { body(kit); });
}

} // namespace

int main(int argc, char **argv)
{
    static const computation computations[] = {
        {&fib_workload, fib_run},
        {&queens_workload, queens_run},
        {&skynet_workload, skynet_run},
        {&uts_geometric_workload, uts_geometric_run},
        {&uts_binomial_workload, uts_binomial_run},
        {&matmul_workload, matmul_run},
        {&parallel_for_workload, parallel_for_run},
        {nullptr, nullptr},
    };
    return compute_main(argc, argv, "oneTBB " TBB_VERSION_STRING, computations, within_an_arena);
}
