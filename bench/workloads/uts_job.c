/*
 * How many nodes has an unbalanced tree? A job for each node. The binomial one is some 1,500 levels deep, and its root has 2,000 jobs
 * open at once.
 */
#include "bench/workloads/job.h"
#include "bench/workloads/uts.h"
#include "weft/job.h"

struct subtree {
    const struct uts_tree *tree;
    struct uts_node node;
};

static inline struct subtree child_of(const struct subtree *parent, int index)
{
    return (struct subtree){parent->tree, uts_child(&parent->node, index)};
}

WEFT_JOB(uint64_t, walk, struct subtree, subtree)
{
    uint64_t nodes = 1;
    int count = uts_count(subtree.tree, &subtree.node);
    if (count == 0)
        return nodes;
    for (int i = 0; i < count - 1; i++)
        WEFT_FORK(walk, child_of(&subtree, i));
    nodes += WEFT_CALL(walk, child_of(&subtree, count - 1));
    for (int i = 0; i < count - 1; i++)
        nodes += WEFT_JOIN(walk);
    return nodes;
}

static int walk_all(struct uts_tree tree, uint64_t *result_out)
{
    return WEFT_RUN(walk, ((struct subtree){&tree, uts_root(&tree)}), result_out);
}

int uts_geometric_job_run(int size, uint64_t *result_out)
{
    return walk_all(uts_geometric(size), result_out);
}

int uts_binomial_job_run(int size, uint64_t *result_out)
{
    return walk_all(uts_binomial(size), result_out);
}
