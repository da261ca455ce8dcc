/*
 * Outgoing: what one transport has written and the kernel has not taken.
 *
 *      outgoing ── head ──> chunk ──> chunk ──> chunk
 *                            ^ start … end        ^ tail: bytes are added here
 *
 * An idle connection has none: it is borrowed from the loop's pool by the first write and given back when all is sent, warm for the next
 * connection, with one small chunk that it keeps. Only the last chunk can be empty. With it come the operation that sends and the work that flushes at the end of the iteration, so those cost an idle
 * connection nothing either. What a pending operation sends stays where it is.
 */
#ifndef LIB_NET_OUTGOING_H
#define LIB_NET_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "weft/operation.h"

enum {
    OUTGOING_PIECES_MAX = 8,                /* chunks sent by one operation */
    OUTGOING_CLASS_MIN_SHIFT = 11,          /* the smallest chunk has 2 KiB */
    OUTGOING_CLASSES = 6,                   /* up to 64 KiB; larger ones are made to measure and not pooled */
    OUTGOING_POOLED_BYTES_MAX = 512 * 1024, /* kept by one loop */
    OUTGOING_AT_ONCE_BYTES = 16 * 1024,     /* from so many on a write is sent without waiting for the callback's end */
};

struct chunk {
    struct chunk *next;
    size_t start, end, capacity;
    char bytes[];
};

struct socket_transport;

struct outgoing {
    struct weft_operation operation;
    struct weft_work flush;
    struct socket_transport *socket;
    struct chunk *head, *tail;
    bool is_sending;      /* `operation` is pending */
    bool is_flush_queued; /* `flush` is in the loop's list for the end of the iteration */
    struct iovec pieces[OUTGOING_PIECES_MAX];
};

/* True if no byte waits. */
static inline bool outgoing_is_empty(const struct outgoing *outgoing)
{
    return outgoing->head == NULL || outgoing->head->start == outgoing->head->end;
}

struct outgoing_pool {
    struct outgoing *free; /* linked by flush.next */
    struct chunk *chunks[OUTGOING_CLASSES];
    size_t pooled_bytes;
};

/* Take an empty one out of the pool, or make it; NULL when out of memory. */
struct outgoing *outgoing_take(struct outgoing_pool *pool);

/* Give `outgoing`, which neither sends nor waits to be flushed, back with all its chunks. */
void outgoing_give(struct outgoing_pool *pool, struct outgoing *outgoing);

/* Add `total` bytes, the sum of the pieces. 0; -ENOMEM and nothing was added. */
int outgoing_append(struct outgoing_pool *pool, struct outgoing *outgoing, const struct iovec *iov, size_t count, size_t total);

/* Point outgoing->pieces at the first bytes; how many pieces there are. */
size_t outgoing_gather(struct outgoing *outgoing);

/* Forget the first `count` bytes. */
void outgoing_consume(struct outgoing_pool *pool, struct outgoing *outgoing, size_t count);

/* Forget all bytes. */
void outgoing_drop(struct outgoing_pool *pool, struct outgoing *outgoing);

/* Free what is pooled. */
void outgoing_pool_fini(struct outgoing_pool *pool);

#endif
