/*
 * Stream server: a fiber for each connection that a server accepts.
 *
 * The fiber's end lets the stream go, also where the task was cancelled before its body began: so that is the work of the task's callback
 * and not of the body.
 */
#include <errno.h>

#include "lib/net/net.h"
#include "lib/net/server.h"
#include "lib/net/stream.h"
#include "lib/task/future.h"
#include "weft/fiber.h"
#include "weft/memory.h"
#include "weft/status.h"

struct stream_server {
    struct weft_loop *loop;
    weft_stream_client_fn *client;
    void *arg;
};

struct client {
    struct weft_stream *stream;
    weft_stream_client_fn *fn;
    void *arg;
};

static int client_run(void *arg, void **result_out)
{
    struct client *client = arg;
    (void)result_out;
    int status = client->fn(client->stream, client->arg);
    (void)weft_stream_close(client->stream);
    if (status == -ECANCELED || weft_status_is_fatal(status))
        return status;
    return net_report(client->stream->loop, "the client function of a stream failed", status, client->stream);
}

/* A cancelled or fatal end is the task's; asking for it keeps it from being reported as unheard. */
static int client_ended(struct weft_future *future, void *arg)
{
    (void)arg;
    (void)weft_future_result(future, NULL);
    return 0;
}

static void client_release(void *arg)
{
    struct client *client = arg;
    weft_stream_unref(client->stream);
    weft_free(client);
}

int stream_serve(struct weft_stream *stream)
{
    struct client *client = weft_malloc(sizeof(*client));
    if (client == NULL)
        return -ENOMEM;
    *client = (struct client){stream, stream->client, stream->client_arg};
    struct weft_task *task;
    int status = weft_loop_create_fiber(stream->loop, client_run, client, &task);
    if (status < 0) {
        weft_free(client);
        return status;
    }
    struct future_callback callback = {.fn = client_ended, .arg = client, .release = client_release};
    status = future_add_callback_on(&task->future, stream->loop, &callback);
    if (status < 0) {
        (void)weft_task_cancel(task, NULL); /* before its first step: the body never runs */
        weft_free(client);
    } else {
        stream->client = NULL; /* the reference is the callback's now */
    }
    weft_task_unref(task);
    return status;
}

static int stream_factory(void *arg, struct weft_protocol **protocol_out)
{
    struct stream_server *server = arg;
    struct weft_stream *stream;
    int status = stream_create(server->loop, &stream);
    if (status < 0)
        return status;
    stream->client = server->client;
    stream->client_arg = server->arg;
    *protocol_out = &stream->protocol;
    return 0;
}

int weft_loop_start_stream_server(struct weft_loop *loop, weft_stream_client_fn *client, void *arg,
                                  const struct weft_server_options *options, struct weft_server **server_out)
{
    struct weft_server *server;
    if (client == NULL)
        return -EINVAL;
    struct stream_server *stream_server = weft_malloc(sizeof(*stream_server));
    if (stream_server == NULL)
        return -ENOMEM;
    *stream_server = (struct stream_server){loop, client, arg};
    int status = weft_loop_create_server(loop, stream_factory, stream_server, options, &server);
    if (status < 0) {
        weft_free(stream_server);
        return status;
    }
    server_on_destroy(server, weft_free, stream_server);
    if (server_out != NULL)
        *server_out = server;
    else
        weft_server_unref(server); /* it holds itself until it is closed */
    return 0;
}
