/*
 * Operation: the initialisers, and nothing else.
 *
 * Owners of operations call them, before each submit. They write every field, so that an operation's memory may come from anywhere; a
 * backend never sees one that was not initialised. What the arguments are worth is judged at submit (lib/poll/claim.c).
 */
#include "weft/operation.h"

#include <assert.h>
#include <string.h>

enum { READ_SHIFT_MIN = 12 };

void weft_file_init(struct weft_file *file, int fd, enum weft_file_kind kind)
{
    assert(file != NULL);
    memset(file, 0, sizeof(*file));
    file->fd = fd;
    file->kind = (uint8_t)kind;
    file->ready = WEFT_FILE_READABLE | WEFT_FILE_WRITABLE; /* Optimistic: the first attempt comes before the first epoll_ctl. */
    file->read_shift = READ_SHIFT_MIN;
}

bool weft_operation_is_pending(const struct weft_operation *operation)
{
    return operation != NULL && operation->state != 0;
}

static void operation_init(struct weft_operation *operation, struct weft_file *file, enum weft_operation_kind kind,
                           weft_operation_fn *callback)
{
    assert(operation != NULL);
    memset(operation, 0, sizeof(*operation));
    operation->file = file;
    operation->kind = (uint8_t)kind;
    operation->callback = callback;
}

void weft_operation_accept(struct weft_operation *operation, struct weft_file *file, struct sockaddr *address, socklen_t *len,
                           weft_operation_fn *callback)
{
    operation_init(operation, file, WEFT_OP_ACCEPT, callback);
    operation->args.accept.address = address;
    operation->args.accept.len = len;
}

void weft_operation_connect(struct weft_operation *operation, struct weft_file *file, const struct sockaddr *address, socklen_t len,
                            weft_operation_fn *callback)
{
    operation_init(operation, file, WEFT_OP_CONNECT, callback);
    operation->args.connect.address = address;
    operation->args.connect.len = len;
}

void weft_operation_recv(struct weft_operation *operation, struct weft_file *file, void *buf, size_t len, weft_operation_fn *callback)
{
    operation_init(operation, file, WEFT_OP_RECV, callback);
    operation->args.bytes.buf = buf;
    operation->args.bytes.len = len;
}

void weft_operation_send(struct weft_operation *operation, struct weft_file *file, const void *buf, size_t len, weft_operation_fn *callback)
{
    operation_init(operation, file, WEFT_OP_SEND, callback);
    operation->args.bytes.buf = (void *)(uintptr_t)buf; /* Only read from. */
    operation->args.bytes.len = len;
}

void weft_operation_sendv(struct weft_operation *operation, struct weft_file *file, const struct iovec *iov, size_t count,
                          weft_operation_fn *callback)
{
    operation_init(operation, file, WEFT_OP_SENDV, callback);
    operation->args.vector.iov = iov;
    operation->args.vector.count = count;
}

void weft_operation_recvmsg(struct weft_operation *operation, struct weft_file *file, struct msghdr *message, weft_operation_fn *callback)
{
    operation_init(operation, file, WEFT_OP_RECVMSG, callback);
    operation->args.message.message = message;
}

void weft_operation_sendmsg(struct weft_operation *operation, struct weft_file *file, const struct msghdr *message,
                            weft_operation_fn *callback)
{
    operation_init(operation, file, WEFT_OP_SENDMSG, callback);
    operation->args.message.message = (struct msghdr *)(uintptr_t)message; /* Only read from. */
}

void weft_operation_shutdown(struct weft_operation *operation, struct weft_file *file, weft_operation_fn *callback)
{
    operation_init(operation, file, WEFT_OP_SHUTDOWN, callback);
}

void weft_operation_poll(struct weft_operation *operation, struct weft_file *file, unsigned mask, weft_operation_fn *callback)
{
    operation_init(operation, file, WEFT_OP_POLL, callback);
    operation->args.poll.mask = mask;
}

void weft_operation_close(struct weft_operation *operation, struct weft_file *file, weft_operation_fn *callback)
{
    operation_init(operation, file, WEFT_OP_CLOSE, callback);
}
