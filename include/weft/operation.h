/*
 * Operation: one thing asked of a file, completed by a callback. Accept, connect, recv, send, poll, close.
 *
 * Two nouns live here. A `weft_file` stands for one file descriptor on one poller; a `weft_operation` names a file and what to do with
 * it. Both are embedded in the object of their owner, and nothing here allocates. A file has a reading side (accept, recv, recvmsg, poll
 * for reading) and a writing side (connect, send, sendv, sendmsg, shutdown, poll for writing), each with at most one operation at a time.
 *
 *      weft_file_init ──> submit … ──> weft_operation_close, submit ──> the file is the owner's again
 *
 *      weft_operation_recv ──> submit ──┬── a result: done, the callback is not called
 *                                       └── -EINPROGRESS: the poller owns the operation until its last callback
 *
 * Submitting goes through the poller of the loop (poller_ops.submit). A pending operation is its poller's, also after a cancel: the last
 * callback, the one whose flags lack WEFT_OP_MORE, gives it back. Within that callback the operation may be initialised and
 * submitted again, or freed. Callbacks come from the loop's queue, in the order in which the operations became ready, never from within
 * submit or cancel; they must not suspend.
 *
 *      static int on_bytes(struct weft_operation *operation, int result, unsigned flags) {
 *          struct connection *connection = weft_container_of(operation, struct connection, receiving);
 *          if (result > 0)
 *              connection_received(connection, operation->lent, (size_t)result);
 *          else if (!(flags & WEFT_OP_MORE))
 *              connection_ended(connection, result);
 *          return 0;
 *      }
 *
 *      weft_file_init(&connection->file, fd, WEFT_FILE_STREAM);
 *      weft_operation_recv(&connection->receiving, &connection->file, NULL, 0, on_bytes);
 *      connection->receiving.flags |= WEFT_OP_MULTISHOT;
 *      int status = poller->ops->submit(poller, &connection->receiving);
 */
#ifndef WEFT_OPERATION_H
#define WEFT_OPERATION_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "weft/work.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_poller;
struct weft_operation;

/* What a file is decides which calls it takes, and what a short read means. */
enum weft_file_kind {
    WEFT_FILE_STREAM,   /* a stream socket or a listener; a short read has emptied it */
    WEFT_FILE_DATAGRAM, /* a socket that keeps message bounds; read until it would block */
    WEFT_FILE_PIPE,     /* whatever has read and write only: pipe, terminal, device, regular file; read until it would block */
};

/*
 * Bits of `weft_file.ready`, what the poller believes. Set by an event, cleared by the attempt that would have blocked; both bits
 * start set. A set bit may be stale (the attempt finds out), a clear bit never is: an event is then on its way.
 */
enum weft_file_ready {
    WEFT_FILE_READABLE = 1, /* the argument of poll, and its result, also use these */
    WEFT_FILE_WRITABLE = 2,
    WEFT_FILE_HANGUP = 4, /* the peer has ended its side, or an error is pending: read on after a short read */
};

/*
 * One file descriptor on one poller. The fields are the poller's but for `fd` and `kind`, which anybody may read.
 *
 * A descriptor from WEFT_FD_VIRTUAL on is no kernel's: it names an object of a simulated world.
 */
struct weft_file {
    int fd;             /* -1 once it is closed */
    uint8_t kind;       /* enum weft_file_kind */
    uint8_t ready;      /* enum weft_file_ready */
    uint8_t state;      /* the backend's: registered, always ready, closing */
    uint8_t read_shift; /* a lent read asks for 1 << read_shift bytes */
    uint32_t generation;
    uint32_t slot;
    struct weft_operation *read;  /* pending on the reading side, or NULL */
    struct weft_operation *write; /* pending on the writing side, or NULL */
    struct weft_operation *close; /* pending until the two above have completed, or NULL */
    struct weft_poller *poller;   /* set by the first submit */
    void *backend;
};

#define WEFT_FD_VIRTUAL 0x40000000

enum weft_operation_kind {
    WEFT_OP_ACCEPT = 1,
    WEFT_OP_CONNECT,
    WEFT_OP_RECV,
    WEFT_OP_SEND,
    WEFT_OP_SENDV,
    WEFT_OP_RECVMSG,
    WEFT_OP_SENDMSG,
    WEFT_OP_POLL,
    WEFT_OP_CLOSE,
    WEFT_OP_SHUTDOWN,
};

enum weft_operation_flags {
    /* Set by the owner after the initialiser, for accept and for recv with lent memory: stay and complete many times. */
    WEFT_OP_MULTISHOT = 1,
    /* Set by the owner, for close: take the file out of the poller, but leave its descriptor open. */
    WEFT_OP_KEEP_FD = 2,
    /* Handed to the callback: the operation stays pending, and more calls will come. */
    WEFT_OP_MORE = 4,
};

/*
 * Take what an operation has come to. `result` is a count, a descriptor, a mask or 0; -errno on failure; -ECANCELED after a cancel if
 * nothing had happened before it. `flags` has WEFT_OP_MORE if this is not the last call.
 *
 * thread:  the loop's
 * returns: 0; a fatal status (see weft_status_is_fatal()) to make the loop return at once: what is pending stays so
 */
typedef int weft_operation_fn(struct weft_operation *operation, int result, unsigned flags);

union weft_operation_args {
    struct {
        void *buf;
        size_t len;
    } bytes; /* recv, and send, which only reads */
    struct {
        const struct iovec *iov;
        size_t count;
    } vector; /* sendv */
    struct {
        struct msghdr *message;
        int flags;
    } message; /* recvmsg and sendmsg, which only reads */
    struct {
        struct sockaddr *address;
        socklen_t *len;
    } accept;
    struct {
        const struct sockaddr *address;
        socklen_t len;
    } connect;
    struct {
        unsigned mask;
    } poll;
};

/*
 * An operation. Owners read `file`, `lent` and, between completions, `flags`; the rest is the poller's.
 *
 * `state` and `generation` let a backend recognise what comes back from a kernel; `backend` and `reserved` are its own.
 */
struct weft_operation {
    struct weft_work work; /* first: what the loop queues and runs to deliver */
    struct weft_file *file;
    weft_operation_fn *callback;
    uint8_t kind; /* enum weft_operation_kind */
    uint8_t state;
    uint16_t flags; /* enum weft_operation_flags */
    uint32_t generation;
    union weft_operation_args args;
    const void *lent; /* where a recv without a buffer has put its bytes */
    void *backend;
    uint64_t reserved;
};

#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(struct weft_file) == 56, "the size of a file is part of the ABI");
static_assert(sizeof(struct weft_operation) == 80, "the size of an operation is part of the ABI");
#endif

/*
 * Initialise `file` for the descriptor `fd`, which should be non-blocking (a pipe must be) and close-on-exec.
 *
 * Nothing is asked of the kernel before the first operation that would block. The first submit binds the file to its poller.
 *
 * thread:  any; from the first submit on, the loop of that poller
 * memory:  `file` is borrowed from the first submit until its close operation is done; the descriptor stays the caller's until then
 */
void weft_file_init(struct weft_file *file, int fd, enum weft_file_kind kind);

/*
 * Tell whether `file` names an object of a simulated world: its descriptor means nothing to a system call.
 *
 * thread:  any
 */
static inline bool weft_file_is_virtual(const struct weft_file *file)
{
    return file->fd >= WEFT_FD_VIRTUAL;
}

/*
 * Tell whether `operation` is pending: submitted with -EINPROGRESS, and its last callback not yet begun.
 *
 * thread:  the loop of its poller
 */
bool weft_operation_is_pending(const struct weft_operation *operation);

/*
 * Make `operation` an accept on the listener `file`. Result: the new descriptor, non-blocking and close-on-exec.
 *
 * Connections that died in the backlog are skipped. -EMFILE, -ENFILE, -ENOBUFS and -ENOMEM end also a multishot accept; the connection
 * stays in the backlog, and the next accept submitted tries it at once, so submit that one after a pause.
 *
 * thread:  the owner of `operation`, while it is not pending
 * memory:  `address` and `len` may be NULL, and must be with WEFT_OP_MULTISHOT; else borrowed until the callback
 */
void weft_operation_accept(struct weft_operation *operation, struct weft_file *file, struct sockaddr *address, socklen_t *len,
                           weft_operation_fn *callback);

/*
 * Make `operation` a connect of `file` to `address`. Result: 0.
 *
 * After a cancel the socket is in an unknown state and good for close only; if it had connected before, the result says 0.
 *
 * thread:  the owner of `operation`, while it is not pending
 * memory:  `address` is borrowed until the callback
 */
void weft_operation_connect(struct weft_operation *operation, struct weft_file *file, const struct sockaddr *address, socklen_t len,
                            weft_operation_fn *callback);

/*
 * Make `operation` a receive of at most `len` bytes into `buf`. Result: the count; 0 at the end of the stream.
 *
 * With `buf` NULL the poller lends the memory: `operation->lent` has the bytes during the callback (after a result of submit, until the
 * next call to the poller), between 4 and 64 KiB at a time and at most `len` if that is not 0. Multishot needs lent memory; it ends with 0,
 * with an error or with -ECANCELED, and gives way to others after 32 reads or 256 KiB.
 *
 * thread:  the owner of `operation`, while it is not pending
 * memory:  `buf` is borrowed until the callback
 */
void weft_operation_recv(struct weft_operation *operation, struct weft_file *file, void *buf, size_t len, weft_operation_fn *callback);

/*
 * Make `operation` a send of the `len` bytes at `buf`. Result: the count, which may be short. Never raises SIGPIPE.
 *
 * thread:  the owner of `operation`, while it is not pending
 * memory:  `buf` is borrowed until the callback
 */
void weft_operation_send(struct weft_operation *operation, struct weft_file *file, const void *buf, size_t len,
                         weft_operation_fn *callback);

/*
 * Make `operation` a send of the `count` pieces at `iov`, in one call. Result: the bytes, which may be short. Never raises SIGPIPE.
 *
 * thread:  the owner of `operation`, while it is not pending
 * memory:  `iov` and the bytes are borrowed until the callback
 */
void weft_operation_sendv(struct weft_operation *operation, struct weft_file *file, const struct iovec *iov, size_t count,
                          weft_operation_fn *callback);

/*
 * Make `operation` a receive of one message with its address and ancillary data. Result: the bytes; see `message->msg_flags`.
 *
 * thread:  the owner of `operation`, while it is not pending
 * memory:  `message` and all it points to are borrowed until the callback
 */
void weft_operation_recvmsg(struct weft_operation *operation, struct weft_file *file, struct msghdr *message, weft_operation_fn *callback);

/*
 * Make `operation` a send of one message with its address and ancillary data. Result: the bytes. Never raises SIGPIPE.
 *
 * thread:  the owner of `operation`, while it is not pending
 * memory:  `message` and all it points to are borrowed until the callback
 */
void weft_operation_sendmsg(struct weft_operation *operation, struct weft_file *file, const struct msghdr *message,
                            weft_operation_fn *callback);

/*
 * Make `operation` the end of what is written to the stream `file`: the peer reads what was sent, then the end. Result: 0. Never pends.
 *
 * thread:  the owner of `operation`, while it is not pending
 */
void weft_operation_shutdown(struct weft_operation *operation, struct weft_file *file, weft_operation_fn *callback);

/*
 * Make `operation` wait until `file` is ready for `mask`, which is WEFT_FILE_READABLE or WEFT_FILE_WRITABLE, not both. Result: `mask`, with
 * WEFT_FILE_HANGUP if the peer has hung up or an error is pending.
 *
 * Each submit asks anew and does not trust an earlier answer, so whoever reads or writes the descriptor by himself loses nothing by
 * leaving bytes behind.
 *
 * thread:  the owner of `operation`, while it is not pending
 */
void weft_operation_poll(struct weft_operation *operation, struct weft_file *file, unsigned mask, weft_operation_fn *callback);

/*
 * Make `operation` the close of `file`: cancel what is pending on it, let that complete, take it out of the poller, close it. Result: 0.
 *
 * Nothing can be submitted on `file` after it, and it cannot be cancelled. It allocates nothing and does not fail. With the pollers that
 * ship, a descriptor on which only an accept is pending is closed as this is submitted, so that its address is free then.
 *
 * thread:  the owner of `operation`, while it is not pending
 */
void weft_operation_close(struct weft_operation *operation, struct weft_file *file, weft_operation_fn *callback);

#ifdef __cplusplus
}
#endif

#endif
