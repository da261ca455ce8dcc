/*
 * Connections of clients and look-ups: one winner, no leaked loser, every error with its status.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net/address.h"
#include "lib/net/connecting.h"
#include "tests/net/scene.h"
#include "weft/memory.h"
#include "weft/resolve.h"

struct listening {
    int fd;
    uint16_t port;
};

static int open_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    return fd;
}

static struct listening listen_at(const char *host)
{
    struct weft_address address;
    struct listening listening;
    CHECK_EQ(address_from_numeric(host, 0, 0, &address), 0);
    listening.fd = open_socket(address.family);
    CHECK_EQ(bind(listening.fd, (struct sockaddr *)&address.storage, address.len), 0);
    CHECK_EQ(listen(listening.fd, 16), 0);
    CHECK_EQ(getsockname(listening.fd, (struct sockaddr *)&address.storage, &address.len), 0);
    listening.port = (uint16_t)address_get_port(&address.storage);
    return listening;
}

/* A port of `host` at which nobody listens. */
static uint16_t dead_port(const char *host)
{
    struct listening listening = listen_at(host);
    close(listening.fd);
    return listening.port;
}

static struct weft_connection_options options_for(const char *host, uint16_t port)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    options.host = host;
    options.port = port;
    return options;
}

static struct weft_future *connect_with(struct scene *scene, const struct weft_connection_options *options)
{
    struct weft_future *future;
    CHECK_EQ(weft_loop_create_connection(scene->loop, scene_factory, scene, options, &future), 0);
    return future;
}

Test(connection, a_numeric_host_is_connected_and_the_result_is_the_transport, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct listening listening = listen_at("127.0.0.1");
    struct weft_connection_options options = options_for("127.0.0.1", listening.port);
    options.local_host = "127.0.0.2";
    struct weft_future *future = connect_with(&scene, &options);
    CHECK(!weft_future_done(future));
    RUN_UNTIL(&scene, weft_future_done(future));
    void *value;
    CHECK_EQ(weft_future_result(future, &value), 0);
    CHECK_EQ(scene.peers[0]->made, 1);
    CHECK(value == scene.peers[0]->transport);
    struct sockaddr_storage storage;
    size_t len = sizeof(storage);
    CHECK_EQ(weft_transport_get_extra(value, WEFT_EXTRA_SOCKNAME, &storage, &len), 0);
    CHECK_EQ(((struct sockaddr_in *)&storage)->sin_addr.s_addr, htonl(0x7f000002));
    weft_future_unref(future);
    close(listening.fd);
    scene_close(&scene);
}

Test(connection, the_result_outlives_the_connection, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct listening listening = listen_at("127.0.0.1");
    struct weft_connection_options options = options_for("127.0.0.1", listening.port);
    struct weft_future *future = connect_with(&scene, &options);
    RUN_UNTIL(&scene, weft_future_done(future));
    void *value;
    CHECK_EQ(weft_future_result(future, &value), 0);
    CHECK_EQ(weft_transport_close(value), 0);
    RUN_UNTIL(&scene, scene.peers[0]->lost == 1);
    CHECK(weft_transport_is_closing(value));
    weft_future_unref(future);
    close(listening.fd);
    scene_close(&scene);
}

Test(connection, a_refusal_comes_through_the_future, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_connection_options options = options_for("127.0.0.1", dead_port("127.0.0.1"));
    struct weft_future *future = connect_with(&scene, &options);
    RUN_UNTIL(&scene, weft_future_done(future));
    CHECK_EQ(weft_future_result(future, NULL), -ECONNREFUSED);
    int statuses[2] = {0, 0};
    CHECK_EQ(weft_connection_errors(future, statuses, 2), 1);
    CHECK_EQ(statuses[0], -ECONNREFUSED);
    CHECK_EQ(scene.peer_count, 0);
    weft_future_unref(future);
    scene_close(&scene);
}

Test(connection, a_unix_path_is_connected, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    char dir[] = "/tmp/weft-XXXXXX", path[64];
    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    options.path = path;
    struct weft_future *future = connect_with(&scene, &options);
    CHECK_EQ(weft_future_result(future, NULL), -ENOENT);
    weft_future_unref(future);
    struct weft_server_options server_options = WEFT_SERVER_OPTIONS;
    server_options.path = path;
    struct weft_server *server;
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &server_options, &server), 0);
    future = connect_with(&scene, &options);
    RUN_UNTIL(&scene, weft_future_done(future) && scene.peer_count == 2);
    CHECK_EQ(weft_future_result(future, NULL), 0);
    weft_future_unref(future);
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
    CHECK_EQ(rmdir(dir), 0);
    scene_close(&scene);
}

Test(connection, an_abstract_name_is_connected, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    char path[64];
    (void)snprintf(path, sizeof(path), "@weft-test-%d", (int)getpid());
    struct weft_server_options server_options = WEFT_SERVER_OPTIONS;
    server_options.path = path;
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    options.path = path;
    struct weft_server *server;
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &server_options, &server), 0);
    struct weft_future *future = connect_with(&scene, &options);
    RUN_UNTIL(&scene, weft_future_done(future) && scene.peer_count == 2);
    CHECK_EQ(weft_future_result(future, NULL), 0);
    weft_future_unref(future);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(connection, a_name_is_looked_up, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    struct listening listening = listen_at("127.0.0.1");
    struct weft_connection_options options = options_for("localhost", listening.port);
    struct weft_future *future = connect_with(&scene, &options);
    RUN_UNTIL(&scene, weft_future_done(future));
    CHECK_EQ(weft_future_result(future, NULL), 0);
    weft_future_unref(future);
    close(listening.fd);
    scene_close(&scene);
}

Test(connection, addresses_are_interleaved_by_family, .timeout = 5)
{
    oom_install();
    struct weft_address_list list = {5, weft_calloc(5, sizeof(*list.addresses))};
    const int families[] = {AF_INET6, AF_INET6, AF_INET6, AF_INET, AF_INET};
    const int one[] = {AF_INET6, AF_INET, AF_INET6, AF_INET, AF_INET6};
    const int two[] = {AF_INET6, AF_INET6, AF_INET, AF_INET6, AF_INET};
    for (size_t i = 0; i < 5; i++) {
        list.addresses[i].family = families[i];
        list.addresses[i].protocol = (int)i;
    }
    CHECK_EQ(address_interleave(&list, 1), 0);
    for (size_t i = 0; i < 5; i++)
        CHECK_EQ(list.addresses[i].family, one[i]);
    CHECK_EQ(list.addresses[0].protocol, 0);
    CHECK_EQ(list.addresses[2].protocol, 1);
    CHECK_EQ(list.addresses[4].protocol, 2);
    for (size_t i = 0; i < 5; i++)
        list.addresses[i].family = families[i];
    CHECK_EQ(address_interleave(&list, 2), 0);
    for (size_t i = 0; i < 5; i++)
        CHECK_EQ(list.addresses[i].family, two[i]);
    weft_free(list.addresses);
}

Test(connection, a_cancel_gives_the_attempt_up_and_no_protocol_is_made, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct listening listening = listen_at("127.0.0.1");
    struct weft_connection_options options = options_for("127.0.0.1", listening.port);
    struct weft_future *future = connect_with(&scene, &options);
    CHECK(weft_future_cancel(future, NULL));
    scene_settle(&scene);
    CHECK(weft_future_cancelled(future));
    if (scene.peer_count == 1) /* it had connected at once: then the transport was aborted */
        RUN_UNTIL(&scene, scene.peers[0]->lost == 1);
    weft_future_unref(future);
    close(listening.fd);
    scene_close(&scene);
}

/* A listener whose backlog is full: connects neither succeed nor fail. */
static struct listening listen_stuck(int *fillers, size_t count)
{
    struct weft_address address;
    struct listening listening = {-1, 0};
    CHECK_EQ(address_from_numeric("127.0.0.1", 0, 0, &address), 0);
    listening.fd = open_socket(address.family);
    CHECK_EQ(bind(listening.fd, (struct sockaddr *)&address.storage, address.len), 0);
    CHECK_EQ(listen(listening.fd, 0), 0);
    CHECK_EQ(getsockname(listening.fd, (struct sockaddr *)&address.storage, &address.len), 0);
    listening.port = (uint16_t)address_get_port(&address.storage);
    for (size_t i = 0; i < count; i++) {
        fillers[i] = open_socket(address.family);
        (void)connect(fillers[i], (struct sockaddr *)&address.storage, address.len);
    }
    return listening;
}

Test(connection, a_timeout_ends_what_neither_answers_nor_fails, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    int fillers[4];
    struct listening listening = listen_stuck(fillers, 4);
    struct weft_connection_options options = options_for("127.0.0.1", listening.port);
    options.timeout_ns = 30000000;
    struct weft_future *future = connect_with(&scene, &options);
    RUN_UNTIL(&scene, weft_future_done(future));
    CHECK_EQ(weft_future_result(future, NULL), -ETIMEDOUT);
    weft_future_unref(future);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(listening.fd);
    scene_close(&scene);
}

/* Race to ports of 127.0.0.1, as if a name had those addresses. */
static struct weft_future *race(struct scene *scene, const uint16_t *ports, size_t count, int64_t delay_ns)
{
    struct weft_address addresses[4];
    struct weft_address_list list = {count, addresses};
    struct weft_connection_options options = options_for("name", 1);
    options.happy_eyeballs_delay_ns = delay_ns;
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(address_from_numeric("127.0.0.1", ports[i], 0, &addresses[i]), 0);
    struct weft_future *future;
    CHECK_EQ(connection_create(scene->loop, scene_factory, scene, &options, &list, &future), 0);
    return future;
}

Test(connection, the_next_address_is_tried_when_one_fails, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    struct listening good = listen_at("127.0.0.1");
    uint16_t ports[] = {dead_port("127.0.0.1"), dead_port("127.0.0.1"), good.port, dead_port("127.0.0.1")};
    struct weft_future *future = race(&scene, ports, 4, 0);
    RUN_UNTIL(&scene, weft_future_done(future));
    CHECK_EQ(weft_future_result(future, NULL), 0);
    int statuses[4] = {0};
    CHECK_EQ(weft_connection_errors(future, statuses, 1), 2);
    CHECK_EQ(statuses[0], -ECONNREFUSED);
    CHECK_EQ(statuses[1], 0);
    weft_future_unref(future);
    close(good.fd);
    scene_close(&scene);
}

Test(connection, when_all_fail_the_first_status_tells, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    uint16_t ports[] = {dead_port("127.0.0.1"), dead_port("127.0.0.1"), dead_port("127.0.0.1")};
    struct weft_future *future = race(&scene, ports, 3, 1000000);
    RUN_UNTIL(&scene, weft_future_done(future));
    CHECK_EQ(weft_future_result(future, NULL), -ECONNREFUSED);
    CHECK_EQ(weft_connection_errors(future, NULL, 0), 3);
    CHECK_EQ(scene.peer_count, 0);
    weft_future_unref(future);
    scene_close(&scene);
}

Test(connection, happy_eyeballs_have_one_winner_and_the_losers_are_closed, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    int fillers[4];
    struct listening stuck = listen_stuck(fillers, 4), good = listen_at("127.0.0.1");
    uint16_t ports[] = {stuck.port, stuck.port, good.port, good.port};
    int before = test_descriptor_count();
    struct weft_future *future = race(&scene, ports, 4, 5000000);
    RUN_UNTIL(&scene, weft_future_done(future));
    CHECK_EQ(weft_future_result(future, NULL), 0);
    scene_settle(&scene);
    CHECK_EQ(scene.peer_count, 1);
    CHECK_EQ(test_descriptor_count(), before + 1);
    CHECK_EQ(weft_connection_errors(future, NULL, 0), 0);
    weft_future_unref(future);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(stuck.fd);
    close(good.fd);
    scene_close(&scene);
}

Test(connection, a_cancelled_race_leaves_nothing_behind, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    int fillers[4];
    struct listening stuck = listen_stuck(fillers, 4);
    uint16_t ports[] = {stuck.port, stuck.port, stuck.port};
    int before = test_descriptor_count();
    struct weft_future *future = race(&scene, ports, 3, 1);
    while (test_descriptor_count() < before + 3)
        scene_turn(&scene);
    CHECK(weft_future_cancel(future, NULL));
    scene_settle(&scene);
    CHECK_EQ(test_descriptor_count(), before);
    CHECK_EQ(scene.peer_count, 0);
    weft_future_unref(future);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(stuck.fd);
    scene_close(&scene);
}

Test(connection, an_accepted_socket_becomes_a_transport, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct weft_future *future;
    CHECK_EQ(weft_loop_connect_accepted_socket(scene.loop, scene_factory, &scene, fds[0], &future), 0);
    CHECK(!weft_future_done(future));
    RUN_UNTIL(&scene, weft_future_done(future));
    void *value;
    CHECK_EQ(weft_future_result(future, &value), 0);
    CHECK(value == scene.peers[0]->transport);
    weft_future_unref(future);
    close(fds[1]);
    scene_close(&scene);
}

Test(connection, a_socket_that_cannot_be_one_stays_the_callers, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.factory_max = 1;
    struct weft_future *future;
    int fds[2], pipes[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    CHECK_EQ(pipe(pipes), 0);
    CHECK_EQ(weft_loop_connect_accepted_socket(scene.loop, scene_factory, &scene, fds[0], &future), -EINVAL);
    CHECK_EQ(weft_loop_connect_accepted_socket(scene.loop, scene_factory, &scene, pipes[0], &future), -ENOTSOCK);
    CHECK_EQ(weft_loop_connect_accepted_socket(scene.loop, scene_factory, &scene, 1000000, &future), -EBADF);
    CHECK_EQ(weft_loop_connect_accepted_socket(scene.loop, NULL, &scene, fds[0], &future), -EINVAL);
    close(fds[0]), close(fds[1]), close(pipes[0]), close(pipes[1]);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    scene.peer_count = 1;
    CHECK_EQ(weft_loop_connect_accepted_socket(scene.loop, scene_factory, &scene, fds[0], &future), -EPERM);
    scene.peer_count = 0;
    scene_settle(&scene);
    close(fds[0]), close(fds[1]);
    CHECK_EQ(scene.reports, 0);
    scene_close(&scene);
}

Test(connection, wrong_options_are_refused, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_future *future;
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    CHECK_EQ(weft_loop_create_connection(scene.loop, scene_factory, &scene, &options, &future), -EINVAL);
    CHECK_EQ(weft_loop_create_connection(scene.loop, scene_factory, &scene, NULL, &future), -EINVAL);
    options = options_for("127.0.0.1", 1);
    CHECK_EQ(weft_loop_create_connection(scene.loop, NULL, &scene, &options, &future), -EINVAL);
    options.local_port = 1;
    CHECK_EQ(weft_loop_create_connection(scene.loop, scene_factory, &scene, &options, &future), -EINVAL);
    options.local_host = "example.org";
    CHECK_EQ(weft_loop_create_connection(scene.loop, scene_factory, &scene, &options, &future), WEFT_ENONAME);
    options = (struct weft_connection_options)WEFT_CONNECTION_OPTIONS;
    char path[200];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    options.path = path;
    CHECK_EQ(weft_loop_create_connection(scene.loop, scene_factory, &scene, &options, &future), -ENAMETOOLONG);
    CHECK_EQ(weft_connection_errors(NULL, NULL, 0), 0);
    scene_close(&scene);
}

Test(connection, every_allocation_may_fail, .timeout = 20)
{
    for (uint64_t n = 1;; n++) {
        struct scene scene;
        scene_open(&scene);
        struct listening listening = listen_at("127.0.0.1");
        struct weft_connection_options options = options_for("127.0.0.1", listening.port);
        options.timeout_ns = 1000000000;
        struct weft_future *future = NULL;
        oom_start(n);
        int status = weft_loop_create_connection(scene.loop, scene_factory, &scene, &options, &future);
        if (status == 0) {
            RUN_UNTIL(&scene, weft_future_done(future));
            status = weft_future_result(future, NULL);
        }
        bool was_refused = oom_stop();
        CHECK_EQ(status, was_refused ? -ENOMEM : 0);
        weft_future_unref(future);
        scene_settle(&scene);
        close(listening.fd);
        scene_close(&scene);
        if (!was_refused)
            break;
    }
}

Test(connection, a_loop_may_close_in_the_middle, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fillers[4];
    struct listening listening = listen_stuck(fillers, 4);
    struct weft_connection_options options = options_for("127.0.0.1", listening.port);
    options.timeout_ns = 1000000000;
    struct weft_future *stuck = connect_with(&scene, &options);
    options.host = "localhost";
    struct weft_future *looking = connect_with(&scene, &options);
    loop_leave(scene.loop);
    CHECK_EQ(weft_loop_close(scene.loop), 0);
    CHECK(weft_future_cancelled(stuck));
    CHECK(weft_future_cancelled(looking));
    weft_future_unref(stuck);
    weft_future_unref(looking);
    weft_loop_unref(scene.loop);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(listening.fd);
}

/* ---- look-ups ---- */

static int look_up(struct scene *scene, const char *host, const char *service, const struct weft_resolve_options *options,
                   struct weft_future **future_out)
{
    int status = weft_loop_getaddrinfo(scene->loop, host, service, options, future_out);
    if (status < 0)
        return status;
    RUN_UNTIL(scene, weft_future_done(*future_out));
    return weft_future_result(*future_out, NULL);
}

Test(resolve, numeric_hosts_are_found_without_a_look_up, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_future *future;
    void *value;
    CHECK_EQ(weft_loop_getaddrinfo(scene.loop, "::1", "80", NULL, &future), 0);
    CHECK(weft_future_done(future));
    CHECK_EQ(weft_future_result(future, &value), 0);
    struct weft_address_list *list = value;
    CHECK_EQ(list->count, 1);
    CHECK_EQ(list->addresses[0].family, AF_INET6);
    CHECK_EQ(address_get_port(&list->addresses[0].storage), 80);
    weft_future_unref(future);
    scene_close(&scene);
}

Test(resolve, names_are_found_in_the_executor, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_future *future;
    void *value;
    CHECK_EQ(look_up(&scene, "localhost", "80", NULL, &future), 0);
    CHECK_EQ(weft_future_result(future, &value), 0);
    struct weft_address_list *list = value;
    CHECK(list->count >= 1);
    weft_future_unref(future);
    scene_close(&scene);
}

Test(resolve, a_name_that_is_none_has_its_status, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_future *future;
    struct weft_resolve_options options = WEFT_RESOLVE_OPTIONS;
    options.flags = AI_NUMERICHOST; /* so that nobody is asked */
    CHECK_EQ(look_up(&scene, "no.such.name", NULL, &options, &future), WEFT_ENONAME);
    weft_future_unref(future);
    options.flags = -1;
    CHECK_EQ(look_up(&scene, "no.such.name", NULL, &options, &future), -EINVAL);
    weft_future_unref(future);
    CHECK_EQ(weft_loop_getaddrinfo(scene.loop, NULL, NULL, NULL, &future), -EINVAL);
    scene_close(&scene);
}

Test(resolve, a_cancelled_look_up_is_let_go, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_future *future;
    CHECK_EQ(weft_loop_getaddrinfo(scene.loop, "localhost", "80", NULL, &future), 0);
    CHECK(weft_future_cancel(future, NULL));
    weft_future_unref(future);
    scene_settle(&scene);
    loop_leave(scene.loop);
    CHECK_EQ(weft_loop_close(scene.loop), 0);
    weft_loop_unref(scene.loop);
}

Test(resolve, codes_have_their_statuses, .timeout = 5)
{
    CHECK_EQ(weft_status_from_eai(0, 0), 0);
    CHECK_EQ(weft_status_from_eai(EAI_NONAME, 0), WEFT_ENONAME);
    CHECK_EQ(weft_status_from_eai(EAI_SERVICE, 0), WEFT_ENONAME);
    CHECK_EQ(weft_status_from_eai(EAI_AGAIN, 0), WEFT_ENAMEAGAIN);
    CHECK_EQ(weft_status_from_eai(EAI_FAIL, 0), WEFT_ENAMEFAIL);
    CHECK_EQ(weft_status_from_eai(EAI_MEMORY, 0), -ENOMEM);
    CHECK_EQ(weft_status_from_eai(EAI_SYSTEM, EMFILE), -EMFILE);
    CHECK_EQ(weft_status_from_eai(EAI_BADFLAGS, 0), -EINVAL);
}

Test(resolve, numeric_addresses_are_read_strictly, .timeout = 5)
{
    struct weft_address address;
    CHECK_EQ(address_from_numeric("127.0.0.1", 5, AF_INET, &address), 0);
    CHECK_EQ(address_get_port(&address.storage), 5);
    CHECK_EQ(address_from_numeric("127.0.0.1", 5, AF_INET6, &address), WEFT_ENONAME);
    CHECK_EQ(address_from_numeric("::1", 5, AF_INET, &address), WEFT_ENONAME);
    CHECK_EQ(address_from_numeric("fe80::1%1", 5, AF_UNSPEC, &address), 0);
    CHECK_EQ(((struct sockaddr_in6 *)&address.storage)->sin6_scope_id, 1);
    CHECK_EQ(address_from_numeric("fe80::1%lo", 5, AF_UNSPEC, &address), 0);
    CHECK_EQ(address_from_numeric("fe80::1%nowhere", 5, AF_UNSPEC, &address), WEFT_ENONAME);
    CHECK_EQ(address_from_numeric("1.2.3", 5, AF_UNSPEC, &address), WEFT_ENONAME);
    CHECK_EQ(address_from_numeric("", 5, AF_UNSPEC, &address), WEFT_ENONAME);
    CHECK_EQ(address_from_numeric("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", 5, AF_UNSPEC, &address), WEFT_ENONAME);
}

Test(resolve, a_zone_of_more_than_32_bits_is_none, .timeout = 5)
{
    struct weft_address address;
    CHECK_EQ(address_from_numeric("fe80::1%4294967295", 5, AF_UNSPEC, &address), 0);
    CHECK_EQ(address_from_numeric("fe80::1%4294967296", 5, AF_UNSPEC, &address), WEFT_ENONAME);
    CHECK_EQ(address_from_numeric("fe80::1%4294967297", 5, AF_UNSPEC, &address), WEFT_ENONAME); /* not zone 1 */
}

static int look_up_port(struct weft_loop *loop, const char *service)
{
    struct weft_future *future;
    CHECK_EQ(weft_loop_getaddrinfo(loop, "127.0.0.1", service, NULL, &future), 0);
    void *value;
    int status = weft_future_result(future, &value);
    if (status == 0)
        status = address_get_port(&((const struct weft_address_list *)value)->addresses[0].storage);
    weft_future_unref(future);
    return status;
}

Test(resolve, a_numeric_service_is_digits_alone, .timeout = 5)
{
    struct scene scene;
    scene_open_kind(&scene, weft_loop_kind_sim(), NULL); /* where the C library is not asked for its opinion */
    CHECK_EQ(look_up_port(scene.loop, "0080"), 80);
    CHECK_EQ(look_up_port(scene.loop, " 80"), WEFT_ENONAME);
    CHECK_EQ(look_up_port(scene.loop, "+80"), WEFT_ENONAME);
    CHECK_EQ(look_up_port(scene.loop, "80 "), WEFT_ENONAME);
    CHECK_EQ(look_up_port(scene.loop, "-18446744073709551536"), WEFT_ENONAME); /* 80 to strtoul() */
    CHECK_EQ(look_up_port(scene.loop, ""), WEFT_ENONAME);
    scene_close(&scene);
}

Test(resolve, a_server_is_made_for_a_name, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_future *future;
    void *value;
    options.host = "localhost";
    CHECK_EQ(weft_loop_create_server_async(scene.loop, scene_factory, &scene, &options, &future), 0);
    RUN_UNTIL(&scene, weft_future_done(future));
    CHECK_EQ(weft_future_result(future, &value), 0);
    CHECK(weft_server_socket_count(value) >= 1);
    weft_future_unref(future);
    options.host = NULL;
    CHECK_EQ(weft_loop_create_server_async(scene.loop, scene_factory, &scene, &options, &future), 0);
    CHECK_EQ(weft_future_result(future, &value), 0);
    CHECK_EQ(weft_server_close(value), 0);
    weft_future_unref(future);
    scene_close(&scene);
}
