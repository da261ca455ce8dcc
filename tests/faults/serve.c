/*
 * Scenes of servers: plain clients talk to them, and each server and each connection is an operation of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/faults/scene.h"
#include "tests/faults/shim.h"
#include "weft/future.h"
#include "weft/loop.h"

enum { TALKS = 2, CROWD = 12 };

/* What the protocols of one server tell. */
struct hall {
    int made;
    int lost;
    int lost_status; /* of the last one */
};

struct guest {
    struct weft_protocol protocol;
    struct weft_transport *transport;
    struct hall *hall;
};

static int guest_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    weft_container_of(protocol, struct guest, protocol)->transport = transport;
    return 0;
}

static int guest_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    return weft_transport_write(weft_container_of(protocol, struct guest, protocol)->transport, data, len);
}

static int guest_lost(struct weft_protocol *protocol, int status)
{
    struct guest *guest = weft_container_of(protocol, struct guest, protocol);
    guest->hall->lost++;
    guest->hall->lost_status = status;
    free(guest);
    return 0;
}

static const struct weft_protocol_ops guest_ops = {
    .size = sizeof(guest_ops),
    .connection_made = guest_made,
    .data_received = guest_received,
    .connection_lost = guest_lost,
};

static int guest_new(void *arg, struct weft_protocol **protocol_out)
{
    struct guest *guest = calloc(1, sizeof(*guest));
    CHECK(guest != NULL);
    guest->protocol.ops = &guest_ops;
    guest->hall = arg;
    guest->hall->made++;
    *protocol_out = &guest->protocol;
    return 0;
}

static bool is_hall_empty(void *arg)
{
    const struct hall *hall = arg;
    return hall->made == hall->lost;
}

/* ---- one client's talk ---------------------------------------------------------------------------------------------------------- */

struct talk {
    int fd;
    int count; /* bytes that came back */
    bool is_over;
};

static void talk_begin(struct talk *talk, int fd)
{
    *talk = (struct talk){.fd = fd};
    CHECK(fd >= 0);
    CHECK_EQ(peer_write(fd, "ping", 4), 4);
}

static bool is_answered(void *arg)
{
    struct talk *talk = arg;
    char buf[8];
    while (talk->count < 4 && !talk->is_over) {
        int count = peer_read(talk->fd, buf, sizeof(buf));
        if (count < 0)
            return false;
        talk->is_over = count == 0;
        talk->count += count;
    }
    return true;
}

/* What became of it, as the server's protocol knows it. */
static void talk_end(struct tally *tally, struct talk *talk, struct hall *hall)
{
    CHECK(scene_wait(is_answered, talk));
    peer_close(talk->fd);
    CHECK(scene_wait(is_hall_empty, hall));
    tally_note(tally, hall->lost_status < 0 ? hall->lost_status : talk->count < 4 ? WEFT_ELOST : 0);
}

/* ---- servers -------------------------------------------------------------------------------------------------------------------- */

typedef int connect_fn(const struct weft_server_options *options, struct weft_server *server);

static int to_tcp(const struct weft_server_options *options, struct weft_server *server)
{
    (void)options;
    return peer_connect_tcp(weft_server_get_port(server));
}

static int to_tcp6(const struct weft_server_options *options, struct weft_server *server)
{
    (void)options;
    return peer_connect_tcp6(weft_server_get_port(server));
}

static int to_unix(const struct weft_server_options *options, struct weft_server *server)
{
    (void)server;
    return peer_connect_unix(options->path);
}

static void server_end(struct weft_server *server)
{
    struct weft_future *closed;
    CHECK_EQ(weft_server_close(server), 0);
    CHECK_EQ(weft_server_wait_closed(server, &closed), 0);
    (void)weft_await(closed, NULL);
    weft_future_unref(closed);
    weft_server_unref(server);
}

static int serve_once(struct tally *tally, const struct weft_server_options *options, connect_fn *connect_to)
{
    struct hall hall = {0};
    struct weft_server *server;
    int status = weft_loop_create_server(weft_get_running_loop(), guest_new, &hall, options, &server);
    tally_note(tally, status);
    if (status < 0)
        return status;
    for (int i = 0; i < TALKS; i++) {
        struct talk talk;
        talk_begin(&talk, connect_to(options, server));
        talk_end(tally, &talk, &hall);
    }
    server_end(server);
    return 0;
}

static int serve(void *arg, const struct weft_server_options *options, connect_fn *connect_to)
{
    for (int i = 0; i < ROUNDS; i++)
        (void)serve_once(arg, options, connect_to);
    return 0;
}

static int serve_tcp(void *arg, void **result_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    (void)result_out;
    options.host = "127.0.0.1";
    return serve(arg, &options, to_tcp);
}

void scene_serve_tcp(struct tally *tally)
{
    scene_in_runtime(tally, 1, serve_tcp);
}

static int serve_tcp6(void *arg, void **result_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    (void)result_out;
    options.host = "::1";
    return serve(arg, &options, to_tcp6);
}

void scene_serve_tcp6(struct tally *tally)
{
    scene_in_runtime(tally, 1, serve_tcp6);
}

static int serve_unix(void *arg, void **result_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    (void)result_out;
    options.path = scene_path();
    (void)unlink(options.path); /* what a fault of the last scene has left there */
    return serve(arg, &options, to_unix);
}

void scene_serve_unix(struct tally *tally)
{
    scene_in_runtime(tally, 1, serve_unix);
}

static int serve_abstract(void *arg, void **result_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    (void)result_out;
    options.path = scene_abstract_name();
    return serve(arg, &options, to_unix);
}

void scene_serve_abstract(struct tally *tally)
{
    scene_in_runtime(tally, 1, serve_abstract);
}

static int serve_shared_port(void *arg, void **result_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    (void)result_out;
    options.host = "127.0.0.1";
    options.flags = WEFT_SERVER_REUSE_PORT;
    return serve(arg, &options, to_tcp);
}

void scene_serve_shared_port(struct tally *tally)
{
    scene_in_runtime(tally, 1, serve_shared_port);
}

/* A descriptor of the caller's, which stays his on failure. */
static int serve_descriptor(void *arg, void **result_out)
{
    (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        struct weft_server_options options = WEFT_SERVER_OPTIONS;
        int port;
        options.fd = peer_listen_tcp(&port);
        if (serve_once(arg, &options, to_tcp) < 0)
            peer_close(options.fd);
    }
    return 0;
}

void scene_serve_descriptor(struct tally *tally)
{
    scene_in_runtime(tally, 1, serve_descriptor);
}

/* ---- a fiber for each connection -------------------------------------------------------------------------------------------------- */

static int answer(struct weft_stream *stream, void *arg)
{
    struct hall *hall = arg;
    char buf[64];
    int status;
    hall->made++;
    while ((status = weft_stream_read(stream, buf, sizeof(buf))) > 0)
        if ((status = weft_stream_write(stream, buf, (size_t)status)) < 0 || (status = weft_stream_drain(stream)) < 0)
            break;
    hall->lost++;
    hall->lost_status = status;
    return 0;
}

static int serve_streams(void *arg, void **result_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct hall hall = {0};
    struct weft_server *server;
    (void)result_out;
    options.host = "127.0.0.1";
    int status = weft_loop_start_stream_server(weft_get_running_loop(), answer, &hall, &options, &server);
    tally_note(arg, status);
    if (status < 0)
        return 0;
    for (int i = 0; i < 2 * ROUNDS; i++) {
        struct talk talk;
        talk_begin(&talk, peer_connect_tcp(weft_server_get_port(server)));
        talk_end(arg, &talk, &hall);
    }
    server_end(server);
    return 0;
}

void scene_serve_streams(struct tally *tally)
{
    scene_in_runtime(tally, 1, serve_streams);
}

/* ---- many at once ----------------------------------------------------------------------------------------------------------------- */

/* All are in the backlog before the loop looks; and those of the second crowd, before the server closes. */
static int storm(void *arg, void **result_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct hall hall = {0};
    struct weft_server *server;
    struct talk talks[CROWD];
    (void)result_out;
    options.host = "127.0.0.1";
    CHECK_EQ(weft_loop_create_server(weft_get_running_loop(), guest_new, &hall, &options, &server), 0);
    for (int crowd = 0; crowd < 2; crowd++) {
        for (int i = 0; i < CROWD; i++)
            talk_begin(&talks[i], peer_connect_tcp(weft_server_get_port(server)));
        if (crowd == 1)
            CHECK_EQ(weft_server_close(server), 0);
        for (int i = 0; i < CROWD; i++) {
            CHECK(scene_wait(is_answered, &talks[i]));
            tally_note(arg, talks[i].count == 4 ? 0 : WEFT_ELOST);
        }
        for (int i = 0; i < CROWD; i++)
            peer_close(talks[i].fd);
        CHECK(scene_wait(is_hall_empty, &hall));
    }
    weft_server_unref(server);
    return 0;
}

void scene_storm(struct tally *tally)
{
    scene_in_runtime(tally, 1, storm);
}
