/*
 * Raw server: what the peers of weft's servers have in common.
 *
 * Edge-triggered epoll, a thread for each listener, one receive for each readiness unless it filled the buffer, answers sent at once;
 * what the kernel does not take is kept until it does, and nothing is received before that.
 */
#ifndef BENCH_SERVERS_RAW_SERVER_H
#define BENCH_SERVERS_RAW_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct serving;

struct raw_connection {
    int fd;
    char *rest; /* not taken by the kernel yet */
    size_t rest_len;
};

/* What a server makes of it. */
struct raw_ops {
    size_t connection_bytes;                         /* of an object that starts with a raw_connection, all zero */
    void (*made)(struct raw_connection *connection); /* may be NULL */
    bool (*received)(struct raw_connection *connection, const char *data, size_t len); /* false closes */
};

/* Send at once what goes, and the rest later. False: the connection is broken. */
bool raw_send(struct raw_connection *connection, const char *bytes, size_t len);

/* As struct server's serve. */
int raw_serve(struct serving *serving, const struct raw_ops *ops);

#endif
