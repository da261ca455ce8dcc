/*
 * A sum over a range of indices: the range is halved until a part takes some microseconds, so that a job's cost is lost in it, and there are
 * still thousands of parts to share out.
 */
#include "bench/workloads/job.h"
#include "bench/workloads/parallel_for.h"
#include "weft/job.h"

enum { GRAIN = 2048 };

WEFT_JOB(uint64_t, sum_up, struct range, range)
{
    uint32_t half = range.count / 2;
    if (range.count <= GRAIN)
        return parallel_for_sum(range);
    WEFT_FORK(sum_up, ((struct range){range.first + half, range.count - half}));
    uint64_t lower = WEFT_CALL(sum_up, ((struct range){range.first, half}));
    return WEFT_JOIN(sum_up) + lower;
}

int parallel_for_job_run(int size, uint64_t *result_out)
{
    return WEFT_RUN(sum_up, ((struct range){0, (uint32_t)size}), result_out);
}
