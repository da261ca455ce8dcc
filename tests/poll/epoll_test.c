/*
 * Epoll: what only a kernel does. Stale events, descriptors of other kinds, signals, exhaustion.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/support/oom.h"
#include "weft/memory.h"
#include "weft/poller.h"

struct record {
    struct weft_operation operation; /* first */
    int calls;
    int result;
    unsigned flags;
    size_t bytes_count;
};

static int record_call(struct weft_operation *operation, int result, unsigned flags)
{
    struct record *record = weft_container_of(operation, struct record, operation);
    record->calls++;
    record->result = result;
    record->flags = flags;
    record->bytes_count += operation->kind == WEFT_OP_RECV && result > 0 ? (size_t)result : 0;
    return 0;
}

static struct weft_poller *poller_open(const struct weft_poller_options *options)
{
    const struct weft_poller_ops *ops = weft_poller_epoll_ops();
    struct weft_poller *poller = weft_calloc(1, ops->state_bytes);
    CHECK_EQ(weft_poller_init(poller, ops, options), 0);
    return poller;
}

static void poller_close(struct weft_poller *poller)
{
    CHECK_EQ(poller->pending_count, 0);
    poller->ops->fini(poller);
    weft_free(poller);
}

static int submit(struct weft_poller *poller, struct record *record)
{
    return poller->ops->submit(poller, &record->operation);
}

static int turn(struct weft_poller *poller, int64_t timeout_ns)
{
    struct weft_work_list ready = {NULL, NULL, 0};
    int count = poller->ops->wait(poller, timeout_ns, &ready);
    CHECK(count >= 0);
    for (struct weft_work *work; (work = weft_work_list_pop(&ready)) != NULL;)
        work->run(work);
    return count;
}

static void await(struct weft_poller *poller, const struct record *record, int calls)
{
    while (record->calls < calls)
        turn(poller, 5000000000);
}

static void file_close(struct weft_poller *poller, struct weft_file *file)
{
    struct record record = {0};
    weft_operation_close(&record.operation, file, record_call);
    if (submit(poller, &record) == -EINPROGRESS)
        await(poller, &record, 1);
}

static void pair_open(int fds[2], int type)
{
    CHECK_EQ(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void recv_start(struct weft_poller *poller, struct record *record, struct weft_file *file, unsigned flags)
{
    weft_operation_recv(&record->operation, file, NULL, 0, record_call);
    record->operation.flags |= (uint16_t)flags;
    CHECK_EQ(submit(poller, record), -EINPROGRESS);
}

Test(epoll, ignores_events_of_a_file_that_was_closed_behind_its_back, .timeout = 5)
{
    int fds[2];
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    pair_open(fds, SOCK_STREAM);
    weft_file_init(&file, fds[0], WEFT_FILE_STREAM);
    recv_start(poller, &record, &file, 0);
    turn(poller, 0);
    int dup_fd = dup(fds[0]); /* keeps the registration alive, and nobody can take it out any more */
    close(fds[0]);
    file_close(poller, &file);
    memset(&file, 0xa5, sizeof(file));
    CHECK_EQ(record.result, -ECANCELED);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(turn(poller, 1000000000), 0);
    CHECK_EQ(poller->counters.stale, 1);
    close(dup_fd);
    close(fds[1]);
    poller_close(poller);
}

Test(epoll, does_not_mistake_an_old_event_for_one_of_the_next_file_in_its_slot, .timeout = 5)
{
    int old[2], next[2];
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    pair_open(old, SOCK_STREAM);
    weft_file_init(&file, old[0], WEFT_FILE_STREAM);
    recv_start(poller, &record, &file, 0);
    turn(poller, 0);
    int dup_fd = dup(old[0]);
    close(old[0]);
    file_close(poller, &file);
    pair_open(next, SOCK_STREAM); /* the same number, and the same slot */
    CHECK_EQ(next[0], old[0]);
    weft_file_init(&file, next[0], WEFT_FILE_STREAM);
    recv_start(poller, &record, &file, 0);
    turn(poller, 0);
    record.calls = 0;
    CHECK_EQ(write(old[1], "x", 1), 1);
    turn(poller, 1000000000);
    CHECK_EQ(record.calls, 0);
    CHECK_EQ(poller->counters.stale, 1);
    file_close(poller, &file);
    close(dup_fd);
    close(old[1]);
    close(next[1]);
    poller_close(poller);
}

Test(epoll, close_takes_the_file_out_although_a_dup_lives_on, .timeout = 5)
{
    int fds[2];
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    pair_open(fds, SOCK_STREAM);
    int dup_fd = dup(fds[0]);
    weft_file_init(&file, fds[0], WEFT_FILE_STREAM);
    recv_start(poller, &record, &file, 0);
    file_close(poller, &file);
    uint64_t events = poller->counters.events;
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(turn(poller, 0), 0);
    CHECK_EQ(poller->counters.events, events);
    close(dup_fd);
    close(fds[1]);
    poller_close(poller);
}

Test(epoll, registers_a_file_once_and_only_when_something_blocks, .timeout = 5)
{
    int fds[2];
    char buf[16];
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    pair_open(fds, SOCK_STREAM);
    weft_file_init(&file, fds[0], WEFT_FILE_STREAM);
    weft_operation_send(&record.operation, &file, "x", 1, record_call);
    CHECK_EQ(submit(poller, &record), 1);
    CHECK_EQ(poller->counters.registers, 0);
    for (int i = 1; i <= 10; i++) {
        weft_operation_recv(&record.operation, &file, buf, sizeof(buf), record_call);
        CHECK_EQ(submit(poller, &record), -EINPROGRESS);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        await(poller, &record, i);
    }
    CHECK_EQ(poller->counters.registers, 1);
    file_close(poller, &file);
    close(fds[1]);
    poller_close(poller);
}

Test(epoll, takes_no_events_when_nobody_reads_a_hangup, .timeout = 5)
{
    int fds[2];
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    pair_open(fds, SOCK_STREAM);
    weft_file_init(&file, fds[0], WEFT_FILE_STREAM);
    recv_start(poller, &record, &file, 0);
    close(fds[1]);
    await(poller, &record, 1);
    turn(poller, 0);
    uint64_t events = poller->counters.events;
    for (int i = 0; i < 100; i++)
        turn(poller, 0);
    CHECK_EQ(poller->counters.events, events);
    file_close(poller, &file);
    poller_close(poller);
}

/* Other kinds of descriptors */

Test(epoll, reads_a_pipe_to_its_end, .timeout = 5)
{
    int fds[2];
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    CHECK_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    weft_file_init(&file, fds[0], WEFT_FILE_PIPE);
    recv_start(poller, &record, &file, WEFT_OP_MULTISHOT);
    CHECK_EQ(write(fds[1], "abc", 3), 3);
    await(poller, &record, 1);
    close(fds[1]);
    await(poller, &record, 2);
    CHECK_EQ(record.result, 0);
    CHECK_EQ(record.flags, 0);
    file_close(poller, &file);
    poller_close(poller);
}

Test(epoll, writes_to_a_broken_pipe_without_a_signal, .timeout = 5)
{
    int fds[2];
    struct weft_file file;
    struct record record = {0};
    sigset_t before, after;
    struct weft_poller *poller = poller_open(NULL);
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    CHECK_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    close(fds[0]);
    weft_file_init(&file, fds[1], WEFT_FILE_PIPE);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    weft_operation_send(&record.operation, &file, "x", 1, record_call);
    CHECK_EQ(submit(poller, &record), -EPIPE);
    struct iovec iov[2] = {{(char[]){"x"}, 1}, {(char[]){"y"}, 1}};
    weft_operation_sendv(&record.operation, &file, iov, 2, record_call);
    CHECK_EQ(submit(poller, &record), -EPIPE);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    CHECK_EQ(sigismember(&before, SIGPIPE), sigismember(&after, SIGPIPE));
    file_close(poller, &file);
    poller_close(poller);
}

Test(epoll, writes_to_a_broken_socket_without_a_signal, .timeout = 5)
{
    int fds[2];
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    pair_open(fds, SOCK_STREAM);
    close(fds[1]);
    weft_file_init(&file, fds[0], WEFT_FILE_STREAM);
    weft_operation_send(&record.operation, &file, "x", 1, record_call);
    CHECK_EQ(submit(poller, &record), -EPIPE);
    struct msghdr message = {.msg_iov = &(struct iovec){(char[]){"x"}, 1}, .msg_iovlen = 1};
    weft_operation_sendmsg(&record.operation, &file, &message, record_call);
    CHECK_EQ(submit(poller, &record), -EPIPE);
    file_close(poller, &file);
    poller_close(poller);
}

Test(epoll, takes_a_regular_file_for_always_ready, .timeout = 5)
{
    char name[] = "/tmp/weft-XXXXXX";
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    int fd = mkostemp(name, O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(unlink(name), 0);
    CHECK_EQ(write(fd, "contents", 8), 8);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    weft_file_init(&file, fd, WEFT_FILE_PIPE);
    recv_start(poller, &record, &file, WEFT_OP_MULTISHOT);
    await(poller, &record, 2);
    CHECK_EQ(record.bytes_count, 8);
    CHECK_EQ(record.result, 0);
    weft_operation_poll(&record.operation, &file, WEFT_FILE_READABLE, record_call);
    CHECK_EQ(submit(poller, &record), WEFT_FILE_READABLE);
    file_close(poller, &file);
    poller_close(poller);
}

Test(epoll, reads_every_datagram_of_one_event, .timeout = 5)
{
    int fds[2];
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    pair_open(fds, SOCK_DGRAM);
    weft_file_init(&file, fds[0], WEFT_FILE_DATAGRAM);
    recv_start(poller, &record, &file, WEFT_OP_MULTISHOT);
    turn(poller, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(write(fds[1], "datagram", 8), 8);
    turn(poller, 1000000000);
    CHECK_EQ(record.calls, 3);
    CHECK_EQ(record.bytes_count, 24);
    file_close(poller, &file);
    close(fds[1]);
    poller_close(poller);
}

Test(epoll, passes_descriptors_that_do_not_leak, .timeout = 5)
{
    int fds[2];
    char byte = 0;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    pair_open(fds, SOCK_STREAM);
    weft_file_init(&file, fds[0], WEFT_FILE_STREAM);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fds[1], sizeof(int));
    CHECK_EQ(sendmsg(fds[1], &message, 0), 1);
    weft_operation_recvmsg(&record.operation, &file, &message, record_call);
    CHECK_EQ(submit(poller, &record), 1);
    int passed;
    memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    CHECK((fcntl(passed, F_GETFD) & FD_CLOEXEC) != 0);
    close(passed);
    close(fds[1]);
    file_close(poller, &file);
    poller_close(poller);
}

Test(epoll, tells_a_socket_error_of_a_bad_descriptor, .timeout = 5)
{
    struct weft_file file;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    weft_file_init(&file, 999999, WEFT_FILE_STREAM);
    weft_operation_recv(&record.operation, &file, NULL, 0, record_call);
    CHECK_EQ(submit(poller, &record), -EBADF);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(submit(poller, &record), -EBADF);
    weft_operation_poll(&record.operation, &file, WEFT_FILE_READABLE, record_call);
    CHECK_EQ(submit(poller, &record), -EBADF);
    poller_close(poller);
}

/* Many events, few places */

Test(epoll, loses_no_event_with_room_for_one_at_a_time, .timeout = 5)
{
    enum { FILES = 100 };
    static struct weft_file files[FILES];
    static struct record records[FILES];
    static int fds[FILES][2];
    struct weft_poller_options options = {sizeof(options), 1, NULL};
    struct weft_poller *poller = poller_open(&options);
    for (int i = 0; i < FILES; i++) { /* more than one growth of the slots */
        pair_open(fds[i], SOCK_STREAM);
        weft_file_init(&files[i], fds[i][0], WEFT_FILE_STREAM);
        recv_start(poller, &records[i], &files[i], 0);
    }
    for (int i = 0; i < FILES; i++)
        CHECK_EQ(write(fds[i][1], "x", 1), 1);
    for (int i = 0; i < FILES; i++) {
        await(poller, &records[i], 1);
        CHECK_EQ(records[i].result, 1);
    }
    for (int i = 0; i < FILES; i++) {
        file_close(poller, &files[i]);
        close(fds[i][1]);
    }
    poller_close(poller);
}

/* Signals */

static void on_alarm(int number)
{
    (void)number;
}

Test(epoll, takes_a_signal_for_no_error, .timeout = 5)
{
    struct weft_poller *poller = poller_open(NULL);
    struct sigaction action = {.sa_handler = on_alarm};
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    struct itimerspec every_ms = {{0, 1000000}, {0, 1000000}};
    CHECK_EQ(timer_settime(timer, 0, &every_ms, NULL), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(turn(poller, -1), 0);
        CHECK_EQ(turn(poller, 5000000000), 0);
    }
    CHECK_EQ(timer_delete(timer), 0);
    poller_close(poller);
}

/* Exhaustion */

static int listener_open(struct sockaddr_in *address, int backlog)
{
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    CHECK_EQ(listen(fd, backlog), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)address, &(socklen_t){sizeof(*address)}), 0);
    return fd;
}

/* A full backlog drops what else knocks, so this connect stays on its way. */
Test(epoll, connect_cancelled_on_its_way_does_not_say_that_it_is_done, .timeout = 5)
{
    struct sockaddr_in address;
    struct weft_file client;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    int knocking[4];
    int listener = listener_open(&address, 0);
    for (int i = 0; i < 4; i++) {
        knocking[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(knocking[i], (struct sockaddr *)&address, sizeof(address));
    }
    weft_file_init(&client, socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), WEFT_FILE_STREAM);
    weft_operation_connect(&record.operation, &client, (struct sockaddr *)&address, sizeof(address), record_call);
    CHECK_EQ(submit(poller, &record), -EINPROGRESS);
    CHECK_EQ(turn(poller, 1000000), 0);
    CHECK_EQ(poller->ops->cancel(poller, &record.operation), 0);
    await(poller, &record, 1);
    CHECK_EQ(record.result, -ECANCELED);
    file_close(poller, &client);
    for (int i = 0; i < 4; i++)
        close(knocking[i]);
    close(listener);
    poller_close(poller);
}

/* Make every further descriptor fail with EMFILE; the limit that was. */
static struct rlimit descriptors_exhaust(void)
{
    struct rlimit before;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = dup(0);
    struct rlimit none = {(rlim_t)fd, before.rlim_max};
    close(fd);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

static void accept_survives_exhaustion(unsigned flags)
{
    struct sockaddr_in address;
    struct weft_file listener;
    struct record record = {0};
    struct weft_poller *poller = poller_open(NULL);
    weft_file_init(&listener, listener_open(&address, 16), WEFT_FILE_STREAM);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    weft_operation_accept(&record.operation, &listener, NULL, NULL, record_call);
    record.operation.flags |= (uint16_t)flags;
    CHECK_EQ(submit(poller, &record), -EINPROGRESS);
    CHECK_EQ(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    struct rlimit before = descriptors_exhaust();
    await(poller, &record, 1);
    CHECK_EQ(record.result, -EMFILE);
    CHECK_EQ(record.flags, 0);
    CHECK_EQ(turn(poller, 0), 0); /* It does not spin. */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = submit(poller, &record);
    if (fd == -EINPROGRESS) {
        await(poller, &record, 2);
        fd = record.result;
    }
    CHECK(fd >= 0);
    close(fd);
    close(client);
    file_close(poller, &listener);
    poller_close(poller);
}

Test(epoll, accept_keeps_the_connection_when_descriptors_run_out, .timeout = 5)
{
    accept_survives_exhaustion(0);
}

Test(epoll, multishot_accept_keeps_the_connection_when_descriptors_run_out, .timeout = 5)
{
    accept_survives_exhaustion(WEFT_OP_MULTISHOT);
}

Test(epoll, init_tells_when_descriptors_run_out, .timeout = 5)
{
    const struct weft_poller_ops *ops = weft_poller_epoll_ops();
    struct weft_poller *poller = weft_calloc(1, ops->state_bytes);
    struct rlimit before = descriptors_exhaust();
    CHECK_EQ(weft_poller_init(poller, ops, NULL), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    weft_free(poller);
}

Test(epoll, init_tells_when_memory_runs_out_and_leaks_nothing, .timeout = 5)
{
    const struct weft_poller_ops *ops = weft_poller_epoll_ops();
    oom_install();
    struct weft_poller *poller = weft_calloc(1, ops->state_bytes);
    int64_t live = oom_live();
    for (uint64_t n = 1;; n++) {
        oom_start(n);
        int status = weft_poller_init(poller, ops, NULL);
        if (!oom_stop())
            break;
        CHECK_EQ(status, -ENOMEM);
        CHECK_EQ(oom_live(), live);
    }
    poller_close(poller);
}

Test(epoll, submit_tells_when_memory_runs_out_and_works_afterwards, .timeout = 5)
{
    int fds[2];
    struct weft_file file;
    struct record record = {0};
    oom_install();
    struct weft_poller *poller = poller_open(NULL);
    pair_open(fds, SOCK_STREAM);
    weft_file_init(&file, fds[0], WEFT_FILE_STREAM);
    weft_operation_recv(&record.operation, &file, NULL, 0, record_call);
    oom_start(1);
    CHECK_EQ(submit(poller, &record), -ENOMEM);
    CHECK(oom_stop());
    CHECK(!weft_operation_is_pending(&record.operation));
    CHECK_EQ(submit(poller, &record), -EINPROGRESS);
    oom_start(1); /* From here on nothing allocates. */
    CHECK_EQ(write(fds[1], "x", 1), 1);
    await(poller, &record, 1);
    CHECK_EQ(submit(poller, &record), -EINPROGRESS);
    CHECK_EQ(poller->ops->cancel(poller, &record.operation), 0);
    poller->ops->wake(poller);
    file_close(poller, &file);
    CHECK_EQ(oom_asked(), 0);
    oom_stop();
    close(fds[1]);
    poller_close(poller);
}

/* A kernel that does not know epoll_pwait2: a filter says so in its place. Not under an emulator, which has no filters. */
static void pwait2_forbid(int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void waits_without_pwait2(int error)
{
    struct weft_poller *poller = poller_open(NULL);
    pwait2_forbid(error);
    for (int i = 0; i < 3; i++) {
        uint64_t before_ns = poller->ops->now(poller);
        CHECK_EQ(turn(poller, 1900000), 0);
        CHECK(poller->ops->now(poller) - before_ns >= 1900000);
    }
    poller_close(poller);
}

Test(epoll, rounds_up_to_milliseconds_on_an_older_kernel, .timeout = 5, .disabled = TEST_EMULATED)
{
    waits_without_pwait2(ENOSYS);
}

Test(epoll, rounds_up_to_milliseconds_behind_a_filter, .timeout = 5, .disabled = TEST_EMULATED)
{
    waits_without_pwait2(EPERM);
}

Test(epoll, refuses_options_that_are_too_short, .timeout = 5)
{
    const struct weft_poller_ops *ops = weft_poller_epoll_ops();
    struct weft_poller_options options = {.size = sizeof(options.size), .events_max = 1};
    struct weft_poller *poller = weft_calloc(1, ops->state_bytes);
    CHECK_EQ(weft_poller_init(poller, ops, &options), -EINVAL);
    ops->fini(poller);
    weft_free(poller);
}
