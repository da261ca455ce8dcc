/*
 * What the scenes have in common: tallies, runtimes that report to them, and the echo that shows that all is well again.
 */
#include "tests/faults/scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tests/faults/shim.h"
#include "weft/atomic.h"
#include "weft/future.h"
#include "weft/task.h"

#define MS_NS INT64_C(1000000)

void tally_note(struct tally *tally, int status)
{
    if (status >= 0) {
        tally->done++;
        return;
    }
    if (tally->failed < TALLY_MAX)
        tally->statuses[tally->failed] = status;
    tally->failed++;
}

scene_fn *scene_find(const char *name)
{
#define SCENE_ROW(scene) {#scene, scene_##scene},
    static const struct scene scenes[] = {SCENES(SCENE_ROW)};
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
        if (strcmp(scenes[i].name, name) == 0)
            return scenes[i].run;
    return NULL;
}

/* ---- runtimes ----------------------------------------------------------------------------------------------------------------- */

static int take_report(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    struct tally *tally = arg;
    (void)loop;
    weft_atomic_store_relaxed(&tally->report_status, exception->status);
    (void)weft_atomic_add_relaxed(&tally->report_count, 1);
    return 0;
}

struct weft_runtime_options scene_options(uint32_t loops)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = loops;
    options.spin_max_ns = -1;
    options.stall_ns = -1;
    return options;
}

int scene_runtime(struct tally *tally, const struct weft_runtime_options *options, struct weft_runtime **runtime_out)
{
    int status = weft_runtime_create(options, runtime_out);
    for (uint32_t i = 0; status == 0 && i < options->loops; i++)
        CHECK_EQ(weft_loop_set_exception_handler(weft_runtime_loop(*runtime_out, i), take_report, tally), 0);
    return status;
}

void scene_run(struct tally *tally, struct weft_runtime *runtime, weft_fiber_fn *body)
{
    struct weft_coro *coro;
    CHECK_EQ(weft_fiber_new(body, tally, NULL, &coro), 0);
    int status = weft_runtime_run(runtime, coro, NULL);
    if (status < 0)
        tally_note(tally, status);
}

void scene_in_runtime(struct tally *tally, uint32_t loops, weft_fiber_fn *body)
{
    struct weft_runtime_options options = scene_options(loops);
    struct weft_runtime *runtime;
    int status = scene_runtime(tally, &options, &runtime);
    if (status < 0) {
        tally_note(tally, status);
        scene_end_anew(tally);
        return;
    }
    scene_run(tally, runtime, body);
    scene_end(tally, runtime);
}

bool scene_wait(bool (*is_true)(void *arg), void *arg)
{
    uint64_t end_ns = weft_loop_time(weft_get_running_loop()) + 5000 * MS_NS;
    for (int i = 0; !is_true(arg); i++) {
        int status = i < 4 ? weft_yield() : weft_sleep(i < 20 ? MS_NS / 10 : MS_NS);
        if (status < 0 || weft_loop_time(weft_get_running_loop()) > end_ns)
            return is_true(arg);
    }
    return true;
}

/* ---- the echo at the end -------------------------------------------------------------------------------------------------------- */

static int echo_back(struct weft_stream *stream, void *arg)
{
    char buf[64];
    int count;
    (void)arg;
    while ((count = weft_stream_read(stream, buf, sizeof(buf))) > 0)
        CHECK_EQ(weft_stream_write(stream, buf, (size_t)count), 0);
    return count;
}

static void echo_over(const struct weft_server_options *options, const struct weft_connection_options *to)
{
    struct weft_loop *loop = weft_get_running_loop();
    struct weft_connection_options target = *to;
    struct weft_server *server;
    struct weft_stream *stream;
    struct weft_future *closed;
    char buf[5];
    CHECK_EQ(weft_loop_start_stream_server(loop, echo_back, NULL, options, &server), 0);
    if (target.host != NULL)
        target.port = (uint16_t)weft_server_get_port(server);
    CHECK_EQ(weft_stream_open(&target, &stream), 0);
    CHECK_EQ(weft_stream_write(stream, "hello", 5), 0);
    CHECK_EQ(weft_stream_read_exactly(stream, buf, 5, NULL), 0);
    CHECK(memcmp(buf, "hello", 5) == 0);
    CHECK_EQ(weft_stream_close(stream), 0);
    CHECK_EQ(weft_stream_wait_closed(stream), 0);
    weft_stream_unref(stream);
    CHECK_EQ(weft_server_close(server), 0);
    CHECK_EQ(weft_server_wait_closed(server, &closed), 0);
    CHECK_EQ(weft_await(closed, NULL), 0);
    weft_future_unref(closed);
    weft_server_unref(server);
}

static int echo(void *arg, void **result_out)
{
    struct tally *tally = arg;
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_connection_options to = WEFT_CONNECTION_OPTIONS;
    (void)result_out;
    options.host = to.host = "127.0.0.1";
    echo_over(&options, &to);
    options.host = to.host = NULL;
    options.path = to.path = scene_abstract_name();
    echo_over(&options, &to);
    tally->has_echoed = true;
    return 0;
}

void scene_end(struct tally *tally, struct weft_runtime *runtime)
{
    struct weft_coro *coro;
    (void)shim_stop();
    CHECK_EQ(weft_fiber_new(echo, tally, NULL, &coro), 0);
    CHECK_EQ(weft_runtime_run(runtime, coro, NULL), 0);
    CHECK_EQ(weft_runtime_shutdown(runtime, -1), 0);
    weft_runtime_destroy(runtime);
}

void scene_end_anew(struct tally *tally)
{
    struct weft_runtime_options options = scene_options(1);
    struct weft_runtime *runtime;
    (void)shim_stop();
    CHECK_EQ(scene_runtime(tally, &options, &runtime), 0);
    scene_end(tally, runtime);
}

/* ---- a place for UNIX sockets ---------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/weft-faults-XXXXXX";
static char path[64];

const char *scene_abstract_name(void)
{
    static char name[48];
    uint64_t number;
    shim_pass_begin();
    if (name[0] == '\0' && getrandom(&number, sizeof(number), 0) == sizeof(number))
        (void)snprintf(name, sizeof(name), "@weft-faults-%016" PRIx64, number);
    shim_pass_end();
    return name;
}

static void folder_remove(void)
{
    if (path[0] == '\0')
        return;
    (void)unlink(path);
    CHECK_EQ(rmdir(folder), 0);
    path[0] = '\0';
}

const char *scene_path(void)
{
    if (path[0] != '\0')
        return path;
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    test_fini(folder_remove);
    return path;
}
