/*
 * Bytes: recv, send and their kin, on every backend.
 */
#include "tests/poll/scene.h"

Conformance(recv, takes_what_is_there_at_once)
{
    char buf[16];
    struct record record = {0};
    scene_send(scene, &scene->far, "hello");
    scene_await_readable(scene, &scene->near);
    weft_operation_recv(&record.operation, &scene->near, buf, sizeof(buf), record_call);
    CHECK_EQ(scene_submit(scene, &record), 5);
    CHECK_EQ(memcmp(buf, "hello", 5), 0);
    CHECK_EQ(record.calls, 0);
    CHECK(!weft_operation_is_pending(&record.operation));
}

Conformance(recv, pends_until_bytes_come)
{
    char buf[16];
    struct record record = {0};
    weft_operation_recv(&record.operation, &scene->near, buf, sizeof(buf), record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    CHECK(weft_operation_is_pending(&record.operation));
    CHECK_EQ(scene->poller->pending_count, 1);
    scene_settle(scene);
    CHECK_EQ(record.calls, 0);
    scene_send(scene, &scene->far, "hello");
    scene_await(scene, &record, 1);
    CHECK_EQ(record.result, 5);
    CHECK_EQ(record.flags, 0);
    CHECK_EQ(memcmp(buf, "hello", 5), 0);
    CHECK(!weft_operation_is_pending(&record.operation));
}

Conformance(recv, lends_memory_for_the_callback)
{
    struct record record = {0};
    weft_operation_recv(&record.operation, &scene->near, NULL, 0, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_send(scene, &scene->far, "hello");
    scene_await(scene, &record, 1);
    CHECK_EQ(record.bytes_count, 5);
    CHECK_EQ(memcmp(record.bytes, "hello", 5), 0);
}

Conformance(recv, lends_memory_also_when_it_is_done_at_once)
{
    struct record record = {0};
    scene_send(scene, &scene->far, "hello");
    scene_await_readable(scene, &scene->near);
    weft_operation_recv(&record.operation, &scene->near, NULL, 3, record_call);
    CHECK_EQ(scene_submit(scene, &record), 3);
    CHECK_EQ(memcmp(record.operation.lent, "hel", 3), 0);
    CHECK_EQ(scene_submit(scene, &record), 2);
    CHECK_EQ(memcmp(record.operation.lent, "lo", 2), 0);
}

Conformance(recv, comes_to_zero_at_the_end_of_the_stream)
{
    char buf[16];
    struct record record = {0};
    weft_operation_recv(&record.operation, &scene->near, buf, sizeof(buf), record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_close(scene, &scene->far);
    scene_await(scene, &record, 1);
    CHECK_EQ(record.result, 0);
    CHECK_EQ(scene_submit(scene, &record), 0);
}

Conformance(recv, finds_the_end_that_came_with_the_last_bytes)
{
    char buf[16];
    struct record record = {0};
    weft_operation_recv(&record.operation, &scene->near, buf, sizeof(buf), record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_send(scene, &scene->far, "bye");
    scene_close(scene, &scene->far);
    scene_await(scene, &record, 1);
    CHECK_EQ(record.result, 3);
    CHECK_EQ(scene_recv(scene, &scene->near, buf, sizeof(buf)), 0);
}

Conformance(recv, many_times_with_one_multishot_operation)
{
    struct record record = {0};
    weft_operation_recv(&record.operation, &scene->near, NULL, 0, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    for (int i = 1; i <= 5; i++) {
        scene_send(scene, &scene->far, "ab");
        scene_await(scene, &record, i);
        CHECK_EQ(record.result, 2);
        CHECK_EQ(record.flags, WEFT_OP_MORE);
        CHECK(weft_operation_is_pending(&record.operation));
    }
    scene_shutdown(scene, &scene->far);
    scene_await(scene, &record, 6);
    CHECK_EQ(record.result, 0);
    CHECK_EQ(record.flags, 0);
    CHECK_EQ(memcmp(record.bytes, "ababababab", 10), 0);
}

Conformance(recv, multishot_on_a_file_that_was_read_before)
{
    char buf[2];
    struct record record = {0};
    scene_send(scene, &scene->far, "abcd");
    CHECK_EQ(scene_recv(scene, &scene->near, buf, 2), 2);
    weft_operation_recv(&record.operation, &scene->near, NULL, 0, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_await(scene, &record, 1);
    CHECK_EQ(memcmp(record.bytes, "cd", 2), 0);
    scene_close(scene, &scene->near);
    CHECK_EQ(record.result, -ECANCELED);
}

Conformance(recv, multishot_finds_the_end_that_came_with_the_bytes)
{
    struct record record = {0};
    scene_send(scene, &scene->far, "bye");
    scene_close(scene, &scene->far);
    weft_operation_recv(&record.operation, &scene->near, NULL, 0, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    while ((record.calls == 0 || record.flags != 0) && record.calls < 10)
        scene_await(scene, &record, record.calls + 1);
    CHECK_EQ(record.result, 0);
    CHECK_EQ(record.bytes_count, 3);
}

static void fill(struct scene *scene, struct weft_file *file, struct record *record, size_t *total)
{
    static const char zeros[65536];
    int count;
    do {
        weft_operation_send(&record->operation, file, zeros, sizeof(zeros), record_call);
        count = scene_submit(scene, record);
        *total += count > 0 ? (size_t)count : 0;
    } while (count > 0);
    CHECK_EQ(count, -EINPROGRESS);
}

static void drain(struct scene *scene, struct weft_file *file, size_t *total)
{
    static char buf[65536];
    struct record record = {0};
    int count;
    do {
        weft_operation_recv(&record.operation, file, buf, sizeof(buf), record_call);
        count = scene_submit(scene, &record);
        *total += count > 0 ? (size_t)count : 0;
    } while (count > 0);
    if (count == -EINPROGRESS) {
        CHECK_EQ(scene_cancel(scene, &record), 0);
        scene_await(scene, &record, 1);
        CHECK(record.result == -ECANCELED);
    }
}

Conformance(send, pends_while_the_peer_does_not_read)
{
    struct record record = {0};
    size_t sent = 0;
    size_t got = 0;
    fill(scene, &scene->near, &record, &sent);
    CHECK(sent > 0);
    scene_settle(scene);
    CHECK_EQ(record.calls, 0);
    while (record.calls == 0) {
        drain(scene, &scene->far, &got);
        scene_settle(scene);
    }
    CHECK(record.result > 0);
    sent += (size_t)record.result;
    while (got < sent) {
        scene_await_readable(scene, &scene->far);
        drain(scene, &scene->far, &got);
    }
    CHECK_EQ(got, sent);
}

Conformance(send, fails_once_the_peer_is_gone)
{
    struct record record = {0};
    scene_close(scene, &scene->far);
    int status = 0;
    for (int i = 0; i < 100 && status >= 0; i++) {
        weft_operation_send(&record.operation, &scene->near, "x", 1, record_call);
        status = scene_submit(scene, &record);
        scene_settle(scene);
    }
    CHECK(status == -EPIPE || status == -ECONNRESET);
}

Conformance(send, that_pends_learns_that_the_peer_is_gone)
{
    struct record record = {0};
    size_t sent = 0;
    fill(scene, &scene->near, &record, &sent);
    scene_close(scene, &scene->far);
    scene_await(scene, &record, 1);
    CHECK(record.result == -EPIPE || record.result == -ECONNRESET);
}

static int send_now(struct scene *scene, struct weft_file *file, const char *text, size_t len)
{
    size_t half = len / 2;
    struct iovec pieces[] = {{(void *)(uintptr_t)text, half}, {(void *)(uintptr_t)(text + half), len - half}};
    return scene->poller->ops->send(scene->poller, file, half == 0 ? pieces + 1 : pieces, half == 0 ? 1 : 2);
}

Conformance(send_now, is_done_when_it_returns)
{
    char buf[8];
    CHECK_EQ(send_now(scene, &scene->near, "a", 1), 1);
    CHECK_EQ(send_now(scene, &scene->near, "bcdef", 5), 5);
    CHECK_EQ(scene->poller->pending_count, 0);
    CHECK_EQ(scene_recv(scene, &scene->far, buf, 6), 6);
    CHECK_EQ(memcmp(buf, "abcdef", 6), 0);
}

Conformance(send_now, does_not_wait_and_an_operation_then_does)
{
    static const char zeros[65536];
    struct record record = {0};
    size_t sent = 0, got = 0;
    int count;
    while ((count = send_now(scene, &scene->near, zeros, sizeof(zeros))) > 0)
        sent += (size_t)count;
    CHECK_EQ(count, -EAGAIN);
    CHECK_EQ(send_now(scene, &scene->near, zeros, 1), -EAGAIN);
    weft_operation_send(&record.operation, &scene->near, zeros, 1, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    CHECK_EQ(send_now(scene, &scene->near, zeros, 1), -EBUSY);
    while (record.calls == 0) {
        drain(scene, &scene->far, &got);
        scene_settle(scene);
    }
    CHECK_EQ(record.result, 1);
    CHECK_EQ(send_now(scene, &scene->near, zeros, 1), 1);
    for (sent += 2; got < sent;) {
        scene_await_readable(scene, &scene->far);
        drain(scene, &scene->far, &got);
    }
    CHECK_EQ(got, sent);
}

Conformance(send_now, fails_on_what_is_closed_or_gone)
{
    scene_close(scene, &scene->far);
    scene_await_readable(scene, &scene->near);
    int status = send_now(scene, &scene->near, "x", 1);
    while (status == 1)
        status = send_now(scene, &scene->near, "x", 1); /* TCP's first one goes, and comes back as a reset */
    CHECK(status == -EPIPE || status == -ECONNRESET);
    scene_close(scene, &scene->near);
    CHECK_EQ(send_now(scene, &scene->near, "x", 1), -EBADF);
}

Conformance(sendv, sends_its_pieces_in_order)
{
    char buf[16];
    struct iovec iov[3] = {{(char[]){"ab"}, 2}, {(char[]){""}, 0}, {(char[]){"cde"}, 3}};
    struct record record = {0};
    weft_operation_sendv(&record.operation, &scene->near, iov, 3, record_call);
    CHECK_EQ(scene_submit(scene, &record), 5);
    CHECK_EQ(scene_recv(scene, &scene->far, buf, 5), 5);
    CHECK_EQ(memcmp(buf, "abcde", 5), 0);
}

Conformance(sendmsg, meets_recvmsg)
{
    char left[3] = "";
    char right[4] = "";
    struct iovec out[2] = {{(char[]){"abc"}, 3}, {(char[]){"de"}, 2}};
    struct iovec in[2] = {{left, 2}, {right, 3}};
    struct msghdr sending = {.msg_iov = out, .msg_iovlen = 2};
    struct msghdr receiving = {.msg_iov = in, .msg_iovlen = 2};
    struct record receiver = {0};
    struct record sender = {0};
    weft_operation_recvmsg(&receiver.operation, &scene->far, &receiving, record_call);
    CHECK_EQ(scene_submit(scene, &receiver), -EINPROGRESS);
    weft_operation_sendmsg(&sender.operation, &scene->near, &sending, record_call);
    CHECK_EQ(scene_submit(scene, &sender), 5);
    scene_await(scene, &receiver, 1);
    /* With a delay for each piece, the first may come alone. */
    CHECK(receiver.result == 5 || (scene->backend == BACKEND_sim_late && receiver.result == 3));
    CHECK_STR(left, "ab");
    CHECK_EQ(right[0], 'c');
}

Conformance(shutdown, ends_one_direction_only)
{
    char buf[8];
    scene_send(scene, &scene->near, "last");
    scene_shutdown(scene, &scene->near);
    CHECK_EQ(scene_recv(scene, &scene->far, buf, 8), 4);
    scene_send(scene, &scene->far, "answer");
    CHECK_EQ(scene_recv(scene, &scene->near, buf, 6), 6);
    struct record record = {0};
    weft_operation_send(&record.operation, &scene->near, "x", 1, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EPIPE);
}

Conformance(poll, pends_until_there_is_something_to_read)
{
    struct record record = {0};
    weft_operation_poll(&record.operation, &scene->near, WEFT_FILE_READABLE, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_settle(scene);
    CHECK_EQ(record.calls, 0);
    scene_send(scene, &scene->far, "x");
    scene_await(scene, &record, 1);
    CHECK_EQ(record.result, WEFT_FILE_READABLE);
}

Conformance(poll, tells_again_of_what_was_left_behind)
{
    char buf[2];
    struct record record = {0};
    scene_send(scene, &scene->far, "abc");
    for (int i = 0; i < 3; i++) {
        scene_await_readable(scene, &scene->near);
        CHECK_EQ(scene_recv(scene, &scene->near, buf, 1), 1);
    }
    weft_operation_poll(&record.operation, &scene->near, WEFT_FILE_READABLE, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    CHECK_EQ(scene_cancel(scene, &record), 0);
    scene_await(scene, &record, 1);
    CHECK_EQ(record.result, -ECANCELED);
}

Conformance(poll, tells_of_a_hangup)
{
    struct record record = {0};
    weft_operation_poll(&record.operation, &scene->near, WEFT_FILE_READABLE, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_shutdown(scene, &scene->far);
    scene_await(scene, &record, 1);
    CHECK_EQ(record.result, WEFT_FILE_READABLE | WEFT_FILE_HANGUP);
}

Conformance(poll, tells_when_there_is_room_to_write)
{
    struct record sending = {0};
    struct record record = {0};
    size_t sent = 0;
    size_t got = 0;
    weft_operation_poll(&record.operation, &scene->near, WEFT_FILE_WRITABLE, record_call);
    CHECK_EQ(scene_submit(scene, &record), WEFT_FILE_WRITABLE);
    fill(scene, &scene->near, &sending, &sent);
    CHECK_EQ(scene_cancel(scene, &sending), 0);
    scene_await(scene, &sending, 1);
    CHECK_EQ(sending.result, -ECANCELED);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    while (record.calls == 0) {
        drain(scene, &scene->far, &got);
        scene_settle(scene);
    }
    CHECK_EQ(record.result, WEFT_FILE_WRITABLE);
}

Conformance(recv, multishot_gives_way_when_its_budget_is_used_up)
{
    enum { CHUNK = 4096, CHUNKS = 15 };
    static const char chunk[CHUNK];
    struct record record = {0};
    for (int i = 0; i < CHUNKS; i++) {
        struct record sending = {0};
        weft_operation_send(&sending.operation, &scene->far, chunk, CHUNK, record_call);
        CHECK_EQ(scene_submit(scene, &sending), CHUNK);
    }
    scene_settle(scene);
    weft_operation_recv(&record.operation, &scene->near, NULL, 100, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_turn(scene, 1000000000);
    CHECK_EQ(record.calls, 32);
    CHECK_EQ(scene->poller->counters.requeues, 1);
    CHECK_EQ(scene_turn(scene, -1), 1); /* It does not sleep. */
    CHECK_EQ(record.calls, 64);
    while (record.bytes_count < CHUNK * CHUNKS)
        scene_turn(scene, 1000000000);
    scene_close(scene, &scene->near);
    CHECK_EQ(record.result, -ECANCELED);
}

Conformance(recv, grows_what_it_reads_at_once)
{
    enum { LEN = 32768 };
    static const char zeros[LEN];
    struct record record = {0};
    struct record sending = {0};
    weft_operation_send(&sending.operation, &scene->far, zeros, LEN, record_call);
    CHECK_EQ(scene_submit(scene, &sending), LEN);
    scene_settle(scene);
    weft_operation_recv(&record.operation, &scene->near, NULL, 0, record_call);
    CHECK_EQ(scene_submit(scene, &record), 4096);
    CHECK_EQ(scene_submit(scene, &record), 8192);
    CHECK_EQ(scene_submit(scene, &record), 16384);
    CHECK_EQ(scene_submit(scene, &record), 4096);
}

static void stop_filling(struct record *record)
{
    record->status = 0;
}

Conformance(recv, multishot_passes_a_fatal_status_on_and_stays_pending)
{
    struct record record = {.status = -4300, .then = stop_filling};
    weft_operation_recv(&record.operation, &scene->near, NULL, 1, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    scene_send(scene, &scene->far, "ab");
    struct weft_work_list ready = {NULL, NULL, 0};
    int status = 0;
    while (status == 0) {
        CHECK(scene->poller->ops->wait(scene->poller, 1000000000, &ready) >= 0);
        struct weft_work *work = weft_work_list_pop(&ready);
        status = work == NULL ? 0 : work->run(work);
    }
    CHECK_EQ(status, -4300);
    CHECK_EQ(record.calls, 1);
    CHECK(weft_operation_is_pending(&record.operation));
    scene_await(scene, &record, 2);
    CHECK_EQ(memcmp(record.bytes, "ab", 2), 0);
    scene_close(scene, &scene->near);
}
