/*
 * Scenarios of servers: clients that come and are sent away, serving until cancelled, names, limits.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/test.h"
#include "tests/sweep/net.h"
#include "tests/sweep/sweep.h"

enum { CLIENTS = 3 };

/* Says a byte, and stays until it is sent away. */
static int hold_on(struct weft_stream *stream, void *arg)
{
    char buf[1];
    (void)arg;
    int status = weft_stream_write(stream, "!", 1);
    if (status == 0)
        status = weft_stream_read(stream, buf, 1);
    return status == -ENOMEM ? status : 0;
}

static int call(const struct weft_connection_options *to, struct weft_stream **stream_out)
{
    char buf[1];
    struct weft_stream *stream;
    int status = weft_stream_open(to, &stream);
    if (status < 0)
        return status;
    status = weft_stream_read_exactly(stream, buf, 1, NULL);
    if (status < 0) {
        (void)weft_stream_close(stream);
        weft_stream_unref(stream);
        return status;
    }
    *stream_out = stream;
    return 0;
}

/* ---- sent away ------------------------------------------------------------------------------------------------------------------- */

static int send_away(struct stage *stage, struct weft_server *server)
{
    struct weft_connection_options to = net_connection_options();
    struct weft_stream *streams[CLIENTS];
    int count = 0, status = 0;
    (void)stage;
    while (count < CLIENTS && status == 0) {
        status = call(&to, &streams[count]);
        count += status == 0;
    }
    if (status == 0)
        CHECK_EQ(weft_server_connection_count(server), CLIENTS);
    if (status == 0)
        status = weft_server_close_clients(server);
    for (int i = 0; i < count; i++) {
        char buf[1];
        if (status == 0)
            status = weft_stream_read(streams[i], buf, 1);
        status = net_end_stream(streams[i], status);
    }
    return status;
}

static int three_clients(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_server_options options = net_server_options();
    struct weft_server *server;
    (void)result_out;
    int status = weft_loop_start_stream_server(stage->loop, hold_on, stage, &options, &server);
    return status < 0 ? status : net_end_server(stage, server, send_away(stage, server));
}

/* ---- until cancelled ------------------------------------------------------------------------------------------------------------- */

/* What asyncio's server.serve_forever() is: this ends when it is cancelled, and then everything is gone. */
static int serve(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_server_options options = net_server_options();
    struct weft_server *server;
    struct weft_future *serving;
    (void)result_out;
    int status = weft_loop_start_stream_server(stage->loop, hold_on, stage, &options, &server);
    if (status < 0)
        return status;
    status = weft_server_serve_forever(server, &serving);
    if (status < 0)
        return net_end_server(stage, server, status);
    stage->words[0] = 1;
    status = weft_await(serving, NULL);
    weft_future_unref(serving);
    CHECK_EQ(weft_server_connection_count(server), 0);
    weft_server_unref(server);
    return status;
}

static int until_cancelled(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_connection_options to = net_connection_options();
    struct weft_future *serving;
    struct weft_stream *stream;
    (void)result_out;
    int status = stage_fiber(stage, serve, stage, &serving);
    while (status == 0 && stage->words[0] == 0 && !weft_future_done(serving))
        status = weft_yield();
    if (status == 0)
        status = call(&to, &stream);
    if (status == 0)
        status = net_end_stream(stream, weft_future_cancel(serving, NULL) ? 0 : -ENOMEM);
    return status < 0 ? status : net_wait_surely(serving, 0);
}

/* ---- by name --------------------------------------------------------------------------------------------------------------------- */

static int make_none(void *arg, struct weft_protocol **protocol_out)
{
    (void)arg, (void)protocol_out;
    return -EPERM;
}

static int by_name(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_future *serving;
    void *value;
    (void)result_out;
    options.host = "localhost";
    options.family = AF_INET;
    int status = weft_loop_create_server_async(stage->loop, make_none, NULL, &options, &serving);
    if (status < 0)
        return status;
    stage_keep(stage, serving);
    status = weft_await(serving, &value);
    if (status < 0)
        return status;
    struct weft_server *server = weft_server_ref(value);
    CHECK(weft_server_is_serving(server));
    return net_end_server(stage, server, weft_yield());
}

/* ---- limits ---------------------------------------------------------------------------------------------------------------------- */

/* There is room for one: the second is served once the first is gone. */
static int one_by_one(struct stage *stage, struct weft_server *server)
{
    struct weft_connection_options to = net_connection_options();
    struct weft_stream *first, *second;
    (void)stage, (void)server;
    to.timeout_ns = 0;
    int status = call(&to, &first);
    if (status < 0)
        return status;
    status = net_end_stream(first, 0);
    if (status == 0)
        status = call(&to, &second);
    return status < 0 ? status : net_end_stream(second, 0);
}

static int with_limits(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_server_options options = net_server_options();
    struct weft_server *server;
    (void)result_out;
    options.connections_max = 1;
    options.idle_timeout_ns = SECOND;
    options.write_timeout_ns = SECOND;
    options.header_timeout_ns = SECOND;
    options.write_buffer_max = 1000;
    int status = weft_loop_start_stream_server(stage->loop, hold_on, stage, &options, &server);
    return status < 0 ? status : net_end_server(stage, server, one_by_one(stage, server));
}

/* ---- left open ------------------------------------------------------------------------------------------------------------------- */

/* The task ends and forgets its server and its client, which go with the loop. */
static int forgotten(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_server_options options = net_server_options();
    struct weft_connection_options to = net_connection_options();
    struct weft_stream *stream;
    (void)result_out;
    int status = weft_loop_start_stream_server(stage->loop, hold_on, stage, &options, NULL);
    if (status == 0)
        status = call(&to, &stream);
    if (status == 0)
        weft_stream_unref(stream);
    return status;
}

/* A connection that the server could not make, or make go on, ends for its client. */
#define BROKEN                                                                                                                             \
    {                                                                                                                                      \
        WEFT_EEOF, WEFT_ELOST, -ECONNRESET, -EPIPE, -ECONNREFUSED, WEFT_ECLOSING                                                           \
    }

static const struct scenario scenarios[] = {
    {.name = "three_clients", .kind = ON_SIM, .body = three_clients, .statuses = BROKEN},
    {.name = "three_clients_epoll", .kind = ON_EPOLL, .body = three_clients, .statuses = BROKEN, .flags = HAS_THREADS},
    {.name = "serve_until_cancelled", .kind = ON_SIM, .body = until_cancelled, .statuses = BROKEN},
    {.name = "serve_until_cancelled_epoll", .kind = ON_EPOLL, .body = until_cancelled, .statuses = BROKEN, .flags = HAS_THREADS},
    {.name = "serve_by_name", .kind = ON_SIM, .body = by_name},
    {.name = "serve_by_name_epoll", .kind = ON_EPOLL, .body = by_name, .flags = HAS_THREADS},
    {.name = "serve_with_limits", .kind = ON_SIM, .body = with_limits, .statuses = BROKEN},
    {.name = "serve_with_limits_epoll", .kind = ON_EPOLL, .body = with_limits, .statuses = BROKEN, .flags = HAS_THREADS},
    {.name = "forgotten_server", .kind = ON_SIM, .body = forgotten, .statuses = BROKEN},
    {.name = "forgotten_server_epoll", .kind = ON_EPOLL, .body = forgotten, .statuses = BROKEN},
};

ROOM(server_scenarios, scenarios);
