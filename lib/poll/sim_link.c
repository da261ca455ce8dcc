/*
 * Sim links: how long things take between hosts, what gets lost, and what is cut off.
 *
 * Called by streams and connects for each thing that they send, and by the scenario. The invariant: what is sent on a stream arrives in
 * its order, and what a cut holds back is either let through by the heal or given up by who sent it.
 */
#include <errno.h>
#include <string.h>

#include "lib/poll/sim_world.h"

enum { NS_PER_S = 1000000000, RETRANSMIT_NS = 200000000, RETRIES_MAX = 32 };

#define CONNECT_GIVE_UP_NS UINT64_C(127000000000) /* Linux's tcp_syn_retries */
#define STREAM_GIVE_UP_NS  UINT64_C(924600000000) /* Linux's tcp_retries2 */

/* ---- sending ------------------------------------------------------------------------------------------------------------------ */

uint64_t sim_link_latency(struct weft_sim *world, const struct weft_sim_link *link)
{
    uint64_t min_ns = link->latency_min_ns;
    uint64_t max_ns = link->latency_max_ns;
    return max_ns <= min_ns ? min_ns : min_ns + random_below(&world->random, max_ns - min_ns + 1);
}

uint64_t sim_link_give_up(const struct sim_path *path, bool is_connect)
{
    if (path->link.give_up_ns != 0)
        return path->link.give_up_ns;
    return is_connect ? CONNECT_GIVE_UP_NS : STREAM_GIVE_UP_NS;
}

/* What losses add to the way of one chunk. */
static uint64_t losses_ns(struct weft_sim *world, const struct sim_node *to, const struct weft_sim_link *link, uint64_t give_up_ns)
{
    uint64_t again_ns = link->retransmit_ns == 0 ? RETRANSMIT_NS : link->retransmit_ns;
    uint64_t total_ns = 0;
    for (int i = 0; i < RETRIES_MAX && total_ns < give_up_ns && sim_chance(world, link->loss_permille); i++) {
        world->counters.losses++;
        sim_trace(world, to->host, "loss", to->id, i + 1);
        total_ns += again_ns << i;
    }
    return total_ns;
}

/* When the last of `bytes` more is on its way, where bandwidth is limited. */
static uint64_t sent_ns(const struct weft_sim *world, struct sim_pipe *pipe, const struct weft_sim_link *link, size_t bytes)
{
    if (link->bytes_per_s == 0)
        return world->now_ns;
    uint64_t start_ns = pipe->sent_ns > world->now_ns ? pipe->sent_ns : world->now_ns;
    pipe->sent_ns = start_ns + bytes * (uint64_t)NS_PER_S / link->bytes_per_s; /* a chunk has no more bytes than a window */
    return pipe->sent_ns;
}

bool sim_link_send(struct weft_sim *world, struct sim_node *to, size_t bytes, uint64_t *delay_out)
{
    const struct sim_path *path = sim_path(to->remote, to->host);
    struct sim_pipe *pipe = &to->in;
    uint64_t give_up_ns = sim_link_give_up(path, false);
    uint64_t when_ns = sent_ns(world, pipe, &path->link, bytes) + sim_link_latency(world, &path->link);
    uint64_t late_ns = losses_ns(world, to, &path->link, give_up_ns);
    late_ns = late_ns < give_up_ns ? late_ns : give_up_ns;
    when_ns = when_ns + late_ns > pipe->last_ns ? when_ns + late_ns : pipe->last_ns;
    pipe->last_ns = when_ns; /* nothing overtakes a chunk that is given up, either */
    *delay_out = when_ns - world->now_ns;
    return late_ns < give_up_ns;
}

/* ---- cuts --------------------------------------------------------------------------------------------------------------------- */

bool sim_node_is_cut_off(const struct sim_node *node)
{
    return node->is_cut || (node->remote != NULL && sim_path(node->remote, node->host)->is_cut);
}

/* For how long `node` waits: a connect or an orphan for what it sent, else for what its peer did. */
static uint64_t node_give_up(const struct sim_node *node)
{
    if (node->kind == SIM_CONNECTING)
        return sim_link_give_up(sim_path(node->host, node->remote), true);
    return sim_link_give_up(node->is_orphan ? sim_path(node->host, node->remote) : sim_path(node->remote, node->host), false);
}

void sim_node_stall(struct sim_node *node)
{
    if (node->stalled_ns != 0 || node->remote == NULL)
        return;
    node->stalled_ns = sim_node_world(node)->now_ns;
    if (!node->is_counting)
        sim_push(node, node_give_up(node), SIM_GIVE_UP, 0);
    node->is_counting = true;
}

void sim_node_unstall(struct sim_node *node)
{
    node->stalled_ns = 0;
}

bool sim_node_has_given_up(struct sim_node *node)
{
    const struct weft_sim *world = sim_node_world(node);
    uint64_t until_ns = node->stalled_ns + node_give_up(node);
    if (node->stalled_ns == 0 || world->now_ns >= until_ns)
        return node->stalled_ns != 0;
    if (!node->is_counting)
        sim_push(node, until_ns - world->now_ns, SIM_GIVE_UP, 0); /* it stalled anew since the event was pushed */
    node->is_counting = true;
    return false;
}

/* ---- what the scenario sets --------------------------------------------------------------------------------------------------- */

/* Call `fn` for each way from `from` to `to`, where NULL is every host. */
static void paths_each(struct weft_sim *world, const struct weft_sim_host *from, const struct weft_sim_host *to,
                       void (*fn)(struct weft_sim_host *one, struct weft_sim_host *other, const void *arg), const void *arg)
{
    for (uint32_t i = 0; i < world->host_count; i++)
        for (uint32_t j = 0; j < world->host_count; j++) {
            struct weft_sim_host *one = world->hosts[i];
            struct weft_sim_host *other = world->hosts[j];
            bool is_meant = (from == NULL || from == one) && (to == NULL || to == other);
            if (is_meant && (one != other || from == to))
                fn(one, other, arg);
        }
}

static bool is_of(const struct weft_sim *world, const struct weft_sim_host *host)
{
    return world != NULL && (host == NULL || host->world == world);
}

static void link_set(struct weft_sim_host *from, struct weft_sim_host *to, const void *arg)
{
    sim_path(from, to)->link = *(const struct weft_sim_link *)arg;
}

int weft_sim_set_link(struct weft_sim *sim, struct weft_sim_host *from, struct weft_sim_host *to, const struct weft_sim_link *link)
{
    struct weft_sim_link full = WEFT_SIM_LINK;
    if (!is_of(sim, from) || !is_of(sim, to) || (link != NULL && link->size < sizeof(link->size)))
        return -EINVAL;
    if (link != NULL)
        memcpy(&full, link, link->size < sizeof(full) ? link->size : sizeof(full));
    full.size = sizeof(full);
    if (from == NULL && to == NULL)
        sim->any.link = full;
    paths_each(sim, from, to, link_set, &full);
    return 0;
}

/* All nodes that wait for the way from `from` to `to`. */
static void path_open(const struct weft_sim_host *from, const struct weft_sim_host *to)
{
    const struct weft_sim *world = from->world;
    for (int id = 0; id < world->nodes_max; id++) {
        struct sim_node *node = world->nodes[id];
        if (node == NULL)
            continue;
        if (node->host == to && node->remote == from)
            sim_node_release(node);
        else if (node->host == from && node->remote == to && node->kind == SIM_CONNECTING)
            sim_node_edge(node, WEFT_FILE_WRITABLE);
    }
}

static void cut_set(struct weft_sim_host *from, struct weft_sim_host *to, const void *arg)
{
    bool is_cut = *(const bool *)arg;
    struct sim_path *path = sim_path(from, to);
    if (path->is_cut == is_cut)
        return;
    path->is_cut = is_cut;
    sim_trace(from->world, from, is_cut ? "cut" : "heal", to->index, 0);
    if (!is_cut)
        path_open(from, to);
}

static int cut_or_heal(struct weft_sim *sim, const struct weft_sim_host *from, const struct weft_sim_host *to, bool is_cut)
{
    if (!is_of(sim, from) || !is_of(sim, to))
        return -EINVAL;
    paths_each(sim, from, to, cut_set, &is_cut);
    return 0;
}

int weft_sim_cut(struct weft_sim *sim, struct weft_sim_host *from, struct weft_sim_host *to)
{
    return cut_or_heal(sim, from, to, true);
}

int weft_sim_heal(struct weft_sim *sim, struct weft_sim_host *from, struct weft_sim_host *to)
{
    return cut_or_heal(sim, from, to, false);
}

static bool is_in(struct weft_sim_host *const *group, size_t count, const struct weft_sim_host *host)
{
    for (size_t i = 0; i < count; i++)
        if (group[i] == host)
            return true;
    return false;
}

int weft_sim_partition(struct weft_sim *sim, struct weft_sim_host *const *group, size_t count)
{
    if (sim == NULL || (group == NULL && count > 0))
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (group[i] == NULL || group[i]->world != sim)
            return -EINVAL;
    for (uint32_t i = 0; i < sim->host_count; i++)
        for (uint32_t j = 0; j < sim->host_count; j++) {
            bool is_cut = is_in(group, count, sim->hosts[i]) != is_in(group, count, sim->hosts[j]);
            cut_set(sim->hosts[i], sim->hosts[j], &is_cut);
        }
    return 0;
}

int weft_sim_reset(struct weft_sim *sim, struct weft_sim_host *one, struct weft_sim_host *other)
{
    if (!is_of(sim, one) || !is_of(sim, other))
        return -EINVAL;
    int count = 0;
    for (int id = 0; id < sim->nodes_max; id++) {
        struct sim_node *node = sim->nodes[id];
        struct sim_node *peer = node == NULL ? NULL : sim_node_peer(node);
        if (peer == NULL || peer->id < id || node->error != 0)
            continue;
        bool is_there = (one == NULL || one == node->host) && (other == NULL || other == peer->host);
        bool is_back = (one == NULL || one == peer->host) && (other == NULL || other == node->host);
        if (!is_there && !is_back)
            continue;
        sim_node_reset(node);
        count++;
    }
    return count;
}
