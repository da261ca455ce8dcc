/*
 * The rules of the contract, on transports: what a protocol hears, in which order, and what writing does.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"
#include "tests/conformance/wire.h"
#include "tests/examples/custom_loop.h"
#include "weft/transport.h"

/* A connection of the loop under test: a protocol that notes what it hears, its transport, and the wire behind it. */
struct talk {
    struct weft_protocol protocol;
    struct weft_transport *transport; /* until lost */
    struct wire wire;
    struct weft_future *waiter;
    size_t sent_bytes; /* by the far end */
    size_t received_bytes;
    size_t expected_bytes; /* by the far end */
    int lost_count, lost_status;
    bool stays_half_open;
    bool is_quiet; /* notes nothing but pause and resume */
};

static struct talk *talk_of(struct weft_protocol *protocol)
{
    return weft_container_of(protocol, struct talk, protocol);
}

static int talk_note(struct talk *talk, const char *word)
{
    return talk->is_quiet ? 0 : note((char *)word);
}

static int talk_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    struct talk *talk = talk_of(protocol);
    CHECK(talk->transport == transport);
    CHECK(!weft_future_done(talk->waiter));
    return talk_note(talk, "made");
}

static int talk_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    struct talk *talk = talk_of(protocol);
    CHECK(data != NULL && len > 0);
    CHECK_EQ(talk->lost_count, 0);
    talk->received_bytes += len;
    return talk_note(talk, "data");
}

static int talk_eof(struct weft_protocol *protocol)
{
    struct talk *talk = talk_of(protocol);
    talk_note(talk, "eof");
    return talk->stays_half_open;
}

static int talk_lost(struct weft_protocol *protocol, int status)
{
    struct talk *talk = talk_of(protocol);
    talk->lost_count++;
    talk->lost_status = status;
    talk->transport = NULL;
    return talk_note(talk, "lost");
}

static int talk_pause(struct weft_protocol *protocol)
{
    (void)protocol;
    return note("pause");
}

static int talk_resume(struct weft_protocol *protocol)
{
    (void)protocol;
    return note("resume");
}

static const struct weft_protocol_ops talk_ops = {
    .size = sizeof(talk_ops),
    .connection_made = talk_made,
    .data_received = talk_received,
    .eof_received = talk_eof,
    .connection_lost = talk_lost,
    .pause_writing = talk_pause,
    .resume_writing = talk_resume,
};

/* Make the transport for a wire that is open; nothing has run yet. */
static void talk_make(struct fixture *fixture, struct talk *talk)
{
    talk->protocol.ops = &talk_ops;
    talk->waiter = future_new(fixture->loop);
    const struct weft_make_socket args = {
        .size = sizeof(args), .protocol = &talk->protocol, .fd = talk->wire.near_fd, .waiter = talk->waiter};
    CHECK_EQ(weft_loop_make_socket(fixture->loop, &args, &talk->transport), 0);
}

static void talk_open(struct fixture *fixture, struct talk *talk)
{
    *talk = (struct talk){.lost_count = 0};
    wire_open(fixture, &talk->wire);
    talk_make(fixture, talk);
    run_until_done(fixture->loop, talk->waiter);
    CHECK_STR(notes(), "made");
}

static bool is_lost(void *talk)
{
    return ((struct talk *)talk)->lost_count > 0;
}

/* End the connection if it has not ended yet, and check that its end was told once. */
static void talk_end(struct talk *talk)
{
    if (talk->transport)
        CHECK_EQ(weft_transport_abort(talk->transport), 0);
    run_until(talk->wire.loop, is_lost, talk);
    run_once(talk->wire.loop);
    CHECK_EQ(talk->lost_count, 1);
    wire_close(&talk->wire);
    weft_future_unref(talk->waiter);
}

/* ---- TR-1: the order of a life --------------------------------------------------------------------------------------------------- */

static int note_done_status(struct weft_future *future, void *word)
{
    CHECK_EQ(weft_future_result(future, NULL), 0);
    return note(word);
}

Rule(TR_1, made_then_reading_then_the_waiter_as_three_queue_entries)
{
    struct talk talk = {.lost_count = 0};
    wire_open(fixture, &talk.wire);
    wire_send(&talk.wire, "early");
    call_soon(loop, note, "before");
    talk_make(fixture, &talk);
    CHECK_EQ(weft_future_add_done_callback(talk.waiter, note_done_status, "waiter", NULL), 0);
    call_soon(loop, note, "after");
    CHECK_STR(notes(), "");
    run_once(loop);
    const char *first = notes();
    CHECK(!strncmp(first, "before made", 11));
    CHECK(strstr(first, "after") && !strstr(first, "waiter"));
    CHECK(weft_future_done(talk.waiter));
    run_once(loop);
    run_once(loop);
    CHECK(strstr(notes(), "waiter"));
    CHECK_EQ(talk.received_bytes, 5);
    talk_end(&talk);
}

static bool has_received(void *arg)
{
    const struct talk *talk = arg;
    return talk->received_bytes >= talk->sent_bytes;
}

/* A text of one byte comes at once, whatever reads are short. */
static void far_send(struct talk *talk, const char *text)
{
    talk->sent_bytes += strlen(text);
    wire_send(&talk->wire, text);
}

Rule(TR_1, the_end_of_the_peer_is_told_from_the_queue_with_status_0)
{
    struct talk talk;
    talk_open(fixture, &talk);
    far_send(&talk, "x");
    run_until(loop, has_received, &talk);
    wire_finish(&talk.wire);
    run_until(loop, is_lost, &talk);
    CHECK_STR(notes(), "data eof lost");
    CHECK_EQ(talk.lost_status, 0);
    talk_end(&talk);
}

Rule(TR_1, close_and_abort_tell_the_end_from_the_queue_once_with_status_0)
{
    int (*const ends[])(struct weft_transport *) = {weft_transport_close, weft_transport_abort};
    for (int i = 0; i < 2; i++) {
        struct talk talk;
        talk_open(fixture, &talk);
        CHECK(!weft_transport_is_closing(talk.transport));
        CHECK_EQ(ends[i](talk.transport), 0);
        CHECK(weft_transport_is_closing(talk.transport));
        CHECK_EQ(talk.lost_count, 0);
        run_once(loop);
        CHECK_STR(notes(), "lost");
        CHECK_EQ(talk.lost_status, 0);
        talk_end(&talk);
    }
}

/* ---- TR-2: the limits of writing --------------------------------------------------------------------------------------------------- */

static void check_limits(struct weft_transport *transport, size_t high, size_t low)
{
    size_t high_now = 0, low_now = 0;
    weft_transport_get_write_buffer_limits(transport, &high_now, &low_now);
    CHECK_EQ(high_now, high);
    CHECK_EQ(low_now, low);
}

Rule(TR_2, the_limits_are_16_and_64_kib_and_one_gives_the_other)
{
    struct talk talk;
    talk_open(fixture, &talk);
    check_limits(talk.transport, 65536, 16384);
    CHECK_EQ(weft_transport_set_write_buffer_limits(talk.transport, 1000, -1), 0);
    check_limits(talk.transport, 1000, 250);
    CHECK_EQ(weft_transport_set_write_buffer_limits(talk.transport, -1, 1000), 0);
    check_limits(talk.transport, 4000, 1000);
    CHECK_EQ(weft_transport_set_write_buffer_limits(talk.transport, 10, 10), 0);
    check_limits(talk.transport, 10, 10);
    CHECK_EQ(weft_transport_set_write_buffer_limits(talk.transport, 9, 10), -EINVAL);
    check_limits(talk.transport, 10, 10);
    CHECK_EQ(weft_transport_set_write_buffer_limits(talk.transport, -1, -1), 0);
    check_limits(talk.transport, 65536, 16384);
    talk_end(&talk);
}

static bool is_sent(void *talk)
{
    return weft_transport_get_write_buffer_size(((struct talk *)talk)->transport) == 0;
}

/* A connection whose far end does not read, filled until bytes have to wait. Returns how many were written. */
static size_t talk_open_full(struct fixture *fixture, struct talk *talk)
{
    enum { CHUNK = 32768 };
    char *chunk = calloc(1, CHUNK);
    size_t written = 0;
    *talk = (struct talk){.is_quiet = true};
    wire_open_paused(fixture, &talk->wire);
    talk_make(fixture, talk);
    run_until_done(fixture->loop, talk->waiter);
    CHECK_EQ(weft_transport_set_write_buffer_limits(talk->transport, INT64_C(1) << 40, -1), 0);
    while (weft_transport_get_write_buffer_size(talk->transport) == 0) {
        CHECK_EQ(weft_transport_write(talk->transport, chunk, CHUNK), 0);
        written += CHUNK;
        run_once(fixture->loop);
    }
    free(chunk);
    return written;
}

static bool has_answer(void *arg)
{
    const struct talk *talk = arg;
    return talk->wire.received_bytes >= talk->expected_bytes;
}

Rule(TR_2, writing_is_paused_above_the_high_limit_inside_the_write)
{
    struct talk talk;
    size_t written = talk_open_full(fixture, &talk);
    size_t waiting = weft_transport_get_write_buffer_size(talk.transport);
    CHECK_EQ(weft_transport_set_write_buffer_limits(talk.transport, (int64_t)waiting + 10, (int64_t)waiting / 2), 0);
    CHECK_EQ(weft_transport_write(talk.transport, "0123456789", 10), 0);
    CHECK_STR(notes(), "");
    CHECK_EQ(weft_transport_write(talk.transport, "x", 1), 0);
    CHECK_STR(notes(), "pause");
    CHECK_EQ(weft_transport_write(talk.transport, "x", 1), 0);
    CHECK_STR(notes(), "");
    wire_resume(&talk.wire);
    run_until(loop, is_sent, &talk);
    CHECK_STR(notes(), "resume");
    talk.expected_bytes = written + 12;
    run_until(loop, has_answer, &talk);
    CHECK_EQ(talk.wire.received_bytes, written + 12);
    talk_end(&talk);
    CHECK_STR(notes(), "");
}

Rule(TR_2, lowering_the_limit_below_what_waits_pauses_at_once)
{
    struct talk talk;
    (void)talk_open_full(fixture, &talk);
    CHECK_EQ(weft_transport_set_write_buffer_limits(talk.transport, 1, 0), 0);
    CHECK_STR(notes(), "pause");
    talk_end(&talk);
}

/* ---- TR-3: half open, and after the close ------------------------------------------------------------------------------------------ */

static bool is_far_ended(void *talk)
{
    return ((struct talk *)talk)->wire.is_ended;
}

Rule(TR_3, a_transport_whose_protocol_says_so_stays_half_open)
{
    struct talk talk;
    talk_open(fixture, &talk);
    talk.stays_half_open = true;
    wire_finish(&talk.wire);
    for (int i = 0; i < 5; i++)
        run_once(loop);
    CHECK_STR(notes(), "eof");
    CHECK(!weft_transport_is_closing(talk.transport));
    CHECK_EQ(weft_transport_write(talk.transport, "answer", 6), 0);
    talk.expected_bytes = 6;
    run_until(loop, has_answer, &talk);
    CHECK_STR(talk.wire.last, "answer");
    CHECK_EQ(weft_transport_close(talk.transport), 0);
    run_until(loop, is_far_ended, &talk);
    CHECK_EQ(talk.wire.end_status, 0);
    talk_end(&talk);
}

Rule(TR_3, after_the_close_writes_are_dropped_and_closing_again_is_harmless)
{
    struct talk talk;
    talk_open(fixture, &talk);
    CHECK_EQ(weft_transport_close(talk.transport), 0);
    CHECK_EQ(weft_transport_write(talk.transport, "dropped", 7), 0);
    CHECK_EQ(weft_transport_close(talk.transport), 0);
    CHECK_EQ(weft_transport_abort(talk.transport), 0);
    CHECK_EQ(weft_transport_abort(talk.transport), 0);
    run_until(loop, is_far_ended, &talk);
    CHECK_EQ(talk.wire.received_bytes, 0);
    talk_end(&talk);
    CHECK_STR(notes(), "lost");
}

/* ---- TR-4: closing with and without bytes that wait ---------------------------------------------------------------------------------- */

Rule(TR_4, close_sends_what_waits_before_the_end_and_reads_no_more)
{
    struct talk talk;
    size_t written = talk_open_full(fixture, &talk);
    CHECK_EQ(weft_transport_close(talk.transport), 0);
    far_send(&talk, "unread");
    for (int i = 0; i < 5; i++)
        run_once(loop);
    CHECK_EQ(talk.lost_count, 0);
    wire_resume(&talk.wire);
    run_until(loop, is_lost, &talk);
    CHECK_EQ(talk.lost_status, 0);
    CHECK_EQ(talk.received_bytes, 0);
    run_until(loop, is_far_ended, &talk);
    CHECK_EQ(talk.wire.received_bytes, written);
    talk_end(&talk);
}

Rule(TR_4, abort_drops_what_waits)
{
    struct talk talk;
    size_t written = talk_open_full(fixture, &talk);
    CHECK_EQ(weft_transport_abort(talk.transport), 0);
    run_once(loop);
    CHECK_EQ(talk.lost_count, 1);
    CHECK_EQ(talk.lost_status, 0);
    wire_resume(&talk.wire);
    run_until(loop, is_far_ended, &talk);
    CHECK(talk.wire.received_bytes < written);
    talk_end(&talk);
}

/* ---- TR-5, TR-6 ------------------------------------------------------------------------------------------------------------------------ */

Rule(TR_5, write_eof_ends_the_stream_after_what_was_written_and_no_write_follows)
{
    struct talk talk;
    talk_open(fixture, &talk);
    CHECK(weft_transport_can_write_eof(talk.transport));
    CHECK_EQ(weft_transport_write(talk.transport, "last", 4), 0);
    CHECK_EQ(weft_transport_write_eof(talk.transport), 0);
    CHECK_EQ(weft_transport_write_eof(talk.transport), 0);
    CHECK_EQ(weft_transport_write(talk.transport, "more", 4), -EPIPE);
    run_until(loop, is_far_ended, &talk);
    CHECK_EQ(talk.wire.end_status, 0);
    CHECK_STR(talk.wire.last, "last");
    CHECK_EQ(talk.wire.received_bytes, 4);
    far_send(&talk, "still read");
    run_until(loop, has_received, &talk);
    CHECK_EQ(talk.received_bytes, 10);
    talk_end(&talk);
}

Rule(TR_6, pausing_and_resuming_the_reading_may_be_repeated)
{
    struct talk talk;
    talk_open(fixture, &talk);
    CHECK(weft_transport_is_reading(talk.transport));
    CHECK_EQ(weft_transport_pause_reading(talk.transport), 0);
    CHECK_EQ(weft_transport_pause_reading(talk.transport), 0);
    CHECK(!weft_transport_is_reading(talk.transport));
    far_send(&talk, "held");
    for (int i = 0; i < 5; i++)
        run_once(loop);
    CHECK_EQ(talk.received_bytes, 0);
    CHECK_EQ(weft_transport_resume_reading(talk.transport), 0);
    CHECK_EQ(weft_transport_resume_reading(talk.transport), 0);
    CHECK_EQ(talk.received_bytes, 0);
    run_until(loop, has_received, &talk);
    CHECK_EQ(talk.received_bytes, 4);
    talk_end(&talk);
}

Rule(TR_6, on_a_closing_transport_they_do_nothing)
{
    struct talk talk;
    talk_open(fixture, &talk);
    CHECK_EQ(weft_transport_close(talk.transport), 0);
    CHECK_EQ(weft_transport_pause_reading(talk.transport), 0);
    CHECK_EQ(weft_transport_resume_reading(talk.transport), 0);
    CHECK(!weft_transport_is_reading(talk.transport));
    far_send(&talk, "unread");
    talk_end(&talk);
    CHECK_EQ(talk.received_bytes, 0);
}

/* ---- ADD-7 and EXT-1, for transports ------------------------------------------------------------------------------------------------- */

static void write_elsewhere(void *arg)
{
    struct talk *talk = arg;
    CHECK_EQ(weft_transport_write(talk->transport, "x", 1), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_write_eof(talk->transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_pause_reading(talk->transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_resume_reading(talk->transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_set_write_buffer_limits(talk->transport, 1, 0), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_close(talk->transport), WEFT_EWRONGTHREAD);
    CHECK_EQ(weft_transport_abort(talk->transport), WEFT_EWRONGTHREAD);
}

static int let_write_elsewhere(void *talk)
{
    in_other_thread(write_elsewhere, talk);
    return 0;
}

Rule(ADD_7, a_transport_refuses_other_threads_while_its_loop_runs)
{
    struct talk talk;
    talk_open(fixture, &talk);
    call_soon(loop, let_write_elsewhere, &talk);
    run_once(loop);
    CHECK(!weft_transport_is_closing(talk.transport));
    CHECK_STR(notes(), "");
    talk_end(&talk);
}

static const struct weft_context_var colour = WEFT_CONTEXT_VAR("colour", "none");

static int coloured_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    (void)data;
    talk_of(protocol)->received_bytes += len;
    return note(weft_context_var_get(&colour));
}

static const struct weft_protocol_ops coloured_ops = {
    .size = sizeof(coloured_ops), .data_received = coloured_received, .connection_lost = talk_lost};

Rule(EXT_1, the_context_that_make_socket_is_given_is_the_callbacks)
{
    struct talk talk = {.protocol = {&coloured_ops}};
    struct weft_context *context = weft_context_empty();
    CHECK_EQ(weft_context_set(context, &colour, "green"), 0);
    wire_open(fixture, &talk.wire);
    talk.waiter = future_new(loop);
    const struct weft_make_socket args = {
        .size = sizeof(args), .protocol = &talk.protocol, .fd = talk.wire.near_fd, .waiter = talk.waiter, .context = context};
    CHECK_EQ(weft_loop_make_socket(loop, &args, &talk.transport), 0);
    weft_context_unref(context);
    far_send(&talk, "x");
    run_until(loop, has_received, &talk);
    CHECK_STR(notes(), "green");
    talk_end(&talk);
}

Rule(EXT_1, arguments_that_are_older_than_the_library_are_enough)
{
    struct talk talk = {.protocol = {&coloured_ops}};
    wire_open(fixture, &talk.wire);
    talk.waiter = future_new(loop);
    const struct weft_make_socket args = {.size = offsetof(struct weft_make_socket, flags),
                                          .protocol = &talk.protocol,
                                          .fd = talk.wire.near_fd,
                                          .flags = ~0u,
                                          .waiter = (struct weft_future *)1,
                                          .server = (struct weft_server *)1};
    CHECK_EQ(weft_loop_make_socket(loop, &args, &talk.transport), 0);
    far_send(&talk, "x");
    run_until(loop, has_received, &talk);
    CHECK_STR(notes(), "none");
    talk_end(&talk);
}
