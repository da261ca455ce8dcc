/*
 * Scene: one poller with two connected files on it, for tests that every backend must pass.
 *
 *     Conformance(recv, takes_what_is_there)
 *     {
 *         scene_send(scene, &scene->far, "hello");
 *         …
 *     }
 *
 * makes one test for each entry of BACKENDS; who adds a backend adds a line there, and one to the table in scene.c.
 */
#ifndef TESTS_POLL_SCENE_H
#define TESTS_POLL_SCENE_H

#include "tests/support/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/poll/sim.h"
#include "weft/poller.h"

#define BACKENDS(X, suite, name)                                                                                                           \
    X(epoll_unix, suite, name)                                                                                                             \
    X(epoll_tcp, suite, name)                                                                                                              \
    X(sim, suite, name)                                                                                                                    \
    X(sim_late, suite, name)

#define BACKEND_ENUM(backend, suite, name) BACKEND_##backend,
enum backend { BACKENDS(BACKEND_ENUM, , ) };

struct scene {
    enum backend backend;
    struct weft_poller *poller;
    struct weft_sim *world; /* NULL over a kernel */
    struct weft_file near;
    struct weft_file far;
};

#define CONFORMANCE_TEST(backend, suite, name)                                                                                             \
    Test(suite, name##_over_##backend, .timeout = 20)                                                                                      \
    {                                                                                                                                      \
        scene_run(BACKEND_##backend, suite##_##name##_scene);                                                                              \
    }

#define Conformance(suite, name)                                                                                                           \
    static void suite##_##name##_scene(struct scene *scene);                                                                               \
    BACKENDS(CONFORMANCE_TEST, suite, name)                                                                                                \
    static void suite##_##name##_scene(struct scene *scene)

/* Open a scene, run `body`, close what is left open, and check that nothing is pending. */
void scene_run(enum backend backend, void (*body)(struct scene *scene));

/* What the callbacks of one operation have said. */
struct record {
    struct weft_operation operation; /* first */
    int calls;
    int result; /* of the last call */
    unsigned flags;
    int results[128];
    size_t bytes_count; /* lent bytes, all calls together; `bytes` keeps the first */
    unsigned char bytes[256];
    int status;                          /* what the callback is to return */
    void (*then)(struct record *record); /* called by the callback, at its end */
    struct scene *scene;
    void *arg;
};

/* The callback that fills a record. */
weft_operation_fn record_call;

int scene_submit(struct scene *scene, struct record *record);
int scene_cancel(struct scene *scene, struct record *record);

/* One wait of at most `timeout_ns`, and its works run. The count of works. */
int scene_turn(struct scene *scene, int64_t timeout_ns);

/* Turn until `record` has been called `calls` times; fails after ten seconds of the poller's time. */
void scene_await(struct scene *scene, const struct record *record, int calls);

/* Turn until nothing is ready any more and nothing is on its way. */
void scene_settle(struct scene *scene);

/* Send all of `text`, which must go at once. */
void scene_send(struct scene *scene, struct weft_file *file, const char *text);

/* Receive exactly `len` bytes into `buf`, or fewer if the stream ends. The count. */
size_t scene_recv(struct scene *scene, struct weft_file *file, void *buf, size_t len);

/* Wait until `file` has something to read. */
void scene_await_readable(struct scene *scene, struct weft_file *file);

/* Half close, and close with what is pending on it. */
void scene_shutdown(struct scene *scene, struct weft_file *file);
void scene_close(struct scene *scene, struct weft_file *file);

struct scene_address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* A listener, a socket for connect, and an address where nobody listens. */
void scene_listen(struct scene *scene, struct weft_file *file, struct scene_address *address_out);
void scene_socket(struct scene *scene, struct weft_file *file);
void scene_nobody(struct scene *scene, struct scene_address *address_out);

/* Initialise `file` with the descriptor of an accept. */
void scene_accepted(struct weft_file *file, int fd);

static inline const struct sockaddr *scene_sockaddr(const struct scene_address *address)
{
    return (const struct sockaddr *)(const void *)&address->storage;
}

#endif
