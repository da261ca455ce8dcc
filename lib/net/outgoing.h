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
#include <string.h>
#include <sys/uio.h>

#include "weft/operation.h"

enum {
    OUTGOING_PIECES_MAX = 8,             /* chunks sent by one operation */
    OUTGOING_CLASS_MIN_SHIFT = 12,       /* the smallest chunk has 4 KiB: a pipeline's answers leave as one piece */
    OUTGOING_KEPT_BYTES = 4096,          /* a chunk up to so large is kept when it is empty */
    OUTGOING_CLASSES = 6,                /* up to 128 KiB; larger ones are made to measure and not pooled */
    OUTGOING_POOLED_BYTES_MAX = 2 << 20, /* kept by one loop: more than the connections of one poll borrow at once */
    OUTGOING_AT_ONCE_BYTES = 16 * 1024,  /* from so many on a write is sent without waiting for the callback's end */
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
    bool is_sending;                          /* `operation` is pending */
    bool is_flush_queued;                     /* `flush` is in the loop's list for the end of the iteration */
    struct iovec pieces[OUTGOING_PIECES_MAX]; /* what is sent, for as long as that takes */
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

/* Make one; NULL when out of memory. */
struct outgoing *outgoing_create(void);

/* Free `outgoing`, for which the pool has no room, and give its chunks back. */
void outgoing_destroy(struct outgoing_pool *pool, struct outgoing *outgoing);

/* What one that is empty keeps: itself, and the chunk that it begins with, if it has one. */
static inline size_t outgoing_kept_bytes(const struct outgoing *outgoing)
{
    return sizeof(*outgoing) + (outgoing->head != NULL ? outgoing->head->capacity : 0);
}

/* Take an empty one out of the pool; NULL if there is none. */
static inline struct outgoing *outgoing_take(struct outgoing_pool *pool)
{
    struct outgoing *outgoing = pool->free;
    if (outgoing != NULL) {
        pool->free = (struct outgoing *)(void *)outgoing->flush.next;
        pool->pooled_bytes -= outgoing_kept_bytes(outgoing);
    }
    return outgoing;
}

/* Give `outgoing`, which neither sends nor waits to be flushed, back with all its chunks. */
static inline void outgoing_give(struct outgoing_pool *pool, struct outgoing *outgoing)
{
    size_t bytes = outgoing_kept_bytes(outgoing);
    if (pool->pooled_bytes + bytes > OUTGOING_POOLED_BYTES_MAX) {
        outgoing_destroy(pool, outgoing);
        return;
    }
    outgoing->flush.next = (struct weft_work *)(void *)pool->free;
    pool->free = outgoing;
    pool->pooled_bytes += bytes;
}

/* Room for `bytes` more, as outgoing_append_to() wants it; NULL when out of memory. */
struct chunk *outgoing_reserve(struct outgoing_pool *pool, size_t bytes);

/* Give such room back, for which there was no use. */
void outgoing_unreserve(struct outgoing_pool *pool, struct chunk *room);

/* Add the pieces but for their first `skip` bytes: what does not fit behind the last ones goes to `room`, which must do. */
void outgoing_append_to(struct outgoing_pool *pool, struct outgoing *outgoing, struct chunk *room, const struct iovec *iov, size_t count,
                        size_t skip);

/* As outgoing_append(), where there is more than one piece or no room at the tail. */
int outgoing_append_slowly(struct outgoing_pool *pool, struct outgoing *outgoing, const struct iovec *iov, size_t count, size_t total);

/* True if `bytes` more fit behind the last ones. */
static inline bool outgoing_has_room(const struct outgoing *outgoing, size_t bytes)
{
    return outgoing->tail != NULL && outgoing->tail->capacity - outgoing->tail->end >= bytes;
}

/* Add bytes for which there is room there. The copy comes last, so that as little as possible is kept over its call. */
static inline void outgoing_put(struct outgoing *outgoing, const void *bytes, size_t len)
{
    char *to = outgoing->tail->bytes + outgoing->tail->end;
    outgoing->tail->end += len;
    memcpy(to, bytes, len);
}

/* Add `total` bytes, the sum of the pieces. 0; -ENOMEM and nothing was added. */
static inline int outgoing_append(struct outgoing_pool *pool, struct outgoing *outgoing, const struct iovec *iov, size_t count,
                                  size_t total)
{
    if (count != 1 || !outgoing_has_room(outgoing, total))
        return outgoing_append_slowly(pool, outgoing, iov, count, total);
    outgoing_put(outgoing, iov->iov_base, total);
    return 0;
}

/* Point `pieces`, `count_max` of them, at the first bytes; how many there are. */
static inline size_t outgoing_gather(const struct outgoing *outgoing, struct iovec *pieces, size_t count_max)
{
    size_t count = 0;
    for (struct chunk *chunk = outgoing->head; chunk != NULL && count < count_max; chunk = chunk->next)
        pieces[count++] = (struct iovec){chunk->bytes + chunk->start, chunk->end - chunk->start};
    return count;
}

/* As outgoing_consume(), where it is more or less than a small chunk that is the only one. */
void outgoing_consume_slowly(struct outgoing_pool *pool, struct outgoing *outgoing, size_t count);

/* Forget the first `count` bytes. */
static inline void outgoing_consume(struct outgoing_pool *pool, struct outgoing *outgoing, size_t count)
{
    struct chunk *chunk = outgoing->head;
    if (chunk == NULL || chunk->next != NULL || chunk->end - chunk->start != count || chunk->capacity > OUTGOING_KEPT_BYTES)
        outgoing_consume_slowly(pool, outgoing, count);
    else
        chunk->start = chunk->end = 0;
}

/* Forget all bytes. */
void outgoing_drop(struct outgoing_pool *pool, struct outgoing *outgoing);

/* Free what is pooled. */
void outgoing_pool_fini(struct outgoing_pool *pool);

#endif
