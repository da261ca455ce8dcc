/*
 * Sim world: what its parts share.
 *
 *      sim_world.c    time, dice, events        sim_host.c     hosts and what happens to them
 *      sim_node.c     sockets and streams       sim_listen.c   listeners, and who reaches them
 *      sim_link.c     ways between hosts        sim_route.c    names, addresses and ports
 *      sim_attempt.c  operations on nodes       sim_socket.c   what net asks of a poller
 *      sim_scene.c    scenes for tests          sim_trace.c    what has happened
 *      sim_poller.c   the backend
 *
 *      world ── hosts[index] ── paths[index of the other]: the link there, and whether it is cut
 *            │              └── bound: nodes with an address of their own
 *            ├─ nodes[id] ── node ── in: bytes that the peer has sent          id = fd - WEFT_FD_VIRTUAL
 *            │                  └─── script: steps to come
 *            └─ events: a heap of (when, sequence)
 *
 * Events name a node by id and serial, so that those of a node that is gone find nothing. What lives in a world and on no host of its own
 * lives on the first host, which is the world's first member: so a pointer to a world serves as one to that host.
 */
#ifndef LIB_POLL_SIM_WORLD_H
#define LIB_POLL_SIM_WORLD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "lib/base/random.h"
#include "lib/poll/readiness.h"
#include "lib/poll/sim.h"
#include "weft/sim.h"

enum {
    SIM_KINDS = 16,       /* more than there are kinds of operations */
    SIM_NODE_EVENTS = 2,  /* that a node may push at any time: the end for its peer, and that it gives up */
    SIM_STEP_EVENTS = 4,  /* that one step of a script may push: it is new, its turn has come, its delay is over, bytes are left behind */
    SIM_NAME_BYTES = 64,  /* of a host's name, with its zero */
    SIM_CAPACITY = 65536, /* of a stream, unless said otherwise */
    SIM_STEALABLE_MAX = 61,
};

enum sim_event_kind {
    SIM_ARRIVE,  /* `bytes` more reach the node */
    SIM_END,     /* the end of the stream reaches it */
    SIM_RESET,   /* a reset reaches it */
    SIM_BREAK,   /* what was sent to it does not get through: its peer gives up */
    SIM_GIVE_UP, /* it may have waited long enough */
    SIM_EDGE,    /* it is told that it is ready for `bytes`, a mask: an attempt will find out */
};

struct sim_event {
    uint64_t when_ns;
    uint64_t sequence;
    uint64_t serial;
    size_t bytes;
    int id;
    enum sim_event_kind kind;
};

/* The address of a socket; len 0: none. */
struct sim_name {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* What is on its way into a node. Of the `filled` bytes the first `arrived` may be read. */
struct sim_pipe {
    unsigned char *bytes; /* a ring of `size`, which grows up to `capacity` */
    size_t size;
    size_t capacity;
    size_t head;
    size_t filled;
    size_t arrived;
    size_t held;      /* would have arrived but for a cut */
    uint64_t last_ns; /* when the last chunk arrives: the next may not overtake it */
    uint64_t sent_ns; /* when its last byte is on the way, where bandwidth is limited */
    bool is_ended;    /* has arrived */
    bool is_end_held;
    bool is_reset_held;
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
    struct weft_sim_host *host;
    struct weft_sim_host *remote; /* of the peer, or where it connects to; stays when the peer is gone */
    int id;
    int peer; /* an id; -1 before connect and once the peer is gone */
    uint64_t serial;
    enum sim_node_kind kind;
    bool is_shut;     /* has ended its writing */
    bool is_cut;      /* by sim_cut() */
    bool is_orphan;   /* the peer's host has lost its power, and nobody has told */
    bool is_dead;     /* this one's has */
    bool is_bound;    /* in the list of its host */
    bool is_shared;   /* others may be bound to the same address */
    bool is_lost;     /* nobody will ever answer this connect */
    bool is_counting; /* a SIM_GIVE_UP is to come */
    int error;        /* why its stream broke; 0: it has not */
    struct sim_pipe in;
    size_t void_bytes;           /* sent to a peer that is no more */
    uint64_t stalled_ns;         /* since when something does not get through; 0: everything does */
    struct readiness *readiness; /* with `file`, while it is watched */
    struct weft_file *file;
    struct sim_script *script;
    uint64_t counts[SIM_KINDS]; /* results so far, by kind of operation */
    struct sim_name local;
    struct sim_name far;         /* where it connects to, or is connected */
    uint64_t connect_ns;         /* when the connect reaches the listener */
    struct sim_node *next_bound; /* in the list of the host */
    int *backlog;                /* a ring of ids */
    unsigned backlog_max;
    unsigned backlog_head;
    unsigned backlog_count;
};

/* One direction between two hosts. */
struct sim_path {
    struct weft_sim_link link;
    bool is_cut;
};

struct weft_sim_host {
    struct weft_sim *world;
    uint32_t index;
    uint32_t cpus;
    uint32_t boot_count;    /* restarts so far: who was made before is dead */
    struct sim_path *paths; /* by index of the other host */
    struct sim_node *bound;
    struct weft_sim_faults faults;
    struct weft_poller_options poller; /* that live here */
    struct in_addr address;
    struct in6_addr address6;
    bool has_address6;
    bool is_down;
    uint16_t next_port;
    size_t node_count;
    int64_t wall_ns; /* what its time of day is ahead of the world's */
    uint64_t paused_until_ns;
    char name[SIM_NAME_BYTES];
};

struct sim_call {
    struct sim_call *next;
    uint64_t when_ns;
    weft_sim_event_fn *fn;
    void *arg;
};

struct weft_sim {
    struct weft_sim_host first; /* first: see above */
    struct weft_sim_options options;
    struct weft_sim_host **hosts; /* the first is `first` */
    uint32_t host_count;
    struct sim_path any;    /* what hosts to come have */
    struct random random;   /* of the network and its faults */
    struct random schedule; /* of its driver */
    struct random memory;   /* of allocations that fail */
    uint64_t now_ns;
    uint64_t sequence;
    uint64_t serial;
    uint64_t hash;
    struct sim_node **nodes; /* by id; NULL where free */
    int nodes_max;
    int first_free; /* no id below it is free */
    size_t node_count;
    struct sim_event *events;
    size_t event_count;
    size_t events_max;
    size_t reserved;        /* events that may still be pushed without asking */
    struct sim_call *calls; /* the next one first */
    unsigned poller_count;
    struct weft_sim_counters counters;
    void *driver; /* what drives it: lib/runtime/sim_drive.c */
    sim_meanwhile_fn *meanwhile;
};

/* Time, dice and events: sim_world.c */

/* Make room for `extra` events beside the reserved ones. 0; -ENOMEM. */
int sim_reserve(struct weft_sim *world, size_t extra);

/* Push an event for `node`, `delay_ns` from now. There is room: reserved by sim_reserve() just before, or long ago. */
void sim_push(struct sim_node *node, uint64_t delay_ns, enum sim_event_kind kind, size_t bytes);

/* True with a probability of `permille` in a thousand. */
bool sim_chance(struct weft_sim *world, uint32_t permille);

/* The same, for a fault of a host, which is counted and traced. */
bool sim_fault(struct weft_sim_host *host, uint32_t permille, const char *what);

/* Hosts: sim_host.c */

/* Initialise the first host of `world`. 0; -ENOMEM. */
int sim_host_init_first(struct weft_sim *world);

/* Free what hosts have. */
void sim_hosts_free(struct weft_sim *world);

/* Links: sim_link.c */

static inline struct sim_path *sim_path(const struct weft_sim_host *from, const struct weft_sim_host *to)
{
    return &from->paths[to->index];
}

/* How long one thing takes on `path`. */
uint64_t sim_link_latency(struct weft_sim *world, const struct weft_sim_link *link);

/* For how long a connect, or a stream, is tried again on `path` before it is given up. */
uint64_t sim_link_give_up(const struct sim_path *path, bool is_connect);

/*
 * When `bytes` more that go into the stream of `to` arrive, counted from now. True; false if they never do, since they got lost too often:
 * then it says when the sender gives up.
 */
bool sim_link_send(struct weft_sim *world, struct sim_node *to, size_t bytes, uint64_t *delay_out);

/* True if nothing gets to `node` now. */
bool sim_node_is_cut_off(const struct sim_node *node);

/* Let what `node` waits for count as stalled from now on, so that it is given up one day; and no longer. */
void sim_node_stall(struct sim_node *node);
void sim_node_unstall(struct sim_node *node);

/* True if it has stalled for as long as it is tried. Else an event will come if it stalls until then. */
bool sim_node_has_given_up(struct sim_node *node);

/* Nodes: sim_node.c */

static inline struct weft_sim *sim_node_world(const struct sim_node *node)
{
    return node->host->world;
}

/* The open node of `fd`; NULL if it is none. */
struct sim_node *sim_node_find(const struct weft_sim *world, int fd);

/* The peer of `node`, or NULL. */
struct sim_node *sim_node_peer(const struct sim_node *node);

/* A new node; NULL when out of memory. `capacity` 0: SIM_CAPACITY. */
struct sim_node *sim_node_create(struct weft_sim_host *host, enum sim_node_kind kind, size_t capacity);

/* Close `node`: its peer finds the end, then broken pipes; its backlog is closed with it. */
void sim_node_destroy(struct sim_node *node);

/* Make the two ends of one stream. */
void sim_node_join(struct sim_node *node, struct sim_node *peer);

/* Copy up to `len` bytes out of what has arrived; the count. */
size_t sim_node_read(struct sim_node *node, unsigned char *buf, size_t len);

/* Copy up to `len` bytes towards the peer of `node`; the count, or -ENOMEM. There is room for one event. */
int sim_node_write(struct sim_node *node, const unsigned char *buf, size_t len);

/* End the writing of `node`. */
void sim_node_shut(struct sim_node *node);

/* Let the stream of `node` end with `error` on its side. */
void sim_node_break(struct sim_node *node, int error);

/* Both ends find a reset, now. */
void sim_node_reset(struct sim_node *node);

/* Let through what was held back while `node` was cut off. */
void sim_node_release(struct sim_node *node);

/* What `node` is ready for, as enum weft_file_ready. */
unsigned sim_node_ready(const struct sim_node *node);

/* Tell the watcher of `node` what it is ready for, and that it is for `more`, as an edge. */
void sim_node_edge(struct sim_node *node, unsigned more);

/* Let `event` happen to `node`. */
void sim_node_event(struct sim_node *node, const struct sim_event *event);

/* Listeners: sim_listen.c */

/* Let `node` listen. 0; -ENOMEM; -EINVAL for a connected one. */
int sim_node_listen(struct sim_node *node, unsigned backlog);

/* Take the oldest connection out of the backlog of `listener`; NULL if there is none. */
struct sim_node *sim_node_accept(struct sim_node *listener);

/* Bring `node` to a listener at its far address. 0; -ECONNREFUSED; -EAGAIN if the backlog is full; -ENOMEM. */
int sim_node_connect(struct sim_node *node);

/* Addresses: sim_route.c */

/* Copy `address`; len 0 is none. 0; -EINVAL. */
int sim_name_set(struct sim_name *name, const struct sockaddr *address, socklen_t len);

/* True if what is bound to `bound` is reached at `name`. */
bool sim_name_reaches(const struct sim_name *bound, const struct sim_name *name);

/* The host that `name` means to `from`; NULL if it means nobody. */
struct weft_sim_host *sim_route(struct weft_sim_host *from, const struct sim_name *name);

/* Bind `node` to `name`; a port 0 is given one. 0; -EADDRINUSE; -EADDRNOTAVAIL. */
int sim_node_bind(struct sim_node *node, const struct sim_name *name, bool is_shared);

/* Take `node` out of the list of those that are bound. */
void sim_node_unbind(struct sim_node *node);

/* Give `node`, which has none, the address that it connects to `node->far` from. */
void sim_node_bind_any(struct sim_node *node);

/* Find the addresses of `name` for `host`, as weft_poller_sockets.resolve. */
int sim_resolve(struct weft_sim_host *host, const char *name, int family, struct sockaddr_storage *addresses_out, size_t count_max);

/* Sockets: sim_socket.c */

extern const struct weft_poller_sockets sim_sockets;

/* The poller's host; NULL once it is finished. In sim_poller.c */
struct weft_sim_host *sim_poller_host(struct weft_poller *poller);

/* True if the poller's host has lost its power since the poller was made. In sim_poller.c */
bool sim_poller_is_dead(struct weft_poller *poller);

/* Trace: sim_trace.c */

/*
 * Say that `what`, one word, has happened on `host` (NULL: to the whole world). The numbers are a descriptor, as a rule, and what came of
 * it: a line of the trace is time, host, word, number, number.
 */
void sim_trace(struct weft_sim *world, const struct weft_sim_host *host, const char *what, int64_t one, int64_t two);

/* Attempts: sim_attempt.c */

/* readiness_ops.attempt on `node`. */
int sim_attempt(struct sim_node *node, struct weft_operation *operation, struct readiness_window window, bool is_first);

#endif
