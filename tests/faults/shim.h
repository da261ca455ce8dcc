/*
 * Shim: stands between weft and the C library, and lets a call fail when a rule says so.
 *
 *     shim_start(&(struct shim_rule){.call = SHIM_accept4, .selector = SHIM_ANY, .error = EMFILE, .first = 1, .step = 0});
 *     ...
 *     uint64_t fired = shim_stop();
 *
 * The linker puts it there (--wrap, see calls.bzl): each reference to accept4() in the objects of the program becomes one to the wrapper
 * here, whatever a sanitizer does to the C library. What the C library calls within itself is not touched, nor is what a test does between
 * shim_pass_begin() and shim_pass_end().
 */
#ifndef TESTS_FAULTS_SHIM_H
#define TESTS_FAULTS_SHIM_H

#include <stdint.h>

/* The calls with a wrapper; tests/faults/table_test.py compares the list with what lib/ calls, and with calls.bzl. */
#define SHIM_CALLS(X)                                                                                                                      \
    X(accept4)                                                                                                                             \
    X(bind)                                                                                                                                \
    X(close)                                                                                                                               \
    X(connect)                                                                                                                             \
    X(epoll_create1)                                                                                                                       \
    X(epoll_ctl)                                                                                                                           \
    X(epoll_pwait2)                                                                                                                        \
    X(epoll_wait)                                                                                                                          \
    X(eventfd)                                                                                                                             \
    X(fcntl)                                                                                                                               \
    X(fgets)                                                                                                                               \
    X(fopen)                                                                                                                               \
    X(getaddrinfo)                                                                                                                         \
    X(getpeername)                                                                                                                         \
    X(getrandom)                                                                                                                           \
    X(getsockname)                                                                                                                         \
    X(getsockopt)                                                                                                                          \
    X(if_nametoindex)                                                                                                                      \
    X(listen)                                                                                                                              \
    X(lstat)                                                                                                                               \
    X(madvise)                                                                                                                             \
    X(mmap)                                                                                                                                \
    X(mprotect)                                                                                                                            \
    X(munmap)                                                                                                                              \
    X(poll)                                                                                                                                \
    X(prctl)                                                                                                                               \
    X(pthread_attr_init)                                                                                                                   \
    X(pthread_attr_setsigmask_np)                                                                                                          \
    X(pthread_attr_setstacksize)                                                                                                           \
    X(pthread_condattr_init)                                                                                                               \
    X(pthread_create)                                                                                                                      \
    X(pthread_key_create)                                                                                                                  \
    X(pthread_setaffinity_np)                                                                                                              \
    X(pthread_setname_np)                                                                                                                  \
    X(pthread_setspecific)                                                                                                                 \
    X(read)                                                                                                                                \
    X(recv)                                                                                                                                \
    X(recvmsg)                                                                                                                             \
    X(sched_getaffinity)                                                                                                                   \
    X(sched_getcpu)                                                                                                                        \
    X(send)                                                                                                                                \
    X(sendmsg)                                                                                                                             \
    X(setsockopt)                                                                                                                          \
    X(shutdown)                                                                                                                            \
    X(sigaction)                                                                                                                           \
    X(sigaltstack)                                                                                                                         \
    X(sigtimedwait)                                                                                                                        \
    X(socket)                                                                                                                              \
    X(syscall)                                                                                                                             \
    X(sysconf)                                                                                                                             \
    X(unlink)                                                                                                                              \
    X(write)                                                                                                                               \
    X(writev)

#define SHIM_ENUM(name) SHIM_##name,
enum shim_call { SHIM_CALLS(SHIM_ENUM) SHIM_CALL_COUNT };

#define SHIM_ANY (-1)

/* Selectors of syscall(), beyond the plain numbers: futex has two faces. */
enum { SHIM_FUTEX_WAIT = 1000001, SHIM_FUTEX_WAKE = 1000002 };

/* Selectors of getsockopt(): the call itself, or what it tells: the error of a connect. */
enum { SHIM_SO_ERROR_VALUE = 1000003 };

/*
 * Which calls fail: of those of `call` with `selector` (an option, a command, an advice; see shim.c) the one with number `first`, counted
 * from 1 over all threads, and each `step`-th after it; step 0: no other.
 */
struct shim_rule {
    enum shim_call call;
    int selector;
    int error;
    uint32_t first;
    uint32_t step;
};

/* Let the rule hold from now on. One at a time. */
void shim_start(const struct shim_rule *rule);

/* No rule any more. How often it fired since shim_start(). */
uint64_t shim_stop(void);

/* How many calls the rule has looked at since shim_start(), and how many of them it let fail. */
uint64_t shim_seen(void);
uint64_t shim_fired(void);

/* Beside the rule: each `call` with `selector` fails with `error`, uncounted, until it is 0 again. */
void shim_assume(enum shim_call call, int selector, int error);

/* What this thread calls in between is the test's own business. Must not suspend a fiber in between. */
void shim_pass_begin(void);
void shim_pass_end(void);

/* How many mappings of the library's live: mmap less munmap. */
int64_t shim_mapping_count(void);

const char *shim_call_name(enum shim_call call);

#endif
