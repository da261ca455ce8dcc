/*
 * Models of the references that any thread may hold on a server and on a transport.
 *
 * lib/net/server.c and transport.c are real; sockets, listeners and all that happens on the loop is not.
 */
#include "lib/net/address.h"
#include "lib/net/descriptor.h"
#include "lib/net/listener.h"
#include "lib/net/net.h"
#include "lib/net/server.h"
#include "lib/net/waiters.h"
#include "tests/model/checker.h"
#include "weft/memory.h"
#include "weft/server.h"
#include "weft/status.h"

static struct weft_loop loop;
static struct net net;
static unsigned loop_refs; /* plain: the last one to let go has seen it */

int net_get(struct weft_loop *of, struct net **net_out)
{
    (void)of;
    *net_out = &net;
    return 0;
}

void net_item_add(struct net *of, struct net_item *item)
{
    (void)of, (void)item;
}

void net_item_remove(struct net_item *item)
{
    (void)item;
}

int listener_bind(struct weft_loop *of, const struct weft_address *address, uint32_t server_flags)
{
    (void)of, (void)address, (void)server_flags;
    return 5;
}

int listener_init(struct listener *listener, struct weft_server *server, int fd, int backlog, const char *path)
{
    (void)fd, (void)backlog, (void)path;
    listener->server = server;
    return 0;
}

void listener_close(struct listener *listener)
{
    server_listener_closed(listener->server);
}

const char *descriptor_path(const struct weft_loop *of, const struct weft_address *address)
{
    (void)of, (void)address;
    return NULL;
}

void waiters_complete(struct waiters *waiters)
{
    (void)waiters;
}

/* Nobody's, so that each call asks loop_check(). */
struct worker *worker_current(void)
{
    return NULL;
}

int loop_check(const struct weft_loop *of)
{
    (void)of;
    return 0;
}

struct weft_loop *weft_loop_ref(struct weft_loop *of)
{
    loop_refs++;
    return of;
}

void weft_loop_unref(struct weft_loop *of)
{
    (void)of;
    loop_refs--;
}

/* ---- a server ------------------------------------------------------------------------------------------------------------------------- */

static struct weft_server *server;
static unsigned drop_count, arguments[3];

static void drop(void *arg)
{
    drop_count += *(unsigned *)arg;
}

static void server_setup(void)
{
    static const struct weft_address_list addresses = {.count = 1};
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.flags = WEFT_SERVER_NO_START;
    MODEL_CHECK(server_create(&loop, NULL, NULL, &options, &addresses, &server) == 0);
    MODEL_CHECK(weft_server_close(server) == 0);
    weft_server_ref(weft_server_ref(server));
}

static void let_go_server(unsigned index)
{
    arguments[index] = 1;
    (void)weft_server_connection_count(server);
    weft_server_unref(server);
}

static void server_0(void)
{
    server_on_destroy(server, drop, &arguments[0]);
    let_go_server(0);
}

static void server_1(void)
{
    let_go_server(1);
}

static void server_2(void)
{
    let_go_server(2);
}

static void server_check(void)
{
    MODEL_CHECK(drop_count == 1 && loop_refs == 0);
}

/* ---- a transport ---------------------------------------------------------------------------------------------------------------------- */

static struct weft_transport *transport;
static unsigned written[3];

static void destroy(struct weft_transport *last)
{
    MODEL_CHECK(written[0] + written[1] + written[2] == 3);
    weft_free(last);
    drop_count++;
}

static void transport_setup(void)
{
    static const struct weft_transport_stream_ops ops = {.size = sizeof(ops), .destroy = destroy};
    transport = weft_calloc(1, sizeof(*transport));
    transport->ops = &ops;
    transport->loop = weft_loop_ref(&loop);
    transport->refs = 1;
    weft_transport_ref(weft_transport_ref(transport));
}

static void let_go_transport(unsigned index)
{
    written[index] = 1;
    weft_transport_unref(transport);
}

static void transport_0(void)
{
    let_go_transport(0);
}

static void transport_1(void)
{
    let_go_transport(1);
}

static void transport_2(void)
{
    let_go_transport(2);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Lets go, and then looks once more. */
static void server_unref_first(void)
{
    weft_server_unref(server);
    (void)weft_server_connection_count(server);
}

static const struct model models[] = {
    {.name = "server",
     .about = "whoever drops the last of three references on a server frees it, after all that the others did",
     .setup = server_setup,
     .threads = {server_0, server_1, server_2},
     .check = server_check},
    {.name = "transport",
     .about = "the same of a transport, which its kind destroys",
     .setup = transport_setup,
     .threads = {transport_0, transport_1, transport_2},
     .check = server_check},
};

static const struct model broken[] = {
    {.name = "unref_swapped",
     .about = "an owner of a server that lets go before it looks",
     .setup = server_setup,
     .threads = {server_0, server_1, server_unref_first}},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/net/"}};
    return model_main(&suite, argc, argv);
}
