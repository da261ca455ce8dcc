/*
 * Service: see the header. Called in the loops' threads. HTTP goes through Debian's http_parser, which sees each header, as a server's would;
 * the answers to the requests of one receive are collected, to be sent in one call.
 */
#include "bench/kit/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/kit/http_text.h"

enum { SMALL_BYTES = 16384, LARGE_BYTES = 65536, ANSWERS_BYTES_MAX = 262144 };

/* ---- echo --------------------------------------------------------------------------------------------------------------------------- */

static ptrdiff_t echo_reply(void *state, const char *bytes, size_t count, const char **reply_out)
{
    (void)state;
    *reply_out = bytes;
    return (ptrdiff_t)count;
}

/* ---- HTTP --------------------------------------------------------------------------------------------------------------------------- */

static _Thread_local char answers[ANSWERS_BYTES_MAX];
static _Thread_local size_t answers_len;

static int http_answer(void *connection)
{
    const size_t len = sizeof(HTTP_RESPONSE) - 1;
    (void)connection;
    if (answers_len + len > sizeof(answers))
        return -1;
    memcpy(answers + answers_len, HTTP_RESPONSE, len);
    answers_len += len;
    return 0;
}

static void http_made(void *state)
{
    http_parser_init(state, HTTP_REQUEST);
}

static ptrdiff_t http_reply(void *state, const char *bytes, size_t count, const char **reply_out)
{
    answers_len = 0;
    *reply_out = answers;
    return http_text_feed(state, bytes, count, http_answer) < 0 ? -1 : (ptrdiff_t)answers_len;
}

/* ---- sockets ------------------------------------------------------------------------------------------------------------------------ */

void *service_must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

void service_open(const struct service *service, struct service_socket *socket, int fd)
{
    socket->fd = fd;
    if (service->made != NULL)
        service->made(socket->state);
}

static int send_or_keep(struct service_socket *socket, const char *bytes, size_t len)
{
    ssize_t sent = send(socket->fd, bytes, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return -errno;
    size_t gone = sent < 0 ? 0 : (size_t)sent;
    if (gone < len) {
        socket->rest_len = len - gone;
        socket->rest = memcpy(service_must(malloc(len - gone)), bytes + gone, len - gone);
    }
    return 0;
}

int service_send_rest(struct service_socket *socket)
{
    char *rest = socket->rest;
    socket->rest = NULL;
    int status = rest == NULL ? 0 : send_or_keep(socket, rest, socket->rest_len);
    free(rest);
    return status;
}

ptrdiff_t service_receive(const struct service *service, struct service_socket *socket, char *buffer)
{
    const char *reply;
    ssize_t count = recv(socket->fd, buffer, service->buffer_bytes, 0);
    if (count <= 0)
        return count < 0 && errno == EAGAIN ? 0 : -1;
    ptrdiff_t len = service->reply(socket->state, buffer, (size_t)count, &reply);
    if (len < 0 || (len > 0 && send_or_keep(socket, reply, (size_t)len) < 0))
        return -1;
    return count;
}

void service_close(struct service_socket *socket)
{
    close(socket->fd);
    free(socket->rest);
}

/* ---- those there are ------------------------------------------------------------------------------------------------------------------ */

static const struct service echo = {"echo", 0, SMALL_BYTES, NULL, echo_reply};
static const struct service bulk = {"bulk", 0, LARGE_BYTES, NULL, echo_reply};
static const struct service http = {"http", sizeof(http_parser), SMALL_BYTES, http_made, http_reply};

static serving_loop_fn *loop_of_all;

static int serve_echo(struct serving *serving)
{
    return serving_run(serving, loop_of_all, &echo);
}

static int serve_bulk(struct serving *serving)
{
    return serving_run(serving, loop_of_all, &bulk);
}

static int serve_http(struct serving *serving)
{
    return serving_run(serving, loop_of_all, &http);
}

int service_main(int argc, char **argv, const char *who, serving_loop_fn *loop)
{
    static const struct server servers[] = {{"echo", serve_echo}, {"bulk", serve_bulk}, {"http", serve_http}};
    loop_of_all = loop;
    return serve_main(argc, argv, who, servers, sizeof(servers) / sizeof(servers[0]));
}
