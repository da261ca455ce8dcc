/*
 * The table of faults. The lines of a group are the errors of the manual page, as far as a call of ours can get them: EFAULT and the like
 * stand for "whatever else", and are given where the library has no other answer than to pass them on.
 *
 * What cannot fail, and is therefore not here, is listed with the reason in tests/faults/table_test.py, which also holds this table against
 * the calls that the objects of lib/ make.
 */
#include "tests/faults/table.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(MADV_GUARD_INSTALL)
#define MADV_GUARD_INSTALL 102
#endif

#define MADV_NONSENSE 0x7eadbeef /* lib/task/stack.c asks with it whether the kernel looks at the advice at all */

#define FIRST                                                                                                                              \
    {                                                                                                                                      \
        1, 0                                                                                                                               \
    }
#define NTH(n)                                                                                                                             \
    {                                                                                                                                      \
        (n), 0                                                                                                                             \
    }
#define EVERY(k)                                                                                                                           \
    {                                                                                                                                      \
        (k), (k)                                                                                                                           \
    }
#define ALWAYS                                                                                                                             \
    {                                                                                                                                      \
        1, 1                                                                                                                               \
    }

#define WHENS(...)                                                                                                                         \
    (const struct fault_when[])                                                                                                            \
    {                                                                                                                                      \
        __VA_ARGS__,                                                                                                                       \
        {                                                                                                                                  \
            0, 0                                                                                                                           \
        }                                                                                                                                  \
    }
#define ERRORS(...)                                                                                                                        \
    (const struct fault_error[])                                                                                                           \
    {                                                                                                                                      \
        __VA_ARGS__,                                                                                                                       \
        {                                                                                                                                  \
            0, 0, 0                                                                                                                        \
        }                                                                                                                                  \
    }

#define GROUP(call, selector, scene, whens, ...)                                                                                           \
    {                                                                                                                                      \
        SHIM_##call, selector, #selector, #scene, scene_##scene, whens, ERRORS(__VA_ARGS__)                                                \
    }

#define USUAL WHENS(FIRST, NTH(3), EVERY(2))
#define TWICE WHENS(FIRST, NTH(2), EVERY(2))

/* accept(2): the first eight are of the connection that was to come, which is gone; the rest are of the listener or the process. */
#define ACCEPT_ERRORS                                                                                                                      \
    {EINTR, UNSEEN, 0}, {ECONNABORTED, UNSEEN, 0}, {EPROTO, UNSEEN, 0}, {ENOPROTOOPT, UNSEEN, 0}, {ENETDOWN, UNSEEN, 0},                   \
        {ENETUNREACH, UNSEEN, 0}, {EHOSTDOWN, UNSEEN, 0}, {EHOSTUNREACH, UNSEEN, 0}, {ENONET, UNSEEN, 0}, {EAGAIN, UNSEEN, 0},             \
        {EMFILE, REPORTED, 0}, {ENFILE, REPORTED, 0}, {ENOBUFS, REPORTED, 0}, {ENOMEM, REPORTED, 0}, {EPERM, REPORTED, 0},                 \
        {EBADF, REPORTED, 0}, {EINVAL, REPORTED, 0}, {ENOTSOCK, REPORTED, 0}, {EOPNOTSUPP, REPORTED, 0},                                   \
    {                                                                                                                                      \
        ETIMEDOUT, REPORTED, 0                                                                                                             \
    }

#define SOCKET_ERRORS                                                                                                                      \
    {EACCES, FAILS, 0}, {EAFNOSUPPORT, FAILS, 0}, {EINVAL, FAILS, 0}, {EMFILE, FAILS, 0}, {ENFILE, FAILS, 0}, {ENOBUFS, FAILS, 0},         \
        {ENOMEM, FAILS, 0}, {EPROTONOSUPPORT, FAILS, 0},                                                                                   \
    {                                                                                                                                      \
        EPERM, FAILS, 0                                                                                                                    \
    }

#define RECEIVE_ERRORS                                                                                                                     \
    {EINTR, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}, {EBADF, FAILS, 0}, {ECONNREFUSED, FAILS, 0}, {ECONNRESET, FAILS, 0}, {EINVAL, FAILS, 0},      \
        {ENOMEM, FAILS, 0}, {ENOBUFS, FAILS, 0}, {ENOTCONN, FAILS, 0}, {ENOTSOCK, FAILS, 0}, {ETIMEDOUT, FAILS, 0}, {EIO, FAILS, 0},       \
    {                                                                                                                                      \
        EHOSTUNREACH, FAILS, 0                                                                                                             \
    }

#define SEND_ERRORS                                                                                                                        \
    {EINTR, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}, {EACCES, FAILS, 0}, {EBADF, FAILS, 0}, {ECONNRESET, FAILS, 0}, {EDESTADDRREQ, FAILS, 0},      \
        {EINVAL, FAILS, 0}, {EMSGSIZE, FAILS, 0}, {ENOBUFS, FAILS, 0}, {ENOMEM, FAILS, 0}, {ENOTCONN, FAILS, 0}, {ENOTSOCK, FAILS, 0},     \
        {EOPNOTSUPP, FAILS, 0}, {EPIPE, FAILS, 0}, {EHOSTUNREACH, FAILS, 0},                                                               \
    {                                                                                                                                      \
        ENETDOWN, FAILS, 0                                                                                                                 \
    }

#define CONNECT_ERRORS                                                                                                                     \
    {EINTR, UNSEEN, 0}, {EACCES, FAILS, 0}, {EPERM, FAILS, 0}, {EADDRINUSE, FAILS, 0}, {EADDRNOTAVAIL, FAILS, 0},                          \
        {EAFNOSUPPORT, FAILS, 0}, {EAGAIN, FAILS, 0}, {EALREADY, FAILS, 0}, {EBADF, FAILS, 0}, {ECONNREFUSED, FAILS, 0},                   \
        {EISCONN, FAILS, 0}, {ENETUNREACH, FAILS, 0}, {EHOSTUNREACH, FAILS, 0}, {ENOTSOCK, FAILS, 0}, {EPROTOTYPE, FAILS, 0},              \
    {                                                                                                                                      \
        ETIMEDOUT, FAILS, 0                                                                                                                \
    }

#define CLOSE_ERRORS                                                                                                                       \
    {EBADF, UNSEEN, 0}, {EINTR, UNSEEN, 0}, {EIO, UNSEEN, 0}, {ENOSPC, UNSEEN, 0},                                                         \
    {                                                                                                                                      \
        EDQUOT, UNSEEN, 0                                                                                                                  \
    }

#define ADD_ERRORS(outcome)                                                                                                                \
    {EBADF, outcome, 0}, {EEXIST, outcome, 0}, {EINVAL, outcome, 0}, {ELOOP, outcome, 0}, {ENOENT, outcome, 0}, {ENOMEM, outcome, 0},      \
    {                                                                                                                                      \
        ENOSPC, outcome, 0                                                                                                                 \
    }

#define LOST_PATH_ERRORS                                                                                                                   \
    {EACCES, UNSEEN, 0}, {EBADF, UNSEEN, 0}, {EIO, UNSEEN, 0}, {ELOOP, UNSEEN, 0}, {ENOENT, UNSEEN, 0}, {ENOMEM, UNSEEN, 0},               \
    {                                                                                                                                      \
        ENOTDIR, UNSEEN, 0                                                                                                                 \
    }

const struct fault_group fault_groups[] = {
    /* ---- a loop's life ---- */
    GROUP(epoll_create1, SHIM_ANY, loops, USUAL, {EMFILE, FAILS, 0}, {ENFILE, FAILS, 0}, {ENOMEM, FAILS, 0}, {EINVAL, FAILS, 0}),
    GROUP(eventfd, SHIM_ANY, loops, USUAL, {EMFILE, FAILS, 0}, {ENFILE, FAILS, 0}, {ENOMEM, FAILS, 0}, {ENODEV, FAILS, 0},
          {EINVAL, FAILS, 0}),
    GROUP(epoll_ctl, EPOLL_CTL_ADD, loops, USUAL, ADD_ERRORS(FAILS), {EPERM, FAILS, 0}),
    GROUP(close, SHIM_ANY, loops, USUAL, CLOSE_ERRORS),
    GROUP(fopen, SHIM_ANY, loops, WHENS(FIRST, NTH(3), EVERY(2), ALWAYS), {ENOENT, UNSEEN, 0}, {EACCES, UNSEEN, 0}, {EMFILE, UNSEEN, 0},
          {ENFILE, UNSEEN, 0}, {ENOMEM, UNSEEN, 0}, {EINTR, UNSEEN, 0}),
    GROUP(fgets, SHIM_ANY, loops, TWICE, {EIO, UNSEEN, 0}, {EINTR, UNSEEN, 0}, {EBADF, UNSEEN, 0}),
    GROUP(sched_getaffinity, SHIM_ANY, loops, WHENS(FIRST, NTH(3), EVERY(2), ALWAYS), {EINVAL, UNSEEN, 0}, {EFAULT, UNSEEN, 0},
          {EPERM, UNSEEN, 0}, {ESRCH, UNSEEN, 0}),

    /* ---- its turns ---- */
    GROUP(epoll_pwait2, SHIM_ANY, turns, USUAL, {EINTR, UNSEEN, 0}, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {EFAULT, FAILS, 0}),
    GROUP(epoll_pwait2, SHIM_ANY, turns, TWICE, {ENOSYS, UNSEEN, 0}, {EPERM, UNSEEN, 0}),
    GROUP(epoll_pwait2, SHIM_ANY, serve_tcp, USUAL, {EINTR, UNSEEN, 0}),
    GROUP(epoll_wait, SHIM_ANY, spins, USUAL, {EINTR, UNSEEN, 0}),
    GROUP(epoll_wait, SHIM_ANY, spins, WHENS(FIRST, NTH(3), EVERY(2), ALWAYS), {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {EFAULT, FAILS, 0}),
    GROUP(epoll_wait, SHIM_ANY, wakes, USUAL, {EINTR, UNSEEN, 0}),
    GROUP(epoll_wait, SHIM_ANY, storm, USUAL, {EINTR, UNSEEN, 0}),
    GROUP(write, SHIM_ANY, wakes, USUAL, {EINTR, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}),
    GROUP(write, SHIM_ANY, parks, USUAL, {EINTR, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}),
    GROUP(syscall, SHIM_FUTEX_WAIT, parks, WHENS(FIRST, NTH(2), EVERY(2)), {EAGAIN, UNSEEN, 0}, {EINTR, UNSEEN, 0}, {EINVAL, UNSEEN, 0},
          {ENOSYS, UNSEEN, 0}, {EFAULT, UNSEEN, 0}, {EACCES, UNSEEN, 0}),
    GROUP(syscall, SHIM_FUTEX_WAIT, deadlines, USUAL, {ETIMEDOUT, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}, {EINTR, UNSEEN, 0}, {EINVAL, UNSEEN, 0}),
    GROUP(syscall, SYS_sched_getattr, runs, TWICE, {EINVAL, UNSEEN, 0}, {ENOSYS, UNSEEN, 0}, {E2BIG, UNSEEN, 0}, {ESRCH, UNSEEN, 0},
          {EPERM, UNSEEN, 0}),
    GROUP(syscall, SYS_sched_setattr, runs, TWICE, {EINVAL, UNSEEN, 0}, {ENOSYS, UNSEEN, 0}, {E2BIG, UNSEEN, 0}, {EPERM, UNSEEN, 0},
          {EBUSY, UNSEEN, 0}),
    GROUP(prctl, SHIM_ANY, runs, TWICE, {EINVAL, UNSEEN, 0}, {EPERM, UNSEEN, 0}, {ENOSYS, UNSEEN, 0}),

    /* ---- threads ---- */
    GROUP(pthread_create, SHIM_ANY, runs, WHENS(FIRST, ALWAYS), {EAGAIN, FAILS, 0}, {EPERM, FAILS, 0}, {EINVAL, FAILS, 0}),
    GROUP(pthread_create, SHIM_ANY, runs, WHENS(NTH(2)), {EAGAIN, UNSEEN, 0}, {EPERM, UNSEEN, 0}, {EINVAL, UNSEEN, 0}),
    GROUP(pthread_create, SHIM_ANY, jobs, WHENS(NTH(2), EVERY(2)), {EAGAIN, FAILS, 0}, {EPERM, FAILS, 0}),
    GROUP(pthread_create, SHIM_ANY, parks, WHENS(FIRST, NTH(2)), {EAGAIN, FAILS, 0}, {EPERM, FAILS, 0}),
    GROUP(pthread_attr_init, SHIM_ANY, runs, WHENS(FIRST, ALWAYS), {ENOMEM, FAILS, 0}),
    GROUP(pthread_attr_init, SHIM_ANY, runs, WHENS(NTH(2)), {ENOMEM, UNSEEN, 0}),
    GROUP(pthread_attr_setsigmask_np, SHIM_ANY, runs, WHENS(FIRST, ALWAYS), {ENOMEM, FAILS, 0}),
    GROUP(pthread_attr_setsigmask_np, SHIM_ANY, jobs, WHENS(NTH(2), EVERY(2)), {ENOMEM, FAILS, 0}),
    GROUP(pthread_attr_setstacksize, SHIM_ANY, threads, TWICE, {EINVAL, FAILS, 0}),
    GROUP(sysconf, _SC_PAGESIZE, threads, TWICE, {EINVAL, FAILS, -ENOMEM}),
    GROUP(pthread_setname_np, SHIM_ANY, runs, TWICE, {ERANGE, UNSEEN, 0}, {ENOENT, UNSEEN, 0}, {EIO, UNSEEN, 0}, {EMFILE, UNSEEN, 0}),
    GROUP(pthread_setaffinity_np, SHIM_ANY, places, TWICE, {EINVAL, UNSEEN, 0}, {EPERM, UNSEEN, 0}, {ESRCH, UNSEEN, 0},
          {EFAULT, UNSEEN, 0}),
    GROUP(sched_getcpu, SHIM_ANY, places, TWICE, {ENOSYS, UNSEEN, 0}),
    GROUP(pthread_condattr_init, SHIM_ANY, jobs, TWICE, {ENOMEM, FAILS, 0}),
    GROUP(pthread_condattr_init, SHIM_ANY, loops, TWICE, {ENOMEM, FAILS, 0}),
    /* The thread after FIRST makes the key, for as long as the process lives: nothing can follow. */
    GROUP(pthread_key_create, SHIM_ANY, variables, WHENS(ALWAYS, FIRST), {EAGAIN, FAILS, -ENOMEM}),
    GROUP(pthread_setspecific, SHIM_ANY, variables, USUAL, {ENOMEM, FAILS, 0}, {EINVAL, FAILS, -ENOMEM}),

    /* ---- signals, chance ---- */
    GROUP(sigaction, SIGINT, interrupts, WHENS(FIRST, NTH(3), EVERY(3), ALWAYS), {EINVAL, UNSEEN, 0}, {EFAULT, UNSEEN, 0}),
    GROUP(getrandom, SHIM_ANY, seeds, WHENS(FIRST, NTH(3), EVERY(2), ALWAYS), {EAGAIN, UNSEEN, 0}, {EINTR, UNSEEN, 0}, {ENOSYS, UNSEEN, 0},
          {EFAULT, UNSEEN, 0}, {EINVAL, UNSEEN, 0}),

    /* ---- the handler of stack overflows ---- */
    GROUP(sigaction, SIGSEGV, handlers, TWICE, {EINVAL, FAILS, 0}, {EFAULT, FAILS, 0}),
    GROUP(sigaction, SIGBUS, handlers, TWICE, {EINVAL, FAILS, 0}, {EFAULT, FAILS, 0}),
    GROUP(sigaction, SIGSEGV, handlers, WHENS(NTH(3), NTH(4)), {EINVAL, UNSEEN, 0}),
    GROUP(sigaltstack, SHIM_ANY, covered, WHENS(FIRST, NTH(2), NTH(3), EVERY(2)), {EINVAL, UNSEEN, 0}, {ENOMEM, UNSEEN, 0},
          {EPERM, UNSEEN, 0}, {EFAULT, UNSEEN, 0}),
    GROUP(mmap, SHIM_ANY, covered, WHENS(FIRST, NTH(2), EVERY(2)), {ENOMEM, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}),
    GROUP(pthread_setspecific, SHIM_ANY, covered, WHENS(FIRST, ALWAYS), {ENOMEM, UNSEEN, 0}),

    /* ---- stacks ---- */
    GROUP(mmap, SHIM_ANY, stacks, USUAL, {ENOMEM, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}, {EPERM, UNSEEN, 0}, {EINVAL, UNSEEN, 0},
          {EOVERFLOW, UNSEEN, 0}),
    GROUP(mmap, SHIM_ANY, stacks, WHENS(ALWAYS), {ENOMEM, FAILS, 0}, {EAGAIN, FAILS, -ENOMEM}, {EPERM, FAILS, -ENOMEM},
          {EINVAL, FAILS, -ENOMEM}, {EOVERFLOW, FAILS, -ENOMEM}),
    GROUP(mmap, false, job_stacks, WHENS(FIRST, ALWAYS), {ENOMEM, FAILS, 0}, {EAGAIN, FAILS, -ENOMEM}, {EPERM, FAILS, -ENOMEM}),
    GROUP(munmap, SHIM_ANY, stacks, USUAL, {EINVAL, UNSEEN, 0}, {ENOMEM, UNSEEN, 0}),
    GROUP(madvise, MADV_NOHUGEPAGE, stacks, TWICE, {EINVAL, UNSEEN, 0}, {ENOMEM, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}),
    GROUP(madvise, MADV_NONSENSE, stacks, WHENS(FIRST, NTH(2)), {ENOMEM, UNSEEN, 0}, {EPERM, UNSEEN, 0}),
    GROUP(madvise, MADV_GUARD_INSTALL, stacks, USUAL, {EINVAL, UNSEEN, 0}, {ENOMEM, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}, {EPERM, UNSEEN, 0},
          {EINTR, UNSEEN, 0}, {ENOSYS, UNSEEN, 0}),
    GROUP(madvise, MADV_DONTNEED, stacks, WHENS(FIRST, NTH(3), EVERY(2), ALWAYS), {EINVAL, UNSEEN, 0}, {ENOMEM, UNSEEN, 0},
          {EAGAIN, UNSEEN, 0}),
    GROUP(mprotect, SHIM_ANY, old_stacks, WHENS(FIRST, NTH(3), EVERY(2), ALWAYS), {ENOMEM, FAILS, 0}, {EACCES, FAILS, -ENOMEM},
          {EINVAL, FAILS, -ENOMEM}),
    GROUP(madvise, SHIM_ANY, stacks, WHENS(ALWAYS), {EINVAL, UNSEEN, 0}, {ENOMEM, UNSEEN, 0}, {EPERM, UNSEEN, 0}, {ENOSYS, UNSEEN, 0}),

    /* ---- servers ---- */
    GROUP(socket, SHIM_ANY, serve_tcp, USUAL, SOCKET_ERRORS),
    GROUP(socket, SHIM_ANY, serve_unix, USUAL, SOCKET_ERRORS),
    GROUP(setsockopt, SO_REUSEADDR, serve_tcp, USUAL, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {ENOPROTOOPT, FAILS, 0}, {ENOTSOCK, FAILS, 0},
          {ENOMEM, FAILS, 0}, {ENOBUFS, FAILS, 0}),
    GROUP(setsockopt, SO_REUSEPORT, serve_shared_port, USUAL, {ENOPROTOOPT, FAILS, 0}, {EINVAL, FAILS, 0}, {EPERM, FAILS, 0}),
    GROUP(setsockopt, IPV6_V6ONLY, serve_tcp6, USUAL, {ENOPROTOOPT, FAILS, 0}, {EINVAL, FAILS, 0}),
    GROUP(setsockopt, TCP_NODELAY, serve_tcp, USUAL, {ENOPROTOOPT, UNSEEN, 0}, {EINVAL, UNSEEN, 0}, {EOPNOTSUPP, UNSEEN, 0},
          {ENOBUFS, UNSEEN, 0}),
    GROUP(bind, SHIM_ANY, serve_tcp, USUAL, {EACCES, FAILS, 0}, {EADDRINUSE, FAILS, 0}, {EADDRNOTAVAIL, FAILS, 0}, {EBADF, FAILS, 0},
          {EINVAL, FAILS, 0}, {ENOTSOCK, FAILS, 0}, {ENOMEM, FAILS, 0}),
    GROUP(bind, SHIM_ANY, serve_unix, USUAL, {EACCES, FAILS, 0}, {EADDRINUSE, FAILS, 0}, {ELOOP, FAILS, 0}, {ENAMETOOLONG, FAILS, 0},
          {ENOENT, FAILS, 0}, {ENOMEM, FAILS, 0}, {ENOTDIR, FAILS, 0}, {EROFS, FAILS, 0}, {EPERM, FAILS, 0}, {ENOSPC, FAILS, 0}),
    GROUP(bind, SHIM_ANY, serve_abstract, USUAL, {EADDRINUSE, FAILS, 0}, {ENOMEM, FAILS, 0}),
    GROUP(listen, SHIM_ANY, serve_tcp, USUAL, {EADDRINUSE, FAILS, 0}, {EBADF, FAILS, 0}, {ENOTSOCK, FAILS, 0}, {EOPNOTSUPP, FAILS, 0}),
    GROUP(listen, SHIM_ANY, serve_unix, USUAL, {EADDRINUSE, FAILS, 0}, {EINVAL, FAILS, 0}, {EOPNOTSUPP, FAILS, 0}),
    GROUP(lstat, SHIM_ANY, serve_unix, WHENS(FIRST, NTH(2), NTH(3), EVERY(2)), LOST_PATH_ERRORS),
    GROUP(unlink, SHIM_ANY, serve_unix, USUAL, LOST_PATH_ERRORS, {EBUSY, UNSEEN, 0}, {EPERM, UNSEEN, 0}, {EROFS, UNSEEN, 0}),
    GROUP(accept4, SHIM_ANY, serve_tcp, USUAL, ACCEPT_ERRORS),
    GROUP(accept4, SHIM_ANY, serve_unix, WHENS(FIRST, EVERY(2)), {EINTR, UNSEEN, 0}, {ECONNABORTED, UNSEEN, 0}, {EAGAIN, UNSEEN, 0},
          {EMFILE, REPORTED, 0}, {ENFILE, REPORTED, 0}, {ENOMEM, REPORTED, 0}),
    GROUP(accept4, SHIM_ANY, storm, WHENS(FIRST, NTH(20), EVERY(3)), {EINTR, UNSEEN, 0}, {ECONNABORTED, UNSEEN, 0}, {EPROTO, UNSEEN, 0},
          {ENETDOWN, UNSEEN, 0}, {EHOSTUNREACH, UNSEEN, 0}),
    GROUP(accept4, SHIM_ANY, storm, WHENS(FIRST, NTH(5)), {EMFILE, REPORTED, 0}, {ENFILE, REPORTED, 0}, {ENOBUFS, REPORTED, 0},
          {ENOMEM, REPORTED, 0}),
    GROUP(epoll_ctl, EPOLL_CTL_ADD, storm, WHENS(NTH(2)), ADD_ERRORS(REPORTED)),
    GROUP(epoll_ctl, EPOLL_CTL_DEL, serve_tcp, USUAL, {EBADF, UNSEEN, 0}, {ENOENT, UNSEEN, 0}, {ENOMEM, UNSEEN, 0}, {EINVAL, UNSEEN, 0}),
    GROUP(getsockname, SHIM_ANY, ask_names, TWICE, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {ENOBUFS, FAILS, 0}, {ENOTSOCK, FAILS, 0}),
    GROUP(getpeername, SHIM_ANY, ask_names, TWICE, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {ENOBUFS, FAILS, 0}, {ENOTSOCK, FAILS, 0},
          {ENOTCONN, FAILS, 0}),

    /* ---- connections ---- */
    GROUP(recv, SHIM_ANY, serve_tcp, USUAL, RECEIVE_ERRORS),
    GROUP(recv, SHIM_ANY, serve_unix, WHENS(FIRST, EVERY(2)), RECEIVE_ERRORS),
    GROUP(recv, SHIM_ANY, adopt, USUAL, RECEIVE_ERRORS),
    GROUP(recv, SHIM_ANY, serve_streams, USUAL, RECEIVE_ERRORS),
    GROUP(send, SHIM_ANY, serve_tcp, USUAL, SEND_ERRORS),
    GROUP(send, SHIM_ANY, adopt, USUAL, SEND_ERRORS),
    GROUP(sendmsg, SHIM_ANY, large, USUAL, SEND_ERRORS),
    GROUP(shutdown, SHIM_ANY, half_close, TWICE, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {ENOTCONN, FAILS, -ECONNRESET},
          {ENOTSOCK, FAILS, 0}),
    GROUP(close, SHIM_ANY, serve_tcp, USUAL, CLOSE_ERRORS),
    GROUP(close, SHIM_ANY, dial_tcp, USUAL, CLOSE_ERRORS),
    GROUP(epoll_ctl, EPOLL_CTL_ADD, adopt, WHENS(NTH(2), NTH(3)), ADD_ERRORS(FAILS)),
    GROUP(getsockopt, SO_TYPE, adopt, TWICE, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {ENOPROTOOPT, FAILS, 0}, {ENOTSOCK, FAILS, 0}),
    GROUP(fcntl, F_GETFL, adopt, TWICE, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}),
    GROUP(fcntl, F_SETFL, adopt, TWICE, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {EPERM, FAILS, 0}),
    GROUP(fcntl, F_SETFD, adopt, TWICE, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}),
    GROUP(getsockopt, SO_TYPE, serve_descriptor, TWICE, {EBADF, FAILS, 0}, {ENOTSOCK, FAILS, 0}),
    GROUP(fcntl, SHIM_ANY, serve_descriptor, USUAL, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}),
    GROUP(socket, SHIM_ANY, dial_tcp, USUAL, SOCKET_ERRORS),
    GROUP(bind, SHIM_ANY, dial_from, USUAL, {EACCES, FAILS, 0}, {EADDRINUSE, FAILS, 0}, {EADDRNOTAVAIL, FAILS, 0}, {EINVAL, FAILS, 0}),
    GROUP(connect, SHIM_ANY, dial_tcp, USUAL, CONNECT_ERRORS),
    GROUP(connect, SHIM_ANY, dial_unix, USUAL, CONNECT_ERRORS, {ENOENT, FAILS, 0}),
    GROUP(connect, SHIM_ANY, dial_name, USUAL, CONNECT_ERRORS),
    GROUP(connect, SHIM_ANY, dial_race, TWICE, {ECONNREFUSED, MAY_FAIL, 0}, {ENETUNREACH, MAY_FAIL, 0}, {ETIMEDOUT, MAY_FAIL, 0},
          {EINTR, UNSEEN, 0}),
    GROUP(socket, SHIM_ANY, dial_race, TWICE, {EAFNOSUPPORT, MAY_FAIL, 0}, {EMFILE, MAY_FAIL, 0}),
    GROUP(epoll_ctl, EPOLL_CTL_ADD, dial_tcp, WHENS(NTH(2)), ADD_ERRORS(FAILS)),
    GROUP(epoll_ctl, EPOLL_CTL_DEL, dial_tcp, WHENS(NTH(2)), {ENOENT, MAY_FAIL, -EEXIST}, {ENOMEM, MAY_FAIL, -EEXIST}),
    GROUP(getsockopt, SHIM_SO_ERROR_VALUE, dial_tcp, USUAL, {ECONNREFUSED, FAILS, 0}, {ETIMEDOUT, FAILS, 0}, {EHOSTUNREACH, FAILS, 0},
          {ENETUNREACH, FAILS, 0}, {ECONNRESET, FAILS, 0}),
    GROUP(getsockopt, SO_ERROR, dial_tcp, USUAL, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {ENOBUFS, FAILS, 0}, {ENOTSOCK, FAILS, 0}),
    GROUP(poll, SHIM_ANY, dial_tcp, USUAL, {EINTR, UNSEEN, 0}, {ENOMEM, FAILS, 0}, {EINVAL, FAILS, 0}, {EFAULT, FAILS, 0}),
    GROUP(if_nametoindex, SHIM_ANY, dial_zone, TWICE, {ENXIO, FAILS, WEFT_ENONAME}, {ENODEV, FAILS, WEFT_ENONAME},
          {EMFILE, FAILS, WEFT_ENONAME}, {ENOMEM, FAILS, WEFT_ENONAME}),

    /* ---- names ---- */
    GROUP(getaddrinfo, SHIM_ANY, look_ups, USUAL, {EAI_AGAIN, FAILS, WEFT_ENAMEAGAIN}, {EAI_NONAME, FAILS, WEFT_ENONAME},
          {EAI_NODATA, FAILS, WEFT_ENONAME}, {EAI_ADDRFAMILY, FAILS, WEFT_ENONAME}, {EAI_SERVICE, FAILS, WEFT_ENONAME},
          {EAI_FAIL, FAILS, WEFT_ENAMEFAIL}, {EAI_MEMORY, FAILS, -ENOMEM}, {EAI_BADFLAGS, FAILS, -EINVAL}, {EAI_FAMILY, FAILS, -EINVAL},
          {EAI_SOCKTYPE, FAILS, -EINVAL}, {EAI_SYSTEM, FAILS, -EMFILE}),
    GROUP(getaddrinfo, SHIM_ANY, dial_name, USUAL, {EAI_AGAIN, FAILS, WEFT_ENAMEAGAIN}, {EAI_NONAME, FAILS, WEFT_ENONAME},
          {EAI_FAIL, FAILS, WEFT_ENAMEFAIL}, {EAI_MEMORY, FAILS, -ENOMEM}, {EAI_SYSTEM, FAILS, -EMFILE}),

    /* ---- bare operations ---- */
    GROUP(recvmsg, SHIM_ANY, messages, USUAL, RECEIVE_ERRORS, {EMFILE, FAILS, 0}),
    GROUP(sendmsg, SHIM_ANY, messages, USUAL, SEND_ERRORS),
    GROUP(read, SHIM_ANY, pipes, USUAL, {EINTR, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {EIO, FAILS, 0},
          {EISDIR, FAILS, 0}),
    GROUP(writev, SHIM_ANY, pipes, USUAL, {EINTR, UNSEEN, 0}, {EAGAIN, UNSEEN, 0}, {EBADF, FAILS, 0}, {EINVAL, FAILS, 0}, {EIO, FAILS, 0},
          {ENOMEM, FAILS, 0}, {ENOSPC, FAILS, 0}),
    GROUP(sigtimedwait, SHIM_ANY, broken_pipes, TWICE, {EINTR, UNSEEN, 0}),
};

const size_t fault_group_count = sizeof(fault_groups) / sizeof(fault_groups[0]);

/* In the pairs of a call and an error, of which ways are there? */
enum way { WAY_FIRST = 1, WAY_NTH = 2, WAY_EACH_KTH = 4, WAY_ALL = 7 };

static unsigned ways_of(const struct fault_group *group)
{
    unsigned ways = 0;
    for (const struct fault_when *when = group->whens; when->first != 0; when++)
        ways |= when->step != 0 ? WAY_EACH_KTH : when->first == 1 ? WAY_FIRST : WAY_NTH;
    return ways;
}

static bool has_error(const struct fault_group *group, enum shim_call call, int error)
{
    const struct fault_error *each = group->errors;
    while (each->error != 0 && each->error != error)
        each++;
    return group->call == call && each->error == error;
}

/* Of the same call and error there are several groups: the first of them stands for all, and counts. */
static bool is_first_of(const struct fault_group *group, const struct fault_error *error)
{
    for (const struct fault_group *before = fault_groups; before < group; before++)
        if (has_error(before, group->call, error->error))
            return false;
    for (const struct fault_error *before = group->errors; before < error; before++)
        if (before->error == error->error)
            return false;
    return true;
}

static unsigned ways_of_all(enum shim_call call, int error)
{
    unsigned ways = 0;
    for (size_t i = 0; i < fault_group_count; i++)
        if (has_error(&fault_groups[i], call, error))
            ways |= ways_of(&fault_groups[i]);
    return ways;
}

size_t fault_distinct_count(size_t *in_all_ways_out)
{
    size_t count = 0, in_all_ways = 0;
    for (size_t i = 0; i < fault_group_count; i++)
        for (const struct fault_error *error = fault_groups[i].errors; error->error != 0; error++)
            if (is_first_of(&fault_groups[i], error)) {
                count++;
                in_all_ways += ways_of_all(fault_groups[i].call, error->error) == WAY_ALL;
            }
    *in_all_ways_out = in_all_ways;
    return count;
}

size_t fault_pair_count(enum shim_call call)
{
    size_t count = 0;
    for (size_t i = 0; i < fault_group_count; i++) {
        const struct fault_group *group = &fault_groups[i];
        if (group->call != call && call != SHIM_CALL_COUNT)
            continue;
        size_t when_count = 0;
        while (group->whens[when_count].first != 0)
            when_count++;
        for (const struct fault_error *error = group->errors; error->error != 0; error++)
            count += when_count;
    }
    return count;
}
