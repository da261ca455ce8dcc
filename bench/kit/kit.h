/*
 * Kit: what makes a program a contestant of bench/run.py.
 *
 *     <program> --who                             its name, and of a peer the version
 *     <program> --list                            the cases that it has, a line each: <bench> <case>
 *     <program> <bench> <case> [--loops N] [--quick]
 *                                                 runs that case once, and prints a figure a line, as an object of JSON
 *
 * A program in another language is one as soon as it does the same. A case warms up by itself, checks its result, and ends the program
 * with a message and a status that is not 0 if anything is wrong: what has failed must not have a figure.
 *
 *     static void run_fib(struct kit *kit)
 *     {
 *         kit_start(kit);
 *         uint64_t result = fib(38);
 *         kit_stop(kit, "ms", 1);
 *         kit_check(kit, result == 39088169, "fib(38)");
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         static const struct kit_case cases[] = {{"fork_join", "fib", run_fib}};
 *         return kit_main(argc, argv, "serial C", cases, 1);
 *     }
 */
#ifndef BENCH_KIT_KIT_H
#define BENCH_KIT_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Time, and processor time of the process, all its threads and the children that it has waited for, and of this thread. */
struct kit_moment {
    uint64_t user_ns;
    uint64_t sys_ns;
    uint64_t wall_ns;
    uint64_t thread_ns;
};

/* One run of one case. */
struct kit {
    const struct kit_case *present;
    const void *arg;
    uint32_t loops; /* threads, or loops, to use; 1 unless told, or the case says */
    bool is_quick;  /* for a look: a small size */
    struct kit_moment start;
};

struct kit_case {
    const char *bench;
    const char *name;
    void (*run)(struct kit *kit);
    const void *arg; /* for kit->arg */
    uint32_t loops;  /* 0: any number; else only so many make sense, and asked for another it prints nothing */
};

/* Do what the arguments say. What main() returns. */
int kit_main(int argc, char **argv, const char *who, const struct kit_case *cases, size_t count);

/* Now it begins. */
void kit_start(struct kit *kit);

/* Now it is over: print the time that each of `units` took in `unit`, which is "ms", "us" or "ns", and its processor time. */
void kit_stop(struct kit *kit, const char *unit, double units);

/*
 * The same for what happened in this thread, which has called kit_start() too: the time that it had a processor for. How busy the machine is
 * changes that less.
 */
void kit_stop_alone(struct kit *kit, const char *unit, double units);

/* What `clock` says, in nanoseconds. */
uint64_t kit_clock_ns(clockid_t clock);

/* Print a figure that is no time, or was taken otherwise: `name` is added to the case's. NULL adds nothing. Smaller is better. */
void kit_figure(struct kit *kit, const char *name, const char *unit, double value);

/* Processor time and system calls of one operation; below 0 where it is not known. */
struct kit_cost {
    double user_ns;
    double sys_ns;
    double syscalls;
};

/* The same for a figure whose costs were taken elsewhere, such as those of another process. */
void kit_figure_cost(struct kit *kit, const char *name, const char *unit, double value, struct kit_cost cost);

/* End the program if `is_true` is not. */
void kit_check(const struct kit *kit, bool is_true, const char *what);

/* End the program with `status`, a negative errno or one of weft's, if it is below 0. */
void kit_must(const struct kit *kit, int status, const char *what);

#ifdef __cplusplus
}
#endif

#endif
