/*
 * What the tests of limits have in common. Everything here runs in a child, in the thread that no loop runs in.
 */
#include "tests/limits/scene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "weft/atomic.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/stream.h"

enum { NOBODY = 65534 };

static int echo(struct weft_stream *stream, void *arg)
{
    char buf[4096];
    int count;
    (void)arg;
    while ((count = weft_stream_read(stream, buf, sizeof(buf))) > 0) {
        int status = weft_stream_write(stream, buf, (size_t)count);
        if (status < 0 || (status = weft_stream_drain(stream)) < 0)
            return 0;
    }
    return 0;
}

static int report(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    struct scene *scene = arg;
    (void)loop;
    weft_atomic_store_relaxed(&scene->reported, exception->status);
    (void)weft_atomic_add_relaxed(&scene->reports, 1);
    return 0;
}

void scene_start(struct scene *scene, uint32_t loops)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_server_options server_options = WEFT_SERVER_OPTIONS;
    *scene = (struct scene){0};
    options.loops = loops;
    options.stall_ns = -1; /* reports about a machine that others use too are not for us */
    CHILD_CHECK(weft_runtime_create(&options, &scene->runtime) == 0);
    CHILD_CHECK(weft_loop_set_exception_handler(scene_loop(scene), report, scene) == 0);
    server_options.host = "127.0.0.1";
    CHILD_CHECK(weft_loop_start_stream_server(scene_loop(scene), echo, NULL, &server_options, &scene->server) == 0);
    scene->port = (uint16_t)weft_server_get_port(scene->server);
    CHILD_CHECK(weft_runtime_start(scene->runtime) == 0);
}

void scene_end(struct scene *scene)
{
    weft_server_unref(scene->server);
    CHILD_CHECK(weft_runtime_shutdown(scene->runtime, INT64_C(20000000000)) == 0);
    weft_runtime_destroy(scene->runtime);
}

struct weft_loop *scene_loop(const struct scene *scene)
{
    return weft_runtime_loop(scene->runtime, 0);
}

int scene_call(const struct scene *scene, weft_fiber_fn *fn, void *arg)
{
    struct weft_coro *coro;
    struct weft_task *task;
    CHILD_CHECK(weft_fiber_new(fn, arg, NULL, &coro) == 0);
    CHILD_CHECK(weft_loop_create_task_threadsafe(scene_loop(scene), coro, NULL, &task) == 0);
    int status = weft_future_wait(&task->future, (int64_t)SCENE_DEADLINE_MS * 1000000, NULL);
    weft_task_unref(task);
    return status;
}

/* ---- clients ------------------------------------------------------------------------------------------------------------------------ */

int client_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHILD_CHECK(fd >= 0);
    return fd;
}

void client_connect(int fd, const struct scene *scene)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(scene->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHILD_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
}

bool client_is_answered(int fd)
{
    char byte = 'x';
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    CHILD_CHECK(send(fd, &byte, 1, MSG_NOSIGNAL) == 1);
    int count;
    while ((count = poll(&pollfd, 1, SCENE_DEADLINE_MS)) < 0)
        CHILD_CHECK(errno == EINTR);
    return count == 1 && recv(fd, &byte, 1, 0) == 1 && byte == 'x';
}

/* ---- looking ------------------------------------------------------------------------------------------------------------------------ */

double scene_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double cpu_ms(void)
{
    struct rusage usage;
    CHILD_CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static uint64_t turns(const struct scene *scene)
{
    struct weft_loop_counters counters;
    CHILD_CHECK(weft_runtime_get_counters(scene->runtime, WEFT_RUNTIME_ALL, &counters) == 0);
    return counters.turns;
}

uint64_t scene_stay_quiet(const struct scene *scene, const char *what, uint64_t turns_max)
{
    double start_ms = scene_now_ms(), start_cpu_ms = cpu_ms();
    uint64_t start_turns = turns(scene);
    struct timespec left = {.tv_nsec = SCENE_QUIET_MS * 1000000L};
    while (nanosleep(&left, &left) != 0)
        CHILD_CHECK(errno == EINTR);
    uint64_t turned = turns(scene) - start_turns;
    double passed_ms = scene_now_ms() - start_ms;
    uint64_t times = (uint64_t)(passed_ms / SCENE_QUIET_MS) + 1;
    double used = (cpu_ms() - start_cpu_ms) * 100 / passed_ms;
    dprintf(STDERR_FILENO, "figure: %s: %.1f %% of a processor, %llu iterations in %.0f ms\n", what, used, (unsigned long long)turned,
            passed_ms);
    CHILD_CHECK(turned <= turns_max * times);
    return times;
}

void scene_print_recovery(const char *what, double start_ms)
{
    dprintf(STDERR_FILENO, "figure: %s: works again after %.1f ms\n", what, scene_now_ms() - start_ms);
}

bool scene_become_nobody(const char *what)
{
    if (geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0)
        return true;
    dprintf(STDERR_FILENO, "figure: %s: not available here: root is bound by no limit, and may not be another user\n", what);
    return false;
}
