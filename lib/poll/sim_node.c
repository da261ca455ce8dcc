/*
 * Sim nodes: sockets and streams in memory.
 *
 * Called by attempts, by events of the world and by whoever sets a scene (sim.h). The invariant: bytes leave a stream in the order in which
 * they were written, none twice; and whenever a node becomes ready for something, its watcher is told once, as epoll does it with EPOLLET.
 */
#include <errno.h>
#include <string.h>

#include "lib/poll/sim_world.h"
#include "weft/memory.h"

enum { SIZE_MIN = 512 };

struct sim_node *sim_node_find(const struct weft_sim *world, int fd)
{
    int id = fd - WEFT_FD_VIRTUAL;
    return id >= 0 && id < world->nodes_max ? world->nodes[id] : NULL;
}

struct sim_node *sim_node_peer(const struct sim_node *node)
{
    return node->peer < 0 ? NULL : sim_node_world(node)->nodes[node->peer];
}

/* ---- life --------------------------------------------------------------------------------------------------------------------- */

/* The lowest id that is free, as a kernel would do it, so that stale names are reused soon. */
static int id_find(struct weft_sim *world)
{
    int id = world->first_free;
    while (id < world->nodes_max && world->nodes[id] != NULL)
        id++;
    world->first_free = id;
    if (id < world->nodes_max)
        return id;
    int nodes_max = world->nodes_max == 0 ? 16 : world->nodes_max * 2;
    struct sim_node **nodes = weft_realloc(world->nodes, (size_t)nodes_max * sizeof(struct sim_node *));
    if (nodes == NULL)
        return -ENOMEM;
    memset(nodes + world->nodes_max, 0, (size_t)(nodes_max - world->nodes_max) * sizeof(struct sim_node *));
    world->nodes = nodes;
    world->nodes_max = nodes_max;
    return id;
}

struct sim_node *sim_node_create(struct weft_sim_host *host, enum sim_node_kind kind, size_t capacity)
{
    struct weft_sim *world = host->world;
    int id = id_find(world);
    struct sim_node *node = id < 0 || sim_reserve(world, SIM_NODE_EVENTS) < 0 ? NULL : weft_calloc(1, sizeof(*node));
    if (node == NULL)
        return NULL;
    node->in.capacity = capacity != 0 ? capacity : SIM_CAPACITY;
    node->host = host;
    node->id = id;
    node->peer = -1;
    node->serial = world->serial++;
    node->kind = kind;
    world->nodes[id] = node;
    world->node_count++;
    world->reserved += SIM_NODE_EVENTS;
    host->node_count++;
    return node;
}

static void script_free(struct sim_node *node)
{
    while (node->script != NULL) {
        struct sim_script *script = node->script;
        node->script = script->next;
        sim_node_world(node)->reserved -= SIM_STEP_EVENTS;
        weft_free(script);
    }
}

static void node_leave_peer(struct sim_node *node)
{
    struct sim_node *peer = sim_node_peer(node);
    if (peer == NULL)
        return;
    sim_node_shut(node);
    peer->peer = -1;
    sim_node_edge(peer, 0);
}

void sim_node_destroy(struct sim_node *node)
{
    struct weft_sim *world = sim_node_world(node);
    sim_trace(world, node->host, "close", node->id, 0);
    node_leave_peer(node);
    for (struct sim_node *accepted; (accepted = sim_node_accept(node)) != NULL;)
        sim_node_destroy(accepted);
    script_free(node);
    sim_node_unbind(node);
    world->nodes[node->id] = NULL;
    world->first_free = node->id < world->first_free ? node->id : world->first_free;
    world->node_count--;
    world->reserved -= SIM_NODE_EVENTS;
    node->host->node_count--;
    weft_free(node->backlog);
    weft_free(node->in.bytes);
    weft_free(node);
}

void sim_node_join(struct sim_node *node, struct sim_node *peer)
{
    node->kind = SIM_STREAM;
    peer->kind = SIM_STREAM;
    node->peer = peer->id;
    peer->peer = node->id;
    node->remote = peer->host;
    peer->remote = node->host;
}

/* ---- edges -------------------------------------------------------------------------------------------------------------------- */

static bool has_room(const struct sim_node *node)
{
    const struct sim_node *peer = sim_node_peer(node);
    if (peer != NULL)
        return peer->in.filled < peer->in.capacity;
    return !node->is_orphan || node->void_bytes < node->in.capacity;
}

unsigned sim_node_ready(const struct sim_node *node)
{
    unsigned bits = 0;
    if (node->kind == SIM_LISTENER)
        return node->backlog_count > 0 ? WEFT_FILE_READABLE : 0;
    if (node->in.arrived > 0)
        bits |= WEFT_FILE_READABLE;
    if (node->in.is_ended)
        bits |= WEFT_FILE_READABLE | WEFT_FILE_HANGUP;
    if (node->error != 0)
        bits |= WEFT_FILE_READABLE | WEFT_FILE_WRITABLE | WEFT_FILE_HANGUP;
    if (node->kind == SIM_STREAM && has_room(node))
        bits |= WEFT_FILE_WRITABLE;
    return bits;
}

void sim_node_edge(struct sim_node *node, unsigned more)
{
    if (node->readiness != NULL) {
        node->readiness->base.counters.events++;
        readiness_event(node->readiness, node->file, sim_node_ready(node) | more);
    }
}

/* ---- what arrives ------------------------------------------------------------------------------------------------------------- */

static void bytes_arrive(struct sim_node *node, size_t count)
{
    if (node->error != 0 || node->is_dead)
        return;
    bool is_cut_off = sim_node_is_cut_off(node);
    sim_trace(sim_node_world(node), node->host, is_cut_off ? "hold" : "arrive", node->id, (int64_t)count);
    if (is_cut_off) {
        node->in.held += count;
        if (!node->is_cut) /* whoever cuts a single stream heals it */
            sim_node_stall(node);
        return;
    }
    node->in.arrived += count;
    sim_node_edge(node, 0);
}

static void end_arrives(struct sim_node *node)
{
    bool is_cut_off = sim_node_is_cut_off(node);
    bool *which = is_cut_off ? &node->in.is_end_held : &node->in.is_ended;
    *which = true;
    sim_trace(sim_node_world(node), node->host, is_cut_off ? "hold-end" : "end", node->id, 0);
    if (!is_cut_off)
        sim_node_edge(node, 0);
}

static void reset_arrives(struct sim_node *node)
{
    if (sim_node_is_cut_off(node))
        node->in.is_reset_held = true;
    else
        sim_node_break(node, -ECONNRESET);
}

void sim_node_release(struct sim_node *node)
{
    struct sim_pipe *pipe = &node->in;
    if (sim_node_is_cut_off(node) || node->is_dead)
        return;
    pipe->arrived += pipe->held;
    pipe->held = 0;
    pipe->is_ended = pipe->is_ended || pipe->is_end_held;
    sim_node_unstall(node);
    bool is_for_nobody = node->is_orphan && !node->remote->is_down && node->void_bytes > 0;
    if (pipe->is_reset_held || is_for_nobody)
        sim_node_break(node, -ECONNRESET);
    sim_node_edge(node, node->kind == SIM_CONNECTING ? WEFT_FILE_WRITABLE : 0);
}

/* Its peer, or it itself for a connect or an orphan, has tried long enough. */
static void node_give_up(struct sim_node *node)
{
    struct sim_node *peer = sim_node_peer(node);
    sim_node_world(node)->counters.timeouts++;
    sim_trace(sim_node_world(node), node->host, "give-up", node->id, 0);
    if (node->kind == SIM_CONNECTING) {
        sim_node_edge(node, WEFT_FILE_WRITABLE); /* the attempt finds out */
        return;
    }
    sim_node_unstall(node);
    if (node->is_orphan) {
        sim_node_break(node, -ETIMEDOUT);
        return;
    }
    reset_arrives(node);
    if (peer != NULL)
        sim_node_break(peer, -ETIMEDOUT);
}

void sim_node_event(struct sim_node *node, const struct sim_event *event)
{
    switch (event->kind) {
    case SIM_ARRIVE:
        bytes_arrive(node, event->bytes);
        break;
    case SIM_END:
        end_arrives(node);
        break;
    case SIM_RESET:
        reset_arrives(node);
        break;
    case SIM_BREAK:
        node_give_up(node);
        break;
    case SIM_GIVE_UP:
        node->is_counting = false;
        if (sim_node_has_given_up(node))
            node_give_up(node);
        break;
    case SIM_EDGE:
        sim_node_edge(node, (unsigned)event->bytes);
        break;
    }
}

/* ---- bytes -------------------------------------------------------------------------------------------------------------------- */

/* Room for `count` bytes more, if memory allows. Most streams stay small. */
static int pipe_grow(struct sim_pipe *pipe, size_t count)
{
    size_t size = pipe->size == 0 ? SIZE_MIN : pipe->size;
    while (size < pipe->filled + count)
        size *= 2;
    size = size < pipe->capacity ? size : pipe->capacity;
    unsigned char *bytes = weft_malloc(size);
    if (bytes == NULL)
        return -ENOMEM;
    size_t before_wrap = pipe->size - pipe->head < pipe->filled ? pipe->size - pipe->head : pipe->filled;
    if (pipe->filled > 0) {
        memcpy(bytes, pipe->bytes + pipe->head, before_wrap);
        memcpy(bytes + before_wrap, pipe->bytes, pipe->filled - before_wrap);
    }
    weft_free(pipe->bytes);
    pipe->bytes = bytes;
    pipe->size = size;
    pipe->head = 0;
    return 0;
}

static void pipe_push(struct sim_pipe *pipe, const unsigned char *buf, size_t count)
{
    size_t tail = (pipe->head + pipe->filled) % pipe->size;
    size_t before_wrap = count < pipe->size - tail ? count : pipe->size - tail;
    memcpy(pipe->bytes + tail, buf, before_wrap);
    memcpy(pipe->bytes, buf + before_wrap, count - before_wrap);
    pipe->filled += count;
}

static void chunk_send(struct sim_node *peer, size_t count)
{
    struct weft_sim *world = sim_node_world(peer);
    uint64_t delay_ns;
    world->counters.chunks++;
    world->counters.bytes += count;
    if (sim_chance(world, sim_path(peer->remote, peer->host)->link.reset_permille)) {
        sim_node_reset(peer);
        return;
    }
    bool gets_through = sim_link_send(world, peer, count, &delay_ns);
    if (gets_through && delay_ns == 0)
        bytes_arrive(peer, count);
    else
        sim_push(peer, delay_ns, gets_through ? SIM_ARRIVE : SIM_BREAK, count);
}

/* To a host that has lost its power. Once it is back it knows nothing of this connection, and says so. */
static int void_write(struct sim_node *node, size_t len)
{
    size_t room = node->in.capacity - node->void_bytes;
    size_t count = len < room ? len : room;
    node->void_bytes += count;
    if (count == 0)
        return 0;
    if (node->remote->is_down || sim_path(node->host, node->remote)->is_cut)
        sim_node_stall(node);
    else
        sim_push(node, sim_link_latency(sim_node_world(node), &sim_path(node->remote, node->host)->link), SIM_RESET, 0);
    return (int)count;
}

int sim_node_write(struct sim_node *node, const unsigned char *buf, size_t len)
{
    struct sim_node *peer = sim_node_peer(node);
    if (peer == NULL)
        return void_write(node, len);
    struct sim_pipe *pipe = &peer->in;
    size_t room = pipe->capacity - pipe->filled;
    size_t count = len < room ? len : room;
    if (count == 0)
        return 0;
    if (pipe->filled + count > pipe->size && pipe_grow(pipe, count) < 0)
        return -ENOMEM;
    pipe_push(pipe, buf, count);
    chunk_send(peer, count);
    return (int)count;
}

size_t sim_node_read(struct sim_node *node, unsigned char *buf, size_t len)
{
    struct sim_pipe *pipe = &node->in;
    size_t count = len < pipe->arrived ? len : pipe->arrived;
    size_t before_wrap = count < pipe->size - pipe->head ? count : pipe->size - pipe->head;
    bool was_full = pipe->filled == pipe->capacity;
    if (count == 0)
        return 0;
    memcpy(buf, pipe->bytes + pipe->head, before_wrap);
    memcpy(buf + before_wrap, pipe->bytes, count - before_wrap);
    pipe->head = (pipe->head + count) % pipe->size;
    pipe->filled -= count;
    pipe->arrived -= count;
    struct sim_node *peer = sim_node_peer(node);
    if (was_full && peer != NULL)
        sim_node_edge(peer, 0);
    return count;
}

/* ---- ends --------------------------------------------------------------------------------------------------------------------- */

void sim_node_shut(struct sim_node *node)
{
    struct sim_node *peer = sim_node_peer(node);
    uint64_t delay_ns;
    if (node->is_shut)
        return;
    node->is_shut = true;
    if (peer == NULL)
        return;
    bool gets_through = sim_link_send(sim_node_world(node), peer, 0, &delay_ns);
    if (gets_through && delay_ns == 0)
        end_arrives(peer);
    else
        sim_push(peer, delay_ns, gets_through ? SIM_END : SIM_BREAK, 0);
}

void sim_node_break(struct sim_node *node, int error)
{
    if (node->error != 0)
        return;
    sim_node_world(node)->counters.resets += error == -ECONNRESET;
    sim_trace(sim_node_world(node), node->host, "break", node->id, error);
    node->error = error;
    sim_node_unstall(node);
    sim_node_edge(node, 0);
}

void sim_node_reset(struct sim_node *node)
{
    struct sim_node *peer = sim_node_peer(node);
    sim_node_break(node, -ECONNRESET);
    if (peer != NULL)
        sim_node_break(peer, -ECONNRESET);
}
