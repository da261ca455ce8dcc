/*
 * Bad input to servers, connections, transports, streams, look-ups and pollers. What is asked of every call is said in bad_input.h.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/api/bad_input.h"
#include "weft/fiber.h"
#include "weft/loop.h"
#include "weft/memory.h"
#include "weft/poller.h"
#include "weft/resolve.h"
#include "weft/server.h"
#include "weft/stream.h"
#include "weft/transport.h"

static int nothing(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return 0;
}

static int yield_twice(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return weft_yield() < 0 ? -EIO : weft_yield();
}

static int on_lost(struct weft_protocol *protocol, int status)
{
    (void)protocol;
    (void)status;
    return 0;
}

static const struct weft_protocol_ops protocol_ops = {.size = sizeof(protocol_ops), .connection_lost = on_lost};
static struct weft_protocol the_protocol = {&protocol_ops};

static int make_protocol(void *arg, struct weft_protocol **protocol_out)
{
    (void)arg;
    *protocol_out = &the_protocol;
    return 0;
}

static int serve(struct weft_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    return 0;
}

static void run_fiber(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_fiber(loop, fn, arg, &task), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    weft_task_unref(task);
}

struct scene {
    int64_t live_at_first;
    struct weft_loop *loop;
    struct weft_transport *transport;
    int fds[2];
};

static struct scene open_once(void)
{
    struct scene scene = {.live_at_first = oom_live()};
    CHECK_EQ(weft_loop_new(NULL, 0, &scene.loop), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, scene.fds), 0);
    struct weft_make_socket args = {.size = sizeof(args), .protocol = &the_protocol, .fd = scene.fds[0]};
    CHECK_EQ(weft_loop_make_socket(scene.loop, &args, &scene.transport), 0);
    (void)weft_transport_ref(scene.transport);
    run_fiber(scene.loop, nothing, NULL);
    return scene;
}

static void close_scene(struct scene *scene)
{
    CHECK_EQ(weft_transport_close(scene->transport), 0);
    weft_transport_unref(scene->transport);
    run_fiber(scene->loop, yield_twice, NULL);
    CHECK_EQ(weft_loop_close(scene->loop), 0);
    weft_loop_unref(scene->loop);
    close(scene->fds[1]);
}

/* The second one, and one that has run: what the process or a room makes at the first use is no leak of the call that comes first. */
static struct scene open_scene(void)
{
    oom_install();
    struct scene first = open_once();
    close_scene(&first);
    return open_once();
}

static void end_scene(struct scene *scene)
{
    close_scene(scene);
    CHECK_EQ(oom_live(), scene->live_at_first);
}

/* ---- server, connection, look-up ---------------------------------------------------------------------------------------------- */

Test(bad_input_net, no_server, .timeout = 5)
{
    struct sockaddr_storage address;
    struct weft_future *future;
    socklen_t len;
    oom_install();
    REFUSES(weft_server_start_serving(NULL));
    REFUSES(weft_server_serve_forever(NULL, &future));
    REFUSES(weft_server_close(NULL));
    REFUSES(weft_server_close_clients(NULL));
    REFUSES(weft_server_abort_clients(NULL));
    REFUSES(weft_server_wait_closed(NULL, &future));
    REFUSES(weft_server_get_address(NULL, 0, &address, &len));
    REFUSES(weft_server_get_port(NULL));
    DENIES(weft_server_is_serving(NULL));
    DENIES(weft_server_socket_count(NULL));
    DENIES(weft_server_connection_count(NULL));
    DENIES(weft_server_get_loop(NULL));
    DENIES(weft_server_ref(NULL));
    IGNORES(weft_server_unref(NULL));
}

Test(bad_input_net, half_of_what_a_server_needs, .timeout = 5)
{
    struct scene scene = open_scene();
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    struct weft_future *future = NULL;
    struct sockaddr_storage address;
    socklen_t len;
    options.host = "127.0.0.1";
    CHECK_EQ(weft_loop_create_server(scene.loop, make_protocol, NULL, &options, &server), 0);
    REFUSES(weft_loop_create_server(NULL, make_protocol, NULL, &options, NULL));
    REFUSES(weft_loop_create_server(scene.loop, NULL, NULL, &options, NULL));
    REFUSES(weft_loop_create_server(scene.loop, make_protocol, NULL, NULL, NULL));
    REFUSES(weft_loop_create_server_async(NULL, make_protocol, NULL, &options, &future));
    REFUSES(weft_loop_create_server_async(scene.loop, NULL, NULL, &options, &future));
    REFUSES(weft_loop_create_server_async(scene.loop, make_protocol, NULL, NULL, &future));
    REFUSES(weft_loop_create_server_async(scene.loop, make_protocol, NULL, &options, NULL));
    REFUSES(weft_loop_start_stream_server(NULL, serve, NULL, &options, NULL));
    REFUSES(weft_loop_start_stream_server(scene.loop, NULL, NULL, &options, NULL));
    REFUSES(weft_loop_start_stream_server(scene.loop, serve, NULL, NULL, NULL));
    REFUSES(weft_server_get_address(server, 1, &address, &len));
    REFUSES(weft_server_get_address(server, 0, NULL, &len));
    REFUSES(weft_server_serve_forever(server, NULL));
    REFUSES(weft_server_wait_closed(server, NULL));
    CHECK(future == NULL && weft_server_is_serving(server));
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
    end_scene(&scene);
}

Test(bad_input_net, half_of_what_a_connection_needs, .timeout = 5)
{
    struct scene scene = open_scene();
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS, nowhere = WEFT_CONNECTION_OPTIONS;
    struct weft_future *future = NULL;
    struct weft_stream *stream = NULL;
    struct weft_transport_counters counters;
    int statuses[1];
    options.host = "127.0.0.1";
    REFUSES(weft_loop_create_connection(NULL, make_protocol, NULL, &options, &future));
    REFUSES(weft_loop_create_connection(scene.loop, NULL, NULL, &options, &future));
    REFUSES(weft_loop_create_connection(scene.loop, make_protocol, NULL, NULL, &future));
    REFUSES(weft_loop_create_connection(scene.loop, make_protocol, NULL, &nowhere, &future));
    REFUSES(weft_loop_create_connection(scene.loop, make_protocol, NULL, &options, NULL));
    REFUSES(weft_loop_connect_accepted_socket(NULL, make_protocol, NULL, scene.fds[1], &future));
    REFUSES(weft_loop_connect_accepted_socket(scene.loop, NULL, NULL, scene.fds[1], &future));
    REFUSES(weft_loop_connect_accepted_socket(scene.loop, make_protocol, NULL, -1, &future));
    REFUSES(weft_loop_connect_accepted_socket(scene.loop, make_protocol, NULL, scene.fds[1], NULL));
    REFUSES(weft_loop_getaddrinfo(NULL, "127.0.0.1", "1", NULL, &future));
    REFUSES(weft_loop_getaddrinfo(scene.loop, NULL, NULL, NULL, &future));
    REFUSES(weft_loop_getaddrinfo(scene.loop, "127.0.0.1", "1", NULL, NULL));
    REFUSES(weft_stream_from_socket(NULL, scene.fds[1], &stream));
    REFUSES(weft_stream_from_socket(scene.loop, -1, &stream));
    REFUSES(weft_stream_from_socket(scene.loop, scene.fds[1], NULL));
    REFUSES(weft_loop_get_transport_counters(NULL, &counters));
    REFUSES(weft_loop_get_transport_counters(scene.loop, NULL));
    DENIES(weft_connection_errors(NULL, statuses, 1));
    CHECK(future == NULL && stream == NULL);
    end_scene(&scene);
}

/* ---- transport ---------------------------------------------------------------------------------------------------------------- */

Test(bad_input_net, no_transport, .timeout = 5)
{
    struct scene scene = open_scene();
    char byte = 0;
    struct iovec piece = {&byte, 1};
    size_t len = 1;
    REFUSES(weft_transport_write(NULL, &byte, 1));
    REFUSES(weft_transport_writev(NULL, &piece, 1));
    REFUSES(weft_transport_write_eof(NULL));
    REFUSES(weft_transport_set_write_buffer_limits(NULL, -1, -1));
    REFUSES(weft_transport_set_write_buffer_max(NULL, 1));
    REFUSES(weft_transport_pause_reading(NULL));
    REFUSES(weft_transport_resume_reading(NULL));
    REFUSES(weft_transport_close(NULL));
    REFUSES(weft_transport_abort(NULL));
    REFUSES(weft_transport_set_timeouts(NULL, 0, 0));
    REFUSES(weft_transport_set_deadline(NULL, 0));
    REFUSES(weft_transport_set_protocol(NULL, &the_protocol));
    REFUSES(weft_transport_get_extra(NULL, WEFT_EXTRA_FD, &byte, &len));
    REFUSES(weft_transport_set_write_buffer_size(NULL, 0));
    DENIES(weft_transport_can_write_eof(NULL));
    DENIES(weft_transport_get_write_buffer_size(NULL));
    DENIES(weft_transport_is_reading(NULL));
    DENIES(weft_transport_is_closing(NULL));
    DENIES(weft_transport_get_protocol(NULL));
    DENIES(weft_transport_get_loop(NULL));
    DENIES(weft_transport_ref(NULL));
    IGNORES(weft_transport_unref(NULL));
    IGNORES(weft_transport_detach(NULL));
    IGNORES(weft_transport_get_write_buffer_limits(NULL, &len, NULL));
    CHECK_EQ(len, 1);
    end_scene(&scene);
}

Test(bad_input_net, half_of_what_a_transport_needs, .timeout = 5)
{
    struct scene scene = open_scene();
    struct iovec hole = {NULL, 1};
    int fd = -2;
    size_t len = sizeof(fd);
    REFUSES(weft_transport_write(scene.transport, NULL, 1));
    REFUSES(weft_transport_writev(scene.transport, NULL, 1));
    REFUSES(weft_transport_writev(scene.transport, &hole, 1));
    REFUSES(weft_transport_set_write_buffer_limits(scene.transport, 1, 2));
    REFUSES(weft_transport_set_timeouts(scene.transport, -1, 0));
    REFUSES(weft_transport_set_timeouts(scene.transport, 0, -1));
    REFUSES(weft_transport_set_deadline(scene.transport, -1));
    REFUSES(weft_transport_set_protocol(scene.transport, NULL));
    REFUSES(weft_transport_get_extra(scene.transport, WEFT_EXTRA_FD, NULL, &len));
    REFUSES(weft_transport_get_extra(scene.transport, WEFT_EXTRA_FD, &fd, NULL));
    CHECK(fd == -2 && weft_transport_get_write_buffer_size(scene.transport) == 0);
    CHECK(weft_transport_get_protocol(scene.transport) == &the_protocol && weft_transport_is_reading(scene.transport));
    end_scene(&scene);
}

Test(bad_input_net, half_of_what_makes_a_transport, .timeout = 5)
{
    struct scene scene = open_scene();
    struct weft_make_socket args = {.size = sizeof(args), .protocol = &the_protocol, .fd = scene.fds[1]};
    struct weft_make_socket no_protocol = {.size = sizeof(args), .fd = scene.fds[1]};
    struct weft_make_socket no_size = {.protocol = &the_protocol, .fd = scene.fds[1]}, out = {.size = sizeof(out)};
    struct weft_transport_stream_ops no_slots = {.size = sizeof(no_slots)};
    struct weft_transport own = {0}, *made = NULL;
    REFUSES(weft_loop_make_socket(NULL, &args, &made));
    REFUSES(weft_loop_make_socket(scene.loop, NULL, &made));
    REFUSES(weft_loop_make_socket(scene.loop, &no_protocol, &made));
    REFUSES(weft_loop_make_socket(scene.loop, &no_size, &made));
    REFUSES(weft_loop_make_socket(scene.loop, &args, NULL));
    REFUSES(weft_make_socket_get(NULL, &out));
    REFUSES(weft_make_socket_get(&no_size, &out));
    REFUSES(weft_make_socket_get(&args, NULL));
    REFUSES(weft_transport_init(NULL, scene.transport->ops, scene.loop, &args));
    REFUSES(weft_transport_init(&own, NULL, scene.loop, &args));
    REFUSES(weft_transport_init(&own, &no_slots, scene.loop, &args));
    REFUSES(weft_transport_init(&own, scene.transport->ops, NULL, &args));
    REFUSES(weft_transport_init(&own, scene.transport->ops, scene.loop, NULL));
    CHECK(made == NULL && own.refs == 0);
    end_scene(&scene);
}

/* ---- stream ------------------------------------------------------------------------------------------------------------------- */

static int call_with_a_hole(void *arg, void **result_out)
{
    struct weft_stream *stream = arg;
    struct iovec hole = {NULL, 1};
    char buf[4];
    (void)result_out;
    REFUSES(weft_stream_open(NULL, &stream));
    REFUSES(weft_stream_open(&(struct weft_connection_options)WEFT_CONNECTION_OPTIONS, NULL));
    REFUSES(weft_stream_set_limit(stream, 0));
    REFUSES(weft_stream_read(stream, NULL, 1));
    REFUSES(weft_stream_read_exactly(stream, NULL, 1, NULL));
    REFUSES(weft_stream_read_until(stream, NULL, 1, buf, sizeof(buf)));
    REFUSES(weft_stream_read_until(stream, "\n", 0, buf, sizeof(buf)));
    REFUSES(weft_stream_read_until(stream, "\n", 1, NULL, sizeof(buf)));
    REFUSES(weft_stream_readline(stream, NULL, 1));
    REFUSES(weft_stream_write(stream, NULL, 1));
    REFUSES(weft_stream_writev(stream, NULL, 1));
    REFUSES(weft_stream_writev(stream, &hole, 1));
    CHECK(!weft_transport_is_closing(weft_stream_get_transport(stream)));
    return 0;
}

static int call_without_a_stream(void *arg, void **result_out)
{
    char buf[4];
    struct iovec piece = {buf, 1};
    (void)arg;
    (void)result_out;
    REFUSES(weft_stream_set_limit(NULL, 1));
    REFUSES(weft_stream_read(NULL, buf, 1));
    REFUSES(weft_stream_read_exactly(NULL, buf, 1, NULL));
    REFUSES(weft_stream_read_until(NULL, "\n", 1, buf, sizeof(buf)));
    REFUSES(weft_stream_readline(NULL, buf, 1));
    REFUSES(weft_stream_write(NULL, buf, 1));
    REFUSES(weft_stream_writev(NULL, &piece, 1));
    REFUSES(weft_stream_drain(NULL));
    REFUSES(weft_stream_write_eof(NULL));
    REFUSES(weft_stream_close(NULL));
    REFUSES(weft_stream_wait_closed(NULL));
    DENIES(weft_stream_at_eof(NULL));
    DENIES(weft_stream_get_transport(NULL));
    DENIES(weft_stream_ref(NULL));
    IGNORES(weft_stream_unref(NULL));
    return 0;
}

Test(bad_input_net, no_stream, .timeout = 5)
{
    struct scene scene = open_scene();
    struct weft_stream *stream;
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(weft_stream_from_socket(scene.loop, fds[0], &stream), 0);
    run_fiber(scene.loop, call_without_a_stream, NULL);
    run_fiber(scene.loop, call_with_a_hole, stream);
    weft_stream_unref(stream);
    end_scene(&scene);
    close(fds[1]);
}

/* ---- poller, operation -------------------------------------------------------------------------------------------------------- */

static int on_operation(struct weft_operation *operation, int result, unsigned flags)
{
    (void)operation;
    (void)result;
    (void)flags;
    return 0;
}

Test(bad_input_net, no_poller, .timeout = 5)
{
    oom_install();
    const struct weft_poller_ops *ops = weft_poller_epoll_ops();
    const struct weft_poller_ops no_slots = {.size = sizeof(no_slots), .state_bytes = ops->state_bytes};
    struct weft_poller *poller = weft_calloc(1, ops->state_bytes);
    REFUSES(weft_poller_init(NULL, ops, NULL));
    REFUSES(weft_poller_init(poller, NULL, NULL));
    REFUSES(weft_poller_init(poller, &no_slots, NULL));
    DENIES(weft_operation_is_pending(NULL));
    weft_free(poller);
}

/* An initialiser takes what it gets, and the submit refuses it. */
Test(bad_input_net, half_of_what_an_operation_needs, .timeout = 5)
{
    const struct weft_poller_ops *ops = weft_poller_epoll_ops();
    struct weft_operation operation;
    struct sockaddr_storage address;
    struct weft_file file;
    int fds[2];
    oom_install();
    struct weft_poller *poller = weft_calloc(1, ops->state_bytes);
    CHECK_EQ(weft_poller_init(poller, ops, NULL), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    weft_file_init(&file, fds[0], WEFT_FILE_STREAM);
    weft_operation_recv(&operation, NULL, NULL, 0, on_operation);
    SAYS(-EINVAL, ops->submit(poller, &operation));
    weft_operation_recv(&operation, &file, NULL, 0, NULL);
    SAYS(-EINVAL, ops->submit(poller, &operation));
    weft_operation_accept(&operation, &file, (struct sockaddr *)&address, NULL, on_operation);
    SAYS(-EINVAL, ops->submit(poller, &operation));
    weft_operation_connect(&operation, &file, NULL, 0, on_operation);
    REFUSES(ops->submit(poller, &operation));
    weft_operation_send(&operation, &file, NULL, 1, on_operation);
    REFUSES(ops->submit(poller, &operation));
    weft_operation_sendv(&operation, &file, NULL, 1, on_operation);
    REFUSES(ops->submit(poller, &operation));
    weft_operation_recvmsg(&operation, &file, NULL, on_operation);
    SAYS(-EINVAL, ops->submit(poller, &operation));
    weft_operation_sendmsg(&operation, &file, NULL, on_operation);
    SAYS(-EINVAL, ops->submit(poller, &operation));
    weft_operation_poll(&operation, &file, 0, on_operation);
    SAYS(-EINVAL, ops->submit(poller, &operation));
    weft_operation_shutdown(&operation, NULL, on_operation);
    SAYS(-EINVAL, ops->submit(poller, &operation));
    weft_operation_close(&operation, NULL, on_operation);
    SAYS(-EINVAL, ops->submit(poller, &operation));
    CHECK(!weft_operation_is_pending(&operation));
    ops->fini(poller);
    weft_free(poller);
    close(fds[0]);
    close(fds[1]);
}
