/*
 * Scenarios of protocols and transports: connections made and refused, read and written, paused, timed out and aborted.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/test.h"
#include "tests/sweep/net.h"
#include "tests/sweep/sweep.h"
#include "weft/memory.h"

/* ---- a protocol ------------------------------------------------------------------------------------------------------------------ */

struct peer {
    struct weft_protocol protocol;
    struct stage *stage;
    struct weft_transport *transport;
    bool is_client;
};

enum { MADE, LOST, HEARD, PAUSES, RESUMES, STATUS }; /* words of the stage; all but the last are counts */

static int peer_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    struct peer *peer = weft_container_of(protocol, struct peer, protocol);
    peer->transport = transport;
    peer->stage->words[MADE]++;
    return 0;
}

/* The server's end sends everything back. */
static int peer_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    struct peer *peer = weft_container_of(protocol, struct peer, protocol);
    if (!peer->is_client)
        return weft_transport_write(peer->transport, data, len);
    peer->stage->words[HEARD] += len;
    return 0;
}

static int peer_lost(struct weft_protocol *protocol, int status)
{
    struct peer *peer = weft_container_of(protocol, struct peer, protocol);
    peer->stage->words[LOST]++;
    if (peer->is_client)
        peer->stage->words[STATUS] = (uint64_t)-status;
    weft_free(peer);
    return 0;
}

static int peer_pauses(struct weft_protocol *protocol)
{
    return count_call(&weft_container_of(protocol, struct peer, protocol)->stage->words[PAUSES]);
}

static int peer_resumes(struct weft_protocol *protocol)
{
    return count_call(&weft_container_of(protocol, struct peer, protocol)->stage->words[RESUMES]);
}

static const struct weft_protocol_ops peer_ops = {
    .size = sizeof(peer_ops),
    .connection_made = peer_made,
    .data_received = peer_received,
    .connection_lost = peer_lost,
    .pause_writing = peer_pauses,
    .resume_writing = peer_resumes,
};

static int make_peer(struct stage *stage, bool is_client, struct weft_protocol **protocol_out)
{
    struct peer *peer = weft_calloc(1, sizeof(*peer));
    if (peer == NULL)
        return -ENOMEM;
    *peer = (struct peer){.protocol = {&peer_ops}, .stage = stage, .is_client = is_client};
    *protocol_out = &peer->protocol;
    return 0;
}

static int make_server_end(void *arg, struct weft_protocol **protocol_out)
{
    return make_peer(arg, false, protocol_out);
}

static int make_client_end(void *arg, struct weft_protocol **protocol_out)
{
    return make_peer(arg, true, protocol_out);
}

/* ---- a server and a client ------------------------------------------------------------------------------------------------------- */

/* Await a connection; *transport_out is a reference. */
static int await_transport(struct stage *stage, struct weft_future *connecting, struct weft_transport **transport_out)
{
    void *value;
    stage_keep(stage, connecting);
    int status = weft_await(connecting, &value);
    if (status == 0)
        *transport_out = weft_transport_ref(value);
    return status;
}

static int end_transport(struct weft_transport *transport, int status)
{
    CHECK_EQ(weft_transport_close(transport), 0);
    weft_transport_unref(transport);
    return status;
}

/* Wait until `word` has come to `least`, or the connection is over. */
static int await_word(struct stage *stage, int word, uint64_t least)
{
    for (int64_t pause_ns = MICROSECOND; stage->words[word] < least && stage->words[LOST] == 0; pause_ns *= 4) {
        int status = weft_sleep(pause_ns);
        if (status < 0)
            return status;
    }
    return stage->words[word] < least ? WEFT_ELOST : 0;
}

static int with_connection(struct stage *stage, struct weft_server_options options, const struct weft_connection_options *to,
                           int (*use)(struct stage *stage, struct weft_transport *transport))
{
    struct weft_connection_options full = *to;
    struct weft_server *server;
    struct weft_future *connecting;
    struct weft_transport *transport;
    int status = weft_loop_create_server(stage->loop, make_server_end, stage, &options, &server);
    if (status < 0)
        return status;
    if (full.path == NULL)
        full.port = (uint16_t)weft_server_get_port(server);
    status = weft_loop_create_connection(stage->loop, make_client_end, stage, &full, &connecting);
    if (status == 0)
        status = await_transport(stage, connecting, &transport);
    if (status == 0)
        status = end_transport(transport, use(stage, transport));
    status = net_end_server(stage, server, status);
    return status;
}

static int greet(struct stage *stage, struct weft_transport *transport)
{
    int status = weft_transport_write(transport, "hel", 3);
    if (status == 0)
        status = weft_transport_write(transport, "lo", 2);
    return status < 0 ? status : await_word(stage, HEARD, 5);
}

static int protocol_echo(void *arg, void **result_out)
{
    struct weft_connection_options to = net_connection_options();
    (void)result_out;
    return with_connection(arg, net_server_options(), &to, greet);
}

static int connect_by_name(void *arg, void **result_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_connection_options to = WEFT_CONNECTION_OPTIONS;
    (void)result_out;
    options.host = "127.0.0.1";
    to.host = "localhost";
    to.family = AF_INET;
    to.happy_eyeballs_delay_ns = MILLISECOND;
    to.timeout_ns = SECOND;
    return with_connection(arg, options, &to, greet);
}

/* ---- limits ---------------------------------------------------------------------------------------------------------------------- */

static int fill(struct stage *stage, struct weft_transport *transport)
{
    static char piece[100000];
    int status = weft_transport_set_write_buffer_limits(transport, 20000, 10000);
    for (int i = 0; i < 5 && status >= 0; i++)
        status = weft_transport_write(transport, piece, sizeof(piece));
    if (status < 0)
        return status;
    status = await_word(stage, HEARD, 5 * sizeof(piece));
    CHECK(status < 0 || stage->words[PAUSES] == stage->words[RESUMES]);
    return status;
}

static int write_limits(void *arg, void **result_out)
{
    struct weft_connection_options to = net_connection_options();
    (void)result_out;
    return with_connection(arg, net_server_options(), &to, fill);
}

static int pause_and_resume(struct stage *stage, struct weft_transport *transport)
{
    int status = weft_transport_pause_reading(transport);
    if (status == 0)
        status = weft_transport_write(transport, "hello", 5);
    if (status == 0)
        status = weft_sleep(100 * MICROSECOND);
    CHECK(status < 0 || stage->words[HEARD] == 0);
    if (status == 0)
        status = weft_transport_resume_reading(transport);
    return status < 0 ? status : await_word(stage, HEARD, 5);
}

static int paused_reading(void *arg, void **result_out)
{
    struct weft_connection_options to = net_connection_options();
    (void)result_out;
    return with_connection(arg, net_server_options(), &to, pause_and_resume);
}

static int be_idle(struct stage *stage, struct weft_transport *transport)
{
    int status = weft_transport_set_timeouts(transport, 100 * MICROSECOND, 100 * MICROSECOND);
    if (status == 0)
        status = weft_transport_set_deadline(transport, SECOND);
    if (status == 0)
        status = await_word(stage, HEARD, 1);
    return status == WEFT_ELOST && stage->words[STATUS] == ETIMEDOUT ? 0 : status;
}

static int idle_timeout(void *arg, void **result_out)
{
    struct weft_connection_options to = net_connection_options();
    (void)result_out;
    return with_connection(arg, net_server_options(), &to, be_idle);
}

static int break_off(struct stage *stage, struct weft_transport *transport)
{
    int status = weft_transport_write(transport, "hello", 5);
    CHECK_EQ(weft_transport_abort(transport), 0);
    (void)stage;
    return status < 0 ? status : weft_yield();
}

static int aborted(void *arg, void **result_out)
{
    struct weft_connection_options to = net_connection_options();
    (void)result_out;
    return with_connection(arg, net_server_options(), &to, break_off);
}

/* ---- refused --------------------------------------------------------------------------------------------------------------------- */

static int nobody_serves(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_connection_options to = net_connection_options();
    struct weft_future *connecting;
    struct weft_transport *transport;
    (void)result_out;
    int status = weft_loop_create_connection(stage->loop, make_client_end, stage, &to, &connecting);
    if (status == 0)
        status = await_transport(stage, connecting, &transport);
    CHECK(status < 0);
    return status == -ECONNREFUSED ? 0 : status;
}

/* ---- a socket of one's own ------------------------------------------------------------------------------------------------------- */

static int accepted_socket(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *connecting;
    struct weft_transport *transport;
    int fds[2];
    (void)result_out;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    int status = weft_loop_connect_accepted_socket(stage->loop, make_client_end, stage, fds[0], &connecting);
    if (status < 0) {
        close(fds[0]);
        close(fds[1]);
        return status;
    }
    status = await_transport(stage, connecting, &transport);
    if (status == 0) {
        status = send(fds[1], "hi", 2, MSG_NOSIGNAL) < 0 ? -EPIPE : await_word(stage, HEARD, 2);
        status = end_transport(transport, status);
    }
    close(fds[1]);
    return status;
}

/* A connection that the server could not make, or make go on, ends for its client. */
#define BROKEN                                                                                                                             \
    {                                                                                                                                      \
        WEFT_ELOST, -ECONNRESET, -EPIPE, WEFT_ECLOSING                                                                                     \
    }

static const struct scenario scenarios[] = {
    {.name = "protocol_echo", .kind = ON_SIM, .body = protocol_echo, .statuses = BROKEN},
    {.name = "protocol_echo_epoll", .kind = ON_EPOLL, .body = protocol_echo, .statuses = BROKEN, .flags = HAS_THREADS},
    {.name = "connect_by_name", .kind = ON_SIM, .body = connect_by_name, .statuses = BROKEN},
    {.name = "connect_by_name_epoll", .kind = ON_EPOLL, .body = connect_by_name, .statuses = BROKEN, .flags = HAS_THREADS},
    {.name = "write_limits", .kind = ON_SIM, .body = write_limits, .statuses = BROKEN},
    {.name = "write_limits_epoll", .kind = ON_EPOLL, .body = write_limits, .statuses = BROKEN, .flags = HAS_THREADS},
    {.name = "paused_reading", .kind = ON_SIM, .body = paused_reading, .statuses = BROKEN},
    {.name = "idle_timeout", .kind = ON_SIM, .body = idle_timeout, .statuses = BROKEN},
    {.name = "aborted", .kind = ON_SIM, .body = aborted, .statuses = BROKEN},
    {.name = "aborted_epoll", .kind = ON_EPOLL, .body = aborted, .statuses = BROKEN},
    {.name = "nobody_serves", .kind = ON_SIM, .body = nobody_serves},
    {.name = "nobody_serves_epoll", .kind = ON_EPOLL, .body = nobody_serves},
    {.name = "accepted_socket", .kind = ON_EPOLL, .body = accepted_socket, .statuses = BROKEN, .flags = HAS_THREADS},
};

ROOM(transport_scenarios, scenarios);
