/*
 * Unbalanced trees: nobody can tell how large a subtree is without walking it.
 *
 * As specified in "UTS: An Unbalanced Tree Search Benchmark" (Olivier, Huan, Liu, Prins, Dinan, Sadayappan, Tseng; 2006): a node is a
 * state of 20 bytes, the SHA-1 digest of its parent's state and its own index among the children; how many children it has is drawn
 * from the last bytes. The published sizes are met: T1 (geometric) has 4,130,071 nodes, T3 (binomial) 4,112,897.
 */
#ifndef BENCH_WORKLOADS_UTS_H
#define BENCH_WORKLOADS_UTS_H

#include <stdint.h>

#include "bench/workloads/sha1.h"

enum uts_shape {
    UTS_GEOMETRIC, /* each node above `depth_max` has branching children on average */
    UTS_BINOMIAL,  /* the root has branching children; each other node `many` with probability `chance`, else none */
};

struct uts_tree {
    enum uts_shape shape;
    double branching; /* the paper's b0 */
    int depth_max;    /* d */
    double chance;    /* q */
    int many;         /* m */
    uint32_t seed;    /* r */
};

struct uts_node {
    unsigned char state[SHA1_BYTES];
    int depth;
};

/* T1, down to `size` levels (10), and T3, whose root has `size` children (2000). */
struct uts_tree uts_geometric(int size);
struct uts_tree uts_binomial(int size);

struct uts_node uts_root(const struct uts_tree *tree);

struct uts_node uts_child(const struct uts_node *parent, int index);

/* How many children `node` has. */
int uts_count(const struct uts_tree *tree, const struct uts_node *node);

#endif
