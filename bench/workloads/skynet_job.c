/*
 * Skynet: a job for each node of the tree, ten of them open at once, and next to nothing to do in each.
 */
#include "bench/workloads/job.h"
#include "weft/job.h"

enum { CHILDREN = 10 };

struct leaves {
    uint64_t first;
    uint64_t count; /* a power of ten; as wide as `first`: a gap between arguments is copied too, and takes instructions */
};

static inline struct leaves part_of(struct leaves leaves, int index)
{
    uint64_t count = leaves.count / CHILDREN;
    return (struct leaves){leaves.first + (uint64_t)index * count, count};
}

WEFT_JOB(uint64_t, add_up, struct leaves, leaves)
{
    uint64_t sum = 0;
    if (leaves.count == 1)
        return leaves.first;
    for (int i = 0; i < CHILDREN - 1; i++)
        WEFT_FORK(add_up, part_of(leaves, i));
    sum += WEFT_CALL(add_up, part_of(leaves, CHILDREN - 1));
    for (int i = 0; i < CHILDREN - 1; i++)
        sum += WEFT_JOIN(add_up);
    return sum;
}

int skynet_job_run(int size, uint64_t *result_out)
{
    return WEFT_RUN(add_up, ((struct leaves){0, (uint64_t)size}), result_out);
}
