/*
 * Sim trace: one line for each event, and a number that stands for all of them.
 *
 * Called wherever something happens in a world. The hash is taken of the line's parts and not of its bytes, so that a run which nobody
 * watches formats nothing. Nothing in a line may depend on an address of memory or on the machine's clock.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/poll/sim_world.h"

enum { NOTE_BYTES_MAX = 200, LINE_BYTES_MAX = 400, NS_PER_S = 1000000000 };

static const uint64_t hash_prime = UINT64_C(0x9e3779b97f4a7c15);

static void hash_word(struct weft_sim *world, uint64_t word)
{
    uint64_t hash = (world->hash ^ word) * hash_prime;
    world->hash = hash ^ (hash >> 29);
}

static void hash_text(struct weft_sim *world, const char *text, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a: short words */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    hash_word(world, hash);
}

static void hash_event(struct weft_sim *world, const struct weft_sim_host *host, const char *text, size_t len)
{
    world->counters.events++;
    hash_word(world, world->now_ns);
    hash_word(world, host == NULL ? UINT64_MAX : host->index);
    hash_text(world, text, len);
}

static int put_head(const struct weft_sim *world, const struct weft_sim_host *host, char line[LINE_BYTES_MAX])
{
    return snprintf(line, LINE_BYTES_MAX, "%" PRIu64 ".%09" PRIu64 " %s ", world->now_ns / NS_PER_S, world->now_ns % NS_PER_S,
                    host == NULL ? "*" : host->name);
}

void sim_trace(struct weft_sim *world, const struct weft_sim_host *host, const char *what, int64_t one, int64_t two)
{
    hash_event(world, host, what, strlen(what));
    hash_word(world, (uint64_t)one);
    hash_word(world, (uint64_t)two);
    if (world->options.trace == NULL)
        return;
    char line[LINE_BYTES_MAX];
    int len = put_head(world, host, line);
    len += snprintf(line + len, sizeof(line) - (size_t)len, "%s %" PRId64 " %" PRId64, what, one, two);
    world->options.trace(line, (size_t)len, world->options.trace_arg);
}

uint64_t weft_sim_trace_hash(const struct weft_sim *sim)
{
    return sim == NULL ? 0 : sim->hash;
}

int weft_sim_note(struct weft_sim *sim, const char *text)
{
    if (sim == NULL || text == NULL)
        return -EINVAL;
    size_t text_len = strnlen(text, NOTE_BYTES_MAX);
    hash_event(sim, NULL, text, text_len);
    if (sim->options.trace == NULL)
        return 0;
    char line[LINE_BYTES_MAX];
    int len = put_head(sim, NULL, line);
    len += snprintf(line + len, sizeof(line) - (size_t)len, "note %.*s", (int)text_len, text);
    sim->options.trace(line, (size_t)len, sim->options.trace_arg);
    return 0;
}
