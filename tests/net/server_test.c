/*
 * Servers: rule SRV-1, where they listen, caps, and running out of descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/net/scene.h"

static struct weft_server *serve(struct scene *scene, const struct weft_server_options *options)
{
    struct weft_server *server;
    CHECK_EQ(weft_loop_create_server(scene->loop, scene_factory, scene, options, &server), 0);
    return server;
}

static struct weft_server_options local_options(void)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    return options;
}

static struct weft_server *serve_local(struct scene *scene)
{
    struct weft_server_options options = local_options();
    return serve(scene, &options);
}

static int connect_to(struct scene *scene, struct weft_server *server)
{
    size_t before = scene->peer_count;
    int fd = plain_connect(weft_server_get_port(server));
    RUN_UNTIL(scene, scene->peer_count == before + 1 && scene->peers[before]->made == 1);
    return fd;
}

Test(server, an_echo_goes_around, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.is_echo = true;
    struct weft_server *server = serve_local(&scene);
    char buf[16];
    int fd = connect_to(&scene, server);
    plain_write(fd, "hello");
    RUN_UNTIL(&scene, scene.peers[0]->len == 5);
    CHECK_EQ(plain_read(fd, buf, sizeof(buf)), 5);
    close(fd);
    RUN_UNTIL(&scene, scene.peers[0]->lost == 1);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, SRV_1_close_stops_listening_and_connections_stay, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.is_echo = true;
    struct weft_server *server = serve_local(&scene);
    int fd = connect_to(&scene, server);
    int port = weft_server_get_port(server);
    CHECK(weft_server_is_serving(server));
    CHECK_EQ(weft_server_socket_count(server), 1);
    CHECK_EQ(weft_server_close(server), 0);
    CHECK_EQ(weft_server_close(server), 0);
    CHECK(!weft_server_is_serving(server));
    CHECK_EQ(weft_server_socket_count(server), 0);
    CHECK_EQ(weft_server_get_port(server), -EINVAL);
    CHECK_EQ(weft_server_start_serving(server), WEFT_ECLOSED);
    scene_settle(&scene);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int late = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(late, (struct sockaddr *)&in, sizeof(in)), -1);
    CHECK_EQ(errno, ECONNREFUSED);
    close(late);
    plain_write(fd, "still");
    RUN_UNTIL(&scene, scene.peers[0]->len == 5);
    CHECK_EQ(weft_server_connection_count(server), 1);
    close(fd);
    RUN_UNTIL(&scene, scene.peers[0]->lost == 1);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, a_shutdown_stops_listening_and_connections_stay, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.is_echo = true;
    struct weft_server *server = serve_local(&scene);
    int fd = connect_to(&scene, server);
    struct loop_room_state *net = loop_room(scene.loop, LOOP_ROOM_NET);
    net->refuse(scene.loop, net);
    scene_settle(&scene);
    CHECK(!weft_server_is_serving(server));
    CHECK_EQ(weft_server_socket_count(server), 0);
    plain_write(fd, "still");
    RUN_UNTIL(&scene, scene.peers[0]->len == 5);
    close(fd);
    RUN_UNTIL(&scene, scene.peers[0]->lost == 1);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, SRV_1_wait_closed_needs_the_close_and_the_last_connection_in_either_order, .timeout = 5)
{
    for (int is_close_first = 0; is_close_first < 2; is_close_first++) {
        struct scene scene;
        scene_open(&scene);
        struct weft_server *server = serve_local(&scene);
        int fd = connect_to(&scene, server);
        struct weft_future *closed, *later;
        CHECK_EQ(weft_server_wait_closed(server, &closed), 0);
        if (is_close_first)
            CHECK_EQ(weft_server_close(server), 0);
        else
            close(fd);
        scene_settle(&scene);
        CHECK(!weft_future_done(closed));
        if (is_close_first)
            close(fd);
        else
            CHECK_EQ(weft_server_close(server), 0);
        RUN_UNTIL(&scene, weft_future_done(closed));
        CHECK_EQ(weft_server_wait_closed(server, &later), 0);
        CHECK(weft_future_done(later));
        weft_future_unref(closed);
        weft_future_unref(later);
        weft_server_unref(server);
        scene_close(&scene);
    }
}

Test(server, SRV_1_one_waiters_cancel_is_not_the_others, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server *server = serve_local(&scene);
    struct weft_future *first, *second;
    CHECK_EQ(weft_server_wait_closed(server, &first), 0);
    CHECK_EQ(weft_server_wait_closed(server, &second), 0);
    CHECK(weft_future_cancel(first, NULL));
    CHECK_EQ(weft_server_close(server), 0);
    RUN_UNTIL(&scene, weft_future_done(second));
    CHECK_EQ(weft_future_result(second, NULL), 0);
    CHECK(weft_future_cancelled(first));
    weft_future_unref(first);
    weft_future_unref(second);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, SRV_1_the_cancel_of_serve_forever_closes_everything_and_waits, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server_options options = local_options();
    options.flags = WEFT_SERVER_NO_START;
    struct weft_server *server = serve(&scene, &options);
    struct weft_future *forever, *again;
    CHECK(!weft_server_is_serving(server));
    CHECK_EQ(weft_server_serve_forever(server, &forever), 0);
    CHECK(weft_server_is_serving(server));
    CHECK_EQ(weft_server_serve_forever(server, &again), -EALREADY);
    int fd = connect_to(&scene, server);
    CHECK(weft_future_cancel(forever, NULL));
    CHECK(weft_future_cancel(forever, NULL)); /* again, as long as it is not done */
    CHECK(!weft_future_done(forever));
    RUN_UNTIL(&scene, weft_future_done(forever));
    CHECK_EQ(weft_future_result(forever, NULL), -ECANCELED);
    CHECK(!weft_future_cancel(forever, NULL));
    CHECK_EQ(scene.peers[0]->lost, 1);
    CHECK_EQ(scene.peers[0]->lost_status, 0);
    CHECK(!weft_server_is_serving(server));
    weft_future_unref(forever);
    weft_server_unref(server);
    close(fd);
    scene_close(&scene);
}

Test(server, SRV_1_a_close_ends_serve_forever, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server *server = serve_local(&scene);
    struct weft_future *forever;
    CHECK_EQ(weft_server_serve_forever(server, &forever), 0);
    CHECK_EQ(weft_server_close(server), 0);
    RUN_UNTIL(&scene, weft_future_done(forever));
    CHECK_EQ(weft_future_result(forever, NULL), -ECANCELED);
    weft_future_unref(forever);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, SRV_1_start_serving_is_idempotent, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server_options options = local_options();
    options.flags = WEFT_SERVER_NO_START;
    struct weft_server *server = serve(&scene, &options);
    CHECK_EQ(weft_server_start_serving(server), 0);
    CHECK_EQ(weft_server_start_serving(server), 0);
    close(connect_to(&scene, server));
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, SRV_1_clients_are_closed_and_aborted_on_demand, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server *server = serve_local(&scene);
    int first = connect_to(&scene, server), second = connect_to(&scene, server);
    CHECK_EQ(weft_server_close_clients(server), 0);
    RUN_UNTIL(&scene, scene.peers[0]->lost == 1 && scene.peers[1]->lost == 1);
    close(first);
    close(second);
    first = connect_to(&scene, server); /* it serves on */
    static char block[1 << 20];
    CHECK_EQ(weft_transport_write(scene.peers[2]->transport, block, sizeof(block)), 0);
    CHECK_EQ(weft_transport_write(scene.peers[2]->transport, block, sizeof(block)), 0);
    CHECK_EQ(weft_transport_write(scene.peers[2]->transport, block, sizeof(block)), 0);
    CHECK_EQ(weft_transport_write(scene.peers[2]->transport, block, sizeof(block)), 0);
    CHECK_EQ(weft_transport_write(scene.peers[2]->transport, block, sizeof(block)), 0);
    CHECK_EQ(weft_transport_write(scene.peers[2]->transport, block, sizeof(block)), 0);
    CHECK_EQ(weft_transport_write(scene.peers[2]->transport, block, sizeof(block)), 0);
    CHECK_EQ(weft_transport_write(scene.peers[2]->transport, block, sizeof(block)), 0);
    CHECK_EQ(weft_server_abort_clients(server), 0);
    RUN_UNTIL(&scene, scene.peers[2]->lost == 1);
    close(first);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, a_close_serves_what_waits_in_the_backlog, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server *server = serve_local(&scene);
    int port = weft_server_get_port(server);
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = plain_connect(port);
    CHECK_EQ(weft_server_close(server), 0);
    CHECK_EQ(weft_server_connection_count(server), 3);
    RUN_UNTIL(&scene, scene.peer_count == 3 && scene.peers[2]->made == 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(plain_read_status(fds[i]), -EAGAIN);
        close(fds[i]);
    }
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, a_cap_on_connections_leaves_the_others_in_the_backlog, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server_options options = local_options();
    options.connections_max = 2;
    struct weft_server *server = serve(&scene, &options);
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = plain_connect(weft_server_get_port(server));
    RUN_UNTIL(&scene, scene.peer_count == 2);
    scene_settle(&scene);
    CHECK_EQ(scene.peer_count, 2);
    close(fds[0]);
    RUN_UNTIL(&scene, scene.peer_count == 3);
    scene_settle(&scene);
    CHECK_EQ(scene.peer_count, 3);
    CHECK_EQ(weft_server_connection_count(server), 2);
    close(fds[1]);
    RUN_UNTIL(&scene, scene.peer_count == 4);
    close(fds[2]);
    close(fds[3]);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, running_out_of_descriptors_pauses_accepting_and_recovers, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server *server = serve_local(&scene);
    int client = plain_connect(weft_server_get_port(server));
    struct rlimit before, none;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)client + 1; /* descriptors are dense below */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    int spare = dup(client);
    CHECK_EQ(spare, -1);
    uint64_t start_ns = weft_loop_time(scene.loop);
    RUN_UNTIL(&scene, scene.reports >= 2);
    CHECK(weft_loop_time(scene.loop) - start_ns > 50000000); /* it paused, and did not spin */
    CHECK_EQ(scene.report_status, -EMFILE);
    CHECK_EQ(scene.peer_count, 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    RUN_UNTIL(&scene, scene.peer_count == 1);
    close(client);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, a_factory_that_fails_is_reported_and_the_connection_closed, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.factory_max = 1;
    struct weft_server *server = serve_local(&scene);
    int first = connect_to(&scene, server);
    int second = plain_connect(weft_server_get_port(server));
    RUN_UNTIL(&scene, scene.reports == 1);
    CHECK_EQ(scene.report_status, -EPERM);
    CHECK_EQ(plain_read_status(second), 0);
    CHECK_EQ(weft_server_connection_count(server), 1);
    close(first);
    close(second);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, a_unix_path_is_served_and_a_stale_socket_replaced, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.is_echo = true;
    char dir[] = "/tmp/weft-XXXXXX", path[64];
    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.path = path;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    strcpy(un.sun_path, path);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind(stale, (struct sockaddr *)&un, sizeof(un)), 0);
    close(stale);
    struct weft_server *server = serve(&scene, &options);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    plain_write(fd, "hello");
    RUN_UNTIL(&scene, scene.peer_count == 1 && scene.peers[0]->len == 5);
    CHECK_EQ(weft_server_close(server), 0);
    struct stat stat;
    CHECK_EQ(lstat(path, &stat), -1); /* the name goes with the server */
    weft_server_unref(server);
    close(fd);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &server), -EADDRINUSE); /* no socket: not ours */
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(dir), 0);
    scene_close(&scene);
}

/* Nothing else is to happen in between, no turn of the loop above all. */
Test(server, an_address_is_free_as_close_returns, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server_options options = local_options();
    struct weft_server *first = serve_local(&scene), *second;
    options.port = (uint16_t)weft_server_get_port(first);
    scene_settle(&scene); /* its accept waits for an event */
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_server_close(first), 0);
        errno = 0;
        int refused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(options.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        CHECK_EQ(connect(refused, (struct sockaddr *)&in, sizeof(in)), -1);
        CHECK_EQ(errno, ECONNREFUSED);
        close(refused);
        second = serve(&scene, &options);
        weft_server_unref(first);
        close(connect_to(&scene, second));
        first = second;
    }
    CHECK_EQ(weft_server_close(first), 0);
    weft_server_unref(first);
    scene_close(&scene);
}

static struct weft_server *closed_by_factory;

static int close_in_factory(void *arg, struct weft_protocol **protocol_out)
{
    (void)arg, (void)protocol_out;
    CHECK_EQ(weft_server_close(closed_by_factory), 0);
    return -EPERM;
}

/* The accept is in the middle of its callback then. */
Test(server, may_be_closed_by_its_factory, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server_options options = local_options();
    struct weft_server *server;
    CHECK_EQ(weft_loop_create_server(scene.loop, close_in_factory, &scene, &options, &server), 0);
    closed_by_factory = server;
    options.port = (uint16_t)weft_server_get_port(server);
    int fd = plain_connect(options.port);
    RUN_UNTIL(&scene, scene.reports == 1);
    struct weft_server *next = serve(&scene, &options);
    struct weft_future *closed;
    CHECK_EQ(weft_server_wait_closed(server, &closed), 0);
    RUN_UNTIL(&scene, weft_future_done(closed));
    weft_future_unref(closed);
    CHECK_EQ(weft_server_close(next), 0);
    weft_server_unref(next);
    weft_server_unref(server);
    close(fd);
    scene_close(&scene);
}

/* A name that was there before the server is its owner's. */
Test(server, the_name_of_a_unix_socket_that_it_was_given_stays, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    char dir[] = "/tmp/weft-XXXXXX";
    CHECK(mkdtemp(dir) != NULL);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/socket", dir);
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind(options.fd, (struct sockaddr *)&un, sizeof(un)), 0);
    struct weft_server *server = serve(&scene, &options);
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
    CHECK_EQ(unlink(un.sun_path), 0);
    CHECK_EQ(rmdir(dir), 0);
    scene_close(&scene);
}

Test(server, a_name_that_was_taken_over_is_left_alone, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    char dir[] = "/tmp/weft-XXXXXX", path[64];
    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.path = path;
    struct weft_server *first = serve(&scene, &options), *second = serve(&scene, &options);
    struct stat stat;
    CHECK_EQ(weft_server_close(first), 0);
    CHECK_EQ(lstat(path, &stat), 0);
    CHECK_EQ(weft_server_close(second), 0);
    CHECK_EQ(lstat(path, &stat), -1);
    weft_server_unref(first);
    weft_server_unref(second);
    CHECK_EQ(rmdir(dir), 0);
    scene_close(&scene);
}

Test(server, a_bound_descriptor_is_taken_over_and_given_back_on_failure, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(options.fd, (struct sockaddr *)&in, sizeof(in)), 0);
    struct weft_server *server = serve(&scene, &options);
    close(connect_to(&scene, server));
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
    options.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &server), -EINVAL);
    scene_settle(&scene);
    CHECK_EQ(close(options.fd), 0);
    scene_close(&scene);
}

Test(server, all_addresses_means_both_families, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server = serve(&scene, &options);
    size_t count = weft_server_socket_count(server);
    CHECK(count == 1 || count == 2); /* a system may lack IPv6 */
    struct sockaddr_storage storage;
    socklen_t len;
    CHECK_EQ(weft_server_get_address(server, 0, &storage, &len), 0);
    CHECK_EQ(storage.ss_family, AF_INET);
    CHECK_EQ(weft_server_get_address(server, count, &storage, &len), -EINVAL);
    close(connect_to(&scene, server));
    weft_server_unref(server);
    scene_close(&scene);
}

Test(server, two_servers_share_a_port_when_asked_to, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server_options options = local_options();
    options.flags = WEFT_SERVER_REUSE_PORT;
    struct weft_server *first = serve(&scene, &options), *second;
    options.port = (uint16_t)weft_server_get_port(first);
    second = serve(&scene, &options);
    options.flags = 0;
    struct weft_server *third;
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &third), -EADDRINUSE);
    weft_server_unref(first);
    weft_server_unref(second);
    scene_close(&scene);
}

Test(server, wrong_options_are_refused, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server *server;
    struct weft_server_options options = local_options();
    CHECK_EQ(weft_loop_create_server(scene.loop, NULL, &scene, &options, &server), -EINVAL);
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, NULL, &server), -EINVAL);
    options.host = "localhost";
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &server), WEFT_ENONAME);
    options.path = "/tmp/x";
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &server), -EINVAL);
    options = local_options();
    options.flags = 64;
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &server), -EINVAL);
    options = local_options();
    options.idle_timeout_ns = -1;
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &server), -EINVAL);
    options = (struct weft_server_options)WEFT_SERVER_OPTIONS;
    char path[300];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    options.path = path;
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &server), -ENAMETOOLONG);
    CHECK_EQ(weft_server_close(NULL), -EINVAL);
    CHECK_EQ(weft_server_close_clients(NULL), -EINVAL);
    weft_server_unref(NULL);
    scene_close(&scene);
}

Test(server, every_allocation_of_a_server_may_fail, .timeout = 10)
{
    for (uint64_t n = 1;; n++) {
        struct scene scene;
        scene_open(&scene);
        struct weft_server_options options = local_options();
        struct weft_server *server = NULL;
        oom_start(n);
        int status = weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &server);
        bool was_refused = oom_stop();
        if (status < 0)
            CHECK(was_refused && status == -ENOMEM);
        weft_server_unref(server);
        scene_close(&scene);
        if (!was_refused)
            break;
    }
}

Test(server, every_allocation_of_an_accept_may_fail_and_the_next_one_works, .timeout = 20)
{
    for (uint64_t n = 1;; n++) {
        struct scene scene;
        scene_open(&scene);
        struct weft_server_options options = local_options();
        options.idle_timeout_ns = 1000000000;
        struct weft_server *server = serve(&scene, &options);
        scene_settle(&scene);
        int fd = plain_connect(weft_server_get_port(server));
        oom_start(n);
        RUN_UNTIL(&scene, scene.reports == 1 || (scene.peer_count == 1 && scene.peers[0]->made == 1));
        bool was_refused = oom_stop();
        CHECK_EQ(was_refused, scene.reports == 1);
        close(fd);
        close(connect_to(&scene, server));
        weft_server_unref(server);
        scene_close(&scene);
        if (!was_refused)
            break;
    }
}

/* EXT-1: a maker of transports that was compiled against the first version of its arguments, and one that wraps. */
static int old_made;

static int old_make_socket(struct weft_loop *loop, const struct weft_make_socket *args, struct weft_transport **transport_out)
{
    struct weft_make_socket known = {.size = offsetof(struct weft_make_socket, flags)};
    CHECK(args->size >= known.size);
    known.protocol = args->protocol;
    known.fd = args->fd;
    old_made++;
    return weft_transport_base_ops()->make_socket(loop, &known, transport_out);
}

Test(server, EXT_1_a_kind_made_for_older_arguments_still_works, .timeout = 5)
{
    static const struct weft_transport_ops ops = {.size = offsetof(struct weft_transport_ops, make_ssl), .make_socket = old_make_socket};
    static const struct weft_loop_kind kind = {.size = sizeof(kind), .name = "old", .transport = &ops};
    struct scene scene;
    scene_open_kind(&scene, &kind, NULL);
    scene.model.is_echo = true;
    struct weft_server *server = serve_local(&scene);
    int fd = connect_to(&scene, server);
    plain_write(fd, "hello");
    RUN_UNTIL(&scene, scene.peers[0]->len == 5);
    CHECK_EQ(old_made, 1);
    CHECK_EQ(weft_server_connection_count(server), 0); /* it did not know of servers */
    CHECK(weft_loop_transport_ops(scene.loop)->make_ssl == NULL);
    close(fd);
    weft_server_unref(server);
    scene_close(&scene);
}
