/*
 * Exhaustion: descriptors, memory, threads, locked memory, and peers that do not read. While nothing is to be had the runtime does not spin,
 * counted in iterations of its loops; what it is asked for fails with the status of the system; and once there is relief everything
 * works again. The use of the processor and the time to recover are printed as figures: a machine that others use may spoil them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/limits/scene.h"
#include "tests/support/sanitizer.h"
#include "tests/support/test.h"
#include "weft/atomic.h"
#include "weft/executor.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/status.h"
#include "weft/stream.h"

enum { CLIENTS = 8, DESCRIPTORS = 256, TURNS_MAX = 150, ATTEMPTS_MAX = 10 };

#define HOUR_NS INT64_C(3600000000000)

/* ---- descriptors ------------------------------------------------------------------------------------------------------------------------ */

static int fillers[DESCRIPTORS];
static int filler_count;

static void take_all_descriptors(void)
{
    struct rlimit limit;
    CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = DESCRIPTORS;
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int fd; (fd = dup(STDERR_FILENO)) >= 0;)
        fillers[filler_count++] = fd;
    CHILD_CHECK(errno == EMFILE);
}

static void give_descriptors_back(void)
{
    while (filler_count > 0)
        close(fillers[--filler_count]);
}

static void accept_child(void *arg)
{
    struct scene scene;
    int clients[CLIENTS];
    (void)arg;
    scene_start(&scene, 2);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = client_socket();
    take_all_descriptors();
    for (int i = 0; i < CLIENTS; i++)
        client_connect(clients[i], &scene);
    uint64_t times = scene_stay_quiet(&scene, "accept without descriptors", TURNS_MAX);
    uint32_t attempts = weft_atomic_load_relaxed(&scene.reports);
    dprintf(STDERR_FILENO, "figure: accept without descriptors: %u attempts\n", attempts);
    CHILD_CHECK(attempts > 0 && attempts <= ATTEMPTS_MAX * (times + 1) && weft_atomic_load_relaxed(&scene.reported) == -EMFILE);
    double start_ms = scene_now_ms();
    give_descriptors_back();
    for (int i = 0; i < CLIENTS; i++)
        CHILD_CHECK(client_is_answered(clients[i]));
    scene_print_recovery("accept without descriptors", start_ms);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    scene_end(&scene);
}

Test(exhaustion, accept_waits_for_descriptors, .timeout = 60)
{
    child_run_well(accept_child);
}

static int connect_once(void *arg, void **result_out)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_stream *stream;
    char byte = 'x';
    (void)result_out;
    options.host = "127.0.0.1";
    options.port = ((struct scene *)arg)->port;
    int status = weft_stream_open(&options, &stream);
    if (status < 0)
        return status;
    if ((status = weft_stream_write(stream, &byte, 1)) == 0)
        status = weft_stream_read_exactly(stream, &byte, 1, NULL);
    (void)weft_stream_close(stream);
    weft_stream_unref(stream);
    return status;
}

static void connect_child(void *arg)
{
    struct scene scene;
    struct weft_runtime *another;
    struct weft_loop *loop;
    (void)arg;
    scene_start(&scene, 1);
    take_all_descriptors();
    for (int i = 0; i < 100; i++)
        CHILD_CHECK(scene_call(&scene, connect_once, &scene) == -EMFILE);
    CHILD_CHECK(weft_loop_new(NULL, 0, &loop) == -EMFILE);
    CHILD_CHECK(weft_runtime_create(NULL, &another) == -EMFILE);
    (void)scene_stay_quiet(&scene, "connect without descriptors", TURNS_MAX);
    double start_ms = scene_now_ms();
    give_descriptors_back();
    CHILD_CHECK(scene_call(&scene, connect_once, &scene) == 0);
    scene_print_recovery("connect without descriptors", start_ms);
    scene_end(&scene);
}

Test(exhaustion, connect_fails_without_descriptors_and_then_does_not, .timeout = 60)
{
    child_run_well(connect_child);
}

/* ---- memory ----------------------------------------------------------------------------------------------------------------------------- */

static size_t address_space_bytes(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHILD_CHECK(file != NULL && fscanf(file, "%zu", &pages) == 1);
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void set_limit(int what, rlim_t value)
{
    struct rlimit limit;
    CHILD_CHECK(getrlimit(what, &limit) == 0);
    limit.rlim_cur = value;
    CHILD_CHECK(setrlimit(what, &limit) == 0);
}

static void lift_limit(int what)
{
    struct rlimit limit;
    CHILD_CHECK(getrlimit(what, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHILD_CHECK(setrlimit(what, &limit) == 0);
}

struct crowd {
    struct weft_future *gate;
    uint32_t waiting; /* atomic */
    int32_t failed;   /* atomic: how a member ended that did not begin */
};

static int member(void *arg, void **result_out)
{
    struct crowd *crowd = arg;
    (void)weft_atomic_add_relaxed(&crowd->waiting, 1);
    return weft_await(crowd->gate, result_out);
}

static int member_done(struct weft_future *future, void *arg)
{
    struct crowd *crowd = arg;
    int status = weft_future_result(future, NULL);
    if (status < 0)
        weft_atomic_store_relaxed(&crowd->failed, status);
    return 0;
}

/* Create one more, with the largest stack. What the call, or the task, ends with is 0 while there is memory. */
static int add_member(struct crowd *crowd)
{
    struct weft_fiber_options options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    struct weft_task *task;
    options.stack = WEFT_STACK_LARGE;
    int status = weft_fiber_new(member, crowd, &options, &coro);
    if (status == 0)
        status = weft_loop_create_task(weft_get_running_loop(), coro, NULL, &task);
    if (status < 0)
        return status;
    status = weft_future_add_done_callback(&task->future, member_done, crowd, NULL);
    weft_task_unref(task);
    return status;
}

static int fill_with_members(void *arg, void **result_out)
{
    struct crowd *crowd = arg;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < 100000 && status == 0 && weft_atomic_load_relaxed(&crowd->failed) == 0; i++) {
        status = add_member(crowd);
        (void)weft_yield();
    }
    return status < 0 ? status : weft_atomic_load_relaxed(&crowd->failed);
}

static int open_gate(void *arg, void **result_out)
{
    struct crowd *crowd = arg;
    (void)result_out;
    return weft_future_set_result(crowd->gate, NULL);
}

static int make_gate(void *arg, void **result_out)
{
    struct crowd *crowd = arg;
    (void)result_out;
    *crowd = (struct crowd){0};
    return weft_loop_create_future(weft_get_running_loop(), &crowd->gate);
}

static int drop_gate(void *arg, void **result_out)
{
    (void)result_out;
    weft_future_unref(((struct crowd *)arg)->gate);
    return 0;
}

/* A connection from before is served all the while: what it needs it has. */
static void memory_child(void *arg)
{
    struct scene scene;
    struct crowd crowd;
    (void)arg;
    scene_start(&scene, 2);
    int client = client_socket();
    client_connect(client, &scene);
    CHILD_CHECK(client_is_answered(client));
    CHILD_CHECK(scene_call(&scene, make_gate, &crowd) == 0);
    set_limit(RLIMIT_AS, address_space_bytes() + (100 << 20));
    CHILD_CHECK(scene_call(&scene, fill_with_members, &crowd) == -ENOMEM);
    (void)scene_stay_quiet(&scene, "fibers without memory", TURNS_MAX);
    CHILD_CHECK(client_is_answered(client));
    uint32_t count = weft_atomic_load_relaxed(&crowd.waiting);
    CHILD_CHECK(count >= 1 && count < 100);
    double start_ms = scene_now_ms();
    CHILD_CHECK(scene_call(&scene, open_gate, &crowd) == 0); /* within the limit: what ends makes room */
    CHILD_CHECK(scene_call(&scene, connect_once, &scene) == 0);
    scene_print_recovery("fibers without memory", start_ms);
    CHILD_CHECK(scene_call(&scene, drop_gate, &crowd) == 0);
    lift_limit(RLIMIT_AS);
    close(client);
    scene_end(&scene);
}

/* A sanitizer, or an emulator, takes address space of its own. */
Test(exhaustion, fibers_fail_without_memory_and_the_rest_goes_on, .timeout = 60, .disabled = TEST_IS_SLOW)
{
    child_run_well(memory_child);
}

/* ---- threads ---------------------------------------------------------------------------------------------------------------------------- */

static int nap(void *arg, void **result_out)
{
    (void)arg;
    *result_out = arg;
    return 0;
}

static int submit_and_wait(struct scene *scene)
{
    struct weft_future *future;
    int status = weft_executor_submit(weft_runtime_executor(scene->runtime), scene_loop(scene), nap, NULL, &future);
    if (status < 0)
        return status;
    status = weft_future_wait(future, (int64_t)SCENE_DEADLINE_MS * 1000000, NULL);
    weft_future_unref(future);
    return status;
}

/* A user has as many tasks as it has; one is below that, so no thread can be made. */
static void threads_child(void *arg)
{
    struct scene scene;
    struct weft_runtime *another;
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    (void)arg;
    if (!scene_become_nobody("threads refused"))
        return;
    scene_start(&scene, 2);
    options.loops = 2;
    CHILD_CHECK(weft_runtime_create(&options, &another) == 0);
    set_limit(RLIMIT_NPROC, 1);
    for (int i = 0; i < 100; i++) {
        CHILD_CHECK(submit_and_wait(&scene) == -EAGAIN);
        CHILD_CHECK(weft_runtime_start(another) == -EAGAIN);
    }
    (void)scene_stay_quiet(&scene, "threads refused", TURNS_MAX);
    CHILD_CHECK(scene_call(&scene, connect_once, &scene) == 0); /* what needs none works */
    double start_ms = scene_now_ms();
    lift_limit(RLIMIT_NPROC);
    CHILD_CHECK(submit_and_wait(&scene) == 0);
    CHILD_CHECK(weft_runtime_start(another) == 0);
    scene_print_recovery("threads refused", start_ms);
    set_limit(RLIMIT_NPROC, 1);
    for (int i = 0; i < 100; i++)
        CHILD_CHECK(submit_and_wait(&scene) == 0);              /* by the thread that there is */
    CHILD_CHECK(weft_runtime_shutdown(another, -1) == -EAGAIN); /* its loops cannot all be run again, to tidy up */
    lift_limit(RLIMIT_NPROC);
    CHILD_CHECK(weft_runtime_shutdown(another, -1) == 0);
    weft_runtime_destroy(another);
    scene_end(&scene);
}

Test(exhaustion, threads_are_refused_and_then_are_not, .timeout = 60)
{
    child_run_well(threads_child);
}

/* ---- locked memory ---------------------------------------------------------------------------------------------------------------------- */

/* With all memory to be locked, a mapping beyond the limit is refused, and guards are made the older way. */
static void locked_child(void *arg)
{
    struct scene scene;
    struct crowd crowd;
    (void)arg;
    set_limit(RLIMIT_MEMLOCK, 4 << 20);
    if (!scene_become_nobody("locked memory"))
        return;
    scene_start(&scene, 1);
    CHILD_CHECK(scene_call(&scene, make_gate, &crowd) == 0);
    if (mlockall(MCL_FUTURE) != 0) {
        dprintf(STDERR_FILENO, "figure: locked memory: not available here (%s)\n", strerror(errno));
        _exit(CHILD_RETURNED);
    }
    CHILD_CHECK(scene_call(&scene, fill_with_members, &crowd) == -ENOMEM);
    (void)scene_stay_quiet(&scene, "fibers without memory to lock", TURNS_MAX);
    double start_ms = scene_now_ms();
    CHILD_CHECK(munlockall() == 0);
    CHILD_CHECK(scene_call(&scene, open_gate, &crowd) == 0);
    CHILD_CHECK(scene_call(&scene, connect_once, &scene) == 0);
    scene_print_recovery("fibers without memory to lock", start_ms);
    CHILD_CHECK(scene_call(&scene, drop_gate, &crowd) == 0);
    scene_end(&scene);
}

/* As above: their own mappings would be locked, and counted, too. */
Test(exhaustion, fibers_fail_without_memory_to_lock, .timeout = 60, .disabled = TEST_IS_SLOW)
{
    child_run_well(locked_child);
}

/* ---- peers that do not read ------------------------------------------------------------------------------------------------------------- */

enum { FLOOD_BYTES = 8 << 20, CHUNK_BYTES = 64 << 10 };

static int flood_one(void *arg, void **result_out)
{
    static char chunk[CHUNK_BYTES];
    struct weft_stream *stream;
    (void)result_out;
    int status = weft_stream_from_socket(weft_get_running_loop(), *(int *)arg, &stream);
    if (status < 0)
        return status;
    for (int sent = 0; sent < FLOOD_BYTES && status == 0; sent += CHUNK_BYTES)
        if ((status = weft_stream_write(stream, chunk, sizeof(chunk))) == 0)
            status = weft_stream_drain(stream);
    (void)weft_stream_close(stream);
    (void)weft_stream_wait_closed(stream);
    weft_stream_unref(stream);
    return status;
}

static struct weft_task *flood(const struct scene *scene, int *fd)
{
    struct weft_coro *coro;
    struct weft_task *task;
    CHILD_CHECK(weft_fiber_new(flood_one, fd, NULL, &coro) == 0);
    CHILD_CHECK(weft_loop_create_task_threadsafe(scene_loop(scene), coro, NULL, &task) == 0);
    return task;
}

static size_t read_to_end(int fd)
{
    static char buf[CHUNK_BYTES];
    size_t total = 0;
    ssize_t count;
    while ((count = read(fd, buf, sizeof(buf))) > 0)
        total += (size_t)count;
    CHILD_CHECK(count == 0);
    return total;
}

static void full_child(void *arg)
{
    struct scene scene;
    int ends[CLIENTS][2];
    struct weft_task *floods[CLIENTS];
    (void)arg;
    scene_start(&scene, 1);
    for (int i = 0; i < CLIENTS; i++) {
        CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]) == 0);
        floods[i] = flood(&scene, &ends[i][0]);
    }
    CHILD_CHECK(scene_call(&scene, connect_once, &scene) == 0); /* by then each has filled its socket, or is about to */
    (void)scene_stay_quiet(&scene, "peers that do not read", TURNS_MAX);
    double start_ms = scene_now_ms();
    for (int i = 0; i < CLIENTS; i++) {
        CHILD_CHECK(read_to_end(ends[i][1]) == FLOOD_BYTES);
        CHILD_CHECK(weft_future_wait(&floods[i]->future, HOUR_NS, NULL) == 0);
        weft_task_unref(floods[i]);
        close(ends[i][1]);
    }
    scene_print_recovery("peers that do not read, and then read all", start_ms);
    scene_end(&scene);
}

Test(exhaustion, writers_sleep_while_nobody_reads, .timeout = 60)
{
    child_run_well(full_child);
}

/* ---- ends that nobody looks at ---------------------------------------------------------------------------------------------------------- */

/* Every way in which a peer can have gone half or wholly, with a stream that does not read, or that sends no more. */
enum half_way { PEER_SENDS_NO_MORE, PEER_READS_NO_MORE, PEER_IS_GONE, PEER_HAS_RESET, WE_SEND_NO_MORE, BOTH_SEND_NO_MORE, HALF_WAYS };

static int hold_half_open(void *arg, void **result_out)
{
    struct crowd *crowd = arg;
    static uint32_t next;
    static int fds[HALF_WAYS][2];
    enum half_way way = (enum half_way)next++;
    struct weft_stream *stream;
    (void)result_out;
    CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds[way]) == 0);
    CHILD_CHECK(weft_stream_from_socket(weft_get_running_loop(), fds[way][0], &stream) == 0);
    CHILD_CHECK(weft_stream_write(stream, "unread", 6) == 0); /* a close over unread bytes is a reset, for UNIX sockets too */
    if (way == PEER_SENDS_NO_MORE || way == BOTH_SEND_NO_MORE)
        CHILD_CHECK(shutdown(fds[way][1], SHUT_WR) == 0);
    if (way == PEER_READS_NO_MORE)
        CHILD_CHECK(shutdown(fds[way][1], SHUT_RD) == 0);
    if (way == WE_SEND_NO_MORE || way == BOTH_SEND_NO_MORE)
        CHILD_CHECK(weft_stream_write_eof(stream) == 0);
    char buf[16];
    if (way == PEER_IS_GONE)
        CHILD_CHECK(weft_yield() == 0 && read(fds[way][1], buf, sizeof(buf)) == 6);
    if (way == PEER_IS_GONE || way == PEER_HAS_RESET)
        close(fds[way][1]);
    (void)weft_atomic_add_relaxed(&crowd->waiting, 1);
    int status = weft_await(crowd->gate, NULL);
    (void)weft_stream_close(stream);
    weft_stream_unref(stream);
    if (way != PEER_IS_GONE && way != PEER_HAS_RESET)
        close(fds[way][1]);
    return status;
}

static void half_open_child(void *arg)
{
    struct scene scene;
    struct crowd crowd;
    struct weft_task *tasks[HALF_WAYS];
    (void)arg;
    scene_start(&scene, 1);
    CHILD_CHECK(scene_call(&scene, make_gate, &crowd) == 0);
    for (int i = 0; i < HALF_WAYS; i++) {
        struct weft_coro *coro;
        CHILD_CHECK(weft_fiber_new(hold_half_open, &crowd, NULL, &coro) == 0);
        CHILD_CHECK(weft_loop_create_task_threadsafe(scene_loop(&scene), coro, NULL, &tasks[i]) == 0);
    }
    while (weft_atomic_load_relaxed(&crowd.waiting) < HALF_WAYS)
        CHILD_CHECK(scene_call(&scene, connect_once, &scene) == 0);
    (void)scene_stay_quiet(&scene, "connections half open", TURNS_MAX);
    CHILD_CHECK(scene_call(&scene, open_gate, &crowd) == 0);
    for (int i = 0; i < HALF_WAYS; i++) {
        CHILD_CHECK(weft_future_wait(&tasks[i]->future, HOUR_NS, NULL) == 0);
        weft_task_unref(tasks[i]);
    }
    CHILD_CHECK(scene_call(&scene, drop_gate, &crowd) == 0);
    scene_end(&scene);
}

Test(exhaustion, half_open_connections_that_nobody_reads_cost_nothing, .timeout = 60)
{
    child_run_well(half_open_child);
}
