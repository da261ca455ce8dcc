/*
 * Outgoing: bytes on their way out, in chunks of a loop's pool.
 *
 * Called by the socket transport alone. At most one chunk is allocated by one append, so that a write is taken as a whole or not at all.
 */
#include "lib/net/outgoing.h"

#include <errno.h>
#include <string.h>

#include "weft/memory.h"

static size_t class_bytes(int class)
{
    return (size_t)1 << (OUTGOING_CLASS_MIN_SHIFT + class);
}

/* The class whose chunks hold `bytes` beside their head; OUTGOING_CLASSES if none does. */
static int class_for(size_t bytes)
{
    int class = 0;
    while (class < OUTGOING_CLASSES && class_bytes(class) - sizeof(struct chunk) < bytes)
        class ++;
    return class;
}

static struct chunk *chunk_take(struct outgoing_pool *pool, size_t bytes)
{
    int class = class_for(bytes);
    if (class < OUTGOING_CLASSES)
        bytes = class_bytes(class) - sizeof(struct chunk);
    struct chunk *chunk = class < OUTGOING_CLASSES ? pool->chunks[class] : NULL;
    if (chunk != NULL) {
        pool->chunks[class] = chunk->next;
        pool->pooled_bytes -= chunk->capacity;
    } else {
        chunk = weft_malloc(sizeof(*chunk) + bytes);
        if (chunk == NULL)
            return NULL;
        chunk->capacity = bytes;
    }
    chunk->next = NULL;
    chunk->start = chunk->end = 0;
    return chunk;
}

static void chunk_give(struct outgoing_pool *pool, struct chunk *chunk)
{
    int class = class_for(chunk->capacity);
    if (class == OUTGOING_CLASSES || pool->pooled_bytes + chunk->capacity > OUTGOING_POOLED_BYTES_MAX) {
        weft_free(chunk);
        return;
    }
    chunk->next = pool->chunks[class];
    pool->chunks[class] = chunk;
    pool->pooled_bytes += chunk->capacity;
}

struct outgoing *outgoing_create(void)
{
    struct outgoing *outgoing = weft_malloc(sizeof(*outgoing));
    if (outgoing == NULL)
        return NULL;
    outgoing->head = outgoing->tail = NULL;
    outgoing->is_sending = outgoing->is_flush_queued = false;
    return outgoing;
}

/* Give all chunks back. */
static void chunks_give(struct outgoing_pool *pool, struct outgoing *outgoing)
{
    while (outgoing->head != NULL) {
        struct chunk *chunk = outgoing->head;
        outgoing->head = chunk->next;
        chunk_give(pool, chunk);
    }
    outgoing->tail = NULL;
}

void outgoing_destroy(struct outgoing_pool *pool, struct outgoing *outgoing)
{
    chunks_give(pool, outgoing);
    weft_free(outgoing);
}

struct chunk *outgoing_reserve(struct outgoing_pool *pool, size_t bytes)
{
    return chunk_take(pool, bytes);
}

void outgoing_unreserve(struct outgoing_pool *pool, struct chunk *room)
{
    chunk_give(pool, room);
}

/* Copy bytes to the tail, going on in *room_inout when it is full; it is NULL from then on. There is room for all. */
static void copy_piece(struct outgoing *outgoing, struct chunk **room_inout, const char *from, size_t left)
{
    while (left > 0) {
        struct chunk *chunk = outgoing->tail;
        if (chunk == NULL || chunk->end == chunk->capacity) {
            *(chunk == NULL ? &outgoing->head : &chunk->next) = *room_inout;
            chunk = outgoing->tail = *room_inout;
            *room_inout = NULL;
        }
        size_t room = chunk->capacity - chunk->end;
        size_t bytes = left < room ? left : room;
        memcpy(chunk->bytes + chunk->end, from, bytes);
        chunk->end += bytes;
        from += bytes;
        left -= bytes;
    }
}

void outgoing_append_to(struct outgoing_pool *pool, struct outgoing *outgoing, struct chunk *room, const struct iovec *iov, size_t count,
                        size_t skip)
{
    for (size_t i = 0; i < count; i++) {
        size_t skipped = skip < iov[i].iov_len ? skip : iov[i].iov_len;
        copy_piece(outgoing, &room, (const char *)iov[i].iov_base + skipped, iov[i].iov_len - skipped);
        skip -= skipped;
    }
    if (room != NULL)
        chunk_give(pool, room);
}

int outgoing_append_slowly(struct outgoing_pool *pool, struct outgoing *outgoing, const struct iovec *iov, size_t count, size_t total)
{
    const struct chunk *tail = outgoing->tail;
    size_t there = tail == NULL ? 0 : tail->capacity - tail->end;
    struct chunk *room = NULL;
    if (total > there) {
        room = chunk_take(pool, total - there);
        if (room == NULL)
            return -ENOMEM;
    }
    outgoing_append_to(pool, outgoing, room, iov, count, 0);
    return 0;
}

/* The first chunk is done with. A small one that is the last stays, to be filled again. */
static void chunk_leave(struct outgoing_pool *pool, struct outgoing *outgoing)
{
    struct chunk *chunk = outgoing->head;
    if (chunk->next == NULL && chunk->capacity <= OUTGOING_KEPT_BYTES) {
        chunk->start = chunk->end = 0;
        return;
    }
    outgoing->head = chunk->next;
    if (outgoing->head == NULL)
        outgoing->tail = NULL;
    chunk_give(pool, chunk);
}

void outgoing_consume_slowly(struct outgoing_pool *pool, struct outgoing *outgoing, size_t count)
{
    while (count > 0) {
        struct chunk *chunk = outgoing->head;
        size_t bytes = chunk->end - chunk->start;
        if (count < bytes) {
            chunk->start += count;
            return;
        }
        count -= bytes;
        chunk_leave(pool, outgoing);
    }
}

void outgoing_drop(struct outgoing_pool *pool, struct outgoing *outgoing)
{
    while (!outgoing_is_empty(outgoing))
        chunk_leave(pool, outgoing);
}

void outgoing_pool_fini(struct outgoing_pool *pool)
{
    while (pool->free != NULL) {
        struct outgoing *outgoing = pool->free;
        pool->free = (struct outgoing *)(void *)outgoing->flush.next;
        chunks_give(pool, outgoing);
        weft_free(outgoing);
    }
    for (int class = 0; class < OUTGOING_CLASSES; class ++) {
        while (pool->chunks[class] != NULL) {
            struct chunk *chunk = pool->chunks[class];
            pool->chunks[class] = chunk->next;
            weft_free(chunk);
        }
    }
}
