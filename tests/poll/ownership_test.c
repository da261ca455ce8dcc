/*
 * Ownership: what submit refuses, what cancel and close promise, and whose an operation is when. On every backend.
 */
#include "tests/poll/scene.h"

#include <stdlib.h>
#include <unistd.h>

#include "weft/memory.h"

static char sink[64];

static void recv_start(struct scene *scene, struct record *record)
{
    weft_operation_recv(&record->operation, &scene->near, sink, sizeof(sink), record_call);
    CHECK_EQ(scene_submit(scene, record), -EINPROGRESS);
}

static void multishot_start(struct scene *scene, struct record *record)
{
    weft_operation_recv(&record->operation, &scene->near, NULL, 0, record_call);
    record->operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, record), -EINPROGRESS);
}

/* Submit */

Conformance(submit, refuses_a_second_operation_on_the_same_side)
{
    struct record first = {0};
    struct record second = {0};
    recv_start(scene, &first);
    weft_operation_recv(&second.operation, &scene->near, sink, 1, record_call);
    CHECK_EQ(scene_submit(scene, &second), -EBUSY);
    weft_operation_poll(&second.operation, &scene->near, WEFT_FILE_READABLE, record_call);
    CHECK_EQ(scene_submit(scene, &second), -EBUSY);
    weft_operation_poll(&second.operation, &scene->near, WEFT_FILE_WRITABLE, record_call);
    CHECK_EQ(scene_submit(scene, &second), WEFT_FILE_WRITABLE);
    scene_close(scene, &scene->near);
    CHECK_EQ(first.calls, 1);
    CHECK_EQ(second.calls, 0);
}

Conformance(submit, refuses_a_file_that_is_closed_or_closing)
{
    struct record receiving = {0};
    struct record closing = {0};
    struct record late = {0};
    recv_start(scene, &receiving);
    weft_operation_close(&closing.operation, &scene->near, record_call);
    CHECK_EQ(scene_submit(scene, &closing), -EINPROGRESS);
    weft_operation_send(&late.operation, &scene->near, "x", 1, record_call);
    CHECK_EQ(scene_submit(scene, &late), -EBADF);
    weft_operation_close(&late.operation, &scene->near, record_call);
    CHECK_EQ(scene_submit(scene, &late), -EBADF);
    scene_await(scene, &closing, 1);
    CHECK_EQ(scene_submit(scene, &late), -EBADF);
}

Conformance(submit, refuses_a_file_of_another_poller)
{
    const struct weft_poller_ops *ops = scene->poller->ops;
    struct weft_poller_options options = {sizeof(options), 0, scene->world};
    struct weft_poller *other = weft_calloc(1, ops->state_bytes);
    struct record record = {0};
    CHECK_EQ(weft_poller_init(other, ops, &options), 0);
    scene_send(scene, &scene->near, "x");
    weft_operation_recv(&record.operation, &scene->near, sink, 1, record_call);
    CHECK_EQ(ops->submit(other, &record.operation), -EXDEV);
    CHECK_EQ(ops->cancel(other, &record.operation), -ENOENT);
    ops->fini(other);
    weft_free(other);
}

Conformance(submit, refuses_arguments_that_make_no_sense)
{
    struct record record = {0};
    socklen_t len = 0;
    weft_operation_recv(&record.operation, &scene->near, sink, 0, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINVAL);
    weft_operation_recv(&record.operation, &scene->near, sink, 1, record_call);
    record.operation.flags = WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &record), -EINVAL);
    weft_operation_recv(&record.operation, &scene->near, NULL, 1, record_call);
    record.operation.flags = WEFT_OP_KEEP_FD;
    CHECK_EQ(scene_submit(scene, &record), -EINVAL);
    weft_operation_send(&record.operation, &scene->near, "x", 1, record_call);
    record.operation.flags = WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &record), -EINVAL);
    weft_operation_accept(&record.operation, &scene->near, NULL, &len, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINVAL);
    weft_operation_poll(&record.operation, &scene->near, WEFT_FILE_READABLE | WEFT_FILE_WRITABLE, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINVAL);
    weft_operation_poll(&record.operation, &scene->near, 0, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINVAL);
    record.operation.kind = 99;
    CHECK_EQ(scene_submit(scene, &record), -EINVAL);
    CHECK(scene->near.poller == NULL);
}

/* Cancel */

Conformance(cancel, completes_later_and_says_so)
{
    struct record record = {0};
    recv_start(scene, &record);
    CHECK_EQ(scene_cancel(scene, &record), 0);
    CHECK_EQ(scene_cancel(scene, &record), 0);
    CHECK_EQ(record.calls, 0);
    CHECK(weft_operation_is_pending(&record.operation));
    CHECK_EQ(scene_turn(scene, -1), 1);
    CHECK_EQ(record.calls, 1);
    CHECK_EQ(record.result, -ECANCELED);
    CHECK_EQ(record.flags, 0);
}

Conformance(cancel, finds_only_what_is_pending)
{
    struct record record = {0};
    weft_operation_recv(&record.operation, &scene->near, sink, 1, record_call);
    CHECK_EQ(scene_cancel(scene, &record), -ENOENT);
    recv_start(scene, &record);
    CHECK_EQ(scene_cancel(scene, &record), 0);
    scene_await(scene, &record, 1);
    CHECK_EQ(scene_cancel(scene, &record), -ENOENT);
}

Conformance(cancel, does_not_stop_a_close)
{
    struct record receiving = {0};
    struct record closing = {0};
    recv_start(scene, &receiving);
    weft_operation_close(&closing.operation, &scene->near, record_call);
    CHECK_EQ(scene_submit(scene, &closing), -EINPROGRESS);
    CHECK_EQ(scene_cancel(scene, &closing), -ENOENT);
    scene_await(scene, &closing, 1);
    CHECK_EQ(closing.result, 0);
}

Conformance(cancel, between_ready_and_delivery_loses_no_byte)
{
    struct record record = {0};
    struct weft_work_list ready = {NULL, NULL, 0};
    recv_start(scene, &record);
    scene_send(scene, &scene->far, "kept");
    while (ready.count == 0)
        CHECK(scene->poller->ops->wait(scene->poller, 1000000000, &ready) >= 0);
    CHECK_EQ(scene_cancel(scene, &record), 0);
    struct weft_work *work = weft_work_list_pop(&ready);
    CHECK_EQ(work->run(work), 0);
    CHECK_EQ(record.result, -ECANCELED);
    CHECK_EQ(scene_submit(scene, &record), 4);
    CHECK_EQ(memcmp(sink, "kept", 4), 0);
}

Conformance(cancel, before_the_bytes_arrive_loses_none)
{
    struct record record = {0};
    recv_start(scene, &record);
    CHECK_EQ(scene_cancel(scene, &record), 0);
    scene_send(scene, &scene->far, "kept");
    scene_settle(scene);
    CHECK_EQ(record.calls, 1);
    CHECK_EQ(record.result, -ECANCELED);
    CHECK_EQ(scene_recv(scene, &scene->near, sink, 4), 4);
}

static void cancel_itself(struct record *record)
{
    if (record->flags != 0)
        CHECK_EQ(scene_cancel(record->scene, record), 0);
}

Conformance(cancel, within_a_multishot_callback_keeps_the_rest)
{
    struct record record = {.then = cancel_itself, .scene = scene};
    scene_send(scene, &scene->far, "abcdef");
    scene_settle(scene);
    weft_operation_recv(&record.operation, &scene->near, NULL, 2, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_await(scene, &record, 2);
    CHECK_EQ(record.results[0], 2);
    CHECK_EQ(record.result, -ECANCELED);
    CHECK_EQ(record.flags, 0);
    CHECK_EQ(scene_recv(scene, &scene->near, sink, 4), 4);
    CHECK_EQ(memcmp(sink, "cdef", 4), 0);
}

Conformance(cancel, then_submit_again_at_once_gets_the_new_answer)
{
    struct record record = {0};
    for (int i = 1; i <= 20; i++) {
        recv_start(scene, &record);
        CHECK_EQ(scene_cancel(scene, &record), 0);
        scene_await(scene, &record, i);
        CHECK_EQ(record.result, -ECANCELED);
    }
    recv_start(scene, &record);
    scene_send(scene, &scene->far, "x");
    scene_await(scene, &record, 21);
    CHECK_EQ(record.result, 1);
}

/* Close */

static int order_count;

static void note_order(struct record *record)
{
    *(int *)record->arg = ++order_count;
}

Conformance(close, completes_what_is_pending_first)
{
    static const char zeros[65536];
    int order[3] = {0, 0, 0};
    struct record receiving = {.then = note_order, .arg = &order[0]};
    struct record sending = {.then = note_order, .arg = &order[1]};
    struct record closing = {.then = note_order, .arg = &order[2]};
    recv_start(scene, &receiving);
    do {
        weft_operation_send(&sending.operation, &scene->near, zeros, sizeof(zeros), record_call);
    } while (scene_submit(scene, &sending) > 0);
    weft_operation_close(&closing.operation, &scene->near, record_call);
    CHECK_EQ(scene_submit(scene, &closing), -EINPROGRESS);
    scene_await(scene, &closing, 1);
    CHECK_EQ(receiving.result, -ECANCELED);
    CHECK_EQ(sending.result, -ECANCELED);
    CHECK_EQ(closing.result, 0);
    CHECK_EQ(order[2], 3);
    CHECK_EQ(scene->near.fd, -1);
}

Conformance(close, lets_the_peer_read_all_that_was_sent)
{
    scene_send(scene, &scene->near, "last words");
    scene_close(scene, &scene->near);
    CHECK_EQ(scene_recv(scene, &scene->far, sink, sizeof(sink)), 10);
}

static void close_within(struct record *record)
{
    if (record->flags != 0)
        CHECK_EQ(scene_submit(record->scene, record->arg), -EINPROGRESS);
}

Conformance(close, within_a_multishot_callback)
{
    struct record closing = {0};
    struct record record = {.then = close_within, .scene = scene, .arg = &closing};
    weft_operation_close(&closing.operation, &scene->near, record_call);
    multishot_start(scene, &record);
    scene_send(scene, &scene->far, "x");
    scene_await(scene, &closing, 1);
    CHECK_EQ(record.calls, 2);
    CHECK_EQ(record.result, -ECANCELED);
}

Conformance(close, of_a_ready_operation_waits_for_its_delivery)
{
    struct record record = {0};
    struct record closing = {0};
    struct weft_work_list ready = {NULL, NULL, 0};
    recv_start(scene, &record);
    scene_send(scene, &scene->far, "x");
    while (ready.count == 0)
        CHECK(scene->poller->ops->wait(scene->poller, 1000000000, &ready) >= 0);
    weft_operation_close(&closing.operation, &scene->near, record_call);
    CHECK_EQ(scene_submit(scene, &closing), -EINPROGRESS);
    CHECK_EQ(scene_turn(scene, 0), 0);
    struct weft_work *work = weft_work_list_pop(&ready);
    CHECK_EQ(work->run(work), 0);
    CHECK_EQ(record.result, -ECANCELED);
    scene_await(scene, &closing, 1);
}

Conformance(close, can_leave_the_descriptor_open)
{
    struct record closing = {0};
    struct record record = {0};
    recv_start(scene, &record);
    weft_operation_close(&closing.operation, &scene->near, record_call);
    closing.operation.flags = WEFT_OP_KEEP_FD;
    CHECK_EQ(scene_submit(scene, &closing), -EINPROGRESS);
    scene_await(scene, &closing, 1);
    CHECK(scene->near.fd >= 0);
    CHECK(scene->near.poller == NULL);
    scene_send(scene, &scene->far, "still here");
    CHECK_EQ(scene_recv(scene, &scene->near, sink, 10), 10);
}

struct connection {
    struct record record;
    struct weft_file file;
    struct record closing;
};

static void connection_free(struct record *record)
{
    free(record->arg);
}

static void connection_close(struct record *record)
{
    struct connection *connection = record->arg;
    if (record->flags == 0) {
        weft_operation_close(&connection->closing.operation, &connection->file, record_call);
        CHECK_EQ(scene_submit(record->scene, &connection->closing), 0);
        free(connection);
    }
}

Conformance(close, then_free_all_within_the_last_callback)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    connection->file = scene->near; /* Not submitted on yet. */
    connection->record = (struct record){.then = connection_close, .scene = scene, .arg = connection};
    weft_operation_recv(&connection->record.operation, &connection->file, NULL, 0, record_call);
    connection->record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &connection->record), -EINPROGRESS);
    scene_close(scene, &scene->far);
    while (scene->poller->pending_count > 0)
        scene_turn(scene, 1000000000);
    scene->near.fd = -1;
}

Conformance(close, then_free_all_within_the_callback_of_the_close)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    connection->file = scene->near;
    connection->closing = (struct record){.then = connection_free, .arg = connection};
    weft_operation_recv(&connection->record.operation, &connection->file, sink, 1, record_call);
    CHECK_EQ(scene_submit(scene, &connection->record), -EINPROGRESS);
    weft_operation_close(&connection->closing.operation, &connection->file, record_call);
    CHECK_EQ(scene_submit(scene, &connection->closing), -EINPROGRESS);
    while (scene->poller->pending_count > 0)
        scene_turn(scene, 1000000000);
    scene->near.fd = -1;
}

static void receive_again(struct record *record)
{
    if (record->calls < 3)
        recv_start(record->scene, record);
}

Conformance(callback, may_submit_its_operation_again)
{
    struct record record = {.then = receive_again, .scene = scene};
    recv_start(scene, &record);
    for (int i = 1; i <= 3; i++) {
        scene_send(scene, &scene->far, "x");
        scene_await(scene, &record, i);
        CHECK_EQ(record.result, 1);
    }
}
