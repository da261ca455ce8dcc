/*
 * Serial C: the computations of fork_join as plain recursion, in one thread. What all others are held against.
 */
#include <stddef.h>

#include "bench/kit/compute.h"

#define SERIAL(name)                                                                                                                       \
    static int name##_run(int size, uint64_t *result_out)                                                                                  \
    {                                                                                                                                      \
        *result_out = name##_workload.serial(size);                                                                                        \
        return 0;                                                                                                                          \
    }

SERIAL(fib)
SERIAL(queens)
SERIAL(skynet)
SERIAL(uts_geometric)
SERIAL(uts_binomial)
SERIAL(matmul)
SERIAL(parallel_for)

int main(int argc, char **argv)
{
    static const struct computation computations[] = {
        {&fib_workload, fib_run},
        {&queens_workload, queens_run},
        {&skynet_workload, skynet_run},
        {&uts_geometric_workload, uts_geometric_run},
        {&uts_binomial_workload, uts_binomial_run},
        {&matmul_workload, matmul_run},
        {&parallel_for_workload, parallel_for_run},
        {NULL, NULL},
    };
    return compute_main(argc, argv, "serial C", computations, NULL);
}
