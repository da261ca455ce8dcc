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

int sim_pair(struct weft_sim *world, struct weft_file *near, struct weft_file *far, size_t capacity)
{
    size_t window = capacity != 0 ? capacity : sim_path(&world->first, &world->first)->link.window_bytes;
    struct sim_node *node = sim_node_create(&world->first, SIM_STREAM, window);
    struct sim_node *peer = node == NULL ? NULL : sim_node_create(&world->first, SIM_STREAM, window);
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

static int listen_at(struct sim_node *node, const struct sockaddr *address, socklen_t len, unsigned backlog)
{
    struct sim_name name;
    int status = sim_name_set(&name, address, len);
    if (status == 0)
        status = sim_node_bind(node, &name, false);
    return status == 0 ? sim_node_listen(node, backlog) : status;
}

int sim_listen(struct weft_sim *world, struct weft_file *file, const struct sockaddr *address, socklen_t len, unsigned backlog)
{
    struct sim_node *node = sim_node_create(&world->first, SIM_IDLE, 0);
    if (node == NULL)
        return -ENOMEM;
    int status = listen_at(node, address, len, backlog);
    if (status < 0)
        sim_node_destroy(node);
    else
        file_init(file, node);
    return status;
}

int sim_socket(struct weft_sim *world, struct weft_file *file)
{
    struct sim_node *node = sim_node_create(&world->first, SIM_IDLE, 0);
    if (node == NULL)
        return -ENOMEM;
    file_init(file, node);
    return 0;
}

int sim_connect(struct weft_sim *world, struct weft_file *file, const struct sockaddr *address, socklen_t len)
{
    struct sim_node *node = sim_node_create(&world->first, SIM_IDLE, 0);
    if (node == NULL)
        return -ENOMEM;
    int status = sim_name_set(&node->far, address, len);
    node->remote = &world->first;
    if (status == 0)
        status = sim_node_connect(node);
    if (status < 0) {
        sim_node_destroy(node);
        return status;
    }
    file_init(file, node);
    return 0;
}

int sim_close(struct weft_sim *world, int fd)
{
    struct sim_node *node = sim_node_find(world, fd);
    if (node == NULL)
        return -EBADF;
    sim_node_destroy(node);
    return 0;
}

int sim_script(struct weft_sim *world, const struct weft_file *file, const struct sim_step *step)
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

void sim_reset(struct weft_sim *world, const struct weft_file *file)
{
    struct sim_node *node = sim_node_find(world, file->fd);
    assert(node != NULL);
    sim_node_reset(node);
}

void sim_cut(struct weft_sim *world, const struct weft_file *file)
{
    struct sim_node *node = sim_node_find(world, file->fd);
    assert(node != NULL);
    struct sim_node *peer = sim_node_peer(node);
    node->is_cut = true;
    if (peer != NULL)
        peer->is_cut = true;
}

void sim_heal(struct weft_sim *world, const struct weft_file *file)
{
    struct sim_node *node = sim_node_find(world, file->fd);
    assert(node != NULL);
    struct sim_node *peer = sim_node_peer(node);
    node->is_cut = false;
    sim_node_release(node);
    if (peer == NULL)
        return;
    peer->is_cut = false;
    sim_node_release(peer);
}
