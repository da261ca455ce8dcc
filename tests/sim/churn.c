/*
 * Churn: protocols whose connections are opened, written to, paused, half closed, closed, aborted and reset at random; with `memory`, while
 * allocations fail as well.
 *
 * A protocol hears connection_made first and once, connection_lost last and once, nothing after it; eof_received at most once; neither that
 * nor data once it has closed; each pause_writing is followed by one resume_writing, or by the end. What arrives is what was sent, from its
 * beginning and without a gap; all of it, if both sides closed in peace. And when the weather is better, everything works as if nothing had
 * been.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/scenario.h"
#include "weft/fiber.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/memory.h"
#include "weft/protocol.h"
#include "weft/runtime.h"
#include "weft/server.h"
#include "weft/status.h"
#include "weft/task.h"
#include "weft/transport.h"

enum { CLIENTS = 5, CONNECTIONS = 6, PORT = 9, CHUNK_MAX = 3000, WRITES = 12 };

struct world {
    struct trial *trial;
    struct weft_sim *sim;
    struct weft_sim_host *hosts[2];
    struct weft_runtime *runtimes[2];
    struct weft_server *server;
    struct weft_task *clients[CLIENTS]; /* one may fail before its body has begun, for want of a stack */
    struct end *all;                    /* of them, kept until the world has gone, so that a late callback finds its end and is seen */
    uint32_t ends;                      /* those that are not lost */
    uint32_t made;
    uint32_t whole; /* connections that were closed in peace, all bytes there */
    bool is_short_of_memory;
    bool is_fair; /* nothing breaks any more */
};

/* One end of a connection. The client's tells what it sends by its number and place; the server's sends it back. */
struct end {
    struct weft_protocol protocol;
    struct world *world;
    struct end *next;                 /* in the world's */
    struct weft_transport *transport; /* from connection_made to connection_lost */
    bool is_client;
    bool is_made, is_lost, is_paused, has_eof;
    uint64_t sent, received; /* bytes */
    uint32_t writes_left;
    uint32_t key;             /* where its text begins */
    struct weft_future *over; /* the client's fiber waits for it */
};

static struct end *end_of(struct weft_protocol *protocol)
{
    return weft_container_of(protocol, struct end, protocol);
}

/* ---- the text ----------------------------------------------------------------------------------------------------------------- */

/*
 * What a client sends is a text that repeats itself, from a place of its own on. Its period has nothing to do with any size of a buffer, and
 * it is there once more and a bit, so that a piece is one run of bytes wherever it begins.
 */
enum { TEXT_PERIOD = 4093, PIECE_MAX = CHUNK_MAX };

static unsigned char text[TEXT_PERIOD + PIECE_MAX];

static void text_init(void)
{
    for (uint32_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)((i % TEXT_PERIOD) * UINT32_C(2654435761) >> 24);
}

static const unsigned char *text_at(const struct end *end, uint64_t place)
{
    return text + (end->key + place) % TEXT_PERIOD;
}

/* `len` bytes have come, and they are the next ones. */
static void check_text(struct end *end, const unsigned char *bytes, size_t len)
{
    for (size_t done = 0, piece; done < len; done += piece) {
        piece = len - done < PIECE_MAX ? len - done : PIECE_MAX;
        EXPECT_EQ(end->world->trial, memcmp(bytes + done, text_at(end, end->received + done), piece), 0);
    }
    end->received += len;
    EXPECT(end->world->trial, end->received <= end->sent);
}

/* ---- writing -------------------------------------------------------------------------------------------------------------------- */

static int send_chunk(struct end *end)
{
    size_t len = 1 + trial_random(end->world->trial, CHUNK_MAX);
    int status = weft_transport_write(end->transport, text_at(end, end->sent), len);
    if (status >= 0)
        end->sent += len;
    return status;
}

/* What a client does each time that it hears something. */
static void go_on(struct end *end)
{
    struct trial *trial = end->world->trial;
    if (!end->is_client || weft_transport_is_closing(end->transport))
        return;
    if (end->writes_left == 0) {
        if (end->received == end->sent)
            (void)weft_transport_close(end->transport);
        return;
    }
    if (end->is_paused)
        return;
    end->writes_left--;
    if (send_chunk(end) < 0) {
        (void)weft_transport_abort(end->transport); /* nothing more would be heard */
        return;
    }
    if (end->world->is_fair)
        return;
    switch (trial_random(trial, 40)) {
    case 0:
        (void)weft_transport_abort(end->transport);
        break;
    case 1:
        (void)weft_transport_close(end->transport);
        break;
    case 2:
        (void)weft_transport_pause_reading(end->transport);
        (void)weft_transport_resume_reading(end->transport);
        break;
    case 3:
        end->writes_left = 0;
        (void)weft_transport_write_eof(end->transport);
        break;
    default:
        break;
    }
}

/* ---- hearing -------------------------------------------------------------------------------------------------------------------- */

static int made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    struct end *end = end_of(protocol);
    EXPECT(end->world->trial, !end->is_made && !end->is_lost);
    end->is_made = true;
    end->transport = transport;
    end->world->made++;
    go_on(end);
    return 0;
}

static int received(struct weft_protocol *protocol, const void *data, size_t len)
{
    struct end *end = end_of(protocol);
    EXPECT(end->world->trial, end->is_made && !end->is_lost && !end->has_eof && len > 0);
    EXPECT(end->world->trial, !weft_transport_is_closing(end->transport));
    if (!end->is_client) {
        end->received += len;
        int status = weft_transport_write(end->transport, data, len);
        end->sent += status >= 0 ? len : 0;
        return status;
    }
    check_text(end, data, len);
    go_on(end);
    return 0;
}

static int ended(struct weft_protocol *protocol)
{
    struct end *end = end_of(protocol);
    EXPECT(end->world->trial, end->is_made && !end->is_lost && !end->has_eof);
    EXPECT(end->world->trial, !weft_transport_is_closing(end->transport));
    end->has_eof = true;
    return 0;
}

static int paused(struct weft_protocol *protocol)
{
    struct end *end = end_of(protocol);
    EXPECT(end->world->trial, end->is_made && !end->is_paused && !end->is_lost);
    end->is_paused = true;
    return 0;
}

static int resumed(struct weft_protocol *protocol)
{
    struct end *end = end_of(protocol);
    EXPECT(end->world->trial, end->is_paused && !end->is_lost);
    end->is_paused = false;
    go_on(end);
    return 0;
}

static int lost(struct weft_protocol *protocol, int status)
{
    struct end *end = end_of(protocol);
    struct world *world = end->world;
    EXPECT(world->trial, !end->is_lost && (end->is_made || status == -ENOMEM)); /* or no transport could be made for it */
    end->is_lost = true;
    end->transport = NULL;
    if (end->is_client && status == 0 && end->writes_left == 0 && end->received == end->sent)
        world->whole++;
    if (end->is_client && world->is_fair)
        EXPECT(world->trial, status == 0 && end->received == end->sent);
    world->ends--;
    if (end->over != NULL) {
        (void)weft_future_set_result(end->over, NULL);
        weft_future_unref(end->over);
    }
    return 0;
}

static const struct weft_protocol_ops end_ops = {
    .size = sizeof(end_ops),
    .connection_made = made,
    .data_received = received,
    .eof_received = ended,
    .connection_lost = lost,
    .pause_writing = paused,
    .resume_writing = resumed,
};

static int end_new(struct world *world, struct end **end_out)
{
    struct end *end = weft_calloc(1, sizeof(*end));
    if (end == NULL)
        return -ENOMEM;
    end->protocol.ops = &end_ops;
    end->world = world;
    end->next = world->all;
    world->all = end;
    world->ends++;
    *end_out = end;
    return 0;
}

static int serve(void *arg, struct weft_protocol **protocol_out)
{
    struct end *end;
    int status = end_new(arg, &end);
    if (status == 0)
        *protocol_out = &end->protocol;
    return status;
}

/* ---- clients -------------------------------------------------------------------------------------------------------------------- */

struct visit {
    struct world *world;
    struct weft_future *over;
};

static int meet(void *arg, struct weft_protocol **protocol_out)
{
    struct visit *visit = arg;
    struct end *end;
    int status = end_new(visit->world, &end);
    if (status < 0)
        return status;
    end->is_client = true;
    end->key = (uint32_t)trial_random(visit->world->trial, TEXT_PERIOD);
    end->writes_left = WRITES;
    end->over = weft_future_ref(visit->over);
    *protocol_out = &end->protocol;
    return 0;
}

static int visit_once(struct visit *visit)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_loop *loop = weft_get_running_loop();
    struct weft_future *connecting;
    options.host = "churn";
    options.port = PORT;
    options.timeout_ns = 30 * SECOND_NS;
    int status = weft_loop_create_future(loop, &visit->over);
    if (status < 0)
        return status;
    status = weft_loop_create_connection(loop, meet, visit, &options, &connecting);
    if (status == 0) {
        status = weft_await(connecting, NULL);
        weft_future_unref(connecting);
    }
    if (status == 0)
        status = weft_await(visit->over, NULL);
    weft_future_unref(visit->over);
    return status;
}

static int client(void *arg, void **result_out)
{
    struct visit visit = {.world = arg};
    struct world *world = arg;
    (void)result_out;
    for (int i = 0; i < CONNECTIONS; i++) {
        bool was_fair = world->is_fair;
        int status = visit_once(&visit);
        if (was_fair)
            EXPECT_EQ(world->trial, status, 0);
        (void)weft_sleep((int64_t)trial_random(world->trial, 400) * MS_NS);
    }
    return 0;
}

/* ---- weather -------------------------------------------------------------------------------------------------------------------- */

static void make_weather(struct world *world)
{
    struct trial *trial = world->trial;
    struct weft_sim_link link = WEFT_SIM_LINK;
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    link.latency_max_ns = trial_random(trial, 30) * MS_NS;
    link.window_bytes = trial_chance(trial, 500) ? 500 + (uint32_t)trial_random(trial, 4000) : 0;
    link.loss_permille = (uint32_t)trial_random(trial, 100);
    link.reset_permille = (uint32_t)trial_random(trial, 20);
    link.connect_refuse_permille = (uint32_t)trial_random(trial, 100);
    link.give_up_ns = 10 * SECOND_NS;
    faults.short_read_permille = (uint32_t)trial_random(trial, 400);
    faults.short_write_permille = (uint32_t)trial_random(trial, 400);
    faults.write_reset_permille = (uint32_t)trial_random(trial, 10);
    faults.socket_permille = (uint32_t)trial_random(trial, 100);
    faults.accept_emfile_permille = (uint32_t)trial_random(trial, 200);
    faults.accept_enfile_permille = (uint32_t)trial_random(trial, 100);
    faults.accept_abort_permille = (uint32_t)trial_random(trial, 100);
    faults.resolve_permille = (uint32_t)trial_random(trial, 50);
    faults.memory_permille = world->is_short_of_memory ? 1 + (uint32_t)trial_random(trial, 60) : 0;
    EXPECT_EQ(trial, weft_sim_set_link(world->sim, NULL, NULL, &link), 0);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(trial, weft_sim_host_set_faults(world->hosts[i], &faults), 0);
}

static void better_weather(struct world *world)
{
    EXPECT_EQ(world->trial, weft_sim_set_link(world->sim, NULL, NULL, NULL), 0);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(world->trial, weft_sim_host_set_faults(world->hosts[i], NULL), 0);
    world->is_fair = true;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

static int ignore(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop;
    (void)exception;
    (void)arg;
    return 0;
}

static void boot(struct world *world, int index, const char *name)
{
    struct trial *trial = world->trial;
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_server_options serving = WEFT_SERVER_OPTIONS;
    options.loops = 2;
    serving.port = PORT;
    world->hosts[index] = trial_host(trial, world->sim, name);
    struct weft_sim_host *before = weft_sim_host_enter(world->hosts[index]);
    EXPECT_EQ(trial, weft_runtime_create(&options, &world->runtimes[index]), 0);
    struct weft_loop *loop = weft_runtime_loop(world->runtimes[index], 0);
    for (uint32_t i = 0; i < 2; i++)
        EXPECT_EQ(trial, weft_loop_set_exception_handler(weft_runtime_loop(world->runtimes[index], i), ignore, NULL), 0);
    if (index == 0)
        EXPECT_EQ(trial, weft_loop_create_server(loop, serve, world, &serving, &world->server), 0);
    (void)weft_sim_host_enter(before);
    EXPECT_EQ(trial, weft_runtime_start(world->runtimes[index]), 0);
}

static void send_clients(struct world *world)
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct weft_loop *loop = weft_runtime_loop(world->runtimes[1], i % 2);
        struct weft_coro *coro;
        EXPECT_EQ(world->trial, weft_fiber_new(client, world, NULL, &coro), 0);
        EXPECT_EQ(world->trial, weft_loop_create_task_threadsafe(loop, coro, NULL, &world->clients[i]), 0);
    }
}

static bool all_gone(void *arg)
{
    const struct world *world = arg;
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (!weft_future_done(&world->clients[i]->future))
            return false;
    return world->ends == 0;
}

static void run_clients(struct world *world)
{
    send_clients(world);
    EXPECT_EQ(world->trial, weft_sim_run(world->sim, all_gone, world, HOUR_NS), 0);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        int status = weft_future_result(&world->clients[i]->future, NULL);
        EXPECT(world->trial, status == 0 || (status == -ENOMEM && world->is_short_of_memory && !world->is_fair));
        weft_task_unref(world->clients[i]);
    }
}

static void free_ends(struct world *world)
{
    for (struct end *end = world->all, *next; end != NULL; end = next) {
        next = end->next;
        weft_free(end);
    }
}

static void close_world(struct world *world)
{
    struct trial *trial = world->trial;
    weft_server_unref(world->server);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(trial, weft_runtime_shutdown(world->runtimes[i], 10 * SECOND_NS), 0);
        weft_runtime_destroy(world->runtimes[i]);
        EXPECT_EQ(trial, weft_sim_host_descriptors(world->hosts[i]), 0);
    }
    EXPECT_EQ(trial, world->ends, 0);
    free_ends(world);
    trial_end(trial, world->sim);
    weft_sim_destroy(world->sim);
}

static void play_in(struct trial *trial, bool is_short_of_memory)
{
    static struct world world;
    struct weft_sim_options options = trial_options(trial);
    memset(&world, 0, sizeof(world));
    text_init();
    world.trial = trial;
    world.is_short_of_memory = is_short_of_memory;
    options.late_permille = (uint32_t)trial_random(trial, 300);
    EXPECT_EQ(trial, weft_sim_create(&options, &world.sim), 0);
    boot(&world, 0, "churn");
    boot(&world, 1, "crowd");
    make_weather(&world);
    run_clients(&world);
    better_weather(&world);
    uint32_t whole = world.whole;
    run_clients(&world);
    EXPECT_EQ(trial, world.whole - whole, CLIENTS * CONNECTIONS);
    close_world(&world);
}

static void play_churn(struct trial *trial)
{
    play_in(trial, false);
}

static void play_memory(struct trial *trial)
{
    play_in(trial, true);
}

const struct scenario scenario_churn = {
    .name = "churn",
    .about = "protocols whose connections are closed, aborted, paused and reset at random",
    .seeds = 600,
    .play = play_churn,
    .pinned = {UINT64_C(0xe9ff36a63baa7206), UINT64_C(0x3e754fac192c2224)},
};

const struct scenario scenario_memory = {
    .name = "memory",
    .about = "the same, while allocations fail",
    .seeds = 950,
    .play = play_memory,
    .pinned = {UINT64_C(0xfdd6c08deaf4ccc7), UINT64_C(0xbd392ddd335c7e37)},
};
