/*
 * Transports: the rules TR-1 to TR-6 of the semantics, and what a server needs beyond them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/net/scene.h"
#include "weft/memory.h"

static char order[64];

static int note_waiter(struct weft_future *future, void *arg)
{
    (void)future, (void)arg;
    strcat(order, "waiter ");
    return 0;
}

static void note_made(struct peer *peer)
{
    CHECK(weft_transport_is_reading(peer->transport));
    strcat(order, "made ");
}

static void note_data(struct peer *peer, const void *data, size_t len)
{
    (void)peer, (void)data, (void)len;
    strcat(order, "data ");
}

Test(transport, TR_1_connection_made_comes_before_reading_and_the_waiter, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.on_made = note_made;
    scene.model.on_data = note_data;
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    plain_write(fds[1], "early");
    struct weft_make_socket args = {.size = sizeof(args), .fd = fds[0]};
    CHECK_EQ(weft_loop_create_future(scene.loop, &args.waiter), 0);
    CHECK_EQ(weft_future_add_done_callback(args.waiter, note_waiter, NULL, NULL), 0);
    CHECK_EQ(scene_factory(&scene, &args.protocol), 0);
    struct weft_transport *transport;
    CHECK_EQ(weft_loop_make_socket(scene.loop, &args, &transport), 0);
    CHECK_STR(order, "");
    CHECK(!weft_future_done(args.waiter));
    scene_turn(&scene); /* all three entries are of one iteration */
    CHECK_STR(order, "made ");
    CHECK(weft_future_done(args.waiter));
    RUN_UNTIL(&scene, scene.peers[0]->calls == 1);
    CHECK_STR(order, "made waiter data ");
    weft_future_unref(args.waiter);
    close(fds[1]);
    scene_close(&scene);
}

Test(transport, TR_1_connection_lost_comes_once_from_the_queue_with_nothing_for_a_close, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    CHECK_EQ(weft_transport_close(peer->transport), 0);
    CHECK_EQ(weft_transport_close(peer->transport), 0);
    CHECK_EQ(weft_transport_abort(peer->transport), 0);
    CHECK_EQ(peer->lost, 0);
    RUN_UNTIL(&scene, peer->lost == 1);
    CHECK_EQ(peer->lost_status, 0);
    scene_settle(&scene);
    CHECK_EQ(plain_read_status(fd), 0);
    close(fd);
    scene_close(&scene);
}

Test(transport, TR_1_lost_follows_made_where_both_are_queued, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct weft_make_socket args = {.size = sizeof(args)};
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    args.fd = fds[0];
    fd = fds[1];
    CHECK_EQ(scene_factory(&scene, &args.protocol), 0);
    struct weft_transport *transport;
    CHECK_EQ(weft_loop_make_socket(scene.loop, &args, &transport), 0);
    CHECK_EQ(weft_transport_abort(transport), 0);
    RUN_UNTIL(&scene, scene.peers[0]->lost == 1);
    CHECK_STR(scene.peers[0]->log, "made lost");
    close(fd);
    scene_close(&scene);
}

Test(transport, TR_2_limits_are_completed_as_asyncio_does, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    size_t high, low;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    weft_transport_get_write_buffer_limits(peer->transport, &high, &low);
    CHECK(low == 16384 && high == 65536);
    CHECK_EQ(weft_transport_set_write_buffer_limits(peer->transport, 1000, -1), 0);
    weft_transport_get_write_buffer_limits(peer->transport, &high, &low);
    CHECK(low == 250 && high == 1000);
    CHECK_EQ(weft_transport_set_write_buffer_limits(peer->transport, -1, 1000), 0);
    weft_transport_get_write_buffer_limits(peer->transport, &high, &low);
    CHECK(low == 1000 && high == 4000);
    CHECK_EQ(weft_transport_set_write_buffer_limits(peer->transport, 10, 11), -EINVAL);
    CHECK_EQ(weft_transport_set_write_buffer_limits(peer->transport, -1, -1), 0);
    weft_transport_get_write_buffer_limits(peer->transport, &high, &low);
    CHECK(low == 16384 && high == 65536);
    close(fd);
    scene_close(&scene);
}

/* Write blocks of zeroes until the kernel takes no more and at least `bytes` wait. */
static size_t write_until_stuck(struct peer *peer, size_t bytes)
{
    static char block[16384];
    size_t written = 0;
    while (weft_transport_get_write_buffer_size(peer->transport) < bytes) {
        CHECK_EQ(weft_transport_write(peer->transport, block, sizeof(block)), 0);
        written += sizeof(block);
    }
    return written;
}

static size_t drain(struct scene *scene, int fd, size_t bytes)
{
    char buf[65536];
    size_t total = 0;
    while (total < bytes) {
        total += plain_read(fd, buf, sizeof(buf));
        scene_turn(scene);
    }
    return total;
}

Test(transport, TR_2_writing_is_paused_above_high_and_resumed_at_low_once_each_and_inline, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    size_t written = write_until_stuck(peer, 65536);
    size_t waiting = weft_transport_get_write_buffer_size(peer->transport);
    CHECK_EQ(peer->pauses, waiting > 65536);
    written += write_until_stuck(peer, 65537);
    CHECK_EQ(peer->pauses, 1);
    written += write_until_stuck(peer, 200000);
    CHECK_EQ(peer->pauses, 1);
    CHECK_EQ(peer->resumes, 0);
    CHECK_EQ(drain(&scene, fd, written), written);
    CHECK_EQ(peer->pauses, 1);
    CHECK_EQ(peer->resumes, 1);
    CHECK_EQ(weft_transport_get_write_buffer_size(peer->transport), 0);
    CHECK_STR(peer->log, "made pause resume");
    close(fd);
    scene_close(&scene);
}

Test(transport, TR_2_new_limits_measure_what_waits_already, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    (void)write_until_stuck(peer, 1);
    CHECK_EQ(peer->pauses, 0);
    CHECK_EQ(weft_transport_set_write_buffer_limits(peer->transport, 0, -1), 0);
    CHECK_EQ(peer->pauses, 1);
    close(fd);
    scene_close(&scene);
}

static void write_more(struct peer *peer)
{
    if (peer->resumes < 20)
        (void)write_until_stuck(peer, 65537);
}

Test(transport, TR_2_a_protocol_may_write_as_it_is_resumed, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.on_resume = write_more;
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    (void)write_until_stuck(peer, 65537);
    char buf[65536];
    while (peer->resumes < 20 || weft_transport_get_write_buffer_size(peer->transport) > 0) {
        (void)plain_read(fd, buf, sizeof(buf));
        scene_turn(&scene);
    }
    CHECK_EQ(peer->pauses, 20);
    CHECK_EQ(peer->resumes, 20);
    close(fd);
    scene_close(&scene);
}

Test(transport, TR_3_an_end_closes_unless_the_protocol_keeps_it_open, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    plain_write(fd, "bye");
    close(fd);
    RUN_UNTIL(&scene, peer->lost == 1);
    CHECK_STR(peer->log, "made data eof lost");
    CHECK_EQ(peer->lost_status, 0);
    scene_close(&scene);
}

Test(transport, TR_3_half_open_still_writes, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.keeps_open = true;
    int fd;
    char buf[16];
    struct peer *peer = scene_connect(&scene, &fd);
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    RUN_UNTIL(&scene, peer->eofs == 1);
    scene_settle(&scene);
    CHECK_EQ(peer->lost, 0);
    CHECK(!weft_transport_is_closing(peer->transport));
    CHECK_EQ(weft_transport_write(peer->transport, "late", 4), 0);
    scene_settle(&scene);
    CHECK_EQ(plain_read(fd, buf, sizeof(buf)), 4);
    CHECK_EQ(weft_transport_close(peer->transport), 0);
    RUN_UNTIL(&scene, peer->lost == 1);
    close(fd);
    scene_close(&scene);
}

Test(transport, TR_3_writes_after_a_close_are_dropped_silently, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    CHECK_EQ(weft_transport_close(peer->transport), 0);
    CHECK(weft_transport_is_closing(peer->transport));
    CHECK(!weft_transport_is_reading(peer->transport));
    CHECK_EQ(weft_transport_write(peer->transport, "x", 1), 0);
    CHECK_EQ(weft_transport_write_eof(peer->transport), 0);
    CHECK_EQ(weft_transport_get_write_buffer_size(peer->transport), 0);
    RUN_UNTIL(&scene, peer->lost == 1);
    scene_settle(&scene);
    CHECK_EQ(plain_read_status(fd), 0);
    close(fd);
    scene_close(&scene);
}

Test(transport, TR_4_a_close_sends_what_waits_and_reads_no_more, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    size_t written = write_until_stuck(peer, 100000);
    CHECK_EQ(weft_transport_close(peer->transport), 0);
    plain_write(fd, "unread");
    scene_settle(&scene);
    CHECK_EQ(peer->lost, 0);
    CHECK_EQ(peer->calls, 0);
    CHECK_EQ(drain(&scene, fd, written), written);
    RUN_UNTIL(&scene, peer->lost == 1);
    CHECK_EQ(peer->lost_status, 0);
    CHECK_EQ(peer->calls, 0);
    close(fd);
    scene_close(&scene);
}

Test(transport, TR_4_an_abort_drops_what_waits, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    size_t written = write_until_stuck(peer, 100000);
    CHECK_EQ(weft_transport_abort(peer->transport), 0);
    CHECK_EQ(weft_transport_get_write_buffer_size(peer->transport), 0);
    RUN_UNTIL(&scene, peer->lost == 1);
    CHECK_EQ(peer->lost_status, 0);
    scene_settle(&scene);
    size_t total = 0, count;
    char buf[65536];
    while ((count = plain_read(fd, buf, sizeof(buf))) > 0)
        total += count;
    CHECK(total < written);
    close(fd);
    scene_close(&scene);
}

Test(transport, TR_5_a_write_after_write_eof_is_refused, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    char buf[16];
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    CHECK(weft_transport_can_write_eof(peer->transport));
    CHECK_EQ(weft_transport_write(peer->transport, "last", 4), 0);
    CHECK_EQ(weft_transport_write_eof(peer->transport), 0);
    CHECK_EQ(weft_transport_write_eof(peer->transport), 0);
    CHECK_EQ(weft_transport_write(peer->transport, "x", 1), -EPIPE);
    scene_settle(&scene);
    CHECK_EQ(plain_read(fd, buf, sizeof(buf)), 4);
    CHECK_EQ(plain_read_status(fd), 0);
    plain_write(fd, "answer");
    RUN_UNTIL(&scene, peer->len == 6);
    close(fd);
    RUN_UNTIL(&scene, peer->lost == 1);
    scene_close(&scene);
}

Test(transport, TR_5_write_eof_waits_for_what_was_written_before, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    size_t written = write_until_stuck(peer, 100000);
    CHECK_EQ(weft_transport_write_eof(peer->transport), 0);
    CHECK_EQ(weft_transport_close(peer->transport), 0);
    CHECK_EQ(drain(&scene, fd, written), written);
    RUN_UNTIL(&scene, peer->lost == 1);
    CHECK_EQ(plain_read_status(fd), 0);
    close(fd);
    scene_close(&scene);
}

Test(transport, TR_6_pause_and_resume_are_idempotent_and_lose_nothing, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    scene_settle(&scene);
    CHECK_EQ(weft_transport_pause_reading(peer->transport), 0);
    CHECK_EQ(weft_transport_pause_reading(peer->transport), 0);
    CHECK(!weft_transport_is_reading(peer->transport));
    plain_write(fd, "one");
    scene_settle(&scene);
    CHECK_EQ(peer->len, 0);
    CHECK_EQ(weft_transport_resume_reading(peer->transport), 0);
    CHECK_EQ(weft_transport_resume_reading(peer->transport), 0);
    CHECK_EQ(peer->len, 0);
    RUN_UNTIL(&scene, peer->len == 3);
    CHECK_EQ(weft_transport_pause_reading(peer->transport), 0);
    CHECK_EQ(weft_transport_resume_reading(peer->transport), 0); /* before the cancel has come home */
    plain_write(fd, "two");
    RUN_UNTIL(&scene, peer->len == 6);
    CHECK_EQ(weft_transport_close(peer->transport), 0);
    CHECK_EQ(weft_transport_pause_reading(peer->transport), 0);
    CHECK_EQ(weft_transport_resume_reading(peer->transport), 0);
    RUN_UNTIL(&scene, peer->lost == 1);
    close(fd);
    scene_close(&scene);
}

static void pause_now(struct peer *peer, const void *data, size_t len)
{
    (void)data, (void)len;
    CHECK_EQ(weft_transport_pause_reading(peer->transport), 0);
}

Test(transport, TR_6_an_end_that_comes_while_paused_is_told_after_the_bytes, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.on_data = pause_now;
    int fd;
    struct peer *peer = scene_connect_buffered(&scene, &fd); /* takes 8 bytes at a time: the rest is held */
    plain_write(fd, "0123456789abcdefghij");
    close(fd);
    RUN_UNTIL(&scene, peer->len == 8);
    scene_settle(&scene);
    CHECK_EQ(peer->len, 8);
    CHECK_EQ(weft_transport_resume_reading(peer->transport), 0);
    RUN_UNTIL(&scene, peer->len == 16);
    CHECK_EQ(peer->eofs, 0);
    CHECK_EQ(weft_transport_resume_reading(peer->transport), 0);
    RUN_UNTIL(&scene, peer->len == 20);
    scene_settle(&scene);
    CHECK_EQ(peer->eofs, 0);
    CHECK_EQ(weft_transport_resume_reading(peer->transport), 0);
    RUN_UNTIL(&scene, peer->lost == 1);
    CHECK_EQ(memcmp(peer->data, "0123456789abcdefghij", 20), 0);
    scene_close(&scene);
}

Test(transport, a_stalled_reader_gets_every_byte_in_order, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.on_data = pause_now;
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    size_t total = 1 << 20, written = 0;
    while (peer->len < total) {
        unsigned char buf[4096];
        for (size_t i = 0; i < sizeof(buf); i++)
            buf[i] = (unsigned char)((written + i) % 251);
        if (written < total) {
            ssize_t count = send(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);
            written += count > 0 ? (size_t)count : 0;
        }
        scene_turn(&scene);
        if (peer->transport != NULL)
            CHECK_EQ(weft_transport_resume_reading(peer->transport), 0);
    }
    for (size_t i = 0; i < total; i++)
        CHECK((unsigned char)peer->data[i] == i % 251);
    close(fd);
    scene_close(&scene);
}

Test(transport, a_buffered_protocol_gets_its_bytes_where_it_wants_them, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect_buffered(&scene, &fd);
    plain_write(fd, "0123456789abcdefghij");
    RUN_UNTIL(&scene, peer->len == 20);
    CHECK_EQ(peer->calls, 3);
    CHECK_EQ(memcmp(peer->data, "0123456789abcdefghij", 20), 0);
    close(fd);
    scene_close(&scene);
}

Test(transport, a_failing_data_received_is_reported_and_ends_the_connection_with_its_status, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.answer = -EPROTO;
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    plain_write(fd, "x");
    RUN_UNTIL(&scene, peer->lost == 1);
    CHECK_EQ(peer->lost_status, -EPROTO);
    CHECK_EQ(scene.reports, 1);
    CHECK_EQ(scene.report_status, -EPROTO);
    close(fd);
    scene_close(&scene);
}

Test(transport, a_fatal_status_of_a_callback_leaves_the_loop, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.answer = WEFT_EEXIT;
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    plain_write(fd, "x");
    int status = 0;
    while (status == 0)
        status = loop_turn(scene.loop, true);
    CHECK_EQ(status, WEFT_EEXIT);
    CHECK_EQ(peer->lost, 0);
    CHECK_EQ(scene.reports, 0);
    close(fd);
    scene_close(&scene);
}

Test(transport, a_reset_comes_with_its_status_and_is_counted, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    struct weft_server *server;
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &server), 0);
    int fd = plain_connect(weft_server_get_port(server));
    RUN_UNTIL(&scene, scene.peer_count == 1 && scene.peers[0]->made == 1);
    scene_settle(&scene);
    plain_reset(fd);
    RUN_UNTIL(&scene, scene.peers[0]->lost == 1);
    CHECK_EQ(scene.peers[0]->lost_status, -ECONNRESET);
    struct weft_transport_counters counters;
    CHECK_EQ(weft_loop_get_transport_counters(scene.loop, &counters), 0);
    CHECK_EQ(counters.resets, 1);
    CHECK_EQ(counters.accepted, 1);
    CHECK_EQ(counters.closed, 1);
    CHECK_EQ(scene.reports, 0);
    weft_server_unref(server);
    scene_close(&scene);
}

Test(transport, a_write_to_a_peer_that_is_gone_ends_the_connection_without_a_signal, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    CHECK_EQ(weft_transport_pause_reading(peer->transport), 0);
    close(fd);
    CHECK_EQ(weft_transport_write(peer->transport, "x", 1), 0);
    RUN_UNTIL(&scene, peer->lost == 1);
    CHECK_EQ(peer->lost_status, -EPIPE);
    scene_close(&scene);
}

static void write_thrice(struct peer *peer, const void *data, size_t len)
{
    (void)data, (void)len;
    CHECK_EQ(weft_transport_write(peer->transport, "a", 1), 0);
    CHECK_EQ(weft_transport_write(peer->transport, "b", 1), 0);
    CHECK_EQ(weft_transport_write(peer->transport, "c", 1), 0);
    CHECK_EQ(weft_transport_get_write_buffer_size(peer->transport), 3);
}

Test(transport, what_a_callback_writes_is_sent_as_it_returns, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.on_data = write_thrice;
    int fd;
    char buf[8];
    struct peer *peer = scene_connect(&scene, &fd);
    plain_write(fd, "x");
    RUN_UNTIL(&scene, peer->calls == 1);
    CHECK_EQ(plain_read(fd, buf, sizeof(buf)), 3);
    CHECK_EQ(weft_transport_get_write_buffer_size(peer->transport), 0);
    close(fd);
    scene_close(&scene);
}

Test(transport, pieces_of_any_size_are_written_as_one, .timeout = 10)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    static unsigned char bytes[300000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 7 % 253);
    size_t sizes[] = {1, 0, 2031, 2032, 1, 5000, 70000, 3, 150000}, at = 0;
    struct iovec iov[9];
    for (size_t i = 0; i < 9; i++) {
        iov[i] = (struct iovec){bytes + at, sizes[i]};
        at += sizes[i];
    }
    CHECK_EQ(weft_transport_writev(peer->transport, iov, 4), 0);
    CHECK_EQ(weft_transport_writev(peer->transport, iov + 4, 5), 0);
    static unsigned char got[sizeof(bytes)];
    size_t total = 0;
    while (total < at) {
        total += plain_read(fd, (char *)got + total, sizeof(got) - total);
        scene_turn(&scene);
    }
    CHECK_EQ(total, at);
    CHECK_EQ(memcmp(got, bytes, at), 0);
    close(fd);
    scene_close(&scene);
}

Test(transport, a_cap_on_waiting_bytes_refuses_a_write_as_a_whole, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    static char block[2000000];
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    CHECK_EQ(weft_transport_set_write_buffer_max(peer->transport, 1000000), 0);
    CHECK_EQ(weft_transport_write(peer->transport, block, sizeof(block)), WEFT_EFULL);
    CHECK_EQ(weft_transport_get_write_buffer_size(peer->transport), 0);
    CHECK_EQ(weft_transport_write(peer->transport, block, 1000000), 0);
    size_t waiting = weft_transport_get_write_buffer_size(peer->transport);
    CHECK(waiting > 0);
    CHECK_EQ(weft_transport_write(peer->transport, block, 1000001 - waiting), WEFT_EFULL);
    CHECK_EQ(weft_transport_write(peer->transport, block, 1000000 - waiting), 0);
    close(fd);
    scene_close(&scene);
}

Test(transport, a_protocol_can_be_replaced, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    struct weft_protocol *protocol;
    CHECK_EQ(scene_factory(&scene, &protocol), 0);
    struct weft_transport *transport = peer->transport;
    CHECK_EQ(weft_transport_set_protocol(transport, NULL), -EINVAL);
    CHECK_EQ(weft_transport_set_protocol(transport, protocol), 0);
    CHECK(weft_transport_get_protocol(transport) == protocol);
    scene.peers[1]->transport = transport;
    scene.peers[1]->made = 1;
    plain_write(fd, "x");
    RUN_UNTIL(&scene, scene.peers[1]->len == 1);
    CHECK_EQ(peer->len, 0);
    peer->lost = 1; /* it is the test's again */
    close(fd);
    scene_close(&scene);
}

Test(transport, a_reference_outlives_the_connection_and_the_loop, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    struct weft_transport *transport = weft_transport_ref(peer->transport);
    close(fd);
    RUN_UNTIL(&scene, peer->lost == 1);
    CHECK_EQ(weft_transport_write(transport, "x", 1), 0);
    CHECK_EQ(weft_transport_close(transport), 0);
    CHECK(weft_transport_get_protocol(transport) == NULL);
    CHECK_EQ(oom_live() > 0, 1);
    loop_leave(scene.loop);
    CHECK_EQ(weft_loop_close(scene.loop), 0);
    CHECK_EQ(weft_transport_write(transport, "x", 1), WEFT_ECLOSED);
    CHECK_EQ(loop_enter(scene.loop), WEFT_ECLOSED);
    weft_transport_unref(transport);
    weft_transport_unref(NULL);
    weft_loop_unref(scene.loop);
    CHECK_EQ(oom_live(), scene.live_before);
    free(peer->data);
    free(peer);
}

Test(transport, a_closing_loop_tells_every_protocol, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd, other;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    (void)write_until_stuck(peer, 100000);
    struct peer *unmade = scene_connect(&scene, &other);
    scene_close(&scene);
    (void)unmade; /* scene_close() has checked that both heard of it once */
    close(fd);
    close(other);
}

Test(transport, extra_information_tells_addresses_and_descriptor, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd, own;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    struct sockaddr_storage storage;
    size_t len = sizeof(storage);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_PEERNAME, &storage, &len), 0);
    CHECK_EQ(storage.ss_family, AF_UNIX);
    len = sizeof(own);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_FD, &own, &len), 0);
    CHECK(own >= 0 && own != fd);
    len = 1;
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_FD, &own, &len), -ENOBUFS);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_SOCKNAME, &storage, &len), -ENOBUFS);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_KIND, &storage, &len), -ENOTSUP);
    CHECK_EQ(weft_transport_get_extra(peer->transport, WEFT_EXTRA_FD, NULL, &len), -EINVAL);
    close(fd);
    scene_close(&scene);
}

Test(transport, every_write_may_run_out_of_memory_and_takes_all_or_nothing, .timeout = 10)
{
    for (uint64_t n = 1;; n++) {
        struct scene scene;
        scene_open(&scene);
        int fd;
        struct peer *peer = scene_connect(&scene, &fd);
        RUN_UNTIL(&scene, peer->made == 1);
        oom_start(n);
        int status = weft_transport_write(peer->transport, "hello", 5);
        bool was_refused = oom_stop();
        CHECK_EQ(status, was_refused ? -ENOMEM : 0);
        CHECK_EQ(weft_transport_get_write_buffer_size(peer->transport), was_refused ? 0 : 5);
        scene_settle(&scene);
        close(fd);
        scene_close(&scene);
        if (!was_refused)
            break;
    }
}

Test(transport, making_one_may_run_out_of_memory_and_leaves_the_descriptor_alone, .timeout = 10)
{
    for (uint64_t n = 1;; n++) {
        struct scene scene;
        scene_open(&scene);
        int fds[2];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        struct weft_make_socket args = {.size = sizeof(args), .fd = fds[0]};
        struct weft_transport *transport;
        CHECK_EQ(scene_factory(&scene, &args.protocol), 0);
        CHECK_EQ(weft_loop_create_future(scene.loop, &args.waiter), 0);
        oom_start(n);
        int status = weft_loop_make_socket(scene.loop, &args, &transport);
        bool was_refused = oom_stop();
        CHECK_EQ(status, was_refused ? -ENOMEM : 0);
        if (was_refused) {
            CHECK_EQ(close(fds[0]), 0);
            scene.peers[0]->lost = 1;
        }
        weft_future_unref(args.waiter);
        close(fds[1]);
        scene_close(&scene);
        if (!was_refused)
            break;
    }
}

Test(transport, wrong_arguments_are_refused, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    struct weft_transport *transport;
    RUN_UNTIL(&scene, peer->made == 1);
    CHECK_EQ(weft_transport_write(NULL, "x", 1), -EINVAL);
    CHECK_EQ(weft_transport_write(peer->transport, NULL, 1), -EINVAL);
    CHECK_EQ(weft_transport_write(peer->transport, NULL, 0), 0);
    CHECK_EQ(weft_transport_writev(peer->transport, NULL, 1), -EINVAL);
    CHECK_EQ(weft_transport_set_timeouts(peer->transport, -1, 0), -EINVAL);
    CHECK_EQ(weft_transport_set_deadline(peer->transport, -1), -EINVAL);
    CHECK_EQ(weft_transport_set_deadline(peer->transport, INT64_MAX), -EINVAL);
    CHECK_EQ(weft_loop_make_socket(scene.loop, NULL, &transport), -EINVAL);
    struct weft_make_socket args = {.size = 8, .fd = fd};
    CHECK_EQ(weft_loop_make_socket(scene.loop, &args, &transport), WEFT_EPROTOCOL);
    args.size = sizeof(args);
    CHECK_EQ(weft_loop_make_socket(scene.loop, &args, &transport), -EINVAL);
    CHECK_EQ(weft_loop_get_transport_counters(scene.loop, NULL), -EINVAL);
    close(fd);
    scene_close(&scene);
}

struct stranger {
    struct weft_transport *transport;
    struct weft_server *server;
    struct weft_loop *loop;
};

/* Calls from a thread that the loop does not run in. */
static void *call_all(void *arg)
{
    struct stranger *stranger = arg;
    struct weft_transport *transport = stranger->transport;
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    struct weft_future *future;
    CHECK_EQ(weft_transport_write(transport, "x", 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_write_eof(transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_close(transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_abort(transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_pause_reading(transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_resume_reading(transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_set_write_buffer_limits(transport, 1, 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_set_timeouts(transport, 1, 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_set_deadline(transport, 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_server_close(stranger->server), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_server_close_clients(stranger->server), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_server_wait_closed(stranger->server, &future), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_server_serve_forever(stranger->server, &future), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_loop_create_server(stranger->loop, scene_factory, NULL, &options, &server), WEFT_EWRONGTHREAD);
    return NULL;
}

Test(transport, ADD_7_calls_from_another_thread_are_refused, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    struct stranger stranger = {peer->transport, NULL, scene.loop};
    CHECK_EQ(weft_loop_create_server(scene.loop, scene_factory, &scene, &options, &stranger.server), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, call_all, &stranger), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    scene_settle(&scene);
    CHECK_EQ(peer->lost, 0);
    close(fd);
    weft_server_unref(stranger.server);
    scene_close(&scene);
}
