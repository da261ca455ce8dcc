/*
 * Load: clients of a server, all in the calling thread, by blocking sends and one epoll. Each sends a request, waits for all of the answer,
 * and sends the next; each byte of each answer is checked.
 *
 *     struct load load;
 *     load_open(&load, child.port, 64, &exchange);
 *     load_run(&load, 100000, NULL);
 *     load_close(&load);
 *
 * Whatever goes wrong ends the program with a message.
 */
#ifndef BENCH_CLIENT_LOAD_H
#define BENCH_CLIENT_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "bench/client/exchange.h"
#include "bench/client/samples.h"

struct load {
    int epoll_fd;
    uint32_t count;
    const struct exchange *exchange;
    struct load_connection *connections;
    struct samples *samples;
};

/* Connect `count` times. */
void load_open(struct load *load, uint16_t port, uint32_t count, const struct exchange *exchange);

/* `exchanges` in all, the same number on each connection. How long each took goes to `samples`, which may be NULL. */
void load_run(struct load *load, uint64_t exchanges, struct samples *samples);

void load_close(struct load *load);

/* Open `count` connections, some at a time, with one exchange on each, and close them. */
void load_visit(uint16_t port, uint32_t count, const struct exchange *exchange);

/* Connect to 127.0.0.1. The descriptor. */
int load_dial(uint16_t port);

#endif
