/*
 * Serve: what makes a program a contestant whose servers bench/ask.c loads.
 *
 *     <program> --who                        its name, and of a peer the version
 *     <program> --list                       the kinds of servers that it has, a line each: serve <kind>
 *     <program> serve <kind> [--loops N]     listens on 127.0.0.1, prints "port <N>", and serves until its standard input ends
 *
 * The kinds: "echo" sends back what comes; "bulk" is the same, for who takes other buffers for messages of 64 KiB; "echo_stream" and
 * "bulk_stream" are written as a fiber for each connection; "echo_spin" looks for a while before it sleeps; "http" answers each GET of
 * HTTP/1.1 with status 200 and "Hello, World!", of which it tells the length, and keeps the connection. N loops are N threads, each with a
 * listening socket of its own on the one port (SO_REUSEPORT) where that can be done. A program in another language is a contestant as
 * soon as it does the same.
 */
#ifndef BENCH_KIT_SERVE_H
#define BENCH_KIT_SERVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SERVING_LOOPS_MAX = 64 };

/* How to serve. */
struct serving {
    uint32_t loops;                   /* threads, each with a listener */
    int announce_fd;                  /* to write the port to, as soon as connections come through */
    int listeners[SERVING_LOOPS_MAX]; /* see serving_listen() */
};

struct server {
    const char *kind;
    /* Serve until the process ends; returns only if that is not possible: a status below 0. */
    int (*serve)(struct serving *serving);
};

/* Do what the arguments say. What main() returns. */
int serve_main(int argc, char **argv, const char *who, const struct server *servers, size_t count);

/* Open a listening socket for each loop, not blocking, on one port. The port; -errno. */
int serving_listen(struct serving *serving);

/* Tell the port to who waits for it. */
void serving_announce(const struct serving *serving, int port);

/* A loop that serves what comes to `listener`, in a thread of its own, for ever. */
typedef void serving_loop_fn(int listener, const void *arg);

/* As struct server's serve: listen, announce, and run `loop` in as many threads as wanted, this one among them. */
int serving_run(struct serving *serving, serving_loop_fn *loop, const void *arg);

#ifdef __cplusplus
}
#endif

#endif
