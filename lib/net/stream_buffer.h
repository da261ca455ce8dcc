/*
 * Stream buffer: bytes that came and were not read yet, in one piece, so that a separator can be searched for.
 *
 * Its memory grows with what waits and goes as soon as nothing does: a connection that is idle has none. Memory of the first size comes
 * from a pool of the loop's and goes back there, warm for the next connection.
 */
#ifndef LIB_NET_STREAM_BUFFER_H
#define LIB_NET_STREAM_BUFFER_H

#include <stddef.h>
#include <sys/types.h>

struct stream_buffer {
    char *bytes;
    size_t start, len, capacity;
};

struct stream_buffer_pool {
    void *free; /* linked by their first words */
    size_t count;
};

static inline const char *stream_buffer_bytes(const struct stream_buffer *buffer)
{
    return buffer->bytes + buffer->start;
}

/* Add bytes. 0; -ENOMEM and nothing was added. The pool may be NULL, here and below. */
int stream_buffer_append(struct stream_buffer *buffer, struct stream_buffer_pool *pool, const void *bytes, size_t len);

/* Move the first `len` bytes, which are there, to `buf`. */
void stream_buffer_take(struct stream_buffer *buffer, struct stream_buffer_pool *pool, void *buf, size_t len);

/* Put bytes before the first. 0; -ENOMEM and nothing has changed. */
int stream_buffer_put_back(struct stream_buffer *buffer, struct stream_buffer_pool *pool, const void *bytes, size_t len);

/* Where the bytes behind the first `separator` begin; -1 if there is none at or after `*from_inout`, which then says where to go on. */
ssize_t stream_buffer_find(const struct stream_buffer *buffer, const void *separator, size_t separator_len, size_t *from_inout);

void stream_buffer_fini(struct stream_buffer *buffer);

/* Free what is pooled. */
void stream_buffer_pool_fini(struct stream_buffer_pool *pool);

#endif
