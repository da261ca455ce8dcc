/*
 * A loop for tests of the net room, and a protocol that writes down what happens to it.
 *
 *     struct scene scene;
 *     scene_open(&scene);
 *     struct peer *peer = scene_connect(&scene, &fd);     a transport over one end of a socket pair; `fd` is the other
 *     RUN_UNTIL(&scene, peer->made == 1);
 *     ...
 *     scene_close(&scene);                                everything must be gone
 *
 * The body is in the loop's thread: the loop is entered, and RUN_UNTIL takes turns of it. A condition that never comes ends in the test's
 * timeout.
 */
#ifndef TESTS_NET_SCENE_H
#define TESTS_NET_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/loop/loop.h"
#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "weft/future.h"
#include "weft/server.h"
#include "weft/status.h"
#include "weft/transport.h"

enum { PEERS_MAX = 64 };

/* What one connection heard, and how it shall answer. */
struct peer {
    struct weft_protocol protocol;
    struct weft_transport *transport; /* until lost */
    struct scene *scene;
    char log[256]; /* a word for each callback: "made data eof lost pause resume" */
    char *data;
    size_t len;
    int made, lost, eofs, pauses, resumes, calls;
    int lost_status;
    bool is_echo;
    bool keeps_open;                    /* the answer to eof_received */
    int answer;                         /* to data_received and buffer_updated */
    void (*on_made)(struct peer *peer); /* called within, any may be NULL */
    void (*on_data)(struct peer *peer, const void *data, size_t len);
    void (*on_resume)(struct peer *peer);
    void (*on_lost)(struct peer *peer);
    char buffer[8]; /* of the buffered kind */
};

struct scene {
    struct weft_loop *loop;
    struct peer *peers[PEERS_MAX];
    size_t peer_count;
    size_t factory_max; /* from so many on the factory fails with -EPERM; 0: never */
    struct peer model;  /* what new peers are copies of */
    int reports;
    int report_status;
    const char *report_message;
    int64_t live_before; /* allocations */
};

/* Open a loop of `kind` (NULL: epoll) and enter it. */
void scene_open(struct scene *scene);
void scene_open_kind(struct scene *scene, const struct weft_loop_kind *kind, const struct weft_poller_options *options);

/* Leave and close it; every peer must have heard of its end, and no memory may be left. */
void scene_close(struct scene *scene);

/* A weft_protocol_factory_fn: arg is the scene. */
int scene_factory(void *arg, struct weft_protocol **protocol_out);
int scene_factory_buffered(void *arg, struct weft_protocol **protocol_out);

/* A transport over one end of a stream socket pair; *fd_out is the other, non-blocking. */
struct peer *scene_connect(struct scene *scene, int *fd_out);
struct peer *scene_connect_buffered(struct scene *scene, int *fd_out);

/* Make a transport for `fd`, in any world. */
struct peer *scene_transport(struct scene *scene, int fd, weft_protocol_factory_fn *factory);

/* One turn that does not sleep. */
void scene_turn(struct scene *scene);

/* Turns until nothing is queued any more; nothing may be expected of timers. */
void scene_settle(struct scene *scene);

/* Connect a plain non-blocking socket to 127.0.0.1:`port`. */
int plain_connect(int port);

/* Write all of `text`, read what is there, tell what read says. All without blocking. */
void plain_write(int fd, const char *text);
size_t plain_read(int fd, char *buf, size_t len);
int plain_read_status(int fd);

/* Make closing `fd` a reset. */
void plain_reset(int fd);

#define RUN_UNTIL(scene, condition)                                                                                                        \
    do {                                                                                                                                   \
        while (!(condition))                                                                                                               \
            CHECK(loop_turn((scene)->loop, true) >= 0);                                                                                    \
    } while (0)

/* Write blocks of zeroes until the kernel takes no more and at least `bytes` wait; how many were written. */
size_t peer_write_until_stuck(struct peer *peer, size_t bytes);

#endif
