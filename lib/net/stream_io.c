/*
 * Stream: reading and writing. Each call that waits looks again after each wake-up, and takes what it wants only when all of it is there.
 *
 * The public calls go to the stream's loop and come back; the static ones before them run on it. A call that may wait holds the stream until
 * it is over: meanwhile another task may let go of it, and the connection be lost.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lib/net/stream.h"
#include "lib/task/fiber.h"
#include "lib/task/task.h"
#include "weft/fiber.h"
#include "weft/status.h"

/* ---- waiting ---- */

static inline int hold_begin(struct weft_stream *stream, struct stream_visit *visit)
{
    int status = stream_enter(stream->loop, visit);
    if (status == 0)
        stream->refs++;
    return status;
}

static inline int hold_end(struct weft_stream *stream, struct stream_visit *visit, int status)
{
    if (stream->refs > 2)
        stream->refs--; /* as most of the time: the connection and the caller are left */
    else
        weft_stream_unref(stream);
    return stream_leave(visit, status);
}

/* Wait in `list`, which is the loop's, until woken. A fiber that is closed returns through here. */
static inline int stream_wait(struct weft_stream *stream, struct stream_waiter **list, struct stream_waiter *waiter)
{
    waiter->next = *list;
    *list = waiter;
    int status = park_wait(&waiter->park, stream->loop);
    while (*list != waiter)
        list = &(*list)->next;
    *list = waiter->next;
    return status;
}

/* Most of the time it reads already, and then this is to cost nothing. */
static void read_on(struct weft_stream *stream)
{
    if (stream->transport != NULL && (stream->transport->flags & WEFT_TRANSPORT_PAUSED) != 0)
        (void)weft_transport_resume_reading(stream->transport);
}

/* Wait for more than there is; a reader that needs more than twice the limit gets it. */
static int wait_for_data(struct weft_stream *stream)
{
    struct stream_waiter waiter; /* the rest belongs to one who wants the bytes somewhere */
    waiter.buf = NULL;
    read_on(stream);
    return stream_wait(stream, &stream->reading, &waiter);
}

/*
 * Bytes have come to a reader that is told to stop: they are the next one's. Without memory for that it gets them, and is told at its next
 * suspension.
 */
static int give_back(struct weft_stream *stream, int status, const char *buf, size_t count)
{
    if (stream_buffer_put_back(&stream->buffer, stream_pool(stream), buf, count) == 0)
        return status;
    task_rearm_cancel(task_get_current(stream->loop));
    return (int)count;
}

/* Wait while there is nothing, for bytes that go to `buf`: how many did; 0 if there is something else to look at; what was raised. */
static int wait_for_bytes(struct weft_stream *stream, char *buf, size_t len)
{
    struct stream_waiter waiter; /* not cleared as a whole: most of it is the future, which the wait sets up */
    waiter.buf = buf;
    waiter.len = len < INT_MAX ? len : INT_MAX;
    waiter.count = 0;
    read_on(stream);
    int status = stream_wait(stream, &stream->reading, &waiter);
    if (waiter.count == 0 || status == WEFT_ECLOSED)
        return status;
    return status < 0 ? give_back(stream, status, buf, waiter.count) : (int)waiter.count;
}

static inline int read_begin(struct weft_stream *stream, const void *buf, size_t len, struct stream_visit *visit)
{
    if (stream == NULL || (buf == NULL && len > 0))
        return -EINVAL;
    int status = hold_begin(stream, visit);
    if (status < 0)
        return status;
    if (stream->is_busy)
        return hold_end(stream, visit, -EBUSY);
    stream->is_busy = true;
    return 0;
}

static inline int read_end(struct weft_stream *stream, struct stream_visit *visit, int status)
{
    stream->is_busy = false;
    return hold_end(stream, visit, status);
}

static void take(struct weft_stream *stream, void *buf, size_t len)
{
    stream_buffer_take(&stream->buffer, stream_pool(stream), buf, len);
    if (stream->buffer.len <= stream->limit)
        read_on(stream);
}

/* ---- reading ---- */

static int read_some(struct weft_stream *stream, void *buf, size_t len)
{
    int status = 0;
    while (status == 0 && len > 0 && stream->buffer.len == 0 && !stream->is_ended)
        status = wait_for_bytes(stream, buf, len);
    if (status != 0 || len == 0)
        return status;
    if (stream->buffer.len == 0)
        return stream->status;
    size_t count = stream->buffer.len < len ? stream->buffer.len : len;
    count = count < INT_MAX ? count : INT_MAX;
    take(stream, buf, count);
    return (int)count;
}

int weft_stream_read(struct weft_stream *stream, void *buf, size_t len)
{
    struct stream_visit visit;
    int status = read_begin(stream, buf, len, &visit);
    return status < 0 ? status : read_end(stream, &visit, read_some(stream, buf, len));
}

static int read_exactly(struct weft_stream *stream, void *buf, size_t len, size_t *count_out)
{
    int status = 0;
    while (status == 0 && stream->buffer.len < len && !stream->is_ended)
        status = wait_for_data(stream);
    if (status == 0 && stream->buffer.len < len)
        status = stream->status < 0 ? stream->status : WEFT_EEOF;
    if (status < 0 && status != WEFT_EEOF)
        return status;
    size_t count = stream->buffer.len < len ? stream->buffer.len : len;
    take(stream, buf, count);
    if (count_out != NULL)
        *count_out = count;
    return status;
}

int weft_stream_read_exactly(struct weft_stream *stream, void *buf, size_t len, size_t *count_out)
{
    struct stream_visit visit;
    int status = read_begin(stream, buf, len, &visit);
    return status < 0 ? status : read_end(stream, &visit, read_exactly(stream, buf, len, count_out));
}

/* Wait for a separator: where its record ends, or why there is none. */
static ssize_t wait_for_separator(struct weft_stream *stream, const void *separator, size_t separator_len)
{
    size_t from = 0;
    for (;;) {
        ssize_t end = stream_buffer_find(&stream->buffer, separator, separator_len, &from);
        if (end >= 0)
            return (size_t)end - separator_len > stream->limit ? WEFT_ELIMIT : end;
        if (from > stream->limit)
            return WEFT_ELIMIT;
        if (stream->is_ended)
            return stream->status < 0 ? stream->status : WEFT_EEOF;
        int status = wait_for_data(stream);
        if (status < 0)
            return status;
    }
}

static int read_until(struct weft_stream *stream, const void *separator, size_t separator_len, void *buf, size_t len)
{
    ssize_t end = wait_for_separator(stream, separator, separator_len);
    if (end > 0 && ((size_t)end > len || end > INT_MAX))
        end = WEFT_ELIMIT;
    if (end > 0)
        take(stream, buf, (size_t)end);
    return (int)end;
}

int weft_stream_read_until(struct weft_stream *stream, const void *separator, size_t separator_len, void *buf, size_t len)
{
    struct stream_visit visit;
    int status = separator == NULL || separator_len == 0 ? -EINVAL : read_begin(stream, buf, len, &visit);
    return status < 0 ? status : read_end(stream, &visit, read_until(stream, separator, separator_len, buf, len));
}

static int read_line(struct weft_stream *stream, void *buf, size_t len)
{
    int status = read_until(stream, "\n", 1, buf, len);
    if (status != WEFT_EEOF)
        return status;
    if (stream->buffer.len > len || stream->buffer.len > INT_MAX)
        return WEFT_ELIMIT;
    size_t count = stream->buffer.len;
    take(stream, buf, count);
    return (int)count;
}

int weft_stream_readline(struct weft_stream *stream, void *buf, size_t len)
{
    struct stream_visit visit;
    int status = read_begin(stream, buf, len, &visit);
    return status < 0 ? status : read_end(stream, &visit, read_line(stream, buf, len));
}

bool weft_stream_at_eof(const struct weft_stream *stream)
{
    struct stream_visit visit;
    if (stream == NULL)
        return false;
    int status = stream_enter(stream->loop, &visit);
    bool is_at_eof = stream->is_ended && stream->buffer.len == 0;
    if (status == 0)
        (void)stream_leave(&visit, 0);
    return is_at_eof;
}

int weft_stream_set_limit(struct weft_stream *stream, size_t limit_bytes)
{
    struct stream_visit visit;
    int status = stream == NULL || limit_bytes == 0 ? -EINVAL : stream_enter(stream->loop, &visit);
    if (status < 0)
        return status;
    stream->limit = limit_bytes;
    return stream_leave(&visit, 0);
}

/* ---- writing ---- */

/* Come to the transport that is to be written to; before connection_made there is none. */
static int write_begin(struct weft_stream *stream, struct stream_visit *visit)
{
    int status = stream == NULL ? -EINVAL : stream_enter(stream->loop, visit);
    if (status < 0)
        return status;
    return stream->transport == NULL ? stream_leave(visit, -ENOTCONN) : 0;
}

/* Apart, as drain_visiting() is, so that a call which has nowhere to go needs no room for a way back. */
__attribute__((noinline)) static int write_visiting(struct weft_stream *stream, const void *data, size_t len)
{
    struct stream_visit visit;
    int status = write_begin(stream, &visit);
    return status < 0 ? status : stream_leave(&visit, weft_transport_write(stream->transport, data, len));
}

int weft_stream_write(struct weft_stream *stream, const void *data, size_t len)
{
    if (stream != NULL && stream_is_here(stream->loop) && stream->transport != NULL)
        return weft_transport_write(stream->transport, data, len);
    return write_visiting(stream, data, len);
}

int weft_stream_writev(struct weft_stream *stream, const struct iovec *iov, size_t count)
{
    struct stream_visit visit;
    int status = write_begin(stream, &visit);
    return status < 0 ? status : stream_leave(&visit, weft_transport_writev(stream->transport, iov, count));
}

int weft_stream_write_eof(struct weft_stream *stream)
{
    struct stream_visit visit;
    int status = write_begin(stream, &visit);
    return status < 0 ? status : stream_leave(&visit, weft_transport_write_eof(stream->transport));
}

int weft_stream_close(struct weft_stream *stream)
{
    struct stream_visit visit;
    int status = write_begin(stream, &visit);
    return status < 0 ? status : stream_leave(&visit, weft_transport_close(stream->transport));
}

static int drain(struct weft_stream *stream)
{
    struct stream_waiter waiter;
    int status = 0;
    while (status == 0 && !stream->is_lost && stream->is_writing_paused)
        status = stream_wait(stream, &stream->draining, &waiter);
    if (status < 0 || !stream->is_lost)
        return status;
    return stream->status < 0 ? stream->status : WEFT_ELOST;
}

__attribute__((noinline)) static int drain_visiting(struct weft_stream *stream)
{
    struct stream_visit visit;
    int status = stream == NULL ? -EINVAL : hold_begin(stream, &visit);
    return status < 0 ? status : hold_end(stream, &visit, drain(stream));
}

int weft_stream_drain(struct weft_stream *stream)
{
    bool is_drained = stream != NULL && stream_is_here(stream->loop) && !stream->is_lost && !stream->is_writing_paused;
    return is_drained ? 0 : drain_visiting(stream); /* most of the time it is */
}

static int wait_closed(struct weft_stream *stream)
{
    struct stream_waiter waiter;
    int status = 0;
    while (status == 0 && !stream->is_lost)
        status = stream_wait(stream, &stream->closing, &waiter);
    return status < 0 ? status : stream->status;
}

int weft_stream_wait_closed(struct weft_stream *stream)
{
    struct stream_visit visit;
    int status = stream == NULL ? -EINVAL : hold_begin(stream, &visit);
    return status < 0 ? status : hold_end(stream, &visit, wait_closed(stream));
}
