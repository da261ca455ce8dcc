/*
 * HTTP: the demo's web server, line for line what `tools/bazel run //tools:demo` serves, and clients that ask in every bad way a network has:
 * many requests at once, byte by byte, readers that take their time, windows of a few bytes, short reads and writes, accepts that fail,
 * connections that break. Each answer is the one to its question, in order, or the connection has broken; the server ends with nothing left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/scenario.h"
#include "tools/demo/http.h"
#include "tools/demo/site.h"
#include "weft/fiber.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/status.h"
#include "weft/stream.h"

enum { CLIENTS = 6, QUESTIONS = 10, DEPTH = 5, PORT = 80, HEAD_MAX = 1024, BODY_MAX = 256 };

struct page {
    const char *path;
    const char *status;
    const char *body; /* NULL: any */
};

static const struct page pages[] = {
    {"/plaintext", "200", "Hello, World!"},
    {"/json", "200", "{\"message\":\"Hello, World!\"}"},
    {"/nothing/here", "404", NULL},
};

enum { PAGES = sizeof(pages) / sizeof(pages[0]) };

struct world {
    struct trial *trial;
    struct weft_sim *sim;
    struct weft_sim_host *host;   /* of all: the demo serves its own machine only */
    struct weft_runtime *runtime; /* the clients' */
    struct site site;
    uint32_t left; /* clients */
    uint64_t answered;
    uint64_t broken;
    bool may_break;
};

/* ---- one answer ----------------------------------------------------------------------------------------------------------------- */

static int read_head(struct world *world, struct weft_stream *stream, const struct page *page, size_t *body_len)
{
    char head[HEAD_MAX + 1];
    int len = weft_stream_read_until(stream, "\r\n\r\n", 4, head, HEAD_MAX);
    if (len < 0)
        return len;
    head[len] = '\0';
    EXPECT(world->trial, strncmp(head, "HTTP/1.1 ", 9) == 0);
    EXPECT_EQ(world->trial, strncmp(head + 9, page->status, 3), 0);
    const char *length = strstr(head, "Content-Length: ");
    EXPECT(world->trial, length != NULL);
    *body_len = strtoul(length + 16, NULL, 10);
    EXPECT(world->trial, *body_len <= BODY_MAX);
    return 0;
}

static int read_answer(struct world *world, struct weft_stream *stream, const struct page *page)
{
    char body[BODY_MAX];
    size_t len;
    int status = read_head(world, stream, page, &len);
    if (status >= 0)
        status = weft_stream_read_exactly(stream, body, len, NULL);
    if (status < 0)
        return status;
    if (page->body != NULL) {
        EXPECT_EQ(world->trial, len, strlen(page->body));
        EXPECT_EQ(world->trial, memcmp(body, page->body, len), 0);
    }
    world->answered++;
    return 0;
}

/* ---- questions ------------------------------------------------------------------------------------------------------------------ */

static int write_slowly(struct world *world, struct weft_stream *stream, const char *text, size_t len)
{
    int status = 0;
    for (size_t i = 0; i < len && status >= 0; i++) {
        status = weft_stream_write(stream, text + i, 1);
        if (status >= 0)
            status = weft_sleep((int64_t)trial_random(world->trial, 20) * MS_NS);
    }
    return status;
}

/* Some questions at once, and then their answers. */
static int talk(struct world *world, struct weft_stream *stream)
{
    char text[DEPTH * 128];
    const struct page *asked[DEPTH];
    uint64_t count = 1 + trial_random(world->trial, DEPTH);
    size_t len = 0;
    for (uint64_t i = 0; i < count; i++) {
        asked[i] = &pages[trial_random(world->trial, PAGES)];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "GET %s HTTP/1.1\r\nHost: web\r\n\r\n", asked[i]->path);
    }
    int status = trial_chance(world->trial, 200) ? write_slowly(world, stream, text, len) : weft_stream_write(stream, text, len);
    if (status >= 0 && trial_chance(world->trial, 200))
        status = weft_sleep((int64_t)trial_random(world->trial, 2000) * MS_NS);
    for (uint64_t i = 0; i < count && status >= 0; i++)
        status = read_answer(world, stream, asked[i]);
    return status;
}

static int visit(struct world *world, int *questions)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_stream *stream;
    options.host = "localhost";
    options.port = PORT;
    int status = weft_stream_open(&options, &stream);
    if (status < 0)
        return status;
    while (*questions > 0 && (status = talk(world, stream)) >= 0)
        --*questions;
    (void)weft_stream_close(stream);
    (void)weft_stream_wait_closed(stream);
    weft_stream_unref(stream);
    return status;
}

static int client(void *arg, void **result_out)
{
    struct world *world = arg;
    int questions = QUESTIONS;
    (void)result_out;
    while (questions > 0) {
        int status = visit(world, &questions);
        EXPECT(world->trial, status >= 0 || world->may_break);
        world->broken += status < 0;
        EXPECT_EQ(world->trial, weft_sleep((int64_t)trial_random(world->trial, 300) * MS_NS), 0);
    }
    world->left--;
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

static bool all_answered(void *arg)
{
    const struct world *world = arg;
    return world->left == 0;
}

static void make_weather(struct world *world)
{
    struct trial *trial = world->trial;
    struct weft_sim_link link = WEFT_SIM_LINK;
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    world->may_break = trial_chance(trial, 500);
    link.latency_max_ns = trial_random(trial, 50) * MS_NS;
    link.window_bytes = trial_chance(trial, 300) ? 32 + (uint32_t)trial_random(trial, 500) : 0;
    link.loss_permille = (uint32_t)trial_random(trial, 50);
    link.reset_permille = world->may_break ? (uint32_t)trial_random(trial, 20) : 0;
    faults.short_read_permille = (uint32_t)trial_random(trial, 500);
    faults.short_write_permille = (uint32_t)trial_random(trial, 500);
    faults.accept_emfile_permille = (uint32_t)trial_random(trial, 300);
    faults.accept_abort_permille = world->may_break ? (uint32_t)trial_random(trial, 100) : 0;
    faults.write_reset_permille = world->may_break ? (uint32_t)trial_random(trial, 10) : 0;
    EXPECT_EQ(trial, weft_sim_set_link(world->sim, world->host, world->host, &link), 0);
    EXPECT_EQ(trial, weft_sim_host_set_faults(world->host, &faults), 0);
}

static int ignore(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop;
    (void)exception;
    (void)arg;
    return 0;
}

static void boot(struct world *world)
{
    struct trial *trial = world->trial;
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = 2;
    http_init();
    (void)weft_sim_host_enter(world->host);
    EXPECT_EQ(trial, site_open(&world->site, 1 + (uint32_t)trial_random(trial, 4), PORT), 0);
    for (uint32_t i = 0; i < world->site.count; i++)
        EXPECT_EQ(trial, weft_loop_set_exception_handler(world->site.shards[i].loop, ignore, NULL), 0);
    EXPECT_EQ(trial, weft_runtime_start(world->site.runtime), 0);
    EXPECT_EQ(trial, weft_runtime_create(&options, &world->runtime), 0);
    (void)weft_sim_host_enter(NULL);
    for (uint32_t i = 0; i < CLIENTS; i++, world->left++)
        EXPECT_EQ(trial, weft_loop_create_fiber(weft_runtime_loop(world->runtime, i % 2), client, world, NULL), 0);
    EXPECT_EQ(trial, weft_runtime_start(world->runtime), 0);
}

static int stop_main(void *arg, void **result_out)
{
    struct world *world = arg;
    (void)result_out;
    site_stop(&world->site);
    return 0;
}

static void play(struct trial *trial)
{
    static struct world world;
    struct weft_sim_options options = trial_options(trial);
    struct weft_coro *coro;
    memset(&world, 0, sizeof(world));
    world.trial = trial;
    options.late_permille = (uint32_t)trial_random(trial, 300);
    EXPECT_EQ(trial, weft_sim_create(&options, &world.sim), 0);
    world.host = trial_host(trial, world.sim, "web");
    make_weather(&world);
    boot(&world);
    EXPECT_EQ(trial, weft_sim_run(world.sim, all_answered, &world, HOUR_NS), 0);
    EXPECT_EQ(trial, weft_runtime_stop(world.site.runtime), 0);
    EXPECT_EQ(trial, weft_fiber_new(stop_main, &world, NULL, &coro), 0);
    EXPECT_EQ(trial, weft_runtime_run(world.site.runtime, coro, NULL), 0);
    site_close(&world.site);
    EXPECT_EQ(trial, weft_runtime_shutdown(world.runtime, -1), 0);
    weft_runtime_destroy(world.runtime);
    EXPECT_EQ(trial, weft_sim_host_descriptors(world.host), 0);
    EXPECT(trial, world.answered >= CLIENTS * QUESTIONS);
    trial_end(trial, world.sim);
    weft_sim_destroy(world.sim);
}

const struct scenario scenario_http = {
    .name = "http",
    .about = "the demo's web server, and clients in every bad weather",
    .seeds = 500,
    .play = play,
    .pinned = {UINT64_C(0x3c6ba10c96f4497c), UINT64_C(0x6e211d710de9b122)},
};
