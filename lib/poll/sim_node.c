/*
 * Sim nodes: sockets, streams and listeners in memory.
 *
 * Called by attempts, by events of the world and by whoever sets a scene (sim.h). The invariant: bytes leave a stream in the order in which
 * they were written, none twice; and whenever a node becomes ready for something, its watcher is told once, as epoll does it with EPOLLET.
 */
#include "lib/poll/sim_world.h"

#include <errno.h>
#include <string.h>

#include "weft/memory.h"

enum { CAPACITY_DEFAULT = 64 * 1024 };

struct sim_node *sim_node_find(const struct sim_world *world, int fd)
{
    int id = fd - WEFT_FD_VIRTUAL;
    return id >= 0 && id < world->nodes_max ? world->nodes[id] : NULL;
}

struct sim_node *sim_node_peer(const struct sim_node *node)
{
    return node->peer < 0 ? NULL : node->world->nodes[node->peer];
}

/* The lowest id that is free, as a kernel would do it, so that stale names are reused soon. */
static int id_find(struct sim_world *world)
{
    for (int id = 0; id < world->nodes_max; id++)
        if (world->nodes[id] == NULL)
            return id;
    int nodes_max = world->nodes_max == 0 ? 16 : world->nodes_max * 2;
    struct sim_node **nodes = weft_realloc(world->nodes, (size_t)nodes_max * sizeof(struct sim_node *));
    if (nodes == NULL)
        return -ENOMEM;
    memset(nodes + world->nodes_max, 0, (size_t)(nodes_max - world->nodes_max) * sizeof(struct sim_node *));
    int id = world->nodes_max;
    world->nodes = nodes;
    world->nodes_max = nodes_max;
    return id;
}

struct sim_node *sim_node_create(struct sim_world *world, enum sim_node_kind kind, size_t capacity)
{
    int id = id_find(world);
    struct sim_node *node = id < 0 || sim_reserve(world, 1) < 0 ? NULL : weft_calloc(1, sizeof(*node));
    if (node == NULL)
        return NULL;
    size_t chosen = capacity != 0 ? capacity : world->options.capacity;
    node->in.capacity = chosen != 0 ? chosen : CAPACITY_DEFAULT;
    node->in.bytes = weft_malloc(node->in.capacity);
    if (node->in.bytes == NULL) {
        weft_free(node);
        return NULL;
    }
    node->world = world;
    node->id = id;
    node->peer = -1;
    node->serial = world->serial++;
    node->kind = kind;
    world->nodes[id] = node;
    world->node_count++;
    world->reserved++;
    return node;
}

static void script_free(struct sim_node *node)
{
    while (node->script != NULL) {
        struct sim_script *script = node->script;
        node->script = script->next;
        node->world->reserved -= SIM_STEP_EVENTS;
        weft_free(script);
    }
}

void sim_node_destroy(struct sim_node *node)
{
    struct sim_world *world = node->world;
    struct sim_node *peer = sim_node_peer(node);
    if (peer != NULL) {
        sim_node_shut(node);
        peer->peer = -1;
        sim_node_edge(peer, 0);
    }
    for (struct sim_node *accepted; (accepted = sim_node_accept(node)) != NULL;)
        sim_node_destroy(accepted);
    script_free(node);
    world->nodes[node->id] = NULL;
    world->node_count--;
    world->reserved--;
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
}

/* Edges */

unsigned sim_node_ready(const struct sim_node *node)
{
    unsigned bits = 0;
    if (node->kind == SIM_LISTENER)
        return node->backlog_count > 0 ? WEFT_FILE_READABLE : 0;
    if (node->in.arrived > 0)
        bits |= WEFT_FILE_READABLE;
    if (node->in.is_ended)
        bits |= WEFT_FILE_READABLE | WEFT_FILE_HANGUP;
    if (node->is_reset)
        bits |= WEFT_FILE_READABLE | WEFT_FILE_WRITABLE | WEFT_FILE_HANGUP;
    struct sim_node *peer = sim_node_peer(node);
    if (node->kind == SIM_STREAM && (peer == NULL || peer->in.filled < peer->in.capacity))
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

/* Streams */

static void bytes_arrive(struct sim_node *node, size_t count)
{
    size_t *where = node->is_cut ? &node->in.held : &node->in.arrived;
    *where += count;
    if (!node->is_cut)
        sim_node_edge(node, 0);
}

static void end_arrives(struct sim_node *node)
{
    bool *which = node->is_cut ? &node->in.is_end_held : &node->in.is_ended;
    *which = true;
    if (!node->is_cut)
        sim_node_edge(node, 0);
}

/* The delay of the next thing that goes into `pipe`: its own latency, but not before what is on its way. */
static uint64_t pipe_delay(struct sim_world *world, struct sim_pipe *pipe)
{
    uint64_t when_ns = world->now_ns + sim_latency(world);
    pipe->last_ns = when_ns < pipe->last_ns ? pipe->last_ns : when_ns;
    return pipe->last_ns - world->now_ns;
}

size_t sim_node_write(struct sim_node *node, const unsigned char *buf, size_t len)
{
    struct sim_node *peer = sim_node_peer(node);
    struct sim_pipe *pipe = &peer->in;
    size_t room = pipe->capacity - pipe->filled;
    size_t count = len < room ? len : room;
    size_t tail = (pipe->head + pipe->filled) % pipe->capacity;
    size_t before_wrap = count < pipe->capacity - tail ? count : pipe->capacity - tail;
    if (count == 0)
        return 0;
    memcpy(pipe->bytes + tail, buf, before_wrap);
    memcpy(pipe->bytes, buf + before_wrap, count - before_wrap);
    pipe->filled += count;
    uint64_t delay_ns = pipe_delay(node->world, pipe);
    if (delay_ns == 0)
        bytes_arrive(peer, count);
    else
        sim_push(peer, delay_ns, SIM_ARRIVE, count);
    return count;
}

size_t sim_node_read(struct sim_node *node, unsigned char *buf, size_t len)
{
    struct sim_pipe *pipe = &node->in;
    size_t count = len < pipe->arrived ? len : pipe->arrived;
    size_t before_wrap = count < pipe->capacity - pipe->head ? count : pipe->capacity - pipe->head;
    bool was_full = pipe->filled == pipe->capacity;
    memcpy(buf, pipe->bytes + pipe->head, before_wrap);
    memcpy(buf + before_wrap, pipe->bytes, count - before_wrap);
    pipe->head = (pipe->head + count) % pipe->capacity;
    pipe->filled -= count;
    pipe->arrived -= count;
    struct sim_node *peer = sim_node_peer(node);
    if (was_full && count > 0 && peer != NULL)
        sim_node_edge(peer, 0);
    return count;
}

void sim_node_shut(struct sim_node *node)
{
    struct sim_node *peer = sim_node_peer(node);
    if (node->is_shut || peer == NULL)
        return;
    node->is_shut = true;
    uint64_t delay_ns = pipe_delay(node->world, &peer->in);
    if (delay_ns == 0)
        end_arrives(peer);
    else
        sim_push(peer, delay_ns, SIM_END, 0);
}

void sim_node_reset(struct sim_node *node)
{
    struct sim_node *peer = sim_node_peer(node);
    node->is_reset = true;
    sim_node_edge(node, 0);
    if (peer != NULL) {
        peer->is_reset = true;
        sim_node_edge(peer, 0);
    }
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
    case SIM_EDGE:
        sim_node_edge(node, (unsigned)event->bytes);
        break;
    }
}

/* Listeners */

struct sim_node *sim_node_listener(const struct sim_world *world, const void *address, socklen_t len)
{
    for (int id = 0; id < world->nodes_max; id++) {
        struct sim_node *node = world->nodes[id];
        if (node != NULL && node->kind == SIM_LISTENER && node->address_len == len && memcmp(&node->address, address, len) == 0)
            return node;
    }
    return NULL;
}

int sim_node_address(struct sim_node *node, const struct sockaddr *address, socklen_t len)
{
    if (address == NULL || len > sizeof(node->address))
        return -EINVAL;
    memcpy(&node->address, address, len);
    node->address_len = len;
    return 0;
}

int sim_node_connect(struct sim_node *node)
{
    struct sim_node *listener = sim_node_listener(node->world, &node->address, node->address_len);
    if (listener == NULL)
        return -ECONNREFUSED;
    if (listener->backlog_count == listener->backlog_max)
        return -EAGAIN;
    struct sim_node *accepted = sim_node_create(node->world, SIM_STREAM, 0);
    if (accepted == NULL)
        return -ENOMEM;
    sim_node_join(node, accepted);
    listener->backlog[(listener->backlog_head + listener->backlog_count) % listener->backlog_max] = accepted->id;
    listener->backlog_count++;
    sim_node_edge(listener, 0);
    return 0;
}

/* Whoever found the backlog full may try again. */
static void listener_has_room(const struct sim_node *listener)
{
    for (int id = 0; id < listener->world->nodes_max; id++) {
        struct sim_node *node = listener->world->nodes[id];
        if (node != NULL && node->kind == SIM_CONNECTING && node->address_len == listener->address_len &&
            memcmp(&node->address, &listener->address, node->address_len) == 0)
            sim_node_edge(node, WEFT_FILE_WRITABLE);
    }
}

struct sim_node *sim_node_accept(struct sim_node *listener)
{
    if (listener->backlog_count == 0)
        return NULL;
    struct sim_node *accepted = listener->world->nodes[listener->backlog[listener->backlog_head]];
    listener->backlog_head = (listener->backlog_head + 1) % listener->backlog_max;
    listener->backlog_count--;
    listener_has_room(listener);
    return accepted;
}
