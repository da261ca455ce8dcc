/*
 * Server, through a future: the host is looked up first, and all of its addresses are served.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/net/address.h"
#include "lib/net/net.h"
#include "lib/net/server.h"
#include "lib/task/future.h"
#include "weft/memory.h"
#include "weft/status.h"

/* A server that is being made: the future that its caller gets. The callback on the look-up holds a reference. */
struct creating {
    struct weft_future future; /* first; the result is the server */
    weft_protocol_factory_fn *factory;
    void *arg;
    struct weft_server_options options;
    struct weft_server *server;
};

static void creating_destroy(struct weft_future *future)
{
    struct creating *creating = weft_container_of(future, struct creating, future);
    weft_server_unref(creating->server);
    weft_free(creating);
}

static const struct weft_future_ops creating_ops = {.size = sizeof(creating_ops), .destroy = creating_destroy};

static void creating_finish(struct creating *creating, int status)
{
    if (status < 0)
        (void)weft_future_set_exception(&creating->future, status);
    else
        (void)weft_future_set_result(&creating->future, creating->server);
}

static int resolved(struct weft_future *lookup, void *arg)
{
    struct creating *creating = arg;
    void *list;
    if (weft_future_done(&creating->future)) /* given up */
        return 0;
    int status = weft_future_result(lookup, &list);
    if (status == 0)
        status = server_create(weft_future_get_loop(lookup), creating->factory, creating->arg, &creating->options, list, &creating->server);
    creating_finish(creating, status);
    return 0;
}

static void resolved_release(void *arg)
{
    struct creating *creating = arg;
    (void)weft_future_cancel(&creating->future, "the loop is closed"); /* does nothing if it is done */
    weft_future_unref(&creating->future);
}

static int look_up(struct weft_loop *loop, struct creating *creating, const char *host)
{
    struct weft_resolve_options options = WEFT_RESOLVE_OPTIONS;
    struct weft_future *lookup;
    char service[8];
    options.family = creating->options.family;
    (void)snprintf(service, sizeof(service), "%u", creating->options.port);
    int status = weft_loop_getaddrinfo(loop, host, service, &options, &lookup);
    if (status < 0)
        return status;
    struct future_callback callback = {.fn = resolved, .arg = creating, .release = resolved_release};
    weft_future_ref(&creating->future);
    status = future_add_callback_on(lookup, loop, &callback);
    if (status < 0)
        weft_future_unref(&creating->future);
    weft_future_unref(lookup);
    return status;
}

int weft_loop_create_server_async(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg,
                                  const struct weft_server_options *options, struct weft_future **future_out)
{
    struct weft_server_options full;
    int status = factory == NULL || future_out == NULL ? -EINVAL : server_options_get(options, &full);
    if (status == 0)
        status = loop_check(loop);
    if (status < 0)
        return status;
    struct creating *creating = weft_calloc(1, sizeof(*creating));
    if (creating == NULL)
        return -ENOMEM;
    creating->factory = factory;
    creating->arg = arg;
    creating->options = full;
    (void)weft_future_init(&creating->future, loop, &creating_ops);
    if (full.host != NULL)
        status = look_up(loop, creating, full.host);
    else
        creating_finish(creating, weft_loop_create_server(loop, factory, arg, options, &creating->server));
    if (status < 0)
        weft_future_unref(&creating->future);
    else
        *future_out = &creating->future;
    return status;
}
