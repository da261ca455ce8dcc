/*
 * Paced: clients of an echo server that send when it is time, whether or not the last answer has come, so that a server which holds
 * one request up is blamed for all that would have come meanwhile. In the calling thread, by one epoll.
 *
 *     struct paced paced;
 *     paced_open(&paced, child.port, 64, 4000);
 *     paced_run(&paced, 2000000000);
 *     ... paced.echo, paced.server, paced.late ...
 *     paced_close(&paced);
 */
#ifndef BENCH_CLIENT_PACED_H
#define BENCH_CLIENT_PACED_H

#include <stdint.h>

#include "bench/client/samples.h"

struct paced {
    int epoll_fd;
    uint32_t count;
    uint64_t period_ns; /* between two requests, whosever they are */
    uint64_t start_ns;
    uint64_t sent_count;
    uint64_t taken_count;
    struct paced_connection *connections;
    struct samples echo;   /* from when it was time to send a request until the client has its answer */
    struct samples server; /* from its sending until the kernel has put its answer into the client's socket */
    struct samples late;   /* from when it was time to send until it was done: the client's own fault */
};

/* Connect `count` times, to send `rate` requests a second in all. Ends the program with a message if something fails, as do the others. */
void paced_open(struct paced *paced, uint16_t port, uint32_t count, uint32_t rate);

/* Send for so long, wait for the answers, and put into `paced` how long they took, in place of what was there. */
void paced_run(struct paced *paced, uint64_t duration_ns);

void paced_close(struct paced *paced);

/*
 * Have the calling thread run before others, as far as it may: what it waits for the processor is not the server's. Its children do not
 * inherit that. What it got: "fifo", "nice", "nothing".
 */
const char *paced_go_first(void);

#endif
