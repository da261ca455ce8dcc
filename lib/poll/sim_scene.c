/*
 * Sim scenes: what a test or a driver sets up and disturbs from outside. The contracts are in sim.h.
 *
 * A file that was made here is an ordinary one from then on: whoever has it submits operations, the last of which closes it.
 */
#include <errno.h>

#include "lib/poll/sim_world.h"
#include "weft/memory.h"

static void file_init(struct weft_file *file, const struct sim_node *node)
{
    weft_file_init(file, WEFT_FD_VIRTUAL + node->id, WEFT_FILE_STREAM);
}

int sim_pair(struct sim_world *world, struct weft_file *near, struct weft_file *far, size_t capacity)
{
    struct sim_node *node = sim_node_create(world, SIM_STREAM, capacity);
    struct sim_node *peer = node == NULL ? NULL : sim_node_create(world, SIM_STREAM, capacity);
    if (peer == NULL) {
        if (node != NULL)
            sim_node_destroy(node);
        return -ENOMEM;
    }
    sim_node_join(node, peer);
    file_init(near, node);
    file_init(far, peer);
    return 0;
}

int sim_listen(struct sim_world *world, struct weft_file *file, const struct sockaddr *address, socklen_t len, unsigned backlog)
{
    if (backlog == 0 || address == NULL || len > sizeof(struct sockaddr_storage))
        return -EINVAL;
    if (sim_node_listener(world, address, len) != NULL)
        return -EADDRINUSE;
    struct sim_node *node = sim_node_create(world, SIM_LISTENER, 1);
    if (node == NULL)
        return -ENOMEM;
    node->backlog = weft_calloc(backlog, sizeof(*node->backlog));
    if (node->backlog == NULL) {
        sim_node_destroy(node);
        return -ENOMEM;
    }
    node->backlog_max = backlog;
    sim_node_address(node, address, len);
    file_init(file, node);
    return 0;
}

int sim_socket(struct sim_world *world, struct weft_file *file)
{
    struct sim_node *node = sim_node_create(world, SIM_IDLE, 0);
    if (node == NULL)
        return -ENOMEM;
    file_init(file, node);
    return 0;
}

int sim_connect(struct sim_world *world, struct weft_file *file, const struct sockaddr *address, socklen_t len)
{
    struct sim_node *node = sim_node_create(world, SIM_IDLE, 0);
    if (node == NULL)
        return -ENOMEM;
    int status = sim_node_address(node, address, len);
    if (status == 0)
        status = sim_node_connect(node);
    if (status < 0) {
        sim_node_destroy(node);
        return status;
    }
    file_init(file, node);
    return 0;
}

int sim_close(struct sim_world *world, int fd)
{
    struct sim_node *node = sim_node_find(world, fd);
    if (node == NULL)
        return -EBADF;
    sim_node_destroy(node);
    return 0;
}

int sim_script(struct sim_world *world, const struct weft_file *file, const struct sim_step *step)
{
    struct sim_node *node = sim_node_find(world, file->fd);
    if (node == NULL)
        return -EBADF;
    struct sim_script *script = weft_calloc(1, sizeof(*script));
    if (script == NULL || sim_reserve(world, SIM_STEP_EVENTS) < 0) {
        weft_free(script);
        return -ENOMEM;
    }
    script->step = *step;
    script->next = node->script;
    node->script = script;
    world->reserved += SIM_STEP_EVENTS;
    if (step->nth == node->counts[step->kind] + 1)
        sim_push(node, 0, SIM_EDGE, WEFT_FILE_READABLE | WEFT_FILE_WRITABLE); /* Who waits already is to find the step. */
    return 0;
}

void sim_reset(struct sim_world *world, const struct weft_file *file)
{
    struct sim_node *node = sim_node_find(world, file->fd);
    assert(node != NULL);
    sim_node_reset(node);
}

static void node_heal(struct sim_node *node)
{
    node->is_cut = false;
    node->in.arrived += node->in.held;
    node->in.held = 0;
    node->in.is_ended = node->in.is_ended || node->in.is_end_held;
    sim_node_edge(node, 0);
}

void sim_cut(struct sim_world *world, const struct weft_file *file)
{
    struct sim_node *node = sim_node_find(world, file->fd);
    assert(node != NULL);
    struct sim_node *peer = sim_node_peer(node);
    node->is_cut = true;
    if (peer != NULL)
        peer->is_cut = true;
}

void sim_heal(struct sim_world *world, const struct weft_file *file)
{
    struct sim_node *node = sim_node_find(world, file->fd);
    assert(node != NULL);
    struct sim_node *peer = sim_node_peer(node);
    node_heal(node);
    if (peer != NULL)
        node_heal(peer);
}
