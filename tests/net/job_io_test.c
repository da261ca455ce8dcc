/*
 * A fiber that awaits I/O in the middle of its forks, and jobs that read from a stream where they were stolen.
 *
 * The loops have threads of their own. The test's thread is the peer, with a plain blocking socket. That a job is stolen is made certain:
 * the peer answers, or the fiber goes on, only once the job has begun. Fibers start on loop 0; the stream is of loop 0 or 1.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/support/test.h"
#include "tests/support/wait.h"
#include "weft/atomic.h"
#include "weft/fiber.h"
#include "weft/job.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/status.h"
#include "weft/stream.h"
#include "weft/task.h"

enum { LEVELS = 12, JOBS = 2 * LEVELS, ROUNDS = 10, PATIENCE_S = 20 };

#define PATIENCE_NS (PATIENCE_S * INT64_C(1000000000))

/* Where a test takes place. */
struct place {
    uint32_t loops;
    uint32_t stream_loop;
    bool is_pinned;
};

struct office {
    struct place place;
    struct weft_runtime *runtime;
    struct weft_stream *stream;
    int fd;
    uint32_t forked;     /* atomic: jobs */
    uint32_t ran;        /* atomic: of these */
    uint32_t waiting;    /* atomic: how many are about to wait */
    uint32_t runs[JOBS]; /* atomic: of each job */
};

static struct office office;

static void office_open(struct place place)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fds[2];
    options.loops = place.loops;
    office = (struct office){.place = place};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    office.fd = fds[1];
    CHECK_EQ(weft_runtime_create(&options, &office.runtime), 0);
    CHECK_EQ(weft_stream_from_socket(weft_runtime_loop(office.runtime, place.stream_loop), fds[0], &office.stream), 0);
    CHECK_EQ(weft_runtime_start(office.runtime), 0);
}

static void office_close(void)
{
    CHECK_EQ(weft_runtime_stop(office.runtime), 0);
    weft_stream_unref(office.stream);
    CHECK_EQ(weft_runtime_shutdown(office.runtime, PATIENCE_NS), 0);
    weft_runtime_destroy(office.runtime);
    close(office.fd);
}

static struct weft_task *start(weft_fiber_fn *fn)
{
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    struct weft_loop *loop = weft_runtime_loop(office.runtime, 0);
    struct weft_coro *coro;
    struct weft_task *task;
    options.stack = WEFT_STACK_LARGE;
    if (office.place.is_pinned) {
        CHECK_EQ(weft_fiber_new(fn, NULL, &options, &coro), 0);
        CHECK_EQ(weft_loop_create_task_threadsafe(loop, coro, NULL, &task), 0);
    } else {
        CHECK_EQ(weft_job_start(loop, fn, NULL, &task), 0);
    }
    return task;
}

static void finish(struct weft_task *task)
{
    CHECK_EQ(weft_future_wait(&task->future, PATIENCE_NS, NULL), 0);
    weft_task_unref(task);
}

static bool have_all_run(void *arg)
{
    (void)arg;
    /* Pairs with the release half in count_fork() and in count_run(). */
    return weft_atomic_load_acquire(&office.ran) == weft_atomic_load_acquire(&office.forked);
}

static bool are_waiting(void *count)
{
    /* Pairs with the release half in say_waiting(). */
    return weft_atomic_load_acquire(&office.waiting) >= *(uint32_t *)count;
}

static void say_waiting(void)
{
    (void)weft_atomic_add_acq_rel(&office.waiting, 1u); /* Pairs with the acquire in are_waiting(). */
}

/* Until so many wait, and what was forked before has run. */
static void await_waiting(uint32_t count)
{
    CHECK(wait_until(are_waiting, &count, PATIENCE_S * 1000));
    CHECK(wait_until(have_all_run, NULL, PATIENCE_S * 1000));
}

/* Answer each byte by the next one until the end; an odd one only once all jobs have run that were forked before it was sent. */
static void answer_all(void)
{
    char byte;
    ssize_t count;
    while ((count = recv(office.fd, &byte, 1, 0)) > 0) {
        if (byte % 2 != 0)
            CHECK(wait_until(have_all_run, NULL, PATIENCE_S * 1000));
        byte++;
        CHECK_EQ(send(office.fd, &byte, 1, MSG_NOSIGNAL), 1);
    }
    CHECK_EQ(count, 0);
}

/* A pinned fiber is at home wherever it looks. */
static void check_home(void)
{
    CHECK(!office.place.is_pinned || weft_get_running_loop() == weft_runtime_loop(office.runtime, 0));
}

static void ask(int byte)
{
    char question = (char)byte, answer = 0;
    CHECK_EQ(weft_stream_write(office.stream, &question, 1), 0);
    if (byte % 3 == 0)
        CHECK_EQ(weft_stream_read(office.stream, &answer, 1), 1);
    else
        CHECK_EQ(weft_stream_read_exactly(office.stream, &answer, 1, NULL), 0);
    CHECK_EQ(answer, byte + 1);
}

static struct weft_task *task_here(void)
{
    struct weft_task *task;
    CHECK_EQ(weft_current_task(&task), 0);
    return task;
}

/* ---- jobs that count ----------------------------------------------------------------------------------------------------------------- */

static void count_fork(void)
{
    (void)weft_atomic_add_acq_rel(&office.forked, 1u); /* Pairs with the acquire in have_all_run(). */
}

static void count_run(uint32_t *runs)
{
    (void)weft_atomic_add_relaxed(runs, 1u);
    (void)weft_atomic_add_acq_rel(&office.ran, 1u); /* Pairs with the acquire in have_all_run(). */
}

WEFT_JOB(long, fib, int, n)
{
    if (n < 2)
        return n;
    WEFT_FORK(fib, n - 1);
    long right = WEFT_CALL(fib, n - 2);
    long left = WEFT_JOIN(fib);
    return left + right;
}

WEFT_JOB(long, typed, uint32_t, id)
{
    long sum = WEFT_CALL(fib, 10);
    count_run(&office.runs[id]);
    return sum + id;
}

enum { FIB_10 = 55, ANY_STATUS = 1000 };

static int any(void *runs)
{
    count_run(runs);
    return ANY_STATUS;
}

static void check_each_ran_once(uint32_t count)
{
    for (uint32_t i = 0; i < JOBS; i++)
        CHECK_EQ(weft_atomic_load_relaxed(&office.runs[i]), i < count);
    memset(office.runs, 0, sizeof(office.runs));
}

/* ---- I/O between forks and joins ----------------------------------------------------------------------------------------------------- */

/* Open two forks at each level, and speak with the peer before and after the levels below. */
WEFT_JOB(long, talk, uint32_t, level)
{
    if (level == LEVELS)
        return 0;
    struct weft_fork fork;
    uint32_t id = 2 * level;
    count_fork();
    WEFT_FORK(typed, id);
    count_fork();
    CHECK_EQ(weft_fork(&fork, any, &office.runs[id + 1]), 0);
    ask((int)level);
    check_home();
    long below = 0;
    CHECK_EQ(WEFT_RUN(talk, level + 1, &below), 0); /* and not a call, as a function is open */
    ask((int)(level + LEVELS));
    check_home();
    CHECK_EQ(weft_join(&fork), ANY_STATUS);
    long sum = WEFT_JOIN(typed);
    check_home();
    CHECK_EQ(sum, FIB_10 + id);
    return sum + below;
}

static int talks(void *arg, void **result_out)
{
    struct weft_task *task = task_here();
    (void)arg, (void)result_out;
    for (int round = 0; round < ROUNDS; round++) {
        long sum = 0;
        CHECK_EQ(WEFT_RUN(talk, 0, &sum), 0);
        CHECK_EQ(sum, LEVELS * FIB_10 + LEVELS * (LEVELS - 1));
        CHECK(task_here() == task);
        check_each_ran_once(JOBS);
    }
    return weft_stream_close(office.stream);
}

static void run_answered(struct place place, weft_fiber_fn *fn)
{
    office_open(place);
    struct weft_task *task = start(fn);
    answer_all();
    finish(task);
    office_close();
}

/* Each place: two and four loops, the stream of the loop where the fiber starts and of another. */
static void in_each_place(bool is_pinned, void (*run)(struct place place, weft_fiber_fn *fn), weft_fiber_fn *fn)
{
    for (uint32_t loops = 2; loops <= 4; loops += 2)
        for (uint32_t stream_loop = 0; stream_loop < 2; stream_loop++)
            run((struct place){loops, stream_loop, is_pinned}, fn);
}

Test(job_io, of_a_pinned_fiber_lets_its_jobs_run_meanwhile, .timeout = 60)
{
    in_each_place(true, run_answered, talks);
}

Test(job_io, of_a_stealable_fiber_lets_its_jobs_run_meanwhile, .timeout = 60)
{
    in_each_place(false, run_answered, talks);
}

/* ---- a stolen job that reads --------------------------------------------------------------------------------------------------------- */

/* A job that somebody else begins, since its caller waits for that. */
struct reader {
    int (*body)(void);
    struct weft_future *begun;
    struct weft_loop *loop; /* where it began */
    struct weft_task *task; /* only to be compared */
};

static int reader_job(void *arg)
{
    struct reader *reader = arg;
    reader->loop = weft_get_running_loop();
    reader->task = task_here();
    CHECK_EQ(weft_future_set_result(reader->begun, NULL), 0);
    return reader->body();
}

static void fork_reader(struct weft_fork *fork, struct reader *reader)
{
    CHECK_EQ(weft_loop_create_future(weft_get_running_loop(), &reader->begun), 0);
    CHECK_EQ(weft_fork(fork, reader_job, reader), 0);
    CHECK_EQ(weft_await(reader->begun, NULL), 0);
    check_home();
    CHECK(reader->task != task_here());
    weft_future_unref(reader->begun);
}

/* In the stolen job: forks of its own are open while it reads. */
WEFT_JOB(long, talk_in_thief, int, byte)
{
    count_fork();
    WEFT_FORK(typed, 0);
    ask(byte);
    return WEFT_JOIN(typed);
}

static int asks(void)
{
    long sum = 0;
    CHECK_EQ(WEFT_RUN(talk_in_thief, 3, &sum), 0);
    CHECK_EQ(sum, FIB_10);
    return 42;
}

static int joins_readers(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (int round = 0; round < 5 * ROUNDS; round++) {
        struct weft_fork fork;
        struct reader reader = {.body = asks};
        fork_reader(&fork, &reader);
        CHECK_EQ(weft_join(&fork), 42);
        check_home();
        check_each_ran_once(1);
    }
    return weft_stream_close(office.stream);
}

Test(job_io, of_a_stolen_job_is_waited_for_by_a_pinned_caller, .timeout = 60)
{
    in_each_place(true, run_answered, joins_readers);
}

Test(job_io, of_a_stolen_job_is_waited_for_by_a_stealable_caller, .timeout = 60)
{
    in_each_place(false, run_answered, joins_readers);
}

/* The caller computes until the job has begun, so that its own loop seldom is the one that begins it. */
static int joins_a_reader_elsewhere(void *arg, void **result_out)
{
    struct weft_loop *home = weft_get_running_loop();
    uint64_t deadline_ns = weft_loop_time(home) + PATIENCE_NS;
    struct reader reader = {.body = asks};
    (void)arg, (void)result_out;
    do {
        struct weft_fork fork;
        long sum = 0;
        CHECK_EQ(weft_loop_create_future(home, &reader.begun), 0);
        CHECK_EQ(weft_fork(&fork, reader_job, &reader), 0);
        while (!weft_future_done(reader.begun))
            CHECK_EQ(WEFT_RUN(fib, 10, &sum), 0);
        CHECK_EQ(weft_join(&fork), 42);
        check_home();
        check_each_ran_once(1);
        weft_future_unref(reader.begun);
        CHECK(weft_loop_time(home) < deadline_ns);
    } while (reader.loop == home);
    return weft_stream_close(office.stream);
}

Test(job_io, of_a_job_stolen_by_another_loop_leaves_a_pinned_caller_at_home, .timeout = 60)
{
    in_each_place(true, run_answered, joins_a_reader_elsewhere);
}

/* ---- cancelled ----------------------------------------------------------------------------------------------------------------------- */

/* Read with forks open; `expected` is what comes of that. */
WEFT_JOB(long, read_among_forks, int, expected)
{
    struct weft_fork fork;
    char byte;
    count_fork();
    WEFT_FORK(typed, 0);
    count_fork();
    CHECK_EQ(weft_fork(&fork, any, &office.runs[1]), 0);
    say_waiting();
    CHECK_EQ(weft_stream_read(office.stream, &byte, 1), expected);
    check_home();
    CHECK_EQ(weft_join(&fork), ANY_STATUS);
    return WEFT_JOIN(typed);
}

static void check_read_among_forks(int expected)
{
    long sum = 0;
    CHECK_EQ(WEFT_RUN(read_among_forks, expected, &sum), 0);
    CHECK_EQ(sum, FIB_10);
    check_home();
    check_each_ran_once(2);
}

static int is_cancelled(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    check_read_among_forks(-ECANCELED);
    ask(1); /* told once, and the stream is as good as before */
    return weft_stream_close(office.stream);
}

static void run_cancelled_after(uint32_t waiting, struct place place, weft_fiber_fn *fn)
{
    office_open(place);
    struct weft_task *task = start(fn);
    await_waiting(waiting);
    CHECK(weft_task_cancel(task, NULL));
    answer_all();
    finish(task);
    office_close();
}

static void run_cancelled(struct place place, weft_fiber_fn *fn)
{
    run_cancelled_after(1, place, fn);
}

Test(job_io, ends_by_a_cancel_of_a_pinned_fiber_and_its_joins_do_not, .timeout = 60)
{
    in_each_place(true, run_cancelled, is_cancelled);
}

Test(job_io, ends_by_a_cancel_of_a_stealable_fiber_and_its_joins_do_not, .timeout = 60)
{
    in_each_place(false, run_cancelled, is_cancelled);
}

static int reads(void)
{
    char byte;
    say_waiting();
    return weft_stream_read(office.stream, &byte, 1);
}

static int joins_a_cancelled_reader(void *arg, void **result_out)
{
    struct weft_fork fork;
    struct reader reader = {.body = reads};
    (void)arg, (void)result_out;
    fork_reader(&fork, &reader);
    say_waiting();
    CHECK_EQ(weft_join(&fork), -ECANCELED);
    check_home();
    CHECK_EQ(weft_yield(), -ECANCELED); /* the task itself is told at its next await */
    ask(1);
    return weft_stream_close(office.stream);
}

static void run_both_cancelled(struct place place, weft_fiber_fn *fn)
{
    run_cancelled_after(2, place, fn);
}

Test(job_io, of_a_stolen_job_ends_by_a_cancel_of_its_pinned_caller, .timeout = 60)
{
    in_each_place(true, run_both_cancelled, joins_a_cancelled_reader);
}

Test(job_io, of_a_stolen_job_ends_by_a_cancel_of_its_stealable_caller, .timeout = 60)
{
    in_each_place(false, run_both_cancelled, joins_a_cancelled_reader);
}

/* ---- the peer goes ------------------------------------------------------------------------------------------------------------------- */

static int meets_the_end(void *arg, void **result_out)
{
    char bytes[4];
    size_t count = 9;
    (void)arg, (void)result_out;
    check_read_among_forks(0);
    CHECK(weft_stream_at_eof(office.stream));
    CHECK_EQ(weft_stream_read_exactly(office.stream, bytes, sizeof(bytes), &count), WEFT_EEOF);
    CHECK_EQ(count, 0);
    check_read_among_forks(0); /* it forks on, and does not wait any more */
    return weft_stream_close(office.stream);
}

static void run_left(struct place place, weft_fiber_fn *fn)
{
    office_open(place);
    struct weft_task *task = start(fn);
    await_waiting(1);
    CHECK_EQ(shutdown(office.fd, SHUT_WR), 0);
    finish(task);
    office_close();
}

Test(job_io, of_a_pinned_fiber_meets_the_end_and_joins, .timeout = 60)
{
    in_each_place(true, run_left, meets_the_end);
}

Test(job_io, of_a_stealable_fiber_meets_the_end_and_joins, .timeout = 60)
{
    in_each_place(false, run_left, meets_the_end);
}

static int joins_who_met_the_end(void *arg, void **result_out)
{
    struct weft_fork fork;
    struct reader reader = {.body = reads};
    (void)arg, (void)result_out;
    fork_reader(&fork, &reader);
    CHECK_EQ(weft_join(&fork), 0);
    check_home();
    CHECK(weft_stream_at_eof(office.stream));
    return weft_stream_close(office.stream);
}

Test(job_io, of_a_stolen_job_meets_the_end, .timeout = 60)
{
    in_each_place(true, run_left, joins_who_met_the_end);
    in_each_place(false, run_left, joins_who_met_the_end);
}
