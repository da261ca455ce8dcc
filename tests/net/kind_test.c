/*
 * Kinds of transports that others bring (EXT-1): one that is made of nothing but memory, and one that wraps the loop's own.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/net/scene.h"
#include "weft/memory.h"

/* A mirror: what is written comes back as data, from the loop's queue. */
struct mirror {
    struct weft_transport transport;
    struct weft_work made, reflected, lost;
    char bytes[64];
    size_t len;
    bool is_reflecting;
    int status;
};

static int live_mirrors;

static struct mirror *mirror_of(struct weft_transport *transport)
{
    return weft_container_of(transport, struct mirror, transport);
}

static int mirror_reflect(struct weft_work *work)
{
    struct mirror *mirror = weft_container_of(work, struct mirror, reflected);
    struct weft_protocol *protocol = mirror->transport.protocol;
    char bytes[sizeof(mirror->bytes)];
    size_t len = mirror->len;
    mirror->is_reflecting = false;
    if (protocol == NULL || weft_transport_is_closing(&mirror->transport))
        return 0;
    memcpy(bytes, mirror->bytes, len);
    mirror->len = 0;
    int status = protocol->ops->data_received(protocol, bytes, len);
    return status < 0 ? status : weft_transport_set_write_buffer_size(&mirror->transport, mirror->len);
}

static int mirror_write(struct weft_transport *transport, const struct iovec *iov, size_t count)
{
    struct mirror *mirror = mirror_of(transport);
    for (size_t i = 0; i < count; i++) {
        memcpy(mirror->bytes + mirror->len, iov[i].iov_base, iov[i].iov_len);
        mirror->len += iov[i].iov_len;
    }
    if (!mirror->is_reflecting)
        loop_queue(transport->loop, &mirror->reflected);
    mirror->is_reflecting = true;
    return weft_transport_set_write_buffer_size(transport, mirror->len);
}

static int mirror_lose(struct weft_work *work)
{
    struct mirror *mirror = weft_container_of(work, struct mirror, lost);
    (void)mirror->transport.protocol->ops->connection_lost(mirror->transport.protocol, mirror->status);
    weft_transport_detach(&mirror->transport);
    weft_transport_unref(&mirror->transport);
    return 0;
}

static void mirror_abort(struct weft_transport *transport, int status)
{
    if ((transport->flags & WEFT_TRANSPORT_LOST) != 0)
        return;
    transport->flags |= WEFT_TRANSPORT_LOST;
    mirror_of(transport)->status = status;
    loop_queue(transport->loop, &mirror_of(transport)->lost);
}

static void mirror_close(struct weft_transport *transport)
{
    mirror_abort(transport, 0);
}

static void mirror_destroy(struct weft_transport *transport)
{
    live_mirrors--;
    weft_free(mirror_of(transport));
}

static const struct weft_transport_stream_ops mirror_ops = {
    .size = sizeof(mirror_ops), .write = mirror_write, .close = mirror_close, .abort = mirror_abort, .destroy = mirror_destroy};

static int mirror_made(struct weft_work *work)
{
    struct mirror *mirror = weft_container_of(work, struct mirror, made);
    return mirror->transport.protocol->ops->connection_made(mirror->transport.protocol, &mirror->transport);
}

static int mirror_make(struct weft_loop *loop, const struct weft_make_socket *args, struct weft_transport **transport_out)
{
    struct mirror *mirror = weft_calloc(1, sizeof(*mirror));
    if (mirror == NULL)
        return -ENOMEM;
    int status = weft_transport_init(&mirror->transport, &mirror_ops, loop, args);
    if (status < 0) {
        weft_free(mirror);
        return status;
    }
    live_mirrors++;
    (void)close(args->fd); /* it needs none */
    mirror->made.run = mirror_made;
    mirror->reflected.run = mirror_reflect;
    mirror->lost.run = mirror_lose;
    loop_queue(loop, &mirror->made);
    *transport_out = &mirror->transport;
    return 0;
}

static const struct weft_transport_ops mirror_transports = {.size = sizeof(mirror_transports), .make_socket = mirror_make};
static const struct weft_loop_kind mirror_kind = {.size = sizeof(mirror_kind), .name = "mirror", .transport = &mirror_transports};

static struct weft_server *serve_mirrors(struct scene *scene)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    options.host = "127.0.0.1";
    CHECK_EQ(weft_loop_create_server(scene->loop, scene_factory, scene, &options, &server), 0);
    return server;
}

static void write_twice(struct peer *peer)
{
    CHECK_EQ(weft_transport_write(peer->transport, "ab", 2), 0);
    CHECK_EQ(weft_transport_write(peer->transport, "c", 1), 0);
    CHECK_EQ(weft_transport_get_write_buffer_size(peer->transport), 3);
}

Test(kind, EXT_1_a_kind_of_ones_own_serves_and_closes_like_any, .timeout = 5)
{
    struct scene scene;
    scene_open_kind(&scene, &mirror_kind, NULL);
    scene.model.on_made = write_twice;
    struct weft_server *server = serve_mirrors(&scene);
    int fd = plain_connect(weft_server_get_port(server));
    RUN_UNTIL(&scene, scene.peer_count == 1 && scene.peers[0]->len == 3);
    CHECK_EQ(weft_server_connection_count(server), 1);
    struct weft_future *closed;
    CHECK_EQ(weft_server_close(server), 0);
    CHECK_EQ(weft_server_wait_closed(server, &closed), 0);
    CHECK(!weft_future_done(closed));
    CHECK_EQ(weft_server_close_clients(server), 0);
    RUN_UNTIL(&scene, weft_future_done(closed));
    CHECK_STR(scene.peers[0]->log, "made data lost");
    CHECK_EQ(live_mirrors, 0);
    weft_future_unref(closed);
    weft_server_unref(server);
    close(fd);
    scene_close(&scene);
}

Test(kind, EXT_1_slots_that_are_not_there_are_not_supported, .timeout = 5)
{
    struct scene scene;
    scene_open_kind(&scene, &mirror_kind, NULL);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    int value;
    size_t len = sizeof(value);
    CHECK(!weft_transport_can_write_eof(peer->transport));
    CHECK_EQ(weft_transport_write_eof(peer->transport), -ENOTSUP);
    CHECK_EQ(weft_transport_pause_reading(peer->transport), -ENOTSUP);
    CHECK_EQ(weft_transport_set_timeouts(peer->transport, 1, 1), -ENOTSUP);
    CHECK_EQ(weft_transport_set_deadline(peer->transport, 1), -ENOTSUP);
    CHECK_EQ(weft_transport_set_write_buffer_max(peer->transport, 1), -ENOTSUP);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_FD, &value, &len), -ENOTSUP);
    CHECK(weft_transport_is_reading(peer->transport));
    close(fd);
    scene_close(&scene);
    CHECK_EQ(live_mirrors, 0);
}

Test(kind, EXT_1_the_water_marks_are_the_bases, .timeout = 5)
{
    struct scene scene;
    scene_open_kind(&scene, &mirror_kind, NULL);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    CHECK_EQ(weft_transport_set_write_buffer_limits(peer->transport, 4, 1), 0);
    CHECK_EQ(weft_transport_write(peer->transport, "1234", 4), 0);
    CHECK_EQ(peer->pauses, 0);
    CHECK_EQ(weft_transport_write(peer->transport, "5", 1), 0);
    CHECK_EQ(peer->pauses, 1);
    RUN_UNTIL(&scene, peer->len == 5);
    CHECK_EQ(peer->resumes, 1);
    close(fd);
    scene_close(&scene);
}

Test(kind, EXT_1_a_table_without_what_must_be_there_is_refused, .timeout = 5)
{
    static const struct weft_transport_stream_ops short_ops = {.size = offsetof(struct weft_transport_stream_ops, destroy),
                                                               .write = mirror_write,
                                                               .close = mirror_close,
                                                               .abort = mirror_abort,
                                                               .destroy = mirror_destroy};
    struct scene scene;
    scene_open(&scene);
    struct weft_protocol *protocol;
    CHECK_EQ(scene_factory(&scene, &protocol), 0);
    struct weft_make_socket args = {.size = sizeof(args), .protocol = protocol};
    struct weft_transport transport;
    CHECK_EQ(weft_transport_init(&transport, &short_ops, scene.loop, &args), WEFT_EPROTOCOL);
    args.size = 0;
    CHECK_EQ(weft_transport_init(&transport, &mirror_ops, scene.loop, &args), WEFT_EPROTOCOL);
    CHECK_EQ(weft_make_socket_get(NULL, &args), WEFT_EPROTOCOL);
    scene.peers[0]->lost = 1;
    scene_close(&scene);
}

/* Wraps: counts what it makes, and lets the base make it. */
static int wrapped;

static int wrap_make(struct weft_loop *loop, const struct weft_make_socket *args, struct weft_transport **transport_out)
{
    wrapped++;
    return weft_transport_base_ops()->make_socket(loop, args, transport_out);
}

Test(kind, EXT_1_a_slot_may_wrap_the_bases, .timeout = 5)
{
    static const struct weft_transport_ops ops = {.size = sizeof(ops), .make_socket = wrap_make};
    static const struct weft_loop_kind kind = {.size = sizeof(kind), .name = "wrap", .transport = &ops};
    struct scene scene;
    scene_open_kind(&scene, &kind, NULL);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    plain_write(fd, "x");
    RUN_UNTIL(&scene, peer->len == 1);
    CHECK_EQ(wrapped, 1);
    close(fd);
    scene_close(&scene);
}
