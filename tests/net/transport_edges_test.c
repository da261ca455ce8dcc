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

Test(transport, every_write_may_run_out_of_memory_and_takes_all_or_nothing, .timeout = 10)
{
    for (uint64_t n = 1;; n++) {
        struct scene scene;
        scene_open(&scene);
        int fd;
        struct peer *peer = scene_connect(&scene, &fd);
        RUN_UNTIL(&scene, peer->made == 1);
        oom_start(n);
        int status = weft_transport_write(peer->transport, "hello", 5);
        bool was_refused = oom_stop();
        CHECK_EQ(status, was_refused ? -ENOMEM : 0);
        CHECK_EQ(weft_transport_get_write_buffer_size(peer->transport), was_refused ? 0 : 5);
        scene_settle(&scene);
        close(fd);
        scene_close(&scene);
        if (!was_refused)
            break;
    }
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
