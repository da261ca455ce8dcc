/*
 * How many nodes has an unbalanced tree? By walking it.
 */
#include "bench/workloads/serial.h"
#include "bench/workloads/uts.h"

static uint64_t walk(const struct uts_tree *tree, const struct uts_node *node)
{
    uint64_t nodes = 1;
    int count = uts_count(tree, node);
    for (int i = 0; i < count; i++) {
        struct uts_node child = uts_child(node, i);
        nodes += walk(tree, &child);
    }
    return nodes;
}

static uint64_t walk_all(struct uts_tree tree)
{
    struct uts_node root = uts_root(&tree);
    return walk(&tree, &root);
}

uint64_t uts_geometric_serial(int size)
{
    return walk_all(uts_geometric(size));
}

uint64_t uts_binomial_serial(int size)
{
    return walk_all(uts_binomial(size));
}
