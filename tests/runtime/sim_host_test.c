/*
 * Hosts of the simulator as machines: their power, their clocks, and who lives on them.
 */
#include "tests/runtime/town.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "weft/server.h"

/* ---- power ------------------------------------------------------------------------------------------------------------------- */

static void crash(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_host_crash(town->hosts[0]), 0);
    CHECK_EQ(weft_sim_host_crash(town->hosts[0]), -EALREADY);
}

static void restart(void *arg)
{
    struct town *town = arg;
    weft_server_unref(town->servers[0]);
    weft_runtime_destroy(town->runtimes[0]);
    CHECK_EQ(weft_sim_host_restart(town->hosts[0]), 0);
    CHECK_EQ(weft_sim_host_restart(town->hosts[0]), -EALREADY);
    CHECK_EQ(weft_sim_host_descriptors(town->hosts[0]), 0);
    town_boot(town, 0);
    town_serve(town, 0);
}

/* Three rounds with a second between them; host0 loses its power after half a second. */
static void visit_crashed(struct town *town, struct visit *visit)
{
    *visit = (struct visit){.server = "host0", .rounds = 3, .pause_ns = SECOND_NS};
    town_open(town, 2, NULL);
    town_serve(town, 0);
    CHECK_EQ(weft_sim_call_later(town->sim, SECOND_NS / 2, crash, town), 0);
}

Test(sim_host, falls_silent_as_it_crashes, .timeout = 10)
{
    struct town town;
    struct visit visit;
    visit_crashed(&town, &visit);
    CHECK_EQ(town_visit(&town, 1, &visit), -ETIMEDOUT);
    CHECK_EQ(visit.echoed, 1);
    CHECK_EQ(visit.took_ns, SECOND_NS + 924600000000);
    town_close(&town);
}

Test(sim_host, knows_nothing_of_old_connections_once_it_is_back, .timeout = 10)
{
    struct town town;
    struct visit visit;
    visit_crashed(&town, &visit);
    CHECK_EQ(weft_sim_call_later(town.sim, 5 * SECOND_NS, restart, &town), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), -ECONNRESET);
    CHECK_EQ(visit.took_ns, 5 * SECOND_NS);
    CHECK_EQ(town_visit(&town, 1, &visit), 0);
    town_close(&town);
}

Test(sim_host, answers_a_connect_once_it_is_back, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 1};
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    crash(&town);
    CHECK_EQ(weft_sim_call_later(town.sim, 5 * SECOND_NS, restart, &town), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), 0);
    CHECK_EQ(visit.took_ns, 5 * SECOND_NS);
    town_close(&town);
}

Test(sim_host, has_no_turns_and_no_network_without_power, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host1", .rounds = 1};
    struct weft_runtime *late;
    struct weft_runtime_options options = fixture_options(1);
    town_open(&town, 2, NULL);
    town_serve(&town, 1);
    crash(&town);
    CHECK_EQ(town_visit(&town, 0, &visit), -EDEADLK);
    (void)weft_sim_host_enter(town.hosts[0]);
    CHECK_EQ(weft_runtime_create(&options, &late), -ENETDOWN);
    (void)weft_sim_host_enter(NULL);
    CHECK_EQ(weft_runtime_shutdown(town.runtimes[0], SECOND_NS), -ETIMEDOUT);
    town_close(&town);
}

Test(sim_host, loses_what_was_on_its_way_to_it, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 1};
    struct weft_sim_link link = WEFT_SIM_LINK;
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    link.latency_min_ns = (uint64_t)SECOND_NS;
    link.give_up_ns = (uint64_t)(10 * SECOND_NS);
    CHECK_EQ(weft_sim_set_link(town.sim, NULL, NULL, &link), 0);
    CHECK_EQ(weft_sim_call_later(town.sim, SECOND_NS + SECOND_NS / 2, crash, &town), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), -ETIMEDOUT);
    CHECK_EQ(visit.took_ns, SECOND_NS + SECOND_NS / 2 + 10 * SECOND_NS);
    town_close(&town);
}

Test(sim_host, never_runs_again_what_was_there_before_a_crash, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 1};
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    crash(&town);
    CHECK_EQ(weft_sim_host_restart(town.hosts[0]), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), -ECONNREFUSED);
    CHECK_EQ(weft_runtime_stop(town.runtimes[0]), 0);
    CHECK_EQ(town_visit(&town, 0, &visit), -EDEADLK);
    CHECK_EQ(visit.took_ns, 0);
    town_close(&town);
}

/* ---- time -------------------------------------------------------------------------------------------------------------------- */

static int sleep_and_look(void *arg, void **result_out)
{
    uint64_t *slept_ns = arg;
    struct weft_loop *loop = weft_get_running_loop();
    uint64_t start_ns = weft_loop_time(loop);
    (void)result_out;
    int status = weft_sleep(SECOND_NS);
    *slept_ns = weft_loop_time(loop) - start_ns;
    return status;
}

static int64_t sleep_on(struct town *town, uint32_t index)
{
    uint64_t slept_ns = 0;
    CHECK_EQ(weft_runtime_run(town->runtimes[index], fixture_fiber(sleep_and_look, &slept_ns), NULL), 0);
    return (int64_t)slept_ns;
}

static void doze(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_host_pause(town->hosts[0], (uint64_t)(3 * SECOND_NS)), 0);
}

static void leap(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_leap(town->sim, (uint64_t)(100 * SECOND_NS)), 0);
}

static void jump(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_host_jump(town->hosts[0], -3600 * SECOND_NS), 0);
}

Test(sim_host, is_late_for_its_timers_when_it_is_paused, .timeout = 10)
{
    struct town town;
    town_open(&town, 2, NULL);
    CHECK_EQ(weft_sim_call_later(town.sim, SECOND_NS / 2, doze, &town), 0);
    CHECK_EQ(sleep_on(&town, 0), SECOND_NS / 2 + 3 * SECOND_NS);
    CHECK_EQ(weft_sim_call_later(town.sim, SECOND_NS / 2, doze, &town), 0);
    CHECK_EQ(sleep_on(&town, 1), SECOND_NS);
    town_close(&town);
}

Test(sim_host, is_late_for_what_comes_when_it_is_paused, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 2, .pause_ns = SECOND_NS};
    town_open(&town, 2, NULL);
    town_serve(&town, 0);
    CHECK_EQ(weft_sim_call_later(town.sim, SECOND_NS / 2, doze, &town), 0);
    CHECK_EQ(town_visit(&town, 1, &visit), 0);
    CHECK_EQ(visit.took_ns, SECOND_NS / 2 + 3 * SECOND_NS + SECOND_NS);
    town_close(&town);
}

Test(sim_host, is_late_for_its_timers_when_time_leaps, .timeout = 10)
{
    struct town town;
    town_open(&town, 1, NULL);
    CHECK_EQ(weft_sim_call_later(town.sim, SECOND_NS / 2, leap, &town), 0);
    CHECK_EQ(sleep_on(&town, 0), SECOND_NS / 2 + 100 * SECOND_NS);
    town_close(&town);
}

Test(sim_host, keeps_its_timers_when_its_time_of_day_jumps, .timeout = 10)
{
    struct town town;
    town_open(&town, 2, NULL);
    uint64_t before_ns = weft_sim_host_wall(town.hosts[0]);
    CHECK_EQ(before_ns, 946684800 * SECOND_NS);
    CHECK_EQ(weft_sim_call_later(town.sim, SECOND_NS / 2, jump, &town), 0);
    CHECK_EQ(sleep_on(&town, 0), SECOND_NS);
    CHECK_EQ(weft_sim_host_wall(town.hosts[0]), before_ns + SECOND_NS - 3600 * SECOND_NS);
    CHECK_EQ(weft_sim_host_wall(town.hosts[1]), before_ns + SECOND_NS);
    town_close(&town);
}

Test(sim_host, runs_in_the_order_and_at_the_time_that_the_scenario_asked_for, .timeout = 10)
{
    struct town town;
    town_open(&town, 1, NULL);
    uint64_t start_ns = weft_sim_now(town.sim);
    CHECK_EQ(weft_sim_call_later(town.sim, (uint64_t)(2 * SECOND_NS), jump, &town), 0);
    CHECK_EQ(weft_sim_call_later(town.sim, (uint64_t)SECOND_NS, leap, &town), 0);
    CHECK_EQ(weft_sim_run(town.sim, NULL, NULL, -1), -EDEADLK);
    CHECK_EQ(weft_sim_now(town.sim), start_ns + 101 * SECOND_NS);
    CHECK_EQ(weft_sim_run(town.sim, NULL, NULL, 60 * SECOND_NS), -ETIMEDOUT);
    CHECK_EQ(weft_sim_now(town.sim), start_ns + 161 * SECOND_NS);
    town_close(&town);
}

/* ---- who lives there --------------------------------------------------------------------------------------------------------- */

Test(sim_host, takes_loops_by_its_pollers_options, .timeout = 10)
{
    struct town town;
    struct weft_loop *loop;
    struct weft_server *server;
    struct weft_server_options listen_at = WEFT_SERVER_OPTIONS;
    struct weft_loop_options options = WEFT_LOOP_OPTIONS;
    town_open(&town, 2, NULL);
    options.poller = weft_sim_host_poller(town.hosts[1]);
    CHECK_EQ(weft_loop_new_options(weft_loop_kind_sim(), &options, &loop), 0);
    listen_at.host = "10.0.0.1";
    CHECK_EQ(weft_loop_start_stream_server(loop, (weft_stream_client_fn *)abort, NULL, &listen_at, &server), -EADDRNOTAVAIL);
    listen_at.host = "10.0.0.2";
    CHECK_EQ(weft_loop_start_stream_server(loop, (weft_stream_client_fn *)abort, NULL, &listen_at, &server), 0);
    CHECK_EQ(weft_sim_host_descriptors(town.hosts[1]), 1);
    CHECK(weft_server_get_port(server) >= 32768);
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
    town_close(&town);
}

Test(sim_host, is_where_things_are_made_once_it_is_entered, .timeout = 10)
{
    struct town town;
    struct weft_loop *loop;
    town_open(&town, 2, NULL);
    CHECK(weft_sim_host_enter(town.hosts[1]) == NULL);
    CHECK_EQ(weft_loop_new(NULL, 0, &loop), 0);
    CHECK(weft_sim_host_enter(NULL) == town.hosts[1]);
    CHECK(weft_loop_kind(loop) == weft_loop_kind_sim());
    CHECK_EQ(weft_loop_time(loop), weft_sim_now(town.sim));
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
    CHECK_EQ(weft_loop_new(NULL, 0, &loop), 0);
    CHECK(weft_loop_kind(loop) == weft_loop_kind_epoll());
    weft_loop_unref(loop);
    town_close(&town);
}

static uint32_t loops_by_default(struct weft_sim_host *host)
{
    struct weft_runtime *runtime;
    (void)weft_sim_host_enter(host);
    CHECK_EQ(weft_runtime_create(NULL, &runtime), 0);
    (void)weft_sim_host_enter(NULL);
    uint32_t count = weft_runtime_loop_count(runtime);
    weft_runtime_destroy(runtime);
    return count;
}

Test(sim_host, has_processors_of_its_own, .timeout = 10)
{
    struct town town;
    struct weft_sim_host_options options = WEFT_SIM_HOST_OPTIONS;
    struct weft_sim_host *host;
    town_open(&town, 1, NULL);
    CHECK_EQ(loops_by_default(town.hosts[0]), 2);
    options.cpus = 5;
    CHECK_EQ(weft_sim_host_create(town.sim, &options, &host), 0);
    CHECK_EQ(loops_by_default(host), 5);
    town_close(&town);
}

static int look_who_is_entered(void *arg, void **result_out)
{
    struct town *town = arg;
    (void)result_out;
    struct weft_sim_host *entered = weft_sim_host_enter(NULL);
    CHECK(weft_sim_host_enter(entered) == NULL);
    CHECK(entered == town->hosts[1]);
    return 0;
}

Test(sim_host, is_entered_while_its_loops_take_their_turns, .timeout = 10)
{
    struct town town;
    town_open(&town, 2, NULL);
    CHECK_EQ(weft_runtime_run(town.runtimes[1], fixture_fiber(look_who_is_entered, &town), NULL), 0);
    CHECK(weft_sim_host_enter(NULL) == NULL);
    town_close(&town);
}

/* ---- addresses --------------------------------------------------------------------------------------------------------------- */

struct talk {
    struct weft_sim_host *host;
    const char *address;
    int status;
    uint16_t served_port;
    char peer[INET6_ADDRSTRLEN];
};

static int note_peer(struct weft_stream *stream, void *arg)
{
    struct talk *talk = arg;
    struct sockaddr_storage peer;
    size_t len = sizeof(peer);
    CHECK_EQ(weft_transport_get_extra(weft_stream_get_transport(stream), WEFT_EXTRA_PEERNAME, &peer, &len), 0);
    const void *bytes =
        peer.ss_family == AF_INET6 ? (const void *)&((struct sockaddr_in6 *)&peer)->sin6_addr : &((struct sockaddr_in *)&peer)->sin_addr;
    CHECK(inet_ntop(peer.ss_family, bytes, talk->peer, sizeof(talk->peer)) != NULL);
    return 0;
}

static int serve_and_visit(void *arg, void **result_out)
{
    struct talk *talk = arg;
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_connection_options to = WEFT_CONNECTION_OPTIONS;
    struct weft_server *server;
    struct weft_stream *stream;
    char byte;
    (void)result_out;
    CHECK_EQ(weft_loop_start_stream_server(weft_get_running_loop(), note_peer, talk, &options, &server), 0);
    talk->served_port = (uint16_t)weft_server_get_port(server);
    to.host = talk->address;
    for (size_t i = 0; i < weft_server_socket_count(server); i++) {
        struct sockaddr_storage name;
        CHECK_EQ(weft_server_get_address(server, i, &name, NULL), 0);
        if (strchr(talk->address, ':') != NULL && name.ss_family == AF_INET6)
            talk->served_port = ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
    }
    to.port = talk->served_port;
    talk->status = weft_stream_open(&to, &stream);
    if (talk->status == 0) {
        CHECK_EQ(weft_stream_read(stream, &byte, 1), 0);
        CHECK_EQ(weft_stream_close(stream), 0);
        weft_stream_unref(stream);
    }
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
    return 0;
}

static struct talk talk_to(const char *address, const char *address6)
{
    struct town town;
    struct talk talk = {.address = address};
    struct weft_sim_host_options options = WEFT_SIM_HOST_OPTIONS;
    struct weft_runtime *runtime;
    struct weft_runtime_options loops = fixture_options(1);
    town_open(&town, 1, NULL);
    options.address = "192.0.2.7";
    options.address6 = address6;
    CHECK_EQ(weft_sim_host_create(town.sim, &options, &talk.host), 0);
    (void)weft_sim_host_enter(talk.host);
    CHECK_EQ(weft_runtime_create(&loops, &runtime), 0);
    (void)weft_sim_host_enter(NULL);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(serve_and_visit, &talk), NULL), 0);
    fixture_end(runtime);
    CHECK_EQ(weft_sim_host_descriptors(talk.host), 0);
    town_close(&town);
    return talk;
}

Test(sim_host, has_the_address_that_it_was_given, .timeout = 10)
{
    struct talk talk = talk_to("192.0.2.7", NULL);
    CHECK_EQ(talk.status, 0);
    CHECK_STR(talk.peer, "192.0.2.7");
}

Test(sim_host, has_an_ipv6_address_if_it_was_given_one, .timeout = 10)
{
    struct talk talk = talk_to("2001:db8::7", "2001:db8::7");
    CHECK_EQ(talk.status, 0);
    CHECK_STR(talk.peer, "2001:db8::7");
    talk = talk_to("::1", "2001:db8::7");
    CHECK_STR(talk.peer, "::1");
    talk = talk_to("2001:db8::7", NULL);
    CHECK_EQ(talk.status, -EAFNOSUPPORT);
}
