/*
 * Clients: connections opened, used and left in every way, against whichever lane's server the kernel picks.
 *
 * A conversation has a writer, which is a task of its own, and a reader, which compares what comes with what was sent. Of a graceful one
 * every byte must come back, and the server's own count and sum; of a disturbed one what comes must be what was sent, as far as it goes.
 */
#include <errno.h>
#include <sys/socket.h>

#include "tests/soak/soak.h"
#include "tests/soak/wire.h"
#include "weft/fiber.h"
#include "weft/status.h"
#include "weft/stream.h"

enum { PIECE_BYTES = 6000, READ_BYTES = 6000, PAUSE_MAX_NS = 6000000, OPEN_TIMEOUT_S = 30 };

/* How a client leaves. */
enum farewell {
    FAREWELL_END,   /* half-closes, and reads to the end */
    FAREWELL_RESET, /* resets in the middle */
    FAREWELL_CLOSE, /* closes in the middle */
    FAREWELL_STALL, /* reads nothing until the writer is stuck, and goes */
    FAREWELL_COUNT,
};

struct conversation {
    struct lane *lane;
    struct weft_stream *stream;
    struct wire_head head;
    struct wire_trailer sent; /* what the writer wrote */
    uint64_t total;           /* what it is to write */
    uint64_t received;
    struct wire_trailer trailer;
};

/* What a broken connection may give. */
static bool is_breakage(int status)
{
    return status == -ECONNRESET || status == -EPIPE || status == WEFT_ELOST || status == -ECANCELED;
}

/* ---- writing -------------------------------------------------------------------------------------------------------------------- */

static int write_piece(struct conversation *talk)
{
    unsigned char buf[PIECE_BYTES];
    uint64_t left = talk->total - talk->sent.bytes;
    size_t len = (size_t)lane_between(talk->lane, 1, left < sizeof(buf) ? left : sizeof(buf));
    for (size_t i = 0; i < len; i++)
        buf[i] = wire_byte(&talk->head, talk->sent.bytes + i);
    int status = weft_stream_write(talk->stream, buf, len);
    if (status < 0)
        return status;
    wire_add(&talk->sent, buf, len);
    return weft_stream_drain(talk->stream);
}

static int write_all(void *arg, void **result_out)
{
    struct conversation *talk = arg;
    (void)result_out;
    talk->lane->counts.bodies_begun++;
    int status = 0;
    while (status == 0 && talk->sent.bytes < talk->total) {
        status = write_piece(talk);
        if (status == 0 && lane_once_in(talk->lane, 16))
            status = lane_pause(talk->lane, PAUSE_MAX_NS / 16);
    }
    if (status == 0)
        status = weft_stream_write_eof(talk->stream);
    talk->lane->counts.bodies_ended++;
    return status;
}

/* ---- reading -------------------------------------------------------------------------------------------------------------------- */

/* Compare, and keep what lies behind the echo. */
static int take_piece(struct conversation *talk, const unsigned char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++, talk->received++) {
        uint64_t beyond = talk->received - talk->total;
        if (talk->received < talk->total && buf[i] != wire_byte(&talk->head, talk->received))
            return -EBADMSG;
        if (talk->received >= talk->total + sizeof(talk->trailer))
            return -EMSGSIZE;
        if (talk->received >= talk->total)
            ((unsigned char *)&talk->trailer)[beyond] = buf[i];
    }
    talk->lane->counts.bytes_checked += len;
    return 0;
}

/* Read until the end, or about `bytes_max`: the last status of reading. */
static int read_all(struct conversation *talk, uint64_t bytes_max)
{
    unsigned char buf[READ_BYTES];
    while (talk->received < bytes_max) {
        int count = weft_stream_read(talk->stream, buf, (size_t)lane_between(talk->lane, 1, sizeof(buf)));
        if (count <= 0)
            return count;
        int status = take_piece(talk, buf, (size_t)count);
        if (status < 0)
            return status;
    }
    return 0;
}

struct reading {
    struct conversation *talk;
    int status;
};

static int read_body(void *arg, void **result_out)
{
    struct reading *reading = arg;
    (void)result_out;
    reading->talk->lane->counts.bodies_begun++;
    reading->status = read_all(reading->talk, UINT64_MAX);
    reading->talk->lane->counts.bodies_ended++;
    return reading->status;
}

/* Begin to read in a task, cancel that, and read on: a cancelled read loses no byte. */
static int read_all_interrupted(struct conversation *talk)
{
    struct reading reading = {talk, 0};
    struct weft_task *task;
    int status = weft_loop_create_fiber(talk->lane->loop, read_body, &reading, &task);
    if (status < 0)
        return status;
    int64_t timeout_ns = (int64_t)lane_between(talk->lane, 0, PAUSE_MAX_NS);
    status = weft_wait_for(&task->future, timeout_ns, NULL);
    weft_task_unref(task);
    return status == -ETIMEDOUT ? read_all(talk, UINT64_MAX) : status;
}

/* ---- a conversation ------------------------------------------------------------------------------------------------------------- */

static void leave_with_reset(struct conversation *talk)
{
    const struct linger linger = {1, 0};
    struct weft_transport *transport = weft_stream_get_transport(talk->stream);
    int fd = -1;
    if (weft_transport_get_extra(transport, WEFT_EXTRA_FD, &fd, &(size_t){sizeof(fd)}) == 0 && !weft_transport_is_closing(transport))
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    lane_expect(talk->lane, weft_transport_abort(transport), "an abort");
}

static void check_graceful(struct conversation *talk, int status)
{
    struct lane *lane = talk->lane;
    lane_expect(lane, status, "a graceful conversation");
    bool is_whole = status == 0 && talk->sent.bytes == talk->total && talk->received == talk->total + sizeof(talk->trailer);
    bool is_same = is_whole && talk->trailer.bytes == talk->sent.bytes && talk->trailer.sum == talk->sent.sum;
    lane->counts.graceful_ended += is_same;
    lane->counts.bytes_sent += talk->sent.bytes;
    lane->counts.bytes_echoed += talk->received < talk->total ? talk->received : talk->total;
}

static void check_disturbed(struct conversation *talk, int status)
{
    lane_expect(talk->lane, is_breakage(status) ? 0 : status, "a disturbed conversation");
    lane_expect(talk->lane, talk->received <= talk->sent.bytes + sizeof(talk->trailer) ? 0 : -EMSGSIZE, "more than was sent");
}

static int talk_read(struct conversation *talk, enum farewell farewell)
{
    struct lane *lane = talk->lane;
    switch (farewell) {
    case FAREWELL_RESET:
    case FAREWELL_CLOSE:
        return read_all(talk, lane_between(lane, 0, talk->total));
    case FAREWELL_STALL:
        return lane_pause(lane, (uint64_t)2 * PAUSE_MAX_NS);
    default:
        return lane_once_in(lane, 3) ? read_all_interrupted(talk) : read_all(talk, UINT64_MAX);
    }
}

static int converse(struct conversation *talk, enum farewell farewell, struct weft_task *writer)
{
    int status = talk_read(talk, farewell);
    if (farewell == FAREWELL_RESET)
        leave_with_reset(talk);
    else if (farewell == FAREWELL_CLOSE || farewell == FAREWELL_STALL)
        lane_expect(talk->lane, weft_stream_close(talk->stream), "a close");
    if (farewell != FAREWELL_END)
        (void)weft_task_cancel(writer, "the client leaves");
    if (farewell == FAREWELL_STALL)
        lane_expect(talk->lane, weft_transport_abort(weft_stream_get_transport(talk->stream)), "an abort");
    int written = weft_await(&writer->future, NULL);
    return status == 0 && farewell == FAREWELL_END ? written : status;
}

static void talk_over(struct lane *lane, struct weft_stream *stream)
{
    struct conversation talk = {.lane = lane, .stream = stream};
    enum farewell farewell = lane_once_in(lane, 2) ? FAREWELL_END : (enum farewell)lane_between(lane, 0, FAREWELL_COUNT - 1);
    talk.total = sizeof(talk.head) + lane_between(lane, 0, lane_once_in(lane, 8) ? 400000 : 12000);
    talk.head.id = (uint64_t)lane->index << 32 | lane->client_next++;
    talk.head.mode = lane_once_in(lane, 2) ? (uint32_t)WIRE_PATIENT : (uint32_t)lane_between(lane, 1, WIRE_MODES - 1);
    talk.head.limit = (uint32_t)lane_between(lane, 1, talk.total);
    bool is_graceful = farewell == FAREWELL_END && (talk.head.mode == WIRE_PATIENT || talk.head.mode == WIRE_STALLS);
    struct weft_task *writer;
    int status = weft_loop_create_fiber(lane->loop, write_all, &talk, &writer);
    if (status < 0) {
        lane_expect(lane, status, "a writer");
        return;
    }
    lane->counts.graceful_begun += is_graceful;
    status = converse(&talk, farewell, writer);
    weft_task_unref(writer);
    (is_graceful ? check_graceful : check_disturbed)(&talk, status);
}

/* ---- opening -------------------------------------------------------------------------------------------------------------------- */

static int open_stream(struct lane *lane, struct weft_stream **stream_out)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    options.host = "127.0.0.1";
    options.port = lane->soak->port;
    options.timeout_ns = (int64_t)OPEN_TIMEOUT_S * 1000000000;
    return weft_stream_open(&options, stream_out);
}

static void close_stream(struct lane *lane, struct weft_stream *stream)
{
    (void)weft_stream_close(stream);
    int status = weft_stream_wait_closed(stream);
    lane_expect(lane, is_breakage(status) ? 0 : status, "the end of a client");
    weft_stream_unref(stream);
    lane->counts.clients_closed++;
}

/* As a task, so that it can be cancelled. */
static int open_body(void *arg, void **result_out)
{
    struct lane *lane = arg;
    struct weft_stream *stream;
    (void)result_out;
    lane->counts.bodies_begun++;
    int status = open_stream(lane, &stream);
    if (status == 0) {
        lane->counts.clients_opened++;
        close_stream(lane, stream);
    } else {
        lane->counts.clients_given_up++;
    }
    lane->counts.bodies_ended++;
    return status;
}

static void open_and_give_up(struct lane *lane)
{
    struct weft_task *task;
    int status = weft_loop_create_fiber(lane->loop, open_body, lane, &task);
    for (uint64_t turns = lane_between(lane, 0, 3); status == 0 && turns > 0; turns--)
        status = weft_yield();
    lane_expect(lane, status, "an opening to be given up");
    (void)weft_task_cancel(task, "the client changes its mind");
    status = weft_await(&task->future, NULL);
    lane_expect(lane, status == -ECANCELED || status == -EADDRNOTAVAIL ? 0 : status, "an opening that was given up");
    weft_task_unref(task);
}

static void client_once(struct lane *lane)
{
    struct weft_stream *stream;
    if (lane_once_in(lane, 12)) {
        open_and_give_up(lane);
        return;
    }
    int status = open_stream(lane, &stream);
    if (status < 0) {
        lane->counts.clients_refused++;
        lane_expect(lane, status == -EADDRNOTAVAIL ? 0 : status, "an opening");
        return;
    }
    lane->counts.clients_opened++;
    talk_over(lane, stream);
    close_stream(lane, stream);
}

int client_converse(void *arg, void **result_out)
{
    struct lane *lane = arg;
    (void)result_out;
    while (!soak_is_over(lane->soak)) {
        client_once(lane);
        lane_expect(lane, lane_pause(lane, PAUSE_MAX_NS), "the pause of a client");
    }
    return 0;
}
