/*
 * Stream: a connection for fibers, asyncio's StreamReader and StreamWriter in one: straight-line code instead of callbacks.
 *
 *     static int serve(struct weft_stream *stream, void *arg)
 *     {
 *         char buf[4096];
 *         int count;
 *         while ((count = weft_stream_read(stream, buf, sizeof(buf))) > 0) {
 *             int status = weft_stream_write(stream, buf, (size_t)count);
 *             if (status < 0 || (status = weft_stream_drain(stream)) < 0)
 *                 return status;
 *         }
 *         return count;
 *     }
 *
 *     weft_loop_start_stream_server(loop, serve, NULL, &options, &server);
 *
 * A stream belongs to the loop that it was made on, and its protocol is called there only. A fiber of any other loop of the same runtime
 * may use it: each call takes the fiber to the stream's loop, and a pinned one back before it returns, which costs a wake-up each way. A
 * stealable fiber stays there until something else takes it away. No cancellation is delivered on these ways. Whoever has no fiber
 * makes calls that do not wait on the stream's loop only; elsewhere it is refused (WEFT_EWRONGTHREAD), and starts a fiber instead.
 *
 * Calls that wait need a fiber (WEFT_ENOFIBER). A wait that is cancelled returns -ECANCELED and loses no byte: what came stays to be read.
 * One task reads at a time, and any number may write.
 */
#ifndef WEFT_STREAM_H
#define WEFT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/server.h"
#include "weft/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_stream;

/* How much a line or a separated record may be long, and when reading from the peer pauses: at twice as much. */
#define WEFT_STREAM_LIMIT ((size_t)65536)

/*
 * Connect, waiting until the connection stands. asyncio.open_connection.
 *
 * thread:  a fiber
 * memory:  the caller gets a reference
 * returns: 0; as weft_loop_create_connection() and its future; WEFT_ENOLOOP; WEFT_ENOFIBER
 */
int weft_stream_open(const struct weft_connection_options *options, struct weft_stream **stream_out);

/*
 * Serve one connection as a fiber of its own. The stream is closed and let go as this returns.
 *
 * thread:  the server's loop, in a task of its own
 * memory:  stream is borrowed; take a reference to keep it
 * returns: 0; a status below 0, which is reported to the exception handler, but for -ECANCELED
 */
typedef int weft_stream_client_fn(struct weft_stream *stream, void *arg);

/*
 * Create a server that starts a fiber with `client` for each connection. asyncio.start_server.
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  as weft_loop_create_server(); arg is borrowed as long as the server and its connections live
 * returns: as weft_loop_create_server()
 */
int weft_loop_start_stream_server(struct weft_loop *loop, weft_stream_client_fn *client, void *arg,
                                  const struct weft_server_options *options, struct weft_server **server_out);

/*
 * Make a stream of the connected socket `fd`. No wait.
 *
 * thread:  the loop's thread, or the preparing one, or a fiber of the runtime
 * memory:  the caller gets a reference; fd belongs to the stream on success
 * returns: as weft_loop_connect_accepted_socket()
 */
int weft_stream_from_socket(struct weft_loop *loop, int fd, struct weft_stream **stream_out);

/*
 * Set the limit, WEFT_STREAM_LIMIT at first.
 *
 * thread:  the stream's loop, or a fiber of the runtime
 * returns: 0; -EINVAL for 0; WEFT_EWRONGTHREAD
 */
int weft_stream_set_limit(struct weft_stream *stream, size_t limit_bytes);

/*
 * Read what is there, at most `len` bytes, waiting for at least one.
 *
 * thread:  a fiber of the runtime
 * returns: the count; 0 at the end of the stream, and for len 0; -EBUSY if another task reads; what broke the connection, once what came
 *          before is read; -EINVAL; -ECANCELED; -ENOMEM; WEFT_EWRONGTHREAD; WEFT_ENOFIBER
 */
int weft_stream_read(struct weft_stream *stream, void *buf, size_t len);

/*
 * Read exactly `len` bytes. At the end of the stream what is left goes to `buf` and its count to *count_out (may be NULL).
 *
 * thread:  a fiber of the runtime
 * returns: 0; WEFT_EEOF; as weft_stream_read()
 */
int weft_stream_read_exactly(struct weft_stream *stream, void *buf, size_t len, size_t *count_out);

/*
 * Read up to and with the separator, `separator_len` bytes (at least one), into `buf`.
 *
 * thread:  a fiber of the runtime
 * returns: the count; WEFT_ELIMIT if there is no separator within the stream's limit or the record is longer than `len`: nothing is read;
 *          WEFT_EEOF at the end of the stream: nothing is read, weft_stream_read() has the rest; as weft_stream_read()
 */
int weft_stream_read_until(struct weft_stream *stream, const void *separator, size_t separator_len, void *buf, size_t len);

/*
 * Read a line with its "\n". The last one may lack it.
 *
 * thread:  a fiber of the runtime
 * returns: the count; 0 at the end of the stream; WEFT_ELIMIT as weft_stream_read_until(); as weft_stream_read()
 */
int weft_stream_readline(struct weft_stream *stream, void *buf, size_t len);

/*
 * True at the end of the stream, when all has been read.
 *
 * thread:  the stream's loop, or a fiber of the runtime
 */
bool weft_stream_at_eof(const struct weft_stream *stream);

/*
 * Write, as weft_transport_write(): nothing waits. Call weft_stream_drain() now and then.
 *
 * thread:  the stream's loop, or a fiber of the runtime
 * memory:  data is copied
 * returns: as weft_transport_write()
 */
int weft_stream_write(struct weft_stream *stream, const void *data, size_t len);

/*
 * Write the `count` pieces at `iov`, as weft_transport_writev().
 *
 * thread:  the stream's loop, or a fiber of the runtime
 * memory:  the pieces are copied
 * returns: as weft_transport_write()
 */
int weft_stream_writev(struct weft_stream *stream, const struct iovec *iov, size_t count);

/*
 * Wait while more than the high limit waits to be sent, see weft_transport_set_write_buffer_limits().
 *
 * thread:  a fiber of the runtime
 * returns: 0; what broke the connection; WEFT_ELOST if it is over otherwise; -ECANCELED; -ENOMEM; WEFT_EWRONGTHREAD; WEFT_ENOFIBER
 */
int weft_stream_drain(struct weft_stream *stream);

/*
 * As weft_transport_write_eof().
 *
 * thread:  the stream's loop, or a fiber of the runtime
 * returns: as weft_transport_write_eof()
 */
int weft_stream_write_eof(struct weft_stream *stream);

/*
 * As weft_transport_close(): what was written is still sent. Twice is harmless.
 *
 * thread:  the stream's loop, or a fiber of the runtime
 * returns: 0; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_stream_close(struct weft_stream *stream);

/*
 * Wait until the connection is over.
 *
 * thread:  a fiber of the runtime
 * returns: 0; what broke the connection; -ECANCELED; -ENOMEM; WEFT_EWRONGTHREAD; WEFT_ENOFIBER
 */
int weft_stream_wait_closed(struct weft_stream *stream);

/*
 * The transport, for what has no call here.
 *
 * thread:  the stream's loop, also for what is done with it
 * memory:  borrowed from the stream
 */
struct weft_transport *weft_stream_get_transport(const struct weft_stream *stream);

/*
 * Add a reference.
 *
 * thread:  the stream's loop, or a fiber of the runtime
 * returns: stream
 */
struct weft_stream *weft_stream_ref(struct weft_stream *stream);

/*
 * Drop a reference; the last one closes a stream that is open. NULL is ignored.
 *
 * thread:  the stream's loop, or a fiber of the runtime
 */
void weft_stream_unref(struct weft_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
