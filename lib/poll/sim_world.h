/*
 * Sim world: what its parts share. Time and events are in sim_world.c, nodes and streams in sim_node.c, what sets them
 * up in sim_scene.c, attempts in sim_attempt.c, the poller in sim_poller.c.
 *
 *      world ── nodes[id] ── node ── in: bytes that the peer has sent          id = fd - WEFT_FD_VIRTUAL
 *            │                 └──── script: steps to come
 *            └─ events: a heap of (when, sequence)
 *
 * Events name a node by id and serial, so that those of a node that is gone find nothing.
 */
#ifndef LIB_POLL_SIM_WORLD_H
#define LIB_POLL_SIM_WORLD_H

#include <stdbool.h>
#include <sys/socket.h>

#include "lib/base/random.h"
#include "lib/poll/readiness.h"
#include "lib/poll/sim.h"

enum { SIM_KINDS = 16 }; /* more than there are kinds of operations */
enum {
    SIM_STEP_EVENTS = 4
}; /* that one step of a script may push: it is new, its turn has come, its delay is over, bytes are left behind */

enum sim_event_kind {
    SIM_ARRIVE, /* `bytes` more reach the node */
    SIM_END,    /* the end of the stream reaches it */
    SIM_EDGE,   /* it is told that it is ready for `bytes`, a mask: an attempt will find out */
};

struct sim_event {
    uint64_t when_ns;
    uint64_t sequence;
    uint64_t serial;
    size_t bytes;
    int id;
    enum sim_event_kind kind;
};

/* What is on its way into a node. Of the `filled` bytes the first `arrived` may be read. */
struct sim_pipe {
    unsigned char *bytes;
    size_t capacity;
    size_t head;
    size_t filled;
    size_t arrived;
    size_t held;      /* would have arrived but for a cut */
    uint64_t last_ns; /* when the last chunk arrives: the next may not overtake it */
    bool is_ended;    /* has arrived */
    bool is_end_held;
};

/* In what state a node is; a socket goes IDLE, CONNECTING, STREAM. */
enum sim_node_kind {
    SIM_IDLE,
    SIM_CONNECTING,
    SIM_STREAM,
    SIM_LISTENER,
};

struct sim_script {
    struct sim_script *next;
    struct sim_step step;
    uint64_t until_ns; /* the end of its delay; 0 before the first attempt */
};

struct sim_node {
    struct sim_world *world;
    int id;
    int peer; /* an id; -1 before connect and once the peer is gone */
    uint64_t serial;
    enum sim_node_kind kind;
    bool is_shut; /* has ended its writing */
    bool is_reset;
    bool is_cut;
    struct sim_pipe in;
    struct readiness *readiness; /* with `file`, while it is watched */
    struct weft_file *file;
    struct sim_script *script;
    uint64_t counts[SIM_KINDS];      /* results so far, by kind of operation */
    struct sockaddr_storage address; /* a listener's own, or where a socket connects to */
    socklen_t address_len;
    uint64_t connect_ns; /* when the connect reaches the listener */
    int *backlog;        /* a ring of ids */
    unsigned backlog_max;
    unsigned backlog_head;
    unsigned backlog_count;
};

struct sim_world {
    struct sim_options options;
    struct random random;
    uint64_t now_ns;
    uint64_t sequence;
    uint64_t serial;
    struct sim_node **nodes; /* by id; NULL where free */
    int nodes_max;
    size_t node_count;
    struct sim_event *events;
    size_t event_count;
    size_t events_max;
    size_t reserved; /* events that may still be pushed without asking: one end per node, four edges per step */
    unsigned poller_count;
};

/* Time and events: sim_world.c */

/* Make room for `extra` events beside the reserved ones. 0; -ENOMEM. */
int sim_reserve(struct sim_world *world, size_t extra);

/* Push an event for `node`, `delay_ns` from now. There is room: reserved by sim_reserve() just before, or long ago. */
void sim_push(struct sim_node *node, uint64_t delay_ns, enum sim_event_kind kind, size_t bytes);

/* A latency between the world's two. */
uint64_t sim_latency(struct sim_world *world);

/* True with a probability of `permille` in a thousand. */
bool sim_chance(struct sim_world *world, unsigned permille);

/* Nodes: sim_node.c */

/* The open node of `fd`; NULL if it is none. */
struct sim_node *sim_node_find(const struct sim_world *world, int fd);

/* The peer of `node`, or NULL. */
struct sim_node *sim_node_peer(const struct sim_node *node);

/* A new node; NULL when out of memory. `capacity` 0: the world's own. */
struct sim_node *sim_node_create(struct sim_world *world, enum sim_node_kind kind, size_t capacity);

/* Close `node`: its peer finds the end, then broken pipes; its backlog is closed with it. */
void sim_node_destroy(struct sim_node *node);

/* Make the two ends of one stream. */
void sim_node_join(struct sim_node *node, struct sim_node *peer);

/* The listener at `address`, or NULL. */
struct sim_node *sim_node_listener(const struct sim_world *world, const void *address, socklen_t len);

/* Give `node` an address: a listener's own, or where a socket goes. 0; -EINVAL. */
int sim_node_address(struct sim_node *node, const struct sockaddr *address, socklen_t len);

/* Take the oldest connection out of the backlog of `listener`; NULL if there is none. */
struct sim_node *sim_node_accept(struct sim_node *listener);

/* Bring `node`, which has an address, to its listener. 0; -ECONNREFUSED; -EAGAIN if the backlog is full; -ENOMEM. */
int sim_node_connect(struct sim_node *node);

/* Copy up to `len` bytes out of what has arrived; the count. */
size_t sim_node_read(struct sim_node *node, unsigned char *buf, size_t len);

/* Copy up to `len` bytes towards the peer of `node`, which has one; the count. There is room for one event. */
size_t sim_node_write(struct sim_node *node, const unsigned char *buf, size_t len);

/* End the writing of `node`. */
void sim_node_shut(struct sim_node *node);

/* Both ends find a reset. */
void sim_node_reset(struct sim_node *node);

/* What `node` is ready for, as enum weft_file_ready. */
unsigned sim_node_ready(const struct sim_node *node);

/* Tell the watcher of `node` what it is ready for, and that it is for `more`, as an edge. */
void sim_node_edge(struct sim_node *node, unsigned more);

/* Let `event` happen to `node`. */
void sim_node_event(struct sim_node *node, const struct sim_event *event);

/* Attempts: sim_attempt.c */

/* readiness_ops.attempt on `node`. */
int sim_attempt(struct sim_node *node, struct weft_operation *operation, struct readiness_window window, bool is_first);

#endif
