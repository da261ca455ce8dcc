/*
 * The rules of the contract, on servers.
 */
#include <stdlib.h>

#include "tests/conformance/conformance.h"
#include "tests/conformance/wire.h"
#include "tests/examples/custom_loop.h"
#include "weft/server.h"
#include "weft/transport.h"

/* A protocol for each connection, which frees itself at its end. */
struct client {
    struct weft_protocol protocol;
    struct weft_transport *transport;
};

static int made_count, lost_count;

static int client_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    weft_container_of(protocol, struct client, protocol)->transport = transport;
    made_count++;
    return 0;
}

static int client_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    return weft_transport_write(weft_container_of(protocol, struct client, protocol)->transport, data, len);
}

static int client_lost(struct weft_protocol *protocol, int status)
{
    CHECK_EQ(status, 0);
    lost_count++;
    free(weft_container_of(protocol, struct client, protocol));
    return 0;
}

static const struct weft_protocol_ops client_ops = {
    .size = sizeof(client_ops), .connection_made = client_made, .data_received = client_received, .connection_lost = client_lost};

static int client_new(void *unused, struct weft_protocol **protocol_out)
{
    struct client *client = calloc(1, sizeof(*client));
    (void)unused;
    client->protocol.ops = &client_ops;
    *protocol_out = &client->protocol;
    return 0;
}

static struct weft_server *serve(struct fixture *fixture, uint32_t flags)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    wire_listen(fixture, &options);
    options.flags = flags;
    CHECK_EQ(weft_loop_create_server(fixture->loop, client_new, NULL, &options, &server), 0);
    return server;
}

static bool is_made(void *count)
{
    return made_count >= *(int *)count;
}

static bool is_lost(void *count)
{
    return lost_count >= *(int *)count;
}

static void run_until_made(struct weft_loop *loop, int count)
{
    run_until(loop, is_made, &count);
}

static void run_until_lost(struct weft_loop *loop, int count)
{
    run_until(loop, is_lost, &count);
}

static bool is_echoed(void *wire)
{
    return ((struct wire *)wire)->received_bytes == 4;
}

Rule(SRV_1, close_stops_listening_and_leaves_the_connections)
{
    struct wire wire;
    struct weft_server *server = serve(fixture, 0);
    CHECK(weft_server_is_serving(server));
    CHECK_EQ(weft_server_socket_count(server), 1);
    wire_dial(fixture, server, &wire);
    run_until_made(loop, 1);
    CHECK_EQ(weft_server_connection_count(server), 1);
    CHECK_EQ(weft_server_close(server), 0);
    CHECK_EQ(weft_server_close(server), 0);
    CHECK(!weft_server_is_serving(server));
    wire_send(&wire, "echo");
    run_until(loop, is_echoed, &wire);
    CHECK_EQ(weft_server_socket_count(server), 0);
    CHECK_EQ(weft_server_start_serving(server), WEFT_ECLOSED);
    wire_close(&wire);
    run_until_lost(loop, 1);
    CHECK_EQ(weft_server_connection_count(server), 0);
    weft_server_unref(server);
}

Rule(SRV_1, wait_closed_waits_for_the_close_and_for_the_last_connection)
{
    struct wire wire;
    struct weft_future *closed, *again;
    struct weft_server *server = serve(fixture, 0);
    wire_dial(fixture, server, &wire);
    run_until_made(loop, 1);
    CHECK_EQ(weft_server_wait_closed(server, &closed), 0);
    CHECK_EQ(weft_server_close(server), 0);
    for (int i = 0; i < 5; i++)
        run_once(loop);
    CHECK(!weft_future_done(closed));
    wire_close(&wire);
    run_until_done(loop, closed);
    CHECK_EQ(lost_count, 1);
    CHECK_EQ(weft_future_result(closed, NULL), 0);
    CHECK_EQ(weft_server_wait_closed(server, &again), 0);
    CHECK(weft_future_done(again));
    weft_future_unref(closed);
    weft_future_unref(again);
    weft_server_unref(server);
}

Rule(SRV_1, wait_closed_waits_for_the_close_after_the_last_connection)
{
    struct wire wire;
    struct weft_future *closed;
    struct weft_server *server = serve(fixture, 0);
    wire_dial(fixture, server, &wire);
    run_until_made(loop, 1);
    CHECK_EQ(weft_server_wait_closed(server, &closed), 0);
    wire_close(&wire);
    run_until_lost(loop, 1);
    for (int i = 0; i < 5; i++)
        run_once(loop);
    CHECK(!weft_future_done(closed));
    CHECK_EQ(weft_server_close(server), 0);
    run_until_done(loop, closed);
    weft_future_unref(closed);
    weft_server_unref(server);
}

Rule(SRV_1, starting_to_serve_is_idempotent)
{
    struct wire wire;
    struct weft_server *server = serve(fixture, WEFT_SERVER_NO_START);
    CHECK(!weft_server_is_serving(server));
    CHECK_EQ(weft_server_start_serving(server), 0);
    CHECK_EQ(weft_server_start_serving(server), 0);
    CHECK(weft_server_is_serving(server));
    wire_dial(fixture, server, &wire);
    run_until_made(loop, 1);
    CHECK_EQ(weft_server_close(server), 0);
    wire_close(&wire);
    run_until_lost(loop, 1);
    CHECK_EQ(made_count, 1);
    weft_server_unref(server);
}

Rule(SRV_1, cancelling_serve_forever_closes_the_server_and_its_clients_and_waits)
{
    struct wire wire;
    struct weft_future *serving, *twice = NULL;
    struct weft_server *server = serve(fixture, WEFT_SERVER_NO_START);
    CHECK_EQ(weft_server_serve_forever(server, &serving), 0);
    CHECK(weft_server_is_serving(server));
    CHECK_EQ(weft_server_serve_forever(server, &twice), -EALREADY);
    CHECK(twice == NULL);
    wire_dial(fixture, server, &wire);
    run_until_made(loop, 1);
    CHECK(weft_future_cancel(serving, NULL));
    run_until_done(loop, serving);
    CHECK_EQ(lost_count, 1);
    CHECK(!weft_server_is_serving(server));
    CHECK_EQ(weft_server_connection_count(server), 0);
    CHECK_EQ(weft_future_result(serving, NULL), -ECANCELED);
    wire_close(&wire);
    weft_future_unref(serving);
    weft_server_unref(server);
}

Rule(SRV_1, all_clients_are_closed_or_aborted_together)
{
    int (*const ends[])(struct weft_server *) = {weft_server_close_clients, weft_server_abort_clients};
    struct wire wires[2];
    struct weft_server *server = serve(fixture, 0);
    for (int i = 0; i < 2; i++) {
        wire_dial(fixture, server, &wires[0]);
        wire_dial(fixture, server, &wires[1]);
        run_until_made(loop, 2 * (i + 1));
        CHECK_EQ(ends[i](server), 0);
        run_until_lost(loop, 2 * (i + 1));
        CHECK(weft_server_is_serving(server));
        wire_close(&wires[0]);
        wire_close(&wires[1]);
    }
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
}
