/*
 * Unbalanced trees: their random numbers and their shapes. Called by both halves of the workload.
 */
#include "bench/workloads/uts.h"

#include <math.h>
#include <string.h>

enum { GEOMETRIC_CHILDREN_MAX = 100 };

struct uts_tree uts_geometric(int size)
{
    return (struct uts_tree){.shape = UTS_GEOMETRIC, .branching = 4, .depth_max = size, .seed = 19};
}

struct uts_tree uts_binomial(int size)
{
    return (struct uts_tree){.shape = UTS_BINOMIAL, .branching = size, .chance = 0.124875, .many = 8, .seed = 42};
}

/* The digest of `len` bytes and a number behind them, which goes highest byte first. */
static void hash(const unsigned char *bytes, size_t len, uint32_t number, unsigned char *digest_out)
{
    unsigned char message[SHA1_BYTES + 4];
    memcpy(message, bytes, len);
    for (int i = 0; i < 4; i++)
        message[len + (size_t)i] = (unsigned char)(number >> (24 - 8 * i));
    sha1_short(message, len + 4, digest_out);
}

struct uts_node uts_root(const struct uts_tree *tree)
{
    static const unsigned char zeros[16];
    struct uts_node root = {.depth = 0};
    hash(zeros, sizeof(zeros), tree->seed, root.state);
    return root;
}

struct uts_node uts_child(const struct uts_node *parent, int index)
{
    struct uts_node child = {.depth = parent->depth + 1};
    hash(parent->state, SHA1_BYTES, (uint32_t)index, child.state);
    return child;
}

/* The node's own number in [0, 1): its last 31 bits. */
static double chance_of(const struct uts_node *node)
{
    const unsigned char *last = node->state + SHA1_BYTES - 4;
    uint32_t bits = (uint32_t)(last[0] & 0x7f) << 24 | (uint32_t)last[1] << 16 | (uint32_t)last[2] << 8 | last[3];
    return bits / 2147483648.0;
}

static int geometric_count(const struct uts_tree *tree, const struct uts_node *node)
{
    if (node->depth >= tree->depth_max)
        return 0;
    double stop = 1 / (1 + tree->branching);
    int count = (int)floor(log(1 - chance_of(node)) / log(1 - stop));
    return count < GEOMETRIC_CHILDREN_MAX ? count : GEOMETRIC_CHILDREN_MAX;
}

int uts_count(const struct uts_tree *tree, const struct uts_node *node)
{
    if (tree->shape == UTS_GEOMETRIC)
        return geometric_count(tree, node);
    if (node->depth == 0)
        return (int)tree->branching;
    return chance_of(node) < tree->chance ? tree->many : 0;
}
