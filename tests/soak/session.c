/*
 * Sessions: the servers' side of connections.
 *
 * An echo that counts, and that stalls, closes or resets where the client's head asks for it. The even lanes do it with a protocol's
 * callbacks, the odd ones with a fiber for each connection, on one port: clients get either.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/soak/soak.h"
#include "tests/soak/wire.h"
#include "weft/fiber.h"
#include "weft/memory.h"
#include "weft/server.h"
#include "weft/status.h"
#include "weft/stream.h"
#include "weft/timer.h"
#include "weft/work.h"

enum { STALL_NS = 12000000, READ_BYTES = 8192 };

/* Let the close of `transport` be a reset. */
static void session_reset(struct lane *lane, struct weft_transport *transport)
{
    const struct linger linger = {1, 0};
    int fd = -1;
    lane_expect(lane, weft_transport_get_extra(transport, WEFT_EXTRA_FD, &fd, &(size_t){sizeof(fd)}), "the descriptor");
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    lane_expect(lane, weft_transport_abort(transport), "an abort");
}

/* ---- by callbacks --------------------------------------------------------------------------------------------------------------- */

struct session {
    struct weft_protocol protocol;
    struct weft_transport *transport;
    struct lane *lane;
    struct wire_state wire;
    struct weft_timer stall;
    bool has_stalled;
    bool is_stalled;
    bool is_full; /* between pause_writing and resume_writing */
};

static struct session *session_of(struct weft_protocol *protocol)
{
    return weft_container_of(protocol, struct session, protocol);
}

static int session_read_on(struct session *session)
{
    if (session->is_stalled || session->is_full)
        return weft_transport_pause_reading(session->transport);
    return weft_transport_resume_reading(session->transport);
}

static int stall_over(void *arg)
{
    struct session *session = arg;
    session->is_stalled = false;
    return session_read_on(session);
}

static int session_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    struct session *session = session_of(protocol);
    session->transport = transport;
    weft_timer_init(&session->stall, session->lane->loop, stall_over, session);
    return 0;
}

static int session_stall(struct session *session)
{
    session->has_stalled = session->is_stalled = true;
    (void)weft_timer_start(&session->stall, STALL_NS);
    return session_read_on(session);
}

static int session_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    struct session *session = session_of(protocol);
    wire_receive(&session->wire, data, len);
    int status = weft_transport_write(session->transport, data, len);
    if (status < 0)
        return status;
    if (wire_is_due(&session->wire, WIRE_RESETS))
        session_reset(session->lane, session->transport);
    else if (wire_is_due(&session->wire, WIRE_CLOSES))
        status = weft_transport_close(session->transport);
    else if (!session->has_stalled && wire_is_due(&session->wire, WIRE_STALLS))
        status = session_stall(session);
    return status;
}

static int session_eof(struct weft_protocol *protocol)
{
    struct session *session = session_of(protocol);
    session->lane->counts.sessions_graceful++;
    return weft_transport_write(session->transport, &session->wire.seen, sizeof(session->wire.seen)); /* 0: then it closes itself */
}

static int session_pause(struct weft_protocol *protocol)
{
    struct session *session = session_of(protocol);
    session->is_full = true;
    return session_read_on(session);
}

static int session_resume(struct weft_protocol *protocol)
{
    struct session *session = session_of(protocol);
    session->is_full = false;
    return session_read_on(session);
}

static int session_lost(struct weft_protocol *protocol, int status)
{
    struct session *session = session_of(protocol);
    (void)status; /* clients go as they please */
    (void)weft_timer_stop(&session->stall);
    session->lane->counts.sessions_lost++;
    weft_free(session);
    return 0;
}

static const struct weft_protocol_ops session_ops = {
    .size = sizeof(session_ops),
    .connection_made = session_made,
    .data_received = session_received,
    .eof_received = session_eof,
    .connection_lost = session_lost,
    .pause_writing = session_pause,
    .resume_writing = session_resume,
};

static int session_new(void *arg, struct weft_protocol **protocol_out)
{
    struct lane *lane = arg;
    struct session *session = weft_calloc(1, sizeof(*session));
    if (session == NULL)
        return -ENOMEM;
    session->protocol.ops = &session_ops;
    session->lane = lane;
    lane->counts.sessions_made++;
    compute_start(lane);
    *protocol_out = &session->protocol;
    return 0;
}

/* ---- by fibers ------------------------------------------------------------------------------------------------------------------ */

static int echo_piece(struct weft_stream *stream, const char *data, size_t len)
{
    int status = weft_stream_write(stream, data, len);
    return status < 0 ? status : weft_stream_drain(stream);
}

/* To the client's end: 0. */
static int echo(struct lane *lane, struct weft_stream *stream, struct wire_state *wire)
{
    char buf[READ_BYTES];
    bool has_stalled = false;
    int count;
    while ((count = weft_stream_read(stream, buf, sizeof(buf))) > 0) {
        wire_receive(wire, buf, (size_t)count);
        int status = echo_piece(stream, buf, (size_t)count);
        if (status == 0 && wire_is_due(wire, WIRE_RESETS)) {
            session_reset(lane, weft_stream_get_transport(stream));
            return WEFT_ELOST;
        }
        if (status == 0 && wire_is_due(wire, WIRE_CLOSES))
            return WEFT_ELOST;
        if (status == 0 && !has_stalled && wire_is_due(wire, WIRE_STALLS)) {
            has_stalled = true;
            status = weft_sleep(STALL_NS);
        }
        if (status < 0)
            return status;
    }
    return count;
}

static int session_serve(struct weft_stream *stream, void *arg)
{
    struct lane *lane = arg;
    struct wire_state wire = {.seen = {0, 0}};
    lane->counts.sessions_made++;
    compute_start(lane);
    if (echo(lane, stream, &wire) == 0) {
        lane->counts.sessions_graceful++;
        (void)echo_piece(stream, (const char *)&wire.seen, sizeof(wire.seen));
    }
    (void)weft_stream_close(stream);
    (void)weft_stream_wait_closed(stream);
    lane->counts.sessions_lost++;
    return 0;
}

int session_listen(struct lane *lane)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    options.port = lane->soak->port;
    options.flags = WEFT_SERVER_REUSE_PORT;
    options.backlog = 1024;
    int status = lane->index % 2 == 0 ? weft_loop_create_server(lane->loop, session_new, lane, &options, &lane->server)
                                      : weft_loop_start_stream_server(lane->loop, session_serve, lane, &options, &lane->server);
    if (status == 0)
        lane->soak->port = (uint16_t)weft_server_get_port(lane->server);
    return status;
}
