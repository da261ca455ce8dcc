/*
 * Site: what the demo's loops share. One shard for each loop, and nothing that two loops write.
 *
 * Life cycle: site_open() → the runtime runs → site_stop(), from a fiber → site_close().
 */
#ifndef TOOLS_DEMO_SITE_H
#define TOOLS_DEMO_SITE_H

#include <stdint.h>

#include "weft/atomic.h"

struct weft_loop;
struct weft_runtime;
struct weft_server;
struct weft_task;

#define DATE_LINE_BYTES 48

/* What one loop does. Only its loop writes here while it runs; the counters are read by all, a little late. */
struct shard {
    _Alignas(WEFT_CACHE_LINE_BYTES) struct site *site;
    struct weft_loop *loop;
    struct weft_server *server;
    struct weft_task *serving;
    struct weft_task *ticking;
    uint32_t index;
    char date_line[DATE_LINE_BYTES]; /* "Date: …" and the empty line that ends a header */
    uint64_t requests;
    uint64_t connections; /* open ones */
    uint64_t passes;      /* futures completed here that a task of another loop awaited */
};

struct site {
    struct weft_runtime *runtime;
    struct shard *shards;
    uint32_t count;
    uint16_t port;
    uint64_t opened_ns; /* of loop 0's clock */
};

/* Count in a word that one loop writes and others read. */
static inline void shard_count(uint64_t *word, int64_t by)
{
    weft_atomic_store_relaxed(word, *word + (uint64_t)by);
}

/*
 * Create a runtime of `loops` loops (0: one for each processor), and on each a server at `port` (0: any free one, the same for all).
 *
 * thread:  any in which no loop runs
 * returns: 0; -ENOMEM; -EADDRINUSE and what else the runtime and the servers say; on failure nothing is left
 */
int site_open(struct site *site, uint32_t loops, uint16_t port);

/*
 * Stop to accept, let each connection send what was written to it, and wait until all are gone.
 *
 * thread:  a fiber
 */
void site_stop(struct site *site);

/* Shut the runtime down and free everything. thread: any in which no loop runs */
void site_close(struct site *site);

#endif
