/*
 * Pollers that bring sockets of their own (weft/sockets.h): whole tables, tables with holes, and short ones of an older day.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/net/scene.h"
#include "weft/poller.h"
#include "weft/resolve.h"
#include "weft/server.h"

static int refuse_open(struct weft_poller *poller, int family, const struct sockaddr *address, socklen_t len, unsigned flags)
{
    (void)poller, (void)family, (void)address, (void)len, (void)flags;
    return -EMFILE;
}

static int know_one_name(struct weft_poller *poller, const char *host, int family, struct sockaddr_storage *addresses_out, size_t count_max)
{
    struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)poller;
    if (strcmp(host, "the.one") != 0)
        return WEFT_ENONAME;
    CHECK(family == AF_UNSPEC && count_max > 0);
    memcpy(addresses_out, &loopback, sizeof(loopback));
    return 1;
}

static const struct weft_poller_sockets refusing_sockets = {.size = sizeof(refusing_sockets), .open = refuse_open};
static const struct weft_poller_sockets short_sockets = {.size = sizeof(size_t), .open = refuse_open};
static const struct weft_poller_sockets naming_sockets = {.size = sizeof(naming_sockets), .resolve = know_one_name};

static const struct weft_poller_ops refusing_poller = {.size = sizeof(refusing_poller), .sockets = &refusing_sockets};
static const struct weft_poller_ops short_poller = {.size = sizeof(short_poller), .sockets = &short_sockets};
static const struct weft_poller_ops naming_poller = {.size = sizeof(naming_poller), .sockets = &naming_sockets};

static const struct weft_loop_kind refusing_kind = {.size = sizeof(refusing_kind), .name = "refusing", .poller = &refusing_poller};
static const struct weft_loop_kind short_kind = {.size = sizeof(short_kind), .name = "short", .poller = &short_poller};
static const struct weft_loop_kind naming_kind = {.size = sizeof(naming_kind), .name = "naming", .poller = &naming_poller};

static int serve_at(struct scene *scene, struct weft_server **server_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    return weft_loop_create_server(scene->loop, scene_factory, scene, &options, server_out);
}

static int connect_to(struct scene *scene, const char *host, uint16_t port)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_future *future;
    options.host = host;
    options.port = port;
    CHECK_EQ(weft_loop_create_connection(scene->loop, scene_factory, scene, &options, &future), 0);
    RUN_UNTIL(scene, weft_future_done(future));
    int status = weft_future_result(future, NULL);
    if (status == 0)
        CHECK_EQ(weft_transport_abort(scene->peers[0]->transport), 0);
    weft_future_unref(future);
    return status;
}

Test(sockets, are_opened_by_the_poller_that_says_so, .timeout = 10)
{
    struct scene scene;
    struct weft_server *server;
    scene_open_kind(&scene, &refusing_kind, NULL);
    CHECK_EQ(serve_at(&scene, &server), -EMFILE);
    CHECK_EQ(connect_to(&scene, "127.0.0.1", 1), -EMFILE);
    scene_close(&scene);
}

/* Serve and connect with the system's sockets, by `host`. */
static void check_system(const struct weft_loop_kind *kind, const char *host)
{
    struct scene scene;
    struct weft_server *server;
    scene_open_kind(&scene, kind, NULL);
    CHECK_EQ(serve_at(&scene, &server), 0);
    CHECK_EQ(connect_to(&scene, host, (uint16_t)weft_server_get_port(server)), 0);
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(sockets, are_the_systems_where_the_table_has_a_hole, .timeout = 10)
{
    check_system(&naming_kind, "the.one");
}

Test(sockets, are_the_systems_where_the_table_is_too_short, .timeout = 10)
{
    check_system(&short_kind, "127.0.0.1");
}

Test(sockets, have_the_names_that_the_poller_knows, .timeout = 10)
{
    struct scene scene;
    struct weft_future *future;
    scene_open_kind(&scene, &naming_kind, NULL);
    CHECK_EQ(connect_to(&scene, "another.one", 1), WEFT_ENONAME);
    CHECK_EQ(weft_loop_getaddrinfo(scene.loop, "the.one", "http", NULL, &future), 0);
    RUN_UNTIL(&scene, weft_future_done(future));
    CHECK_EQ(weft_future_result(future, NULL), WEFT_ENONAME); /* services are numbers there */
    weft_future_unref(future);
    scene_close(&scene);
}

/* ---- no host: wildcards, or this one ------------------------------------------------------------------------------------------- */

static size_t look_up(struct scene *scene, int family, int flags, struct weft_address *first_out)
{
    struct weft_resolve_options options = WEFT_RESOLVE_OPTIONS;
    struct weft_future *future;
    void *value = NULL;
    options.family = family;
    options.flags = flags;
    CHECK_EQ(weft_loop_getaddrinfo(scene->loop, NULL, "80", &options, &future), 0);
    RUN_UNTIL(scene, weft_future_done(future));
    CHECK_EQ(weft_future_result(future, &value), 0);
    const struct weft_address_list *list = value;
    size_t count = list->count;
    *first_out = list->addresses[0];
    weft_future_unref(future);
    return count;
}

Test(sockets, have_addresses_without_a_name, .timeout = 10)
{
    struct scene scene;
    struct weft_address first;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&first.storage;
    scene_open_kind(&scene, &naming_kind, NULL);
    CHECK_EQ(look_up(&scene, AF_UNSPEC, AI_PASSIVE, &first), 2);
    CHECK_EQ(in->sin_addr.s_addr, INADDR_ANY);
    CHECK_EQ(ntohs(in->sin_port), 80);
    CHECK_EQ(look_up(&scene, AF_UNSPEC, 0, &first), 1);
    CHECK_EQ(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(look_up(&scene, AF_INET6, 0, &first), 1);
    CHECK(IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&first.storage)->sin6_addr));
    scene_close(&scene);
}
