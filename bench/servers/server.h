/*
 * Servers under measurement: each runs in a process of its own, so that what it uses is known to the nanosecond.
 *
 *     struct child child;
 *     child_start(&child, &server_raw_echo, &how);
 *     ... connect to child.port, ask child_cpu_ns() before and after ...
 *     child_stop(&child);
 *
 * `raw` servers are the peers to compare with: the least code that does the job over epoll, by hand.
 */
#ifndef BENCH_SERVERS_SERVER_H
#define BENCH_SERVERS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SERVING_LOOPS_MAX = 8 };

struct weft_loop_kind;

/* How to serve. */
struct serving {
    uint32_t loops;                    /* threads, each with a listener */
    bool is_bulk;                      /* messages are large: those who read into a buffer of their own take a large one */
    bool may_spin;                     /* look for a while before sleeping, where the server can */
    const struct weft_loop_kind *kind; /* of weft's loops; NULL: the default one */
    int listeners[SERVING_LOOPS_MAX];  /* for the raw servers, one for each loop, bound and listening; their port is announced */
    int announce_fd;                   /* to write the port to, two bytes, as soon as connections come through */
};

struct server {
    const char *name;
    /* Serve until killed; returns only if that is not possible: a status below 0. */
    int (*serve)(struct serving *serving);
};

extern const struct server server_raw_echo;
extern const struct server server_protocol_echo; /* weft, by callbacks */
extern const struct server server_stream_echo;   /* weft, a fiber for each connection */
extern const struct server server_raw_http;
extern const struct server server_protocol_http;

/* Open a listening socket for each loop, on one port. The port; -errno. */
int serving_listen(struct serving *serving);

/* Tell the parent the port. */
void serving_announce(const struct serving *serving, int port);

/* ---- the parent's side ---- */

struct child {
    pid_t pid;
    uint16_t port;
};

/* What a process has used. The division into user's and system's is the kernel's estimate; the sum is exact. */
struct usage {
    uint64_t cpu_ns;
    uint64_t user_ns;
};

/* Start `server`, and wait until it serves; ends the program with a message if it does not. */
void child_start(struct child *child, const struct server *server, const struct serving *how);

/* Kill it, and wait for its end. */
void child_stop(struct child *child);

struct usage child_usage(const struct child *child);

/* The difference of two usages. */
struct usage usage_since(struct usage now, struct usage before);

/* Memory of the process's own that is resident, in bytes. */
uint64_t child_resident(const struct child *child);

#endif
