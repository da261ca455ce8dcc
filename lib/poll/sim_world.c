/*
 * Sim world: its life, its clock, its dice and its events.
 *
 * Called by the sim poller and by drivers. The invariant: events happen in the order of (when, sequence), and the heap has room for all
 * that may be pushed by calls that must not fail (close, shutdown, giving up).
 */
#include "lib/poll/sim_world.h"

#include <errno.h>
#include <string.h>

#include "weft/memory.h"

enum { LATE_PERMILLE_MAX = 900 };

#define WALL_START_NS UINT64_C(946684800000000000) /* 2000-01-01 */

/* ---- life --------------------------------------------------------------------------------------------------------------------- */

static struct weft_sim *world_create(const struct weft_sim_options *options)
{
    struct weft_sim *world = weft_calloc(1, sizeof(*world));
    if (world == NULL)
        return NULL;
    world->options = *options;
    if (world->options.wall_ns == 0)
        world->options.wall_ns = WALL_START_NS;
    world->now_ns = SIM_START_NS;
    random_init(&world->random, options->seed);
    random_init(&world->schedule, ~options->seed);
    random_init(&world->memory, random_next(&world->schedule));
    if (sim_host_init_first(world) == 0)
        return world;
    weft_free(world);
    return NULL;
}

int weft_sim_create(const struct weft_sim_options *options, struct weft_sim **sim_out)
{
    struct weft_sim_options full = WEFT_SIM_OPTIONS;
    if (sim_out == NULL || (options != NULL && options->size < offsetof(struct weft_sim_options, trace)))
        return -EINVAL;
    if (options != NULL)
        memcpy(&full, options, options->size < sizeof(full) ? options->size : sizeof(full));
    full.size = sizeof(full);
    if (full.late_permille > LATE_PERMILLE_MAX)
        return -EINVAL;
    struct weft_sim *world = world_create(&full);
    if (world == NULL)
        return -ENOMEM;
    *sim_out = world;
    return 0;
}

/* What a scene wants of its world is what happens on the way from the first host to itself. */
struct weft_sim *sim_world_create(const struct sim_options *options)
{
    struct sim_options full = {.size = sizeof(full)};
    struct weft_sim_options world_options = WEFT_SIM_OPTIONS;
    if (options != NULL)
        memcpy(&full, options, options->size < sizeof(full) ? options->size : sizeof(full));
    world_options.seed = full.seed;
    struct weft_sim *world = world_create(&world_options);
    if (world == NULL)
        return NULL;
    struct weft_sim_link *link = &world->first.paths[0].link;
    link->latency_min_ns = full.latency_min_ns;
    link->latency_max_ns = full.latency_max_ns;
    link->window_bytes = full.capacity > UINT32_MAX ? UINT32_MAX : (uint32_t)full.capacity;
    world->first.faults.short_read_permille = full.short_read_permille;
    world->first.faults.write_reset_permille = full.reset_permille;
    return world;
}

/* Listeners go first, and take along what is in their backlogs. */
static void nodes_destroy(struct weft_sim *world, bool are_listeners)
{
    for (int id = 0; id < world->nodes_max; id++) {
        struct sim_node *node = world->nodes[id];
        if (node != NULL && (node->kind == SIM_LISTENER) == are_listeners)
            sim_node_destroy(node);
    }
}

void sim_world_destroy(struct weft_sim *world)
{
    if (world == NULL)
        return;
    assert(world->poller_count == 0);
    nodes_destroy(world, true);
    nodes_destroy(world, false);
    for (struct sim_call *call; (call = world->calls) != NULL;) {
        world->calls = call->next;
        weft_free(call);
    }
    sim_hosts_free(world);
    weft_free(world->nodes);
    weft_free(world->events);
    weft_free(world);
}

void weft_sim_destroy(struct weft_sim *sim)
{
    sim_world_destroy(sim);
}

size_t sim_world_count(const struct weft_sim *world)
{
    return world->node_count;
}

int weft_sim_get_counters(const struct weft_sim *sim, struct weft_sim_counters *counters_out)
{
    if (sim == NULL || counters_out == NULL)
        return -EINVAL;
    *counters_out = sim->counters;
    return 0;
}

/* ---- dice --------------------------------------------------------------------------------------------------------------------- */

bool sim_chance(struct weft_sim *world, uint32_t permille)
{
    return permille != 0 && random_below(&world->random, 1000) < permille;
}

bool sim_fault(struct weft_sim_host *host, uint32_t permille, const char *what)
{
    if (!sim_chance(host->world, permille))
        return false;
    host->world->counters.faults++;
    sim_trace(host->world, host, what, 0, 0);
    return true;
}

/* ---- events: the heap --------------------------------------------------------------------------------------------------------- */

static bool is_before(const struct sim_event *event, const struct sim_event *other)
{
    return event->when_ns != other->when_ns ? event->when_ns < other->when_ns : event->sequence < other->sequence;
}

int sim_reserve(struct weft_sim *world, size_t extra)
{
    size_t need = world->event_count + world->reserved + extra;
    if (need <= world->events_max)
        return 0;
    size_t events_max = need * 2;
    struct sim_event *events = weft_realloc(world->events, events_max * sizeof(*events));
    if (events == NULL)
        return -ENOMEM;
    world->events = events;
    world->events_max = events_max;
    return 0;
}

void sim_push(struct sim_node *node, uint64_t delay_ns, enum sim_event_kind kind, size_t bytes)
{
    struct weft_sim *world = sim_node_world(node);
    assert(world->event_count < world->events_max);
    uint64_t when_ns = delay_ns > SIM_NEVER_NS - 1 - world->now_ns ? SIM_NEVER_NS - 1 : world->now_ns + delay_ns;
    struct sim_event event = {when_ns, world->sequence++, node->serial, bytes, node->id, kind};
    size_t hole = world->event_count++;
    for (size_t parent; hole > 0 && is_before(&event, &world->events[parent = (hole - 1) / 2]); hole = parent)
        world->events[hole] = world->events[parent];
    world->events[hole] = event;
}

static struct sim_event event_pop(struct weft_sim *world)
{
    struct sim_event *events = world->events;
    struct sim_event first = events[0];
    struct sim_event last = events[--world->event_count];
    size_t hole = 0;
    for (size_t child = 1; child < world->event_count; child = 2 * hole + 1) {
        if (child + 1 < world->event_count && is_before(&events[child + 1], &events[child]))
            child++;
        if (!is_before(&events[child], &last))
            break;
        events[hole] = events[child];
        hole = child;
    }
    events[hole] = last;
    return first;
}

/* The node that `event` happens to; NULL if it is gone. */
static struct sim_node *event_node(const struct weft_sim *world, const struct sim_event *event)
{
    struct sim_node *node = sim_node_find(world, WEFT_FD_VIRTUAL + event->id);
    return node != NULL && node->serial == event->serial ? node : NULL;
}

/* Time does not go on for the sake of what happens to nobody. */
static bool is_in_vain(const struct weft_sim *world, const struct sim_event *event)
{
    struct sim_node *node = event_node(world, event);
    if (node == NULL)
        return true;
    if (event->kind != SIM_GIVE_UP || node->stalled_ns != 0)
        return false;
    node->is_counting = false;
    return true;
}

uint64_t sim_world_next(struct weft_sim *world)
{
    while (world->event_count > 0 && is_in_vain(world, &world->events[0]))
        (void)event_pop(world);
    return world->event_count == 0 ? SIM_NEVER_NS : world->events[0].when_ns;
}

/* ---- time --------------------------------------------------------------------------------------------------------------------- */

uint64_t sim_world_now(const struct weft_sim *world)
{
    return world->now_ns;
}

uint64_t weft_sim_now(const struct weft_sim *sim)
{
    return sim == NULL ? 0 : sim->now_ns;
}

void sim_world_advance(struct weft_sim *world, uint64_t until_ns)
{
    until_ns = until_ns < world->now_ns ? world->now_ns : until_ns;
    while (sim_world_next(world) <= until_ns) {
        struct sim_event event = event_pop(world);
        world->now_ns = event.when_ns > world->now_ns ? event.when_ns : world->now_ns;
        sim_node_event(event_node(world, &event), &event);
    }
    world->now_ns = until_ns;
}

int weft_sim_leap(struct weft_sim *sim, uint64_t forward_ns)
{
    if (sim == NULL || forward_ns > SIM_NEVER_NS / 2 - sim->now_ns)
        return -EINVAL;
    sim_trace(sim, NULL, "leap", (int64_t)forward_ns, 0);
    sim_world_advance(sim, sim->now_ns + forward_ns);
    return 0;
}

int weft_sim_call_later(struct weft_sim *sim, uint64_t delay_ns, weft_sim_event_fn *fn, void *arg)
{
    if (sim == NULL || fn == NULL || delay_ns > SIM_NEVER_NS / 2 - sim->now_ns)
        return -EINVAL;
    struct sim_call *call = weft_malloc(sizeof(*call));
    if (call == NULL)
        return -ENOMEM;
    struct sim_call **at = &sim->calls;
    while (*at != NULL && (*at)->when_ns <= sim->now_ns + delay_ns)
        at = &(*at)->next;
    *call = (struct sim_call){*at, sim->now_ns + delay_ns, fn, arg};
    *at = call;
    return 0;
}

uint64_t sim_world_next_call(const struct weft_sim *world)
{
    return world->calls == NULL ? SIM_NEVER_NS : world->calls->when_ns;
}

bool sim_world_call(struct weft_sim *world)
{
    struct sim_call *call = world->calls;
    if (call == NULL || call->when_ns > world->now_ns)
        return false;
    world->calls = call->next;
    struct sim_call due = *call;
    weft_free(call);
    due.fn(due.arg);
    return true;
}

/* ---- for the driver ----------------------------------------------------------------------------------------------------------- */

struct weft_sim_host *sim_world_host(struct weft_sim *world)
{
    return world == NULL ? NULL : &world->first;
}

void **sim_world_driver(struct weft_sim *world)
{
    return &world->driver;
}

void sim_world_set_meanwhile(struct weft_sim *world, sim_meanwhile_fn *meanwhile)
{
    world->meanwhile = meanwhile;
}

struct random *sim_world_schedule(struct weft_sim *world)
{
    return &world->schedule;
}

struct random *sim_world_memory(struct weft_sim *world)
{
    return &world->memory;
}

bool sim_world_is_late(struct weft_sim *world)
{
    uint32_t permille = world->options.late_permille;
    bool is_late = permille != 0 && random_below(&world->schedule, 1000) < permille;
    world->counters.late_turns += is_late;
    return is_late;
}

uint32_t sim_world_draw_stealable(struct weft_sim *world)
{
    uint32_t most = world->options.stealable_max;
    return most == 0 ? SIM_STEALABLE_MAX : 1 + (uint32_t)random_below(&world->schedule, most);
}

void sim_world_turned(struct weft_sim *world, const struct weft_sim_host *host, uint32_t index, uint64_t works)
{
    world->counters.turns++;
    if (works > 0)
        sim_trace(world, host, "turn", index, (int64_t)works);
}

void sim_world_round(struct weft_sim *world)
{
    world->counters.rounds++;
}
