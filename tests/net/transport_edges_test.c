/*
 * Transports at their edges: what outlives them, what they do when memory runs out, what they refuse. The rules of the contract are in
 * transport_test.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/net/scene.h"
#include "weft/memory.h"

Test(transport, a_protocol_can_be_replaced, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    struct weft_protocol *protocol;
    CHECK_EQ(scene_factory(&scene, &protocol), 0);
    struct weft_transport *transport = peer->transport;
    CHECK_EQ(weft_transport_set_protocol(transport, NULL), -EINVAL);
    CHECK_EQ(weft_transport_set_protocol(transport, protocol), 0);
    CHECK(weft_transport_get_protocol(transport) == protocol);
    scene.peers[1]->transport = transport;
    scene.peers[1]->made = 1;
    plain_write(fd, "x");
    RUN_UNTIL(&scene, scene.peers[1]->len == 1);
    CHECK_EQ(peer->len, 0);
    peer->lost = 1; /* it is the test's again */
    close(fd);
    scene_close(&scene);
}

Test(transport, a_reference_outlives_the_connection_and_the_loop, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    struct weft_transport *transport = weft_transport_ref(peer->transport);
    close(fd);
    RUN_UNTIL(&scene, peer->lost == 1);
    CHECK_EQ(weft_transport_write(transport, "x", 1), 0);
    CHECK_EQ(weft_transport_close(transport), 0);
    CHECK(weft_transport_get_protocol(transport) == NULL);
    CHECK_EQ(oom_live() > 0, 1);
    loop_leave(scene.loop);
    CHECK_EQ(weft_loop_close(scene.loop), 0);
    CHECK_EQ(weft_transport_write(transport, "x", 1), WEFT_ECLOSED);
    CHECK_EQ(loop_enter(scene.loop), WEFT_ECLOSED);
    weft_transport_unref(transport);
    weft_transport_unref(NULL);
    weft_loop_unref(scene.loop);
    CHECK_EQ(oom_live(), scene.live_before);
    free(peer->data);
    free(peer);
}

Test(transport, a_closing_loop_tells_every_protocol, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd, other;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    (void)peer_write_until_stuck(peer, 100000);
    struct peer *unmade = scene_connect(&scene, &other);
    scene_close(&scene);
    (void)unmade; /* scene_close() has checked that both heard of it once */
    close(fd);
    close(other);
}

Test(transport, extra_information_tells_addresses_and_descriptor, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd, own;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    struct sockaddr_storage storage;
    size_t len = sizeof(storage);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_PEERNAME, &storage, &len), 0);
    CHECK_EQ(storage.ss_family, AF_UNIX);
    len = sizeof(own);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_FD, &own, &len), 0);
    CHECK(own >= 0 && own != fd);
    len = 1;
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_FD, &own, &len), -ENOBUFS);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_SOCKNAME, &storage, &len), -ENOBUFS);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_KIND, &storage, &len), -ENOTSUP);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_FD, NULL, &len), -EINVAL);
    close(fd);
    scene_close(&scene);
}

/* Write `len` bytes while the n-th allocation fails, over kinds of loops that send now and by operations. True if one did. */
static bool write_without_memory(const struct weft_loop_kind *kind, uint64_t n, size_t len)
{
    static char bytes[20000], got[20001];
    struct scene scene;
    scene_open_kind(&scene, kind, NULL);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    oom_start(n);
    int status = weft_transport_write(peer->transport, bytes, len);
    bool was_refused = oom_stop();
    CHECK_EQ(status, was_refused ? -ENOMEM : 0);
    CHECK(!was_refused || weft_transport_get_write_buffer_size(peer->transport) == 0);
    scene_settle(&scene);
    CHECK_EQ(plain_read(fd, got, sizeof(got)), was_refused ? 0 : len);
    close(fd);
    scene_close(&scene);
    return was_refused;
}

static int submit_only(struct weft_poller *poller, struct weft_operation *operation)
{
    return weft_poller_epoll_ops()->submit(poller, operation);
}

static const struct weft_poller_ops submitting_ops = {.size = sizeof(submitting_ops), .submit = submit_only};
static const struct weft_loop_kind submitting = {.size = sizeof(submitting), .name = "submitting", .poller = &submitting_ops};

Test(transport, every_write_may_run_out_of_memory_and_takes_all_or_nothing, .timeout = 10)
{
    const struct weft_loop_kind *const kinds[] = {NULL, &submitting};
    const size_t sizes[] = {5, 20000};
    for (size_t i = 0; i < 4; i++) {
        uint64_t n = 1;
        while (write_without_memory(kinds[i / 2], n, sizes[i % 2]))
            n++;
    }
}

/* Tells each byte from its neighbours. */
static void pattern(char *bytes, size_t from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)((from + i) % 251);
}

static void write_pattern(struct peer *peer, size_t *written, size_t len)
{
    static char bytes[300000];
    pattern(bytes, *written, len);
    CHECK_EQ(weft_transport_write(peer->transport, bytes, len), 0);
    *written += len;
}

static void small_before_large(const struct weft_loop_kind *kind)
{
    static char got[1000000], expected[1000000];
    struct scene scene;
    scene_open_kind(&scene, kind, NULL);
    int fd;
    size_t written = 0, read = 0;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    write_pattern(peer, &written, 100); /* waits for the turn's end */
    write_pattern(peer, &written, 20000);
    CHECK_EQ(weft_transport_get_write_buffer_size(peer->transport), 0); /* it did not wait, nor what was before it */
    for (int i = 0; i < 200; i++)
        write_pattern(peer, &written, 50);
    while (peer->pauses == 0)
        write_pattern(peer, &written, 100000); /* the kernel takes only a part of one of these */
    write_pattern(peer, &written, 30);
    while (read < written) {
        read += plain_read(fd, got + read, written - read);
        scene_turn(&scene);
    }
    CHECK_EQ(peer->resumes, 1);
    pattern(expected, 0, written);
    CHECK_EQ(memcmp(got, expected, written), 0);
    close(fd);
    scene_close(&scene);
}

Test(transport, what_was_written_before_much_is_sent_before_it, .timeout = 10)
{
    small_before_large(NULL);
    small_before_large(&submitting);
}

Test(transport, making_one_may_run_out_of_memory_and_leaves_the_descriptor_alone, .timeout = 10)
{
    for (uint64_t n = 1;; n++) {
        struct scene scene;
        scene_open(&scene);
        int fds[2];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        struct weft_make_socket args = {.size = sizeof(args), .fd = fds[0]};
        struct weft_transport *transport;
        CHECK_EQ(scene_factory(&scene, &args.protocol), 0);
        CHECK_EQ(weft_loop_create_future(scene.loop, &args.waiter), 0);
        oom_start(n);
        int status = weft_loop_make_socket(scene.loop, &args, &transport);
        bool was_refused = oom_stop();
        CHECK_EQ(status, was_refused ? -ENOMEM : 0);
        if (was_refused) {
            CHECK_EQ(close(fds[0]), 0);
            scene.peers[0]->lost = 1;
        }
        weft_future_unref(args.waiter);
        close(fds[1]);
        scene_close(&scene);
        if (!was_refused)
            break;
    }
}

Test(transport, wrong_arguments_are_refused, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    struct weft_transport *transport;
    RUN_UNTIL(&scene, peer->made == 1);
    CHECK_EQ(weft_transport_write(NULL, "x", 1), -EINVAL);
    CHECK_EQ(weft_transport_write(peer->transport, NULL, 1), -EINVAL);
    CHECK_EQ(weft_transport_write(peer->transport, NULL, 0), 0);
    CHECK_EQ(weft_transport_writev(peer->transport, NULL, 1), -EINVAL);
    CHECK_EQ(weft_transport_set_timeouts(peer->transport, -1, 0), -EINVAL);
    CHECK_EQ(weft_transport_set_deadline(peer->transport, -1), -EINVAL);
    CHECK_EQ(weft_transport_set_deadline(peer->transport, INT64_MAX), -EINVAL);
    CHECK_EQ(weft_loop_make_socket(scene.loop, NULL, &transport), -EINVAL);
    struct weft_make_socket args = {.size = 8, .fd = fd};
    CHECK_EQ(weft_loop_make_socket(scene.loop, &args, &transport), WEFT_EPROTOCOL);
    args.size = sizeof(args);
    CHECK_EQ(weft_loop_make_socket(scene.loop, &args, &transport), -EINVAL);
    CHECK_EQ(weft_loop_get_transport_counters(scene.loop, NULL), -EINVAL);
    close(fd);
    scene_close(&scene);
}

struct stranger {
    struct weft_transport *transport;
    struct weft_server *server;
    struct weft_loop *loop;
};

/* Calls from a thread that the loop does not run in. */
static void *call_all(void *arg)
{
    struct stranger *stranger = arg;
    struct weft_transport *transport = stranger->transport;
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    struct weft_future *future;
    CHECK_EQ(weft_transport_write(transport, "x", 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_write_eof(transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_close(transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_abort(transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_pause_reading(transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_resume_reading(transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_set_write_buffer_limits(transport, 1, 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_set_timeouts(transport, 1, 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_set_deadline(transport, 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_server_close(stranger->server), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_server_close_clients(stranger->server), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_server_wait_closed(stranger->server, &future), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_server_serve_forever(stranger->server, &future), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_loop_create_server(stranger->loop, scene_factory, NULL, &options, &server), WEFT_EWRONGTHREAD);
    return NULL;
}

Test(transport, ADD_7_calls_from_another_thread_are_refused, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    struct stranger stranger = {peer->transport, NULL, scene.loop};
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &stranger.server), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, call_all, &stranger), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    scene_settle(&scene);
    CHECK_EQ(peer->lost, 0);
    close(fd);
    weft_server_unref(stranger.server);
    scene_close(&scene);
}
