/*
 * Stream buffer: see the header. Called by streams alone, on their loop.
 */
#include "lib/net/stream_buffer.h"

#include <errno.h>
#include <string.h>

#include "weft/memory.h"

enum { CAPACITY_MIN = 512, POOLED_MAX = 128 };

static char *pool_take(struct stream_buffer_pool *pool)
{
    if (pool == NULL || pool->free == NULL)
        return weft_malloc(CAPACITY_MIN);
    char *bytes = pool->free;
    memcpy(&pool->free, bytes, sizeof(pool->free));
    pool->count--;
    return bytes;
}

static void pool_give(struct stream_buffer_pool *pool, char *bytes)
{
    memcpy(bytes, &pool->free, sizeof(pool->free));
    pool->free = bytes;
    pool->count++;
}

void stream_buffer_pool_fini(struct stream_buffer_pool *pool)
{
    while (pool->free != NULL)
        weft_free(pool_take(pool));
}

/* Nothing waits any more. */
static void release(struct stream_buffer *buffer, struct stream_buffer_pool *pool)
{
    if (pool != NULL && buffer->capacity == CAPACITY_MIN && pool->count < POOLED_MAX) {
        pool_give(pool, buffer->bytes);
        buffer->bytes = NULL;
    }
    stream_buffer_fini(buffer);
}

static int make_room(struct stream_buffer *buffer, struct stream_buffer_pool *pool, size_t len)
{
    size_t need = buffer->len + len;
    if (need < len)
        return -ENOMEM;
    if (buffer->start > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->len);
        buffer->start = 0;
    }
    if (need <= buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity == 0 ? CAPACITY_MIN : buffer->capacity * 2;
    capacity = capacity < need ? need : capacity;
    char *bytes = capacity == CAPACITY_MIN ? pool_take(pool) : weft_realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        return -ENOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return 0;
}

int stream_buffer_append(struct stream_buffer *buffer, struct stream_buffer_pool *pool, const void *bytes, size_t len)
{
    if (buffer->capacity - buffer->start - buffer->len < len) {
        int status = make_room(buffer, pool, len);
        if (status < 0)
            return status;
    }
    memcpy(buffer->bytes + buffer->start + buffer->len, bytes, len);
    buffer->len += len;
    return 0;
}

int stream_buffer_put_back(struct stream_buffer *buffer, struct stream_buffer_pool *pool, const void *bytes, size_t len)
{
    int status = make_room(buffer, pool, len);
    if (status < 0)
        return status;
    memmove(buffer->bytes + len, buffer->bytes, buffer->len);
    memcpy(buffer->bytes, bytes, len);
    buffer->len += len;
    return 0;
}

void stream_buffer_take(struct stream_buffer *buffer, struct stream_buffer_pool *pool, void *buf, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf, buffer->bytes + buffer->start, len);
    buffer->start += len;
    buffer->len -= len;
    if (buffer->len == 0)
        release(buffer, pool);
}

ssize_t stream_buffer_find(const struct stream_buffer *buffer, const void *separator, size_t separator_len, size_t *from_inout)
{
    size_t from = *from_inout;
    if (buffer->len < separator_len || from > buffer->len - separator_len)
        return -1;
    const char *bytes = stream_buffer_bytes(buffer);
    const char *found = memmem(bytes + from, buffer->len - from, separator, separator_len);
    if (found != NULL)
        return found - bytes + (ssize_t)separator_len;
    *from_inout = buffer->len - separator_len + 1;
    return -1;
}

void stream_buffer_fini(struct stream_buffer *buffer)
{
    weft_free(buffer->bytes);
    *buffer = (struct stream_buffer){NULL, 0, 0, 0};
}
