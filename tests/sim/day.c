/*
 * Day: twenty-four hours of a server that has little to do. Clients keep their connections and ask now and then; some leave and come back;
 * each night there is a burst. What lives after the first hour is what lives after the last one.
 */
#include <errno.h>
#include <string.h>

#include "tests/sim/ledger.h"
#include "tests/sim/scenario.h"
#include "weft/fiber.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/server.h"
#include "weft/stream.h"

enum { CLIENTS = 16, LOOPS = 2, PORT = 80, BURST = 60, WORD_BYTES = 24, LIVE_SLACK = 200 };

struct world {
    struct trial *trial;
    struct weft_sim *sim;
    struct weft_sim_host *hosts[2]; /* the server's, the clients' */
    struct weft_runtime *runtimes[2];
    struct weft_server *servers[LOOPS];
    uint64_t asked;
    uint64_t served;
    uint32_t clients;   /* that are still there */
    int64_t live_first; /* allocations after the first hour */
    uint32_t hours;
};

static bool is_evening(const struct world *world)
{
    return weft_sim_now(world->sim) >= (uint64_t)DAY_NS;
}

/* ---- the server ----------------------------------------------------------------------------------------------------------------- */

static int serve(struct weft_stream *stream, void *arg)
{
    struct world *world = arg;
    char line[64];
    int len;
    while ((len = weft_stream_readline(stream, line, sizeof(line))) > 0) {
        int status = weft_stream_write(stream, line, (size_t)len);
        if (status < 0 || (status = weft_stream_drain(stream)) < 0)
            return status;
        world->served++;
    }
    return 0;
}

/* ---- clients -------------------------------------------------------------------------------------------------------------------- */

static void ask(struct world *world, struct weft_stream *stream)
{
    char question[WORD_BYTES], answer[WORD_BYTES];
    for (int i = 0; i < WORD_BYTES - 1; i++)
        question[i] = (char)('a' + trial_random(world->trial, 26));
    question[WORD_BYTES - 1] = '\n';
    EXPECT(world->trial, weft_stream_write(stream, question, sizeof(question)) >= 0);
    EXPECT_EQ(world->trial, weft_stream_readline(stream, answer, sizeof(answer)), WORD_BYTES);
    EXPECT_EQ(world->trial, memcmp(question, answer, sizeof(answer)), 0);
    world->asked++;
}

/* Stay connected for some questions. */
static void visit(struct world *world, uint64_t questions, int64_t pause_ns)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_stream *stream;
    options.host = "server";
    options.port = PORT;
    EXPECT_EQ(world->trial, weft_stream_open(&options, &stream), 0);
    for (uint64_t i = 0; i < questions && !is_evening(world); i++) {
        ask(world, stream);
        EXPECT_EQ(world->trial, weft_sleep(pause_ns), 0);
    }
    (void)weft_stream_close(stream);
    EXPECT_EQ(world->trial, weft_stream_wait_closed(stream), 0);
    weft_stream_unref(stream);
}

static int client(void *arg, void **result_out)
{
    struct world *world = arg;
    (void)result_out;
    while (!is_evening(world)) {
        uint64_t questions = 1 + trial_random(world->trial, 60); /* on a line of its own: compilers evaluate arguments in any order */
        visit(world, questions, (int64_t)(5 + trial_random(world->trial, 55)) * SECOND_NS);
        EXPECT_EQ(world->trial, weft_sleep((int64_t)trial_random(world->trial, 120) * SECOND_NS), 0);
    }
    world->clients--;
    return 0;
}

static int burst(void *arg, void **result_out)
{
    struct world *world = arg;
    (void)result_out;
    visit(world, 5, 10 * MS_NS);
    world->clients--;
    return 0;
}

static void start(struct world *world, weft_fiber_fn *fn, uint32_t number)
{
    struct weft_coro *coro;
    EXPECT_EQ(world->trial, weft_fiber_new(fn, world, NULL, &coro), 0);
    EXPECT_EQ(world->trial, weft_loop_create_task_threadsafe(weft_runtime_loop(world->runtimes[1], number % LOOPS), coro, NULL, NULL), 0);
    world->clients++;
}

/* ---- the hours ------------------------------------------------------------------------------------------------------------------ */

static void hour(void *arg)
{
    struct world *world = arg;
    int64_t live = ledger_live();
    if (world->hours++ == 1)
        world->live_first = live;
    if (world->hours > 1)
        EXPECT(world->trial, live < world->live_first + LIVE_SLACK);
    if (world->hours == 3)
        for (uint32_t i = 0; i < BURST; i++)
            start(world, burst, i);
    EXPECT_EQ(world->trial, weft_sim_call_later(world->sim, (uint64_t)HOUR_NS, hour, world), 0);
}

static bool all_gone(void *arg)
{
    const struct world *world = arg;
    return world->clients == 0;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

static void boot(struct world *world, int index, const char *name)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_server_options serving = WEFT_SERVER_OPTIONS;
    options.loops = LOOPS;
    world->hosts[index] = trial_host(world->trial, world->sim, name);
    struct weft_sim_host *before = weft_sim_host_enter(world->hosts[index]);
    EXPECT_EQ(world->trial, weft_runtime_create(&options, &world->runtimes[index]), 0);
    serving.port = PORT;
    serving.flags = WEFT_SERVER_REUSE_PORT;
    serving.idle_timeout_ns = 300 * SECOND_NS;
    for (uint32_t i = 0; index == 0 && i < LOOPS; i++)
        EXPECT_EQ(world->trial,
                  weft_loop_start_stream_server(weft_runtime_loop(world->runtimes[0], i), serve, world, &serving, &world->servers[i]), 0);
    (void)weft_sim_host_enter(before);
    EXPECT_EQ(world->trial, weft_runtime_start(world->runtimes[index]), 0);
}

static void play(struct trial *trial)
{
    static struct world world;
    struct weft_sim_options options = trial_options(trial);
    struct weft_sim_link link = WEFT_SIM_LINK;
    memset(&world, 0, sizeof(world));
    world.trial = trial;
    EXPECT_EQ(trial, weft_sim_create(&options, &world.sim), 0);
    link.latency_min_ns = MS_NS;
    link.latency_max_ns = 80 * MS_NS;
    link.loss_permille = 5;
    EXPECT_EQ(trial, weft_sim_set_link(world.sim, NULL, NULL, &link), 0);
    boot(&world, 0, "server");
    boot(&world, 1, "clients");
    for (uint32_t i = 0; i < CLIENTS; i++)
        start(&world, client, i);
    EXPECT_EQ(trial, weft_sim_call_later(world.sim, (uint64_t)HOUR_NS, hour, &world), 0);
    EXPECT_EQ(trial, weft_sim_run(world.sim, all_gone, &world, 2 * DAY_NS), 0);
    EXPECT(trial, world.hours >= 23 && world.asked > 1000);
    EXPECT_EQ(trial, world.served, world.asked);
    for (uint32_t i = 0; i < LOOPS; i++)
        weft_server_unref(world.servers[i]);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(trial, weft_runtime_shutdown(world.runtimes[i], 10 * SECOND_NS), 0);
        weft_runtime_destroy(world.runtimes[i]);
        EXPECT_EQ(trial, weft_sim_host_descriptors(world.hosts[i]), 0);
    }
    trial_end(trial, world.sim);
    weft_sim_destroy(world.sim);
}

const struct scenario scenario_day = {
    .name = "day",
    .about = "twenty-four hours of a server that has little to do",
    .seeds = 4,
    .play = play,
    .pinned = {UINT64_C(0xca56b791abfe315d), UINT64_C(0xe7ae8d77be83901e)},
};
