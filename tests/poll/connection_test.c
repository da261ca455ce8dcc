/*
 * Connections: accept and connect, on every backend.
 */
#include "tests/poll/scene.h"

#include <fcntl.h>

static void close_fd(struct scene *scene, int fd)
{
    struct weft_file file;
    scene_accepted(&file, fd);
    scene_close(scene, &file);
}

static void connect_start(struct scene *scene, struct record *record, struct weft_file *file, const struct scene_address *address)
{
    scene_socket(scene, file);
    weft_operation_connect(&record->operation, file, scene_sockaddr(address), address->len, record_call);
    int status = scene_submit(scene, record);
    if (status != -EINPROGRESS) {
        record->result = status;
        record->calls++;
    }
}

static void connect_now(struct scene *scene, struct weft_file *file, const struct scene_address *address)
{
    struct record record = {0};
    connect_start(scene, &record, file, address);
    scene_await(scene, &record, 1);
    CHECK_EQ(record.result, 0);
}

Conformance(accept, takes_a_connection_that_carries_bytes_both_ways)
{
    char buf[4];
    struct scene_address address;
    struct weft_file listener, client, server;
    struct record record = {0};
    scene_listen(scene, &listener, &address);
    weft_operation_accept(&record.operation, &listener, NULL, NULL, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    connect_now(scene, &client, &address);
    scene_await(scene, &record, 1);
    scene_accepted(&server, record.result);
    scene_send(scene, &client, "ping");
    CHECK_EQ(scene_recv(scene, &server, buf, 4), 4);
    scene_send(scene, &server, "pong");
    CHECK_EQ(scene_recv(scene, &client, buf, 4), 4);
    CHECK_EQ(memcmp(buf, "pong", 4), 0);
    scene_close(scene, &listener);
    scene_close(scene, &client);
    scene_close(scene, &server);
}

Conformance(accept, makes_descriptors_that_do_not_block_and_do_not_leak)
{
    struct scene_address address;
    struct weft_file listener, client;
    struct record record = {0};
    scene_listen(scene, &listener, &address);
    connect_now(scene, &client, &address);
    scene_await_readable(scene, &listener);
    weft_operation_accept(&record.operation, &listener, NULL, NULL, record_call);
    int fd = scene_submit(scene, &record);
    if (fd < WEFT_FD_VIRTUAL) {
        CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    close_fd(scene, fd);
    scene_close(scene, &listener);
    scene_close(scene, &client);
}

Conformance(accept, tells_the_address_when_asked)
{
    struct scene_address address;
    struct sockaddr_storage from;
    socklen_t from_len = sizeof(from);
    struct weft_file listener, client;
    struct record record = {0};
    scene_listen(scene, &listener, &address);
    connect_now(scene, &client, &address);
    scene_await_readable(scene, &listener);
    weft_operation_accept(&record.operation, &listener, (struct sockaddr *)&from, &from_len, record_call);
    int fd = scene_submit(scene, &record);
    CHECK_EQ(from_len, address.len);
    close_fd(scene, fd);
    scene_close(scene, &listener);
    scene_close(scene, &client);
}

enum { CLIENTS = 70 };

Conformance(accept, multishot_takes_them_all_and_gives_way_between)
{
    static struct weft_file clients[CLIENTS];
    struct scene_address address;
    struct weft_file listener;
    struct record record = {0};
    scene_listen(scene, &listener, &address);
    for (int i = 0; i < CLIENTS; i++)
        connect_now(scene, &clients[i], &address);
    scene_settle(scene);
    weft_operation_accept(&record.operation, &listener, NULL, NULL, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_turn(scene, 1000000000);
    CHECK_EQ(record.calls, 64);
    CHECK_EQ(record.flags, WEFT_OP_MORE);
    scene_await(scene, &record, CLIENTS);
    scene_close(scene, &listener);
    CHECK_EQ(record.result, -ECANCELED);
    CHECK_EQ(record.flags, 0);
    for (int i = 0; i < CLIENTS; i++) {
        close_fd(scene, record.results[i]);
        scene_close(scene, &clients[i]);
    }
}

Conformance(accept, that_is_cancelled_leaves_the_connection_to_the_next)
{
    struct scene_address address;
    struct weft_file listener, client;
    struct record record = {0};
    scene_listen(scene, &listener, &address);
    weft_operation_accept(&record.operation, &listener, NULL, NULL, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    connect_now(scene, &client, &address);
    if (record.calls == 0) {
        struct weft_work_list ready = {NULL, NULL, 0};
        while (ready.count == 0)
            CHECK(scene->poller->ops->wait(scene->poller, 1000000000, &ready) >= 0);
        CHECK_EQ(scene_cancel(scene, &record), 0); /* Ready, on its way, and not run. */
        struct weft_work *work = weft_work_list_pop(&ready);
        CHECK_EQ(work->run(work), 0);
        CHECK_EQ(record.calls, 1);
        CHECK_EQ(record.result, -ECANCELED);
        record.result = scene_submit(scene, &record);
    }
    close_fd(scene, record.result);
    scene_close(scene, &listener);
    scene_close(scene, &client);
}

static void cancel_within(struct record *record)
{
    CHECK_EQ(scene_cancel(record->scene, record), record->flags == 0 ? -ENOENT : 0);
}

Conformance(accept, multishot_cancelled_within_its_callback_loses_no_connection)
{
    struct scene_address address;
    struct weft_file listener, clients[3];
    struct record record = {.then = cancel_within, .scene = scene};
    scene_listen(scene, &listener, &address);
    for (int i = 0; i < 3; i++)
        connect_now(scene, &clients[i], &address);
    scene_settle(scene);
    weft_operation_accept(&record.operation, &listener, NULL, NULL, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_await(scene, &record, 2);
    CHECK_EQ(record.result, -ECANCELED);
    close_fd(scene, record.results[0]);
    for (int i = 0; i < 2; i++) {
        struct record next = {0};
        weft_operation_accept(&next.operation, &listener, NULL, NULL, record_call);
        close_fd(scene, scene_submit(scene, &next));
    }
    scene_close(scene, &listener);
    for (int i = 0; i < 3; i++)
        scene_close(scene, &clients[i]);
}

Conformance(connect, is_refused_where_nobody_listens)
{
    struct scene_address address;
    struct weft_file client;
    struct record record = {0};
    scene_nobody(scene, &address);
    connect_start(scene, &record, &client, &address);
    scene_await(scene, &record, 1);
    CHECK_EQ(record.result, -ECONNREFUSED);
    scene_close(scene, &client);
}

Conformance(connect, twice_is_an_error)
{
    struct scene_address address;
    struct weft_file listener, client;
    struct record record = {0};
    scene_listen(scene, &listener, &address);
    connect_now(scene, &client, &address);
    weft_operation_connect(&record.operation, &client, scene_sockaddr(&address), address.len, record_call);
    scene_submit(scene, &record); /* Linux says 0 to the first one after a connect that was not blocking. */
    CHECK_EQ(scene_submit(scene, &record), -EISCONN);
    scene_close(scene, &client);
    scene_close(scene, &listener);
}

Conformance(connect, that_is_cancelled_too_late_says_that_it_is_done)
{
    struct scene_address address;
    struct weft_file listener, client;
    struct record record = {0};
    scene_listen(scene, &listener, &address);
    connect_start(scene, &record, &client, &address);
    if (record.calls == 0) {
        struct weft_work_list ready = {NULL, NULL, 0};
        while (ready.count == 0)
            CHECK(scene->poller->ops->wait(scene->poller, 1000000000, &ready) >= 0);
        CHECK_EQ(scene_cancel(scene, &record), 0);
        struct weft_work *work = weft_work_list_pop(&ready);
        CHECK_EQ(work->run(work), 0);
        CHECK_EQ(record.calls, 1);
    }
    CHECK_EQ(record.result, 0);
    scene_close(scene, &client);
    scene_close(scene, &listener);
}
