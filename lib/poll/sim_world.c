/*
 * Sim world: its clock, its dice and its events.
 *
 * Called by the sim poller and by drivers. The invariant: events happen in the order of (when, sequence), and the heap has room for all
 * that may be pushed by calls that must not fail (close, shutdown).
 */
#include "lib/poll/sim_world.h"

#include <errno.h>
#include <string.h>

#include "weft/memory.h"

struct sim_world *sim_world_create(const struct sim_options *options)
{
    struct sim_world *world = weft_calloc(1, sizeof(*world));
    if (world == NULL)
        return NULL;
    if (options != NULL)
        memcpy(&world->options, options, options->size < sizeof(*options) ? options->size : sizeof(*options));
    random_init(&world->random, world->options.seed);
    world->now_ns = SIM_START_NS;
    return world;
}

/* Listeners go first, and take along what is in their backlogs. */
static void nodes_destroy(struct sim_world *world, bool are_listeners)
{
    for (int id = 0; id < world->nodes_max; id++) {
        struct sim_node *node = world->nodes[id];
        if (node != NULL && (node->kind == SIM_LISTENER) == are_listeners)
            sim_node_destroy(node);
    }
}

void sim_world_destroy(struct sim_world *world)
{
    if (world == NULL)
        return;
    assert(world->poller_count == 0);
    nodes_destroy(world, true);
    nodes_destroy(world, false);
    weft_free(world->nodes);
    weft_free(world->events);
    weft_free(world);
}

uint64_t sim_world_now(const struct sim_world *world)
{
    return world->now_ns;
}

uint64_t sim_world_next(const struct sim_world *world)
{
    return world->event_count == 0 ? SIM_NEVER_NS : world->events[0].when_ns;
}

size_t sim_world_count(const struct sim_world *world)
{
    return world->node_count;
}

uint64_t sim_latency(struct sim_world *world)
{
    uint64_t min_ns = world->options.latency_min_ns;
    uint64_t max_ns = world->options.latency_max_ns;
    return max_ns <= min_ns ? min_ns : min_ns + random_below(&world->random, max_ns - min_ns + 1);
}

bool sim_chance(struct sim_world *world, unsigned permille)
{
    return permille != 0 && random_below(&world->random, 1000) < permille;
}

/* The heap */

static bool is_before(const struct sim_event *event, const struct sim_event *other)
{
    return event->when_ns != other->when_ns ? event->when_ns < other->when_ns : event->sequence < other->sequence;
}

int sim_reserve(struct sim_world *world, size_t extra)
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
    struct sim_world *world = node->world;
    assert(world->event_count < world->events_max);
    uint64_t when_ns = delay_ns > SIM_NEVER_NS - 1 - world->now_ns ? SIM_NEVER_NS - 1 : world->now_ns + delay_ns;
    struct sim_event event = {when_ns, world->sequence++, node->serial, bytes, node->id, kind};
    size_t hole = world->event_count++;
    for (size_t parent; hole > 0 && is_before(&event, &world->events[parent = (hole - 1) / 2]); hole = parent)
        world->events[hole] = world->events[parent];
    world->events[hole] = event;
}

static struct sim_event event_pop(struct sim_world *world)
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

void sim_world_advance(struct sim_world *world, uint64_t until_ns)
{
    until_ns = until_ns < world->now_ns ? world->now_ns : until_ns;
    while (sim_world_next(world) <= until_ns) {
        struct sim_event event = event_pop(world);
        world->now_ns = event.when_ns;
        struct sim_node *node = sim_node_find(world, WEFT_FD_VIRTUAL + event.id);
        if (node != NULL && node->serial == event.serial)
            sim_node_event(node, &event);
    }
    world->now_ns = until_ns;
}
