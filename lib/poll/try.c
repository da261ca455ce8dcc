/*
 * Try: the system calls behind the operations of the epoll backend.
 *
 * Called from submit (the inline attempt) and from delivery. No call here blocks, raises SIGPIPE or returns -EINTR: sockets are told so
 * by flags of each call, whatever state their descriptor is in; pipes must be non-blocking, and their SIGPIPE is taken back.
 */
#include "lib/poll/try.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/poll/direct.h"

/* Dead connections skipped by one accept, lest a flood of them holds the loop. */
enum { ACCEPT_SKIPS_MAX = 64 };
enum { PIECES_MAX = 1024 }; /* Linux's IOV_MAX */

static int try_result(ssize_t count)
{
    if (count >= 0)
        return (int)count;
    return errno == EAGAIN || errno == EWOULDBLOCK ? READINESS_WOULD_BLOCK : -errno;
}

static size_t len_clamp(size_t len)
{
    return len > INT_MAX ? INT_MAX : len;
}

/* accept(2) hands over errors of the connection in the backlog; it is gone by then, and the next one may be well. */
static bool is_of_dead_connection(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return true;
    default:
        return false;
    }
}

static int try_accept(const struct weft_operation *operation)
{
    int fd;
    int skipped = 0;
    do {
        fd = accept4(operation->file->fd, operation->args.accept.address, operation->args.accept.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || (is_of_dead_connection(errno) && ++skipped < ACCEPT_SKIPS_MAX)));
    return try_result(fd);
}

static int poll_now(int fd, short events)
{
    struct pollfd pollfd = {.fd = fd, .events = events};
    int count;
    do {
        count = poll(&pollfd, 1, 0);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : pollfd.revents;
}

/* An interrupted connect goes on by itself (POSIX). EAGAIN is a failure here: the backlog of a UNIX socket is full, and no event comes. */
static int connect_begin(const struct weft_operation *operation)
{
    if (connect(operation->file->fd, operation->args.connect.address, operation->args.connect.len) == 0)
        return 0;
    return errno == EINPROGRESS || errno == EINTR ? READINESS_WOULD_BLOCK : -errno;
}

static int connect_end(const struct weft_operation *operation)
{
    int events = poll_now(operation->file->fd, POLLOUT); /* SO_ERROR alone is 0 while it is still connecting. */
    if (events <= 0)
        return events == 0 ? READINESS_WOULD_BLOCK : events;
    int error = 0;
    if (getsockopt(operation->file->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)}) < 0)
        return -errno;
    return -error;
}

static inline int try_recv(const struct weft_operation *operation, struct readiness_window window)
{
    const struct weft_file *file = operation->file;
    ssize_t count;
    do {
        count = file->kind == WEFT_FILE_PIPE ? read(file->fd, window.buf, len_clamp(window.len))
                                             : direct_recv(file->fd, window.buf, len_clamp(window.len), MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    return try_result(count);
}

static int try_recvmsg(const struct weft_operation *operation)
{
    int flags = operation->args.message.flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
    ssize_t count;
    do {
        count = recvmsg(operation->file->fd, operation->args.message.message, flags);
    } while (count < 0 && errno == EINTR);
    return try_result(count);
}

static int try_sendmsg(int fd, const struct msghdr *message)
{
    ssize_t count;
    do {
        count = sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    return try_result(count);
}

/* writev has no MSG_NOSIGNAL, and the process's disposition is not ours: block SIGPIPE around it and take back the one it has raised. */
static int pipe_write(int fd, const struct iovec *iov, int count)
{
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    ssize_t written;
    do {
        written = writev(fd, iov, count);
    } while (written < 0 && errno == EINTR);
    int result = try_result(written);
    if (result == -EPIPE && !sigismember(&pending, SIGPIPE)) {
        while (sigtimedwait(&pipe_only, NULL, &(struct timespec){0, 0}) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int try_sendv(const struct weft_file *file, const struct iovec *iov, size_t count)
{
    size_t pieces = count > PIECES_MAX ? PIECES_MAX : count;
    if (file->kind == WEFT_FILE_PIPE)
        return pipe_write(file->fd, iov, (int)pieces);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = pieces};
    return try_sendmsg(file->fd, &message);
}

/* Apart, since a piece in the frame would cost what goes to sockets its guard. */
__attribute__((noinline)) static int pipe_write_piece(int fd, void *buf, size_t len)
{
    return pipe_write(fd, &(struct iovec){buf, len}, 1);
}

static inline int try_send(const struct weft_file *file, void *buf, size_t len)
{
    if (file->kind == WEFT_FILE_PIPE)
        return pipe_write_piece(file->fd, buf, len_clamp(len));
    ssize_t count;
    do {
        count = direct_send(file->fd, buf, len_clamp(len), MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    return try_result(count);
}

int try_pieces(struct readiness *readiness, struct weft_file *file, const struct iovec *iov, size_t count)
{
    (void)readiness;
    return count == 1 ? try_send(file, iov->iov_base, iov->iov_len) : try_sendv(file, iov, count);
}

static int try_poll(const struct weft_operation *operation)
{
    unsigned mask = operation->args.poll.mask;
    int events = poll_now(operation->file->fd, mask == WEFT_FILE_READABLE ? POLLIN | POLLRDHUP : POLLOUT);
    if (events <= 0)
        return events == 0 ? READINESS_WOULD_BLOCK : events;
    if ((events & POLLNVAL) != 0)
        return -EBADF;
    return (int)mask | ((events & (POLLHUP | POLLERR | POLLRDHUP)) != 0 ? WEFT_FILE_HANGUP : 0);
}

/* As try_operation(), of all but a recv. */
__attribute__((noinline)) static int try_other(struct weft_operation *operation, bool is_first)
{
    switch ((enum weft_operation_kind)operation->kind) {
    case WEFT_OP_ACCEPT:
        return try_accept(operation);
    case WEFT_OP_CONNECT:
        return is_first ? connect_begin(operation) : connect_end(operation);
    case WEFT_OP_SEND:
        return try_send(operation->file, operation->args.bytes.buf, operation->args.bytes.len);
    case WEFT_OP_SENDV:
        return try_sendv(operation->file, operation->args.vector.iov, operation->args.vector.count);
    case WEFT_OP_RECVMSG:
        return try_recvmsg(operation);
    case WEFT_OP_SENDMSG:
        return try_sendmsg(operation->file->fd, operation->args.message.message);
    case WEFT_OP_POLL:
        return try_poll(operation);
    case WEFT_OP_SHUTDOWN:
        return shutdown(operation->file->fd, SHUT_WR) < 0 ? -errno : 0;
    case WEFT_OP_RECV:  /* Not here: see try_operation(). */
    case WEFT_OP_CLOSE: /* Not an attempt: see file_close() in lib/poll/readiness.c. */
        break;
    }
    return -EINVAL;
}

int try_operation(struct readiness *readiness, struct weft_operation *operation, struct readiness_window window, bool is_first)
{
    (void)readiness;
    return operation->kind == WEFT_OP_RECV ? try_recv(operation, window) : try_other(operation, is_first); /* recvs are what most are */
}
