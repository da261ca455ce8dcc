/*
 * Load: wrk, as a child process, and what it measured.
 */
#ifndef TOOLS_DEMO_LOAD_H
#define TOOLS_DEMO_LOAD_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct load {
    /* What to do. */
    uint16_t port;
    uint32_t connections;
    uint32_t threads;
    uint32_t seconds;
    /* What came of it. */
    uint64_t requests;
    uint64_t errors; /* connections and replies that failed */
    uint64_t timeouts;
    uint64_t duration_us;
    uint64_t p50_us, p90_us, p99_us, p999_us, max_us;
    pid_t pid;
    FILE *output;
};

/*
 * Start wrk.
 *
 * thread:  any
 * returns: 0; -ENOENT if wrk is not installed; what posix_spawn, pipe and memfd_create say
 */
int load_start(struct load *load);

/* End wrk before its time. thread: a fiber, between load_start() and load_wait() */
void load_stop(struct load *load);

/*
 * Wait until wrk has ended, and read what it measured.
 *
 * A fiber waits without blocking its loop; if it is cancelled meanwhile, wrk is ended first.
 *
 * thread:  a fiber, once after load_start()
 * returns: 0; -ECANCELED; -EPROTO if wrk failed or told nothing
 */
int load_wait(struct load *load);

#endif
