/*
 * Wire: a transport without a socket, for tests of a protocol. What is fed goes to the protocol at once; what the protocol writes is kept
 * to be looked at.
 */
#ifndef TESTS_DEMO_WIRE_H
#define TESTS_DEMO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/demo/site.h"
#include "weft/transport.h"

struct wire {
    struct weft_transport transport;
    struct site site;
    struct shard shard;
    bool is_stuck;   /* the peer takes nothing: what is written waits */
    bool is_closed;  /* the protocol closed it */
    bool is_eof;     /* the protocol ended its side */
    bool is_reading; /* the protocol wants more */
    bool is_lost;
    uint64_t deadline_ns; /* 0: none */
    size_t writes;        /* calls of write */
    size_t len;
    char out[262144]; /* what was written, ended with a zero */
};

/* Make a connection of a site with one loop, which does not run. */
struct wire *wire_open(void);

/* End it, as a peer that goes away does. */
void wire_close(struct wire *wire);

/* Let the protocol receive `len` bytes; its status is returned. */
int wire_feed_bytes(struct wire *wire, const void *data, size_t len);

/* The same with a string. */
int wire_feed(struct wire *wire, const char *text);

/* Let the peer take all that waits. */
void wire_drain(struct wire *wire);

/* Forget what was written. */
void wire_clear(struct wire *wire);

/* How often `text` occurs in what was written. */
size_t wire_count(const struct wire *wire, const char *text);

/* What was written begins, or ends, with `text`. */
bool wire_begins(const struct wire *wire, const char *text);
bool wire_ends(const struct wire *wire, const char *text);

#endif
