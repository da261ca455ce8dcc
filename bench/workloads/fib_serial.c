/*
 * Fibonacci numbers by the definition: a computation of nothing but calls.
 */
#include "bench/workloads/serial.h"

static long fib(int n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

uint64_t fib_serial(int size)
{
    return (uint64_t)fib(size);
}
