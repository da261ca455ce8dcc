/*
 * The wrappers: one for each call in SHIM_CALLS. Each asks the rule, and then fails as the kernel does, or calls the C library.
 *
 * As the kernel does: a close that says EINTR or EIO has closed; a connect that says EINTR goes on; an EAGAIN of a socket is followed by an
 * edge of its epoll; an eventfd that says EAGAIN is readable.
 */
#include "tests/faults/shim.h"

#include <errno.h>
#include <linux/futex.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "weft/atomic.h"

/* ---- the rule ----------------------------------------------------------------------------------------------------------------- */

static struct shim_rule rule;    /* written while is_armed is 0 */
static struct shim_rule assumed; /* written while the library has no thread */
static uint32_t is_armed;
static uint64_t seen_count, fired_count;
static uint64_t mapping_count;
static _Thread_local int pass_depth;

void shim_start(const struct shim_rule *new_rule)
{
    weft_atomic_store_relaxed(&seen_count, 0);
    weft_atomic_store_relaxed(&fired_count, 0);
    rule = *new_rule;
    /* Pairs with the acquire in fires(): the rule. */
    weft_atomic_store_release(&is_armed, 1);
}

uint64_t shim_stop(void)
{
    weft_atomic_store_relaxed(&is_armed, 0);
    return shim_fired();
}

void shim_assume(enum shim_call call, int selector, int error)
{
    assumed = (struct shim_rule){.call = call, .selector = selector, .error = error};
}

uint64_t shim_seen(void)
{
    return weft_atomic_load_relaxed(&seen_count);
}

uint64_t shim_fired(void)
{
    return weft_atomic_load_relaxed(&fired_count);
}

void shim_pass_begin(void)
{
    pass_depth++;
}

void shim_pass_end(void)
{
    pass_depth--;
}

int64_t shim_mapping_count(void)
{
    return (int64_t)weft_atomic_load_relaxed(&mapping_count);
}

const char *shim_call_name(enum shim_call call)
{
#define SHIM_NAME(name) #name,
    static const char *const names[] = {SHIM_CALLS(SHIM_NAME)};
    return names[call];
}

/* The error that this call shall fail with; 0: none. */
static int fires(enum shim_call call, int selector)
{
    if (assumed.error != 0 && assumed.call == call && assumed.selector == selector)
        return assumed.error;
    /* Pairs with the release in shim_start(). */
    if (weft_atomic_load_acquire(&is_armed) == 0 || pass_depth > 0)
        return 0;
    if (rule.call != call || (rule.selector != SHIM_ANY && rule.selector != selector))
        return 0;
    uint64_t number = weft_atomic_add_relaxed(&seen_count, 1) + 1;
    bool is_it = number == rule.first || (rule.step != 0 && number > rule.first && (number - rule.first) % rule.step == 0);
    if (is_it)
        (void)weft_atomic_add_relaxed(&fired_count, 1);
    return is_it ? rule.error : 0;
}

/* ---- most calls: -1 and errno, NULL, or the error itself ------------------------------------------------------------------------ */

#define WRAP_AS(type, failed, name, selector, params, args)                                                                                \
    type __real_##name params;                                                                                                             \
    type __wrap_##name params;                                                                                                             \
    type __wrap_##name params                                                                                                              \
    {                                                                                                                                      \
        int error = fires(SHIM_##name, selector);                                                                                          \
        if (error == 0)                                                                                                                    \
            return __real_##name args;                                                                                                     \
        errno = error;                                                                                                                     \
        return failed;                                                                                                                     \
    }

#define WRAP(type, name, selector, params, args) WRAP_AS(type, -1, name, selector, params, args)
#define WRAP_ERROR(name, selector, params, args) WRAP_AS(int, error, name, selector, params, args)

WRAP(int, bind, 0, (int fd, const struct sockaddr *address, socklen_t len), (fd, address, len))
WRAP(int, epoll_create1, 0, (int flags), (flags))
WRAP(int, epoll_pwait2, 0, (int epfd, struct epoll_event *events, int max, const struct timespec *timeout, const sigset_t *mask),
     (epfd, events, max, timeout, mask))
WRAP(int, epoll_wait, 0, (int epfd, struct epoll_event *events, int max, int timeout), (epfd, events, max, timeout))
WRAP(int, eventfd, 0, (unsigned value, int flags), (value, flags))
WRAP(int, getpeername, 0, (int fd, struct sockaddr *address, socklen_t *len), (fd, address, len))
WRAP(ssize_t, getrandom, 0, (void *buf, size_t len, unsigned flags), (buf, len, flags))
WRAP(int, getsockname, 0, (int fd, struct sockaddr *address, socklen_t *len), (fd, address, len))
WRAP(int, listen, 0, (int fd, int backlog), (fd, backlog))
WRAP(int, lstat, 0, (const char *path, struct stat *out), (path, out))
WRAP(int, madvise, advice, (void *addr, size_t len, int advice), (addr, len, advice))
WRAP(int, mprotect, 0, (void *addr, size_t len, int protection), (addr, len, protection))
WRAP(int, poll, 0, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(int, sched_getaffinity, 0, (pid_t pid, size_t bytes, cpu_set_t *set), (pid, bytes, set))
WRAP(int, sched_getcpu, 0, (void), ())
WRAP(int, setsockopt, option, (int fd, int level, int option, const void *value, socklen_t len), (fd, level, option, value, len))
WRAP(int, shutdown, 0, (int fd, int how), (fd, how))
WRAP(int, sigaction, number, (int number, const struct sigaction *action, struct sigaction *before), (number, action, before))
WRAP(int, sigaltstack, 0, (const stack_t *stack, stack_t *before), (stack, before))
WRAP(int, sigtimedwait, 0, (const sigset_t *set, siginfo_t *info, const struct timespec *timeout), (set, info, timeout))
WRAP(int, socket, 0, (int family, int type, int protocol), (family, type, protocol))
WRAP(long, sysconf, name, (int name), (name))
WRAP(int, unlink, 0, (const char *path), (path))
WRAP_AS(FILE *, NULL, fopen, 0, (const char *path, const char *mode), (path, mode))
WRAP_AS(char *, NULL, fgets, 0, (char *line, int bytes, FILE *file), (line, bytes, file))
WRAP_AS(unsigned, 0, if_nametoindex, 0, (const char *name), (name))
WRAP_ERROR(pthread_attr_init, 0, (pthread_attr_t * attr), (attr))
WRAP_ERROR(pthread_attr_setsigmask_np, 0, (pthread_attr_t * attr, const sigset_t *mask), (attr, mask))
WRAP_ERROR(pthread_attr_setstacksize, 0, (pthread_attr_t * attr, size_t bytes), (attr, bytes))
WRAP_ERROR(pthread_condattr_init, 0, (pthread_condattr_t * attr), (attr))
WRAP_ERROR(pthread_create, 0, (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg), (thread, attr, fn, arg))
WRAP_ERROR(pthread_key_create, 0, (pthread_key_t * key, void (*end)(void *)), (key, end))
WRAP_ERROR(pthread_setaffinity_np, 0, (pthread_t thread, size_t bytes, const cpu_set_t *set), (thread, bytes, set))
WRAP_ERROR(pthread_setname_np, 0, (pthread_t thread, const char *name), (thread, name))
WRAP_ERROR(pthread_setspecific, 0, (pthread_key_t key, const void *value), (key, value))

/* ---- what epoll owes ---------------------------------------------------------------------------------------------------------- */

enum { WATCHES_MAX = 1024 };

/* What each descriptor is registered as; indexed by it. Only its loop's thread writes it. */
static struct {
    int epfd;
    struct epoll_event event;
} watches[WATCHES_MAX];

int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    int error = fires(SHIM_epoll_ctl, op);
    if (error != 0) {
        errno = error;
        return -1;
    }
    int result = __real_epoll_ctl(epfd, op, fd, event);
    if (result == 0 && fd < WATCHES_MAX) {
        watches[fd].epfd = op == EPOLL_CTL_DEL ? 0 : epfd;
        watches[fd].event = *event;
    }
    return result;
}

/* The kernel says EAGAIN only if an event is to come. A registration that is renewed reports what there is. */
static ssize_t fail(int fd, int error)
{
    if (error == EAGAIN && fd < WATCHES_MAX && watches[fd].epfd != 0)
        (void)__real_epoll_ctl(watches[fd].epfd, EPOLL_CTL_MOD, fd, &watches[fd].event);
    errno = error;
    return -1;
}

#define WRAP_IO(type, name, params, args)                                                                                                  \
    type __real_##name params;                                                                                                             \
    type __wrap_##name params;                                                                                                             \
    type __wrap_##name params                                                                                                              \
    {                                                                                                                                      \
        int error = fires(SHIM_##name, 0);                                                                                                 \
        return error == 0 ? __real_##name args : (type)fail(fd, error);                                                                    \
    }

WRAP_IO(int, accept4, (int fd, struct sockaddr *address, socklen_t *len, int flags), (fd, address, len, flags))
WRAP_IO(ssize_t, read, (int fd, void *buf, size_t len), (fd, buf, len))
WRAP_IO(ssize_t, recv, (int fd, void *buf, size_t len, int flags), (fd, buf, len, flags))
WRAP_IO(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
WRAP_IO(ssize_t, send, (int fd, const void *buf, size_t len, int flags), (fd, buf, len, flags))
WRAP_IO(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP_IO(ssize_t, writev, (int fd, const struct iovec *iov, int count), (fd, iov, count))

/* ---- those that have done it all the same --------------------------------------------------------------------------------------- */

/* Linux has closed, whatever it says; and what was not open is not open. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    int error = fires(SHIM_close, 0);
    int result = __real_close(fd);
    if (error == 0)
        return result;
    errno = error;
    return -1;
}

int __real_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    int error = fires(SHIM_connect, 0);
    bool goes_on = error == 0 || error == EINTR || error == EINPROGRESS;
    int result = goes_on ? __real_connect(fd, address, len) : -1;
    if (error == 0)
        return result;
    errno = error;
    return -1;
}

/* An eventfd that says EAGAIN is full, and so readable. */
ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
    int error = fires(SHIM_write, 0);
    if (error == 0)
        return __real_write(fd, buf, len);
    if (error == EAGAIN)
        (void)__real_write(fd, buf, len);
    errno = error;
    return -1;
}

/* ---- the odd ones ------------------------------------------------------------------------------------------------------------- */

int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
    int error = fires(SHIM_getsockopt, option);
    if (error != 0) {
        errno = error;
        return -1;
    }
    int result = __real_getsockopt(fd, level, option, value, len);
    int told = option == SO_ERROR ? fires(SHIM_getsockopt, SHIM_SO_ERROR_VALUE) : 0;
    if (told != 0)
        *(int *)value = told;
    return result;
}

/* `error` is an EAI_ code; with EAI_SYSTEM errno tells more. */
int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **infos);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **infos);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **infos)
{
    int error = fires(SHIM_getaddrinfo, 0);
    if (error == EAI_SYSTEM)
        errno = EMFILE;
    return error != 0 ? error : __real_getaddrinfo(host, service, hints, infos);
}

void *__real_mmap(void *addr, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t len, int protection, int flags, int fd, off_t offset)
{
    int error = fires(SHIM_mmap, (flags & MAP_STACK) != 0);
    if (error != 0) {
        errno = error;
        return MAP_FAILED;
    }
    void *result = __real_mmap(addr, len, protection, flags, fd, offset);
    if (result != MAP_FAILED)
        (void)weft_atomic_add_relaxed(&mapping_count, 1);
    return result;
}

int __real_munmap(void *addr, size_t len);
int __wrap_munmap(void *addr, size_t len);
int __wrap_munmap(void *addr, size_t len)
{
    int error = fires(SHIM_munmap, 0);
    int result = error == 0 ? __real_munmap(addr, len) : -1;
    if (result == 0)
        (void)weft_atomic_sub_relaxed(&mapping_count, 1);
    errno = error != 0 ? error : errno;
    return result;
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long arg = va_arg(list, long);
    va_end(list);
    int error = fires(SHIM_fcntl, command);
    if (error == 0)
        return __real_fcntl(fd, command, arg);
    errno = error;
    return -1;
}

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
    unsigned long args[4];
    va_list list;
    va_start(list, option);
    for (int i = 0; i < 4; i++)
        args[i] = va_arg(list, unsigned long);
    va_end(list);
    int error = fires(SHIM_prctl, option);
    if (error == 0)
        return __real_prctl(option, args[0], args[1], args[2], args[3]);
    errno = error;
    return -1;
}

static int syscall_selector(long number, long operation)
{
    if (number != SYS_futex)
        return (int)number;
    return (operation & FUTEX_CMD_MASK) == FUTEX_WAKE ? SHIM_FUTEX_WAKE : SHIM_FUTEX_WAIT;
}

/* Those that nobody passed are not to be read. */
static int syscall_args_count(long number)
{
    return number == SYS_sched_setattr ? 3 : number == SYS_sched_getattr ? 4 : 6;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long args[6] = {0};
    va_list list;
    va_start(list, number);
    for (int i = 0; i < syscall_args_count(number); i++)
        args[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_recvfrom)
        return __wrap_recv((int)args[0], (void *)args[1], (size_t)args[2], (int)args[3]);
#ifdef SYS_epoll_wait
    if (number == SYS_epoll_wait)
        return __wrap_epoll_wait((int)args[0], (struct epoll_event *)args[1], (int)args[2], (int)args[3]);
#endif
    if (number == SYS_epoll_pwait)
        return __wrap_epoll_wait((int)args[0], (struct epoll_event *)args[1], (int)args[2], (int)args[3]);
    if (number == SYS_sendto)
        return __wrap_send((int)args[0], (const void *)args[1], (size_t)args[2], (int)args[3]);
    int error = fires(SHIM_syscall, syscall_selector(number, args[1]));
    if (error == 0)
        return __real_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
    errno = error;
    return -1;
}
