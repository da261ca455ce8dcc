/*
 * Load: the clients of the echo benches, all in the calling thread, by blocking sends and one epoll.
 *
 *     struct load load;
 *     load_open(&load, child.port, 64, 64);
 *     load_run(&load, 100000);
 *     load_close(&load);
 */
#ifndef BENCH_SERVERS_LOAD_H
#define BENCH_SERVERS_LOAD_H

#include <stddef.h>
#include <stdint.h>

struct load {
    int epoll_fd;
    uint32_t count;
    size_t message_bytes;
    struct load_connection *connections;
};

/* Connect `count` times. Ends the program with a message if that is not possible, as do the others. */
void load_open(struct load *load, uint16_t port, uint32_t count, size_t message_bytes);

/* Send a message on each connection and wait until it is back, again and again: `echoes` in all, the same number on each. */
void load_run(struct load *load, uint64_t echoes);

void load_close(struct load *load);

/* Open `count` connections, one message of 64 bytes there and back on each, close them. */
void load_visit(uint16_t port, uint32_t count);

#endif
