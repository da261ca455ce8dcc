/*
 * Streams: one fiber writes bytes that are known beforehand, another reads them by all calls, across a simulated network that cuts them
 * anywhere. What is read is what was written, in order, and each refusal has its reason in the bytes themselves.
 *
 * The input is eight bytes about the world, the reader's program, a '|', and the writer's; a writer without one writes all at once.
 */
#include <errno.h>

#include "tests/fuzz/fuzz.h"
#include "weft/fiber.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/sim.h"
#include "weft/status.h"
#include "weft/stream.h"

enum { TOTAL = 2048, LEN_MAX = 512 };

static struct fuzz *input, writing; /* the reader's, the writer's */
static struct weft_runtime *runtime;
static struct weft_future *finished;
static char sent[TOTAL];
static size_t written, at, limit;
static bool is_ended, is_cut, is_cancel_due;

static const struct separator {
    const char *bytes;
    size_t len;
} separators[] = {{"\n", 1}, {"\r\n", 2}, {"aba", 3}, {"aaaa", 4}};

/* Where the first separator from `at` on ends, counted from there; TOTAL + 1 if there is none in all that may ever come. */
static size_t record_len(const struct separator *separator, size_t end)
{
    const char *found = memmem(sent + at, end - at, separator->bytes, separator->len);
    return found == NULL ? TOTAL + 1 : (size_t)(found - (sent + at)) + separator->len;
}

static void check_took(const char *buf, size_t count)
{
    CHECK(at + count <= written);
    CHECK(memcmp(buf, sent + at, count) == 0);
    at += count;
}

/* True if the call failed for a reason that lies outside of the bytes. */
static bool is_excused(int status)
{
    CHECK(status != -ECANCELED || is_cancel_due);
    if (status == -ECANCELED)
        is_cancel_due = false;
    return status == -ECANCELED || (is_cut && (status == -ECONNRESET || status == 0 || status == WEFT_EEOF));
}

static void read_some(struct weft_stream *stream, char *buf, size_t len)
{
    int count = weft_stream_read(stream, buf, len);
    if (is_excused(count))
        return;
    CHECK(count >= 0 && (size_t)count <= len);
    check_took(buf, (size_t)count);
    if (count == 0 && len > 0)
        CHECK(is_ended && at == written);
}

static void read_exactly(struct weft_stream *stream, char *buf, size_t len)
{
    size_t count = len;
    int status = weft_stream_read_exactly(stream, buf, len, &count);
    if (is_cut && status == WEFT_EEOF)
        check_took(buf, count);
    if (is_excused(status) && status != 0)
        return;
    CHECK(status == 0 || status == WEFT_EEOF);
    CHECK(status == 0 ? count == len : count < len);
    if (!is_cut || status == 0)
        check_took(buf, count);
    if (status == WEFT_EEOF)
        CHECK(is_ended && at == written);
}

static void check_record(const struct separator *separator, char *buf, size_t len, int count, bool is_line)
{
    size_t expected = record_len(separator, TOTAL);
    if (is_excused(count) && count <= 0)
        return;
    if (count == WEFT_ELIMIT) {
        bool is_last = is_line && is_ended && record_len(separator, written) > TOTAL && written - at > len;
        CHECK(expected > len || expected - separator->len > limit || is_last);
    } else if (count > 0 && is_line && (size_t)count != expected) {
        CHECK((is_ended || is_cut) && record_len(separator, written) > TOTAL);
        CHECK(is_cut || at + (size_t)count == written);
        check_took(buf, (size_t)count);
    } else if (count > 0) {
        CHECK_EQ(count, expected);
        CHECK(expected <= len && expected - separator->len <= limit);
        check_took(buf, expected);
    } else {
        CHECK_EQ(count, is_line ? 0 : WEFT_EEOF);
        CHECK(is_ended && record_len(separator, written) > TOTAL);
        CHECK(!is_line || at == written);
    }
}

static int cancel(void *task)
{
    is_cancel_due = weft_task_cancel(task, "asked");
    return 0;
}

static int act_read(struct weft_stream *stream)
{
    char buf[LEN_MAX];
    struct weft_task *task;
    uint32_t what = fuzz_below(input, 7);
    size_t len = fuzz_below(input, 255) * 2;
    const struct separator *separator = &separators[len / 2 % 4];
    if (what == 0) {
        read_some(stream, buf, len);
    } else if (what == 1) {
        read_exactly(stream, buf, len);
    } else if (what == 2) {
        check_record(separator, buf, LEN_MAX, weft_stream_read_until(stream, separator->bytes, separator->len, buf, LEN_MAX), false);
    } else if (what == 3) {
        check_record(separator, buf, len, weft_stream_read_until(stream, separator->bytes, separator->len, buf, len), false);
    } else if (what == 4) {
        check_record(&separators[0], buf, len, weft_stream_readline(stream, buf, len), true);
    } else if (what == 5) {
        limit = len + 1;
        CHECK_EQ(weft_stream_set_limit(stream, limit), 0);
    } else {
        CHECK_EQ(weft_current_task(&task), 0);
        CHECK_EQ(weft_loop_call_later(weft_get_running_loop(), (int64_t)len * 1000, cancel, task, NULL), 0);
        int status = weft_sleep((int64_t)len * 500);
        return status == -ECANCELED ? status : 0;
    }
    return 0;
}

static int serve(struct weft_stream *stream, void *arg)
{
    char buf[LEN_MAX];
    int count = 1;
    (void)arg;
    CHECK_EQ(weft_stream_set_limit(stream, limit), 0);
    while (fuzz_has_more(input))
        if (act_read(stream) < 0 || weft_yield() < 0)
            is_cancel_due = false;
    while (count > 0 || count == -ECANCELED) {
        count = weft_stream_read(stream, buf, sizeof(buf));
        if (count > 0)
            check_took(buf, (size_t)count);
    }
    CHECK(is_cut ? count == 0 || count == -ECONNRESET : count == 0 && at == written && weft_stream_at_eof(stream));
    CHECK_EQ(weft_future_set_result(finished, NULL), 0);
    return 0;
}

static void act_write(struct weft_stream *stream)
{
    uint32_t what = fuzz_below(&writing, 5);
    size_t len = fuzz_byte(&writing);
    len = len < TOTAL - written ? len : TOTAL - written;
    struct iovec pieces[] = {{sent + written, len / 3}, {sent + written + len / 3, 0}, {sent + written + len / 3, len - len / 3}};
    if (what <= 1) {
        written += len; /* before, for the reader may be at it inside the call */
        CHECK_EQ(what == 0 ? weft_stream_write(stream, pieces[0].iov_base, len) : weft_stream_writev(stream, pieces, 3), 0);
    } else if (what == 2) {
        CHECK_EQ(weft_stream_drain(stream), 0);
    } else if (what == 3) {
        CHECK_EQ(weft_sleep((int64_t)len * 1000), 0);
    } else {
        CHECK_EQ(weft_transport_set_write_buffer_limits(weft_stream_get_transport(stream), len + 1, len / 2 + 1), 0);
    }
}

static int write_all(void *arg, void **result_out)
{
    const uint32_t *end = arg;
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_stream *stream;
    (void)result_out;
    options.host = "127.0.0.1";
    options.port = 80;
    CHECK_EQ(weft_stream_open(&options, &stream), 0);
    if (!fuzz_has_more(&writing)) {
        written = TOTAL;
        CHECK_EQ(weft_stream_write(stream, sent, TOTAL), 0);
    }
    while (fuzz_has_more(&writing)) {
        act_write(stream);
        CHECK_EQ(weft_yield(), 0);
    }
    is_cut = *end == 2;
    is_ended = true;
    CHECK_EQ(*end == 0   ? weft_stream_write_eof(stream)
             : *end == 1 ? weft_stream_close(stream)
                         : weft_transport_abort(weft_stream_get_transport(stream)),
             0);
    CHECK_EQ(weft_await(finished, NULL), 0);
    weft_stream_unref(stream);
    return 0;
}

static void fill(uint32_t seed)
{
    for (size_t i = 0; i < TOTAL; i++) {
        seed = seed * 1664525 + 1013904223;
        sent[i] = "aaaaaaaabbbb\r\n\n\r"[seed >> 24 & (i % 512 < 300 ? 15 : 11)];
    }
}

static void split(struct fuzz *fuzz)
{
    const uint8_t *bar = fuzz_has_more(fuzz) ? memchr(fuzz->at, '|', (size_t)(fuzz->end - fuzz->at)) : NULL;
    writing = (struct fuzz){bar == NULL ? fuzz->end : bar + 1, fuzz->end};
    fuzz->end = bar == NULL ? fuzz->end : bar;
}

static struct weft_sim *world(struct fuzz *fuzz)
{
    struct weft_sim *sim;
    struct weft_sim_host *host;
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    struct weft_sim_link link = WEFT_SIM_LINK;
    struct weft_sim_options options = WEFT_SIM_OPTIONS;
    options.seed = fuzz_byte(fuzz);
    faults.short_read_permille = faults.short_write_permille = fuzz_below(fuzz, 4) * 300;
    link.window_bytes = fuzz_below(fuzz, 4) * 100;
    link.latency_max_ns = fuzz_below(fuzz, 4) * 10000;
    CHECK_EQ(weft_sim_create(&options, &sim), 0);
    CHECK_EQ(weft_sim_host_create(sim, NULL, &host), 0);
    CHECK_EQ(weft_sim_host_set_faults(host, &faults), 0);
    CHECK_EQ(weft_sim_set_link(sim, host, host, &link), 0);
    weft_sim_host_enter(host);
    return sim;
}

void fuzz_target(struct fuzz *fuzz)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_server_options server_options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    struct weft_coro *coro;
    struct weft_sim *sim = world(fuzz);
    uint32_t end = fuzz_below(fuzz, 3);
    input = fuzz;
    fill(fuzz_byte(fuzz));
    limit = fuzz_below(fuzz, 255) + 1;
    written = at = 0;
    is_ended = is_cut = is_cancel_due = false;
    options.loops = 1 + fuzz_below(fuzz, 2);
    options.main_loop = options.loops - 1;
    server_options.port = 80;
    split(fuzz);
    CHECK_EQ(weft_runtime_create(&options, &runtime), 0);
    CHECK_EQ(weft_loop_create_future(weft_runtime_loop(runtime, 0), &finished), 0);
    CHECK_EQ(weft_loop_start_stream_server(weft_runtime_loop(runtime, 0), serve, NULL, &server_options, &server), 0);
    CHECK_EQ(weft_fiber_new(write_all, &end, NULL, &coro), 0);
    CHECK_EQ(weft_runtime_run(runtime, coro, NULL), 0);
    weft_server_unref(server);
    weft_future_unref(finished);
    CHECK_EQ(weft_runtime_shutdown(runtime, -1), 0);
    weft_runtime_destroy(runtime);
    weft_sim_host_enter(NULL);
    weft_sim_destroy(sim);
}
