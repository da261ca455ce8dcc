/*
 * The simulated network, from an application's side: hosts, names, links and what goes wrong with them.
 */
#include "tests/runtime/town.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define MS_NS INT64_C(1000000)

static void set_latency(struct town *town, uint64_t latency_ns)
{
    struct weft_sim_link link = WEFT_SIM_LINK;
    link.latency_min_ns = latency_ns;
    CHECK_EQ(weft_sim_set_link(town->sim, NULL, NULL, &link), 0);
}

/* ---- hosts ------------------------------------------------------------------------------------------------------------------- */

Test(sim_net, serves_a_host_by_its_name, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 10};
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    CHECK_EQ(town_visit(&town, 1, &visit), 0);
    CHECK_EQ(visit.echoed, 10);
    CHECK_EQ(town.served, 10);
    town_close(&town);
}

Test(sim_net, serves_itself_as_localhost_and_nobody_else, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "localhost", .rounds = 1};
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    CHECK_EQ(town_visit(&town, 1, &visit), -ECONNREFUSED);
    CHECK_EQ(weft_runtime_stop(town.runtimes[0]), 0);
    CHECK_EQ(town_visit(&town, 0, &visit), 0);
    town_close(&town);
}

Test(sim_net, knows_no_other_names, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "elsewhere", .rounds = 1};
    town_open(&town, 1, NULL);
    CHECK_EQ(town_visit(&town, 0, &visit), WEFT_ENONAME);
    visit.server = "10.9.9.9";
    CHECK_EQ(town_visit(&town, 0, &visit), -EHOSTUNREACH);
    CHECK(weft_sim_host_find(town.sim, "host0") == town.hosts[0]);
    CHECK(weft_sim_host_find(town.sim, "elsewhere") == NULL);
    town_close(&town);
}

Test(sim_net, takes_each_name_and_address_once, .timeout = 10)
{
    struct town town;
    struct weft_sim_host_options options = WEFT_SIM_HOST_OPTIONS;
    struct weft_sim_host *host;
    town_open(&town, 1, NULL);
    options.name = "host0";
    CHECK_EQ(weft_sim_host_create(town.sim, &options, &host), -EEXIST);
    options.name = "other";
    options.address = "10.0.0.1";
    CHECK_EQ(weft_sim_host_create(town.sim, &options, &host), -EEXIST);
    options.address = "not one";
    CHECK_EQ(weft_sim_host_create(town.sim, &options, &host), -EINVAL);
    options.address = "192.0.2.1";
    CHECK_EQ(weft_sim_host_create(town.sim, &options, &host), 0);
    CHECK_STR(weft_sim_host_name(host), "other");
    town_close(&town);
}

/* ---- links ------------------------------------------------------------------------------------------------------------------- */

Test(sim_net, takes_its_latency_each_way, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 10};
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    set_latency(&town, 5 * MS_NS);
    CHECK_EQ(town_visit(&town, 1, &visit), 0);
    CHECK_EQ(visit.took_ns, (1 + 10 * 2) * 5 * MS_NS); /* the connect, and ten times there and back */
    town_close(&town);
}

Test(sim_net, is_as_slow_as_its_bandwidth, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 1, .bytes = 100000};
    struct weft_sim_link link = WEFT_SIM_LINK;
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    link.bytes_per_s = 100000;
    CHECK_EQ(weft_sim_set_link(town.sim, town.hosts[1], town.hosts[0], &link), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), 0);
    CHECK_EQ(visit.took_ns, 1000 * MS_NS);
    town_close(&town);
}

Test(sim_net, gets_everything_through_small_windows_and_short_calls, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 3, .bytes = 50000};
    struct weft_sim_link link = WEFT_SIM_LINK;
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    struct weft_sim_counters counters;
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    link.window_bytes = 700;
    link.loss_permille = 100;
    link.latency_max_ns = 3 * MS_NS;
    faults.short_read_permille = faults.short_write_permille = 300;
    CHECK_EQ(weft_sim_set_link(town.sim, NULL, NULL, &link), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_sim_host_set_faults(town.hosts[i], &faults), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), 0);
    CHECK_EQ(visit.echoed, 3);
    CHECK_EQ(weft_sim_get_counters(town.sim, &counters), 0);
    CHECK_EQ(counters.connections, 1);
    CHECK_EQ(counters.bytes, 2 * 3 * 50000);
    CHECK(counters.losses > 0 && counters.faults > 0);
    town_close(&town);
}

Test(sim_net, gives_up_what_is_lost_again_and_again, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 1};
    struct weft_sim_link link = WEFT_SIM_LINK;
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    link.loss_permille = 1000;
    link.give_up_ns = 7000 * MS_NS;
    CHECK_EQ(weft_sim_set_link(town.sim, town.hosts[1], town.hosts[0], &link), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), -ETIMEDOUT);
    CHECK_EQ(visit.took_ns, 7000 * MS_NS);
    town_close(&town);
}

Test(sim_net, refuses_and_resets_as_it_is_told, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 1};
    struct weft_sim_link link = WEFT_SIM_LINK;
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    link.connect_refuse_permille = 1000;
    CHECK_EQ(weft_sim_set_link(town.sim, NULL, NULL, &link), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), -ECONNREFUSED);
    link.connect_refuse_permille = 0;
    link.connect_lose_permille = 1000;
    CHECK_EQ(weft_sim_set_link(town.sim, NULL, NULL, &link), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), -ETIMEDOUT);
    CHECK_EQ(visit.took_ns, 127000 * MS_NS);
    link.connect_lose_permille = 0;
    link.reset_permille = 1000;
    CHECK_EQ(weft_sim_set_link(town.sim, NULL, NULL, &link), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), -ECONNRESET);
    town_close(&town);
}

/* ---- partitions -------------------------------------------------------------------------------------------------------------- */

static void heal(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_heal(town->sim, NULL, NULL), 0);
}

static void cut_forth(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_cut(town->sim, town->hosts[1], town->hosts[0]), 0);
}

static void cut_back(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_cut(town->sim, town->hosts[0], town->hosts[1]), 0);
}

static void part(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_partition(town->sim, town->hosts, 1), 0);
}

/* Two rounds, one second between them, while the network is cut by `cut` before the second and healed at ten seconds. */
static void check_cut(weft_sim_event_fn *cut)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 3, .pause_ns = SECOND_NS};
    town_open(&town, 3, NULL);
    town_serve(&town, 0);
    CHECK_EQ(weft_sim_call_later(town.sim, SECOND_NS / 2, cut, &town), 0);
    CHECK_EQ(weft_sim_call_later(town.sim, 10 * SECOND_NS, heal, &town), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), 0);
    CHECK_EQ(visit.echoed, 3);
    CHECK_EQ(visit.took_ns, 12 * SECOND_NS);
    town_close(&town);
}

Test(sim_net, holds_back_what_is_sent_on_a_way_that_is_cut, .timeout = 10)
{
    check_cut(cut_forth);
}

Test(sim_net, holds_back_answers_on_a_way_that_is_cut, .timeout = 10)
{
    check_cut(cut_back);
}

Test(sim_net, holds_back_both_ways_in_a_partition, .timeout = 10)
{
    check_cut(part);
}

Test(sim_net, connects_once_a_partition_has_healed, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 1};
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    cut_back(&town);
    CHECK_EQ(weft_sim_call_later(town.sim, 10 * SECOND_NS, heal, &town), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), 0);
    CHECK_EQ(visit.took_ns, 10 * SECOND_NS);
    town_close(&town);
}

Test(sim_net, breaks_a_connection_that_is_cut_for_too_long, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 2, .pause_ns = SECOND_NS};
    struct weft_sim_link link = WEFT_SIM_LINK;
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    link.give_up_ns = (uint64_t)(5 * SECOND_NS);
    CHECK_EQ(weft_sim_set_link(town.sim, NULL, NULL, &link), 0);
    CHECK_EQ(weft_sim_call_later(town.sim, SECOND_NS / 2, cut_forth, &town), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), -ETIMEDOUT);
    CHECK_EQ(visit.took_ns, 6 * SECOND_NS);
    CHECK_EQ(weft_sim_host_descriptors(town.hosts[0]), 2); /* the server has not heard of it */
    heal(&town);
    CHECK_EQ(weft_sim_run(town.sim, NULL, NULL, SECOND_NS), -ETIMEDOUT);
    CHECK_EQ(weft_sim_host_descriptors(town.hosts[0]), 1);
    town_close(&town);
}

/* A connect needs both ways: nothing gets to the server while one of them is cut. */
static void check_connect(weft_sim_event_fn *cut)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 1};
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    cut(&town);
    CHECK_EQ(town_visit(&town, 1, &visit), -ETIMEDOUT);
    CHECK_EQ(visit.took_ns, 127 * SECOND_NS);
    CHECK_EQ(weft_sim_host_descriptors(town.hosts[0]), 1);
    town_close(&town);
}

Test(sim_net, connects_no_longer_than_it_would_wait, .timeout = 10)
{
    check_connect(cut_forth);
}

Test(sim_net, connects_to_nobody_whose_answer_does_not_get_through, .timeout = 10)
{
    check_connect(cut_back);
}

/* ---- shared ports ------------------------------------------------------------------------------------------------------------ */

static int count_client(struct weft_stream *stream, void *arg)
{
    (void)stream;
    ++*(int *)arg;
    return 0;
}

static int serve_port(struct town *town, uint32_t flags, int *clients, struct weft_server **server_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "10.0.0.1";
    options.port = TOWN_PORT;
    options.flags = flags;
    return weft_loop_start_stream_server(weft_runtime_loop(town->runtimes[0], 0), count_client, clients, &options, server_out);
}

Test(sim_net, shares_a_port_among_those_that_all_want_it, .timeout = 10)
{
    struct town town;
    struct weft_server *one, *other, *third;
    int clients[2] = {0, 0};
    town_open(&town, 2, NULL);
    CHECK_EQ(serve_port(&town, WEFT_SERVER_REUSE_PORT, &clients[0], &one), 0);
    CHECK_EQ(serve_port(&town, 0, &clients[1], &third), -EADDRINUSE);
    CHECK_EQ(serve_port(&town, WEFT_SERVER_REUSE_PORT, &clients[1], &other), 0);
    CHECK_EQ(weft_runtime_start(town.runtimes[0]), 0);
    for (int i = 0; i < 20; i++) {
        struct visit visit = {.server = "host0", .rounds = 0};
        CHECK_EQ(town_visit(&town, 1, &visit), 0);
    }
    CHECK_EQ(clients[0] + clients[1], 20);
    CHECK(clients[0] > 0 && clients[1] > 0);
    CHECK_EQ(weft_runtime_stop(town.runtimes[0]), 0);
    weft_server_unref(one);
    weft_server_unref(other);
    town_close(&town);
}

static void reset(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_reset(town->sim, town->hosts[1], NULL), 1);
    CHECK_EQ(weft_sim_reset(town->sim, town->hosts[1], NULL), 0);
}

Test(sim_net, resets_what_it_is_told, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 2, .pause_ns = SECOND_NS};
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    CHECK_EQ(weft_sim_call_later(town.sim, SECOND_NS / 2, reset, &town), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), -ECONNRESET);
    town_close(&town);
}

/* ---- a host's own faults ------------------------------------------------------------------------------------------------------ */

/* Ten visits one after the other, with `faults` on the server, or on the client. */
static int visits_that_fail(const struct weft_sim_faults *faults, uint32_t where, int expected)
{
    struct town town;
    int failed = 0;
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    CHECK_EQ(weft_sim_host_set_faults(town.hosts[where], faults), 0);
    for (int i = 0; i < 10; i++) {
        struct visit visit = {.server = "host0", .rounds = 3};
        int status = town_visit(&town, 1, &visit);
        CHECK(status == 0 || status == expected);
        failed += status != 0;
    }
    town_close(&town);
    return failed;
}

static int ignore(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop;
    (void)exception;
    (void)arg;
    return 0;
}

Test(sim_net, has_no_descriptor_for_a_socket, .timeout = 10)
{
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    faults.socket_permille = 500;
    int failed = visits_that_fail(&faults, 1, -EMFILE);
    CHECK(failed > 0 && failed < 10);
}

Test(sim_net, has_no_descriptor_for_an_accept_and_serves_later, .timeout = 10)
{
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    weft_set_report_sink(ignore, NULL);
    faults.accept_emfile_permille = faults.accept_enfile_permille = 300;
    CHECK_EQ(visits_that_fail(&faults, 0, 0), 0);
}

Test(sim_net, accepts_no_connection_that_has_died, .timeout = 10)
{
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    faults.accept_abort_permille = 500;
    int failed = visits_that_fail(&faults, 0, -ECONNRESET);
    CHECK(failed > 0 && failed < 10);
}

Test(sim_net, resolves_no_name_for_now, .timeout = 10)
{
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    faults.resolve_permille = 500;
    int failed = visits_that_fail(&faults, 1, WEFT_ENAMEAGAIN);
    CHECK(failed > 0 && failed < 10);
}

Test(sim_net, has_no_memory_now_and_then, .timeout = 10)
{
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    faults.memory_permille = 100;
    int failed = visits_that_fail(&faults, 1, -ENOMEM);
    CHECK(failed > 0 && failed < 10);
}
