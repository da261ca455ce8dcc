/*
 * Search: which run comes next.
 *
 * A run is a path: at each node a thread is chosen, or one of several values. To go on, the last node of the path that has something left
 * takes it, and the run is done again from the beginning up to there.
 *
 * SEARCH_ALL tries another thread at a node only if that can matter: when two operations that depend on each other (same word, one of them
 * writes; a fence and a seq_cst access) came in one order without anything between them that forced it, the node before the first gets one
 * to try that can begin the other order (source sets: Abdulla, Aronis, Jonsson and Sagonas, Optimal Dynamic Partial Order Reduction, POPL
 * 2014). A thread that was tried at a node sleeps there until something that depends on its next operation was done (sleep sets: Godefroid
 * 1996). Of equivalent runs one is left, and all values of all loads are tried in each.
 *
 * SEARCH_BOUNDED tries all threads, but only so many preemptions and so many loads of old values in one run (Musuvathi and Qadeer, PLDI 2007).
 * SEARCH_RANDOM gives the threads random priorities that change at a few random steps (PCT: Burckhardt and others, ASPLOS 2010), and takes
 * an old value now and then.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/model/engine.h"

enum { CHANGES = 3 };

bool operations_depend(const struct operation *one, const struct operation *other)
{
    if (one->address != 0 && one->address == other->address && (one->is_write || other->is_write))
        return true;
    return (one->is_fence && (other->is_fence || other->is_seq_cst)) || (other->is_fence && one->is_seq_cst);
}

/* ---- chance -------------------------------------------------------------------------------------------------------------------------- */

static uint64_t next_random(void)
{
    uint64_t z = (engine->random += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static void random_begin(uint64_t seed, uint32_t steps)
{
    engine->random = engine->run_seed = seed;
    for (unsigned i = 1; i < THREADS; i++)
        engine->threads[i].priority = 0; /* set by the run's reset; see random_thread() */
    for (unsigned i = 0; i < CHANGES; i++)
        engine->change_points[i] = 1 + (uint32_t)(next_random() % (steps + 1));
}

static unsigned random_thread(uint8_t enabled)
{
    unsigned best = 0;
    for (unsigned i = 1; i < engine->thread_count; i++) {
        struct model_thread *thread = &engine->threads[i];
        if (thread->priority == 0)
            thread->priority = CHANGES + 1 + (uint32_t)(next_random() % 1000000);
        if ((enabled & (1u << i)) != 0 && (best == 0 || thread->priority > engine->threads[best].priority))
            best = i;
    }
    for (uint32_t i = 0; i < CHANGES; i++)
        if (engine->change_points[i] == engine->steps)
            engine->threads[best].priority = i + 1;
    return best;
}

/* ---- nodes --------------------------------------------------------------------------------------------------------------------------- */

static struct node *node_add(void)
{
    if (engine->node_count == NODES_MAX)
        model_fail("too many choices in one run");
    return &engine->nodes[engine->node_count++];
}

static unsigned lowest(uint8_t set)
{
    return (unsigned)__builtin_ctz(set);
}

/* Who need not be tried now: asleep before, or tried at the node before, and untouched by the step since. */
static uint8_t sleep_after_step(void)
{
    uint8_t sleep = engine->sleep, kept = 0;
    for (unsigned i = 1; i < engine->thread_count; i++) {
        bool is_touched = (sleep & (1u << i)) == 0 || i == engine->current;
        for (uint32_t event = engine->step_events; event < engine->event_count && !is_touched; event++)
            is_touched = operations_depend(&engine->events[event].operation, &engine->threads[i].pending);
        kept |= is_touched ? 0 : (uint8_t)(1u << i);
    }
    return kept;
}

/* In a bounded search: who may go on without one preemption too many. */
static uint8_t within_bound(uint8_t enabled, bool was_enabled)
{
    if (engine->mode != SEARCH_BOUNDED || !was_enabled || engine->preemptions < engine->bound)
        return enabled;
    return (uint8_t)(1u << engine->current);
}

static unsigned new_thread_node(uint8_t enabled, bool was_enabled)
{
    struct node *node = node_add();
    *node = (struct node){.enabled = enabled};
    if (engine->mode == SEARCH_ALL) {
        node->sleep = sleep_after_step();
        uint8_t awake = enabled & (uint8_t)~node->sleep;
        if (awake == 0)
            return CHOOSE_NONE;
        bool can_stay = engine->current != 0 && (awake & (1u << engine->current)) != 0;
        node->chosen = (uint8_t)(can_stay ? engine->current : lowest(awake));
        node->backtrack = (uint8_t)(1u << node->chosen);
        return node->chosen;
    }
    node->backtrack = within_bound(enabled, was_enabled);
    bool can_stay = engine->current != 0 && (node->backtrack & (1u << engine->current)) != 0;
    node->chosen = (uint8_t)(can_stay ? engine->current : lowest(node->backtrack));
    return node->chosen;
}

static unsigned replay_next(void)
{
    unsigned chosen = engine->node_count < engine->replay_count ? engine->replay[engine->node_count] : CHOOSE_NONE;
    struct node *node = node_add();
    *node = (struct node){.chosen = (uint8_t)chosen};
    return chosen;
}

unsigned search_choose_thread(uint8_t enabled)
{
    bool was_enabled = engine->current != 0 && (enabled & (1u << engine->current)) != 0;
    unsigned chosen;
    if (engine->mode == SEARCH_REPLAY) {
        chosen = replay_next();
        if (chosen == CHOOSE_NONE || (enabled & (1u << chosen)) == 0)
            chosen = was_enabled ? engine->current : lowest(enabled);
        engine->nodes[engine->node_count - 1].chosen = (uint8_t)chosen;
        return chosen;
    }
    if (engine->mode == SEARCH_RANDOM) {
        chosen = random_thread(enabled);
        *node_add() = (struct node){.chosen = (uint8_t)chosen};
        return chosen;
    }
    if (engine->node_count < engine->node_depth) {
        struct node *node = &engine->nodes[engine->node_count++];
        if (node->is_value || node->enabled != enabled)
            model_fail("the model does not do the same again: it depends on an address, on time or on chance");
        chosen = node->chosen;
    } else {
        chosen = new_thread_node(enabled, was_enabled);
        if (chosen == CHOOSE_NONE)
            return chosen;
    }
    const struct node *node = &engine->nodes[engine->node_count - 1];
    engine->sleep = (uint8_t)((node->sleep | node->done) & ~(1u << chosen));
    engine->preemptions += was_enabled && chosen != engine->current;
    return chosen;
}

unsigned search_choose_value(unsigned count, bool is_load)
{
    if (engine->mode == SEARCH_REPLAY) {
        unsigned chosen = replay_next();
        return chosen < count ? chosen : 0;
    }
    if (engine->mode == SEARCH_RANDOM) {
        unsigned chosen = is_load && next_random() % 2 == 0 ? 0 : (unsigned)(next_random() % count);
        *node_add() = (struct node){.is_value = true, .chosen = (uint8_t)chosen};
        return chosen;
    }
    if (engine->mode == SEARCH_BOUNDED && is_load && engine->stale >= engine->bound)
        return 0;
    struct node *node;
    if (engine->node_count < engine->node_depth) {
        node = &engine->nodes[engine->node_count++];
        if (!node->is_value || node->count != count)
            model_fail("the model does not do the same again: it depends on an address, on time or on chance");
    } else {
        node = node_add();
        *node = (struct node){.is_value = true, .count = (uint8_t)count};
    }
    engine->stale += is_load && node->chosen > 0;
    return node->chosen;
}

/* The node at which the thread of `event` was chosen: the values of loads lie behind it. */
static struct node *thread_node(const struct event *event)
{
    int i = event->node;
    while (i >= 0 && engine->nodes[i].is_value)
        i--;
    return i < 0 ? NULL : &engine->nodes[i];
}

static bool is_before(uint32_t index, const struct clock *trace)
{
    return trace->ticks[engine->events[index].thread] >= index + 1;
}

/*
 * Who could begin what reverses the race of the events `first` and `later`: among the events between that `first` did not lead to, and
 * `later`, those that nothing else of these led to.
 */
static uint8_t initials(uint32_t first, const struct event *later)
{
    uint8_t set = 0, met = 0;
    for (uint32_t i = first + 1; i <= engine->event_count; i++) {
        const struct event *event = i == engine->event_count ? later : &engine->events[i];
        if (event != later && is_before(first, &event->trace))
            continue;
        bool is_led_to = (met & (1u << event->thread)) != 0;
        for (uint32_t j = first + 1; j < i && !is_led_to; j++)
            is_led_to = !is_before(first, &engine->events[j].trace) && is_before(j, &event->trace);
        set |= is_led_to ? 0 : (uint8_t)(1u << event->thread);
        met |= (uint8_t)(1u << event->thread);
    }
    return set;
}

/* True if between the two is an event that the first led to and that leads to the later one: then their order is that one's matter. */
static bool is_indirect(uint32_t first, const struct event *later)
{
    for (uint32_t i = first + 1; i < engine->event_count; i++)
        if (is_before(first, &engine->events[i].trace) && is_before(i, &later->trace))
            return true;
    return false;
}

static void add_backtrack(uint32_t first, const struct event *later)
{
    struct node *node = thread_node(&engine->events[first]);
    if (node == NULL || is_indirect(first, later))
        return;
    uint8_t set = initials(first, later) & node->enabled;
    if (set == 0)
        node->backtrack = node->enabled; /* a spin, of which only the schedule knows what ended it */
    else if ((set & node->backtrack) == 0)
        node->backtrack |= (uint8_t)(1u << lowest(set));
}

void search_note_race(const struct event *event, const struct clock *past)
{
    if (engine->mode != SEARCH_ALL)
        return;
    for (uint32_t i = engine->event_count; i-- > 0;) {
        const struct event *earlier = &engine->events[i];
        if (earlier->thread != event->thread && !is_before(i, past) && operations_depend(&earlier->operation, &event->operation))
            add_backtrack(i, event);
    }
}

/* ---- going on ------------------------------------------------------------------------------------------------------------------------ */

/* Find the last node that has something left, and take it. False: that was all. */
static bool advance(void)
{
    for (uint32_t depth = engine->node_count; depth > 0; depth--) {
        struct node *node = &engine->nodes[depth - 1];
        engine->node_depth = depth;
        if (node->is_value) {
            if (++node->chosen < node->count)
                return true;
            continue;
        }
        node->done |= (uint8_t)(1u << node->chosen);
        uint8_t left = node->backtrack & node->enabled & (uint8_t) ~(node->done | node->sleep);
        if (left == 0)
            continue;
        node->chosen = (uint8_t)lowest(left);
        return true;
    }
    return false;
}

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool is_over(double begin, double seconds)
{
    return seconds > 0 && engine->runs % 64 == 0 && seconds_now() - begin > seconds;
}

static bool search_systematically(double begin, double seconds, struct search_result *result)
{
    engine->node_depth = 0;
    for (;;) {
        enum run_end end = run_once();
        if (end == RUN_FAILED) {
            result->end = RUN_FAILED;
            return false;
        }
        engine->pruned += end == RUN_PRUNED;
        if (!advance()) {
            result->is_complete = true;
            return true;
        }
        if (is_over(begin, seconds))
            return true;
    }
}

static bool search_randomly(double begin, double seconds, uint64_t seed, uint64_t count, struct search_result *result)
{
    uint32_t steps = 30;
    engine->mode = SEARCH_RANDOM;
    for (uint64_t i = 0; i < count && !is_over(begin, seconds); i++) {
        random_begin(seed + i, steps);
        if (run_once() == RUN_FAILED) {
            result->end = RUN_FAILED;
            return false;
        }
        steps = engine->steps > steps ? engine->steps : steps;
    }
    return true;
}

struct search_result search_model(const struct model *model, double seconds, uint64_t seed, uint64_t random_factor)
{
    struct search_result result = {.end = RUN_PASSED};
    double begin = seconds_now();
    engine->model = model;
    engine->runs = engine->pruned = 0;
    engine->mode = model->bound == 0 ? SEARCH_ALL : SEARCH_BOUNDED;
    engine->bound = model->bound > 0 ? (unsigned)model->bound - 1 : 0;
    bool goes_on = model->bound < 0 || search_systematically(begin, seconds, &result);
    if (goes_on && model->random_runs > 0)
        (void)search_randomly(begin, seconds, seed, model->random_runs * random_factor, &result);
    result.runs = engine->runs;
    result.pruned = engine->pruned;
    result.seconds = seconds_now() - begin;
    return result;
}

size_t search_path(unsigned char *path, size_t max)
{
    size_t count = engine->node_count < max ? engine->node_count : max;
    for (size_t i = 0; i < count; i++)
        path[i] = engine->nodes[i].chosen;
    return count;
}
