/*
 * Scenes: what makes the library call the system, again and again, and writes down how each of its operations ended.
 *
 * A scene is a function that fills a tally. It opens and closes everything itself, so that between two scenes nothing may be left; and its
 * last act, with no rule any more, is an echo on the runtime it has used, or on a new one if it never came to one.
 *
 * Its operations are independent: one that fails takes no other with it.
 */
#ifndef TESTS_FAULTS_SCENE_H
#define TESTS_FAULTS_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/faults/check.h"
#include "weft/fiber.h"
#include "weft/runtime.h"
#include "weft/server.h"
#include "weft/status.h"
#include "weft/stream.h"

enum { TALLY_MAX = 64, ROUNDS = 4 };

struct tally {
    int done;                /* operations that came to what they should */
    int failed;              /* and those that did not */
    int statuses[TALLY_MAX]; /* of the failed ones, the first of them */
    int report_count;        /* what the exception handlers heard */
    int report_status;       /* the last */
    bool has_echoed;         /* the end: without a rule all went well */
};

typedef void scene_fn(struct tally *tally);

/* An operation ended with `status`. */
void tally_note(struct tally *tally, int status);

/* `scene` is told apart by its name in the table's messages and by the strace test. */
struct scene {
    const char *name;
    scene_fn *run;
};

#define SCENES(X)                                                                                                                          \
    X(serve_tcp)                                                                                                                           \
    X(serve_tcp6)                                                                                                                          \
    X(serve_unix)                                                                                                                          \
    X(serve_abstract)                                                                                                                      \
    X(serve_streams)                                                                                                                       \
    X(serve_shared_port)                                                                                                                   \
    X(serve_descriptor)                                                                                                                    \
    X(storm)                                                                                                                               \
    X(dial_tcp)                                                                                                                            \
    X(dial_from)                                                                                                                           \
    X(dial_unix)                                                                                                                           \
    X(dial_name)                                                                                                                           \
    X(dial_race)                                                                                                                           \
    X(dial_zone)                                                                                                                           \
    X(adopt)                                                                                                                               \
    X(ask_names)                                                                                                                           \
    X(half_close)                                                                                                                          \
    X(large)                                                                                                                               \
    X(messages)                                                                                                                            \
    X(pipes)                                                                                                                               \
    X(broken_pipes)                                                                                                                        \
    X(loops)                                                                                                                               \
    X(runs)                                                                                                                                \
    X(turns)                                                                                                                               \
    X(spins)                                                                                                                               \
    X(wakes)                                                                                                                               \
    X(parks)                                                                                                                               \
    X(deadlines)                                                                                                                           \
    X(stacks)                                                                                                                              \
    X(old_stacks)                                                                                                                          \
    X(job_stacks)                                                                                                                          \
    X(look_ups)                                                                                                                            \
    X(jobs)                                                                                                                                \
    X(threads)                                                                                                                             \
    X(interrupts)                                                                                                                          \
    X(covered)                                                                                                                             \
    X(handlers)                                                                                                                            \
    X(places)                                                                                                                              \
    X(seeds)                                                                                                                               \
    X(variables)

#define SCENE_DECLARE(name) scene_fn scene_##name;
SCENES(SCENE_DECLARE)

/* NULL if there is none. */
scene_fn *scene_find(const char *name);

/* ---- what scenes are made of ----------------------------------------------------------------------------------------------------- */

/* The options of a runtime that does not spin, and whose waits are bounded. */
struct weft_runtime_options scene_options(uint32_t loops);

/* A runtime whose loops report to `tally`. */
int scene_runtime(struct tally *tally, const struct weft_runtime_options *options, struct weft_runtime **runtime_out);

/* Run `body(tally)` as the main fiber; what a run itself fails with is noted. */
void scene_run(struct tally *tally, struct weft_runtime *runtime, weft_fiber_fn *body);

/* The whole: a runtime of `loops`, `body` in it, no rule any more, the echo, the end. */
void scene_in_runtime(struct tally *tally, uint32_t loops, weft_fiber_fn *body);

/* No rule any more: an echo over TCP and one over a UNIX socket on `runtime`. Shuts it down. */
void scene_end(struct tally *tally, struct weft_runtime *runtime);

/* The same on a new runtime. */
void scene_end_anew(struct tally *tally);

/* Wait in a fiber until `is_true(arg)`, at most five seconds. */
bool scene_wait(bool (*is_true)(void *arg), void *arg);

/* A path in a folder of this process's own, which is made at the first call; and an abstract name of its own. Both are static. */
const char *scene_path(void);
const char *scene_abstract_name(void);

/* ---- the other end: plain sockets that never block, past the shim ------------------------------------------------------------------ */

int peer_listen_tcp(int *port_out);
int peer_listen_unix(const char *path);
int peer_accept(int listener);             /* the descriptor; -1: nobody there */
int peer_connect_tcp(int port);            /* -1 */
int peer_connect_tcp6(int port);           /* -1 */
int peer_connect_unix(const char *path);   /* "@" for an abstract one; -1 */
int peer_pair(int fds_out[2]);             /* a stream socket pair */
int peer_read(int fd, void *buf, int len); /* the count; 0: the end or a reset; -1: nothing there */
int peer_write(int fd, const void *buf, int len);
void peer_close(int fd);

#endif
