/*
 * The demo's HTTP: however the same bytes are cut into pieces, the same answers come, and the same end.
 */
#include "tools/demo/http.h"
#include "tests/demo/wire.h"
#include "tests/fuzz/fuzz.h"

enum { REQUEST_MAX = 400, DRAIN = 300 };

static struct wire *feed_in_pieces(const struct fuzz *fuzz, size_t (*piece)(uint32_t *seed), uint32_t seed, bool is_stuck)
{
    struct wire *wire = wire_open();
    const uint8_t *end = fuzz->end - fuzz->at > REQUEST_MAX ? fuzz->at + REQUEST_MAX : fuzz->end;
    if (is_stuck) {
        CHECK_EQ(weft_transport_set_write_buffer_limits(&wire->transport, DRAIN, 0), 0);
        wire->is_stuck = true;
    }
    for (const uint8_t *at = fuzz->at; at < end && !wire->is_closed;) {
        size_t len = piece(&seed);
        len = len < (size_t)(end - at) ? len : (size_t)(end - at);
        CHECK_EQ(wire_feed_bytes(wire, at, len), 0);
        at += len;
        for (int drains = 0; is_stuck && !wire->is_reading && !wire->is_closed; drains++) {
            CHECK(drains < REQUEST_MAX); /* each leaves at least one request less */
            wire_drain(wire);
        }
    }
    return wire;
}

static size_t all(uint32_t *seed)
{
    (void)seed;
    return REQUEST_MAX;
}

static size_t one(uint32_t *seed)
{
    (void)seed;
    return 1;
}

static size_t some(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return 1 + (*seed >> 24) % 40;
}

static void check_same(const struct wire *one_way, struct wire *other)
{
    CHECK_STR(other->out, one_way->out);
    CHECK_EQ(other->is_closed, one_way->is_closed);
    CHECK_EQ(other->is_eof, one_way->is_eof);
    CHECK(other->is_reading == one_way->is_reading || one_way->is_closed);
    CHECK_EQ(other->deadline_ns, one_way->deadline_ns);
    CHECK_EQ(other->shard.requests, one_way->shard.requests);
    wire_close(other);
}

void fuzz_target(struct fuzz *fuzz)
{
    uint32_t seed = fuzz_byte(fuzz);
    struct wire *whole = feed_in_pieces(fuzz, all, 0, false);
    CHECK(whole->len == 0 || wire_begins(whole, "HTTP/1.1 "));
    check_same(whole, feed_in_pieces(fuzz, one, 0, false));
    check_same(whole, feed_in_pieces(fuzz, some, seed, false));
    check_same(whole, feed_in_pieces(fuzz, some, seed, true));
    wire_close(whole);
}
