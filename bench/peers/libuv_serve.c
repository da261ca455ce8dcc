/*
 * libuv: the servers, by uv_tcp_t, with one buffer for all reads and uv_try_write() before anything is queued.
 */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "bench/kit/service.h"

struct server_loop {
    uv_loop_t uv;
    const struct service *service;
    char *buffer;
};

struct connection {
    uv_tcp_t tcp;
    uv_write_t write;
    char *rest;
    void *state[];
};

static void closed(uv_handle_t *handle)
{
    free(handle);
}

static void connection_close(struct connection *connection)
{
    if (!uv_is_closing((uv_handle_t *)&connection->tcp))
        uv_close((uv_handle_t *)&connection->tcp, closed);
}

static void alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    const struct server_loop *loop = handle->loop->data;
    (void)suggested;
    *buf = uv_buf_init(loop->buffer, (unsigned)loop->service->buffer_bytes);
}

static void received(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);

static void rest_sent(uv_write_t *write, int status)
{
    struct connection *connection = write->data;
    free(connection->rest);
    if (status < 0)
        connection_close(connection);
    else
        uv_read_start((uv_stream_t *)&connection->tcp, alloc, received);
}

/* Nothing is received before it is gone. */
static void send_later(struct connection *connection, const char *bytes, size_t len)
{
    connection->rest = memcpy(service_must(malloc(len)), bytes, len);
    connection->write.data = connection;
    uv_buf_t buf = uv_buf_init(connection->rest, (unsigned)len);
    uv_read_stop((uv_stream_t *)&connection->tcp);
    if (uv_write(&connection->write, (uv_stream_t *)&connection->tcp, &buf, 1, rest_sent) < 0)
        connection_close(connection);
}

static void received(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct connection *connection = (struct connection *)stream;
    const struct server_loop *loop = stream->loop->data;
    const char *reply;
    if (count == 0)
        return;
    ptrdiff_t len = count < 0 ? -1 : loop->service->reply(connection->state, buf->base, (size_t)count, &reply);
    if (len < 0) {
        connection_close(connection);
        return;
    }
    uv_buf_t piece = uv_buf_init((char *)reply, (unsigned)len);
    int sent = len == 0 ? 0 : uv_try_write(stream, &piece, 1);
    if (sent < 0 && sent != UV_EAGAIN)
        connection_close(connection);
    else if (sent < len)
        send_later(connection, reply + (sent < 0 ? 0 : sent), (size_t)(len - (sent < 0 ? 0 : sent)));
}

static void connected(uv_stream_t *listener, int status)
{
    struct server_loop *loop = listener->loop->data;
    struct connection *connection = service_must(calloc(1, sizeof(*connection) + loop->service->state_bytes));
    if (status < 0 || uv_tcp_init(&loop->uv, &connection->tcp) < 0)
        abort();
    if (loop->service->made != NULL)
        loop->service->made(connection->state);
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) < 0)
        connection_close(connection);
    else
        uv_read_start((uv_stream_t *)&connection->tcp, alloc, received);
}

static void run(int listener, const void *arg)
{
    struct server_loop loop = {.service = arg};
    uv_tcp_t server;
    loop.buffer = service_must(malloc(loop.service->buffer_bytes));
    if (uv_loop_init(&loop.uv) < 0 || uv_tcp_init(&loop.uv, &server) < 0 || uv_tcp_open(&server, listener) < 0)
        abort();
    loop.uv.data = &loop;
    if (uv_listen((uv_stream_t *)&server, SOMAXCONN, connected) < 0)
        abort();
    uv_run(&loop.uv, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    return service_main(argc, argv, "libuv " LIBRARY_VERSION, run);
}
