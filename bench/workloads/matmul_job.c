/*
 * The product of two matrices: four jobs, one for each quarter, and again for the other half of the sums.
 */
#include "bench/workloads/job.h"
#include "bench/workloads/matmul.h"
#include "weft/job.h"

WEFT_JOB(int, multiply, struct matmul, part)
{
    if (part.size == MATMUL_BLOCK) {
        matmul_block(&part);
        return 0;
    }
    for (int inner = 0; inner < 2; inner++) {
        for (int i = 0; i < 3; i++)
            WEFT_FORK(multiply, matmul_quarter(&part, i / 2, i % 2, inner));
        (void)WEFT_CALL(multiply, matmul_quarter(&part, 1, 1, inner));
        for (int i = 0; i < 3; i++)
            (void)WEFT_JOIN(multiply);
    }
    return 0;
}

int matmul_job_run(int size, uint64_t *result_out)
{
    int result = 0;
    int status = WEFT_RUN(multiply, matmul_all(size), &result);
    *result_out = (uint64_t)result;
    return status;
}
