/*
 * Cluster: five hosts that keep registers together, while the network between them is cut, heals, loses, resets, and hosts lose their power.
 *
 * Each register has a version on each host. A client asks a majority for the newest version, and then has a majority store one that is newer
 * (a write), or that one (a read), before it says that it is done: Attiya, Bar-Noy and Dolev, Sharing Memory Robustly in Message-Passing
 * Systems (1995). What is stored survives a crash, as on a disk. Any two majorities share a host, so a client that begins after another one
 * was done must find a version that is as new. When the network heals, everybody must come to an end.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/scenario.h"
#include "weft/fiber.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/server.h"
#include "weft/status.h"
#include "weft/stream.h"

enum { HOSTS = 5, MAJORITY = 3, KEYS = 3, CLIENTS = 2, ROUNDS = 6, PORT = 7000, CLIENT_IDS = 64 };

#define RPC_NS     (200 * MS_NS)
#define TROUBLE_NS (5 * SECOND_NS)  /* so long things break */
#define PEACE_NS   (60 * SECOND_NS) /* and by then everybody is done */

enum kind { ASK, STORE, ANSWER };

struct message {
    uint64_t id;
    uint32_t kind;
    uint32_t key;
    uint64_t version;
    uint64_t value;
};

struct reg {
    uint64_t version;
    uint64_t value;
};

struct cluster;

struct host {
    struct cluster *cluster;
    struct weft_sim_host *sim;
    char name[8];
    struct weft_runtime *runtime;
    struct weft_server *server;
    struct reg registers[KEYS]; /* its disk */
    bool is_down;
};

struct client;

struct call {
    struct client *client;
    uint32_t peer;
    struct message message; /* the question, then the answer */
};

struct client {
    struct host *host;
    uint32_t number;
    uint32_t rounds; /* that are left */
    bool is_done;
    struct weft_stream *streams[HOSTS];
    struct call calls[HOSTS]; /* not in the frame of who asks: when a host loses its power all fibers are unwound, in any order */
    uint64_t next_id;
};

struct cluster {
    struct trial *trial;
    struct weft_sim *sim;
    struct host hosts[HOSTS];
    struct client clients[CLIENT_IDS];
    uint32_t client_count;
    uint64_t acknowledged[KEYS]; /* the newest version that some client was told is stored */
    bool is_peaceful;
};

/* ---- what the hosts serve ---------------------------------------------------------------------------------------------------------- */

static void answer(struct host *host, struct message *message)
{
    struct reg *reg = &host->registers[message->key];
    if (message->kind == STORE && message->version > reg->version)
        *reg = (struct reg){message->version, message->value};
    message->kind = ANSWER;
    message->version = reg->version;
    message->value = reg->value;
}

static int serve(struct weft_stream *stream, void *arg)
{
    struct host *host = arg;
    struct message message;
    int status;
    while ((status = weft_stream_read_exactly(stream, &message, sizeof(message), NULL)) >= 0) {
        if (message.key >= KEYS || message.kind > STORE)
            return -EPROTO;
        answer(host, &message);
        if ((status = weft_stream_write(stream, &message, sizeof(message))) < 0 || (status = weft_stream_drain(stream)) < 0)
            break;
    }
    return 0; /* a client that goes away, however it does */
}

/* ---- one question to one host ------------------------------------------------------------------------------------------------------- */

static void drop_stream(struct client *client, uint32_t peer)
{
    struct weft_stream *stream = client->streams[peer];
    client->streams[peer] = NULL;
    if (stream == NULL)
        return;
    (void)weft_stream_close(stream);
    weft_stream_unref(stream);
}

static int open_stream(struct client *client, uint32_t peer)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    if (client->streams[peer] != NULL)
        return 0;
    options.host = client->host->cluster->hosts[peer].name;
    options.port = PORT;
    return weft_stream_open(&options, &client->streams[peer]);
}

static int exchange(struct call *call)
{
    struct client *client = call->client;
    struct message question = call->message;
    int status = open_stream(client, call->peer);
    struct weft_stream *stream = client->streams[call->peer];
    if (status >= 0)
        status = weft_stream_write(stream, &question, sizeof(question));
    if (status >= 0)
        status = weft_stream_read_exactly(stream, &call->message, sizeof(call->message), NULL);
    if (status < 0)
        return status;
    EXPECT_EQ(client->host->cluster->trial, call->message.id, question.id);
    EXPECT_EQ(client->host->cluster->trial, call->message.kind, ANSWER);
    EXPECT_EQ(client->host->cluster->trial, call->message.key, question.key);
    return 0;
}

static int call_main(void *arg, void **result_out)
{
    struct call *call = arg;
    (void)result_out;
    int status = exchange(call);
    if (status < 0)
        drop_stream(call->client, call->peer); /* an answer that comes late must not be taken for the next one's */
    return status;
}

/* ---- rounds ------------------------------------------------------------------------------------------------------------------------- */

/* Ask all hosts at once. 0 and the newest answer, if a majority has answered; the first failure that is the client's own; -EAGAIN. */
static int ask_all(struct client *client, const struct message *question, struct message *newest)
{
    struct call *calls = client->calls;
    struct weft_task *tasks[HOSTS];
    int answers = 0, own = 0;
    memset(newest, 0, sizeof(*newest));
    for (uint32_t i = 0; i < HOSTS; i++) {
        calls[i] = (struct call){client, i, *question};
        calls[i].message.id = ++client->next_id;
        EXPECT_EQ(client->host->cluster->trial, weft_loop_create_fiber(weft_get_running_loop(), call_main, &calls[i], &tasks[i]), 0);
    }
    for (uint32_t i = 0; i < HOSTS; i++) {
        int status = weft_wait_for(&tasks[i]->future, own < 0 ? 0 : RPC_NS, NULL);
        weft_task_unref(tasks[i]);
        own = own == 0 && (status == -ECANCELED || status == WEFT_ECLOSED) ? status : own;
        if (status < 0)
            continue;
        answers++;
        if (calls[i].message.version >= newest->version)
            *newest = calls[i].message;
    }
    return own < 0 ? own : answers >= MAJORITY ? 0 : -EAGAIN;
}

/* Until it succeeds, or the client itself is ended. */
static int ask_until(struct client *client, const struct message *question, struct message *newest)
{
    int status;
    while ((status = ask_all(client, question, newest)) == -EAGAIN)
        if ((status = weft_sleep(50 * MS_NS)) < 0)
            return status;
    return status;
}

static int play_round(struct client *client)
{
    struct cluster *cluster = client->host->cluster;
    struct message question = {.kind = ASK, .key = (uint32_t)trial_random(cluster->trial, KEYS)}, newest, stored;
    bool is_write = trial_chance(cluster->trial, 600);
    uint64_t at_least = cluster->acknowledged[question.key];
    int status = ask_until(client, &question, &newest);
    if (status < 0)
        return status;
    EXPECT(cluster->trial, newest.version >= at_least);
    question.kind = STORE;
    question.version = is_write ? (newest.version / CLIENT_IDS + 1) * CLIENT_IDS + client->number : newest.version;
    question.value = is_write ? question.version * 3 + 1 : newest.value;
    if (newest.version > 0)
        EXPECT_EQ(cluster->trial, newest.value, newest.version * 3 + 1);
    status = ask_until(client, &question, &stored);
    if (status >= 0 && question.version > cluster->acknowledged[question.key])
        cluster->acknowledged[question.key] = question.version;
    return status;
}

static int client_main(void *arg, void **result_out)
{
    struct client *client = arg;
    int status = 0;
    (void)result_out;
    while (client->rounds > 0 && status >= 0) {
        status = play_round(client);
        if (status >= 0)
            client->rounds--;
        if (status >= 0)
            status = weft_sleep((int64_t)trial_random(client->host->cluster->trial, 400) * MS_NS);
    }
    for (uint32_t i = 0; i < HOSTS; i++)
        drop_stream(client, i);
    client->is_done = client->rounds == 0;
    return status;
}

/* ---- hosts -------------------------------------------------------------------------------------------------------------------------- */

static void add_client(struct host *host, uint32_t rounds)
{
    struct cluster *cluster = host->cluster;
    EXPECT(cluster->trial, cluster->client_count < CLIENT_IDS);
    struct client *client = &cluster->clients[cluster->client_count];
    *client = (struct client){.host = host, .number = cluster->client_count++, .rounds = rounds};
    struct weft_coro *coro;
    EXPECT_EQ(cluster->trial, weft_fiber_new(client_main, client, NULL, &coro), 0);
    EXPECT_EQ(cluster->trial, weft_loop_create_task_threadsafe(weft_runtime_loop(host->runtime, 0), coro, NULL, NULL), 0);
}

/* Reports of connections that broke are what this is about. */
static int ignore(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop;
    (void)exception;
    (void)arg;
    return 0;
}

static void boot(struct host *host)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_server_options serving = WEFT_SERVER_OPTIONS;
    struct weft_sim_host *before = weft_sim_host_enter(host->sim);
    options.loops = 2;
    serving.port = PORT;
    EXPECT_EQ(host->cluster->trial, weft_runtime_create(&options, &host->runtime), 0);
    struct weft_loop *loop = weft_runtime_loop(host->runtime, 0);
    EXPECT_EQ(host->cluster->trial, weft_loop_set_exception_handler(loop, ignore, NULL), 0);
    EXPECT_EQ(host->cluster->trial, weft_loop_start_stream_server(loop, serve, host, &serving, &host->server), 0);
    EXPECT_EQ(host->cluster->trial, weft_runtime_start(host->runtime), 0);
    (void)weft_sim_host_enter(before);
}

static void power_off(struct host *host)
{
    EXPECT_EQ(host->cluster->trial, weft_sim_host_crash(host->sim), 0);
    host->is_down = true;
    weft_server_unref(host->server);
    weft_runtime_destroy(host->runtime);
    host->server = NULL;
    host->runtime = NULL;
}

static void power_on(struct host *host)
{
    struct cluster *cluster = host->cluster;
    EXPECT_EQ(cluster->trial, weft_sim_host_restart(host->sim), 0);
    host->is_down = false;
    boot(host);
    for (uint32_t i = 0, count = cluster->client_count; i < count; i++) {
        struct client *client = &cluster->clients[i];
        if (client->host != host || client->is_done)
            continue;
        client->is_done = true; /* it is no more; another one does what is left */
        add_client(host, client->rounds);
    }
}

/* ---- trouble ------------------------------------------------------------------------------------------------------------------------ */

static uint32_t down_count(const struct cluster *cluster)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < HOSTS; i++)
        count += cluster->hosts[i].is_down;
    return count;
}

static void cut_apart(struct cluster *cluster)
{
    struct weft_sim_host *group[HOSTS];
    size_t count = 0;
    for (uint32_t i = 0; i < HOSTS; i++)
        if (trial_chance(cluster->trial, 400))
            group[count++] = cluster->hosts[i].sim;
    EXPECT_EQ(cluster->trial, weft_sim_partition(cluster->sim, group, count), 0);
}

static void make_trouble(struct cluster *cluster)
{
    struct host *one = &cluster->hosts[trial_random(cluster->trial, HOSTS)], *other = &cluster->hosts[trial_random(cluster->trial, HOSTS)];
    switch (trial_random(cluster->trial, 7)) {
    case 0:
        cut_apart(cluster);
        break;
    case 1:
        EXPECT_EQ(cluster->trial, weft_sim_heal(cluster->sim, NULL, NULL), 0);
        break;
    case 2:
        if (one != other)
            EXPECT_EQ(cluster->trial, weft_sim_cut(cluster->sim, one->sim, other->sim), 0);
        break;
    case 3:
        EXPECT(cluster->trial, weft_sim_reset(cluster->sim, one->sim, NULL) >= 0);
        break;
    case 4:
        EXPECT_EQ(cluster->trial, weft_sim_host_pause(one->sim, (uint64_t)trial_random(cluster->trial, 800) * MS_NS), 0);
        break;
    case 5:
        if (!one->is_down && down_count(cluster) < HOSTS - MAJORITY)
            power_off(one);
        break;
    default:
        if (one->is_down)
            power_on(one);
    }
}

static void make_peace(struct cluster *cluster)
{
    cluster->is_peaceful = true;
    EXPECT_EQ(cluster->trial, weft_sim_heal(cluster->sim, NULL, NULL), 0);
    EXPECT_EQ(cluster->trial, weft_sim_set_link(cluster->sim, NULL, NULL, NULL), 0);
    for (uint32_t i = 0; i < HOSTS; i++)
        if (cluster->hosts[i].is_down)
            power_on(&cluster->hosts[i]);
}

static void trouble(void *arg)
{
    struct cluster *cluster = arg;
    if (weft_sim_now(cluster->sim) >= (uint64_t)TROUBLE_NS) {
        make_peace(cluster);
        return;
    }
    make_trouble(cluster);
    uint64_t next_ns = (uint64_t)(20 + trial_random(cluster->trial, 400)) * MS_NS;
    EXPECT_EQ(cluster->trial, weft_sim_call_later(cluster->sim, next_ns, trouble, cluster), 0);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------------------- */

static bool all_done(void *arg)
{
    const struct cluster *cluster = arg;
    for (uint32_t i = 0; i < cluster->client_count; i++)
        if (!cluster->clients[i].is_done)
            return false;
    return cluster->is_peaceful;
}

static void found(struct cluster *cluster, struct trial *trial)
{
    struct weft_sim_options options = trial_options(trial);
    struct weft_sim_link link = WEFT_SIM_LINK;
    memset(cluster, 0, sizeof(*cluster));
    cluster->trial = trial;
    options.late_permille = (uint32_t)trial_random(trial, 300);
    EXPECT_EQ(trial, weft_sim_create(&options, &cluster->sim), 0);
    link.latency_min_ns = 100 * US_NS;
    link.latency_max_ns = (trial_random(trial, 40) + 1) * MS_NS;
    link.loss_permille = (uint32_t)trial_random(trial, 80);
    link.give_up_ns = 3 * SECOND_NS;
    link.reset_permille = (uint32_t)trial_random(trial, 10);
    link.connect_refuse_permille = (uint32_t)trial_random(trial, 50);
    EXPECT_EQ(trial, weft_sim_set_link(cluster->sim, NULL, NULL, &link), 0);
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct host *host = &cluster->hosts[i];
        host->cluster = cluster;
        (void)snprintf(host->name, sizeof(host->name), "node%u", i);
        host->sim = trial_host(trial, cluster->sim, host->name);
    }
}

/* Nothing that a client was told is stored may be missing from a majority. */
static void check_registers(const struct cluster *cluster)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        int have = 0;
        for (uint32_t i = 0; i < HOSTS; i++)
            have += cluster->hosts[i].registers[key].version >= cluster->acknowledged[key];
        EXPECT(cluster->trial, have >= MAJORITY);
    }
}

static void play(struct trial *trial)
{
    static struct cluster cluster;
    found(&cluster, trial);
    for (uint32_t i = 0; i < HOSTS; i++) {
        boot(&cluster.hosts[i]);
        for (uint32_t client = 0; client < CLIENTS; client++)
            add_client(&cluster.hosts[i], ROUNDS);
    }
    EXPECT_EQ(trial, weft_sim_call_later(cluster.sim, 100 * MS_NS, trouble, &cluster), 0);
    EXPECT_EQ(trial, weft_sim_run(cluster.sim, all_done, &cluster, TROUBLE_NS + PEACE_NS), 0);
    check_registers(&cluster);
    for (uint32_t i = 0; i < HOSTS; i++) {
        weft_server_unref(cluster.hosts[i].server);
        EXPECT_EQ(trial, weft_runtime_shutdown(cluster.hosts[i].runtime, 10 * SECOND_NS), 0);
        weft_runtime_destroy(cluster.hosts[i].runtime);
        EXPECT_EQ(trial, weft_sim_host_descriptors(cluster.hosts[i].sim), 0);
    }
    trial_end(trial, cluster.sim);
    weft_sim_destroy(cluster.sim);
}

const struct scenario scenario_cluster = {
    .name = "cluster",
    .about = "five hosts keep registers by majority, through cuts, losses, resets and crashes",
    .seeds = 450,
    .play = play,
    .pinned = {UINT64_C(0x3240a5b6dbea7f52), UINT64_C(0x69fbf19b8d1c70a3)},
};
