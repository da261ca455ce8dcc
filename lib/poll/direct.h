/*
 * Direct: the system calls of each turn and of each transfer, asked of the kernel itself.
 *
 * In a process with threads the C library makes a point of cancellation of each of these: four locked instructions around the call, for what
 * nobody asks of a loop's thread. Sanitizers want to see the calls, so under them the library's are called; tests/faults knows both.
 */
#ifndef LIB_POLL_DIRECT_H
#define LIB_POLL_DIRECT_H

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DIRECT_BY_LIBRARY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define DIRECT_BY_LIBRARY 1
#endif
#endif

/* Where words are shorter the kernel has other structures, and other ways in. */
#if defined(__LP64__) && !defined(DIRECT_BY_LIBRARY)

static inline ssize_t direct_recv(int fd, void *buf, size_t len, int flags)
{
    return syscall(SYS_recvfrom, (long)fd, buf, len, (long)flags, NULL, NULL);
}

static inline ssize_t direct_send(int fd, const void *buf, size_t len, int flags)
{
    return syscall(SYS_sendto, (long)fd, buf, len, (long)flags, NULL, 0L);
}

static inline int direct_epoll_wait(int fd, struct epoll_event *events, int count_max, int timeout_ms)
{
#ifdef SYS_epoll_wait
    return (int)syscall(SYS_epoll_wait, (long)fd, events, (long)count_max, (long)timeout_ms, NULL, 0L);
#else
    return (int)syscall(SYS_epoll_pwait, (long)fd, events, (long)count_max, (long)timeout_ms, NULL, 0L);
#endif
}

#else

static inline ssize_t direct_recv(int fd, void *buf, size_t len, int flags)
{
    return recv(fd, buf, len, flags);
}

static inline ssize_t direct_send(int fd, const void *buf, size_t len, int flags)
{
    return send(fd, buf, len, flags);
}

static inline int direct_epoll_wait(int fd, struct epoll_event *events, int count_max, int timeout_ms)
{
    return epoll_wait(fd, events, count_max, timeout_ms);
}

#endif

#endif
