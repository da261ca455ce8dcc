/*
 * The trace of a simulated world: the same bytes for the same seed, in this process, in another one and from another compiler.
 */
#include "tests/runtime/town.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS_NS UINT64_C(1000000)

enum { CLIENTS = 12, RUN_HOSTS = 5 };

/* What CHAOS_SEED came to when this was written. It changes whenever the library does things in another order, and for no other reason. */
#define CHAOS_SEED 7
#define CHAOS_HASH UINT64_C(8158794621574172445)

struct text {
    char *bytes;
    size_t len, max;
    int lines;
};

static void text_add(const char *line, size_t len, void *arg)
{
    struct text *text = arg;
    if (text->len + len + 1 > text->max) {
        text->max = (text->len + len + 1) * 2;
        text->bytes = realloc(text->bytes, text->max);
        CHECK(text->bytes != NULL);
    }
    memcpy(text->bytes + text->len, line, len);
    text->bytes[text->len + len] = '\n';
    text->len += len + 1;
    text->lines++;
}

static int ignore(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop;
    (void)exception;
    (void)arg;
    return 0;
}

/* ---- everything at once -------------------------------------------------------------------------------------------------------- */

static void set_weather(struct town *town, uint32_t memory_permille)
{
    struct weft_sim_link link = WEFT_SIM_LINK;
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    link.latency_min_ns = MS_NS;
    link.latency_max_ns = 9 * MS_NS;
    link.loss_permille = 30;
    link.window_bytes = 900;
    link.connect_refuse_permille = 50;
    link.connect_lose_permille = 20;
    link.reset_permille = 5;
    link.bytes_per_s = 1000000;
    faults.short_read_permille = faults.short_write_permille = 200;
    faults.accept_emfile_permille = faults.accept_abort_permille = 50;
    faults.resolve_permille = faults.socket_permille = 30;
    faults.memory_permille = memory_permille;
    CHECK_EQ(weft_sim_set_link(town->sim, NULL, NULL, &link), 0);
    for (uint32_t i = 0; i < town->count; i++)
        CHECK_EQ(weft_sim_host_set_faults(town->hosts[i], &faults), 0);
}

static void part(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_partition(town->sim, town->hosts, 2), 0);
}

static void heal(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_heal(town->sim, NULL, NULL), 0);
}

static void doze(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_host_pause(town->hosts[1], 300 * MS_NS), 0);
}

static void reboot(void *arg)
{
    struct town *town = arg;
    CHECK_EQ(weft_sim_host_crash(town->hosts[1]), 0);
    weft_server_unref(town->servers[1]);
    weft_runtime_destroy(town->runtimes[1]);
    CHECK_EQ(weft_sim_host_restart(town->hosts[1]), 0);
    CHECK_EQ(weft_sim_host_set_faults(town->hosts[1], NULL), 0); /* or it might not come up */
    town_boot(town, 1);
    town_serve(town, 1);
}

static bool are_visits_over(void *arg)
{
    struct weft_task **tasks = arg;
    for (int i = 0; i < CLIENTS; i++)
        if (!weft_future_done(&tasks[i]->future))
            return false;
    return true;
}

/* Twelve clients on three hosts ask two servers, in all kinds of weather. */
static uint64_t chaos(uint64_t seed, uint32_t memory_permille, struct text *text)
{
    struct town town;
    struct visit visits[CLIENTS];
    struct weft_task *tasks[CLIENTS];
    struct weft_sim_options options = WEFT_SIM_OPTIONS;
    options.seed = seed;
    options.late_permille = 200;
    options.stealable_max = 3;
    options.trace = text == NULL ? NULL : text_add;
    options.trace_arg = text;
    weft_set_report_sink(ignore, NULL);
    town_open(&town, RUN_HOSTS, &options);
    for (uint32_t i = 0; i < RUN_HOSTS; i++)
        if (i < 2)
            town_serve(&town, i);
        else
            CHECK_EQ(weft_runtime_start(town.runtimes[i]), 0);
    set_weather(&town, memory_permille);
    for (int i = 0; i < CLIENTS; i++) {
        visits[i] = (struct visit){.server = i % 2 == 0 ? "host0" : "host1",
                                   .rounds = 8,
                                   .bytes = 1500,
                                   .pause_ns = 50 * (int64_t)MS_NS,
                                   .patience_ns = 60 * SECOND_NS};
        tasks[i] = fixture_spawn(weft_runtime_loop(town.runtimes[2 + i % 3], 0), town_visitor, &visits[i]);
    }
    CHECK_EQ(weft_sim_call_later(town.sim, 100 * MS_NS, part, &town), 0);
    CHECK_EQ(weft_sim_call_later(town.sim, 400 * MS_NS, heal, &town), 0);
    CHECK_EQ(weft_sim_call_later(town.sim, 500 * MS_NS, doze, &town), 0);
    CHECK_EQ(weft_sim_call_later(town.sim, 900 * MS_NS, reboot, &town), 0);
    CHECK_EQ(weft_sim_run(town.sim, are_visits_over, tasks, 2000 * SECOND_NS), 0);
    for (uint32_t i = 0; i < RUN_HOSTS; i++)
        CHECK_EQ(weft_sim_host_set_faults(town.hosts[i], NULL), 0);
    CHECK_EQ(weft_sim_note(town.sim, "all visits are over"), 0);
    uint64_t hash = weft_sim_trace_hash(town.sim);
    for (int i = 0; i < CLIENTS; i++)
        weft_task_unref(tasks[i]);
    town_close(&town);
    return hash;
}

Test(sim_trace, is_the_same_for_the_same_seed, .timeout = 60)
{
    struct text one = {0}, other = {0};
    (void)chaos(CHAOS_SEED, 0, NULL);
    CHECK_EQ(chaos(CHAOS_SEED, 0, &one), chaos(CHAOS_SEED, 0, &other));
    CHECK_EQ(one.len, other.len);
    CHECK_EQ(memcmp(one.bytes, other.bytes, one.len), 0);
    free(one.bytes);
    free(other.bytes);
}

Test(sim_trace, is_the_same_whoever_compiled_it_and_whether_or_not_it_is_read, .timeout = 60)
{
    CHECK_EQ(chaos(CHAOS_SEED, 0, NULL), CHAOS_HASH);
}

Test(sim_trace, is_the_same_when_memory_runs_out, .timeout = 60)
{
    (void)chaos(1, 0, NULL);
    for (uint64_t seed = 1; seed <= 10; seed++)
        CHECK_EQ(chaos(seed, 10, NULL), chaos(seed, 10, NULL));
}

Test(sim_trace, is_another_one_for_another_seed, .timeout = 60)
{
    uint64_t first = chaos(1, 0, NULL);
    for (uint64_t seed = 2; seed <= 5; seed++)
        CHECK(chaos(seed, 0, NULL) != first);
}

Test(sim_trace, has_no_addresses_and_no_ends_of_lines_of_its_own, .timeout = 60)
{
    struct text text = {0};
    (void)chaos(CHAOS_SEED, 0, &text);
    CHECK(text.lines > 1000);
    CHECK(memmem(text.bytes, text.len, "0x", 2) == NULL);
    CHECK(memmem(text.bytes, text.len, "note all visits are over\n", 25) != NULL);
    int ends = 0;
    for (size_t i = 0; i < text.len; i++)
        ends += text.bytes[i] == '\n';
    CHECK_EQ(ends, text.lines);
    free(text.bytes);
}

/* ---- who runs what ------------------------------------------------------------------------------------------------------------- */

enum { WALKERS = 40 };

static int walk(void *arg, void **result_out)
{
    uint64_t *steps = arg;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < 10 && status == 0; i++) {
        *steps = *steps * 5 + weft_loop_index(weft_get_running_loop());
        status = weft_yield();
    }
    return status;
}

static int spawn_walkers(void *arg, void **result_out)
{
    struct weft_task *tasks[WALKERS];
    int status = 0;
    (void)result_out;
    for (int i = 0; i < WALKERS; i++)
        CHECK_EQ(weft_loop_spawn(weft_get_running_loop(), fixture_fiber(walk, arg), NULL, &tasks[i]), 0);
    for (int i = 0; i < WALKERS; i++) {
        status = weft_await(&tasks[i]->future, NULL);
        weft_task_unref(tasks[i]);
    }
    return status;
}

/* What order forty stealable tasks took on four loops, as a number. */
static uint64_t stealing(uint64_t seed, uint64_t *steals_out)
{
    struct town town;
    struct weft_sim_options options = WEFT_SIM_OPTIONS;
    struct weft_runtime_options loops = fixture_options(4);
    struct weft_loop_counters counters;
    struct weft_runtime *runtime;
    uint64_t steps = 0;
    options.seed = seed;
    options.stealable_max = 4;
    town_open(&town, 1, &options);
    (void)weft_sim_host_enter(town.hosts[0]);
    CHECK_EQ(weft_runtime_create(&loops, &runtime), 0);
    (void)weft_sim_host_enter(NULL);
    CHECK_EQ(weft_runtime_run(runtime, fixture_fiber(spawn_walkers, &steps), NULL), 0);
    CHECK_EQ(weft_runtime_get_counters(runtime, WEFT_RUNTIME_ALL, &counters), 0);
    *steals_out = counters.steals;
    fixture_end(runtime);
    town_close(&town);
    return steps;
}

Test(sim_trace, has_each_steal_where_the_seed_wants_it, .timeout = 60)
{
    uint64_t steals, again;
    int differing = 0;
    uint64_t first = stealing(1, &steals);
    CHECK(steals > 0);
    CHECK_EQ(stealing(1, &again), first);
    CHECK_EQ(again, steals);
    for (uint64_t seed = 2; seed <= 6; seed++)
        differing += stealing(seed, &steals) != first;
    CHECK(differing > 0);
}
