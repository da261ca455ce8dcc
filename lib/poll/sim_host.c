/*
 * Sim hosts: who lives where, and what happens to a host as a whole.
 *
 * Called by the scenario. The invariant: each host has a path to every host, itself included; what was made on a host before its power
 * was cut is dead for good.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/poll/sim_world.h"
#include "weft/memory.h"

enum { FIRST_PORT = 32768, CPUS_DEFAULT = 2 };

/* Who is entered: what this thread makes is there. */
static _Thread_local struct weft_sim_host *entered;

struct weft_sim_host *weft_sim_host_enter(struct weft_sim_host *host)
{
    struct weft_sim_host *before = entered;
    entered = host;
    return before;
}

struct weft_sim_host *sim_host_entered(void)
{
    return entered;
}

/* ---- life --------------------------------------------------------------------------------------------------------------------- */

static void host_setup(struct weft_sim *world, struct weft_sim_host *host)
{
    host->world = world;
    host->next_port = FIRST_PORT;
    host->cpus = CPUS_DEFAULT;
    host->faults.size = sizeof(host->faults);
    host->poller = (struct weft_poller_options)WEFT_POLLER_OPTIONS_INIT;
    host->poller.world = host;
}

/* One more path for each host, and all of them for the new one. */
static int paths_grow(struct weft_sim *world, struct weft_sim_host *host)
{
    uint32_t count = world->host_count + 1;
    host->paths = weft_calloc(count, sizeof(*host->paths));
    if (host->paths == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < world->host_count; i++) {
        struct sim_path *paths = weft_realloc(world->hosts[i]->paths, count * sizeof(*paths));
        if (paths == NULL)
            return -ENOMEM;
        world->hosts[i]->paths = paths;
        paths[count - 1] = world->any;
        host->paths[i] = world->any;
    }
    return 0;
}

static int host_add(struct weft_sim *world, struct weft_sim_host *host)
{
    struct weft_sim_host **hosts = weft_realloc(world->hosts, (world->host_count + 1) * sizeof(struct weft_sim_host *));
    if (hosts == NULL)
        return -ENOMEM;
    world->hosts = hosts;
    int status = paths_grow(world, host);
    if (status < 0)
        return status;
    host->index = world->host_count;
    hosts[world->host_count++] = host;
    return 0;
}

int sim_host_init_first(struct weft_sim *world)
{
    struct weft_sim_host *host = &world->first;
    host_setup(world, host);
    memcpy(host->name, "localhost", sizeof("localhost"));
    host->address.s_addr = htonl(INADDR_LOOPBACK);
    int status = host_add(world, host);
    if (status < 0)
        sim_hosts_free(world);
    return status;
}

void sim_hosts_free(struct weft_sim *world)
{
    for (uint32_t i = 1; i < world->host_count; i++) {
        weft_free(world->hosts[i]->paths);
        weft_free(world->hosts[i]);
    }
    weft_free(world->first.paths);
    weft_free(world->hosts);
}

static bool is_taken(const struct weft_sim *world, const struct weft_sim_host *host)
{
    for (uint32_t i = 0; i < world->host_count; i++) {
        const struct weft_sim_host *other = world->hosts[i];
        bool is_same6 = host->has_address6 && other->has_address6 && IN6_ARE_ADDR_EQUAL(&host->address6, &other->address6);
        if (strcmp(host->name, other->name) == 0 || host->address.s_addr == other->address.s_addr || is_same6)
            return true;
    }
    return false;
}

static int host_name(const struct weft_sim *world, struct weft_sim_host *host, const struct weft_sim_host_options *options)
{
    if (options->name == NULL)
        (void)snprintf(host->name, sizeof(host->name), "host%u", world->host_count);
    else if (options->name[0] == '\0' || strlen(options->name) >= sizeof(host->name))
        return -EINVAL;
    else
        memcpy(host->name, options->name, strlen(options->name) + 1);
    host->address.s_addr = htonl(UINT32_C(0x0a000000) + world->host_count);
    if (options->address != NULL && inet_pton(AF_INET, options->address, &host->address) != 1)
        return -EINVAL;
    host->has_address6 = options->address6 != NULL;
    if (host->has_address6 && inet_pton(AF_INET6, options->address6, &host->address6) != 1)
        return -EINVAL;
    return is_taken(world, host) ? -EEXIST : 0;
}

int weft_sim_host_create(struct weft_sim *sim, const struct weft_sim_host_options *options, struct weft_sim_host **host_out)
{
    struct weft_sim_host_options full = WEFT_SIM_HOST_OPTIONS;
    if (sim == NULL || host_out == NULL || (options != NULL && options->size < offsetof(struct weft_sim_host_options, name)))
        return -EINVAL;
    if (options != NULL)
        memcpy(&full, options, options->size < sizeof(full) ? options->size : sizeof(full));
    struct weft_sim_host *host = weft_calloc(1, sizeof(*host));
    if (host == NULL)
        return -ENOMEM;
    host_setup(sim, host);
    host->cpus = full.cpus != 0 ? full.cpus : CPUS_DEFAULT;
    int status = host_name(sim, host, &full);
    if (status == 0)
        status = host_add(sim, host);
    if (status < 0) {
        weft_free(host->paths);
        weft_free(host);
        return status;
    }
    sim_trace(sim, host, "host", host->index, 0);
    *host_out = host;
    return 0;
}

/* ---- asking ------------------------------------------------------------------------------------------------------------------- */

struct weft_sim_host *weft_sim_host_find(const struct weft_sim *sim, const char *name)
{
    if (sim == NULL || name == NULL)
        return NULL;
    for (uint32_t i = 1; i < sim->host_count; i++)
        if (strcmp(sim->hosts[i]->name, name) == 0)
            return sim->hosts[i];
    return NULL;
}

const char *weft_sim_host_name(const struct weft_sim_host *host)
{
    return host == NULL ? NULL : host->name;
}

const struct weft_poller_options *weft_sim_host_poller(const struct weft_sim_host *host)
{
    return host == NULL ? NULL : &host->poller;
}

size_t weft_sim_host_descriptors(const struct weft_sim_host *host)
{
    return host == NULL ? 0 : host->node_count;
}

uint64_t weft_sim_host_wall(const struct weft_sim_host *host)
{
    if (host == NULL)
        return 0;
    return host->world->options.wall_ns + (host->world->now_ns - SIM_START_NS) + (uint64_t)host->wall_ns;
}

struct weft_sim *sim_host_world(struct weft_sim_host *host)
{
    return host->world;
}

bool sim_host_is_up(const struct weft_sim_host *host, uint32_t boot_count)
{
    return !host->is_down && host->boot_count == boot_count;
}

uint32_t sim_host_cpus(const struct weft_sim_host *host)
{
    return host == NULL ? CPUS_DEFAULT : host->cpus;
}

uint32_t sim_host_boot_count(const struct weft_sim_host *host)
{
    return host->boot_count;
}

uint32_t sim_host_memory_permille(const struct weft_sim_host *host)
{
    return host->faults.memory_permille;
}

uint64_t sim_host_paused_until(const struct weft_sim_host *host)
{
    return host->paused_until_ns;
}

/* ---- what happens to it ------------------------------------------------------------------------------------------------------- */

int weft_sim_host_jump(struct weft_sim_host *host, int64_t by_ns)
{
    if (host == NULL)
        return -EINVAL;
    sim_trace(host->world, host, "jump", by_ns, 0);
    host->wall_ns += by_ns;
    return 0;
}

int weft_sim_host_pause(struct weft_sim_host *host, uint64_t duration_ns)
{
    if (host == NULL || duration_ns > SIM_NEVER_NS / 2 - host->world->now_ns)
        return -EINVAL;
    sim_trace(host->world, host, "pause", (int64_t)duration_ns, 0);
    host->paused_until_ns = host->world->now_ns + duration_ns;
    return 0;
}

int weft_sim_host_set_faults(struct weft_sim_host *host, const struct weft_sim_faults *faults)
{
    struct weft_sim_faults full = WEFT_SIM_FAULTS;
    if (host == NULL || (faults != NULL && faults->size < sizeof(faults->size)))
        return -EINVAL;
    if (faults != NULL)
        memcpy(&full, faults, faults->size < sizeof(full) ? faults->size : sizeof(full));
    full.size = sizeof(full);
    host->faults = full;
    return 0;
}

static void node_die(struct sim_node *node)
{
    struct sim_node *peer = sim_node_peer(node);
    if (peer != NULL && peer->host != node->host) {
        peer->peer = -1;
        peer->is_orphan = true;
        peer->void_bytes = node->in.filled - node->in.arrived;
        sim_node_unstall(peer);
        if (peer->void_bytes > 0)
            sim_node_stall(peer);
    }
    node->peer = -1;
    node->is_dead = true;
    sim_node_unstall(node);
    sim_node_unbind(node);
}

int weft_sim_host_crash(struct weft_sim_host *host)
{
    if (host == NULL || host->index == 0)
        return -EINVAL;
    if (host->is_down)
        return -EALREADY;
    struct weft_sim *world = host->world;
    sim_trace(world, host, "crash", 0, 0);
    host->is_down = true;
    for (int id = 0; id < world->nodes_max; id++)
        if (world->nodes[id] != NULL && world->nodes[id]->host == host)
            node_die(world->nodes[id]);
    return 0;
}

int weft_sim_host_restart(struct weft_sim_host *host)
{
    if (host == NULL || host->index == 0)
        return -EINVAL;
    if (!host->is_down)
        return -EALREADY;
    struct weft_sim *world = host->world;
    sim_trace(world, host, "restart", 0, 0);
    host->is_down = false;
    host->boot_count++;
    host->paused_until_ns = 0;
    for (int id = 0; id < world->nodes_max; id++) {
        struct sim_node *node = world->nodes[id];
        if (node == NULL || node->remote != host || node->is_dead)
            continue;
        sim_node_release(node); /* what it sends again is for nobody */
    }
    return 0;
}
