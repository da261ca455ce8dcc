/*
 * A server of echoes by callbacks that computes on all of its loops, or does not, and tells what its loops could not do meanwhile.
 *
 * What it tells is in memory that it shares with its parent, and written only while the parent wants it.
 */
#ifndef BENCH_SERVERS_COMPUTING_ECHO_H
#define BENCH_SERVERS_COMPUTING_ECHO_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/client/samples.h"
#include "bench/kit/serve.h"

/* What one loop tells; its own thread writes. */
struct computing_loop {
    struct samples timer;     /* how late a timer was that is due each millisecond */
    struct samples gap;       /* how long the loop did not come to its poller, which it was out of; nor sleep */
    struct samples gap_ran;   /* of these, how long its thread had a processor: what the library has to answer for */
    struct samples gap_stood; /* and how long it had not: the kernel's share */
    uint64_t left_ns;         /* when it last left its poller; 0: never */
    uint64_t left_cpu_ns;     /* by the clock of its thread */
};

struct computing {
    uint32_t is_recording; /* atomic: the parent writes */
    bool is_computing;     /* set before start, as are the next */
    int32_t cpu;           /* bind the whole process to this processor; below 0: do not */
    uint64_t computed;     /* atomic: rounds of fib(30), on all loops together */
    struct computing_loop loops[SERVING_LOOPS_MAX];
};

/* Make the one that the next server of this kind will share. Ends the program with a message if there is no memory. */
struct computing *computing_share(void);

extern const struct server server_computing_echo;

#endif
