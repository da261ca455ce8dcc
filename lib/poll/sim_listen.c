/*
 * Sim listeners: backlogs, and who gets into them.
 *
 * Called by attempts to accept and to connect, and by scenes. The invariant: who finds a backlog full is told when there is room.
 */
#include <errno.h>

#include "lib/poll/sim_world.h"
#include "weft/memory.h"

enum { CANDIDATES_MAX = 64, BACKLOG_MAX = 4096 }; /* the latter is Linux's net.core.somaxconn */

int sim_node_listen(struct sim_node *node, unsigned backlog)
{
    if (node->kind == SIM_LISTENER)
        return 0;
    if (node->kind != SIM_IDLE || backlog == 0)
        return -EINVAL;
    backlog = backlog < BACKLOG_MAX ? backlog : BACKLOG_MAX;
    node->backlog = weft_calloc(backlog, sizeof(*node->backlog));
    if (node->backlog == NULL)
        return -ENOMEM;
    node->backlog_max = backlog;
    node->kind = SIM_LISTENER;
    sim_trace(sim_node_world(node), node->host, "listen", node->id, backlog);
    return 0;
}

/* The listeners on `host` that are reached at `far`; those that share a port draw lots. */
static struct sim_node *listener_find(const struct weft_sim_host *host, const struct sim_name *far)
{
    struct sim_node *candidates[CANDIDATES_MAX];
    size_t count = 0;
    for (struct sim_node *node = host->bound; node != NULL && count < CANDIDATES_MAX; node = node->next_bound)
        if (node->kind == SIM_LISTENER && sim_name_reaches(&node->local, far))
            candidates[count++] = node;
    if (count < 2)
        return count == 0 ? NULL : candidates[0];
    return candidates[random_below(&host->world->random, count)];
}

static void backlog_push(struct sim_node *listener, struct sim_node *accepted)
{
    listener->backlog[(listener->backlog_head + listener->backlog_count) % listener->backlog_max] = accepted->id;
    listener->backlog_count++;
    sim_node_edge(listener, 0);
}

int sim_node_connect(struct sim_node *node)
{
    struct sim_node *listener = node->remote == NULL ? NULL : listener_find(node->remote, &node->far);
    if (listener == NULL)
        return -ECONNREFUSED;
    if (listener->backlog_count == listener->backlog_max)
        return -EAGAIN;
    size_t window = sim_path(node->host, node->remote)->link.window_bytes;
    struct sim_node *accepted = sim_node_create(listener->host, SIM_STREAM, window);
    if (accepted == NULL)
        return -ENOMEM;
    sim_node_bind_any(node);
    accepted->local = node->far;
    accepted->far = node->local;
    window = sim_path(node->remote, node->host)->link.window_bytes;
    node->in.capacity = window != 0 ? window : SIM_CAPACITY;
    sim_node_join(node, accepted);
    sim_node_world(node)->counters.connections++;
    sim_trace(sim_node_world(node), node->host, "connected", node->id, accepted->id);
    backlog_push(listener, accepted);
    return 0;
}

/* Whoever found the backlog full may try again. */
static void listener_has_room(const struct sim_node *listener)
{
    const struct weft_sim *world = sim_node_world(listener);
    for (int id = 0; id < world->nodes_max; id++) {
        struct sim_node *node = world->nodes[id];
        if (node != NULL && node->kind == SIM_CONNECTING && node->remote == listener->host &&
            sim_name_reaches(&listener->local, &node->far))
            sim_node_edge(node, WEFT_FILE_WRITABLE);
    }
}

struct sim_node *sim_node_accept(struct sim_node *listener)
{
    if (listener->backlog_count == 0)
        return NULL;
    struct sim_node *accepted = sim_node_world(listener)->nodes[listener->backlog[listener->backlog_head]];
    listener->backlog_head = (listener->backlog_head + 1) % listener->backlog_max;
    if (listener->backlog_count-- == listener->backlog_max)
        listener_has_room(listener);
    return accepted;
}
