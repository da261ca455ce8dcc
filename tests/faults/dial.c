/*
 * Scenes of clients: weft connects, writes and reads, and a plain peer answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/faults/scene.h"
#include "tests/faults/shim.h"
#include "weft/loop.h"

enum { LARGE_BYTES = 400 * 1024, PIECES = 24 };

/* The plain peer of one stream: it answers "ping" with "pong". */
struct partner {
    struct weft_stream *stream;
    int fd;
    int count;
};

static bool is_stream_over(const struct weft_stream *stream)
{
    return weft_transport_is_closing(weft_stream_get_transport(stream));
}

static bool has_heard(void *arg)
{
    struct partner *partner = arg;
    char buf[8];
    int count = peer_read(partner->fd, buf, sizeof(buf));
    partner->count += count > 0 ? count : 0;
    return partner->count >= 4 || is_stream_over(partner->stream);
}

/* One ping and one pong: what the stream says of it. */
static int exchange(struct weft_stream *stream, int fd)
{
    struct partner partner = {.stream = stream, .fd = fd};
    char buf[4];
    int status = weft_stream_write(stream, "ping", 4);
    if (status < 0)
        return status;
    CHECK(scene_wait(has_heard, &partner));
    if (partner.count == 4)
        CHECK_EQ(peer_write(fd, "pong", 4), 4);
    status = weft_stream_read_exactly(stream, buf, sizeof(buf), NULL);
    CHECK(status < 0 || memcmp(buf, "pong", 4) == 0);
    return status;
}

/* What does not say why it is over has been lost without a status of its own. */
static void stream_end(struct weft_stream *stream)
{
    (void)weft_stream_close(stream);
    (void)weft_stream_wait_closed(stream);
    weft_stream_unref(stream);
}

static void dial_once(struct tally *tally, int listener, const struct weft_connection_options *options)
{
    struct weft_stream *stream;
    int status = weft_stream_open(options, &stream);
    if (status < 0) {
        tally_note(tally, status);
        int forsaken = peer_accept(listener);
        if (forsaken >= 0)
            peer_close(forsaken);
        return;
    }
    int fd = peer_accept(listener);
    CHECK(fd >= 0);
    tally_note(tally, exchange(stream, fd));
    stream_end(stream);
    peer_close(fd);
}

static int dial(struct tally *tally, struct weft_connection_options *options)
{
    int port = 0;
    int listener = options->path != NULL ? peer_listen_unix(options->path) : peer_listen_tcp(&port);
    options->port = (uint16_t)port;
    for (int i = 0; i < ROUNDS; i++)
        dial_once(tally, listener, options);
    peer_close(listener);
    return 0;
}

static int dial_tcp(void *arg, void **result_out)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    (void)result_out;
    options.host = "127.0.0.1";
    return dial(arg, &options);
}

void scene_dial_tcp(struct tally *tally)
{
    scene_in_runtime(tally, 1, dial_tcp);
}

static int dial_from(void *arg, void **result_out)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    (void)result_out;
    options.host = "127.0.0.1";
    options.local_host = "127.0.0.1";
    return dial(arg, &options);
}

void scene_dial_from(struct tally *tally)
{
    scene_in_runtime(tally, 1, dial_from);
}

static int dial_unix(void *arg, void **result_out)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    (void)result_out;
    options.path = scene_path();
    return dial(arg, &options);
}

void scene_dial_unix(struct tally *tally)
{
    scene_in_runtime(tally, 1, dial_unix);
}

/* By a name, which the executor looks up. */
static int dial_name(void *arg, void **result_out)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    (void)result_out;
    options.host = "localhost";
    options.family = AF_INET;
    return dial(arg, &options);
}

void scene_dial_name(struct tally *tally)
{
    scene_in_runtime(tally, 1, dial_name);
}

/* Several addresses: "localhost" over both families, of which one answers, and each failure starts the next at once. */
static int dial_race(void *arg, void **result_out)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    (void)result_out;
    options.host = "localhost";
    options.happy_eyeballs_delay_ns = 20000000;
    return dial(arg, &options);
}

void scene_dial_race(struct tally *tally)
{
    scene_in_runtime(tally, 1, dial_race);
}

/* An address with a zone, by its name. Whether the connect comes to anything is not asked: there may be no such address. */
static int dial_zone(void *arg, void **result_out)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    struct weft_stream *stream;
    (void)result_out;
    options.host = "127.0.0.1";
    options.local_host = "fe80::1%lo";
    options.port = 1;
    for (int i = 0; i < ROUNDS; i++) {
        int status = weft_stream_open(&options, &stream);
        CHECK(status < 0);
        tally_note(arg, status == WEFT_ENONAME ? status : 0);
    }
    return 0;
}

void scene_dial_zone(struct tally *tally)
{
    scene_in_runtime(tally, 1, dial_zone);
}

/* ---- over a socket pair ------------------------------------------------------------------------------------------------------------ */

typedef int talk_fn(struct weft_stream *stream, int fd);

static int adopt_each(struct tally *tally, talk_fn *talk)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct weft_stream *stream;
        int fds[2];
        CHECK_EQ(peer_pair(fds), 0);
        int status = weft_stream_from_socket(weft_get_running_loop(), fds[0], &stream);
        tally_note(tally, status < 0 ? status : talk(stream, fds[1]));
        if (status < 0)
            peer_close(fds[0]);
        else
            stream_end(stream);
        peer_close(fds[1]);
    }
    return 0;
}

static int adopt(void *arg, void **result_out)
{
    (void)result_out;
    return adopt_each(arg, exchange);
}

void scene_adopt(struct tally *tally)
{
    scene_in_runtime(tally, 1, adopt);
}

/* What the transport knows of both ends. */
static int ask(struct weft_stream *stream, int fd)
{
    struct sockaddr_storage address;
    size_t len = sizeof(address);
    struct weft_transport *transport = weft_stream_get_transport(stream);
    int status = weft_transport_get_extra(transport, WEFT_EXTRA_PEERNAME, &address, &len);
    len = sizeof(address);
    if (status == 0)
        status = weft_transport_get_extra(transport, WEFT_EXTRA_SOCKNAME, &address, &len);
    int after = exchange(stream, fd);
    return status < 0 ? status : after;
}

static int ask_names(void *arg, void **result_out)
{
    (void)result_out;
    return adopt_each(arg, ask);
}

void scene_ask_names(struct tally *tally)
{
    scene_in_runtime(tally, 1, ask_names);
}

/* The stream ends its side; the peer hears of it, answers, and ends its own. */
static bool has_heard_the_end(void *arg)
{
    struct partner *partner = arg;
    char buf[8];
    int count;
    while ((count = peer_read(partner->fd, buf, sizeof(buf))) > 0)
        partner->count += count;
    return count == 0 || is_stream_over(partner->stream);
}

static int end_and_read(struct weft_stream *stream, int fd)
{
    struct partner partner = {.stream = stream, .fd = fd};
    char buf[4];
    int status = weft_stream_write(stream, "last", 4);
    if (status == 0)
        status = weft_stream_write_eof(stream);
    if (status < 0)
        return status;
    CHECK(scene_wait(has_heard_the_end, &partner));
    if (!is_stream_over(stream))
        CHECK_EQ(peer_write(fd, "pong", 4), 4);
    return weft_stream_read_exactly(stream, buf, sizeof(buf), NULL);
}

static int half_close(void *arg, void **result_out)
{
    (void)result_out;
    return adopt_each(arg, end_and_read);
}

void scene_half_close(struct tally *tally)
{
    scene_in_runtime(tally, 1, half_close);
}

/* More than the kernel takes at once, in pieces of odd sizes. */
static bool has_read_all(void *arg)
{
    static char buf[65536];
    struct partner *partner = arg;
    int count;
    while (partner->count < LARGE_BYTES && (count = peer_read(partner->fd, buf, sizeof(buf))) > 0)
        partner->count += count;
    return partner->count >= LARGE_BYTES || is_stream_over(partner->stream);
}

static int write_much(struct weft_stream *stream, int fd)
{
    static char bytes[LARGE_BYTES];
    struct partner partner = {.stream = stream, .fd = fd};
    struct iovec pieces[PIECES];
    for (int i = 0; i < PIECES; i++)
        pieces[i] = (struct iovec){bytes + i * 997, (size_t)(i == PIECES - 1 ? LARGE_BYTES - (PIECES - 1) * 997 : 997)};
    int status = weft_stream_writev(stream, pieces, PIECES);
    if (status < 0)
        return status;
    CHECK(scene_wait(has_read_all, &partner));
    int after = exchange(stream, fd);
    return partner.count < LARGE_BYTES && after == 0 ? WEFT_ELOST : after;
}

static int large(void *arg, void **result_out)
{
    (void)result_out;
    return adopt_each(arg, write_much);
}

void scene_large(struct tally *tally)
{
    scene_in_runtime(tally, 1, large);
}
