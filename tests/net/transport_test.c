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
    size_t written = peer_write_until_stuck(peer, 65536);
    size_t waiting = weft_transport_get_write_buffer_size(peer->transport);
    CHECK_EQ(peer->pauses, waiting > 65536);
    written += peer_write_until_stuck(peer, 65537);
    CHECK_EQ(peer->pauses, 1);
    written += peer_write_until_stuck(peer, 200000);
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
    (void)peer_write_until_stuck(peer, 1);
    CHECK_EQ(peer->pauses, 0);
    CHECK_EQ(weft_transport_set_write_buffer_limits(peer->transport, 0, -1), 0);
    CHECK_EQ(peer->pauses, 1);
    close(fd);
    scene_close(&scene);
}

static void write_more(struct peer *peer)
{
    if (peer->resumes < 20)
        (void)peer_write_until_stuck(peer, 65537);
}

Test(transport, TR_2_a_protocol_may_write_as_it_is_resumed, .timeout = 5)
{
    struct scene scene;
    scene_open(&scene);
    scene.model.on_resume = write_more;
    int fd;
    struct peer *peer = scene_connect(&scene, &fd);
    RUN_UNTIL(&scene, peer->made == 1);
    (void)peer_write_until_stuck(peer, 65537);
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
    size_t written = peer_write_until_stuck(peer, 100000);
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
    size_t written = peer_write_until_stuck(peer, 100000);
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
    size_t written = peer_write_until_stuck(peer, 100000);
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
