/*
 * Fibonacci numbers: a fork for each addition, so that the time is all cost of forks.
 */
#include "bench/workloads/job.h"
#include "weft/job.h"

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    long left = WEFT_JOIN(fib);
    return left + right;
}

int fib_job_run(int size, uint64_t *result_out)
{
    long result = 0;
    int status = WEFT_RUN(fib, size, &result);
    *result_out = (uint64_t)result;
    return status;
}
