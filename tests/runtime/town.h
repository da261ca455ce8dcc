/*
 * Town: a few simulated hosts, on some of which an echo server listens, and clients that ask it.
 *
 *     struct town town;
 *     town_open(&town, 3, NULL);
 *     town_serve(&town, 0);                              host0 serves on port 80
 *     struct visit visit = {.server = "host0", .rounds = 10};
 *     CHECK_EQ(town_visit(&town, 1, &visit), 0);         a client on host1 asks it ten times
 *     town_close(&town);
 */
#ifndef TESTS_RUNTIME_TOWN_H
#define TESTS_RUNTIME_TOWN_H

#include "tests/runtime/fixture.h"
#include "weft/sim.h"
#include "weft/stream.h"

enum { TOWN_HOSTS_MAX = 6, TOWN_PORT = 80 };

struct town {
    struct weft_sim *sim;
    uint32_t count;
    struct weft_sim_host *hosts[TOWN_HOSTS_MAX]; /* "host0" and so on */
    struct weft_runtime *runtimes[TOWN_HOSTS_MAX];
    struct weft_server *servers[TOWN_HOSTS_MAX];
    int64_t live;    /* allocations before it */
    uint64_t served; /* requests that were echoed */
};

/* What one client does: connects, sends `rounds` words one after the other, each after its echo, and closes. */
struct visit {
    const char *server;
    int rounds;
    size_t bytes; /* of a word; 5 if 0 */
    int64_t timeout_ns;
    int64_t pause_ns;    /* between rounds */
    int64_t patience_ns; /* for all rounds together; 0: any */
    struct weft_stream *stream;
    int echoed; /* rounds that came back whole */
    uint64_t took_ns;
    int status; /* as a task's: of the first call that failed */
};

/* Open a world with `count` hosts, and a runtime of one loop on each. */
void town_open(struct town *town, uint32_t count, const struct weft_sim_options *options);

/* End all that is left, and check that nothing is. */
void town_close(struct town *town);

/* A new runtime on host `index`, which had none or lost it. */
void town_boot(struct town *town, uint32_t index);

/* Listen on host `index` and start its runtime. */
void town_serve(struct town *town, uint32_t index);

/* Let a client on host `index` make `visit`, and wait for its end. Its status. */
int town_visit(struct town *town, uint32_t index, struct visit *visit);

/* A client's fiber. */
int town_visitor(void *arg, void **result_out);

#endif
