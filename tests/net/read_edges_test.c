/*
 * Reading at its edges: protocols that answer with an error, that lack what others have, and that pause while more has come already. The
 * contract is in weft/protocol.h: an error is reported and ends the connection with its status; nothing is lost by a pause.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/net/scene.h"

struct reader {
    struct weft_protocol protocol;
    struct weft_transport *transport; /* until lost */
    int room;                         /* the answers of get_buffer, ... */
    int updated;                      /* of buffer_updated, ... */
    int eof;                          /* and of eof_received */
    bool pauses;                      /* with the first bytes */
    bool lacks_memory;                /* from then on */
    size_t len;                       /* bytes that came */
    int eofs, lost, lost_status;
    char buffer[64];
};

static struct reader *reader_of(struct weft_protocol *protocol)
{
    return (struct reader *)(void *)protocol;
}

static int reader_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    reader_of(protocol)->transport = transport;
    return 0;
}

static int reader_lost(struct weft_protocol *protocol, int status)
{
    reader_of(protocol)->lost++;
    reader_of(protocol)->lost_status = status;
    reader_of(protocol)->transport = NULL;
    return 0;
}

static void take(struct reader *reader, size_t len)
{
    reader->len += len;
    if (!reader->pauses)
        return;
    reader->pauses = false;
    CHECK_EQ(weft_transport_pause_reading(reader->transport), 0);
    if (reader->lacks_memory)
        oom_start_from(1);
}

static int reader_data(struct weft_protocol *protocol, const void *data, size_t len)
{
    (void)data;
    take(reader_of(protocol), len);
    return reader_of(protocol)->updated;
}

static int reader_eof(struct weft_protocol *protocol)
{
    reader_of(protocol)->eofs++;
    return reader_of(protocol)->eof;
}

static int reader_get_buffer(struct weft_protocol *protocol, size_t hint_bytes, void **buf_out)
{
    CHECK(hint_bytes > 0);
    *buf_out = reader_of(protocol)->buffer;
    return reader_of(protocol)->room;
}

static int reader_updated(struct weft_protocol *protocol, size_t len)
{
    take(reader_of(protocol), len);
    return reader_of(protocol)->updated;
}

#define LIFE .size = sizeof(struct weft_protocol_ops), .connection_made = reader_made, .connection_lost = reader_lost

static const struct weft_protocol_ops plain_ops = {LIFE, .data_received = reader_data, .eof_received = reader_eof};
static const struct weft_protocol_ops buffered_ops = {LIFE, .get_buffer = reader_get_buffer, .buffer_updated = reader_updated};
static const struct weft_protocol_ops filled_ops = {LIFE, .get_buffer = reader_get_buffer};
static const struct weft_protocol_ops deaf_ops = {LIFE};

enum { BLOCK_BYTES = 16384 };

static struct scene scene;
static struct reader reader;
static int far;

static void setup(const struct weft_protocol_ops *ops, int room, int updated)
{
    int fds[2];
    scene_open(&scene);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    far = fds[1];
    reader = (struct reader){.protocol.ops = ops, .room = room, .updated = updated};
    struct weft_make_socket args = {.size = sizeof(args), .fd = fds[0], .protocol = &reader.protocol};
    struct weft_transport *transport;
    CHECK_EQ(weft_loop_make_socket(scene.loop, &args, &transport), 0);
    RUN_UNTIL(&scene, reader.transport != NULL);
}

static void drop(void)
{
    close(far);
    RUN_UNTIL(&scene, reader.lost == 1);
    scene_close(&scene);
}

/* What was sent ends the connection with `status`, which is reported once. */
static void ends_with(int status)
{
    RUN_UNTIL(&scene, reader.lost == 1);
    CHECK_EQ(reader.lost_status, status);
    CHECK_EQ(scene.reports, 1);
    CHECK_EQ(scene.report_status, status);
    drop();
}

static void send_blocks(size_t count)
{
    static const char block[BLOCK_BYTES];
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(write(far, block, sizeof(block)), sizeof(block));
}

Test(reading, ends_where_a_protocol_says_an_error_for_a_buffer, .timeout = 5)
{
    setup(&buffered_ops, -EPERM, 0);
    plain_write(far, "hello");
    ends_with(-EPERM);
}

Test(reading, ends_where_a_protocol_has_no_room, .timeout = 5)
{
    setup(&buffered_ops, 0, 0);
    plain_write(far, "hello");
    ends_with(WEFT_EPROTOCOL);
}

Test(reading, ends_where_a_protocol_refuses_a_filled_buffer, .timeout = 5)
{
    setup(&buffered_ops, 2, -EPERM);
    plain_write(far, "hello");
    RUN_UNTIL(&scene, reader.lost == 1);
    CHECK_EQ(reader.len, 2);
    ends_with(-EPERM);
}

Test(reading, ends_where_a_protocol_refuses_bytes, .timeout = 5)
{
    setup(&plain_ops, 0, -EPERM);
    plain_write(far, "hello");
    ends_with(-EPERM);
}

Test(reading, ends_where_a_protocol_says_an_error_for_the_end, .timeout = 5)
{
    setup(&plain_ops, 0, 0);
    reader.eof = -EPERM;
    CHECK_EQ(shutdown(far, SHUT_WR), 0);
    ends_with(-EPERM);
}

Test(reading, a_protocol_may_hear_of_nothing_but_its_life, .timeout = 5)
{
    setup(&deaf_ops, 0, 0);
    plain_write(far, "hello");
    scene_settle(&scene);
    CHECK_EQ(reader.lost, 0);
    CHECK_EQ(shutdown(far, SHUT_WR), 0);
    RUN_UNTIL(&scene, reader.lost == 1);
    CHECK_EQ(reader.lost_status, 0);
    CHECK_EQ(scene.reports, 0);
    drop();
}

Test(reading, a_protocol_may_look_at_its_buffer_when_it_likes, .timeout = 5)
{
    setup(&filled_ops, sizeof(reader.buffer), 0);
    plain_write(far, "hello");
    RUN_UNTIL(&scene, reader.buffer[4] != '\0');
    CHECK_STR(reader.buffer, "hello");
    drop();
}

Test(reading, an_end_that_came_before_a_pause_waits_for_the_resumption, .timeout = 5)
{
    setup(&plain_ops, 0, 0);
    reader.pauses = true;
    plain_write(far, "hello");
    CHECK_EQ(shutdown(far, SHUT_WR), 0);
    RUN_UNTIL(&scene, reader.len == 5);
    scene_settle(&scene);
    CHECK_EQ(reader.eofs, 0);
    CHECK_EQ(weft_transport_resume_reading(reader.transport), 0);
    RUN_UNTIL(&scene, reader.lost == 1);
    CHECK_EQ(reader.eofs, 1);
    drop();
}

/* Far more than one receive takes: the rest of the first, and what further ones had brought already, are kept in order. */
Test(reading, what_came_before_a_pause_waits_for_the_resumption, .timeout = 5)
{
    enum { BLOCKS = 12 };
    setup(&buffered_ops, sizeof(reader.buffer), 0);
    reader.pauses = true;
    send_blocks(BLOCKS);
    CHECK_EQ(shutdown(far, SHUT_WR), 0);
    RUN_UNTIL(&scene, reader.len > 0);
    scene_settle(&scene);
    CHECK_EQ(reader.len, sizeof(reader.buffer));
    CHECK_EQ(weft_transport_resume_reading(reader.transport), 0);
    CHECK_EQ(weft_transport_resume_reading(reader.transport), 0);
    RUN_UNTIL(&scene, reader.len == BLOCKS * BLOCK_BYTES);
    RUN_UNTIL(&scene, reader.lost == 1);
    CHECK_EQ(reader.lost_status, 0);
    drop();
}

Test(reading, ends_where_there_is_no_memory_for_what_came_before_a_pause, .timeout = 5)
{
    setup(&buffered_ops, sizeof(reader.buffer), 0);
    reader.pauses = reader.lacks_memory = true;
    send_blocks(1);
    RUN_UNTIL(&scene, reader.len > 0);
    CHECK(oom_stop());
    RUN_UNTIL(&scene, reader.lost == 1);
    CHECK_EQ(reader.lost_status, -ENOMEM);
    CHECK_EQ(scene.report_status, -ENOMEM);
    drop();
}
