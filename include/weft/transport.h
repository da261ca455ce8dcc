/*
 * Transport: one connection of one loop, as its protocol sees it, and how a kind of loop makes its own.
 *
 * A transport comes from a server (weft/server.h), from weft_loop_create_connection() or from weft_loop_connect_accepted_socket(). It
 * calls the protocol's connection_made, starts to read, and ends with connection_lost, after which the memory goes unless somebody holds
 * a reference.
 *
 * Everything here belongs to the thread of the transport's loop; a call from elsewhere returns WEFT_EWRONGTHREAD, and any call WEFT_ECLOSED
 * once the loop is closed. Writes never block and never report a broken connection: that is what connection_lost is for.
 *
 * What is written is kept and sent in one call as the protocol's callback returns, or at the end of the loop's iteration, or at once from
 * 16 KiB on.
 *
 *     static int echo_received(struct weft_protocol *protocol, const void *data, size_t len)
 *     {
 *         struct echo *echo = weft_container_of(protocol, struct echo, protocol);
 *         return weft_transport_write(echo->transport, data, len);
 *     }
 */
#ifndef WEFT_TRANSPORT_H
#define WEFT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "weft/protocol.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_context;
struct weft_future;
struct weft_loop;
struct weft_server;
struct weft_transport;

/* ---- writing ------------------------------------------------------------------------------------------------------------------ */

/*
 * Write `len` bytes: they are copied, and sent later. On a transport that is closing or lost they are dropped silently.
 *
 * May call the protocol's pause_writing, if more than the high limit waits afterwards.
 *
 * thread:  the transport's loop
 * memory:  data is copied
 * returns: 0; -ENOMEM or WEFT_EFULL (see weft_transport_set_write_buffer_max()), and nothing was taken; -EPIPE after write_eof; -EINVAL;
 *          WEFT_EWRONGTHREAD; a fatal status that pause_writing returned
 */
int weft_transport_write(struct weft_transport *transport, const void *data, size_t len);

/*
 * Write the `count` pieces at `iov`, all or nothing. Empty pieces are skipped.
 *
 * thread:  the transport's loop
 * memory:  the pieces are copied
 * returns: as weft_transport_write()
 */
int weft_transport_writev(struct weft_transport *transport, const struct iovec *iov, size_t count);

/*
 * End the writing side once everything written is sent; reading goes on. Twice is harmless.
 *
 * thread:  the transport's loop
 * returns: 0, also on a closing transport; -ENOTSUP where weft_transport_can_write_eof() is false; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_transport_write_eof(struct weft_transport *transport);

/*
 * True if the transport can end its writing side alone.
 *
 * thread:  the transport's loop
 */
bool weft_transport_can_write_eof(const struct weft_transport *transport);

/*
 * Set between which limits the protocol's writing is paused: above `high` pause_writing, at or below `low` resume_writing.
 *
 * A limit below 0 is not given: neither means 16 KiB and 64 KiB, `high` alone a quarter of it for `low`, `low` alone four times it for
 * `high`. What waits already is measured at once.
 *
 * thread:  the transport's loop
 * returns: 0; -EINVAL if high < low; WEFT_EWRONGTHREAD; a fatal status that pause_writing returned
 */
int weft_transport_set_write_buffer_limits(struct weft_transport *transport, int64_t high_bytes, int64_t low_bytes);

/*
 * Read the limits; either pointer may be NULL.
 *
 * thread:  the transport's loop
 */
void weft_transport_get_write_buffer_limits(const struct weft_transport *transport, size_t *high_out, size_t *low_out);

/*
 * How many written bytes the kernel has not taken yet.
 *
 * thread:  the transport's loop
 */
size_t weft_transport_get_write_buffer_size(const struct weft_transport *transport);

/*
 * Let writes fail with WEFT_EFULL from the one on with which more than `max_bytes` would wait; 0: no limit, as at first.
 *
 * thread:  the transport's loop
 * returns: 0; -ENOMEM; -ENOTSUP; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_transport_set_write_buffer_max(struct weft_transport *transport, size_t max_bytes);

/* ---- reading ------------------------------------------------------------------------------------------------------------------ */

/*
 * Call data_received no more until weft_transport_resume_reading(). What arrives meanwhile is not lost. Twice, and on a closing transport,
 * it does nothing.
 *
 * thread:  the transport's loop
 * returns: 0; -ENOTSUP; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_transport_pause_reading(struct weft_transport *transport);

/*
 * Go on reading; what came meanwhile is delivered from the loop's queue. Does nothing on a transport that reads or is closing.
 *
 * thread:  the transport's loop
 * returns: 0; -ENOTSUP; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_transport_resume_reading(struct weft_transport *transport);

/*
 * True if it is neither paused nor closing.
 *
 * thread:  the transport's loop
 */
bool weft_transport_is_reading(const struct weft_transport *transport);

/* ---- the end ------------------------------------------------------------------------------------------------------------------ */

/*
 * Close: read no more, send what was written, then connection_lost(0), from the loop's queue. Twice is harmless.
 *
 * thread:  the transport's loop
 * returns: 0; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_transport_close(struct weft_transport *transport);

/*
 * Close at once: what waits to be sent is dropped. connection_lost(0) comes from the loop's queue. Twice is harmless.
 *
 * thread:  the transport's loop
 * returns: 0; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_transport_abort(struct weft_transport *transport);

/*
 * True from close, abort or the loss of the connection on.
 *
 * thread:  the transport's loop
 */
bool weft_transport_is_closing(const struct weft_transport *transport);

/*
 * Set how long nothing may move in either direction (`idle_ns`), and how long what waits to be sent may stand still (`write_ns`), before
 * the connection ends with -ETIMEDOUT. 0 is no limit. They are kept by one coarse timer: up to 20 ms late, never early.
 *
 * thread:  the transport's loop
 * returns: 0; -ENOMEM; -ENOTSUP; -EINVAL if below 0; WEFT_EWRONGTHREAD
 */
int weft_transport_set_timeouts(struct weft_transport *transport, int64_t idle_ns, int64_t write_ns);

/*
 * End the connection with -ETIMEDOUT `delay_ns` from now, whatever moves, unless this is called again before; 0 takes it back. For what
 * must be complete in time: a request's header, a handshake.
 *
 * thread:  the transport's loop
 * returns: as weft_transport_set_timeouts()
 */
int weft_transport_set_deadline(struct weft_transport *transport, int64_t delay_ns);

/* ---- what it is --------------------------------------------------------------------------------------------------------------- */

/*
 * Put another protocol in place; connection_lost will go to it. The old one is the caller's again and hears nothing any more.
 *
 * thread:  the transport's loop
 * memory:  protocol is borrowed until its connection_lost
 * returns: 0; -EINVAL; WEFT_EWRONGTHREAD
 */
int weft_transport_set_protocol(struct weft_transport *transport, struct weft_protocol *protocol);

/*
 * The protocol.
 *
 * thread:  the transport's loop
 * returns: NULL after connection_lost
 */
struct weft_protocol *weft_transport_get_protocol(const struct weft_transport *transport);

/*
 * The loop that the transport belongs to.
 *
 * thread:  any
 * memory:  lives as long as the transport
 */
struct weft_loop *weft_transport_get_loop(const struct weft_transport *transport);

/* What weft_transport_get_extra() tells. Kinds of transports add their own from WEFT_EXTRA_KIND on. */
enum weft_extra {
    WEFT_EXTRA_PEERNAME = 1, /* struct sockaddr_storage: the peer's address */
    WEFT_EXTRA_SOCKNAME = 2, /* struct sockaddr_storage: the own address */
    WEFT_EXTRA_FD = 3,       /* int: the descriptor; never close it */
    WEFT_EXTRA_KIND = 256,
};

/*
 * Copy extra information to `buf`. *len_inout is the room there and becomes the length.
 *
 * thread:  the transport's loop
 * returns: 0; -ENOTSUP for what this transport does not know; -ENOBUFS; -EINVAL; WEFT_EWRONGTHREAD; what the system says: -ENOTCONN …
 */
int weft_transport_get_extra(const struct weft_transport *transport, enum weft_extra what, void *buf, size_t *len_inout);

/*
 * Add a reference to the memory. It does not keep the connection open.
 *
 * thread:  any
 * returns: transport
 */
struct weft_transport *weft_transport_ref(struct weft_transport *transport);

/*
 * Drop a reference, which does not close. NULL is ignored.
 *
 * thread:  any
 */
void weft_transport_unref(struct weft_transport *transport);

/* ---- clients ------------------------------------------------------------------------------------------------------------------ */

/* Where to connect to. Start with WEFT_CONNECTION_OPTIONS and give either host and port, or path. Strings are copied. */
struct weft_connection_options {
    size_t size;
    const char *host;       /* a name, or a numeric address, which is not looked up */
    const char *path;       /* a UNIX socket; "@name" is an abstract one */
    const char *local_host; /* numeric: bind to it first; NULL: the system chooses */
    uint16_t port;
    uint16_t local_port;             /* with local_host; 0: the system chooses */
    int family;                      /* AF_UNSPEC, AF_INET or AF_INET6 */
    int64_t happy_eyeballs_delay_ns; /* start the next address after so long (RFC 8305: 250 ms); 0: when the one before has failed */
    uint32_t interleave;             /* addresses of the first family before the other's turn; 0: 1 with happy eyeballs, else as found */
    uint32_t flags;                  /* 0 */
    int64_t timeout_ns;              /* for everything together; 0: none */
};

#define WEFT_CONNECTION_OPTIONS                                                                                                            \
    {                                                                                                                                      \
        sizeof(struct weft_connection_options), NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0                                                      \
    }

/*
 * Connect: look the host up, try its addresses, make a protocol for the first that answers, then its transport.
 *
 * The future's result is the transport, after connection_made; cancelling it gives the attempt up. If no address answers it fails as the
 * first of them did; weft_connection_errors() has all.
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  arg is borrowed until the future is done; the result is borrowed from the future, which holds a reference on it
 * returns: 0; -ENOMEM; -EINVAL; -ENAMETOOLONG for the path; WEFT_ECLOSED; WEFT_EWRONGTHREAD; what the loop's executor says if
 *          the host is a name. Through the future: WEFT_ENONAME, WEFT_ENAMEAGAIN, WEFT_ENAMEFAIL; -ETIMEDOUT; what connect, socket, bind
 *          and the factory say
 */
int weft_loop_create_connection(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg,
                                const struct weft_connection_options *options, struct weft_future **future_out);

/*
 * Copy the statuses of the addresses that failed, in their order, of a future of weft_loop_create_connection(); at most `count_max`.
 *
 * thread:  any, once the future is done
 * returns: how many there are
 */
size_t weft_connection_errors(struct weft_future *future, int *statuses, size_t count_max);

/*
 * Make a transport for the connected stream socket `fd`, which becomes non-blocking and close-on-exec. The future's result is the
 * transport, as in weft_loop_create_connection().
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  fd belongs to the transport on success; on failure it stays the caller's
 * returns: 0; -ENOMEM; -EINVAL; -EBADF; -ENOTSOCK; WEFT_ECLOSED; WEFT_EWRONGTHREAD; what the factory says
 */
int weft_loop_connect_accepted_socket(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg, int fd,
                                      struct weft_future **future_out);

/* ---- for those who bring transports of their own --------------------------------------------------------------------------------- */

/*
 * What make_socket is asked for. It starts with its size so that arguments can be added behind: a maker compiled before reads only what
 * it knew, and one compiled later takes what is beyond `size` as 0 (weft_make_socket_get() does that).
 */
struct weft_make_socket {
    size_t size;
    struct weft_protocol *protocol;
    int fd;
    uint32_t flags;               /* 0 */
    struct weft_future *waiter;   /* to complete with NULL after connection_made and the start of reading; NULL: nobody waits */
    struct weft_server *server;   /* to attach to; NULL: none */
    struct weft_context *context; /* to run the callbacks in; NULL: the loop's plain one */
};

struct weft_make_ssl;
struct weft_make_datagram;
struct weft_make_pipe;
struct weft_make_subprocess;

/*
 * The factories of a kind of loop (weft_loop_kind.transport). Each is called by the loop's thread, makes a transport that will call
 * connection_made, start to read, and complete the waiter, as three successive entries of the loop's queue, and returns 0 with a borrowed
 * `*transport_out`, or a status below 0: then descriptor and protocol stay the caller's. A NULL slot inherits.
 *
 * thread:  the loop's, or the preparing one
 */
struct weft_transport_ops {
    size_t size; /* sizeof(struct weft_transport_ops) as its author knew it */
    int (*make_socket)(struct weft_loop *loop, const struct weft_make_socket *args, struct weft_transport **transport_out);
    int (*make_ssl)(struct weft_loop *loop, const struct weft_make_ssl *args, struct weft_transport **transport_out);
    int (*make_datagram)(struct weft_loop *loop, const struct weft_make_datagram *args, struct weft_transport **transport_out);
    int (*make_read_pipe)(struct weft_loop *loop, const struct weft_make_pipe *args, struct weft_transport **transport_out);
    int (*make_write_pipe)(struct weft_loop *loop, const struct weft_make_pipe *args, struct weft_transport **transport_out);
    int (*make_subprocess)(struct weft_loop *loop, const struct weft_make_subprocess *args, struct weft_transport **transport_out);
};

/*
 * The table that every kind ends in: make_socket is there; what is not built yet is NULL. A kind that wraps calls it from its own slot.
 *
 * thread:  any
 * memory:  static
 */
const struct weft_transport_ops *weft_transport_base_ops(void);

/*
 * Make a transport for `args` with the factory of the loop's kind, or the base's.
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  as weft_transport_ops
 * returns: what the factory says; -EINVAL; WEFT_ECLOSED; WEFT_EWRONGTHREAD
 */
int weft_loop_make_socket(struct weft_loop *loop, const struct weft_make_socket *args, struct weft_transport **transport_out);

/*
 * Copy `args` into `args_out`, whose size the caller has set to what he knows, with zeroes for what `args` is too old to have.
 *
 * thread:  any
 * returns: 0; WEFT_EPROTOCOL if either is too short for the first version
 */
int weft_make_socket_get(const struct weft_make_socket *args, struct weft_make_socket *args_out);

/* What set_option sets. */
enum weft_transport_option {
    WEFT_TRANSPORT_IDLE_NS = 1,
    WEFT_TRANSPORT_WRITE_NS = 2,
    WEFT_TRANSPORT_DEADLINE_NS = 3,
    WEFT_TRANSPORT_WRITE_BUFFER_MAX = 4,
};

/*
 * What a stream transport does. The calls above check their arguments and the thread, look at `flags` and call these; none is called on
 * a transport of another thread. A NULL slot, or one beyond `size`, is -ENOTSUP; write, close, abort and destroy must be there.
 *
 * thread:  the transport's loop, but for destroy
 */
struct weft_transport_stream_ops {
    size_t size; /* sizeof(struct weft_transport_stream_ops) as its author knew it */
    /* Take the pieces, all or nothing. Not called when closing or after write_eof. */
    int (*write)(struct weft_transport *transport, const struct iovec *iov, size_t count);
    /* End the writing side after what waits. WEFT_TRANSPORT_EOF_WRITTEN is set already; called once, not when closing. */
    int (*write_eof)(struct weft_transport *transport);
    /* Close after what waits. WEFT_TRANSPORT_CLOSING is set already; called once. */
    void (*close)(struct weft_transport *transport);
    /* End now: connection_lost(status) from the queue. May be called on a closing one, also twice. */
    void (*abort)(struct weft_transport *transport, int status);
    /* Start or stop to read. WEFT_TRANSPORT_PAUSED tells the same and has just changed. Not called when closing. */
    int (*set_reading)(struct weft_transport *transport, bool is_reading);
    /* Set an option; nanoseconds or bytes. */
    int (*set_option)(struct weft_transport *transport, enum weft_transport_option option, uint64_t value);
    /* As weft_transport_get_extra(). */
    int (*get_extra)(const struct weft_transport *transport, enum weft_extra what, void *buf, size_t *len_inout);
    /* Free the object; the last reference is gone. Any thread. */
    void (*destroy)(struct weft_transport *transport);
};

/* Bits of weft_transport.flags. The first three are set by the calls above, before the slot is called. */
#define WEFT_TRANSPORT_CLOSING        1u   /* close or abort was called, or the connection broke; never cleared */
#define WEFT_TRANSPORT_EOF_WRITTEN    2u   /* write_eof was called; never cleared */
#define WEFT_TRANSPORT_PAUSED         4u   /* reading is paused */
#define WEFT_TRANSPORT_WRITING_PAUSED 8u   /* between pause_writing and resume_writing */
#define WEFT_TRANSPORT_LOST           16u  /* connection_lost was called, or will be; what comes is dropped */
#define WEFT_TRANSPORT_OWN            256u /* from here on the kind's own */

/* The head of every transport: read-only for its users, kept by its kind through the calls below. */
struct weft_transport {
    const struct weft_transport_stream_ops *ops;
    struct weft_loop *loop;
    struct weft_protocol *protocol;
    struct weft_server *server;
    struct weft_transport *next, *prev; /* in the list of its server, or of its loop */
    uint32_t refs;
    uint32_t flags;
    size_t write_bytes; /* wait to be sent */
    size_t write_high;
    size_t write_low;
};

/*
 * Make `transport`, a part of another object, one of `loop` with one reference, in the list of args->server or of the loop. From now on
 * server and loop may call its close and abort.
 *
 * thread:  the loop's thread, or the preparing one
 * memory:  ops is static; the loop and the server are referenced until weft_transport_detach() and the last unref
 * returns: 0; -ENOMEM; WEFT_EPROTOCOL if a slot is missing
 */
int weft_transport_init(struct weft_transport *transport, const struct weft_transport_stream_ops *ops, struct weft_loop *loop,
                        const struct weft_make_socket *args);

/*
 * Take it out of its server and list, after connection_lost. Once.
 *
 * thread:  the loop's thread
 */
void weft_transport_detach(struct weft_transport *transport);

/*
 * Say that `bytes` wait to be sent now, and call pause_writing or resume_writing if that crosses a limit.
 *
 * thread:  the loop's thread
 * returns: 0; a fatal status of the callback
 */
int weft_transport_set_write_buffer_size(struct weft_transport *transport, size_t bytes);

/* What the transports of a loop counted. */
struct weft_transport_counters {
    uint64_t opened;   /* transports made */
    uint64_t closed;   /* connections lost, for any reason */
    uint64_t accepted; /* of the opened ones, by servers */
    uint64_t resets;   /* ended by the peer's reset */
    uint64_t timeouts; /* ended by a timeout or deadline */
    uint64_t bytes_read;
    uint64_t bytes_written;
    uint64_t accept_errors; /* times accepting had to pause */
};

/*
 * Copy the counters.
 *
 * thread:  the loop's thread, or any while it does not run
 * returns: 0; -EINVAL
 */
int weft_loop_get_transport_counters(const struct weft_loop *loop, struct weft_transport_counters *counters_out);

#ifdef __cplusplus
}
#endif

#endif
