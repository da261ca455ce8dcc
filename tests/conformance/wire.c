/*
 * Wires. Everything goes through operations on the loop, since a virtual descriptor means nothing to a system call; only opening tells
 * the simulator from the kernel.
 */
#include "tests/conformance/wire.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/loop/loop.h"
#include "lib/poll/sim.h"

static void wire_receive(struct wire *wire);

/* One receive may bring a part of what was sent. */
static void wire_keep(struct wire *wire, size_t bytes)
{
    size_t before = strlen(wire->last), max = sizeof(wire->last) - 1;
    size_t added = bytes < max ? bytes : max;
    size_t kept = before + added <= max ? before : max - added;
    memmove(wire->last, wire->last + before - kept, kept);
    memcpy(wire->last + kept, wire->buf + bytes - added, added);
    wire->last[kept + added] = 0;
}

static void wire_took(struct wire *wire, int result)
{
    if (result <= 0) {
        wire->is_ended = true;
        wire->end_status = result;
        return;
    }
    wire_keep(wire, (size_t)result);
    wire->received_bytes += (size_t)result;
}

static int wire_received(struct weft_operation *operation, int result, unsigned flags)
{
    struct wire *wire = weft_container_of(operation, struct wire, receiving);
    (void)flags;
    wire_took(wire, result);
    wire_receive(wire);
    return 0;
}

/* Take what is there, then leave an operation that waits for more. */
static void wire_receive(struct wire *wire)
{
    while (!wire->is_ended && !wire->is_paused) {
        weft_operation_recv(&wire->receiving, &wire->far, wire->buf, sizeof(wire->buf), wire_received);
        int result = loop_submit(wire->loop, &wire->receiving);
        if (result == -EINPROGRESS)
            return;
        wire_took(wire, result);
    }
}

static void wire_begin(struct fixture *fixture, struct wire *wire, bool is_paused)
{
    *wire = (struct wire){.loop = fixture->loop, .near_fd = -1, .is_paused = is_paused};
}

static void open_paused(struct fixture *fixture, struct wire *wire, bool is_paused)
{
    struct weft_file near;
    int fds[2];
    wire_begin(fixture, wire, is_paused);
    if (fixture->world) {
        CHECK_EQ(sim_pair(fixture->world, &near, &wire->far, 0), 0);
        wire->near_fd = near.fd;
    } else {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        wire->near_fd = fds[0];
        weft_file_init(&wire->far, fds[1], WEFT_FILE_STREAM);
    }
    wire_receive(wire);
}

void wire_open(struct fixture *fixture, struct wire *wire)
{
    open_paused(fixture, wire, false);
}

void wire_open_paused(struct fixture *fixture, struct wire *wire)
{
    open_paused(fixture, wire, true);
}

void wire_resume(struct wire *wire)
{
    wire->is_paused = false;
    wire_receive(wire);
}

static int never_called(struct weft_operation *operation, int result, unsigned flags)
{
    (void)operation, (void)result, (void)flags;
    test_fail(__FILE__, __LINE__, "an operation that came to something at once was called back");
}

void wire_send(struct wire *wire, const char *text)
{
    struct weft_operation sending;
    weft_operation_send(&sending, &wire->far, text, strlen(text), never_called);
    CHECK_EQ(loop_submit(wire->loop, &sending), strlen(text));
}

void wire_finish(struct wire *wire)
{
    struct weft_operation finishing;
    weft_operation_shutdown(&finishing, &wire->far, never_called);
    CHECK_EQ(loop_submit(wire->loop, &finishing), 0);
}

static int wire_closed(struct weft_operation *operation, int result, unsigned flags)
{
    (void)flags;
    CHECK_EQ(result, 0);
    weft_container_of(operation, struct wire, closing)->is_closed = true;
    return 0;
}

static bool is_closed(void *arg)
{
    return ((struct wire *)arg)->is_closed;
}

void wire_close(struct wire *wire)
{
    wire->is_ended = true; /* a receive that is cancelled now shall not be repeated */
    weft_operation_close(&wire->closing, &wire->far, wire_closed);
    int status = loop_submit(wire->loop, &wire->closing);
    CHECK(status == 0 || status == -EINPROGRESS);
    wire->is_closed = status == 0;
    run_until(wire->loop, is_closed, wire);
}

/* ---- servers ---- */

void wire_listen(struct fixture *fixture, struct weft_server_options *options)
{
    (void)fixture;
    options->host = "127.0.0.1";
}

void wire_dial(struct fixture *fixture, struct weft_server *server, struct wire *wire)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    wire_begin(fixture, wire, false);
    CHECK_EQ(weft_server_get_address(server, 0, &address, &len), 0);
    if (fixture->world) {
        CHECK_EQ(sim_connect(fixture->world, &wire->far, (const struct sockaddr *)&address, len), 0);
    } else {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0);
        CHECK_EQ(connect(fd, (const struct sockaddr *)&address, len), 0); /* loopback: the backlog takes it at once */
        CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
        weft_file_init(&wire->far, fd, WEFT_FILE_STREAM);
    }
    wire_receive(wire);
}
