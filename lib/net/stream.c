/*
 * Stream: a connection for fibers; here its life and its protocol.
 *
 * Two hold a stream: the connection, until connection_lost, and whoever got it. What comes is put into the buffer, or where the reader wants
 * it, and wakes the reader. One that was cancelled meanwhile gives back what it was given, so a cancelled wait loses nothing. More than twice
 * the limit pauses the peer.
 */
#include "lib/net/stream.h"

#include <errno.h>
#include <string.h>

#include "lib/loop/loop.h"
#include "lib/net/address.h"
#include "lib/task/fiber.h"
#include "lib/task/task.h"
#include "weft/fiber.h"
#include "weft/memory.h"
#include "weft/status.h"

static struct weft_stream *stream_of(struct weft_protocol *protocol)
{
    return weft_container_of(protocol, struct weft_stream, protocol);
}

static void wake(const struct weft_stream *stream, struct stream_waiter *waiters)
{
    for (; waiters != NULL; waiters = waiters->next)
        park_wake(&waiters->park, stream->loop);
}

/* Drop a reference, on the loop or where it closes. */
static void stream_release(struct weft_stream *stream)
{
    stream->refs--;
    if (stream->refs == 1 && !stream->is_lost && stream->transport != NULL)
        (void)weft_transport_close(stream->transport); /* only the connection is left */
    if (stream->refs > 0)
        return;
    struct weft_loop *loop = stream->loop;
    weft_transport_unref(stream->transport);
    stream_buffer_fini(&stream->buffer);
    weft_free(stream);
    weft_loop_unref(loop);
}

/* ---- the protocol ---- */

static int stream_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    struct weft_stream *stream = stream_of(protocol);
    if (stream->transport == NULL)
        stream->transport = weft_transport_ref(transport);
    if (stream->client == NULL)
        return 0;
    int status = stream_serve(stream);
    if (status < 0)
        (void)weft_transport_abort(transport);
    return status;
}

/* Bytes go where the reader wants them, if it waits for those: how many. */
static size_t give_reader(struct weft_stream *stream, const void *data, size_t len)
{
    struct stream_waiter *reader = stream->reading;
    if (reader == NULL || reader->buf == NULL || stream->buffer.len > 0)
        return 0;
    reader->count = len < reader->len ? len : reader->len;
    memcpy(reader->buf, data, reader->count);
    reader->buf = NULL; /* until it runs, others go behind these */
    return reader->count;
}

static int stream_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    struct weft_stream *stream = stream_of(protocol);
    size_t given = give_reader(stream, data, len);
    int status = given == len ? 0 : stream_buffer_append(&stream->buffer, stream_pool(stream), (const char *)data + given, len - given);
    if (status < 0)
        return status;
    if (stream->buffer.len / 2 > stream->limit)
        (void)weft_transport_pause_reading(stream->transport);
    wake(stream, stream->reading);
    return 0;
}

static int stream_eof(struct weft_protocol *protocol)
{
    struct weft_stream *stream = stream_of(protocol);
    stream->is_ended = true;
    wake(stream, stream->reading);
    return 1;
}

static int stream_lost(struct weft_protocol *protocol, int status)
{
    struct weft_stream *stream = stream_of(protocol);
    stream->is_ended = stream->is_lost = true;
    stream->status = status;
    wake(stream, stream->reading);
    wake(stream, stream->draining);
    wake(stream, stream->closing);
    if (stream->client != NULL)
        stream_release(stream); /* the fiber's that never began */
    stream_release(stream);
    return 0;
}

static int stream_pause(struct weft_protocol *protocol)
{
    stream_of(protocol)->is_writing_paused = true;
    return 0;
}

static int stream_resume(struct weft_protocol *protocol)
{
    struct weft_stream *stream = stream_of(protocol);
    stream->is_writing_paused = false;
    wake(stream, stream->draining);
    return 0;
}

static const struct weft_protocol_ops stream_ops = {
    .size = sizeof(stream_ops),
    .connection_made = stream_made,
    .data_received = stream_received,
    .eof_received = stream_eof,
    .connection_lost = stream_lost,
    .pause_writing = stream_pause,
    .resume_writing = stream_resume,
};

/* ---- calls from elsewhere ---- */

/*
 * A fiber that runs on some loop goes to this one even if it does not run at the moment, as while its runtime starts: it is not for us to
 * prepare. Whoever has no fiber may prepare it.
 */
int stream_enter_slowly(struct weft_loop *loop, struct stream_visit *visit)
{
    int status = loop_check(loop);
    if ((status < 0 && status != WEFT_EWRONGTHREAD) || !fiber_is_here())
        return status;
    status = fiber_visit(&visit->stay, loop);
    if (status < 0)
        return status;
    visit->is_away = true;
    status = loop_check(loop);
    return status < 0 ? stream_leave(visit, status) : 0;
}

/* ---- its life ---- */

int stream_create(struct weft_loop *loop, struct weft_stream **stream_out)
{
    struct weft_stream *stream = weft_calloc(1, sizeof(*stream));
    if (stream == NULL)
        return -ENOMEM;
    stream->protocol.ops = &stream_ops;
    stream->loop = weft_loop_ref(loop);
    stream->limit = WEFT_STREAM_LIMIT;
    stream->refs = 2;
    *stream_out = stream;
    return 0;
}

struct weft_stream *weft_stream_ref(struct weft_stream *stream)
{
    struct stream_visit visit;
    if (stream == NULL)
        return NULL;
    int status = stream_enter(stream->loop, &visit);
    stream->refs++;
    if (status == 0)
        (void)stream_leave(&visit, 0);
    return stream;
}

/* A loop that cannot be entered because it closes has no thread any more that would mind. */
void weft_stream_unref(struct weft_stream *stream)
{
    struct stream_visit visit;
    if (stream == NULL)
        return;
    int status = stream_enter(stream->loop, &visit);
    stream_release(stream);
    if (status == 0)
        (void)stream_leave(&visit, 0);
}

/* What the factories of a stream are given: who wants it. */
struct opening {
    struct weft_loop *loop;
    struct weft_stream *stream;
};

static int opening_factory(void *arg, struct weft_protocol **protocol_out)
{
    struct opening *opening = arg;
    int status = stream_create(opening->loop, &opening->stream);
    if (status == 0)
        *protocol_out = &opening->stream->protocol;
    return status;
}

int weft_stream_open(const struct weft_connection_options *options, struct weft_stream **stream_out)
{
    struct opening opening = {weft_get_running_loop(), NULL};
    struct weft_future *future;
    if (stream_out == NULL)
        return -EINVAL;
    if (opening.loop == NULL)
        return WEFT_ENOLOOP;
    if (!fiber_is_here())
        return WEFT_ENOFIBER;
    int status = weft_loop_create_connection(opening.loop, opening_factory, &opening, options, &future);
    if (status < 0)
        return status;
    struct weft_task *held = fiber_hold_here(); /* the factory, on this loop, writes to this frame */
    status = weft_await(future, NULL);
    if (status < 0)
        (void)weft_future_cancel(future, NULL); /* it may not be called any more */
    task_unhold(held);
    weft_future_unref(future);
    if (status < 0)
        weft_stream_unref(opening.stream);
    else
        *stream_out = opening.stream;
    return status;
}

static int stream_from_socket(struct weft_loop *loop, int fd, struct weft_stream **stream_out)
{
    struct weft_stream *stream = NULL;
    struct weft_transport *transport;
    int status = address_prepare(fd);
    if (status == 0)
        status = stream_create(loop, &stream);
    if (status < 0)
        return status;
    struct weft_make_socket args = {.size = sizeof(args), .fd = fd, .protocol = &stream->protocol};
    status = weft_loop_make_socket(loop, &args, &transport);
    if (status < 0) {
        (void)stream_lost(&stream->protocol, status);
        weft_stream_unref(stream);
        return status;
    }
    stream->transport = weft_transport_ref(transport); /* it can be written to before connection_made */
    *stream_out = stream;
    return 0;
}

int weft_stream_from_socket(struct weft_loop *loop, int fd, struct weft_stream **stream_out)
{
    struct stream_visit visit;
    int status = loop == NULL || stream_out == NULL ? -EINVAL : stream_enter(loop, &visit);
    return status < 0 ? status : stream_leave(&visit, stream_from_socket(loop, fd, stream_out));
}

struct weft_transport *weft_stream_get_transport(const struct weft_stream *stream)
{
    if (stream == NULL)
        return NULL;
    return stream->transport;
}
