/*
 * The rules of the contract, on when a loop looks at its files, and on what a cancelled operation says.
 */
#include <string.h>

#include "lib/loop/loop.h"
#include "tests/conformance/conformance.h"
#include "tests/conformance/wire.h"
#include "tests/examples/custom_loop.h"

/* The near end of a wire, without a transport. */
struct near {
    struct wire wire;
    struct weft_file file;
    struct weft_operation receiving, closing;
    char buf[16];
    int result;
    bool is_called, is_closed;
    bool is_stopping; /* the callback stops the loop */
};

static int near_received(struct weft_operation *operation, int result, unsigned flags)
{
    struct near *near = weft_container_of(operation, struct near, receiving);
    CHECK(!(flags & WEFT_OP_MORE));
    CHECK(!near->is_called);
    near->is_called = true;
    near->result = result;
    note("io");
    return near->is_stopping ? weft_loop_stop(near->wire.loop) : 0;
}

static int near_closed(struct weft_operation *operation, int result, unsigned flags)
{
    (void)result, (void)flags;
    weft_container_of(operation, struct near, closing)->is_closed = true;
    return 0;
}

/* Open a wire and wait for bytes at its near end. */
static void near_open(struct fixture *fixture, struct near *near)
{
    *near = (struct near){.result = 0};
    wire_open(fixture, &near->wire);
    weft_file_init(&near->file, near->wire.near_fd, WEFT_FILE_STREAM);
    weft_operation_recv(&near->receiving, &near->file, near->buf, sizeof(near->buf), near_received);
    CHECK_EQ(loop_submit(fixture->loop, &near->receiving), -EINPROGRESS);
}

static bool near_is_closed(void *near)
{
    return ((struct near *)near)->is_closed;
}

static void near_close(struct near *near)
{
    weft_operation_close(&near->closing, &near->file, near_closed);
    int status = loop_submit(near->wire.loop, &near->closing);
    CHECK(status == 0 || status == -EINPROGRESS);
    near->is_closed = status == 0;
    run_until(near->wire.loop, near_is_closed, near);
    wire_close(&near->wire);
}

Rule(LOOP_3, an_iteration_runs_what_was_queued_then_io_then_due_timers)
{
    struct near near;
    near_open(fixture, &near);
    run_once(loop);
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "timer", NULL), 0);
    wire_send(&near.wire, "bytes");
    call_soon(loop, note, "queued");
    run_once(loop);
    CHECK_STR(notes(), "queued io timer");
    CHECK_EQ(near.result, 5);
    near_close(&near);
}

struct busy {
    struct near near;
    int runs;
};

/* Keep the loop from ever being idle; give up long after it should have looked. */
static int be_busy(void *arg)
{
    struct busy *busy = arg;
    struct weft_loop *loop = busy->near.wire.loop;
    if (busy->near.is_called || ++busy->runs == 1000)
        return weft_loop_stop(loop);
    call_soon(loop, be_busy, busy);
    return 0;
}

static int send_and_be_busy(void *arg)
{
    struct busy *busy = arg;
    wire_send(&busy->near.wire, "bytes");
    return be_busy(arg);
}

Rule(LOOP_2, a_loop_that_is_never_idle_still_looks_every_61_callbacks)
{
    struct busy busy = {.runs = 0};
    near_open(fixture, &busy.near);
    call_soon(loop, send_and_be_busy, &busy);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK(busy.near.is_called);
    CHECK(busy.runs <= 2 * 61);
    near_close(&busy.near);
}

Rule(LOOP_2, io_ends_the_sleep_before_a_timer)
{
    struct near near;
    near_open(fixture, &near);
    uint64_t before_ns = weft_loop_time(loop);
    CHECK_EQ(weft_loop_call_later(loop, INT64_C(3600000000000), note, "never", NULL), 0);
    wire_send(&near.wire, "bytes");
    near.is_stopping = true;
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK(near.is_called);
    CHECK(weft_loop_time(loop) - before_ns < UINT64_C(1800000000000));
    CHECK_STR(notes(), "io");
    near_close(&near);
}

static bool near_is_called(void *near)
{
    return ((struct near *)near)->is_called;
}

Rule(ADD_4, a_cancelled_operation_says_that_nothing_had_happened)
{
    struct near near;
    near_open(fixture, &near);
    CHECK_EQ(loop_cancel(loop, &near.receiving), 0);
    CHECK_EQ(loop_cancel(loop, &near.receiving), 0);
    CHECK(!near.is_called);
    run_until(loop, near_is_called, &near);
    CHECK_EQ(near.result, -ECANCELED);
    wire_send(&near.wire, "late");
    near.is_called = false;
    weft_operation_recv(&near.receiving, &near.file, near.buf, sizeof(near.buf), near_received);
    int result = loop_submit(loop, &near.receiving);
    if (result == -EINPROGRESS) {
        run_until(loop, near_is_called, &near);
        result = near.result;
    }
    CHECK_EQ(result, 4);
    CHECK_EQ(memcmp(near.buf, "late", 4), 0);
    near_close(&near);
}

Rule(ADD_4, a_cancel_that_comes_after_the_bytes_loses_none)
{
    struct near near;
    near_open(fixture, &near);
    wire_send(&near.wire, "bytes");
    CHECK_EQ(loop_cancel(loop, &near.receiving), 0);
    run_until(loop, near_is_called, &near);
    if (near.result == -ECANCELED) { /* it had not been tried yet: the bytes wait for the next one */
        weft_operation_recv(&near.receiving, &near.file, near.buf, sizeof(near.buf), near_received);
        near.result = loop_submit(loop, &near.receiving);
    }
    CHECK_EQ(near.result, 5);
    CHECK_EQ(memcmp(near.buf, "bytes", 5), 0);
    near_close(&near);
}

Rule(ADD_4, cancelling_what_is_not_pending_says_so)
{
    struct near near;
    near_open(fixture, &near);
    wire_send(&near.wire, "bytes");
    run_until(loop, near_is_called, &near);
    CHECK_EQ(loop_cancel(loop, &near.receiving), -ENOENT);
    CHECK_EQ(near.result, 5);
    near_close(&near);
}
