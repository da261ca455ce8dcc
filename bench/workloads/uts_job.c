/*
 * How many nodes has an unbalanced tree? A job for each node. The binomial one is some 1,500 levels deep, and its root has 2,000 jobs
 * open at once.
 */
#include "bench/workloads/serial.h"
#include "bench/workloads/uts.h"
#include "bench/workloads/workload.h"
#include "weft/job.h"

struct subtree {
    const struct uts_tree *tree;
    struct uts_node node;
};

static inline struct subtree child_of(const struct subtree *parent, int index)
{
    return (struct subtree){parent->tree, uts_child(&parent->node, index)};
}

/* A fork's value and its join's add up to the job's result: see queens_job.c. */
WEFT_JOB(uint64_t, walk, struct subtree, subtree)
{
    uint64_t nodes = 1;
    int count = uts_count(subtree.tree, &subtree.node);
    if (count == 0)
        return nodes;
    for (int i = 0; i < count - 1; i++)
        nodes += WEFT_FORK(walk, child_of(&subtree, i));
    nodes += WEFT_CALL(walk, child_of(&subtree, count - 1));
    for (int i = 0; i < count - 1; i++)
        nodes += WEFT_JOIN(walk, 0);
    return nodes;
}

static int walk_all(struct uts_tree tree, uint64_t *result_out)
{
    return WEFT_RUN(walk, ((struct subtree){&tree, uts_root(&tree)}), result_out);
}

static int uts_geometric_job(int size, uint64_t *result_out)
{
    return walk_all(uts_geometric(size), result_out);
}

static int uts_binomial_job(int size, uint64_t *result_out)
{
    return walk_all(uts_binomial(size), result_out);
}

const struct workload uts_geometric_workload = {
    .name = "uts_t1",
    .size = 10,
    .quick_size = 5,
    .repeats = 1,
    .expected = 4130071,
    .quick_expected = 3987,
    .serial = uts_geometric_serial,
    .job = uts_geometric_job,
};

const struct workload uts_binomial_workload = {
    .name = "uts_t3",
    .size = 2000,
    .quick_size = 40,
    .repeats = 1,
    .expected = 4112897,
    .quick_expected = 6521,
    .serial = uts_binomial_serial,
    .job = uts_binomial_job,
};
