/*
 * Town: see the header. The servers and clients are written against weft's public headers and know nothing of the simulator.
 */
#include "tests/runtime/town.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 200000 };

/* ---- the application ---------------------------------------------------------------------------------------------------------- */

static int echo(struct weft_stream *stream, void *arg)
{
    struct town *town = arg;
    char buf[4096];
    int count;
    while ((count = weft_stream_read(stream, buf, sizeof(buf))) > 0) {
        int status = weft_stream_write(stream, buf, (size_t)count);
        if (status < 0 || (status = weft_stream_drain(stream)) < 0)
            return status;
        town->served++;
    }
    return 0;
}

static int ask(struct weft_stream *stream, size_t bytes)
{
    static char word[WORD_MAX], reply[WORD_MAX];
    size_t count;
    CHECK(bytes <= WORD_MAX);
    for (size_t i = 0; i < bytes; i++)
        word[i] = (char)('a' + i % 23);
    int status = weft_stream_write(stream, word, bytes);
    if (status == 0)
        status = weft_stream_read_exactly(stream, reply, bytes, &count);
    if (status >= 0)
        CHECK_EQ(memcmp(word, reply, bytes), 0);
    return status < 0 ? status : 0;
}

static int talk(void *arg, void **result_out)
{
    struct visit *visit = arg;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < visit->rounds && status == 0; i++) {
        status = ask(visit->stream, visit->bytes == 0 ? 5 : visit->bytes);
        visit->echoed += status == 0;
        if (status == 0 && visit->pause_ns > 0)
            status = weft_sleep(visit->pause_ns);
    }
    return status;
}

static int talk_with_patience(struct visit *visit)
{
    struct weft_task *task;
    if (visit->patience_ns == 0)
        return talk(visit, NULL);
    int status = weft_loop_create_fiber(weft_get_running_loop(), talk, visit, &task);
    if (status < 0)
        return status;
    status = weft_wait_for(&task->future, visit->patience_ns, NULL);
    weft_task_unref(task);
    return status;
}

int town_visitor(void *arg, void **result_out)
{
    struct visit *visit = arg;
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    uint64_t start_ns = weft_loop_time(weft_get_running_loop());
    (void)result_out;
    options.host = visit->server;
    options.port = TOWN_PORT;
    options.timeout_ns = visit->timeout_ns;
    int status = weft_stream_open(&options, &visit->stream);
    if (status == 0) {
        status = talk_with_patience(visit);
        (void)weft_stream_close(visit->stream);
        (void)weft_stream_wait_closed(visit->stream);
        weft_stream_unref(visit->stream);
    }
    visit->took_ns = weft_loop_time(weft_get_running_loop()) - start_ns;
    visit->status = status;
    return status;
}

/* ---- the town ----------------------------------------------------------------------------------------------------------------- */

void town_boot(struct town *town, uint32_t index)
{
    struct weft_runtime_options options = fixture_options(1);
    struct weft_sim_host *before = weft_sim_host_enter(town->hosts[index]);
    CHECK_EQ(weft_runtime_create(&options, &town->runtimes[index]), 0);
    (void)weft_sim_host_enter(before);
}

void town_open(struct town *town, uint32_t count, const struct weft_sim_options *options)
{
    *town = (struct town){.count = count, .live = fixture_count_memory()};
    CHECK_EQ(weft_sim_create(options, &town->sim), 0);
    for (uint32_t i = 0; i < count; i++) {
        struct weft_sim_host_options host = WEFT_SIM_HOST_OPTIONS;
        char name[16];
        (void)snprintf(name, sizeof(name), "host%u", i);
        host.name = name;
        CHECK_EQ(weft_sim_host_create(town->sim, &host, &town->hosts[i]), 0);
        town_boot(town, i);
    }
}

void town_close(struct town *town)
{
    for (uint32_t i = 0; i < town->count; i++) {
        weft_server_unref(town->servers[i]);
        if (town->runtimes[i] != NULL)
            (void)weft_runtime_shutdown(town->runtimes[i], SECOND_NS);
        weft_runtime_destroy(town->runtimes[i]);
        CHECK_EQ(weft_sim_host_descriptors(town->hosts[i]), 0);
    }
    weft_sim_destroy(town->sim);
    CHECK_EQ(oom_live(), town->live);
}

void town_serve(struct town *town, uint32_t index)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_loop *loop = weft_runtime_loop(town->runtimes[index], 0);
    options.port = TOWN_PORT;
    CHECK_EQ(weft_loop_start_stream_server(loop, echo, town, &options, &town->servers[index]), 0);
    CHECK_EQ(weft_runtime_start(town->runtimes[index]), 0);
}

int town_visit(struct town *town, uint32_t index, struct visit *visit)
{
    return weft_runtime_run(town->runtimes[index], fixture_fiber(town_visitor, visit), NULL);
}
