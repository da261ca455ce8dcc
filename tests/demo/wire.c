/*
 * Wire: the stream operations of a transport, over a buffer. Called by http_test.c; the loop only lends its thread check.
 */
#include "tests/demo/wire.h"

#include <string.h>

#include "tests/support/test.h"
#include "tools/demo/http.h"
#include "weft/loop.h"
#include "weft/memory.h"
#include "weft/protocol.h"
#include "weft/work.h"

static struct wire *wire_of(struct weft_transport *transport)
{
    return weft_container_of(transport, struct wire, transport);
}

static int wire_write(struct weft_transport *transport, const struct iovec *iov, size_t count)
{
    struct wire *wire = wire_of(transport);
    wire->writes++;
    for (size_t i = 0; i < count; i++) {
        CHECK(wire->len + iov[i].iov_len < sizeof(wire->out));
        memcpy(wire->out + wire->len, iov[i].iov_base, iov[i].iov_len);
        wire->len += iov[i].iov_len;
    }
    wire->out[wire->len] = '\0';
    return wire->is_stuck ? weft_transport_set_write_buffer_size(transport, wire->len) : 0;
}

static int wire_write_eof(struct weft_transport *transport)
{
    wire_of(transport)->is_eof = true;
    return 0;
}

static void wire_end(struct weft_transport *transport)
{
    wire_of(transport)->is_closed = true;
}

static void wire_abort(struct weft_transport *transport, int status)
{
    (void)status;
    wire_of(transport)->is_closed = true;
}

static int wire_set_reading(struct weft_transport *transport, bool is_reading)
{
    wire_of(transport)->is_reading = is_reading;
    return 0;
}

static int wire_set_option(struct weft_transport *transport, enum weft_transport_option option, uint64_t value)
{
    if (option == WEFT_TRANSPORT_DEADLINE_NS)
        wire_of(transport)->deadline_ns = value;
    return 0;
}

static void wire_destroy(struct weft_transport *transport)
{
    weft_free(wire_of(transport));
}

static const struct weft_transport_stream_ops wire_ops = {
    .size = sizeof(wire_ops),
    .write = wire_write,
    .write_eof = wire_write_eof,
    .close = wire_end,
    .abort = wire_abort,
    .set_reading = wire_set_reading,
    .set_option = wire_set_option,
    .destroy = wire_destroy,
};

struct wire *wire_open(void)
{
    struct weft_make_socket args = {.size = sizeof(args), .fd = -1};
    struct wire *wire = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, sizeof(*wire));
    CHECK(wire != NULL);
    memset(wire, 0, sizeof(*wire));
    wire->is_reading = true;
    wire->deadline_ns = HTTP_REQUEST_NS; /* the server's header timeout */
    wire->site = (struct site){.shards = &wire->shard, .count = 1};
    wire->shard.site = &wire->site;
    strcpy(wire->shard.date_line, "Date: today\r\n\r\n");
    CHECK_EQ(weft_loop_new(weft_loop_kind_sim(), 0, &wire->shard.loop), 0);
    CHECK_EQ(http_connection_new(&wire->shard, &args.protocol), 0);
    CHECK_EQ(weft_transport_init(&wire->transport, &wire_ops, wire->shard.loop, &args), 0);
    http_init();
    CHECK_EQ(args.protocol->ops->connection_made(args.protocol, &wire->transport), 0);
    return wire;
}

void wire_close(struct wire *wire)
{
    struct weft_loop *loop = wire->shard.loop;
    struct weft_protocol *protocol = wire->transport.protocol;
    CHECK_EQ(protocol->ops->connection_lost(protocol, 0), 0);
    weft_transport_detach(&wire->transport);
    weft_transport_unref(&wire->transport);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

int wire_feed_bytes(struct wire *wire, const void *data, size_t len)
{
    struct weft_protocol *protocol = wire->transport.protocol;
    return protocol->ops->data_received(protocol, data, len);
}

int wire_feed(struct wire *wire, const char *text)
{
    return wire_feed_bytes(wire, text, strlen(text));
}

void wire_drain(struct wire *wire)
{
    CHECK_EQ(weft_transport_set_write_buffer_size(&wire->transport, 0), 0);
}

void wire_clear(struct wire *wire)
{
    wire->len = 0;
    wire->writes = 0;
    wire->out[0] = '\0';
}

size_t wire_count(const struct wire *wire, const char *text)
{
    size_t count = 0;
    for (const char *at = wire->out; (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

bool wire_begins(const struct wire *wire, const char *text)
{
    return strncmp(wire->out, text, strlen(text)) == 0;
}

bool wire_ends(const struct wire *wire, const char *text)
{
    size_t len = strlen(text);
    return wire->len >= len && strcmp(wire->out + wire->len - len, text) == 0;
}
