/*
 * Wires: a connection whose far end the test holds, over whatever the loop under test calls a socket.
 *
 * The far end lives on the same loop: what it sends is sent at once, what it is sent is collected as the loop runs. Over epoll it is a
 * socket pair or a loopback connection, in the simulator a stream of its world; a rule does not see the difference.
 */
#ifndef TESTS_CONFORMANCE_WIRE_H
#define TESTS_CONFORMANCE_WIRE_H

#include "tests/conformance/conformance.h"
#include "weft/operation.h"
#include "weft/server.h"

struct wire {
    struct weft_loop *loop;
    int near_fd;          /* for a transport, or for wire_near() */
    struct weft_file far; /* the test's end */
    struct weft_operation receiving, closing;
    char buf[4096];
    size_t received_bytes; /* so far */
    char last[64];         /* the newest of them, as a string */
    bool is_paused;        /* by the test, before what it shall hold up is sent: the far end reads nothing */
    bool is_ended;         /* the far end has met the end of the stream, or an error */
    bool is_closed;
    int end_status;
};

/* Connect. The near end is given to a transport or to wire_near(), which closes it. */
void wire_open(struct fixture *fixture, struct wire *wire);

/* The same with a far end that does not read before wire_resume(). */
void wire_open_paused(struct fixture *fixture, struct wire *wire);
void wire_resume(struct wire *wire);

/* Send `text` from the far end. */
void wire_send(struct wire *wire, const char *text);

/* End the far end's side of the stream. */
void wire_finish(struct wire *wire);

/* Close the far end and run the loop until it is closed. */
void wire_close(struct wire *wire);

/* Where a server of the fixture's kind can listen. The options' strings and descriptor are filled in. */
void wire_listen(struct fixture *fixture, struct weft_server_options *options);

/* Connect to `server`, which listens there; near_fd means nothing then. */
void wire_dial(struct fixture *fixture, struct weft_server *server, struct wire *wire);

#endif
