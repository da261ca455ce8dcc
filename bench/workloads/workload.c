/*
 * Workloads: the list, in the order in which they are run, and what is done before a run and after it.
 */
#include "bench/workloads/workload.h"

#include <stddef.h>

#include "bench/workloads/matmul.h"
#include "bench/workloads/serial.h"

const struct workload fib_workload = {
    .name = "fib",
    .size = 38,
    .quick_size = 24,
    .repeats = 1,
    .expected = 39088169,
    .quick_expected = 46368,
    .serial = fib_serial,
};

const struct workload queens_workload = {
    .name = "queens",
    .size = 12,
    .quick_size = 8,
    .repeats = 1,
    .expected = 14200,
    .quick_expected = 92,
    .serial = queens_serial,
};

const struct workload skynet_workload = {
    .name = "skynet",
    .size = 1000000,
    .quick_size = 1000,
    .repeats = 20,
    .expected = 499999500000,
    .quick_expected = 499500,
    .serial = skynet_serial,
};

const struct workload uts_geometric_workload = {
    .name = "uts_t1",
    .size = 10,
    .quick_size = 5,
    .repeats = 1,
    .expected = 4130071,
    .quick_expected = 3987,
    .serial = uts_geometric_serial,
};

const struct workload uts_binomial_workload = {
    .name = "uts_t3",
    .size = 2000,
    .quick_size = 40,
    .repeats = 1,
    .expected = 4112897,
    .quick_expected = 6521,
    .serial = uts_binomial_serial,
};

const struct workload matmul_workload = {
    .name = "matmul",
    .size = MATMUL_MAX,
    .quick_size = 128,
    .repeats = 1,
    .expected = 0,
    .quick_expected = 0,
    .serial = matmul_serial,
    .prepare = matmul_prepare,
    .check = matmul_check,
};

const struct workload parallel_for_workload = {
    .name = "parallel_for",
    .size = 10000000,
    .quick_size = 100000,
    .repeats = 5,
    .expected = 83890610879090,
    .quick_expected = 839007035163,
    .serial = parallel_for_serial,
};

const struct workload *const workloads[] = {
    &fib_workload,          &queens_workload, &skynet_workload,       &uts_geometric_workload,
    &uts_binomial_workload, &matmul_workload, &parallel_for_workload, NULL,
};

void workload_prepare(const struct workload *workload, int size)
{
    if (workload->prepare != NULL)
        workload->prepare(size);
}

uint64_t workload_result(const struct workload *workload, int size, uint64_t returned)
{
    return workload->check != NULL ? workload->check(size) : returned;
}
